//! Resources as clients see them: the stored body with `groups`, `members` and `meta` at its end.
//!
//! Without a projection the text is put together from texts, and no body is parsed.

use crate::sql::{Sql, SqlError};
use crate::store::{Member, Membership, Store, Stored};
use crate::time;
use scim_edge_scim::endpoint::{Kind, encode};
use scim_edge_scim::project::Projection;
use scim_edge_scim::relocate::relocate;
use scim_edge_scim::schema::Schemas;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Stands in stored references for the base that the caller will see.
pub(crate) const OPEN_BASE: &str = "urn:scim-edge:base";

/// What belongs to resources but lies in other tables.
#[derive(Default)]
pub(crate) struct Relations {
    groups: HashMap<String, Vec<Membership>>,
    members: HashMap<i64, Vec<Member>>,
}

impl Relations {
    /// Those of some resources: a user's groups always, since its ETag speaks of them; a group's members
    /// only where they are wanted.
    pub(crate) fn of<S: Sql>(
        store: &Store<S>,
        resources: &[Stored],
        members: bool,
    ) -> Result<Self, SqlError> {
        let mut relations = Self::default();
        let mut unknown = Vec::new();
        let mut known = Vec::new();
        for user in resources.iter().filter(|resource| resource.kind == Kind::User) {
            match &user.groups {
                Some(groups) if groups.is_empty() => {}
                Some(groups) => known.push((user.id.as_str(), groups.as_slice())),
                None => unknown.push(user.id.as_str()),
            }
        }
        let lists: Vec<&[i64]> = known.iter().map(|(_, groups)| *groups).collect();
        for ((id, _), groups) in known.into_iter().zip(store.groups_shown(&lists)?) {
            let Some(groups) = groups else {
                unknown.push(id);
                continue;
            };
            let direct = |group| Membership { group, direct: true };
            relations.groups.insert(id.to_owned(), groups.into_iter().map(direct).collect());
        }
        if !unknown.is_empty() {
            for (user, membership) in store.groups_of(&unknown)? {
                relations.groups.entry(user).or_default().push(membership);
            }
        }
        let groups: Vec<i64> = resources.iter().filter(|r| r.kind == Kind::Group).map(|r| r.seq).collect();
        if members && !groups.is_empty() {
            for (group, member) in store.members_of(&groups)? {
                relations.members.entry(group).or_default().push(member);
            }
        }
        Ok(relations)
    }

    fn groups(&self, stored: &Stored) -> &[Membership] {
        match stored.kind {
            Kind::User => self.groups.get(&stored.id).map(Vec::as_slice).unwrap_or_default(),
            Kind::Group => &[],
        }
    }

    fn members(&self, stored: &Stored) -> &[Member] {
        self.members.get(&stored.seq).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Turns stored resources into texts and values.
pub(crate) struct Renderer<'a> {
    pub(crate) base: &'a str,
    pub(crate) schemas: &'a Schemas,
}

impl Renderer<'_> {
    pub(crate) fn location(&self, kind: Kind, id: &str) -> String {
        [self.base, "/", kind.segment(), "/", &encode(id)].concat()
    }

    /// A resource as an answer shows it.
    pub(crate) fn text(
        &self,
        stored: &Stored,
        relations: &Relations,
        projection: &Projection,
    ) -> Result<String, SqlError> {
        let mut text = String::with_capacity(stored.body.len().saturating_add(512));
        self.write(&mut text, stored, relations, projection)?;
        Ok(text)
    }

    /// The same, behind another text.
    pub(crate) fn write(
        &self,
        text: &mut String,
        stored: &Stored,
        relations: &Relations,
        projection: &Projection,
    ) -> Result<(), SqlError> {
        if !projection.is_default() || !self.schemas.shows_all(stored.kind) {
            let resource = projection.apply(self.value(stored, relations)?, self.schemas, stored.kind);
            text.push_str(&Value::Object(resource).to_string());
            return Ok(());
        }
        if stored.origin_meta.is_some() && stored.body.contains(OPEN_BASE) {
            text.push_str(&stored.body.replace(OPEN_BASE, self.base));
        } else {
            text.push_str(&stored.body);
        }
        if text.pop() != Some('}') {
            return Err(SqlError::new("a stored body is not an object"));
        }
        for (place, Membership { group, direct }) in relations.groups(stored).iter().enumerate() {
            text.push_str(if place == 0 { ",\"groups\":[" } else { "," });
            text.push_str("{\"value\":");
            push(text, &group.id);
            text.push_str(",\"$ref\":");
            push(text, &self.location(Kind::Group, &group.id));
            if let Some(display) = &group.display {
                text.push_str(",\"display\":");
                push(text, display);
            }
            text.push_str(if *direct { ",\"type\":\"direct\"}" } else { ",\"type\":\"indirect\"}" });
        }
        if !relations.groups(stored).is_empty() {
            text.push(']');
        }
        if let Some(members) = self.members(stored, relations) {
            text.push_str(",\"members\":");
            text.push_str(&members.to_string());
        }
        text.push_str(",\"meta\":");
        if stored.origin_meta.is_some() {
            text.push_str(&self.meta(stored, relations)?.to_string());
        } else {
            text.push_str("{\"resourceType\":\"");
            text.push_str(stored.kind.name());
            text.push_str("\",\"created\":\"");
            text.push_str(&time::to_text(stored.created));
            text.push_str("\",\"lastModified\":\"");
            text.push_str(&time::to_text(stored.modified));
            text.push_str("\",\"location\":");
            push(text, &self.location(stored.kind, &stored.id));
            text.push_str(",\"version\":");
            push(text, &etag(stored, relations));
            text.push('}');
        }
        text.push('}');
        Ok(())
    }

