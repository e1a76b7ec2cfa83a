//! A directory over rusqlite, and requests to it.
// Each test file uses a part of it.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use rusqlite::types::ValueRef;
use scim_edge_directory::Directory;
use scim_edge_directory::brake::Guard;
use scim_edge_directory::message::{Request, Response};
use scim_edge_directory::sql::{Bind, Cell, Row, Sql, SqlError};
use scim_edge_scim::budget::Budget;
use scim_edge_scim::dialect::{Dialect, UnknownMembers};
use scim_edge_scim::endpoint::{Endpoint, segments};
use serde_json::Value;
use std::cell::{Cell as Slot, RefCell};
use std::collections::BTreeSet;

fn endpoint(path: &str) -> Endpoint {
    Endpoint::from_segments(&segments(path).unwrap()).unwrap_or_else(|| panic!("{path} names nothing"))
}

/// A database, and the texts of the statements that it was asked.
pub struct Native(pub rusqlite::Connection, pub RefCell<BTreeSet<String>>);

fn failed(error: rusqlite::Error) -> SqlError {
    SqlError::new(error.to_string())
}

impl Sql for &Native {
    fn query(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, SqlError> {
        if !self.1.borrow().contains(text) {
            self.1.borrow_mut().insert(text.to_owned());
        }
        let mut statement = self.0.prepare_cached(text).map_err(failed)?;
        let values = binds.iter().map(|bind| match bind {
            Bind::Null => rusqlite::types::Value::Null,
            Bind::Integer(integer) => rusqlite::types::Value::Integer(integer.get()),
            Bind::Text(text) => rusqlite::types::Value::Text((*text).to_owned()),
        });
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(failed)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let cell = |index| match row.get_ref(index).unwrap() {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(integer) => Cell::Integer(integer),
                ValueRef::Real(real) => Cell::Real(real),
                ValueRef::Text(text) => Cell::Text(String::from_utf8(text.to_vec()).unwrap()),
                ValueRef::Blob(_) => panic!("no blobs here"),
            };
            all.push((0..columns).map(cell).collect());
        }
        Ok(all)
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let run = |text| self.0.execute_batch(text).map_err(failed);
        run("SAVEPOINT one")?;
        let outcome = body();
        if outcome.is_err() {
            run("ROLLBACK TO one")?;
        }
        run("RELEASE one")?;
        outcome
    }
}

/// A client of one directory.
pub struct Client<'a> {
    pub directory: Directory<&'a Native>,
    pub dialect: Dialect,
    pub unique_group_names: bool,
    pub unknown_members: UnknownMembers,
    ids: Slot<u32>,
    pub clock: Slot<i64>,
    pub guard: Slot<Guard>,
}

pub const BASE: &str = "https://edge.example/scim";

impl<'a> Client<'a> {
    pub fn new(native: &'a Native) -> Self {
        let directory = Directory::open(native).expect("a directory");
        Self {
            directory,
            dialect: Dialect::Tolerant,
            unique_group_names: false,
            unknown_members: UnknownMembers::Refuse,
            ids: Slot::new(0),
            clock: Slot::new(1_795_000_000_000),
            guard: Slot::default(),
        }
    }

    pub fn call(
        &self,
        method: &str,
        target: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Response {
        self.ask(method, target, body, headers, |directory, request| directory.respond(request))
    }

    /// A call by whichever way of the directory's.
    pub fn ask<T>(
        &self,
        method: &str,
        target: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
        by: impl FnOnce(&Directory<&'a Native>, &Request<'_>) -> T,
    ) -> T {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.clock.set(self.clock.get() + 1);
        let request = Request {
            method,
            endpoint: &endpoint(path),
            query,
            content_type: Some(header("content-type").unwrap_or("application/scim+json")),
            if_match: header("if-match"),
            if_none_match: header("if-none-match"),
            body: body.as_bytes(),
            base: BASE,
            dialect: self.dialect,
            features: scim_edge_directory::FEATURES,
            patch_without_body: false,
            unique_group_names: self.unique_group_names,
            unknown_members: self.unknown_members,
            guard: self.guard.get(),
            budget: &Budget::of_request(),
            is_part: false,
            now_ms: self.clock.get(),
            new_id: &|| {
                self.ids.set(self.ids.get() + 1);
                format!("id-{}", self.ids.get())
            },
            may: &|_, _| true,
            principal: Some("client"),
            request_id: Some("request"),
            keep_deleted: true,
        };
        by(&self.directory, &request)
    }

    /// A call that must be answered with a status; its body.
    #[track_caller]
    pub fn expect(&self, status: u16, method: &str, target: &str, body: Option<Value>) -> Value {
        let response = self.call(method, target, body, &[]);
        assert_eq!(response.status, status, "{method} {target}: {response:?}");
        response.body.map_or(Value::Null, |body| serde_json::from_str(&body).expect("JSON"))
    }

    #[track_caller]
    pub fn refused(
        &self,
        status: u16,
        scim_type: Option<&str>,
        method: &str,
        target: &str,
        body: Option<Value>,
    ) {
        let error = self.expect(status, method, target, body);
        assert_eq!(error["scimType"].as_str(), scim_type, "{method} {target}: {error}");
        assert_eq!(error["status"], status.to_string());
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{error}");
    }
}

pub fn native() -> Native {
    Native(rusqlite::Connection::open_in_memory().unwrap(), RefCell::default())
}
