//! Deleted resources (tombstones), kept for a while so that they can be restored.
//!
//! The transaction that deletes a resource adds one row to `deleted`, with its memberships as links: the members
//! of a group, and the groups that the resource is a member of. Links that do not fit into the row, and links
//! that are found later, are rows of `deleted_links`. There is no index beside the key: a deletion costs one row,
//! and a search reads a bounded number of rows backwards.
//!
//! INVARIANT: restoring every resource, in any order, restores every membership between them. If one end of a
//! membership is restored while the other one is still deleted, the other one's tombstone gets the link.
//!
//! A resource that the origin gave another id when it was restored leaves its tombstone without content
//! (`restored_as`), so that links lead to the new id. `attempted` marks a restore that was sent to the origin.

use crate::Directory;
use crate::replica::STATE;
use crate::sql::{Bind, Row, Sql, SqlError};
use crate::store::{Store, Stored, kind_of, number};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::fold::fold;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The characters of links in one row. A row, the body included, has to stay below SQLite's 2 MB.
const LINK_CHARACTERS: usize = 1 << 18;

/// The longest body, in bytes, that has links in its row.
const BODY_BESIDE_LINKS: usize = 1 << 20;

/// The longest body, in bytes, that fits into a tombstone. Only origins have longer ones, and SQLite's limit is near.
const BODY_BYTES: usize = 1_950_000;

/// The tombstones that one search looks at.
const REACH: i64 = 20_000;

/// The tombstones that are removed at once.
const TRIM: i64 = 500;

/// Where a deletion came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A client deleted it through the gateway.
    Gateway,
    /// A read of the resource showed that the origin has deleted it.
    Origin,
    /// A pass over the origin found that it is gone.
    Reconciliation,
}

/// A deletion: who made it, and whether the resource is kept.
#[derive(Clone, Copy, Debug)]
pub struct Deletion<'a> {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// Where it came from.
    pub source: Source,
    /// The service account or key, if it came through the gateway.
    pub principal: Option<&'a str>,
    /// The request, if it came through the gateway.
    pub request_id: Option<&'a str>,
    /// Whether the resource can be restored.
    pub keep: bool,
}

/// A deleted resource, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    #[serde(skip)]
    pub(crate) number: i64,
    /// `User` or `Group`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// `userName` of a user.
    pub user_name: Option<String>,
    /// `displayName`.
    pub display_name: Option<String>,
    /// `externalId`.
    pub external_id: Option<String>,
    /// When it was deleted, in milliseconds since the epoch.
    pub deleted_at: i64,
    /// Where the deletion came from.
    pub source: String,
    /// The service account or key that deleted it.
    pub principal: Option<String>,
    /// The request that deleted it.
    pub request_id: Option<String>,
}

/// Which deleted resources are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Search<'a> {
    /// Of this type.
    pub kind: Option<Kind>,
    /// With this `userName` or `displayName`, in any case.
    pub name: Option<&'a str>,
    /// With this text in the name, or with this id or `externalId`.
    pub text: Option<&'a str>,
    /// Deleted at or after this time, in milliseconds since the epoch: older ones are not kept.
    pub kept_from: i64,
}

/// Deleted resources, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The resources.
    pub resources: Vec<Deleted>,
    /// Where the next page begins; none at the end.
    pub before: Option<i64>,
}

/// One end of a membership. Names are short: a group has as many as members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    #[serde(rename = "w")]
    pub(crate) way: Way,
    #[serde(rename = "i")]
    pub(crate) id: String,
    /// The type of the member, if it is known.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<i64>,
    /// The member's `display` in the group.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub(crate) display: Option<String>,
}

/// Which end of a membership a link names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// A member of the deleted group.
    #[serde(rename = "m")]
    Member,
    /// A group that the deleted resource was a member of.
    #[serde(rename = "g")]
    Group,
}

/// A tombstone with its content.
#[derive(Clone, Debug)]
pub struct Tombstone {
    pub(crate) number: i64,
    /// The type.
    pub kind: Kind,
    /// The id that it had.
    pub id: String,
    /// The origin it was at, if it was a copy.
    pub origin: Option<String>,
    /// When it was deleted, in milliseconds since the epoch.
    pub deleted_at: i64,
    /// Whether a restore was sent to the origin before.
    pub is_attempted: bool,
    pub(crate) created: i64,
    pub(crate) version: i64,
    pub(crate) body: String,
    pub(crate) links: Vec<Link>,
}

