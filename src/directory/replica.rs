//! The same tables as a copy of an origin's directory.
//!
//! The origin's resources are kept as it shows them; the base of its references is left open, since the
//! gateway is asked under more than one name. Its `meta` is kept whole, so
//! that versions and times are the origin's. Members and groups are kept in the tables of their own and
//! may name what is not here (yet).
//!
//! Before a write leaves for the origin an [`Intent`] is stored. It goes when the outcome is known and
//! the copy is right again; one that stays means that the resource may have changed.

use crate::Directory;
use crate::capabilities::Capabilities;
use crate::circuit::Circuit;
use crate::render::{OPEN_BASE, opaque, own_version, without_groups};
use crate::sql::{Bind, Row, Sql, SqlError};
use crate::store::{Content, Member, number};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::Error;
use scim_edge_scim::patch::Patch;
use scim_edge_scim::project::Projection;
use scim_edge_scim::query::Query;
use scim_edge_scim::relocate::relocate;
use scim_edge_scim::validate::Reader;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a copy is of, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The origin's SCIM base.
    pub origin: String,
    /// Where the first fill goes on; none once it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filling: Option<Position>,
    /// When the first fill was begun, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filling_since: Option<i64>,
    /// When the copy was last known to be whole, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_at: Option<i64>,
    /// Consecutive failures to read the origin.
    #[serde(default)]
    pub failures: u32,
    /// What the origin says it can do; none where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Whether the origin's lists have been seen to show members of groups.
    #[serde(default)]
    pub lists_members: bool,
    /// Whether the origin was given members that its reads do not show.
    #[serde(default)]
    pub hides_members: bool,
}

/// A place in the origin's lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// `User` or `Group`.
    pub kind: String,
    /// The 1-based index of the next resource.
    pub start: i64,
    /// Where an origin that pages by cursor goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The resource before it, which the next page has to begin with: else something moved between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

impl Position {
    /// The first resource of a kind.
    pub fn first(kind: Kind) -> Self {
        Self { kind: kind.name().to_owned(), start: 1, cursor: None, last: None }
    }
}

impl State {
    /// A copy that is to be begun.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            filling: Some(Position::first(Kind::User)),
            filling_since: None,
            synced_at: None,
            failures: 0,
            capabilities: None,
            lists_members: false,
            hides_members: false,
        }
    }
}

/// A write on its way to the origin, or one whose outcome nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its number.
    pub number: i64,
    /// The type of the resource.
    pub kind: Kind,
    /// The resource; none for one that was to be created.
    pub id: Option<String>,
    /// When it was begun or, where the outcome is unknown, when that was found out, in milliseconds since
    /// the epoch.
    pub at: i64,
    /// Whether the outcome is unknown.
    pub unknown: bool,
}

const STATE: &str = "replica";
const CONFIGURATION: &str = "configuration";
const CIRCUIT: &str = "circuit";

