//! Rows that are kept.

use std::cmp::Ordering;

use row::stored;
use serde_json::{Value, json};

use crate::entry::Filing;
use crate::score::{Order, Score};

/// Bytes that a kept row takes beside its own.
const OVERHEAD_BYTES: usize = 160;

/// A row on its way in.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    /// What it is ranked by.
    pub score: Score<'a>,
    /// Its group and its key, as [`row::key`] writes them; empty without either.
    pub key: &'a [u8],
    /// Bytes of the key that are the group.
    pub group: usize,
    /// The line it came in.
    pub line: &'a [u8],
    /// The end of its window, when it has one.
    pub window: Option<i64>,
    /// The input partition it came from, by the output's number.
    pub partition: Option<u32>,
    /// How many rows came before it.
    pub arrival: u64,
}

/// A row that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// What it is ranked by.
    pub score: Score<'static>,
    /// Its group and its key.
    pub key: Vec<u8>,
    /// Bytes of the key that are the group.
    pub group: usize,
    /// The line it came in.
    pub line: Vec<u8>,
    /// The end of its window.
    pub window: Option<i64>,
    /// The input partition it came from.
    pub partition: Option<u32>,
    /// How many rows came before it.
    pub arrival: u64,
    /// Where it is stored.
    pub filing: Filing,
}

impl<'a> Offer<'a> {
    /// The row, kept.
    #[must_use]
    pub fn keep(&self) -> Kept {
        Kept {
            score: self.score.to_owned(),
            key: self.key.to_vec(),
            group: self.group,
            line: self.line.to_vec(),
            window: self.window,
            partition: self.partition,
            arrival: self.arrival,
            filing: Filing::default(),
        }
    }

    /// Its group; empty when there is one for all.
    #[must_use]
    pub fn group(&self) -> &'a [u8] {
        &self.key[..self.group]
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
    /// Takes the place of this row, in its memory, and where it is stored.
    pub fn replace(&mut self, offer: &Offer<'_>) {
        self.score = offer.score.to_owned();
        self.key.clear();
        self.key.extend_from_slice(offer.key);
        self.group = offer.group;
        self.line.clear();
        self.line.extend_from_slice(offer.line);
        self.window = offer.window;
        self.partition = offer.partition;
        self.arrival = offer.arrival;
        self.filing.change();
    }

    /// Its group; empty when there is one for all.
    #[must_use]
    pub fn group(&self) -> &[u8] {
        &self.key[..self.group]
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

    /// The key of its entry in the stored state: the row's own key, with its window, or its
    /// arrival.
    #[must_use]
    pub fn entry_key(&self, by_key: bool) -> Value {
        match (by_key, self.window) {
            (false, _) => json!(["row", self.arrival]),
            (true, None) => json!(["row", stored::bytes(&self.key)]),
            (true, Some(end)) => json!(["row", stored::bytes(&self.key), end]),
        }
    }

    /// What its entry in the stored state holds: all else follows from the line.
    #[must_use]
    pub fn entry_value(&self) -> Value {
        json!({ "arrival": self.arrival, "line": stored::bytes(&self.line) })
    }

    /// The line and the arrival of an entry.
    #[must_use]
    pub fn of_entry(value: &Value) -> Option<(Vec<u8>, u64)> {
        Some((stored::read_bytes(value.get("line")?)?, value.get("arrival")?.as_u64()?))
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
