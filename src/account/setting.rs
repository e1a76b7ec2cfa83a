//! The settings: what there is to set, and which values are sound.

use crate::document::Document;
use crate::supplement::Supplement;
use scim_edge_policy::algorithm::Algorithm;
use scim_edge_policy::permission::Permission;
use scim_edge_policy::rule::MAX_SKEW_SECONDS;
use scim_edge_policy::url;

/// The group of the reference system's four settings.
pub const JWT_GROUP: &str = "scim_jwt_token_configuration_g1";

/// The group of this gateway's own.
pub const EDGE_GROUP: &str = "scim_edge_g1";

/// Where the issuer's public keys are.
pub const JWKS_URL: &str = "scim_jwt_token_jwks_keys_url";
/// The claim to compare.
pub const KEY_FIELD: &str = "scim_jwt_token_key_field";
/// What it must be.
pub const VALUE_FIELD: &str = "scim_jwt_token_value_field";
/// Whom the request acts as.
pub const SERVICE_ACCOUNT: &str = "scim_jwt_token_service_account_id";
/// What `iss` must be.
pub const ISSUER: &str = "scim_jwt_token_issuer";
/// One of these must be in `aud`; comma-separated.
pub const AUDIENCE: &str = "scim_jwt_token_audience";
/// The accepted algorithms; comma-separated.
pub const ALGORITHMS: &str = "scim_jwt_token_algorithms";
/// How far the issuer's clock may be off.
pub const CLOCK_SKEW: &str = "scim_jwt_token_clock_skew_seconds";
/// The longest time from `iat` to `exp`.
pub const MAX_LIFETIME: &str = "scim_jwt_token_max_lifetime_seconds";
/// The SCIM base of the origin.
pub const ORIGIN_URL: &str = "scim_origin_url";
/// The `Authorization` sent to it.
pub const ORIGIN_AUTHORIZATION: &str = "scim_origin_authorization";
/// How old answers from the replica may get.
pub const MAX_STALENESS: &str = "scim_replica_max_staleness_seconds";
/// What happens past that.
pub const WHEN_STALE: &str = "scim_replica_when_stale";
/// What the gateway adds to an origin that lacks it; comma-separated, or `none`.
pub const SUPPLEMENTS: &str = "scim_origin_supplements";
/// What the origin's reads do not tell; comma-separated.
pub const HIDDEN_ATTRIBUTES: &str = "scim_origin_hidden_attributes";
/// What a PATCH is answered with.
pub const PATCH_ANSWER: &str = "scim_patch_answer";
/// How long entries of the audit are kept.
pub const AUDIT_RETENTION: &str = "scim_audit_retention_days";
/// How long deleted resources can be restored.
pub const DELETED_RETENTION: &str = "scim_deleted_retention_days";
/// Removals of a type in an hour past which the brake stops, or `off`.
pub const BRAKE_PER_HOUR: &str = "scim_brake_removals_per_hour";
/// Their share of all resources of the type past which the brake stops, in percent.
pub const BRAKE_PERCENT: &str = "scim_brake_removals_percent";
/// Resources below which the brake stops nothing.
pub const BRAKE_LEAST: &str = "scim_brake_least_resources";
/// How strictly SCIM is read.
pub const DIALECT: &str = "scim_dialect";
/// Whether only one group may have a name.
pub const GROUP_NAMES: &str = "scim_group_names";
/// What becomes of members that the directory does not have.
pub const UNKNOWN_MEMBERS: &str = "scim_unknown_members";

/// The value of [`ORIGIN_AUTHORIZATION`] that sends the caller's own.
pub const PASSTHROUGH: &str = "passthrough";

/// The longest value, in bytes.
pub const VALUE_BYTES: usize = 4096;

/// A setting.
#[derive(Debug)]
pub struct Definition {
    /// Its identifier.
    pub identifier: &'static str,
    /// Its name, for people.
    pub name: &'static str,
    /// Its group.
    pub group: &'static str,
    /// Its value where none is set.
    pub default: Option<&'static str>,
    /// The same in accounts that were made before the default was another.
    pub earlier: Option<&'static str>,
    /// The values there are, where they are few.
    pub allowed: &'static [&'static str],
    /// Stored sealed, never shown.
    pub secret: bool,
    /// The permission that changing it needs.
    pub edit: Permission,
    /// A URL, stored as it was parsed.
    pub url: bool,
    /// What is wrong with a value, as a sentence.
    check: fn(&str, &Document, bool) -> Result<(), String>,
}

