//! Hops between gateways (RFC 8586): a request to an origin names the gateways that have sent it on, so that an account
//! whose origin leads back to it is found at the first turn of the loop.

use crate::route::Route;
use sha2::{Digest, Sha256};
use url::Url;

/// The name of the header.
pub const HEADER: &str = "cdn-loop";

/// The name of this software among the hops.
const NAME: &str = "scim-edge";

/// The most hops, and the longest header, in bytes: past them a request is taken to run in a loop that others keep up.
const HOPS: usize = 16;
const BYTES: usize = 2048;

/// What a deployment and account are called among the hops. It tells neither: `key` is a secret of the deployment's.
pub fn own(key: &[u8; 32], account: &str) -> String {
    let hash = Sha256::new().chain_update(b"cdn-loop\0").chain_update(key).chain_update(account).finalize();
    let id: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("{NAME}; id={id}")
}

/// Whether a request names a gateway of any deployment among its hops.
pub fn has_gateway(header: &str) -> bool {
    header.to_ascii_lowercase().contains(NAME)
}

/// Whether a request has been here before, or at too many others.
pub fn is_loop(header: &str, own: &str) -> bool {
    let plain =
        |hop: &str| hop.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let own = plain(own);
    header.len() > BYTES
        || header.split(',').filter(|hop| has_gateway(hop)).count() >= HOPS
        || header.split(',').any(|hop| plain(hop) == own)
}

/// The header that a request is sent on with.
pub fn next(header: Option<&str>, own: &str) -> String {
    match header.map(str::trim).filter(|header| !header.is_empty()) {
        Some(header) => format!("{header}, {own}"),
        None => own.to_owned(),
    }
}

/// Whether a URL is the SCIM base of an account at the gateway that answers at `gateway` (scheme and authority).
pub fn is_own_account(gateway: &str, url: &str) -> bool {
    // Nearly every origin: nothing has to be parsed.
    if !url.contains("/account") && !url.contains('%') {
        return false;
    }
    let (Ok(gateway), Ok(url)) = (Url::parse(gateway), Url::parse(url)) else { return false };
    let place = |url: &Url| (url.host_str().map(str::to_ascii_lowercase), url.port_or_known_default());
    place(&gateway) == place(&url) && matches!(Route::parse(url.path()), Ok(Some(Route::Scim(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_hops() {
        let (here, there) = (own(&[1; 32], "a"), own(&[1; 32], "b"));
        assert_ne!(here, there);
        assert_ne!(here, own(&[2; 32], "a"));
        assert!(!here.contains(" a"));
        let first = next(None, &here);
        assert!(is_loop(&first, &here) && !is_loop(&first, &there));
        let second = next(Some(&format!("cloudflare; loops=1, {first}")), &there);
        assert!(is_loop(&second, &here) && is_loop(&second, &there));
        assert!(is_loop(&here.to_uppercase().replace("; ", ";"), &here));
        assert!(has_gateway(&second) && !has_gateway("cloudflare; loops=1"));
    }

    #[test]
    fn hops_are_bounded() {
        let here = own(&[1; 32], "a");
        let others =
            |count: u8| (0..count).map(|n| own(&[9; 32], &n.to_string())).collect::<Vec<_>>().join(", ");
        assert!(!is_loop(&others(15), &here));
        assert!(is_loop(&others(16), &here));
        assert!(is_loop(&format!("x; {}", "a".repeat(BYTES)), &here));
    }

    #[test]
    fn an_account_of_the_same_gateway_is_known_by_host_and_path() {
        let gateway = "https://scim.example.com";
        for url in [
            "https://scim.example.com/ng/api/scim/account/a",
            "https://SCIM.example.com:443/gateway/ng/api/scim/account/a/",
            "https://scim.example.com/ng//api/%73cim/account/a",
        ] {
            assert!(is_own_account(gateway, url), "{url}");
        }
        // The origin may be another service of the same host.
        for url in [
            "https://scim.example.com/scim/v2",
            "https://other.example.com/ng/api/scim/account/a",
            "https://scim.example.com:8443/ng/api/scim/account/a",
        ] {
            assert!(!is_own_account(gateway, url), "{url}");
        }
    }
}
