//! The place of the command in a marked stream: which lines a run of it gets, and what goes on
//! before and behind what it makes of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pipe::course::Course;
use pipe::exit::{Code, Error, Result};
use pipe::mark::{Barrier, Mark, Partition, Position};

/// What the caller asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One run for all partitions.
    pub together: bool,
    /// No run without lines.
    pub skip_empty: bool,
    /// Milliseconds between runs, in a stream without epochs.
    pub every_ms: Option<i64>,
}

/// What becomes of a mark.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It goes on at once.
    Pass,
    /// This one goes on in its place.
    Instead(Mark),
    /// It goes on behind what the command makes of the lines before it.
    Hold,
    /// It stays here.
    Keep,
    /// Everything that is held is forgotten, and it goes on.
    Forget,
    /// The command runs over the lines that are held, and it goes on behind all.
    Run,
}

/// A run of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The number of the slot whose lines it gets.
    pub slot: usize,
    /// How many lines.
    pub lines: u64,
    /// Where its own lines come from, when that is one partition.
    pub at: Option<Partition>,
    /// Its epoch, under epochs.
    pub epoch: Option<u64>,
    /// The stream's time, in milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// The offsets that it covers, under epochs: lines `topic partition from until`.
    pub offsets: Option<String>,
}

/// Lines that a run gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Slot {
    /// None when they are of several partitions, or nobody said where they come from.
    at: Option<Partition>,
    lines: u64,
}

/// The stage.
#[derive(Debug)]
pub struct Stage {
    plan: Plan,
    course: Course,
    slots: Vec<Slot>,
    /// The slot that lines go to.
    current: Option<usize>,
    /// The offsets up to which partitions were covered by the last barrier.
    covered: BTreeMap<Partition, i64>,
    now_ms: Option<i64>,
    /// When the next run is due, with `every_ms`.
    due_ms: i64,
    /// Whether lines are held.
    holds: bool,
    /// Partitions that fell silent behind lines that are held.
    idle: Vec<Partition>,
}

impl Stage {
    /// A stage that has seen nothing.
    #[must_use]
    pub fn new(plan: Plan) -> Stage {
        Stage {
            plan,
            course: Course::new("keach"),
            slots: Vec::new(),
            current: None,
            covered: BTreeMap::new(),
            now_ms: None,
            due_ms: i64::MAX,
            holds: false,
            idle: Vec::new(),
        }
    }

    /// Whether barriers cut the stream into epochs.
    #[must_use]
    pub fn has_epochs(&self) -> bool {
        self.course.has_epochs()
    }

    /// A line comes; returns the slot that it goes to.
    ///
    /// # Errors
    /// When it may not come here.
    #[inline]
    pub fn line(&mut self) -> Result<usize> {
        if self.course.has_epochs() {
            self.course.line()?;
        }
        let slot = match self.current {
            Some(slot) => slot,
            None => self.slot_of(None),
        };
        self.slots[slot].lines += 1;
        self.holds = true;
        Ok(slot)
    }

    /// Takes a mark.
    ///
    /// # Errors
    /// When the stream is not as it should be, or asks for what was not meant.
    pub fn mark(&mut self, mark: &Mark) -> Result<Step> {
        Ok(match mark {
            Mark::Open { epochs, tick_ms, stages } => self.open(*epochs, *tick_ms, stages)?,
            Mark::Begin { partitions, .. } => {
                if self.plan.together && !self.has_epochs() && partitions.len() > 1 {
                    let reason = "several partitions are read, and the stream has no epochs";
                    return Err(Error::caller("--together", reason));
                }
                let again = self.course.begin();
                // Without epochs nobody sends the lines again that came before.
                if again && !self.has_epochs() { Step::Run } else { Step::Forget }
            }
            Mark::Restored { offsets, .. } => {
                self.course.restored();
                self.cover(offsets);
                Step::Pass
            }
            Mark::From { at, offset } => {
                self.course.from(at, *offset);
                self.current = Some(self.slot_of(Some(at)));
                self.idle.retain(|idle| idle != at);
                Step::Keep
            }
            Mark::Idle { at } if self.holds => {
                self.idle.push(at.clone());
                Step::Keep
            }
            Mark::Tick { ms } => self.tick(*ms),
            Mark::Barrier(barrier) => {
                self.course.barrier(barrier)?;
                Step::Run
            }
            Mark::End { how } => {
                self.course.end(*how);
                self.end()?
            }
            Mark::Abort { code, .. } => {
                self.course.abort(*code);
                Step::Forget
            }
            Mark::Bad(_) | Mark::Late(_) | Mark::State { .. } => Step::Hold,
            _ => self.behind_lines(),
        })
    }

