//! A batch of records on its way to the sink.

use pipe::exit::{Error, Result, say};
use topic::config;
use topic::consumer::{Batch, Item, Record};

use crate::progress::Progress;
use crate::sink::Sink;

/// What a batch is written with.
pub(crate) struct Pass<'a> {
    pub(crate) progress: &'a mut Progress,
    pub(crate) sink: &'a mut Sink,
    /// Records to be written in all.
    pub(crate) limit: u64,
    /// Whether a partition that cannot be read is only said.
    pub(crate) goes_on: bool,
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
                item => refuse(item, batch, self.progress, self.goes_on)?,
            }
        }
        Ok(())
    }
}

/// The failure of a partition, which is only said when the run `goes_on`. An offset that is gone
/// is one always.
pub(crate) fn refuse(
    item: Item<'_>,
    batch: &Batch<'_>,
    progress: &Progress,
    goes_on: bool,
) -> Result<()> {
    match item {
        Item::Gone { at, text } => {
            let next = progress.left(at).unwrap_or_default();
            let text = String::from_utf8_lossy(text);
            let reason = format!("offset {next} is not there: removed, or never written ({text})");
            Err(Error::world(batch.partition(at), reason))
        }
        Item::Failed { at, code, text } => {
            let text = String::from_utf8_lossy(text);
            let reason = format!("{} ({text})", config::reason(code));
            if goes_on {
                say(format!("{}: {reason}", batch.partition(at)));
                return Ok(());
            }
            Err(Error::world(batch.partition(at), reason))
        }
        Item::Record(_) | Item::End { .. } => Ok(()),
    }
}
