//! Resources in their tables. Nothing here knows of HTTP; nothing above here knows of tables.

use crate::deleted::Deletion;
use crate::known_groups::{Group, KnownGroups};
use crate::page::{Plain, Range, Way};
use crate::remembered::Remembered;
use crate::sql::{Bind, Counted, Row, Sql, SqlError};
use crate::unique::UniqueAttribute;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::fold::fold;
use scim_edge_scim::lookup::Lookup;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::rc::Rc;

/// The columns of [`Stored`], in its order.
macro_rules! columns {
    () => {
        "seq, kind, id, created, modified, version, origin_meta, body"
    };
}
pub(crate) use columns;

/// The same, and the numbers of the groups that a user is a member of: what an answer about users shows of
/// them.
macro_rules! columns_with_groups {
    () => {
        concat!(
            columns!(),
            ", CASE kind WHEN 0 THEN
                (SELECT group_concat(group_seq) FROM member WHERE member_id = resource.id AND member.kind IS NOT 1)
            END"
        )
    };
}

/// A resource as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) seq: i64,
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) version: i64,
    /// The origin's `meta` without `location`, in JSON.
    pub(crate) origin_meta: Option<String>,
    pub(crate) body: String,
    /// The numbers of the groups that a user is a member of, where they were read with it.
    pub(crate) groups: Option<Vec<i64>>,
}

/// What a write sets.
pub(crate) struct Content<'a> {
    pub(crate) resource: &'a Map<String, Value>,
    pub(crate) origin_meta: Option<&'a str>,
}

/// When a resource was created and changed, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Age {
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) version: i64,
}

/// A group that a user is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) group: Rc<Group>,
    pub(crate) direct: bool,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) kind: Option<Kind>,
    pub(crate) display: Option<String>,
}

pub(crate) fn number(kind: Kind) -> i64 {
    match kind {
        Kind::User => 0,
        Kind::Group => 1,
    }
}

pub(crate) fn kind_of(number: i64) -> Kind {
    if number == 0 { Kind::User } else { Kind::Group }
}

impl Stored {
    fn read(row: &mut Row) -> Result<Self, SqlError> {
        Ok(Self {
            seq: row.integer()?,
            kind: kind_of(row.integer()?),
            id: row.text()?,
            created: row.integer()?,
            modified: row.integer()?,
            version: row.integer()?,
            origin_meta: row.maybe_text()?,
            body: row.text()?,
            groups: None,
        })
    }

    fn read_with_groups(row: &mut Row) -> Result<Self, SqlError> {
        let stored = Self::read(row)?;
        let text = row.maybe_text()?.unwrap_or_default();
        let groups: Result<Vec<i64>, _> =
            text.split(',').filter(|number| !number.is_empty()).map(str::parse).collect();
        let mut groups = groups.map_err(|_| SqlError::new("numbers of groups are none"))?;
        groups.sort_unstable();
        Ok(Self { groups: Some(groups), ..stored })
    }

    /// The body as a value.
    pub(crate) fn resource(&self) -> Result<Map<String, Value>, SqlError> {
        serde_json::from_str(&self.body).map_err(|_| SqlError::new("a stored body is not JSON"))
    }
}

/// The tables, with what they are asked.
pub(crate) struct Store<S> {
    pub(crate) sql: Counted<S>,
    pub(crate) groups: KnownGroups,
    /// Whether any body is long (`length.rs`).
    pub(crate) long: Remembered<bool>,
    /// The attributes whose values only one resource may have.
    pub(crate) unique: RefCell<Rc<[UniqueAttribute]>>,
}

