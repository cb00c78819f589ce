//! What a group keeps of its progress: offsets that were committed together with results, and
//! the state of its stages in the changelog, a compacted topic.

use std::time::{Duration, Instant};

use futures_executor::block_on;
use pipe::exit::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::Offset;

use crate::changelog;
use crate::cluster::{self, PATIENCE, text};
use crate::config::{self, reason};
use crate::consumer::Bounds;
use crate::context::{Context, lasts};
use crate::flags::Broker;
use crate::record::Partition;

/// How long one question waits, so that whoever asks can look around in between.
const SLICE: Duration = Duration::from_millis(500);

/// How long librdkafka waits before it asks again for an offset that a transaction is just about to
/// commit, which takes a few milliseconds; each time twice as long, as with its default of 100 ms.
pub(crate) const STABLE_BACKOFF_MS: &str = "5";

/// What is said of a group that is not to have members.
pub const MEMBERS: &str = "has members: stop them first; who was killed is one for some seconds";

/// What a group has stored of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The offset of the next record; none when nothing is stored.
    pub offset: Option<i64>,
    /// The text that was stored with it.
    pub metadata: String,
}

/// Clients that look at what a group keeps without being its members.
///
/// A question that a broker does not answer now has the answer `None`: it is to be asked again.
pub struct Archive {
    group: String,
    changelog: String,
    /// Sees what is committed.
    committed: BaseConsumer<Context>,
    /// Sees everything.
    written: BaseConsumer<Context>,
    config: ClientConfig,
}

impl Archive {
    /// The archive of `group`.
    ///
    /// # Errors
    /// When a property is refused.
    pub fn open(flags: &Broker, group: &str) -> Result<Archive> {
        let client = |isolation: &str| {
            let defaults = [
                ("fetch.wait.max.ms", "50"),
                ("fetch.queue.backoff.ms", "1"),
                ("retry.backoff.ms", STABLE_BACKOFF_MS),
            ];
            let mut config = config::client(flags, &defaults)?;
            config.set("isolation.level", isolation).set("group.id", group);
            config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
            config.set("enable.partition.eof", "true").set("auto.offset.reset", "error");
            // The name is that of the member, which this is not.
            config.remove("group.instance.id").set("group.protocol", "classic");
            config.remove("max.poll.interval.ms").remove("session.timeout.ms");
            // Asking for the changelog must not make it.
            config.set("allow.auto.create.topics", "false");
            let client = config.create_with_context(Context::held());
            Ok((client.map_err(|error| config::refusal(&error))?, config))
        };
        let (committed, config) = client("read_committed")?;
        let (written, _) = client("read_uncommitted")?;
        Ok(Archive {
            group: group.to_owned(),
            changelog: changelog::name(group),
            committed,
            written,
            config,
        })
    }

    /// The name of the changelog.
    #[must_use]
    pub fn changelog(&self) -> &str {
        &self.changelog
    }

    /// What the group has stored of `partitions`, once no transaction is about to change it.
    ///
    /// # Errors
    /// When the group's coordinator refuses for good.
    pub fn stored(&self, partitions: &[Partition]) -> Result<Option<Vec<Stored>>> {
        self.serve();
        let stored = stored(&self.committed, partitions, SLICE);
        stored.map_err(|code| Error::world(format!("group {}", self.group), reason(code)))
    }

    /// The bounds of `partitions`, behind the last records that are committed.
    ///
    /// # Errors
    /// When the broker refuses for good.
    pub fn bounds(&self, partitions: &[Partition]) -> Result<Option<Vec<Bounds>>> {
        let (beginning, end) = (Offset::Beginning, Offset::End);
        let Some(lows) = self.offsets(&self.committed, partitions, |_| beginning)? else {
            return Ok(None);
        };
        let highs = self.offsets(&self.committed, partitions, |_| end)?;
        let bounds = |(low, high): (&Option<i64>, &Option<i64>)| {
            Some(Bounds { low: (*low)?, high: (*high)? })
        };
        Ok(highs.and_then(|highs| lows.iter().zip(&highs).map(bounds).collect()))
    }

    /// The first offsets of `partitions` whose records have the time `ms` (since the epoch) or a
    /// later one; none where all are earlier.
    ///
    /// # Errors
    /// When the broker refuses for good.
    pub fn since(&self, partitions: &[Partition], ms: i64) -> Result<Option<Vec<Option<i64>>>> {
        self.offsets(&self.committed, partitions, |_| Offset::Offset(ms))
    }

