//! What a command wrote, as the lines of a stream.

use memchr::{memchr, memchr_iter};
use pipe::mark::RS;

/// Copies blocks of bytes as lines: each ends in a newline, and in a marked stream those that start
/// with RS get one more.
#[derive(Debug)]
pub struct Stuffing {
    marked: bool,
    inside: bool,
    lines: u64,
}

impl Stuffing {
    /// Into a stream that is marked, or is not.
    #[must_use]
    pub fn new(marked: bool) -> Stuffing {
        Stuffing { marked, inside: false, lines: 0 }
    }

    /// Copies a block, which may begin and end anywhere in a line.
    pub fn push(&mut self, block: &[u8], out: &mut Vec<u8>) {
        let Some(&last) = block.last() else { return };
        if self.marked && memchr(RS, block).is_some() {
            for piece in block.split_inclusive(|byte| *byte == b'\n') {
                if !self.inside && piece[0] == RS {
                    out.push(RS);
                }
                out.extend_from_slice(piece);
                self.inside = !piece.ends_with(b"\n");
            }
        } else {
            out.extend_from_slice(block);
        }
        self.lines += memchr_iter(b'\n', block).count() as u64;
        self.inside = last != b'\n';
    }

    /// Ends the last line, and returns how many there were.
    pub fn finish(self, out: &mut Vec<u8>) -> u64 {
        if self.inside {
            out.push(b'\n');
        }
        self.lines + u64::from(self.inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(marked: bool, blocks: &[&[u8]]) -> (Vec<u8>, u64) {
        let (mut stuffing, mut out) = (Stuffing::new(marked), Vec::new());
        for block in blocks {
            stuffing.push(block, &mut out);
        }
        let lines = stuffing.finish(&mut out);
        (out, lines)
    }

    #[test]
    fn a_line_that_starts_as_a_mark_gets_one_more_rs_wherever_it_is_cut() {
        let text: &[u8] = b"\x1ea\nb\x1e\n\x1e\x1ec\n\n\x1e";
        let stuffed: &[u8] = b"\x1e\x1ea\nb\x1e\n\x1e\x1e\x1ec\n\n\x1e\x1e\n";
        for at in 0..=text.len() {
            let (first, rest) = text.split_at(at);
            assert_eq!(copied(true, &[first, rest]), (stuffed.to_vec(), 5), "cut at {at}");
        }
        assert_eq!(copied(false, &[text]), ([text, b"\n"].concat(), 5));
    }

    #[test]
    fn every_line_ends() {
        assert_eq!(copied(true, &[b"a", b"", b"b"]), (b"ab\n".to_vec(), 1));
        assert_eq!(copied(true, &[b"a\n", b"b\n"]), (b"a\nb\n".to_vec(), 2));
        assert_eq!(copied(true, &[b""]), (Vec::new(), 0));
    }
}
