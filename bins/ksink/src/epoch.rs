//! Where ksink stands in a stream with epochs: what a mark asks of it, and what may not come.
//!
//! Marks go in with the time since any one start, and out comes what is to be done. What it
//! refuses is never committed.

use std::time::Duration;

use pipe::course::Course;
use pipe::exit::{Error, Result};
use pipe::mark::{Barrier, How, Mark, Partition, Position};
use topic::producer::transaction::Member;

/// How long barriers may come that the group would refuse, before the next assignment does.
const SKIPPING: Duration = Duration::from_secs(10);

/// A stream with epochs as it goes by.
#[derive(Debug)]
pub struct Epochs {
    course: Course,
    state: State,
    /// The group of the first assignment, which is that of all.
    group: Option<String>,
    /// What is assigned, in order.
    partitions: Vec<Partition>,
    /// The number of the last barrier.
    epoch: u64,
    /// What the last barrier covered, and what was committed last in this assignment.
    offsets: Vec<Position>,
    committed: Option<Vec<Position>>,
    /// Whether lines or entries came since the last barrier.
    changed: bool,
    /// When the first line came since the last barrier.
    waiting: Option<Duration>,
    /// How long no barrier may come behind a line.
    stall: Duration,
}

/// What is done with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is assigned yet.
    Wait,
    /// It is committed.
    Run,
    /// The group has refused the assignment, since this time: nothing is committed of it.
    Skip(Duration),
    /// Nothing follows.
    Ended,
}

/// What a mark asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    Nothing,
    /// To forget what is not committed, and to go on as this member.
    Begin(Member),
    /// To keep an entry of a stage's state.
    Keep,
    /// To commit all that came since the last barrier, as this member.
    Commit(Member),
}

impl Epochs {
    /// A stream that opens, with these stages before its end; past `stall` it is given up to wait
    /// for a barrier.
    #[must_use]
    pub fn new(tick_ms: u64, stages: &[String], stall: Duration) -> Epochs {
        let mut course = Course::new("ksink");
        course.open(true, tick_ms, stages);
        Epochs {
            course,
            state: State::Wait,
            group: None,
            partitions: Vec::new(),
            epoch: 0,
            offsets: Vec::new(),
            committed: None,
            changed: false,
            waiting: None,
            stall,
        }
    }

    /// A data line comes at `now`; returns whether it is to be kept.
    ///
    /// # Errors
    /// When none may come here.
    #[inline]
    pub fn line(&mut self, now: Duration) -> Result<bool> {
        self.course.line()?;
        if self.waiting.is_none() {
            self.waiting = Some(now);
        }
        self.changed = true;
        match self.state {
            State::Run => Ok(true),
            State::Skip(_) => Ok(false),
            State::Wait | State::Ended => Err(stray("a line")),
        }
    }

    /// A mark comes at `now`, of which the first one is told by [`Epochs::new`].
    ///
    /// # Errors
    /// When it may not come here; when a program before this one has failed.
    pub fn mark(&mut self, mark: &Mark, now: Duration) -> Result<Order> {
        match mark {
            Mark::Open { .. } => return Err(stray("a second `open`")),
            Mark::Begin { group, generation, member, instance, partitions } => {
                let group = group.as_deref();
                let member = member_of(group, *generation, member.as_deref(), instance.as_deref());
                return self.begin(member?, partitions).map(Order::Begin);
            }
            Mark::Restore { stage, .. } => return Err(orphan(stage)),
            Mark::Restored { .. } => {
                let _ = self.course.restored();
            }
            Mark::From { at, offset } => self.course.from(at, *offset),
            Mark::State { .. } => {
                self.changed = true;
                return match self.state {
                    State::Run => Ok(Order::Keep),
                    State::Skip(_) => Ok(Order::Nothing),
                    State::Wait | State::Ended => Err(stray("an entry of state")),
                };
            }
            Mark::Barrier(barrier) => return self.barrier(barrier, now),
            Mark::Abort { tool, code, message } => {
                return Err(Mark::aborted(tool, *code, message));
            }
            Mark::End { how } => self.end(*how)?,
            _ => {}
        }
        Ok(Order::Nothing)
    }

    /// Whether bad and late rows are to be kept.
    #[must_use]
    pub fn keeps_letters(&self) -> bool {
        self.state == State::Run
    }

