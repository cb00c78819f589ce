//! How far each partition has been read, where it is to end, and what is to be committed.

/// The partitions by the reader's index.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    lanes: Vec<Lane>,
    /// Whether there is an assignment, which may be empty.
    assigned: bool,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    /// Whether the partition is assigned.
    mine: bool,
    /// The offset at which reading began.
    first: i64,
    /// The offset behind everything read.
    next: i64,
    /// The offset behind what stdout has accepted.
    accepted: i64,
    /// The offset behind what was last taken for a file of ranges.
    ranged: i64,
    /// The offset at which reading ends.
    end: i64,
    /// The offset last committed, when one is.
    committed: Option<i64>,
}

/// No partition is read so far.
const NEVER: i64 = i64::MAX;

/// A partition that was never ours.
const FOREIGN: Lane = Lane {
    mine: false,
    first: -1,
    next: -1,
    accepted: -1,
    ranged: -1,
    end: NEVER,
    committed: None,
};

impl Progress {
    /// Begins an assignment of none or more partitions, each of which [`Progress::start`] names.
    pub(crate) fn assign(&mut self) {
        self.assigned = true;
    }

    /// The partitions `at` are not ours any more, and another assignment follows.
    pub(crate) fn revoke(&mut self, at: &[usize]) {
        self.assigned = false;
        for &at in at {
            if let Some(lane) = self.lanes.get_mut(at) {
                lane.mine = false;
            }
        }
    }

    /// Partition `at` is read from offset `next` on, and to `end` when there is one; `stored` is
    /// the offset that is committed.
    pub(crate) fn start(&mut self, at: usize, next: i64, end: Option<i64>, stored: Option<i64>) {
        if self.lanes.len() <= at {
            self.lanes.resize(at + 1, FOREIGN);
        }
        let end = end.unwrap_or(NEVER);
        let (accepted, ranged) = (next, next);
        self.lanes[at] =
            Lane { mine: true, first: next, next, accepted, ranged, end, committed: stored };
    }

    /// Whether a record is to be written: it is ours, not read yet, and before the end.
    #[inline]
    pub(crate) fn wants(&self, at: usize, offset: i64) -> bool {
        self.lanes.get(at).is_some_and(|lane| lane.mine && (lane.next..lane.end).contains(&offset))
    }

    /// Everything before `offset` has been read. Whether that is the first time that partition
    /// `at` is at its end.
    #[inline]
    pub(crate) fn reach(&mut self, at: usize, offset: i64) -> bool {
        let Some(lane) = self.lanes.get_mut(at) else { return false };
        if !lane.mine {
            return false;
        }
        let before = lane.next >= lane.end;
        lane.next = lane.next.max(offset.min(lane.end));
        !before && lane.next >= lane.end
    }

    /// Whether partition `at` has an end and is there.
    #[must_use]
    pub(crate) fn is_at_end(&self, at: usize) -> bool {
        self.lanes.get(at).is_some_and(|lane| lane.next >= lane.end)
    }

    /// The offset behind everything read of partition `at`, if it is or was ours.
    #[must_use]
    pub(crate) fn left(&self, at: usize) -> Option<i64> {
        self.lanes.get(at).map(|lane| lane.next).filter(|&next| next >= 0)
    }

