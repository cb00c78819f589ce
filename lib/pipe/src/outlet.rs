//! What a stage writes into a marked stream: data lines, where they come from, marks, and the
//! entries of its state.

use serde_json::Value as Json;

use crate::exit::{Error, Result};
use crate::mark::{Barrier, Mark, Partition};

/// Bytes that an entry of a stage's state may have as a mark, so that it fits a record: by
/// default a broker takes one of a mebibyte.
pub const ENTRY_BYTES_MAX: usize = 900_000;

/// The bytes that a stage has written, with marks between the lines when the stream is marked.
#[derive(Debug, Default)]
pub struct Outlet {
    /// What was written and not taken yet.
    pub bytes: Vec<u8>,
    marked: bool,
    partitions: Vec<Partition>,
    /// The number of the partition that lines are said to come from.
    from: Option<usize>,
    /// Data lines since the last barrier.
    lines: u64,
}

impl Outlet {
    /// Writes marks from now on.
    pub fn open(&mut self) {
        self.marked = true;
    }

    /// Whether marks are written.
    #[inline]
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.marked
    }

    /// Only `assigned` have numbers from now on, in their order. The next stage forgets all that
    /// it was told.
    pub fn assign(&mut self, assigned: &[Partition]) {
        self.partitions = assigned.to_vec();
        self.partitions.sort_unstable();
        self.partitions.dedup();
        (self.from, self.lines) = (None, 0);
    }

    /// The partitions, by their numbers.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The number of a partition; one that no assignment named gets the next.
    pub fn number_of(&mut self, at: &Partition) -> usize {
        let known = self.partitions.iter().position(|known| known == at);
        known.unwrap_or_else(|| {
            self.partitions.push(at.clone());
            self.partitions.len() - 1
        })
    }

    /// Says that the next data lines come from the partition of this number, unless it was said.
    #[inline]
    pub fn from(&mut self, number: usize) {
        if self.marked
            && self.from != Some(number)
            && let Some(at) = self.partitions.get(number)
        {
            self.from = Some(number);
            Mark::From { at: at.clone(), offset: None }.write(&mut self.bytes);
        }
    }

    /// So many data lines were, or will be, written.
    #[inline]
    pub fn count(&mut self, lines: u64) {
        self.lines += lines;
    }

    /// Passes a mark on.
    pub fn pass(&mut self, line: &[u8]) {
        if self.marked {
            self.bytes.extend_from_slice(line);
            self.bytes.push(b'\n');
        }
    }

    /// Writes a mark of this stage.
    pub fn mark(&mut self, mark: &Mark) {
        if self.marked {
            mark.write(&mut self.bytes);
        }
    }

    /// Ends an epoch, with the number of lines that this stage wrote in it.
    pub fn barrier(&mut self, barrier: &Barrier) {
        let lines = std::mem::take(&mut self.lines);
        self.mark(&Mark::Barrier(Barrier { lines, ..barrier.clone() }));
    }

    /// Writes a changed entry of the state of `stage`, of the partition of this number; null
    /// deletes it.
    ///
    /// # Errors
    /// When it has more than [`ENTRY_BYTES_MAX`]; `remedy` says what the caller can do.
    pub fn entry(
        &mut self,
        stage: &str,
        number: usize,
        key: Json,
        value: Json,
        remedy: &str,
    ) -> Result<()> {
        let Some(at) = self.partitions.get(number).cloned() else { return Ok(()) };
        let start = self.bytes.len();
        let mark = Mark::State { stage: stage.to_owned(), at, key, value };
        self.mark(&mark);
        let bytes = self.bytes.len() - start;
        if let Mark::State { key, .. } = mark
            && bytes > ENTRY_BYTES_MAX
        {
            self.bytes.truncate(start);
            let shown: String = key.to_string().chars().take(100).collect();
            return Err(Error::world(
                format!("the state of {stage}, {shown}"),
                format!("{bytes} bytes, and an entry has at most {ENTRY_BYTES_MAX}: {remedy}"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn partition(number: i32) -> Partition {
        Partition("t".to_owned(), number)
    }

    fn opened() -> Outlet {
        let mut outlet = Outlet::default();
        outlet.open();
        outlet.assign(&[partition(4), partition(3), partition(4)]);
        outlet
    }

    fn text(outlet: &Outlet) -> &str {
        std::str::from_utf8(&outlet.bytes).expect("UTF-8")
    }

    #[test]
    fn partitions_are_numbered_in_their_order() {
        let mut outlet = opened();
        let numbers = [3, 4, 1, 3].map(|number| outlet.number_of(&partition(number)));
        assert_eq!(numbers, [0, 1, 2, 0], "one that was not assigned is the next");
        assert_eq!(outlet.partitions(), [partition(3), partition(4), partition(1)]);
    }

    #[test]
    fn where_lines_come_from_is_said_when_it_changes() {
        let mut outlet = opened();
        for number in [0, 0, 1, 0] {
            outlet.from(number);
        }
        let from = |number| format!("\x1e{{\"mark\":\"from\",\"at\":[\"t\",{number}]}}\n");
        assert_eq!(text(&outlet), [3, 4, 3].map(from).concat());
        outlet.bytes.clear();
        outlet.assign(&[partition(3)]);
        outlet.from(0);
        assert_eq!(text(&outlet), from(3), "the next stage has forgotten it");
    }

    #[test]
    fn a_barrier_counts_the_lines_since_the_one_before() {
        let mut outlet = opened();
        let barrier = Barrier {
            epoch: 1,
            lines: 9,
            group: None,
            generation: 1,
            member: "m".to_owned(),
            instance: None,
            offsets: Vec::new(),
            last: None,
        };
        outlet.count(2);
        outlet.count(1);
        outlet.barrier(&barrier);
        outlet.barrier(&barrier);
        let lines: Vec<&str> = text(&outlet).lines().collect();
        assert!(lines[0].contains("\"lines\":3") && lines[1].contains("\"lines\":0"), "{lines:?}");
    }

    #[test]
    fn without_marks_only_data_is_written() {
        let mut outlet = Outlet::default();
        outlet.assign(&[partition(3)]);
        outlet.from(0);
        outlet.pass(b"\x1e{}");
        outlet.mark(&Mark::Tick { ms: 1 });
        assert_eq!(outlet.entry("0:x", 0, json!(1), json!(2), ""), Ok(()));
        assert_eq!(text(&outlet), "");
    }

    #[test]
    fn an_entry_has_to_fit_a_record() {
        let mut outlet = opened();
        let empty = outlet.entry("0:x", 0, json!(1), json!(""), "").map(|()| outlet.bytes.len());
        let left = ENTRY_BYTES_MAX - empty.expect("it is short");
        outlet.bytes.clear();
        let mut entry = |bytes| outlet.entry("0:x", 0, json!(1), json!("x".repeat(bytes)), "less");
        assert_eq!(entry(left), Ok(()));
        let refused = entry(left + 1).expect_err("it is too long");
        let expected = "the state of 0:x, 1: 900001 bytes, and an entry has at most 900000: less";
        assert!(format!("{refused:?}").contains(expected), "{refused:?}");
        assert_eq!(outlet.bytes.len(), ENTRY_BYTES_MAX, "nothing of it is written");
    }
}
