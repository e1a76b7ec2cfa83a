//! Names of the attributes that a write changes, for the audit and the history of a resource.
//!
//! INVARIANT: no value is in here. Names come from schemas; their number and length are bounded, so that an
//! entry of the audit stays one small row.

use crate::Directory;
use crate::sql::Sql;
use crate::store::Stored;
use crate::write::{member, take_members};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::patch::Patch;
use scim_edge_scim::validate::Reader;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The most names of one write.
const NAMES: usize = 64;

/// The longest name, in characters.
const NAME_CHARACTERS: usize = 200;

/// The members of a resource that are not attributes of the client's.
const NOT_CHANGED: [&str; 5] = ["schemas", "id", "meta", "groups", "members"];

/// Names of attributes, with their sub-attribute or the URN of their extension.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedNames {
    /// Attributes that had no value before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Attributes that have another value now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Attributes that have no value any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Whether there are more than are listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl ChangedNames {
    /// The difference between two versions of a resource, without a group's members.
    pub(crate) fn between(old: &Map<String, Value>, new: &Map<String, Value>) -> Self {
        let mut names = Self::default();
        names.compare(old, new, "", &NOT_CHANGED);
        names
    }

    /// Notes a group's members.
    pub(crate) fn note_members(&mut self, had_any: bool, has_any: bool) {
        let list: fn(&mut Self) -> &mut Vec<String> = match (had_any, has_any) {
            (false, _) => |names| &mut names.added,
            (true, true) => |names| &mut names.changed,
            (true, false) => |names| &mut names.removed,
        };
        self.note(list, "members");
    }

    /// The names as they are stored; none if nothing changed.
    pub(crate) fn to_text(&self) -> Option<String> {
        if self == &Self::default() { None } else { serde_json::to_string(self).ok() }
    }

    fn compare(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, prefix: &str, skip: &[&str]) {
        for (name, value) in new.iter().filter(|(name, _)| !skip.contains(&name.as_str())) {
            let whole = format!("{prefix}{name}");
            match (old.get(name), value) {
                (Some(before), now) if before == now => {}
                (Some(Value::Object(before)), Value::Object(now)) => {
                    self.compare(before, now, &inside(prefix, &whole), &[]);
                }
                (Some(_), _) => self.note(|names| &mut names.changed, &whole),
                (None, Value::Object(now)) => self.compare(&Map::new(), now, &inside(prefix, &whole), &[]),
                (None, _) => self.note(|names| &mut names.added, &whole),
            }
        }
        for (name, value) in old.iter().filter(|(name, _)| !skip.contains(&name.as_str())) {
            let whole = format!("{prefix}{name}");
            match value {
                _ if new.contains_key(name) => {}
                Value::Object(before) => self.compare(before, &Map::new(), &inside(prefix, &whole), &[]),
                _ => self.note(|names| &mut names.removed, &whole),
            }
        }
    }

    fn note(&mut self, list: impl Fn(&mut Self) -> &mut Vec<String>, name: &str) {
        let listed = self.added.len().saturating_add(self.changed.len()).saturating_add(self.removed.len());
        if listed >= NAMES {
            self.more = true;
            return;
        }
        list(self).push(name.chars().take(NAME_CHARACTERS).collect());
    }
}

/// The prefix of sub-attributes, or of an extension's attributes (RFC 7644 §3.10).
fn inside(prefix: &str, name: &str) -> String {
    let is_extension = prefix.is_empty() && name.contains(':');
    format!("{name}{}", if is_extension { ':' } else { '.' })
}

