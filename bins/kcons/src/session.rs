//! One run: records from the reader to the sink, and offsets from the sink to the group.

use std::time::{Duration, Instant};

use pipe::exit::{Error, Result, say};
use pipe::mark::How;
use pipe::stop::Stop;
use topic::config;
use topic::consumer::{Batch, Change, Item, Reader};

use crate::progress::Progress;
use crate::sink::Sink;
use crate::start::{self, Start};

/// How long the commit at a hand-over or at the end may take.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take when something has failed already.
const SAVE_PATIENCE: Duration = Duration::from_secs(2);

/// What a run is told.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) group: Option<String>,
    pub(crate) start: Option<Start>,
    /// Whether `start` wins over stored offsets.
    pub(crate) seek: bool,
    pub(crate) until_end: bool,
    /// End after so many records.
    pub(crate) count: Option<u64>,
    /// End after so long without a record.
    pub(crate) timeout: Option<Duration>,
    /// Commit this often; `None`: never.
    pub(crate) commit: Option<Duration>,
    pub(crate) quiet: bool,
}

/// A run under way.
pub(crate) struct Session {
    orders: Orders,
    reader: Reader,
    sink: Sink,
    progress: Progress,
    /// The end of each partition, when reading ends there.
    ends: Vec<i64>,
    /// The partitions of the last `begin`, to tell a new assignment from the same one again.
    begun: Option<Vec<usize>>,
    committed: Instant,
    /// When the last record came.
    heard: Instant,
}

impl Session {
    pub(crate) fn new(orders: Orders, reader: Reader, sink: Sink) -> Session {
        let now = Instant::now();
        Session {
            orders,
            reader,
            sink,
            progress: Progress::default(),
            ends: Vec::new(),
            begun: None,
            committed: now,
            heard: now,
        }
    }

    /// Reads until it is done or `stop` is requested, and says how many records were written.
    pub(crate) fn run(mut self, stop: &Stop) -> (Result<()>, u64) {
        let read = self.open().and_then(|()| self.read(stop));
        let ended = match read {
            Ok(how) => self.end(how),
            Err(Error::Closed) => Err(Error::Closed),
            Err(error) => {
                // What came before it is written and stays written; the error is the news.
                let _ = self.save();
                self.sink.abort(&error);
                Err(error)
            }
        };
        let count = self.sink.count;
        let closed = self.reader.close();
        (ended.and(closed), count)
    }

    fn open(&mut self) -> Result<()> {
        let all: Vec<usize> = (0..self.reader.partitions().len()).collect();
        if self.orders.until_end {
            let bounds = self.reader.bounds(&all)?;
            self.ends = bounds.iter().map(|bounds| bounds.high).collect();
            self.warn_of_transactions();
        }
        if self.orders.group.is_some() { self.reader.join() } else { self.start(&all) }
    }

    /// Says which partitions end before their last record, because it is not yet committed.
    fn warn_of_transactions(&self) {
        for (at, &end) in self.ends.iter().enumerate() {
            if self.reader.written().get(at).is_some_and(|&written| written > end) {
                let partition = &self.reader.partitions()[at];
                say(format!("{partition}: a transaction is open, reading ends before it at {end}"));
            }
        }
    }

    fn read(&mut self, stop: &Stop) -> Result<How> {
        loop {
            if stop.requested() {
                return Ok(How::Stopped);
            }
            if self.is_done() {
                return Ok(How::Drained);
            }
            let changed = self.answer()?;
            let busy = self.pass_on()? || changed;
            self.keep_time()?;
            if !busy && !self.pass_markers()? {
                self.sink.flush()?;
                let time = self.leisure();
                self.reader.wait(stop, time)?;
            }
        }
    }

