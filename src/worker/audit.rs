//! `.audit` and `.activity`: what has happened in an account.
//!
//! Writes and refusals are written down by the Directory object, changes of settings by the Account object,
//! each where it happens, so that none can be lost between them. Here they are read as one list, the newest
//! first. A cursor is the two places up to which they have been read.

use crate::account::{Call, PROTOCOL};
use crate::admin::send;
use crate::aside::{Aside, Question, ask};
use crate::environment::Environment;
use crate::http::{Request, Response, answer, scim_error};
use futures_util::stream;
use scim_edge_account::published::Published;
use scim_edge_directory::audit::{Entry, Filter, Kind, Outcome, Page};
use scim_edge_scim::error::{Error as ScimError, ScimType};
use serde::Deserialize;
use serde_json::json;
use std::iter::Peekable;
use std::rc::Rc;
use std::vec::IntoIter;
use url::form_urlencoded;
use worker::{Error, ResponseBuilder, Result};

/// How many entries a page has, and at most.
const COUNT: usize = 100;
const MOST: usize = 1_000;

/// The media type of an export: an entry a line.
const NDJSON: &str = "application/x-ndjson";

/// Where reading goes on: before which entry of each object; 0 where there is nothing more.
#[derive(Clone, Copy)]
struct Place {
    directory: i64,
    account: i64,
}

impl Place {
    const START: Self = Self { directory: 1 << 53, account: 1 << 53 };

    fn parse(text: &str) -> Option<Self> {
        let (directory, account) = text.split_once('.')?;
        let place = |text: &str| text.parse().ok().filter(|number| (0..=1_i64 << 53).contains(number));
        Some(Self { directory: place(directory)?, account: place(account)? })
    }

    fn to_text(self) -> Option<String> {
        (self.directory > 0 || self.account > 0).then(|| format!("{}.{}", self.directory, self.account))
    }
}

/// What a request asks for.
struct Asked {
    filter: Filter,
    place: Place,
    count: usize,
}

/// Answers `.audit`.
pub(crate) async fn list(
    request: &Request,
    environment: &Rc<Environment>,
    published: &Rc<Published>,
) -> Result<Response> {
    let asked = match asked(request) {
        Ok(asked) => asked,
        Err(error) => return scim_error(&error, &[]),
    };
    let accept = request.headers().get("accept")?.unwrap_or_default().to_ascii_lowercase();
    if accept.contains(NDJSON) {
        return export(environment.clone(), published.clone(), asked);
    }
    let (entries, place) = look(environment, published, &asked.filter, asked.place, asked.count).await?;
    let body = json!({ "entries": entries, "nextCursor": place.to_text() });
    answer(200, &[("content-type", "application/json")], Some(body.to_string()))
}

/// Answers `.activity`.
pub(crate) async fn activity(environment: &Environment, published: &Published) -> Result<Response> {
    let body = ask(environment, published, Aside::Activity).await?.text().await?;
    answer(200, &[("content-type", "application/json")], Some(body))
}

