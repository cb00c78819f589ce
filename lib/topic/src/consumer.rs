//! Records from topics, in batches, alone or as a member of a group.
//!
//! A [`Reader`] never decides where to start and never commits by itself: the program is told
//! what is assigned, asks for bounds and stored offsets, says where to begin, and commits what
//! it has passed on.

mod member;

use std::collections::VecDeque;
use std::env;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pipe::exit::{Error, Result};
use pipe::stdio;
use pipe::stop::Stop;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use self::member::Membership;
use crate::archive::STABLE_BACKOFF_MS;
use crate::cluster::{self, PATIENCE, text};
use crate::config;
use crate::context::{Context, Rebalance, lasts, unassign};
use crate::flags::Broker;
use crate::mock;
use crate::native::{self, Bell, Queue, Space};
pub use crate::record::{Batch, Item, Partition, Record};
use crate::scout::{self, Scout};

/// Messages taken at a time: enough to spread the cost of the call, few enough for the cache.
const BATCH: usize = 4096;

/// Messages that may lie in the client's queue, of all partitions together.
const QUEUED_MESSAGES: usize = 100_000;

/// Kilobytes of messages that may lie there.
const QUEUED_KILOBYTES: usize = 32 << 10;

/// Bytes that one fetch may bring, of all partitions together.
const FETCHED_BYTES: usize = 1 << 20;

/// How long the end of a membership may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// What has happened to a static member that another one has replaced.
const FENCED: &str = "another member has taken our --instance: each copy needs one of its own";

/// The same behind a session of ours that timed out.
const FENCED_BY_ITSELF: &str =
    "the session had timed out, and our --instance is another member's by now: run it again";

/// Properties that a reader needs as they are, with what to use instead.
const RESERVED: [(&str, &str); 3] = [
    ("enable.auto.offset.store", "offsets are stored when stdout has accepted the records"),
    ("enable.partition.eof", "is always on"),
    ("offset.store.method", "offsets are stored by the broker"),
];

/// Properties whose value others rely on who commit what was read, and that value.
const AGREED: [(&str, &str); 3] = [
    ("group.protocol", "classic"),
    ("partition.assignment.strategy", "range"),
    ("isolation.level", "read_committed"),
];

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The broker and its properties.
    pub flags: &'a Broker,
    /// The topics.
    pub topics: &'a [String],
    /// Only these partitions of each topic, when given.
    pub partitions: Option<&'a [i32]>,
    /// The group to be a member of.
    pub group: Option<&'a str>,
    /// Whether the end of the partitions must be noticed at once.
    pub until_end: bool,
    /// Whether partitions are read apart, each by [`Reader::batch_of`], and without a group.
    pub apart: bool,
    /// Whether the offsets are committed by others, with the results.
    pub epochs: bool,
}

/// A change of what the group has given us.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// These partitions more: say [`Reader::start`] for them.
    Assigned(Vec<usize>),
    /// It wants these partitions back: commit, then say [`Reader::release`].
    Revoked(Vec<usize>),
}

/// The first offset of a partition and the one behind its last record, in the reader's isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first record's offset.
    pub low: i64,
    /// The offset behind the last record that may be read.
    pub high: i64,
}

/// Reads topics. Partitions are spoken of by their index in [`Reader::partitions`].
pub struct Reader {
    queue: Queue<Context>,
    /// Whether each partition has a lane of the queue.
    apart: bool,
    client: Arc<BaseConsumer<Context>>,
    space: Space,
    partitions: Vec<Partition>,
    /// The offsets behind the last records, committed or not, when the reader was opened.
    written: Vec<i64>,
    group: Option<String>,
    rebalances: VecDeque<Rebalance>,
}

