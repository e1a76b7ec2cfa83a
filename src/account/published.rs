//! What the edge needs of an account: the document that is published to KV.

use crate::document::{Document, PutBack};
use crate::setting as s;
use crate::supplement::Supplement;
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::credentials::{ApiKey, ApiKeyKind};
use scim_edge_policy::encoding::{decode, encode};
use scim_edge_policy::mode::Mode;
use scim_edge_policy::permission::Permissions;
use scim_edge_policy::rule::{ClaimMatch, DEFAULT_SKEW_SECONDS, TrustRule};
use scim_edge_scim::dialect::UnknownMembers;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

/// The published format; the edge refuses another one.
pub const FORMAT: u32 = 1;

/// An account as the edge sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// [`FORMAT`].
    pub format: u32,
    /// The account's identifier.
    pub account: String,
    /// The document's version: an edge never goes back to an older one.
    pub version: u64,
    /// Whose tokens are accepted.
    pub rules: Vec<TrustRule>,
    /// What each service account may do, if its mode is normal.
    pub service_accounts: BTreeMap<String, Permissions>,
    /// The other service accounts. An edge of an older deployment knows nothing of modes: it does not find these,
    /// and lets nobody act as one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restricted: BTreeMap<String, Restricted>,
    /// API keys by identifier.
    pub api_keys: BTreeMap<String, PublishedKey>,
    /// How the directory answers.
    pub directory: DirectorySettings,
    /// Whether the account was deleted: it lets nobody in, and takes the place of older versions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// A service account in a mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restricted {
    /// The mode.
    pub mode: Mode,
    /// What it may do within that.
    pub permissions: Permissions,
}

/// An API key at the edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedKey {
    /// SHA-256 of the whole key, base64url.
    pub hash: String,
    /// The service account of a `sat.` key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// What its holder may do; nothing for a service account in a mode, whose permissions are with the mode.
    pub permissions: Permissions,
    /// Milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// How an account's directory answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectorySettings {
    /// The SCIM base of the origin, without a trailing slash; none: the directory is the system of record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_url: Option<String>,
    /// The sealed `Authorization` value for the origin, or `passthrough`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_authorization: Option<String>,
    /// Seconds.
    pub max_staleness_seconds: u32,
    /// Past that: forward reads to the origin instead of marking answers.
    pub forward_when_stale: bool,
    /// Whether SCIM is read strictly.
    pub strict: bool,
    /// What the gateway adds to an origin that lacks it.
    #[serde(default = "Supplement::all")]
    pub supplements: Vec<Supplement>,
    /// `members` or `groups`, where the origin's reads do not tell them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden_attributes: Vec<String>,
    /// Whether a PATCH is answered without the resource.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub patch_without_body: bool,
    /// Whether writes are put into RFC 7644's form for the origin. A field of its own, since the readers of
    /// earlier versions do not know this supplement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect_supplement: Option<bool>,
    /// Whether only one group may have a name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unique_group_names: bool,
    /// What becomes of members that the directory does not have.
    #[serde(default, skip_serializing_if = "is_refuse")]
    pub unknown_members: UnknownMembers,
    /// How long entries of the audit are kept.
    #[serde(default = "audit_retention_days", skip_serializing_if = "is_usual_retention")]
    pub audit_retention_days: u32,
    /// How long deleted resources are kept; 0: they are not.
    #[serde(default = "deleted_retention_days", skip_serializing_if = "is_usual_deleted_retention")]
    pub deleted_retention_days: u32,
    /// The last order to put back a set of tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_back: Option<PutBack>,
    /// The brake on removals.
    #[serde(default, skip_serializing_if = "BrakeSettings::is_usual")]
    pub brake: BrakeSettings,
}

fn deleted_retention_days() -> u32 {
    30
}

// The signature that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_usual_deleted_retention(days: &u32) -> bool {
    *days == deleted_retention_days()
}

// serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_refuse(members: &UnknownMembers) -> bool {
    *members == UnknownMembers::Refuse
}

impl DirectorySettings {
    /// Whether the gateway adds a feature to an origin that lacks it.
    pub fn adds(&self, supplement: Supplement) -> bool {
        match supplement {
            // What was published before this supplement says nothing of it.
            Supplement::Dialect => self.dialect_supplement.unwrap_or(!self.supplements.is_empty()),
            other => self.supplements.contains(&other),
        }
    }
}

