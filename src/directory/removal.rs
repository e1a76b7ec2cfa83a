//! What a change of a resource takes away.

use serde_json::{Map, Value};

/// Whether a user who was active is not any more.
pub(crate) fn deactivates(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    // Without a value the account is neither said to be active nor the opposite.
    let rank = |user: &Map<String, Value>| match user.get("active") {
        Some(Value::Bool(true)) => 2,
        Some(Value::Bool(false)) => 0,
        _ => 1,
    };
    rank(new) < rank(old)
}

/// The first thing that a change takes away without putting another in its place: a user's being active, an
/// attribute's value, or values of an attribute that has several. Members of groups are not looked at.
pub(crate) fn lost(old: &Map<String, Value>, new: &Map<String, Value>) -> Option<String> {
    if deactivates(old, new) {
        return Some("active".to_owned());
    }
    // What the schemas of a resource are follows from its attributes.
    old.iter().filter(|(name, _)| *name != "schemas").find_map(|(name, value)| match (value, new.get(name)) {
        (Value::Object(before), Some(Value::Object(after))) => {
            lost(before, after).map(|sub| format!("{name}.{sub}"))
        }
        (Value::Array(before), Some(Value::Array(after))) => {
            (after.len() < before.len()).then(|| format!("values of {name}"))
        }
        (before, after) => (!is_empty(before) && after.is_none_or(is_empty)).then(|| name.clone()),
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn deactivation_is_a_fall_of_active() {
        let user = |active: Value| object(json!({ "active": active }));
        let absent = object(json!({}));
        assert!(deactivates(&user(json!(true)), &user(json!(false))));
        assert!(deactivates(&user(json!(true)), &absent));
        assert!(deactivates(&absent, &user(json!(false))));
        for (old, new) in [
            (user(json!(true)), user(json!(true))),
            (user(json!(false)), user(json!(true))),
            (user(json!(false)), user(json!(false))),
            (user(json!(false)), absent.clone()),
            (absent.clone(), user(json!(true))),
        ] {
            assert!(!deactivates(&old, &new), "{old:?} {new:?}");
        }
    }

    #[test]
    fn a_loss_is_named_and_a_change_is_none() {
        let old = object(json!({
            "schemas": ["a", "b"], "title": "x", "active": true, "name": { "givenName": "A", "familyName": "B" },
            "emails": [{ "value": "a@x" }, { "value": "b@x" }], "urn:x": { "team": "t" }
        }));
        let with = |name: &str, value: Value| {
            let mut new = old.clone();
            new.insert(name.to_owned(), value);
            new
        };
        let without = |name: &str| {
            let mut new = old.clone();
            new.remove(name);
            new
        };
        assert_eq!(lost(&old, &old), None);
        assert_eq!(lost(&old, &with("title", json!("y"))), None);
        assert_eq!(lost(&old, &with("emails", json!([{ "value": "c@x" }, { "value": "d@x" }]))), None);
        assert_eq!(lost(&old, &with("schemas", json!(["a"]))), None);
        assert_eq!(lost(&old, &with("active", json!(false))).as_deref(), Some("active"));
        assert_eq!(lost(&old, &without("title")).as_deref(), Some("title"));
        assert_eq!(lost(&old, &with("title", json!(""))).as_deref(), Some("title"));
        assert_eq!(
            lost(&old, &with("emails", json!([{ "value": "a@x" }]))).as_deref(),
            Some("values of emails")
        );
        assert_eq!(lost(&old, &without("emails")).as_deref(), Some("emails"));
        assert_eq!(
            lost(&old, &with("name", json!({ "givenName": "A" }))).as_deref(),
            Some("name.familyName")
        );
        assert_eq!(lost(&old, &without("urn:x")).as_deref(), Some("urn:x"));
    }
}
