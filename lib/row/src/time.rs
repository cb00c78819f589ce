//! Times of rows, as milliseconds since the epoch.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use crate::value::{Number, Value, write_int};

/// The greatest time that is one, in milliseconds since the epoch, and the least one negated: far
/// beyond every calendar, and far from where sums of times would overflow.
pub const TIME_MS_MAX: i64 = 9_000_000_000_000_000;

/// How the times in rows are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A whole number is milliseconds, a decimal one seconds, text RFC 3339 or
    /// `YYYY-MM-DD HH:MM:SS`.
    #[default]
    Auto,
    /// Seconds, with or without decimals.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
    /// RFC 3339, or `YYYY-MM-DD HH:MM:SS` in the time zone.
    Rfc3339,
    /// A format of strptime.
    Strptime(String),
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "auto" => Ok(Format::Auto),
            "s" => Ok(Format::Seconds),
            "ms" => Ok(Format::Millis),
            "us" => Ok(Format::Micros),
            "ns" => Ok(Format::Nanos),
            "rfc3339" => Ok(Format::Rfc3339),
            format if format.contains('%') => check_strptime(format).map(Format::Strptime),
            _ => Err("there are auto, s, ms, us, ns, rfc3339 and formats as %Y-%m-%d".to_owned()),
        }
    }
}

/// Reads times.
#[derive(Clone, Debug)]
pub struct Clock {
    format: Format,
    zone: TimeZone,
}

impl Clock {
    /// Reads times in `format`; those without a zone are in `zone`.
    #[must_use]
    pub fn new(format: Format, zone: TimeZone) -> Clock {
        Clock { format, zone }
    }

    /// The time that `value` says, in milliseconds since the epoch, rounded down.
    ///
    /// # Errors
    /// When it is none; the message shows it.
    pub fn read(&self, value: &Value<'_>) -> Result<i64, String> {
        let number = value.number();
        let time = match (&self.format, number) {
            (Format::Auto | Format::Millis, Ok(Number::Int(ms))) => Some(ms),
            (Format::Auto | Format::Seconds, Ok(Number::Float(seconds))) => {
                whole_ms(seconds * 1_000.0)
            }
            (Format::Seconds, Ok(Number::Int(seconds))) => seconds.checked_mul(1_000),
            (Format::Millis, Ok(Number::Float(ms))) => whole_ms(ms),
            (Format::Micros, Ok(Number::Int(us))) => Some(us.div_euclid(1_000)),
            (Format::Nanos, Ok(Number::Int(ns))) => Some(ns.div_euclid(1_000_000)),
            (Format::Micros, Ok(Number::Float(us))) => whole_ms(us / 1e3),
            (Format::Nanos, Ok(Number::Float(ns))) => whole_ms(ns / 1e6),
            _ => return self.read_text(value),
        };
        time.filter(|&ms| is_time(ms)).ok_or_else(|| shown(value))
    }

    /// Whether whole numbers are milliseconds.
    #[must_use]
    pub fn takes_ms(&self) -> bool {
        matches!(self.format, Format::Auto | Format::Millis)
    }

    fn read_text(&self, value: &Value<'_>) -> Result<i64, String> {
        let bytes = value.bytes().ok_or("NULL")?;
        let text = std::str::from_utf8(&bytes).map_err(|_| shown(value))?.trim();
        let stamp = match &self.format {
            Format::Strptime(format) => self.read_strptime(format, text),
            Format::Auto | Format::Rfc3339 => self.read_rfc3339(text),
            _ => None,
        };
        // Milliseconds before the epoch are rounded down too.
        let down = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Floor);
        let stamp = stamp.and_then(|stamp| stamp.round(down).ok());
        stamp.map(Timestamp::as_millisecond).ok_or_else(|| shown(value))
    }

    fn read_rfc3339(&self, text: &str) -> Option<Timestamp> {
        if let Ok(stamp) = text.parse::<Timestamp>() {
            return Some(stamp);
        }
        let local: DateTime = text.parse().ok()?;
        local.to_zoned(self.zone.clone()).ok().map(|zoned| zoned.timestamp())
    }

    fn read_strptime(&self, format: &str, text: &str) -> Option<Timestamp> {
        let mut parsed = BrokenDownTime::parse(format, text).ok()?;
        // A weekday is read and not believed: logs are full of wrong ones. Only where days are
        // those of a week there is no date without it.
        let weekday = parsed.weekday();
        parsed.set_weekday(None);
        self.moment(&parsed).or_else(|| {
            parsed.set_weekday(weekday);
            self.moment(&parsed)
        })
    }

    fn moment(&self, parsed: &BrokenDownTime) -> Option<Timestamp> {
        if parsed.offset().is_some() || parsed.timestamp().is_some() {
            return parsed.to_timestamp().ok();
        }
        if parsed.iana_time_zone().is_some() {
            return parsed.to_zoned().ok().map(|zoned| zoned.timestamp());
        }
        let local =
            parsed.to_datetime().or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0)));
        local.ok()?.to_zoned(self.zone.clone()).ok().map(|zoned| zoned.timestamp())
    }
}

