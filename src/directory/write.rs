//! Writes in a system of record (RFC 7644 §3.3, §3.5, §3.6): each one transaction, or nothing.

use crate::brake::Removal;
use crate::changed_names::ChangedNames;
use crate::list::read_object;
use crate::message::{Failure, Request, Response};
use crate::removal::{deactivates, lost};
use crate::render::{Relations, Renderer, etag, opaque, own_version, without_groups};
use crate::sql::Sql;
use crate::store::{Content, Member, Store, Stored};
use scim_edge_scim::budget::weight_of;
use scim_edge_scim::dialect::UnknownMembers;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::{Error, ScimType};
use scim_edge_scim::limits::{MEMBER_BYTES, exceeded};
use scim_edge_scim::member_change::MemberChange;
use scim_edge_scim::patch::Patch;
use scim_edge_scim::project::Projection;
use scim_edge_scim::query::Query;
use scim_edge_scim::schema::Schemas;
use scim_edge_scim::validate::Reader;
use serde_json::{Map, Value};
use std::cell::Cell;

/// Work of reading a member of a group, to be charged before it is read.
const MEMBER_WORK: usize = 256;

/// How often a stored text is looked at: it is read, compared, written and read once more.
const LOOKS: usize = 4;

/// A write and all that it needs.
pub(crate) struct Write<'a, S> {
    pub(crate) store: &'a Store<S>,
    pub(crate) schemas: &'a Schemas,
    pub(crate) request: &'a Request<'a>,
    /// The removal that the write was found to be.
    pub(crate) noted: &'a Cell<Option<Removal>>,
}

/// What a write did to a group's members.
#[derive(Clone, Copy, Default)]
struct Moved {
    changed: bool,
    removed: bool,
}

/// What the answer to a resource's read or write shows.
pub(crate) fn projection(schemas: &Schemas, request: &Request<'_>) -> Result<Projection, Error> {
    let query = Query::parse(request.query)?;
    let list = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let (attributes, excluded) = (list("attributes"), list("excludedAttributes"));
    Projection::new(attributes.split(','), excluded.split(','), schemas, request.dialect)
}

/// Whether a PATCH is answered without the resource. RFC 7644 §3.5.2 leaves the choice, unless attributes are asked
/// for; clients that want less of a group want nothing of it.
pub(crate) fn wants_no_body(kind: Kind, query: &Query, shown: &Projection) -> bool {
    kind == Kind::Group
        && match query.get("attributes").map(str::trim) {
            Some(names) => names.is_empty(),
            None => !shown.wants("members"),
        }
}