impl<S: Sql> Directory<S> {
    /// The names of the attributes that a write to an origin changes, as far as the copy can tell: by the
    /// request's body. None if the copy cannot tell.
    pub fn names_changed(
        &self,
        method: &str,
        kind: Kind,
        id: Option<&str>,
        body: &Map<String, Value>,
        dialect: Dialect,
    ) -> Option<ChangedNames> {
        let schemas = self.schemas();
        let reader = Reader { schemas: &schemas, kind, dialect };
        let stored = id.and_then(|id| self.store.get(kind, id).ok().flatten());
        match (method, stored) {
            ("POST", _) => {
                let mut new = reader.create(body).ok()?;
                let members = take_members(&mut new).unwrap_or_default();
                let mut names = ChangedNames::between(&Map::new(), &new);
                if !members.is_empty() {
                    names.note_members(false, true);
                }
                Some(names)
            }
            ("PUT", Some(stored)) => {
                let old = stored.resource().ok()?;
                let mut new = reader.replace(body, &old).ok()?;
                let members = take_members(&mut new).unwrap_or_default();
                let mut names = ChangedNames::between(&old, &new);
                let now = members.iter().map(|member| member.id.clone()).collect();
                self.note_member_ids(&mut names, &stored, &now)?;
                Some(names)
            }
            ("PATCH", Some(stored)) => {
                let old = stored.resource().ok()?;
                let patch = Patch::parse(body, dialect).ok()?;
                if let Some(plan) = patch.member_plan(&reader) {
                    let mut names = ChangedNames::between(&old, &plan.rest.apply(&reader, &old).ok()?);
                    if !plan.changes.is_empty() {
                        names.note_members(self.member_count(&stored.id).ok()? > 0, true);
                    }
                    return Some(names);
                }
                let mut whole = old.clone();
                if kind == Kind::Group {
                    let members = self.store.members(stored.seq).ok()?;
                    let shown = members.iter().map(|member| {
                        let mut shown = Map::new();
                        shown.insert("value".into(), member.id.as_str().into());
                        Value::Object(shown)
                    });
                    whole.insert("members".into(), Value::Array(shown.collect()));
                }
                let new = patch.apply(&reader, &whole).ok()?;
                let mut names = ChangedNames::between(&old, &new);
                let listed = new.get("members").and_then(Value::as_array).map(Vec::as_slice);
                let ids =
                    listed.unwrap_or_default().iter().filter_map(|one| Some(member(one.as_object()?)?.id));
                self.note_member_ids(&mut names, &stored, &ids.collect())?;
                Some(names)
            }
            _ => None,
        }
    }

    fn note_member_ids(
        &self,
        names: &mut ChangedNames,
        stored: &Stored,
        now: &BTreeSet<String>,
    ) -> Option<()> {
        if stored.kind == Kind::Group {
            let before = self.store.members(stored.seq).ok()?;
            let before: BTreeSet<String> = before.into_iter().map(|member| member.id).collect();
            if &before != now {
                names.note_members(!before.is_empty(), !now.is_empty());
            }
        }
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(old: Value, new: Value) -> ChangedNames {
        ChangedNames::between(old.as_object().unwrap(), new.as_object().unwrap())
    }

    #[test]
    fn changed_names_say_what_came_changed_and_went_and_no_value() {
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let old = json!({ "id": "1", "userName": "a", "title": "secret", "name": { "givenName": "x" },
            urn: { "department": "d", "manager": { "value": "1" } } });
        let new = json!({ "id": "2", "userName": "b", "nickName": "secret",
            "name": { "givenName": "x", "familyName": "y" }, urn: { "manager": { "value": "2" } } });
        let names = names(old, new);
        assert_eq!(names.added, ["nickName", "name.familyName"]);
        assert_eq!(names.changed, ["userName".to_owned(), format!("{urn}:manager.value")]);
        assert_eq!(names.removed, [format!("{urn}:department"), "title".to_owned()]);
    }

    #[test]
    fn changed_names_are_bounded() {
        let new: Map<String, Value> = (0..1000).map(|n| (format!("{n:0>300}"), n.into())).collect();
        let names = ChangedNames::between(&Map::new(), &new);
        assert!(names.more && names.added.len() == NAMES);
        assert!(names.added.iter().all(|name| name.len() == NAME_CHARACTERS));
    }
}
