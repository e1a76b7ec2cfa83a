//! Values of extension attributes that only one resource may have (`uniqueness`, RFC 7643 §7).
//!
//! The values are rows of `unique_value`, folded unless the attribute is caseExact. The rows change in the
//! transaction that changes the resource, and a write looks its new values up there before it takes effect.
//! Without such an attribute there are no rows, and no statement.

use crate::Directory;
use crate::sql::{Sql, SqlError};
use crate::store::{Store, Stored, kind_of, number};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::fold::fold;
use scim_edge_scim::schema::{Attribute, Schema, Type, Uniqueness};
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// How many resources are read at once while the rows are made from them.
const BATCH: i64 = 2000;

/// An attribute of a registered extension whose values are unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UniqueAttribute {
    kind: Kind,
    urn: String,
    name: String,
    case_exact: bool,
}

impl UniqueAttribute {
    /// The name of the attribute in the table.
    fn label(&self) -> String {
        format!("{}:{}", self.urn, self.name).to_ascii_lowercase()
    }

    fn values_of(&self, resource: &Map<String, Value>) -> Vec<String> {
        let value = resource.get(&self.urn).and_then(|part| part.get(&self.name));
        value.map(|value| self.values(value)).unwrap_or_default()
    }

    /// The values, in the form in which they are compared.
    fn values(&self, value: &Value) -> Vec<String> {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let compared = |value: &Value| match value {
            Value::String(text) if self.case_exact => Some(text.clone()),
            Value::String(text) => Some(fold(text)),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        };
        values.iter().filter_map(compared).collect()
    }
}

fn is_unique(attribute: &Attribute) -> bool {
    attribute.uniqueness != Uniqueness::None
}

/// Why the uniqueness that a schema declares cannot be enforced.
pub(crate) fn unenforceable(schema: &Schema) -> Option<String> {
    let complex = schema.attributes.iter().find(|attribute| {
        (attribute.kind == Type::Complex && is_unique(attribute))
            || attribute.sub_attributes.iter().any(is_unique)
    })?;
    let name = &complex.name;
    Some(format!("{name}: uniqueness is enforced for attributes that are not complex; set it to none here"))
}

impl<S: Sql> Store<S> {
    /// Reads which attributes are unique: an origin enforces its own.
    pub(crate) fn load_unique(&self) -> Result<(), SqlError> {
        let rows = self.sql.query("SELECT kind, definition FROM extension WHERE learned = 0", &[])?;
        let mut unique = Vec::new();
        for mut row in rows {
            let (kind, text) = (kind_of(row.integer()?), row.text()?);
            let json = serde_json::from_str::<Value>(&text).ok();
            let schema = json.as_ref().and_then(|json| Schema::parse(json.as_object()?).ok());
            let Some(schema) = schema else { continue };
            let simple = schema.attributes.iter().filter(|one| is_unique(one) && one.kind != Type::Complex);
            unique.extend(simple.map(|attribute| UniqueAttribute {
                kind,
                urn: schema.id.clone(),
                name: attribute.name.clone(),
                case_exact: attribute.case_exact,
            }));
        }
        *self.unique.borrow_mut() = unique.into();
        Ok(())
    }

    fn unique_of(&self, kind: Kind) -> Vec<UniqueAttribute> {
        let all: Rc<[UniqueAttribute]> = self.unique.borrow().clone();
        all.iter().filter(|attribute| attribute.kind == kind).cloned().collect()
    }

    /// Why a resource cannot have its names and the other values that only one may have (RFC 7643 §7), in a sentence;
    /// none if it can. Those that stay as they were are not looked up: a rule that came later does not stop other
    /// changes.
    pub(crate) fn conflict(
        &self,
        kind: Kind,
        new: &Map<String, Value>,
        old: Option<(&Stored, &Map<String, Value>)>,
        unique_group_names: bool,
    ) -> Result<Option<String>, SqlError> {
        let own = old.map(|(stored, _)| stored.seq);
        let attribute = match kind {
            Kind::User => Some("userName"),
            Kind::Group => unique_group_names.then_some("displayName"),
        };
        if let Some(attribute) = attribute {
            let name =
                |resource: &Map<String, Value>| resource.get(attribute).and_then(Value::as_str).map(fold);
            let (new, old) = (name(new), old.and_then(|(_, old)| name(old)));
            if new != old && new.map_or(Ok(false), |new| self.name_taken(kind, &new, own))? {
                let other = kind.name().to_ascii_lowercase();
                return Ok(Some(format!("{attribute}: another {other} has this name")));
            }
        }
        let taken = self.unique_taken(kind, new, old.map(|(_, old)| old), own)?;
        Ok(taken.map(|name| format!("{name}: another resource has this value")))
    }

