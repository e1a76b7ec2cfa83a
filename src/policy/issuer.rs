//! Issuers: where their keys are (OpenID Connect Discovery §4, RFC 8414 §3), and reading them over a network
//! that the host supplies.

use crate::freshness::MOST_MS;
use crate::key_set::{BYTES, KeySet, Listed, VALUES, listed};
use crate::rule::KeySource;
use crate::url::{check, configuration_urls};
use crate::verify::KeysUnavailable;

const MINUTE_MS: i64 = 60_000;
/// How long a set is fresh where the issuer does not say.
const FRESH_MS: i64 = 10 * MINUTE_MS;
const FRESH_LEAST_MS: i64 = MINUTE_MS;

/// What a key set is asked for as.
const KEY_SET: &str = "application/jwk-set+json, application/json";

/// The host's network.
#[allow(async_fn_in_trait)] // Hosts are single-threaded.
pub trait Network {
    /// A GET: without credentials, without following redirects, within a few seconds, of a body of no more
    /// than [`BYTES`] bytes. An error is a sentence for operators.
    async fn get(&self, url: &str, accept: &'static str) -> Result<Answer, String>;
}

/// What an issuer answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Cache-Control`.
    pub cache_control: Option<String>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Where a set is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    url: String,
    is_issuer: bool,
}

impl Source {
    /// The source of a rule's keys; none where the rule has them itself.
    pub fn of(source: KeySource<'_>) -> Option<Self> {
        let (KeySource::Url(url) | KeySource::Issuer(url)) = source else { return None };
        let is_issuer = matches!(source, KeySource::Issuer(_));
        Some(Self { name: source.name()?, url: url.to_owned(), is_issuer })
    }

    /// What the set is kept by ([`KeySource::name`]).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The set itself, or the issuer whose configuration says where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether [`Source::url`] is an issuer.
    pub fn is_issuer(&self) -> bool {
        self.is_issuer
    }
}

/// The set of a source, and for how long it is fresh, in milliseconds.
pub async fn ask<N: Network>(
    network: &N,
    source: &Source,
    development: bool,
) -> Result<(KeySet, i64), KeysUnavailable> {
    let url = match source.is_issuer {
        true => discover(network, &source.url, development).await?,
        false => source.url.clone(),
    };
    let answer = get(network, &url, KEY_SET, development).await?;
    let set = KeySet::parse(&answer.body).map_err(|error| unavailable(&url, &error.to_string()))?;
    Ok((set, fresh_ms(answer.cache_control.as_deref())))
}

/// Every key that a URL shows, and for how long a token would be checked with them, in milliseconds.
pub async fn show<N: Network>(
    network: &N,
    url: &str,
    development: bool,
) -> Result<(Vec<Listed>, i64), KeysUnavailable> {
    let answer = get(network, url, KEY_SET, development).await?;
    let keys = listed(&answer.body).map_err(|error| unavailable(url, &error.to_string()))?;
    Ok((keys, fresh_ms(answer.cache_control.as_deref())))
}

