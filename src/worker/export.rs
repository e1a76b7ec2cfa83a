//! `.export`: the whole account as lines of JSON, streamed page by page.
//!
//! The Worker keeps one page at a time. After each page a checkpoint says where to go on (`?after=`): it is sealed, so
//! that it can neither be made nor changed by a caller, who would otherwise have a digest of his own choosing signed.
//! The last line is the signed manifest ([`scim_edge_account::manifest`]); an answer that ends without it is unfinished.

use crate::account::{Call, PROTOCOL, Transfer};
use crate::admin::send;
use crate::aside::{Aside, Exported, Exporting, ask};
use crate::caller::Caller;
use crate::environment::{Environment, now_ms, random};
use crate::http::{NOTHING_RUNS, Request, Response, scim_error};
use crate::log::Record;
use crate::signing;
use futures_util::stream;
use scim_edge_account::manifest::{Digest, FORMAT, Manifest};
use scim_edge_account::published::Published;
use scim_edge_account::secret::seal;
use scim_edge_directory::export::{Place, Shown};
use scim_edge_policy::permission::Permissions;
use scim_edge_scim::error::{Error as ScimError, ScimType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::rc::Rc;
use url::form_urlencoded;
use wasm_bindgen::prelude::*;
use worker::{Error, ResponseBuilder, Result};

#[wasm_bindgen(raw_module = "./memory.js")]
extern "C" {
    fn outlasting(response: &web_sys::Response) -> web_sys::Response;
}

/// How many pages one answer has: each is a request to the account's object, of which the platform allows so many.
const PAGES: u32 = 400;

/// What checkpoints are sealed as.
const CHECKPOINT: &str = "export checkpoint";

/// The media type: a line of JSON each.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// How far an export has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Progress {
    began: i64,
    /// The entry in the audit, behind which are the writes made meanwhile.
    entry: i64,
    place: Place,
    lines: u64,
    shown: Shown,
    digest: Digest,
}

/// An export under way.
struct Export {
    environment: Rc<Environment>,
    published: Rc<Published>,
    permissions: Permissions,
    progress: Progress,
    /// The first page, where it was asked for already.
    ready: Option<(Exported, String)>,
    pages: u32,
}

