//! URLs of resources, moved from one server's base to another's: a client of the gateway must see
//! the gateway in `meta.location`, `$ref` and `Location`, and the origin must see itself.

use serde_json::Value;

/// `url` moved from `from` to `to`, where it lies at or below `from`. Neither base ends in a slash.
pub fn relocate_url(url: &str, from: &str, to: &str) -> Option<String> {
    let rest = url.strip_prefix(from)?;
    // …/scim is no base of …/scimple.
    (rest.is_empty() || rest.starts_with(['/', '?'])).then(|| format!("{to}{rest}"))
}

/// Moves every `location` and `$ref` in a message. The message is at most as deep as the JSON reader
/// allows, which bounds the recursion.
pub fn relocate(message: &mut Value, from: &str, to: &str) {
    match message {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                match value {
                    Value::String(url)
                        if name.eq_ignore_ascii_case("location") || name.eq_ignore_ascii_case("$ref") =>
                    {
                        if let Some(moved) = relocate_url(url, from, to) {
                            *url = moved;
                        }
                    }
                    other => relocate(other, from, to),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, from, to)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn moves_locations_and_references_and_nothing_else() {
        let mut message = json!({
            "Resources": [{
                "displayName": "https://origin.example/scim/Users/1",
                "meta": { "location": "https://origin.example/scim/Groups/2" },
                "members": [{ "$ref": "https://origin.example/scim/Users/1" }, { "$ref": "../Users/3" }],
                "manager": { "$ref": "https://origin.example/scimple/Users/1" },
            }],
        });
        relocate(&mut message, "https://origin.example/scim", "https://edge.example/a");
        let moved = json!({
            "Resources": [{
                "displayName": "https://origin.example/scim/Users/1",
                "meta": { "location": "https://edge.example/a/Groups/2" },
                "members": [{ "$ref": "https://edge.example/a/Users/1" }, { "$ref": "../Users/3" }],
                "manager": { "$ref": "https://origin.example/scimple/Users/1" },
            }],
        });
        assert_eq!(message, moved);
    }
}
