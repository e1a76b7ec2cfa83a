//! Bulk requests (RFC 7644 §3.7): operations in order, each by itself, with references by `bulkId` in
//! any order and in circles.
//!
//! An operation that refers to a resource which another one creates comes after that. Operations that refer to each
//! other in a circle succeed or fail together: each resource is created without the references that cannot be
//! resolved yet, these follow once they can, and where any of it fails, the resources are deleted again.
//!
//! INVARIANT: an operation that was answered with success has all references that it was sent with. A reference that
//! cannot be resolved fails its operation (409), and so those that need it.
//!
//! [`Bulk`] says what to do next and is told what came of it; whoever does it may wait for an origin.

use crate::Directory;
use crate::changed_names::ChangedNames;
use crate::circles::{Order, Turn};
use crate::list::read_object;
use crate::message::{Changed, Failure, Request, Response};
use crate::sql::Sql;
use scim_edge_scim::budget::Budget;
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::{Endpoint, Kind, encode, segments};
use scim_edge_scim::error::{Error, ScimType};
use scim_edge_scim::limits::exceeded;
use scim_edge_scim::reference::{Form, References};
use scim_edge_scim::schema::Schemas;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The most operations of one request.
pub const OPERATIONS: usize = 1000;

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const REFERENCE: &str = "bulkId:";

/// One operation of a request.
struct Operation {
    method: String,
    path: String,
    kind: Option<Kind>,
    bulk_id: Option<String>,
    version: Option<String>,
    data: Value,
}

/// What has become of an operation that others may refer to.
enum Fate {
    Done { id: String, url: String },
    Failed,
}

/// Operations that are being done: one, or a circle.
struct Unit {
    turn: Turn,
    stage: Stage,
    /// How many operations of the stage have been done.
    done: usize,
    /// Resources that the operations of a circle have created, by operation.
    created: Vec<(usize, Kind, String)>,
    /// Those of them that were created without some of their references.
    incomplete: Vec<(usize, Kind, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Operations,
    /// The references that could not be resolved before.
    References,
    /// A circle has failed: what it has created goes.
    Removal,
}

/// A bulk request under way.
pub struct Bulk {
    /// The URL of the account's SCIM base.
    base: String,
    schemas: Rc<Schemas>,
    operations: Vec<Operation>,
    answers: Vec<Option<Value>>,
    /// Names of the attributes that each operation changed.
    changed: Vec<Option<ChangedNames>>,
    /// Operations by their `bulkId`.
    places: HashMap<String, usize>,
    fates: HashMap<String, Fate>,
    /// Errors to go before the rest is left undone.
    errors_left: Option<u64>,
    order: Order,
    unit: Option<Unit>,
}

/// One request of a bulk request.
pub struct Part {
    operation: usize,
    stage: Stage,
    /// Whether a reference was left out.
    is_incomplete: bool,
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

impl Part {
    /// Whether it takes back what the request itself has created.
    pub fn is_removal(&self) -> bool {
        self.stage == Stage::Removal
    }
}

impl Bulk {
    /// Reads a request.
    pub fn parse(
        body: &Map<String, Value>,
        dialect: Dialect,
        base: &str,
        schemas: Rc<Schemas>,
    ) -> Result<Self, Error> {
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
            return Err(exceeded(sentence));
        }
        let mut operations = items.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let places = places(&operations)?;
        let needs: Vec<Vec<usize>> =
            operations.iter_mut().map(|operation| needs(operation, &schemas, &places)).collect();
        Ok(Self {
            base: base.to_owned(),
            schemas,
            answers: operations.iter().map(|_| None).collect(),
            changed: operations.iter().map(|_| None).collect(),
            operations,
            places,
            fates: HashMap::new(),
            errors_left: get("failOnErrors").and_then(Value::as_u64).filter(|limit| *limit > 0),
            order: Order::new(&needs),
            unit: None,
        })
    }

