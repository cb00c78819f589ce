//! Where a stage stands in a marked stream: its own name, where the row at hand came from, how
//! many rows the epoch has, whether the state is still to come, and how the stream ended.
//!
//! A plain stream needs none of this, and one without epochs little.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value as Json;

use crate::exit::{Code, Error, Result};
use crate::mark::{Barrier, DeadLetter, How, Mark, Partition};

/// What the name of a stage ends in that may make one line of lines of several partitions. Such
/// lines have no `from`.
const MIXER: &str = ":keach";

/// The course of a marked stream through one stage.
#[derive(Debug)]
pub struct Course {
    tool: &'static str,
    /// The stage's name in the pipeline, as `0:swin`.
    name: String,
    kind: Kind,
    /// Whether lines of several partitions may have become one before this stage.
    mixed: bool,
    begun: bool,
    wait: Wait,
    /// The last tick before the state was complete.
    held_tick: Option<i64>,
    /// Under epochs.
    source: Option<Source>,
    /// Data lines that came, under epochs, and how many of them before the last barrier.
    lines: u64,
    lines_before: u64,
    /// The number of the last barrier.
    epoch: Option<u64>,
    /// Whether what a complete input leaves was asked for.
    drained: bool,
    end: Option<End>,
}

/// What the stream carries beside its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Plain,
    /// Marks.
    Marked,
    /// Marks, and barriers among them.
    Epochs,
}

/// What has to come before a data line may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The rest of the state.
    State,
    /// Where the line is from.
    Source,
    /// Nothing.
    Nothing,
}

/// Where data lines come from.
#[derive(Debug)]
struct Source {
    at: Partition,
    /// The offset of the first line, where the stage before knows it.
    offset: Option<i64>,
    /// The data lines that came before it.
    lines: u64,
}

/// How the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// As the head of the pipeline says.
    Said,
    /// A program before this one failed for good, with this exit code.
    Abort(u8),
}

impl Course {
    /// A stream of which nothing has come, through the stage of the program `tool`.
    #[must_use]
    pub fn new(tool: &'static str) -> Course {
        Course {
            tool,
            name: String::new(),
            kind: Kind::Plain,
            mixed: false,
            begun: false,
            wait: Wait::Nothing,
            held_tick: None,
            source: None,
            lines: 0,
            lines_before: 0,
            epoch: None,
            drained: false,
            end: None,
        }
    }

    /// The stream opens; returns the mark that opens it for the next stage.
    pub fn open(&mut self, epochs: bool, tick_ms: u64, stages: &[String]) -> Mark {
        self.name = format!("{}:{}", stages.len(), self.tool);
        (self.kind, self.wait) =
            if epochs { (Kind::Epochs, Wait::Source) } else { (Kind::Marked, Wait::Nothing) };
        self.mixed = stages.iter().any(|stage| stage.ends_with(MIXER));
        let stages = stages.iter().chain([&self.name]).cloned().collect();
        Mark::Open { epochs, tick_ms, stages }
    }

