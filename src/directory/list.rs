//! Lists (RFC 7644 §3.4.2, §3.4.3, RFC 9865): filter, sort, page, project.
//!
//! Without a filter and a sort, a page is read by its place in the order of creation. With a filter
//! that an index serves, its candidates are read and each is asked the whole filter; with another, every
//! resource is read in batches and asked, or those whose names have a text in them that the filter demands.
//! Totals are always true.

use crate::batch::Sought;
use crate::cursor::{Cursor, Keyset, RowKey, expired};
use crate::length::{LIST_BYTES, too_large};
use crate::message::{Failure, Request, Response};
use crate::page::Plain;
use crate::render::{OPEN_BASE, Relations, Renderer};
use crate::scan::{Progress, Scan, Turn};
use crate::sql::{Sql, SqlError};
use crate::store::{Store, Stored};
use scim_edge_scim::discovery::LIST_RESPONSE;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::{Error, ScimType};
use scim_edge_scim::evaluate::Matcher;
use scim_edge_scim::filter::Filter;
use scim_edge_scim::limits;
use scim_edge_scim::lookup::Lookup;
use scim_edge_scim::path::AttributePath;
use scim_edge_scim::project::Projection;
use scim_edge_scim::query::Query;
use scim_edge_scim::schema::Schemas;
use scim_edge_scim::sort::{Key, Order, Sorter};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// The page size where a client names none.
pub(crate) const DEFAULT_COUNT: usize = 100;

/// The most resources in one answer.
pub(crate) const MAX_COUNT: usize = 1000;

/// What a client asks to see, from a query string or a SearchRequest.
#[derive(Debug)]
struct Wanted {
    filter: Option<Filter>,
    sort_by: Option<AttributePath>,
    order: Order,
    start: usize,
    count: usize,
    /// Paging by cursor: none given on the first page.
    cursor: Option<String>,
    projection: Projection,
    /// What a cursor belongs to.
    sign: String,
}

/// A resource of the list, by its number, and what it sorts by.
pub(crate) struct Found {
    /// The place of its kind among those asked for.
    place: usize,
    seq: i64,
    key: Option<Key>,
    /// The resource itself, where few were looked at.
    stored: Option<Stored>,
}

impl Found {
    fn row_key(&self) -> RowKey<'_> {
        RowKey { place: self.place, seq: self.seq, key: self.key.as_ref() }
    }

    fn keyset(&self) -> Keyset {
        Keyset { place: self.place, seq: self.seq, key: self.key.as_ref().map(Key::bound) }
    }
}

/// Answers a query in the URL.
pub(crate) fn get<S: Sql>(
    store: &Store<S>,
    schemas: &Schemas,
    request: &Request<'_>,
    kinds: &[Kind],
    scan: Option<&Scan>,
) -> Result<Response, Failure> {
    let query = Query::parse(request.query)?;
    let list =
        |name: &str| query.get(name).unwrap_or_default().split(',').map(str::to_owned).collect::<Vec<_>>();
    let wanted = Wanted::new(
        Raw {
            filter: query.get("filter"),
            sort_by: query.get("sortBy"),
            order: query.get("sortOrder"),
            start: query.integer("startIndex")?,
            count: query.integer("count")?,
            cursor: query.get("cursor"),
            attributes: list("attributes"),
            excluded: list("excludedAttributes"),
        },
        schemas,
        request,
    )?;
    answer(store, schemas, request, kinds, &wanted, scan)
}

/// Answers a SearchRequest.
pub(crate) fn search<S: Sql>(
    store: &Store<S>,
    schemas: &Schemas,
    request: &Request<'_>,
    kinds: &[Kind],
    scan: Option<&Scan>,
) -> Result<Response, Failure> {
    let body = read_object(request)?;
    let get =
        |name: &str| body.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let wrong = |name: &str, what: &str| Error::new(ScimType::InvalidValue, format!("{name} must be {what}"));
    let text = |name: &str| match get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(wrong(name, "a string")),
    };
    let integer = |name: &str| match get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
            number.map(Some).ok_or_else(|| wrong(name, "a whole number"))
        }
    };
    let list = |name: &str| match get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.split(',').map(str::to_owned).collect()),
        Some(Value::Array(items)) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().ok_or_else(|| wrong(name, "an array of strings"))
        }
        Some(_) => Err(wrong(name, "an array of strings")),
    };
    let wanted = Wanted::new(
        Raw {
            filter: text("filter")?,
            sort_by: text("sortBy")?,
            order: text("sortOrder")?,
            start: integer("startIndex")?,
            count: integer("count")?,
            cursor: text("cursor")?,
            attributes: list("attributes")?,
            excluded: list("excludedAttributes")?,
        },
        schemas,
        request,
    )?;
    answer(store, schemas, request, kinds, &wanted, scan)
}

