//! Schemas and attributes (RFC 7643 §2, §7): one definition that validation, filters, PATCH,
//! projection and `/Schemas` all use, so that what is announced is what is enforced.

use crate::endpoint::Kind;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::fmt;

/// The type of an attribute (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Type {
    String,
    Boolean,
    Decimal,
    Integer,
    DateTime,
    Reference,
    Binary,
    Complex,
}

/// When an attribute can be written (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mutability {
    ReadOnly,
    ReadWrite,
    Immutable,
    WriteOnly,
}

/// When an attribute is part of an answer (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Returned {
    Always,
    Never,
    Default,
    Request,
}

/// Whether two resources may have the same value (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Uniqueness {
    None,
    Server,
    Global,
}

macro_rules! keywords {
    ($type:ident: $($variant:ident = $word:literal),*) => {
        impl $type {
            /// The keyword in a schema.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The keyword's meaning.
            pub fn from_keyword(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

keywords!(Type: String = "string", Boolean = "boolean", Decimal = "decimal", Integer = "integer",
    DateTime = "dateTime", Reference = "reference", Binary = "binary", Complex = "complex");
keywords!(Mutability: ReadOnly = "readOnly", ReadWrite = "readWrite", Immutable = "immutable", WriteOnly = "writeOnly");
keywords!(Returned: Always = "always", Never = "never", Default = "default", Request = "request");
keywords!(Uniqueness: None = "none", Server = "server", Global = "global");

/// An attribute's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its canonical name.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// Whether it has a list of values.
    pub multi_valued: bool,
    /// For people.
    pub description: String,
    /// Whether a resource must have it.
    pub required: bool,
    /// Suggested values; others are accepted (RFC 7643 §2.4).
    pub canonical_values: Vec<String>,
    /// Whether `a` and `A` differ.
    pub case_exact: bool,
    /// When it can be written.
    pub mutability: Mutability,
    /// When it is part of an answer.
    pub returned: Returned,
    /// Whether two resources may have the same value.
    pub uniqueness: Uniqueness,
    /// What a reference may refer to.
    pub reference_types: Vec<String>,
    /// Its parts, for a complex one.
    pub sub_attributes: Vec<Attribute>,
}

impl Attribute {
    /// The sub-attribute of that name, in any case.
    pub fn sub(&self, name: &str) -> Option<&Attribute> {
        self.sub_attributes.iter().find(|sub| sub.name.eq_ignore_ascii_case(name))
    }

    /// The definition as a schema shows it (RFC 7643 §7).
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("name".into(), self.name.as_str().into());
        json.insert("type".into(), self.kind.as_str().into());
        json.insert("multiValued".into(), self.multi_valued.into());
        json.insert("description".into(), self.description.as_str().into());
        json.insert("required".into(), self.required.into());
        if !self.canonical_values.is_empty() {
            json.insert("canonicalValues".into(), self.canonical_values.clone().into());
        }
        json.insert("caseExact".into(), self.case_exact.into());
        json.insert("mutability".into(), self.mutability.as_str().into());
        json.insert("returned".into(), self.returned.as_str().into());
        json.insert("uniqueness".into(), self.uniqueness.as_str().into());
        if self.kind == Type::Reference {
            json.insert("referenceTypes".into(), self.reference_types.clone().into());
        }
        if self.kind == Type::Complex {
            json.insert("subAttributes".into(), self.sub_attributes.iter().map(Self::to_json).collect());
        }
        Value::Object(json)
    }
}

/// A schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Its URN.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// Its attributes; those common to all resources are not among them.
    pub attributes: Vec<Attribute>,
}

/// The most attributes of an extension, sub-attributes included.
pub const ATTRIBUTES: usize = 200;

/// The longest definition of an extension, in bytes of its JSON.
pub const DEFINITION_BYTES: usize = 128 << 10;

impl Schema {
    /// The attribute of that name, in any case.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }

    /// The schema as a resource (RFC 7643 §7), without `meta`.
    pub fn to_json(&self) -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "attributes": self.attributes.iter().map(Attribute::to_json).collect::<Vec<_>>(),
        })
    }

    /// Reads an extension schema.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub fn parse(json: &Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| json.get(name).and_then(Value::as_str);
        let id = text("id").ok_or("id must be the schema's URN")?;
        let is_urn = id.len() <= 256
            && id.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:"))
            && !id.contains(|c: char| c.is_whitespace() || c.is_control() || "\"[]()/".contains(c))
            && !id.ends_with(':');
        if !is_urn {
            return Err("id must be a URN of up to 256 characters".to_owned());
        }
        let attributes =
            json.get("attributes").and_then(Value::as_array).ok_or("attributes must be an array")?;
        let schema = Self {
            id: id.to_owned(),
            name: text("name").unwrap_or(id).to_owned(),
            description: text("description").unwrap_or_default().to_owned(),
            attributes: parse_attributes(attributes, false)?,
        };
        let count = schema.attributes.iter().fold(0_usize, |count, attribute| {
            count.saturating_add(1).saturating_add(attribute.sub_attributes.len())
        });
        if count == 0 || count > ATTRIBUTES {
            return Err(too_many());
        }
        Ok(schema)
    }
}

