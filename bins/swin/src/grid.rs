//! The borders that windows start and end at: multiples of a length, or days of a calendar.

use std::fmt;
use std::num::NonZeroI64;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use pipe::units::{Span, Unit};
use row::time::TIME_MS_MAX;

/// Milliseconds of a day without a change of the clocks.
pub const DAY_MS: i64 = 86_400_000;

/// The first Monday since 1970-01-01, in days from there.
const FIRST_MONDAY: i64 = 4;

/// The day that days are counted from.
const FIRST_DAY: Date = date(1970, 1, 1);

/// A length of time as it was written: days and weeks are those of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Milliseconds, where a day has 24 hours.
    pub ms: NonZeroI64,
    /// What it is counted in.
    pub unit: Unit,
}

impl Length {
    fn is_calendar(self) -> bool {
        self.unit.is_calendar()
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Week => write!(f, "{}w", self.ms.get() / Unit::Week.ms()),
            Unit::Day => write!(f, "{}d", self.ms.get() / Unit::Day.ms()),
            _ => write!(f, "{}ms", self.ms),
        }
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Length, String> {
        let span: Span = text.parse()?;
        if span.ms() > TIME_MS_MAX {
            return Err("too long a time".to_owned());
        }
        let ms = NonZeroI64::new(span.ms()).ok_or("must be more than zero")?;
        Ok(Length { ms, unit: span.unit() })
    }
}

/// Time cut into cells at whole multiples of a unit from an origin. Cells are numbered, and each
/// is half-open.
#[derive(Clone, Debug, PartialEq)]
pub enum Grid {
    /// Cells of equal length.
    Fixed {
        /// A border, in milliseconds since the epoch.
        origin: i64,
        /// The length of a cell in milliseconds.
        unit: NonZeroI64,
    },
    /// Cells of whole days in a zone, which may have 23 or 25 hours.
    Days {
        /// The zone.
        zone: TimeZone,
        /// A border, in days since 1970-01-01.
        origin: i64,
        /// The length of a cell in days.
        unit: NonZeroI64,
    },
}

impl Grid {
    /// The grid that has borders wherever windows of `size`, one every `step`, start or end.
    ///
    /// # Errors
    /// When one is in days and the other is not, and days have different lengths in `zone`.
    pub fn of(size: Length, step: Length, zone: &TimeZone) -> Result<Grid, String> {
        let unit = divisor(size.ms, step.ms);
        if !size.is_calendar() && !step.is_calendar() {
            return Ok(Grid::Fixed { origin: 0, unit });
        }
        // Windows of whole weeks start on the Monday from which the steps are counted.
        let first = if step.unit == Unit::Week { FIRST_MONDAY } else { 0 };
        if let Some(offset_ms) = only_offset(zone) {
            return Ok(Grid::Fixed { origin: first * DAY_MS - offset_ms, unit });
        }
        match NonZeroI64::new(unit.get() / DAY_MS) {
            Some(unit) if size.is_calendar() && step.is_calendar() => {
                Ok(Grid::Days { zone: zone.clone(), origin: first, unit })
            }
            _ => Err(format!(
                "size and step are both days or weeks, or both shorter: {}",
                why_days_differ(zone)
            )),
        }
    }

    /// The same cells, counted from where those of `other` are.
    #[must_use]
    pub fn counted_as(self, other: &Grid) -> Grid {
        match (self, other) {
            (Grid::Fixed { unit, .. }, Grid::Fixed { origin, .. }) => {
                Grid::Fixed { origin: *origin, unit }
            }
            (Grid::Days { zone, unit, .. }, Grid::Days { origin, .. }) => {
                Grid::Days { zone, origin: *origin, unit }
            }
            (own, _) => own,
        }
    }

    /// Whether a length is a whole number of cells: how many.
    #[must_use]
    pub fn cells(&self, length: Length) -> i64 {
        match self {
            Grid::Fixed { unit, .. } => length.ms.get() / unit.get(),
            Grid::Days { unit, .. } => length.ms.get() / DAY_MS / unit.get(),
        }
    }

    /// The number of the cell that `time` is in.
    #[inline]
    #[must_use]
    pub fn cell(&self, time: i64) -> i64 {
        match self {
            Grid::Fixed { origin, unit } => time.saturating_sub(*origin).div_euclid(unit.get()),
            Grid::Days { zone, origin, unit } => {
                (day_of(time, zone) - origin).div_euclid(unit.get())
            }
        }
    }

    /// When a cell starts, in milliseconds since the epoch.
    #[must_use]
    pub fn start(&self, cell: i64) -> i64 {
        match self {
            Grid::Fixed { origin, unit } => cell.saturating_mul(unit.get()).saturating_add(*origin),
            Grid::Days { zone, origin, unit } => {
                start_of_day(cell.saturating_mul(unit.get()).saturating_add(*origin), zone)
            }
        }
    }

    /// The same cells, with a border at `time` that the first one starts at.
    #[must_use]
    pub fn with_origin(&self, time: i64) -> Grid {
        match self {
            Grid::Fixed { unit, .. } => Grid::Fixed { origin: time, unit: *unit },
            Grid::Days { zone, unit, .. } => {
                Grid::Days { zone: zone.clone(), origin: day_of(time, zone), unit: *unit }
            }
        }
    }
}

/// The offset of a zone from UTC in milliseconds, if it never had another.
fn only_offset(zone: &TimeZone) -> Option<i64> {
    let changed =
        zone.to_fixed_offset().is_err() && zone.preceding(Timestamp::MAX).next().is_some();
    let offset = zone.to_offset(Timestamp::UNIX_EPOCH);
    (!changed).then(|| i64::from(offset.seconds()) * 1_000)
}

