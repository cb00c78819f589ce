//! When each row is due, and which time it has.
//!
//! Time here starts with the program: at 0, whatever the clock shows. A schedule is asked again
//! and again with what has passed since; what a stalled pipe has missed is due at once, so that a
//! stall moves nothing.

use std::ops::Range;
use std::time::Duration;

use pipe::rate::Rate;
use pipe::units::{self, Span};

use crate::draw::Draws;
use crate::part::{Part, Rows, Shard};

/// Rows that are due at once are handed out in pieces of so many, between which the program looks
/// at the clock and for signals.
const PIECE_ROWS: u64 = 512;

/// The stream of draws for the sizes of bursts. Rows have stream 0, so that they are the same
/// with bursts and without.
const SIZES_STREAM: u64 = 1;

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// These rows, perhaps none, and then to ask again.
    Rows(Rows),
    /// To wait until this time.
    Wait(Duration),
    /// To wait for the next row to come in.
    Input,
    /// Nothing any more.
    End,
}

/// By which law rows become due.
#[derive(Debug)]
pub enum Law {
    /// At once; their time is the clock's.
    Clock,
    /// At once; their times are so many milliseconds apart.
    Steps(i64),
    /// At a steady rate.
    Rate(Rate),
    /// In bursts.
    Bursts(Box<Bursts>),
}

impl Law {
    /// The longest time from a row to the one that is `more` rows behind it, in milliseconds, as
    /// far as the law sets it. Bursts that may be empty are taken to hold a row every tenth time:
    /// with at least half of them not empty, 15 rows need more than 150 bursts once in 10^24
    /// times.
    #[must_use]
    pub fn span_ms(&self, more: u64) -> i64 {
        match self {
            Law::Clock => 0,
            Law::Steps(step_ms) => times(*step_ms, more),
            Law::Rate(rate) => millis(rate.due(more)),
            Law::Bursts(bursts) => bursts.span_ms(more),
        }
    }

    /// Goes on to `row`, as if all rows before it had been handed out, and says when it is due.
    fn turn_to(&mut self, row: u64) -> Duration {
        match self {
            Law::Clock | Law::Steps(_) => Duration::ZERO,
            Law::Rate(rate) => rate.due(row),
            Law::Bursts(bursts) => bursts.turn_to(row),
        }
    }
}

/// The rows of a run, one after the other.
#[derive(Debug)]
pub struct Schedule {
    law: Law,
    shard: Shard,
    next: u64,
    /// The row behind the last one.
    end: u64,
    /// Rows before this one are there to be taken.
    ready: u64,
    /// When the first row of the part is due in the whole stream, which is when this run starts.
    base: Duration,
    /// The latest time that was asked about, in the whole stream.
    now: Duration,
    /// How far behind their time rows were handed out, at most.
    slip: Duration,
}

impl Schedule {
    /// A schedule of a part of a stream by a law.
    #[must_use]
    pub fn new(mut law: Law, part: Part) -> Schedule {
        let base = law.turn_to(part.first);
        let end = part.end();
        Schedule {
            law,
            shard: part.shard,
            next: part.shard.first_from(part.first).min(end),
            end,
            ready: u64::MAX,
            base,
            now: base,
            slip: Duration::ZERO,
        }
    }

    /// Whether the times of rows follow the clock, and not the seed and the options alone.
    #[must_use]
    pub fn is_by_clock(&self) -> bool {
        matches!(self.law, Law::Clock)
    }

    /// Whether rows wait until they are due.
    #[must_use]
    pub fn is_paced(&self) -> bool {
        match &self.law {
            Law::Clock | Law::Steps(_) => false,
            Law::Rate(_) => true,
            Law::Bursts(bursts) => bursts.step_ms.is_none(),
        }
    }

    /// From the start of the whole stream to that of this part.
    #[must_use]
    pub fn base(&self) -> Duration {
        self.base
    }

    /// The row that comes next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Rows come in from outside, and those before `row` are there.
    pub fn ready(&mut self, row: u64) {
        self.ready = row;
    }

    /// No row comes in after those that are there.
    pub fn close(&mut self) {
        self.end = self.end.min(self.ready);
        self.next = self.next.min(self.end);
    }

    /// How far behind its time a row was handed out, at most, since this was asked last.
    pub fn slip(&mut self) -> Duration {
        std::mem::take(&mut self.slip)
    }

