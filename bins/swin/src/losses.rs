//! Rows that did not count: how many, why, and what would have helped.

use row::bad::BadRows;
use row::field::Bad;

use crate::timeline::{Ahead, Timeline};
use crate::watermark::Leap;

/// A leap of time behind which late rows are no surprise, in milliseconds.
const LEAP_MS: i64 = 3_600_000;

/// A leap of time that is said in any case, in milliseconds: more than a leap year, so that rows
/// that come once a year are none.
const GREAT_LEAP_MS: i64 = 366 * 24 * LEAP_MS;

/// What the stage does with rows that do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Keep bad rows, as JSON lines.
    pub bad: bool,
    /// Keep late rows, as they came; and what they end in.
    pub late: Option<u8>,
    /// Stop at the first bad row.
    pub strict: bool,
}

/// Rows that did not count.
#[derive(Debug, Default)]
pub struct Losses {
    bad: BadRows,
    late: u64,
    late_most_ms: i64,
    delay_ms: i64,
    outside: u64,
    ahead: Ahead,
    leap: Leap,
    /// Bad rows to be written, as JSON lines.
    pub bad_lines: Vec<u8>,
    /// Late rows to be written, as they came.
    pub late_lines: Vec<u8>,
}

impl Losses {
    /// None yet, where the watermark is `delay_ms` behind.
    #[must_use]
    pub fn new(delay_ms: i64) -> Losses {
        Losses { delay_ms, ..Losses::default() }
    }

    /// A row in line `number` could not be read.
    pub fn add_bad(&mut self, number: u64, reason: Bad) {
        self.bad.add(number, reason);
    }

    /// A row was late by `by_ms`; it is kept when it is said what lines end in.
    pub fn add_late(&mut self, by_ms: i64, line: &[u8], end: Option<u8>) {
        self.late += 1;
        self.late_most_ms = self.late_most_ms.max(by_ms);
        if let Some(end) = end {
            self.late_lines.extend_from_slice(line);
            self.late_lines.push(end);
        }
    }

    /// A row stood in a gap between windows.
    pub fn add_outside(&mut self) {
        self.outside += 1;
    }

    /// Looks at what time has seen.
    pub fn see(&mut self, timeline: &Timeline) {
        self.ahead = timeline.ahead();
        self.leap = timeline.leap();
    }

    /// How many rows could not be read.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.bad.count()
    }

    /// How many rows were late.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// What is said of them at exit.
    #[must_use]
    pub fn summaries(&self, keeping: Keeping) -> Vec<String> {
        let mut said: Vec<String> = self.bad.summary(keeping.bad).into_iter().collect();
        if self.late > 0 {
            let rows = counted(self.late);
            let most = self.late_most_ms;
            // The window of a row ends after it, and closes when the watermark is there.
            let enough = self.delay_ms.saturating_add(most + 1);
            let Leap { line, ms } = self.leap;
            // Rows that are out of order by themselves are a little later than the leap is long.
            let help = if ms >= LEAP_MS.max(most / 2) {
                format!(
                    "line {line} is {ms} ms ahead of all before it, and --future D keeps such a \
                     row from moving time"
                )
            } else {
                format!("--delay {enough}ms would have waited")
            };
            said.push(format!("{rows} late by up to {most} ms and did not count; {help}"));
        }
        if self.outside > 0 {
            let rows = if self.outside == 1 { "row" } else { "rows" };
            said.push(format!("{} {rows} stood in the gaps between windows", self.outside));
        }
        let Ahead { rows, line } = self.ahead;
        if rows > 0 {
            let first = if rows == 1 { "it" } else { "the first" };
            let rows = counted(rows);
            said.push(format!(
                "{rows} further ahead of the clock than --future, and moved no time; {first} was \
                 line {line}"
            ));
        }
        said
    }

    /// What is said of a leap of time that no clock makes, unless late rows have told of it.
    #[must_use]
    pub fn leap(&self) -> Option<String> {
        let Leap { line, ms } = self.leap;
        (ms > GREAT_LEAP_MS && self.late == 0).then(|| {
            format!(
                "line {line} is {ms} ms ahead of all before it; --future D keeps such a row from \
                 moving time"
            )
        })
    }
}

fn counted(rows: u64) -> String {
    if rows == 1 { "1 row was".to_owned() } else { format!("{rows} rows were") }
}
