//! Lines that come in from outside, as they are typed.

use memchr::memchr;

use crate::form::{Form, Frame};
use crate::part::Part;

/// The rows of the profile `stdin`.
#[derive(Debug)]
pub struct Typed {
    frame: Frame,
    part: Part,
    /// How many lines came in.
    lines: u64,
    /// Those that are rows of the part and were not written.
    waiting: Vec<u8>,
    /// How many bytes of these were written.
    taken: usize,
}

impl Typed {
    /// Rows of a part of the lines, each after its time when `timed`.
    #[must_use]
    pub fn new(part: Part, timed: bool) -> Typed {
        let frame = Frame::new(Form::Text, ",", timed, &[crate::form::Column::text("line")]);
        Typed { frame, part, lines: 0, waiting: Vec::new(), taken: 0 }
    }

    /// What stands around a line.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Takes in the next line, without its newline; how many came in with it.
    pub fn take_in(&mut self, line: &[u8]) -> u64 {
        if self.taken == self.waiting.len() {
            self.waiting.clear();
            self.taken = 0;
        }
        let row = self.lines;
        if row >= self.part.first && self.part.shard.has(row) {
            self.waiting.extend_from_slice(line);
            self.waiting.push(b'\n');
        }
        self.lines += 1;
        self.lines
    }

    /// Appends the next line, which has the time `ms`.
    pub fn write(&mut self, ms: i64, out: &mut Vec<u8>) {
        let rest = &self.waiting[self.taken..];
        let length = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        self.frame.write_time(ms, out);
        out.extend_from_slice(self.frame.before(0).as_bytes());
        out.extend_from_slice(&rest[..length]);
        self.taken += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Shard;

    #[test]
    fn lines_go_on_as_they_came_as_far_as_they_belong_to_the_part() {
        let part = Part { first: 2, count: 9, shard: Shard { index: 1, count: 2 } };
        let mut typed = Typed::new(part, true);
        for line in ["a", "b", "c", "\u{1f600}", "e", ""] {
            typed.take_in(line.as_bytes());
        }
        let mut out = Vec::new();
        typed.write(5, &mut out);
        typed.write(6, &mut out);
        assert_eq!(typed.take_in(b"g"), 7);
        assert_eq!(String::from_utf8_lossy(&out), "5,\u{1f600}\n6,\n");
    }
}