    /// What is to be done when `now` has passed since the start of this part.
    pub fn due(&mut self, now: Duration) -> Due {
        let now = now.saturating_add(self.base);
        self.now = now;
        if self.next == self.end {
            return Due::End;
        }
        if self.next >= self.ready {
            return Due::Input;
        }
        let end = match &mut self.law {
            Law::Clock | Law::Steps(_) => u64::MAX,
            // Both are rounded; a row whose time has come is due.
            Law::Rate(rate) if now >= rate.due(self.next) => rate.rows(now).max(self.next + 1),
            Law::Rate(_) => self.next,
            Law::Bursts(bursts) => bursts.open(self.next, now),
        };
        let piece = PIECE_ROWS.saturating_mul(self.shard.count);
        let end = end.min(self.end).min(self.ready).min(self.next.saturating_add(piece));
        match &self.law {
            Law::Rate(rate) if end <= self.next => self.wait(rate.due(self.next)),
            Law::Bursts(bursts) if end <= self.next && !bursts.is_due(now) => {
                self.wait(bursts.due())
            }
            _ => Due::Rows(self.take(end)),
        }
    }

    fn wait(&self, until: Duration) -> Due {
        Due::Wait(until.saturating_sub(self.base))
    }

    /// Takes the rows up to `end`.
    fn take(&mut self, end: u64) -> Rows {
        let rows = Rows { start: self.next, end: end.max(self.next), step: self.shard.count };
        if end > self.next {
            self.note_slip();
            self.next = self.shard.first_from(end).min(self.end);
        }
        rows
    }

    /// Notes how late the row is that comes next, of those that have a time to be handed out at.
    fn note_slip(&mut self) {
        let due = match &self.law {
            Law::Rate(rate) => rate.due(self.next),
            Law::Bursts(bursts) if bursts.step_ms.is_none() => bursts.opened_due(),
            _ => return,
        };
        self.slip = self.slip.max(self.now.saturating_sub(due));
    }

    /// The time of `row` in milliseconds, which is one that [`Schedule::due`] just handed out or
    /// the one that comes next.
    #[inline]
    #[must_use]
    pub fn ms(&self, row: u64) -> i64 {
        match &self.law {
            Law::Clock => millis(self.now),
            Law::Steps(step_ms) => times(*step_ms, row),
            Law::Rate(rate) => millis(rate.due(row)),
            Law::Bursts(bursts) => bursts.ms(row),
        }
    }
}

/// Bursts of random sizes at a steady pace, the first at once.
#[derive(Debug)]
pub struct Bursts {
    sizes: units::Range,
    draws: Draws<1>,
    every_ms: i64,
    /// Between the rows of a burst; when there is one, bursts follow each other without a wait.
    step_ms: Option<i64>,
    /// How many bursts have been opened.
    opened: u64,
    /// The rows of the last one.
    rows: Range<u64>,
}

impl Bursts {
    /// Bursts of `sizes` rows, one every `every`. With a `step` between the rows of a burst the
    /// time is simulated: every burst is due at once.
    ///
    /// # Errors
    /// When there could be no row, or a burst could last into the next one.
    pub fn new(
        seed: u64,
        sizes: units::Range,
        every: Span,
        step: Option<Span>,
    ) -> Result<Bursts, String> {
        if sizes.to == 0 {
            return Err("a burst has at least one row now and then".to_owned());
        }
        let (every_ms, step_ms) = (every.ms(), step.map(Span::ms));
        let draws = Draws::new(seed, SIZES_STREAM);
        let bursts = Bursts { sizes, draws, every_ms, step_ms, opened: 0, rows: 0..0 };
        if bursts.length_ms() > every_ms {
            return Err("with this --step a burst lasts into the next one".to_owned());
        }
        Ok(bursts)
    }

    /// The end of the rows that are due, of which `next` is the first: those of the last burst,
    /// or else those of the next one when its time has come.
    fn open(&mut self, next: u64, now: Duration) -> u64 {
        if next >= self.rows.end && self.is_due(now) {
            self.open_next();
        }
        self.rows.end
    }