    /// The runs that `mark` asks for.
    ///
    /// # Errors
    /// When it is not said from which offset on.
    pub fn pieces(&self, mark: &Mark) -> Result<Vec<Piece>> {
        let barrier = if let Mark::Barrier(barrier) = mark { Some(barrier) } else { None };
        let slots = self.slots.iter().enumerate();
        let wanted = slots.filter(|(_, slot)| slot.lines > 0 || !self.plan.skip_empty);
        let piece = |(slot, Slot { at, lines }): (usize, &Slot)| {
            Ok(Piece {
                slot,
                lines: *lines,
                at: at.clone(),
                epoch: barrier.map(|barrier| barrier.epoch),
                time_ms: self.time_ms(),
                offsets: barrier.map(|barrier| self.offsets(barrier, at.as_ref())).transpose()?,
            })
        };
        wanted.map(piece).collect()
    }

    /// Everything that was held until `mark` has gone on, or is forgotten; returns the partitions
    /// that are idle since.
    pub fn settle(&mut self, mark: &Mark) -> Vec<Partition> {
        self.holds = false;
        for slot in &mut self.slots {
            slot.lines = 0;
        }
        match mark {
            Mark::Begin { partitions, .. } => self.assign(partitions),
            Mark::Barrier(barrier) => self.cover(&barrier.offsets),
            Mark::Abort { .. } => self.idle.clear(),
            _ => {}
        }
        std::mem::take(&mut self.idle)
    }

    /// The input has ended. Returns the exit code: that of the program before this one which
    /// failed for good.
    ///
    /// # Errors
    /// When the stream was cut short.
    pub fn finish(&self) -> Result<Code> {
        self.course.finish("what is held is")
    }

    fn open(&mut self, epochs: bool, tick_ms: u64, stages: &[String]) -> Result<Step> {
        let named = self.course.open(epochs, tick_ms, stages);
        if let Some(every_ms) = self.plan.every_ms {
            if epochs {
                let reason = "the stream has epochs, and COMMAND runs at the end of each";
                return Err(Error::caller("--every", reason));
            }
            if every_ms.unsigned_abs() < tick_ms {
                let reason = format!("the stream says the time every {tick_ms} ms only");
                return Err(Error::caller("--every", reason));
            }
        }
        // What no partition can be said of has no state that could move with it. The name tells
        // the stages that follow why.
        Ok(if self.plan.together { Step::Instead(named) } else { Step::Pass })
    }

    fn assign(&mut self, partitions: &[Partition]) {
        let mut assigned: Vec<_> = partitions.to_vec();
        assigned.sort_unstable();
        assigned.dedup();
        self.slots = match assigned.as_slice() {
            [] | [_] => assigned.into_iter().map(Slot::of).collect(),
            _ if self.plan.together => vec![Slot::default()],
            _ => assigned.into_iter().map(Slot::of).collect(),
        };
        self.current = None;
        self.covered.clear();
        self.idle.clear();
    }

