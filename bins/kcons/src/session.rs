//! One run: records from the reader to the sink, and offsets from the sink to the group.

mod assignment;
mod keeping;
pub(crate) mod telling;

use std::time::{Duration, Instant};

use pipe::exit::{Error, Result};
use pipe::mark::How;
use pipe::stop::Stop;
use topic::consumer::{Change, Item, Reader, Record};

use crate::merge::{Held, Merge};
use crate::offsets::{Source, Target};
use crate::pass::{Failing, Pass, refuse};
use crate::perf::Perf;
use crate::progress::Progress;
use crate::session::keeping::HAND_OVER;
use crate::session::telling::{News, Teller};
use crate::sieve::Sieve;
use crate::sink::Sink;
use crate::start::{self, Finish, Place};

/// What a run is told.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "options that are independent of each other")]
pub(crate) struct Orders {
    pub(crate) group: Option<String>,
    /// Where to begin and to end.
    pub(crate) place: Place,
    /// Whether the start wins over stored offsets.
    pub(crate) seek: bool,
    pub(crate) until_end: bool,
    /// Whether nothing begins where no offset is stored.
    pub(crate) needs_stored: bool,
    /// End after so many records.
    pub(crate) count: Option<u64>,
    /// End after so long without a record.
    pub(crate) timeout: Option<Duration>,
    /// Whether that is a failure.
    pub(crate) strict: bool,
    /// Whether a partition that cannot be read is only said.
    pub(crate) goes_on: bool,
    /// Commit, and write a file of ranges, this often; `None`: never.
    pub(crate) interval: Option<Duration>,
    /// Whether offsets are committed to the group.
    pub(crate) commits: bool,
    pub(crate) quiet: bool,
    /// Say how fast it goes this often.
    pub(crate) stats: Option<Duration>,
    /// Whether a bar may show how far it is.
    pub(crate) bar: bool,
}

/// What is looked at in each record, when something is.
#[derive(Debug, Default)]
pub(crate) struct Lens {
    /// Which records are written.
    pub(crate) sieve: Sieve,
    /// What is measured of all of them.
    pub(crate) perf: Option<Perf>,
}

impl Lens {
    /// Looks at a record and says whether it is written.
    pub(crate) fn takes(&mut self, record: Record<'_>) -> bool {
        if let Some(perf) = &mut self.perf {
            perf.count(record.key(), record.value());
        }
        self.sieve.passes(record.key(), record.value(), || record.headers())
    }
}

/// The ways of a run that few take.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// Looks at each record.
    pub(crate) lens: Option<Lens>,
    /// Merges partitions by time.
    pub(crate) merge: Option<Merge>,
    /// Begins at the offsets in a file.
    pub(crate) source: Option<Source>,
    /// Says in a file what was read.
    pub(crate) target: Option<Target>,
}

/// A run under way.
pub(crate) struct Session<'a> {
    orders: Orders,
    ways: Ways,
    reader: Reader,
    sink: Sink,
    stop: &'a Stop,
    progress: Progress,
    /// The end of each partition, when reading ends at one that was known at the start.
    ends: Vec<i64>,
    /// The partitions of the last `begin`, to tell a new assignment from the same one again.
    begun: Option<Vec<usize>>,
    committed: Instant,
    /// When the last record came.
    heard: Instant,
    /// When the first partitions came, in milliseconds since the epoch.
    assigned: Option<i64>,
    /// Tells of the run while it goes on.
    teller: Teller,
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Account {
    /// How it ended.
    pub(crate) ended: Result<()>,
    /// Records written.
    pub(crate) count: u64,
    /// Records that a deserializer refused.
    pub(crate) skipped: u64,
    /// What was measured.
    pub(crate) perf: Option<Perf>,
    /// When the first partitions came.
    pub(crate) assigned: Option<i64>,
}

