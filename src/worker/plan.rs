//! Plans: what a change of the origin, a resync or an undo would do, and whether the caller has confirmed it.
//!
//! The account's document knows nothing of resources. So the Worker asks the directory here before it has the
//! document changed.

use crate::aside;
use crate::directory::{Directory, internal};
use crate::http::{Response, SCIM_JSON, answer};
use crate::probe::Found;
use crate::switch::has_nothing;
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::put_back::Before;
use scim_edge_directory::confirm::{becomes_record, confirms, counted, replacement};
use scim_edge_directory::switch::{KEPT, KEPT_MS, Kept, Reason, Sets};
use scim_edge_scim::endpoint::Kind;
use scim_edge_scim::error::Error as ScimError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use worker::{Result, Url};

/// How long what was in use is kept, in days.
const KEPT_DAYS: i64 = KEPT_MS / 86_400_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Question {
    pub of: Of,
    /// The words that the caller sent.
    pub confirm: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Of {
    /// These settings of the origin.
    Settings(Box<DirectorySettings>),
    /// What was in use before a switch, by its number; none: the last one.
    Undo(Option<i64>),
}

/// What would happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Effect {
    /// Nothing: the origin is the one in use.
    Nothing,
    /// The directory is filled; there is nothing in it that would be replaced.
    Fill,
    /// The directory is filled beside what is in use, which is then replaced.
    Replace,
    /// The copy becomes the system of record.
    Record,
    /// The switch under way ends.
    Cancel,
    /// What was in use before is put back.
    PutBack,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    pub effect: Effect,
    /// How many users and groups there are now.
    pub users: i64,
    pub groups: i64,
    /// The words that confirm it, where it takes any.
    pub confirm: Option<String>,
    /// What happens, in a sentence, where it has to be confirmed.
    pub consequence: Option<String>,
    /// Why it is not done, in a sentence.
    pub refused: Option<String>,
    /// What the origin has.
    pub origin: Option<Found>,
    /// What is put back.
    pub before: Option<Before>,
}

impl Plan {
    fn new(effect: Effect, users: i64, groups: i64) -> Self {
        Self {
            effect,
            users,
            groups,
            confirm: None,
            consequence: None,
            refused: None,
            origin: None,
            before: None,
        }
    }

    fn refuse(self, sentence: impl Into<String>) -> Self {
        Self { refused: Some(sentence.into()), ..self }
    }

    /// Takes words that have to be sent; `sentence` says what happens.
    fn confirmed(self, words: String, sent: Option<&str>, sentence: &str) -> Self {
        let is_confirmed = sent.is_some_and(|sent| confirms(&words, sent));
        let refused = (!is_confirmed).then(|| format!("{sentence} To do so, send \"confirm\": \"{words}\""));
        Self { confirm: Some(words), consequence: Some(sentence.to_owned()), refused, ..self }
    }

    /// What a caller is told.
    pub(crate) fn to_json(&self) -> Value {
        let replaces = matches!(self.effect, Effect::Replace | Effect::PutBack);
        json!({
            "effect": self.effect,
            "replaces": replaces.then(|| json!({ "users": self.users, "groups": self.groups })),
            "keptDays": replaces.then_some(KEPT_DAYS),
            "origin": self.origin,
            "confirm": self.confirm,
            "consequence": self.consequence,
            "refused": self.refused.as_ref().filter(|_| self.confirm.is_none()),
        })
    }

    /// The answer to an operator where the call is not followed.
    pub(crate) fn refusal(&self) -> Result<Response> {
        let sentence = self.refused.clone().unwrap_or_default();
        let mut body = ScimError::status(409, sentence).body();
        if let Some(members) = body.as_object_mut() {
            members.insert("confirm".into(), self.confirm.clone().into());
            members.insert("consequence".into(), self.consequence.clone().into());
        }
        answer(409, &[("content-type", SCIM_JSON)], Some(body.to_string()))
    }
}

