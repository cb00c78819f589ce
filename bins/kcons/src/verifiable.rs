//! Kafka's `VerifiableConsumer`: a member of a group that tells everything it does.

use std::time::{Duration, Instant};

use pipe::exit::{Error, Result, say};
use pipe::stdio::Output;
use pipe::stop::Stop;
use topic::config;
use topic::consumer::{Change, Item, Partition, Reader};

use crate::event::{At, Event, Run};
use crate::sink::now;
use crate::start::{self, Start};

/// How long a commit may take.
const COMMIT_PATIENCE: Duration = Duration::from_secs(30);

/// Time between the commits of which no event tells.
const AUTO_COMMIT: Duration = Duration::from_secs(5);

/// What it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    /// Ends after so many records.
    pub(crate) limit: Option<u64>,
    /// Tells of each record.
    pub(crate) verbose: bool,
    /// Commits from time to time, and not behind each batch.
    pub(crate) auto_commit: bool,
    /// Where a partition begins of which no offset is stored; `None` is a failure.
    pub(crate) reset: Option<Start>,
}

/// A member under way.
pub(crate) struct Member<'a> {
    task: Task,
    reader: Reader,
    out: Output,
    stop: &'a Stop,
    /// Of each of our partitions, the offset behind what was read.
    positions: Vec<Option<i64>>,
    consumed: u64,
    /// When it was last committed, and whether something was read since then.
    committed: Instant,
    news: bool,
}

/// Records of a partition in one batch.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    at: usize,
    count: u64,
    min: i64,
    max: i64,
}

impl<'a> Member<'a> {
    pub(crate) fn new(task: Task, reader: Reader, out: Output, stop: &'a Stop) -> Member<'a> {
        let committed = Instant::now();
        let positions = Vec::new();
        Member { task, reader, out, stop, positions, consumed: 0, committed, news: false }
    }

    /// Consumes until it is stopped or has had enough, and tells of it to the last.
    pub(crate) fn run(mut self) -> Result<()> {
        let ended = self.consume();
        let mine: Vec<usize> = self.ours().map(|(at, _)| at).collect();
        let told = match &ended {
            Err(Error::Closed) => Ok(()),
            _ if mine.is_empty() => Ok(()),
            _ => tell_partitions(&mut self.out, &self.reader, &mine, |all| {
                Event::PartitionsRevoked(all)
            }),
        };
        let closed = self.reader.close();
        let told = told.and_then(|()| tell(&mut self.out, Event::ShutdownComplete));
        ended.and(closed).and(told)
    }

    fn consume(&mut self) -> Result<()> {
        tell(&mut self.out, Event::StartupComplete)?;
        self.reader.join()?;
        while !self.stop.requested() && self.task.limit.is_none_or(|limit| self.consumed < limit) {
            let changed = match self.reader.change()? {
                Some(Change::Assigned(at)) => self.take(&at).map(|()| true),
                Some(Change::Revoked(at)) => self.give(&at).map(|()| true),
                None => Ok(false),
            }?;
            let busy = self.read()?;
            if self.task.auto_commit && self.news && self.committed.elapsed() >= AUTO_COMMIT {
                self.auto_commit()?;
            }
            if !changed && !busy {
                let time = AUTO_COMMIT.saturating_sub(self.committed.elapsed());
                self.reader
                    .wait(self.stop, (self.task.auto_commit && self.news).then_some(time))?;
            }
        }
        if self.task.auto_commit {
            self.auto_commit()?;
        }
        self.reader.settle(COMMIT_PATIENCE)
    }

    /// Our partitions with their positions.
    fn ours(&self) -> impl Iterator<Item = (usize, i64)> {
        let positions = self.positions.iter().enumerate();
        positions.filter_map(|(at, position)| position.map(|position| (at, position)))
    }

    /// Where our partitions but those `at` are read on.
    fn others(&self, at: &[usize]) -> Vec<(usize, i64)> {
        self.ours().filter(|(one, _)| !at.contains(one)).collect()
    }

    /// Begins to read partitions where the group left off.
    fn take(&mut self, at: &[usize]) -> Result<()> {
        tell_partitions(&mut self.out, &self.reader, at, |all| Event::PartitionsAssigned(all))?;
        let (stored, bounds) = (self.reader.stored(at)?, self.reader.bounds(at)?);
        let mut from = Vec::new();
        for ((&at, stored), bounds) in at.iter().zip(stored).zip(bounds) {
            let first = match (stored, self.task.reset) {
                (None, None) => Err("no offset is stored, and --reset-policy is none".to_owned()),
                (stored, reset) => {
                    // What retention has removed begins by the policy too, where there is one.
                    let stored = stored.filter(|&one| reset.is_none() || one >= bounds.low);
                    let rule = reset.unwrap_or(Start::Stored);
                    start::first(rule, stored, (bounds.low, bounds.high), None, None)
                }
            };
            let first =
                first.map_err(|reason| Error::world(&self.reader.partitions()[at], reason))?;
            from.push((at, first));
            if self.positions.len() <= at {
                self.positions.resize(at + 1, None);
            }
            self.positions[at] = Some(first);
        }
        self.reader.keep(&self.others(at))?;
        self.reader.start(&from)
    }

    /// Gives partitions back.
    fn give(&mut self, at: &[usize]) -> Result<()> {
        if self.task.auto_commit && !self.reader.is_lost() {
            self.auto_commit()?;
            self.reader.settle(COMMIT_PATIENCE)?;
        }
        tell_partitions(&mut self.out, &self.reader, at, |all| Event::PartitionsRevoked(all))?;
        for &at in at {
            if let Some(position) = self.positions.get_mut(at) {
                *position = None;
            }
        }
        self.reader.keep(&self.others(at))?;
        self.reader.release(at)
    }

    /// Reads a batch, tells of it and commits it. Whether there was one.
    fn read(&mut self) -> Result<bool> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let Some(batch) = self.reader.batch() else { return Ok(false) };
        for item in batch.items() {
            let (at, failure) = match item {
                Item::Record(record) => {
                    let full = self.task.limit.is_some_and(|limit| self.consumed >= limit);
                    let (at, offset) = (record.at(), record.offset());
                    let position = self.positions.get_mut(at).and_then(Option::as_mut);
                    let Some(position) = position.filter(|next| !full && **next <= offset) else {
                        continue;
                    };
                    *position = offset + 1;
                    self.consumed += 1;
                    extend(&mut stretches, at, offset);
                    if self.task.verbose {
                        let (key, value) = (record.key(), record.value());
                        let at = place(batch.partition(at), Some(offset));
                        tell(&mut self.out, Event::RecordData { at, key, value })?;
                    }
                    continue;
                }
                Item::End { .. } => continue,
                Item::Gone { at, text } => (at, String::from_utf8_lossy(text).into_owned()),
                Item::Failed { at, code, .. } => (at, config::reason(code)),
            };
            return Err(Error::world(batch.partition(at), failure));
        }
        drop(batch);
        if !stretches.is_empty() {
            self.report(&stretches)?;
        }
        Ok(true)
    }

