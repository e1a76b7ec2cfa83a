//! A policy: an account's trust rules and what its service accounts may do.

use crate::authorize::{Request, answer};
use crate::engine::Engine;
use crate::failed;
use js_sys::Function;
use scim_edge_account::document::{Document, ServiceAccount, SettingValue};
use scim_edge_account::published::Published;
use scim_edge_account::{jwt_rule, setting};
use scim_edge_json::Limits;
use scim_edge_policy::key_set::KeySet;
use scim_edge_policy::permission::{Permission, Permissions, built_in_role};
use scim_edge_policy::verify::{at_once, explain};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

const SETTINGS: Limits = Limits { bytes: 1 << 20, depth: 16 };

/// An account's policy. Its settings were checked as the settings API checks them.
#[wasm_bindgen]
pub struct Policy(Rc<Published>);

#[wasm_bindgen]
impl Policy {
    /// Reads `{"account"?, "settings"?: {identifier: value}, "rules"?: {name: rule}, "serviceAccounts":
    /// {identifier: role or [permission]}}`. In development, URLs may name loopback addresses. Throws
    /// an error text.
    #[wasm_bindgen(constructor)]
    pub fn new(settings: &str, development: bool) -> Result<Policy, JsValue> {
        match read(settings, development) {
            Ok(published) => Ok(Self(Rc::new(published))),
            Err(sentence) => Err(JsValue::from_str(&failed("invalid_settings", sentence).to_string())),
        }
    }

    /// Decides about a request (see [`Request`]), with WebCrypto. `keys` may return promises.
    pub async fn authorize(&self, request: String, now_ms: f64, keys: Function) -> String {
        let published = self.0.clone();
        let engine = Engine { keys, waits: true };
        match Request::parse(&request) {
            Ok(request) => answer(&engine, &published, &request, whole(now_ms)).await.to_string(),
            Err(sentence) => failed("invalid_request", sentence).to_string(),
        }
    }

    /// The same without waiting, with jwt-simple: `keys` returns texts.
    #[wasm_bindgen(js_name = authorizeSync)]
    pub fn authorize_sync(&self, request: &str, now_ms: f64, keys: Function) -> String {
        let engine = Engine { keys, waits: false };
        let answer = match Request::parse(request) {
            Ok(request) => at_once(answer(&engine, &self.0, &request, whole(now_ms))),
            Err(sentence) => Some(failed("invalid_request", sentence)),
        };
        answer.unwrap_or_else(|| failed("not_ready", "the keys are not at hand")).to_string()
    }

    /// Every check of a token: `{"steps":[{"rule","check","ok","found"|"reason","detail"}],"allow",…}`.
    pub async fn explain(&self, token: String, now_ms: f64, keys: Function) -> String {
        let published = self.0.clone();
        let engine = Engine { keys, waits: true };
        let (steps, outcome) = explain(&engine, &published.rules, &token, whole(now_ms)).await;
        let steps: Vec<Value> = steps
            .into_iter()
            .map(|step| match step.outcome {
                Ok(found) => json!({ "rule": step.rule, "check": step.check, "ok": true, "found": found }),
                Err(refusal) => json!({ "rule": step.rule, "check": step.check, "ok": false,
                    "reason": refusal.reason.code(), "detail": refusal.detail }),
            })
            .collect();
        match outcome {
            Ok(verified) => json!({ "allow": true, "rule": verified.rule(),
                "serviceAccount": verified.service_account(), "steps": steps }),
            Err(refusal) => json!({ "allow": false, "reason": refusal.reason.code(),
                "detail": refusal.detail, "steps": steps }),
        }
        .to_string()
    }
}

/// Whether a text is a JWK Set with a key in it that can check a signature.
#[wasm_bindgen(js_name = isKeySet)]
pub fn is_key_set(text: &str) -> bool {
    KeySet::parse(text.as_bytes()).is_ok()
}

/// A JavaScript time is a whole number far below 2^53.
#[allow(clippy::cast_possible_truncation)]
fn whole(now_ms: f64) -> i64 {
    now_ms as i64
}

fn read(text: &str, development: bool) -> Result<Published, String> {
    let settings =
        scim_edge_json::parse_object(text.as_bytes(), SETTINGS).map_err(|error| error.to_string())?;
    let known = ["account", "settings", "rules", "serviceAccounts"];
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
        definition
            .check(&value, &document, development)
            .map_err(|sentence| format!("settings: {identifier}: {sentence}"))?;
        document.settings.insert(identifier.clone(), SettingValue { value, last_modified_at: 0 });
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
    Ok(published)
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
