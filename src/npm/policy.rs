//! A policy: an account's trust rules and what its service accounts may do.

use crate::authorize::{Account, Request};
use crate::engine::{AtOnce, Engine, JsHost, Keys, Waiting};
use crate::failed;
use scim_edge_account::document::{Document, ServiceAccount, SettingValue};
use scim_edge_account::published::Published;
use scim_edge_account::trust::open_to_strangers;
use scim_edge_account::{jwt_rule, setting};
use scim_edge_json::Limits;
use scim_edge_policy::explanation::Explanation;
use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::mode::Mode;
use scim_edge_policy::permission::{Permission, Permissions, built_in_role};
use scim_edge_policy::target::split;
use scim_edge_policy::url::check;
use scim_edge_policy::verify::{Host, KeysUnavailable, at_once};
use scim_edge_scim::endpoint::segments;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;

const SETTINGS: Limits = Limits { bytes: 1 << 20, depth: 16, values: 50_000 };

/// An account's policy. Its settings were checked as the settings API checks them.
#[wasm_bindgen]
pub struct Policy(Rc<Account>);

/// What is asked, as JavaScript passes it: a method, a URL, and the values of the headers `Authorization` and
/// `DPoP`, and whether another header names another method; or without a URL the name of an operation and a token.
fn request(
    what: String,
    url: Option<String>,
    shown: Option<String>,
    dpop: Option<String>,
    overridden: bool,
) -> Request {
    match url {
        Some(url) => Request::Http { method: what, url, authorization: shown, dpop, overridden },
        None => Request::Operation { name: what, token: shown.unwrap_or_default() },
    }
}

#[wasm_bindgen]
impl Policy {
    /// Reads `{"account"?, "base"?, "settings"?: {identifier: value}, "rules"?: {name: rule}, "serviceAccounts":
    /// {identifier: role or [permission]}}`. In development, URLs may name loopback addresses. The keys of
    /// rules without their own are `given` as the text of a JWK Set, or fetched from one `url`, or loaded
    /// by the host where it `loads` them, or fetched from where each rule says. Throws an error text.
    #[wasm_bindgen(constructor)]
    pub fn new(
        settings: &str,
        development: bool,
        host: JsHost,
        given: Option<String>,
        url: Option<String>,
        loads: bool,
    ) -> Result<Policy, JsValue> {
        let wrong = |sentence: String| JsValue::from_str(&failed("invalid_settings", sentence).to_string());
        let (published, base) = read(settings, development).map_err(wrong)?;
        let keys = match (given, url, loads) {
            (Some(text), _, _) => Keys::Given(
                KeySet::parse(text.as_bytes())
                    .map(Rc::new)
                    .map_err(|error| KeysUnavailable(error.to_string())),
            ),
            (None, Some(url), _) => {
                check(&url, development).map_err(|why| wrong(format!("keys: {why}")))?;
                Keys::Fetched(Some(url))
            }
            (None, None, true) => Keys::Loaded,
            (None, None, false) => Keys::Fetched(None),
        };
        Ok(Self(Rc::new(Account::new(published, base, Engine::new(host, keys, development)))))
    }

    /// Decides about a request, with WebCrypto: a frozen decision, or the text of one that refuses; at once
    /// where the token was verified before, else a promise of it.
    pub fn authorize(
        &self,
        what: String,
        url: Option<String>,
        shown: Option<String>,
        dpop: Option<String>,
        overridden: bool,
    ) -> JsValue {
        let request = request(what, url, shown, dpop, overridden);
        if let Some(decision) = self.0.known(&request) {
            return decision;
        }
        let account = self.0.clone();
        let deciding = async move { Ok(account.decide(&Waiting(&account.engine), &request).await) };
        future_to_promise(deciding).into()
    }

    /// The same without waiting, with jwt-simple.
    #[wasm_bindgen(js_name = authorizeSync)]
    pub fn authorize_sync(
        &self,
        what: String,
        url: Option<String>,
        shown: Option<String>,
        dpop: Option<String>,
        overridden: bool,
    ) -> JsValue {
        let request = request(what, url, shown, dpop, overridden);
        if let Some(decision) = self.0.known(&request) {
            return decision;
        }
        let decision = at_once(self.0.decide(&AtOnce(&self.0.engine), &request));
        decision.unwrap_or_else(|| failed("not_ready", "the keys are not at hand").to_string().into())
    }