/// When removals are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrakeSettings {
    /// Removals in an hour; none: the brake is off.
    pub removals_per_hour: Option<u32>,
    /// Their share of all, in percent.
    pub removals_percent: u32,
    /// Resources below which nothing is stopped.
    pub least_resources: u32,
}

impl Default for BrakeSettings {
    fn default() -> Self {
        Self { removals_per_hour: Some(20), removals_percent: 10, least_resources: 50 }
    }
}

impl BrakeSettings {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

fn audit_retention_days() -> u32 {
    90
}

// What serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_usual_retention(days: &u32) -> bool {
    *days == audit_retention_days()
}

/// Who holds an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// For the audit: the key's identifier, or its service account.
    pub name: String,
    /// What the holder may do.
    pub permissions: Permissions,
    /// How much of that, for a service account.
    pub mode: Mode,
}

impl Holder {
    /// The holder of the root key.
    pub fn root() -> Self {
        Self { name: "root".to_owned(), permissions: Permissions::all(), mode: Mode::Normal }
    }
}

impl Published {
    /// What the edge needs of a document.
    pub fn of(document: &Document) -> Self {
        let value = |identifier: &str| {
            s::definition(identifier).and_then(|definition| document.effective(definition)).map(str::to_owned)
        };
        let number = |identifier: &str| value(identifier).and_then(|text| text.parse::<u32>().ok());
        let items = |identifier: &str| {
            let text = value(identifier).unwrap_or_default();
            s::list(&text).map(str::to_owned).collect::<Vec<_>>()
        };
        let (mut service_accounts, mut restricted) = (BTreeMap::new(), BTreeMap::new());
        for (identifier, one) in &document.service_accounts {
            let permissions = document.permissions_of(identifier);
            if one.mode.is_normal() {
                service_accounts.insert(identifier.clone(), permissions);
            } else {
                restricted.insert(identifier.clone(), Restricted { mode: one.mode, permissions });
            }
        }
        let api_keys = document.api_keys.values().map(|record| {
            let permissions = match (&record.service_account, &record.role) {
                (Some(owner), _) if !document.mode_of(owner).is_normal() => Permissions::NONE,
                (Some(owner), _) => document.permissions_of(owner),
                (None, Some(role)) => document.role_permissions(role).unwrap_or_default(),
                (None, None) => Permissions::NONE,
            };
            let key = PublishedKey {
                hash: record.hash.clone(),
                service_account: record.service_account.clone(),
                permissions,
                expires_at: record.expires_at,
            };
            (record.identifier.clone(), key)
        });
        Self {
            format: FORMAT,
            account: document.account.clone(),
            version: document.version,
            rules: default_rule(document).into_iter().chain(document.jwt_rules.values().cloned()).collect(),
            service_accounts,
            restricted,
            api_keys: api_keys.collect(),
            directory: DirectorySettings {
                origin_url: value(s::ORIGIN_URL).map(|url| url.trim_end_matches('/').to_owned()),
                origin_authorization: origin_authorization(document),
                max_staleness_seconds: number(s::MAX_STALENESS).unwrap_or(900),
                forward_when_stale: value(s::WHEN_STALE).as_deref() == Some("forward"),
                strict: value(s::DIALECT).as_deref() == Some("strict"),
                supplements: items(s::SUPPLEMENTS)
                    .iter()
                    .filter_map(|name| Supplement::from_name(name))
                    .filter(|supplement| *supplement != Supplement::Dialect)
                    .collect(),
                dialect_supplement: Some(items(s::SUPPLEMENTS).iter().any(|name| name == "dialect")),
                unique_group_names: value(s::GROUP_NAMES).as_deref() == Some("unique"),
                unknown_members: value(s::UNKNOWN_MEMBERS)
                    .and_then(|name| UnknownMembers::from_name(&name))
                    .unwrap_or_default(),
                hidden_attributes: items(s::HIDDEN_ATTRIBUTES),
                patch_without_body: value(s::PATCH_ANSWER).as_deref() == Some("empty"),
                audit_retention_days: number(s::AUDIT_RETENTION).unwrap_or_else(audit_retention_days),
                deleted_retention_days: number(s::DELETED_RETENTION).unwrap_or_else(deleted_retention_days),
                put_back: document.put_back,
                brake: BrakeSettings {
                    removals_per_hour: number(s::BRAKE_PER_HOUR),
                    removals_percent: number(s::BRAKE_PERCENT).unwrap_or_default(),
                    least_resources: number(s::BRAKE_LEAST).unwrap_or_default(),
                },
            },
            deleted: false,
        }
    }

