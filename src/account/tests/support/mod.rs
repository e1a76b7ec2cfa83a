//! An account that tests call.
#![allow(dead_code, missing_docs, unreachable_pub)]

use scim_edge_account::api::Request;
use scim_edge_account::document::Document;
use scim_edge_account::handle;
use scim_edge_policy::mode::Mode;
use scim_edge_policy::permission::Permissions;
use scim_edge_policy::route::{AdminRoute, Route};
use serde_json::{Value, json};

pub const NOW: i64 = 1_795_000_000_000;

pub const SEAL_KEY: [u8; 32] = [9; 32];

pub struct Account {
    pub document: Document,
    pub permissions: Permissions,
    pub mode: Mode,
    pub development: bool,
    pub calls: u8,
}

impl Account {
    pub fn new() -> Self {
        Self {
            document: Document::new("ACC", NOW),
            permissions: Permissions::all(),
            mode: Mode::Normal,
            development: false,
            calls: 0,
        }
    }

    pub fn call(&mut self, method: &str, target: &str, body: Value) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let route: AdminRoute = match Route::parse(path).unwrap() {
            Some(Route::Admin(route)) => route,
            other => panic!("{path}: {other:?}"),
        };
        self.calls = self.calls.wrapping_add(1);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let outcome = handle(
            &self.document,
            &Request {
                method,
                route: &route,
                query: &query,
                body: &body,
                permissions: self.permissions,
                mode: self.mode,
                now_ms: NOW,
                random: &[self.calls; 64],
                seal_key: &SEAL_KEY,
                development: self.development,
                gateway: "https://scim.example.com",
                correlation_id: "corr",
                refused: &std::collections::BTreeMap::new(),
            },
        );
        if let Some(changed) = outcome.changed {
            assert_eq!(changed.version, self.document.version + 1);
            assert_eq!(outcome.status, 200);
            self.document = changed;
        }
        (outcome.status, outcome.body)
    }

    #[track_caller]
    pub fn ok(&mut self, method: &str, target: &str, body: Value) -> Value {
        let (status, body) = self.call(method, target, body);
        assert_eq!(
            (status, &body["status"], &body["correlationId"]),
            (200, &json!("SUCCESS"), &json!("corr")),
            "{body}"
        );
        body["data"].clone()
    }

    #[track_caller]
    pub fn refused(&mut self, status: u16, code: &str, method: &str, target: &str, body: Value) -> Value {
        let before = self.document.clone();
        let (found, answer) = self.call(method, target, body);
        assert_eq!((found, &answer["code"]), (status, &json!(code)), "{answer}");
        assert_eq!(answer["status"], if status == 400 { "FAILURE" } else { "ERROR" });
        assert_eq!(self.document, before, "a refused call changes nothing");
        answer
    }

    pub fn service_account(&mut self, identifier: &str) {
        self.ok("POST", "/ng/api/serviceaccount", json!({ "identifier": identifier, "name": "N" }));
    }

    /// Sets one setting; what is wrong, if anything.
    pub fn set(&mut self, identifier: &str, value: Value) -> Option<String> {
        let body = json!([{ "identifier": identifier, "value": value, "allowOverrides": false, "updateType": "UPDATE" }]);
        let data = self.ok("PUT", "/ng/api/settings", body);
        data[0]["errorMessage"].as_str().map(str::to_owned)
    }
}
