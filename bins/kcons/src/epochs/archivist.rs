//! Finds out where an assignment begins and what its stages have stored, in a thread of its own:
//! that may have to wait for the end of another program's transaction, and whoever waits has to
//! answer the group meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use pipe::exit::{Error, Result, say};
use pipe::stdio::reason;
use topic::archive::{Archive, Stored};
use topic::note::is_signed;
use topic::record::Partition;

use super::state::State;
use crate::bell::Rope;
use crate::offsets::Source;
use crate::sink::now;
use crate::start::{self, Start};
use crate::writer::BLOCK;

/// How long a broker may not answer, or a transaction be open.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// After how long of it that is said.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a broker may not know of a changelog that has to be there, as one that was just made
/// is not known to all of them.
const DOUBT: Duration = Duration::from_secs(4);

/// How long to wait before a question that had no answer is asked again.
const AGAIN: Duration = Duration::from_millis(5);

/// Pieces of news that wait to be taken.
const NEWS: usize = 4;

/// What comes out.
#[derive(Debug)]
pub(super) enum News {
    /// `restore` marks.
    Entries(Vec<u8>),
    /// All that was to be found.
    Found(Found),
    /// Nothing more is found.
    Failed(Error),
}

/// What is found.
#[derive(Debug)]
pub(super) struct Found {
    /// How many entries of state there were.
    pub(super) count: u64,
    /// Where each partition begins, and what is stored of it.
    pub(super) origins: Vec<(i64, Stored)>,
}

/// How it is to be found.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) group: String,
    /// Where partitions begin of which nothing is stored.
    pub(super) start: Option<Start>,
    /// A file of offsets that wins over what the group has stored; its state is elsewhere too.
    pub(super) source: Option<Source>,
}

/// An assignment to be looked up.
#[derive(Debug)]
struct Task {
    partitions: Vec<Partition>,
    /// How many partitions the input's widest topic has.
    width: usize,
    news: SyncSender<News>,
    cancelled: Arc<AtomicBool>,
}

impl Task {
    /// Whether nobody wants to know any more.
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Asks until there is an answer, or nobody wants to know any more.
    fn insist<T>(&self, thing: &str, ask: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        insist(thing, || self.is_cancelled(), ask)
    }
}

/// Hands assignments to the thread.
#[derive(Debug)]
pub(super) struct Archivist {
    tasks: Sender<Task>,
}

/// An assignment that is being looked up; dropped, it is not any more.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) news: Receiver<News>,
    cancelled: Arc<AtomicBool>,
}

impl Archivist {
    /// Begins to look things up in `archive`, ringing `rope` when there are news.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn over(archive: Archive, rules: Rules, rope: Rope) -> Result<Archivist> {
        let (tasks, queue) = channel();
        let thread = thread::Builder::new().name("archivist".to_owned());
        let mut desk = Desk { archive, rules, rope };
        let spawned = thread.spawn(move || desk.serve(&queue));
        spawned.map_err(|error| Error::world("thread", reason(&error)))?;
        Ok(Archivist { tasks })
    }

    /// Begins to look up an assignment of topics of which the widest has `width` partitions.
    pub(super) fn search(&self, partitions: Vec<Partition>, width: usize) -> Search {
        let (sender, news) = sync_channel(NEWS);
        let cancelled = Arc::new(AtomicBool::new(false));
        let task = Task { partitions, width, news: sender, cancelled: Arc::clone(&cancelled) };
        // A thread that is gone is seen by its silence.
        let _ = self.tasks.send(task);
        Search { news, cancelled }
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Asks until there is an answer, or it is `cancelled`; `None` then.
///
/// # Errors
/// When it takes longer than [`PATIENCE`], or `ask` fails.
pub(super) fn insist<T>(
    thing: &str,
    cancelled: impl Fn() -> bool,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let begun = Instant::now();
    let mut said = false;
    while !cancelled() {
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        let waited = begun.elapsed();
        if waited > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(Error::unfinished(thing, format!("not known after {seconds} s")));
        }
        if waited > SILENCE && !said {
            said = true;
            say(format!("{thing}: waits for the broker, or for the end of a transaction"));
        }
        thread::park_timeout(AGAIN);
    }
    Ok(None)
}

/// Where the thread works.
struct Desk {
    archive: Archive,
    rules: Rules,
    rope: Rope,
}

impl Desk {
    fn serve(&mut self, queue: &Receiver<Task>) {
        while let Ok(task) = queue.recv() {
            let news = match self.look_up(&task) {
                Ok(Some(found)) => News::Found(found),
                Ok(None) => continue,
                Err(error) => News::Failed(error),
            };
            self.send(&task, news);
        }
    }

    /// Whether somebody still wanted it.
    fn send(&self, task: &Task, news: News) -> bool {
        let sent = task.news.send(news).is_ok();
        self.rope.ring();
        sent
    }