    fn begin(&mut self, member: Member, partitions: &[Partition]) -> Result<Member> {
        if self.state == State::Ended {
            return Err(stray("a `begin`"));
        }
        let group = self.group.get_or_insert_with(|| member.group.clone());
        if *group != member.group {
            let reason = format!("an assignment of group {}, and then of {}", group, member.group);
            return Err(Error::world("<stdin>", reason));
        }
        self.partitions = partitions.to_vec();
        self.partitions.sort_unstable();
        self.course.begin();
        (self.state, self.epoch) = (State::Run, 0);
        (self.offsets, self.committed) = (Vec::new(), None);
        (self.changed, self.waiting) = (false, None);
        Ok(member)
    }

    fn barrier(&mut self, barrier: &Barrier, now: Duration) -> Result<Order> {
        let skipping = match self.state {
            State::Run => None,
            State::Skip(since) => Some(since),
            State::Wait | State::Ended => return Err(stray("a barrier")),
        };
        let (epoch, changed) = (barrier.epoch, std::mem::take(&mut self.changed));
        self.waiting = None;
        if epoch != self.epoch + 1 {
            let reason = format!(
                "epoch {} is followed by epoch {epoch}: does a program before this one drop or \
                 repeat marks?",
                self.epoch
            );
            return Err(Error::world("<stdin>", reason));
        }
        self.epoch = epoch;
        self.course.barrier(barrier)?;
        self.check_offsets(barrier)?;
        let Barrier { group, generation, member, instance, .. } = barrier;
        let (group, instance) = (group.as_deref(), instance.as_deref());
        let member = member_of(group, Some(*generation), Some(member.as_str()), instance)?;
        if Some(&member.group) != self.group.as_ref() {
            let reason = format!("epoch {epoch} is of the group {}", member.group);
            return Err(Error::world("<stdin>", reason));
        }
        if let Some(since) = skipping {
            if now.saturating_sub(since) < SKIPPING {
                return Ok(Order::Nothing);
            }
            let reason = "the group has refused the epochs of this assignment, and no other came";
            return Err(Error::unfinished("<stdin>", reason));
        }
        let news =
            changed || barrier.last.is_some() || self.committed.as_ref() != Some(&barrier.offsets);
        // Who is assigned nothing has nothing to commit.
        Ok(if news && !barrier.offsets.is_empty() { Order::Commit(member) } else { Order::Nothing })
    }

    /// A barrier covers what is assigned, and never goes back.
    fn check_offsets(&mut self, barrier: &Barrier) -> Result<()> {
        let epoch = barrier.epoch;
        let wrong = |reason| Err(Error::world("<stdin>", format!("epoch {epoch} {reason}")));
        let mut covered: Vec<_> =
            barrier.offsets.iter().map(|one| Partition(one.0.clone(), one.1)).collect();
        covered.sort_unstable();
        if covered != self.partitions {
            return wrong("covers other partitions than are assigned");
        }
        let back = |one: &Position| {
            let before = self.offsets.iter().find(|old| (&old.0, old.1) == (&one.0, one.1));
            before.is_some_and(|old| old.2 > one.2)
        };
        if barrier.offsets.iter().any(|one| one.2 < 0 || back(one)) {
            return wrong("has offsets before those of the last one");
        }
        self.offsets.clone_from(&barrier.offsets);
        Ok(())
    }

    /// The epoch of the last barrier is committed.
    pub fn committed(&mut self) {
        self.committed = Some(self.offsets.clone());
    }

    /// The offsets that are committed and of which the last barrier says others, or all of the
    /// last barrier's in the first epoch of an assignment.
    pub fn moved(&self) -> impl Iterator<Item = &Position> {
        let committed = self.committed.as_deref().unwrap_or_default();
        self.offsets.iter().filter(|one| !committed.contains(one))
    }

    /// The offsets of the last barrier.
    #[must_use]
    pub fn offsets(&self) -> &[Position] {
        &self.offsets
    }

    /// The number of the last barrier.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The group has refused the epoch of the last barrier at `now`.
    pub fn refused(&mut self, now: Duration) {
        self.state = State::Skip(now);
    }

    fn end(&mut self, how: How) -> Result<()> {
        match self.state {
            State::Ended => Err(stray("a second `end`")),
            State::Run if self.changed => {
                let reason = "an end before the barrier of the last lines, which are not committed";
                Err(Error::unfinished("<stdin>", reason))
            }
            // The input ends next, and its end says so.
            State::Skip(_) => Ok(()),
            State::Wait if how == How::Drained => Ok(()),
            // Who is stopped before anything was assigned has left nothing undone.
            State::Run | State::Wait => {
                let _ = self.course.end(how);
                self.state = State::Ended;
                Ok(())
            }
        }
    }