    /// A whole resource as a value.
    pub(crate) fn value(
        &self,
        stored: &Stored,
        relations: &Relations,
    ) -> Result<Map<String, Value>, SqlError> {
        let mut resource = stored.resource()?;
        if stored.origin_meta.is_some() {
            resource.values_mut().for_each(|value| relocate(value, OPEN_BASE, self.base));
        }
        if let Some(groups) = self.groups(stored, relations) {
            resource.insert("groups".into(), groups);
        }
        if let Some(members) = self.members(stored, relations) {
            resource.insert("members".into(), members);
        }
        resource.insert("meta".into(), self.meta(stored, relations)?);
        Ok(resource)
    }

    fn groups(&self, stored: &Stored, relations: &Relations) -> Option<Value> {
        let groups = relations.groups(stored);
        let group = |Membership { group, direct }: &Membership| {
            let mut value = Map::new();
            value.insert("value".into(), group.id.as_str().into());
            value.insert("$ref".into(), self.location(Kind::Group, &group.id).into());
            if let Some(display) = &group.display {
                value.insert("display".into(), display.as_str().into());
            }
            value.insert("type".into(), if *direct { "direct" } else { "indirect" }.into());
            Value::Object(value)
        };
        (!groups.is_empty()).then(|| groups.iter().map(group).collect())
    }

    fn members(&self, stored: &Stored, relations: &Relations) -> Option<Value> {
        let members = relations.members(stored);
        (!members.is_empty()).then(|| members.iter().map(|member| self.member(member)).collect())
    }

    pub(crate) fn member(&self, member: &Member) -> Value {
        let mut value = Map::new();
        value.insert("value".into(), member.id.as_str().into());
        if let Some(kind) = member.kind {
            value.insert("$ref".into(), self.location(kind, &member.id).into());
            value.insert("type".into(), kind.name().into());
        }
        if let Some(display) = &member.display {
            value.insert("display".into(), display.as_str().into());
        }
        Value::Object(value)
    }

    pub(crate) fn meta(&self, stored: &Stored, relations: &Relations) -> Result<Value, SqlError> {
        let mut meta = match &stored.origin_meta {
            Some(text) => {
                serde_json::from_str(text).map_err(|_| SqlError::new("a stored meta is not JSON"))?
            }
            None => json!({
                "resourceType": stored.kind.name(),
                "created": time::to_text(stored.created),
                "lastModified": time::to_text(stored.modified),
            }),
        };
        if let Value::Object(members) = &mut meta {
            members.insert("location".into(), self.location(stored.kind, &stored.id).into());
            members.insert("version".into(), etag(stored, relations).into());
        }
        Ok(meta)
    }
}

/// A JSON string. Most texts have nothing that would have to be escaped.
fn push(text: &mut String, value: &str) {
    if value.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        text.push_str(&Value::from(value).to_string());
    } else {
        text.push('"');
        text.push_str(value);
        text.push('"');
    }
}

/// The resource's own part of its ETag: what a change of it changes.
pub(crate) fn own_version(stored: &Stored) -> String {
    let origin = stored.origin_meta.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    match origin.as_ref().and_then(|meta| meta.get("version")).and_then(Value::as_str) {
        // An origin of this same software has a sign of its own there.
        Some(tag) => without_groups(opaque(tag)).to_owned(),
        None => stored.version.to_string(),
    }
}

/// The ETag (RFC 7232 §2.3, weak): the resource's own version and, for a user in groups, a sign of them.
/// What is served for the tag changes with the groups; what a client changes does not, so `If-Match`
/// looks at the first part only.
pub(crate) fn etag(stored: &Stored, relations: &Relations) -> String {
    let own = own_version(stored);
    let groups = relations.groups(stored);
    if groups.is_empty() {
        return format!("W/\"{own}\"");
    }
    let sign = groups.iter().fold(0_u32, |sum, Membership { group, direct }| {
        let sign = if *direct { group.sign } else { sign(&group.id, group.display.as_deref(), false) };
        sum.wrapping_add(sign)
    });
    format!("W/\"{own}~{sign:08x}\"")
}

/// What a group adds to the ETag of a user that is in it: FNV-1a over what the user's `groups` show of it.
/// The signs of several are added up, which SQLite can do as well.
pub(crate) fn sign(group_id: &str, display: Option<&str>, direct: bool) -> u32 {
    let parts = [group_id.as_bytes(), &[u8::from(direct)], display.unwrap_or("").as_bytes()];
    parts.concat().iter().fold(0x811c_9dc5, |sign, byte| (sign ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// A tag without `W/` and quotes.
pub(crate) fn opaque(tag: &str) -> &str {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag)
}

/// A tag without the sign of groups.
pub(crate) fn without_groups(tag: &str) -> &str {
    match tag.rsplit_once('~') {
        Some((own, sign)) if sign.len() == 8 && sign.bytes().all(|b| b.is_ascii_hexdigit()) => own,
        _ => tag,
    }
}
