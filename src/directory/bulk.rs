//! Bulk requests (RFC 7644 §3.7): operations in order, each by itself, with references by `bulkId` in
//! any order and in circles.
//!
//! An operation that refers to a resource which a later one creates waits for it. Where operations wait
//! for each other, the first of them is done without the references that cannot be resolved yet, and
//! these follow once they can.
//!
//! [`Bulk`] says what to do next and is told what came of it; whoever does it may wait for an origin.

use crate::Directory;
use crate::changed_names::ChangedNames;
use crate::list::read_object;
use crate::message::{Failure, Request, Response};
use crate::sql::Sql;
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::{Endpoint, Kind, segments};
use scim_edge_scim::error::{Error, ScimType};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The most operations of one request.
pub(crate) const OPERATIONS: usize = 1000;

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const REFERENCE: &str = "bulkId:";

/// One operation of a request.
struct Operation {
    method: String,
    path: String,
    bulk_id: Option<String>,
    version: Option<String>,
    data: Value,
}

/// What has become of the resources that were to be created.
#[derive(Default)]
struct Created {
    ids: HashMap<String, Option<String>>,
}

impl Created {
    /// The id that a reference stands for; an error where its operation failed.
    fn resolve(&self, reference: &str) -> Option<Result<&str, Error>> {
        let name = reference.strip_prefix(REFERENCE)?;
        match self.ids.get(name)? {
            Some(id) => Some(Ok(id)),
            None => Some(Err(Error::status(409, format!("the operation with the bulkId {name:?} failed")))),
        }
    }
}

/// A bulk request under way.
pub struct Bulk {
    /// The URL of the account's SCIM base.
    base: String,
    operations: Vec<Operation>,
    answers: Vec<Option<Value>>,
    /// Names of the attributes that each operation changed.
    changed: Vec<Option<ChangedNames>>,
    created: Created,
    /// Errors to go before the rest is left undone.
    errors_left: Option<u64>,
    /// Operations that were done without some of their references, and the ids they made.
    late: Vec<(usize, String)>,
}