/// All that match, a line each, sent as they are read.
fn export(environment: Rc<Environment>, published: Rc<Published>, asked: Asked) -> Result<Response> {
    let filter = asked.filter;
    let lines = stream::try_unfold(Some(asked.place), move |place| {
        let (environment, published, filter) = (environment.clone(), published.clone(), filter.clone());
        async move {
            let Some(place) = place else { return Ok::<_, Error>(None) };
            let (entries, place) = look(&environment, &published, &filter, place, MOST).await?;
            let mut text = String::new();
            for entry in entries {
                text.push_str(&serde_json::to_string(&entry).unwrap_or_default());
                text.push('\n');
            }
            Ok(Some((text.into_bytes(), place.to_text().map(|_| place))))
        }
    });
    let headers = worker::Headers::new();
    for (name, value) in
        [("content-type", NDJSON), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")]
    {
        headers.set(name, value)?;
    }
    Ok(Response::of_host(ResponseBuilder::new().with_headers(headers).from_stream(lines)?.into()))
}

/// The next entries of both objects, and where to go on.
async fn look(
    environment: &Environment,
    published: &Published,
    filter: &Filter,
    place: Place,
    count: usize,
) -> Result<(Vec<Entry>, Place)> {
    let wants = |kinds: &[Kind]| filter.kinds.is_empty() || filter.kinds.iter().any(|k| kinds.contains(k));
    let question = |before| Question { filter: filter.clone(), before: Some(before), count };
    let mut directory = Page::default();
    if place.directory > 0 && wants(&[Kind::Write, Kind::Refused]) {
        let aside = Aside::Audit(question(place.directory));
        directory = ask(environment, published, aside).await?.json().await?;
    }
    let mut account = Page::default();
    if place.account > 0 && wants(&[Kind::Settings]) {
        account = ask_account(environment, published, question(place.account)).await?;
    }
    for entry in &mut directory.entries {
        entry.id = entry.id.saturating_mul(2);
    }
    for entry in &mut account.entries {
        entry.id = entry.id.saturating_mul(2).saturating_add(1);
    }
    let (mut written, mut changed) =
        (directory.entries.into_iter().peekable(), account.entries.into_iter().peekable());
    let mut entries = Vec::new();
    while entries.len() < count {
        let newer = match (written.peek(), changed.peek()) {
            // What comes next there has not been read yet.
            (None, _) if directory.before.is_some() => break,
            (_, None) if account.before.is_some() => break,
            (Some(one), Some(other)) if one.at >= other.at => written.next(),
            (_, Some(_)) => changed.next(),
            (Some(_), None) => written.next(),
            (None, None) => break,
        };
        entries.extend(newer);
    }
    let place = Place {
        directory: next(&mut written, directory.before),
        account: next(&mut changed, account.before),
    };
    Ok((entries, place))
}

/// Where to go on in one object: at what has been read and not shown, or behind all that has been read.
fn next(left: &mut Peekable<IntoIter<Entry>>, before: Option<i64>) -> i64 {
    match left.peek() {
        Some(entry) => (entry.id / 2).saturating_add(1),
        None => before.unwrap_or(0),
    }
}

async fn ask_account(environment: &Environment, published: &Published, question: Question) -> Result<Page> {
    let call = Call {
        protocol: PROTOCOL,
        account: published.account.clone(),
        method: "GET".to_owned(),
        path: String::new(),
        query: Vec::new(),
        body: String::new(),
        // The caller's permission has been looked at.
        root: true,
        api_key: String::new(),
        correlation_id: String::new(),
        audit: Some(question),
        ..Call::default()
    };
    let reply = send(environment, &call).await?;
    if reply.status != 200 {
        return Err(Error::RustError(format!("the account answered {}", reply.status)));
    }
    serde_json::from_value(reply.body).map_err(|error| Error::RustError(error.to_string()))
}

fn asked(request: &Request) -> std::result::Result<Asked, ScimError> {
    let mut asked = Asked { filter: Filter::default(), place: Place::START, count: COUNT };
    let wrong = |name: &str, sentence: &str| {
        ScimError::new(ScimType::InvalidValue, format!("{name} must be {sentence}"))
    };
    let time = |name: &str, text: &str| {
        let time = text.parse::<i64>().ok().filter(|time| *time >= 0);
        time.ok_or_else(|| wrong(name, "milliseconds since 1970")).map(Some)
    };
    let query = form_urlencoded::parse(request.query().as_bytes());
    for (name, value) in query.filter(|(_, value)| !value.is_empty()) {
        let text = || value.clone().into_owned();
        match name.as_ref() {
            "kind" => {
                let kinds = value.split(',').map(|name| named(name.trim())).collect::<Option<_>>();
                asked.filter.kinds =
                    kinds.ok_or_else(|| wrong("kind", "some of write, settings, refused"))?;
            }
            "outcome" => {
                let outcome: Option<Outcome> = named(&value);
                let outcome =
                    outcome.ok_or_else(|| wrong("outcome", "ok, failed, unknown, refused or shadow"))?;
                asked.filter.outcome = Some(outcome);
            }
            "principal" => asked.filter.principal = Some(text()),
            "operation" => asked.filter.operation = Some(text()),
            "resource" => asked.filter.resource = Some(text()),
            "from" => asked.filter.from = time("from", &value)?,
            "to" => asked.filter.to = time("to", &value)?,
            "cursor" => {
                let place = Place::parse(&value);
                asked.place = place.ok_or_else(|| wrong("cursor", "the nextCursor of a page"))?;
            }
            "count" => {
                let count = value.parse().ok().filter(|count| (1..=MOST).contains(count));
                asked.count = count.ok_or_else(|| wrong("count", "a number from 1 to 1000"))?;
            }
            _ => {}
        }
    }
    Ok(asked)
}

fn named<T: for<'de> Deserialize<'de>>(name: &str) -> Option<T> {
    serde_json::from_value(name.into()).ok()
}