    /// Whether the stream has marks.
    #[inline]
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.kind != Kind::Plain
    }

    /// Whether barriers cut the stream into epochs.
    #[inline]
    #[must_use]
    pub fn has_epochs(&self) -> bool {
        self.kind == Kind::Epochs
    }

    /// The stage's name, as in the mark that [`Course::open`] made.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new assignment begins; returns whether it is not the first one.
    pub fn begin(&mut self) -> bool {
        if self.has_epochs() {
            self.wait = Wait::State;
        }
        (self.source, self.held_tick) = (None, None);
        self.lines_before = self.lines;
        (self.drained, self.end) = (false, None);
        std::mem::replace(&mut self.begun, true)
    }

    /// The state is complete; returns the last tick that came before it.
    pub fn restored(&mut self) -> Option<i64> {
        if self.wait == Wait::State {
            self.wait = Wait::Source;
        }
        self.held_tick.take()
    }

    /// It is `ms`; returns whether the stage may act on it, because its state is complete.
    pub fn tick(&mut self, ms: i64) -> bool {
        let holds = self.wait == Wait::State;
        if holds {
            self.held_tick = Some(ms);
        }
        !holds
    }

    /// The following data lines come from `at`, the first one with this offset.
    pub fn from(&mut self, at: &Partition, offset: Option<i64>) {
        if self.wait == Wait::Source {
            self.wait = Wait::Nothing;
        }
        if self.has_epochs() {
            self.source = Some(Source { at: at.clone(), offset, lines: self.lines });
        }
    }

    /// A data line comes. Without epochs nobody asks how many, and this need not be called.
    ///
    /// # Errors
    /// When it may not come here, in a stream with epochs.
    #[inline]
    pub fn line(&mut self) -> Result<()> {
        self.lines += 1;
        if self.wait == Wait::Nothing { Ok(()) } else { Err(self.stray()) }
    }

    #[cold]
    fn stray(&self) -> Error {
        if self.mixed {
            let reason = "before this stage mixes partitions, and state is kept by partition; \
                          leave --together out, or read one partition";
            return Error::caller("keach --together", reason);
        }
        let reason = "a row before its `from`, or before the state was `restored`";
        Error::world("<stdin>", reason)
    }

    /// The data line that came last, as one that could not be used; none without epochs, as
    /// nobody takes it then.
    #[must_use]
    pub fn dead_letter(&self, reason: impl Display, line: &[u8]) -> Option<DeadLetter> {
        let source = self.source.as_ref()?;
        let behind = i64::try_from(self.lines - source.lines).unwrap_or(i64::MAX);
        Some(DeadLetter {
            stage: self.name.clone(),
            at: source.at.clone(),
            offset: source.offset.map(|first| first + behind - 1),
            reason: reason.to_string(),
            line_b64: BASE64.encode(line),
        })
    }

    /// An epoch ends. Whoever wrote the barrier has counted its rows.
    ///
    /// # Errors
    /// When there should be no barrier, or another number of rows came.
    pub fn barrier(&mut self, barrier: &Barrier) -> Result<()> {
        if !self.has_epochs() {
            let reason = "a barrier in a stream that was opened without epochs";
            return Err(Error::world("<stdin>", reason));
        }
        let lines = self.lines - self.lines_before;
        self.lines_before = self.lines;
        self.epoch = Some(barrier.epoch);
        if lines == barrier.lines {
            return Ok(());
        }
        let (epoch, said) = (barrier.epoch, barrier.lines);
        let reason = format!(
            "epoch {epoch} has {lines} lines, and its barrier says {said}: does a program before \
             this one add or lose lines?"
        );
        Err(Error::world("<stdin>", reason))
    }

    /// The number of the last barrier.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// The input of the assignment, or that of a plain stream, is complete; returns whether this
    /// is news, and what it leaves is to be written.
    pub fn drain(&mut self) -> bool {
        !std::mem::replace(&mut self.drained, true)
    }

    /// Whether the input was complete.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// Nothing follows; returns whether what a complete input leaves is to be written.
    pub fn end(&mut self, how: How) -> bool {
        self.end = Some(End::Said);
        how == How::Drained && self.drain()
    }

    /// A program before this one failed for good with the exit code `code`.
    pub fn abort(&mut self, code: u8) {
        self.end = Some(End::Abort(code));
    }

    /// The input has ended. Returns the exit code: that of the program before this one which
    /// failed for good.
    ///
    /// # Errors
    /// When a marked stream was cut short, so that what `left` names is not written.
    pub fn finish(&self, left: &str) -> Result<Code> {
        match self.end {
            Some(End::Abort(code)) => Ok(Code(code)),
            None if self.is_marked() => {
                let reason = format!("the stream has no end, so {left} not written; run it again");
                Err(Error::unfinished("<stdin>", reason))
            }
            Some(End::Said) | None => Ok(Code::DONE),
        }
    }

    /// Says that the state was stored by a run with other options.
    #[must_use]
    pub fn misfit(&self, difference: &str) -> Error {
        let reason = format!(
            "{difference}; give the options that it was stored with, or delete it with kcons \
             --reset-state"
        );
        Error::caller(self.state_name(), reason)
    }

    /// Says that an entry of the state cannot be read.
    #[must_use]
    pub fn bad_entry(&self, key: &Json, value: &Json) -> Error {
        let reason = format!("cannot be read: {key}: {value}; kcons --reset-state deletes it");
        Error::world(self.state_name(), reason)
    }

    /// What messages call the state.
    #[must_use]
    pub fn state_name(&self) -> String {
        format!("the state of {}", self.name)
    }
}

