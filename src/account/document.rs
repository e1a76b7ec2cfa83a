//! The account document: everything about an account but its directory, in one JSON text.

use crate::setting::{Definition, ORIGIN_URL};
use scim_edge_policy::mode::Mode;
use scim_edge_policy::permission::{Permissions, built_in_role};
use scim_edge_policy::rule::TrustRule;
use scim_edge_policy::url;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The document's format; a reader refuses a newer one.
pub const FORMAT: u32 = 1;

/// The defaults of settings that a new account has. An account keeps those that it was made with.
pub const DEFAULTS: u32 = 1;

// serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// [`FORMAT`].
    pub format: u32,
    /// The account's identifier.
    pub account: String,
    /// Grows with every change.
    pub version: u64,
    /// Which defaults of settings the account has: [`DEFAULTS`] when it was made, 0 before these were counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub defaults: u32,
    /// Milliseconds since the epoch.
    pub created_at: i64,
    /// Set values by identifier; a setting that is not here has its default.
    pub settings: BTreeMap<String, SettingValue>,
    /// Trust rules beside the one that the settings are, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub jwt_rules: BTreeMap<String, TrustRule>,
    /// By identifier.
    pub service_accounts: BTreeMap<String, ServiceAccount>,
    /// Custom roles by identifier.
    pub roles: BTreeMap<String, Role>,
    /// By identifier.
    pub role_assignments: BTreeMap<String, RoleAssignment>,
    /// By identifier.
    pub api_keys: BTreeMap<String, ApiKeyRecord>,
    /// The last order to put back what was in use before a switch of the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_back: Option<PutBack>,
}

/// An order to put back a set of tables that is kept since a switch of the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutBack {
    /// The number of the set.
    pub number: i64,
    /// The version of the document that has the order: an order is followed once.
    pub order: u64,
}

/// A setting's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingValue {
    /// Secrets are sealed.
    pub value: String,
    /// Milliseconds since the epoch.
    pub last_modified_at: i64,
    /// Of a secret, the origin (scheme, host and port) that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<String>,
}

impl SettingValue {
    /// A value that is no secret.
    pub fn plain(value: String, last_modified_at: i64) -> Self {
        Self { value, last_modified_at, bound_to: None }
    }
}

/// Whom requests act as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    /// `^[a-zA-Z_][0-9a-zA-Z_$]{0,127}$`, fixed once created.
    pub identifier: String,
    /// For people.
    pub name: String,
    /// Fixed once created.
    pub email: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// For people.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// How much of its permissions it uses.
    #[serde(default, skip_serializing_if = "Mode::is_normal")]
    pub mode: Mode,
}

/// A custom role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its identifier.
    pub identifier: String,
    /// For people.
    pub name: String,
    /// What it grants.
    pub permissions: Permissions,
}

/// A role given to a service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleAssignment {
    /// Its identifier.
    pub identifier: String,
    /// The role.
    pub role_identifier: String,
    /// The service account.
    pub service_account: String,
    /// Milliseconds since the epoch.
    pub created_at: i64,
}

/// An API key, of which only a hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyRecord {
    /// Its identifier, which is part of the key.
    pub identifier: String,
    /// For people.
    pub name: String,
    /// The service account of a `sat.` key; none for a `pat.` key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// The role of a `pat.` key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// SHA-256 of the whole key, base64url.
    pub hash: String,
    /// Milliseconds since the epoch.
    pub created_at: i64,
    /// Milliseconds since the epoch; none: until revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl Document {
    /// An account without anything.
    pub fn new(account: &str, now_ms: i64) -> Self {
        Self {
            format: FORMAT,
            account: account.to_owned(),
            // Above every version of an account of this name that was deleted before.
            version: u64::try_from(now_ms).unwrap_or(0),
            defaults: DEFAULTS,
            created_at: now_ms,
            settings: BTreeMap::new(),
            jwt_rules: BTreeMap::new(),
            service_accounts: BTreeMap::new(),
            roles: BTreeMap::new(),
            role_assignments: BTreeMap::new(),
            api_keys: BTreeMap::new(),
            put_back: None,
        }
    }

    /// Reads a stored document.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text).ok().filter(|document| document.format == FORMAT)
    }

    /// The text to store.
    pub fn to_json(&self) -> String {
        // Maps with string keys, numbers and strings always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What a role grants; nothing for an unknown one.
    pub fn role_permissions(&self, identifier: &str) -> Option<Permissions> {
        built_in_role(identifier).or_else(|| self.roles.get(identifier).map(|role| role.permissions))
    }

    /// What a service account may do.
    pub fn permissions_of(&self, service_account: &str) -> Permissions {
        self.role_assignments
            .values()
            .filter(|assignment| assignment.service_account == service_account)
            .filter_map(|assignment| self.role_permissions(&assignment.role_identifier))
            .fold(Permissions::NONE, Permissions::union)
    }

    /// The value that a setting was given.
    pub fn value(&self, identifier: &str) -> Option<&str> {
        self.settings.get(identifier).map(|setting| setting.value.as_str())
    }

    /// Scheme, host and port of the origin, where there is one.
    pub fn origin(&self) -> Option<String> {
        self.value(ORIGIN_URL).and_then(url::origin)
    }

    /// A service account's mode.
    pub fn mode_of(&self, service_account: &str) -> Mode {
        self.service_accounts.get(service_account).map_or(Mode::Normal, |one| one.mode)
    }

    /// A setting's effective value.
    pub fn effective<'a>(&'a self, definition: &'a Definition) -> Option<&'a str> {
        self.value(definition.identifier).or_else(|| self.default_of(definition))
    }

    /// A setting's default in this account.
    pub fn default_of(&self, definition: &Definition) -> Option<&'static str> {
        definition.earlier.filter(|_| self.defaults == 0).or(definition.default)
    }
}
