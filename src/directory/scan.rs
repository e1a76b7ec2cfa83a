//! Scans in turns: a filter that no index serves reads every resource, which takes as long as the directory is
//! large, and nobody else is answered meanwhile. So the host may have a scan done in turns and let others in
//! between.
//!
//! An answer is of one state of the tables all the same: where something was written since the scan began, it
//! begins anew, and where that has happened too often, it goes to its end in one turn.

use crate::list::Found;
use std::cell::RefCell;
use std::mem::take;

/// How many batches one turn reads: some 2,000 resources, 10 to 30 ms.
const BATCHES: u32 = 4;

/// How often a scan begins anew before it goes to its end.
const BEGINNINGS: u32 = 4;

/// How far the scan of one request has come.
#[derive(Default)]
pub struct Scan(RefCell<(u32, Option<Progress>)>);

/// Where a scan goes on: behind a resource of the kind that has this place among those asked for.
#[derive(Default)]
pub(crate) struct Progress {
    writes: u64,
    pub(crate) place: usize,
    pub(crate) after: Option<i64>,
    pub(crate) found: Vec<Found>,
}

/// One turn; it has no end where nobody is to be let in.
pub(crate) struct Turn<'a> {
    scan: Option<&'a Scan>,
    writes: u64,
    batches: Option<u32>,
}

impl<'a> Turn<'a> {
    /// Begins a turn after so many writes, where the last one ended.
    pub(crate) fn begin(scan: Option<&'a Scan>, writes: u64) -> (Self, Progress) {
        let Some(known) = scan else { return (Self { scan, writes, batches: None }, Progress::default()) };
        let mut known = known.0.borrow_mut();
        let progress = take(&mut known.1).filter(|progress| progress.writes == writes).unwrap_or_else(|| {
            known.0 = known.0.saturating_add(1);
            Progress::default()
        });
        let batches = (known.0 < BEGINNINGS).then_some(BATCHES);
        (Self { scan, writes, batches }, progress)
    }

    /// Whether another batch is to be read in this turn.
    pub(crate) fn goes_on(&mut self) -> bool {
        let Some(batches) = &mut self.batches else { return true };
        let goes_on = *batches > 0;
        *batches = batches.saturating_sub(1);
        goes_on
    }

    /// Ends the turn before the end of the scan, behind a resource.
    pub(crate) fn end(self, place: usize, after: i64, found: Vec<Found>) {
        if let Some(scan) = self.scan {
            let progress = Progress { writes: self.writes, place, after: Some(after), found };
            scan.0.borrow_mut().1 = Some(progress);
        }
    }
}