    /// How long the next barrier may take at `now`; none when nothing waits for one.
    #[must_use]
    pub fn patience(&self, now: Duration) -> Option<Duration> {
        self.waiting.map(|since| (since + self.stall).saturating_sub(now))
    }

    /// What is said when its time is over.
    #[must_use]
    pub fn stalled(&self) -> Error {
        let reason = format!(
            "no barrier within {} s behind a line: does a program before this one hold lines or \
             marks back?",
            self.stall.as_secs()
        );
        Error::unfinished("<stdin>", reason)
    }

    /// The input has ended.
    ///
    /// # Errors
    /// When not all of it is committed.
    pub fn finish(&self) -> Result<()> {
        let reason = match self.state {
            State::Ended => return Ok(()),
            State::Wait => "ended before anything was assigned",
            State::Run => "cut short: what came behind the last barrier is not committed",
            State::Skip(_) => "cut short: the group has refused its last epochs",
        };
        Err(Error::unfinished("<stdin>", reason))
    }
}

/// The member that a mark names.
fn member_of(
    group: Option<&str>,
    generation: Option<i32>,
    member: Option<&str>,
    instance: Option<&str>,
) -> Result<Member> {
    let Some(group) = group else {
        let reason = "epochs without a group, whose offsets nobody can commit (kgen --epoch writes \
                      such); --no-transaction takes them, at least once";
        return Err(Error::caller("<stdin>", reason));
    };
    // A broker takes offsets of nobody without asking whether somebody else is a member.
    match (generation.filter(|number| *number >= 0), member.filter(|member| !member.is_empty())) {
        (Some(generation), Some(member)) => {
            let instance = instance.map(ToOwned::to_owned);
            let (group, id) = (group.to_owned(), member.to_owned());
            Ok(Member { group, generation, id, instance })
        }
        _ => Err(Error::world("<stdin>", format!("a mark names no member of the group {group}"))),
    }
}

fn stray(what: &str) -> Error {
    let reason = format!(
        "{what} where none may come: does a program before this one drop or repeat marks, or is \
         a data line not stuffed?"
    );
    Error::world("<stdin>", reason)
}

/// State of a stage that has not taken it.
fn orphan(stage: &str) -> Error {
    let reason = format!(
        "the group has state of the stage {stage}, which is not in this pipe; run the pipe that \
         stored it, or delete it with kcons --reset-state"
    );
    Error::caller("<stdin>", reason)
}

#[cfg(test)]
mod tests {
    use pipe::exit::Code;

    use super::*;

    const STALL: Duration = Duration::from_mins(1);

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn begin(group: Option<&str>, generation: Option<i32>, member: Option<&str>) -> Mark {
        let [group, member] = [group, member].map(|name| name.map(ToOwned::to_owned));
        let partitions = vec![Partition("t".to_owned(), 1), Partition("t".to_owned(), 0)];
        Mark::Begin { group, generation, member, instance: None, partitions }
    }

    fn member(id: &str) -> Member {
        Member { group: "g".to_owned(), generation: 7, id: id.to_owned(), instance: None }
    }

    fn barrier(epoch: u64, lines: u64, next: [i64; 2]) -> Barrier {
        let position = |(number, offset)| Position("t".to_owned(), number, offset);
        Barrier {
            epoch,
            lines,
            group: Some("g".to_owned()),
            generation: 7,
            member: "m".to_owned(),
            instance: None,
            offsets: [(0, next[0]), (1, next[1])].map(position).into(),
            last: None,
        }
    }

    /// A stream in which an assignment has begun and lines may come.
    fn begun() -> Epochs {
        let mut epochs = Epochs::new(100, &[], STALL);
        assert_eq!(again(&mut epochs), Ok(Order::Begin(member("m"))));
        epochs
    }

    fn again(epochs: &mut Epochs) -> Result<Order> {
        let order = epochs.mark(&begin(Some("g"), Some(7), Some("m")), at(0))?;
        epochs.mark(&Mark::Restored { count: 0, offsets: Vec::new() }, at(0))?;
        let from = Mark::From { at: Partition("t".to_owned(), 0), offset: Some(0) };
        epochs.mark(&from, at(0))?;
        Ok(order)
    }

    fn ends(epochs: &mut Epochs, barrier: &Barrier) -> Result<Order> {
        epochs.mark(&Mark::Barrier(barrier.clone()), at(1))
    }