/// Refuses a format that reads no time, which shows when it is to read one that it has written.
fn check_strptime(format: &str) -> Result<String, String> {
    let sample = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    let reads = |format: &str| {
        let text = strtime::format(format, &sample).ok()?;
        BrokenDownTime::parse(format, &text).ok()?;
        Some(text)
    };
    if let Some(unknown) = directives(format).find(|directive| reads(directive).is_none()) {
        return Err(format!("no times are read by {unknown}"));
    }
    let text = reads(format).ok_or("what it writes cannot be read by it")?;
    let clock = Clock::new(Format::Rfc3339, TimeZone::UTC);
    match clock.read_strptime(format, &text) {
        Some(_) => Ok(format.to_owned()),
        None => Err("it says no date: a year, a month and a day, as %Y-%m-%d, or %s".to_owned()),
    }
}

/// The directives of a format: `%`, what changes how it is written, and a letter.
fn directives(format: &str) -> impl Iterator<Item = &str> {
    let mut rest = format;
    std::iter::from_fn(move || {
        rest = &rest[rest.find('%')?..];
        let letter =
            |letter: char| !matches!(letter, '0'..='9' | '-' | '_' | '^' | '#' | ':' | '.');
        let end = rest[1..].char_indices().find(|&(_, c)| letter(c));
        let end = end.map_or(rest.len(), |(at, c)| 1 + at + c.len_utf8());
        let directive;
        (directive, rest) = rest.split_at(end);
        Some(directive)
    })
}

/// How times are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Milliseconds since the epoch.
    #[default]
    Millis,
    /// RFC 3339, always with milliseconds, so that text is sorted as its times are.
    Rfc3339,
    /// A format of strftime.
    Strftime(String),
}

impl std::str::FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Shape, String> {
        match text {
            "ms" => Ok(Shape::Millis),
            "rfc3339" => Ok(Shape::Rfc3339),
            format if format.contains('%') => {
                let epoch = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
                let known = strtime::format(format, &epoch).map_err(|error| error.to_string());
                known.map(|_| Shape::Strftime(format.to_owned()))
            }
            _ => Err("there are ms, rfc3339 and formats as %Y-%m-%d".to_owned()),
        }
    }
}

/// Writes times.
#[derive(Clone, Debug)]
pub struct Stamp {
    shape: Shape,
    zone: TimeZone,
}

impl Stamp {
    /// Writes times in `shape`, as a clock in `zone` shows them.
    #[must_use]
    pub fn new(shape: Shape, zone: TimeZone) -> Stamp {
        Stamp { shape, zone }
    }

    /// The time `ms` (since the epoch): a number, or text. What the calendar does not reach, which
    /// ends with the year 9999, stays a number.
    #[must_use]
    pub fn value(&self, ms: i64) -> Value<'static> {
        let mut text = Vec::new();
        if self.write_text(ms, &mut text) { Value::Str(Cow::Owned(text)) } else { Value::Int(ms) }
    }

    /// Appends [`Stamp::value`] as bytes.
    pub fn write(&self, ms: i64, out: &mut Vec<u8>) {
        let start = out.len();
        if !self.write_text(ms, out) {
            out.truncate(start);
            write_int(ms, out);
        }
    }

    /// Appends the time as text; false, with scraps appended, when it is to be a number.
    fn write_text(&self, ms: i64, out: &mut Vec<u8>) -> bool {
        if self.shape == Shape::Millis {
            return false;
        }
        let Ok(stamp) = Timestamp::from_millisecond(ms) else { return false };
        let zoned = stamp.to_zoned(self.zone.clone());
        // RFC 3339 has years of four digits.
        let common_era = (0..=9999).contains(&zoned.year());
        let offset = zoned.offset();
        match &self.shape {
            Shape::Millis => false,
            Shape::Rfc3339 if !common_era => false,
            // Before there were zones a town had an offset of its own, to the second, which
            // RFC 3339 cannot write.
            Shape::Rfc3339 if self.zone == TimeZone::UTC || offset.seconds() % 60 != 0 => {
                RFC3339.print_timestamp(&stamp, &mut *out).is_ok()
            }
            Shape::Rfc3339 => {
                RFC3339.print_timestamp_with_offset(&stamp, offset, &mut *out).is_ok()
            }
            Shape::Strftime(format) => {
                BrokenDownTime::from(&zoned).format(format, &mut *out).is_ok()
            }
        }
    }
}