impl Reader {
    /// Connects to the broker and looks at the topics, but does not read yet.
    ///
    /// # Errors
    /// When no broker answers within [`PATIENCE`], a topic is unknown or not permitted, or a
    /// property is refused.
    pub fn open(plan: &Plan<'_>) -> Result<Reader> {
        for (key, instead) in RESERVED {
            if let Some(place) = config::place(plan.flags, key)? {
                return Err(Error::caller(place, instead));
            }
        }
        let scout = Scout::send(plan)?;
        let config = reading(plan, &scout)?;
        let client = config.create_with_context(Context::held());
        let client: Arc<BaseConsumer<Context>> =
            Arc::new(client.map_err(|error| config::refusal(&error))?);
        let brokers = config.get("bootstrap.servers").unwrap_or_default();
        scout::partitions(&client, brokers, plan)?;
        let lanes = if plan.apart { scout.partitions.len() } else { 1 };
        let queue = Queue::new(Arc::clone(&client), plan.group.is_some(), lanes);
        let queue = queue.map_err(|error| Error::world("librdkafka", stdio::reason(&error)))?;
        client.context().troubles.release();
        Ok(Reader {
            queue,
            apart: plan.apart,
            client,
            space: Space::default(),
            partitions: scout.partitions,
            written: scout.written,
            group: plan.group.map(ToOwned::to_owned),
            rebalances: VecDeque::new(),
        })
    }

    /// Every partition of the topics, or those of them that were asked for.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The offsets behind the last record of every partition when the reader was opened,
    /// committed or not; above [`Bounds::high`], a transaction is open.
    #[must_use]
    pub fn written(&self) -> &[i64] {
        &self.written
    }

    /// The bounds of the partitions `at`.
    ///
    /// # Errors
    /// When the broker does not say them.
    pub fn bounds(&self, at: &[usize]) -> Result<Vec<Bounds>> {
        let partitions: Vec<Partition> = at.iter().map(|&at| self.partitions[at].clone()).collect();
        let lows = cluster::offsets(&self.client, &partitions, Offset::Beginning)?;
        let highs = cluster::offsets(&self.client, &partitions, Offset::End)?;
        Ok(lows.into_iter().zip(highs).map(|(low, high)| Bounds { low, high }).collect())
    }

    /// The first offsets of the partitions `at` whose records have the time `ms` (since the
    /// epoch) or a later one; none where all are earlier.
    ///
    /// # Errors
    /// When the broker does not say them.
    pub fn since(&self, at: &[usize], ms: i64) -> Result<Vec<Option<i64>>> {
        if at.is_empty() {
            return Ok(Vec::new());
        }
        let list = self.list(at.iter().map(|&at| (at, Offset::Offset(ms))))?;
        let list = self.client.offsets_for_times(list, PATIENCE);
        let list = list.map_err(|error| Error::world(&self.partitions[at[0]], text(&error)))?;
        self.known_offsets(at, &list)
    }

    /// The group's stored offsets of the partitions `at`.
    ///
    /// # Errors
    /// When the group's coordinator does not say them.
    pub fn stored(&self, at: &[usize]) -> Result<Vec<Option<i64>>> {
        if at.is_empty() {
            return Ok(Vec::new());
        }
        let list = self.list(at.iter().map(|&at| (at, Offset::Invalid)))?;
        let list = self.client.committed_offsets(list, PATIENCE);
        let list = list.map_err(|error| Error::world(self.group_thing(), text(&error)))?;
        self.known_offsets(at, &list)
    }

    /// The offsets that `list` has of the partitions `at`.
    fn known_offsets(&self, at: &[usize], list: &TopicPartitionList) -> Result<Vec<Option<i64>>> {
        let offset = |&at: &usize| {
            let one = &self.partitions[at];
            let found = list.find_partition(&one.topic, one.number);
            match found.as_ref().map(|found| (found.error(), found.offset())) {
                Some((Ok(()), Offset::Offset(offset))) => Ok(Some(offset)),
                Some((Err(error), _)) => Err(Error::world(one, text(&error))),
                _ => Ok(None),
            }
        };
        at.iter().map(offset).collect()
    }

    /// Becomes a member of the group; a [`Change::Assigned`] follows.
    ///
    /// # Errors
    /// When librdkafka refuses the subscription.
    pub fn join(&self) -> Result<()> {
        let mut topics: Vec<&str> = self.partitions.iter().map(|one| one.topic.as_str()).collect();
        topics.dedup();
        let joined = self.client.subscribe(&topics);
        joined.map_err(|error| Error::world(self.group_thing(), text(&error)))
    }