impl Tombstone {
    /// The resource, without `meta`, members and groups.
    pub fn resource(&self) -> Result<Map<String, Value>, SqlError> {
        serde_json::from_str(&self.body).map_err(|_| SqlError::new("a deleted body is not JSON"))
    }

    /// `userName` of a user, `displayName` of a group.
    pub fn name(&self) -> Option<String> {
        let attribute = if self.kind == Kind::User { "userName" } else { "displayName" };
        Some(self.resource().ok()?.get(attribute)?.as_str()?.to_owned())
    }

    /// Whether it was a member of groups.
    pub fn has_groups(&self) -> bool {
        self.links.iter().any(|link| link.way == Way::Group)
    }
}

/// The tombstone of an id.
struct Buried {
    number: i64,
    restored_as: Option<String>,
}

/// Where the other end of a membership is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It exists.
    Live(Kind, String),
    /// It is deleted: the number of its tombstone.
    Deleted(i64),
    /// It is gone for good.
    Gone,
}

impl<S: Sql> Directory<S> {
    /// Deleted resources, the latest first, before one of them. A page may have fewer than `count` although
    /// there are more.
    pub fn deleted_resources(
        &self,
        search: &Search<'_>,
        before: Option<i64>,
        count: usize,
    ) -> Result<Page, SqlError> {
        let before = before.unwrap_or(i64::MAX);
        let name = search.name.map(fold);
        let text = search.text.map(fold);
        let wanted = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = self.store.sql.query(
            "SELECT number, kind, id, body ->> 'userName', body ->> 'displayName', body ->> 'externalId',
                    at, source, principal, request_id
                FROM (SELECT * FROM deleted WHERE number < ?1 ORDER BY number DESC LIMIT ?2) d
                WHERE restored_as IS NULL AND at >= ?3 AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR name = ?5)
                    AND (?6 IS NULL OR instr(name, ?6) > 0 OR id = ?7 OR body ->> 'externalId' = ?7)
                    AND NOT EXISTS (SELECT 1 FROM resource r WHERE r.id = d.id AND r.kind = d.kind)
                ORDER BY number DESC LIMIT ?8",
            &[
                before.into(),
                REACH.into(),
                search.kept_from.into(),
                search.kind.map(number).into(),
                name.as_deref().into(),
                text.as_deref().into(),
                search.text.into(),
                wanted.into(),
            ],
        )?;
        let resources = rows.into_iter().map(deleted).collect::<Result<Vec<_>, _>>()?;
        let reached = match resources.last() {
            Some(last) if resources.len() >= count => Some(last.number),
            _ => {
                let text =
                    "SELECT number FROM deleted WHERE number < ? ORDER BY number DESC LIMIT 1 OFFSET ?";
                let rows = self.store.sql.query(text, &[before.into(), REACH.saturating_sub(1).into()])?;
                rows.into_iter().next().map(|mut row| row.integer()).transpose()?
            }
        };
        let has_older = |number: i64| {
            let text = "SELECT 1 FROM deleted WHERE number < ? AND at >= ? LIMIT 1";
            self.store.sql.query(text, &[number.into(), search.kept_from.into()]).map(|rows| !rows.is_empty())
        };
        let before = match reached {
            Some(number) if has_older(number)? => Some(number),
            _ => None,
        };
        Ok(Page { resources, before })
    }

    /// The newest deletion of a resource, as lists show it, whether or not it exists again.
    pub fn last_deletion(&self, kind: Kind, id: &str, kept_from: i64) -> Result<Option<Deleted>, SqlError> {
        let rows = self.store.sql.query(
            "SELECT number, kind, id, body ->> 'userName', body ->> 'displayName', body ->> 'externalId',
                    at, source, principal, request_id
                FROM deleted WHERE kind = ? AND id = ? AND at >= ? AND restored_as IS NULL
                ORDER BY number DESC LIMIT 1",
            &[number(kind).into(), id.into(), kept_from.into()],
        )?;
        rows.into_iter().next().map(deleted).transpose()
    }

    /// The newest tombstone of a resource that was deleted at or after a time and not restored.
    pub fn tombstone(&self, kind: Kind, id: &str, kept_from: i64) -> Result<Option<Tombstone>, SqlError> {
        self.store.tombstone(kind, id, kept_from)
    }

    /// Removes tombstones that are older than a time.
    pub fn trim_deleted(&self, before_ms: i64) -> Result<(), SqlError> {
        let sql = &self.store.sql;
        let text = "SELECT number FROM (SELECT number, at FROM deleted ORDER BY number LIMIT ?) WHERE at < ?";
        // The rest waits for the next time.
        for _ in 0..20 {
            let old = self.store.integers(text, &[TRIM.into(), before_ms.into()])?;
            if old.is_empty() {
                break;
            }
            sql.transaction(|| self.store.drop_tombstones(&old))?;
        }
        Ok(())
    }
}

