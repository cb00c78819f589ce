//! Where reading begins, and where it ends.
//!
//! A group's stored offset counts first, then what the caller said, then the end of the
//! partition, or its beginning when it is to be read to an end.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use pipe::units::Span;

/// A place in a partition where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The first record.
    Beginning,
    /// Behind the last record.
    End,
    /// Where the group left off.
    Stored,
    /// This offset.
    At(i64),
    /// So many offsets before the end.
    Last(i64),
    /// The first record of this time or later.
    Since(Moment),
}

/// A place in a partition where reading ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The end that the partition has when reading begins.
    End,
    /// Behind the record of this offset.
    Behind(i64),
    /// Behind the record so many offsets before the end.
    Last(i64),
    /// Before the first record of this time or later.
    Until(Moment),
}

/// A time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Since the epoch.
    At(i64),
    /// Before now.
    Ago(i64),
}

/// What one `-o` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where reading begins.
    pub(crate) start: Option<Start>,
    /// Where it ends.
    pub(crate) finish: Option<Finish>,
}

const GRAMMAR: &str = "an offset is beginning, end, stored, N, -N for the last N, s@T or e@T, or \
                       a range A..B";

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        if let Some((from, to)) = text.split_once("..") {
            let start = if from.is_empty() { None } else { Some(from.parse()?) };
            let finish = if to.is_empty() { None } else { Some(to.parse()?) };
            return Ok(Place { start, finish });
        }
        if let Some(moment) = text.strip_prefix("e@") {
            return Ok(Place { start: None, finish: Some(Finish::Until(moment.parse()?)) });
        }
        Ok(Place { start: Some(text.parse()?), finish: None })
    }
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Start, String> {
        match text {
            "beginning" | "earliest" => return Ok(Start::Beginning),
            "end" | "latest" => return Ok(Start::End),
            "stored" => return Ok(Start::Stored),
            _ => {}
        }
        if let Some(moment) = text.strip_prefix("s@") {
            return moment.parse().map(Start::Since);
        }
        match offset(text)? {
            count if text.starts_with('-') => Ok(Start::Last(-count)),
            offset => Ok(Start::At(offset)),
        }
    }
}

impl FromStr for Finish {
    type Err = String;

    fn from_str(text: &str) -> Result<Finish, String> {
        if matches!(text, "end" | "latest") {
            return Ok(Finish::End);
        }
        if let Some(moment) = text.strip_prefix("e@") {
            return moment.parse().map(Finish::Until);
        }
        match offset(text)? {
            count if text.starts_with('-') => Ok(Finish::Last(-count)),
            offset => Ok(Finish::Behind(offset)),
        }
    }
}

/// `N`, or `-N` that is not `-0`.
fn offset(text: &str) -> Result<i64, String> {
    let number = text.parse::<i64>().ok().filter(|number| {
        *number < 0 && text.starts_with('-') || text.starts_with(|one: char| one.is_ascii_digit())
    });
    number.filter(|number| *number < i64::MAX).ok_or_else(|| GRAMMAR.to_owned())
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        if let Some(ago) = text.strip_prefix('-') {
            let span: Span = ago.parse()?;
            return Ok(Moment::Ago(span.ms()));
        }
        if let Ok(ms) = text.parse::<u64>() {
            return i64::try_from(ms).map(Moment::At).map_err(|_| TIMES.to_owned());
        }
        let zoned = text.parse::<Timestamp>();
        let time = zoned.or_else(|_| {
            let civil: DateTime = text.parse()?;
            TimeZone::UTC.to_timestamp(civil)
        });
        time.map(|time| Moment::At(time.as_millisecond())).map_err(|_| TIMES.to_owned())
    }
}

const TIMES: &str = "a time is milliseconds since 1970, a date, RFC 3339, or -2h for two hours ago";

