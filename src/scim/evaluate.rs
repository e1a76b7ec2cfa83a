//! Filters against resources: a filter compiled with the schemas, then asked of many candidates.
//!
//! Compiling resolves every path to where the value stands in a stored resource, picks the comparison
//! its type calls for and folds the constants, so that asking allocates nothing but for `co` on folded
//! text, and is linear in the values it looks at. Resources are as validation leaves them: canonical
//! names, extensions under their URN.
//!
//! A multi-valued attribute satisfies a comparison if any of its values does (RFC 7644 §3.4.2.2); a
//! value path if one value satisfies all that stands in the brackets. A complex attribute without a
//! sub-attribute is compared by its `value`. An attribute that no schema defines, or that is never
//! returned, is `invalidFilter`: an empty answer would let a client create what exists.

use crate::compare::{Comparison, boolean, is_present};
use crate::endpoint::Kind;
use crate::error::{Error, ScimType};
use crate::filter::{Filter, Literal, Operator};
use crate::lookup::{self, Lookup};
use crate::naming::{self, Demand};
use crate::needle;
use crate::path::AttributePath;
use crate::schema::{Attribute, Mutability, Returned, Schemas, Type};
use serde_json::{Map, Value};

/// A compiled filter over resources of one kind.
#[derive(Clone, Debug)]
pub struct Matcher {
    kind: Kind,
    node: Node,
}

/// A compiled filter over the values of one attribute: what stands in the brackets of a PATCH path.
#[derive(Clone, Debug)]
pub struct ElementMatcher {
    node: Node,
    template: Option<Map<String, Value>>,
}

/// A compiled filter.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Present(Target),
    Compare(Target, Comparison),
    Element(Target, Box<Node>),
    /// `members` or `groups` hold this id; a caller that knows without reading them may say so.
    Related(Lookup, Box<Node>),
}

/// Where a value stands below a resource or an element.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The extension's URN, where the attribute belongs to one.
    pub(crate) extension: Option<String>,
    /// The attribute's canonical name.
    pub(crate) name: String,
    /// The sub-attribute's canonical name.
    pub(crate) sub: Option<String>,
}

impl Matcher {
    /// Compiles a filter for one kind of resource.
    pub fn compile(filter: &Filter, schemas: &Schemas, kind: Kind) -> Result<Self, Error> {
        Ok(Self { kind, node: compile(filter, Scope::Resource { schemas, kind, others: false })? })
    }

    /// Compiles a filter of a query over every kind: an attribute that only another kind has is one
    /// without a value here (RFC 7644 §3.4.2.1).
    pub fn compile_across(filter: &Filter, schemas: &Schemas, kind: Kind) -> Result<Self, Error> {
        Ok(Self { kind, node: compile(filter, Scope::Resource { schemas, kind, others: true })? })
    }

    /// Whether a resource satisfies the filter.
    pub fn matches(&self, resource: &Map<String, Value>) -> bool {
        self.node.holds(Root::Resource(resource), &|_| None)
    }

    /// The same, where `related` answers [`Lookup::Member`] and [`Lookup::Group`] for this resource
    /// without its `members` and `groups`; it answers none for what it does not know.
    pub fn matches_with(
        &self,
        resource: &Map<String, Value>,
        related: &dyn Fn(&Lookup) -> Option<bool>,
    ) -> bool {
        self.node.holds(Root::Resource(resource), related)
    }

    /// Whether the filter looks at a top-level attribute (`meta`, `groups`), so that a caller who makes
    /// it up can leave it out. With `related`, tests that [`Matcher::matches_with`] asks about do not count.
    pub fn reads(&self, attribute: &str, related: bool) -> bool {
        self.node.reads(attribute, related)
    }

    /// Whether the filter looks at what stands under this name at the top of a resource, which is an
    /// attribute's or an extension's URN.
    pub fn looks_at(&self, name: &str) -> bool {
        self.node.looks_at(name)
    }

    /// Whether the filter looks at a sub-attribute of a top-level attribute, or at all of that.
    pub fn looks_at_part(&self, name: &str, sub: &str) -> bool {
        self.node.looks_at_part(name, sub)
    }

    /// Lookups whose answers together hold every resource that satisfies the filter, and maybe others:
    /// each candidate is to be asked. None: only a scan finds them all.
    pub fn lookups(&self) -> Option<Vec<Lookup>> {
        lookup::plan(&self.node, self.kind)
    }

