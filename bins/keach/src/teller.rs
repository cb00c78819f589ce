//! What is told of the runs while they go on: the line of --stats.

use std::time::{Duration, Instant};

use pipe::exit::say_bare;
use pipe::stats::{Gauges, Stats};

/// Who tells.
#[derive(Debug)]
pub struct Teller {
    begun: Instant,
    stats: Option<Stats>,
    /// The last epoch whose results went on.
    epoch: Option<u64>,
}

impl Teller {
    /// Tells every `stats`, if that is wanted.
    #[must_use]
    pub fn new(stats: Option<Duration>) -> Teller {
        let stats = stats.map(|every| Stats::new("keach", every));
        Teller { begun: Instant::now(), stats, epoch: None }
    }

    /// Counts lines that the command gets, however often it is tried.
    pub fn given(&mut self, lines: u64) {
        if let Some(stats) = &mut self.stats {
            stats.taken(lines);
        }
    }

    /// Counts lines that went on of what the command wrote.
    pub fn written(&mut self, lines: u64) {
        if let Some(stats) = &mut self.stats {
            stats.given(lines);
        }
    }

    /// The results of `epoch` went on.
    pub fn ended(&mut self, epoch: u64) {
        self.epoch = Some(epoch);
    }

    /// How long there is nothing to tell; `None`: for ever.
    #[must_use]
    pub fn leisure(&self) -> Option<Duration> {
        self.stats.as_ref().map(|stats| stats.wait(self.begun.elapsed()))
    }

    /// Tells what is due.
    pub fn tell(&mut self) {
        if self.leisure() == Some(Duration::ZERO) {
            self.tell_last();
        }
    }

    /// Tells how it ended.
    pub fn tell_last(&mut self) {
        let Some(stats) = &mut self.stats else { return };
        let gauges = Gauges { epoch: self.epoch, ..Gauges::default() };
        say_bare(stats.line(self.begun.elapsed(), gauges));
    }
}
