//! What the Worker tells and asks a Directory object beside its clients' requests.

use crate::call::{Call, HEADER, PROTOCOL};
use crate::environment::Environment;
use crate::plan;
use scim_edge_account::published::{DirectorySettings, Published};
use scim_edge_directory::audit::Filter;
use scim_edge_directory::export::{Place, Shown};
use scim_edge_policy::mode::Mode;
use scim_edge_policy::permission::Permissions;
use serde::{Deserialize, Serialize};
use worker::{Error, Request, RequestInit, Response, Result};

/// What is told or asked. It travels in the [`Call`], which no client can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Aside {
    /// Requests that were not let through.
    Refused(Vec<Refused>),
    /// A page of the audit.
    Audit(Question),
    /// The activity of the last day.
    Activity,
    /// How the directory is.
    View,
    /// What a change of the origin would do.
    Plan(Box<plan::Question>),
    /// A part of an export.
    Export(Exporting),
}

/// Which part of an export is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Exporting {
    /// It begins: whoever exports is written down.
    Begin { principal: String, request_id: String },
    /// The page at a place. `entry` is what was written down at the beginning.
    Page { place: Place, entry: i64 },
}

/// What the directory says of a part of an export; the lines are behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exported {
    /// The entry in the audit; none where the directory cannot be exported yet.
    #[serde(default)]
    pub entry: Option<i64>,
    #[serde(default)]
    pub place: Place,
    #[serde(default)]
    pub shown: Shown,
    #[serde(default)]
    pub is_last: bool,
    #[serde(default)]
    pub is_outdated: bool,
    /// How many writes there were since the beginning, where that is known.
    #[serde(default)]
    pub writes: Option<u64>,
}

/// Requests that were refused alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refused {
    pub at: i64,
    pub operation: String,
    pub principal: Option<String>,
    pub reason: String,
    pub status: u16,
    /// The first request's.
    pub request_id: String,
    pub count: u32,
}

/// Which part of an audit is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Question {
    pub filter: Filter,
    pub before: Option<i64>,
    pub count: usize,
}

/// Asks an account's directory. The path is one that an object which does not know asides reads as a
/// harmless request.
pub(crate) async fn ask(environment: &Environment, published: &Published, aside: Aside) -> Result<Response> {
    ask_by(environment, &published.account, published.version, &published.directory, aside).await
}

/// The same, by settings of a version of the account's document.
pub(crate) async fn ask_by(
    environment: &Environment,
    account: &str,
    version: u64,
    settings: &DirectorySettings,
    aside: Aside,
) -> Result<Response> {
    let base = format!("https://directory/ng/api/scim/account/{account}");
    let call = Call {
        protocol: PROTOCOL,
        account: account.to_owned(),
        version,
        settings: settings.clone(),
        permissions: Permissions::NONE,
        mode: Mode::Normal,
        base: base.clone(),
        principal: String::new(),
        credential: None,
        once: None,
        subject: None,
        request_id: String::new(),
        took_ms: Vec::new(),
        aside: Some(aside),
        near: None,
    };
    let text = serde_json::to_string(&call).map_err(|error| Error::RustError(error.to_string()))?;
    let request = Request::new_with_init(&format!("{base}/ServiceProviderConfig"), &RequestInit::new())?;
    request.headers().set(HEADER, &text)?;
    let stub = environment.directories()?.id_from_name(account)?.get_stub()?;
    let answered = stub.fetch_with_request(request).await?;
    if answered.status_code() >= 300 {
        return Err(Error::RustError(format!("the directory answered {}", answered.status_code())));
    }
    Ok(answered)
}