    /// Texts that the JSON of every resource has in it that satisfies the filter, but for those whose JSON
    /// has a character that is not ASCII: at most three, each of at most 40 printable ASCII characters, none of
    /// which JSON escapes. The case of letters does not count. Neither `meta` nor `groups` nor `members` is
    /// thought to be in that JSON.
    pub fn needles(&self) -> Vec<&str> {
        needle::of(&self.node)
    }

    /// What the filter demands of a resource's names; none where it accepts some whatever they are named.
    pub fn demand(&self) -> Option<Demand<'_>> {
        naming::of(&self.node)
    }
}

impl ElementMatcher {
    /// Compiles a filter over the values of `attribute`.
    pub fn compile(filter: &Filter, attribute: &Attribute) -> Result<Self, Error> {
        let node = compile(filter, Scope::Element(attribute))?;
        let mut template = Some(Map::new());
        describe(filter, attribute, &mut template);
        Ok(Self { node, template })
    }

    /// The value that a filter of nothing but equalities describes, in canonical names and types:
    /// `{"type": "work"}` for `type eq "work"`. It is what a client means that sets
    /// `emails[type eq "work"].value` where there is no such value. None for any other filter.
    pub fn template(&self) -> Option<&Map<String, Value>> {
        self.template.as_ref()
    }

    /// Whether a value satisfies the filter.
    pub fn matches(&self, value: &Value) -> bool {
        self.node.holds(Root::Element(value), &|_| None)
    }
}

/// What paths are resolved against.
#[derive(Clone, Copy)]
enum Scope<'a> {
    Resource { schemas: &'a Schemas, kind: Kind, others: bool },
    Element(&'a Attribute),
}

/// What a path leads to.
enum Found<'a> {
    Attribute {
        target: Target,
        attribute: &'a Attribute,
        leaf: &'a Attribute,
    },
    /// Defined, but not for this kind.
    Elsewhere,
}

fn invalid(sentence: String) -> Error {
    Error::new(ScimType::InvalidFilter, sentence)
}

/// Recursion is as deep as the filter, which its parser bounds.
fn compile(filter: &Filter, scope: Scope<'_>) -> Result<Node, Error> {
    let all = |members: &[Filter]| -> Result<Vec<Node>, Error> {
        members.iter().map(|member| compile(member, scope)).collect()
    };
    Ok(match filter {
        Filter::And(members) => Node::And(all(members)?),
        Filter::Or(members) => Node::Or(all(members)?),
        Filter::Not(inner) => Node::Not(Box::new(compile(inner, scope)?)),
        Filter::Present(path) => match scope.find(path)? {
            Found::Attribute { target, .. } => Node::Present(target),
            Found::Elsewhere => Node::Or(Vec::new()),
        },
        Filter::Compare(path, operator, literal) => compare(path, *operator, literal, scope)?,
        Filter::Element(path, inner) => match scope.find(path)? {
            Found::Attribute { target, attribute, .. } => {
                let inner = compile(inner, Scope::Element(attribute))?;
                scope.related(Node::Element(target, Box::new(inner)))
            }
            Found::Elsewhere => Node::Or(Vec::new()),
        },
    })
}

fn compare(
    path: &AttributePath,
    operator: Operator,
    literal: &Literal,
    scope: Scope<'_>,
) -> Result<Node, Error> {
    let (target, leaf) = match scope.find(path)? {
        Found::Attribute { target, leaf, .. } => (target, leaf),
        Found::Elsewhere => {
            let holds = match operator {
                Operator::Ne => *literal != Literal::Null,
                Operator::Eq => *literal == Literal::Null,
                _ => false,
            };
            return Ok(if holds { Node::And(Vec::new()) } else { Node::Or(Vec::new()) });
        }
    };
    let (target, leaf) = match literal {
        Literal::Null => (target, leaf),
        _ => plain(target, leaf)
            .ok_or_else(|| invalid(format!("{path} is complex: name one of its sub-attributes")))?,
    };
    let comparison = Comparison::new(operator, literal, leaf.kind, leaf.case_exact, &path.to_string())?;
    Ok(scope.related(Node::Compare(target, comparison)))
}

/// Adds to `template` what `filter` says values of `attribute` equal, or takes it away.
fn describe(filter: &Filter, attribute: &Attribute, template: &mut Option<Map<String, Value>>) {
    let value = match filter {
        Filter::And(members) => {
            return members.iter().for_each(|member| describe(member, attribute, template));
        }
        Filter::Compare(path, Operator::Eq, literal) => {
            attribute.sub(&path.name).and_then(|sub| Some((sub.name.clone(), typed(literal, sub.kind)?)))
        }
        _ => None,
    };
    match (value, template.as_mut()) {
        (Some((name, value)), Some(object)) if !object.contains_key(&name) => {
            object.insert(name, value);
        }
        _ => *template = None,
    }
}