impl Definition {
    /// Checks a value (trimmed, not empty).
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self, value: &str, document: &Document, development: bool) -> Result<(), String> {
        if value.is_empty() {
            return Err("the value is empty; RESTORE removes a value".to_owned());
        }
        if value.len() > VALUE_BYTES {
            return Err(format!("the value is longer than {VALUE_BYTES} bytes"));
        }
        if !self.allowed.is_empty() && !self.allowed.contains(&value) {
            return Err(format!("the value must be one of {}", self.allowed.join(", ")));
        }
        (self.check)(value, document, development)
    }

    /// Checks a value, and returns it as it is stored: a URL as it was parsed.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn stored(&self, value: &str, document: &Document, development: bool) -> Result<String, String> {
        self.check(value, document, development)?;
        if !self.url {
            return Ok(value.to_owned());
        }
        url::check(value, development).map(String::from).map_err(str::to_owned)
    }
}

/// The setting of that identifier.
pub fn definition(identifier: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.identifier == identifier)
}

/// Every setting.
pub static DEFINITIONS: [Definition; 24] = [
    Definition {
        url: true,
        ..define(JWKS_URL, "SCIM JWT token jwks keys public URL", JWT_GROUP, None, is_url)
    },
    define(KEY_FIELD, "SCIM JWT token Key field", JWT_GROUP, None, is_text),
    define(VALUE_FIELD, "SCIM JWT token value to be matched for Key field", JWT_GROUP, None, is_text),
    define(
        SERVICE_ACCOUNT,
        "SCIM JWT token mapped Service Account identifier",
        JWT_GROUP,
        None,
        is_service_account,
    ),
    define(ISSUER, "SCIM JWT token issuer", EDGE_GROUP, None, is_text),
    define(AUDIENCE, "SCIM JWT token audiences", EDGE_GROUP, None, is_list),
    define(ALGORITHMS, "SCIM JWT token algorithms", EDGE_GROUP, None, is_algorithms),
    define(CLOCK_SKEW, "SCIM JWT token clock skew in seconds", EDGE_GROUP, Some("30"), |value, _, _| {
        is_number(value, 0, u64::from(MAX_SKEW_SECONDS))
    }),
    define(MAX_LIFETIME, "SCIM JWT token maximum lifetime in seconds", EDGE_GROUP, None, |value, _, _| {
        is_number(value, 1, 31_536_000)
    }),
    Definition { url: true, ..define(ORIGIN_URL, "SCIM origin base URL", EDGE_GROUP, None, is_origin_url) },
    Definition {
        secret: true,
        ..define(
            ORIGIN_AUTHORIZATION,
            "Authorization header sent to the SCIM origin",
            EDGE_GROUP,
            None,
            is_header_value,
        )
    },
    define(
        MAX_STALENESS,
        "SCIM replica maximum staleness in seconds",
        EDGE_GROUP,
        Some("900"),
        |value, _, _| is_number(value, 30, 86_400),
    ),
    Definition {
        allowed: &["serve", "forward"],
        ..define(WHEN_STALE, "What a stale SCIM replica does", EDGE_GROUP, Some("serve"), |_, _, _| Ok(()))
    },
    define(
        SUPPLEMENTS,
        "What the gateway adds to a SCIM origin that lacks it",
        EDGE_GROUP,
        Some("bulk, patch, etag, sort, filter, cursor, projection, dialect"),
        is_supplements,
    ),
    define(
        HIDDEN_ATTRIBUTES,
        "What reads of the SCIM origin do not tell",
        EDGE_GROUP,
        None,
        |value, _, _| match list(value).find(|name| !["members", "groups"].contains(name)) {
            Some(other) => Err(format!("{other:?} is neither members nor groups")),
            None => Ok(()),
        },
    ),
    Definition {
        allowed: &["resource", "empty"],
        ..define(
            PATCH_ANSWER,
            "What a SCIM PATCH is answered with",
            EDGE_GROUP,
            Some("resource"),
            |_, _, _| Ok(()),
        )
    },
    Definition {
        // A caller who could shorten it could remove the traces of what he did.
        edit: Permission::AuditManage,
        ..define(
            AUDIT_RETENTION,
            "How many days the SCIM audit is kept",
            EDGE_GROUP,
            Some("90"),
            |value, _, _| is_number(value, 1, 3_650),
        )
    },
    Definition {
        // Shortening it erases resources that could be restored.
        edit: Permission::DirectoryErase,
        ..define(
            DELETED_RETENTION,
            "How many days deleted SCIM resources can be restored",
            EDGE_GROUP,
            Some("30"),
            |value, _, _| is_number(value, 0, 365),
        )
    },
    Definition {
        edit: Permission::BrakeManage,
        ..define(
            BRAKE_PER_HOUR,
            "How many SCIM removals an hour may have before the brake stops them",
            EDGE_GROUP,
            Some("20"),
            |value, _, _| if value == "off" { Ok(()) } else { is_number(value, 0, 1_000_000) },
        )
    },
    Definition {
        edit: Permission::BrakeManage,
        ..define(
            BRAKE_PERCENT,
            "Which share of the resources SCIM removals may have in an hour, in percent",
            EDGE_GROUP,
            Some("10"),
            |value, _, _| is_number(value, 0, 100),
        )
    },
    Definition {
        edit: Permission::BrakeManage,
        ..define(
            BRAKE_LEAST,
            "How many SCIM resources a directory has at least that has a brake",
            EDGE_GROUP,
            Some("50"),
            |value, _, _| is_number(value, 0, 1_000_000),
        )
    },
    Definition {
        allowed: &["tolerant", "strict"],
        ..define(DIALECT, "How strictly SCIM is read", EDGE_GROUP, Some("tolerant"), |_, _, _| Ok(()))
    },
    Definition {
        allowed: &["unique", "any"],
        earlier: Some("any"),
        ..define(
            GROUP_NAMES,
            "Whether SCIM groups may share a name",
            EDGE_GROUP,
            Some("unique"),
            |_, _, _| Ok(()),
        )
    },
    Definition {
        allowed: &["refuse", "accept", "ignore"],
        ..define(
            UNKNOWN_MEMBERS,
            "What becomes of SCIM members that do not exist",
            EDGE_GROUP,
            Some("refuse"),
            |_, _, _| Ok(()),
        )
    },
];

