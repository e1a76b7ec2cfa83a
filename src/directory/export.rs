//! An export of the directory's tables, in bounded pages.
//!
//! Resources come in the order of their creation, then the members of groups. Each page is right for the moment it was
//! read. What is created meanwhile comes at the end; what is changed or deleted behind the place of the export is
//! shown as it was: [`crate::audit::writes_after`] counts such writes, so that an export can say whether it is right
//! for one moment.
//!
//! A line is one JSON object, and never refers to a number of the tables: an import has other ones.

use crate::Directory;
use crate::sql::{Row, Sql, SqlError};
use crate::store::kind_of;
use scim_edge_scim::endpoint::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How many rows a page has at most.
const ROWS: i64 = 500;

/// How many characters of resources a page has at most; one resource may have more.
const CHARACTERS: i64 = 1 << 19;

/// Where an export goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The generation of the tables: numbers of another one mean other resources.
    generation: i64,
    /// Whether the schemas were shown.
    schemas: bool,
    /// Behind this resource.
    resource: i64,
    /// Behind this member of this group.
    group: i64,
    member: String,
}

/// How much an export has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Members of groups.
    pub members: u64,
}

/// A part of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Lines without their ends.
    pub lines: Vec<String>,
    /// Where the next page begins.
    pub place: Place,
    /// How much is on this page.
    pub shown: Shown,
    /// Whether there is nothing after it.
    pub is_last: bool,
    /// Whether the tables are not those that the export began with: it cannot go on.
    pub is_outdated: bool,
}

impl Shown {
    /// Adds what another page has shown.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            users: self.users.saturating_add(other.users),
            groups: self.groups.saturating_add(other.groups),
            members: self.members.saturating_add(other.members),
        }
    }
}

impl<S: Sql> Directory<S> {
    /// A page of the export that has come to a place.
    pub fn export(&self, place: &Place) -> Result<Page, SqlError> {
        let generation = self.store.generation()?;
        let mut page = Page { place: place.clone(), ..Page::default() };
        if !page.place.schemas {
            page.place.generation = generation;
            page.place.schemas = true;
            page.lines = self.schema_lines()?;
            return Ok(page);
        }
        if page.place.generation != generation {
            page.is_outdated = true;
            return Ok(page);
        }
        // First, so that a member has been shown before its group shows it, whenever it was created.
        self.add_resource_lines(&mut page)?;
        if page.lines.is_empty() {
            self.add_member_lines(&mut page)?;
        }
        page.is_last = page.lines.is_empty();
        Ok(page)
    }

    /// The number of the last resource on the page behind another one, which is bounded; none if there is none.
    pub(crate) fn end_of_page(&self, after: i64) -> Result<Option<i64>, SqlError> {
        let text = "SELECT seq, length(body) FROM resource WHERE seq > ? ORDER BY seq LIMIT ?";
        let (mut last, mut characters) = (None, 0_i64);
        for mut row in self.store.sql.query(text, &[after.into(), ROWS.into()])? {
            if characters > CHARACTERS {
                break;
            }
            last = Some(row.integer()?);
            characters = characters.saturating_add(row.integer()?);
        }
        Ok(last)
    }

    fn schema_lines(&self) -> Result<Vec<String>, SqlError> {
        let rows = self.store.sql.query("SELECT kind, definition FROM extension ORDER BY urn", &[])?;
        let line = |mut row: Row| {
            let kind = kind_of(row.integer()?);
            let definition: Value = serde_json::from_str(&row.text()?)
                .map_err(|_| SqlError::new("a stored schema cannot be read"))?;
            let line = json!({ "type": "Schema", "resourceType": kind.name(), "schema": definition });
            Ok(line.to_string())
        };
        rows.into_iter().map(line).collect()
    }

    fn add_resource_lines(&self, page: &mut Page) -> Result<(), SqlError> {
        let Some(last) = self.end_of_page(page.place.resource)? else { return Ok(()) };
        let text = "SELECT kind, created, modified, version, origin_meta, body FROM resource
            WHERE seq > ? AND seq <= ? ORDER BY seq";
        for mut row in self.store.sql.query(text, &[page.place.resource.into(), last.into()])? {
            let kind = kind_of(row.integer()?);
            match kind {
                Kind::User => page.shown.users = page.shown.users.saturating_add(1),
                Kind::Group => page.shown.groups = page.shown.groups.saturating_add(1),
            }
            page.lines.push(resource_line(kind, &mut row)?);
        }
        page.place.resource = last;
        Ok(())
    }

    fn add_member_lines(&self, page: &mut Page) -> Result<(), SqlError> {
        // Outer loop first: in the order of the key, and not of the groups.
        let text = "SELECT m.group_seq, r.id, m.member_id, m.kind, m.display
            FROM member m CROSS JOIN resource r ON r.seq = m.group_seq
            WHERE (m.group_seq, m.member_id) > (?, ?) ORDER BY m.group_seq, m.member_id LIMIT ?";
        let Place { group, member, .. } = &page.place;
        let rows = self.store.sql.query(text, &[(*group).into(), member.as_str().into(), ROWS.into()])?;
        let mut lists: Vec<(String, Vec<Value>)> = Vec::new();
        for mut row in rows {
            let (group_seq, group_id) = (row.integer()?, row.text()?);
            let mut member = Map::new();
            let member_id = row.text()?;
            member.insert("value".into(), member_id.as_str().into());
            if let Some(kind) = row.maybe_integer()? {
                member.insert("type".into(), kind_of(kind).name().into());
            }
            if let Some(display) = row.maybe_text()? {
                member.insert("display".into(), display.into());
            }
            page.shown.members = page.shown.members.saturating_add(1);
            let is_new = group_seq != page.place.group || lists.is_empty();
            (page.place.group, page.place.member) = (group_seq, member_id);
            match lists.last_mut().filter(|_| !is_new) {
                Some((_, members)) => members.push(member.into()),
                None => lists.push((group_id, vec![member.into()])),
            }
        }
        let line = |(group, members): (String, Vec<Value>)| {
            json!({ "type": "Members", "group": group, "members": members }).to_string()
        };
        page.lines = lists.into_iter().map(line).collect();
        Ok(())
    }
}

/// A resource as a line, its body as it is stored. The columns are those of the query in `add_resource_lines`.
fn resource_line(kind: Kind, row: &mut Row) -> Result<String, SqlError> {
    let (created, modified, version) = (row.integer()?, row.integer()?, row.integer()?);
    let (origin_meta, body) = (row.maybe_text()?, row.text()?);
    let mut line = format!(
        "{{\"type\":\"{}\",\"created\":{created},\"lastModified\":{modified},\"version\":{version}",
        kind.name()
    );
    if let Some(meta) = origin_meta {
        line.push_str(",\"originMeta\":");
        line.push_str(&meta);
    }
    line.push_str(",\"resource\":");
    line.push_str(&body);
    line.push('}');
    Ok(line)
}
