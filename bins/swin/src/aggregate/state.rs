//! Parts of aggregates that are stored one behind the other.

use serde_json::Value as Json;

use super::Stamp;

/// The elements of an array, one after the other.
pub(super) struct Parts<'s>(std::slice::Iter<'s, Json>);

impl<'s> Parts<'s> {
    /// `None` when it is no array.
    pub(super) fn of(stored: &'s Json) -> Option<Parts<'s>> {
        stored.as_array().map(|parts| Parts(parts.iter()))
    }

    pub(super) fn next(&mut self) -> Option<&'s Json> {
        self.0.next()
    }

    pub(super) fn next_stamp(&mut self) -> Option<Stamp> {
        let (time, arrival) = (self.next()?.as_i64()?, self.next()?.as_u64()?);
        Some(Stamp { time, arrival })
    }

    pub(super) fn left(&self) -> usize {
        self.0.len()
    }
}
