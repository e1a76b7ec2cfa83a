//! Which URLs the gateway may be told to ask: key sets and origins.
//!
//! An account's administrator writes these, and the gateway asks them from inside its own network:
//! what they name must be a public host. A name that resolves to a private address cannot be seen
//! from here; Workers' fetch does not route to private networks.

use url::{Host, Url};

/// The longest URL, in bytes.
pub const LIMIT: usize = 2048;

/// Names that lead to the machine itself or to a private network.
const PRIVATE_SUFFIXES: [&str; 6] = ["localhost", "local", "internal", "localdomain", "home.arpa", "onion"];

/// A checked URL, as the WHATWG parser writes it.
///
/// # Errors
/// A sentence that says what to change.
pub fn check(text: &str, development: bool) -> Result<Url, &'static str> {
    if text.len() > LIMIT {
        return Err("the URL is longer than 2048 bytes");
    }
    let url = Url::parse(text).map_err(|_| "this is not an absolute URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL must not carry credentials");
    }
    if url.fragment().is_some() {
        return Err("the URL must not have a fragment");
    }
    let host = url.host().ok_or("the URL must begin with https://")?;
    let loopback = match &host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    if development && loopback && matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err("the URL must begin with https://");
    }
    match host {
        Host::Domain(name) if is_public_name(name) => Ok(url),
        Host::Domain(_) => Err("the URL's host must be a public name"),
        Host::Ipv4(_) | Host::Ipv6(_) => Err("the URL's host must be a name, not an address"),
    }
}

fn is_public_name(name: &str) -> bool {
    let below =
        |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    name.contains('.') && !name.ends_with('.') && !PRIVATE_SUFFIXES.iter().any(|suffix| below(suffix))
}

/// Where an issuer's configuration may be: by OpenID Connect Discovery §4.1, and by RFC 8414 §3.1.
/// Empty for what is no URL.
pub fn configuration_urls(issuer: &str) -> Vec<String> {
    let Ok(url) = Url::parse(issuer) else { return Vec::new() };
    let origin = url.origin().ascii_serialization();
    let path = url.path().trim_end_matches('/');
    vec![
        format!("{origin}{path}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ]
}

/// Scheme, host and port of a URL, as `https://host` or `https://host:port`; none for what is no URL.
pub fn origin(text: &str) -> Option<String> {
    Url::parse(text).ok().map(|url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_lie_where_the_standards_say() {
        assert_eq!(
            configuration_urls("https://idp.example.com/tenant/"),
            [
                "https://idp.example.com/tenant/.well-known/openid-configuration",
                "https://idp.example.com/.well-known/oauth-authorization-server/tenant",
            ]
        );
        assert_eq!(configuration_urls("https://idp.example.com").len(), 2);
        assert!(configuration_urls("idp").is_empty());
    }

    #[test]
    fn public_https_names_pass() {
        for text in [
            "https://idp.example.com/keys",
            "https://idp.example.com:8443/keys?a=b",
            "HTTPS://IDP.Example.com",
        ] {
            assert!(check(text, false).is_ok(), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let cases = [
            "keys",
            "",
            "/keys",
            "http://idp.example.com/",
            "ftp://idp.example.com/",
            "https://user@idp.example.com/",
            "https://u:p@idp.example.com/",
            "https://idp.example.com/#x",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://127.1/",
            "https://[::ffff:10.0.0.1]/",
            "https://localhost/",
            "https://a.localhost/",
            "https://printer.local/",
            "https://metadata.google.internal/",
            "https://intranet/",
            "https://example.com./",
            "http://localhost/",
            "http://127.0.0.1:9000/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "javascript:1",
        ];
        for text in cases {
            assert!(check(text, false).is_err(), "{text}");
        }
        assert!(check(&format!("https://idp.example.com/{}", "a".repeat(LIMIT)), false).is_err());
    }

    #[test]
    fn development_adds_loopback_and_nothing_else() {
        for text in ["http://localhost:9000/keys", "http://127.0.0.1:9000/", "https://[::1]:9000/"] {
            assert!(check(text, true).is_ok(), "{text}");
        }
        for text in
            ["http://10.0.0.1/", "http://idp.example.com/", "https://printer.local/", "ftp://localhost/"]
        {
            assert!(check(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (text, expect) in [
            ("https://A.example.com/scim/v2?x=1", "https://a.example.com"),
            ("https://a.example.com:443", "https://a.example.com"),
            ("https://a.example.com:8443/", "https://a.example.com:8443"),
            ("http://a.example.com/", "http://a.example.com"),
        ] {
            assert_eq!(origin(text).as_deref(), Some(expect), "{text}");
        }
        assert_eq!(origin("a.example.com"), None);
    }
}
