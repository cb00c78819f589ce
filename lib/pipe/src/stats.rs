//! The line of `--stats`.

use std::time::Duration;

use serde::Serialize;

/// What has come and gone, in all and since the last line, and when the next line is due.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    tool: &'static str,
    every: Duration,
    due: Duration,
    taken: u64,
    given: u64,
    last: (u64, u64),
    since: Duration,
    slip: Option<Duration>,
}

#[derive(Debug, Serialize)]
struct Line {
    tool: &'static str,
    ms: u64,
    #[serde(rename = "in")]
    taken: u64,
    #[serde(rename = "out")]
    given: u64,
    in_rate: f64,
    out_rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slip_ms: Option<u64>,
}

impl Stats {
    /// Of the program `tool`, to be said `every` so often.
    #[must_use]
    pub fn new(tool: &'static str, every: Duration) -> Stats {
        let (last, since) = ((0, 0), Duration::ZERO);
        Stats { tool, every, due: every, taken: 0, given: 0, last, since, slip: None }
    }

    /// Counts records that came.
    #[inline]
    pub fn taken(&mut self, records: u64) {
        self.taken += records;
    }

    /// Counts records that have gone where they should.
    #[inline]
    pub fn given(&mut self, records: u64) {
        self.given += records;
    }

    /// So many records came and went in all, for those who count them elsewhere.
    pub fn set(&mut self, taken: u64, given: u64) {
        (self.taken, self.given) = (taken, given);
    }

    /// Says with the next line how far a record was behind its schedule, at most, since the last.
    pub fn slipped(&mut self, slip: Duration) {
        self.slip = Some(slip);
    }

    /// How long until a line is due, when `elapsed` has passed since the start.
    #[must_use]
    pub fn wait(&self, elapsed: Duration) -> Duration {
        self.due.saturating_sub(elapsed)
    }

    /// The line when `elapsed` has passed since the start, and `lag` records are still to come
    /// where that is known. Rates are of the time since the last line, in records a second.
    pub fn line(&mut self, elapsed: Duration, lag: Option<u64>) -> String {
        let seconds = elapsed.saturating_sub(self.since).as_secs_f64().max(1e-3);
        let rate = |now: u64, last: u64| (float(now - last) / seconds * 10.0).round() / 10.0;
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let line = Line {
            tool: self.tool,
            ms: ms(elapsed),
            taken: self.taken,
            given: self.given,
            in_rate: rate(self.taken, self.last.0),
            out_rate: rate(self.given, self.last.1),
            lag,
            slip_ms: self.slip.take().map(ms),
        };
        self.last = (self.taken, self.given);
        self.since = elapsed;
        self.due = elapsed + self.every;
        // No map with odd keys: this cannot fail.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// The nearest float.
fn float(count: u64) -> f64 {
    let part = |shift: u32| f64::from(u32::try_from(count >> shift & 0xffff_ffff).unwrap_or(0));
    part(32) * 4_294_967_296.0 + part(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_since_the_last_line() {
        let mut stats = Stats::new("kprod", Duration::from_secs(1));
        stats.taken(10);
        stats.given(1);
        let line = "{\"tool\":\"kprod\",\"ms\":1000,\"in\":10,\"out\":1,\"in_rate\":10.0,\
                    \"out_rate\":1.0}";
        assert_eq!(stats.line(Duration::from_secs(1), None), line);
        stats.taken(10);
        let last = stats.line(Duration::from_secs(3), Some(7));
        assert!(last.ends_with("\"in_rate\":5.0,\"out_rate\":0.0,\"lag\":7}"), "{last}");
    }

    #[test]
    fn a_slip_is_said_once() {
        let mut stats = Stats::new("kgen", Duration::from_secs(1));
        stats.slipped(Duration::from_micros(2_500));
        let line = stats.line(Duration::from_secs(1), None);
        assert!(line.ends_with("\"out_rate\":0.0,\"slip_ms\":2}"), "{line}");
        assert!(!stats.line(Duration::from_secs(2), None).contains("slip"));
    }

    #[test]
    fn the_next_line_is_due_a_period_after_the_last() {
        let mut stats = Stats::new("kcons", Duration::from_secs(2));
        assert_eq!(stats.wait(Duration::from_millis(500)), Duration::from_millis(1500));
        stats.line(Duration::from_secs(3), None);
        assert_eq!(stats.wait(Duration::from_secs(3)), Duration::from_secs(2));
        assert_eq!(stats.wait(Duration::from_secs(9)), Duration::ZERO);
    }
}