    fn open_next(&mut self) {
        let [mut draw] = self.draws.of_row(self.opened);
        let more = draw.below((self.sizes.to - self.sizes.from).saturating_add(1));
        let start = self.rows.end;
        self.rows = start..start.saturating_add(self.sizes.from + more);
        self.opened += 1;
    }

    /// Opens the bursts up to that of `row`, and says when that one is due. Those of one size are
    /// counted; others are drawn one after the other, as only that tells where one starts.
    fn turn_to(&mut self, row: u64) -> Duration {
        if self.sizes.from == self.sizes.to {
            self.opened = row / self.sizes.to;
            self.rows = self.opened * self.sizes.to..self.opened * self.sizes.to;
            return self.due();
        }
        while self.rows.end <= row && row > 0 {
            self.open_next();
        }
        if row > 0 { self.opened_due() } else { Duration::ZERO }
    }

    fn span_ms(&self, more: u64) -> i64 {
        let bursts = match self.sizes.from {
            0 => more.saturating_mul(10),
            least => more.div_ceil(least),
        };
        times(self.every_ms, bursts).saturating_add(self.length_ms())
    }

    /// From the first row of the longest burst to its last one.
    fn length_ms(&self) -> i64 {
        times(self.step_ms.unwrap_or(0), self.sizes.to - 1)
    }

    /// When the next burst is due.
    fn due(&self) -> Duration {
        Duration::from_millis(times(self.every_ms, self.opened).unsigned_abs())
    }

    /// When the last one that was opened was due.
    fn opened_due(&self) -> Duration {
        Duration::from_millis(times(self.every_ms, self.opened.saturating_sub(1)).unsigned_abs())
    }

    fn is_due(&self, now: Duration) -> bool {
        self.step_ms.is_some() || now >= self.due()
    }

    fn ms(&self, row: u64) -> i64 {
        if row >= self.rows.end {
            return times(self.every_ms, self.opened);
        }
        let start_ms = times(self.every_ms, self.opened - 1);
        start_ms.saturating_add(times(self.step_ms.unwrap_or(0), row - self.rows.start))
    }
}