fn too_many() -> String {
    format!("a schema has 1 to {ATTRIBUTES} attributes")
}

fn parse_attributes(items: &[Value], within: bool) -> Result<Vec<Attribute>, String> {
    if items.len() > ATTRIBUTES {
        return Err(too_many());
    }
    let mut attributes: Vec<Attribute> = Vec::new();
    let mut names = HashSet::new();
    for item in items {
        let attribute = parse_attribute(item, within)?;
        if !names.insert(attribute.name.to_ascii_lowercase()) {
            return Err(format!("the attribute {} is defined twice", attribute.name));
        }
        attributes.push(attribute);
    }
    Ok(attributes)
}

/// Complex attributes hold no complex ones (RFC 7643 §2.3.8), which bounds the recursion.
fn parse_attribute(item: &Value, within: bool) -> Result<Attribute, String> {
    let name = item.get("name").and_then(Value::as_str).ok_or("an attribute has no name")?;
    let is_name = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$')
        && name.chars().skip(1).all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !is_name {
        return Err(format!("{name:?} is no attribute name"));
    }
    let flag = |member: &str| match item.get(member) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(format!("{name}: {member} must be true or false")),
    };
    let kind = keyword(item, name, "type", Type::from_keyword, Type::String)?;
    let sub_attributes = match (kind, item.get("subAttributes").and_then(Value::as_array)) {
        (Type::Complex, _) if within => return Err(format!("{name}: complex attributes do not nest")),
        (Type::Complex, Some(items)) if !items.is_empty() => parse_attributes(items, true)?,
        (Type::Complex, _) => return Err(format!("{name}: a complex attribute has subAttributes")),
        _ => Vec::new(),
    };
    let texts = |member: &str| -> Vec<String> {
        let items = item.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Ok(Attribute {
        name: name.to_owned(),
        kind,
        multi_valued: flag("multiValued")?,
        description: item.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
        required: flag("required")?,
        canonical_values: texts("canonicalValues"),
        case_exact: flag("caseExact")?,
        mutability: keyword(item, name, "mutability", Mutability::from_keyword, Mutability::ReadWrite)?,
        returned: keyword(item, name, "returned", Returned::from_keyword, Returned::Default)?,
        uniqueness: keyword(item, name, "uniqueness", Uniqueness::from_keyword, Uniqueness::None)?,
        reference_types: texts("referenceTypes"),
        sub_attributes,
    })
}

fn keyword<T>(
    item: &Value,
    name: &str,
    member: &str,
    parse: fn(&str) -> Option<T>,
    default: T,
) -> Result<T, String> {
    match item.get(member) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value
            .as_str()
            .and_then(parse)
            .ok_or_else(|| format!("{name}: {member} is not one of RFC 7643's keywords")),
    }
}

/// An extension and the resource type it extends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The resource type.
    pub kind: Kind,
    /// The schema.
    pub schema: Schema,
}

/// The schemas of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schemas {
    user: Schema,
    group: Schema,
    common: Vec<Attribute>,
    extensions: Vec<Extension>,
    /// The kinds that some extension has attributes for which are not part of every answer.
    selective: Vec<Kind>,
}

impl Schemas {
    /// RFC 7643's own and an account's further extensions. An extension with the URN of one that is
    /// there already takes its place.
    pub fn new(extensions: impl IntoIterator<Item = Extension>) -> Self {
        let enterprise = Extension { kind: Kind::User, schema: crate::definitions::enterprise_user() };
        let mut all = vec![enterprise];
        for extension in extensions {
            all.retain(|other| !other.schema.id.eq_ignore_ascii_case(&extension.schema.id));
            all.push(extension);
        }
        let shown =
            |attribute: &Attribute| matches!(attribute.returned, Returned::Default | Returned::Always);
        let selective = all
            .iter()
            .filter(|extension| {
                let mut attributes = extension.schema.attributes.iter();
                attributes.any(|one| !shown(one) || !one.sub_attributes.iter().all(shown))
            })
            .map(|extension| extension.kind)
            .collect();
        Self {
            user: crate::definitions::user(),
            group: crate::definitions::group(),
            common: crate::definitions::common(),
            extensions: all,
            selective,
        }
    }

    /// Whether everything that is stored of a resource type is returned by default, so that a stored
    /// text can be sent as it is.
    pub fn shows_all(&self, kind: Kind) -> bool {
        !self.selective.contains(&kind)
    }

