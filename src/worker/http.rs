//! HTTP at the edge of the host: requests as they are looked at, bodies read within a limit, answers made
//! of a status, headers and a text.
//!
//! The types are our own, since each call between Wasm and the host costs about as much as the work
//! between two of them: those of the `worker` crate make some forty calls for a request and its answer.

use crate::call;
use crate::log::REQUEST_ID;
use scim_edge_policy::hop;
use scim_edge_scim::error::Error as ScimError;
use scim_edge_scim::limits::BODY;
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use worker::{Error, Result};

#[wasm_bindgen(raw_module = "./edge.js")]
extern "C" {
    fn describe(request: &web_sys::Request, inner: bool) -> String;

    fn place(request: &web_sys::Request) -> String;

    fn observe(response: &web_sys::Response) -> String;

    #[wasm_bindgen(catch)]
    fn respond(status: u16, headers: &str, body: Option<&[u8]>) -> std::result::Result<JsValue, JsValue>;

    fn reply(status: u16, headers: &str, body: &JsValue) -> JsValue;

    fn replied(answer: &JsValue) -> String;

    #[wasm_bindgen(js_name = bodyOf)]
    fn body_of(answer: &JsValue) -> JsValue;

    #[wasm_bindgen(catch, js_name = respondHeld)]
    fn respond_held(status: u16, headers: &str, body: &JsValue) -> std::result::Result<JsValue, JsValue>;
}

/// The headers that are read of every request, and those that a read tells its object beside, as `edge.js` has
/// them.
const OUTER: [&str; 6] = ["authorization", "harness-account", "x-api-key", "dpop", REQUEST_ID, hop::HEADER];
const INNER: [&str; 5] = [call::HEADER, call::OWN_HEADER, "content-type", "if-match", "if-none-match"];
const BESIDE: [&str; 5] = ["accept", "authorization", "prefer", "traceparent", hop::HEADER];

/// The policy of every answer: a browser that is led to one runs nothing of it (CSP 3 §6.1).
pub(crate) const NOTHING_RUNS: &str = "default-src 'none'";

/// The media type of SCIM messages (RFC 7644 §3.1).
pub(crate) const SCIM_JSON: &str = "application/scim+json";

/// The longest request body, in bytes, but for groups ([`scim_edge_scim::limits`]).
pub(crate) const BODY_LIMIT: usize = BODY.bytes;

/// The longest text that crosses in one piece; RPC has a limit of 32 MiB.
const REPLY_BYTES: usize = 1 << 20;

/// A request, what is looked at of every one read in one go.
pub(crate) struct Request {
    /// The host's own, where it came as one.
    raw: Option<web_sys::Request>,
    method: String,
    url: String,
    origin: String,
    path: String,
    query: String,
    headers: Headers,
}

impl Request {
    /// A client's request.
    pub(crate) fn of_client(raw: web_sys::Request) -> Self {
        Self::of(&describe(&raw, false), &[&OUTER], Some(raw))
    }

    /// A request that the Worker passes on to an object.
    pub(crate) fn of_worker(raw: web_sys::Request) -> Self {
        Self::of(&describe(&raw, true), &[&INNER], Some(raw))
    }

    /// A request without a body that the Worker tells an object of.
    pub(crate) fn of_text(text: &str) -> Self {
        Self::of(text, &[&INNER, &BESIDE], None)
    }

