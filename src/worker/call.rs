//! The private protocol between the Worker and an account's Directory object.
//!
//! The object gets the client's own request (method, URL, headers, body) and, in headers that no client can
//! set, what the Worker has decided. Worker and object may run different deployments for a while: the call
//! has a version, and members may be added to it but not taken away.
//!
//! A read's call has nothing in it that differs between the reads of one client, so that its text is made
//! and read once; what does differ has a header of its own.

use crate::aside::Aside;
use crate::environment::Environment;
use crate::http::{Request, Response};
use crate::near::name;
use scim_edge_account::authority::Credential;
use scim_edge_account::published::DirectorySettings;
use scim_edge_policy::mode::Mode;
use scim_edge_policy::permission::Permissions;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::mem::take;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{Error, Result, console_error};

#[wasm_bindgen(raw_module = "./edge.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn ask(
        env: &JsValue,
        name: &str,
        request: &web_sys::Request,
        call: &str,
        own: &str,
        region: &str,
    ) -> std::result::Result<js_sys::Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = askFor)]
    fn ask_for(
        env: &JsValue,
        name: &str,
        request: &web_sys::Request,
        head: &str,
        call: &str,
        own: &str,
        region: &str,
    ) -> std::result::Result<js_sys::Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn tell(env: &JsValue, account: &str, text: &str) -> std::result::Result<js_sys::Promise, JsValue>;
}

/// The header.
pub(crate) const HEADER: &str = "x-scim-edge-call";

/// The header of what differs between the reads of one client: the request's id, and times.
pub(crate) const OWN_HEADER: &str = "x-scim-edge-own";

/// The version of the protocol.
pub(crate) const PROTOCOL: u32 = 1;

/// The version of the protocol for writes of a caller in a mode: an object that does not know of modes refuses it.
pub(crate) const MODE_PROTOCOL: u32 = 3;

/// The version of the protocol to copies: an object that does not know of them refuses it.
const NEAR_PROTOCOL: u32 = 2;

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
    /// How much of that.
    #[serde(default, skip_serializing_if = "Mode::is_normal")]
    pub mode: Mode,
    /// The account's SCIM base as the caller sees it.
    pub base: String,
    /// Whom the caller acts as.
    pub principal: String,
    /// The credential that the caller was admitted by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
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
    /// The region whose copy is asked; none: the account's own object is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<String>,
}

/// How many calls are kept with their texts.
const KEPT: usize = 16;

thread_local! {
    /// Calls and their texts, the newest last: the reads of one client differ in nothing that is here.
    static TEXTS: RefCell<Vec<(Rc<Call>, Rc<str>)>> = const { RefCell::new(Vec::new()) };
}

fn known(is: impl Fn(&Call, &str) -> bool) -> Option<(Rc<Call>, Rc<str>)> {
    TEXTS.with_borrow(|texts| texts.iter().rev().find(|(call, text)| is(call, text)).cloned())
}

fn keep(call: Rc<Call>, text: Rc<str>) {
    TEXTS.with_borrow_mut(|texts| {
        if texts.len() >= KEPT {
            texts.remove(0);
        }
        texts.push((call, text));
    });
}

impl Call {
    /// Reads the header.
    pub(crate) fn parse(text: &str) -> Option<Rc<Self>> {
        if let Some((call, _)) = known(|_, known| *known == *text) {
            return Some(call);
        }
        let call = Rc::new(serde_json::from_str::<Self>(text).ok().filter(Self::is_known)?);
        if call.is_of_many() {
            keep(call.clone(), text.into());
        }
        Some(call)
    }

    fn is_known(&self) -> bool {
        self.protocol
            == match (&self.near, self.mode) {
                (None, Mode::Normal) => PROTOCOL,
                (None, _) => MODE_PROTOCOL,
                (Some(_), _) => NEAR_PROTOCOL,
            }
    }

    /// The same for the copy in a region.
    fn for_copy(&self, region: &str) -> Self {
        Self { protocol: NEAR_PROTOCOL, near: Some(region.to_owned()), ..self.clone() }
    }