    /// Reads partitions from these offsets.
    ///
    /// # Errors
    /// When librdkafka refuses a partition or an offset.
    pub fn start(&mut self, from: &[(usize, i64)]) -> Result<()> {
        if self.group.is_none() {
            for &(at, offset) in from {
                let one = &self.partitions[at];
                let lane = if self.apart { at } else { 0 };
                let started = self.queue.start(&one.topic, one.number, offset, lane);
                started.map_err(|code| Error::world(one, config::reason(code)))?;
            }
            return Ok(());
        }
        for &(at, _) in from {
            let one = &self.partitions[at];
            let forwarded = self.queue.forward(&one.topic, one.number);
            forwarded.map_err(|code| Error::world(one, config::reason(code)))?;
        }
        let list = self.list(from.iter().map(|&(at, offset)| (at, Offset::Offset(offset))))?;
        let assigned = match self.client.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.client.incremental_assign(&list),
            _ => self.client.assign(&list),
        };
        assigned.map_err(|error| Error::world(self.group_thing(), text(&error)))
    }

    /// Says at which offsets partitions that stay are read on after a change, before it is
    /// answered by [`Reader::start`] or [`Reader::release`].
    ///
    /// librdkafka itself would go on one record too far: when a batch ends with the event that
    /// nothing is behind it, that event moves the position as if it were a record, and a change of
    /// the assignment makes it the place to fetch from.
    ///
    /// # Errors
    /// When librdkafka refuses a partition.
    pub fn keep(&self, next: &[(usize, i64)]) -> Result<()> {
        let stays = matches!(self.client.rebalance_protocol(), RebalanceProtocol::Cooperative);
        if next.is_empty() || !stays {
            return Ok(());
        }
        let list = self.list(next.iter().map(|&(at, offset)| (at, Offset::Offset(offset))))?;
        // Not waited for: what is asked of a partition happens in the order of asking.
        let kept = self.client.seek_partitions(list, Duration::ZERO);
        kept.map(drop).map_err(|error| Error::world(self.group_thing(), text(&error)))
    }

    /// Gives partitions back to the group, after [`Change::Revoked`].
    ///
    /// # Errors
    /// When librdkafka refuses.
    pub fn release(&mut self, at: &[usize]) -> Result<()> {
        let list = self.list(at.iter().map(|&at| (at, Offset::Invalid)))?;
        let released = unassign(&self.client, &list);
        released.map_err(|error| Error::world(self.group_thing(), text(&error)))
    }

    /// The change of the assignment that is to be answered next. To be called often: it also
    /// serves everything else that is not records.
    ///
    /// # Errors
    /// When the group cannot be joined or a topic is not there or not permitted any more.
    pub fn change(&mut self) -> Result<Option<Change>> {
        self.serve()?;
        let Some(rebalance) = self.rebalances.pop_front() else { return Ok(None) };
        let (Rebalance::Assigned(list) | Rebalance::Revoked(list)) = &rebalance;
        let at = list.iter().map(|one| self.index(one)).collect();
        Ok(Some(match rebalance {
            Rebalance::Assigned(_) => Change::Assigned(at),
            Rebalance::Revoked(_) => Change::Revoked(at),
        }))
    }

    /// The records that have come, without waiting.
    pub fn batch(&mut self) -> Option<Batch<'_>> {
        self.batch_of(0)
    }

    /// The records that have come of partition `at`, where partitions are read apart.
    pub fn batch_of(&mut self, at: usize) -> Option<Batch<'_>> {
        let messages = self.queue.take(BATCH, at, &mut self.space);
        (messages.len() > 0).then(|| Batch::new(messages, &self.partitions))
    }

    /// Waits until there may be a change or a batch, `stop` is requested, or `time` is over
    /// (`None`: never).
    ///
    /// # Errors
    /// When the system call fails.
    pub fn wait(&mut self, stop: &Stop, time: Option<Duration>) -> Result<()> {
        listen(self.queue.bell(), &[PollFd::new(stop, PollFlags::IN)], time)
    }

    /// Waits until there may be a change or a batch, one of `others` can be read, or `time` is
    /// over.
    ///
    /// # Errors
    /// When the system call fails.
    pub fn wait_among(&mut self, others: &[BorrowedFd<'_>], time: Option<Duration>) -> Result<()> {
        let others: Vec<_> = others.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        listen(self.queue.bell(), &others, time)
    }

    /// Waits until `output` takes something, there may be a change or a batch, or `time` is over.
    ///
    /// # Errors
    /// When the system call fails.
    pub fn wait_for(&mut self, output: &impl AsFd, time: Duration) -> Result<()> {
        listen(self.queue.bell(), &[PollFd::new(output, PollFlags::OUT)], Some(time))
    }

    /// The position behind everything handed out, transaction markers included.
    ///
    /// # Errors
    /// When librdkafka does not know the partition.
    pub fn position(&self, at: usize) -> Result<Option<i64>> {
        let list = self.list(std::iter::once((at, Offset::Invalid)))?;
        native::positions(&self.client, &list)
            .map_err(|code| Error::world(&self.partitions[at], config::reason(code)))?;
        let one = &self.partitions[at];
        let found = list.find_partition(&one.topic, one.number);
        Ok(match found.map(|found| found.offset()) {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        })
    }

    /// The offset behind the last record of partition `at`, committed or not, as the last fetch has
    /// said it, without asking the broker; `None` before one has.
    #[must_use]
    pub fn high(&self, at: usize) -> Option<i64> {
        let one = &self.partitions[at];
        native::high_watermark(&self.client, &one.topic, one.number)
    }

    /// Whether the group has taken the partitions away without asking.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.client.assignment_lost()
    }

    /// Begins to commit these offsets; [`Reader::settle`] or [`Reader::commit_failure`] tells
    /// how it went.
    ///
    /// # Errors
    /// When librdkafka refuses the list.
    pub fn commit(&self, positions: &[(usize, i64)]) -> Result<()> {
        if positions.is_empty() {
            return Ok(());
        }
        let list = positions.iter().map(|&(at, offset)| (at, Offset::Offset(offset)));
        let list = self.list(list)?;
        let begun = self.queue.commit(&list);
        begun.map_err(|code| Error::world(self.group_thing(), config::reason(code)))?;
        self.client.context().commits().pending += 1;
        Ok(())
    }

    /// How the last commit failed, if it did and was not asked for before.
    #[must_use]
    pub fn commit_failure(&self) -> Option<Error> {
        let failed = self.client.context().commits().failed.take()?;
        Some(Error::world(self.group_thing(), format!("commit: {}", config::reason(failed))))
    }

    /// Waits until all that was begun to be committed is, or `patience` is over.
    ///
    /// # Errors
    /// When the last commit failed or is not known to have succeeded.
    pub fn settle(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            self.serve()?;
            if self.client.context().commits().pending == 0 {
                return self.commit_failure().map_or(Ok(()), Err);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::world(self.group_thing(), "commit: no answer"));
            }
            listen(self.queue.bell(), &[], Some(left))?;
        }
    }

    /// Leaves the group, or just stops. The process is expected to end after it.
    ///
    /// # Errors
    /// When the system call fails.
    pub fn close(mut self) -> Result<()> {
        self.client.context().close();
        // Who has not answered a loss is not asked again, but waited for.
        if self.is_lost()
            && let Ok(list) = self.client.assignment()
        {
            let _ = unassign(&self.client, &list);
        }
        if self.group.is_some() && self.client.close_queue().is_ok() {
            let deadline = Instant::now() + FAREWELL;
            while !self.client.closed() {
                // What fails now does so in a client that goes away anyway.
                let _ = self.serve();
                let heard = listen(self.queue.bell(), &[], Some(Duration::from_millis(10)));
                if heard.is_err() || Instant::now() > deadline {
                    // The group hears nothing; dropped, the client would wait for it for ever.
                    mem::forget(self);
                    return heard;
                }
            }
        }
        Ok(())
    }

    /// Serves librdkafka's callbacks and keeps what they left for [`Reader::change`]. The group
    /// takes a member for dead that does not come here or there for too long.
    ///
    /// # Errors
    /// As [`Reader::change`].
    pub fn serve(&mut self) -> Result<()> {
        // A poll takes one event at most, and the bell does not ring for those that are left.
        loop {
            match self.client.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    let thing = format!("{} [{}]", message.topic(), message.partition());
                    return Err(Error::world(thing, "librdkafka gave a record out of turn"));
                }
                Some(Err(error)) => self.bear(&error)?,
                None => {}
            }
            if !self.queue.has_events() {
                break;
            }
        }
        self.rebalances.extend(self.client.context().take_rebalances());
        Ok(())
    }

    /// The partition's index; a partition that is newer than the reader gets one.
    fn index(&mut self, partition: &Partition) -> usize {
        let known = self.partitions.iter().position(|known| known == partition);
        known.unwrap_or_else(|| {
            self.partitions.push(partition.clone());
            self.partitions.len() - 1
        })
    }

    fn list(&self, at: impl Iterator<Item = (usize, Offset)>) -> Result<TopicPartitionList> {
        cluster::list(at.map(|(at, offset)| (&self.partitions[at], offset)))
    }

    fn group_thing(&self) -> String {
        format!("group {}", self.group.as_deref().unwrap_or_default())
    }

    /// Lets an error pass that goes away by waiting.
    fn bear(&self, error: &KafkaError) -> Result<()> {
        let Some(code) = error.rdkafka_error_code().filter(|&code| lasts(code)) else {
            return Ok(());
        };
        // Of a fatal error, the event may only say that it is fatal.
        let code = self.client.client().fatal_error().map_or(code, |(cause, _)| cause);
        let thing = self.thing(code);
        Err(match code {
            RDKafkaErrorCode::FencedInstanceId if self.client.context().has_timed_out() => {
                Error::unfinished(thing, FENCED_BY_ITSELF)
            }
            RDKafkaErrorCode::FencedInstanceId => Error::world(thing, FENCED),
            code => Error::world(thing, config::reason(code)),
        })
    }

    /// What an error that lasts is about.
    fn thing(&self, code: RDKafkaErrorCode) -> String {
        use RDKafkaErrorCode as Code;
        let first = self.partitions.first();
        match (code, first) {
            (
                Code::TopicAuthorizationFailed
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::InvalidTopic,
                Some(first),
            ) => first.topic.clone(),
            _ => self.group_thing(),
        }
    }
}

