//! Lines of an export, taken over into a set of tables that nobody sees yet.
//!
//! Each line is checked as an ordinary write is. What a resource refers to may come on a later line, or may be here
//! already where an import is merged: members are checked at the end ([`Directory::drop_dangling`]).

use crate::Directory;
use crate::export::Shown;
use crate::extension;
use crate::message::Failure;
use crate::sql::{Bind, Sql, SqlError};
use crate::store::{Age, Content, Member, columns};
use crate::write::with_id;
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::identifier::is_path_segment;
use scim_edge_scim::schema::{Schema, Schemas};
use scim_edge_scim::validate::Reader;
use serde_json::{Map, Value};

/// The latest time that a resource may say: the end of the year 9999, in milliseconds since the epoch.
const LATEST_MS: i64 = 253_402_300_799_999;

/// The longest identifier, in bytes.
const ID_BYTES: usize = 1024;

/// The state's name of an import under way.
const IMPORT: &str = "import";

/// The account's settings that lines are checked by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How strictly resources are read.
    pub dialect: Dialect,
    /// Whether only one group may have a name.
    pub unique_group_names: bool,
}

/// Why a line was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The line is wrong, in a sentence.
    Line(String),
    /// The database failed.
    Sql(SqlError),
}

impl From<SqlError> for Refused {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Scim(error) => Self::Line(error.detail),
            Failure::Sql(error) => Self::Sql(error),
            Failure::Stopped(stop) => Self::Line(stop.error().detail),
            Failure::AppendOnly(_) | Failure::NotModified(_) | Failure::Unfinished => {
                Self::Line("it cannot be read".to_owned())
            }
        }
    }
}

impl From<scim_edge_scim::error::Error> for Refused {
    fn from(error: scim_edge_scim::error::Error) -> Self {
        Self::Line(error.detail)
    }
}

fn wrong<T>(sentence: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Line(sentence.into()))
}

/// Whether lines of this type are about the directory.
pub fn is_of_directory(of: &str) -> bool {
    matches!(of, "Schema" | "User" | "Group" | "Members")
}

/// The tables that an import fills.
impl<S: Sql> Directory<S> {
    /// Takes a line over. `live` are the schemas of the tables in use.
    pub fn import_line(
        &self,
        of: &str,
        line: &Map<String, Value>,
        live: &Schemas,
        rules: Rules,
    ) -> Result<Shown, Refused> {
        match of {
            "Schema" => self.import_schema(line, live),
            "User" => self.import_resource(Kind::User, line, rules),
            "Group" => self.import_resource(Kind::Group, line, rules),
            "Members" => self.import_members(line),
            _ => wrong(format!("{of:?} is no type of line that this version knows")),
        }
    }

    /// Takes the schemas that are registered in the tables in use over, before the first line: resources that are
    /// carried over have attributes of them.
    pub fn import_registered<L: Sql>(&self, live: &Directory<L>) -> Result<(), SqlError> {
        let rows =
            live.store.sql.query("SELECT urn, kind, definition FROM extension WHERE learned = 0", &[])?;
        for mut row in rows {
            let (urn, kind, definition) = (row.text()?, row.integer()?, row.text()?);
            let text = "INSERT INTO extension (urn, kind, definition, learned) VALUES (?, ?, ?, 0)";
            self.store.sql.query(text, &[urn.as_str().into(), kind.into(), definition.as_str().into()])?;
        }
        self.reload_schemas()
    }

    fn import_schema(&self, line: &Map<String, Value>, live: &Schemas) -> Result<Shown, Refused> {
        let kind = match line.get("resourceType").and_then(Value::as_str) {
            Some("User") => Kind::User,
            Some("Group") => Kind::Group,
            _ => return wrong("resourceType must be User or Group"),
        };
        let Some(Value::Object(definition)) = line.get("schema") else {
            return wrong("schema must be an object");
        };
        let schema = Schema::parse(definition).map_err(Refused::Line)?;
        let known = Kind::ALL.into_iter().find_map(|kind| Some((kind, live.extension(kind, &schema.id)?)));
        if known.is_some_and(|known| known != (kind, &schema)) {
            return wrong(format!("the schema {} is registered here with another definition", schema.id));
        }
        extension::register(&self.store, &self.schemas(), kind, &schema)?;
        self.reload_schemas()?;
        Ok(Shown::default())
    }

