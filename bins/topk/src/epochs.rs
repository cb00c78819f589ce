//! What a stage has to keep of a stream with epochs: its own name, the rows since the last
//! barrier, where the row at hand came from, and the tick that waits until the state is back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pipe::exit::{Error, Result};
use pipe::mark::{Barrier, DeadLetter, Partition};

/// Bytes that an entry of a stage's state may have, as the broker takes a record of 1 MB.
pub const ENTRY_BYTES_MAX: usize = 900 << 10;

/// The epochs of a stream, as one stage sees them.
#[derive(Clone, Debug)]
pub struct Epochs {
    name: String,
    /// Whether the state is on its way: from `begin` to `restored`.
    restoring: bool,
    /// The last tick of that time.
    held_ms: Option<i64>,
    /// Data lines that came in since the last barrier.
    lines: u64,
    /// The partition of the next row, and its offset where the stage before knows it.
    next: Option<(Partition, Option<i64>)>,
    /// The same of the row at hand.
    row: Option<(Partition, Option<i64>)>,
}

impl Epochs {
    /// Those of the stage `name`, before the first assignment.
    #[must_use]
    pub fn new(name: String) -> Epochs {
        Epochs { name, restoring: false, held_ms: None, lines: 0, next: None, row: None }
    }

    /// The stage's name, as in the mark `open`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new assignment: the state follows.
    pub fn begin(&mut self) {
        let name = std::mem::take(&mut self.name);
        *self = Epochs { restoring: true, ..Epochs::new(name) };
    }

    /// Whether a tick has to wait, which it does until the state is back.
    pub fn holds(&mut self, tick_ms: i64) -> bool {
        if self.restoring {
            self.held_ms = Some(tick_ms);
        }
        self.restoring
    }

    /// The state is back. Returns the tick that has waited.
    pub fn restored(&mut self) -> Option<i64> {
        self.restoring = false;
        self.held_ms.take()
    }

    /// The following rows come from here.
    pub fn from(&mut self, at: &Partition, offset: Option<i64>) {
        self.next = Some((at.clone(), offset));
    }

    /// A data line has come.
    ///
    /// # Errors
    /// When it may not come here.
    #[inline]
    pub fn line(&mut self) -> Result<()> {
        self.lines += 1;
        let Some((at, offset)) = self.next.as_mut().filter(|_| !self.restoring) else {
            let reason = "a row before its `from`, or before the state was `restored`";
            return Err(Error::world("<stdin>", reason));
        };
        match &mut self.row {
            Some((row_at, row_offset)) if row_at == at => *row_offset = *offset,
            row => *row = Some((at.clone(), *offset)),
        }
        *offset = offset.map(|offset| offset + 1);
        Ok(())
    }

    /// The row at hand, as one that could not be used.
    #[must_use]
    pub fn dead_letter(&self, reason: String, line: &[u8]) -> Option<DeadLetter> {
        let (at, offset) = self.row.clone()?;
        let (stage, line_b64) = (self.name.clone(), BASE64.encode(line));
        Some(DeadLetter { stage, at, offset, reason, line_b64 })
    }

    /// An epoch ends. Whoever wrote the barrier has counted its rows.
    ///
    /// # Errors
    /// When another number of rows came.
    pub fn end(&mut self, barrier: &Barrier) -> Result<()> {
        let Barrier { epoch, lines, .. } = *barrier;
        let came = std::mem::take(&mut self.lines);
        if came == lines {
            return Ok(());
        }
        let reason = format!(
            "epoch {epoch} has {came} rows, where its barrier says {lines}: a program in between \
             drops or adds lines"
        );
        Err(Error::world("<stdin>", reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barrier(lines: u64) -> Barrier {
        Barrier {
            epoch: 7,
            lines,
            group: None,
            generation: 1,
            member: "m".to_owned(),
            instance: None,
            offsets: Vec::new(),
            last: None,
        }
    }

    #[test]
    fn rows_are_counted_from_barrier_to_barrier() {
        let mut epochs = Epochs::new("0:topk".to_owned());
        epochs.begin();
        assert!(epochs.line().is_err(), "the state is not back");
        epochs.begin();
        assert_eq!(epochs.restored(), None);
        assert!(epochs.line().is_err(), "it is from nowhere");
        epochs.begin();
        let _ = epochs.restored();
        epochs.from(&Partition("t".to_owned(), 3), Some(40));
        assert_eq!((epochs.line(), epochs.line()), (Ok(()), Ok(())));
        let letter = epochs.dead_letter("bad".to_owned(), b"x").expect("a row is at hand");
        assert_eq!((letter.offset, letter.line_b64.as_str()), (Some(41), "eA=="));
        assert_eq!((epochs.end(&barrier(2)), epochs.end(&barrier(0))), (Ok(()), Ok(())));
        assert!(epochs.end(&barrier(1)).is_err());
    }

    #[test]
    fn the_last_tick_waits_until_the_state_is_back() {
        let mut epochs = Epochs::new("0:topk".to_owned());
        epochs.begin();
        assert!(epochs.holds(100) && epochs.holds(200));
        assert_eq!((epochs.restored(), epochs.holds(300)), (Some(200), false));
        assert_eq!(epochs.restored(), None);
    }
}