/// One request of a bulk request.
pub struct Part {
    /// What it is part of; none for references that follow.
    index: Option<usize>,
    deferred: bool,
    /// The HTTP method.
    pub method: String,
    /// What it is about.
    pub endpoint: Endpoint,
    /// The type of resource, for the permission.
    pub kind: Kind,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl Bulk {
    /// Reads a request.
    pub fn parse(body: &Map<String, Value>, dialect: Dialect, base: &str) -> Result<Self, Error> {
        let get = |name: &str| {
            body.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let named = get("schemas")
            .and_then(Value::as_array)
            .is_some_and(|urns| urns.iter().any(|urn| urn == REQUEST));
        if !named && !dialect.is_tolerant() {
            return Err(Error::new(ScimType::InvalidSyntax, format!("schemas must contain {REQUEST}")));
        }
        let Some(Value::Array(items)) = get("operations") else {
            return Err(Error::new(ScimType::InvalidSyntax, "Operations must be an array"));
        };
        if items.len() > OPERATIONS {
            let sentence = format!("a bulk request has at most {OPERATIONS} operations (maxOperations)");
            return Err(Error::status(413, sentence));
        }
        let operations = items.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        check_ids(&operations)?;
        Ok(Self {
            base: base.to_owned(),
            answers: operations.iter().map(|_| None).collect(),
            changed: operations.iter().map(|_| None).collect(),
            operations,
            created: Created::default(),
            errors_left: get("failOnErrors").and_then(Value::as_u64).filter(|limit| *limit > 0),
            late: Vec::new(),
        })
    }

    /// What to do next; none when all is done.
    pub fn next_part(&mut self) -> Option<Part> {
        while self.errors_left != Some(0) {
            let Some((index, operation)) = next(&self.operations, &self.answers, &self.created) else {
                break;
            };
            match part(index, operation, &self.created) {
                Ok(part) => return Some(part),
                Err(error) => self.record_at(index, false, None, &Response::from(Failure::Scim(error))),
            }
        }
        while let Some((index, id)) = self.late.pop() {
            let part = self.operations.get(index).and_then(|operation| follow(operation, &id, &self.created));
            if part.is_some() {
                return part;
            }
        }
        None
    }

    /// What came of it.
    pub fn record(&mut self, part: &Part, response: &Response) {
        let Some(index) = part.index else { return };
        let location = match &part.endpoint {
            Endpoint::Resource(kind, id) => Some(format!("{}/{}/{id}", self.base, kind.segment())),
            _ => None,
        };
        self.record_at(index, part.deferred, location, response);
    }

    fn record_at(&mut self, index: usize, deferred: bool, location: Option<String>, response: &Response) {
        let Some(operation) = self.operations.get(index) else { return };
        let answer = outcome(operation, location, response);
        let ok = (200..300).contains(&response.status);
        let location = answer.get("location").and_then(Value::as_str);
        let id = location.and_then(|url| segments(url).ok()?.pop()).filter(|_| ok);
        if let Some(bulk_id) = &operation.bulk_id {
            self.created.ids.insert(bulk_id.clone(), id.clone());
        }
        if let (true, Some(id)) = (deferred, id) {
            self.late.push((index, id));
        }
        if let Some(place) = self.answers.get_mut(index) {
            *place = Some(answer);
        }
        if let (Some(place), Some(names)) = (self.changed.get_mut(index), response.changed.first()) {
            place.clone_from(names);
        }
        if !ok {
            self.errors_left = self.errors_left.map(|left| left.saturating_sub(1));
        }
    }

    /// The answer.
    pub fn into_response(self) -> Response {
        let changed = self.answers.iter().zip(self.changed).filter(|(answer, _)| answer.is_some());
        let changed = changed.map(|(_, names)| names).collect();
        let answers: Vec<Value> = self.answers.into_iter().flatten().collect();
        let body = json!({ "schemas": [RESPONSE], "Operations": answers }).to_string();
        Response { changed, ..Response::json(200, body) }
    }
}

impl<S: Sql> Directory<S> {
    pub(crate) fn bulk(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let mut bulk = Bulk::parse(&read_object(request)?, request.dialect, request.base)?;
        while let Some(part) = bulk.next_part() {
            let response = if (request.may)(&part.method, part.kind) {
                self.respond(&Request {
                    method: &part.method,
                    endpoint: &part.endpoint,
                    query: "",
                    content_type: None,
                    if_match: part.if_match.as_deref(),
                    if_none_match: None,
                    body: &part.body,
                    ..*request
                })
            } else {
                not_permitted()
            };
            bulk.record(&part, &response);
        }
        Ok(bulk.into_response())
    }
}

/// The answer to a part that the caller may not do.
pub fn not_permitted() -> Response {
    Response::from(Failure::Scim(Error::status(403, "The access token does not permit this operation")))
}

/// An operation as a request of its own.
fn part(index: usize, operation: &Operation, created: &Created) -> Result<Part, Error> {
    let path = match resolve_text(&operation.path, created) {
        Some(path) => path?,
        None => operation.path.clone(),
    };
    let endpoint = Endpoint::from_segments(&segments(&path)?);
    let (endpoint, kind) = match (endpoint, operation.method.as_str()) {
        (Some(Endpoint::Collection(kind)), "POST") => (Endpoint::Collection(kind), kind),
        (Some(Endpoint::Resource(kind, id)), "PUT" | "PATCH" | "DELETE") => {
            (Endpoint::Resource(kind, id), kind)
        }
        _ => {
            let sentence = "path and method do not name an operation on a resource";
            return Err(Error::new(ScimType::InvalidSyntax, sentence));
        }
    };
    let (data, deferred) = ready(operation, created);
    let data = data?;
    Ok(Part {
        index: Some(index),
        deferred,
        method: operation.method.clone(),
        endpoint,
        kind,
        if_match: operation.version.clone(),
        body: if data.is_null() { Vec::new() } else { data.to_string().into_bytes() },
    })
}

/// The references that could not be resolved when a resource was created.
fn follow(operation: &Operation, id: &str, created: &Created) -> Option<Part> {
    let Some(Endpoint::Collection(kind)) = Endpoint::from_segments(&segments(&operation.path).ok()?) else {
        return None;
    };
    let (mut data, mut left) = (operation.data.clone(), false);
    resolve(&mut data, created, &mut left);
    let Value::Object(data) = data else { return None };
    let operations: Vec<Value> = data
        .into_iter()
        .filter(|(name, value)| name != "schemas" && operation.data.get(name).is_some_and(|old| old != value))
        .map(|(name, value)| json!({ "op": "add", "path": name, "value": value }))
        .collect();
    Some(Part {
        index: None,
        deferred: false,
        method: "PATCH".to_owned(),
        endpoint: Endpoint::Resource(kind, id.to_owned()),
        kind,
        if_match: None,
        body: json!({ "schemas": [PATCH], "Operations": operations }).to_string().into_bytes(),
    })
}

fn parse(item: &Value) -> Result<Operation, Error> {
    let syntax = |sentence: &str| Error::new(ScimType::InvalidSyntax, sentence);
    let members = item.as_object().ok_or_else(|| syntax("a bulk operation must be an object"))?;
    let get = |name: &str| {
        members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let text = |name: &str| get(name).and_then(Value::as_str).map(str::to_owned);
    let method =
        text("method").ok_or_else(|| syntax("a bulk operation needs a method"))?.to_ascii_uppercase();
    let bulk_id = text("bulkId").filter(|id| !id.is_empty());
    if method == "POST" && bulk_id.is_none() {
        return Err(syntax("a bulk operation with the method POST needs a bulkId"));
    }
    Ok(Operation {
        method,
        path: text("path").ok_or_else(|| syntax("a bulk operation needs a path"))?,
        bulk_id,
        version: text("version"),
        data: get("data").cloned().unwrap_or(Value::Null),
    })
}

fn check_ids(operations: &[Operation]) -> Result<(), Error> {
    let mut seen = std::collections::HashSet::new();
    let twice =
        operations.iter().filter_map(|operation| operation.bulk_id.as_deref()).find(|id| !seen.insert(*id));
    match twice {
        Some(id) => Err(Error::new(ScimType::InvalidValue, format!("the bulkId {id:?} stands twice"))),
        None => Ok(()),
    }
}

/// The operation to do next: the first that waits for nothing, or else the first of all.
fn next<'a>(
    operations: &'a [Operation],
    answers: &[Option<Value>],
    created: &Created,
) -> Option<(usize, &'a Operation)> {
    let open = || {
        operations.iter().enumerate().zip(answers).filter(|(_, answer)| answer.is_none()).map(|(one, _)| one)
    };
    let waits = |operation: &Operation| {
        let pending = |text: &str| {
            text.strip_prefix(REFERENCE).is_some_and(|name| {
                !created.ids.contains_key(name)
                    && operations.iter().any(|other| other.bulk_id.as_deref() == Some(name))
            })
        };
        operation.path.split('/').any(pending) || any_text(&operation.data, &pending)
    };
    open().find(|(_, operation)| !waits(operation)).or_else(|| open().next())
}

fn any_text(value: &Value, holds: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => holds(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, holds)),
        Value::Object(members) => members.values().any(|member| any_text(member, holds)),
        _ => false,
    }
}