    fn import_resource(&self, kind: Kind, line: &Map<String, Value>, rules: Rules) -> Result<Shown, Refused> {
        let integer = |name: &str, least: i64, most: i64| {
            let value = line.get(name).and_then(Value::as_i64).filter(|value| (least..=most).contains(value));
            value
                .ok_or_else(|| Refused::Line(format!("{name} must be a whole number from {least} to {most}")))
        };
        let age = Age {
            created: integer("created", 0, LATEST_MS)?,
            modified: integer("lastModified", 0, LATEST_MS)?,
            version: integer("version", 1, 1 << 53)?,
        };
        let Some(Value::Object(body)) = line.get("resource") else {
            return wrong("resource must be an object");
        };
        let id = body.get("id").and_then(Value::as_str).unwrap_or_default();
        if !(1..=ID_BYTES).contains(&id.len()) || !is_path_segment(id) {
            return wrong(format!(
                "id must have 1 to {ID_BYTES} bytes and be one segment of a path, in any encoding"
            ));
        }
        let schemas = self.schemas();
        let (resource, origin_meta) = match line.get("originMeta") {
            // An origin's resource is kept as the origin showed it.
            Some(Value::Object(meta)) => {
                let kept = |name: &str| !["id", "meta", "groups", "members"].contains(&name);
                let resource = body.iter().filter(|(name, _)| kept(name));
                let resource: Map<String, Value> =
                    resource.map(|(name, value)| (name.clone(), value.clone())).collect();
                (resource, Some(Value::Object(meta.clone()).to_string()))
            }
            None | Some(Value::Null) => {
                let mut resource = Reader { schemas: &schemas, kind, dialect: rules.dialect }.create(body)?;
                resource.shift_remove("members");
                (resource, None)
            }
            Some(_) => return wrong("originMeta must be an object"),
        };
        let resource = match resource.get("schemas") {
            Some(listed) if listed.is_array() => with_id(id, resource),
            _ => return wrong("schemas must be an array"),
        };
        if self.store.get(kind, id)?.is_some() {
            return wrong(format!("the {} {id:?} has come before", kind.name()));
        }
        if let Some(sentence) = self.store.conflict(kind, &resource, None, rules.unique_group_names)? {
            return wrong(sentence);
        }
        let content = Content { resource: &resource, origin_meta: origin_meta.as_deref() };
        self.store.insert_at(kind, &content, age)?;
        Ok(match kind {
            Kind::User => Shown { users: 1, ..Shown::default() },
            Kind::Group => Shown { groups: 1, ..Shown::default() },
        })
    }

    fn import_members(&self, line: &Map<String, Value>) -> Result<Shown, Refused> {
        let id = line.get("group").and_then(Value::as_str).unwrap_or_default();
        let Some(group) = self.store.get(Kind::Group, id)? else {
            return wrong(format!("there is no group {id:?} on an earlier line"));
        };
        let Some(Value::Array(values)) = line.get("members") else {
            return wrong("members must be an array");
        };
        let mut members = Vec::new();
        for value in values {
            let text = |name: &str| value.get(name).and_then(Value::as_str);
            let Some(member_id) = text("value").filter(|member| !member.is_empty()) else {
                return wrong("members: each needs a value, the id of a user or group");
            };
            if member_id == id {
                return wrong("members: a group cannot be a member of itself");
            }
            let kind = text("type").and_then(|of| Kind::ALL.into_iter().find(|kind| kind.name() == of));
            members.push(Member {
                id: member_id.to_owned(),
                kind,
                display: text("display").map(str::to_owned),
            });
        }
        self.store.add_members(group.seq, &members)?;
        Ok(Shown { members: u64::try_from(members.len()).unwrap_or(0), ..Shown::default() })
    }

    /// Takes away the members that no resource is behind. Returns how many there were.
    pub fn drop_dangling(&self) -> Result<u64, SqlError> {
        let text = "DELETE FROM member WHERE NOT EXISTS
            (SELECT 1 FROM resource WHERE resource.id = member.member_id) RETURNING 1";
        Ok(u64::try_from(self.store.sql.query(text, &[])?.len()).unwrap_or(0))
    }

