//! base64url as JOSE writes it (RFC 7515 §2): no padding, no white space, and no bits left over, so
//! that one value has one spelling.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The bytes, or `None` for any other spelling.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The one spelling of the bytes.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_spelling() {
        assert_eq!(decode("AQAB"), Some(vec![1, 0, 1]));
        assert_eq!(decode("_-8"), Some(vec![0xff, 0xef]));
        for other in ["AQAB=", "AQ==", "AQ\n", " AQ", "A+", "A/", "AR", "A", "é"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
    }
}
