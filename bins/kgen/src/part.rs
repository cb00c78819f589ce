//! Which rows of a stream are made: those from a row on, and of these every so many.

use std::str::FromStr;

/// A shard: one of so many that together have every row once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0.
    pub index: u64,
    /// Of how many.
    pub count: u64,
}

impl Shard {
    /// All rows.
    pub const WHOLE: Shard = Shard { index: 0, count: 1 };

    /// The place of `row` among the rows of its shard, from 0.
    #[must_use]
    pub fn place(self, row: u64) -> u64 {
        row / self.count
    }

    /// Whether `row` is one of its rows.
    #[must_use]
    pub fn has(self, row: u64) -> bool {
        row % self.count == self.index
    }

    /// Its first row that is not before `row`; the last number there is, when there is none.
    #[must_use]
    pub fn first_from(self, row: u64) -> u64 {
        let ahead = (self.count + self.index - row % self.count) % self.count;
        row.saturating_add(ahead)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(at, count)| Some((at.parse::<u64>().ok()?, count.parse::<u64>().ok()?)));
        match numbers {
            Some((at, count)) if (1..=count).contains(&at) => Ok(Shard { index: at - 1, count }),
            _ => Err("a shard is one of so many, as 1/4, 2/4, 3/4 or 4/4".to_owned()),
        }
    }
}

/// A part of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The row of the whole stream that it starts at.
    pub first: u64,
    /// How many rows of the whole stream it spans.
    pub count: u64,
    /// Which of these rows are made.
    pub shard: Shard,
}

impl Part {
    /// The first `count` rows.
    #[must_use]
    pub fn head(count: u64) -> Part {
        Part { first: 0, count, shard: Shard::WHOLE }
    }

    /// The row behind the last one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }
}

/// Some rows, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The first one.
    pub start: u64,
    /// None of them is this one or later.
    pub end: u64,
    /// From one to the next.
    pub step: u64,
}

impl Rows {
    /// The last one.
    #[must_use]
    pub fn last_row(&self) -> Option<u64> {
        let steps = self.count_rows().checked_sub(1)?;
        Some(self.start + steps * self.step)
    }

    /// How many they are.
    #[must_use]
    pub fn count_rows(&self) -> u64 {
        self.end.saturating_sub(self.start).div_ceil(self.step)
    }
}

impl Iterator for Rows {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        let row = self.start;
        self.start = row.saturating_add(self.step);
        (row < self.end).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!("2/3".parse(), Ok(Shard { index: 1, count: 3 }));
        assert_eq!("1/1".parse(), Ok(Shard::WHOLE));
        for bad in ["0/3", "4/3", "1/0", "0/0", "1", "/", "-1/3", "1/3/5", ""] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_row_is_in_one_shard() {
        let shards: Vec<_> = (0..3).map(|index| Shard { index, count: 3 }).collect();
        for row in 0..30 {
            let with: Vec<_> = shards.iter().filter(|shard| shard.has(row)).collect();
            assert_eq!(with.len(), 1);
            assert_eq!(with[0].first_from(row), row);
            assert_eq!(with[0].place(row), row / 3);
            for shard in &shards {
                let first = shard.first_from(row);
                assert!(shard.has(first) && (row..row + 3).contains(&first));
            }
        }
        assert_eq!(Shard { index: 0, count: 3 }.first_from(u64::MAX - 1), u64::MAX);
    }

    #[test]
    fn rows_end_where_numbers_do() {
        let rows = Rows { start: u64::MAX - 3, end: u64::MAX, step: 2 };
        assert_eq!((rows.count_rows(), rows.last_row()), (2, Some(u64::MAX - 1)));
        assert_eq!(Rows { start: 5, end: 5, step: 1 }.last_row(), None);
        assert_eq!(rows.collect::<Vec<_>>(), [u64::MAX - 3, u64::MAX - 1]);
    }
}
