//! Answers to lists that are asked for again: as long as nothing has been written, the same question has the
//! same answer, whose text is then sent without being made.
//!
//! Right because a list depends on the tables and its question only, never on the time or on who asks; and
//! because every statement that may write counts ([`crate::sql::Counted`]), whatever it writes: all that is
//! kept is of one count.

use crate::message::{Request, Response};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Endpoint;
use std::cell::RefCell;
use std::collections::VecDeque;

/// How much is kept of one directory, in characters: some pages of full users. An isolate has many.
const CHARACTERS: usize = 1 << 19;

/// How many answers are kept, and how long the query of one may be.
const ANSWERS: usize = 32;
const QUERY_BYTES: usize = 2048;

/// What was answered since the last write, the newest last.
#[derive(Default)]
pub(crate) struct Answers(RefCell<Kept>);

#[derive(Default)]
struct Kept {
    writes: u64,
    answers: VecDeque<Answer>,
}

struct Answer {
    endpoint: Endpoint,
    query: String,
    base: String,
    dialect: Dialect,
    response: Response,
}

impl Answer {
    fn is_to(&self, request: &Request<'_>) -> bool {
        self.query == request.query
            && self.endpoint == *request.endpoint
            && self.base == request.base
            && self.dialect == request.dialect
    }
}

/// How long an answer is, in characters.
fn length(response: &Response) -> usize {
    response.body.as_ref().map_or(0, String::len)
}

impl Answers {
    /// The answer to a question, where it was given after so many writes.
    pub(crate) fn get(&self, request: &Request<'_>, writes: u64) -> Option<Response> {
        let kept = self.0.borrow();
        let answer = kept.answers.iter().rev().find(|answer| answer.is_to(request));
        answer.filter(|_| kept.writes == writes).map(|answer| answer.response.clone())
    }

    /// Keeps an answer that was given after so many writes.
    pub(crate) fn keep(&self, request: &Request<'_>, writes: u64, response: &Response) {
        let mut kept = self.0.borrow_mut();
        if kept.writes != writes {
            kept.answers.clear();
            kept.writes = writes;
        }
        if request.query.len() > QUERY_BYTES || length(response) > CHARACTERS {
            return;
        }
        kept.answers.push_back(Answer {
            endpoint: request.endpoint.clone(),
            query: request.query.to_owned(),
            base: request.base.to_owned(),
            dialect: request.dialect,
            response: response.clone(),
        });
        let mut characters: usize = kept.answers.iter().map(|answer| length(&answer.response)).sum();
        while characters > CHARACTERS || kept.answers.len() > ANSWERS {
            let Some(oldest) = kept.answers.pop_front() else { return };
            characters = characters.saturating_sub(length(&oldest.response));
        }
    }
}
