//! What `--stats` says: the rows, and how the ticks of the clock went.

use std::time::Duration;

use pipe::stats::{self, Gauges, Stats};

/// Rows that came and went, and the ticks since the last line.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    stats: Stats,
    ticks: Option<Ticks>,
}

/// The worst of some ticks.
#[derive(Clone, Copy, Debug, Default)]
struct Ticks {
    late_ms: u64,
    work: Duration,
}

impl Report {
    /// Nothing yet, to be said `every` so often.
    #[must_use]
    pub fn new(every: Duration) -> Report {
        Report { stats: Stats::new("swin", every), ticks: None }
    }

    /// A tick came `late_ms` behind its time, and took so long to be acted on. Clocks differ: one
    /// that came before its time is not late.
    pub fn tick(&mut self, late_ms: i64, work: Duration) {
        let ticks = self.ticks.get_or_insert_default();
        ticks.late_ms = ticks.late_ms.max(u64::try_from(late_ms).unwrap_or(0));
        ticks.work = ticks.work.max(work);
    }

    /// How long until a line is due, when `elapsed` has passed since the start.
    #[must_use]
    pub fn wait(&self, elapsed: Duration) -> Duration {
        self.stats.wait(elapsed)
    }

    /// The line when `elapsed` has passed since the start, and so many rows came and went in all.
    pub fn line(&mut self, elapsed: Duration, rows: (u64, u64), gauges: Gauges) -> String {
        self.stats.set(rows.0, rows.1);
        let ticks = self.ticks.take();
        let tick_late_ms = ticks.map(|ticks| ticks.late_ms);
        let tick_work_ms = ticks.map(|ticks| stats::ms(ticks.work));
        self.stats.line(elapsed, Gauges { tick_late_ms, tick_work_ms, ..gauges })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_worst_of_the_ticks_since_the_one_before() {
        let mut report = Report::new(Duration::from_secs(1));
        for (late_ms, work_us) in [(7, 900), (-3, 12_800), (2, 0)] {
            report.tick(late_ms, Duration::from_micros(work_us));
        }
        let gauges = Gauges { keys: Some(4), ..Gauges::default() };
        let line = report.line(Duration::from_secs(1), (10, 3), gauges);
        let end = "\"in_rate\":10.0,\"out_rate\":3.0,\"keys\":4,\"tick_late_ms\":7,\
                   \"tick_work_ms\":12}";
        assert!(line.ends_with(end), "{line}");
        let line = report.line(Duration::from_secs(2), (10, 3), gauges);
        assert!(line.ends_with("\"out_rate\":0.0,\"keys\":4}"), "{line}");
        report.tick(-3, Duration::ZERO);
        let line = report.line(Duration::from_secs(3), (10, 3), gauges);
        assert!(line.ends_with("\"tick_late_ms\":0,\"tick_work_ms\":0}"), "{line}");
    }
}
