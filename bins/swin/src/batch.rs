//! Plain lines, taken side by side: all are read, then all their keys are looked for, then they
//! are counted. So memory is waited for once and not once a row, and what all have in common is
//! asked once.

use row::key::Key;
use row::plain::Line;
use row::value::Number;

use crate::store::Id;

/// Lines in a batch: enough to wait for memory side by side.
pub const LINES: usize = 64;

/// A plain line.
#[derive(Clone, Copy, Debug)]
pub struct Row<'l> {
    /// The line, with its time and key.
    pub line: Line<'l>,
    /// The number that its key had when it was looked for.
    pub id: Option<Id>,
}

/// Plain lines, in their order.
#[derive(Debug)]
pub struct Batch<'l> {
    rows: [Row<'l>; LINES],
    count: usize,
    /// The numbers of each row.
    numbers: &'l mut [Number],
    width: usize,
    times: Times,
}

/// The times of several rows, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// That of the first row.
    pub first: i64,
    /// The least.
    pub least: i64,
    /// The greatest.
    pub greatest: i64,
    /// How far one was ahead of all before it, at most.
    pub leap: i64,
}

impl Times {
    const NONE: Times = Times { first: 0, least: i64::MAX, greatest: i64::MIN, leap: 0 };

    #[inline]
    fn add(&mut self, time: i64) {
        if self.greatest == i64::MIN {
            (self.first, self.greatest) = (time, time);
        }
        self.leap = self.leap.max(time - self.greatest);
        self.least = self.least.min(time);
        self.greatest = self.greatest.max(time);
    }
}

impl<'l> Batch<'l> {
    /// An empty batch of rows of `width` numbers.
    #[must_use]
    pub fn new(numbers: &'l mut Vec<Number>, width: usize) -> Batch<'l> {
        numbers.resize(LINES * width, Number::Null);
        let line = Line { bytes: b"", time: 0, key: Key::new(b"") };
        let row = Row { line, id: None };
        let rows = [row; LINES];
        Batch { rows, count: 0, numbers, width, times: Times::NONE }
    }

    /// Adds a line, if there is room and `read` can read it with its numbers; returns how many
    /// bytes it has.
    #[inline]
    pub fn push(&mut self, read: impl FnOnce(&mut [Number]) -> Option<Line<'l>>) -> Option<usize> {
        let row = self.rows.get_mut(self.count)?;
        let line = read(&mut self.numbers[self.count * self.width..][..self.width])?;
        *row = Row { line, id: None };
        self.count += 1;
        self.times.add(line.time);
        Some(line.bytes.len())
    }

    /// The lines.
    pub fn rows_mut(&mut self) -> &mut [Row<'l>] {
        &mut self.rows[..self.count]
    }

    /// The lines, each with its numbers.
    pub fn rows(&self) -> impl Iterator<Item = (&Row<'l>, &[Number])> {
        let numbers = |at: usize| &self.numbers[at * self.width..][..self.width];
        self.rows[..self.count].iter().enumerate().map(move |(at, row)| (row, numbers(at)))
    }

    /// The times of the lines.
    #[must_use]
    pub fn times(&self) -> Times {
        self.times
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
