//! Days in Berlin in 2026, from the two changes to and from summer time alone.

use std::ops::Range;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// 2026-03-29 01:00 UTC to 2026-10-25 01:00 UTC.
const SUMMER_MS: Range<i64> = 1_774_746_000_000..1_792_890_000_000;

/// Local days since 1970-01-01 at `time`.
pub(crate) fn day_of(time: i64) -> i64 {
    let ahead = if SUMMER_MS.contains(&time) { 2 * HOUR_MS } else { HOUR_MS };
    (time + ahead).div_euclid(DAY_MS)
}

/// When the local day `day` begins.
pub(crate) fn midnight(day: i64) -> i64 {
    let in_winter = day * DAY_MS - HOUR_MS;
    if SUMMER_MS.contains(&in_winter) { in_winter - HOUR_MS } else { in_winter }
}

/// The Monday of the week of `day`.
pub(crate) fn monday(day: i64) -> i64 {
    // 1970-01-05 was a Monday.
    day - (day - 4).rem_euclid(7)
}

#[test]
fn days_have_23_24_and_25_hours() {
    let hours = |day: i64| (midnight(day + 1) - midnight(day)) / HOUR_MS;
    let march_29 = day_of(1_774_746_000_000);
    assert_eq!(midnight(march_29), 1_774_738_800_000);
    assert_eq!([march_29 - 1, march_29, march_29 + 1].map(hours), [24, 23, 24]);
    let october_25 = day_of(1_792_890_000_000);
    assert_eq!([october_25 - 1, october_25, october_25 + 1].map(hours), [24, 25, 24]);
    // Both were Sundays.
    assert_eq!([march_29, october_25].map(monday), [march_29 - 6, october_25 - 6]);
}
