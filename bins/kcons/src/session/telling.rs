//! What is told of a run while it goes on: the line of --stats, and how far it is.

use std::time::{Duration, Instant};

use pipe::bar::{Bar, Unit};
use pipe::exit::say_bare;
use pipe::stats::{Gauges, Stats};

/// Who tells.
#[derive(Debug)]
pub(crate) struct Teller {
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
    pub(crate) fn new(stats: Option<Duration>, wants_bar: bool) -> Teller {
        let stats = stats.map(|every| Stats::new("kcons", every));
        Teller { begun: Instant::now(), stats, written: 0, wants_bar, bar: None }
    }

    /// Counts records that were read, written or not.
    pub(crate) fn read(&mut self, records: u64) {
        if let Some(stats) = &mut self.stats {
            stats.taken(records);
        }
    }

    /// How long there is nothing to tell.
    pub(crate) fn leisure(&self) -> Option<Duration> {
        self.stats.as_ref().map(|stats| stats.wait(self.begun.elapsed()))
    }
}

/// What there is to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    /// Records written.
    pub(crate) written: u64,
    /// How many offsets that reading ends behind have been read, and how many there are.
    pub(crate) span: (u64, u64),
    /// Whether reading ends somewhere.
    pub(crate) ends: bool,
    /// The epoch that ended last in this assignment.
    pub(crate) epoch: Option<u64>,
}

impl Teller {
    /// Tells what is due, with the `lag` where reading has no end.
    pub(crate) fn tell(&mut self, news: News, lag: impl FnOnce() -> Option<u64>) {
        if self.wants_bar || self.bar.is_some() {
            self.show(news.span);
        }
        if self.leisure().is_some_and(|time| time.is_zero()) {
            self.say_stats(news, lag);
        }
    }

    /// Tells how the run ended.
    pub(crate) fn tell_last(&mut self, news: News, lag: impl FnOnce() -> Option<u64>) {
        self.bar = None;
        self.say_stats(news, lag);
    }

    fn show(&mut self, (read, all): (u64, u64)) {
        if self.wants_bar && all > 0 {
            self.bar = Bar::open(Unit::Records);
            self.wants_bar = false;
        }
        if let Some(bar) = &self.bar {
            bar.show(read, all);
        }
    }

    fn say_stats(&mut self, news: News, lag: impl FnOnce() -> Option<u64>) {
        let News { written, span: (read, all), ends, epoch } = news;
        let Some(stats) = &mut self.stats else { return };
        stats.given(written.saturating_sub(self.written));
        self.written = written;
        // Offsets between what was read of our partitions and where reading ends, if it does.
        let lag = if ends { Some(all - read) } else { lag() };
        let gauges = Gauges { lag, epoch, ..Gauges::default() };
        say_bare(stats.line(self.begun.elapsed(), gauges));
    }
}
