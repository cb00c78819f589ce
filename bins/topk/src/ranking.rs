//! Rankings on their way out, and the selection of the first of many.

use std::cmp::Ordering;
use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::kept::Kept;
use crate::score::Score;

/// A row of a ranking.
#[derive(Clone, Debug)]
pub struct Ranked<'a> {
    /// Its rank in its group, from 1; none when it left.
    pub rank: Option<u64>,
    /// Its group and its key.
    pub key: &'a [u8],
    /// Bytes of the key that are the group.
    pub group: usize,
    /// What it is ranked by.
    pub score: Score<'a>,
    /// The input partition it came from.
    pub partition: Option<u32>,
    /// What is known of it.
    pub body: Body<'a>,
}

/// What is known of a row of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// The line it came in.
    Line(&'a [u8]),
    /// How many rows had its key.
    Count(u64),
    /// Nothing but its key.
    Key,
}

impl Ranked<'_> {
    /// Its group; empty when there is one for all.
    #[must_use]
    pub fn group(&self) -> &[u8] {
        &self.key[..self.group]
    }
}

/// Takes rankings.
pub type Write<'w> = dyn FnMut(&[Ranked<'_>]) + 'w;

/// Gives the rows of a group their ranks, first to last.
pub fn rank<'a>(group: &[&'a Kept]) -> impl Iterator<Item = Ranked<'a>> {
    (1..).zip(group).map(|(rank, row)| Ranked {
        rank: Some(rank),
        key: &row.key,
        group: row.group,
        score: row.score.borrow(),
        partition: row.partition,
        body: Body::Line(&row.line),
    })
}

/// The first K of each group of `items`, in order; the groups by their bytes.
///
/// # Errors
/// Those of `items`.
pub fn first_by_group<'g, T, E>(
    items: impl Iterator<Item = Result<(&'g [u8], T), E>>,
    k: usize,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Result<Vec<Vec<T>>, E> {
    let mut groups: HashMap<&[u8], Selection<T>, FixedState> = HashMap::default();
    for item in items {
        let (group, item) = item?;
        groups.entry(group).or_insert_with(|| Selection::new(k)).push(item, &compare);
    }
    let mut groups: Vec<(&[u8], Selection<T>)> = groups.into_iter().collect();
    groups.sort_unstable_by_key(|&(group, _)| group);
    Ok(groups.into_iter().map(|(_, selection)| selection.finish(&compare)).collect())
}

/// The first K of many, in the memory of 2 K.
#[derive(Debug)]
struct Selection<T> {
    k: usize,
    items: Vec<T>,
    /// Whether item K is the last of the first K.
    barred: bool,
}

impl<T> Selection<T> {
    fn new(k: usize) -> Selection<T> {
        Selection { k, items: Vec::new(), barred: false }
    }

    fn push(&mut self, item: T, compare: &impl Fn(&T, &T) -> Ordering) {
        if self.barred && compare(&item, &self.items[self.k - 1]).is_gt() {
            return;
        }
        self.items.push(item);
        // Sorting out half of 2 K items at a time costs a few steps an item, whatever K is.
        if self.items.len() == self.k.saturating_mul(2) {
            self.items.select_nth_unstable_by(self.k - 1, compare);
            self.items.truncate(self.k);
            self.barred = true;
        }
    }

    fn finish(mut self, compare: &impl Fn(&T, &T) -> Ordering) -> Vec<T> {
        self.items.sort_unstable_by(compare);
        self.items.truncate(self.k);
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_many_are_those_of_sorting_them() {
        for k in [1, 2, 3, 7, 200] {
            let items: Vec<u32> = (0..100).map(|i| i * 37 % 101).collect();
            let groups = [&b"b"[..], b"a", b""];
            let found = first_by_group(
                items.iter().map(|&item| Ok::<_, ()>((groups[item as usize % 3], item))),
                k,
                u32::cmp,
            );
            let expected = [2, 1, 0].map(|group| {
                let mut items: Vec<u32> =
                    items.iter().copied().filter(|item| item % 3 == group).collect();
                items.sort_unstable();
                items.truncate(k);
                items
            });
            assert_eq!(found, Ok(expected.to_vec()), "{k}");
        }
    }
}