/// The configuration of the reading client, for the cluster that the scout saw.
fn reading(plan: &Plan<'_>, scout: &Scout) -> Result<ClientConfig> {
    let share = scout.partitions.len().max(1);
    // With the defaults, small records fill the queue at once, and the client then idles for
    // 1 s; and each partition may have 64 MiB. These limits are for all partitions together.
    let messages = (QUEUED_MESSAGES / share).max(1_000).to_string();
    let kilobytes = (QUEUED_KILOBYTES / share).max(1_024).to_string();
    // A fetch is unpacked at once, and small compressed records become 50 times as large.
    let fetch = (FETCHED_BYTES / share).max(64 << 10).to_string();
    // A mock broker does not wake a waiting fetch, and the end of a partition is only told in
    // answer to a fetch that found nothing.
    let wait = if scout.mock || plan.until_end { "5" } else { "500" };
    let defaults = [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("auto.offset.reset", "error"),
        ("fetch.wait.max.ms", wait),
        ("fetch.queue.backoff.ms", "1"),
        ("fetch.message.max.bytes", &fetch),
        ("fetch.max.bytes", "8388608"),
        ("queued.min.messages", &messages),
        ("queued.max.messages.kbytes", &kilobytes),
    ];
    // A mock broker lets those who join a group after the first wait for the session timeout
    // less 1 s, and the first for 3 s, which kmock leaves out; by then the session must not be
    // over.
    let session = match (scout.mock, env::var_os(mock::VARIABLE).is_some()) {
        (true, true) => &[("session.timeout.ms", "1100"), ("heartbeat.interval.ms", "200")][..],
        (true, false) => &[("session.timeout.ms", "4000"), ("heartbeat.interval.ms", "1000")],
        (false, _) if plan.epochs => &[
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "500"),
            ("retry.backoff.ms", STABLE_BACKOFF_MS),
        ],
        (false, _) => &[],
    };
    // With the newer protocol, the broker alone decides how long a session is.
    let newer = config::asked(plan.flags, "group.protocol")?.as_deref() == Some("consumer");
    let session = if newer { &[][..] } else { session };
    let mut config = config::client(plan.flags, &[&defaults, session].concat())?;
    // The program says where to begin and commits what it has passed on.
    config.set("enable.auto.commit", "false").set("auto.offset.reset", "error");
    for (key, value) in AGREED.into_iter().filter(|_| plan.epochs) {
        config.set(key, value);
    }
    match plan.group {
        Some(group) => config.set("group.id", group),
        None => config.remove("group.id"),
    };
    Ok(config)
}

