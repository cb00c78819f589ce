//! Rows that are kept, and how many may be.

use std::cmp::Ordering;
use std::fmt;

use crate::score::{Order, Score};

/// Bytes that a kept row takes beside its own.
const OVERHEAD_BYTES: usize = 128;

/// A row on its way in.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    /// What it is ranked by.
    pub score: Score<'a>,
    /// Its key, as [`row::key`] writes it; empty without keys.
    pub key: &'a [u8],
    /// The line it came in.
    pub line: &'a [u8],
    /// The input partition it came from, by the caller's number.
    pub partition: Option<u32>,
    /// How many rows came before it.
    pub arrival: u64,
}

/// A row that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// What it is ranked by.
    pub score: Score<'static>,
    /// Its key.
    pub key: Vec<u8>,
    /// The line it came in.
    pub line: Vec<u8>,
    /// The input partition it came from.
    pub partition: Option<u32>,
    /// How many rows came before it.
    pub arrival: u64,
}

impl Offer<'_> {
    /// The row, kept.
    #[must_use]
    pub fn keep(&self) -> Kept {
        Kept {
            score: self.score.to_owned(),
            key: self.key.to_vec(),
            line: self.line.to_vec(),
            partition: self.partition,
            arrival: self.arrival,
        }
    }

    /// Which row comes first: `Less` when this one does.
    #[must_use]
    pub fn compare(&self, other: &Kept, order: Order) -> Ordering {
        compare((&self.score, self.key, self.arrival), other.place(), order)
    }

    /// Bytes that it takes when it is kept.
    #[must_use]
    pub fn size(&self) -> usize {
        OVERHEAD_BYTES + self.score.size() + self.key.len() + self.line.len()
    }
}

impl Kept {
    /// Takes the place of this row, in its memory.
    pub fn replace(&mut self, offer: &Offer<'_>) {
        self.score = offer.score.to_owned();
        self.key.clear();
        self.key.extend_from_slice(offer.key);
        self.line.clear();
        self.line.extend_from_slice(offer.line);
        self.partition = offer.partition;
        self.arrival = offer.arrival;
    }

    /// Which row comes first: `Less` when this one does.
    #[must_use]
    pub fn compare(&self, other: &Kept, order: Order) -> Ordering {
        compare(self.place(), other.place(), order)
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        OVERHEAD_BYTES + self.score.size() + self.key.len() + self.line.len()
    }

    fn place(&self) -> Place<'_> {
        (&self.score, &self.key, self.arrival)
    }
}

/// What decides where a row stands: its score, its key and its arrival.
type Place<'a> = (&'a Score<'a>, &'a [u8], u64);

fn compare(one: Place<'_>, other: Place<'_>, order: Order) -> Ordering {
    let by_key = || one.1.cmp(other.1).then(one.2.cmp(&other.2));
    one.0.compare(other.0, order).then_with(by_key)
}

/// Rows and bytes that may be kept, over all windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows.
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
            Full::Rows(_) => f.write_str("there are more keys than that; give a larger limit"),
            Full::Bytes(_) => f.write_str("the rows take more than that; give a larger limit"),
        }
    }
}

/// What is kept, against the limits.
#[derive(Clone, Debug)]
pub struct Budget {
    limits: Limits,
    rows: usize,
    bytes: usize,
}

impl Budget {
    /// A budget of which nothing is used.
    #[must_use]
    pub fn new(limits: Limits) -> Budget {
        Budget { limits, rows: 0, bytes: 0 }
    }

    /// Takes a row of `bytes` in.
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

    /// Lets a row of `bytes` go.
    pub fn give_back(&mut self, bytes: usize) {
        self.rows -= 1;
        self.bytes -= bytes;
    }

    /// Puts a row of `new` bytes in the place of one of `old` bytes.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn exchange(&mut self, old: usize, new: usize) -> Result<(), Full> {
        self.give_back(old);
        self.take(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_go_makes_room() {
        let mut budget = Budget::new(Limits { rows: 1, bytes: 100 });
        assert_eq!(budget.take(60), Ok(()));
        assert_eq!(budget.exchange(60, 100), Ok(()));
        assert_eq!(budget.exchange(100, 101), Err(Full::Bytes(100)));
        budget.give_back(101);
        assert_eq!(budget.take(1), Ok(()));
        assert_eq!(budget.take(1), Err(Full::Rows(1)));
    }
}
