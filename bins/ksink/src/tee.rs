//! Lines that go on to stdout in their order, each once it is acknowledged.

use std::collections::VecDeque;

/// Lines that wait for their acknowledgement or for that of one before them.
#[derive(Debug, Default)]
pub struct Tee {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    line: Box<[u8]>,
    /// Whether the line is in the topic; `None` before this is known.
    written: Option<bool>,
}

impl Waiting {
    /// Bytes that it takes in memory, which an empty line does too.
    fn bytes(&self) -> usize {
        size_of::<Waiting>() + self.line.len()
    }
}

impl Tee {
    /// Bytes of memory that the waiting lines take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a line under `number`, which is larger than those before.
    pub fn push(&mut self, number: u64, line: &[u8]) {
        let one = Waiting { number, line: line.into(), written: None };
        self.bytes += one.bytes();
        self.waiting.push_back(one);
    }

    /// Learns whether line `number` is in the topic, and appends to `out` the lines that go now.
    /// Those that are not in the topic are left out.
    pub fn settle(&mut self, number: u64, written: bool, out: &mut Vec<u8>) {
        let at = self.waiting.partition_point(|one| one.number < number);
        if let Some(one) = self.waiting.get_mut(at).filter(|one| one.number == number) {
            one.written = Some(written);
        }
        while let Some(one) = self.waiting.pop_front_if(|one| one.written.is_some()) {
            self.bytes -= one.bytes();
            if one.written == Some(true) {
                out.extend_from_slice(&one.line);
                out.push(b'\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_order_whatever_order_they_are_acknowledged_in() {
        let (mut tee, mut out) = (Tee::default(), Vec::new());
        for (number, line) in [(2, "a"), (3, "b"), (5, ""), (6, "d")] {
            tee.push(number, line.as_bytes());
        }
        tee.settle(5, true, &mut out);
        tee.settle(3, true, &mut out);
        assert_eq!(out, b"");
        tee.settle(2, true, &mut out);
        assert_eq!(out, b"a\nb\n\n");
        tee.settle(6, true, &mut out);
        assert_eq!(out, b"a\nb\n\nd\n");
    }

    #[test]
    fn a_line_that_failed_is_left_out_and_holds_nothing_up() {
        let (mut tee, mut out) = (Tee::default(), Vec::new());
        tee.push(1, b"a");
        tee.push(2, b"b");
        tee.settle(2, true, &mut out);
        tee.settle(1, false, &mut out);
        // A number that is not waiting changes nothing.
        tee.settle(7, true, &mut out);
        assert_eq!(out, b"b\n");
    }

    #[test]
    fn lines_are_counted_as_long_as_they_wait() {
        let (mut tee, mut out) = (Tee::default(), Vec::new());
        tee.push(1, b"");
        let empty = tee.bytes();
        assert!(empty > 0);
        tee.push(2, b"four");
        tee.settle(2, true, &mut out);
        assert_eq!(tee.bytes(), 2 * empty + 4);
        tee.settle(1, true, &mut out);
        assert_eq!(tee.bytes(), 0);
    }
}