    /// What is published of an account that was deleted.
    pub fn tombstone(account: &str, version: u64) -> Self {
        Self { version, deleted: true, ..Self::of(&Document::new(account, 0)) }
    }

    /// Reads a published document.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text).ok().filter(|published| published.format == FORMAT)
    }

    /// The text to publish.
    pub fn to_json(&self) -> String {
        // Maps with string keys, numbers and strings always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What a service account may do, and in which mode; none where there is no such one.
    pub fn service_account(&self, identifier: &str) -> Option<(Permissions, Mode)> {
        let normal = self.service_accounts.get(identifier).map(|permissions| (*permissions, Mode::Normal));
        normal.or_else(|| self.restricted.get(identifier).map(|one| (one.permissions, one.mode)))
    }

    /// The holder of an API key, where it is one of this account's, neither revoked nor expired. The
    /// comparison takes the same time wherever two hashes differ.
    pub fn authenticate(&self, key: &ApiKey<'_>, now_ms: i64) -> Option<Holder> {
        let record = self.api_keys.get(key.identifier)?;
        let hash: [u8; 32] = decode(&record.hash)?.try_into().ok()?;
        let same = bool::from(hash.ct_eq(&Sha256::digest(key.text.as_bytes())[..]));
        let kind =
            if record.service_account.is_some() { ApiKeyKind::ServiceAccount } else { ApiKeyKind::Personal };
        let valid = record.expires_at.is_none_or(|expiry| now_ms < expiry);
        if !same || !valid || key.account != self.account || key.kind != kind {
            return None;
        }
        let name = record.service_account.clone().unwrap_or_else(|| format!("pat.{}", key.identifier));
        let (permissions, mode) = self.held_by(record);
        Some(Holder { name, permissions, mode })
    }

    /// What the holder of a key may do, and in which mode.
    pub(crate) fn held_by(&self, record: &PublishedKey) -> (Permissions, Mode) {
        let owner = record.service_account.as_deref().and_then(|owner| self.service_account(owner));
        owner.filter(|(_, mode)| !mode.is_normal()).unwrap_or((record.permissions, Mode::Normal))
    }

    /// When an API key expires, in milliseconds since the epoch.
    pub fn valid_until_ms(&self, key: &ApiKey<'_>) -> i64 {
        self.api_keys.get(key.identifier).and_then(|record| record.expires_at).unwrap_or(i64::MAX)
    }
}

/// The hash that is kept of an API key.
pub fn hash(key: &str) -> String {
    encode(&Sha256::digest(key.as_bytes()))
}

/// What is sent to the origin, where it is for this origin.
fn origin_authorization(document: &Document) -> Option<String> {
    let setting = document.settings.get(s::ORIGIN_AUTHORIZATION)?;
    let is_for_it = setting.bound_to.is_none() || setting.bound_to == document.origin();
    is_for_it.then(|| setting.value.clone())
}

/// The rule of the four settings, once all of them are set.
pub(crate) fn default_rule(document: &Document) -> Option<TrustRule> {
    let value = |identifier: &str| document.value(identifier).map(str::to_owned);
    let items = |identifier: &str| {
        value(identifier).map(|text| s::list(&text).map(str::to_owned).collect::<Vec<_>>())
    };
    let algorithms = items(s::ALGORITHMS).unwrap_or_default();
    Some(TrustRule {
        name: "default".to_owned(),
        jwks_url: Some(value(s::JWKS_URL)?),
        jwks: None,
        issuer: value(s::ISSUER),
        audiences: items(s::AUDIENCE).unwrap_or_default(),
        algorithms: algorithms.iter().filter_map(|name| Algorithm::from_name(name)).collect(),
        claims: vec![ClaimMatch { field: value(s::KEY_FIELD)?, value: value(s::VALUE_FIELD)? }],
        service_account: value(s::SERVICE_ACCOUNT)?,
        clock_skew_seconds: value(s::CLOCK_SKEW)
            .and_then(|text| text.parse().ok())
            .unwrap_or(DEFAULT_SKEW_SECONDS),
        max_lifetime_seconds: value(s::MAX_LIFETIME).and_then(|text| text.parse().ok()),
        token_types: Vec::new(),
        dpop: false,
    })
}