/// Why some days of a zone are not 24 hours long.
fn why_days_differ(zone: &TimeZone) -> String {
    let last = zone.preceding(Timestamp::MAX).next();
    let year = last.map(|last| last.offset().to_datetime(last.timestamp()).year());
    match (zone.iana_name(), year) {
        // A rule goes on for ever.
        (Some(name), Some(year)) if year < 9_000 => {
            format!(
                "the clocks of {name} were set, the last time in {year}, and not all its days \
                     have 24 hours"
            )
        }
        _ => "in a zone with summer time a day may have 23 or 25 hours".to_owned(),
    }
}

/// The day that `time` is in, counted from 1970-01-01. Beyond the years that a calendar knows,
/// days are those of UTC.
fn day_of(time: i64, zone: &TimeZone) -> i64 {
    let Ok(stamp) = Timestamp::from_millisecond(time) else { return time.div_euclid(DAY_MS) };
    let day = zone.to_datetime(stamp).date();
    day.since(FIRST_DAY).map_or(time.div_euclid(DAY_MS), |span| i64::from(span.get_days()))
}

fn start_of_day(day: i64, zone: &TimeZone) -> i64 {
    let span = jiff::Span::new().try_days(day).ok();
    let date = span.and_then(|span| FIRST_DAY.checked_add(span).ok());
    // Where the clocks are set forward at midnight, the day starts at the first time that exists.
    let start = date.and_then(|date| date.to_zoned(zone.clone()).ok());
    start.map_or(day.saturating_mul(DAY_MS), |start| start.timestamp().as_millisecond())
}

/// The greatest common divisor of two numbers above zero (Euclid).
#[must_use]
pub fn divisor(one: NonZeroI64, other: NonZeroI64) -> NonZeroI64 {
    match NonZeroI64::new(one.get() % other.get()) {
        None => other,
        Some(rest) => divisor(other, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn length(ms: i64, unit: Unit) -> Length {
        Length { ms: NonZeroI64::new(ms).expect("more than zero"), unit }
    }

    fn berlin() -> TimeZone {
        row::time::zone("Europe/Berlin").expect("a zone")
    }

    #[test]
    fn days_in_a_zone_have_as_many_hours_as_they_have() {
        let day = length(DAY_MS, Unit::Day);
        let grid = Grid::of(day, day, &berlin()).expect("a grid");
        let hours = |time: &str| {
            let time: Timestamp = time.parse().expect("a time");
            let cell = grid.cell(time.as_millisecond());
            assert!(grid.start(cell) <= time.as_millisecond());
            (grid.start(cell + 1) - grid.start(cell)) / HOUR_MS
        };
        assert_eq!(hours("2026-03-28T23:00:00Z"), 23);
        assert_eq!(hours("2026-03-29T21:59:59Z"), 23);
        assert_eq!(hours("2026-03-29T22:00:00Z"), 24);
        assert_eq!(hours("2026-10-25T12:00:00Z"), 25);
        assert_eq!(hours("1969-07-20T20:17:00Z"), 24);
    }

    #[test]
    fn weeks_start_on_mondays() {
        let week = length(7 * DAY_MS, Unit::Week);
        let monday: Timestamp = "2026-11-16T00:00:00Z".parse().expect("a time");
        let sunday: Timestamp = "2026-11-22T23:59:59Z".parse().expect("a time");
        let grid = Grid::of(week, week, &TimeZone::UTC).expect("a grid");
        let cell = grid.cell(sunday.as_millisecond());
        assert_eq!(grid.start(cell), monday.as_millisecond());
        let grid = Grid::of(week, week, &berlin()).expect("a grid");
        let cell = grid.cell(sunday.as_millisecond() - HOUR_MS);
        assert_eq!(grid.start(cell), monday.as_millisecond() - HOUR_MS);
    }

    #[test]
    fn cells_follow_one_another_also_beyond_the_calendar() {
        let day = length(DAY_MS, Unit::Day);
        for grid in [
            Grid::of(day, day, &berlin()).expect("a grid"),
            Grid::of(day, length(7, Unit::Hour), &TimeZone::UTC).expect("a grid"),
        ] {
            for time in [-TIME_MS_MAX, -1, 0, 1, TIME_MS_MAX] {
                let cell = grid.cell(time);
                assert!(grid.start(cell) <= time && time < grid.start(cell + 1), "{grid:?} {time}");
            }
        }
    }

    #[test]
    fn hours_and_days_do_not_mix_where_days_differ() {
        let (day, hour) = (length(DAY_MS, Unit::Day), length(HOUR_MS, Unit::Hour));
        assert!(Grid::of(day, hour, &berlin()).is_err());
        assert!(Grid::of(hour, day, &berlin()).is_err());
        assert!(Grid::of(day, hour, &TimeZone::UTC).is_ok());
        assert!(Grid::of(hour, hour, &berlin()).is_ok());
    }

    #[test]
    fn hours_and_days_mix_where_clocks_were_never_set() {
        let (day, hour) = (length(DAY_MS, Unit::Day), length(HOUR_MS, Unit::Hour));
        let of = |name: &str| Grid::of(day, hour, &row::time::zone(name).expect("a zone"));
        assert_eq!(of("Etc/GMT-5"), Ok(Grid::Fixed { origin: -5 * HOUR_MS, unit: hour.ms }));
        assert_eq!(of("Etc/UTC"), of("UTC"));
        let refused = of("Asia/Kolkata").expect_err("its clocks were set");
        assert!(refused.contains("Asia/Kolkata were set, the last time in 1945"), "{refused}");
        let refused = of("Europe/Berlin").expect_err("its clocks are set");
        assert!(refused.contains("23 or 25"), "{refused}");
    }
}
