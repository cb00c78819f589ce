//! Dates: points in time as options give them, and as log lines show them.

use jiff::Timestamp;
use jiff::civil::{DateTime, date};

/// 0000-01-01T00:00:00Z in milliseconds since 1970: no earlier time is written.
const MS_MIN: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z in milliseconds since 1970: no later time is written.
pub const MS_MAX: i64 = 253_402_300_799_999;

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
const DAY_MS: i64 = 86_400_000;

/// Reads a point in time into milliseconds since 1970: `2025-01-31`, `2025-01-31 12:00:00` (in
/// UTC), RFC 3339, or the milliseconds themselves.
///
/// # Errors
/// When the text is none of these, or outside of the years 0 to 9999.
pub fn parse(text: &str) -> Result<i64, String> {
    let ms = if let Ok(ms) = text.parse::<i64>() {
        Ok(ms)
    } else if let Ok(time) = text.parse::<Timestamp>() {
        Ok(time.as_millisecond())
    } else {
        let since_1970 = text.parse::<DateTime>().map(|utc| utc.duration_since(EPOCH));
        since_1970.map(|time| time.as_secs() * 1_000 + i64::from(time.subsec_millis()))
    };
    match ms {
        Ok(ms) if (MS_MIN..=MS_MAX).contains(&ms) => Ok(ms),
        Ok(_) => Err("not in the years 0 to 9999".to_owned()),
        Err(_) => {
            Err("no such time, as 2025-01-31, 2025-01-31T12:00:00Z or milliseconds".to_owned())
        }
    }
}

/// How a log writes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `2026-11-21T10:00:00.123Z`.
    Rfc3339,
    /// `Fri Nov 20 10:00:00 2026`.
    Apache,
}

/// Writes times that mostly fall on the same day as the one before.
#[derive(Clone, Debug)]
pub struct Dates {
    style: Style,
    /// The day, counted from 1970, that the texts are of.
    day: i64,
    before: String,
    after: String,
}

impl Dates {
    /// A writer of times in a style.
    #[must_use]
    pub fn new(style: Style) -> Dates {
        let mut dates = Dates { style, day: 0, before: String::new(), after: String::new() };
        dates.turn_to(0);
        dates
    }

    /// Appends the time `ms`, which must be in the years 0 to 9999.
    #[inline]
    pub fn write(&mut self, ms: i64, out: &mut Vec<u8>) {
        let day = ms.div_euclid(DAY_MS);
        if day != self.day {
            self.turn_to(day);
        }
        let ms = ms.rem_euclid(DAY_MS);
        let (second, ms) = (ms / 1_000, ms % 1_000);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        out.extend_from_slice(self.before.as_bytes());
        out.extend_from_slice(&digits::<2>(hour));
        out.push(b':');
        out.extend_from_slice(&digits::<2>(minute));
        out.push(b':');
        out.extend_from_slice(&digits::<2>(second));
        if self.style == Style::Rfc3339 {
            out.push(b'.');
            out.extend_from_slice(&digits::<3>(ms));
        }
        out.extend_from_slice(self.after.as_bytes());
    }

    #[cold]
    fn turn_to(&mut self, day: i64) {
        let date = EPOCH.date().saturating_add(jiff::Span::new().days(day));
        let (before, after) = match self.style {
            Style::Rfc3339 => ("%Y-%m-%dT", "Z"),
            Style::Apache => ("%a %b %d ", " %Y"),
        };
        self.day = day;
        self.before = date.strftime(before).to_string();
        self.after = date.strftime(after).to_string();
    }
}

/// The last `N` decimal digits of a number that is not negative.
fn digits<const N: usize>(mut number: i64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        #[expect(clippy::cast_sign_loss, reason = "0 to 9")]
        let value = (number % 10) as u8;
        *digit += value;
        number /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(style: Style, ms: i64) -> String {
        let mut out = Vec::new();
        Dates::new(style).write(ms, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn a_time_is_read_in_every_form() {
        for time in ["2025-01-01", "2025-01-01 00:00:00", "2025-01-01T00:00Z", "1735689600000"] {
            assert_eq!(parse(time), Ok(1_735_689_600_000), "{time}");
        }
        assert_eq!(parse("2025-01-01T02:00:00.5+02:00"), Ok(1_735_689_600_500));
        assert_eq!(parse("-1"), Ok(-1));
    }

    #[test]
    fn the_years_end_at_9999() {
        assert_eq!(parse("9999-12-31T23:59:59.999"), Ok(MS_MAX));
        assert_eq!(parse("0000-01-01"), Ok(MS_MIN));
        assert!(parse("253402300800000").is_err() && parse("-0001-12-31").is_err());
        assert!(parse("yesterday").is_err() && parse("").is_err());
    }

    #[test]
    fn times_are_written_as_logs_do() {
        assert_eq!(text(Style::Rfc3339, 1_795_255_200_123), "2026-11-21T10:00:00.123Z");
        assert_eq!(text(Style::Apache, 1_450_575_983_999), "Sun Dec 20 01:46:23 2015");
        assert_eq!(text(Style::Apache, 1_446_340_000_000), "Sun Nov 01 01:06:40 2015");
    }

    #[test]
    fn times_before_1970_and_at_the_ends_are_written() {
        assert_eq!(text(Style::Rfc3339, -1), "1969-12-31T23:59:59.999Z");
        assert_eq!(text(Style::Rfc3339, MS_MIN), "0000-01-01T00:00:00.000Z");
        assert_eq!(text(Style::Rfc3339, MS_MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_new_day_is_noticed() {
        let mut dates = Dates::new(Style::Rfc3339);
        let mut out = Vec::new();
        for ms in [DAY_MS - 1, DAY_MS, 0] {
            dates.write(ms, &mut out);
        }
        let want = "1970-01-01T23:59:59.999Z1970-01-02T00:00:00.000Z1970-01-01T00:00:00.000Z";
        assert_eq!(String::from_utf8(out).expect("ASCII"), want);
    }
}
