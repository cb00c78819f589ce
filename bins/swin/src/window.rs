//! Windows as values: which ones a row is in, and where they end.
//!
//! Windows are half-open, `[start, end)`. All times are milliseconds since the epoch.
//!
//! Rows are gathered in *panes*, the longest pieces that no window cuts (Li et al., "No pane, no
//! gain", SIGMOD Record 2005): a row is counted once, however many windows it is in.

use std::num::NonZeroI64;
use std::ops::Range;
use std::str::FromStr;

use jiff::tz::TimeZone;

use crate::grid::{Grid, Length};
use crate::watermark::NOT_YET;

/// A kind of window with its lengths.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// Windows of one size, one at every step: tumbling and hopping.
    Aligned(Aligned),
    /// Windows that grow from the start of a period, one at every step.
    Cumulate(Cumulate),
    /// Rows of a key that are at most so many milliseconds apart.
    Session(i64),
    /// For every row, those of its key in the milliseconds before it.
    Range(i64),
    /// A number of rows of a key, one window after every so many.
    Rows(Rows),
    /// Everything since the beginning.
    Running,
}

impl Window {
    /// The names of the columns that say which window a result is of; `early` when some are
    /// written before the window has ended.
    #[must_use]
    pub fn columns(&self, early: bool) -> &'static [&'static str] {
        match self {
            Window::Running | Window::Range(_) => &["time"],
            _ if early => &["window_start", "window_end", "final"],
            _ => &["window_start", "window_end"],
        }
    }

    /// The pane that `time` is in, when panes also end at each multiple of `every`.
    #[must_use]
    pub fn place(&self, time: i64, every: Option<NonZeroI64>) -> Place {
        let mut place = match self {
            Window::Aligned(aligned) => aligned.place(time),
            Window::Cumulate(cumulate) => cumulate.place(time),
            // These know their panes by other things than time.
            Window::Session(_) | Window::Range(_) | Window::Rows(_) | Window::Running => {
                Place { from: i64::MIN, to: i64::MAX, open_until: None }
            }
        };
        if let Some(every) = every {
            let from = time.div_euclid(every.get()).saturating_mul(every.get());
            place.from = place.from.max(from);
            place.to = place.to.min(from.saturating_add(every.get() - 1));
        }
        place
    }
}

/// A pane, and what all times in it have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first time in the pane, which the pane is called by.
    pub from: Pane,
    /// The last time in it.
    pub to: i64,
    /// The end of the last window that the pane is in; none in a gap between windows.
    pub open_until: Option<i64>,
}

/// A pane by its start.
pub type Pane = i64;

/// Windows of one size that start at every multiple of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Aligned {
    grid: Grid,
    /// The size and the step in cells of the grid.
    size: i64,
    step: i64,
}

impl Aligned {
    /// Windows of `size`, one at every multiple of `step`; days are those of `zone`.
    ///
    /// # Errors
    /// When days and hours are mixed where they cannot be.
    pub fn new(size: Length, step: Length, zone: &TimeZone) -> Result<Aligned, String> {
        let grid = Grid::of(size, step, zone)?;
        let (size, step) = (grid.cells(size), grid.cells(step));
        Ok(Aligned { grid, size, step })
    }

    /// The same windows, aligned so that they *end* at multiples of the step from the first
    /// border before `time`, as in Spark's streams.
    #[must_use]
    pub fn starting_at(&self, time: i64) -> Aligned {
        let start = self.grid.start(self.grid.cell(time));
        let origin = self.grid.with_origin(start).start(-self.size);
        Aligned { grid: self.grid.with_origin(origin), ..*self }
    }

    /// A border of the windows, from which [`Aligned::with_origin`] makes the same ones again.
    #[must_use]
    pub fn origin(&self) -> i64 {
        self.grid.start(0)
    }

    /// The windows of these lengths that have a start at `origin`.
    #[must_use]
    pub fn with_origin(&self, origin: i64) -> Aligned {
        Aligned { grid: self.grid.with_origin(origin), ..*self }
    }

    /// Whether every window is one cell, so that no two have a row in common.
    #[must_use]
    pub fn is_tumbling(&self) -> bool {
        self.size == 1
    }

