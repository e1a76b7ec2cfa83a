//! The same tables as a copy of an origin's directory.
//!
//! The origin's resources are kept as it shows them; the base of its references is left open, since the
//! gateway is asked under more than one name. Its `meta` is kept whole, so
//! that versions and times are the origin's. Members and groups are kept in the tables of their own and
//! may name what is not here (yet).

use crate::Directory;
use crate::backoff::Failure;
use crate::capabilities::Capabilities;
use crate::circuit::Circuit;
use crate::deleted::Deletion;
use crate::pass::{Check, Pass, Purpose, modified};
use crate::position::Position;
use crate::render::{OPEN_BASE, opaque, own_version, without_groups};
use crate::sql::{Sql, SqlError};
use crate::store::{Content, Member, Stored, number};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::Error;
use scim_edge_scim::identifier::is_path_segment;
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
    /// When the first fill began, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill_began: Option<i64>,
    /// How many users and groups the origin counted when the first fill began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill_total: Option<i64>,
    /// The pass under way, once the first fill is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Pass>,
    /// The pass that an operator asked for, until the alarm takes it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<Purpose>,
    /// The pass that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Purpose>,
    /// When the last pass over everything began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_at: Option<i64>,
    /// Whether the origin finds changes by time; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters_times: Option<bool>,
    /// When an origin that has refused such filters is tried again, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters_again_at: Option<i64>,
    /// How often in a row a fill or pass was begun again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts: u32,
    /// Why the origin could not be read, until it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Failure>,
    /// What the last check found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check: Option<Check>,
    /// Why the origin is not believed, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspicion: Option<Suspicion>,
}

/// The origin shows so much less than the copy has that the brake keeps the copy as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspicion {
    /// Since when, in milliseconds since the epoch.
    pub since: i64,
    /// When the origin is asked again.
    pub again_at: i64,
    /// Users that the origin does not show.
    pub users: Missing,
    /// Groups that the origin does not show.
    pub groups: Missing,
}

/// How many resources of a type the origin does not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// These would be removed from the copy.
    pub would_remove: i64,
    /// The resources of the copy.
    pub of: i64,
}

impl Suspicion {
    /// The numbers of a type.
    pub fn of(&mut self, kind: Kind) -> &mut Missing {
        match kind {
            Kind::User => &mut self.users,
            Kind::Group => &mut self.groups,
        }
    }

    /// How many resources would be removed in all.
    pub fn would_remove(&self) -> i64 {
        self.users.would_remove.saturating_add(self.groups.would_remove)
    }
}

impl State {
    /// A copy that is to be begun.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            filling: Some(Position::first(Kind::User)),
            synced_at: None,
            failures: 0,
            capabilities: None,
            lists_members: false,
            hides_members: false,
            fill_began: None,
            fill_total: None,
            pass: None,
            ordered: None,
            wanted: None,
            whole_at: None,
            filters_times: None,
            filters_again_at: None,
            restarts: 0,
            last_error: None,
            last_check: None,
            suspicion: None,
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

pub(crate) const STATE: &str = "replica";
const CONFIGURATION: &str = "configuration";
pub(crate) const CIRCUIT: &str = "circuit";

impl<S: Sql> Directory<S> {
    /// What the copy is of; none for a system of record.
    pub fn replica(&self) -> Result<Option<State>, SqlError> {
        let read = || Ok(self.store.state(STATE)?.and_then(|text| serde_json::from_str(&text).ok()));
        self.replica.get(self.store.sql.writes(), read)
    }

    /// Stores how far the copy has come.
    pub fn set_replica(&self, state: &State) -> Result<(), SqlError> {
        let text = serde_json::to_string(state).map_err(|error| SqlError::new(error.to_string()))?;
        self.store.set_state(STATE, &text)
    }