impl<S: Sql> Write<'_, S> {
    fn reader(&self, kind: Kind) -> Reader<'_> {
        Reader { schemas: self.schemas, kind, dialect: self.request.dialect }
    }

    pub(crate) fn find(&self, kind: Kind, id: &str) -> Result<Stored, Failure> {
        let stored = self.store.get(kind, id)?;
        Ok(stored.ok_or_else(|| Error::not_found(format!("{} {id}", kind.name())))?)
    }

    /// Answers with a resource as it now is.
    pub(crate) fn answer(
        &self,
        status: u16,
        kind: Kind,
        id: &str,
        shown: &Projection,
    ) -> Result<Response, Failure> {
        let stored = self.find(kind, id)?;
        let one = std::slice::from_ref(&stored);
        let with_resource = !self.request.is_part;
        // The write is done: what an answer cannot show it leaves out.
        let members =
            with_resource && shown.wants("members") && !self.store.is_too_large(kind, stored.seq)?;
        let relations = Relations::of(self.store, one, members)?;
        let renderer = Renderer { base: self.request.base, schemas: self.schemas };
        let response = if with_resource {
            Response::json(status, renderer.text(&stored, &relations, shown)?)
        } else {
            Response::empty(status)
        };
        let location = renderer.location(kind, id);
        let response = response.with("content-location", location.clone()).with("location", location);
        Ok(response.with("etag", etag(&stored, &relations)))
    }

    /// The body, for which the budget was charged.
    fn body(&self) -> Result<Map<String, Value>, Error> {
        let body = read_object(self.request)?;
        self.request.budget.charge(weight_of(&body))?;
        Ok(body)
    }

    pub(crate) fn post(&self, kind: Kind) -> Result<Response, Failure> {
        let shown = projection(self.schemas, self.request)?;
        let (id, names) = self.create(kind, &self.body()?)?;
        Ok(self.answer(201, kind, &id, &shown)?.changing(names))
    }

    /// Creates a resource and returns its id, and the names of its attributes.
    fn create(&self, kind: Kind, body: &Map<String, Value>) -> Result<(String, ChangedNames), Failure> {
        let mut resource = self.reader(kind).create(body)?;
        let members = take_members(&mut resource)?;
        let has_members = !members.is_empty();
        let id = (self.request.new_id)();
        let resource = with_id(&id, resource);
        self.store.sql.transaction(|| {
            self.check_unique(kind, &resource, None)?;
            let seq = self.store.insert(
                kind,
                &Content { resource: &resource, origin_meta: None },
                self.request.now_ms,
            )?;
            self.store.add_members(seq, &self.known_members(&id, members)?)?;
            Ok::<(), Failure>(())
        })?;
        let mut names = ChangedNames::between(&Map::new(), &resource);
        if has_members {
            names.note_members(false, true);
        }
        Ok((id, names))
    }

    pub(crate) fn put(&self, kind: Kind, id: &str) -> Result<Response, Failure> {
        let shown = projection(self.schemas, self.request)?;
        let stored = self.find(kind, id)?;
        self.check_version(&stored)?;
        self.request.budget.charge(stored.body.len().saturating_mul(LOOKS))?;
        let old = stored.resource()?;
        let mut new = self.reader(kind).replace(&self.body()?, &old)?;
        let members = take_members(&mut new)?;
        let new = with_id(id, new);
        let names = self.store.sql.transaction(|| {
            self.check_unique(kind, &new, Some((&stored, &old)))?;
            let moved = self.set_members(&stored, members)?;
            self.store_change(&stored, &old, &new, moved)
        })?;
        Ok(self.answer(200, kind, id, &shown)?.changing(names))
    }

    pub(crate) fn patch(&self, kind: Kind, id: &str) -> Result<Response, Failure> {
        let shown = projection(self.schemas, self.request)?;
        let stored = self.find(kind, id)?;
        self.check_version(&stored)?;
        let patch = Patch::parse(&self.body()?, self.request.dialect)?;
        let names = self.apply(&stored, &patch)?;
        let query = Query::parse(self.request.query)?;
        let less = wants_no_body(kind, &query, &shown);
        let asked = query.get("attributes").is_some_and(|names| !names.trim().is_empty());
        if less || (self.request.patch_without_body && !asked) {
            let now = self.find(kind, id)?;
            let relations = Relations::of(self.store, std::slice::from_ref(&now), false)?;
            return Ok(Response::empty(204).with("etag", etag(&now, &relations)).changing(names));
        }
        Ok(self.answer(200, kind, id, &shown)?.changing(names))
    }

    fn apply(&self, stored: &Stored, patch: &Patch) -> Result<ChangedNames, Failure> {
        let reader = self.reader(stored.kind);
        let budget = self.request.budget;
        budget.charge(stored.body.len().saturating_mul(LOOKS))?;
        let old = stored.resource()?;
        if let Some(plan) = patch.member_plan(&reader) {
            plan.check()?;
            let new = plan.rest.apply_within(&reader, &old, budget)?;
            return self.store.sql.transaction(|| {
                self.check_unique(stored.kind, &new, Some((stored, &old)))?;
                let moved = self.change_members(stored, &plan.changes)?;
                self.store_change(stored, &old, &new, moved)
            });
        }
        let mut whole = old.clone();
        if stored.kind == Kind::Group {
            budget.charge(self.store.member_count(stored.seq)?.saturating_mul(MEMBER_WORK))?;
            let renderer = Renderer { base: self.request.base, schemas: self.schemas };
            let members: Vec<Value> =
                self.store.members(stored.seq)?.iter().map(|member| renderer.member(member)).collect();
            if !members.is_empty() {
                whole.insert("members".into(), Value::Array(members));
            }
        }
        let mut new = patch.apply_within(&reader, &whole, budget)?;
        let members = take_members(&mut new)?;
        self.store.sql.transaction(|| {
            self.check_unique(stored.kind, &new, Some((stored, &old)))?;
            let moved = self.set_members(stored, members)?;
            self.store_change(stored, &old, &new, moved)
        })
    }

    pub(crate) fn delete(&self, kind: Kind, id: &str) -> Result<Response, Failure> {
        if self.request.guard.append_only {
            return Err(Failure::AppendOnly(format!("a {}", kind.name())));
        }
        let stored = self.find(kind, id)?;
        self.check_version(&stored)?;
        self.request.budget.charge(stored.body.len().saturating_mul(LOOKS))?;
        let deletion = self.request.deletion();
        self.store.sql.transaction(|| {
            self.note(kind, Removal::Deleted)?;
            Ok::<(), Failure>(self.store.delete(&stored, &deletion)?)
        })?;
        Ok(Response::empty(204))
    }

    /// Takes note of a removal, and counts it if there is a brake.
    fn note(&self, kind: Kind, removal: Removal) -> Result<(), Failure> {
        self.noted.set(Some(removal));
        let Request { guard, now_ms, .. } = self.request;
        self.store.count_removal(guard.limits, kind, removal, *now_ms)?;
        Ok(())
    }

    /// Holds a change to what its caller may remove, and counts it if it is a removal.
    fn check_removals(
        &self,
        stored: &Stored,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        moved: Moved,
    ) -> Result<(), Failure> {
        if self.request.guard.append_only {
            if moved.removed {
                return Err(Failure::AppendOnly("members of a group".to_owned()));
            }
            if let Some(what) = lost(old, new) {
                return Err(Failure::AppendOnly(what));
            }
        }
        let is_removal = match stored.kind {
            Kind::User => deactivates(old, new),
            Kind::Group => moved.removed && !self.store.has_members(stored.seq)?,
        };
        if is_removal { self.note(stored.kind, Removal::Disabled) } else { Ok(()) }
    }

    /// What changes nothing leaves version and `lastModified` as they are.
    fn store_change(
        &self,
        stored: &Stored,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        moved: Moved,
    ) -> Result<ChangedNames, Failure> {
        if old != new || moved.changed {
            self.check_removals(stored, old, new, moved)?;
        }
        if old != new {
            let content = Content { resource: new, origin_meta: None };
            self.store.update(stored, &content, self.request.now_ms)?;
        } else if moved.changed {
            self.store.touch(stored.seq, self.request.now_ms)?;
        }
        let mut names = ChangedNames::between(old, new);
        if moved.changed {
            names.note_members(true, true);
        }
        Ok(names)
    }

    /// Changes members without a look at the others.
    fn change_members(&self, stored: &Stored, changes: &[MemberChange]) -> Result<Moved, Failure> {
        let mut moved = Moved::default();
        let mut before = None;
        for change in changes {
            match change {
                MemberChange::Add(members) => {
                    let members: Vec<Member> = members.iter().filter_map(member).collect();
                    let members = self.known_members(&stored.id, members)?;
                    moved.changed |= self.store.add_members(stored.seq, &members)?;
                }
                MemberChange::Remove(ids) => moved.removed |= self.store.remove_members(stored.seq, ids)?,
                MemberChange::Clear => {
                    let all = self.store.members(stored.seq)?;
                    let ids: Vec<String> = all.iter().map(|member| member.id.clone()).collect();
                    before.get_or_insert(all);
                    self.store.remove_members(stored.seq, &ids)?;
                }
            }
        }
        moved.changed |= moved.removed;
        if let Some(before) = before {
            let after = self.store.members(stored.seq)?;
            let is_there = |member: &Member| after.iter().any(|other| other.id == member.id);
            moved = Moved { changed: after != before, removed: before.iter().any(|one| !is_there(one)) };
        }
        Ok(moved)
    }

    /// Makes these a group's members.
    fn set_members(&self, stored: &Stored, members: Vec<Member>) -> Result<Moved, Failure> {
        if stored.kind != Kind::Group {
            return Ok(Moved::default());
        }
        let before = self.store.members(stored.seq)?;
        let known: std::collections::HashSet<&str> = before.iter().map(|member| member.id.as_str()).collect();
        // Members that the group has already may be unknown: it can be written back as it was read.
        let (mut members, new): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|member| known.contains(member.id.as_str()));
        members.extend(self.known_members(&stored.id, new)?);
        let wanted: std::collections::HashSet<&str> =
            members.iter().map(|member| member.id.as_str()).collect();
        let gone: Vec<String> = before
            .iter()
            .filter(|member| !wanted.contains(member.id.as_str()))
            .map(|member| member.id.clone())
            .collect();
        let removed = self.store.remove_members(stored.seq, &gone)?;
        let added = self.store.add_members(stored.seq, &members)?;
        Ok(Moved { changed: added || removed, removed })
    }

    /// The members that a group is given, as the account's setting for unknown ones has it.
    fn known_members(&self, group: &str, mut members: Vec<Member>) -> Result<Vec<Member>, Failure> {
        let long = |member: &Member| {
            member.display.as_ref().map_or(0, String::len).saturating_add(member.id.len()) > MEMBER_BYTES
        };
        if members.iter().any(long) {
            let limit = MEMBER_BYTES >> 10;
            return Err(exceeded(format!("members: value and display are at most {limit} KiB long")).into());
        }
        let ids: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
        if ids.contains(&group) {
            return Err(
                Error::new(ScimType::InvalidValue, "members: a group cannot be a member of itself").into()
            );
        }
        match self.request.unknown_members {
            UnknownMembers::Accept => {}
            UnknownMembers::Ignore => {
                let missing: std::collections::HashSet<String> =
                    self.store.missing(&ids, true)?.into_iter().collect();
                members.retain(|member| !missing.contains(&member.id));
            }
            UnknownMembers::Refuse => {
                if let Some(missing) = self.store.missing(&ids, false)?.first() {
                    let missing: String = missing.chars().take(100).collect();
                    let sentence = format!("members: there is no user or group with the id {missing:?}");
                    return Err(Error::new(ScimType::InvalidValue, sentence).into());
                }
            }
        }
        Ok(members)
    }

    fn check_unique(
        &self,
        kind: Kind,
        new: &Map<String, Value>,
        old: Option<(&Stored, &Map<String, Value>)>,
    ) -> Result<(), Failure> {
        match self.store.conflict(kind, new, old, self.request.unique_group_names)? {
            Some(sentence) => Err(Error::new(ScimType::Uniqueness, sentence).into()),
            None => Ok(()),
        }
    }

    /// `If-Match` and `If-None-Match` of a write (RFC 7644 §3.14, RFC 9110 §13).
    fn check_version(&self, stored: &Stored) -> Result<(), Failure> {
        let own = own_version(stored);
        let named = |header: &str| {
            header.trim() == "*" || header.split(',').any(|tag| without_groups(opaque(tag)) == own)
        };
        let wrong = self.request.if_match.is_some_and(|header| !named(header))
            || self.request.if_none_match.is_some_and(named);
        if wrong {
            let sentence = format!("the resource has changed: its version is W/\"{own}\"");
            return Err(Error::status(412, sentence).into());
        }
        Ok(())
    }
}

/// A resource with its id behind its schemas.
pub(crate) fn with_id(id: &str, resource: Map<String, Value>) -> Map<String, Value> {
    let mut with_id = Map::new();
    with_id.insert("schemas".into(), Value::Null);
    with_id.insert("id".into(), id.into());
    with_id.extend(resource.into_iter().filter(|(name, _)| name != "id"));
    with_id
}

/// Takes a group's members out of it.
pub(crate) fn take_members(resource: &mut Map<String, Value>) -> Result<Vec<Member>, Error> {
    let Some(Value::Array(values)) = resource.shift_remove("members") else { return Ok(Vec::new()) };
    let members = values.iter().map(|value| {
        value.as_object().and_then(member).ok_or_else(|| {
            Error::new(ScimType::InvalidValue, "members: each needs a value, the id of a user or group")
        })
    });
    members.collect()
}

/// A member; what kind of resource it is, the directory knows better than the client.
pub(crate) fn member(value: &Map<String, Value>) -> Option<Member> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Member { id: text("value").filter(|id| !id.is_empty())?, kind: None, display: text("display") })
}
