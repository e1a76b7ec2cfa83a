//! The end of an Account object: its document sealed for as long as the deletion can be undone, or erased.

use crate::account::{Account, RETRY_MS, load, store, version};
use crate::deletion::{ERASE, Ended, Order, SEAL, UNSEAL};
use crate::environment::now_ms;
use crate::sql::ObjectSql;
use scim_edge_account::document::Document;
use scim_edge_account::published::Published;
use scim_edge_directory::audit::{self, Entry, Kind, Outcome, Resource};
use scim_edge_directory::sql::{Sql, SqlError};
use worker::{Error, Response, Result};

/// How long an undoing may take before the alarm seals the directory again, in milliseconds.
const UNSEAL_MS: i64 = 60_000;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS sealed (
        one INTEGER PRIMARY KEY,
        document TEXT NOT NULL,
        version INTEGER NOT NULL,
        until INTEGER NOT NULL,
        told INTEGER NOT NULL
    ) STRICT";

/// A document that was deleted and can still be put back.
pub(crate) struct Sealed {
    document: Document,
    /// The version of the tombstone.
    version: u64,
    /// Until when, in milliseconds since the epoch.
    pub(crate) until: i64,
    /// Whether the directory is sealed too.
    pub(crate) told: bool,
}

/// The sealed document, if there is one.
pub(crate) fn sealed(sql: &ObjectSql) -> std::result::Result<Option<Sealed>, SqlError> {
    sql.query(TABLE, &[])?;
    let rows = sql.query("SELECT document, version, until, told FROM sealed", &[])?;
    let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
    let document = Document::parse(&row.text()?);
    let document = document.ok_or_else(|| SqlError::new("the sealed document is of a newer format"))?;
    Ok(Some(Sealed {
        document,
        version: u64::try_from(row.integer()?).unwrap_or(0),
        until: row.integer()?,
        told: row.integer()? == 1,
    }))
}

impl Account {
    /// Seals the account: an order repeated changes nothing of the first.
    pub(crate) async fn seal(&self, request: &worker::Request) -> Result<Response> {
        let order = Order::read(request.inner().body()).await?;
        let sql = ObjectSql::new(&self.state);
        if let Some((document, _)) = load(&sql).map_err(internal)? {
            let now_ms = now_ms();
            let until = now_ms.saturating_add(order.undoable_ms);
            let tombstone = after(document.version, now_ms);
            let done = sql.transaction(|| {
                sql.query(TABLE, &[])?;
                let text = "INSERT OR REPLACE INTO sealed (one, document, version, until, told) VALUES (1, ?, ?, ?, 0)";
                let text_of = document.to_json();
                sql.query(text, &[text_of.as_str().into(), version(tombstone), until.into()])?;
                sql.query("DELETE FROM account", &[])?;
                write_down(&sql, "account.delete", &order)
            });
            done.map_err(internal)?;
        }
        let Some(sealed) = sealed(&sql).map_err(internal)? else {
            // There is nothing that could be put back.
            return self.erase_all(&order.account).await;
        };
        // An object that is stopped before the directory is sealed goes on by its alarm.
        self.state.storage().set_alarm(RETRY_MS).await?;
        self.order(SEAL, &order.account, sealed.version).await?;
        sql.query("UPDATE sealed SET told = 1", &[]).map_err(internal)?;
        let published = self.bury(&order.account, sealed.version).await?;
        self.rest().await?;
        respond(&Ended { published, until: Some(sealed.until) })
    }

    /// Puts a sealed account back, as it was.
    pub(crate) async fn unseal(&self, request: &worker::Request) -> Result<Response> {
        let order = Order::read(request.inner().body()).await?;
        let sql = ObjectSql::new(&self.state);
        let restorable = || sealed(&sql).map(|found| found.filter(|sealed| now_ms() < sealed.until));
        let Some(found) = restorable().map_err(internal)? else { return Response::error("", 404) };
        // If this object is stopped in between, the alarm seals the directory again.
        sql.query("UPDATE sealed SET told = 0", &[]).map_err(internal)?;
        self.state.storage().set_alarm(UNSEAL_MS).await?;
        self.order(UNSEAL, &order.account, found.version).await?;
        // It may have become final meanwhile.
        let Some(Sealed { mut document, version, .. }) = restorable().map_err(internal)? else {
            self.wake_at(0).await?;
            return Response::error("", 404);
        };
        document.version = after(document.version.max(version), now_ms());
        let done = sql.transaction(|| {
            store(&sql, &document)?;
            sql.query("DELETE FROM sealed", &[])?;
            write_down(&sql, "account.undelete", &order)
        });
        done.map_err(internal)?;
        self.tell_directory().await?;
        self.publish_soon().await?;
        self.rest().await?;
        respond(&Ended { published: Published::of(&document), until: None })
    }