/// Refuses properties that those who commit what was read, and not the reader, rely on.
///
/// # Errors
/// Of the caller, when one has another value than it has to have.
pub fn check_epochs(flags: &Broker) -> Result<()> {
    for (key, value) in AGREED {
        let (asked, place) = (config::asked(flags, key)?, config::place(flags, key)?);
        if let (Some(asked), Some(place)) = (asked, place)
            && asked != value
        {
            return Err(Error::caller(place, format!("under --epoch it is {value}")));
        }
    }
    Ok(())
}

/// Waits for the bell, for one of `others` or until `time` is over, and makes the bell silent.
fn listen(bell: &mut Bell, others: &[PollFd<'_>], time: Option<Duration>) -> Result<()> {
    let failed = |error| Error::world("librdkafka", stdio::reason(&error));
    let time = time.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    });
    let ear = PollFd::new(bell, PollFlags::IN);
    let mut ears: Vec<PollFd<'_>> = [&[ear], others].concat();
    let polled = poll(&mut ears, time.as_ref());
    drop(ears);
    match polled {
        Ok(_) | Err(rustix::io::Errno::INTR) => bell.silence().map_err(failed),
        Err(error) => Err(failed(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use clap::{Args as _, FromArgMatches as _};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;

    use super::*;

    /// How long what comes at once may take.
    const LONG: Duration = Duration::from_mins(1);

    fn flags(args: &[&str]) -> Broker {
        let command = Broker::augment_args(clap::Command::new("test").no_binary_name(true));
        let matches = command.try_get_matches_from(args).expect("arguments");
        Broker::from_arg_matches(&matches).expect("flags")
    }

    fn next_change(reader: &mut Reader) -> Change {
        let deadline = Instant::now() + LONG;
        while Instant::now() < deadline {
            if let Some(change) = reader.change().expect("a group") {
                return change;
            }
            reader.wait_among(&[], Some(Duration::from_millis(100))).expect("a bell");
        }
        panic!("no change");
    }

    #[test]
    fn a_loss_that_nobody_has_answered_does_not_hold_up_the_end() {
        let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).expect("a mock");
        cluster.create_topic("t", 1, 1).expect("a topic");
        let brokers = cluster.bootstrap_servers();
        let times = ["-X", "session.timeout.ms=6000", "-X", "max.poll.interval.ms=6000"];
        let flags = flags(&[&["-b", &brokers], &times[..]].concat());
        let plan = Plan {
            flags: &flags,
            topics: &["t".to_owned()],
            partitions: None,
            group: Some("g"),
            until_end: false,
            apart: false,
            epochs: false,
        };
        let mut reader = Reader::open(&plan).expect("a reader");
        reader.join().expect("a group");
        assert_eq!(next_change(&mut reader), Change::Assigned(vec![0]));
        reader.start(&[(0, 0)]).expect("a partition");
        let deadline = Instant::now() + LONG;
        while !reader.is_lost() {
            assert!(Instant::now() < deadline, "nobody has polled for long");
            thread::park_timeout(Duration::from_millis(20));
        }
        assert_eq!(next_change(&mut reader), Change::Revoked(vec![0]));
        let start = Instant::now();
        reader.close().expect("an end");
        assert!(start.elapsed() < FAREWELL);
    }
}
