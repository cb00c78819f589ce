//! The account of an assignment: who has it, which epoch it is in, what was written in that.

use pipe::mark::{Barrier, Last, Position};
use topic::archive::Stored;
use topic::consumer::Membership;
use topic::note::Note;

/// The account. It counts lines from the start of the program.
#[derive(Debug)]
pub(crate) struct Ledger {
    group: String,
    membership: Option<Membership>,
    /// The number of the last barrier.
    epoch: u64,
    /// The lines written by then.
    lines: u64,
    /// The lines that are known to be committed, and those written by each epoch since, so that
    /// it is known how many a new assignment has to write again.
    settled: u64,
    epochs: Vec<u64>,
    /// Who has them: assignments may have begun since of which nothing was read.
    author: Option<Membership>,
    /// Whether that has to be known.
    counts: bool,
}

impl Ledger {
    /// The account of `group`, which `counts` how many lines each epoch had.
    pub(crate) fn new(group: &str, counts: bool) -> Ledger {
        Ledger {
            group: group.to_owned(),
            membership: None,
            epoch: 0,
            lines: 0,
            settled: 0,
            epochs: Vec::new(),
            author: None,
            counts,
        }
    }

    /// A new assignment, which `membership` has.
    pub(crate) fn begin(&mut self, membership: Membership) {
        self.membership = Some(membership);
    }

    /// Reading goes on from what is `stored`. How many of the lines written so far count.
    pub(crate) fn open(&mut self, stored: &[Stored]) -> u64 {
        let before = std::mem::replace(&mut self.author, self.membership.clone());
        let ours = |one: &Stored| {
            let epoch = before.as_ref().and_then(|before| epoch_of(&one.metadata, before))?;
            self.epochs.get(usize::try_from(epoch.checked_sub(1)?).ok()?).copied()
        };
        self.settled = stored.iter().filter_map(ours).fold(self.settled, u64::max);
        self.epoch = 0;
        self.epochs.clear();
        self.lines = self.settled;
        self.settled
    }

    /// The epoch that ended last in this assignment.
    pub(crate) fn epoch(&self) -> Option<u64> {
        (self.epoch > 0).then_some(self.epoch)
    }

    /// Ends an epoch at `offsets` when `lines` have been written in all, by who is the member
    /// `now`; `None` when that is not who began it.
    pub(crate) fn barrier(
        &mut self,
        now: Option<&Membership>,
        lines: u64,
        offsets: Vec<Position>,
        last: Option<Last>,
    ) -> Option<Barrier> {
        let membership = self.membership.as_ref().filter(|one| now == Some(*one))?;
        self.epoch += 1;
        if self.counts {
            self.epochs.push(lines);
        }
        Some(Barrier {
            epoch: self.epoch,
            lines: lines - std::mem::replace(&mut self.lines, lines),
            group: Some(self.group.clone()),
            generation: membership.generation,
            member: membership.member.clone(),
            instance: membership.instance.clone(),
            offsets,
            last,
        })
    }

    /// Whether the last barrier is what was committed last of every partition. If so, all lines
    /// so far count.
    pub(crate) fn settle(&mut self, stored: &[Stored]) -> bool {
        let Some(membership) = &self.membership else { return false };
        let ours = |one: &Stored| epoch_of(&one.metadata, membership) == Some(self.epoch);
        let settled = stored.iter().all(ours);
        if settled {
            self.settled = self.lines;
        }
        settled
    }

    /// Whether anything was committed in our name, in this assignment or an earlier one.
    pub(crate) fn is_heard(&self, stored: &[Stored]) -> bool {
        let Some(membership) = &self.membership else { return false };
        let member = |one: &Stored| {
            Note::parse(&one.metadata).is_some_and(|note| note.member == membership.member)
        };
        stored.iter().any(member)
    }
}

/// The epoch of `membership` that the text beside an offset is of.
fn epoch_of(text: &str, membership: &Membership) -> Option<u64> {
    let note = Note::parse(text)?;
    let ours = (note.member, note.generation) == (&membership.member, membership.generation);
    ours.then_some(note.epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, generation: i32) -> Membership {
        Membership { generation, member: name.to_owned(), instance: None }
    }

    fn stored(metadata: &str) -> Stored {
        Stored { offset: Some(1), metadata: metadata.to_owned() }
    }

    fn begun(counts: bool) -> Ledger {
        let mut ledger = Ledger::new("g", counts);
        ledger.begin(member("m", 3));
        assert_eq!(ledger.open(&[]), 0);
        ledger
    }

    #[test]
    fn barriers_count_the_lines_between_them() {
        let mut ledger = begun(false);
        let now = member("m", 3);
        let mut barrier = |lines| {
            let barrier = ledger.barrier(Some(&now), lines, Vec::new(), None).expect("a barrier");
            (barrier.epoch, barrier.lines, barrier.generation, barrier.member)
        };
        assert_eq!(barrier(7), (1, 7, 3, "m".to_owned()));
        assert_eq!(barrier(7), (2, 0, 3, "m".to_owned()));
        assert_eq!(barrier(9), (3, 2, 3, "m".to_owned()));
        assert_eq!(ledger.epoch(), Some(3));
        ledger.begin(member("m", 4));
        assert_eq!((ledger.open(&[]), ledger.epoch()), (0, None));
    }

    #[test]
    fn who_is_another_by_now_writes_no_barrier() {
        let mut ledger = begun(false);
        for now in [Some(member("m", 4)), Some(member("other", 3)), None] {
            assert_eq!(ledger.barrier(now.as_ref(), 1, Vec::new(), None), None, "{now:?}");
        }
        let barrier = ledger.barrier(Some(&member("m", 3)), 1, Vec::new(), None);
        assert_eq!(barrier.map(|barrier| barrier.epoch), Some(1), "a refused one has no number");
    }

    #[test]
    fn the_last_barrier_is_committed_when_every_partition_says_so() {
        let mut ledger = begun(false);
        let now = member("m", 3);
        ledger.barrier(Some(&now), 5, Vec::new(), None);
        ledger.barrier(Some(&now), 5, Vec::new(), Some(Last::Moved));
        let (old, new) = (stored("kpipe m 1 3"), stored("kpipe m 2 3"));
        assert!(!ledger.settle(&[new.clone(), old.clone()]), "one of them is older");
        for other in ["kpipe other 2 3", "kpipe m 2 2", ""] {
            assert!(!ledger.settle(&[stored(other)]), "{other}");
        }
        assert!(ledger.settle(&[new.clone(), new]));
        assert!(!ledger.is_heard(&[stored("kpipe other 1 3")]));
        assert!(ledger.is_heard(&[old]) && ledger.is_heard(&[stored("kpipe m 9 2")]));
    }

    #[test]
    fn lines_of_epochs_that_were_not_committed_are_to_be_written_again() {
        let mut ledger = begun(true);
        let now = member("m", 3);
        for lines in [10, 25, 40] {
            ledger.barrier(Some(&now), lines, Vec::new(), None);
        }
        // Of two assignments in a row, nothing is read in the first.
        ledger.begin(member("n", 4));
        ledger.begin(member("n", 5));
        assert_eq!(ledger.open(&[stored("kpipe m 1 3"), stored("kpipe m 2 3")]), 25);
        let barrier = ledger.barrier(Some(&member("n", 5)), 26, Vec::new(), None);
        assert_eq!(barrier.map(|one| (one.epoch, one.lines)), Some((1, 1)));
        ledger.begin(member("n", 6));
        assert_eq!(ledger.open(&[stored("kpipe n 1 4"), stored("kpipe m 2 3")]), 25, "none of it");
    }
}