    #[track_caller]
    fn refused<T: std::fmt::Debug>(result: Result<T>, code: Code, part: &str) {
        match result {
            Err(Error::Failed(found, message)) if found == code && message.contains(part) => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_epoch_is_committed_as_the_member_that_its_barrier_names() {
        let mut epochs = begun();
        assert_eq!((epochs.line(at(1)), epochs.line(at(1))), (Ok(true), Ok(true)));
        let commit = Order::Commit(member("m"));
        assert_eq!(ends(&mut epochs, &barrier(1, 2, [2, 0])), Ok(commit.clone()));
        assert_eq!(epochs.moved().count(), 2, "the first of an assignment says all");
        epochs.committed();
        assert_eq!(epochs.line(at(1)), Ok(true));
        assert_eq!(ends(&mut epochs, &barrier(2, 1, [3, 0])), Ok(commit));
        let moved: Vec<_> = epochs.moved().map(|one| (one.1, one.2)).collect();
        assert_eq!((moved, epochs.epoch()), (vec![(0, 3)], 2));
    }

    #[test]
    fn where_nothing_is_new_there_is_nothing_to_do() {
        let mut epochs = begun();
        let commit = Ok(Order::Commit(member("m")));
        assert_eq!(ends(&mut epochs, &barrier(1, 0, [4, 4])), commit, "where reading began");
        epochs.committed();
        assert_eq!(ends(&mut epochs, &barrier(2, 0, [4, 4])), Ok(Order::Nothing));
        let last = Some(pipe::mark::Last::Moved);
        assert_eq!(ends(&mut epochs, &Barrier { last, ..barrier(3, 0, [4, 4]) }), commit);
        epochs.committed();
        let at = Partition("t".to_owned(), 0);
        let (stage, key, value) = ("0:swin".to_owned(), 1.into(), 1.into());
        let entry = Mark::State { stage, at, key, value };
        assert_eq!(epochs.mark(&entry, self::at(1)), Ok(Order::Keep));
        assert_eq!(ends(&mut epochs, &barrier(4, 0, [4, 4])), commit, "state changed");
        epochs.committed();
        assert_eq!(ends(&mut epochs, &barrier(5, 0, [4, 5])), commit, "an offset without line");
    }

    #[test]
    fn epochs_follow_each_other_and_have_the_lines_that_they_say() {
        let wrong: [(Barrier, &str); 8] = [
            (barrier(2, 0, [0, 0]), "epoch 0 is followed by epoch 2"),
            (barrier(1, 1, [0, 0]), "epoch 1 has 0 lines, and its barrier says 1"),
            (barrier(1, 0, [-1, 0]), "offsets before"),
            (Barrier { offsets: Vec::new(), ..barrier(1, 0, [0, 0]) }, "other partitions"),
            (Barrier { member: String::new(), ..barrier(1, 0, [0, 0]) }, "no member"),
            (Barrier { generation: -1, ..barrier(1, 0, [0, 0]) }, "no member"),
            (Barrier { group: Some("h".to_owned()), ..barrier(1, 0, [0, 0]) }, "of the group h"),
            (barrier(0, 0, [0, 0]), "epoch 0 is followed by epoch 0"),
        ];
        for (barrier, part) in wrong {
            refused(ends(&mut begun(), &barrier), Code::WORLD, part);
        }
        let mut epochs = begun();
        assert!(ends(&mut epochs, &barrier(1, 0, [5, 5])).is_ok());
        refused(ends(&mut epochs, &barrier(2, 0, [5, 4])), Code::WORLD, "offsets before");
    }

    #[test]
    fn before_an_assignment_nothing_may_come() {
        let mut epochs = Epochs::new(100, &[], STALL);
        refused(ends(&mut epochs, &barrier(1, 0, [0, 0])), Code::WORLD, "none may come");
        refused(epochs.line(at(0)), Code::WORLD, "before its `from`");
        let generations = [(Some("g"), None, Some("m")), (Some("g"), Some(1), None)];
        for (group, generation, member) in generations {
            let begin = begin(group, generation, member);
            refused(epochs.mark(&begin, at(0)), Code::WORLD, "no member of the group g");
        }
        let foreign = begin(None, Some(1), Some("kgen"));
        refused(epochs.mark(&foreign, at(0)), Code::CALLER, "without a group");
        refused(epochs.finish(), Code::UNFINISHED, "before anything was assigned");
    }

    #[test]
    fn what_the_group_has_refused_is_skipped_until_the_next_assignment() {
        let mut epochs = begun();
        assert_eq!(epochs.line(at(1)), Ok(true));
        assert!(ends(&mut epochs, &barrier(1, 1, [1, 0])).is_ok());
        epochs.refused(at(1));
        assert_eq!(epochs.line(at(2)), Ok(false));
        assert!(!epochs.keeps_letters());
        assert_eq!(ends(&mut epochs, &barrier(2, 1, [2, 0])), Ok(Order::Nothing));
        assert!(epochs.finish().is_err());
        assert!(again(&mut epochs).is_ok());
        assert_eq!(epochs.line(at(3)), Ok(true));
        assert_eq!(ends(&mut epochs, &barrier(1, 1, [1, 0])), Ok(Order::Commit(member("m"))));
    }

    #[test]
    fn who_is_refused_for_long_without_another_assignment_ends() {
        let mut epochs = begun();
        assert!(ends(&mut epochs, &barrier(1, 0, [1, 0])).is_ok());
        epochs.refused(at(1));
        let second = Mark::Barrier(barrier(2, 0, [1, 0]));
        assert_eq!(epochs.mark(&second, at(10)), Ok(Order::Nothing));
        let third = epochs.mark(&Mark::Barrier(barrier(3, 0, [1, 0])), at(11));
        refused(third, Code::UNFINISHED, "no other came");
    }

    #[test]
    fn an_end_is_one_behind_the_barrier_of_all_lines() {
        let end = Mark::End { how: How::Stopped };
        let mut epochs = begun();
        assert_eq!(epochs.mark(&end, at(0)), Ok(Order::Nothing));
        assert_eq!(epochs.finish(), Ok(()));
        refused(ends(&mut epochs, &barrier(1, 0, [0, 0])), Code::WORLD, "none may come");
        refused(again(&mut epochs), Code::WORLD, "none may come");
        let mut epochs = begun();
        assert!(epochs.line(at(0)).is_ok());
        refused(epochs.mark(&end, at(0)), Code::UNFINISHED, "an end before the barrier");
        let mut epochs = begun();
        epochs.refused(at(0));
        assert_eq!(epochs.mark(&end, at(0)), Ok(Order::Nothing));
        refused(epochs.finish(), Code::UNFINISHED, "refused its last epochs");
    }

    #[test]
    fn who_is_stopped_before_anything_was_assigned_has_left_nothing_undone() {
        let ended = |how| {
            let mut epochs = Epochs::new(100, &[], STALL);
            assert_eq!(epochs.mark(&Mark::End { how }, at(0)), Ok(Order::Nothing));
            epochs.finish()
        };
        assert_eq!(ended(How::Stopped), Ok(()));
        refused(ended(How::Drained), Code::UNFINISHED, "before anything was assigned");
    }

    #[test]
    fn a_line_waits_for_its_barrier_so_long_and_no_longer() {
        let mut epochs = begun();
        assert_eq!(epochs.patience(at(99)), None);
        assert!(epochs.line(at(5)).is_ok() && epochs.line(at(9)).is_ok());
        assert_eq!(epochs.patience(at(64)), Some(at(1)));
        assert_eq!(epochs.patience(at(99)), Some(at(0)));
        assert!(ends(&mut epochs, &barrier(1, 2, [2, 0])).is_ok());
        assert_eq!(epochs.patience(at(99)), None);
    }

    #[test]
    fn state_that_no_stage_took_and_a_program_that_failed_end_the_run() {
        let mut epochs = Epochs::new(100, &[], STALL);
        assert!(epochs.mark(&begin(Some("g"), Some(7), Some("m")), at(0)).is_ok());
        let (stage, at) = ("1:topk".to_owned(), Partition("t".to_owned(), 0));
        let restore = Mark::Restore { stage, at, key: 1.into(), value: 2.into() };
        let order = epochs.mark(&restore, self::at(0));
        refused(order, Code::CALLER, "1:topk, which is not in this pipe");
        let (tool, message) = ("swin".to_owned(), "row 7: no".to_owned());
        let abort = epochs.mark(&Mark::Abort { tool, code: 1, message }, self::at(0));
        refused(abort, Code::WORLD, "swin failed: row 7: no");
        let other = begin(Some("h"), Some(7), Some("m"));
        refused(epochs.mark(&other, self::at(0)), Code::WORLD, "of group g, and then of h");
        let (epochs_too, tick_ms, stages) = (true, 100, Vec::new());
        let open = Mark::Open { epochs: epochs_too, tick_ms, stages };
        refused(epochs.mark(&open, self::at(0)), Code::WORLD, "a second `open`");
    }
}