/// A request's body as a JSON object.
pub(crate) fn read_object(request: &Request<'_>) -> Result<Map<String, Value>, Error> {
    limits::read_object(request.body, limits::of_body(request.endpoint))
}

struct Raw<'a> {
    filter: Option<&'a str>,
    sort_by: Option<&'a str>,
    order: Option<&'a str>,
    start: Option<i64>,
    count: Option<i64>,
    cursor: Option<&'a str>,
    attributes: Vec<String>,
    excluded: Vec<String>,
}

impl Wanted {
    fn new(raw: Raw<'_>, schemas: &Schemas, request: &Request<'_>) -> Result<Self, Error> {
        let some =
            |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let filter = some(raw.filter);
        let sort_by = some(raw.sort_by);
        let order = Order::parse(raw.order.unwrap_or_default().trim())?;
        // Below zero counts as zero, below one as one (RFC 7644 table 6).
        let count =
            raw.count.map_or(DEFAULT_COUNT, |count| usize::try_from(count).unwrap_or(0)).min(MAX_COUNT);
        let start = raw.start.map_or(1, |start| usize::try_from(start).unwrap_or(1)).max(1);
        if raw.cursor.is_some() && raw.start.is_some() {
            let sentence = "cursor and startIndex exclude each other";
            return Err(Error::new(ScimType::InvalidValue, sentence));
        }
        let projection = Projection::new(
            raw.attributes.iter().map(String::as_str),
            raw.excluded.iter().map(String::as_str),
            schemas,
            request.dialect,
        )?;
        let sign = format!("{:?} {filter:?} {sort_by:?} {order:?}", request.endpoint);
        Ok(Self {
            filter: match &filter {
                Some(text) => Some(Filter::parse(text, request.dialect.filter_options())?),
                None => None,
            },
            sort_by: match &sort_by {
                Some(text) => Some(text.parse()?),
                None => None,
            },
            order,
            start,
            count,
            cursor: raw.cursor.map(|cursor| cursor.trim().to_owned()),
            projection,
            sign,
        })
    }
}

fn answer<S: Sql>(
    store: &Store<S>,
    schemas: &Schemas,
    request: &Request<'_>,
    kinds: &[Kind],
    wanted: &Wanted,
    scan: Option<&Scan>,
) -> Result<Response, Failure> {
    let renderer = Renderer { base: request.base, schemas };
    let cursor = match wanted.cursor.as_deref() {
        None | Some("") => None,
        Some(text) => Some(Cursor::parse(text, &wanted.sign)?),
    };
    let generation = if wanted.cursor.is_some() { store.generation()? } else { 0 };
    if cursor.as_ref().is_some_and(|cursor| cursor.generation != generation) {
        return Err(expired().into());
    }
    let page = match (wanted.filter.as_ref(), wanted.sort_by.as_ref(), kinds) {
        (None, None, &[kind]) => plain_page(store, kind, wanted, cursor.as_ref())?,
        _ => {
            let (found, sorter) =
                find(store, &renderer, kinds, wanted, scan).map_err(|failure| match (failure, &cursor) {
                    // The query was valid when the cursor was made: an attribute's definition has changed since.
                    (Failure::Scim(_), Some(_)) => expired().into(),
                    (failure, _) => failure,
                })?;
            cut(found, sorter.as_ref(), wanted, cursor.as_ref())?
        }
    };
    let (total, next) = (page.total, page.next.clone());
    let (written, end) = page.write(store, &renderer, kinds, wanted)?;
    // A page that is full before its end goes on behind what it shows.
    let next = end.or(next).filter(|_| wanted.cursor.is_some());
    let place = match (&wanted.cursor, next) {
        (None, _) => format!("\"startIndex\":{}", wanted.start),
        (Some(_), Some(end)) => {
            format!("\"nextCursor\":\"{}\"", Cursor { generation, end }.to_text(&wanted.sign))
        }
        (Some(_), None) => String::new(),
    };
    let Written { text, count } = written;
    let comma = if place.is_empty() { "" } else { "," };
    let head = format!(
        "{{\"schemas\":[\"{LIST_RESPONSE}\"],\"totalResults\":{total},\"itemsPerPage\":{count}{comma}{place},\"Resources\":["
    );
    Ok(Response::json(200, [&head, &text, "]}"].concat()))
}