    /// The core schema of a resource type.
    pub fn core(&self, kind: Kind) -> &Schema {
        match kind {
            Kind::User => &self.user,
            Kind::Group => &self.group,
        }
    }

    /// The attributes that every resource has: `schemas`, `id`, `externalId`, `meta`.
    pub fn common(&self) -> &[Attribute] {
        &self.common
    }

    /// The extensions of a resource type.
    pub fn extensions(&self, kind: Kind) -> impl Iterator<Item = &Schema> {
        self.extensions
            .iter()
            .filter(move |extension| extension.kind == kind)
            .map(|extension| &extension.schema)
    }

    /// The extension of that URN, in any case.
    pub fn extension(&self, kind: Kind, urn: &str) -> Option<&Schema> {
        self.extensions(kind).find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// Every schema.
    pub fn all(&self) -> impl Iterator<Item = &Schema> {
        [&self.user, &self.group].into_iter().chain(self.extensions.iter().map(|extension| &extension.schema))
    }

    /// A core or common attribute, by its name in any case.
    pub fn core_attribute(&self, kind: Kind, name: &str) -> Option<&Attribute> {
        self.core(kind)
            .attribute(name)
            .or_else(|| self.common.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name)))
    }

    /// The attribute that a path names: its extension's URN, where it belongs to one, and its definition.
    pub fn find(&self, kind: Kind, urn: Option<&str>, name: &str) -> Option<(Option<&str>, &Attribute)> {
        match urn {
            None => self.core_attribute(kind, name).map(|attribute| (None, attribute)),
            Some(urn) if urn.eq_ignore_ascii_case(&self.core(kind).id) => {
                self.core_attribute(kind, name).map(|attribute| (None, attribute))
            }
            Some(urn) => {
                let schema = self.extension(kind, urn)?;
                Some((Some(schema.id.as_str()), schema.attribute(name)?))
            }
        }
    }
}

impl Default for Schemas {
    fn default() -> Self {
        Self::new([])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_in_any_case() {
        let schemas = Schemas::default();
        let found = |urn: Option<&str>, name: &str| {
            schemas
                .find(Kind::User, urn, name)
                .map(|(urn, attribute)| (urn.is_some(), attribute.name.as_str()))
        };
        assert_eq!(found(None, "USERNAME"), Some((false, "userName")));
        assert_eq!(found(None, "externalid"), Some((false, "externalId")));
        assert_eq!(
            found(Some("URN:ietf:params:scim:schemas:core:2.0:user"), "emails"),
            Some((false, "emails"))
        );
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        assert_eq!(found(Some(enterprise), "Manager"), Some((true, "manager")));
        assert_eq!(found(None, "manager"), None);
        assert_eq!(found(None, "members"), None);
    }

    #[test]
    fn an_extension_survives_its_own_json() {
        for schema in Schemas::default().all() {
            let json = schema.to_json();
            assert_eq!(&Schema::parse(json.as_object().unwrap()).unwrap(), schema);
        }
    }

    #[test]
    fn what_a_schema_leaves_out_is_as_the_rfc_says() {
        let json = json!({ "id": "urn:x:y", "attributes": [{ "name": "a" }] });
        let schema = Schema::parse(json.as_object().unwrap()).unwrap();
        let attribute = schema.attribute("A").unwrap();
        assert_eq!((attribute.kind, attribute.uniqueness), (Type::String, Uniqueness::None));
        assert_eq!((attribute.mutability, attribute.returned), (Mutability::ReadWrite, Returned::Default));
        assert!(!attribute.required && !attribute.case_exact && !attribute.multi_valued);
    }

    #[test]
    fn bad_extensions_are_refused_by_name() {
        let parse = |json: Value| Schema::parse(json.as_object().unwrap()).unwrap_err();
        let with = |attribute: Value| json!({ "id": "urn:x:y", "attributes": [attribute] });
        assert!(parse(json!({ "id": "x", "attributes": [] })).contains("URN"));
        assert!(parse(json!({ "id": "urn:x:y", "attributes": [] })).contains("1 to 200"));
        assert!(parse(with(json!({ "name": "1st" }))).contains("1st"));
        assert!(parse(with(json!({ "name": "a", "type": "text" }))).contains("type"));
        assert!(parse(with(json!({ "name": "a", "type": "complex" }))).contains("subAttributes"));
        let nested = json!({ "name": "a", "type": "complex", "subAttributes": [
            { "name": "b", "type": "complex", "subAttributes": [{ "name": "c" }] }] });
        assert!(parse(with(nested)).contains("nest"));
        let twice = json!({ "id": "urn:x:y", "attributes": [{ "name": "a" }, { "name": "A" }] });
        assert!(parse(twice).contains("twice"));
    }
}
