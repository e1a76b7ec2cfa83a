//! Answers to lists that are asked for again: as long as nothing has been written, the same question has the
//! same answer, whose text is then sent without being made.
//!
//! Right because a list depends on the tables and its question only, never on the time or on who asks; and
//! because every statement that may write counts ([`crate::sql::Counted`]), whatever it writes: all that is
//! kept is of one count.

use crate::message::{Request, Response};
use scim_edge_scim::dialect::Dialect;
use scim_edge_scim::endpoint::Endpoint;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// How much is kept of one directory, in characters: some pages of full users. An isolate has many.
const CHARACTERS: usize = 1 << 19;

/// How much all directories of an isolate keep together, in characters: what would be more is made anew each time.
const ALL_CHARACTERS: usize = 1 << 23;

thread_local! {
    static ALL: Cell<usize> = const { Cell::new(0) };
}

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

impl Kept {
    /// Whether an answer may be kept: here, and beside those of all directories.
    fn has_room(&self, response: &Response) -> bool {
        let length = length(response);
        length <= CHARACTERS && ALL.get().saturating_add(length) <= ALL_CHARACTERS
    }

    fn add(&mut self, answer: Answer) {
        ALL.set(ALL.get().saturating_add(length(&answer.response)));
        self.answers.push_back(answer);
        while self.characters() > CHARACTERS || self.answers.len() > ANSWERS {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.answers.pop_front() {
            ALL.set(ALL.get().saturating_sub(length(&oldest.response)));
        }
    }

    fn clear(&mut self) {
        while !self.answers.is_empty() {
            self.drop_oldest();
        }
    }

    fn characters(&self) -> usize {
        self.answers.iter().map(|answer| length(&answer.response)).sum()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.clear();
    }
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
            kept.clear();
            kept.writes = writes;
        }
        if request.query.len() > QUERY_BYTES || !kept.has_room(response) {
            return;
        }
        kept.add(Answer {
            endpoint: request.endpoint.clone(),
            query: request.query.to_owned(),
            base: request.base.to_owned(),
            dialect: request.dialect,
            response: response.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_directories_together_keep_a_bounded_amount() {
        let response = Response::json(200, "x".repeat(CHARACTERS));
        let mut directories: Vec<Kept> = (0..40).map(|_| Kept::default()).collect();
        for directory in directories.iter_mut().filter(|directory| directory.has_room(&response)) {
            let response = response.clone();
            let (endpoint, dialect) = (Endpoint::Root, Dialect::Tolerant);
            directory.add(Answer { endpoint, query: String::new(), base: String::new(), dialect, response });
        }
        let keep = directories.iter().filter(|directory| !directory.answers.is_empty()).count();
        assert_eq!(keep, ALL_CHARACTERS / CHARACTERS);
        drop(directories);
        assert_eq!(ALL.get(), 0);
    }
}
