//! Bulk requests (RFC 7644 §3.7): operations in order, each by itself, with references by `bulkId` in
//! any order and in circles.
//!
//! An operation that refers to a resource which a later one creates waits for it. Where operations wait
//! for each other, the first of them is done without the references that cannot be resolved yet, and
//! these follow once they can.

use crate::Directory;
use crate::list::read_object;
use crate::message::{Failure, Request, Response};
use crate::sql::Sql;
use scim_edge_scim::endpoint::{Endpoint, segments};
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

impl<S: Sql> Directory<S> {
    pub(crate) fn bulk(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let body = read_object(request)?;
        let get = |name: &str| {
            body.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let named = get("schemas")
            .and_then(Value::as_array)
            .is_some_and(|urns| urns.iter().any(|urn| urn == REQUEST));
        if !named && !request.dialect.is_tolerant() {
            return Err(Error::new(ScimType::InvalidSyntax, format!("schemas must contain {REQUEST}")).into());
        }
        let Some(Value::Array(items)) = get("operations") else {
            return Err(Error::new(ScimType::InvalidSyntax, "Operations must be an array").into());
        };
        if items.len() > OPERATIONS {
            let sentence = format!("a bulk request has at most {OPERATIONS} operations (maxOperations)");
            return Err(Error::status(413, sentence).into());
        }
        let fail_on_errors = get("failOnErrors").and_then(Value::as_u64).filter(|limit| *limit > 0);
        let operations = items.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        check_ids(&operations)?;

        let mut created = Created::default();
        let mut answers: Vec<Option<Value>> = operations.iter().map(|_| None).collect();
        let mut errors = 0_u64;
        let mut late = Vec::new();
        while let Some((index, operation)) = next(&operations, &answers, &created) {
            let (data, deferred) = ready(operation, &created);
            let answer = match data {
                Ok(data) => self.run(request, operation, &data, &created),
                Err(error) => outcome(operation, None, Response::from(Failure::Scim(error))),
            };
            let location = answer.get("location").and_then(Value::as_str);
            let id = location.and_then(|url| segments(url).ok()?.pop());
            let ok =
                answer.get("status").and_then(Value::as_str).is_some_and(|status| status.starts_with('2'));
            if let Some(bulk_id) = &operation.bulk_id {
                created.ids.insert(bulk_id.clone(), id.clone().filter(|_| ok));
            }
            if ok && deferred {
                late.push((operation, id));
            }
            if let Some(place) = answers.get_mut(index) {
                *place = Some(answer);
            }
            if !ok {
                errors = errors.saturating_add(1);
                if fail_on_errors.is_some_and(|limit| errors >= limit) {
                    break;
                }
            }
        }
        for (operation, id) in late {
            self.complete(request, operation, id.as_deref(), &created);
        }
        let answers: Vec<Value> = answers.into_iter().flatten().collect();
        Ok(Response::json(200, json!({ "schemas": [RESPONSE], "Operations": answers }).to_string()))
    }

    /// Does one operation as a request of its own.
    fn run(&self, request: &Request<'_>, operation: &Operation, data: &Value, created: &Created) -> Value {
        let path = resolve_text(&operation.path, created)
            .and_then(Result::ok)
            .unwrap_or_else(|| operation.path.clone());
        let endpoint = segments(&path).ok().and_then(|names| Endpoint::from_segments(&names));
        let kind = match (&endpoint, operation.method.as_str()) {
            (Some(Endpoint::Collection(kind)), "POST") => *kind,
            (Some(Endpoint::Resource(kind, _)), "PUT" | "PATCH" | "DELETE") => *kind,
            _ => {
                let error = Error::new(
                    ScimType::InvalidSyntax,
                    "path and method do not name an operation on a resource",
                );
                return outcome(operation, None, Response::from(Failure::Scim(error)));
            }
        };
        if !(request.may)(&operation.method, kind) {
            let error = Error::status(403, "The access token does not permit this operation");
            return outcome(operation, None, Response::from(Failure::Scim(error)));
        }
        let body = if data.is_null() { Vec::new() } else { data.to_string().into_bytes() };
        let part = Request {
            method: &operation.method,
            endpoint: endpoint.as_ref().unwrap_or(request.endpoint),
            query: "",
            content_type: None,
            if_match: operation.version.as_deref(),
            if_none_match: None,
            body: &body,
            ..*request
        };
        let response = self.respond(&part);
        let location = match &endpoint {
            Some(Endpoint::Resource(kind, id)) => Some(format!("{}/{}/{id}", request.base, kind.segment())),
            _ => None,
        };
        outcome(operation, location, response)
    }

    /// Adds the references that could not be resolved when their resource was created.
    fn complete(&self, request: &Request<'_>, operation: &Operation, id: Option<&str>, created: &Created) {
        let kind = segments(&operation.path).ok().and_then(|names| Endpoint::from_segments(&names));
        let (Some(Endpoint::Collection(kind)), Some(id)) = (kind, id) else { return };
        let (mut data, mut left) = (operation.data.clone(), false);
        resolve(&mut data, created, &mut left);
        let Value::Object(data) = data else { return };
        let operations: Vec<Value> = data
            .into_iter()
            .filter(|(name, value)| {
                name != "schemas" && operation.data.get(name).is_some_and(|old| old != value)
            })
            .map(|(name, value)| json!({ "op": "add", "path": name, "value": value }))
            .collect();
        let body = json!({ "schemas": [PATCH], "Operations": operations }).to_string();
        let endpoint = Endpoint::Resource(kind, id.to_owned());
        let part = Request {
            method: "PATCH",
            endpoint: &endpoint,
            query: "",
            content_type: None,
            if_match: None,
            if_none_match: None,
            body: body.as_bytes(),
            ..*request
        };
        self.respond(&part);
    }
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
fn outcome(operation: &Operation, location: Option<String>, response: Response) -> Value {
    let header = |name: &str| {
        response.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let mut answer = Map::new();
    if let Some(location) = header("location").or(location) {
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
    let body = response.body.and_then(|body| serde_json::from_str::<Value>(&body).ok());
    if let (false, Some(body)) = ((200..300).contains(&response.status), body) {
        answer.insert("response".into(), body);
    }
    Value::Object(answer)
}