/// The resources of a list as text, and how many they are.
#[derive(Default)]
struct Written {
    text: String,
    count: usize,
}

impl Written {
    /// Adds resources until the list is full; whether it is.
    fn add<S: Sql>(
        &mut self,
        store: &Store<S>,
        renderer: &Renderer<'_>,
        resources: &[Stored],
        projection: &Projection,
    ) -> Result<bool, Failure> {
        let members = projection.wants("members");
        if members
            && let [one] = resources
            && store.is_too_large(one.kind, one.seq)?
        {
            return Err(too_large(&one.id).into());
        }
        let relations = Relations::of(store, resources, members)?;
        for stored in resources {
            let before = self.text.len();
            if self.count > 0 {
                self.text.push(',');
            }
            renderer.write(&mut self.text, stored, &relations, projection)?;
            if self.count > 0 && self.text.len() > LIST_BYTES {
                self.text.truncate(before);
                return Ok(true);
            }
            self.count = self.count.saturating_add(1);
        }
        Ok(false)
    }
}

struct Page {
    total: usize,
    /// The last resource of this page, if there is another page.
    next: Option<Keyset>,
    shown: Shown,
}

/// Which resources a page has.
enum Shown {
    Plain(Kind, Plain),
    Found(Vec<Found>),
}

impl Page {
    /// Writes the page; the last resource that it shows, where not all of them fit.
    fn write<S: Sql>(
        mut self,
        store: &Store<S>,
        renderer: &Renderer<'_>,
        kinds: &[Kind],
        wanted: &Wanted,
    ) -> Result<(Written, Option<Keyset>), Failure> {
        let mut written = Written::default();
        let members = wanted.projection.wants("members") && kinds.contains(&Kind::Group);
        let seqs = if members || store.has_long()? {
            self.shown.seqs(store)?
        } else {
            let is_full = written.add(store, renderer, &self.shown.read(store)?, &wanted.projection)?;
            if !is_full {
                return Ok((written, None));
            }
            // Short resources of users who are in very many groups.
            self.shown.seqs(store)?
        };
        if written.count == 0 {
            for part in store.parts(&seqs, members)? {
                let resources = self.shown.read_part(store, part)?;
                if written.add(store, renderer, &resources, &wanted.projection)? {
                    break;
                }
            }
        }
        let end = if written.count < seqs.len() { self.shown.end(written.count, &seqs) } else { None };
        Ok((written, end))
    }
}

impl Shown {
    fn seqs<S: Sql>(&self, store: &Store<S>) -> Result<Vec<i64>, SqlError> {
        match self {
            Self::Plain(kind, plain) => store.page_seqs(*kind, *plain),
            Self::Found(found) => Ok(found.iter().map(|one| one.seq).collect()),
        }
    }

    /// The resources themselves.
    fn read<S: Sql>(&mut self, store: &Store<S>) -> Result<Vec<Stored>, SqlError> {
        match self {
            Self::Plain(kind, plain) => store.page(*kind, *plain),
            Self::Found(found) => read_found(store, found.iter_mut().map(|one| (one.seq, one.stored.take()))),
        }
    }

    /// Those of these numbers.
    fn read_part<S: Sql>(&mut self, store: &Store<S>, seqs: &[i64]) -> Result<Vec<Stored>, SqlError> {
        read_found(store, seqs.iter().map(|seq| (*seq, None)))
    }

    /// The last of the first `count` resources.
    fn end(&self, count: usize, seqs: &[i64]) -> Option<Keyset> {
        let place = count.checked_sub(1)?;
        match self {
            Self::Plain(..) => Some(Keyset { place: 0, seq: *seqs.get(place)?, key: None }),
            Self::Found(found) => found.get(place).map(Found::keyset),
        }
    }
}