    /// Whether all our partitions are at their ends.
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        self.assigned && self.unfinished().next().is_none()
    }

    /// How many offsets of our partitions that have an end have been read, and how many there are.
    #[must_use]
    pub(crate) fn span(&self) -> (u64, u64) {
        let ending = self.lanes.iter().filter(|lane| lane.mine && lane.end != NEVER);
        let length = |from: i64, to: i64| u64::try_from(to - from).unwrap_or(0);
        ending.fold((0, 0), |(read, all), lane| {
            (read + length(lane.first, lane.next), all + length(lane.first, lane.end))
        })
    }

    /// How many offsets are behind what was read of our partitions, each of which goes on to
    /// `high` of it; none when there are none, or one is not known.
    #[must_use]
    pub(crate) fn lag(&self, high: impl Fn(usize) -> Option<i64>) -> Option<u64> {
        let behind = |at: usize| Some(u64::try_from(high(at)? - self.lanes[at].next).unwrap_or(0));
        let mut ours = self.ours().peekable();
        ours.peek()?;
        ours.map(behind).sum()
    }

    /// Our partitions that are not at their ends.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = usize> {
        let open = |(at, lane): (usize, &Lane)| (lane.mine && lane.next < lane.end).then_some(at);
        self.lanes.iter().enumerate().filter_map(open)
    }

    /// Our partitions.
    pub(crate) fn ours(&self) -> impl Iterator<Item = usize> {
        let ours = |(at, lane): (usize, &Lane)| lane.mine.then_some(at);
        self.lanes.iter().enumerate().filter_map(ours)
    }

    /// Where our partitions but those `at` are read on.
    pub(crate) fn others(&self, at: &[usize]) -> Vec<(usize, i64)> {
        let others = self.ours().filter(|one| !at.contains(one));
        others.map(|one| (one, self.lanes[one].next)).collect()
    }

    /// Whether something was read and not taken for commit.
    #[must_use]
    pub(crate) fn has_news(&self) -> bool {
        self.lanes.iter().any(Lane::has_news)
    }

    /// Stdout has accepted everything read.
    pub(crate) fn accept(&mut self) {
        for lane in &mut self.lanes {
            lane.accepted = lane.next;
        }
    }

    /// What is to be committed, which counts as committed from now on: what stdout has accepted.
    pub(crate) fn take_news(&mut self) -> Vec<(usize, i64)> {
        let mut news = Vec::new();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if lane.mine && lane.committed != Some(lane.accepted) {
                lane.committed = Some(lane.accepted);
                news.push((at, lane.accepted));
            }
        }
        news
    }

    /// What stdout has accepted of each of our partitions since the last time: partition, first
    /// offset, and the one behind the last.
    pub(crate) fn take_ranges(&mut self) -> Vec<(usize, i64, i64)> {
        let ours = self.lanes.iter_mut().enumerate().filter(|(_, lane)| lane.mine);
        ours.map(|(at, lane)| {
            let from = std::mem::replace(&mut lane.ranged, lane.accepted);
            (at, from, lane.accepted)
        })
        .collect()
    }

    /// Whether something was read and not taken by [`Progress::take_ranges`].
    #[must_use]
    pub(crate) fn has_ranges(&self) -> bool {
        self.lanes.iter().any(|lane| lane.mine && lane.ranged != lane.next)
    }

    /// What was taken for commit was not committed after all.
    pub(crate) fn commit_again(&mut self) {
        for lane in &mut self.lanes {
            lane.committed = None;
        }
    }
}

