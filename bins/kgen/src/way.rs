//! The way of rows from where they happened to where they arrive, which is never the better for
//! it: the truth goes in, and is written down, with an account of each fault, before it is harmed.

use crate::faults::{self, Fate, Fates};
use crate::lane::Lane;

/// What is written down on the way, for the caller to take away.
#[derive(Debug, Default)]
pub struct Records {
    /// The rows as they happened, when they are kept.
    pub truth: Option<Vec<u8>>,
    /// The account of the faults, when it is kept.
    pub faults: Option<Vec<u8>>,
}

/// The way of the rows of a stream.
#[derive(Debug)]
pub struct Way {
    fates: Fates,
    lane: Lane,
    /// Of the row that comes next, among those that came.
    place: u64,
    records: Records,
}

impl Way {
    /// A way with these fates, that writes into these records.
    #[must_use]
    pub fn new(fates: Fates, records: Records) -> Way {
        Way { fates, lane: Lane::default(), place: 0, records }
    }

    /// What was written down.
    pub fn records(&mut self) -> &mut Records {
        &mut self.records
    }

    /// How many rows were sent.
    #[must_use]
    pub fn happened(&self) -> u64 {
        self.place
    }

    /// Writes down the header line, which meets no fate.
    pub fn head(&mut self, header: &str) {
        if let Some(truth) = &mut self.records.truth {
            truth.extend_from_slice(header.as_bytes());
        }
    }

    /// Sends `row`, which happened at `ms`, as `line`; rows come in the order in which they
    /// happened.
    pub fn send(&mut self, row: u64, ms: i64, line: &[u8]) {
        let fate = self.fates.of_row(row);
        if let Some(truth) = &mut self.records.truth {
            truth.extend_from_slice(line);
        }
        if let Some(faults) = &mut self.records.faults {
            faults::write(self.place, fate, faults);
        }
        self.place += 1;
        let Fate::Sent { late_ms, moved_ms, copy_ms } = fate else { return };
        let after = |delay_ms| ms.saturating_add(delay_ms);
        self.lane.send(row, false, after(late_ms.saturating_add(moved_ms)), line);
        if let Some(copy_ms) = copy_ms {
            self.lane.send(row, true, after(copy_ms), line);
        }
    }

    /// When the next row arrives.
    #[must_use]
    pub fn next_ms(&self) -> Option<i64> {
        self.lane.next_ms()
    }

    /// Hands the next row over to `take`, with its time, when it arrives by `ms`; whether one did.
    pub fn arrive(&mut self, ms: i64, take: impl FnOnce(i64, &[u8])) -> bool {
        self.lane.arrive(ms, take)
    }
}