    fn place(&self, time: i64) -> Place {
        let cell = self.grid.cell(time);
        let last = cell.div_euclid(self.step) * self.step + self.size;
        let open_until = (last > cell).then(|| self.grid.start(last));
        let to = self.grid.start(cell + 1).saturating_sub(1);
        Place { from: self.grid.start(cell), to, open_until }
    }

    /// The end of the first window that `time` is in, or would be in if it stood in no gap.
    #[must_use]
    pub fn first_end(&self, time: i64) -> i64 {
        let before = self.grid.cell(time) - self.size;
        self.grid.start(before.div_euclid(self.step) * self.step + self.step + self.size)
    }

    /// The greatest end of a window that is not after `time`.
    #[must_use]
    pub fn end_by(&self, time: i64) -> i64 {
        let before = self.grid.cell(time) - self.size;
        self.grid.start(before.div_euclid(self.step) * self.step + self.size)
    }

    /// The end of the windows after those that end at `end`.
    #[must_use]
    pub fn next_end(&self, end: i64) -> i64 {
        let mut ends = self.ends_from(end).map(|cell| self.grid.start(cell));
        ends.find(|&next| next > end).unwrap_or(i64::MAX)
    }

    /// The cells before which windows end, from `end` on: where the calendar has left out a day,
    /// several begin at the same time.
    fn ends_from(&self, end: i64) -> impl Iterator<Item = i64> {
        let before = self.grid.cell(end.saturating_sub(1)) - self.size;
        let first = (before.div_euclid(self.step) + 1) * self.step + self.size;
        std::iter::successors(Some(first), |cell| cell.checked_add(self.step))
    }

    /// The start of the first window that ends at `end`.
    #[must_use]
    pub fn start_of(&self, end: i64) -> i64 {
        let first = self.ends_from(end).next();
        first.map_or(i64::MIN, |cell| self.grid.start(cell - self.size))
    }

    /// The windows that end at `end`, the longest first. They are one, but for the end of a day
    /// that the calendar has left out.
    pub fn ending_at(&self, end: i64) -> impl Iterator<Item = Range<i64>> {
        let cells = self.ends_from(end).take_while(move |&cell| self.grid.start(cell) == end);
        let starts = cells.map(|cell| self.grid.start(cell - self.size));
        starts.filter(move |&start| start < end).map(move |start| start..end)
    }

    /// The windows that are open at `time` and started before it, by their ends.
    pub fn open_at(&self, time: i64) -> impl Iterator<Item = Range<i64>> {
        let first = self.next_end(self.end_by(time));
        let ends = std::iter::successors(Some(first), |&end| Some(self.next_end(end)));
        ends.flat_map(|end| self.ending_at(end)).take_while(move |window| window.start < time)
    }
}

/// Windows that grow from the start of a period: `[start, start + step)`,
/// `[start, start + 2 * step)` and so on, up to the whole period.
#[derive(Clone, Debug, PartialEq)]
pub struct Cumulate {
    period: Grid,
    /// The steps, when these are days.
    days: Option<Grid>,
    step: i64,
}

impl Cumulate {
    /// Windows of up to `size`, which is a multiple of `step`; days are those of `zone`.
    ///
    /// # Errors
    /// When the size is no multiple of the step.
    pub fn new(size: Length, step: Length, zone: &TimeZone) -> Result<Cumulate, String> {
        if size.ms.get() % step.ms.get() != 0 {
            return Err("the size is a multiple of the step, as 1d/5m".to_owned());
        }
        let period = Grid::of(size, size, zone)?;
        let days = step.unit.is_calendar().then(|| Grid::of(step, step, zone)).transpose()?;
        // Steps are counted from where periods are, whichever days they begin with by themselves.
        let days = days.map(|days| days.counted_as(&period));
        Ok(Cumulate { period, days, step: step.ms.get() })
    }

    fn place(&self, time: i64) -> Place {
        let period = self.period.cell(time);
        let (start, end) = (self.period.start(period), self.period.start(period + 1));
        let (from, next) = if let Some(days) = &self.days {
            (days.start(days.cell(time)), days.start(days.cell(time) + 1))
        } else {
            let from = start + (time - start).div_euclid(self.step) * self.step;
            (from, from.saturating_add(self.step))
        };
        // A day of summer time may end within a step.
        Place { from, to: next.min(end) - 1, open_until: Some(end) }
    }