/// Resources in the order given, those that are not there read.
fn read_found<S: Sql>(
    store: &Store<S>,
    found: impl Iterator<Item = (i64, Option<Stored>)>,
) -> Result<Vec<Stored>, SqlError> {
    let mut found: Vec<(i64, Option<Stored>)> = found.collect();
    let unread: Vec<i64> = found.iter().filter(|(_, stored)| stored.is_none()).map(|(seq, _)| *seq).collect();
    let mut by_seq = HashMap::new();
    if !unread.is_empty() {
        by_seq.extend(store.of_seqs(&unread)?.into_iter().map(|stored| (stored.seq, stored)));
    }
    Ok(found.iter_mut().filter_map(|(seq, stored)| stored.take().or_else(|| by_seq.remove(seq))).collect())
}

/// A page of everything, in the order of creation.
fn plain_page<S: Sql>(
    store: &Store<S>,
    kind: Kind,
    wanted: &Wanted,
    cursor: Option<&Cursor>,
) -> Result<Page, SqlError> {
    let all = store.count(kind)?;
    let total = usize::try_from(all).unwrap_or(0);
    let integer = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let count = integer(wanted.count);
    if wanted.cursor.is_none() {
        let place = Plain::Place { skip: integer(wanted.start.saturating_sub(1)), count, total: all };
        return Ok(Page { total, next: None, shown: Shown::Plain(kind, place) });
    }
    let after = cursor.map_or(0, |cursor| cursor.end.seq);
    let range = store.range_after(kind, after, count)?;
    let next = (range.goes_on && range.count > 0).then_some(Keyset { place: 0, seq: range.last, key: None });
    Ok(Page { total, next, shown: Shown::Plain(kind, Plain::Range(range)) })
}

/// Every resource that satisfies the filter, in the order wanted, with what makes that order.
fn find<S: Sql>(
    store: &Store<S>,
    renderer: &Renderer<'_>,
    kinds: &[Kind],
    wanted: &Wanted,
    scan: Option<&Scan>,
) -> Result<(Vec<Found>, Option<Sorter>), Failure> {
    let (mut turn, Progress { place: begun, after: mut behind, mut found, .. }) =
        Turn::begin(scan, store.sql.writes());
    let mut order = None;
    for (place, &kind) in kinds.iter().enumerate() {
        let matcher = match (&wanted.filter, kinds.len()) {
            (None, _) => None,
            (Some(filter), 1) => Some(Matcher::compile(filter, renderer.schemas, kind)?),
            (Some(filter), _) => Some(Matcher::compile_across(filter, renderer.schemas, kind)?),
        };
        let sorter = match (&wanted.sort_by, kinds.len()) {
            (None, _) => None,
            (Some(by), 1) => Some(Sorter::new(by, wanted.order, renderer.schemas, kind)?),
            (Some(by), _) => Some(Sorter::across(by, wanted.order, renderer.schemas, kind)?),
        };
        let candidates = Candidates {
            store,
            renderer,
            place,
            kind,
            matcher: matcher.as_ref(),
            sorter: sorter.as_ref(),
            related: RefCell::new(HashMap::new()),
        };
        if place < begun {
            order = sorter.or(order);
            continue;
        }
        match matcher.as_ref().and_then(Matcher::lookups) {
            Some(lookups) => {
                if let [lookup] = lookups.as_slice()
                    && !store.has_long()?
                    && let Some(stored) = store.looked_up(kind, lookup)?
                {
                    candidates.ask(stored, true, &mut found)?;
                    order = sorter.or(order);
                    continue;
                }
                let mut seqs = Vec::new();
                for lookup in &lookups {
                    seqs.extend(store.look_up(kind, lookup)?);
                }
                seqs.sort_unstable();
                seqs.dedup();
                for chunk in store.parts(&seqs, false)? {
                    candidates.ask(store.candidates(kind, chunk, &[])?, false, &mut found)?;
                }
            }
            None => {
                let sought = matcher.as_ref().map(Sought::by).unwrap_or_default();
                let mut next = Some(behind.take().unwrap_or(i64::MIN));
                while let Some(after) = next {
                    if !turn.goes_on() {
                        turn.end(place, after, found);
                        return Err(Failure::Unfinished);
                    }
                    let (batch, last) = store.batch(kind, after, &sought)?;
                    candidates.ask(batch, false, &mut found)?;
                    next = last;
                }
            }
        }
        order = sorter.or(order);
    }
    if let Some(sorter) = &order {
        found.sort_by(|a, b| match (&a.key, &b.key) {
            (Some(x), Some(y)) => sorter.compare(x, y).then(a.seq.cmp(&b.seq)),
            _ => a.seq.cmp(&b.seq),
        });
    }
    Ok((found, order))
}

