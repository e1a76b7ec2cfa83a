//! The Directory object's part in an export.

use crate::aside::{Exported, Exporting};
use crate::directory::{Directory, internal};
use crate::environment::now_ms;
use scim_edge_directory::audit::{self, Entry, Kind, Outcome};
use worker::Result;

impl Directory {
    /// Answers the Worker: a line about the page, and the page.
    pub(crate) fn export(&self, exporting: &Exporting) -> Result<String> {
        let store = self.store()?;
        let (head, lines) = match exporting {
            Exporting::Begin { principal, request_id } => {
                let is_filling =
                    store.replica().map_err(internal)?.is_some_and(|state| state.filling.is_some());
                let entry = if is_filling { None } else { Some(self.note_export(principal, request_id)?) };
                (Exported { entry, ..Exported::default() }, Vec::new())
            }
            Exporting::Page { place, entry } => {
                let page = store.export(place).map_err(internal)?;
                // What a copy takes over from its origin is in no audit.
                let is_copy = store.replica().map_err(internal)?.is_some();
                let is_counted = page.is_last && !is_copy;
                let writes = is_counted.then(|| audit::writes_after(store.sql(), *entry));
                let head = Exported {
                    entry: Some(*entry),
                    place: page.place,
                    shown: page.shown,
                    is_last: page.is_last,
                    is_outdated: page.is_outdated,
                    writes: writes.transpose().map_err(internal)?,
                };
                (head, page.lines)
            }
        };
        let mut text = serde_json::to_string(&head)?;
        for line in lines {
            text.push('\n');
            text.push_str(&line);
        }
        Ok(text)
    }

    /// Whoever takes everything away is in the audit.
    fn note_export(&self, principal: &str, request_id: &str) -> Result<i64> {
        let entry = Entry {
            id: 0,
            at: now_ms(),
            kind: Kind::Write,
            principal: Some(principal.to_owned()),
            subject: None,
            operation: audit::EXPORT.to_owned(),
            resource: None,
            status: 200,
            outcome: Outcome::Ok,
            reason: None,
            request_id: Some(request_id.to_owned()),
            count: 1,
            attributes: None,
            former_id: None,
        };
        audit::add(self.store()?.sql(), &entry).map_err(internal)
    }
}
