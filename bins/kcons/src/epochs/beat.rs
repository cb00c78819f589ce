//! When epochs end: with the clock, as the windows of most queries do.
//!
//! An epoch that begins anywhere is committed up to its whole length after a window that ends
//! within it. One that ends a moment after each multiple of its length holds what the windows that
//! end there gave, and is committed at once.

use std::time::Duration;

/// How long after a multiple of its length an epoch ends, in ms: rows of that time come by then.
const LAG_MS: i64 = 20;

/// How long from `now` (ms since 1970) an epoch of `length` goes on. One that has just begun when
/// it would end goes on to the next time.
pub(super) fn left(now: i64, length: Duration) -> Duration {
    let length_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX).max(1);
    let lag = LAG_MS.min(length_ms / 4);
    let left = length_ms - now.saturating_sub(lag).rem_euclid(length_ms);
    let left = if left < length_ms / 8 { left.saturating_add(length_ms) } else { left };
    Duration::from_millis(left.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_ms(now: i64, length: u64) -> u128 {
        left(now, Duration::from_millis(length)).as_millis()
    }

    #[test]
    fn an_epoch_ends_a_moment_after_a_multiple_of_its_length() {
        let ends = |now: i64| i128::from(now) + i128::try_from(left_ms(now, 100)).expect("small");
        assert_eq!(
            [1_000, 1_005, 1_020, 1_100, 1_107].map(ends),
            [1_020, 1_020, 1_120, 1_120, 1_120]
        );
        assert_eq!((left_ms(7, 10), left_ms(3, 1)), (5, 1));
    }

    #[test]
    fn an_epoch_is_never_empty_because_a_clock_was_early() {
        assert_eq!((left_ms(1_019, 100), left_ms(1_008, 100), left_ms(1_009, 100)), (101, 12, 111));
        assert!((0..2_000).all(|now| left_ms(now, 500) >= 62 && left_ms(now, 500) <= 562));
    }

    #[test]
    fn an_epoch_may_be_as_long_as_a_duration() {
        assert!(left(i64::MIN, Duration::MAX) > Duration::ZERO);
        assert!(left(i64::MAX, Duration::MAX) > Duration::ZERO);
    }
}