/// Asks an account's directory, by the settings that the account's object has now.
pub(crate) async fn ask(
    environment: &crate::environment::Environment,
    account: &str,
    version: u64,
    settings: &DirectorySettings,
    question: Question,
) -> Result<Plan> {
    let aside = aside::Aside::Plan(Box::new(question));
    aside::ask_by(environment, account, version, settings, aside).await?.json().await
}

impl Directory {
    /// Answers the Worker.
    pub(crate) async fn answer_plan(
        &self,
        question: &Question,
        settings: &DirectorySettings,
    ) -> Result<Response> {
        let sent = question.confirm.as_deref();
        let plan = match &question.of {
            Of::Settings(wanted) => self.plan(wanted, sent).await?,
            Of::Undo(number) => self.plan_undo(*number, settings, sent).await?,
        };
        let body =
            serde_json::to_string(&plan).map_err(|error| worker::Error::RustError(error.to_string()))?;
        answer(200, &[("content-type", "application/json")], Some(body))
    }

    fn counts(&self) -> Result<(i64, i64)> {
        let count = |kind| self.store()?.count(kind).map_err(internal);
        Ok((count(Kind::User)?, count(Kind::Group)?))
    }

    /// What settings of the origin would do.
    async fn plan(&self, wanted: &DirectorySettings, sent: Option<&str>) -> Result<Plan> {
        let store = self.store()?;
        let replica = store.replica().map_err(internal)?;
        let sets = store.sets().map_err(internal)?;
        let active = replica.as_ref().map(|state| state.origin.clone());
        let (users, groups) = self.counts()?;
        let plan = |effect| Plan::new(effect, users, groups);
        if wanted.origin_url == active {
            let is_change = sets.switch.as_ref().is_some_and(|switch| switch.reason != Reason::Resync);
            return Ok(plan(if is_change { Effect::Cancel } else { Effect::Nothing }));
        }
        let Some(url) = &wanted.origin_url else {
            let plan = plan(Effect::Record);
            if users.saturating_add(groups) == 0 {
                return Ok(plan);
            }
            let is_filling = replica.is_some_and(|state| state.filling.is_some());
            let incomplete = if is_filling { " The copy is not complete." } else { "" };
            let sentence = format!(
                "Without scim_origin_url the copy of {} becomes the system of record: writes stay at the gateway, \
                 and the origin gets none.{incomplete}",
                host(active.as_deref().unwrap_or_default()),
            );
            return Ok(plan.confirmed(becomes_record(users, groups), sent, &sentence));
        };
        let found = match self.probe(wanted).await? {
            Ok(found) => found,
            Err(sentence) => return Ok(plan(Effect::Replace).refuse(sentence)),
        };
        // The counts of now: some time has passed.
        let (users, groups) = self.counts()?;
        let plan = |effect| Plan { origin: Some(found), ..Plan::new(effect, users, groups) };
        if has_nothing(store).map_err(internal)? {
            return Ok(plan(Effect::Fill));
        }
        if sets.switch.as_ref().is_some_and(|switch| switch.origin.as_deref() == Some(url)) {
            return Ok(plan(Effect::Replace));
        }
        if active.is_none() && is_full(&sets) {
            let sentence = format!(
                "{KEPT} systems of record are kept since earlier switches: each goes {KEPT_DAYS} days after its own"
            );
            return Ok(plan(Effect::Replace).refuse(sentence));
        }
        Ok(plan(Effect::Replace).replacing(url, sent))
    }

