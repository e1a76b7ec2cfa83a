//! The undo of a switch: the settings of the origin are what they were before it.

use crate::document::{Document, PutBack, SettingValue};
use crate::setting::{ORIGIN_AUTHORIZATION, ORIGIN_URL};
use serde::{Deserialize, Serialize};

/// What the directory kept of a switch, as far as the account's document has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// The number of the set of tables; none if the origin alone is put back.
    pub number: Option<i64>,
    /// The SCIM base of the origin; none: the directory was the system of record.
    pub origin_url: Option<String>,
    /// The sealed `Authorization` value for it, or `passthrough`.
    pub origin_authorization: Option<String>,
}

/// The document with the origin of before the switch, and the order to put its tables back.
pub fn put_back(document: &Document, before: &Before, now_ms: i64) -> Document {
    let mut new = document.clone();
    new.version = document.version.saturating_add(1);
    new.put_back = before.number.map(|number| PutBack { number, order: new.version });
    let settings = [(ORIGIN_URL, &before.origin_url), (ORIGIN_AUTHORIZATION, &before.origin_authorization)];
    for (identifier, value) in settings {
        let known = new.settings.get(identifier).map(|setting| setting.value.as_str());
        match value {
            Some(value) if known.map(|url| url.trim_end_matches('/')) == Some(value.as_str()) => {}
            Some(value) => {
                // It was sealed for the origin that is put back with it, which comes first.
                let bound_to = if identifier == ORIGIN_AUTHORIZATION { new.origin() } else { None };
                let setting = SettingValue { value: value.clone(), last_modified_at: now_ms, bound_to };
                new.settings.insert(identifier.to_owned(), setting);
            }
            None => {
                new.settings.remove(identifier);
            }
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published::Published;

    #[test]
    fn the_origin_is_what_it_was_and_the_order_is_one_of_its_own() {
        let mut document = Document::new("acc", 7);
        let setting =
            |value: &str| SettingValue { value: value.to_owned(), last_modified_at: 1, bound_to: None };
        document.settings.insert(ORIGIN_URL.to_owned(), setting("https://b.example/scim/"));
        document.settings.insert(ORIGIN_AUTHORIZATION.to_owned(), setting("sealed b"));
        let a = Before {
            number: Some(3),
            origin_url: Some("https://a.example/scim".to_owned()),
            origin_authorization: Some("sealed a".to_owned()),
        };
        let back = put_back(&document, &a, 9);
        let told = Published::of(&back).directory;
        assert_eq!(
            (told.origin_url, told.origin_authorization),
            (a.origin_url.clone(), a.origin_authorization.clone())
        );
        assert_eq!(back.settings[ORIGIN_AUTHORIZATION].bound_to.as_deref(), Some("https://a.example"));
        assert_eq!(told.put_back, Some(PutBack { number: 3, order: 8 }));
        assert_eq!((back.version, back.settings[ORIGIN_URL].last_modified_at), (8, 9));
        // A system of record has neither.
        let record = Before { number: Some(0), origin_url: None, origin_authorization: None };
        assert!(put_back(&back, &record, 9).settings.is_empty());
        // An origin alone has no order: its tables are not kept.
        assert_eq!(put_back(&back, &Before { number: None, ..a }, 9).put_back, None);
    }
}
