//! The different values, exactly.

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use row::value::Value;
use row::{key, stored};
use serde_json::Value as Json;

/// The different values: those that would be different keys.
#[derive(Clone, Debug)]
pub struct Distinct {
    /// The values as `row::key` writes a key of one column.
    values: HashSet<Box<[u8]>, FixedState>,
    /// The bytes of all values.
    bytes: usize,
}

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct { values: HashSet::with_hasher(FixedState::with_seed(0)), bytes: 0 }
    }
}

impl PartialEq for Distinct {
    fn eq(&self, other: &Distinct) -> bool {
        self.values == other.values
    }
}

impl Distinct {
    /// Adds a value, written as a key of one column.
    pub(super) fn add(&mut self, value: &[u8]) {
        if !self.values.contains(value) {
            self.values.insert(value.into());
            self.bytes += value.len();
        }
    }

    pub(super) fn merge(&mut self, other: &Distinct) {
        other.values.iter().for_each(|value| self.add(value));
    }

    pub(super) fn count(&self) -> usize {
        self.values.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.values.allocation_size() + self.bytes
    }

    /// The values, sorted, so that equal sets are equal texts.
    pub(super) fn store(&self) -> Json {
        let mut sorted: Vec<&[u8]> = self.values.iter().map(AsRef::as_ref).collect();
        sorted.sort_unstable();
        let stored = sorted.into_iter().map(|value| {
            let mut columns = Vec::with_capacity(1);
            key::read(value, 1, &mut columns);
            stored::value(columns.first().unwrap_or(&Value::Null))
        });
        Json::Array(stored.collect())
    }

    pub(super) fn restore(stored: &Json) -> Option<Distinct> {
        let (mut distinct, mut buffer) = (Distinct::default(), Vec::new());
        for value in stored.as_array()? {
            buffer.clear();
            key::push(&stored::read_value(value)?, 1, &mut buffer);
            distinct.add(&buffer);
        }
        Some(distinct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[Value<'_>]) -> Distinct {
        let mut distinct = Distinct::default();
        for value in values {
            let mut written = Vec::new();
            key::push(value, 1, &mut written);
            distinct.add(&written);
        }
        distinct
    }

    fn text(text: &str) -> Value<'_> {
        Value::Text(text.as_bytes().into())
    }

    #[test]
    fn values_are_different_when_they_would_be_different_keys() {
        let string = Value::Str(b"1"[..].into());
        let values = [text("1"), text("1.0"), text("1"), text(""), Value::Int(1), string];
        assert_eq!(of(&values).count(), 4, "a number is its digits, a string is none");
    }

    #[test]
    fn what_is_in_both_panes_counts_once() {
        let mut merged = of(&[text("a"), text("b")]);
        merged.merge(&of(&[text("b"), text("c")]));
        assert_eq!(merged.count(), 3);
        assert!(merged == of(&["c", "b", "a"].map(text)) && merged != of(&["a", "b"].map(text)));
    }

    #[test]
    fn equal_sets_are_stored_as_equal_texts() {
        let values: Vec<String> = (0..100).map(|i| i.to_string()).collect();
        let mut values: Vec<Value<'_>> = values.iter().map(|value| text(value)).collect();
        let stored = of(&values).store();
        values.reverse();
        assert_eq!(of(&values).store(), stored);
        assert!(Distinct::restore(&stored) == Some(of(&values)));
    }
}
