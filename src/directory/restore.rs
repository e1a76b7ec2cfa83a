//! Restoring deleted resources.
//!
//! In a system of record a restore is one transaction: the resource comes back with its id, its time of creation
//! and a higher version, and with its memberships whose other ends exist. In front of an origin the host sends
//! the resource to the origin ([`Directory::restore_body`]) and says when it is there again
//! ([`Directory::mark_restored`]).
//!
//! INVARIANT: a restore adds to a group only the members that it had when it, or the member, was deleted.

use crate::Directory;
use crate::deleted::{End, Link, Tombstone, Way, link_texts, parse_links};
use crate::message::{Failure, Response};
use crate::render::OPEN_BASE;
use crate::sql::{Sql, SqlError};
use crate::store::{Age, Content, Member, Store};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::{Error, ScimType};
use scim_edge_scim::fold::fold;
use scim_edge_scim::relocate::relocate;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// How a resource is restored.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Whether its memberships are restored too.
    pub memberships: bool,
    /// Whether two groups may not have the same name.
    pub unique_group_names: bool,
    /// The time of the earliest deletion that is kept, in milliseconds since the epoch.
    pub kept_from: i64,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// A resource that was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// `User` or `Group`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id that it has now.
    pub id: String,
    /// The id that it had, if the origin gave it another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_id: Option<String>,
    /// The memberships that were restored.
    pub memberships: usize,
    /// The memberships that wait until the group or member at their other end is restored.
    pub waiting: usize,
    /// The groups at the origin that it could not be added to yet: the same restore, asked for again, goes on.
    pub pending: usize,
    /// The memberships whose other end is gone for good, or that the origin refused.
    pub lost: usize,
}

/// The memberships of a deleted resource, by the state of their other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memberships {
    /// Members that exist, for a group.
    pub(crate) members: Vec<Member>,
    /// The ids of groups that exist, with the `display` that the resource had as their member.
    pub groups: Vec<(String, Option<String>)>,
    /// Tombstones at the other end, with the link that they get.
    pub(crate) deleted: Vec<(i64, Link)>,
    /// How many are gone for good.
    pub lost: usize,
}

impl Restored {
    /// A resource without memberships.
    pub fn of(kind: Kind, id: &str) -> Self {
        let (kind, id) = (kind.name().to_owned(), id.to_owned());
        Self { kind, id, former_id: None, memberships: 0, waiting: 0, pending: 0, lost: 0 }
    }
}

impl Memberships {
    /// How many members of a group exist.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// How many other ends are deleted.
    pub fn waiting(&self) -> usize {
        self.deleted.len()
    }
}

/// A restore at the origin that is not finished: the resource is there, some of its groups lack it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The number of its tombstone.
    pub number: i64,
    /// The id that it has now.
    pub id: String,
}

impl<S: Sql> Directory<S> {
    /// A deleted resource that can be restored. `kept_from` is the time of the earliest deletion that is kept.
    ///
    /// # Errors
    /// A SCIM answer: it exists, or is not kept (any more).
    pub fn restorable(&self, kind: Kind, id: &str, kept_from: i64) -> Result<Tombstone, Response> {
        self.find_restorable(kind, id, kept_from).map_err(Response::from)
    }

    fn find_restorable(&self, kind: Kind, id: &str, kept_from: i64) -> Result<Tombstone, Failure> {
        if self.store.get(kind, id)?.is_some() {
            let sentence = format!("the {} with this id is not deleted", kind.name());
            return Err(Error::status(409, sentence).into());
        }
        let found = self.store.tombstone(kind, id, kept_from)?;
        found.ok_or_else(|| {
            let sentence = format!("A deleted {} with this id that can still be restored", kind.name());
            Error::not_found(sentence).into()
        })
    }

    /// Restores a resource of a system of record, in one transaction.
    ///
    /// # Errors
    /// A SCIM answer; nothing was changed then.
    pub fn restore(&self, kind: Kind, id: &str, terms: &Terms) -> Result<Restored, Response> {
        let now_ms = terms.now_ms;
        let restored = self.store.sql.transaction(|| {
            let tombstone = self.find_restorable(kind, id, terms.kept_from)?;
            let resource = tombstone.resource()?;
            self.store.check_free(&tombstone, terms.unique_group_names)?;
            if let Some(name) = self.store.unique_taken(kind, &resource, None, None)? {
                let sentence =
                    format!("{name}: another resource has this value by now; change it there first");
                return Err(Error::new(ScimType::Uniqueness, sentence).into());
            }
            let version = tombstone.version.saturating_add(1);
            let age = Age { created: tombstone.created, modified: now_ms, version };
            let content = Content { resource: &resource, origin_meta: None };
            let seq = self.store.insert_at(kind, &content, age)?;
            let links =
                if terms.memberships { self.store.memberships(&tombstone)? } else { Memberships::default() };
            self.store.add_members(seq, &links.members)?;
            for (group, display) in &links.groups {
                if let Some(group) = self.store.get(Kind::Group, group)? {
                    let member = Member { id: id.to_owned(), kind: Some(kind), display: display.clone() };
                    if self.store.add_members(group.seq, &[member])? {
                        self.store.touch(group.seq, now_ms)?;
                    }
                }
            }
            self.store.pass_links_on(&links, id)?;
            self.store.drop_tombstones_of(kind, id)?;
            Ok::<_, Failure>(Restored {
                memberships: links.members.len().saturating_add(links.groups.len()),
                waiting: links.deleted.len(),
                lost: links.lost,
                ..Restored::of(kind, id)
            })
        });
        restored.map_err(Response::from)
    }