struct Candidates<'a, S> {
    store: &'a Store<S>,
    renderer: &'a Renderer<'a>,
    place: usize,
    kind: Kind,
    matcher: Option<&'a Matcher>,
    sorter: Option<&'a Sorter>,
    related: RefCell<HashMap<Lookup, HashSet<i64>>>,
}

impl<S: Sql> Candidates<'_, S> {
    /// Whether a resource is a member, or has a member, as a lookup says: asked of the tables once, for
    /// all candidates.
    fn relates(&self, lookup: &Lookup, seq: i64) -> Option<bool> {
        if !matches!(lookup, Lookup::Member(_) | Lookup::Group(_)) {
            return None;
        }
        if let Some(known) = self.related.borrow().get(lookup) {
            return Some(known.contains(&seq));
        }
        let found: HashSet<i64> = self.store.look_up(self.kind, lookup).ok()?.into_iter().collect();
        let relates = found.contains(&seq);
        self.related.borrow_mut().insert(lookup.clone(), found);
        Some(relates)
    }

    /// Asks resources the filter and notes those that satisfy it; whole ones where they are few.
    fn ask(&self, batch: Vec<Stored>, few: bool, found: &mut Vec<Found>) -> Result<(), SqlError> {
        let reads = |name: &str| {
            self.matcher.is_some_and(|matcher| matcher.reads(name, true))
                || self.sorter.is_some_and(|sorter| sorter.reads(name))
        };
        let (meta, groups, members) = (reads("meta"), reads("groups"), reads("members"));
        // Of all that is in `meta`, only the version depends on other resources.
        let version = meta
            && (self.sorter.is_some_and(|sorter| sorter.looks_at_part("meta", "version"))
                || self.matcher.is_some_and(|matcher| matcher.looks_at_part("meta", "version")));
        let relations = if groups || members || version {
            Relations::of(self.store, &batch, members)?
        } else {
            Relations::default()
        };
        // What nobody asks for is not read: most of a scan is passing over it.
        let wanted = |name: &str| {
            self.matcher.is_some_and(|matcher| matcher.looks_at(name))
                || self.sorter.is_some_and(|sorter| sorter.looks_at(name))
        };
        for stored in batch {
            // A base that is open is one that the filter may ask for.
            let mut resource = if groups || members || stored.body.contains(OPEN_BASE) {
                self.renderer.value(&stored, &relations)?
            } else {
                stored.part(&wanted)?
            };
            if meta {
                resource.insert("meta".into(), self.renderer.meta(&stored, &relations)?);
            }
            let related = |lookup: &Lookup| self.relates(lookup, stored.seq);
            if self.matcher.is_none_or(|matcher| matcher.matches_with(&resource, &related)) {
                let key = self.sorter.map(|sorter| sorter.key(&resource));
                let seq = stored.seq;
                found.push(Found { place: self.place, seq, key, stored: few.then_some(stored) });
            }
        }
        Ok(())
    }
}

/// A page of what was found.
fn cut(
    found: Vec<Found>,
    sorter: Option<&Sorter>,
    wanted: &Wanted,
    cursor: Option<&Cursor>,
) -> Result<Page, Error> {
    let total = found.len();
    let skip = match cursor {
        Some(cursor) => cursor.passed(&found.iter().map(Found::row_key).collect::<Vec<_>>(), sorter)?,
        None => wanted.start.saturating_sub(1),
    };
    let shown: Vec<Found> = found.into_iter().skip(skip).take(wanted.count).collect();
    let goes_on = wanted.cursor.is_some() && skip.saturating_add(shown.len()) < total;
    let next = shown.last().filter(|_| goes_on).map(Found::keyset);
    Ok(Page { total, next, shown: Shown::Found(shown) })
}
