//! Marks: lines in the stream that carry positions, time and ends.
//!
//! A mark is the byte RS (0x1E), one JSON object and LF: a text sequence element of RFC 7464, so
//! `grep -v $'^\x1e'` takes the marks out. A stream is marked when its first line is an
//! [`Mark::Open`], whose bytes after RS are exactly `{"kpipe":1,`. In a marked stream a data line
//! that starts with RS is *stuffed*: it carries one RS more, which programs that read rows take
//! off.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::exit::{Code, Error, Result};
use crate::lines::{Fill, LINE_BYTES_MAX, Line, Lines};
use crate::stdio::Input;
use crate::units;

/// The byte that a mark starts with.
pub const RS: u8 = 0x1e;

/// What follows RS in the first line of a marked stream.
const OPENING: &[u8] = b"{\"kpipe\":1,";

/// A partition of a topic, as marks write it: `["topic",0]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Partition(pub String, pub i32);

/// A partition and the offset of the next record to be read from it: `["topic",0,1234]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(pub String, pub i32, pub i64);

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The input is complete.
    Drained,
    /// A signal ended it.
    Stopped,
}

/// Why a barrier is the last one of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Last {
    /// The input is complete.
    Drained,
    /// A signal ended it.
    Stopped,
    /// The partitions go to another member of the group.
    Moved,
}

/// A mark. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "lowercase")]
pub enum Mark {
    /// The first line of a marked stream, by its head.
    Open {
        /// Whether barriers follow.
        epochs: bool,
        /// Milliseconds between ticks.
        tick_ms: u64,
        /// The stateful stages passed so far, by position and tool: `["0:swin","1:topk"]`.
        stages: Vec<String>,
    },
    /// A new assignment: forget everything, state follows.
    Begin {
        /// The consumer group, when there is one.
        group: Option<String>,
        /// The group's generation, under epochs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<i32>,
        /// The member of the group, under epochs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// The static member's name, when it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instance: Option<String>,
        /// What is assigned.
        partitions: Vec<Partition>,
    },
    /// One stored entry of a stage's state.
    Restore {
        /// The stage, as in [`Mark::Open`].
        stage: String,
        /// The input partition that the entry belongs to.
        at: Partition,
        /// The stage's own key.
        key: serde_json::Value,
        /// The stage's own value.
        value: serde_json::Value,
    },
    /// The state is complete; data follows from these positions.
    Restored {
        /// How many entries came.
        count: u64,
        /// Where reading starts.
        offsets: Vec<Position>,
    },
    /// The following data lines come from here, with consecutive offsets.
    From {
        /// Their partition.
        at: Partition,
        /// The first one's offset; none behind a stage that makes new rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<i64>,
    },
    /// The time.
    Tick {
        /// A multiple of the tick, growing.
        ms: i64,
    },
    /// A partition is caught up and silent; ends with its next `from`.
    Idle {
        /// The partition.
        at: Partition,
    },
    /// Every row of windows that end by then has been written.
    Closed {
        /// A window's end or a tick.
        until: i64,
    },
    /// A row that could not be read, on its way to the dead letters.
    Bad(DeadLetter),
    /// A row that came too late, on its way to the dead letters.
    Late(DeadLetter),
    /// A changed entry of a stage's state, right before the barrier.
    State {
        /// The stage, as in [`Mark::Open`].
        stage: String,
        /// The input partition that the entry belongs to.
        at: Partition,
        /// The stage's own key.
        key: serde_json::Value,
        /// The stage's own value; null deletes.
        value: serde_json::Value,
    },
    /// An epoch ends: all lines before it are covered by these offsets.
    Barrier(Barrier),
    /// The last line of a program that failed for good.
    Abort {
        /// The program.
        tool: String,
        /// Its exit code, neither 0 nor 75.
        #[serde(deserialize_with = "lasting")]
        code: u8,
        /// Its message.
        message: String,
    },
    /// Nothing follows.
    End {
        /// Whether the input is complete.
        how: How,
    },
    /// A mark of a later version: it passes through.
    #[serde(other)]
    Unknown,
}

/// A row that a stage could not use, with where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The stage, as in [`Mark::Open`].
    pub stage: String,
    /// Its partition.
    pub at: Partition,
    /// Its offset, when the stage knows it.
    pub offset: Option<i64>,
    /// Why it could not be used.
    pub reason: String,
    /// The row in base64.
    pub line_b64: String,
}

/// The end of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// The epoch's number, growing by one within an assignment.
    pub epoch: u64,
    /// How many data lines the writer of this barrier wrote in the epoch.
    pub lines: u64,
    /// The consumer group, when there is one.
    pub group: Option<String>,
    /// The group's generation.
    pub generation: i32,
    /// The member of the group.
    pub member: String,
    /// The static member's name, when it has one.
    pub instance: Option<String>,
    /// The next offset of every partition.
    pub offsets: Vec<Position>,
    /// Why it is the last one, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Last>,
}

