//! One run under epochs: records and barriers to the pipe, whose last program commits the offsets
//! together with the results. Nothing is committed here; where reading begins is where that
//! program came to.

mod archivist;
mod beat;
mod hand_over;
mod ledger;
mod reset;
mod state;

use std::os::fd::AsFd as _;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use pipe::exit::{Error, Result, say};
use pipe::mark::{How, Last, Mark, Position};
use pipe::stop::Stop;
use topic::archive::{Archive, Stored};
use topic::consumer::{Change, Reader};
use topic::record::Partition;

use self::archivist::{Archivist, Found, News, PATIENCE, Rules, Search, insist};
use self::ledger::Ledger;
pub(crate) use self::reset::reset;
use crate::bell::Bell;
use crate::offsets::{Source, Target};
use crate::pass::{Failing, Pass};
use crate::progress::Progress;
use crate::session::telling::{self, Teller};
use crate::session::{Account, Lens, Orders};
use crate::sink::{Sink, now};
use crate::start::Finish;

/// How long the pipe takes nothing before the partitions are held.
const BLOCKED: Duration = Duration::from_secs(1);

/// How often the group is heard at least.
const PULSE: Duration = Duration::from_secs(1);

/// What a run under epochs is told besides.
#[derive(Debug)]
pub(crate) struct Rhythm {
    pub(crate) group: String,
    /// The length of an epoch.
    pub(crate) epoch: Duration,
    /// Whether the offsets are committed to the group, and by whom stdout may be read.
    pub(crate) commits: Commits,
    pub(crate) lens: Option<Lens>,
    pub(crate) source: Option<Source>,
    pub(crate) target: Option<Target>,
}

/// Where the offsets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commits {
    /// To the group, by a program at the end of the pipe.
    Group,
    /// To the group, if by anyone: stdout is no pipe.
    Nobody,
    /// To a store that is not ours.
    Elsewhere,
}

/// Where an assignment is.
#[derive(Debug)]
enum Phase {
    /// There is none.
    Away,
    /// It is looked up where it begins.
    Opening(Search),
    /// It is read.
    Open,
}

/// A run under way.
pub(crate) struct Epochs<'a> {
    orders: Orders,
    rhythm: Rhythm,
    reader: Reader,
    sink: Sink,
    stop: &'a Stop,
    bell: Bell,
    archivist: Archivist,
    progress: Progress,
    ledger: Ledger,
    phase: Phase,
    /// What is assigned, by the reader's index.
    ours: Vec<usize>,
    /// The end of each partition, when reading ends at one that was known at the start.
    ends: Vec<i64>,
    /// Whether a file says where to begin.
    sourced: bool,
    /// When the next barrier is due.
    due: Instant,
    /// Since when the pipe takes nothing, and whether the partitions are held because of it.
    blocked: Option<Instant>,
    held: bool,
    assigned: Option<i64>,
    teller: Teller,
}