    /// The period that `time` is in.
    #[must_use]
    pub fn period_of(&self, time: i64) -> Range<i64> {
        let period = self.period.cell(time);
        self.period.start(period)..self.period.start(period + 1)
    }

    /// The end of the first window that `time` is in.
    #[must_use]
    pub fn first_end(&self, time: i64) -> i64 {
        self.place(time).to + 1
    }

    /// The greatest end of a window that is not after `time`.
    #[must_use]
    pub fn end_by(&self, time: i64) -> i64 {
        self.place(time).from
    }
}

/// Windows over a number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Rows in a window.
    pub size: NonZeroI64,
    /// Rows from the end of a window to the end of the next.
    pub step: NonZeroI64,
}

impl FromStr for Rows {
    type Err = String;

    fn from_str(text: &str) -> Result<Rows, String> {
        let (size, step) = text.split_once('/').unwrap_or((text, text));
        let number = |text: &str| {
            let number = text.parse::<u32>().ok().and_then(|number| NonZeroI64::new(number.into()));
            number.ok_or_else(|| "a number of rows is 1 or more, as 100 or 100/10".to_owned())
        };
        Ok(Rows { size: number(size)?, step: number(step)? })
    }
}

/// `size/step`, as `30s/10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The size of a window.
    pub size: Length,
    /// From the start of a window to that of the next.
    pub step: Length,
}

impl FromStr for Hop {
    type Err = String;

    fn from_str(text: &str) -> Result<Hop, String> {
        let (size, step) = text.split_once('/').ok_or("SIZE/STEP is expected, as 30s/10s")?;
        Ok(Hop { size: size.parse()?, step: step.parse()? })
    }
}

/// The greatest multiple of `every` that is not after `time`.
#[must_use]
pub fn multiple_by(time: i64, every: NonZeroI64) -> i64 {
    if time == NOT_YET { NOT_YET } else { time.div_euclid(every.get()) * every.get() }
}

