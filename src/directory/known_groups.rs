//! What users' `groups` show of groups, kept until a statement writes: the users of a page are in few groups, and
//! many pages show the same ones.

use crate::render::sign;
use crate::sql::{Sql, SqlError};
use crate::store::Store;
use serde_json::json;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// How many groups are kept of one directory.
const GROUPS: usize = 1000;

/// A group, as its members show it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) display: Option<String>,
    /// What it adds to the ETags of its direct members.
    pub(crate) sign: u32,
}

impl Group {
    pub(crate) fn new(id: String, display: Option<String>) -> Self {
        let sign = sign(&id, display.as_deref(), true);
        Self { id, display, sign }
    }
}

/// Groups by their numbers; none for those that are in other groups, which their members are in through them.
type Groups = HashMap<i64, Option<Rc<Group>>>;

/// Groups as they were after so many writes.
#[derive(Default)]
pub(crate) struct KnownGroups(RefCell<(u64, Groups)>);

impl<S: Sql> Store<S> {
    /// The groups of these numbers, for each list of them; none for a list with a group that is in another.
    pub(crate) fn groups_shown(&self, lists: &[&[i64]]) -> Result<Vec<Option<Vec<Rc<Group>>>>, SqlError> {
        let mut kept = self.groups.0.borrow_mut();
        let (writes, known) = &mut *kept;
        if *writes != self.sql.writes() || known.len() > GROUPS {
            known.clear();
            *writes = self.sql.writes();
        }
        let mut missing: Vec<i64> = lists.concat();
        missing.retain(|seq| !known.contains_key(seq));
        if !missing.is_empty() {
            missing.sort_unstable();
            missing.dedup();
            let text = "SELECT seq, id, display,
                    EXISTS (SELECT 1 FROM member n WHERE n.member_id = resource.id AND n.kind IS NOT 0)
                FROM resource WHERE seq IN (SELECT value FROM json_each(?)) AND kind = 1";
            for mut row in self.sql.query(text, &[json!(missing).to_string().as_str().into()])? {
                let (seq, id, display) = (row.integer()?, row.text()?, row.maybe_text()?);
                known.insert(seq, (row.integer()? == 0).then(|| Rc::new(Group::new(id, display))));
            }
        }
        let shown = |seq: &i64| known.get(seq).cloned().flatten();
        Ok(lists.iter().map(|list| list.iter().map(shown).collect()).collect())
    }
}