    /// Whether the name of a deleted resource is free, as far as the tables know.
    ///
    /// # Errors
    /// A SCIM answer.
    pub fn check_free(&self, tombstone: &Tombstone, unique_group_names: bool) -> Result<(), Response> {
        self.store.check_free(tombstone, unique_group_names).map_err(Response::from)
    }

    /// The memberships of a deleted resource.
    pub fn memberships(&self, tombstone: &Tombstone) -> Result<Memberships, SqlError> {
        self.store.memberships(tombstone)
    }

    /// A deleted resource as the body of a POST or PUT to the origin, with its references below `base`.
    pub fn restore_body(
        &self,
        tombstone: &Tombstone,
        links: &Memberships,
        base: &str,
    ) -> Result<Map<String, Value>, SqlError> {
        let mut resource = tombstone.resource()?;
        resource.shift_remove("id");
        if tombstone.kind == Kind::Group && !links.members.is_empty() {
            let member = |member: &Member| {
                let mut shown = Map::new();
                shown.insert("value".into(), member.id.as_str().into());
                shown.extend(member.display.as_deref().map(|display| ("display".into(), display.into())));
                shown.extend(member.kind.map(|kind| ("type".into(), kind.name().into())));
                Value::Object(shown)
            };
            resource.insert("members".into(), links.members.iter().map(member).collect());
        }
        let mut body = Value::Object(resource);
        relocate(&mut body, OPEN_BASE, base);
        match body {
            Value::Object(body) => Ok(body),
            _ => Ok(Map::new()),
        }
    }

    /// A restore is about to be sent to the origin.
    pub fn begin_restore(&self, tombstone: &Tombstone, now_ms: i64) -> Result<(), SqlError> {
        let text = "UPDATE deleted SET attempted = ? WHERE number = ?";
        self.store.sql.query(text, &[now_ms.into(), tombstone.number.into()])?;
        Ok(())
    }

    /// The origin refused a restore: it has created nothing.
    pub fn end_restore(&self, tombstone: &Tombstone) -> Result<(), SqlError> {
        let text = "UPDATE deleted SET attempted = NULL WHERE number = ?";
        self.store.sql.query(text, &[tombstone.number.into()])?;
        Ok(())
    }

    /// A deleted resource is at the origin again, with this id. Its tombstone keeps the new id and the groups
    /// that still lack the resource. Returns the tombstone's number.
    pub fn mark_restored(
        &self,
        tombstone: &Tombstone,
        links: &Memberships,
        id: &str,
    ) -> Result<i64, SqlError> {
        let number = tombstone.number;
        let group = |(group, display): &(String, Option<String>)| Link {
            way: Way::Group,
            id: group.clone(),
            kind: None,
            display: display.clone(),
        };
        let pending: Vec<Link> = links.groups.iter().map(group).collect();
        self.store.sql.transaction(|| {
            self.store.pass_links_on(links, id)?;
            self.store.sql.query("DELETE FROM deleted_links WHERE number = ?", &[number.into()])?;
            self.store.sql.query(
                "UPDATE deleted SET restored_as = ?, links = '[]', body = '{}', name = '' WHERE number = ?",
                &[id.into(), number.into()],
            )?;
            link_texts(&pending).iter().try_for_each(|text| self.store.add_links(number, text))
        })?;
        Ok(number)
    }

    /// A restore of this resource that is not finished.
    pub fn begun_restore(&self, kind: Kind, id: &str, kept_from: i64) -> Result<Option<Begun>, SqlError> {
        let rows = self.store.sql.query(
            "SELECT number, restored_as FROM deleted d
                WHERE kind = ? AND id = ? AND at >= ? AND restored_as IS NOT NULL
                    AND EXISTS (SELECT 1 FROM deleted_links l WHERE l.number = d.number)
                ORDER BY number DESC LIMIT 1",
            &[crate::store::number(kind).into(), id.into(), kept_from.into()],
        )?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let begun = Begun { number: row.integer()?, id: row.text()? };
        Ok(self.store.get(kind, &begun.id)?.is_some().then_some(begun))
    }