    /// The first attribute with a new value that another resource has.
    pub(crate) fn unique_taken(
        &self,
        kind: Kind,
        new: &Map<String, Value>,
        old: Option<&Map<String, Value>>,
        own: Option<i64>,
    ) -> Result<Option<String>, SqlError> {
        for attribute in self.unique_of(kind) {
            let before = old.map(|old| attribute.values_of(old)).unwrap_or_default();
            let mut values = attribute.values_of(new);
            values.retain(|value| !before.contains(value));
            if values.is_empty() {
                continue;
            }
            let taken = self.sql.query(
                "SELECT 1 FROM unique_value WHERE attribute = ?1 AND seq IS NOT ?3
                    AND value IN (SELECT value FROM json_each(?2)) LIMIT 1",
                &[attribute.label().as_str().into(), json!(values).to_string().as_str().into(), own.into()],
            )?;
            if !taken.is_empty() {
                return Ok(Some(attribute.name));
            }
        }
        Ok(None)
    }

    /// Writes the rows of a resource; `old` is what it was before.
    pub(crate) fn index_unique(
        &self,
        kind: Kind,
        seq: i64,
        new: &Map<String, Value>,
        old: Option<&Map<String, Value>>,
    ) -> Result<(), SqlError> {
        for attribute in self.unique_of(kind) {
            let values = attribute.values_of(new);
            let before = old.map(|old| attribute.values_of(old)).unwrap_or_default();
            if values == before {
                continue;
            }
            let label = attribute.label();
            if !before.is_empty() {
                let text = "DELETE FROM unique_value WHERE attribute = ? AND seq = ?";
                self.sql.query(text, &[label.as_str().into(), seq.into()])?;
            }
            self.add_unique(&label, &values.into_iter().map(|value| (seq, value)).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Removes the rows of a resource.
    pub(crate) fn forget_unique(&self, seq: i64) -> Result<(), SqlError> {
        if !self.unique.borrow().is_empty() {
            self.sql.query("DELETE FROM unique_value WHERE seq = ?", &[seq.into()])?;
        }
        Ok(())
    }

    fn add_unique(&self, label: &str, values: &[(i64, String)]) -> Result<(), SqlError> {
        if !values.is_empty() {
            self.sql.query(
                "INSERT INTO unique_value (attribute, seq, value)
                    SELECT ?1, json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?2)
                    WHERE true ON CONFLICT DO NOTHING",
                &[label.into(), json!(values).to_string().as_str().into()],
            )?;
        }
        Ok(())
    }

    /// Makes the rows of all resources, for the attributes that are unique now.
    pub(crate) fn rebuild_unique(&self) -> Result<(), SqlError> {
        self.sql.query("DELETE FROM unique_value", &[])?;
        self.load_unique()?;
        let all: Rc<[UniqueAttribute]> = self.unique.borrow().clone();
        for attribute in all.iter() {
            let path =
                format!("$.{}.{}", Value::from(attribute.urn.as_str()), Value::from(attribute.name.as_str()));
            let mut after = i64::MIN;
            loop {
                let rows = self.sql.query(
                    "SELECT seq, body -> ?3 FROM resource WHERE kind = ?1 AND seq > ?2 ORDER BY seq LIMIT ?4",
                    &[number(attribute.kind).into(), after.into(), path.as_str().into(), BATCH.into()],
                )?;
                let mut values = Vec::new();
                let count = rows.len();
                for mut row in rows {
                    after = row.integer()?;
                    let value = row.maybe_text()?.and_then(|text| serde_json::from_str::<Value>(&text).ok());
                    let found = value.map(|value| attribute.values(&value)).unwrap_or_default();
                    values.extend(found.into_iter().map(|value| (after, value)));
                }
                self.add_unique(&attribute.label(), &values)?;
                if i64::try_from(count).unwrap_or(i64::MAX) < BATCH {
                    break;
                }
            }
        }
        Ok(())
    }

    /// An attribute of an extension with a value that two resources have.
    pub(crate) fn not_unique(&self, urn: &str) -> Result<Option<String>, SqlError> {
        let all: Rc<[UniqueAttribute]> = self.unique.borrow().clone();
        for attribute in all.iter().filter(|attribute| attribute.urn.eq_ignore_ascii_case(urn)) {
            let twice = self.sql.query(
                "SELECT 1 FROM unique_value WHERE attribute = ? GROUP BY value HAVING count(*) > 1 LIMIT 1",
                &[attribute.label().as_str().into()],
            )?;
            if !twice.is_empty() {
                return Ok(Some(attribute.name.clone()));
            }
        }
        Ok(None)
    }
}

impl<S: Sql> Directory<S> {
    /// Makes the rows of unique values again, after what is unique has changed.
    pub(crate) fn rebuild_unique(&self) -> Result<(), SqlError> {
        self.store.rebuild_unique()
    }
}
