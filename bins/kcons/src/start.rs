//! Where reading begins.
//!
//! A group's stored offset counts first, then what the caller said, then the end of the
//! partition, or its beginning when it is to be read to its end.

use std::fmt;
use std::str::FromStr;

/// A place in a partition, as `-o` names it.
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
}

impl FromStr for Start {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Start, Self::Err> {
        match text {
            "beginning" | "earliest" => Ok(Start::Beginning),
            "end" | "latest" => Ok(Start::End),
            "stored" => Ok(Start::Stored),
            _ => match text.parse::<i64>() {
                Ok(count) if text.starts_with('-') && count < 0 => Ok(Start::Last(-count)),
                Ok(offset) if text.starts_with(|byte: char| byte.is_ascii_digit()) => {
                    Ok(Start::At(offset))
                }
                _ => Err("an offset is beginning, end, stored, N, or -N for the last N"),
            },
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
        }
    }
}

/// What begins where no offset is stored.
#[must_use]
pub(crate) fn rule(said: Option<Start>, until_end: bool) -> Start {
    match said {
        Some(Start::Stored) | None if until_end => Start::Beginning,
        Some(Start::Stored) | None => Start::End,
        Some(start) => start,
    }
}

/// The first offset to read of a partition that holds `low..high`, where `rule` is not
/// [`Start::Stored`]. Nothing is there from `written` on, where that is known.
///
/// # Errors
/// The reason, when that offset has been removed or was never written.
pub(crate) fn first(
    rule: Start,
    stored: Option<i64>,
    low: i64,
    high: i64,
    written: Option<i64>,
) -> Result<i64, String> {
    let offset = match (stored, rule) {
        (Some(offset), _) | (None, Start::At(offset)) => offset,
        (None, Start::Beginning) => return Ok(low),
        (None, Start::End | Start::Stored) => return Ok(high),
        (None, Start::Last(count)) => return Ok(high.saturating_sub(count).max(low)),
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
            assert_eq!(text.parse(), Ok(start), "{text}");
        }
        for bad in ["", "-0", "+1", "- 1", "1.5", "begin", "9223372036854775808"] {
            assert!(bad.parse::<Start>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stored_offset_beats_what_was_said() {
        assert_eq!(first(Start::Beginning, Some(7), 5, 20, None), Ok(7));
        assert_eq!(first(Start::At(9), Some(7), 5, 20, None), Ok(7));
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
        assert_eq!(first(Start::Beginning, None, 5, 20, None), Ok(5));
        assert_eq!(first(Start::End, None, 5, 20, None), Ok(20));
        assert_eq!(first(Start::Last(3), None, 5, 20, None), Ok(17));
        assert_eq!(first(Start::Last(99), None, 5, 20, None), Ok(5));
        assert_eq!(first(Start::At(5), None, 5, 20, None), Ok(5));
    }

    #[test]
    fn what_retention_removed_is_never_jumped_over() {
        let gone = first(Start::Beginning, Some(4), 5, 20, None);
        assert!(gone.is_err_and(|reason| reason.contains("stored offset 4 is gone")));
        assert!(first(Start::At(4), None, 5, 20, None).is_err());
    }

    #[test]
    fn what_was_never_written_is_no_start_where_the_end_is_known() {
        let missing = first(Start::Beginning, Some(26), 5, 20, Some(25));
        assert!(missing.is_err_and(|reason| reason.contains("stored offset 26 is not there")));
        assert!(first(Start::At(26), None, 5, 20, Some(25)).is_err());
        assert_eq!(first(Start::At(25), None, 5, 20, Some(25)), Ok(25), "in a transaction");
        assert_eq!(first(Start::At(26), None, 5, 20, None), Ok(26));
    }
}