    /// The number of the slot for lines from `at`.
    fn slot_of(&mut self, at: Option<&Partition>) -> usize {
        let only = self.plan.together && !self.slots.is_empty();
        let known = self.slots.iter().position(|slot| only || slot.at.as_ref() == at);
        known.unwrap_or_else(|| {
            self.slots.push(Slot { at: at.cloned(), lines: 0 });
            self.slots.len() - 1
        })
    }

    fn tick(&mut self, ms: i64) -> Step {
        self.course.tick(ms);
        self.now_ms = Some(ms);
        let Some(every_ms) = self.plan.every_ms else { return self.behind_lines() };
        let is_due = ms >= self.due_ms;
        self.due_ms = (ms.div_euclid(every_ms) + 1).saturating_mul(every_ms);
        if is_due { Step::Run } else { self.behind_lines() }
    }

    fn behind_lines(&self) -> Step {
        if self.holds { Step::Hold } else { Step::Pass }
    }

    fn end(&self) -> Result<Step> {
        if !self.has_epochs() {
            return Ok(Step::Run);
        }
        if self.holds {
            let reason = "lines behind the last barrier belong to no epoch; run it again";
            return Err(Error::unfinished("<stdin>", reason));
        }
        Ok(Step::Pass)
    }

    /// The time that a run is told: with `every_ms` a multiple of that.
    fn time_ms(&self) -> Option<i64> {
        let every_ms = self.plan.every_ms.unwrap_or(1);
        self.now_ms.map(|ms| ms - ms.rem_euclid(every_ms))
    }

    fn cover(&mut self, offsets: &[Position]) {
        for Position(topic, number, next) in offsets {
            self.covered.insert(Partition(topic.clone(), *number), *next);
        }
    }

    fn offsets(&self, barrier: &Barrier, only: Option<&Partition>) -> Result<String> {
        let mut text = String::new();
        for Position(topic, number, until) in &barrier.offsets {
            let at = Partition(topic.clone(), *number);
            if only.is_some_and(|only| *only != at) {
                continue;
            }
            let Some(from) = self.covered.get(&at) else {
                let reason = format!("its barrier ends {topic} {number}, which nobody began");
                return Err(Error::world(format_args!("epoch {}", barrier.epoch), reason));
            };
            // Memory takes it.
            let _ = writeln!(text, "{topic} {number} {from} {until}");
        }
        Ok(text)
    }
}

