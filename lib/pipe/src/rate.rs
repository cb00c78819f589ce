//! An open-loop schedule: when each row is due, whatever the pipe does.

use std::time::Duration;

/// Rows at a steady rate: row `i` (from 0) is due `i / per_second` after the start.
///
/// A stalled pipe does not move the schedule, so what was missed is caught up at once and no
/// delay hides ("coordinated omission").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: f64,
}

impl Rate {
    /// A rate of `per_second` rows.
    ///
    /// # Errors
    /// When it is not a positive number.
    pub fn new(per_second: f64) -> Result<Rate, String> {
        if per_second > 0.0 && per_second.is_finite() {
            Ok(Rate { per_second })
        } else {
            Err("a rate is more than zero".to_owned())
        }
    }

    /// When row `row` is due, from the start.
    #[must_use]
    pub fn due(&self, row: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "exact for 2^53 rows")]
        let seconds = row as f64 / self.per_second;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// How many rows are due once `elapsed` has passed since the start.
    #[must_use]
    pub fn rows(&self, elapsed: Duration) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
        let rows = (elapsed.as_secs_f64() * self.per_second) as u64;
        rows + 1
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        Rate::new(text.parse().map_err(|_| "not a number of rows a second".to_owned())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_due_agree() {
        let rate = Rate::new(4.0).expect("a rate");
        assert_eq!(rate.rows(Duration::ZERO), 1);
        assert_eq!(rate.rows(Duration::from_millis(249)), 1);
        assert_eq!(rate.rows(Duration::from_millis(250)), 2);
        assert_eq!(rate.due(2), Duration::from_millis(500));
    }

    #[test]
    fn a_rate_is_more_than_zero() {
        assert!(Rate::new(0.0).is_err() && Rate::new(f64::NAN).is_err());
    }
}