impl Lane {
    fn has_news(&self) -> bool {
        self.mine && self.committed != Some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_is_of_what_ends() {
        let mut progress = Progress::default();
        progress.start(0, 5, Some(15), None);
        progress.start(1, 0, None, None);
        progress.start(2, 7, Some(7), None);
        assert_eq!(progress.span(), (0, 10));
        progress.reach(0, 9);
        progress.reach(1, 100);
        assert_eq!(progress.span(), (4, 10));
        progress.revoke(&[0]);
        assert_eq!(progress.span(), (0, 0));
    }

    #[test]
    fn the_lag_is_of_all_that_is_ours_and_known() {
        let mut progress = Progress::default();
        assert_eq!(progress.lag(|_| Some(9)), None, "nothing is ours");
        progress.start(0, 5, None, None);
        progress.start(2, 7, None, None);
        assert_eq!(progress.lag(|at| Some([9, 90, 10][at])), Some(4 + 3));
        progress.reach(0, 12);
        assert_eq!(progress.lag(|_| Some(10)), Some(3), "what is said of 0 is old");
        assert_eq!(progress.lag(|at| (at == 0).then_some(20)), None);
    }

    fn until(end: i64) -> Progress {
        let mut progress = Progress::default();
        progress.assign();
        progress.start(0, 0, Some(end), None);
        progress
    }

    #[test]
    fn reading_ends_at_the_end_that_was_seen_at_the_start() {
        let mut progress = until(2);
        assert!(progress.wants(0, 0) && !progress.reach(0, 1) && !progress.is_done());
        assert!(progress.wants(0, 1) && progress.reach(0, 2) && progress.is_done());
        assert!(!progress.wants(0, 2), "a record that came later");
        progress.accept();
        assert_eq!(progress.take_news(), [(0, 2)]);
    }

    #[test]
    fn a_transaction_marker_at_the_end_is_passed_by_the_position() {
        let mut progress = until(3);
        progress.reach(0, 2);
        assert!(!progress.is_done());
        assert!(progress.reach(0, 3) && progress.is_done());
        assert!(!progress.reach(0, 3), "only the first time");
        progress.accept();
        assert_eq!(progress.take_news(), [(0, 3)]);
    }

    #[test]
    fn a_record_behind_a_compacted_end_ends_too() {
        let mut progress = until(3);
        assert!(!progress.wants(0, 7));
        assert!(progress.reach(0, 7) && progress.is_done());
        progress.accept();
        assert_eq!(progress.take_news(), [(0, 3)]);
    }

    #[test]
    fn partitions_of_other_members_do_not_keep_us() {
        let mut progress = Progress::default();
        assert!(!progress.is_done(), "nothing is assigned yet");
        progress.assign();
        assert!(progress.is_done(), "there are more members than partitions");
        progress.start(0, 0, Some(2), None);
        progress.start(3, 0, Some(2), None);
        progress.reach(3, 2);
        assert_eq!(progress.unfinished().collect::<Vec<_>>(), [0]);
        progress.revoke(&[0, 3]);
        assert!(!progress.is_done(), "it is not known yet what we get");
        progress.assign();
        assert!(progress.is_done() && !progress.wants(0, 1));
    }

    #[test]
    fn what_comes_of_a_partition_that_is_not_ours_moves_nothing() {
        let mut progress = Progress::default();
        progress.assign();
        progress.start(1, 5, None, None);
        assert_eq!((progress.left(0), progress.left(1)), (None, Some(5)));
        progress.reach(0, 3);
        progress.reach(1, 7);
        progress.revoke(&[1]);
        progress.reach(1, 9);
        assert_eq!((progress.left(0), progress.left(1)), (None, Some(7)));
    }

    #[test]
    fn no_record_is_written_twice() {
        let mut progress = until(9);
        progress.reach(0, 5);
        assert!(!progress.wants(0, 4) && progress.wants(0, 5) && progress.wants(0, 7));
    }

    #[test]
    fn only_what_changed_is_committed() {
        let mut progress = Progress::default();
        progress.assign();
        progress.start(0, 5, None, Some(5));
        progress.start(1, 5, None, None);
        assert_eq!(progress.take_news(), [(1, 5)], "a group keeps where it began");
        progress.reach(0, 6);
        assert!(progress.has_news());
        assert!(progress.take_news().is_empty(), "stdout has not accepted it");
        progress.accept();
        assert_eq!(progress.take_news(), [(0, 6)]);
        assert!(!progress.has_news() && progress.take_news().is_empty());
        progress.commit_again();
        assert_eq!(progress.take_news(), [(0, 6), (1, 5)], "a commit that failed");
    }

    #[test]
    fn ranges_follow_each_other_without_gaps() {
        let mut progress = Progress::default();
        progress.assign();
        progress.start(0, 5, None, None);
        assert!(!progress.has_ranges());
        progress.reach(0, 7);
        assert!(progress.has_ranges());
        assert_eq!(progress.take_ranges(), [(0, 5, 5)], "stdout has not accepted it");
        progress.accept();
        assert_eq!(progress.take_ranges(), [(0, 5, 7)]);
        assert_eq!(progress.take_ranges(), [(0, 7, 7)]);
    }
}