impl<'a> Epochs<'a> {
    /// A run that reads by `reader` to `ends`, looks up what the group keeps in `archive`, and is
    /// woken by `bell` when the sink's thread has news.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn new(
        orders: Orders,
        mut rhythm: Rhythm,
        (reader, archive, ends): (Reader, Archive, Vec<i64>),
        sink: Sink,
        (stop, bell): (&'a Stop, Bell),
    ) -> Result<Epochs<'a>> {
        let sourced = rhythm.source.is_some();
        let rules = Rules {
            group: rhythm.group.clone(),
            start: orders.place.start,
            source: rhythm.source.take(),
        };
        Ok(Epochs {
            archivist: Archivist::over(archive, rules, bell.rope())?,
            ledger: Ledger::new(&rhythm.group, orders.count.is_some()),
            teller: Teller::new(orders.stats, orders.bar),
            orders,
            rhythm,
            reader,
            sink,
            stop,
            bell,
            progress: Progress::default(),
            phase: Phase::Away,
            ours: Vec::new(),
            ends,
            sourced,
            due: Instant::now(),
            blocked: None,
            held: false,
            assigned: None,
        })
    }

    /// Reads until it is done or is asked to stop.
    pub(crate) fn run(mut self) -> Account {
        let read = self.reader.join().and_then(|()| self.read());
        let ended = match read.and_then(|how| self.end(how)) {
            Err(Error::Closed) => Err(Error::unfinished("<stdout>", "its reader has gone")),
            Err(error) => {
                self.sink.abort(&error);
                self.drain();
                Err(error)
            }
            Ok(()) => Ok(()),
        };
        let news = self.news();
        self.teller.tell_last(news, || self.progress.lag(|at| self.reader.high(at)));
        let closed = self.reader.close();
        Account::of(ended.and(closed), &self.sink, self.rhythm.lens, self.assigned)
    }

    fn read(&mut self) -> Result<How> {
        loop {
            self.bell.silence();
            if self.stop.requested() {
                return Ok(How::Stopped);
            }
            if self.is_done() {
                return Ok(How::Drained);
            }
            // Where nothing comes, nothing else would tell.
            self.reader.check_brokers(PATIENCE)?;
            let mut busy = self.answer()?;
            if self.has_room()? {
                busy |= match self.phase {
                    Phase::Away => false,
                    Phase::Opening(_) => self.open()?,
                    Phase::Open => self.pass_on()?,
                };
                self.keep_time()?;
            }
            let news = self.news();
            self.teller.tell(news, || self.progress.lag(|at| self.reader.high(at)));
            if !busy && self.sink.offer()? {
                let time = self.leisure();
                let others = [self.stop.as_fd(), self.bell.as_fd()];
                self.reader.wait_among(&others, Some(time))?;
            } else if !busy {
                self.reader.wait_among(&[self.stop.as_fd(), self.bell.as_fd()], Some(PULSE))?;
            }
        }
    }

    /// Whether the pipe takes more. When it has not for a while, the partitions are held, so that
    /// nothing more is kept of them.
    fn has_room(&mut self) -> Result<bool> {
        if !self.sink.is_backed_up() || self.sink.offer()? {
            self.blocked = None;
            if std::mem::take(&mut self.held) {
                self.reader.go_on(&self.progress.others(&[]))?;
            }
            return Ok(true);
        }
        let since = *self.blocked.get_or_insert_with(Instant::now);
        if !self.held && matches!(self.phase, Phase::Open) && since.elapsed() >= BLOCKED {
            self.reader.hold(&self.ours)?;
            self.held = true;
        }
        Ok(false)
    }

    /// Answers the group. Whether it had said something.
    fn answer(&mut self) -> Result<bool> {
        match self.reader.change()? {
            Some(Change::Assigned(at)) => {
                self.reader.take(&at)?;
                self.ours = at;
                self.begin()?;
            }
            Some(Change::Revoked(at)) => self.hand_over(&at)?,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Begins an assignment: says so at once, because what is waited for next may be for the
    /// program at the end of the pipe to do, which waits for this.
    fn begin(&mut self) -> Result<()> {
        self.assigned.get_or_insert_with(now);
        self.leave();
        // Who has already lost it hears of that next.
        let Some(membership) = self.reader.membership() else { return Ok(()) };
        let all = self.reader.partitions();
        let ours = self.ours.iter().map(|&at| (at, &all[at]));
        self.sink.begin(Some(&self.rhythm.group), Some(&membership), ours);
        self.sink.offer()?;
        self.ledger.begin(membership);
        let partitions: Vec<Partition> = self.ours.iter().map(|&at| all[at].clone()).collect();
        let width = |one: &Partition| all.iter().filter(|other| other.topic == one.topic).count();
        let width = all.iter().map(width).max().unwrap_or(0);
        self.phase = Phase::Opening(self.archivist.search(partitions, width));
        Ok(())
    }

    /// Has no assignment any more that may be read.
    fn leave(&mut self) {
        self.phase = Phase::Away;
        self.sink.leave();
        let ours: Vec<usize> = self.progress.ours().collect();
        self.progress.revoke(&ours);
        self.held = false;
    }

    /// Passes on what was found out about the assignment. Whether something was.
    fn open(&mut self) -> Result<bool> {
        // What came before it was held is read again, from where it is to begin.
        while self.reader.batch().is_some() {}
        let Phase::Opening(search) = &self.phase else { return Ok(false) };
        match search.news.try_recv() {
            Ok(News::Entries(lines)) => {
                self.sink.pass(&lines);
                self.sink.offer()?;
            }
            Ok(News::Found(found)) => self.start(&found)?,
            Ok(News::Failed(error)) => return Err(error),
            Err(TryRecvError::Empty) => return Ok(false),
            Err(TryRecvError::Disconnected) => {
                return Err(Error::world("thread", "what looks up the state has ended"));
            }
        }
        Ok(true)
    }

    /// Reads on, when all entries of state have been written.
    fn start(&mut self, Found { count, origins }: &Found) -> Result<()> {
        let stored: Vec<Stored> = origins.iter().map(|(_, stored)| stored.clone()).collect();
        let lines = self.ledger.open(&stored);
        self.sink.count = lines + self.sink.skipped;
        let next: Vec<(usize, i64)> =
            self.ours.iter().zip(origins).map(|(&at, (first, _))| (at, *first)).collect();
        self.progress.assign();
        for &(at, first) in &next {
            let end = self.orders.ends().then(|| self.ends.get(at).copied().unwrap_or(first));
            self.progress.start(at, first, end, None);
        }
        let offsets = self.offsets();
        self.sink.mark_down(&Mark::Restored { count: *count, offsets });
        for &at in &self.ours {
            if self.progress.is_at_end(at) {
                self.sink.drained(at);
            }
        }
        self.sink.offer()?;
        self.reader.go_on(&next)?;
        self.say_start(origins);
        self.phase = Phase::Open;
        self.due = Instant::now() + beat::left(now(), self.rhythm.epoch);
        Ok(())
    }

    /// `pages: 3 partitions from stored offsets`, for each topic.
    fn say_start(&self, origins: &[(i64, Stored)]) {
        if self.orders.quiet {
            return;
        }
        let all = self.reader.partitions();
        let mut topics: Vec<&str> = self.ours.iter().map(|&at| all[at].topic.as_str()).collect();
        topics.sort_unstable();
        topics.dedup();
        for topic in topics {
            let of_topic = self.ours.iter().zip(origins).filter(|(at, _)| all[**at].topic == topic);
            let (mut count, mut known) = (0, 0);
            for (_, (_, stored)) in of_topic {
                count += 1;
                known += usize::from(stored.offset.is_some());
            }
            let plural = if count == 1 { "partition" } else { "partitions" };
            let rule = self.orders.place.start.map(|rule| rule.to_string()).unwrap_or_default();
            let from = match known {
                _ if self.sourced => "--from-offsets".to_owned(),
                0 => rule,
                known if known == count => "stored offsets".to_owned(),
                known => format!("{known} stored offsets, else {rule}"),
            };
            say(format!("{topic}: {count} {plural} from {from}"));
        }
    }

    /// Writes a batch. Whether there was one.
    fn pass_on(&mut self) -> Result<bool> {
        let Some(batch) = self.reader.batch() else { return Ok(false) };
        let mut pass = Pass {
            progress: &mut self.progress,
            sink: &mut self.sink,
            limit: self.orders.count.unwrap_or(u64::MAX),
            failing: Failing::Ends,
            read: 0,
        };
        match &mut self.rhythm.lens {
            None => pass.write(&batch, |_| true)?,
            Some(lens) => pass.write(&batch, |record| lens.takes(record))?,
        }
        self.teller.read(pass.read);
        Ok(true)
    }

    /// Writes the marks that are due.
    fn keep_time(&mut self) -> Result<()> {
        if self.sink.mark_time() {
            self.sink.offer()?;
        }
        if matches!(self.phase, Phase::Open) && Instant::now() >= self.due {
            self.barrier(None)?;
        }
        Ok(())
    }

    /// Ends an epoch behind everything written so far. Whether it did: who is another member by
    /// now than the one that began begins anew.
    fn barrier(&mut self, last: Option<Last>) -> Result<bool> {
        self.due = Instant::now() + beat::left(now(), self.rhythm.epoch);
        let membership = self.reader.membership();
        let (lines, offsets) = (self.sink.lines(), self.offsets());
        let barrier = self.ledger.barrier(membership.as_ref(), lines, offsets, last);
        let Some(barrier) = barrier else {
            self.reader.hold(&self.ours)?;
            self.begin()?;
            return Ok(false);
        };
        self.write_ranges()?;
        self.sink.mark_down(&Mark::Barrier(barrier));
        self.sink.offer()?;
        Ok(true)
    }

    /// Where our partitions are read on.
    fn offsets(&self) -> Vec<Position> {
        let all = self.reader.partitions();
        let position = |(at, next): (usize, i64)| {
            let one: &Partition = &all[at];
            Position(one.topic.clone(), one.number, next)
        };
        self.progress.others(&[]).into_iter().map(position).collect()
    }

    fn write_ranges(&mut self) -> Result<()> {
        let Some(target) = &self.rhythm.target else { return Ok(()) };
        self.progress.accept();
        target.tell(&mut self.progress, self.reader.partitions())
    }

    /// Whether there is nothing more to do.
    fn is_done(&self) -> bool {
        let counted = self.orders.count.is_some_and(|count| self.sink.count >= count);
        matches!(self.phase, Phase::Open)
            && (counted || self.orders.ends() && self.progress.is_done())
    }

    fn news(&self) -> telling::News {
        let (written, span) = (self.sink.lines(), self.progress.span());
        telling::News { written, span, ends: self.orders.ends(), epoch: self.ledger.epoch() }
    }

    /// How long there is nothing to do but to wait.
    fn leisure(&self) -> Duration {
        let open = matches!(self.phase, Phase::Open);
        let barrier = open.then(|| self.due.saturating_duration_since(Instant::now()));
        let mark = self.sink.due_ms().map(Duration::from_millis);
        let times = [barrier, mark, self.teller.leisure(), Some(PULSE)];
        times.into_iter().flatten().min().unwrap_or(PULSE)
    }
}

/// Where the reading of all partitions ends, which is where they end now; nothing when it does
/// not end, or `stop` comes before they are known.
///
/// # Errors
/// When the broker does not say it.
pub(crate) fn ends(
    orders: &Orders,
    archive: &Archive,
    all: &[Partition],
    stop: &Stop,
) -> Result<Vec<i64>> {
    if !orders.ends() {
        return Ok(Vec::new());
    }
    let stopped = || stop.requested();
    let bounds = insist("offsets", stopped, || archive.bounds(all))?.unwrap_or_default();
    let until = match orders.place.finish {
        Some(Finish::Until(moment)) => {
            let ask = || archive.since(all, moment.ms(now()));
            insist("offsets", stopped, ask)?.unwrap_or_default()
        }
        _ => vec![None; all.len()],
    };
    Ok(bounds.iter().zip(until).map(|(bounds, until)| orders.end(bounds.high, until)).collect())
}