    /// The groups that still lack a restored resource, with its `display` there.
    pub fn pending_groups(&self, tombstone: i64) -> Result<Vec<(String, Option<String>)>, SqlError> {
        let text = "SELECT links FROM deleted_links WHERE number = ? ORDER BY part";
        let mut groups = Vec::new();
        for text in self.store.texts(text, &[tombstone.into()])? {
            groups.extend(parse_links(&text)?.into_iter().map(|link| (link.id, link.display)));
        }
        Ok(groups)
    }

    /// A restored resource has been added to a group, or cannot be.
    pub fn settle_group(&self, tombstone: i64, group: &str) -> Result<(), SqlError> {
        let mut left: Vec<Link> = Vec::new();
        for (id, display) in self.pending_groups(tombstone)?.into_iter().filter(|(id, _)| id != group) {
            left.push(Link { way: Way::Group, id, kind: None, display });
        }
        self.store.sql.transaction(|| {
            self.store.sql.query("DELETE FROM deleted_links WHERE number = ?", &[tombstone.into()])?;
            link_texts(&left).iter().try_for_each(|text| self.store.add_links(tombstone, text))
        })
    }

    /// A restore is finished: a tombstone whose resource has its old id goes.
    pub fn finish_restore(&self, tombstone: i64) -> Result<(), SqlError> {
        let text = "DELETE FROM deleted WHERE kind = (SELECT kind FROM deleted WHERE number = ?1)
            AND id = (SELECT id FROM deleted WHERE number = ?1 AND id = restored_as)";
        self.store.sql.query(text, &[tombstone.into()])?;
        Ok(())
    }
}

impl<S: Sql> Store<S> {
    /// Another user may have the name by now. Groups may share one, unless the account has unique names, or an earlier
    /// restore has perhaps created the group.
    fn check_free(&self, tombstone: &Tombstone, unique_group_names: bool) -> Result<(), Failure> {
        let (attribute, kind): (&str, i64) = match tombstone.kind {
            Kind::User => ("userName", 0),
            Kind::Group if unique_group_names || tombstone.is_attempted => ("displayName", 1),
            Kind::Group => return Ok(()),
        };
        let name = fold(&tombstone.name().unwrap_or_default());
        let text = "SELECT seq FROM resource WHERE name = ? AND kind = ? LIMIT 1";
        if self.integers(text, &[name.as_str().into(), kind.into()])?.is_empty() {
            return Ok(());
        }
        let by =
            if tombstone.is_attempted { ", perhaps since an earlier restore has created it" } else { "" };
        let sentence = format!(
            "{attribute}: another {} has this name by now{by}; rename or delete that one, and restore again",
            tombstone.kind.name()
        );
        Err(Error::new(ScimType::Uniqueness, sentence).into())
    }

    fn memberships(&self, tombstone: &Tombstone) -> Result<Memberships, SqlError> {
        let links: Vec<&Link> = tombstone.links.iter().collect();
        let mut found = Memberships::default();
        for (link, end) in links.iter().zip(self.ends(&links)?) {
            match (link.way, end) {
                (Way::Member, End::Live(kind, id)) => {
                    found.members.push(Member { id, kind: Some(kind), display: link.display.clone() });
                }
                (Way::Group, End::Live(_, id)) => found.groups.push((id, link.display.clone())),
                (way, End::Deleted(number)) => {
                    let other = if way == Way::Member { Way::Group } else { Way::Member };
                    let kind = crate::store::number(tombstone.kind);
                    let kind = if way == Way::Member { link.kind } else { Some(kind) };
                    let display = link.display.clone();
                    found.deleted.push((number, Link { way: other, id: String::new(), kind, display }));
                }
                (_, End::Gone) => found.lost = found.lost.saturating_add(1),
            }
        }
        Ok(found)
    }

    /// Gives the tombstones at the other ends their links to a resource that is there again.
    fn pass_links_on(&self, links: &Memberships, id: &str) -> Result<(), SqlError> {
        for (number, link) in &links.deleted {
            let link = Link { id: id.to_owned(), ..link.clone() };
            link_texts(&[link]).iter().try_for_each(|text| self.add_links(*number, text))?;
        }
        Ok(())
    }

    pub(crate) fn drop_tombstones_of(&self, kind: Kind, id: &str) -> Result<(), SqlError> {
        let text = "SELECT number FROM deleted WHERE kind = ? AND id = ? AND restored_as IS NULL";
        let numbers = self.integers(text, &[crate::store::number(kind).into(), id.into()])?;
        self.drop_tombstones(&numbers)
    }
}

/// The body of a PATCH that adds a member to a group.
pub fn add_member(id: &str, kind: Kind, display: Option<&str>) -> Value {
    let mut member = Map::new();
    member.insert("value".into(), id.into());
    member.extend(display.map(|display| ("display".to_owned(), display.into())));
    member.insert("type".into(), kind.name().into());
    json!({
        "schemas": [scim_edge_scim::patch::SCHEMA],
        "Operations": [{ "op": "add", "path": "members", "value": [member] }],
    })
}