impl<S: Sql> Directory<S> {
    /// What the copy is of; none for a system of record.
    pub fn replica(&self) -> Result<Option<State>, SqlError> {
        Ok(self.store.state(STATE)?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Stores how far the copy has come.
    pub fn set_replica(&self, state: &State) -> Result<(), SqlError> {
        let text = serde_json::to_string(state).map_err(|error| SqlError::new(error.to_string()))?;
        self.store.set_state(STATE, &text)
    }

    /// The directory is a system of record from now on, with what it holds.
    pub fn end_replica(&self) -> Result<(), SqlError> {
        self.store.sql.query("DELETE FROM state WHERE name = ?", &[STATE.into()])?;
        self.store.sql.query("DELETE FROM intent", &[])?;
        // What is stored may have attributes of them.
        self.store.sql.query("UPDATE extension SET learned = 0", &[])?;
        Ok(())
    }

    /// What the host last told the directory to work by: a text of the host's own.
    pub fn configuration(&self) -> Result<Option<String>, SqlError> {
        self.store.state(CONFIGURATION)
    }

    /// Stores what to work by.
    pub fn set_configuration(&self, text: &str) -> Result<(), SqlError> {
        self.store.set_state(CONFIGURATION, text)
    }

    /// What is known of an origin's health.
    pub fn circuit(&self, origin: &str) -> Result<Circuit, SqlError> {
        let stored = self.store.state(CIRCUIT)?.and_then(|text| serde_json::from_str::<Circuit>(&text).ok());
        Ok(stored.filter(|circuit| circuit.origin == origin).unwrap_or_else(|| Circuit::new(origin)))
    }

    /// Stores what is known of an origin's health.
    pub fn set_circuit(&self, circuit: &Circuit) -> Result<(), SqlError> {
        let text = serde_json::to_string(circuit).map_err(|error| SqlError::new(error.to_string()))?;
        self.store.set_state(CIRCUIT, &text)
    }

    /// Empties the directory and begins a copy of an origin.
    pub fn begin_replica(&self, origin: &str) -> Result<State, SqlError> {
        let state = State::new(origin);
        self.store.sql.transaction(|| {
            for text in [
                "DELETE FROM member",
                "DELETE FROM email",
                "DELETE FROM resource",
                "DELETE FROM intent",
                "DELETE FROM extension WHERE learned = 1",
            ] {
                self.store.sql.query(text, &[])?;
            }
            self.store.sql.query("UPDATE tally SET count = 0", &[])?;
            self.set_replica(&state)
        })?;
        self.reload_schemas()?;
        Ok(state)
    }

    /// Takes over a resource as the origin shows it (below `base`). Returns its id; none where the
    /// origin's answer is no resource.
    pub fn absorb(
        &self,
        kind: Kind,
        shown: &Value,
        base: &str,
        now_ms: i64,
    ) -> Result<Option<String>, SqlError> {
        let Some(mut resource) = shown.as_object().cloned() else { return Ok(None) };
        let Some(id) =
            resource.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned)
        else {
            return Ok(None);
        };
        let meta = match resource.shift_remove("meta") {
            Some(Value::Object(mut meta)) => {
                meta.shift_remove("location");
                meta.insert("resourceType".into(), kind.name().into());
                Value::Object(meta).to_string()
            }
            _ => Value::Object(Map::from_iter([("resourceType".to_owned(), Value::from(kind.name()))]))
                .to_string(),
        };
        let members = resource.shift_remove("members");
        resource.shift_remove("groups");
        let mut body = Value::Object(resource);
        relocate(&mut body, base, OPEN_BASE);
        let Value::Object(body) = body else { return Ok(None) };
        let content = Content { resource: &body, origin_meta: Some(&meta) };
        self.store.sql.transaction(|| {
            let seq = match self.store.get(kind, &id)? {
                Some(old) => {
                    if old.resource()? != body || old.origin_meta.as_deref() != Some(&meta) {
                        self.store.update(&old, &content, now_ms)?;
                    }
                    old.seq
                }
                None => self.store.insert(kind, &content, now_ms)?,
            };
            if kind == Kind::Group {
                self.absorb_members(seq, members.as_ref(), now_ms)?;
            }
            Ok::<(), SqlError>(())
        })?;
        Ok(Some(id))
    }

    fn absorb_members(&self, seq: i64, shown: Option<&Value>, now_ms: i64) -> Result<(), SqlError> {
        let shown = shown.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let members: Vec<Member> = shown.iter().filter_map(member).collect();
        let wanted: std::collections::HashSet<&str> =
            members.iter().map(|member| member.id.as_str()).collect();
        let before = self.store.members(seq)?;
        let gone: Vec<String> = before
            .iter()
            .filter(|member| !wanted.contains(member.id.as_str()))
            .map(|member| member.id.clone())
            .collect();
        let removed = self.store.remove_members(seq, &gone)?;
        let present: std::collections::HashSet<&str> =
            before.iter().map(|member| member.id.as_str()).collect();
        let new: Vec<Member> =
            members.iter().filter(|member| !present.contains(member.id.as_str())).cloned().collect();
        if self.store.add_members(seq, &new)? || removed {
            self.store.touch(seq, now_ms)?;
        }
        Ok(())
    }

    /// The origin has this resource no longer.
    pub fn forget(&self, kind: Kind, id: &str, now_ms: i64) -> Result<(), SqlError> {
        let stored = self.store.get(kind, id)?;
        self.store.sql.transaction(|| match &stored {
            Some(stored) => self.store.delete(stored, now_ms),
            // Groups may name what is not here.
            None => self.store.leave_groups(kind, id, now_ms),
        })
    }

    /// The version that the origin gave a resource, as an ETag; none where it gives none.
    pub fn origin_version(&self, kind: Kind, id: &str) -> Result<Option<String>, SqlError> {
        let stored = self.store.get(kind, id)?;
        Ok(stored
            .filter(|stored| stored.origin_meta.as_deref().is_some_and(|meta| meta.contains("\"version\"")))
            .map(|stored| format!("W/\"{}\"", own_version(&stored))))
    }

    /// A resource as it is after a PATCH, for an origin that only takes whole ones: `shown` is what the
    /// origin shows now. Without what a client cannot set.
    pub fn patched(
        &self,
        kind: Kind,
        shown: &Map<String, Value>,
        body: &Map<String, Value>,
        dialect: Dialect,
    ) -> Result<Map<String, Value>, Error> {
        let schemas = self.schemas();
        let reader = Reader { schemas: &schemas, kind, dialect };
        Ok(without_read_only(Patch::parse(body, dialect)?.apply(&reader, shown)?))
    }

    /// How many members the copy of a group has.
    pub fn member_count(&self, id: &str) -> Result<i64, SqlError> {
        let text =
            "SELECT count(*) FROM member JOIN resource ON seq = group_seq WHERE id = ? AND resource.kind = 1";
        let rows = self.store.sql.query(text, &[id.into()])?;
        rows.into_iter().next().map_or(Ok(0), |mut row| row.integer())
    }

    /// Whether the answer to a query (its raw text) may show an attribute, or depends on it.
    pub fn concerns(&self, query: &str, dialect: Dialect, attribute: &str) -> bool {
        let Ok(query) = Query::parse(query) else { return true };
        let schemas = self.schemas();
        let get = |name: &str| query.get(name).unwrap_or_default().to_owned();
        let (only, without) = (get("attributes"), get("excludedAttributes"));
        let shows = Projection::new(only.split(','), without.split(','), &schemas, dialect)
            .map_or(true, |shown| shown.wants(attribute));
        let asks = ["filter", "sortBy"].iter().any(|name| get(name).to_ascii_lowercase().contains(attribute));
        shows || asks
    }

    /// Whether the copy has a resource.
    pub fn has(&self, kind: Kind, id: &str) -> Result<bool, SqlError> {
        Ok(self.store.get(kind, id)?.is_some())
    }

    /// How many resources there are.
    pub fn count(&self, kind: Kind) -> Result<i64, SqlError> {
        self.store.count(kind)
    }

    /// The ids of a kind, in batches: those behind `after` (0 at first), with the place to go on from.
    pub fn ids(&self, kind: Kind, after: i64, count: i64) -> Result<Vec<(i64, String)>, SqlError> {
        let text = "SELECT seq, id FROM resource WHERE kind = ? AND seq > ? ORDER BY seq LIMIT ?";
        let rows = self.store.sql.query(text, &[number(kind).into(), after.into(), count.into()])?;
        rows.into_iter().map(|mut row| Ok((row.integer()?, row.text()?))).collect()
    }

    /// Stores that a write is about to leave.
    pub fn begin(&self, kind: Kind, id: Option<&str>, method: &str, now_ms: i64) -> Result<i64, SqlError> {
        let rows = self.store.sql.query(
            "INSERT INTO intent (kind, id, method, at, unknown) VALUES (?, ?, ?, ?, 0) RETURNING number",
            &[number(kind).into(), Bind::from(id), method.into(), now_ms.into()],
        )?;
        rows.into_iter().next().ok_or_else(|| SqlError::new("nothing was inserted"))?.integer()
    }

    /// The outcome is known and the copy is right.
    pub fn settle(&self, intent: i64) -> Result<(), SqlError> {
        self.store.sql.query("DELETE FROM intent WHERE number = ?", &[intent.into()])?;
        Ok(())
    }

    /// Nobody knows the outcome.
    pub fn mark_unknown(&self, intent: i64, now_ms: i64) -> Result<(), SqlError> {
        self.store.sql.query(
            "UPDATE intent SET unknown = 1, at = ? WHERE number = ?",
            &[now_ms.into(), intent.into()],
        )?;
        Ok(())
    }

    /// Writes that were on their way when the object stopped: nobody knows their outcome.
    pub fn mark_interrupted(&self, now_ms: i64) -> Result<(), SqlError> {
        self.store.sql.query("UPDATE intent SET unknown = 1, at = ? WHERE unknown = 0", &[now_ms.into()])?;
        Ok(())
    }

    /// Whether something may have been created that the copy does not know of.
    pub fn has_unknown_creations(&self) -> Result<bool, SqlError> {
        let text = "SELECT 1 FROM intent WHERE unknown = 1 AND id IS NULL LIMIT 1";
        Ok(!self.store.sql.query(text, &[])?.is_empty())
    }

    /// The writes of unknown outcome, oldest first.
    pub fn unknown(&self) -> Result<Vec<Intent>, SqlError> {
        let text =
            "SELECT number, kind, id, at, unknown FROM intent WHERE unknown = 1 ORDER BY number LIMIT 1000";
        let intent = |mut row: Row| {
            let number = row.integer()?;
            let kind = if row.integer()? == 0 { Kind::User } else { Kind::Group };
            Ok(Intent {
                number,
                kind,
                id: row.maybe_text()?,
                at: row.integer()?,
                unknown: row.integer()? == 1,
            })
        };
        self.store.sql.query(text, &[])?.into_iter().map(intent).collect()
    }
}

/// A member as the origin shows it.
fn member(shown: &Value) -> Option<Member> {
    let text = |name: &str| shown.get(name).and_then(Value::as_str).map(str::to_owned);
    let id = match shown {
        Value::String(id) => id.clone(),
        _ => text("value")?,
    };
    let kind = match text("type").as_deref() {
        Some("User") => Some(Kind::User),
        Some("Group") => Some(Kind::Group),
        _ => None,
    };
    (!id.is_empty()).then(|| Member { id, kind, display: text("display") })
}

/// `If-Match` as the origin understands it: without the signs of groups that the gateway adds.
pub fn origin_tags(header: &str) -> String {
    let tag = |tag: &str| {
        let tag = tag.trim();
        if tag == "*" {
            return tag.to_owned();
        }
        let weak = if tag.starts_with("W/") { "W/" } else { "" };
        format!("{weak}\"{}\"", without_groups(opaque(tag)))
    };
    header.split(',').map(tag).collect::<Vec<_>>().join(", ")
}

/// A resource without what only the server sets.
pub fn without_read_only(mut resource: Map<String, Value>) -> Map<String, Value> {
    resource.retain(|name, _| !["meta", "groups"].iter().any(|own| name.eq_ignore_ascii_case(own)));
    resource
}

/// Whether an `If-Match` names a version of the origin's.
pub fn names_version(header: &str, version: &str) -> bool {
    let own = without_groups(opaque(version));
    header.trim() == "*" || header.split(',').any(|tag| without_groups(opaque(tag)) == own)
}
