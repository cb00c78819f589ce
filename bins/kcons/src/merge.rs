//! Partitions merged by time: the line that is written next is the oldest of those that stand
//! first in their partitions. Inside a partition, the order of the log stays.

use std::collections::VecDeque;

/// What waits of a partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// A line, without its marks.
    Line {
        /// Its record's offset.
        offset: i64,
        /// Its record's time, the least where there is none.
        ms: i64,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Everything before this offset is read, and the end of the partition may be there.
    Reach(i64),
}

impl Held {
    fn order(&self) -> i64 {
        match self {
            Held::Line { ms, .. } => *ms,
            Held::Reach(_) => i64::MIN,
        }
    }
}

/// What waits of all partitions, by their indices.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    lanes: Vec<VecDeque<Held>>,
}

impl Merge {
    /// Puts something behind what waits of partition `at`.
    pub(crate) fn push(&mut self, at: usize, held: Held) {
        if self.lanes.len() <= at {
            self.lanes.resize_with(at + 1, VecDeque::new);
        }
        let lane = &mut self.lanes[at];
        if let (Held::Reach(offset), Some(Held::Reach(last))) = (&held, lane.back_mut()) {
            *last = *offset;
        } else {
            lane.push_back(held);
        }
    }

    /// Whether nothing waits of partition `at`, so that nothing can be said of its next line.
    pub(crate) fn lacks(&self, at: usize) -> bool {
        self.lanes.get(at).is_none_or(VecDeque::is_empty)
    }

    /// The next of all, when something waits of each of the partitions `open`.
    pub(crate) fn next(&mut self, open: impl Iterator<Item = usize>) -> Option<(usize, Held)> {
        let mut oldest: Option<(i64, usize)> = None;
        for at in open {
            let order = self.lanes.get(at)?.front()?.order();
            if oldest.is_none_or(|(least, _)| order < least) {
                oldest = Some((order, at));
            }
        }
        let (_, at) = oldest?;
        Some((at, self.lanes[at].pop_front()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ms: i64) -> Held {
        Held::Line { offset: 0, ms, bytes: Vec::new() }
    }

    #[test]
    fn the_oldest_first_line_comes_first_and_no_partition_is_reordered() {
        let mut merge = Merge::default();
        for (at, ms) in [(0, 3), (0, 1), (0, 9), (1, 2), (1, 4)] {
            merge.push(at, line(ms));
        }
        let mut order = Vec::new();
        while let Some((at, Held::Line { ms, .. })) = merge.next(0..2) {
            order.push((at, ms));
        }
        assert_eq!(order, [(1, 2), (0, 3), (0, 1), (1, 4)]);
        assert!(merge.lacks(1) && !merge.lacks(0), "it waits for partition 1");
        assert_eq!(merge.next(0..1), Some((0, line(9))), "which has ended");
    }

    #[test]
    fn an_end_waits_for_nothing_but_for_what_stands_before_it() {
        let mut merge = Merge::default();
        merge.push(0, line(5));
        merge.push(0, Held::Reach(7));
        merge.push(0, Held::Reach(9));
        merge.push(1, line(6));
        assert_eq!(merge.next(0..2), Some((0, line(5))));
        assert_eq!(merge.next(0..2), Some((0, Held::Reach(9))));
    }
}
