//! How long nothing may become of records, before it is given up to wait for them.
//!
//! librdkafka fails each record after `delivery.timeout.ms`. It has been seen not to: when a
//! cluster's answer had listed no broker at all, what was queued stayed there for ever.

use std::time::Duration;

/// What librdkafka may take to notice that a record's time is over.
const GRACE: Duration = Duration::from_secs(10);

/// The patience with one producer. Times are since any one start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// `None` waits for ever, because records may.
    limit: Option<Duration>,
    /// When something became of a record, or none was on its way.
    last: Duration,
}

impl Patience {
    /// The patience with records that are tried for `delivery_timeout`, zero being for ever.
    pub(crate) fn new(delivery_timeout: Duration) -> Patience {
        let limit = (!delivery_timeout.is_zero()).then(|| delivery_timeout + GRACE);
        Patience { limit, last: Duration::ZERO }
    }

    /// Something became of a record at `now`, or none is on its way.
    pub(crate) fn renew(&mut self, now: Duration) {
        self.last = now;
    }

    /// How much of it is left at `now`: zero when it is over.
    pub(crate) fn left(self, now: Duration) -> Duration {
        match self.limit {
            Some(limit) => (self.last + limit).saturating_sub(now),
            None => Duration::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_some_time_after_the_records_own() {
        let second = Duration::from_secs(1);
        let mut patience = Patience::new(5 * second);
        assert_eq!(patience.left(14 * second), second);
        assert_eq!(patience.left(16 * second), Duration::ZERO);
        patience.renew(16 * second);
        assert_eq!(patience.left(16 * second), 15 * second);
    }

    #[test]
    fn records_that_are_tried_for_ever_are_waited_for() {
        assert_eq!(Patience::new(Duration::ZERO).left(Duration::from_hours(99)), Duration::MAX);
    }
}
