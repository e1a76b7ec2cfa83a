//! `.import`: an export taken over, in chunks, and made visible in one step.
//!
//! Chunks fill a set of tables that nobody sees (`directory::table_set`). A session remembers how many lines have come,
//! so that an interrupted import goes on where it was, and a chunk that comes again changes nothing. The commit checks
//! that the manifest is signed by a trusted key and is of exactly these lines, and only then exchanges the tables: those
//! that were in use are kept, and can be put back (`.undo`).
//!
//! INVARIANT: nothing of an import can be seen, nor any of its configuration be in force, before its signature was
//! checked.

use crate::account::{Call as AccountCall, PROTOCOL, Transfer};
use crate::admin;
use crate::body::read;
use crate::call::Call;
use crate::directory::{Directory, Store, dialect, internal, let_others_in};
use crate::environment::now_ms;
use crate::export::NDJSON;
use crate::http::{Request, Response, scim_error};
use crate::operate::json_answer;
use crate::{published, signing};
use scim_edge_account::configuration::is_configuration;
use scim_edge_account::manifest::{Claimed, Digest, FORMAT};
use scim_edge_account::published::DirectorySettings;
use scim_edge_directory::audit::{self, Entry, Kind as AuditKind, Outcome};
use scim_edge_directory::confirm::{confirms, merge, replacement};
use scim_edge_directory::export::Shown;
use scim_edge_directory::import::{Refused, Rules, is_of_directory};
use scim_edge_directory::sql::Sql;
use scim_edge_json::{Limits, parse_object};
use scim_edge_policy::permission::Permission;
use scim_edge_scim::dialect::UnknownMembers;
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::{Error as ScimError, ScimType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::rc::Rc;
use url::form_urlencoded;
use worker::Result;

/// The longest chunk, and line, in bytes; and how many lines a chunk has.
const CHUNK: usize = 2 << 20;
const LINES: usize = 2_000;
const LINE: Limits = Limits { bytes: CHUNK, depth: 40, values: 200_000 };

/// The longest signed manifest, in bytes.
const MANIFEST: usize = 8 << 10;

/// The longest body of a commit.
const COMMIT: Limits = Limits { bytes: 4 << 10, depth: 2, values: 100 };

/// How many lines of configuration an import has at most: more than an account can have things.
const CONFIGURATION: u64 = 5_000;

/// How long an import that nobody goes on with is kept, in milliseconds.
const STALE_MS: i64 = 86_400_000;

type Answer<T> = std::result::Result<T, ScimError>;

/// An import under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    session: String,
    /// The number of the set of tables.
    number: i64,
    /// How many lines have come.
    position: u64,
    /// How many of them are in the digest.
    lines: u64,
    digest: Digest,
    shown: Shown,
    configuration: u64,
    schemas: u64,
    /// The signed manifest, once it has come.
    manifest: Option<String>,
    touched: i64,
    /// What the commit was answered with.
    done: Option<Value>,
}

/// What a commit says.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Commit {
    mode: Mode,
    confirm: Option<String>,
    trust_key: Option<String>,
    configuration: Option<bool>,
}

/// What becomes of the resources that are there.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// There must be none.
    #[default]
    Empty,
    /// They go.
    Replace,
    /// They stay, unless the import has them too.
    Merge,
}

impl Session {
    fn view(&self) -> Value {
        self.done.clone().unwrap_or_else(|| {
            json!({
                "session": self.session,
                "position": self.position,
                "users": self.shown.users,
                "groups": self.shown.groups,
                "members": self.shown.members,
                "complete": self.manifest.is_some(),
                "committed": false,
            })
        })
    }
}

impl Directory {
    /// Answers `.import`: a chunk, a commit, or the question how far a session is.
    pub(crate) async fn import(
        &self,
        request: &Request,
        call: &Rc<Call>,
        settings: &DirectorySettings,
    ) -> Result<Response> {
        let (session, position) = match asked(request) {
            Ok(asked) => asked,
            Err(error) => return scim_error(&error, &[]),
        };
        let body = match read(request.body(), CHUNK).await {
            Ok(body) => body,
            Err(error) => return scim_error(&error.scim_error(CHUNK), &[]),
        };
        // The account or the credential may have gone while the body was read.
        let call = &match self.judged(request, call.clone())? {
            Ok(call) => call,
            Err(refusal) => return Ok(refusal),
        };
        let content_type = request.headers().get("content-type")?.unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let answered = if body.is_empty() {
            self.known_session(&session).map(|known| known.view())
        } else if media_type == NDJSON {
            self.take_chunk(&session, position, &body, settings).await?
        } else if media_type == "application/json" {
            self.commit(&session, &body, request, call, settings).await?
        } else {
            let sentence = format!("the body must be lines ({NDJSON}) or a commit (application/json)");
            Err(ScimError::status(415, sentence))
        };
        match answered {
            Ok(view) => json_answer(200, &view),
            Err(error) => scim_error(&error, &[]),
        }
    }