impl Moment {
    /// Milliseconds since the epoch, when it is `now`.
    pub(crate) fn ms(self, now: i64) -> i64 {
        match self {
            Moment::At(ms) => ms,
            Moment::Ago(ms) => now.saturating_sub(ms),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Start::Beginning => out.write_str("beginning"),
            Start::End => out.write_str("end"),
            Start::Stored => out.write_str("stored offsets"),
            Start::At(offset) => write!(out, "offset {offset}"),
            Start::Last(count) => write!(out, "the last {count}"),
            Start::Since(moment) => write!(out, "{moment}"),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::At(ms) => match Timestamp::from_millisecond(*ms) {
                Ok(time) => write!(out, "{time}"),
                Err(_) => write!(out, "{ms} ms"),
            },
            Moment::Ago(ms) => write!(out, "{ms} ms ago"),
        }
    }
}

/// What several `-o` say together.
///
/// # Errors
/// When two of them say where to begin, or where to end.
pub(crate) fn join(places: &[Place]) -> Result<Place, String> {
    let mut joined = Place { start: None, finish: None };
    for place in places {
        let twice = place.start.is_some() && joined.start.is_some()
            || place.finish.is_some() && joined.finish.is_some();
        if twice {
            return Err("given twice; one says where to begin and one where to end".to_owned());
        }
        joined.start = joined.start.or(place.start);
        joined.finish = joined.finish.or(place.finish);
    }
    Ok(joined)
}

/// The offset behind the last one to read of a partition that ends at `high`; `until` is the
/// first offset of the time of a [`Finish::Until`].
pub(crate) fn last(finish: Finish, high: i64, until: Option<i64>) -> i64 {
    match finish {
        Finish::End => high,
        Finish::Behind(offset) => offset + 1,
        Finish::Last(count) => high.saturating_sub(count - 1),
        Finish::Until(_) => until.unwrap_or(high),
    }
}

/// What begins where no offset is stored.
#[must_use]
pub(crate) fn rule(said: Option<Start>, ends: bool) -> Start {
    match said {
        Some(Start::Stored) | None if ends => Start::Beginning,
        Some(Start::Stored) | None => Start::End,
        Some(start) => start,
    }
}