    /// What to do next; none when all is done.
    pub fn next_part(&mut self) -> Option<Part> {
        loop {
            let Some(mut unit) = self.unit.take() else {
                if self.errors_left == Some(0) {
                    return None;
                }
                let turn = self.order.next()?;
                let (created, incomplete) = (Vec::new(), Vec::new());
                let unit = Unit { turn, stage: Stage::Operations, done: 0, created, incomplete };
                self.unit = Some(self.begun(unit));
                continue;
            };
            let place = unit.done;
            match unit.stage {
                Stage::Operations => match unit.turn.operations.get(place).copied() {
                    Some(operation) => match self.part(operation, unit.turn.is_circle) {
                        Ok(part) => {
                            self.unit = Some(unit);
                            return Some(part);
                        }
                        Err(error) => self.end_operation(unit, operation, &error),
                    },
                    None => {
                        (unit.stage, unit.done) = (Stage::References, 0);
                        self.unit = Some(unit);
                    }
                },
                Stage::References => match unit.incomplete.get(place) {
                    Some((operation, kind, id)) => {
                        let part = self.following(*operation, *kind, id);
                        match part {
                            Ok(part) => {
                                self.unit = Some(unit);
                                return Some(part);
                            }
                            Err(error) => {
                                let operation = *operation;
                                self.end_operation(unit, operation, &error);
                            }
                        }
                    }
                    None => self.finish(unit),
                },
                Stage::Removal => match unit.created.last() {
                    Some((operation, kind, id)) => {
                        let part = Part {
                            operation: *operation,
                            stage: Stage::Removal,
                            is_incomplete: false,
                            method: "DELETE".to_owned(),
                            endpoint: Endpoint::Resource(*kind, id.clone()),
                            kind: *kind,
                            if_match: None,
                            body: Vec::new(),
                        };
                        self.unit = Some(unit);
                        return Some(part);
                    }
                    None => self.finish(unit),
                },
            }
        }
    }

    /// A circle of other operations than creations has no beginning: nothing of it is done.
    fn begun(&mut self, mut unit: Unit) -> Unit {
        let creates =
            |operation: &usize| self.operations.get(*operation).is_some_and(|one| one.method == "POST");
        if unit.turn.is_circle && !unit.turn.operations.iter().all(creates) {
            let error = Error::status(
                409,
                "only operations with the method POST can refer to each other in a circle",
            );
            for operation in unit.turn.operations.clone() {
                self.fail(operation, &error);
            }
            unit.stage = Stage::Removal;
        }
        unit
    }

    /// What came of a part.
    pub fn record(&mut self, part: &Part, response: &Response) {
        let Some(mut unit) = self.unit.take() else { return };
        let is_done = (200..300).contains(&response.status);
        let Some(operation) = self.operations.get(part.operation) else { return };
        match part.stage {
            Stage::Operations => {
                let location = match &part.endpoint {
                    Endpoint::Resource(kind, id) => Some(self.url(*kind, id)),
                    _ => None,
                };
                let answer = outcome(operation, location, response);
                let id = id_of(&answer, response).filter(|_| is_done);
                let fate = match id.clone() {
                    Some(id) => Fate::Done { url: self.url(part.kind, &id), id },
                    None => Fate::Failed,
                };
                if let Some(bulk_id) = operation.bulk_id.clone() {
                    self.fates.insert(bulk_id, fate);
                }
                self.answer(part.operation, answer);
                self.change(
                    part.operation,
                    response.changed.first().and_then(|changed| changed.names.clone()),
                );
                if let (true, Some(id)) = (unit.turn.is_circle, id) {
                    let made = (part.operation, part.kind, id);
                    if part.is_incomplete {
                        unit.incomplete.push(made.clone());
                    }
                    unit.created.push(made);
                }
                self.go_on(unit, part.operation, is_done);
            }
            Stage::References => {
                let version = response.headers.iter().find(|(name, _)| *name == "etag");
                let answer = match self.answers.get_mut(part.operation) {
                    Some(Some(Value::Object(answer))) if is_done => {
                        answer.extend(version.map(|(_, tag)| ("version".to_owned(), tag.as_str().into())));
                        None
                    }
                    _ => Some(outcome(operation, None, response)),
                };
                if let Some(answer) = answer {
                    self.answer(part.operation, answer);
                }
                self.go_on(unit, part.operation, is_done);
            }
            Stage::Removal => {
                let made = unit.created.pop();
                if let (false, Some((operation, kind, id))) = (is_done || response.status == 404, made) {
                    let url = self.url(kind, &id);
                    if let Some(Some(Value::Object(answer))) = self.answers.get_mut(operation) {
                        answer.insert("location".into(), url.into());
                    }
                }
                self.unit = Some(unit);
            }
        }
    }

    /// The next operation of a unit; a circle of which one has failed is undone.
    fn go_on(&mut self, mut unit: Unit, operation: usize, is_done: bool) {
        unit.done = unit.done.saturating_add(1);
        if is_done || !unit.turn.is_circle {
            self.unit = Some(unit);
            return;
        }
        let error = Error::status(
            409,
            "the operation refers to one that failed, and was undone; \
                with a location, its resource could not be deleted again",
        );
        for other in unit.turn.operations.clone() {
            match other == operation {
                true => self.note_failed(other),
                false => self.fail(other, &error),
            }
        }
        (unit.stage, unit.done) = (Stage::Removal, 0);
        self.unit = Some(unit);
    }

    fn end_operation(&mut self, unit: Unit, operation: usize, error: &Error) {
        self.fail(operation, error);
        self.go_on(unit, operation, false);
    }

