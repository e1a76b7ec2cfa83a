//! The origin: the SCIM server behind the gateway, and requests to it.
//!
//! Only what SCIM needs is sent: method, path segments encoded anew, query, body, content
//! negotiation and preconditions, and the configured `Authorization`. Identity headers of the caller
//! (cookies, forwarding and client-address headers, its own token unless it is to be passed through)
//! stay here. Redirects are not followed: they would carry the credentials elsewhere.

use crate::body::{Body, BodyError, read_answer};
use crate::environment::now_ms;
use crate::room::Room;
use js_sys::{Function, Promise, Reflect, Uint8Array};
use scim_edge_policy::hop;
use scim_edge_scim::endpoint::{Endpoint, encode};
use scim_edge_scim::error::Error as ScimError;
use scim_edge_scim::identifier::is_path_segment;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, Request, RequestInit, RequestRedirect, Response};
use worker::console_error;

/// How long the origin may take to answer, body included.
const TIME_LIMIT_MS: u32 = 30_000;

/// The longest answer that is read, in bytes: a group of some 40,000 members.
pub(crate) const ANSWER_LIMIT: usize = 8 << 20;

/// The most memory that reading its JSON may take, in bytes.
const WEIGHT_LIMIT: usize = 24 << 20;

/// Request headers that reach the origin.
pub(crate) const FORWARDED: [&str; 5] = ["accept", "content-type", "if-match", "if-none-match", "prefer"];

/// Answer headers that reach the caller.
const RETURNED: [&str; 6] = ["allow", "content-type", "etag", "location", "retry-after", "www-authenticate"];

/// Where an account's origin is and how it is addressed.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Its SCIM base, without a trailing slash.
    pub base: String,
    /// The `Authorization` value sent to it.
    pub authorization: Option<String>,
    /// The gateways that the request has passed, this one last (RFC 8586).
    pub hops: String,
    /// What it is told of the request that is answered.
    pub trace: Trace,
    /// The tables that are its copy.
    pub side: Side,
}

/// Which tables are the copy of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Those in use.
    InUse,
    /// Those of a switch, by the number of their set.
    Beside(i64),
}

/// What the origin is told of the request that it is asked for, and how long it took over it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// `X-Request-Id` and `traceparent` (W3C Trace Context).
    pub headers: Vec<(&'static str, String)>,
    /// Milliseconds, summed over all that was asked; none where nothing was.
    pub spent_ms: Rc<Cell<Option<u32>>>,
}

impl Trace {
    fn spent(&self, since_ms: i64) {
        let spent = u32::try_from(now_ms().saturating_sub(since_ms)).unwrap_or(0);
        self.spent_ms.set(Some(self.spent_ms.get().unwrap_or(0).saturating_add(spent)));
    }
}

/// A request to the origin.
pub(crate) struct Outgoing<'a> {
    pub method: &'a str,
    /// Path below the base, encoded, with its leading slash and query: see [`path`].
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Vec<u8>>,
}

/// What the origin answered.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

/// Why there is no answer. Except for [`Self::Full`] and [`Self::Waiting`] the request may have reached the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// No connection, or it was lost, or the time was up.
    Unreachable,
    /// The answer is longer than the limit, or would take more memory.
    TooLong,
    /// There is no room for the answer at the moment.
    Busy,
    /// Nothing was sent: there would be no room for the answer.
    Full,
    /// The origin answered with a redirect.
    Redirect,
    /// Nothing was sent: the origin is known to be down, and is asked again after so many milliseconds.
    Waiting(i64),
}

/// An endpoint's path below the base, each segment encoded anew, and the raw query.
pub(crate) fn path(endpoint: &Endpoint, query: &str) -> Option<String> {
    let mut path = match endpoint {
        Endpoint::Root => "/".to_owned(),
        Endpoint::Collection(kind) => format!("/{}", kind.segment()),
        Endpoint::Resource(kind, id) => format!("/{}/{}", kind.segment(), segment(id)?),
        Endpoint::Search(None) => "/.search".to_owned(),
        Endpoint::Search(Some(kind)) => format!("/{}/.search", kind.segment()),
        Endpoint::Bulk => "/Bulk".to_owned(),
        Endpoint::Me => "/Me".to_owned(),
        Endpoint::ServiceProviderConfig => "/ServiceProviderConfig".to_owned(),
        Endpoint::ResourceTypes(None) => "/ResourceTypes".to_owned(),
        Endpoint::ResourceTypes(Some(name)) => format!("/ResourceTypes/{}", segment(name)?),
        Endpoint::Schemas(None) => "/Schemas".to_owned(),
        Endpoint::Schemas(Some(urn)) => format!("/Schemas/{}", segment(urn)?),
    };
    if !query.is_empty() {
        path.push('?');
        path.push_str(query);
    }
    Some(path)
}

