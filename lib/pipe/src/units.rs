//! The quantities that options take: durations, sizes and ranges.

use std::cmp::Ordering;
use std::str::FromStr;
use std::time::Duration;

/// A duration option: `250ms`, `10s`, `15m`, `1h`, `1d`, `1w`.
///
/// Spans are equal when they are as long, whatever unit they were written in.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    ms: i64,
    unit: Unit,
}

/// The unit that a duration was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `ms`
    Millisecond,
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
}

impl Unit {
    /// Its length in milliseconds; of a day and a week, where no clock is changed.
    #[must_use]
    pub const fn ms(self) -> i64 {
        match self {
            Unit::Millisecond => 1,
            Unit::Second => 1_000,
            Unit::Minute => 60_000,
            Unit::Hour => 3_600_000,
            Unit::Day => 86_400_000,
            Unit::Week => 7 * 86_400_000,
        }
    }

    /// Whether it belongs to the calendar of a time zone, where summer time makes a day longer or
    /// shorter.
    #[must_use]
    pub const fn is_calendar(self) -> bool {
        matches!(self, Unit::Day | Unit::Week)
    }
}

impl Span {
    /// A span of `ms` milliseconds.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Span {
        Span { ms, unit: Unit::Millisecond }
    }

    /// The span in milliseconds, never negative.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.ms
    }

    /// The unit that it was written in.
    #[must_use]
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// How many of its unit it is.
    #[must_use]
    pub const fn count(self) -> i64 {
        self.ms / self.unit.ms()
    }

    /// The span as a standard duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.ms.unsigned_abs())
    }
}

impl PartialEq for Span {
    fn eq(&self, other: &Span) -> bool {
        self.ms == other.ms
    }
}

impl Eq for Span {}

impl PartialOrd for Span {
    fn partial_cmp(&self, other: &Span) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Span {
    fn cmp(&self, other: &Span) -> Ordering {
        self.ms.cmp(&other.ms)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        const KNOWN: &str = "250ms, 10s, 15m, 1h, 1d, 1w";
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let unit = match &text[digits.len()..] {
            "ms" => Unit::Millisecond,
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            "d" => Unit::Day,
            "w" => Unit::Week,
            "" => return Err(format!("a duration has a unit: {KNOWN}")),
            unit => return Err(format!("no unit {unit}: a duration is {KNOWN}")),
        };
        let count: i64 = match digits.parse() {
            Ok(count) if count >= 0 => count,
            _ => return Err("a duration is a whole number and a unit, as 10s".to_owned()),
        };
        let ms = count.checked_mul(unit.ms()).ok_or("too long a duration")?;
        Ok(Span { ms, unit })
    }
}

/// A size option in bytes: `512`, `64K`, `10M`, `1G` (powers of 1,024).
///
/// # Errors
/// When the text is no such size.
pub fn size(text: &str) -> Result<usize, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let count: usize = digits.parse().map_err(|_| "a size is a number, as 64K, 10M, 1G")?;
    count.checked_mul(1 << shift).ok_or_else(|| "too large a size".to_owned())
}

/// A range option with both ends in: `0..50`; a single number is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least value.
    pub from: u64,
    /// The greatest value, not less than `from`.
    pub to: u64,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Range, String> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let bad = |_| "a range is two numbers, as 0..50".to_owned();
        let range = Range { from: from.parse().map_err(bad)?, to: to.parse().map_err(bad)? };
        if range.from <= range.to { Ok(range) } else { Err("ends before it starts".to_owned()) }
    }
}

/// A delimiter option: one byte as it is, or `\n`, `\t`, `\0`, `\xNN`.
///
/// # Errors
/// When the text is more than one byte.
pub fn byte(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        b"\\n" => Ok(b'\n'),
        b"\\t" => Ok(b'\t'),
        b"\\r" => Ok(b'\r'),
        b"\\0" => Ok(0),
        [b'\\', b'x', _, _] => {
            u8::from_str_radix(&text[2..], 16).map_err(|_| "a byte is written \\x1f".to_owned())
        }
        _ => Err("a delimiter is one byte, or \\n, \\t, \\0, \\x1f".to_owned()),
    }
}

/// Reads a span of time that is more than none.
///
/// # Errors
/// When the text is none of these.
pub fn lasting(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.ms() > 0 { Ok(span) } else { Err("must be more than zero".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!("250ms".parse(), Ok(Span::from_ms(250)));
        assert_eq!("1d".parse(), Ok(Span::from_ms(86_400_000)));
        assert_eq!("7d".parse::<Span>(), "1w".parse());
        for bad in ["", "10", "s", "-1s", "1.5s", "10x", "9223372036854775807d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_duration_remembers_its_unit() {
        let unit = |text: &str| text.parse::<Span>().map(|span| (span.unit(), span.count()));
        assert_eq!(unit("24h"), Ok((Unit::Hour, 24)));
        assert_eq!(unit("1d"), Ok((Unit::Day, 1)));
        assert_eq!(unit("2w"), Ok((Unit::Week, 2)));
        assert!(Unit::Week.is_calendar() && !Unit::Hour.is_calendar());
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(size("64K"), Ok(65_536));
        assert_eq!(size("512"), Ok(512));
        assert!(size("K").is_err() && size("-1").is_err());
    }

    #[test]
    fn ranges_have_both_ends() {
        assert_eq!("0..50".parse(), Ok(Range { from: 0, to: 50 }));
        assert_eq!("7".parse(), Ok(Range { from: 7, to: 7 }));
        assert!("5..1".parse::<Range>().is_err());
    }

    #[test]
    fn delimiters_are_one_byte() {
        assert_eq!(byte("|"), Ok(b'|'));
        assert_eq!(byte("\\0"), Ok(0));
        assert_eq!(byte("\\x1e"), Ok(0x1e));
        assert!(byte("ab").is_err() && byte("").is_err());
    }

    #[test]
    fn a_span_that_has_to_last_is_more_than_none() {
        assert_eq!(lasting("1ms").map(Span::ms), Ok(1));
        assert!(["0s", "0ms", "s", ""].iter().all(|text| lasting(text).is_err()));
    }
}