impl<S: Sql> Store<S> {
    pub(crate) fn stored(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<Stored>, SqlError> {
        self.sql.query(text, binds)?.into_iter().map(|mut row| Stored::read(&mut row)).collect()
    }

    fn stored_with_groups(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<Stored>, SqlError> {
        self.sql.query(text, binds)?.into_iter().map(|mut row| Stored::read_with_groups(&mut row)).collect()
    }

    pub(crate) fn integers(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<i64>, SqlError> {
        self.sql.query(text, binds)?.into_iter().map(|mut row| row.integer()).collect()
    }

    pub(crate) fn texts(&self, text: &str, binds: &[Bind<'_>]) -> Result<Vec<String>, SqlError> {
        self.sql.query(text, binds)?.into_iter().map(|mut row| row.text()).collect()
    }

    pub(crate) fn get(&self, kind: Kind, id: &str) -> Result<Option<Stored>, SqlError> {
        let text = concat!("SELECT ", columns!(), " FROM resource WHERE id = ? AND kind = ?");
        Ok(self.stored(text, &[id.into(), number(kind).into()])?.into_iter().next())
    }

    /// A resource with the groups that a user is in.
    pub(crate) fn get_with_groups(&self, kind: Kind, id: &str) -> Result<Option<Stored>, SqlError> {
        let text = concat!("SELECT ", columns_with_groups!(), " FROM resource WHERE id = ? AND kind = ?");
        Ok(self.stored_with_groups(text, &[id.into(), number(kind).into()])?.into_iter().next())
    }

    /// A page of everything, in the order of creation.
    pub(crate) fn page(&self, kind: Kind, plain: Plain) -> Result<Vec<Stored>, SqlError> {
        let (skip, count, total) = match plain {
            Plain::Range(Range { first, last, .. }) => {
                let text = concat!(
                    "SELECT ",
                    columns_with_groups!(),
                    " FROM resource WHERE kind = ? AND seq BETWEEN ? AND ? ORDER BY seq"
                );
                return self.stored_with_groups(text, &[number(kind).into(), first.into(), last.into()]);
            }
            Plain::Place { skip, count, total } => (skip, count, total),
        };
        let way = Way::to(skip, count, total);
        let binds = [number(kind).into(), way.count.into(), way.skip.into()];
        if !way.is_from_end {
            let text = concat!(
                "SELECT ",
                columns_with_groups!(),
                " FROM resource WHERE kind = ? ORDER BY seq LIMIT ? OFFSET ?"
            );
            return self.stored_with_groups(text, &binds);
        }
        let text = concat!(
            "SELECT ",
            columns_with_groups!(),
            " FROM resource WHERE kind = ? ORDER BY seq DESC LIMIT ? OFFSET ?"
        );
        let mut page = self.stored_with_groups(text, &binds)?;
        page.reverse();
        Ok(page)
    }

    /// The resources of these numbers, in the order of creation.
    pub(crate) fn of_seqs(&self, seqs: &[i64]) -> Result<Vec<Stored>, SqlError> {
        let text = concat!(
            "SELECT ",
            columns_with_groups!(),
            " FROM resource WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
        );
        self.stored_with_groups(text, &[json!(seqs).to_string().as_str().into()])
    }

    /// The resources that a lookup leads to, in the order of creation; none where they can be many.
    pub(crate) fn looked_up(&self, kind: Kind, lookup: &Lookup) -> Result<Option<Vec<Stored>>, SqlError> {
        let number = Bind::from(number(kind));
        let found = match lookup {
            Lookup::Id(id) => return Ok(Some(self.get_with_groups(kind, id)?.into_iter().collect())),
            Lookup::Name(name) => self.stored_with_groups(
                concat!(
                    "SELECT ",
                    columns_with_groups!(),
                    " FROM resource WHERE name = ? AND kind = ? ORDER BY seq LIMIT 100"
                ),
                &[name.as_str().into(), number],
            ),
            Lookup::ExternalId(id) => self.stored_with_groups(
                concat!(
                    "SELECT ",
                    columns_with_groups!(),
                    " FROM resource WHERE external_id = ? AND kind = ? ORDER BY seq LIMIT 100"
                ),
                &[id.as_str().into(), number],
            ),
            Lookup::Email(value) => self.stored_with_groups(
                concat!(
                    "SELECT ",
                    columns_with_groups!(),
                    " FROM resource WHERE seq IN (SELECT seq FROM email WHERE value = ?) AND kind = ?
                        ORDER BY seq LIMIT 100"
                ),
                &[value.as_str().into(), number],
            ),
            Lookup::Member(_) | Lookup::Group(_) => return Ok(None),
        };
        Ok(Some(found?).filter(|found| found.len() < 100))
    }

    /// The numbers of the resources that a lookup leads to.
    pub(crate) fn look_up(&self, kind: Kind, lookup: &Lookup) -> Result<Vec<i64>, SqlError> {
        let kind = Bind::from(number(kind));
        match lookup {
            Lookup::Id(id) => {
                self.integers("SELECT seq FROM resource WHERE id = ? AND kind = ?", &[id.as_str().into(), kind])
            }
            Lookup::Name(name) => {
                self.integers("SELECT seq FROM resource WHERE name = ? AND kind = ?", &[name.as_str().into(), kind])
            }
            Lookup::ExternalId(id) => self.integers(
                "SELECT seq FROM resource WHERE external_id = ? AND kind = ?",
                &[id.as_str().into(), kind],
            ),
            Lookup::Email(value) => {
                self.integers("SELECT seq FROM email WHERE value = ?", &[value.as_str().into()])
            }
            Lookup::Member(id) => {
                self.integers("SELECT group_seq FROM member WHERE member_id = ?", &[id.as_str().into()])
            }
            // Members of the group, and of the groups in it: `groups` lists both.
            Lookup::Group(id) => self.integers(
                "WITH RECURSIVE inside (seq) AS (
                    SELECT seq FROM resource WHERE id = ?1 AND kind = 1
                    UNION
                    SELECT r.seq FROM inside JOIN member m ON m.group_seq = inside.seq AND m.kind IS NOT 0
                        JOIN resource r ON r.id = m.member_id AND r.kind = 1
                )
                SELECT DISTINCT r.seq FROM inside JOIN member m ON m.group_seq = inside.seq AND m.kind IS NOT 1
                    JOIN resource r ON r.id = m.member_id AND r.kind = 0",
                &[id.as_str().into()],
            ),
        }
    }

    pub(crate) fn count(&self, kind: Kind) -> Result<i64, SqlError> {
        let counts = self.integers("SELECT count FROM tally WHERE kind = ?", &[number(kind).into()])?;
        Ok(counts.first().copied().unwrap_or(0))
    }

    /// Whether another resource of the kind has this name, folded.
    pub(crate) fn name_taken(
        &self,
        kind: Kind,
        name: &str,
        by_other_than: Option<i64>,
    ) -> Result<bool, SqlError> {
        let others = self.integers(
            "SELECT seq FROM resource WHERE name = ? AND kind = ?",
            &[name.into(), number(kind).into()],
        )?;
        Ok(others.iter().any(|seq| Some(*seq) != by_other_than))
    }

    /// Adds a resource; its `id` is in the content. Returns its number.
    pub(crate) fn insert(&self, kind: Kind, content: &Content<'_>, now_ms: i64) -> Result<i64, SqlError> {
        self.insert_at(kind, content, Age { created: now_ms, modified: now_ms, version: 1 })
    }

    /// Adds a resource that is not new.
    pub(crate) fn insert_at(&self, kind: Kind, content: &Content<'_>, age: Age) -> Result<i64, SqlError> {
        let columns = Columns::of(kind, content.resource);
        let inserted = self.integers(
            "INSERT INTO resource (kind, id, name, external_id, display, created, modified, version, origin_meta, body)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?9, ?10, ?7, ?8) RETURNING seq",
            &[
                number(kind).into(),
                columns.id.into(),
                columns.name.as_str().into(),
                columns.external_id.into(),
                columns.display.into(),
                age.created.into(),
                content.origin_meta.into(),
                columns.body.as_str().into(),
                age.modified.into(),
                age.version.into(),
            ],
        )?;
        let seq = inserted.first().copied().ok_or_else(|| SqlError::new("nothing was inserted"))?;
        if columns.emails != "[]" {
            self.add_emails(seq, &columns.emails)?;
        }
        self.sql.query("UPDATE tally SET count = count + 1 WHERE kind = ?", &[number(kind).into()])?;
        self.index_unique(kind, seq, content.resource, None)?;
        Ok(seq)
    }

    /// Sets a resource's content and makes it a new version.
    pub(crate) fn update(&self, old: &Stored, content: &Content<'_>, now_ms: i64) -> Result<(), SqlError> {
        let columns = Columns::of(old.kind, content.resource);
        let old_resource = old.resource()?;
        self.index_unique(old.kind, old.seq, content.resource, Some(&old_resource))?;
        let before = Columns::of(old.kind, &old_resource);
        let [seq, now]: [Bind<'_>; 2] = [old.seq.into(), now_ms.into()];
        let [meta, body]: [Bind<'_>; 2] = [content.origin_meta.into(), columns.body.as_str().into()];
        if (before.name == columns.name) && (before.display == columns.display) {
            self.sql.query(
                "UPDATE resource SET modified = ?2, version = version + 1, origin_meta = ?3, body = ?4 WHERE seq = ?1",
                &[seq, now, meta, body],
            )?;
        } else {
            // In one statement: one of the indexes holds both names and what the body says.
            self.sql.query(
                "UPDATE resource SET modified = ?2, version = version + 1, origin_meta = ?3, body = ?4,
                    name = ?5, display = ?6 WHERE seq = ?1",
                &[seq, now, meta, body, columns.name.as_str().into(), columns.display.into()],
            )?;
        }
        if before.external_id != columns.external_id {
            self.sql.query(
                "UPDATE resource SET external_id = ?2 WHERE seq = ?1",
                &[old.seq.into(), columns.external_id.into()],
            )?;
        }
        if before.emails != columns.emails {
            self.forget_emails(old.seq, &before.emails)?;
            self.add_emails(old.seq, &columns.emails)?;
        }
        Ok(())
    }

    pub(crate) fn add_emails(&self, seq: i64, emails: &str) -> Result<(), SqlError> {
        self.sql.query(
            "INSERT INTO email (value, seq) SELECT DISTINCT value, ?2 FROM json_each(?1)",
            &[emails.into(), seq.into()],
        )?;
        Ok(())
    }

    /// No index leads from a user to its addresses: its body does.
    pub(crate) fn forget_emails(&self, seq: i64, emails: &str) -> Result<(), SqlError> {
        self.sql.query(
            "DELETE FROM email WHERE value IN (SELECT value FROM json_each(?)) AND seq = ?",
            &[emails.into(), seq.into()],
        )?;
        Ok(())
    }

    /// Fills the columns that hold folded texts anew, where a text is not ASCII.
    pub(crate) fn fold_anew(&self) -> Result<(), SqlError> {
        let text = concat!("SELECT ", columns!(), " FROM resource WHERE body GLOB '*[^ -~]*'");
        for stored in self.stored(text, &[])? {
            let resource = stored.resource()?;
            let columns = Columns::of(stored.kind, &resource);
            self.sql.query(
                "UPDATE resource SET name = ?2 WHERE seq = ?1",
                &[stored.seq.into(), columns.name.as_str().into()],
            )?;
            self.sql.query("DELETE FROM email WHERE seq = ?", &[stored.seq.into()])?;
            self.add_emails(stored.seq, &columns.emails)?;
        }
        Ok(())
    }

    /// Makes a resource a new version without changing its body: its members changed.
    pub(crate) fn touch(&self, seq: i64, now_ms: i64) -> Result<(), SqlError> {
        self.sql.query(
            "UPDATE resource SET modified = ?2, version = version + 1 WHERE seq = ?1",
            &[seq.into(), now_ms.into()],
        )?;
        Ok(())
    }

    /// Takes a resource out of all groups; it need not be here itself.
    pub(crate) fn leave_groups(&self, kind: Kind, id: &str, now_ms: i64) -> Result<(), SqlError> {
        let other = number(if kind == Kind::User { Kind::Group } else { Kind::User });
        self.sql.query(
            "UPDATE resource SET modified = ?3, version = version + 1 WHERE seq IN
                (SELECT group_seq FROM member WHERE member_id = ?1 AND kind IS NOT ?2)",
            &[id.into(), other.into(), now_ms.into()],
        )?;
        self.sql.query(
            "DELETE FROM member WHERE member_id = ?1 AND kind IS NOT ?2",
            &[id.into(), other.into()],
        )?;
        Ok(())
    }

    /// Removes a resource and every trace of it in groups, which become new versions. It is kept among the
    /// deleted ones.
    pub(crate) fn delete(&self, stored: &Stored, deletion: &Deletion<'_>) -> Result<(), SqlError> {
        let seq = Bind::from(stored.seq);
        if deletion.keep {
            self.keep_deleted(stored, deletion)?;
        }
        self.leave_groups(stored.kind, &stored.id, deletion.at)?;
        match stored.kind {
            Kind::Group => self.sql.query("DELETE FROM member WHERE group_seq = ?", &[seq])?,
            Kind::User => {
                let resource = stored.resource()?;
                self.forget_emails(stored.seq, &Columns::of(Kind::User, &resource).emails)?;
                Vec::new()
            }
        };
        self.forget_unique(stored.seq)?;
        self.sql.query("DELETE FROM resource WHERE seq = ?", &[seq])?;
        self.sql.query("UPDATE tally SET count = count - 1 WHERE kind = ?", &[number(stored.kind).into()])?;
        Ok(())
    }

    // State -----------------------------------------------------------------------------------

    pub(crate) fn state(&self, name: &str) -> Result<Option<String>, SqlError> {
        Ok(self.texts("SELECT value FROM state WHERE name = ?", &[name.into()])?.into_iter().next())
    }

    pub(crate) fn forget_state(&self, name: &str) -> Result<(), SqlError> {
        self.sql.query("DELETE FROM state WHERE name = ?", &[name.into()])?;
        Ok(())
    }

    pub(crate) fn set_state(&self, name: &str, value: &str) -> Result<(), SqlError> {
        let text = "INSERT INTO state (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.sql.query(text, &[name.into(), value.into()])?;
        Ok(())
    }
}

/// What the indexes hold of a resource.
pub(crate) struct Columns<'a> {
    id: &'a str,
    name: String,
    external_id: Option<&'a str>,
    display: Option<&'a str>,
    /// Folded addresses, a JSON array.
    pub(crate) emails: String,
    body: String,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(kind: Kind, resource: &'a Map<String, Value>) -> Self {
        let text = |name: &str| resource.get(name).and_then(Value::as_str);
        let named = match kind {
            Kind::User => text("userName"),
            Kind::Group => text("displayName"),
        };
        let emails = match kind {
            Kind::User => {
                resource.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
            }
            Kind::Group => &[],
        };
        let emails: Vec<String> =
            emails.iter().filter_map(|email| email.get("value")?.as_str()).map(fold).collect();
        let body = resource
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "meta" | "groups" | "members"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self {
            id: text("id").unwrap_or_default(),
            name: fold(named.unwrap_or_default()),
            external_id: text("externalId"),
            display: if kind == Kind::Group { named } else { None },
            emails: json!(emails).to_string(),
            body: Value::Object(body).to_string(),
        }
    }
}