    /// Whether the caller showed an API key.
    pub(crate) fn is_by_key(&self) -> bool {
        matches!(self.credential, Some(Credential::Key(_)))
    }

    /// Whether nothing of it belongs to one request only.
    fn is_of_many(&self) -> bool {
        self.request_id.is_empty()
            && self.took_ms.is_empty()
            && self.once.is_none()
            && self.subject.is_none()
            && self.aside.is_none()
    }

    /// The request's id and the times: from the header of their own where the call leaves them to it. Where
    /// it does not, such a header may be a client's.
    pub(crate) fn own(&self, header: Option<&str>) -> (String, Vec<u32>) {
        match header.filter(|_| self.request_id.is_empty()) {
            Some(header) => {
                let mut parts = header.split(' ');
                let request_id = parts.next().unwrap_or_default().to_owned();
                (request_id, parts.filter_map(|time| time.parse().ok()).collect())
            }
            None => (self.request_id.clone(), self.took_ms.clone()),
        }
    }

    /// Takes what belongs to one request out of a read: its header's text. Reads are in no audit, and so
    /// need no subject; what must not be used twice stays, where an object of another deployment finds it.
    fn take_own(&mut self) -> String {
        let mut own = take(&mut self.request_id);
        for time in take(&mut self.took_ms) {
            own.push(' ');
            own.push_str(&time.to_string());
        }
        self.subject = None;
        own
    }

    /// The text that the calls of all reads like this one have, but where it is for one request only.
    pub(crate) fn of_many(&self) -> Result<Option<Rc<str>>> {
        let mut call = self.clone();
        call.take_own();
        if call.is_of_many() { call.text().map(Some) } else { Ok(None) }
    }

    fn text(self) -> Result<Rc<str>> {
        if let Some((_, text)) = known(|call, _| *call == self) {
            return Ok(text);
        }
        let text = serde_json::to_string(&self).map_err(|error| Error::RustError(error.to_string()))?;
        let text: Rc<str> = text.into();
        if self.is_of_many() {
            keep(Rc::new(self), text.clone());
        }
        Ok(text)
    }

    /// Hands a request to the account's directory with what was decided: to the copy in `region` where there is
    /// one and it can be asked, else to its own object.
    pub(crate) async fn pass_on(
        mut self,
        request: &Request,
        environment: &Environment,
        region: Option<&str>,
    ) -> Result<Response> {
        let own = if request.is_bare() { self.take_own() } else { String::new() };
        if let Some(region) = region {
            match self.for_copy(region).hand_on(request, environment, &own).await {
                Ok(response) => return Ok(response),
                Err(error) => console_error!("a copy could not be asked: {error}"),
            }
        }
        self.hand_on(request, environment, &own).await
    }

    async fn hand_on(self, request: &Request, environment: &Environment, own: &str) -> Result<Response> {
        let bindings = environment.bindings();
        let region = self.near.clone().unwrap_or_default();
        let name =
            self.near.as_deref().map_or_else(|| self.account.clone(), |near| name(&self.account, near));
        let raw = request.inner().ok_or_else(|| Error::RustError("a request of nobody's".to_owned()))?;
        let promise = if request.is_bare() {
            ask_for(bindings, &name, raw, &request.head(), &self.text()?, own, &region)?
        } else {
            ask(bindings, &name, raw, &self.text()?, own, &region)?
        };
        Ok(Response::of_object(JsFuture::from(promise).await?))
    }

    /// Hands a read that a copy was asked for to the account's own object.
    pub(crate) async fn hand_back(&self, request: &Request, environment: &Environment) -> Result<Response> {
        let text = Self { protocol: PROTOCOL, near: None, ..self.clone() }.text()?;
        let promise = tell(environment.bindings(), &self.account, &request.retold(&text)?)?;
        Ok(Response::of_object(JsFuture::from(promise).await?))
    }
}