/// The data with its references resolved; those that cannot be yet are left out, which is said.
fn ready(operation: &Operation, created: &Created) -> (Result<Value, Error>, bool) {
    let mut data = operation.data.clone();
    let mut left = false;
    if let Some(error) = resolve(&mut data, created, &mut left) {
        return (Err(error), false);
    }
    if left && operation.method == "POST" {
        without_references(&mut data);
        return (Ok(data), true);
    }
    if left {
        return (Err(Error::new(ScimType::InvalidValue, "a bulkId in data names no operation")), false);
    }
    (Ok(data), false)
}

/// Puts ids in the place of references; returns the first error, and says whether any is left.
fn resolve(value: &mut Value, created: &Created, left: &mut bool) -> Option<Error> {
    match value {
        Value::String(text) if text.starts_with(REFERENCE) => match created.resolve(text) {
            Some(Ok(id)) => {
                *text = id.to_owned();
                None
            }
            Some(Err(error)) => Some(error),
            None => {
                *left = true;
                None
            }
        },
        Value::Array(items) => items.iter_mut().find_map(|item| resolve(item, created, left)),
        Value::Object(members) => members.values_mut().find_map(|member| resolve(member, created, left)),
        _ => None,
    }
}

/// Takes away whatever still holds a reference: an element of a list, else a member.
fn without_references(value: &mut Value) {
    let refers = |value: &Value| any_text(value, &|text| text.starts_with(REFERENCE));
    if let Value::Object(members) = value {
        for member in members.values_mut() {
            if let Value::Array(items) = member {
                items.retain(|item| !refers(item));
            }
        }
        *members =
            std::mem::take(members).into_iter().filter(|(_, member)| !refers(member)).collect::<Map<_, _>>();
    }
}

fn resolve_text(path: &str, created: &Created) -> Option<Result<String, Error>> {
    let reference = path.split('/').find(|segment| segment.starts_with(REFERENCE))?;
    Some(created.resolve(reference)?.map(|id| path.replace(reference, id)))
}

/// One operation's part of the answer.
fn outcome(operation: &Operation, location: Option<String>, response: &Response) -> Value {
    let header = |name: &str| {
        response.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    };
    let mut answer = Map::new();
    if let Some(location) = header("location").map(str::to_owned).or(location) {
        answer.insert("location".into(), location.into());
    }
    answer.insert("method".into(), operation.method.as_str().into());
    if let Some(bulk_id) = &operation.bulk_id {
        answer.insert("bulkId".into(), bulk_id.as_str().into());
    }
    if let Some(version) = header("etag") {
        answer.insert("version".into(), version.into());
    }
    answer.insert("status".into(), response.status.to_string().into());
    let body = response.body.as_ref().and_then(|body| serde_json::from_str::<Value>(body).ok());
    if let (false, Some(body)) = ((200..300).contains(&response.status), body) {
        answer.insert("response".into(), body);
    }
    Value::Object(answer)
}
