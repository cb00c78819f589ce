//! What is told of a run while it goes on: the line of --stats, and how far it is.

use std::time::{Duration, Instant};

use pipe::bar::{Bar, Unit};
use pipe::exit::say_bare;
use pipe::stats::Stats;

use super::Session;

/// Who tells.
#[derive(Debug)]
pub(super) struct Teller {
    begun: Instant,
    stats: Option<Stats>,
    /// Records that --stats knows to be written.
    written: u64,
    /// Whether a bar is to be shown once there is something to show.
    wants_bar: bool,
    bar: Option<Bar>,
}

impl Teller {
    /// Tells every `stats`, and shows a bar when `wants_bar`.
    pub(super) fn new(stats: Option<Duration>, wants_bar: bool) -> Teller {
        let stats = stats.map(|every| Stats::new("kcons", every));
        Teller { begun: Instant::now(), stats, written: 0, wants_bar, bar: None }
    }

    /// Counts records that were read, written or not.
    pub(super) fn read(&mut self, records: u64) {
        if let Some(stats) = &mut self.stats {
            stats.taken(records);
        }
    }

    /// How long there is nothing to tell.
    pub(super) fn leisure(&self) -> Option<Duration> {
        self.stats.as_ref().map(|stats| stats.wait(self.begun.elapsed()))
    }
}

impl Session<'_> {
    /// Tells what is due.
    pub(super) fn tell(&mut self) {
        if self.teller.wants_bar || self.teller.bar.is_some() {
            self.show();
        }
        if self.teller.leisure().is_some_and(|time| time.is_zero()) {
            self.say_stats();
        }
    }

    /// Tells how the run ended.
    pub(super) fn tell_last(&mut self) {
        self.teller.bar = None;
        self.say_stats();
    }

    fn show(&mut self) {
        let (read, all) = self.progress.span();
        if self.teller.wants_bar && all > 0 {
            self.teller.bar = Bar::open(Unit::Records);
            self.teller.wants_bar = false;
        }
        if let Some(bar) = &self.teller.bar {
            bar.show(read, all);
        }
    }

    fn say_stats(&mut self) {
        let lag = self.teller.stats.and_then(|_| self.lag());
        let written = self.sink.count - self.sink.skipped;
        let teller = &mut self.teller;
        let Some(stats) = &mut teller.stats else { return };
        stats.given(written - teller.written);
        teller.written = written;
        say_bare(stats.line(teller.begun.elapsed(), lag));
    }

    /// Offsets between what was read of our partitions and where reading ends, if it does.
    fn lag(&self) -> Option<u64> {
        let (read, all) = self.progress.span();
        self.orders.ends().then_some(all - read)
    }
}