    fn of(text: &str, names: &[&[&'static str]], raw: Option<web_sys::Request>) -> Self {
        let mut lines = text.split('\n');
        let mut line = || lines.next().unwrap_or_default();
        let [method, url, origin, path, query] = [(); 5].map(|()| line().to_owned());
        let value = |name: &&'static str| (*name, line().strip_prefix('=').map(str::to_owned));
        let known = names.iter().copied().flatten().map(value).collect();
        let headers = Headers { known, others: raw.clone() };
        Self { raw, method, url, origin, path, query, headers }
    }

    /// The host's own, where it came as one.
    pub(crate) fn inner(&self) -> Option<&web_sys::Request> {
        self.raw.as_ref()
    }

    /// The body, where there is one.
    pub(crate) fn body(&self) -> Option<web_sys::ReadableStream> {
        self.raw.as_ref().filter(|_| !self.is_bare())?.body()
    }

    /// What [`Request::of_text`] reads before the headers.
    pub(crate) fn head(&self) -> String {
        [&*self.method, &self.url, &self.origin, &self.path, &self.query].join("\n")
    }

    /// What [`Request::of_text`] reads, with another call.
    pub(crate) fn retold(&self, call: &str) -> Result<String> {
        let mut text = self.head();
        for name in INNER.into_iter().chain(BESIDE) {
            let value = if name == call::HEADER { Some(call.to_owned()) } else { self.headers.get(name)? };
            text.push('\n');
            text.extend(value.map(|value| format!("={value}")));
        }
        Ok(text)
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// Whether it is of a method that comes without a body.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    pub(crate) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Where it is from: the continent and, where that is known, the longitude.
    pub(crate) fn place(&self) -> (String, Option<f64>) {
        let text = self.raw.as_ref().map(place).unwrap_or_default();
        let (continent, longitude) = text.split_once(' ').unwrap_or((&text, ""));
        (continent.to_owned(), longitude.parse().ok())
    }

    /// The URL, as it came.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Scheme and authority.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The path, its dot segments resolved.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The query without its mark, empty where there is none.
    pub(crate) fn query(&self) -> &str {
        &self.query
    }
}

/// Headers by their names in lower case.
#[derive(Clone)]
pub(crate) struct Headers {
    known: Rc<[(&'static str, Option<String>)]>,
    /// The request that has those that are not known.
    others: Option<web_sys::Request>,
}

impl Headers {
    /// Just these.
    pub(crate) fn of(known: Vec<(&'static str, Option<String>)>) -> Self {
        Self { known: known.into(), others: None }
    }

    /// One of those that were read with the request.
    pub(crate) fn known(&self, name: &str) -> Option<&str> {
        self.known.iter().find(|(known, _)| *known == name)?.1.as_deref()
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<String>> {
        if let Some((_, value)) = self.known.iter().find(|(known, _)| *known == name) {
            return Ok(value.clone());
        }
        match &self.others {
            Some(request) => Ok(request.headers().get(name)?),
            None => Ok(None),
        }
    }
}

/// An answer, made of data: it becomes the host's at the very end. Or one that is the host's already.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Lines: names and values in turn. Of the host's own answer, those that are looked at.
    headers: String,
    body: Body,
}

enum Body {
    Text(Option<String>),
    /// A text of the host's, or null.
    Held(JsValue),
    Host(web_sys::Response),
}

impl Response {
    /// An answer of the host's.
    pub(crate) fn of_host(raw: web_sys::Response) -> Self {
        let text = observe(&raw);
        let (status, headers) = text.split_once('\n').unwrap_or((&text, ""));
        Self { status: status.parse().unwrap_or(0), headers: headers.to_owned(), body: Body::Host(raw) }
    }

    /// An answer of an object's.
    pub(crate) fn of_object(raw: JsValue) -> Self {
        let text = replied(&raw);
        match text.split_once('\n') {
            Some((status, headers)) => Self {
                status: status.parse().unwrap_or(0),
                headers: headers.to_owned(),
                body: Body::Held(body_of(&raw)),
            },
            None => Self::of_host(raw.unchecked_into()),
        }
    }

    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.split('\n');
        while let (Some(known), Some(value)) = (lines.next(), lines.next()) {
            if known == name {
                return Some(value);
            }
        }
        None
    }

    /// The body, where it is data.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.body {
            Body::Text(text) => text.as_deref(),
            Body::Held(_) | Body::Host(_) => None,
        }
    }

    /// Adds a header; an answer of the host's that cannot be changed refuses it.
    pub(crate) fn add(&mut self, name: &str, value: &str) -> Result<()> {
        if let Body::Host(raw) = &self.body {
            return Ok(raw.headers().append(name, value)?);
        }
        if value.contains(['\n', '\r', '\0']) {
            return Err(Error::RustError(format!("the header {name} would be more than one line")));
        }
        for part in [name, "\n", value, "\n"] {
            self.headers.push_str(part);
        }
        Ok(())
    }

    /// What an object gives its Worker ([`Response::of_object`]): where it is long, as a stream.
    pub(crate) fn into_reply(self) -> std::result::Result<JsValue, JsValue> {
        match &self.body {
            Body::Text(Some(text)) if text.len() > REPLY_BYTES => self.into_host(),
            Body::Text(text) => {
                let body = text.as_deref().map_or(JsValue::NULL, JsValue::from);
                Ok(reply(self.status, &self.headers, &body))
            }
            Body::Held(text) => Ok(reply(self.status, &self.headers, text)),
            Body::Host(_) => self.into_host(),
        }
    }

    /// The host's own.
    pub(crate) fn into_host(self) -> std::result::Result<JsValue, JsValue> {
        match self.body {
            Body::Text(text) => respond(self.status, &self.headers, text.as_deref().map(str::as_bytes)),
            Body::Held(text) => respond_held(self.status, &self.headers, &text),
            Body::Host(raw) => Ok(raw.into()),
        }
    }
}

/// An answer with a text body, or without one. Where nothing is said of caches, they are to keep nothing:
/// whatever is answered here is somebody's.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: Option<String>) -> Result<Response> {
    let mut response = Response { status, headers: String::with_capacity(256), body: Body::Text(body) };
    response.add("x-content-type-options", "nosniff")?;
    response.add("content-security-policy", NOTHING_RUNS)?;
    if !headers.iter().any(|(name, _)| *name == "cache-control") {
        response.add("cache-control", "no-store")?;
    }
    for (name, value) in headers {
        response.add(name, value)?;
    }
    Ok(response)
}

/// A SCIM error as an answer.
pub(crate) fn scim_error(error: &ScimError, headers: &[(&str, &str)]) -> Result<Response> {
    let mut all = vec![("content-type", SCIM_JSON)];
    all.extend_from_slice(headers);
    answer(error.status, &all, Some(error.body().to_string()))
}

/// Runs a future to its end: at once where it has nothing to wait for, so that no promise is needed;
/// else as a promise.
pub(crate) fn run(
    future: impl Future<Output = std::result::Result<JsValue, JsValue>> + 'static,
) -> std::result::Result<JsValue, JsValue> {
    let mut future = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Ok(future_to_promise(future).into()),
    }
}