    /// What an undo would do. A system of record is put back as it was kept. Of a copy the origin has everything, and
    /// more by now: it is copied again, unless the origin does not answer, or is the one in use.
    async fn plan_undo(
        &self,
        number: Option<i64>,
        settings: &DirectorySettings,
        sent: Option<&str>,
    ) -> Result<Plan> {
        let sets = self.store()?.sets().map_err(internal)?;
        let (users, groups) = self.counts()?;
        let plan = Plan::new(Effect::PutBack, users, groups);
        if sets.switch.is_some() {
            let sentence = "A switch is under way: set scim_origin_url back, or cancel the resync, to end it";
            return Ok(plan.refuse(sentence));
        }
        let is_wanted = |kept: &&Kept| number.is_none() || kept.number == number;
        let Some(kept) = sets.kept.iter().rev().find(is_wanted) else {
            return Ok(plan.refuse("Nothing is kept that could be put back: see kept in .replica"));
        };
        let used_with: Option<DirectorySettings> = serde_json::from_str(&kept.settings).ok();
        let authorization = used_with.and_then(|used| used.origin_authorization);
        let before = Before {
            number: kept.number,
            origin_url: kept.origin.clone(),
            origin_authorization: authorization.clone(),
        };
        let words = kept.confirmation(users, groups);
        let plan = Plan { before: Some(before.clone()), ..plan };
        let Some(url) = &kept.origin else {
            let sentence = format!(
                "This puts back the system of record; what is in use now is kept for {KEPT_DAYS} days."
            );
            return Ok(plan.confirmed(words, sent, &sentence));
        };
        let origin = DirectorySettings {
            origin_url: kept.origin.clone(),
            origin_authorization: authorization,
            ..settings.clone()
        };
        let found = self.probe(&origin).await?;
        let is_in_use = self.copies_url(url)?;
        match found {
            Ok(found) if !is_in_use => {
                let before = Before { number: None, ..before };
                let plan = Plan { before: Some(before), origin: Some(found), ..plan };
                let sentence = format!(
                    "This copies {} again ({}) and puts it in the place of what is in use now, which is kept for \
                     {KEPT_DAYS} days.",
                    host(url),
                    found.in_words(),
                );
                Ok(plan.confirmed(words, sent, &sentence))
            }
            Err(sentence) if kept.number.is_none() => Ok(plan.refuse(sentence)),
            found => {
                let why = match found {
                    Ok(found) => format!("which has {} now", found.in_words()),
                    Err(sentence) => format!("which does not answer now ({sentence})"),
                };
                let sentence = format!(
                    "This puts back the copy of {}, {why}, as it is: it has nothing that has changed since it was \
                     replaced, and says its age. What is in use now is kept for {KEPT_DAYS} days.",
                    host(url),
                );
                Ok(plan.confirmed(words, sent, &sentence))
            }
        }
    }

    fn copies_url(&self, url: &str) -> Result<bool> {
        let state = self.store()?.replica().map_err(internal)?;
        Ok(state.is_some_and(|state| state.origin == url))
    }

    /// What a resync would do.
    pub(crate) async fn plan_resync(&self, settings: &DirectorySettings, sent: Option<&str>) -> Result<Plan> {
        let found = self.probe(settings).await?;
        let (users, groups) = self.counts()?;
        let plan = Plan::new(Effect::Replace, users, groups);
        Ok(match found {
            Err(sentence) => plan.refuse(sentence),
            Ok(found) => {
                let plan = Plan { origin: Some(found), ..plan };
                if users.saturating_add(groups) == 0 {
                    plan
                } else {
                    plan.replacing(settings.origin_url.as_deref().unwrap_or_default(), sent)
                }
            }
        })
    }
}

impl Plan {
    /// Takes the words for a replacement by what an origin has.
    fn replacing(self, url: &str, sent: Option<&str>) -> Self {
        let sentence = format!(
            "This replaces {} by what {} has ({}); what is replaced is kept for {KEPT_DAYS} days and can be put back.",
            counted(self.users, self.groups),
            host(url),
            self.origin.unwrap_or_default().in_words(),
        );
        let words = replacement(self.users, self.groups);
        self.confirmed(words, sent, &sentence)
    }
}

/// Whether one more switch of a system of record would lose one.
fn is_full(sets: &Sets) -> bool {
    sets.kept.len() >= KEPT && sets.kept.iter().all(|kept| kept.origin.is_none())
}

/// The host of an origin, with its port where it has one of its own.
pub(crate) fn host(base: &str) -> String {
    let url = Url::parse(base).ok();
    let host = url.as_ref().and_then(|url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}{port}", url.host_str()?))
    });
    host.unwrap_or_default()
}
