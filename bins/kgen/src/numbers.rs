//! Integers: `7` is one below `--below`, uniformly.

use crate::draw::Draws;
use crate::form::{Cell, Column, Form, Frame};
use crate::part::Rows;

/// Up to this bound every row stands ready-made in a table.
const TABLE_MAX: u64 = 1_000;
/// A row of the table has at most so many bytes.
const CELL_BYTES: usize = 16;
/// Rows are put together in pieces of so many bytes.
const PIECE_BYTES: usize = 1_024;

/// The rows of the profile `numbers`.
#[derive(Debug)]
pub struct Numbers {
    draws: Draws<1>,
    frame: Frame,
    below: u64,
    /// The row of each number, when there are few.
    table: Vec<Cell<CELL_BYTES>>,
}

impl Numbers {
    /// The rows of `seed`, integers from 0 to `below` − 1.
    #[must_use]
    pub fn new(seed: u64, form: Form, timed: bool, below: u64) -> Numbers {
        let frame = Frame::new(form, ",", timed, &[Column::number("number")]);
        let row = |number| format!("{}{number}{}", frame.before(0), frame.before(1));
        let table = if below <= TABLE_MAX {
            (0..below).map_while(|number| Cell::new(&row(number))).collect()
        } else {
            Vec::new()
        };
        Numbers { draws: Draws::new(seed, 0), frame, below, table }
    }

    /// What stands around the values.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Appends `row`, which has the time `ms`.
    #[inline]
    pub fn write(&mut self, row: u64, ms: i64, out: &mut Vec<u8>) {
        let [mut draw] = self.draws.of_row(row);
        self.frame.write_time(ms, out);
        let number = draw.below(self.below);
        match usize::try_from(number).ok().and_then(|at| self.table.get(at)) {
            Some(cell) => cell.write(out),
            None => self.write_number(number, out),
        }
    }

    /// Appends `rows`, which show no time, as [`Numbers::write`] does each: faster, as they are put
    /// together in a place of fixed size.
    pub fn write_all(&mut self, rows: Rows, out: &mut Vec<u8>) {
        if self.table.len() as u64 != self.below {
            rows.for_each(|row| self.write(row, 0, out));
            return;
        }
        let (mut piece, mut filled) = ([0; PIECE_BYTES], 0);
        for row in rows {
            let [mut draw] = self.draws.of_row(row);
            let cell = &self.table[draw.index(self.table.len())];
            if filled > PIECE_BYTES - CELL_BYTES {
                out.extend_from_slice(&piece[..filled]);
                filled = 0;
            }
            filled += cell.put(&mut piece[filled..]);
        }
        out.extend_from_slice(&piece[..filled]);
    }

    fn write_number(&self, number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.frame.before(0).as_bytes());
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        out.extend_from_slice(self.frame.before(1).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chi_square::assert_uniform;

    fn counts(below: u64, classes: u64) -> Vec<u32> {
        let mut numbers = Numbers::new(3, Form::Text, false, below);
        let mut out = Vec::new();
        (0..200_000).for_each(|row| numbers.write(row, 0, &mut out));
        let mut counts = vec![0; usize::try_from(classes).expect("few")];
        for line in out.split_inclusive(|byte| *byte == b'\n') {
            let number = std::str::from_utf8(line).expect("ASCII").trim_end();
            let number = number.parse::<u64>().expect("a number");
            assert!(number < below, "{number}");
            counts[usize::try_from(number / (below / classes)).expect("few")] += 1;
        }
        counts
    }

    #[test]
    fn few_numbers_and_many_are_uniform() {
        assert_uniform("below 10", &counts(10, 10));
        assert_uniform("below 1000", &counts(1_000, 1_000));
        assert_uniform("below 2^62", &counts(1 << 62, 64));
        assert_eq!(counts(1, 1), [200_000]);
    }

    #[test]
    fn many_rows_at_once_are_the_same_rows() {
        for (form, below) in [(Form::Text, 10), (Form::Json, 1_000), (Form::Text, 100_000)] {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let mut numbers = Numbers::new(3, form, false, below);
            (7..2_000).step_by(3).for_each(|row| numbers.write(row, 0, &mut first));
            numbers.write_all(Rows { start: 7, end: 2_000, step: 3 }, &mut second);
            assert_eq!(String::from_utf8(first), String::from_utf8(second));
        }
    }

    #[test]
    fn the_table_and_the_long_way_write_the_same() {
        for (form, timed) in [(Form::Text, true), (Form::Csv, false), (Form::Json, true)] {
            let mut short = Numbers::new(3, form, timed, TABLE_MAX);
            let mut long = Numbers::new(3, form, timed, TABLE_MAX);
            long.table.clear();
            let (mut first, mut second) = (Vec::new(), Vec::new());
            for row in 0..1_000 {
                short.write(row, 5, &mut first);
                long.write(row, 5, &mut second);
            }
            assert_eq!(String::from_utf8(first), String::from_utf8(second));
        }
    }
}
