//! What is kept, against the limits, and what of the stored state is to be deleted.

use std::fmt;

use crate::entry::Entry;
use crate::kept::{Kept, Offer};

/// Rows and bytes that may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows, or keys.
    pub rows: usize,
    /// Bytes.
    pub bytes: usize,
}

/// The limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Of rows.
    Rows(usize),
    /// Of bytes.
    Bytes(usize),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Full::Rows(rows) => {
                write!(f, "more than {rows} keys at a time; --max-keys allows more")
            }
            Full::Bytes(bytes) => {
                write!(f, "what is kept takes more than {bytes} bytes; --max-memory allows more")
            }
        }
    }
}

/// Counts what is kept, and remembers what was let go after it had been stored.
#[derive(Clone, Debug)]
pub struct Ledger {
    limits: Limits,
    rows: usize,
    bytes: usize,
    /// Whether a row is stored under its key, and not under its arrival.
    by_key: bool,
    gone: Vec<Entry>,
}

impl Ledger {
    /// A ledger of nothing; with `by_key` there is one row of each key, and of each window.
    #[must_use]
    pub fn new(limits: Limits, by_key: bool) -> Ledger {
        Ledger { limits, rows: 0, bytes: 0, by_key, gone: Vec::new() }
    }

    /// Takes `bytes` of one more row or key in.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn take(&mut self, bytes: usize) -> Result<(), Full> {
        self.rows += 1;
        self.bytes += bytes;
        if self.rows > self.limits.rows {
            return Err(Full::Rows(self.limits.rows));
        }
        if self.bytes > self.limits.bytes {
            return Err(Full::Bytes(self.limits.bytes));
        }
        Ok(())
    }

    /// How many rows or keys are kept.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Lets a row go.
    pub fn let_go(&mut self, row: &Kept) {
        self.rows -= 1;
        self.bytes -= row.size();
        self.delete(row);
    }

    /// Puts a row in the place of the one before it of the same key, which it takes over in the
    /// stored state.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn exchange(&mut self, old: &Kept, new: &Offer<'_>) -> Result<(), Full> {
        self.rows -= 1;
        self.bytes -= old.size();
        self.take(new.size())
    }

    /// A row that was not kept is not to be stored either.
    pub fn delete(&mut self, row: &Kept) {
        if let Some(at) = row.filing.at() {
            self.gone.push(Entry::deleted(at, row.entry_key(self.by_key)));
        }
    }

    /// Adds to `entries` what was let go, and the row if it has changed since the last time.
    pub fn file(&self, row: &mut Kept, entries: &mut Vec<Entry>) {
        let Some(at) = row.partition.filter(|_| row.filing.is_due()) else { return };
        let key = row.entry_key(self.by_key);
        if let Some(old) = row.filing.settle(at) {
            entries.push(Entry::deleted(old, key.clone()));
        }
        entries.push(Entry { at, key, value: row.entry_value() });
    }

    /// What was let go since the last time.
    pub fn gone(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.gone)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Ledger::new(self.limits, self.by_key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Score;

    fn offer(line: &[u8]) -> Offer<'_> {
        let (key, group, window) = (&b"k"[..], 0, None);
        Offer { score: Score::Null, key, group, line, window, partition: Some(0), arrival: 0 }
    }

    #[test]
    fn what_is_let_go_makes_room() {
        let (short, long) = (offer(b""), offer(b"line"));
        let mut ledger = Ledger::new(Limits { rows: 1, bytes: short.size() + 1 }, true);
        assert_eq!(ledger.take(short.size()), Ok(()));
        assert_eq!(ledger.exchange(&short.keep(), &short), Ok(()));
        let full = Err(Full::Bytes(short.size() + 1));
        assert_eq!(ledger.exchange(&short.keep(), &long), full);
        ledger.let_go(&long.keep());
        assert_eq!(ledger.take(1), Ok(()));
        assert_eq!(ledger.take(1), Err(Full::Rows(1)));
    }

    #[test]
    fn what_was_stored_is_deleted_where_it_stood() {
        let mut ledger = Ledger::new(Limits { rows: 9, bytes: 9999 }, true);
        let mut entries = Vec::new();
        let mut row = offer(b"x").keep();
        ledger.delete(&row);
        assert_eq!(ledger.gone(), [], "what was never stored need not be deleted");
        ledger.file(&mut row, &mut entries);
        ledger.file(&mut row, &mut entries);
        assert_eq!(entries.len(), 1, "what has not changed is not stored again");
        row.replace(&Offer { partition: Some(1), ..offer(b"y") });
        ledger.file(&mut row, &mut entries);
        let deleted = Entry::deleted(0, row.entry_key(true));
        assert_eq!((entries[1].clone(), entries[2].at), (deleted, 1));
        ledger.delete(&row);
        assert_eq!(ledger.gone(), [Entry::deleted(1, row.entry_key(true))]);
    }
}
