//! An origin that is to be set is asked first: whether it is at this address, takes these credentials and shows its
//! users and groups. What it lacks is told in one sentence, which has nothing of its answers in it.

use crate::directory::Directory;
use crate::http::SCIM_JSON;
use crate::origin::{Answer, NoAnswer, Origin, Outgoing};
use crate::room::Room;
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::setting::PASSTHROUGH;
use scim_edge_directory::capabilities::Capabilities;
use scim_edge_directory::confirm::counted;
use scim_edge_scim::endpoint::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use worker::Result;

/// Resources that are asked for: how long a page may be the fill finds out.
const PAGE: i64 = 1;

/// What an origin has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// None where it does not say, or shows it to its callers only.
    pub users: Option<i64>,
    pub groups: Option<i64>,
}

impl Found {
    /// In words for people.
    pub(crate) fn in_words(self) -> String {
        match (self.users, self.groups) {
            (Some(users), Some(groups)) => counted(users, groups),
            _ => "it does not say how many users and groups".to_owned(),
        }
    }
}

impl Directory {
    /// Asks an origin what a fill will ask. A sentence where it does not answer that.
    pub(crate) async fn probe(
        &self,
        settings: &DirectorySettings,
    ) -> Result<std::result::Result<Found, String>> {
        let of_callers = settings.origin_authorization.as_deref() == Some(PASSTHROUGH);
        let known = if of_callers {
            DirectorySettings { origin_authorization: None, ..settings.clone() }
        } else {
            settings.clone()
        };
        let Some(origin) = self.origin(&known, None)? else {
            return Ok(Err("The gateway cannot open scim_origin_authorization".to_owned()));
        };
        let configuration = look(&origin, "/ServiceProviderConfig", "").await;
        let capabilities = match configuration {
            Ok(Looked::Message(message)) => Capabilities::of(&Value::Object(message)),
            // Some servers do not say what they can do.
            Ok(Looked::Nothing) => None,
            Ok(Looked::Refused) if of_callers => None,
            Ok(Looked::Refused) => return Ok(Err(not_accepted(&origin, "/ServiceProviderConfig"))),
            Err(sentence) => return Ok(Err(sentence)),
        };
        let by_cursor = capabilities.is_some_and(|origin| origin.cursor && !origin.index);
        let place = if by_cursor { "cursor=" } else { "startIndex=1" };
        let mut found = Found::default();
        for kind in Kind::ALL {
            let path = format!("/{}", kind.segment());
            let count = match look(&origin, &path, &format!("?{place}&count={PAGE}")).await {
                Ok(Looked::Message(message)) => match total(&message) {
                    Some(total) => Some(total),
                    // Some servers do not count, or only in words.
                    None if by_cursor || message.contains_key("Resources") => None,
                    None => return Ok(Err(format!("{}{path} answered with no SCIM list", origin.base))),
                },
                Ok(Looked::Refused) if of_callers => None,
                Ok(Looked::Refused) => return Ok(Err(not_accepted(&origin, &path))),
                Ok(Looked::Nothing) => {
                    let sentence = "has nothing there (404): the URL must be the SCIM base";
                    return Ok(Err(format!("{}{path} {sentence}", origin.base)));
                }
                Err(sentence) => return Ok(Err(sentence)),
            };
            match kind {
                Kind::User => found.users = count,
                Kind::Group => found.groups = count,
            }
        }
        Ok(Ok(found))
    }
}

/// What was answered to a look.
enum Looked {
    Message(Map<String, Value>),
    /// There is no such endpoint.
    Nothing,
    /// The credentials are not accepted.
    Refused,
}

/// Asks once, past the circuit: a person waits for the answer, and it says nothing about the origin in use.
async fn look(origin: &Origin, place: &str, query: &str) -> std::result::Result<Looked, String> {
    let headers = vec![("accept", format!("{SCIM_JSON}, application/json"))];
    let outgoing = Outgoing { method: "GET", path: format!("{place}{query}"), headers, body: None };
    let answered = origin.send(outgoing, Room::none()).await;
    match &answered {
        Ok(answer) if matches!(answer.status, 401 | 403) => return Ok(Looked::Refused),
        Ok(answer) if matches!(answer.status, 404 | 405 | 501) => return Ok(Looked::Nothing),
        _ => {}
    }
    if let Some(sentence) = problem(origin, place, answered.as_ref()) {
        return Err(sentence);
    }
    let message = answered.ok().and_then(|answer| serde_json::from_slice(&answer.body).ok());
    let message = message.ok_or_else(|| format!("{}{place} answered with no SCIM message", origin.base))?;
    Ok(Looked::Message(message))
}

fn total(message: &Map<String, Value>) -> Option<i64> {
    message.get("totalResults").and_then(Value::as_i64)
}

fn not_accepted(origin: &Origin, place: &str) -> String {
    let sentence = "does not accept scim_origin_authorization (401 or 403): set both in the same request";
    format!("{}{place} {sentence}", origin.base)
}

/// What is wrong with an answer to a GET, in a sentence; none where it is 200. Of the URL nothing is told but base and
/// endpoint, of the answer nothing but its status.
pub(crate) fn problem(
    origin: &Origin,
    place: &str,
    answered: std::result::Result<&Answer, &NoAnswer>,
) -> Option<String> {
    let endpoint = place.split('/').nth(1).unwrap_or_default();
    let url = format!("{}/{endpoint}", origin.base);
    match answered {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => Some(format!("{url} answered {}", answer.status)),
        Err(NoAnswer::Unreachable) => Some(format!("{url} could not be reached")),
        Err(NoAnswer::TooLong) => Some(format!("{url} answered with more than the gateway reads")),
        Err(NoAnswer::Busy | NoAnswer::Full) => {
            Some("The gateway has no room for a long answer at the moment".to_owned())
        }
        Err(NoAnswer::Redirect) => Some(format!("{url} answered with a redirect, which is not followed")),
        Err(NoAnswer::Waiting(_)) => Some(format!("{url} did not answer lately, and is asked again later")),
    }
}