    /// How many partitions the changelog has, 0 when it is not there.
    ///
    /// # Errors
    /// When the broker refuses for good.
    pub fn width(&self) -> Result<Option<usize>> {
        self.width_of(&self.changelog)
    }

    fn width_of(&self, name: &str) -> Result<Option<usize>> {
        self.serve();
        let metadata = match self.committed.fetch_metadata(Some(name), SLICE) {
            Ok(metadata) => metadata,
            Err(error) => return self.later(name, &error),
        };
        let found = metadata.topics().iter().find(|one| one.name() == name);
        let code = found.and_then(MetadataTopic::error).map(RDKafkaErrorCode::from);
        match (found, code) {
            (Some(topic), None) => Ok(Some(topic.partitions().len())),
            (None, _) | (_, Some(RDKafkaErrorCode::UnknownTopicOrPartition)) => Ok(Some(0)),
            (_, Some(code)) if lasts(code) => Err(Error::world(name, reason(code))),
            (_, Some(_)) => Ok(None),
        }
    }

    /// The offsets behind everything in `partitions`, committed or not.
    ///
    /// # Errors
    /// When the broker refuses for good.
    pub fn written(&self, partitions: &[Partition]) -> Result<Option<Vec<i64>>> {
        let ends = self.offsets(&self.written, partitions, |_| Offset::End)?;
        Ok(ends.map(|ends| ends.into_iter().map(Option::unwrap_or_default).collect()))
    }

    /// As [`Archive::written`], of the changelog's partitions `numbers`.
    ///
    /// # Errors
    /// When the broker refuses for good.
    pub fn ends(&self, numbers: &[i32]) -> Result<Option<Vec<i64>>> {
        self.written(&self.parts(numbers))
    }

    /// The offsets in the changelog's partitions `numbers` before which no transaction is open.
    ///
    /// # Errors
    /// When the broker refuses for good.
    pub fn stable_ends(&self, numbers: &[i32]) -> Result<Option<Vec<i64>>> {
        let ends = self.offsets(&self.committed, &self.parts(numbers), |_| Offset::End)?;
        Ok(ends.map(|ends| ends.into_iter().map(Option::unwrap_or_default).collect()))
    }

    /// Reads the changelog's partitions `numbers` from their beginnings to their ends, and gives
    /// each record (partition, key, value or null for one deleted) to `take`, which says whether
    /// to go on. Whether all was read; else it is to be read anew.
    ///
    /// # Errors
    /// When the broker refuses for good.
    pub fn read(
        &self,
        numbers: &[i32],
        patience: Duration,
        mut take: impl FnMut(i32, &[u8], Option<&[u8]>) -> bool,
    ) -> Result<bool> {
        let parts = self.parts(numbers);
        let failed = |error: KafkaError| Error::world(&self.changelog, text(&error));
        let list = cluster::list(parts.iter().map(|one| (one, Offset::Beginning)))?;
        self.committed.assign(&list).map_err(failed)?;
        let (mut open, mut heard) = (numbers.to_vec(), Instant::now());
        while !open.is_empty() && heard.elapsed() < patience {
            match self.committed.poll(SLICE) {
                Some(Ok(record)) => {
                    heard = Instant::now();
                    let key = record.key().unwrap_or_default();
                    if !take(record.partition(), key, record.payload()) {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(number))) => open.retain(|one| *one != number),
                Some(Err(error)) if error.rdkafka_error_code().is_some_and(lasts) => {
                    return Err(failed(error));
                }
                Some(Err(_)) | None => {}
            }
        }
        self.committed.unassign().map_err(failed)?;
        Ok(open.is_empty())
    }

    /// How many members the group has.
    ///
    /// # Errors
    /// When the broker refuses for good.
    pub fn members(&self) -> Result<Option<usize>> {
        self.serve();
        match self.committed.fetch_group_list(Some(&self.group), SLICE) {
            Ok(list) => Ok(Some(list.groups().iter().map(|one| one.members().len()).sum())),
            Err(error) => self.later(format!("group {}", self.group), &error),
        }
    }

    /// The numbers of a topic's partitions; none when there is no such topic.
    ///
    /// # Errors
    /// When the broker refuses for good.
    pub fn partitions(&self, topic: &str) -> Result<Option<Vec<Partition>>> {
        let width = self.width_of(topic)?;
        let numbers = |width| 0..i32::try_from(width).unwrap_or(i32::MAX);
        let part = |number| Partition { topic: topic.to_owned(), number };
        Ok(width.map(|width| numbers(width).map(part).collect()))
    }