    fn finish(&mut self, unit: Unit) {
        let failed = |operation: &&usize| {
            let answer = self.answers.get(**operation).and_then(Option::as_ref);
            let status = answer.and_then(|answer| answer.get("status")?.as_str());
            status.is_some_and(|status| !status.starts_with('2'))
        };
        let failed = unit.turn.operations.iter().filter(failed).count();
        let failed = u64::try_from(failed).unwrap_or(u64::MAX);
        self.errors_left = self.errors_left.map(|left| left.saturating_sub(failed));
        self.order.done(&unit.turn);
    }

    fn fail(&mut self, operation: usize, error: &Error) {
        if let Some(found) = self.operations.get(operation) {
            let answer = outcome(found, None, &Response::from(Failure::Scim(error.clone())));
            self.answer(operation, answer);
        }
        self.change(operation, None);
        self.note_failed(operation);
    }

    fn note_failed(&mut self, operation: usize) {
        if let Some(bulk_id) = self.operations.get(operation).and_then(|one| one.bulk_id.clone()) {
            self.fates.insert(bulk_id, Fate::Failed);
        }
    }

    fn change(&mut self, operation: usize, names: Option<ChangedNames>) {
        if let Some(place) = self.changed.get_mut(operation) {
            *place = names;
        }
    }

    fn answer(&mut self, operation: usize, answer: Value) {
        if let Some(place) = self.answers.get_mut(operation) {
            *place = Some(answer);
        }
    }

    fn url(&self, kind: Kind, id: &str) -> String {
        format!("{}/{}/{}", self.base, kind.segment(), encode(id))
    }

    /// The answer.
    pub fn into_response(self) -> Response {
        let all = self.answers.iter().zip(self.changed).enumerate();
        let answered = all.filter(|(_, (answer, _))| answer.is_some());
        let changed = answered.map(|(operation, (_, names))| Changed { operation, names }).collect();
        let answers: Vec<Value> = self.answers.into_iter().flatten().collect();
        let body = json!({ "schemas": [RESPONSE], "Operations": answers }).to_string();
        Response { changed, ..Response::json(200, body) }
    }

    /// An operation as a request of its own.
    fn part(&self, operation: usize, in_circle: bool) -> Result<Part, Error> {
        let found = self.operations.get(operation).ok_or_else(nothing)?;
        let endpoint = Endpoint::from_segments(&segments(&self.resolved_path(&found.path)?)?);
        let (endpoint, kind) = match (endpoint, found.method.as_str()) {
            (Some(Endpoint::Collection(kind)), "POST") => (Endpoint::Collection(kind), kind),
            (Some(Endpoint::Resource(kind, id)), "PUT" | "PATCH" | "DELETE") => {
                (Endpoint::Resource(kind, id), kind)
            }
            _ => return Err(nothing()),
        };
        let (data, is_incomplete) = self.resolved(found, in_circle)?;
        Ok(Part {
            operation,
            stage: Stage::Operations,
            is_incomplete,
            method: found.method.clone(),
            endpoint,
            kind,
            if_match: found.version.clone(),
            body: if data.is_null() { Vec::new() } else { data.to_string().into_bytes() },
        })
    }

    /// The references that could not be resolved when a resource was created.
    fn following(&self, operation: usize, kind: Kind, id: &str) -> Result<Part, Error> {
        let found = self.operations.get(operation).ok_or_else(nothing)?;
        let (data, _) = self.resolved(found, false)?;
        let changed = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        let operations: Vec<Value> = changed
            .into_iter()
            .filter(|(name, value)| found.data.get(name).is_some_and(|old| old != value))
            .map(|(name, value)| json!({ "op": "add", "path": name, "value": value }))
            .collect();
        Ok(Part {
            operation,
            stage: Stage::References,
            is_incomplete: false,
            method: "PATCH".to_owned(),
            endpoint: Endpoint::Resource(kind, id.to_owned()),
            kind,
            if_match: None,
            body: json!({ "schemas": [PATCH], "Operations": operations }).to_string().into_bytes(),
        })
    }

    /// The data of an operation with ids and URLs in the place of references, and whether one was left out,
    /// which is done only in a circle.
    fn resolved(&self, operation: &Operation, in_circle: bool) -> Result<(Value, bool), Error> {
        let mut data = operation.data.clone();
        let mut is_incomplete = false;
        visit(&self.schemas, operation, &mut data, &mut |text, form| {
            let Some(name) = text.strip_prefix(REFERENCE) else { return Ok(true) };
            match (self.fates.get(name), form) {
                (Some(Fate::Done { id, .. }), Form::Id) => *text = id.clone(),
                (Some(Fate::Done { url, .. }), Form::Url) => *text = url.clone(),
                (Some(Fate::Failed), _) => return Err(failed(name)),
                (None, _) if in_circle && self.places.contains_key(name) => {
                    is_incomplete = true;
                    return Ok(false);
                }
                (None, _) => return Err(unknown(name)),
            }
            Ok(true)
        })?;
        Ok((data, is_incomplete))
    }