const fn define(
    identifier: &'static str,
    name: &'static str,
    group: &'static str,
    default: Option<&'static str>,
    check: fn(&str, &Document, bool) -> Result<(), String>,
) -> Definition {
    let edit = Permission::SettingEdit;
    Definition {
        identifier,
        name,
        group,
        default,
        earlier: None,
        allowed: &[],
        secret: false,
        edit,
        url: false,
        check,
    }
}

/// The members of a comma-separated list.
pub fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn is_text(value: &str, _: &Document, _: bool) -> Result<(), String> {
    if value.chars().any(char::is_control) {
        return Err("the value has control characters".to_owned());
    }
    Ok(())
}

fn is_list(value: &str, document: &Document, development: bool) -> Result<(), String> {
    if list(value).next().is_none() {
        return Err("the list is empty".to_owned());
    }
    is_text(value, document, development)
}

fn is_url(value: &str, _: &Document, development: bool) -> Result<(), String> {
    url::check(value, development).map(|_| ()).map_err(str::to_owned)
}

fn is_origin_url(value: &str, _: &Document, development: bool) -> Result<(), String> {
    let url = url::check(value, development)?;
    if url.query().is_some() {
        return Err("the URL must not have a query".to_owned());
    }
    Ok(())
}

fn is_service_account(value: &str, document: &Document, _: bool) -> Result<(), String> {
    if document.service_accounts.contains_key(value) {
        return Ok(());
    }
    Err(format!("service account {value:?} does not exist in this account"))
}

fn is_algorithms(value: &str, _: &Document, _: bool) -> Result<(), String> {
    let known = || Algorithm::ALL.map(Algorithm::name).join(", ");
    if list(value).next().is_none() {
        return Err("the list is empty".to_owned());
    }
    match list(value).find(|name| Algorithm::from_name(name).is_none()) {
        Some(unknown) => Err(format!("{unknown:?} is not among the algorithms {}", known())),
        None => Ok(()),
    }
}

fn is_supplements(value: &str, _: &Document, _: bool) -> Result<(), String> {
    if value == "none" {
        return Ok(());
    }
    match list(value).find(|name| Supplement::from_name(name).is_none()) {
        Some(unknown) => {
            let known = Supplement::ALL.map(Supplement::name).join(", ");
            Err(format!("{unknown:?} is not among {known}; none turns all of them off"))
        }
        None => Ok(()),
    }
}

fn is_number(value: &str, least: u64, most: u64) -> Result<(), String> {
    let number = value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse::<u64>().ok()).flatten();
    match number {
        Some(number) if (least..=most).contains(&number) => Ok(()),
        _ => Err(format!("the value must be a whole number from {least} to {most}")),
    }
}

fn is_header_value(value: &str, _: &Document, _: bool) -> Result<(), String> {
    if value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(());
    }
    Err("the value must be printable ASCII".to_owned())
}
