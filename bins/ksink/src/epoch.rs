//! Where ksink stands in a stream with epochs: what a mark asks of it, and what may not come.
//!
//! Marks go in with the time since any one start, and out comes what is to be done. What it
//! refuses is never committed.

use std::time::Duration;

use pipe::course::Course;
use pipe::exit::{Code, Error, Result};
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
                return Err(Error::Failed(Code(*code), format!("{tool} failed: {message}")));
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
            State::Run => {
                let _ = self.course.end(how);
                self.state = State::Ended;
                Ok(())
            }
            // The input ends next, and its end says so.
            State::Wait | State::Skip(_) => Ok(()),
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
