//! Lines of bytes, handed out as slices of one reused buffer.
//!
//! A line is whatever stands before a delimiter; bytes are never looked at otherwise. A last line
//! without a delimiter counts.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use memchr::memchr;

use crate::exit::Result;
use crate::stdio::Input;

/// Bytes that a line may have unless `--max-line` says otherwise.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Bytes asked for by one read: more than a pipe holds, small enough for the second-level cache.
const READ_BYTES: usize = 128 << 10;

/// Bytes of an over-long line that are kept to show it.
const HEAD_BYTES: usize = 64;

/// A line of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its delimiter.
    Whole(&'a [u8]),
    /// The last line of the input, which had no delimiter.
    Torn(&'a [u8]),
    /// A line longer than the limit: its first bytes, and how many it had in all.
    Long(&'a [u8], u64),
}

/// What came of waiting for input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// There may be lines now.
    Data,
    /// The time is over, or a signal came.
    Quiet,
    /// The input has ended and every line was handed out.
    End,
}

/// The lines of an [`Input`].
///
/// Take lines with [`Lines::next_line`] until there is none, flush the output, then call
/// [`Lines::fill`]: so nothing that was read is held back while the program waits.
#[derive(Debug)]
pub struct Lines {
    input: Input,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    delimiter: u8,
    line_bytes_max: usize,
    number: u64,
    ended: bool,
    /// Bytes that were read.
    read: u64,
    /// Bytes of an over-long line that were read and let go.
    skipped: u64,
    head: Vec<u8>,
}

impl Lines {
    /// The lines of `input` that end in `delimiter` and have at most `line_bytes_max` bytes.
    #[must_use]
    pub fn new(input: Input, delimiter: u8, line_bytes_max: usize) -> Lines {
        Lines {
            input,
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            delimiter,
            line_bytes_max,
            number: 0,
            ended: false,
            read: 0,
            skipped: 0,
            head: Vec::new(),
        }
    }

    /// The number of the line handed out last, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Bytes of the input that were read, those of lines still to be handed out among them.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Whether the input has ended, so that nothing more comes into the buffer.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The input's name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.input.name()
    }

    /// The next line that is in the buffer, or `None` when [`Lines::fill`] must bring more.
    #[inline]
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        let rest = &self.buffer[self.start..self.end];
        let Some(length) = memchr(self.delimiter, rest) else {
            return self.last_line();
        };
        let from = self.start;
        self.start += length + 1;
        self.number += 1;
        if length > self.line_bytes_max || self.skipped > 0 {
            return Some(self.long_line(from, length));
        }
        Some(Line::Whole(&self.buffer[from..from + length]))
    }

    /// The bytes that are in the buffer and were not handed out, whatever lines they are.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes so many of [`Lines::unread`] as handed out.
    pub fn skip(&mut self, bytes: usize) {
        self.start = self.end.min(self.start + bytes);
    }

    /// The lines that [`Lines::next_line`] hands out next, as far as they are in the buffer.
    pub fn ahead(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.buffer[self.start..self.end];
        std::iter::from_fn(move || {
            let (line, after) = rest.split_at(memchr(self.delimiter, rest)?);
            rest = &after[1..];
            Some(line)
        })
    }

    /// Offers the bytes that are in the buffer from the next line on, as long as `take` takes that
    /// line: it returns how many bytes the line has, without the delimiter that follows, and has
    /// it then for good. It sees no more than a line within the limit may have.
    #[inline]
    pub fn offer<'a>(&'a mut self, mut take: impl FnMut(&'a [u8], u8) -> Option<usize>) {
        // An over-long line's rest is not a line.
        let end = if self.skipped > 0 { self.start } else { self.end };
        let seen_max = self.line_bytes_max.saturating_add(1);
        let mut rest = &self.buffer[self.start..end];
        while let Some(length) = take(&rest[..rest.len().min(seen_max)], self.delimiter) {
            rest = &rest[length + 1..];
            self.number += 1;
        }
        self.start = end - rest.len();
    }

    /// The lines that are in the buffer as far as they are whole and within the limit, so that
    /// many can be borrowed at once; what ends them is told by [`Lines::next_line`].
    pub fn whole_lines(&mut self) -> WholeLines<'_> {
        // An over-long line's rest is not a line.
        let end = if self.skipped > 0 { self.start } else { self.end };
        WholeLines {
            rest: &self.buffer[self.start..end],
            start: &mut self.start,
            number: &mut self.number,
            delimiter: self.delimiter,
            line_bytes_max: self.line_bytes_max,
        }
    }

    /// The line after the last delimiter, once the input has ended.
    #[cold]
    fn last_line(&mut self) -> Option<Line<'_>> {
        let length = self.end - self.start;
        if !self.ended || (length == 0 && self.skipped == 0) {
            return None;
        }
        let from = self.start;
        self.start = self.end;
        self.number += 1;
        if length > self.line_bytes_max || self.skipped > 0 {
            return Some(self.long_line(from, length));
        }
        Some(Line::Torn(&self.buffer[from..from + length]))
    }

    #[cold]
    fn long_line(&mut self, from: usize, length: usize) -> Line<'_> {
        self.let_go(from, length);
        let bytes = std::mem::take(&mut self.skipped);
        Line::Long(&self.head, bytes)
    }

    /// Counts a piece of an over-long line, and keeps of it what the head still lacks.
    fn let_go(&mut self, from: usize, length: usize) {
        if self.skipped == 0 {
            self.head.clear();
        }
        let lacking = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&self.buffer[from..from + length.min(lacking)]);
        self.skipped += length as u64;
    }

    /// Reads on, waiting at most for `wait` (`None`: for ever). The lines that were there must
    /// have been taken: what is left counts as the beginning of one unfinished line.
    ///
    /// # Errors
    /// When the read fails.
    pub fn fill(&mut self, wait: Option<Duration>) -> Result<Fill> {
        if self.ended {
            let left = self.start < self.end || self.skipped > 0;
            return Ok(if left { Fill::Data } else { Fill::End });
        }
        self.make_room();
        match self.input.read(&mut self.buffer[self.end..], wait)? {
            None => Ok(Fill::Quiet),
            Some(0) => {
                self.ended = true;
                self.fill(wait)
            }
            Some(bytes) => {
                self.end += bytes;
                self.read += bytes as u64;
                Ok(Fill::Data)
            }
        }
    }

    /// Moves the unfinished line to the front, and grows or lets go when it fills the buffer.
    fn make_room(&mut self) {
        let unfinished = self.end - self.start;
        if unfinished > self.line_bytes_max || self.skipped > 0 {
            self.let_go(self.start, unfinished);
            self.end = self.start;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() - self.end < READ_BYTES / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }
}

/// To wait for input together with something else.
impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }
}

/// Iterator of [`Lines::whole_lines`]; a line that it did not hand out stays in the buffer.
#[derive(Debug)]
pub struct WholeLines<'a> {
    rest: &'a [u8],
    start: &'a mut usize,
    number: &'a mut u64,
    delimiter: u8,
    line_bytes_max: usize,
}

impl<'a> Iterator for WholeLines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let length = memchr(self.delimiter, self.rest)?;
        if length > self.line_bytes_max {
            return None;
        }
        let (line, rest) = self.rest.split_at(length);
        self.rest = &rest[1..];
        *self.start += length + 1;
        *self.number += 1;
        Some(line)
    }
}