/// The JSON value of a type that a literal stands for.
fn typed(literal: &Literal, kind: Type) -> Option<Value> {
    let text = match literal {
        Literal::Null => return None,
        Literal::Bool(value) => value.to_string(),
        Literal::Number(text) | Literal::String(text) => text.clone(),
    };
    match kind {
        Type::Boolean => boolean(&Value::String(text)).map(Value::Bool),
        Type::Integer | Type::Decimal => text.parse().ok().map(Value::Number),
        Type::Complex => None,
        _ => Some(Value::String(text)),
    }
}

/// Whether an attribute cannot be read: asking for it would answer nothing, or what must not be told.
fn hidden(attribute: &Attribute) -> bool {
    attribute.mutability == Mutability::WriteOnly || attribute.returned == Returned::Never
}

fn find<'a>(path: &AttributePath, schemas: &'a Schemas, kind: Kind) -> Option<Found<'a>> {
    let (extension, attribute) = schemas.find(kind, path.urn.as_deref(), &path.name)?;
    let leaf = match &path.sub {
        Some(sub) => attribute.sub(sub)?,
        None => attribute,
    };
    if hidden(attribute) || hidden(leaf) {
        return None;
    }
    let target = Target {
        extension: extension.map(str::to_owned),
        name: attribute.name.clone(),
        sub: path.sub.as_ref().map(|_| leaf.name.clone()),
    };
    Some(Found::Attribute { target, attribute, leaf })
}

/// Where the plain value stands that a path means: a complex attribute's is its `value`.
fn plain(mut target: Target, leaf: &Attribute) -> Option<(Target, &Attribute)> {
    if leaf.kind != Type::Complex {
        return Some((target, leaf));
    }
    let value = leaf.sub("value")?;
    target.sub = Some(value.name.clone());
    Some((target, value))
}

/// Where the plain value stands that a path means, and its definition.
pub(crate) fn resolve<'a>(
    path: &AttributePath,
    schemas: &'a Schemas,
    kind: Kind,
) -> Option<(Target, &'a Attribute)> {
    match find(path, schemas, kind)? {
        Found::Attribute { target, leaf, .. } => plain(target, leaf),
        Found::Elsewhere => None,
    }
}

impl<'a> Scope<'a> {
    fn related(self, node: Node) -> Node {
        match self {
            Self::Resource { kind, .. } => lookup::relate(node, kind),
            Self::Element(_) => node,
        }
    }

    /// Where a path leads, or why nowhere.
    fn find(self, path: &AttributePath) -> Result<Found<'a>, Error> {
        match self {
            Self::Resource { schemas, kind, others } => {
                if let Some(found) = find(path, schemas, kind) {
                    return Ok(found);
                }
                let elsewhere = |kind| find(path, schemas, kind).is_some();
                if others && Kind::ALL.into_iter().any(elsewhere) {
                    return Ok(Found::Elsewhere);
                }
                Err(invalid(format!("{path} is not an attribute that can be asked for here")))
            }
            Self::Element(attribute) => {
                let own = |path: &AttributePath| path.urn.is_none() && path.sub.is_none();
                let simple = attribute.kind != Type::Complex && attribute.multi_valued;
                let leaf = match attribute.sub(&path.name) {
                    Some(sub) if own(path) && !hidden(sub) => sub,
                    // A multi-valued attribute of plain values: `value` is the value.
                    None if simple && own(path) && path.name.eq_ignore_ascii_case("value") => attribute,
                    _ => {
                        return Err(invalid(format!("{path} is not a sub-attribute of {}", attribute.name)));
                    }
                };
                let name = if simple { "value".to_owned() } else { leaf.name.clone() };
                let target = Target { extension: None, name, sub: None };
                Ok(Found::Attribute { target, attribute: leaf, leaf })
            }
        }
    }
}

/// What targets are looked up in.
#[derive(Clone, Copy)]
enum Root<'a> {
    Resource(&'a Map<String, Value>),
    /// One value of an attribute.
    Element(&'a Value),
}

impl<'a> Root<'a> {
    fn get(self, target: &Target) -> Option<&'a Value> {
        match (self, &target.extension) {
            (Self::Resource(resource), None) => resource.get(&target.name),
            (Self::Resource(resource), Some(urn)) => resource.get(urn)?.get(&target.name),
            (Self::Element(element), _) => member(element, &target.name),
        }
    }
}

/// A member of a value; `value` of a plain value is the value itself.
fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(name),
        plain if name == "value" => Some(plain),
        _ => None,
    }
}

