//! What an admin call has changed, for the audit: which things, and never their values.

use crate::document::Document;
use std::collections::BTreeMap;

/// One thing that is new, different or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The operation's name.
    pub operation: &'static str,
    /// The type of the thing.
    pub of: &'static str,
    /// Its identifier.
    pub identifier: String,
}

/// The names of a type and of what is done to it.
struct Names {
    of: &'static str,
    created: &'static str,
    changed: &'static str,
    deleted: &'static str,
}

macro_rules! names {
    ($of:literal, $name:literal, $created:literal, $deleted:literal) => {
        Names {
            of: $of,
            created: concat!($name, ".", $created),
            changed: concat!($name, ".change"),
            deleted: concat!($name, ".", $deleted),
        }
    };
}

/// What is different between two documents.
pub fn changes(old: &Document, new: &Document) -> Vec<Change> {
    let mut all = Vec::new();
    compare(&mut all, names!("Setting", "setting", "change", "restore"), &old.settings, &new.settings);
    compare(&mut all, names!("JwtRule", "jwtrule", "create", "delete"), &old.jwt_rules, &new.jwt_rules);
    let accounts = names!("ServiceAccount", "serviceaccount", "create", "delete");
    compare(&mut all, accounts, &old.service_accounts, &new.service_accounts);
    compare(&mut all, names!("Role", "role", "create", "delete"), &old.roles, &new.roles);
    let assignments = names!("RoleAssignment", "roleassignment", "create", "delete");
    compare(&mut all, assignments, &old.role_assignments, &new.role_assignments);
    compare(&mut all, names!("Token", "token", "create", "revoke"), &old.api_keys, &new.api_keys);
    all
}

fn compare<T: PartialEq>(
    all: &mut Vec<Change>,
    names: Names,
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
) {
    let mut note = |operation, identifier: &String| {
        all.push(Change { operation, of: names.of, identifier: identifier.clone() });
    };
    for (identifier, value) in new {
        match old.get(identifier) {
            None => note(names.created, identifier),
            Some(before) if before != value => note(names.changed, identifier),
            Some(_) => {}
        }
    }
    for identifier in old.keys().filter(|identifier| !new.contains_key(*identifier)) {
        note(names.deleted, identifier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Role, SettingValue};
    use scim_edge_policy::permission::Permissions;

    #[test]
    fn what_is_new_different_or_gone_and_nothing_else() {
        let setting = |value: &str| SettingValue::plain(value.to_owned(), 1);
        let mut old = Document::new("acc", 1);
        old.settings.insert("a".to_owned(), setting("1"));
        old.settings.insert("b".to_owned(), setting("1"));
        old.settings.insert("c".to_owned(), setting("1"));
        let mut new = old.clone();
        new.settings.insert("b".to_owned(), setting("secret"));
        new.settings.remove("c");
        let role = Role { identifier: "r".to_owned(), name: "R".to_owned(), permissions: Permissions::NONE };
        new.roles.insert("r".to_owned(), role);
        let found: Vec<String> = changes(&old, &new)
            .into_iter()
            .map(|change| format!("{} {}/{}", change.operation, change.of, change.identifier))
            .collect();
        assert_eq!(found, ["setting.change Setting/b", "setting.restore Setting/c", "role.create Role/r"]);
        assert_eq!(changes(&new, &new), []);
    }
}