impl<S: Sql> Store<S> {
    /// Adds the tombstone of a resource that is about to be deleted.
    pub(crate) fn keep_deleted(&self, stored: &Stored, deletion: &Deletion<'_>) -> Result<(), SqlError> {
        if stored.body.len() > BODY_BYTES {
            return Ok(());
        }
        let mut parts = self.links_of(stored)?.into_iter();
        let first = if stored.body.len() > BODY_BESIDE_LINKS { None } else { parts.next() };
        let first = first.unwrap_or_else(|| "[]".to_owned());
        let source = json!(deletion.source);
        let numbers = self.integers(
            "INSERT INTO deleted (kind, id, name, created, version, at, source, principal, request_id, origin,
                    links, body)
                SELECT kind, id, name, created, version, ?2, ?3, ?4, ?5,
                    (SELECT json_extract(value, '$.origin') FROM state WHERE name = ?6), ?7, body
                FROM resource WHERE seq = ?1 RETURNING number",
            &[
                stored.seq.into(),
                deletion.at.into(),
                source.as_str().unwrap_or_default().into(),
                deletion.principal.into(),
                deletion.request_id.into(),
                STATE.into(),
                first.as_str().into(),
            ],
        )?;
        let tombstone = numbers.first().copied().unwrap_or(0);
        parts.try_for_each(|part| self.add_links(tombstone, &part))
    }

    /// The memberships of a resource, in texts that fit into a row each.
    fn links_of(&self, stored: &Stored) -> Result<Vec<String>, SqlError> {
        let mut links: Vec<Link> = Vec::new();
        if stored.kind == Kind::Group {
            links.extend(self.members(stored.seq)?.into_iter().map(|member| Link {
                way: Way::Member,
                id: member.id,
                kind: member.kind.map(number),
                display: member.display,
            }));
        }
        let other = number(if stored.kind == Kind::User { Kind::Group } else { Kind::User });
        let rows = self.sql.query(
            "SELECT r.id, m.kind, m.display FROM member m JOIN resource r ON r.seq = m.group_seq
                WHERE m.member_id = ? AND m.kind IS NOT ? ORDER BY r.seq",
            &[stored.id.as_str().into(), other.into()],
        )?;
        for mut row in rows {
            let (id, kind, display) = (row.text()?, row.maybe_integer()?, row.maybe_text()?);
            links.push(Link { way: Way::Group, id, kind, display });
        }
        Ok(link_texts(&links))
    }

    pub(crate) fn add_links(&self, tombstone: i64, links: &str) -> Result<(), SqlError> {
        self.sql.query(
            "INSERT INTO deleted_links (number, part, links)
                SELECT ?1, coalesce(max(part), 0) + 1, ?2 FROM deleted_links WHERE number = ?1",
            &[tombstone.into(), links.into()],
        )?;
        Ok(())
    }

    pub(crate) fn drop_tombstones(&self, numbers: &[i64]) -> Result<(), SqlError> {
        let list = json!(numbers).to_string();
        let list = Bind::from(list.as_str());
        let text = "DELETE FROM deleted_links WHERE number IN (SELECT value FROM json_each(?))";
        self.sql.query(text, &[list])?;
        self.sql.query("DELETE FROM deleted WHERE number IN (SELECT value FROM json_each(?))", &[list])?;
        Ok(())
    }

    pub(crate) fn tombstone(
        &self,
        kind: Kind,
        id: &str,
        kept_from: i64,
    ) -> Result<Option<Tombstone>, SqlError> {
        let rows = self.sql.query(
            "SELECT number, origin, at, attempted, created, version, body, links FROM deleted
                WHERE kind = ? AND id = ? AND at >= ? AND restored_as IS NULL ORDER BY number DESC LIMIT 1",
            &[number(kind).into(), id.into(), kept_from.into()],
        )?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let mut tombstone = Tombstone {
            number: row.integer()?,
            kind,
            id: id.to_owned(),
            origin: row.maybe_text()?,
            deleted_at: row.integer()?,
            is_attempted: row.maybe_integer()?.is_some(),
            created: row.integer()?,
            version: row.integer()?,
            body: row.text()?,
            links: parse_links(&row.text()?)?,
        };
        let text = "SELECT links FROM deleted_links WHERE number = ? ORDER BY part";
        for part in self.texts(text, &[tombstone.number.into()])? {
            tombstone.links.extend(parse_links(&part)?);
        }
        Ok(Some(tombstone))
    }

    /// Where the other ends of some links are, in their order.
    pub(crate) fn ends(&self, links: &[&Link]) -> Result<Vec<End>, SqlError> {
        let ids: Vec<&str> = links.iter().map(|link| link.id.as_str()).collect();
        let buried = self.buried(&ids)?;
        let moved = buried.values().filter_map(|tombstone| tombstone.restored_as.as_deref());
        let all: Vec<&str> = ids.iter().copied().chain(moved).collect();
        let text = "SELECT kind, id FROM resource WHERE id IN (SELECT value FROM json_each(?))";
        let rows = self.sql.query(text, &[json!(all).to_string().as_str().into()])?;
        let mut live: HashMap<String, Vec<i64>> = HashMap::new();
        for mut row in rows {
            let kind = row.integer()?;
            live.entry(row.text()?).or_default().push(kind);
        }
        let end = |link: &&Link| {
            let wanted = |kind: i64| match link.way {
                Way::Group => kind == number(Kind::Group),
                Way::Member => link.kind.is_none_or(|known| known == kind),
            };
            let found = |id: &str| {
                let kind = live.get(id)?.iter().copied().find(|kind| wanted(*kind))?;
                Some(End::Live(kind_of(kind), id.to_owned()))
            };
            if let Some(end) = found(&link.id) {
                return end;
            }
            let mut tombstones = [0, 1]
                .into_iter()
                .filter(|kind| wanted(*kind))
                .filter_map(|kind| buried.get(&(kind, link.id.clone())));
            match tombstones.next() {
                Some(Buried { restored_as: Some(moved), .. }) => found(moved).unwrap_or(End::Gone),
                Some(Buried { number, .. }) => End::Deleted(*number),
                None => End::Gone,
            }
        };
        Ok(links.iter().map(end).collect())
    }

    /// The newest tombstones of some ids: their numbers, and the ids that they were restored as.
    fn buried(&self, ids: &[&str]) -> Result<HashMap<(i64, String), Buried>, SqlError> {
        let text = "SELECT kind, id, number, restored_as FROM deleted
            WHERE id IN (SELECT value FROM json_each(?)) ORDER BY number";
        let rows = self.sql.query(text, &[json!(ids).to_string().as_str().into()])?;
        let tombstone = |mut row: Row| {
            let key = (row.integer()?, row.text()?);
            Ok((key, Buried { number: row.integer()?, restored_as: row.maybe_text()? }))
        };
        rows.into_iter().map(tombstone).collect()
    }
}

