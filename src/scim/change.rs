//! What one PATCH operation does to one attribute (RFC 7644 §3.5.2.1 to §3.5.2.3): to all of it, to the
//! values that a filter selects, or to a part of them.

use crate::budget::{Budget, Copies, terms, weight, weight_of_all};
use crate::convert::{is_primary, keep_one_primary, make_primary, primaries, remove_duplicates};
use crate::error::{Error, ScimType};
use crate::evaluate::ElementMatcher;
use crate::filter::Filter;
use crate::fold::fold;
use crate::limits::{VALUES, exceeded};
use crate::patch::Verb;
use crate::schema::{Attribute, Mutability, Type};
use crate::validate::{Place, Reader, invalid, is_unassigned};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// What operations may still take.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) work: &'a Budget,
    pub(crate) copies: &'a Copies,
}

/// One operation on one attribute. INVARIANT: work and copies are charged before they are done or made.
#[derive(Clone, Copy)]
pub(crate) struct Change<'a> {
    pub(crate) left: Left<'a>,
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) verb: Verb,
    pub(crate) place: Place<'a>,
    pub(crate) value: &'a Value,
}

impl Change<'_> {
    /// To all values. `parent` is the object that has the attribute.
    pub(crate) fn apply(self, parent: &mut Map<String, Value>) -> Result<(), Error> {
        let attribute = self.place.attribute;
        let name = &attribute.name;
        match (self.place.sub, attribute.multi_valued) {
            (None, false) if self.verb == Verb::Remove => remove(attribute, parent),
            (None, false) => {
                self.charge_copies(1)?;
                self.set(parent)
            }
            (None, true) => self.change_list(parent),
            (Some(sub), false) => {
                self.charge_copies(1)?;
                let mut parts = match parent.get_mut(name).map(Value::take) {
                    Some(Value::Object(parts)) => parts,
                    _ => Map::new(),
                };
                self.set_part(sub, &mut parts)?;
                if parts.is_empty() {
                    parent.shift_remove(name);
                } else {
                    parent.insert(name.clone(), Value::Object(parts));
                }
                Ok(())
            }
            (Some(_), true) => {
                let mut values = self.take_list(parent, 1)?;
                let before = values.len();
                if values.is_empty() && self.verb != Verb::Remove {
                    if !self.reader.dialect.is_tolerant() {
                        return Err(no_target(name));
                    }
                    values.push(Value::Object(Map::new()));
                }
                let all: Vec<usize> = (0..values.len()).collect();
                self.change_values(&all, &mut values)?;
                self.put_list(parent, values, before)
            }
        }
    }

    /// To the values that a filter selects.
    pub(crate) fn apply_selected(
        self,
        filter: &Filter,
        parent: &mut Map<String, Value>,
    ) -> Result<(), Error> {
        let attribute = self.place.attribute;
        let name = &attribute.name;
        if !attribute.multi_valued {
            let sentence = format!("{name} has one value: a filter selects among several");
            return Err(Error::new(ScimType::InvalidPath, sentence));
        }
        let matcher = ElementMatcher::compile(filter, attribute)?;
        let mut values = self.take_list(parent, terms(filter).saturating_add(1))?;
        let before = values.len();
        let selected: Vec<usize> = values
            .iter()
            .enumerate()
            .filter(|(_, value)| matcher.matches(value))
            .map(|(index, _)| index)
            .collect();
        if selected.is_empty() {
            let tolerant = self.reader.dialect.is_tolerant();
            match (self.verb, matcher.template()) {
                (Verb::Remove, _) if tolerant => {}
                (Verb::Add | Verb::Replace, Some(template)) if tolerant && self.describes(template) => {
                    // What is described is part of what is made, even where the value is a whole one.
                    let last = [values.len()];
                    values.push(Value::Object(template.clone()));
                    Change { verb: Verb::Add, ..self }.change_values(&last, &mut values)?;
                }
                _ => return Err(no_target(name)),
            }
        } else {
            let whole = self.described(matcher.template());
            Change { value: whole.as_ref().unwrap_or(self.value), ..self }
                .change_values(&selected, &mut values)?;
        }
        self.put_list(parent, values, before)
    }

    /// A whole value that leaves out what the path says of it has it all the same, so that a request that
    /// made a value makes the same one when it is sent again.
    fn described(&self, template: Option<&Map<String, Value>>) -> Option<Value> {
        let whole =
            self.verb == Verb::Replace && self.place.sub.is_none() && self.reader.dialect.is_tolerant();
        let (true, Some(template), Value::Object(sent)) = (whole, template, self.value) else { return None };
        let mut whole = sent.clone();
        for (name, value) in template {
            if !sent.keys().any(|sent| sent.eq_ignore_ascii_case(name)) {
                whole.insert(name.clone(), value.clone());
            }
        }
        Some(Value::Object(whole))
    }

    /// Whether a filter that selects nothing tells what to make. `members[value eq "x"].display` names a
    /// member: to say something about one who is not a member must not make him one.
    fn describes(&self, template: &Map<String, Value>) -> bool {
        let names = |name: &String| {
            self.place.attribute.sub(name).is_some_and(|sub| sub.mutability == Mutability::Immutable)
        };
        (self.verb == Verb::Add && self.place.sub.is_none()) || !template.keys().any(names)
    }

    /// A single value: parts that are not named stay, those that are named without a value go.
    fn set(self, parent: &mut Map<String, Value>) -> Result<(), Error> {
        let Self { reader, verb, .. } = self;
        let value = reader.one(self.value);
        let attribute = self.place.attribute;
        let name = &attribute.name;
        let new = reader.convert(attribute, value, name)?;
        let complex = attribute.kind == Type::Complex;
        // "" and {"value": ""} are how a manager is taken away; `add` of nothing else adds nothing.
        let emptied =
            complex && (value.as_str() == Some("") || value.get("value").and_then(Value::as_str) == Some(""));
        if emptied || new.is_none() && is_unassigned(value) && verb == Verb::Replace {
            return remove(attribute, parent);
        }
        match (parent.get_mut(name), new) {
            (Some(Value::Object(old)), new) if complex => {
                let sent = value.as_object().into_iter().flatten();
                for (sub, _) in sent.filter(|(_, value)| verb == Verb::Replace && is_unassigned(value)) {
                    if let Some(sub) = attribute.sub(sub) {
                        old.shift_remove(&sub.name);
                        if sub.name == "value" && reader.dialect.is_tolerant() {
                            old.clear();
                        }
                    }
                }
                match new {
                    // A new `value` is another thing: what described the old one, its $ref and names, goes.
                    Some(Value::Object(new))
                        if new.contains_key("value") && new.get("value") != old.get("value") =>
                    {
                        *old = new;
                    }
                    Some(Value::Object(new)) => old.extend(new),
                    _ => {}
                }
                if old.is_empty() {
                    parent.shift_remove(name);
                }
            }
            (_, Some(new)) => {
                parent.insert(name.clone(), new);
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// All values of a list.
    fn change_list(self, parent: &mut Map<String, Value>) -> Result<(), Error> {
        let Self { verb, value, .. } = self;
        let attribute = self.place.attribute;
        let mut values = self.take_list(parent, 1)?;
        let before = values.len();
        self.charge_copies(1)?;
        let sent = match self.reader.convert(attribute, value, &attribute.name)? {
            Some(Value::Array(values)) => values,
            _ => Vec::new(),
        };
        match verb {
            Verb::Replace => values = sent,
            Verb::Add => {
                if let Some(primary) = add_values(attribute, &mut values, sent) {
                    make_primary(&mut values, primary);
                }
            }
            // Entra ID lists the members to remove in the value; without one, all go.
            Verb::Remove if value.is_null() => {
                refuse_if_required(attribute)?;
                values.clear();
            }
            Verb::Remove => remove_values(attribute, &mut values, &sent),
        }
        self.put_list(parent, values, before)
    }

    /// Charges the value for each place that it is copied to.
    fn charge_copies(&self, places: usize) -> Result<(), Error> {
        if self.verb == Verb::Remove && self.value.is_null() {
            return Ok(());
        }
        let weight = weight(self.value);
        self.left.copies.take(weight, places)?;
        self.left.work.charge(weight.saturating_mul(places))
    }

    /// Takes a list out of its place, which an error gives up with the whole resource. It will be looked through
    /// so many times.
    fn take_list(&self, parent: &mut Map<String, Value>, times: usize) -> Result<Vec<Value>, Error> {
        let values = match parent.get_mut(&self.place.attribute.name).map(Value::take) {
            Some(Value::Array(values)) => values,
            _ => Vec::new(),
        };
        self.left.work.charge(weight_of_all(&values).saturating_mul(times))?;
        Ok(values)
    }

    /// Puts a list back into its place. It may have as many values as before, which an origin may have let it have.
    fn put_list(
        &self,
        parent: &mut Map<String, Value>,
        mut values: Vec<Value>,
        before: usize,
    ) -> Result<(), Error> {
        let attribute = self.place.attribute;
        values.retain(|value| !value.as_object().is_some_and(Map::is_empty));
        if values.len() > VALUES.max(before) && !self.reader.is_members(attribute) {
            return Err(exceeded(format!("{} has at most {VALUES} values", attribute.name)));
        }
        if values.is_empty() {
            remove(attribute, parent)
        } else {
            parent.insert(attribute.name.clone(), Value::Array(values));
            Ok(())
        }
    }

    /// Some values of a list, by position in ascending order, or a part of each.
    fn change_values(self, selected: &[usize], values: &mut Vec<Value>) -> Result<(), Error> {
        let attribute = self.place.attribute;
        self.charge_copies(selected.len())?;
        let before = primaries(values);
        match self.place.sub {
            None if self.verb == Verb::Remove => {
                let mut index = 0_usize;
                values.retain(|_| {
                    let kept = selected.binary_search(&index).is_err();
                    index = index.saturating_add(1);
                    kept
                });
                return Ok(());
            }
            None => {
                let name = &attribute.name;
                let new = self.reader.convert_one(attribute, self.value, name)?;
                let new = new.ok_or_else(|| invalid(format!("{name} needs a value")))?;
                for index in selected {
                    match (self.verb, values.get_mut(*index), &new) {
                        (Verb::Add, Some(Value::Object(old)), Value::Object(new)) => {
                            old.extend(new.iter().map(|(name, value)| (name.clone(), value.clone())));
                        }
                        (_, Some(old), new) => *old = new.clone(),
                        (_, None, _) => {}
                    }
                }
            }
            Some(sub) => {
                for index in selected {
                    match values.get_mut(*index) {
                        Some(Value::Object(parts)) => self.set_part(sub, parts)?,
                        _ => return Err(no_target(&sub.name)),
                    }
                }
            }
        }
        remove_duplicates(values);
        keep_one_primary(values, &before);
        Ok(())
    }

    /// A part of one value.
    fn set_part(self, sub: &Attribute, parts: &mut Map<String, Value>) -> Result<(), Error> {
        let attribute = self.place.attribute;
        let path = format!("{}.{}", attribute.name, sub.name);
        let new = match self.verb {
            Verb::Remove => None,
            Verb::Add | Verb::Replace => self.reader.convert(sub, self.value, &path)?,
        };
        if self.verb == Verb::Add && new.is_none() {
            return Ok(());
        }
        let old = parts.get(&sub.name);
        if sub.mutability == Mutability::Immutable && old.is_some() && old != new.as_ref() {
            let sentence = format!("{path} cannot be changed once it is set");
            return Err(Error::new(ScimType::Mutability, sentence));
        }
        let is_value = sub.name == "value";
        match new {
            // A manager whose id is "" is none.
            Some(Value::String(text)) if text.is_empty() && is_value && !attribute.multi_valued => {
                parts.clear();
            }
            Some(new) => {
                parts.insert(sub.name.clone(), new);
            }
            None => {
                if old.is_some() {
                    refuse_if_required(sub)?;
                }
                parts.shift_remove(&sub.name);
                if is_value && self.reader.dialect.is_tolerant() && says_nothing(attribute, parts) {
                    parts.clear();
                }
            }
        }
        Ok(())
    }
}

/// What identifies a value of a list: its `value`, or all of it; and its `type`. Without regard to case,
/// unless the attribute has it (RFC 7643 §2.2).
fn identity(attribute: &Attribute, value: &Value) -> (Value, Option<Value>) {
    let folded = |value: &Value, exact: bool| match value {
        Value::String(text) if !exact => Value::String(fold(text)),
        other => other.clone(),
    };
    let exact = |name: &str| attribute.sub(name).is_some_and(|sub| sub.case_exact);
    let key = match value.get("value") {
        Some(value) => folded(value, exact("value")),
        None => folded(value, attribute.case_exact),
    };
    (key, value.get("type").map(|kind| folded(kind, exact("type"))))
}

/// Whether what is left of a value without its `value` says anything: a type or a preference of nothing
/// does not, nor does a URL or a name of a single thing that is no longer meant.
fn says_nothing(attribute: &Attribute, parts: &Map<String, Value>) -> bool {
    !attribute.multi_valued || parts.keys().all(|name| ["type", "primary"].contains(&name.as_str()))
}

/// Adds values that are not there. One with the `value` and `type` of another is that other, and may say
/// more about it; so is one that has no `type`. The position of the one that becomes primary, if one does,
/// whatever else is said about the one that was.
fn add_values(attribute: &Attribute, values: &mut Vec<Value>, sent: Vec<Value>) -> Option<usize> {
    let mut known = Known::default();
    for (index, value) in values.iter().enumerate() {
        known.note(identity(attribute, value), index);
    }
    let mut primary = None;
    for value in sent {
        let named = identity(attribute, &value);
        let index = known.find(&named).unwrap_or(values.len());
        if is_primary(&value) && !values.get(index).is_some_and(is_primary) {
            primary = Some(index);
        }
        match (values.get_mut(index), value) {
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
            (Some(_), _) => {}
            (None, value) => {
                known.note(named, index);
                values.push(value);
            }
        }
    }
    primary
}

/// Where values stand in a list.
#[derive(Default)]
struct Known {
    firsts: HashMap<Value, usize>,
    typed: HashMap<(Value, Value), usize>,
}

impl Known {
    fn note(&mut self, (key, kind): (Value, Option<Value>), index: usize) {
        if let Some(kind) = kind {
            self.typed.entry((key.clone(), kind)).or_insert(index);
        }
        self.firsts.entry(key).or_insert(index);
    }

    fn find(&self, named: &(Value, Option<Value>)) -> Option<usize> {
        match named {
            (key, None) => self.firsts.get(key).copied(),
            (key, Some(kind)) => self.typed.get(&(key.clone(), kind.clone())).copied(),
        }
    }
}

/// Takes values away: those with the `value` of one that is named, and its `type` where both have one.
fn remove_values(attribute: &Attribute, values: &mut Vec<Value>, gone: &[Value]) {
    let mut types: HashMap<Value, HashSet<Option<Value>>> = HashMap::new();
    for value in gone {
        let (key, kind) = identity(attribute, value);
        types.entry(key).or_default().insert(kind);
    }
    values.retain(|value| {
        let (key, kind) = identity(attribute, value);
        let Some(types) = types.get(&key) else { return true };
        !(kind.is_none() || types.contains(&None) || types.contains(&kind))
    });
}

fn remove(attribute: &Attribute, parent: &mut Map<String, Value>) -> Result<(), Error> {
    if parent.contains_key(&attribute.name) {
        refuse_if_required(attribute)?;
    }
    parent.shift_remove(&attribute.name);
    Ok(())
}

fn refuse_if_required(attribute: &Attribute) -> Result<(), Error> {
    if attribute.required {
        let sentence = format!("{} is required and cannot be removed", attribute.name);
        return Err(Error::new(ScimType::Mutability, sentence));
    }
    Ok(())
}

fn no_target(name: &str) -> Error {
    Error::new(ScimType::NoTarget, format!("the path selects no value of {name}"))
}
