//! Lines that are kept until they are produced together.

use std::ops::Range;

/// Lines and their numbers, in one piece of memory that is used again.
#[derive(Debug, Default)]
pub struct Spool {
    bytes: Vec<u8>,
    /// The number of each line, and where it ends.
    lines: Vec<(u64, usize)>,
}

impl Spool {
    /// Appends a line under `number`.
    pub fn push(&mut self, number: u64, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.lines.push((number, self.bytes.len()));
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many bytes the lines have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How much memory the lines take, which an empty one does too.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes.len() + size_of_val(self.lines.as_slice())
    }

    /// The lines in these places, with their numbers, in order.
    pub fn lines(&self, places: Range<usize>) -> impl Iterator<Item = (u64, &[u8])> {
        let mut start = places.start.checked_sub(1).map_or(0, |before| self.lines[before].1);
        self.lines[places].iter().map(move |&(number, end)| {
            let line = &self.bytes[start..end];
            start = end;
            (number, line)
        })
    }

    /// The place of line `number`, which is the first one's that is not less.
    #[must_use]
    pub fn place(&self, number: u64) -> usize {
        self.lines.partition_point(|&(one, _)| one < number)
    }

    /// Lets go of all lines, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_with_their_numbers() {
        let mut spool = Spool::default();
        for (number, line) in [(3, &b"a"[..]), (4, b""), (9, b"bc\0")] {
            spool.push(number, line);
        }
        let lines: Vec<_> = spool.lines(0..3).collect();
        assert_eq!(lines, [(3, &b"a"[..]), (4, b""), (9, b"bc\0")]);
        for first in [4, 5, 10] {
            let rest = lines.iter().filter(|(number, _)| *number >= first).copied();
            assert!(spool.lines(spool.place(first)..3).eq(rest), "{first}");
        }
        assert_eq!((spool.len(), spool.bytes()), (3, 4));
        spool.clear();
        assert!(spool.is_empty() && spool.memory() == 0);
    }
}
