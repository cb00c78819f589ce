//! How many records may go now.

use std::time::Duration;

use pipe::rate::Rate;

/// The limits of a run: a number of records in all, and a rate of records a second.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    left: Option<u64>,
    rate: Option<Rate>,
    sent: u64,
}

/// What the limits say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// So many records may go.
    For(u64),
    /// The next one may go after this time.
    After(Duration),
    /// All records have gone.
    Never,
}

impl Pace {
    /// A pace of `count` records in all (`None`: all there are) at `rate`.
    #[must_use]
    pub fn new(count: Option<u64>, rate: Option<Rate>) -> Pace {
        Pace { left: count, rate, sent: 0 }
    }

    /// How many records may go when `elapsed` has passed since the start.
    #[must_use]
    pub fn room(&self, elapsed: Duration) -> Room {
        let left = self.left.unwrap_or(u64::MAX);
        if left == 0 {
            return Room::Never;
        }
        let Some(rate) = self.rate else { return Room::For(left) };
        match rate.rows(elapsed).saturating_sub(self.sent) {
            0 => Room::After(rate.due(self.sent).saturating_sub(elapsed)),
            due => Room::For(due.min(left)),
        }
    }

    /// Counts records that have gone.
    pub fn sent(&mut self, records: u64) {
        self.sent += records;
        self.left = self.left.map(|left| left.saturating_sub(records));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_ends() {
        let mut pace = Pace::new(Some(3), None);
        assert_eq!(pace.room(Duration::ZERO), Room::For(3));
        pace.sent(3);
        assert_eq!(pace.room(Duration::ZERO), Room::Never);
    }

    #[test]
    fn a_rate_opens_with_time_and_catches_up() {
        let mut pace = Pace::new(Some(100), Rate::new(10.0).ok());
        assert_eq!(pace.room(Duration::ZERO), Room::For(1));
        pace.sent(1);
        assert_eq!(pace.room(Duration::from_millis(40)), Room::After(Duration::from_millis(60)));
        assert_eq!(pace.room(Duration::from_secs(1)), Room::For(10));
        assert_eq!(pace.room(Duration::from_mins(1)), Room::For(99));
    }
}
