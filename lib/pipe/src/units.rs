//! The quantities that options take: durations, sizes and ranges.

use std::str::FromStr;
use std::time::Duration;

/// A duration option: `250ms`, `10s`, `15m`, `1h`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    ms: i64,
}

impl Span {
    /// A span of `ms` milliseconds.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Span {
        Span { ms }
    }

    /// The span in milliseconds, never negative.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.ms
    }

    /// The span as a standard duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.ms.unsigned_abs())
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let unit_ms = match &text[digits.len()..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err("a duration has a unit: 250ms, 10s, 15m, 1h, 1d".to_owned()),
            unit => return Err(format!("no unit {unit}: a duration is 250ms, 10s, 15m, 1h, 1d")),
        };
        let count: i64 = match digits.parse() {
            Ok(count) if count >= 0 => count,
            _ => return Err("a duration is a whole number and a unit, as 10s".to_owned()),
        };
        let ms = count.checked_mul(unit_ms).ok_or("too long a duration")?;
        Ok(Span { ms })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!("250ms".parse(), Ok(Span::from_ms(250)));
        assert_eq!("1d".parse(), Ok(Span::from_ms(86_400_000)));
        for bad in ["", "10", "s", "-1s", "1.5s", "10x", "9223372036854775807d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
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
}