impl Target {
    /// Whether `holds` for any value there; an attribute without values is asked once, with none.
    fn any(&self, root: Root<'_>, holds: impl Fn(Option<&Value>) -> bool) -> bool {
        let part = |value| match &self.sub {
            Some(sub) => any_of(member(value, sub), &holds),
            None => holds(Some(value)),
        };
        match root.get(self) {
            None => holds(None),
            Some(Value::Array(values)) if values.is_empty() => holds(None),
            Some(Value::Array(values)) => values.iter().any(part),
            Some(value) => part(value),
        }
    }
}

impl Target {
    /// What counts where nothing is said: a value of a list that does not say whether it is the primary one
    /// is not (RFC 7643 §2.4).
    fn assumed(&self, root: Root<'_>) -> Option<&'static Value> {
        static NOT_PRIMARY: Value = Value::Bool(false);
        let is_of_value = match root {
            Root::Element(element) => self.name == "primary" && element.is_object(),
            Root::Resource(_) => {
                self.sub.as_deref() == Some("primary")
                    && root.get(self).and_then(Value::as_array).is_some_and(|values| !values.is_empty())
            }
        };
        is_of_value.then_some(&NOT_PRIMARY)
    }

    /// The one value that stands for all of them: the primary one or the first.
    pub(crate) fn preferred<'a>(&self, resource: &'a Map<String, Value>) -> Option<&'a Value> {
        let value = match Root::Resource(resource).get(self)? {
            Value::Array(values) => {
                let primary = |value: &&Value| value.get("primary").and_then(boolean) == Some(true);
                values.iter().find(primary).or_else(|| values.first())?
            }
            value => value,
        };
        match &self.sub {
            Some(sub) => member(value, sub),
            None => Some(value),
        }
    }
}

fn any_of(value: Option<&Value>, holds: &impl Fn(Option<&Value>) -> bool) -> bool {
    match value {
        Some(Value::Array(values)) if values.is_empty() => holds(None),
        Some(Value::Array(values)) => values.iter().any(|value| holds(Some(value))),
        other => holds(other),
    }
}

impl Node {
    fn holds(&self, root: Root<'_>, related: &dyn Fn(&Lookup) -> Option<bool>) -> bool {
        match self {
            Self::And(members) => members.iter().all(|member| member.holds(root, related)),
            Self::Or(members) => members.iter().any(|member| member.holds(root, related)),
            Self::Not(inner) => !inner.holds(root, related),
            Self::Present(target) => target.any(root, |value| value.is_some_and(is_present)),
            Self::Compare(target, comparison) => {
                target.any(root, |value| comparison.matches(value.or_else(|| target.assumed(root))))
            }
            Self::Element(target, inner) => match root.get(target) {
                Some(Value::Array(values)) => {
                    values.iter().any(|value| inner.holds(Root::Element(value), related))
                }
                Some(Value::Null) | None => false,
                Some(value) => inner.holds(Root::Element(value), related),
            },
            Self::Related(lookup, inner) => related(lookup).unwrap_or_else(|| inner.holds(root, related)),
        }
    }

    fn looks_at(&self, name: &str) -> bool {
        match self {
            Self::And(members) | Self::Or(members) => members.iter().any(|member| member.looks_at(name)),
            Self::Not(inner) | Self::Related(_, inner) => inner.looks_at(name),
            Self::Present(target) | Self::Compare(target, _) | Self::Element(target, _) => {
                target.extension.as_deref().unwrap_or(&target.name) == name
            }
        }
    }

    fn looks_at_part(&self, name: &str, sub: &str) -> bool {
        match self {
            Self::And(members) | Self::Or(members) => {
                members.iter().any(|member| member.looks_at_part(name, sub))
            }
            Self::Not(inner) | Self::Related(_, inner) => inner.looks_at_part(name, sub),
            Self::Present(target) | Self::Compare(target, _) | Self::Element(target, _) => {
                target.extension.is_none()
                    && target.name == name
                    && target.sub.as_deref().is_none_or(|known| known == sub)
            }
        }
    }

    fn reads(&self, attribute: &str, related: bool) -> bool {
        match self {
            Self::And(members) | Self::Or(members) => {
                members.iter().any(|member| member.reads(attribute, related))
            }
            Self::Not(inner) => inner.reads(attribute, related),
            Self::Related(_, inner) => !related && inner.reads(attribute, related),
            Self::Present(target) | Self::Compare(target, _) | Self::Element(target, _) => {
                target.extension.is_none() && target.name == attribute
            }
        }
    }
}
