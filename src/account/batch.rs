//! A batch of changes of settings while it is made: what it has come to, and what became of each change.

use crate::document::Document;
use crate::setting::ORIGIN_AUTHORIZATION;

/// Why a change has no effect.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) sentence: String,
    /// Whether the caller may not make it, however it is put.
    pub(crate) is_denied: bool,
}

impl From<String> for Problem {
    fn from(sentence: String) -> Self {
        Self { sentence, is_denied: false }
    }
}

impl From<&str> for Problem {
    fn from(sentence: &str) -> Self {
        Self::from(sentence.to_owned())
    }
}

impl Problem {
    pub(crate) fn denied(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), is_denied: true }
    }
}

/// The batch.
pub(crate) struct Batch<'a> {
    /// The document before it.
    pub(crate) before: &'a Document,
    /// The document with the changes so far.
    pub(crate) new: Document,
    /// The origin's `Authorization` as it was sent: it is sealed once it is known which origin it is for.
    pub(crate) secret: Option<String>,
    /// By the identifier of the setting, in the order of the changes.
    pub(crate) outcomes: Vec<(String, Result<(), Problem>)>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(before: &'a Document) -> Self {
        Self { before, new: before.clone(), secret: None, outcomes: Vec::new() }
    }

    /// The settings that are changed.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &str> {
        self.outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(identifier, _)| identifier.as_str())
    }

    /// Whether some change of a setting has no effect.
    pub(crate) fn has_failed(&self, identifier: &str) -> bool {
        self.outcomes.iter().any(|(known, outcome)| known == identifier && outcome.is_err())
    }

    /// Takes changes back.
    pub(crate) fn undo(&mut self, is_undone: impl Fn(&str) -> bool, problem: &Problem) {
        for (identifier, outcome) in &mut self.outcomes {
            if outcome.is_err() || !is_undone(identifier) {
                continue;
            }
            if identifier == ORIGIN_AUTHORIZATION {
                self.secret = None;
            }
            match self.before.settings.get(identifier) {
                Some(value) => self.new.settings.insert(identifier.clone(), value.clone()),
                None => self.new.settings.remove(identifier),
            };
            *outcome = Err(problem.clone());
        }
    }

    /// Why none of the changes may be made, where that is so.
    pub(crate) fn denial(&self) -> Option<&str> {
        let mut first = None;
        for (_, outcome) in &self.outcomes {
            let problem = outcome.as_ref().err().filter(|problem| problem.is_denied)?;
            first = first.or(Some(problem.sentence.as_str()));
        }
        first
    }
}