    /// Removes what an earlier attempt has carried over. INVARIANT: lines are only ever added, so that the numbers of
    /// their resources are those up to their count.
    pub fn forget_carried(&self, shown: Shown) -> Result<(), SqlError> {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let last = Bind::from(count(shown.users.saturating_add(shown.groups)));
        let sql = &self.store.sql;
        if sql.query("SELECT 1 FROM resource WHERE seq > ? LIMIT 1", &[last])?.is_empty() {
            return Ok(());
        }
        sql.transaction(|| {
            sql.query("DELETE FROM email WHERE seq > ?", &[last])?;
            sql.query("DELETE FROM unique_value WHERE seq > ?", &[last])?;
            sql.query("DELETE FROM member WHERE group_seq > ?", &[last])?;
            sql.query("DELETE FROM resource WHERE seq > ?", &[last])?;
            let text = "UPDATE tally SET count =
                (SELECT count(*) FROM resource WHERE resource.kind = tally.kind)";
            sql.query(text, &[])?;
            Ok(())
        })
    }

    /// Takes over resources of the tables in use that the import does not have, behind a number. Returns the number
    /// of the last one that was looked at; none where there are no more.
    pub fn carry_over<L: Sql>(
        &self,
        live: &Directory<L>,
        after: i64,
        unique_group_names: bool,
    ) -> Result<Option<i64>, Refused> {
        let Some(last) = live.end_of_page(after)? else { return Ok(None) };
        let text = concat!("SELECT ", columns!(), " FROM resource WHERE seq > ? AND seq <= ? ORDER BY seq");
        let mut groups = Vec::new();
        for row in live.store.stored(text, &[after.into(), last.into()])? {
            if self.store.get(row.kind, &row.id)?.is_some() {
                continue;
            }
            let resource = row.resource()?;
            if let Some(sentence) = self.store.conflict(row.kind, &resource, None, unique_group_names)? {
                return wrong(format!(
                    "the {} {:?}, who is here and not in the import: {sentence}",
                    row.kind.name(),
                    row.id
                ));
            }
            let content = Content { resource: &resource, origin_meta: row.origin_meta.as_deref() };
            let age = Age { created: row.created, modified: row.modified, version: row.version };
            let seq = self.store.insert_at(row.kind, &content, age)?;
            if row.kind == Kind::Group {
                groups.push((row.seq, seq));
            }
        }
        for (from, to) in groups {
            self.store.add_members(to, &live.store.members(from)?)?;
        }
        Ok(Some(last))
    }
}

/// The tables in use.
impl<S: Sql> Directory<S> {
    /// The import under way: a text of the host's own.
    pub fn import(&self) -> Result<Option<String>, SqlError> {
        self.store.state(IMPORT)
    }

    /// Stores how far an import has come.
    pub fn set_import(&self, text: &str) -> Result<(), SqlError> {
        self.store.set_state(IMPORT, text)
    }

    /// Forgets how far an import has come.
    pub fn forget_import(&self) -> Result<(), SqlError> {
        self.store.sql.query("DELETE FROM state WHERE name = ?", &[IMPORT.into()])?;
        Ok(())
    }

    /// Begins to keep lines that concern the account and not the directory.
    pub fn begin_import_lines(&self) -> Result<(), SqlError> {
        let sql = &self.store.sql;
        sql.query("DROP TABLE IF EXISTS import_line", &[])?;
        sql.query("CREATE TABLE import_line (number INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT", &[])?;
        Ok(())
    }

    /// Keeps such a line.
    pub fn keep_import_line(&self, text: &str) -> Result<(), SqlError> {
        self.store.sql.query("INSERT INTO import_line (text) VALUES (?)", &[text.into()])?;
        Ok(())
    }

    /// The lines that were kept.
    pub fn import_lines(&self) -> Result<Vec<String>, SqlError> {
        self.store.texts("SELECT text FROM import_line ORDER BY number", &[])
    }

    /// Forgets the lines.
    pub fn end_import_lines(&self) -> Result<(), SqlError> {
        self.store.sql.query("DROP TABLE IF EXISTS import_line", &[])?;
        Ok(())
    }
}