    fn resolved_path(&self, path: &str) -> Result<String, Error> {
        let segment = |segment: &str| match segment.strip_prefix(REFERENCE) {
            None => Ok(segment.to_owned()),
            Some(name) => match self.fates.get(name) {
                Some(Fate::Done { id, .. }) => Ok(encode(id)),
                Some(Fate::Failed) => Err(failed(name)),
                None => Err(unknown(name)),
            },
        };
        Ok(path.split('/').map(segment).collect::<Result<Vec<_>, _>>()?.join("/"))
    }
}

fn failed(name: &str) -> Error {
    Error::status(409, format!("the operation with the bulkId {:?} failed", shown(name)))
}

fn unknown(name: &str) -> Error {
    Error::status(409, format!("no operation of this request has the bulkId {:?}", shown(name)))
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

fn nothing() -> Error {
    Error::new(ScimType::InvalidSyntax, "path and method do not name an operation on a resource")
}

/// Visits the references in the data of an operation.
fn visit<E>(
    schemas: &Schemas,
    operation: &Operation,
    data: &mut Value,
    visit: &mut dyn FnMut(&mut String, Form) -> Result<bool, E>,
) -> Result<(), E> {
    let Some(kind) = operation.kind else { return Ok(()) };
    let references = References::new(schemas, kind);
    match operation.method.as_str() {
        "POST" | "PUT" => references.of_resource(data, visit),
        "PATCH" => references.of_patch(data, visit),
        _ => Ok(()),
    }
}

/// The operations that one refers to. What it refers to beside is found out when it is its turn.
fn needs(operation: &mut Operation, schemas: &Schemas, places: &HashMap<String, usize>) -> Vec<usize> {
    let mut needed = HashSet::new();
    let mut note = |text: &str| {
        needed.extend(text.strip_prefix(REFERENCE).and_then(|name| places.get(name).copied()));
    };
    operation.path.split('/').for_each(&mut note);
    let mut data = std::mem::take(&mut operation.data);
    let read = visit(schemas, operation, &mut data, &mut |text, _| {
        note(text);
        Ok::<bool, std::convert::Infallible>(true)
    });
    operation.data = data;
    match read {
        Ok(()) => needed.into_iter().collect(),
        Err(never) => match never {},
    }
}

impl<S: Sql> Directory<S> {
    pub(crate) fn bulk(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let budget = Budget::of_bulk();
        let mut bulk = Bulk::parse(&read_object(request)?, request.dialect, request.base, self.schemas())?;
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
                    budget: &budget,
                    is_part: true,
                    keep_deleted: request.keep_deleted && !part.is_removal(),
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

/// The answer to a part that came too late: the account is another by now.
pub fn interrupted() -> Response {
    let sentence =
        "The account's settings were changed during the request: read, and send what is missing again";
    Response::from(Failure::Scim(Error::status(503, sentence)))
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
    let path = text("path").ok_or_else(|| syntax("a bulk operation needs a path"))?;
    let kind = match segments(&path).ok().and_then(|segments| Endpoint::from_segments(&segments)) {
        Some(Endpoint::Collection(kind) | Endpoint::Resource(kind, _)) => Some(kind),
        _ => None,
    };
    let data = if method == "DELETE" { None } else { get("data").cloned() };
    Ok(Operation { method, path, kind, bulk_id, version: text("version"), data: data.unwrap_or(Value::Null) })
}

/// The operations by their `bulkId`, which is one operation's.
fn places(operations: &[Operation]) -> Result<HashMap<String, usize>, Error> {
    let mut places = HashMap::new();
    for (place, operation) in operations.iter().enumerate() {
        if let Some(id) = &operation.bulk_id
            && places.insert(id.clone(), place).is_some()
        {
            let sentence = format!("the bulkId {:?} stands twice", shown(id));
            return Err(Error::new(ScimType::InvalidValue, sentence));
        }
    }
    Ok(places)
}

/// The id of the resource that an operation was about: of its location, or of the resource that was shown.
fn id_of(answer: &Value, response: &Response) -> Option<String> {
    let location = answer.get("location").and_then(Value::as_str);
    let located = location.and_then(|url| segments(url).ok()?.pop());
    let shown = || {
        let body = serde_json::from_str::<Value>(response.body.as_ref()?).ok()?;
        body.get("id")?.as_str().map(str::to_owned)
    };
    located.or_else(shown)
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
