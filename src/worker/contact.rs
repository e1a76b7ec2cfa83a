//! Every request to the origin passes here: it is not sent while the origin is known to be down, and what
//! becomes of it is taken note of.

use crate::body::room_for_answer;
use crate::directory::Directory;
use crate::environment::now_ms;
use crate::http::{Response, SCIM_JSON, scim_error};
use crate::origin::{ANSWER_LIMIT, Answer, NoAnswer, Origin, Outgoing, Side};
use crate::probe::problem;
use crate::synchronise::Trouble;
use scim_edge_directory::backoff::asked_ms;
use scim_edge_directory::circuit::{Circuit, Heard, Position};
use scim_edge_scim::error::Error as ScimError;
use worker::{Result, console_error};

impl Directory {
    /// Sends one request, unless the circuit is open.
    pub(crate) async fn ask(
        &self,
        origin: &Origin,
        outgoing: Outgoing<'_>,
    ) -> std::result::Result<Answer, NoAnswer> {
        let sent = outgoing.body.as_ref().map_or(0, Vec::len);
        let room = room_for_answer(sent, ANSWER_LIMIT).await.map_err(|_| NoAnswer::Full)?;
        self.with_circuit(origin, |circuit| circuit.admit(now_ms())).map_err(NoAnswer::Waiting)?;
        let answered = origin.send(outgoing, room).await;
        let heard = match &answered {
            Ok(answer) => Heard::of(answer.status, retry_after_ms(answer)),
            Err(NoAnswer::Unreachable) => Heard::Failure { busy_ms: None },
            Err(_) => Heard::Answer { busy_ms: None },
        };
        let opened = self.with_circuit(origin, |circuit| {
            let was = circuit.position(now_ms());
            if !circuit.heard(heard, now_ms()) {
                return None;
            }
            if let Some(store) = self.tables(origin)
                && let Err(error) = store.set_circuit(circuit)
            {
                console_error!("the state of the circuit was not stored: {error}");
            }
            let opened = was != Position::Open && circuit.position(now_ms()) == Position::Open;
            opened.then(|| circuit.wait(now_ms())).flatten()
        });
        // Nobody else may ask soon: background work finds out when the origin is back.
        if let Some(wait) = opened
            && let Err(error) = self.wake_in(wait).await
        {
            console_error!("the alarm was not set: {error}");
        }
        answered
    }

    /// A GET of one path below the base.
    pub(crate) async fn get(&self, origin: &Origin, path: String) -> std::result::Result<Answer, NoAnswer> {
        let headers = vec![("accept", format!("{SCIM_JSON}, application/json"))];
        let place = path.split('?').next().unwrap_or_default().to_owned();
        let answered = self.ask(origin, Outgoing { method: "GET", path, headers, body: None }).await;
        let problem = problem(origin, &place, answered.as_ref());
        match (origin.side, problem) {
            (Side::Beside(_), problem) => self.memory.switching.note(problem),
            (Side::InUse, Some(sentence)) => {
                let status = answered.as_ref().ok().map(|answer| answer.status);
                *self.memory.trouble.borrow_mut() = Some(Trouble { status, sentence });
            }
            (Side::InUse, None) => {}
        }
        answered
    }

    /// What is known of an origin's health.
    pub(crate) fn with_circuit<T>(&self, origin: &Origin, body: impl FnOnce(&mut Circuit) -> T) -> T {
        let mut known = match origin.side {
            Side::InUse => self.memory.circuit.borrow_mut(),
            Side::Beside(_) => self.memory.switching.circuit.borrow_mut(),
        };
        let mut circuit = known.take().filter(|circuit| circuit.origin == origin.base).unwrap_or_else(|| {
            let stored = self.tables(origin).and_then(|store| store.circuit(&origin.base).ok());
            stored.unwrap_or_else(|| Circuit::new(&origin.base))
        });
        let outcome = body(&mut circuit);
        *known = Some(circuit);
        outcome
    }
}

/// The answer where nothing was sent.
pub(crate) fn circuit_open(wait_ms: i64) -> Result<Response> {
    let error = ScimError::status(
        503,
        "The origin does not answer; nothing was sent to it, and nothing will be: try again later",
    );
    let seconds = wait_ms.saturating_add(999).div_euclid(1000).max(1);
    scim_error(&error, &[("retry-after", &seconds.to_string())])
}

/// How long an answer asks to be left alone (RFC 9110 §10.2.3: seconds, or a date).
// The difference of two times of the host's clock is a whole number far below 2^53.
#[allow(clippy::cast_possible_truncation)]
fn retry_after_ms(answer: &Answer) -> Option<i64> {
    let (_, text) = answer.headers.iter().find(|(name, _)| *name == "retry-after")?;
    asked_ms(text, |text| {
        let at = js_sys::Date::parse(text);
        at.is_finite().then(|| (at as i64).saturating_sub(now_ms()))
    })
}