    /// Stores these offsets of the group, which has no members, without any text.
    ///
    /// # Errors
    /// When the group's coordinator does not take them, as it does not while there are members.
    pub fn store(&self, offsets: &[(Partition, i64)]) -> Result<()> {
        let failed = |error: KafkaError| {
            let reason = match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::UnknownMemberId) => MEMBERS.to_owned(),
                _ => text(&error),
            };
            Error::world(format!("group {}", self.group), reason)
        };
        if offsets.is_empty() {
            return Ok(());
        }
        let list = offsets.iter().map(|(one, offset)| (one, Offset::Offset(*offset)));
        let list = cluster::list(list)?;
        self.committed.commit(&list, CommitMode::Sync).map_err(failed)
    }

    /// Deletes the changelog.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn delete(&self) -> Result<()> {
        let client: AdminClient<DefaultClientContext> =
            self.config.create().map_err(|error| config::refusal(&error))?;
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let deleted = block_on(client.delete_topics(&[&self.changelog], &options));
        let code = match deleted {
            Ok(results) => results.into_iter().find_map(|one| one.err().map(|(_, code)| code)),
            Err(KafkaError::AdminOp(code)) => Some(code),
            Err(error) => return Err(Error::world(&self.changelog, error)),
        };
        match code {
            None => Ok(()),
            Some(code) => {
                let reason = format!("cannot be deleted: {}", reason(code));
                Err(Error::world(&self.changelog, reason))
            }
        }
    }

    fn parts(&self, numbers: &[i32]) -> Vec<Partition> {
        let part = |&number: &i32| Partition { topic: self.changelog.clone(), number };
        numbers.iter().map(part).collect()
    }

    /// What the broker says of these places of `partitions`; none where nothing is.
    fn offsets(
        &self,
        client: &BaseConsumer<Context>,
        partitions: &[Partition],
        place: impl Fn(&Partition) -> Offset,
    ) -> Result<Option<Vec<Option<i64>>>> {
        if partitions.is_empty() {
            return Ok(Some(Vec::new()));
        }
        self.serve();
        let list = cluster::list(partitions.iter().map(|one| (one, place(one))))?;
        let list = match client.offsets_for_times(list, SLICE) {
            Ok(list) => list,
            Err(error) => return self.later(&partitions[0], &error),
        };
        let mut offsets = Vec::new();
        for one in partitions {
            let Some(found) = list.find_partition(&one.topic, one.number) else { return Ok(None) };
            match (found.error(), found.offset()) {
                (Ok(()), Offset::Offset(offset)) => offsets.push(Some(offset)),
                (Ok(()), _) => offsets.push(None),
                (Err(error), _) => return self.later(one, &error),
            }
        }
        Ok(Some(offsets))
    }

    /// Nothing for now, unless `error` does not go away by waiting.
    fn later<T>(&self, thing: impl std::fmt::Display, error: &KafkaError) -> Result<Option<T>> {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            // A topic that was just made is not known to every broker yet.
            Some(code)
                if lasts(code)
                    && !matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition) =>
            {
                Err(Error::world(thing, reason(code)))
            }
            _ => {
                self.serve();
                Ok(None)
            }
        }
    }

    /// Serves the callbacks of the clients while nothing is read.
    fn serve(&self) {
        for client in [&self.committed, &self.written] {
            // Nothing is assigned: there are no records, and failures come with the answers.
            drop(client.poll(Duration::ZERO));
        }
    }
}

/// What the group of `client` has stored of `partitions`, `None` when it does not say so within
/// `time`, as it does not while a transaction is about to change it. A client that sees what is
/// not committed would be told the older offset at once.
///
/// # Errors
/// When it refuses for good.
pub(crate) fn stored<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    partitions: &[Partition],
    time: Duration,
) -> Result<Option<Vec<Stored>>, RDKafkaErrorCode> {
    if partitions.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let lasting = |error: KafkaError| error.rdkafka_error_code().filter(|&code| lasts(code));
    let Ok(list) = cluster::list(partitions.iter().map(|one| (one, Offset::Invalid))) else {
        return Ok(None);
    };
    let list = match client.committed_offsets(list, time) {
        Ok(list) => list,
        Err(error) => return lasting(error).map_or(Ok(None), Err),
    };
    let mut all = Vec::new();
    for one in partitions {
        let Some(found) = list.find_partition(&one.topic, one.number) else { return Ok(None) };
        if let Err(error) = found.error() {
            return lasting(error).map_or(Ok(None), Err);
        }
        let offset = match found.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        all.push(Stored { offset, metadata: found.metadata().to_owned() });
    }
    Ok(Some(all))
}
