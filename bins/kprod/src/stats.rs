//! The line of `--stats`.

use std::time::Duration;

use serde::Serialize;

use crate::perf::float;

/// What has come and gone, in all and since the last line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    taken: u64,
    acknowledged: u64,
    last: (u64, u64),
    since: Duration,
}

#[derive(Debug, Serialize)]
struct Line {
    tool: &'static str,
    ms: u64,
    #[serde(rename = "in")]
    taken: u64,
    #[serde(rename = "out")]
    acknowledged: u64,
    in_rate: f64,
    out_rate: f64,
}

impl Stats {
    /// Counts records that were offered to the broker.
    pub fn taken(&mut self, records: u64) {
        self.taken += records;
    }

    /// Counts a record that was acknowledged.
    pub fn acknowledged(&mut self) {
        self.acknowledged += 1;
    }

    /// The line when `elapsed` has passed since the start; the rates are of the time since the
    /// last line, in records a second.
    pub fn line(&mut self, elapsed: Duration) -> String {
        let seconds = elapsed.saturating_sub(self.since).as_secs_f64().max(1e-3);
        let rate = |now: u64, last: u64| (float(now - last) / seconds * 10.0).round() / 10.0;
        let line = Line {
            tool: "kprod",
            ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            taken: self.taken,
            acknowledged: self.acknowledged,
            in_rate: rate(self.taken, self.last.0),
            out_rate: rate(self.acknowledged, self.last.1),
        };
        self.last = (self.taken, self.acknowledged);
        self.since = elapsed;
        // No map with odd keys: this cannot fail.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_since_the_last_line() {
        let mut stats = Stats::default();
        stats.taken(10);
        stats.acknowledged();
        let line = "{\"tool\":\"kprod\",\"ms\":1000,\"in\":10,\"out\":1,\"in_rate\":10.0,\
                    \"out_rate\":1.0}";
        assert_eq!(stats.line(Duration::from_secs(1)), line);
        stats.taken(10);
        assert!(stats.line(Duration::from_secs(3)).ends_with("\"in_rate\":5.0,\"out_rate\":0.0}"));
    }
}