/// The first offset to read of a partition that holds `low..high`, where `rule` is not
/// [`Start::Stored`]; `since` is the first offset of the time of a [`Start::Since`]. Nothing is
/// there from `written` on, where that is known.
///
/// # Errors
/// The reason, when that offset has been removed or was never written.
pub(crate) fn first(
    rule: Start,
    stored: Option<i64>,
    (low, high): (i64, i64),
    since: Option<i64>,
    written: Option<i64>,
) -> Result<i64, String> {
    let offset = match (stored, rule) {
        (Some(offset), _) | (None, Start::At(offset)) => offset,
        (None, Start::Beginning) => return Ok(low),
        (None, Start::End | Start::Stored) => return Ok(high),
        (None, Start::Last(count)) => return Ok(high.saturating_sub(count).max(low)),
        (None, Start::Since(_)) => return Ok(since.unwrap_or(high)),
    };
    let kind = if stored.is_some() { "the group's stored offset" } else { "offset" };
    match written {
        _ if offset < low => {
            Err(format!("{kind} {offset} is gone, the first record left is {low}"))
        }
        Some(end) if offset > end => {
            Err(format!("{kind} {offset} is not there, the partition ends at {end}"))
        }
        _ => Ok(offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_kcat_and_the_console_consumer_write_them() {
        for (text, start) in [
            ("beginning", Start::Beginning),
            ("earliest", Start::Beginning),
            ("end", Start::End),
            ("latest", Start::End),
            ("stored", Start::Stored),
            ("0", Start::At(0)),
            ("17", Start::At(17)),
            ("-3", Start::Last(3)),
        ] {
            let place = Place { start: Some(start), finish: None };
            assert_eq!(text.parse(), Ok(place), "{text}");
        }
        for bad in ["", "-0", "+1", "- 1", "1.5", "begin", "9223372036854775807", "s@", "e@x"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_range_has_both_its_ends_in() {
        let range = |text: &str| {
            let place: Place = text.parse().expect("a range");
            (place.start, place.finish)
        };
        assert_eq!(range("3..7"), (Some(Start::At(3)), Some(Finish::Behind(7))));
        assert_eq!(range("..-2"), (None, Some(Finish::Last(2))));
        assert_eq!(range("-9..end"), (Some(Start::Last(9)), Some(Finish::End)));
        let (from, until) = (Moment::At(86_400_000), Moment::Ago(7_200_000));
        assert_eq!(
            range("s@1970-01-02..e@-2h"),
            (Some(Start::Since(from)), Some(Finish::Until(until)))
        );
        assert_eq!(last(Finish::Behind(7), 20, None), 8);
        assert_eq!(last(Finish::Last(2), 20, None), 19);
        assert_eq!(last(Finish::Until(from), 20, Some(4)), 4);
        assert_eq!(last(Finish::Until(from), 20, None), 20);
    }

    #[test]
    fn a_time_is_a_number_a_date_or_so_long_ago() {
        for (text, moment) in [
            ("0", Moment::At(0)),
            ("1700000000123", Moment::At(1_700_000_000_123)),
            ("2023-11-14", Moment::At(1_699_920_000_000)),
            ("2023-11-14T22:13:20Z", Moment::At(1_700_000_000_000)),
            ("2023-11-14 22:13:20", Moment::At(1_700_000_000_000)),
            ("2023-11-14T23:13:20+01:00", Moment::At(1_700_000_000_000)),
            ("-90s", Moment::Ago(90_000)),
        ] {
            assert_eq!(text.parse(), Ok(moment), "{text}");
        }
        assert_eq!(Moment::Ago(100).ms(1_000), 900);
        assert_eq!(Moment::At(1_700_000_000_000).to_string(), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn several_places_say_where_to_begin_and_where_to_end() {
        let places = ["s@5", "e@9"].map(|text| text.parse().expect("a place"));
        let joined = join(&places).expect("one of each");
        assert!(joined.start.is_some() && joined.finish.is_some());
        let starts = ["3", "s@5"].map(|text| text.parse().expect("a place"));
        assert!(join(&starts).is_err());
    }

    #[test]
    fn a_stored_offset_beats_what_was_said() {
        assert_eq!(first(Start::Beginning, Some(7), (5, 20), None, None), Ok(7));
        assert_eq!(first(Start::At(9), Some(7), (5, 20), None, None), Ok(7));
    }

    #[test]
    fn without_a_word_reading_begins_at_the_end_or_reads_all_up_to_it() {
        assert_eq!(rule(None, false), Start::End);
        assert_eq!(rule(None, true), Start::Beginning);
        assert_eq!(rule(Some(Start::Stored), false), Start::End);
        assert_eq!(rule(Some(Start::Stored), true), Start::Beginning);
        assert_eq!(rule(Some(Start::At(3)), true), Start::At(3));
    }

    #[test]
    fn every_place_is_inside_the_partition() {
        assert_eq!(first(Start::Beginning, None, (5, 20), None, None), Ok(5));
        assert_eq!(first(Start::End, None, (5, 20), None, None), Ok(20));
        assert_eq!(first(Start::Last(3), None, (5, 20), None, None), Ok(17));
        let since = Start::Since(Moment::At(1));
        assert_eq!(first(since, None, (5, 20), Some(9), None), Ok(9));
        assert_eq!(first(since, None, (5, 20), None, None), Ok(20), "nothing is that young");
        assert_eq!(first(Start::Last(99), None, (5, 20), None, None), Ok(5));
        assert_eq!(first(Start::At(5), None, (5, 20), None, None), Ok(5));
    }

    #[test]
    fn what_retention_removed_is_never_jumped_over() {
        let gone = first(Start::Beginning, Some(4), (5, 20), None, None);
        assert!(gone.is_err_and(|reason| reason.contains("stored offset 4 is gone")));
        assert!(first(Start::At(4), None, (5, 20), None, None).is_err());
    }

    #[test]
    fn what_was_never_written_is_no_start_where_the_end_is_known() {
        let missing = first(Start::Beginning, Some(26), (5, 20), None, Some(25));
        assert!(missing.is_err_and(|reason| reason.contains("stored offset 26 is not there")));
        assert!(first(Start::At(26), None, (5, 20), None, Some(25)).is_err());
        assert_eq!(first(Start::At(25), None, (5, 20), None, Some(25)), Ok(25), "in a transaction");
        assert_eq!(first(Start::At(26), None, (5, 20), None, None), Ok(26));
    }
}