/// The refusal of an id that no path to an origin can carry.
pub(crate) fn unroutable(endpoint: &Endpoint) -> Option<ScimError> {
    match endpoint {
        Endpoint::Resource(kind, id) if !is_path_segment(id) => {
            let sentence =
                "this id has a separator, a control character or a dot segment in it, which no path";
            Some(ScimError::status(
                404,
                format!("{} not found: {sentence} to the origin can carry", kind.name()),
            ))
        }
        _ => None,
    }
}

/// One path segment, percent-encoded; none where some server may read more than one segment in it.
fn segment(text: &str) -> Option<String> {
    is_path_segment(text).then(|| encode(text))
}

impl Origin {
    /// Sends one request and reads the whole answer, into a room.
    pub(crate) async fn send(&self, outgoing: Outgoing<'_>, room: Room) -> Result<Answer, NoAnswer> {
        let began_ms = now_ms();
        let answered = self.answer(outgoing, room).await;
        self.trace.spent(began_ms);
        answered
    }

    async fn answer(&self, mut outgoing: Outgoing<'_>, room: Room) -> Result<Answer, NoAnswer> {
        let body = outgoing.body.take();
        let mut answer = self.exchange(&outgoing, body).await;
        // A connection that was kept may have been closed at the other end: what changes nothing is sent
        // once more (RFC 9110 §9.2.2).
        let again =
            matches!(outgoing.method, "GET" | "HEAD") && answer.as_ref().is_err_and(|error| !is_late(error));
        if again {
            answer = self.exchange(&outgoing, None).await;
        }
        let answer = answer.map_err(|error| {
            console_error!("the origin did not answer a {}: {}", outgoing.method, sentence(&error));
            NoAnswer::Unreachable
        })?;
        let status = answer.status();
        if (300..400).contains(&status) && status != 304 {
            return Err(NoAnswer::Redirect);
        }
        let headers = RETURNED
            .into_iter()
            .filter_map(|name| Some((name, answer.headers().get(name).ok().flatten()?)))
            .collect();
        let body = read_answer(answer.body(), ANSWER_LIMIT, room).await.map_err(|error| match error {
            BodyError::TooLong => NoAnswer::TooLong,
            BodyError::Broken | BodyError::Late => NoAnswer::Unreachable,
            BodyError::Busy => NoAnswer::Busy,
        })?;
        if scim_edge_json::weight(&body) > WEIGHT_LIMIT {
            return Err(NoAnswer::TooLong);
        }
        Ok(Answer { status, headers, body })
    }

    /// The body is dropped once the host has it: the answer may take as much memory.
    async fn exchange(&self, outgoing: &Outgoing<'_>, body: Option<Vec<u8>>) -> Result<Response, JsValue> {
        let headers = Headers::new()?;
        for (name, value) in outgoing.headers.iter().chain(&self.trace.headers) {
            headers.set(name, value)?;
        }
        headers.set(hop::HEADER, &self.hops)?;
        if let Some(authorization) = &self.authorization {
            headers.set("authorization", authorization)?;
        }
        let init = RequestInit::new();
        init.set_method(outgoing.method);
        init.set_headers(&headers);
        init.set_redirect(RequestRedirect::Manual);
        init.set_signal(Some(&AbortSignal::timeout_with_u32(TIME_LIMIT_MS)));
        if let Some(body) = body {
            init.set_body(&Uint8Array::from(body.as_slice()));
        }
        let request = Request::new_with_str_and_init(&format!("{}{}", self.base, outgoing.path), &init)?;
        fetch(&request).await
    }
}

/// The platform's `fetch`.
pub(crate) async fn fetch(request: &Request) -> Result<Response, JsValue> {
    let global = js_sys::global();
    let fetch: Function = Reflect::get(&global, &"fetch".into())?.dyn_into()?;
    let promise: Promise = fetch.call1(&global, request)?.dyn_into()?;
    JsFuture::from(promise).await?.dyn_into()
}

/// Whether the time was up.
fn is_late(error: &JsValue) -> bool {
    Reflect::get(error, &"name".into()).is_ok_and(|name| name == "TimeoutError")
}

/// What the platform says went wrong.
fn sentence(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message())).unwrap_or_default()
}
