//! How fast records are acknowledged, in the lines of `kafka-producer-perf-test`.

use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of a megabyte as those lines mean it.
const MB: f64 = 1_048_576.0;

/// What was acknowledged, in all and since the last line.
#[derive(Clone, Debug, Default)]
pub struct Perf {
    all: Window,
    window: Window,
    /// When the window began.
    since: Duration,
    /// How many records took so many milliseconds.
    latencies: BTreeMap<u64, u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    records: u64,
    bytes: u64,
    latency_ms_sum: u64,
    latency_ms_max: u64,
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "exact for 2^53 records and bytes")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

impl Window {
    fn add(&mut self, bytes: u64, latency_ms: u64) {
        self.records += 1;
        self.bytes += bytes;
        self.latency_ms_sum += latency_ms;
        self.latency_ms_max = self.latency_ms_max.max(latency_ms);
    }

    /// Records and megabytes a second, and the mean latency in milliseconds.
    fn rates(self, time: Duration) -> (f64, f64, f64) {
        let [records, bytes, sum] = [self.records, self.bytes, self.latency_ms_sum].map(float);
        let seconds = time.as_secs_f64().max(1e-3);
        (records / seconds, bytes / MB / seconds, sum / records.max(1.0))
    }
}

impl Perf {
    /// Counts an acknowledged record of `bytes` that took so many microseconds.
    pub fn add(&mut self, bytes: u64, us: u64) {
        let latency_ms = us / 1_000;
        self.all.add(bytes, latency_ms);
        self.window.add(bytes, latency_ms);
        *self.latencies.entry(latency_ms).or_default() += 1;
    }

    /// The line of the window that ends when `elapsed` has passed since the start.
    pub fn line(&mut self, elapsed: Duration) -> String {
        let window = std::mem::take(&mut self.window);
        let (rate, mb_rate, mean) = window.rates(elapsed.saturating_sub(self.since));
        self.since = elapsed;
        format!(
            "{} records sent, {rate:.1} records/sec ({mb_rate:.2} MB/sec), {mean:.1} ms avg \
             latency, {:.1} ms max latency.",
            window.records,
            float(window.latency_ms_max)
        )
    }

    /// The last line.
    #[must_use]
    pub fn total(&self, elapsed: Duration) -> String {
        let (rate, mb_rate, mean) = self.all.rates(elapsed);
        let [half, most, nearly, all] = [500, 950, 990, 999].map(|share| self.quantile(share));
        format!(
            "{} records sent, {rate:.6} records/sec ({mb_rate:.2} MB/sec), {mean:.2} ms avg \
             latency, {:.2} ms max latency, {half} ms 50th, {most} ms 95th, {nearly} ms 99th, \
             {all} ms 99.9th.",
            self.all.records,
            float(self.all.latency_ms_max)
        )
    }

    /// The latency of the record that `share` thousandths of all are before, as Java finds it.
    fn quantile(&self, share: u64) -> u64 {
        let index = self.all.records * share / 1_000;
        let mut before = 0;
        let found = self.latencies.iter().find(|(_, count)| {
            before += **count;
            before > index
        });
        found.map_or(0, |(latency_ms, _)| *latency_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_of_the_perf_test() {
        let mut perf = Perf::default();
        for latency_ms in 1..=100 {
            perf.add(1_048_576, latency_ms * 1_000 + 999);
        }
        assert_eq!(
            perf.line(Duration::from_secs(5)),
            "100 records sent, 20.0 records/sec (20.00 MB/sec), 50.5 ms avg latency, 100.0 ms max \
             latency."
        );
        assert!(perf.line(Duration::from_secs(10)).starts_with("0 records sent, 0.0 records/sec"));
        assert_eq!(
            perf.total(Duration::from_secs(10)),
            "100 records sent, 10.000000 records/sec (10.00 MB/sec), 50.50 ms avg latency, 100.00 \
             ms max latency, 51 ms 50th, 96 ms 95th, 100 ms 99th, 100 ms 99.9th."
        );
    }

    #[test]
    fn nothing_sent_is_no_error() {
        assert!(Perf::default().total(Duration::ZERO).starts_with("0 records sent, 0.000000"));
    }
}
