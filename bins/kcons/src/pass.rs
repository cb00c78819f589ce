//! A batch of records on its way to the sink.

use pipe::exit::{Error, Result, say};
use topic::config;
use topic::consumer::{Batch, Item, Record};
use topic::record;

use crate::progress::Progress;
use crate::sink::Sink;

/// What becomes of a run when a partition cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It fails.
    Fails,
    /// It fails when that stays so, and else is to be run again.
    Ends,
    /// It goes on without, and says so.
    GoesOn,
}

/// What a batch is written with.
pub(crate) struct Pass<'a> {
    pub(crate) progress: &'a mut Progress,
    pub(crate) sink: &'a mut Sink,
    /// Records to be written in all.
    pub(crate) limit: u64,
    /// What becomes of it when a partition cannot be read.
    pub(crate) failing: Failing,
    /// Records that were looked at.
    pub(crate) read: u64,
}

impl Pass<'_> {
    /// Writes what a batch holds and `takes` takes.
    pub(crate) fn write<'b>(
        &mut self,
        batch: &'b Batch<'_>,
        mut takes: impl FnMut(Record<'b>) -> bool,
    ) -> Result<()> {
        for item in batch.items() {
            match item {
                Item::Record(record) => {
                    if self.sink.count >= self.limit {
                        return Ok(());
                    }
                    self.read += 1;
                    let (at, offset) = (record.at(), record.offset());
                    if self.progress.wants(at, offset) && takes(record) {
                        self.sink.record(record, batch.partition(at))?;
                    }
                    if self.progress.reach(at, offset + 1) {
                        self.sink.drained(at);
                    }
                }
                Item::End { at, offset } => {
                    if self.progress.reach(at, offset) {
                        self.sink.drained(at);
                    } else {
                        self.sink.caught_up(at);
                    }
                }
                item => refuse(item, batch, self.progress, self.failing)?,
            }
        }
        Ok(())
    }
}

/// The failure of a partition. An offset that is gone is one always.
pub(crate) fn refuse(
    item: Item<'_>,
    batch: &Batch<'_>,
    progress: &Progress,
    failing: Failing,
) -> Result<()> {
    match item {
        Item::Gone { at, text } => {
            let next = progress.left(at).unwrap_or_default();
            let text = String::from_utf8_lossy(text);
            let reason = format!("offset {next} is not there: removed, or never written ({text})");
            Err(Error::world(batch.partition(at), reason))
        }
        Item::Failed { at, code, text } => {
            let (partition, text) = (batch.partition(at), String::from_utf8_lossy(text));
            let reason = format!("{} ({text})", config::reason(code));
            match failing {
                Failing::Ends if !record::stays_unreadable(code) => {
                    Err(Error::unfinished(partition, reason))
                }
                Failing::Fails | Failing::Ends => Err(Error::world(partition, reason)),
                Failing::GoesOn => {
                    say(format!("{partition}: {reason}"));
                    Ok(())
                }
            }
        }
        Item::Record(_) | Item::End { .. } => Ok(()),
    }
}