    /// The directory is a system of record from now on, with what it holds.
    pub fn end_replica(&self) -> Result<(), SqlError> {
        self.store.forget_state(STATE)?;
        self.store.sql.query("DELETE FROM intent", &[])?;
        // What is stored may have attributes of them.
        self.store.sql.query("UPDATE extension SET learned = 0", &[])?;
        self.rebuild_unique()
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

    /// Empties the directory and begins a copy of an origin. What is not known of writes stays unknown: it may
    /// be the same origin at another address.
    pub fn begin_replica(&self, origin: &str) -> Result<State, SqlError> {
        let state = State::new(origin);
        self.store.sql.transaction(|| {
            self.clear()?;
            self.store.sql.query("DELETE FROM seen", &[])?;
            self.store.sql.query("DELETE FROM extension WHERE learned = 1", &[])?;
            self.set_replica(&state)
        })?;
        self.reload_schemas()?;
        Ok(state)
    }

    /// Empties the directory for a fill that begins: what came before may be gone from the origin, which no
    /// page would show.
    pub fn begin_fill(&self) -> Result<(), SqlError> {
        self.store.sql.transaction(|| {
            self.forget_set_aside()?;
            self.clear()
        })
    }

    pub(crate) fn clear(&self) -> Result<(), SqlError> {
        // Copies of these tables begin anew, rather than take each row away.
        self.end_log()?;
        // INVARIANT: a cursor never meets another resource with a number that it holds.
        self.store.set_generation(self.store.generation()?.saturating_add(1))?;
        for text in [
            "DELETE FROM member",
            "DELETE FROM email",
            "DELETE FROM unique_value",
            "DELETE FROM resource",
            "UPDATE tally SET count = 0",
        ] {
            self.store.sql.query(text, &[])?;
        }
        Ok(())
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
        let Some(found) = Shown::of(kind, shown, base) else { return Ok(None) };
        let content = Content { resource: &found.body, origin_meta: Some(&found.meta) };
        self.store.sql.transaction(|| {
            let seq = match self.store.get(kind, &found.id)? {
                Some(old) => {
                    if !found.is_stored(&old)? {
                        self.store.update(&old, &content, now_ms)?;
                    }
                    old.seq
                }
                None => self.store.insert(kind, &content, now_ms)?,
            };
            if kind == Kind::Group {
                self.absorb_members(seq, &found.members, now_ms)?;
            }
            Ok::<(), SqlError>(())
        })?;
        Ok(Some(found.id))
    }

    /// How a resource that the origin shows compares with the copy's; none where it is no resource.
    pub fn compare(&self, kind: Kind, shown: &Value, base: &str) -> Result<Option<Comparison>, SqlError> {
        let Some(mut found) = Shown::of(kind, shown, base) else { return Ok(None) };
        let Some(stored) = self.store.get(kind, &found.id)? else { return Ok(Some(Comparison::Missing)) };
        let mut same = found.is_stored(&stored)?;
        if same && kind == Kind::Group {
            let mut members = self.store.members(stored.seq)?;
            for list in [&mut members, &mut found.members] {
                list.sort_by(|a, b| a.id.cmp(&b.id));
                list.dedup_by(|a, b| a.id == b.id);
            }
            // What kind a member is the copy may know better than the origin tells.
            same = members.iter().map(|member| &member.id).eq(found.members.iter().map(|member| &member.id));
        }
        Ok(Some(if same { Comparison::Same } else { Comparison::Different }))
    }

    /// Forgets which resources a pass has seen.
    pub fn begin_pass(&self) -> Result<(), SqlError> {
        self.store.sql.query("DELETE FROM seen", &[])?;
        Ok(())
    }

    /// Stores which resources a page showed.
    pub fn mark_seen(&self, page: i64, kind: Kind, ids: &[String]) -> Result<(), SqlError> {
        let text = "INSERT INTO seen (page, seqs)
            SELECT ?1, json_group_array(seq) FROM resource
                WHERE kind = ?2 AND id IN (SELECT value FROM json_each(?3))
            ON CONFLICT (page) DO UPDATE SET seqs = excluded.seqs";
        let ids = serde_json::json!(ids).to_string();
        self.store.sql.query(text, &[page.into(), number(kind).into(), ids.as_str().into()])?;
        Ok(())
    }

    /// Resources that no page of the pass has shown.
    pub fn unseen(&self, kind: Kind, count: i64) -> Result<Vec<String>, SqlError> {
        let text = "SELECT id FROM resource WHERE kind = ?
            AND seq NOT IN (SELECT j.value FROM seen, json_each(seen.seqs) j) ORDER BY seq LIMIT ?";
        let rows = self.store.sql.query(text, &[number(kind).into(), count.into()])?;
        rows.into_iter().map(|mut row| row.text()).collect()
    }

    /// How many resources no page of the pass has shown.
    pub fn count_unseen(&self, kind: Kind) -> Result<i64, SqlError> {
        let text = "SELECT count(*) FROM resource WHERE kind = ?
            AND seq NOT IN (SELECT j.value FROM seen, json_each(seen.seqs) j)";
        Ok(self.store.integers(text, &[number(kind).into()])?.first().copied().unwrap_or(0))
    }

    /// How many resources were asked for and are not at the origin: those on pages with negative numbers.
    pub fn count_gone(&self, kind: Kind) -> Result<i64, SqlError> {
        let text =
            "SELECT count(DISTINCT seq) FROM seen, json_each(seen.seqs) j JOIN resource ON seq = j.value
            WHERE page < 0 AND kind = ?";
        Ok(self.store.integers(text, &[number(kind).into()])?.first().copied().unwrap_or(0))
    }

    /// Forgets which resources were found to be gone: they are asked for again.
    pub fn forget_gone(&self) -> Result<(), SqlError> {
        self.store.sql.query("DELETE FROM seen WHERE page < 0", &[])?;
        Ok(())
    }

    fn absorb_members(&self, seq: i64, members: &[Member], now_ms: i64) -> Result<(), SqlError> {
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
    pub fn forget(&self, kind: Kind, id: &str, deletion: &Deletion<'_>) -> Result<(), SqlError> {
        let stored = self.store.get(kind, id)?;
        self.store.sql.transaction(|| match &stored {
            Some(stored) => self.store.delete(stored, deletion),
            // Groups may name what is not here.
            None => self.store.leave_groups(kind, id, deletion.at),
        })
    }

    /// The version that the origin gave a resource, as an ETag; none where it gives none.
    pub fn origin_version(&self, kind: Kind, id: &str) -> Result<Option<String>, SqlError> {
        let stored = self.store.get(kind, id)?;
        Ok(stored
            .filter(|stored| stored.origin_meta.as_deref().is_some_and(|meta| meta.contains("\"version\"")))
            .map(|stored| format!("W/\"{}\"", own_version(&stored))))
    }

    /// When the origin last modified a resource, as the copy has it, in milliseconds since the epoch.
    pub fn origin_modified(&self, kind: Kind, id: &str) -> Result<Option<i64>, SqlError> {
        let stored = self.store.get(kind, id)?;
        let meta =
            stored.and_then(|stored| serde_json::from_str::<Value>(stored.origin_meta.as_deref()?).ok());
        Ok(meta.and_then(|meta| modified(&serde_json::json!({ "meta": meta }))))
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
        let patch = Patch::parse(body, dialect)?;
        let mut new = match patch.member_plan(&reader) {
            Some(plan) => {
                plan.check()?;
                let mut rest = shown.clone();
                let before = match rest.shift_remove("members") {
                    Some(Value::Array(members)) => members,
                    _ => Vec::new(),
                };
                let mut new = plan.rest.apply(&reader, &rest)?;
                let members = plan.change(before);
                if !members.is_empty() {
                    new.insert("members".into(), Value::Array(members));
                }
                without_read_only(new)
            }
            None => without_read_only(patch.apply(&reader, shown)?),
        };
        patch.add_unreadable(&reader, &mut new);
        Ok(new)
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
}

/// How a resource of the origin's compares with the copy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Comparison {
    Same,
    Different,
    Missing,
}

/// A resource as the origin shows it, taken apart as the tables are.
struct Shown {
    id: String,
    body: Map<String, Value>,
    meta: String,
    members: Vec<Member>,
}

impl Shown {
    fn of(kind: Kind, shown: &Value, base: &str) -> Option<Self> {
        let object = shown.as_object()?;
        let id = object.get("id").and_then(Value::as_str).filter(|id| is_path_segment(id))?.to_owned();
        let meta = match object.get("meta") {
            Some(Value::Object(meta)) => {
                let mut meta = meta.clone();
                meta.shift_remove("location");
                meta.insert("resourceType".into(), kind.name().into());
                Value::Object(meta).to_string()
            }
            _ => Value::Object(Map::from_iter([("resourceType".to_owned(), Value::from(kind.name()))]))
                .to_string(),
        };
        let members = object.get("members").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let members = members.iter().filter_map(member).collect();
        // Without a copy of the members, which can be most of the resource.
        let own = |(name, _): &(&String, &Value)| !matches!(name.as_str(), "meta" | "members" | "groups");
        let mut body: Value =
            object.iter().filter(own).map(|(name, value)| (name.clone(), value.clone())).collect();
        relocate(&mut body, base, OPEN_BASE);
        let Value::Object(body) = body else { return None };
        Some(Self { id, body, meta, members })
    }

    /// Whether the stored resource is the same, but for members.
    fn is_stored(&self, stored: &Stored) -> Result<bool, SqlError> {
        Ok(stored.resource()? == self.body && stored.origin_meta.as_deref() == Some(&self.meta))
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
    is_path_segment(&id).then(|| Member { id, kind, display: text("display") })
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