    fn session(&self) -> Result<Option<Session>> {
        let stored = self.store()?.import().map_err(internal)?;
        Ok(stored.and_then(|text| serde_json::from_str(&text).ok()))
    }

    fn known_session(&self, name: &str) -> Answer<Session> {
        let known = self.session().ok().flatten().filter(|known| known.session == name);
        known.ok_or_else(|| {
            ScimError::status(404, "There is no import of this session: begin it at position 0")
        })
    }

    fn keep(&self, session: &Session) -> Result<()> {
        self.store()?.set_import(&serde_json::to_string(session)?).map_err(internal)
    }

    /// Takes the lines of a chunk that have not come yet: all of them or none.
    async fn take_chunk(
        &self,
        name: &str,
        position: u64,
        body: &[u8],
        settings: &DirectorySettings,
    ) -> Result<Answer<Value>> {
        if let Err(error) = self.may_be_imported(settings)? {
            return Ok(Err(error));
        }
        let Ok(text) = std::str::from_utf8(body) else {
            return Ok(Err(ScimError::new(ScimType::InvalidSyntax, "the chunk is not UTF-8")));
        };
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
        if lines.len() > LINES {
            let sentence = format!("a chunk has at most {LINES} lines");
            return Ok(Err(ScimError::status(413, sentence)));
        }
        let mut session = match self.known_session(name) {
            // One that is done begins again.
            Ok(known) if known.done.is_none() || position > 0 => known,
            _ if position == 0 => self.begin_session(name).await?,
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        if session.done.is_some() {
            return Ok(Ok(session.view()));
        }
        let Some(known) =
            session.position.checked_sub(position).and_then(|known| usize::try_from(known).ok())
        else {
            let sentence = format!("lines are missing: the next position is {}", session.position);
            return Ok(Err(ScimError::status(409, sentence)));
        };
        let Some(new) = lines.get(known..).filter(|new| !new.is_empty()) else {
            return Ok(Ok(session.view()));
        };
        let beside = Store::open_import(self.sql.clone(), session.number).map_err(internal)?;
        let taken = self.sql.transaction(|| {
            for line in new {
                let number = session.position.saturating_add(1);
                self.take_line(&mut session, &beside, line, settings).map_err(|refused| match refused {
                    Refused::Line(why) => Refused::Line(format!("line {number}: {why}")),
                    refused => refused,
                })?;
            }
            session.touched = now_ms();
            let text =
                serde_json::to_string(&session).map_err(|_| Refused::Line("it cannot be kept".to_owned()))?;
            let store = self.store.as_ref().map_err(Clone::clone)?;
            Ok::<(), Refused>(store.set_import(&text)?)
        });
        match taken {
            Ok(()) => Ok(Ok(session.view())),
            Err(Refused::Line(sentence)) => Ok(Err(ScimError::new(ScimType::InvalidValue, sentence))),
            Err(Refused::Sql(error)) => Err(internal(error)),
        }
    }

    fn take_line(
        &self,
        session: &mut Session,
        beside: &Store,
        text: &str,
        settings: &DirectorySettings,
    ) -> std::result::Result<(), Refused> {
        let wrong = |sentence: &str| Err(Refused::Line(sentence.to_owned()));
        let store = self.store.as_ref().map_err(Clone::clone)?;
        let line = parse_object(text.as_bytes(), LINE).map_err(|error| Refused::Line(error.to_string()))?;
        let of = line.get("type").and_then(Value::as_str).unwrap_or_default();
        if session.manifest.is_some() {
            return wrong("nothing comes after the manifest");
        }
        session.position = session.position.saturating_add(1);
        match of {
            "Checkpoint" => return Ok(()),
            "Manifest" => {
                let jws = line.get("jws").and_then(Value::as_str).filter(|jws| jws.len() <= MANIFEST);
                let Some(jws) = jws else {
                    return Err(Refused::Line(format!("jws must be a string of at most {MANIFEST} bytes")));
                };
                session.manifest = Some(jws.to_owned());
                return Ok(());
            }
            _ => {}
        }
        let is_first = session.lines == 0;
        session.digest.add(text);
        session.lines = session.lines.saturating_add(1);
        match of {
            "Export" if is_first => {
                if line.get("format").and_then(Value::as_u64) != Some(u64::from(FORMAT)) {
                    return Err(Refused::Line(format!(
                        "format must be {FORMAT}: the export is of another version"
                    )));
                }
            }
            _ if is_first => return wrong("the first line must be of the type Export"),
            of if is_configuration(of) => {
                session.configuration = session.configuration.saturating_add(1);
                if session.configuration > CONFIGURATION {
                    return Err(Refused::Line(format!(
                        "there are more than {CONFIGURATION} lines of configuration"
                    )));
                }
                store.keep_import_line(text)?;
            }
            of if is_of_directory(of) => {
                session.schemas = session.schemas.saturating_add(u64::from(of == "Schema"));
                let shown = beside.import_line(of, &line, &store.schemas(), rules(settings))?;
                session.shown = session.shown.and(shown);
            }
            of => return Err(Refused::Line(format!("{of:?} is no type of line that this version knows"))),
        }
        Ok(())
    }

    /// Whether lines can be taken into this account at all.
    fn may_be_imported(&self, settings: &DirectorySettings) -> Result<Answer<()>> {
        let store = self.store()?;
        if settings.origin_url.is_some() || store.replica().map_err(internal)?.is_some() {
            let sentence = "This account's directory is a copy of an origin's, which would overwrite an import: import \
                into an account without an origin, or remove scim_origin_url first";
            return Ok(Err(ScimError::status(409, sentence)));
        }
        if store.sets().map_err(internal)?.switch.is_some() {
            return Ok(Err(ScimError::status(
                409,
                "A switch of the origin is under way: import when it is done",
            )));
        }
        Ok(Ok(()))
    }

    /// Begins a session, and ends the one before: nothing of it was visible.
    async fn begin_session(&self, name: &str) -> Result<Session> {
        self.drop_import()?;
        let store = self.store()?;
        store.begin_import_lines().map_err(internal)?;
        let number = store.begin_import().map_err(internal)?;
        let beside = Store::open_import(self.sql.clone(), number).map_err(internal)?;
        beside.import_registered(store).map_err(internal)?;
        let session = Session {
            session: name.to_owned(),
            number,
            position: 0,
            lines: 0,
            digest: Digest::default(),
            shown: Shown::default(),
            configuration: 0,
            schemas: 0,
            manifest: None,
            touched: now_ms(),
            done: None,
        };
        self.keep(&session)?;
        // The alarm drops it if nobody goes on with it.
        self.wake_in(0).await?;
        Ok(session)
    }

    fn drop_import(&self) -> Result<()> {
        let store = self.store()?;
        if let Some(session) = self.session()?
            && session.done.is_none()
        {
            store.drop_import(session.number).map_err(internal)?;
        }
        store.end_import_lines().map_err(internal)
    }

    /// Drops an import that nobody goes on with. Returns when to look again, in milliseconds since the epoch.
    pub(crate) fn drop_stale_import(&self) -> Result<Option<i64>> {
        let Some(session) = self.session()?.filter(|session| session.done.is_none()) else { return Ok(None) };
        let until = session.touched.saturating_add(STALE_MS);
        if until > now_ms() {
            return Ok(Some(until));
        }
        self.drop_import()?;
        self.store()?.forget_import().map_err(internal)?;
        Ok(None)
    }

    /// Checks everything, and makes the import visible.
    async fn commit(
        &self,
        name: &str,
        body: &[u8],
        request: &Request,
        call: &Call,
        settings: &DirectorySettings,
    ) -> Result<Answer<Value>> {
        let commit = match parse_object(body, COMMIT) {
            Ok(body) => serde_json::from_value::<Commit>(Value::Object(body)),
            Err(error) => return Ok(Err(ScimError::new(ScimType::InvalidSyntax, error.to_string()))),
        };
        let Ok(commit) = commit else {
            let sentence = "a commit has mode (empty, replace or merge), confirm, trustKey and configuration (true or false)";
            return Ok(Err(ScimError::new(ScimType::InvalidValue, sentence)));
        };
        let session = match self.known_session(name) {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        if session.done.is_some() {
            return Ok(Ok(session.view()));
        }
        if let Err(error) = self.may_be_imported(settings)? {
            return Ok(Err(error));
        }
        if let Err(sentence) = self.check_manifest(&session, commit.trust_key.as_deref()).await? {
            return Ok(Err(ScimError::status(409, sentence)));
        }
        if session.schemas > 0 && !call.permissions.has(Permission::AccountEdit) {
            let sentence = format!("The import has schemas, which need {}", Permission::AccountEdit.name());
            return Ok(Err(ScimError::status(403, sentence)));
        }
        if let Err(sentence) = self.confirmed(&commit)? {
            return Ok(Err(ScimError::status(409, sentence)));
        }
        let Some(_held) = self.hold_writes().await? else {
            let sentence = "Writes that are under way do not end: commit again later";
            return Ok(Err(ScimError::status(503, sentence)));
        };
        let beside = Store::open_import(self.sql.clone(), session.number).map_err(internal)?;
        // An earlier commit may have broken off: what it carried over may be outdated.
        beside.forget_carried(session.shown).map_err(internal)?;
        if commit.mode == Mode::Merge
            && let Err(sentence) = self.carry_over(&beside, settings).await?
        {
            return Ok(Err(ScimError::new(ScimType::Uniqueness, sentence)));
        }
        let with_configuration = commit.configuration.unwrap_or(true) && session.configuration > 0;
        if with_configuration && let Err(error) = self.import_configuration(request, call).await? {
            return Ok(Err(error));
        }
        let _recalled = self.recall().await;
        // From here to the end there is no await. Others may have gone on with the import, or ended it.
        let known = self.session()?.filter(|known| known.session == name && known.done.is_none());
        if known.is_none_or(|known| known.position != session.position)
            || self.may_be_imported(settings)?.is_err()
            || self.is_sealed()?
        {
            return Ok(Err(ScimError::status(
                409,
                "Something else has happened to the import: look at it again",
            )));
        }
        let left_out = match settings.unknown_members {
            UnknownMembers::Accept => 0,
            UnknownMembers::Ignore | UnknownMembers::Refuse => beside.drop_dangling().map_err(internal)?,
        };
        let until = self.exchange_import(session.number)?;
        let done = json!({
            "session": session.session,
            "position": session.position,
            "users": session.shown.users,
            "groups": session.shown.groups,
            "members": session.shown.members.saturating_sub(left_out),
            "membersLeftOut": left_out,
            "configuration": if with_configuration { session.configuration } else { 0 },
            "complete": true,
            "committed": true,
            "undoUntil": until,
        });
        self.keep(&Session { done: Some(done.clone()), manifest: None, ..session })?;
        self.store()?.end_import_lines().map_err(internal)?;
        self.note_import(call)?;
        self.wake_for_sets().await?;
        Ok(Ok(done))
    }

    /// Whether the manifest is of exactly what has come, and signed by a key that is trusted.
    async fn check_manifest(
        &self,
        session: &Session,
        trusted: Option<&str>,
    ) -> Result<std::result::Result<(), String>> {
        let Some(jws) = &session.manifest else {
            let sentence = format!("The import is not complete: the next position is {}", session.position);
            return Ok(Err(sentence));
        };
        let Some(claimed) = Claimed::parse(jws) else {
            return Ok(Err("The manifest cannot be read: it is none of this version".to_owned()));
        };
        let told = &claimed.manifest;
        let shown = Shown { users: told.users, groups: told.groups, members: told.members };
        if told.format != FORMAT
            || (told.digest, told.lines, shown) != (session.digest, session.lines, session.shown)
        {
            let sentence = "The lines are not those that the manifest was signed for: some are missing, added or changed";
            return Ok(Err(sentence.to_owned()));
        }
        let checked = signing::check(&self.environment, &claimed, trusted).await?;
        Ok(checked.map_err(str::to_owned))
    }

    /// Whether what is there may go, or be merged with.
    fn confirmed(&self, commit: &Commit) -> Result<std::result::Result<(), String>> {
        let store = self.store()?;
        let count = |kind| store.count(kind).map_err(internal);
        let (users, groups) = (count(Kind::User)?, count(Kind::Group)?);
        let wanted = match commit.mode {
            _ if users.saturating_add(groups) == 0 => return Ok(Ok(())),
            Mode::Empty => {
                let sentence = format!(
                    "This account has resources: the mode must be merge, or replace with the confirmation {:?}",
                    replacement(users, groups)
                );
                return Ok(Err(sentence));
            }
            Mode::Replace => replacement(users, groups),
            Mode::Merge => merge(users, groups),
        };
        if commit.confirm.as_deref().is_some_and(|sent| confirms(&wanted, sent)) {
            return Ok(Ok(()));
        }
        Ok(Err(format!("The confirmation must be {wanted:?}")))
    }

    /// Takes what the import does not have along from the tables in use, in turns: reads are answered meanwhile.
    async fn carry_over(
        &self,
        beside: &Store,
        settings: &DirectorySettings,
    ) -> Result<std::result::Result<(), String>> {
        let mut after = 0;
        loop {
            let store = self.store()?;
            match self.sql.transaction(|| beside.carry_over(store, after, settings.unique_group_names)) {
                Ok(Some(last)) => after = last,
                Ok(None) => return Ok(Ok(())),
                Err(Refused::Line(sentence)) => return Ok(Err(sentence)),
                Err(Refused::Sql(error)) => return Err(internal(error)),
            }
            let_others_in().await?;
        }
    }

    /// Has the account take the configuration over: with the caller's own key, and all of it or nothing.
    async fn import_configuration(&self, request: &Request, call: &Call) -> Result<Answer<()>> {
        let lines = self.store()?.import_lines().map_err(internal)?;
        let lines: std::result::Result<Vec<Value>, _> =
            lines.iter().map(|line| serde_json::from_str(line)).collect();
        let headers = request.headers();
        let bearer = headers.get("authorization")?;
        let bearer =
            bearer.as_deref().and_then(|text| text.split_once(' ')).map(|(_, key)| key.trim().to_owned());
        let api_key = headers.get("x-api-key")?.or(bearer).unwrap_or_default();
        let root = self.environment.is_root_key(&api_key);
        let call = AccountCall {
            protocol: PROTOCOL,
            account: call.account.clone(),
            method: "POST".to_owned(),
            path: String::new(),
            query: Vec::new(),
            body: String::new(),
            root,
            api_key: if root { String::new() } else { api_key },
            correlation_id: call.request_id.clone(),
            transfer: Some(Transfer::Import(lines?)),
            ..AccountCall::default()
        };
        let reply = admin::send(&self.environment, &call).await?;
        if let Some(document) = reply.published {
            published::learn(document, now_ms());
        }
        if reply.status < 300 {
            return Ok(Ok(()));
        }
        let message =
            reply.body.get("message").or(Some(&reply.body)).and_then(Value::as_str).unwrap_or_default();
        Ok(Err(ScimError::status(reply.status, format!("The configuration is refused: {message}"))))
    }

    fn note_import(&self, call: &Call) -> Result<()> {
        let entry = Entry {
            id: 0,
            at: now_ms(),
            kind: AuditKind::Write,
            principal: Some(call.principal.clone()),
            subject: None,
            operation: "directory.import".to_owned(),
            resource: None,
            status: 200,
            outcome: Outcome::Ok,
            reason: None,
            request_id: Some(call.request_id.clone()),
            count: 1,
            attributes: None,
            former_id: None,
        };
        audit::add(self.store()?.sql(), &entry).map(|_| ()).map_err(internal)
    }
}

fn rules(settings: &DirectorySettings) -> Rules {
    Rules { dialect: dialect(settings), unique_group_names: settings.unique_group_names }
}

/// The session and the position that a request names.
fn asked(request: &Request) -> Answer<(String, u64)> {
    let query: Vec<(String, String)> =
        form_urlencoded::parse(request.query().as_bytes()).into_owned().collect();
    let get = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let is_name = |name: &&str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let wrong = |sentence: &str| ScimError::new(ScimType::InvalidValue, sentence);
    let session = get("session").filter(is_name);
    let session = session.ok_or_else(|| wrong("session must be 1 to 64 letters, digits, _ and -"))?;
    let position = get("position").map_or(Some(0), |text| text.parse().ok().filter(|at| *at <= 1 << 53));
    Ok((session.to_owned(), position.ok_or_else(|| wrong("position must be a number of lines"))?))
}