    /// Deletes the account for good.
    pub(crate) async fn erase(&self, request: &worker::Request) -> Result<Response> {
        let order = Order::read(request.inner().body()).await?;
        self.erase_all(&order.account).await
    }

    async fn erase_all(&self, account: &str) -> Result<Response> {
        let sql = ObjectSql::new(&self.state);
        let known = load(&sql).map_err(internal)?.map_or(0, |(document, _)| document.version);
        let sealed = sealed(&sql).map_err(internal)?.map_or(0, |sealed| sealed.version);
        let version = after(known.max(sealed), now_ms());
        sql.query("DELETE FROM account", &[]).map_err(internal)?;
        sql.query("DELETE FROM sealed", &[]).map_err(internal)?;
        self.want_published(account, version, true)?;
        self.order(ERASE, account, version).await?;
        let published = self.bury(account, version).await?;
        self.give_back().await?;
        respond(&Ended { published, until: None })
    }

    /// What the alarm of a sealed account does: seals a directory that is not sealed yet, and ends the account when
    /// its time is over. Returns whether the account is sealed.
    pub(crate) async fn end_in_time(&self) -> Result<bool> {
        let sql = ObjectSql::new(&self.state);
        if load(&sql).map_err(internal)?.is_some() {
            return Ok(false);
        }
        let Some(found) = sealed(&sql).map_err(internal)? else { return Ok(false) };
        self.state.storage().set_alarm(RETRY_MS).await?;
        let account = &found.document.account;
        if now_ms() >= found.until {
            let version = after(found.version, now_ms());
            self.order(ERASE, account, version).await?;
            sql.query("DELETE FROM sealed", &[]).map_err(internal)?;
            self.give_back().await?;
        } else {
            if !found.told {
                self.order(SEAL, account, found.version).await?;
                sql.query("UPDATE sealed SET told = 1", &[]).map_err(internal)?;
            }
            self.publish_soon().await?;
            self.rest().await?;
        }
        Ok(true)
    }

    /// Publishes a tombstone, now or by the alarm: the directory refuses already.
    async fn bury(&self, account: &str, version: u64) -> Result<Published> {
        self.want_published(account, version, true)?;
        self.publish_soon().await?;
        Ok(Published::tombstone(account, version))
    }

    /// Orders the account's directory.
    async fn order(&self, path: &str, account: &str, version: u64) -> Result<()> {
        let answered =
            Order::of(account, version).send(self.environment.directories()?, account, path).await?;
        answered.map(|_| ()).ok_or_else(|| Error::RustError(format!("a directory has no order {path}")))
    }

    /// Gives the storage of a deleted account back once its tombstone is in KV to stay, unless the account has been made
    /// again meanwhile.
    pub(crate) async fn give_back(&self) -> Result<()> {
        let sql = ObjectSql::new(&self.state);
        let is_over = load(&sql).map_err(internal)?.is_none() && sealed(&sql).map_err(internal)?.is_none();
        if !is_over || !self.is_published()? {
            return self.rest().await;
        }
        let storage = self.state.storage();
        storage.delete_alarm().await?;
        storage.delete_all().await
    }

    async fn wake_at(&self, at_ms: i64) -> Result<()> {
        self.state.storage().set_alarm(at_ms.saturating_sub(now_ms()).max(0)).await
    }
}

/// A version above another one, and above every one of an account that was made before.
fn after(version: u64, now_ms: i64) -> u64 {
    version.saturating_add(1).max(u64::try_from(now_ms).unwrap_or(0))
}

fn write_down(sql: &ObjectSql, operation: &str, order: &Order) -> std::result::Result<(), SqlError> {
    audit::open(sql)?;
    let entry = Entry {
        id: 0,
        at: now_ms(),
        kind: Kind::Settings,
        principal: Some("root".to_owned()),
        subject: None,
        operation: operation.to_owned(),
        resource: Some(Resource { of: "Account".to_owned(), id: Some(order.account.clone()) }),
        status: 200,
        outcome: Outcome::Ok,
        reason: None,
        request_id: Some(order.correlation_id.clone()),
        count: 1,
        attributes: None,
        former_id: None,
    };
    audit::add(sql, &entry).map(|_| ())
}

fn respond(ended: &Ended) -> Result<Response> {
    Response::from_json(ended)
}

fn internal(error: SqlError) -> Error {
    Error::RustError(error.to_string())
}