    /// Fetches the keys of every rule; throws an error text where some cannot be had.
    pub async fn load(&self) -> Result<(), JsValue> {
        let account = self.0.clone();
        for rule in &account.published.rules {
            let loaded = Waiting(&account.engine).keys(rule, None).await;
            loaded.map_err(|KeysUnavailable(why)| failed("keys_unavailable", why).to_string())?;
        }
        Ok(())
    }

    /// Every check of a token: `{"steps":[{"rule","check","ok","found"|"reason","detail"}],"allow",…}`.
    pub async fn explain(&self, token: String) -> String {
        let account = self.0.clone();
        let engine = Waiting(&account.engine);
        let now_ms = account.engine.now_ms();
        Explanation::of(&engine, &account.published.rules, &token, now_ms).await.to_json().to_string()
    }
}

/// An account, and the segments of the path that its SCIM is below.
type Read = (Published, Option<Vec<String>>);

fn read(text: &str, development: bool) -> Result<Read, String> {
    let settings =
        scim_edge_json::parse_object(text.as_bytes(), SETTINGS).map_err(|error| error.to_string())?;
    let known = ["account", "base", "settings", "rules", "serviceAccounts"];
    if let Some(unknown) = settings.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("{unknown} is not one of {}", known.join(", ")));
    }
    let account = settings.get("account").and_then(Value::as_str).unwrap_or("default");
    let mut document = Document::new(account, 0);
    let mut permissions = BTreeMap::new();
    for (identifier, granted) in members(&settings, "serviceAccounts")? {
        permissions.insert(identifier.clone(), grant(identifier, granted)?);
        let one = ServiceAccount {
            identifier: identifier.clone(),
            name: identifier.clone(),
            email: String::new(),
            description: String::new(),
            tags: BTreeMap::new(),
            mode: Mode::Normal,
        };
        document.service_accounts.insert(identifier.clone(), one);
    }
    for (identifier, value) in members(&settings, "settings")? {
        let definition = setting::definition(identifier)
            .filter(|definition| identifier.starts_with("scim_jwt_token_") && !definition.secret)
            .ok_or_else(|| format!("settings: {identifier} is no setting of tokens"))?;
        let value = match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return Err(format!("settings: {identifier} must be a string")),
        };
        let value = definition
            .stored(&value, &document, development)
            .map_err(|sentence| format!("settings: {identifier}: {sentence}"))?;
        document.settings.insert(identifier.clone(), SettingValue::plain(value, 0));
    }
    if let Some(sentence) = open_to_strangers(&document) {
        return Err(format!("settings: {sentence}"));
    }
    for (name, body) in members(&settings, "rules")? {
        let body = body.as_object().ok_or_else(|| format!("rules: {name} must be an object"))?;
        let rule = jwt_rule(&document, body, name, development)
            .map_err(|failure| format!("rules: {name}: {}", failure.message))?;
        document.jwt_rules.insert(name.clone(), rule);
    }
    let mut published = Published::of(&document);
    published.service_accounts = permissions;
    if published.rules.is_empty() {
        return Err("there is no trust rule: the four settings of tokens, or rules, are needed".to_owned());
    }
    Ok((published, base(&settings)?))
}

fn base(settings: &Map<String, Value>) -> Result<Option<Vec<String>>, String> {
    let path = match settings.get("base") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(path)) => path,
        Some(_) => return Err("base must be a path".to_owned()),
    };
    let is_path = path.starts_with('/') && split(path).is_ok_and(|(_, query)| query.is_empty());
    match segments(path) {
        Ok(segments) if is_path => Ok(Some(segments)),
        _ => Err("base must be the path of the SCIM service, like /scim/v2".to_owned()),
    }
}

fn members<'a>(
    settings: &'a Map<String, Value>,
    name: &str,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, String> {
    match settings.get(name) {
        None | Some(Value::Null) => Ok(None.into_iter().flatten()),
        Some(Value::Object(members)) => Ok(Some(members).into_iter().flatten()),
        Some(_) => Err(format!("{name} must be an object")),
    }
}

/// A built-in role's permissions, or those named.
fn grant(identifier: &str, granted: &Value) -> Result<Permissions, String> {
    let unknown = |name: &str| format!("serviceAccounts: {identifier}: {name:?} is no permission or role");
    match granted {
        Value::String(role) => built_in_role(role).ok_or_else(|| unknown(role)),
        Value::Array(names) => names
            .iter()
            .map(|name| {
                let name = name.as_str().unwrap_or_default();
                Permission::from_name(name).ok_or_else(|| unknown(name))
            })
            .collect(),
        _ => Err(format!("serviceAccounts: {identifier} must be a role or an array of permissions")),
    }
}