    /// Answers the group. Whether it had said something.
    fn answer(&mut self) -> Result<bool> {
        match self.reader.change()? {
            Some(Change::Assigned(at)) => self.start(&at)?,
            Some(Change::Revoked(at)) => self.hand_over(&at)?,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Writes a batch. Whether there was one.
    fn pass_on(&mut self) -> Result<bool> {
        let Some(batch) = self.reader.batch() else { return Ok(false) };
        let count = self.orders.count.unwrap_or(u64::MAX);
        let before = self.sink.count;
        write(&batch, &mut self.progress, &mut self.sink, count)?;
        if self.sink.count > before {
            self.heard = Instant::now();
        }
        Ok(true)
    }

    fn is_done(&self) -> bool {
        self.orders.count.is_some_and(|count| self.sink.count >= count)
            || self.orders.until_end && self.progress.is_done()
            || self.orders.timeout.is_some_and(|timeout| self.heard.elapsed() >= timeout)
    }

    /// Begins to read partitions by the start rule.
    fn start(&mut self, at: &[usize]) -> Result<()> {
        self.progress.assign();
        let stored = match self.orders.group {
            Some(_) => self.reader.stored(at)?,
            None => vec![None; at.len()],
        };
        let stored: Vec<Option<i64>> = at
            .iter()
            .zip(stored)
            .map(|(&at, stored)| {
                // Only once: what comes back to us goes on where it was left.
                stored.filter(|_| !self.orders.seek || self.progress.left(at).is_some())
            })
            .collect();
        let bounds = self.reader.bounds(at)?;
        let rule = start::rule(self.orders.start, self.orders.until_end);
        let (mut from, mut goes_on) = (Vec::new(), true);
        for ((&at, &stored), bounds) in at.iter().zip(&stored).zip(bounds) {
            // What comes back with nothing stored goes on where we left it.
            let left = self.progress.left(at);
            let rule = left.map_or(rule, Start::At);
            // The group may have come further than what was written when the run began.
            let written = self.reader.written().get(at).map(|&end| end.max(bounds.high));
            let first = start::first(rule, stored, bounds.low, bounds.high, written);
            let first =
                first.map_err(|reason| Error::world(&self.reader.partitions()[at], reason))?;
            goes_on &= left == Some(first);
            // A partition that is newer than the run ends where it is now.
            let end = self.orders.until_end.then(|| *self.ends.get(at).unwrap_or(&bounds.high));
            self.progress.start(at, first, end, stored);
            from.push((at, first));
        }
        self.say_start(at, &stored, rule);
        self.begin(goes_on)?;
        // A member must answer with all that it was given, others need not fetch what they have.
        if self.orders.group.is_none() {
            from.retain(|&(at, _)| !self.progress.is_at_end(at));
        }
        self.reader.start(&from)?;
        if self.orders.commit.is_some() && stored.contains(&None) {
            // Else who gets them next would begin by its own rule, past what we did not write.
            self.sink.flush()?;
            self.commit()?;
        }
        Ok(())
    }

    /// Writes a `begin`, unless our partitions are those of the last one, and the stream
    /// `goes_on` where it was.
    fn begin(&mut self, goes_on: bool) -> Result<()> {
        let ours: Vec<usize> = self.progress.ours().collect();
        if goes_on && self.begun.as_ref() == Some(&ours) {
            return Ok(());
        }
        let partitions = self.reader.partitions();
        let group = self.orders.group.as_deref();
        self.sink.begin(group, ours.iter().map(|&at| (at, &partitions[at])))?;
        for &at in &ours {
            if self.progress.is_at_end(at) {
                self.sink.drained(at);
            }
        }
        self.begun = Some(ours);
        Ok(())
    }

    /// `user-behavior: 3 partitions from end`, for each topic.
    fn say_start(&self, at: &[usize], stored: &[Option<i64>], rule: Start) {
        if self.orders.quiet {
            return;
        }
        let partitions = self.reader.partitions();
        let mut topics: Vec<&str> = at.iter().map(|&at| partitions[at].topic.as_str()).collect();
        topics.sort_unstable();
        topics.dedup();
        for topic in topics {
            let of_topic = at.iter().zip(stored).filter(|(at, _)| partitions[**at].topic == topic);
            let (count, known) = of_topic.fold((0, 0), |(count, known), (_, stored)| {
                (count + 1, known + usize::from(stored.is_some()))
            });
            let from = match known {
                0 => rule.to_string(),
                known if known == count => "stored offsets".to_owned(),
                known => format!("{known} stored offsets, else {rule}"),
            };
            let plural = if count == 1 { "partition" } else { "partitions" };
            say(format!("{topic}: {count} {plural} from {from}"));
        }
    }

    /// Commits what was written of partitions that another member gets, and lets them go.
    fn hand_over(&mut self, at: &[usize]) -> Result<()> {
        self.sink.flush()?;
        if !self.reader.is_lost() {
            self.commit()?;
            // Who gets the partitions begins at an older offset then, which loses nothing: where
            // none was stored, we committed the one where we began.
            if let Err(Error::Failed(_, message)) = self.reader.settle(COMMIT_PATIENCE) {
                say(message);
            }
        }
        self.progress.revoke(at);
        self.reader.release(at)
    }

    /// Does what the clock asks for.
    fn keep_time(&mut self) -> Result<()> {
        self.sink.mark_time()?;
        if let Some(Error::Failed(_, message)) = self.reader.commit_failure() {
            say(message);
            self.progress.commit_again();
        }
        let Some(interval) = self.orders.commit else { return Ok(()) };
        if self.committed.elapsed() >= interval && self.progress.has_news() {
            // Only what stdout has accepted may be committed.
            self.sink.flush()?;
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        if self.orders.commit.is_none() {
            return Ok(());
        }
        self.committed = Instant::now();
        let news = self.progress.take_news();
        self.reader.commit(&news)
    }

    /// Follows the reader over transaction markers at the ends of partitions, for which no record
    /// comes. Whether one has ended.
    fn pass_markers(&mut self) -> Result<bool> {
        if !self.orders.until_end {
            return Ok(false);
        }
        let open: Vec<usize> = self.progress.unfinished().collect();
        let mut any = false;
        for at in open {
            if let Some(offset) = self.reader.position(at)?
                && self.progress.reach(at, offset)
            {
                self.sink.drained(at);
                any = true;
            }
        }
        Ok(any)
    }

    /// How long there is nothing to do but to wait for the reader.
    fn leisure(&self) -> Option<Duration> {
        let commit = self.orders.commit.filter(|_| self.progress.has_news());
        let commit = commit.map(|interval| interval.saturating_sub(self.committed.elapsed()));
        let timeout = self.orders.timeout;
        let timeout = timeout.map(|timeout| timeout.saturating_sub(self.heard.elapsed()));
        let mark = self.sink.due_ms().map(Duration::from_millis);
        [commit, timeout, mark].into_iter().flatten().min()
    }

    /// Ends the stream and commits what stdout has accepted of it.
    fn end(&mut self, how: How) -> Result<()> {
        self.sink.end(how)?;
        self.commit()?;
        self.reader.settle(COMMIT_PATIENCE)
    }

    /// Writes and commits what was read before a failure.
    fn save(&mut self) -> Result<()> {
        self.sink.flush()?;
        self.commit()?;
        self.reader.settle(SAVE_PATIENCE)
    }
}

/// Writes what a batch holds, until `count` records have been written in all.
fn write(batch: &Batch<'_>, progress: &mut Progress, sink: &mut Sink, count: u64) -> Result<()> {
    for item in batch.items() {
        match item {
            Item::Record(record) => {
                if sink.count >= count {
                    return Ok(());
                }
                let (at, offset) = (record.at(), record.offset());
                if progress.wants(at, offset) {
                    sink.record(record, batch.partition(at))?;
                }
                if progress.reach(at, offset + 1) {
                    sink.drained(at);
                }
            }
            Item::End { at, offset } => {
                if progress.reach(at, offset) {
                    sink.drained(at);
                } else {
                    sink.caught_up(at);
                }
            }
            Item::Gone { at, text } => {
                let next = progress.left(at).unwrap_or_default();
                let text = String::from_utf8_lossy(text);
                let reason =
                    format!("offset {next} is not there: removed, or never written ({text})");
                return Err(Error::world(batch.partition(at), reason));
            }
            Item::Failed { at, code, text } => {
                let text = String::from_utf8_lossy(text);
                let reason = format!("{} ({text})", config::reason(code));
                return Err(Error::world(batch.partition(at), reason));
            }
        }
    }
    Ok(())
}