/// What is different in two layouts, objects of the options that give a state its meaning.
#[must_use]
pub fn difference(stored: &Json, asked: &Json) -> Option<String> {
    let names = [stored, asked].into_iter().filter_map(Json::as_object).flat_map(|x| x.keys());
    // Of another version all fields may differ, and this one says why.
    let version = "version".to_owned();
    let name = [&version].into_iter().chain(names).find(|name| stored.get(name) != asked.get(name));
    let (name, null) = (name?, Json::Null);
    let [theirs, mine] = [stored, asked].map(|layout| layout.get(name).unwrap_or(&null));
    Some(format!("was stored with {name} {theirs}, and this is {name} {mine}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn opened(epochs: bool) -> Course {
        let mut course = Course::new("topk");
        course.open(epochs, 100, &["0:swin".to_owned()]);
        course
    }

    fn barrier(lines: u64) -> Barrier {
        Barrier {
            epoch: 7,
            lines,
            group: None,
            generation: 1,
            member: "m".to_owned(),
            instance: None,
            offsets: Vec::new(),
            last: None,
        }
    }

    fn partition() -> Partition {
        Partition("t".to_owned(), 3)
    }

    #[test]
    fn a_stage_adds_its_name() {
        let mut course = Course::new("topk");
        let stages = vec!["0:swin".to_owned(), "1:topk".to_owned()];
        let opening = course.open(true, 100, &stages[..1]);
        assert_eq!(opening, Mark::Open { epochs: true, tick_ms: 100, stages });
        assert_eq!(course.name(), "1:topk");
    }

    #[test]
    fn a_row_of_an_epoch_is_from_somewhere_and_behind_the_state() {
        let mut course = opened(true);
        assert!(course.line().is_err(), "nothing has begun");
        course.begin();
        course.from(&partition(), None);
        assert!(course.line().is_err(), "the state is not back");
        course.begin();
        let _ = course.restored();
        assert!(course.line().is_err(), "it is from nowhere");
        course.from(&partition(), None);
        assert_eq!(course.line(), Ok(()));
        course.begin();
        assert!(course.line().is_err(), "the next assignment has a state of its own");
    }

    #[test]
    fn rows_of_several_partitions_at_once_are_refused() {
        let mut course = Course::new("topk");
        course.open(true, 100, &["0:keach".to_owned()]);
        course.begin();
        let _ = course.restored();
        let Err(Error::Failed(Code::CALLER, message)) = course.line() else {
            panic!("its state would be of no partition");
        };
        assert!(message.starts_with("keach --together: before this stage"), "{message}");
        course.from(&partition(), None);
        assert_eq!(course.line(), Ok(()), "only one is assigned");
    }

    #[test]
    fn without_epochs_rows_come_as_they_like() {
        let mut course = opened(false);
        assert_eq!(course.line(), Ok(()));
        assert!(!course.begin());
        assert_eq!(course.line(), Ok(()));
        assert!(course.tick(100), "no state is to come");
        assert!(course.begin(), "again");
        course.from(&partition(), Some(1));
        assert_eq!(course.line(), Ok(()));
        assert_eq!(course.dead_letter("bad", b"x"), None);
        assert!(course.barrier(&barrier(1)).is_err());
    }

    #[test]
    fn rows_are_counted_from_barrier_to_barrier() {
        let mut course = opened(true);
        course.begin();
        let _ = course.restored();
        course.from(&partition(), Some(40));
        assert_eq!((course.line(), course.line()), (Ok(()), Ok(())));
        assert_eq!(course.epoch(), None);
        assert_eq!((course.barrier(&barrier(2)), course.barrier(&barrier(0))), (Ok(()), Ok(())));
        assert_eq!(course.epoch(), Some(7));
        assert_eq!(course.line(), Ok(()));
        let Err(Error::Failed(Code::WORLD, message)) = course.barrier(&barrier(2)) else {
            panic!("a line is missing");
        };
        assert!(message.contains("epoch 7 has 1 lines, and its barrier says 2"), "{message}");
        assert_eq!(course.barrier(&barrier(0)), Ok(()), "it is said once");
        assert_eq!(course.line(), Ok(()));
        course.begin();
        assert_eq!(course.barrier(&barrier(0)), Ok(()), "the line was of the assignment before");
    }

    #[test]
    fn a_dead_letter_says_where_the_row_came_from() {
        let mut course = opened(true);
        course.begin();
        let _ = course.restored();
        course.from(&partition(), Some(40));
        let _ = (course.line(), course.barrier(&barrier(1)), course.line());
        let letter = course.dead_letter("bad", b"x").expect("a row is at hand");
        assert_eq!((letter.stage.as_str(), letter.at), ("1:topk", partition()));
        assert_eq!((letter.offset, letter.line_b64.as_str()), (Some(41), "eA=="));
        course.from(&Partition("t".to_owned(), 4), None);
        let _ = course.line();
        let letter = course.dead_letter("bad", b"x").expect("a row is at hand");
        assert_eq!((letter.at.1, letter.offset), (4, None));
    }

    #[test]
    fn the_last_tick_waits_until_the_state_is_back() {
        let mut course = opened(true);
        course.begin();
        assert!(!course.tick(100) && !course.tick(200));
        assert_eq!((course.restored(), course.tick(300)), (Some(200), true));
        assert_eq!(course.restored(), None);
        course.begin();
        course.tick(400);
        course.begin();
        assert_eq!(course.restored(), None, "it was of the assignment before");
    }

    #[test]
    fn what_a_complete_input_leaves_is_written_once() {
        let mut course = opened(true);
        course.begin();
        assert!(course.drain(), "at the last barrier");
        assert!(course.finish("windows are").is_err(), "the end is still to come");
        assert!(!course.end(How::Drained), "and not again");
        assert_eq!(course.finish("windows are"), Ok(Code::DONE));
        course.begin();
        assert!(!course.end(How::Stopped) && !course.is_drained(), "more was to come");
    }

    #[test]
    fn the_exit_code_is_that_of_the_program_that_failed() {
        let plain = Course::new("topk");
        assert_eq!(plain.finish("windows are"), Ok(Code::DONE), "it needs no end");
        let mut course = opened(false);
        let Err(Error::Failed(Code::UNFINISHED, message)) = course.finish("windows are") else {
            panic!("it was cut short");
        };
        assert!(message.contains("so windows are not written"), "{message}");
        course.abort(2);
        assert_eq!(course.finish("windows are"), Ok(Code(2)));
    }

    #[test]
    fn the_difference_of_two_layouts_is_named() {
        let layout = |k: u32, version: u32| json!({ "k": k, "version": version });
        assert_eq!(difference(&layout(10, 1), &layout(10, 1)), None);
        let of = |stored: &Json| difference(stored, &layout(5, 1)).unwrap_or_default();
        assert_eq!(of(&layout(10, 1)), "was stored with k 10, and this is k 5");
        let version = "was stored with version 2, and this is version 1";
        assert_eq!(of(&layout(10, 2)), version, "which is why all the others may differ");
        assert_eq!(of(&json!({})), "was stored with version null, and this is version 1");
        let more = json!({ "k": 5, "version": 1, "per": ["a"] });
        assert_eq!(of(&more), "was stored with per [\"a\"], and this is per null");
    }
}