/// Prints milliseconds, also when they are none.
const RFC3339: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// Finds a time zone by its name.
///
/// # Errors
/// When there is none of that name.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    if name.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| "no such time zone; names are as Europe/Berlin".to_owned())
}

fn is_time(ms: i64) -> bool {
    (-TIME_MS_MAX..=TIME_MS_MAX).contains(&ms)
}

fn whole_ms(ms: f64) -> Option<i64> {
    // A decimal of seconds is rarely exact in binary: a nanosecond more does not change its
    // millisecond, unless it is the one that was written.
    let ms = (ms + 1e-6).floor();
    #[expect(clippy::cast_possible_truncation, reason = "checked to be below 2^53")]
    (ms.abs() < 9e15).then_some(ms as i64)
}

fn shown(value: &Value<'_>) -> String {
    let bytes = value.bytes().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    if value.is_null() { "NULL".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &str, text: &str) -> Result<i64, String> {
        let format = format.parse().expect("a format");
        let berlin = zone("Europe/Berlin").unwrap_or(TimeZone::UTC);
        Clock::new(format, berlin).read(&Value::Text(Cow::Borrowed(text.as_bytes())))
    }

    #[test]
    fn auto_knows_ms_seconds_and_dates() {
        assert_eq!(read("auto", "1700000000123"), Ok(1_700_000_000_123));
        assert_eq!(read("auto", "1700000000.123"), Ok(1_700_000_000_123));
        assert_eq!(read("auto", "2026-11-21T10:00:00.123Z"), Ok(1_795_255_200_123));
        assert_eq!(read("auto", "2026-11-21T11:00:00+01:00"), Ok(1_795_255_200_000));
        assert_eq!(read("auto", "2026-11-21 11:00:00"), Ok(1_795_255_200_000));
        assert_eq!(read("auto", "1969-12-31T23:59:59.9999Z"), Ok(-1));
        assert_eq!(read("auto", "soon"), Err("soon".to_owned()));
        assert_eq!(read("auto", ""), Err(String::new()));
    }

    #[test]
    fn units_are_taken_at_their_word() {
        assert_eq!(read("s", "17"), Ok(17_000));
        assert_eq!(read("us", "-1"), Ok(-1));
        assert_eq!(read("ns", "1999999"), Ok(1));
        for (format, half) in [("ms", "-0.5"), ("us", "-5e2"), ("ns", "-5e5")] {
            assert_eq!(read(format, half), Ok(-1), "{format} {half}");
        }
        assert_eq!(read("ns", "1700000000123456789.0"), Ok(1_700_000_000_123));
        assert!(read("us", "2026-11-21").is_err());
        assert_eq!(read("ms", "-9000000000000000"), Ok(-TIME_MS_MAX));
        for (format, beyond) in
            [("auto", "9000000000000001"), ("s", "-9000000000001"), ("us", "9223372036854775807")]
        {
            assert_eq!(read(format, beyond), Err(beyond.to_owned()));
        }
        assert!("minutes".parse::<Format>().is_err());
    }

    #[test]
    fn a_format_that_reads_no_time_is_refused() {
        let refused = |format: &str| format.parse::<Format>().expect_err(format);
        for format in ["%H:%M", "%Y-%m", "%d.%m.", "%%", "%a", "%j", "%z"] {
            assert!(refused(format).starts_with("it says no date"), "{format}");
        }
        for (format, directive) in
            [("%Y-%m-%d %E!", "%E"), ("%", "%"), ("%Y %!", "%!"), ("%F %5", "%5"), ("%ö", "%ö")]
        {
            assert_eq!(refused(format), format!("no times are read by {directive}"));
        }
        for (format, text, ms) in [
            ("%s", "17", 17_000),
            ("%Y-%m-%d", "1970-01-02", 82_800_000),
            ("%d/%b/%Y:%H:%M:%S %z", "01/Jan/1970:01:00:01 +0100", 1_000),
            ("%Y%j", "1970002", 82_800_000),
            ("%G-W%V-%u", "1970-W02-1", 342_000_000),
            ("%F %T%.f", "1970-01-01 01:00:00.5", 500),
            ("%Y-%m-%dT%H:%M:%S%.3f%:z", "1970-01-01T00:00:00.250+00:00", 250),
            ("%m/%d/%y %I:%M:%S %p", "01/01/70 01:00:02 AM", 2_000),
            ("%-d.%-m.%Y %H Uhr", "1.1.1970 2 Uhr", 3_600_000),
            ("%A, %e %B %Y", "Friday,  2 January 1970", 82_800_000),
            ("%F %T %Q", "1970-01-01 09:00:00 Asia/Tokyo", 0),
        ] {
            assert_eq!(read(format, text), Ok(ms), "{format}");
        }
    }

    #[test]
    fn a_weekday_is_read_and_not_believed() {
        // 2015-12-20 was a Sunday, and Berlin is an hour ahead.
        let format = "%a %b %d %H:%M:%S %Y";
        assert_eq!(read(format, "Fri Dec 20 01:46:23 2015"), Ok(1_450_572_383_000));
    }

    fn written(shape: &str, zone_name: &str, ms: i64) -> String {
        let stamp = Stamp::new(shape.parse().expect("a shape"), zone(zone_name).expect("a zone"));
        let mut out = b"<".to_vec();
        stamp.write(ms, &mut out);
        let value = stamp.value(ms);
        assert_eq!(value.bytes().as_deref(), Some(&out[1..]), "both ways are one");
        String::from_utf8(out).expect("text").split_off(1)
    }

    #[test]
    fn times_are_written_in_the_zone_and_with_milliseconds() {
        let ms = 1_795_255_200_000;
        assert_eq!(written("ms", "Europe/Berlin", ms), "1795255200000");
        assert_eq!(written("rfc3339", "UTC", ms), "2026-11-21T10:00:00.000Z");
        assert_eq!(written("rfc3339", "UTC", ms + 7), "2026-11-21T10:00:00.007Z");
        assert_eq!(written("rfc3339", "Europe/Berlin", ms), "2026-11-21T11:00:00.000+01:00");
        assert_eq!(written("rfc3339", "UTC", -1), "1969-12-31T23:59:59.999Z");
        assert_eq!(written("%d.%m.%Y %H:%M:%S%.3f %z", "Europe/Berlin", ms), {
            "21.11.2026 11:00:00.000 +0100"
        });
        assert!("%".parse::<Shape>().is_err() && "%!".parse::<Shape>().is_err());
        assert!("iso".parse::<Shape>().is_err());
    }

    #[test]
    fn what_was_written_is_read_again() {
        for ms in [0, -1, 1_795_255_200_123, -62_167_219_200_000, 253_402_200_000_999] {
            for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata"] {
                let text = written("rfc3339", zone, ms);
                assert_eq!(read("rfc3339", &text), Ok(ms), "{text}");
            }
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_stays_a_number() {
        for shape in ["rfc3339", "%Y-%m-%d %H:%M:%S %Z", "%s %A %j %G %V %c"] {
            for zone in ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati"] {
                for at in [-TIME_MS_MAX, TIME_MS_MAX, i64::MIN, i64::MAX] {
                    assert_eq!(written(shape, zone, at), at.to_string());
                }
                // The ends of the calendar, step by step: nothing panics.
                for end in [-377_705_023_201_000, 253_402_207_200_999, -62_167_219_200_000] {
                    for step in -100..100_i64 {
                        let _ = written(shape, zone, end + step * 3_600_000);
                    }
                }
            }
        }
        assert_eq!(written("rfc3339", "UTC", -62_167_219_200_001), "-62167219200001");
    }
}