/// Answers `.export`.
pub(crate) async fn handle(
    request: &Request,
    environment: &Rc<Environment>,
    record: &Record,
    caller: &Caller,
) -> Result<Response> {
    let query = form_urlencoded::parse(request.query().as_bytes());
    let after = query.into_owned().find(|(name, _)| name == "after").map(|(_, value)| value);
    let mut ready = None;
    let progress = match after {
        Some(text) => match open(environment, &caller.published.account, &text)? {
            Some(progress) => {
                let page = Exporting::Page { place: progress.place.clone(), entry: progress.entry };
                let page = ask_directory(environment, &caller.published, page).await?;
                if page.0.is_outdated {
                    let sentence =
                        "The directory's tables were exchanged after the export began: begin it again";
                    return scim_error(&ScimError::status(409, sentence), &[]);
                }
                ready = Some(page);
                progress
            }
            None => {
                let sentence = "after must be what a checkpoint of this account's export says";
                return scim_error(&ScimError::new(ScimType::InvalidValue, sentence), &[]);
            }
        },
        None => {
            let begin = Exporting::Begin {
                principal: caller.holder.name.clone(),
                request_id: record.request_id().to_owned(),
            };
            let begun = ask_directory(environment, &caller.published, begin).await?.0;
            let Some(entry) = begun.entry else {
                let sentence =
                    "The copy of the origin is being filled for the first time: export it when it is whole";
                return scim_error(&ScimError::status(409, sentence), &[("retry-after", "10")]);
            };
            Progress {
                began: now_ms(),
                entry,
                place: Place::default(),
                lines: 0,
                shown: Shown::default(),
                digest: Digest::default(),
            }
        }
    };
    let export = Export {
        environment: environment.clone(),
        published: caller.published.clone(),
        permissions: caller.holder.permissions,
        progress,
        ready,
        pages: 0,
    };
    let pages = stream::try_unfold(Some(export), |export| async move {
        let Some(mut export) = export else { return Ok::<_, Error>(None) };
        let (text, goes_on) = export.next().await?;
        Ok(Some((text.into_bytes(), goes_on.then_some(export))))
    });
    let headers = worker::Headers::new();
    let said = [
        ("content-type", NDJSON),
        ("cache-control", "no-store"),
        ("content-security-policy", NOTHING_RUNS),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in said {
        headers.set(name, value)?;
    }
    let streamed = ResponseBuilder::new().with_headers(headers).from_stream(pages)?;
    Ok(Response::of_host(outlasting(&streamed.into())))
}

impl Export {
    /// The next part of the answer, and whether there is more.
    async fn next(&mut self) -> Result<(String, bool)> {
        let mut text = String::new();
        if self.progress.lines == 0 {
            let first = json!({ "type": "Export", "format": FORMAT, "account": self.published.account });
            self.add(&mut text, &first.to_string());
            for line in self.configuration().await? {
                self.add(&mut text, &line.to_string());
            }
        }
        let (head, lines) = match self.ready.take() {
            Some(ready) => ready,
            None => {
                let page = Exporting::Page { place: self.progress.place.clone(), entry: self.progress.entry };
                ask_directory(&self.environment, &self.published, page).await?
            }
        };
        if head.is_outdated {
            // The answer has begun: it breaks off, and going on is refused with a reason.
            return Err(Error::RustError("the tables were exchanged during an export".to_owned()));
        }
        for line in lines.lines() {
            self.add(&mut text, line);
        }
        self.progress.place = head.place;
        self.progress.shown = self.progress.shown.and(head.shown);
        if head.is_last {
            text.push_str(&self.manifest(head.writes).await?);
            text.push('\n');
            return Ok((text, false));
        }
        text.push_str(&self.checkpoint()?);
        text.push('\n');
        self.pages = self.pages.saturating_add(1);
        Ok((text, self.pages < PAGES))
    }

    fn add(&mut self, text: &mut String, line: &str) {
        self.progress.digest.add(line);
        self.progress.lines = self.progress.lines.saturating_add(1);
        text.push_str(line);
        text.push('\n');
    }

    /// The lines of the account's configuration that the caller may see.
    async fn configuration(&self) -> Result<Vec<Value>> {
        let call = Call {
            protocol: PROTOCOL,
            account: self.published.account.clone(),
            method: "GET".to_owned(),
            // The caller's permissions are in the question.
            root: true,
            transfer: Some(Transfer::Export(self.permissions)),
            ..Call::default()
        };
        let reply = send(&self.environment, &call).await?;
        match reply.body {
            Value::Array(lines) if reply.status == 200 => Ok(lines),
            _ => Err(Error::RustError(format!("the account answered {}", reply.status))),
        }
    }

    fn checkpoint(&self) -> Result<String> {
        let progress = serde_json::to_string(&self.progress)?;
        let key = self.environment.seal_keys()?.current;
        let sealed = seal(&key, &random()?, &self.published.account, CHECKPOINT, &progress);
        let sealed = sealed.ok_or_else(|| Error::RustError("a checkpoint could not be sealed".to_owned()))?;
        Ok(json!({ "type": "Checkpoint", "after": sealed }).to_string())
    }

    async fn manifest(&self, writes: Option<u64>) -> Result<String> {
        let Progress { began, lines, shown, digest, .. } = self.progress;
        let manifest = Manifest {
            format: FORMAT,
            account: self.published.account.clone(),
            began,
            ended: now_ms(),
            lines,
            users: shown.users,
            groups: shown.groups,
            members: shown.members,
            digest,
            writes_meanwhile: writes,
        };
        let jws = signing::sign(&self.environment, &manifest).await?;
        Ok(json!({ "type": "Manifest", "jws": jws }).to_string())
    }
}

fn open(environment: &Environment, account: &str, text: &str) -> Result<Option<Progress>> {
    let opened = environment.seal_keys()?.open(account, CHECKPOINT, text);
    Ok(opened.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Asks the account's directory; its answer is a line about the page, and the page.
async fn ask_directory(
    environment: &Environment,
    published: &Published,
    exporting: Exporting,
) -> Result<(Exported, String)> {
    let text = ask(environment, published, Aside::Export(exporting)).await?.text().await?;
    let (head, lines) = text.split_once('\n').unwrap_or((&text, ""));
    Ok((serde_json::from_str(head)?, lines.to_owned()))
}
