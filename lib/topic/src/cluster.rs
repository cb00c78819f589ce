//! What the broker says of its topics.

use std::thread;
use std::time::{Duration, Instant};

use pipe::exit::{Error, Result};
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataPartition};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::config::reason;
use crate::record::Partition;
use crate::trouble::Troubles;

/// How long a broker may take to answer when a program starts.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long one question waits, before the client's troubles are looked at.
const SLICE: Duration = Duration::from_millis(500);

/// How long to wait before a question that got a passing error is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// Why a topic's partitions are not known.
#[derive(Debug)]
pub(crate) enum Unlisted {
    /// It will be so when it is asked again.
    Lasts(Error),
    /// There is none, or a broker has not heard yet of one that was just made.
    Unknown(Error),
    /// The broker or the partitions were not there in time.
    Passes(Error),
}

/// The numbers of a topic's partitions, in order. `poll` serves the client's callbacks.
///
/// # Errors
/// When there is no such topic, we may not see it, or no broker answers within `patience`; the
/// message has the last trouble that `troubles` kept. What lasts is told from what may pass.
pub(crate) fn list_within<C: ClientContext>(
    patience: Duration,
    client: &Client<C>,
    brokers: &str,
    topic: &str,
    troubles: &Troubles,
    poll: impl Fn(Duration),
) -> Result<Vec<i32>, Unlisted> {
    let deadline = Instant::now() + patience;
    let mut last = None;
    // Even the least patience asks once.
    while last.is_none() || Instant::now() < deadline {
        match client.fetch_metadata(Some(topic), SLICE).map(|metadata| listed(&metadata, topic)) {
            Ok(Ok(partitions)) => return Ok(partitions),
            Ok(Err(code)) if !passes(code) => {
                let error = Error::world(topic, reason(code));
                return Err(match code {
                    RDKafkaErrorCode::UnknownTopicOrPartition => Unlisted::Unknown(error),
                    _ => Unlisted::Lasts(error),
                });
            }
            Ok(Err(code)) => {
                last = Some(Error::world(topic, reason(code)));
                poll(AGAIN);
            }
            Err(error) => {
                poll(Duration::ZERO);
                if troubles.is_hopeless() {
                    return Err(Unlisted::Lasts(unanswered(brokers, troubles, &error)));
                }
                last = Some(unanswered(brokers, troubles, &error));
            }
        }
    }
    Err(Unlisted::Passes(last.unwrap_or_else(|| Error::world(brokers, "no answer"))))
}

/// The partitions of `topic`, or what is wrong with it.
fn listed(metadata: &Metadata, topic: &str) -> Result<Vec<i32>, RDKafkaErrorCode> {
    let found = metadata.topics().iter().find(|one| one.name() == topic);
    let found = found.ok_or(RDKafkaErrorCode::UnknownTopicOrPartition)?;
    if let Some(error) = found.error() {
        return Err(error.into());
    }
    let mut numbers: Vec<i32> = found.partitions().iter().map(MetadataPartition::id).collect();
    numbers.sort_unstable();
    if numbers.is_empty() { Err(RDKafkaErrorCode::LeaderNotAvailable) } else { Ok(numbers) }
}

/// Whether an error goes away while a topic is being made or moved.
pub(crate) fn passes(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::RequestTimedOut
    )
}

pub(crate) fn unanswered(brokers: &str, troubles: &Troubles, error: &KafkaError) -> Error {
    match (troubles.last(), error.rdkafka_error_code()) {
        (Some((thing, reason)), _) => Error::world(thing, reason),
        // Nothing went wrong, and nothing came.
        (None, Some(RDKafkaErrorCode::BrokerTransportFailure)) => {
            Error::world(brokers, "no answer")
        }
        (None, Some(code)) => Error::world(brokers, reason(code)),
        (None, None) => Error::world(brokers, error),
    }
}

/// The offset at one side of each of `partitions`: that of the first record
/// ([`Offset::Beginning`]), or that behind the last one ([`Offset::End`]; with `read_committed`,
/// the last stable offset).
///
/// # Errors
/// When the broker does not answer, or one of the partitions has no leader.
pub fn offsets<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    partitions: &[Partition],
    side: Offset,
) -> Result<Vec<i64>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match offsets_now(client, partitions, side)? {
            Ok(offsets) => return Ok(offsets),
            Err((_, code)) if passes_soon(code) && Instant::now() < deadline => {
                thread::park_timeout(AGAIN);
            }
            Err((one, code)) => return Err(Error::world(one, reason(code))),
        }
    }
}

/// Whether an error of a partition that there is goes away: librdkafka does not know all of them
/// while it asks for its topics again.
fn passes_soon(code: RDKafkaErrorCode) -> bool {
    passes(code) || code == RDKafkaErrorCode::UnknownPartition
}

/// Asks once for [`offsets`], or tells which partition has none, and why.
fn offsets_now<'p, C: ConsumerContext>(
    client: &BaseConsumer<C>,
    partitions: &'p [Partition],
    side: Offset,
) -> Result<Result<Vec<i64>, (&'p Partition, RDKafkaErrorCode)>> {
    if partitions.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let list = list(partitions.iter().map(|one| (one, side)))?;
    let list = client.offsets_for_times(list, PATIENCE);
    let list = list.map_err(|error| Error::world(&partitions[0], text(&error)))?;
    let mut offsets = Vec::new();
    for one in partitions {
        let found = list.find_partition(&one.topic, one.number);
        let found = found.ok_or_else(|| Error::world(one, "the broker says no offset"))?;
        match (found.error(), found.offset()) {
            (Ok(()), Offset::Offset(offset)) => offsets.push(offset),
            (Err(KafkaError::OffsetFetch(code)), _) => return Ok(Err((one, code))),
            (Err(error), _) => return Err(Error::world(one, text(&error))),
            (Ok(()), other) => return Err(Error::world(one, format!("has no offset ({other:?})"))),
        }
    }
    Ok(Ok(offsets))
}

/// What an error says, by its code where it has one.
#[must_use]
pub fn text(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), reason)
}

/// librdkafka's form of partitions with offsets.
pub(crate) fn list<'a>(
    partitions: impl Iterator<Item = (&'a Partition, Offset)>,
) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (one, offset) in partitions {
        list.add_partition_offset(&one.topic, one.number, offset)
            .map_err(|error| Error::world(one, error))?;
    }
    Ok(list)
}