fn times(ms: i64, count: u64) -> i64 {
    ms.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Whole milliseconds of a time.
#[must_use]
pub fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(start: u64, end: u64) -> Due {
        Due::Rows(Rows { start, end, step: 1 })
    }

    fn at_ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn bursts(sizes: &str, every: &str, step: Option<&str>) -> Law {
        let span = |text: &str| text.parse::<Span>().expect("a span");
        let sizes = sizes.parse().expect("a range");
        let bursts = Bursts::new(1, sizes, span(every), step.map(span));
        Law::Bursts(Box::new(bursts.expect("bursts")))
    }

    #[test]
    fn unpaced_rows_come_in_pieces_until_there_are_enough() {
        let mut schedule = Schedule::new(Law::Steps(250), Part::head(PIECE_ROWS + 1));
        assert_eq!(schedule.due(Duration::ZERO), rows(0, PIECE_ROWS));
        assert_eq!(schedule.due(Duration::ZERO), rows(PIECE_ROWS, PIECE_ROWS + 1));
        assert_eq!(schedule.due(Duration::ZERO), Due::End);
        assert_eq!(schedule.ms(3), 750);
    }

    #[test]
    fn a_rate_waits_for_the_next_row_and_catches_up() {
        let mut schedule =
            Schedule::new(Law::Rate(Rate::new(10.0).expect("a rate")), Part::head(100));
        assert_eq!(schedule.due(at_ms(0)), rows(0, 1));
        assert_eq!(schedule.due(at_ms(0)), Due::Wait(at_ms(100)));
        assert_eq!(schedule.due(at_ms(1_050)), rows(1, 11));
        assert_eq!(schedule.due(at_ms(1_050)), Due::Wait(at_ms(1_100)));
        assert_eq!((schedule.ms(10), schedule.ms(11)), (1_000, 1_100));
    }

    #[test]
    fn without_a_pace_the_time_is_the_clocks() {
        let mut schedule = Schedule::new(Law::Clock, Part::head(10_000));
        schedule.due(at_ms(5));
        assert_eq!(schedule.ms(0), 5);
        schedule.due(at_ms(7));
        assert_eq!(schedule.ms(600), 7);
    }

    #[test]
    fn bursts_keep_their_schedule_however_late_they_are_asked_for() {
        let mut schedule = Schedule::new(bursts("3", "5s", None), Part::head(u64::MAX));
        assert_eq!(schedule.due(at_ms(20)), rows(0, 3));
        assert_eq!(schedule.due(at_ms(30)), Due::Wait(at_ms(5_000)));
        assert_eq!(schedule.due(at_ms(10_400)), rows(3, 6));
        assert_eq!(schedule.ms(5), 5_000);
        assert_eq!(schedule.due(at_ms(10_400)), rows(6, 9));
        assert_eq!((schedule.ms(6), schedule.ms(9)), (10_000, 15_000));
        assert_eq!(schedule.due(at_ms(10_400)), Due::Wait(at_ms(15_000)));
    }

    #[test]
    fn bursts_take_every_size_from_one_end_to_the_other() {
        let mut schedule = Schedule::new(bursts("0..4", "1s", None), Part::head(u64::MAX));
        let mut counts = [0; 5];
        for burst in 0..10_000 {
            match schedule.due(at_ms(burst * 1_000)) {
                Due::Rows(rows) => counts[rows.count()] += 1,
                due => {
                    assert_eq!(due, Due::Wait(at_ms(burst * 1_000 + 1_000)));
                    counts[0] += 1;
                }
            }
        }
        crate::chi_square::assert_uniform("sizes", &counts);
    }

    #[test]
    fn the_last_burst_is_cut_at_the_count() {
        let mut schedule = Schedule::new(bursts("3", "5s", None), Part::head(4));
        assert_eq!(schedule.due(at_ms(5_000)), rows(0, 3));
        assert_eq!(schedule.due(at_ms(5_000)), rows(3, 4));
        assert_eq!(schedule.due(at_ms(5_000)), Due::End);
    }

    #[test]
    fn simulated_bursts_do_not_wait() {
        let mut schedule = Schedule::new(bursts("2", "5s", Some("10ms")), Part::head(4));
        assert_eq!(schedule.due(at_ms(0)), rows(0, 2));
        assert_eq!((schedule.ms(0), schedule.ms(1)), (0, 10));
        assert_eq!(schedule.due(at_ms(0)), rows(2, 4));
        assert_eq!((schedule.ms(2), schedule.ms(3)), (5_000, 5_010));
    }

    #[test]
    fn bursts_that_make_no_sense_are_refused() {
        let span = |ms| Span::from_ms(ms);
        let sizes = |from, to| units::Range { from, to };
        assert!(Bursts::new(1, sizes(0, 0), span(1_000), None).is_err());
        assert!(Bursts::new(1, sizes(0, 3), span(1_000), Some(span(501))).is_err());
        assert!(Bursts::new(1, sizes(0, 3), span(1_000), Some(span(500))).is_ok());
    }

    #[test]
    fn a_law_knows_how_far_apart_rows_may_lie() {
        assert_eq!(Law::Steps(250).span_ms(4), 1_000);
        assert_eq!(Law::Rate(Rate::new(0.5).expect("a rate")).span_ms(3), 6_000);
        assert_eq!(bursts("1..9", "5s", None).span_ms(15), 75_000);
        assert_eq!(bursts("2", "5s", None).span_ms(15), 40_000);
        assert_eq!(bursts("20", "5s", Some("100ms")).span_ms(15), 6_900);
        assert_eq!(bursts("0..9", "5s", None).span_ms(15), 750_000);
        let mut schedule = Schedule::new(bursts("0..1", "1s", None), Part::head(200_000));
        let mut times = Vec::new();
        while let Due::Rows(rows) = schedule.due(at_ms(u64::MAX / 2)) {
            times.extend(rows.map(|row| schedule.ms(row)));
        }
        let longest = times.windows(16).map(|rows| rows[15] - rows[0]).max().expect("rows");
        assert!(longest < bursts("0..1", "1s", None).span_ms(15), "{longest}");
    }

    #[test]
    fn times_beyond_all_reason_do_not_wrap() {
        let schedule = Schedule::new(Law::Steps(i64::MAX), Part::head(u64::MAX));
        assert_eq!(schedule.ms(u64::MAX), i64::MAX);
        let schedule =
            Schedule::new(Law::Rate(Rate::new(1e-300).expect("a rate")), Part::head(u64::MAX));
        assert_eq!(schedule.ms(1), i64::MAX);
    }
}