impl Mark {
    /// Appends the mark as a line.
    pub fn write(&self, out: &mut Vec<u8>) {
        let json = serde_json::to_vec(self).unwrap_or_default();
        out.push(RS);
        if let Mark::Open { .. } = self {
            out.extend_from_slice(OPENING);
            out.extend_from_slice(&json[1..]);
        } else {
            out.extend_from_slice(&json);
        }
        out.push(b'\n');
    }

    /// The mark with which the program `tool` fails, if it fails for good.
    #[must_use]
    pub fn abort(tool: &str, error: &Error) -> Option<Mark> {
        match error {
            Error::Closed | Error::Failed(Code::UNFINISHED, _) => None,
            Error::Failed(code, message) => {
                let (tool, message) = (tool.to_owned(), message.clone());
                Some(Mark::Abort { tool, code: code.0, message })
            }
        }
    }

    /// What a program fails with because the one before it has, and has told so in an
    /// [`Mark::Abort`] of these.
    #[must_use]
    pub fn aborted(tool: &str, code: u8, message: &str) -> Error {
        Error::Failed(Code(code), format!("{tool} failed: {message}"))
    }

    /// Reads a mark from the bytes after RS.
    ///
    /// # Errors
    /// When they are no mark's JSON.
    pub fn parse(json: &[u8]) -> serde_json::Result<Mark> {
        serde_json::from_slice(json)
    }
}

/// The exit code of a program that failed for good: with another one, who forges a mark would have
/// the whole pipe end as if all were done, or start again for ever.
fn lasting<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<u8, D::Error> {
    let code = u8::deserialize(from)?;
    if [Code::DONE, Code::UNFINISHED].contains(&Code(code)) {
        return Err(D::Error::custom(format_args!("a failure for good is not {code}")));
    }
    Ok(code)
}

/// Appends a data line to a marked stream, stuffed when it starts with RS.
#[inline]
pub fn write_data(line: &[u8], out: &mut Vec<u8>) {
    if line.first() == Some(&RS) {
        out.push(RS);
    }
    out.extend_from_slice(line);
    out.push(b'\n');
}

/// Whether a first line says that its stream is marked.
#[must_use]
pub fn is_opening(line: &[u8]) -> bool {
    line.strip_prefix(&[RS]).is_some_and(|rest| rest.starts_with(OPENING))
}