    /// Tells what was read, then commits it and tells of that.
    fn report(&mut self, stretches: &[Stretch]) -> Result<()> {
        let partitions = self.reader.partitions();
        let run = |one: &Stretch| {
            let Partition { topic, number } = &partitions[one.at];
            Run { topic, partition: *number, count: one.count, min: one.min, max: one.max }
        };
        let runs: Vec<Run<'_>> = stretches.iter().map(run).collect();
        tell(&mut self.out, Event::RecordsConsumed(&runs))?;
        self.news = true;
        if self.task.auto_commit {
            return Ok(());
        }
        let offsets: Vec<_> = stretches.iter().map(|one| (one.at, one.max + 1)).collect();
        let committed =
            self.reader.commit(&offsets).and_then(|()| self.reader.settle(COMMIT_PATIENCE));
        let error = match committed {
            Ok(()) => None,
            Err(Error::Failed(_, message)) => Some(message),
            Err(Error::Closed) => return Err(Error::Closed),
        };
        let partitions = self.reader.partitions();
        let at = |&(at, offset): &(usize, i64)| place(&partitions[at], Some(offset));
        let offsets: Vec<At<'_>> = offsets.iter().map(at).collect();
        let error = error.as_deref();
        tell(&mut self.out, Event::OffsetsCommitted { offsets: &offsets, error })
    }

    /// Begins a commit of which nothing is told but a failure.
    fn auto_commit(&mut self) -> Result<()> {
        self.committed = Instant::now();
        self.news = false;
        if let Some(Error::Failed(_, message)) = self.reader.commit_failure() {
            say(message);
        }
        let positions: Vec<(usize, i64)> = self.ours().collect();
        self.reader.commit(&positions)
    }
}

/// Adds a record to the stretch of its partition.
fn extend(stretches: &mut Vec<Stretch>, at: usize, offset: i64) {
    match stretches.iter_mut().find(|one| one.at == at) {
        Some(one) => {
            one.count += 1;
            one.max = offset;
        }
        None => stretches.push(Stretch { at, count: 1, min: offset, max: offset }),
    }
}

fn place(partition: &Partition, offset: Option<i64>) -> At<'_> {
    At { topic: &partition.topic, partition: partition.number, offset }
}

fn tell_partitions(
    out: &mut Output,
    reader: &Reader,
    at: &[usize],
    event: for<'b> fn(&'b [At<'b>]) -> Event<'b>,
) -> Result<()> {
    let partitions = reader.partitions();
    let all: Vec<At<'_>> = at.iter().map(|&at| place(&partitions[at], None)).collect();
    tell(out, event(&all))
}

/// Writes the line of an event, at once.
fn tell(out: &mut Output, event: Event<'_>) -> Result<()> {
    out.buffer().extend_from_slice(event.line(now()).as_bytes());
    out.flush()
}
