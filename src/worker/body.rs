//! Bodies, of requests and of origins' answers: read within a limit, within the room that there is for them all
//! (`room.rs`), and within some time.

use crate::room::{FREE, Room};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use scim_edge_account::api::Failure;
use scim_edge_scim::error::Error as ScimError;
use std::ops::Deref;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::ByteStream;

/// How much of a body is read past its limit, in bytes, and not kept: the client gets its answer and can use the
/// connection again, which the host would end otherwise.
const REST: usize = 8 << 20;

/// How long a body that is not short may take, in milliseconds.
const TIME_LIMIT_MS: u32 = 30_000;

/// How much longer than the body of a write its answer may be without a second look for room.
const ANSWER_TO_SENT: usize = 3;

/// How often, and after how many milliseconds each time, room is asked for again.
const ATTEMPTS: u32 = 100;
const WAIT_MS: u32 = 50;

#[wasm_bindgen(raw_module = "./edge.js")]
extern "C" {
    fn pause(ms: u32) -> js_sys::Promise;
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is longer than the limit.
    TooLong,
    /// It ended early.
    Broken,
    /// It came too slowly.
    Late,
    /// Too many long ones are held at the moment.
    Busy,
}

impl BodyError {
    /// Status and sentence for the sender of a request.
    fn told(self, limit: usize) -> (u16, String) {
        match self {
            Self::TooLong => (413, format!("the body is longer than {}", length(limit))),
            Self::Broken => (400, "the body ended early".to_owned()),
            Self::Late => (408, format!("the body was not there within {} seconds", TIME_LIMIT_MS / 1000)),
            Self::Busy => {
                (503, "too many long requests are under way here: try again in a moment".to_owned())
            }
        }
    }

    /// The refusal of a SCIM call.
    pub(crate) fn scim_error(self, limit: usize) -> ScimError {
        let (status, sentence) = self.told(limit);
        ScimError::status(status, sentence)
    }

    /// The refusal of an admin call.
    pub(crate) fn failure(self, limit: usize) -> Failure {
        let (status, sentence) = self.told(limit);
        let code = match self {
            Self::Broken => return Failure::invalid("body", "ended early"),
            Self::TooLong => "PAYLOAD_TOO_LARGE",
            Self::Late => "REQUEST_TIMEOUT",
            Self::Busy => "SERVICE_UNAVAILABLE",
        };
        Failure::new(status, code, sentence)
    }
}

fn length(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        _ => format!("{} KiB", bytes >> 10),
    }
}

/// A body, and the room that it takes.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    room: Room,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Vec<u8>> for Body {
    /// A part of a body that has its room already.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, room: Room::none() }
    }
}

impl Body {
    /// The body as text.
    pub(crate) fn into_text(self) -> Result<String, BodyError> {
        String::from_utf8(self.bytes).map_err(|_| BodyError::Broken)
    }

    /// Adds a chunk, once there is room for it.
    async fn add(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        let length = self.bytes.len().saturating_add(chunk.len());
        take(&mut self.room, length).await?;
        if self.bytes.is_empty() {
            self.bytes.reserve(chunk.len());
        } else if length > self.bytes.capacity() {
            // Exactly: doubling would take up to twice the room.
            self.bytes.reserve_exact(length.max(FREE).saturating_sub(self.bytes.len()).saturating_add(FREE));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

/// Takes room for this many bytes, and waits for it if there is none.
async fn take(room: &mut Room, bytes: usize) -> Result<(), BodyError> {
    for _ in 0..ATTEMPTS {
        if room.grow_to(bytes) {
            return Ok(());
        }
        JsFuture::from(pause(WAIT_MS)).await.map_err(|_| BodyError::Broken)?;
    }
    Err(BodyError::Busy)
}

/// The room for the answer to a write, taken before it is sent: an answer for which there is no room leaves it unknown
/// whether the change was made. Origins answer with the resource, and with more about each member than they were sent.
pub(crate) async fn room_for_answer(sent: usize, limit: usize) -> Result<Room, BodyError> {
    let mut room = Room::none();
    take(&mut room, sent.saturating_mul(ANSWER_TO_SENT).min(limit)).await?;
    Ok(room)
}

/// Reads a request's body of at most `limit` bytes: what it announces is not believed.
pub(crate) async fn read(stream: Option<web_sys::ReadableStream>, limit: usize) -> Result<Body, BodyError> {
    read_and_pass(stream, limit, limit.saturating_add(REST), Room::none()).await
}

/// Reads an answer's body into a room. One that is too long is given up where it passes the limit.
pub(crate) async fn read_answer(
    stream: Option<web_sys::ReadableStream>,
    limit: usize,
    room: Room,
) -> Result<Body, BodyError> {
    read_and_pass(stream, limit, 0, room).await
}

async fn read_and_pass(
    stream: Option<web_sys::ReadableStream>,
    limit: usize,
    rest: usize,
    room: Room,
) -> Result<Body, BodyError> {
    let mut body = Body { bytes: Vec::new(), room };
    let Some(stream) = stream else { return Ok(body) };
    let mut chunks = ByteStream::from(stream);
    let mut deadline = None;
    let mut passed = 0_usize;
    let mut outcome = Ok(());
    loop {
        let next = match &mut deadline {
            None => chunks.next().await,
            Some(deadline) => match select(chunks.next(), deadline).await {
                Either::Left((next, _)) => next,
                Either::Right(_) => return Err(outcome.err().unwrap_or(BodyError::Late)),
            },
        };
        let Some(chunk) = next else { break };
        // The rest of a body that was refused: it may end as it likes.
        let Ok(chunk) = chunk else { return Err(outcome.err().unwrap_or(BodyError::Broken)) };
        passed = passed.saturating_add(chunk.len());
        if outcome.is_ok() {
            outcome = if passed > limit { Err(BodyError::TooLong) } else { body.add(&chunk).await };
            if outcome.is_err() {
                body = Body::from(Vec::new());
            }
        }
        if outcome.is_err() && passed > rest {
            break;
        }
        if deadline.is_none() && passed > FREE {
            deadline = Some(JsFuture::from(pause(TIME_LIMIT_MS)));
        }
    }
    body.room.complete(body.bytes.capacity());
    outcome.map(|()| body)
}