/// Where an issuer says that its keys are. What it says of itself must be the issuer, to the letter:
/// another's configuration could lie here.
async fn discover<N: Network>(
    network: &N,
    issuer: &str,
    development: bool,
) -> Result<String, KeysUnavailable> {
    let mut why = unavailable(issuer, "the issuer is no URL");
    for url in configuration_urls(issuer) {
        match get(network, &url, "application/json", development).await {
            Ok(answer) => {
                let limits = scim_edge_json::Limits { bytes: BYTES, depth: 16, values: VALUES };
                let configuration = scim_edge_json::parse_object(&answer.body, limits)
                    .map_err(|error| unavailable(&url, &error.to_string()))?;
                let text = |name: &str| configuration.get(name).and_then(|value| value.as_str());
                if text("issuer") != Some(issuer) {
                    return Err(unavailable(&url, "names another issuer"));
                }
                let keys = text("jwks_uri").ok_or_else(|| unavailable(&url, "has no jwks_uri"))?;
                return Ok(keys.to_owned());
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

async fn get<N: Network>(
    network: &N,
    url: &str,
    accept: &'static str,
    development: bool,
) -> Result<Answer, KeysUnavailable> {
    check(url, development).map_err(|why| unavailable(url, why))?;
    let answer = network.get(url, accept).await.map_err(|why| unavailable(url, &why))?;
    match answer.status {
        200 => Ok(answer),
        other => Err(unavailable(url, &format!("answered {other}"))),
    }
}

fn unavailable(url: &str, why: &str) -> KeysUnavailable {
    KeysUnavailable(format!("{url}: {why}"))
}

/// `max-age` (RFC 9111 §5.2.2.1) within bounds.
fn fresh_ms(cache_control: Option<&str>) -> i64 {
    let directives = cache_control.unwrap_or_default().split(',').map(str::trim);
    let max_age = directives
        .filter_map(|directive| directive.split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("max-age"))
        .find_map(|(_, seconds)| seconds.trim_matches('"').parse::<i64>().ok());
    max_age.map_or(FRESH_MS, |seconds| seconds.saturating_mul(1000).clamp(FRESH_LEAST_MS, MOST_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::at_once;
    use std::collections::HashMap;

    const KEY: &str =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    struct Pages(HashMap<&'static str, &'static str>);

    impl Network for Pages {
        async fn get(&self, url: &str, _: &'static str) -> Result<Answer, String> {
            let body = self.0.get(url).ok_or("could not be reached")?;
            Ok(Answer { status: 200, cache_control: None, body: body.as_bytes().to_vec() })
        }
    }

    fn asked(pages: &[(&'static str, &'static str)], source: KeySource<'_>) -> Result<(), String> {
        let network = Pages(pages.iter().copied().collect());
        at_once(ask(&network, &Source::of(source).unwrap(), false)).unwrap().map(drop).map_err(|why| why.0)
    }

    #[test]
    fn freshness_is_what_the_issuer_says_within_an_hour() {
        let cases = [
            (None, 600),
            (Some("no-cache"), 600),
            (Some("max-age=5"), 60),
            (Some("public, Max-Age=1800"), 1800),
            (Some("s-maxage=7, max-age=\"120\""), 120),
            (Some("max-age=999999999999999"), 3600),
            (Some("max-age=x"), 600),
        ];
        for (value, seconds) in cases {
            assert_eq!(fresh_ms(value), seconds * 1000, "{value:?}");
        }
    }

    #[test]
    fn an_issuer_says_where_its_keys_are() {
        let issuer = "https://idp.example.com/t";
        let oidc = "https://idp.example.com/t/.well-known/openid-configuration";
        let oauth = "https://idp.example.com/.well-known/oauth-authorization-server/t";
        let good = r#"{"issuer":"https://idp.example.com/t","jwks_uri":"https://keys.example.com/"}"#;
        let keys = ("https://keys.example.com/", KEY);
        assert_eq!(asked(&[(oidc, good), keys], KeySource::Issuer(issuer)), Ok(()));
        assert_eq!(asked(&[(oauth, good), keys], KeySource::Issuer(issuer)), Ok(()));
        let other = r#"{"issuer":"https://idp.example.com/","jwks_uri":"https://keys.example.com/"}"#;
        assert!(asked(&[(oidc, other), keys], KeySource::Issuer(issuer)).unwrap_err().contains("another"));
        let inside = r#"{"issuer":"https://idp.example.com/t","jwks_uri":"https://169.254.169.254/"}"#;
        assert!(asked(&[(oidc, inside)], KeySource::Issuer(issuer)).is_err());
    }

    #[test]
    fn what_is_no_key_set_is_none() {
        let url = "https://keys.example.com/";
        assert_eq!(asked(&[(url, KEY)], KeySource::Url(url)), Ok(()));
        assert!(asked(&[(url, "<html>")], KeySource::Url(url)).is_err());
        assert!(asked(&[(url, r#"{"keys":[]}"#)], KeySource::Url(url)).is_err());
        assert!(asked(&[], KeySource::Url(url)).is_err());
    }
}