impl Account {
    /// The account of a run that has `ended` so, with what it looked at records by and when it was
    /// `assigned` partitions.
    pub(crate) fn of(
        ended: Result<()>,
        sink: &Sink,
        lens: Option<Lens>,
        assigned: Option<i64>,
    ) -> Account {
        let perf = lens.and_then(|lens| lens.perf);
        Account { ended, count: sink.count, skipped: sink.skipped, perf, assigned }
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        orders: Orders,
        ways: Ways,
        reader: Reader,
        sink: Sink,
        stop: &'a Stop,
    ) -> Session<'a> {
        let now = Instant::now();
        let teller = Teller::new(orders.stats, orders.bar);
        Session {
            orders,
            ways,
            reader,
            sink,
            stop,
            progress: Progress::default(),
            ends: Vec::new(),
            begun: None,
            committed: now,
            heard: now,
            assigned: None,
            teller,
        }
    }

    /// Reads until it is done or is asked to stop.
    pub(crate) fn run(mut self) -> Account {
        let read = self.open().and_then(|()| self.read());
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
        let news = self.news();
        self.teller.tell_last(news, || self.progress.lag(|at| self.reader.high(at)));
        let closed = self.reader.close();
        Account::of(ended.and(closed), &self.sink, self.ways.lens, self.assigned)
    }

    fn open(&mut self) -> Result<()> {
        let all: Vec<usize> = (0..self.reader.partitions().len()).collect();
        if self.orders.ends() {
            self.find_ends(&all)?;
        }
        if self.orders.group.is_some() { self.reader.join() } else { self.start(&all) }
    }

    fn read(&mut self) -> Result<How> {
        loop {
            if self.stop.requested() {
                return Ok(How::Stopped);
            }
            if self.is_done()? {
                return Ok(How::Drained);
            }
            let changed = self.answer()?;
            let busy = if self.ways.merge.is_some() { self.merge_on() } else { self.pass_on() }?;
            self.keep_time()?;
            self.tell();
            if !busy && !changed && !self.pass_markers()? {
                self.flush()?;
                let time = self.leisure();
                self.reader.wait(self.stop, time)?;
            }
        }
    }

    /// Answers the group. Whether it had said something.
    fn answer(&mut self) -> Result<bool> {
        match self.reader.change()? {
            Some(Change::Assigned(at)) => self.start(&at)?,
            Some(Change::Revoked(at)) => self.hand_over(&at, HAND_OVER)?,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Writes a batch. Whether there was one.
    fn pass_on(&mut self) -> Result<bool> {
        let Some(batch) = self.reader.batch() else { return Ok(false) };
        let mut pass = Pass {
            progress: &mut self.progress,
            sink: &mut self.sink,
            limit: self.orders.count.unwrap_or(u64::MAX),
            failing: self.orders.failing(),
            read: 0,
        };
        let before = pass.sink.count;
        match &mut self.ways.lens {
            None => pass.write(&batch, |_| true)?,
            Some(lens) => pass.write(&batch, |record| lens.takes(record))?,
        }
        self.teller.read(pass.read);
        drop(batch);
        if self.sink.count > before {
            self.heard = Instant::now();
        }
        if self.sink.is_backed_up() {
            self.flush()?;
        }
        Ok(true)
    }

    /// Takes what has come of partitions of which nothing waits, and writes what is the oldest of
    /// all. Whether something was done.
    fn merge_on(&mut self) -> Result<bool> {
        let Some(mut merge) = self.ways.merge.take() else { return Ok(false) };
        let mut busy = false;
        let lacking: Vec<usize> =
            self.progress.unfinished().filter(|&at| merge.lacks(at)).collect();
        for at in lacking {
            busy |= self.gather(at, &mut merge)?;
        }
        let limit = self.orders.count.unwrap_or(u64::MAX);
        while self.sink.count < limit
            && let Some((at, held)) = merge.next(self.progress.unfinished())
        {
            let reached = match held {
                Held::Line { offset, bytes, .. } => {
                    self.sink.line(at, offset, &self.reader.partitions()[at], &bytes)?;
                    self.heard = Instant::now();
                    offset + 1
                }
                Held::Reach(offset) => offset,
            };
            if self.progress.reach(at, reached) {
                self.sink.drained(at);
            }
            busy = true;
        }
        self.ways.merge = Some(merge);
        if self.sink.is_backed_up() {
            self.flush()?;
        }
        Ok(busy)
    }

    /// Puts what has come of partition `at` into the merge. Whether something had.
    fn gather(&mut self, at: usize, merge: &mut Merge) -> Result<bool> {
        let Some(batch) = self.reader.batch_of(at) else { return Ok(false) };
        for item in batch.items() {
            match item {
                Item::Record(record) => {
                    self.teller.read(1);
                    let offset = record.offset();
                    let ms = record.timestamp().map_or(i64::MIN, |(ms, _)| ms);
                    let mut bytes = Vec::new();
                    let wanted = self.progress.wants(at, offset)
                        && self.ways.lens.as_mut().is_none_or(|lens| lens.takes(record));
                    let held =
                        wanted && self.sink.render(record, batch.partition(at), &mut bytes)?;
                    if held {
                        merge.push(at, Held::Line { offset, ms, bytes });
                    } else {
                        merge.push(at, Held::Reach(offset + 1));
                    }
                }
                Item::End { offset, .. } => merge.push(at, Held::Reach(offset)),
                item => refuse(item, &batch, &self.progress, self.orders.failing())?,
            }
        }
        Ok(true)
    }

    /// Whether there is nothing more to do.
    fn is_done(&self) -> Result<bool> {
        if self.orders.count.is_some_and(|count| self.sink.count >= count)
            || self.orders.ends() && self.progress.is_done()
        {
            return Ok(true);
        }
        let Some(timeout) = self.orders.timeout else { return Ok(false) };
        let over = self.heard.elapsed() >= timeout;
        if over && self.orders.strict {
            let reason = format!("no record came for {} ms", timeout.as_millis());
            return Err(Error::world("--timeout-ms", reason));
        }
        Ok(over)
    }

    /// Follows the reader over transaction markers at the ends of partitions, for which no record
    /// comes. Whether one has ended.
    fn pass_markers(&mut self) -> Result<bool> {
        // Once told that nothing is behind it, or of a failure, librdkafka's position is one
        // offset ahead, which does no harm only where the end is no further.
        if self.orders.goes_on || !self.orders.ends_as_it_is() {
            return Ok(false);
        }
        let waits = |at: usize| self.ways.merge.as_ref().is_none_or(|merge| merge.lacks(at));
        let open: Vec<usize> = self.progress.unfinished().filter(|&at| waits(at)).collect();
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

    /// Tells what is due.
    fn tell(&mut self) {
        let news = self.news();
        self.teller.tell(news, || self.progress.lag(|at| self.reader.high(at)));
    }

    fn news(&self) -> News {
        let written = self.sink.count - self.sink.skipped;
        News { written, span: self.progress.span(), ends: self.orders.ends(), epoch: None }
    }

    /// How long there is nothing to do but to wait for the reader.
    fn leisure(&self) -> Option<Duration> {
        let interval = self.orders.interval.filter(|_| self.has_news());
        let interval = interval.map(|interval| interval.saturating_sub(self.committed.elapsed()));
        let timeout = self.orders.timeout;
        let timeout = timeout.map(|timeout| timeout.saturating_sub(self.heard.elapsed()));
        let mark = self.sink.due_ms().map(Duration::from_millis);
        [interval, timeout, mark, self.teller.leisure()].into_iter().flatten().min()
    }
}

impl Orders {
    fn failing(&self) -> Failing {
        if self.goes_on { Failing::GoesOn } else { Failing::Fails }
    }

    /// Where the reading of a partition ends that ends at `high` itself; `until` is the first
    /// offset of the time that was said.
    pub(crate) fn end(&self, high: i64, until: Option<i64>) -> i64 {
        let end = start::last(self.place.finish.unwrap_or(Finish::End), high, until);
        if self.until_end { end.min(high) } else { end }
    }

    /// Whether reading ends somewhere.
    pub(crate) fn ends(&self) -> bool {
        self.until_end || self.place.finish.is_some()
    }

    /// Whether that is where the partitions end when it starts, or before.
    pub(crate) fn ends_as_it_is(&self) -> bool {
        let may_lie_ahead = matches!(self.place.finish, Some(Finish::Behind(_)));
        self.until_end || self.place.finish.is_some() && !may_lie_ahead
    }
}
