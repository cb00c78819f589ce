//! How many records may go now.

use std::time::Duration;

use pipe::rate::Rate;

/// The limits of a run: a number of records in all, and a rate of records and of bytes a second.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    left: Option<u64>,
    rate: Option<Rate>,
    bytes_rate: Option<Rate>,
    sent: u64,
    bytes_sent: u64,
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
    /// A pace of `count` records in all (`None`: all there are) at `rate`, and at `bytes_rate`.
    #[must_use]
    pub fn new(count: Option<u64>, rate: Option<Rate>, bytes_rate: Option<Rate>) -> Pace {
        Pace { left: count, rate, bytes_rate, sent: 0, bytes_sent: 0 }
    }

    /// How many records may go when `elapsed` has passed since the start.
    #[must_use]
    pub fn room(&self, elapsed: Duration) -> Room {
        let left = self.left.unwrap_or(u64::MAX);
        if left == 0 {
            return Room::Never;
        }
        let due = |rate: Option<Rate>, sent: u64| match rate {
            None => Ok(u64::MAX),
            Some(rate) => match rate.rows(elapsed).saturating_sub(sent) {
                0 => Err(rate.due(sent).saturating_sub(elapsed)),
                due => Ok(due),
            },
        };
        match (due(self.rate, self.sent), due(self.bytes_rate, self.bytes_sent)) {
            (Ok(due), Ok(_)) => Room::For(due.min(left)),
            (Err(time), Ok(_)) | (Ok(_), Err(time)) => Room::After(time),
            (Err(one), Err(other)) => Room::After(one.max(other)),
        }
    }

    /// How many bytes may go when `elapsed` has passed; the last record may go beyond it.
    #[must_use]
    pub fn bytes_room(&self, elapsed: Duration) -> Option<u64> {
        self.bytes_rate.map(|rate| rate.rows(elapsed).saturating_sub(self.bytes_sent))
    }

    /// Counts records that have gone.
    pub fn sent(&mut self, records: u64) {
        self.sent += records;
        self.left = self.left.map(|left| left.saturating_sub(records));
    }

    /// Counts bytes that have gone.
    pub fn bytes_sent(&mut self, bytes: u64) {
        self.bytes_sent += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_ends() {
        let mut pace = Pace::new(Some(3), None, None);
        assert_eq!(pace.room(Duration::ZERO), Room::For(3));
        pace.sent(3);
        assert_eq!(pace.room(Duration::ZERO), Room::Never);
    }

    #[test]
    fn a_rate_opens_with_time_and_catches_up() {
        let mut pace = Pace::new(Some(100), Rate::new(10.0).ok(), None);
        assert_eq!(pace.room(Duration::ZERO), Room::For(1));
        pace.sent(1);
        assert_eq!(pace.room(Duration::from_millis(40)), Room::After(Duration::from_millis(60)));
        assert_eq!(pace.room(Duration::from_secs(1)), Room::For(10));
        assert_eq!(pace.room(Duration::from_mins(1)), Room::For(99));
    }

    #[test]
    fn a_record_goes_when_those_before_it_have_had_their_time() {
        let mut pace = Pace::new(None, None, Rate::new(100.0).ok());
        assert_eq!(pace.room(Duration::ZERO), Room::For(u64::MAX));
        assert_eq!(pace.bytes_room(Duration::ZERO), Some(1));
        pace.bytes_sent(50);
        assert_eq!(pace.room(Duration::ZERO), Room::After(Duration::from_millis(500)));
        assert_eq!(pace.bytes_room(Duration::from_secs(1)), Some(51));
        assert_eq!(Pace::new(None, None, None).bytes_room(Duration::ZERO), None);
    }
}