/// Links as texts that fit into a row each.
pub(crate) fn link_texts(links: &[Link]) -> Vec<String> {
    let mut texts = Vec::new();
    let mut text = String::new();
    for link in links {
        let one = json!(link).to_string();
        if !text.is_empty() && text.len().saturating_add(one.len()) > LINK_CHARACTERS {
            text.push(']');
            texts.push(std::mem::take(&mut text));
        }
        text.push(if text.is_empty() { '[' } else { ',' });
        text.push_str(&one);
    }
    if !text.is_empty() {
        text.push(']');
        texts.push(text);
    }
    texts
}

pub(crate) fn parse_links(text: &str) -> Result<Vec<Link>, SqlError> {
    serde_json::from_str(text).map_err(|_| SqlError::new("the links of a deleted resource are not readable"))
}

fn deleted(mut row: Row) -> Result<Deleted, SqlError> {
    Ok(Deleted {
        number: row.integer()?,
        kind: kind_of(row.integer()?).name().to_owned(),
        id: row.text()?,
        user_name: row.maybe_text()?,
        display_name: row.maybe_text()?,
        external_id: row.maybe_text()?,
        deleted_at: row.integer()?,
        source: row.text()?,
        principal: row.maybe_text()?,
        request_id: row.maybe_text()?,
    })
}
