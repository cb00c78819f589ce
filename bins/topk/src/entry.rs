//! The stage's state as entries of JSON, which can be stored and read again.
//!
//! The key of an entry is null for the [`crate::layout`], else an array: what it is, and which
//! one. Bytes and values are as in [`row::stored`]; keys are the bytes that [`row::key`] writes.

use serde_json::Value;

/// A changed entry of the state.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The input partition that it belongs to, by the output's number.
    pub at: u32,
    /// Which entry it is.
    pub key: Value,
    /// What it holds; null deletes it.
    pub value: Value,
}

impl Entry {
    /// An entry that is no more.
    #[must_use]
    pub fn deleted(at: u32, key: Value) -> Entry {
        Entry { at, key, value: Value::Null }
    }
}

/// Where an entry stands in the stored state, and whether it stands there as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filing {
    at: Option<u32>,
    settled: bool,
}

impl Filing {
    /// An entry that was stored under the partition `at` and has not changed.
    #[must_use]
    pub fn stored(at: u32) -> Filing {
        Filing { at: Some(at), settled: true }
    }

    /// The partition that it is stored under.
    #[must_use]
    pub fn at(self) -> Option<u32> {
        self.at
    }

    /// Whether it has to be stored again.
    #[must_use]
    pub fn is_due(self) -> bool {
        !self.settled
    }

    /// It has changed.
    pub fn change(&mut self) {
        self.settled = false;
    }

    /// It is stored under the partition `at`; returns the one to delete it under, if another.
    pub fn settle(&mut self, at: u32) -> Option<u32> {
        let old = self.at.filter(|&old| old != at);
        *self = Filing::stored(at);
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_moves_is_deleted_where_it_stood() {
        let mut filing = Filing::default();
        assert_eq!((filing.is_due(), filing.settle(3), filing.is_due()), (true, None, false));
        filing.change();
        assert_eq!((filing.is_due(), filing.at(), filing.settle(4)), (true, Some(3), Some(3)));
    }
}