    /// Sends the entries of state and finds the rest; `None` when nobody wants to know any more.
    fn look_up(&mut self, task: &Task) -> Result<Option<Found>> {
        let (archive, group) = (&self.archive, format!("group {}", self.rules.group));
        let stored = task.insist(&group, || archive.stored(&task.partitions))?;
        let Some(stored) = stored else { return Ok(None) };
        let Some(first) = self.first(task, &stored)? else { return Ok(None) };
        // With offsets of one's own, state is one's own as well.
        let count =
            if self.rules.source.is_some() { Some(0) } else { self.restore(task, &stored)? };
        let origins = first.into_iter().zip(stored).collect();
        Ok(count.map(|count| Found { count, origins }))
    }

    /// The offsets at which the partitions begin.
    fn first(&mut self, task: &Task, stored: &[Stored]) -> Result<Option<Vec<i64>>> {
        let (archive, partitions) = (&self.archive, &task.partitions);
        let bounds = task.insist("offsets", || archive.bounds(partitions))?;
        let Some(bounds) = bounds else { return Ok(None) };
        // Behind the end is who stored an offset of a topic that was made anew since.
        let written = task.insist("offsets", || archive.written(partitions))?;
        let Some(written) = written else { return Ok(None) };
        let since = match self.rules.start {
            Some(Start::Since(moment)) => {
                let ask = || archive.since(partitions, moment.ms(now()));
                let Some(since) = task.insist("offsets", ask)? else {
                    return Ok(None);
                };
                since
            }
            _ => vec![None; partitions.len()],
        };
        let reads = match &mut self.rules.source {
            Some(source) => source.read()?,
            None => Vec::new(),
        };
        let mut first = Vec::new();
        let found = stored.iter().zip(bounds).zip(written).zip(since);
        for (one, (((stored, bounds), written), since)) in partitions.iter().zip(found) {
            let kept = reads.iter().rev();
            let mut kept = kept.filter(|read| read.topic == one.topic);
            let kept = kept.find(|read| read.partition == one.number).map(|read| read.until);
            let known = kept.or(stored.offset);
            let rule = self.rules.start.filter(|rule| *rule != Start::Stored);
            let rule = rule.or(known.map(Start::At)).ok_or_else(|| self.placeless(one))?;
            let offset = start::first(rule, known, (bounds.low, bounds.high), since, Some(written));
            first.push(offset.map_err(|reason| Error::world(one, reason))?);
        }
        Ok(Some(first))
    }

    fn placeless(&self, partition: &Partition) -> Error {
        let reason = format!(
            "has no stored offset of {partition}; --epoch wants to be told where to begin: \
             -o beginning, -o end, or as -o says else"
        );
        Error::caller(format!("group {}", self.rules.group), reason)
    }

    /// Sends what the stages have stored. How many entries that is.
    fn restore(&self, task: &Task, stored: &[Stored]) -> Result<Option<u64>> {
        let (archive, thing) = (&self.archive, self.archive.changelog());
        let (signed, begun) = (stored.iter().any(|one| is_signed(&one.metadata)), Instant::now());
        let width = task.insist(thing, || {
            let believed = |width: &usize| *width > 0 || !signed || begun.elapsed() >= DOUBT;
            Ok(archive.width()?.filter(believed))
        })?;
        let Some(width) = width else { return Ok(None) };
        if width > 0 && width != task.width {
            let reason = format!(
                "has {width} partitions and the input {}: state cannot be found by the number of \
                 its partition; --reset-state begins without it",
                task.width
            );
            return Err(Error::world(thing, reason));
        }
        let mut state = State::default();
        if width > 0 && !self.read(task, &mut state)? {
            return Ok(None);
        }
        let mut block = Vec::new();
        let given = state.restore(&task.partitions, stored, |line| {
            block.extend_from_slice(line);
            block.len() < BLOCK || self.send(task, News::Entries(std::mem::take(&mut block)))
        });
        let count = given.map_err(|(partition, reason)| Error::world(partition, reason))?;
        Ok((block.is_empty() || self.send(task, News::Entries(block))).then_some(count))
    }

    /// Reads the changelog's partitions into `state`. Whether somebody still wanted it.
    fn read(&self, task: &Task, state: &mut State) -> Result<bool> {
        let (archive, thing) = (&self.archive, self.archive.changelog());
        let mut numbers: Vec<i32> = task.partitions.iter().map(|one| one.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        // Offsets are known to be stable, but the transaction that made them so may still be open
        // in the changelog: what is there by now has to be committed or aborted first.
        let ends = task.insist(thing, || archive.ends(&numbers))?;
        let Some(ends) = ends else { return Ok(false) };
        let stable = task.insist(thing, || {
            let stable = archive.stable_ends(&numbers)?;
            let reached = |all: &Vec<i64>| all.iter().zip(&ends).all(|(one, end)| one >= end);
            Ok(stable.filter(reached))
        })?;
        if stable.is_none() {
            return Ok(false);
        }
        let read = task.insist(thing, || {
            *state = State::default();
            let whole = archive.read(&numbers, PATIENCE, |partition, key, value| {
                state.take(partition, key, value);
                !task.is_cancelled()
            })?;
            Ok(whole.then_some(()))
        })?;
        Ok(read.is_some())
    }
}
