//! The private protocol between the Worker and an account's Directory object.
//!
//! The object gets the client's own request (method, URL, headers, body) and, in one header that no
//! client can set, what the Worker has decided. Worker and object may run different deployments for a
//! while: the header has a version, and members may be added to it but not taken away.

use crate::aside::Aside;
use crate::environment::Environment;
use scim_edge_account::published::DirectorySettings;
use scim_edge_policy::permission::Permissions;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast;
use worker::{Error, Request, Response, Result};

/// The header.
pub(crate) const HEADER: &str = "x-scim-edge-call";

/// The version of the protocol.
pub(crate) const PROTOCOL: u32 = 1;

/// What the Worker has decided about a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Call {
    pub protocol: u32,
    pub account: String,
    /// The version of the account document that `settings` are of.
    pub version: u64,
    pub settings: DirectorySettings,
    /// What the caller may do.
    pub permissions: Permissions,
    /// The account's SCIM base as the caller sees it.
    pub base: String,
    /// Whom the caller acts as.
    pub principal: String,
    /// What the object must not have seen before, and until when it is to remember it (RFC 9449 §11.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<(String, i64)>,
    /// The subject of the caller's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Names the request, here and at the origin.
    #[serde(default)]
    pub request_id: String,
    /// How long the account's last requests took, in milliseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub took_ms: Vec<u32>,
    /// What the Worker itself wants; the request is not a client's then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<Aside>,
}

impl Call {
    /// Reads the header.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text).ok().filter(|call| call.protocol == PROTOCOL)
    }
}

/// Hands a request to the account's directory, body and all, with what was decided.
pub(crate) async fn pass_on(request: &Request, environment: &Environment, call: &Call) -> Result<Response> {
    let text = serde_json::to_string(call).map_err(|error| Error::RustError(error.to_string()))?;
    let original = request.inner();
    let copy = web_sys::Request::new_with_str_and_init(&original.url(), original.unchecked_ref())?;
    copy.headers().set(HEADER, &text)?;
    let stub = environment.directories()?.id_from_name(&call.account)?.get_stub()?;
    stub.fetch_with_request(copy.into()).await
}