impl Slot {
    fn of(at: Partition) -> Slot {
        Slot { at: Some(at), lines: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe::mark::How;

    fn at(number: i32) -> Partition {
        Partition("t".to_owned(), number)
    }

    fn positions(next: &[i64]) -> Vec<Position> {
        let position = |(number, next): (i32, &i64)| Position("t".to_owned(), number, *next);
        (0..).zip(next).map(position).collect()
    }

    fn begin(count: i32) -> Mark {
        let (group, generation, member, instance) = (None, Some(1), None, None);
        let partitions = (0..count).map(at).collect();
        Mark::Begin { group, generation, member, instance, partitions }
    }

    fn barrier(epoch: u64, lines: u64, next: &[i64]) -> Mark {
        let (group, generation, member, instance) = (None, 1, "m".to_owned(), None);
        let (offsets, last) = (positions(next), None);
        Mark::Barrier(Barrier { epoch, lines, group, generation, member, instance, offsets, last })
    }

    fn from(number: i32) -> Mark {
        Mark::From { at: at(number), offset: None }
    }

    fn idle(number: i32) -> Mark {
        Mark::Idle { at: at(number) }
    }

    fn take(stage: &mut Stage, mark: &Mark) -> Step {
        let step = stage.mark(mark).expect("it is no error");
        if matches!(step, Step::Forget | Step::Run) {
            stage.settle(mark);
        }
        step
    }

    /// A stage behind `restored`, with `count` partitions.
    fn stage(plan: Plan, epochs: bool, count: i32) -> Stage {
        let mut stage = Stage::new(plan);
        take(&mut stage, &Mark::Open { epochs, tick_ms: 100, stages: Vec::new() });
        assert_eq!(take(&mut stage, &begin(count)), Step::Forget);
        if epochs {
            let offsets = positions(&vec![10; usize::try_from(count).expect("a count")]);
            take(&mut stage, &Mark::Restored { count: 0, offsets });
        }
        stage
    }

    /// Slot, lines and offsets of the runs that a mark asks for.
    fn runs(stage: &mut Stage, mark: &Mark) -> Vec<(usize, u64, String)> {
        assert_eq!(stage.mark(mark), Ok(Step::Run));
        let pieces = stage.pieces(mark).expect("offsets are known");
        stage.settle(mark);
        let run = |piece: Piece| (piece.slot, piece.lines, piece.offsets.unwrap_or_default());
        pieces.into_iter().map(run).collect()
    }

    #[test]
    fn an_epoch_is_a_run_for_each_partition_with_its_offsets() {
        let mut stage = stage(Plan::default(), true, 2);
        take(&mut stage, &from(1));
        assert_eq!((stage.line(), stage.line()), (Ok(1), Ok(1)));
        let first = runs(&mut stage, &barrier(1, 2, &[10, 12]));
        assert_eq!(first, [(0, 0, "t 0 10 10\n".into()), (1, 2, "t 1 10 12\n".into())]);
        assert_eq!(stage.line(), Ok(1), "it goes on where it was");
        let second = runs(&mut stage, &barrier(2, 1, &[10, 13]));
        assert_eq!(second[1], (1, 1, "t 1 12 13\n".into()));
    }

    #[test]
    fn without_lines_there_may_be_no_run() {
        let mut stage = stage(Plan { skip_empty: true, ..Plan::default() }, true, 2);
        take(&mut stage, &from(0));
        let _ = stage.line();
        assert_eq!(runs(&mut stage, &barrier(1, 1, &[11, 10])).len(), 1);
        assert_eq!(runs(&mut stage, &barrier(2, 0, &[11, 10])), []);
    }

    #[test]
    fn together_all_partitions_are_one_run_that_is_of_none_of_them() {
        let plan = Plan { together: true, ..Plan::default() };
        let mut mixed = stage(plan, true, 2);
        take(&mut mixed, &from(1));
        assert_eq!(mixed.line(), Ok(0));
        let mark = barrier(1, 1, &[10, 11]);
        assert_eq!(mixed.mark(&mark), Ok(Step::Run));
        let pieces = mixed.pieces(&mark).expect("offsets are known");
        assert_eq!((pieces.len(), &pieces[0].at), (1, &None));
        assert_eq!(pieces[0].offsets.as_deref(), Some("t 0 10 10\nt 1 10 11\n"));
        let mut only = stage(plan, true, 1);
        let _ = only.mark(&mark);
        let pieces = only.pieces(&barrier(1, 0, &[10])).expect("offsets are known");
        assert_eq!(pieces[0].at, Some(at(0)), "of one partition, nothing is mixed");
        let mut without = Stage::new(plan);
        take(&mut without, &Mark::Open { epochs: false, tick_ms: 100, stages: Vec::new() });
        assert!(without.mark(&begin(2)).is_err(), "nobody could refuse its lines");
    }

    #[test]
    fn marks_stand_behind_the_lines_before_them() {
        let mut stage = stage(Plan::default(), true, 1);
        let (tick, closed) = (Mark::Tick { ms: 100 }, Mark::Closed { until: 100 });
        assert_eq!(take(&mut stage, &tick), Step::Pass, "there are none yet");
        take(&mut stage, &from(0));
        let _ = stage.line();
        assert_eq!((take(&mut stage, &tick), take(&mut stage, &closed)), (Step::Hold, Step::Hold));
        assert_eq!(take(&mut stage, &barrier(1, 1, &[11])), Step::Run);
        assert_eq!((take(&mut stage, &tick), take(&mut stage, &closed)), (Step::Pass, Step::Pass));
    }

    #[test]
    fn a_partition_is_idle_unless_it_went_on() {
        let mut stage = stage(Plan::default(), true, 3);
        assert_eq!(take(&mut stage, &idle(2)), Step::Pass);
        take(&mut stage, &from(0));
        let _ = stage.line();
        for (mark, step) in [(idle(1), Step::Keep), (idle(0), Step::Keep), (from(1), Step::Keep)] {
            assert_eq!(take(&mut stage, &mark), step);
        }
        let mark = barrier(1, 1, &[11, 10, 10]);
        assert_eq!(stage.mark(&mark), Ok(Step::Run));
        assert_eq!((stage.settle(&mark), stage.settle(&mark)), (vec![at(0)], vec![]));
    }

    #[test]
    fn a_new_assignment_forgets_what_the_epoch_before_it_left() {
        let mut under = stage(Plan::default(), true, 1);
        take(&mut under, &from(0));
        let _ = under.line();
        assert_eq!(take(&mut under, &begin(2)), Step::Forget);
        assert!(under.line().is_err(), "it is from nowhere");
        let mut without = stage(Plan::default(), false, 1);
        take(&mut without, &from(0));
        let _ = without.line();
        let again = runs(&mut without, &begin(2));
        assert_eq!(again, [(0, 1, String::new())], "nobody sends the line again");
    }

    #[test]
    fn lines_behind_the_last_barrier_are_no_epoch() {
        let end = Mark::End { how: How::Drained };
        let mut under = stage(Plan::default(), true, 1);
        take(&mut under, &from(0));
        assert_eq!(under.mark(&end), Ok(Step::Pass));
        let _ = under.line();
        assert!(matches!(under.mark(&end), Err(Error::Failed(Code::UNFINISHED, _))));
        let mut without = stage(Plan::default(), false, 1);
        take(&mut without, &from(0));
        let _ = without.line();
        assert_eq!(runs(&mut without, &end), [(0, 1, String::new())]);
    }

    #[test]
    fn an_epoch_begins_where_the_one_before_it_ended() {
        let mut stage = stage(Plan::default(), true, 1);
        let mark = barrier(1, 0, &[10, 3]);
        assert_eq!(stage.mark(&mark), Ok(Step::Run));
        assert!(stage.pieces(&mark).is_ok(), "a run asks for its own");
        let mut mixed = Stage::new(Plan { together: true, ..Plan::default() });
        take(&mut mixed, &Mark::Open { epochs: true, tick_ms: 100, stages: Vec::new() });
        take(&mut mixed, &begin(2));
        take(&mut mixed, &Mark::Restored { count: 0, offsets: positions(&[1]) });
        let _ = mixed.mark(&mark);
        assert!(mixed.pieces(&mark).is_err(), "nobody said where 1 begins");
    }

    #[test]
    fn without_epochs_runs_are_by_ticks() {
        let mut stage = stage(Plan { every_ms: Some(200), ..Plan::default() }, false, 1);
        let tick = |stage: &mut Stage, ms| {
            let step = take(stage, &Mark::Tick { ms });
            (step, stage.time_ms())
        };
        assert_eq!(tick(&mut stage, 500), (Step::Pass, Some(400)), "it begins in a period");
        assert_eq!(tick(&mut stage, 600).0, Step::Run);
        take(&mut stage, &from(0));
        let _ = stage.line();
        assert_eq!(tick(&mut stage, 700).0, Step::Hold);
        assert_eq!(
            tick(&mut stage, 1_300),
            (Step::Run, Some(1_200)),
            "once for all that it missed"
        );
        for (epochs, tick_ms) in [(true, 100), (false, 300)] {
            let mut stage = Stage::new(Plan { every_ms: Some(200), ..Plan::default() });
            assert!(stage.mark(&Mark::Open { epochs, tick_ms, stages: Vec::new() }).is_err());
        }
    }
}
