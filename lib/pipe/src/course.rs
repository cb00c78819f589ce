//! Where a stage stands in a marked stream: which partition lines come from, how many there were
//! in the epoch, and whether its state is still to come.

use crate::exit::{Error, Result};
use crate::mark::{Barrier, Mark, Partition, stages_behind};

/// The course of a marked stream through one stage.
#[derive(Debug)]
pub struct Course {
    tool: &'static str,
    /// The stage's name in the pipeline, as `0:swin`.
    name: String,
    epochs: bool,
    begun: bool,
    /// Whether an assignment has begun whose state has not come yet.
    restoring: bool,
    /// The last tick since then.
    held_tick: Option<i64>,
    partitions: Vec<Partition>,
    partition: usize,
    /// The offset of the next data line, when the lines before said it.
    offset: Option<i64>,
    /// Data lines since the last barrier.
    lines: u64,
}

impl Course {
    /// A stream of which nothing has come, through the stage of the program `tool`.
    #[must_use]
    pub fn new(tool: &'static str) -> Course {
        Course {
            tool,
            name: String::new(),
            epochs: false,
            begun: false,
            restoring: false,
            held_tick: None,
            partitions: Vec::new(),
            partition: 0,
            offset: None,
            lines: 0,
        }
    }

    /// The stream opens; returns the mark that opens it for the next stage.
    pub fn open(&mut self, epochs: bool, tick_ms: u64, stages: &[String]) -> Mark {
        self.epochs = epochs;
        let stages = stages_behind(stages, self.tool);
        self.name = stages.last().cloned().unwrap_or_default();
        Mark::Open { epochs, tick_ms, stages }
    }

    /// The stage's name in the pipeline.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether barriers cut the stream into epochs.
    #[must_use]
    pub fn has_epochs(&self) -> bool {
        self.epochs
    }

    /// A new assignment begins; returns whether it is not the first one.
    pub fn begin(&mut self, partitions: &[Partition]) -> bool {
        self.partitions = partitions.to_vec();
        (self.partition, self.offset, self.lines) = (0, None, 0);
        self.restoring = self.epochs;
        self.held_tick = None;
        std::mem::replace(&mut self.begun, true)
    }

    /// The state is complete; returns the last tick that came before it.
    pub fn restored(&mut self) -> Option<i64> {
        self.restoring = false;
        self.held_tick.take()
    }

    /// It is `ms`; returns whether the stage may act on it, because its state is complete.
    pub fn tick(&mut self, ms: i64) -> bool {
        if self.restoring {
            self.held_tick = Some(ms);
        }
        !self.restoring
    }

    /// The partitions, in the order in which they are numbered.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The number of the partition that lines come from.
    #[inline]
    #[must_use]
    pub fn partition(&self) -> usize {
        self.partition
    }

    /// The following lines come from `at`; one that no assignment named gets the next number.
    pub fn from(&mut self, at: &Partition, offset: Option<i64>) -> usize {
        self.offset = offset;
        self.partition = self.number_of(at);
        self.partition
    }

    /// The number of a partition.
    pub fn number_of(&mut self, at: &Partition) -> usize {
        let known = self.partitions.iter().position(|known| known == at);
        known.unwrap_or_else(|| {
            self.partitions.push(at.clone());
            self.partitions.len() - 1
        })
    }

    /// A data line comes.
    #[inline]
    pub fn line(&mut self) {
        self.lines += 1;
        if let Some(offset) = &mut self.offset {
            *offset += 1;
        }
    }

    /// Where the data line that came last is from, and its offset when that is known.
    #[must_use]
    pub fn place(&self) -> (Partition, Option<i64>) {
        let at = self.partitions.get(self.partition);
        let at = at.cloned().unwrap_or_else(|| Partition(String::new(), 0));
        (at, self.offset.map(|offset| offset - 1))
    }

    /// An epoch ends with `barrier`.
    ///
    /// # Errors
    /// When there should be none, or lines of the epoch were lost on the way or added.
    pub fn barrier(&mut self, barrier: &Barrier) -> Result<()> {
        if !self.epochs {
            let reason = "a barrier in a stream that was opened without epochs";
            return Err(Error::world("<stdin>", reason));
        }
        let lines = std::mem::take(&mut self.lines);
        if lines != barrier.lines {
            let (epoch, said) = (barrier.epoch, barrier.lines);
            let reason = format!(
                "epoch {epoch} has {lines} lines, and its barrier says {said}: does a program \
                 before this one add or lose lines?"
            );
            return Err(Error::world("<stdin>", reason));
        }
        Ok(())
    }
}