/// What came next in a stream.
#[derive(Debug, PartialEq)]
pub enum Event<'a> {
    /// A data line, without its delimiter and without stuffing.
    Data(&'a [u8]),
    /// A data line longer than the limit: its first bytes, and how many it had.
    Long(&'a [u8], u64),
    /// A mark, and its line to pass it on (with RS, without LF).
    Mark(Mark, &'a [u8]),
}

/// The options that say what the lines of a stream are.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Input rows")]
#[group(skip)]
pub struct Options {
    /// Lines that start with RS are data, not marks
    #[arg(long)]
    plain: bool,

    /// What lines end in, those of -o text as well
    #[arg(long, value_name = "BYTE", default_value = "\\n", value_parser = units::byte)]
    delimiter: u8,

    /// Lines end in a NUL byte, those of -o text as well
    #[arg(short = '0', conflicts_with = "delimiter")]
    null: bool,

    /// The longest line that is a row
    #[arg(long, value_name = "SIZE", default_value_t = LINE_BYTES_MAX, value_parser = units::size)]
    max_line: usize,
}

impl Options {
    /// The byte that lines end in, those that are read and those that go on as they came.
    #[must_use]
    pub fn delimiter(&self) -> u8 {
        if self.null { 0 } else { self.delimiter }
    }

    /// The stream that `input` is.
    #[must_use]
    pub fn stream(&self, input: Input) -> Stream {
        Stream::new(Lines::new(input, self.delimiter(), self.max_line), self.plain)
    }
}

/// Lines in which marks are recognised by the first one.
#[derive(Debug)]
pub struct Stream {
    lines: Lines,
    /// Not known before the first line.
    marked: Option<bool>,
    ended: bool,
}

impl Stream {
    /// The stream of `lines`; with `plain`, lines that start with RS are data like any other.
    #[must_use]
    pub fn new(lines: Lines, plain: bool) -> Stream {
        Stream { lines, marked: plain.then_some(false), ended: false }
    }

    /// Whether the stream is marked; false as long as no line came.
    #[inline]
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.marked == Some(true)
    }

    /// Whether a marked stream ended without its `end` mark, so that its head or a program
    /// between was cut short.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        self.is_marked() && !self.ended
    }

    /// The number of the line handed out last, marks included, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.lines.number()
    }

    /// Waits for the first line, which stays to be handed out, and returns the mark that opens a
    /// marked stream.
    ///
    /// # Errors
    /// When the read fails.
    pub fn opening(&mut self) -> Result<Option<Mark>> {
        while self.marked.is_none() {
            if let Some(line) = self.lines.ahead().next() {
                let json = line.get(1..).filter(|_| is_opening(line));
                return Ok(json.and_then(|json| Mark::parse(json).ok()));
            }
            if self.lines.has_ended() || self.lines.fill(None)? == Fill::End {
                break;
            }
        }
        Ok(None)
    }

    /// Waits for more input, at most for `wait` (`None`: for ever).
    ///
    /// # Errors
    /// When the read fails.
    pub fn fill(&mut self, wait: Option<Duration>) -> Result<Fill> {
        self.lines.fill(wait)
    }

    /// The lines that come next, as far as they are in the buffer; marks among them.
    pub fn ahead(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.ahead()
    }

    /// Offers the bytes that are in the buffer from the next line on, with what ends it, as long as
    /// `take` takes that line and returns how many bytes it has. Marks, stuffed lines, and what it
    /// refuses, [`Stream::next_event`] brings.
    #[inline]
    pub fn offer<'a>(&'a mut self, mut take: impl FnMut(&'a [u8], u8) -> Option<usize>) {
        match self.marked {
            // The first line says what the stream is.
            None => {}
            Some(false) => self.lines.offer(take),
            Some(true) => self.lines.offer(|rest, delimiter| {
                if rest.first() == Some(&RS) { None } else { take(rest, delimiter) }
            }),
        }
    }

    /// What is next in the buffer, or `None` when [`Stream::fill`] must bring more.
    ///
    /// # Errors
    /// When a line that starts as a mark is none.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>> {
        match self.marked {
            Some(false) => Ok(self.lines.next_line().map(plain)),
            _ => self.next_marked(),
        }
    }

    fn next_marked(&mut self) -> Result<Option<Event<'_>>> {
        let number = self.lines.number() + 1;
        let Some(line) = self.lines.next_line() else { return Ok(None) };
        let bytes = match line {
            Line::Whole(bytes) => bytes,
            // Whoever tore the last line of a marked stream died over it: what it meant to say
            // is not known. A stream that is not marked has it as any other line.
            Line::Torn(bytes) => {
                let marked = *self.marked.get_or_insert_with(|| is_opening(bytes));
                return Ok((!marked).then_some(Event::Data(bytes)));
            }
            Line::Long(head, bytes) => {
                let marked = *self.marked.get_or_insert_with(|| is_opening(head));
                return long(head, bytes, marked, number).map(Some);
            }
        };
        let marked = *self.marked.get_or_insert_with(|| is_opening(bytes));
        if !marked {
            return Ok(Some(Event::Data(bytes)));
        }
        match bytes {
            [RS, RS, ..] => Ok(Some(Event::Data(&bytes[1..]))),
            [RS, json @ ..] => {
                let mark = Mark::parse(json)
                    .map_err(|error| Error::world(format!("line {number}"), bad_mark(&error)))?;
                self.ended = matches!(mark, Mark::End { .. } | Mark::Abort { .. });
                Ok(Some(Event::Mark(mark, bytes)))
            }
            _ => Ok(Some(Event::Data(bytes))),
        }
    }
}

/// To wait for input together with something else.
impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lines.as_fd()
    }
}

fn plain(line: Line<'_>) -> Event<'_> {
    match line {
        Line::Whole(bytes) | Line::Torn(bytes) => Event::Data(bytes),
        Line::Long(head, bytes) => Event::Long(head, bytes),
    }
}

/// A line over the limit: a row that is too long, but a mark must not be lost.
fn long(head: &[u8], bytes: u64, marked: bool, number: u64) -> Result<Event<'_>> {
    match head {
        [RS, RS, ..] if marked => Ok(Event::Long(&head[1..], bytes - 1)),
        [RS, ..] if marked => {
            Err(Error::world(format!("line {number}"), "a mark longer than --max-line"))
        }
        _ => Ok(Event::Long(head, bytes)),
    }
}

fn bad_mark(error: &serde_json::Error) -> String {
    format!("starts as a mark and is none ({error}); is a data line not stuffed?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_for_good_has_the_exit_code_of_one() {
        let parse = |code: u16| {
            let json = format!(r#"{{"mark":"abort","tool":"t","code":{code},"message":"m"}}"#);
            Mark::parse(json.as_bytes())
        };
        for code in [1, 2, 74, 76, 255] {
            let Ok(Mark::Abort { code: found, .. }) = parse(code) else { panic!("{code}") };
            assert_eq!(u16::from(found), code);
        }
        for code in [0, 75, 256] {
            assert!(parse(code).is_err(), "{code}");
        }
    }
}
