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
}

/// What a line says besides, where a program has it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Gauges {
    /// Records that are still to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// The time up to which results are complete, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<i64>,
    /// Rows that came too late, in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<u64>,
    /// Rows that could not be read, in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad: Option<u64>,
    /// Keys that are kept now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<u64>,
    /// The number of the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// How far a record was behind its schedule, at most, since the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slip_ms: Option<u64>,
    /// How late a tick was, at most, since the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tick_late_ms: Option<u64>,
    /// How long the work of a tick took, at most, since the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tick_work_ms: Option<u64>,
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
    #[serde(flatten)]
    gauges: Gauges,
}

impl Stats {
    /// Of the program `tool`, to be said `every` so often.
    #[must_use]
    pub fn new(tool: &'static str, every: Duration) -> Stats {
        let (last, since) = ((0, 0), Duration::ZERO);
        Stats { tool, every, due: every, taken: 0, given: 0, last, since }
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

    /// How long until a line is due, when `elapsed` has passed since the start.
    #[must_use]
    pub fn wait(&self, elapsed: Duration) -> Duration {
        self.due.saturating_sub(elapsed)
    }

    /// The line when `elapsed` has passed since the start. Rates are of the time since the last
    /// line, in records a second.
    pub fn line(&mut self, elapsed: Duration, gauges: Gauges) -> String {
        let seconds = elapsed.saturating_sub(self.since).as_secs_f64().max(1e-3);
        let rate = |now: u64, last: u64| (float(now - last) / seconds * 10.0).round() / 10.0;
        let line = Line {
            tool: self.tool,
            ms: ms(elapsed),
            taken: self.taken,
            given: self.given,
            in_rate: rate(self.taken, self.last.0),
            out_rate: rate(self.given, self.last.1),
            gauges,
        };
        self.last = (self.taken, self.given);
        self.since = elapsed;
        self.due = elapsed + self.every;
        // No map with odd keys: this cannot fail.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// A time in whole milliseconds, as a line has it.
#[must_use]
pub fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
        assert_eq!(stats.line(Duration::from_secs(1), Gauges::default()), line);
        stats.taken(10);
        let gauges = Gauges { lag: Some(7), watermark: Some(-1), ..Gauges::default() };
        let last = stats.line(Duration::from_secs(3), gauges);
        let end = "\"in_rate\":5.0,\"out_rate\":0.0,\"lag\":7,\"watermark\":-1}";
        assert!(last.ends_with(end), "{last}");
    }

    #[test]
    fn the_next_line_is_due_a_period_after_the_last() {
        let mut stats = Stats::new("kcons", Duration::from_secs(2));
        assert_eq!(stats.wait(Duration::from_millis(500)), Duration::from_millis(1500));
        stats.line(Duration::from_secs(3), Gauges::default());
        assert_eq!(stats.wait(Duration::from_secs(3)), Duration::from_secs(2));
        assert_eq!(stats.wait(Duration::from_secs(9)), Duration::ZERO);
    }
}
