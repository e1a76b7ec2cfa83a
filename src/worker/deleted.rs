//! Operators' reads about single resources: `.deleted` lists deleted ones, `.history` the changes of one.

use crate::directory::{Directory, internal};
use crate::environment::now_ms;
use crate::http::{Request, Response, scim_error};
use crate::journal::{deleted_from, kept_from};
use crate::operate::json_answer;
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::deleted::Search;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::{Error as ScimError, ScimType};
use serde_json::json;
use std::collections::HashMap;
use url::form_urlencoded;
use worker::Result;

/// Entries of a page, by default and at most.
const COUNT: usize = 100;
const MOST: usize = 1_000;

/// The members of a query that both calls have.
struct Asked {
    members: HashMap<String, String>,
    kind: Option<Kind>,
    before: Option<i64>,
    count: usize,
}

impl Asked {
    fn parse(request: &Request) -> std::result::Result<Self, ScimError> {
        let wrong = |name: &str, sentence: &str| {
            ScimError::new(ScimType::InvalidValue, format!("{name} must be {sentence}"))
        };
        let query = form_urlencoded::parse(request.query().as_bytes());
        let members: HashMap<String, String> =
            query.into_owned().filter(|(_, value)| !value.is_empty()).collect();
        let get = |name: &str| members.get(name).map(String::as_str);
        let kind = get("type")
            .map(|name| kind_named(name).ok_or_else(|| wrong("type", "User or Group")))
            .transpose()?;
        let cursor = |text: &str| {
            let number = text.parse::<i64>().ok().filter(|number| (1..=1_i64 << 53).contains(number));
            number.ok_or_else(|| wrong("cursor", "the nextCursor of a page"))
        };
        let before = get("cursor").map(cursor).transpose()?;
        let counted = |text: &str| {
            let count = text.parse().ok().filter(|count| (1..=MOST).contains(count));
            count.ok_or_else(|| wrong("count", "a number from 1 to 1000"))
        };
        let count = get("count").map(counted).transpose()?.unwrap_or(COUNT);
        Ok(Self { kind, before, count, members })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.members.get(name).map(String::as_str)
    }
}

/// The type of resource of that name.
pub(crate) fn kind_named(name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name)
}

impl Directory {
    pub(crate) fn list_deleted(&self, request: &Request, settings: &DirectorySettings) -> Result<Response> {
        let asked = match Asked::parse(request) {
            Ok(asked) => asked,
            Err(error) => return scim_error(&error, &[]),
        };
        let search = Search {
            kind: asked.kind,
            name: asked.get("userName").or(asked.get("displayName")),
            text: asked.get("text"),
            kept_from: deleted_from(settings, now_ms()),
        };
        let page = self.store()?.deleted_resources(&search, asked.before, asked.count).map_err(internal)?;
        let next = page.before.map(|number| number.to_string());
        json_answer(
            200,
            &json!({
                "resources": page.resources,
                "nextCursor": next,
                "retentionDays": settings.deleted_retention_days,
            }),
        )
    }

    pub(crate) fn history(&self, request: &Request, settings: &DirectorySettings) -> Result<Response> {
        let asked = match Asked::parse(request) {
            Ok(asked) => asked,
            Err(error) => return scim_error(&error, &[]),
        };
        let (Some(kind), Some(id)) = (asked.kind, asked.get("id")) else {
            let sentence = "type (User or Group) and id must name a resource";
            return scim_error(&ScimError::new(ScimType::InvalidValue, sentence), &[]);
        };
        let store = self.store()?;
        let now_ms = now_ms();
        let ids = store.ids_of(kind, id).map_err(internal)?;
        let page = store
            .history(kind, &ids, kept_from(settings, now_ms), asked.before, asked.count)
            .map_err(internal)?;
        let exists = store.has(kind, id).map_err(internal)?;
        let deleted = match exists {
            true => None,
            false => store.last_deletion(kind, id, deleted_from(settings, now_ms)).map_err(internal)?,
        };
        if !exists && deleted.is_none() && page.entries.is_empty() && page.before.is_none() {
            let sentence = format!("A {} with this id, or a trace of one,", kind.name());
            return scim_error(&ScimError::not_found(sentence), &[]);
        }
        let others: Vec<&String> = ids.iter().skip(1).collect();
        let next = page.before.map(|number| number.to_string());
        json_answer(
            200,
            &json!({
                "type": kind.name(),
                "id": id,
                "exists": exists,
                "otherIds": others,
                "deleted": deleted,
                "entries": page.entries,
                "nextCursor": next,
            }),
        )
    }
}