/// The first multiple of `every` after `time`.
#[must_use]
pub fn multiple_after(time: i64, every: NonZeroI64) -> i64 {
    (time.div_euclid(every.get()) + 1) * every.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(text: &str) -> Aligned {
        let hop: Hop = text.parse().expect("a hop");
        Aligned::new(hop.size, hop.step, &TimeZone::UTC).expect("windows")
    }

    /// The windows of `size` every `step` that `time` is in, from the definition.
    fn ends_of(size: i64, step: i64, time: i64) -> Vec<i64> {
        let near = |start: &i64| *start <= time && time < start + size;
        (-100..100).map(|k| k * step).filter(near).map(|start| start + size).collect()
    }

    #[test]
    fn ends_are_as_defined_also_before_the_epoch() {
        for (size, step) in [(10, 10), (30, 10), (12, 5), (5, 12), (7, 3)] {
            let text = format!("{size}ms/{step}ms");
            let window = hop(&text);
            for time in -100..100 {
                let ends = ends_of(size, step, time);
                let place = window.place(time);
                assert!(place.from <= time && time <= place.to);
                assert_eq!(place.open_until, ends.last().copied(), "{text} at {time}");
                if let Some(&first) = ends.first() {
                    assert_eq!(window.first_end(time), first, "{text} at {time}");
                    assert_eq!(window.start_of(first), first - size);
                }
                let by = window.end_by(time);
                assert!(by <= time && by + step > time, "{text} at {time}: {by}");
                assert_eq!((by - size).rem_euclid(step), 0);
                assert_eq!(window.next_end(by), by + step);
            }
        }
    }

    #[test]
    fn panes_are_the_longest_pieces_that_no_window_cuts() {
        let pane = |text: &str, time: i64, every: Option<i64>| {
            let every = every.and_then(NonZeroI64::new);
            let place = Window::Aligned(hop(text)).place(time, every);
            (place.from, place.to)
        };
        assert_eq!(pane("30s/20s", -1, None), (-10_000, -1));
        assert_eq!(pane("60s/1s", 1_999, None), (1_000, 1_999));
        assert_eq!(pane("30s/20s", 1, Some(7_000)), (0, 6_999));
        assert_eq!(pane("30s/20s", 9_000, Some(7_000)), (7_000, 9_999));
    }

    #[test]
    fn windows_may_end_at_multiples_from_the_first_row() {
        let aligned = hop("20ms/30ms").starting_at(17);
        assert_eq!(aligned.first_end(17), 40);
        assert_eq!(aligned.start_of(40), 20);
        assert_eq!(aligned.with_origin(aligned.origin()), aligned);
        let aligned = hop("40ms/20ms").starting_at(17);
        assert_eq!((aligned.first_end(17), aligned.start_of(20)), (20, -20));
        assert_eq!(hop("10ms/10ms").starting_at(17).first_end(17), 20);
    }

    #[test]
    fn a_day_that_is_left_out_ends_with_the_one_before() {
        // Samoa went over the date line: after Thursday, 2011-12-29, came Saturday.
        let apia = row::time::zone("Pacific/Apia").expect("a zone");
        let midnight = |day: i8| {
            let time = jiff::civil::date(2011, 12, day).to_zoned(apia.clone()).expect("a day");
            time.timestamp().as_millisecond()
        };
        let new_year = midnight(31) + 86_400_000;
        let window = |text: &str| {
            let hop: Hop = text.parse().expect("a hop");
            Aligned::new(hop.size, hop.step, &apia).expect("windows")
        };
        let two = window("2d/1d");
        assert_eq!(two.next_end(midnight(29)), midnight(31));
        assert_eq!(two.next_end(midnight(31)), new_year);
        let starts = |window: &Aligned, end| {
            window.ending_at(end).map(|window| window.start).collect::<Vec<_>>()
        };
        assert_eq!(starts(&two, midnight(31)), [midnight(28), midnight(29)]);
        // The window of the day that is left out and the next is this next day.
        assert_eq!(starts(&two, new_year), [midnight(31)]);
        let both = [midnight(28)..midnight(31), midnight(29)..midnight(31)];
        assert_eq!(two.open_at(midnight(29) + 1).take(2).collect::<Vec<_>>(), both);
        // The day is counted, left out or not, so that all windows keep their distance.
        let three = window("3d/2d");
        let ends: Vec<i64> = std::iter::successors(Some(midnight(25)), |&end| {
            Some(three.next_end(end)).filter(|&end| end <= new_year + 86_400_000)
        })
        .collect();
        let days: Vec<i64> = ends.iter().map(|end| (end - midnight(25)) / 86_400_000).collect();
        assert_eq!(days, [0, 2, 4, 5, 7]);
        assert_eq!(starts(&three, midnight(31)), [midnight(28)]);
        assert_eq!(starts(&window("1d/1d"), midnight(31)), [midnight(29)]);
    }

    #[test]
    fn windows_are_open_between_their_start_and_end() {
        let open: Vec<_> = hop("30ms/10ms").open_at(20).collect();
        assert_eq!(open, [0..30, 10..40]);
        let open: Vec<_> = hop("30ms/10ms").open_at(25).collect();
        assert_eq!(open, [0..30, 10..40, 20..50]);
    }

    #[test]
    fn cumulating_windows_grow_to_the_end_of_their_period() {
        let hop: Hop = "1d/5h".parse().expect("lengths");
        assert!(Cumulate::new(hop.size, hop.step, &TimeZone::UTC).is_err());
        let hop: Hop = "1d/12h".parse().expect("lengths");
        let berlin = row::time::zone("Europe/Berlin").expect("a zone");
        let windows = Cumulate::new(hop.size, hop.step, &berlin).expect("windows");
        // Sunday, 2026-03-29, had 23 hours: its windows end at 13:00 summer time and at midnight.
        let time = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
        assert_eq!(windows.first_end(time("2026-03-29T00:00:00Z")), time("2026-03-29T11:00:00Z"));
        assert_eq!(windows.first_end(time("2026-03-29T11:00:00Z")), time("2026-03-29T22:00:00Z"));
        assert_eq!(windows.end_by(time("2026-03-29T11:00:00Z")), time("2026-03-29T11:00:00Z"));
    }

    #[test]
    fn lengths_are_more_than_zero() {
        for bad in ["0s/1s", "1s/0s", "1s", "/", "1x/1s", "104249992d/1s", "1s/104249992d"] {
            assert!(bad.parse::<Hop>().is_err(), "{bad}");
        }
        assert_eq!("2w".parse::<Length>().map(|length| length.ms.get()), Ok(1_209_600_000));
        for bad in ["0", "", "-1", "1/0", "x", "1/2/3"] {
            assert!(bad.parse::<Rows>().is_err(), "{bad}");
        }
    }
}
