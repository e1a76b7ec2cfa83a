//! The publication of an account's document, or of its tombstone, to KV: what to do next is decided by
//! `scim_edge_account::publication`, which is stored before each attempt. The alarm goes on where a call leaves off.

use crate::account::{Account, RETRY_MS, load, told, version};
use crate::environment::now_ms;
use crate::near::pause;
use crate::published;
use crate::sealed::sealed;
use crate::sql::ObjectSql;
use futures_util::future::{Either, select};
use scim_edge_account::publication::{PATIENCE_MS, Publication, SPACING_MS, Step};
use scim_edge_account::published::Published;
use scim_edge_directory::sql::{Sql, SqlError};
use std::cell::Cell;
use wasm_bindgen_futures::JsFuture;
use worker::{Error, Result, console_error};

/// How long a tombstone stays in KV, in seconds: longer than any isolate goes by what it knows.
const TOMBSTONE_SECONDS: u64 = 86_400;

/// How long a call waits for KV, in milliseconds; a write goes on meanwhile.
const CALL_MS: u32 = 5_000;

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS publication (one INTEGER PRIMARY KEY, publication TEXT NOT NULL) STRICT";

/// Holds the publication for one turn of steps.
struct Turn<'a>(&'a Cell<bool>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Account {
    /// Publishes the newest document, as far as KV lets it be done now. The turn under way takes over a newer version.
    pub(crate) async fn publish_soon(&self) -> Result<()> {
        let sql = ObjectSql::new(&self.state);
        if let Some((document, _)) = load(&sql).map_err(internal)? {
            self.want_published(&document.account, document.version, false)?;
        }
        if self.is_publishing.replace(true) {
            return Ok(());
        }
        let _turn = Turn(&self.is_publishing);
        loop {
            let Some(mut now) = publication(&sql).map_err(internal)? else { return Ok(()) };
            if now.is_overdue(now_ms()) {
                now.lost();
                keep(&sql, &now).map_err(internal)?;
            }
            match now.next(now_ms()) {
                Step::Settled | Step::Wait(_) => return Ok(()),
                Step::Write => {
                    if !self.write_newest(&sql, now).await? {
                        return Ok(());
                    }
                }
                Step::Look => self.look(&sql, &now.account).await?,
            }
        }
    }

    /// Has a version published.
    pub(crate) fn want_published(&self, account: &str, version: u64, deleted: bool) -> Result<()> {
        let sql = ObjectSql::new(&self.state);
        let known = publication(&sql).map_err(internal)?;
        let mut wanted = known.clone().unwrap_or_else(|| Publication::of(account, 0));
        wanted.want(version, deleted);
        if known.as_ref() != Some(&wanted) {
            keep(&sql, &wanted).map_err(internal)?;
        }
        Ok(())
    }

    /// Writes the newest version. Returns whether its outcome is known.
    async fn write_newest(&self, sql: &ObjectSql, mut publication: Publication) -> Result<bool> {
        let document = load(sql).map_err(internal)?.map(|(document, _)| document);
        let document = document.filter(|document| document.version == publication.newest);
        // Stored, and the alarm set, before the attempt: an object that is stopped meanwhile goes on.
        publication.begin(now_ms());
        keep(sql, &publication).map_err(internal)?;
        self.state.storage().set_alarm(PATIENCE_MS).await?;
        let (key, kv) = (published::key(&publication.account), self.environment.settings()?);
        let put = match document {
            Some(document) => kv.put(&key, Published::of(&document).to_json())?,
            None => {
                let tombstone = Published::tombstone(&publication.account, publication.newest);
                kv.put(&key, tombstone.to_json())?.expiration_ttl(TOMBSTONE_SECONDS)
            }
        };
        let ended = select(Box::pin(put.execute()), JsFuture::from(pause(CALL_MS))).await;
        let outcome = match ended {
            Either::Left((outcome, _)) => outcome,
            // It goes on, and no other begins before it is given up.
            Either::Right(_) => return Ok(false),
        };
        // A newer version may have come meanwhile.
        let Some(mut now) = self::publication(sql).map_err(internal)? else { return Ok(false) };
        match outcome {
            Ok(()) => now.wrote(),
            Err(error) => {
                console_error!("publishing failed, to be repeated: {error}");
                now.lost();
            }
        }
        keep(sql, &now).map_err(internal)?;
        Ok(true)
    }

    /// Reads what an isolate would.
    async fn look(&self, sql: &ObjectSql, account: &str) -> Result<()> {
        let began = now_ms();
        let read = Box::pin(published::read(&self.environment, account));
        let text = match select(read, JsFuture::from(pause(CALL_MS))).await {
            Either::Left((Ok(text), _)) => text,
            _ => None,
        };
        let shown = text.and_then(|text| Published::parse(&text)).map_or(0, |shown| shown.version);
        let Some(mut now) = publication(sql).map_err(internal)? else { return Ok(()) };
        now.looked(shown, began, now_ms());
        keep(sql, &now).map_err(internal)
    }

    /// Whether nothing is left to publish.
    pub(crate) fn is_published(&self) -> Result<bool> {
        let known = publication(&ObjectSql::new(&self.state)).map_err(internal)?;
        Ok(known.is_none_or(|known| known.next(now_ms()) == Step::Settled))
    }

    /// Sets the alarm to when there is something to do: a directory to tell or to seal, a publication to go on with, a
    /// deletion to make final.
    pub(crate) async fn rest(&self) -> Result<()> {
        let sql = ObjectSql::new(&self.state);
        let now = now_ms();
        let soon = now.saturating_add(RETRY_MS);
        let document = load(&sql).map_err(internal)?;
        let told = told(&sql).map_err(internal)?;
        let to_tell = document.filter(|(document, _)| document.version > told).map(|_| soon);
        let to_publish = publication(&sql).map_err(internal)?.and_then(|known| match known.next(now) {
            Step::Settled => None,
            Step::Wait(until) => Some(until),
            Step::Write | Step::Look => Some(now.saturating_add(SPACING_MS)),
        });
        let to_end =
            sealed(&sql).map_err(internal)?.map(|sealed| if sealed.told { sealed.until } else { soon });
        let storage = self.state.storage();
        match [to_tell, to_publish, to_end].into_iter().flatten().min() {
            Some(at) => storage.set_alarm(at.saturating_sub(now).max(0)).await,
            None => storage.delete_alarm().await,
        }
    }
}

/// Where the publication is; none where nothing was ever published.
fn publication(sql: &ObjectSql) -> std::result::Result<Option<Publication>, SqlError> {
    sql.query(TABLE, &[])?;
    let rows = sql.query("SELECT publication FROM publication", &[])?;
    if let Some(mut row) = rows.into_iter().next()
        && let Ok(known) = serde_json::from_str(&row.text()?)
    {
        return Ok(Some(known));
    }
    // An earlier deployment kept the version only.
    Ok(load(sql)?.map(|(document, published)| Publication::of(&document.account, published)))
}

fn keep(sql: &ObjectSql, publication: &Publication) -> std::result::Result<(), SqlError> {
    let text = serde_json::to_string(publication).map_err(|error| SqlError::new(error.to_string()))?;
    sql.query(
        "INSERT OR REPLACE INTO publication (one, publication) VALUES (1, ?)",
        &[text.as_str().into()],
    )?;
    // For an earlier deployment.
    sql.query("UPDATE account SET published = max(published, ?)", &[version(publication.confirmed())])?;
    Ok(())
}

fn internal(error: SqlError) -> Error {
    Error::RustError(error.to_string())
}
