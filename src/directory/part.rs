//! Parts of stored bodies: a scan looks at an attribute or two of each resource, and passing over the
//! others costs a tenth of making values of them.

use crate::sql::SqlError;
use crate::store::Stored;
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

impl Stored {
    /// The attributes of the body that are wanted, by their names at the top; the others are passed over.
    pub(crate) fn part(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Map<String, Value>, SqlError> {
        let mut reader = serde_json::Deserializer::from_str(&self.body);
        let part = reader.deserialize_map(Part { wanted });
        part.map_err(|_| SqlError::new("a stored body is not JSON"))
    }
}

/// Reads the wanted members of an object.
struct Part<'a> {
    wanted: &'a dyn Fn(&str) -> bool,
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut part = Map::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if (self.wanted)(&name) {
                part.insert(name.into_owned(), members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(part)
    }
}
