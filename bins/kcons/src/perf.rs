//! The measures of Kafka's consumer-performance tool.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The header of its table.
pub(crate) const HEADER: &str = "start.time, end.time, data.consumed.in.MB, MB.sec, \
                                 data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, \
                                 fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec";

/// What was consumed so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Perf {
    records: u64,
    bytes: u64,
}

/// The times of a run in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// When it began to join or to look.
    pub(crate) start: i64,
    /// When it had partitions to read.
    pub(crate) assigned: i64,
    /// When it ended.
    pub(crate) end: i64,
}

impl Perf {
    /// Counts a record.
    #[inline]
    pub(crate) fn count(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.records += 1;
        let bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// The line below [`HEADER`], with the times of day of `zone`.
    pub(crate) fn line(self, times: Times, zone: &TimeZone) -> String {
        let rebalance = times.assigned.saturating_sub(times.start).max(0);
        let total = times.end.saturating_sub(times.start).max(1);
        let fetch = times.end.saturating_sub(times.assigned).max(1);
        let (records, megabytes) = (float(self.records), float(self.bytes) / (1024.0 * 1024.0));
        let seconds = |ms: i64| float(ms.unsigned_abs()) / 1000.0;
        let (total_s, fetch_s) = (seconds(total), seconds(fetch));
        format!(
            "{}, {}, {megabytes:.4}, {:.4}, {}, {:.4}, {rebalance}, {fetch}, {:.4}, {:.4}",
            clock(times.start, zone),
            clock(times.end, zone),
            megabytes / total_s,
            self.records,
            records / total_s,
            megabytes / fetch_s,
            records / fetch_s,
        )
    }
}

/// The nearest float.
fn float(number: u64) -> f64 {
    let part = |shift: u32| f64::from(u32::try_from(number >> shift & 0xffff_ffff).unwrap_or(0));
    part(32) * 4_294_967_296.0 + part(0)
}

/// The time as Java's `yyyy-MM-dd HH:mm:ss:SSS` shows it.
fn clock(ms: i64, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => {
            let time = time.to_zoned(zone.clone());
            format!("{}:{:03}", time.strftime("%Y-%m-%d %H:%M:%S"), ms.rem_euclid(1000))
        }
        Err(_) => ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_javas_columns() {
        let mut perf = Perf::default();
        for _ in 0..1024 {
            perf.count(Some(&[0; 24]), Some(&[0; 1000]));
        }
        perf.count(None, None);
        let start = 1_700_000_000_123;
        let times = Times { start, assigned: start + 1_000, end: start + 2_000 };
        assert_eq!(
            perf.line(times, &TimeZone::UTC),
            "2023-11-14 22:13:20:123, 2023-11-14 22:13:22:123, 1.0000, 0.5000, 1025, 512.5000, \
             1000, 1000, 1.0000, 1025.0000"
        );
        assert_eq!(HEADER.split(", ").count(), 10);
    }
}
