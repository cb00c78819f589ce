//! What a consumer's callbacks leave for its reader.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use crate::record::Partition;
use crate::trouble::Troubles;

/// The context of a consumer. Its callbacks run inside the reader's own polling.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) troubles: Troubles,
    /// Since when all brokers have been away, if they have.
    away: Mutex<Option<Instant>>,
    rebalances: Mutex<Vec<Rebalance>>,
    commits: Mutex<Commits>,
    /// Whether the reader has gone, so that the callbacks answer the group themselves.
    closing: AtomicBool,
    /// Whether the group has not heard of us for so long that we joined it again.
    timed_out: AtomicBool,
}

/// What librdkafka calls the end of a session.
const SESSION_TIMED_OUT: &str = "SESSTMOUT";

/// A change of the assignment, not yet answered.
#[derive(Debug)]
pub(crate) enum Rebalance {
    Assigned(Vec<Partition>),
    Revoked(Vec<Partition>),
}

/// Commits that are under way, and how the last one that failed did.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    pub(crate) pending: usize,
    pub(crate) failed: Option<RDKafkaErrorCode>,
}

impl Context {
    /// A context that keeps its troubles until they are released.
    pub(crate) fn held() -> Context {
        Context { troubles: Troubles::held(), ..Context::default() }
    }

    /// Since when all brokers have been away, as far as is known: nobody says when one is back.
    pub(crate) fn away(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.away)
    }

    pub(crate) fn take_rebalances(&self) -> Vec<Rebalance> {
        std::mem::take(&mut *lock(&self.rebalances))
    }

    pub(crate) fn commits(&self) -> MutexGuard<'_, Commits> {
        lock(&self.commits)
    }

    /// Whether a session of ours has timed out. librdkafka has then joined again, as a new member
    /// of the same name, and may hear of the old one, by an answer that was under way, that
    /// another has its name.
    pub(crate) fn has_timed_out(&self) -> bool {
        self.timed_out.load(Ordering::Relaxed)
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if facility == SESSION_TIMED_OUT {
            self.timed_out.store(true, Ordering::Relaxed);
        }
        self.troubles.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, text: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.away().get_or_insert_with(Instant::now);
        }
        // What lasts ends the program, with its one message.
        if !error.rdkafka_error_code().is_some_and(lasts) {
            self.troubles.error(&error, text);
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let assigned = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            if !assigned {
                // A failure here is one of a client that goes away anyway.
                let _ = unassign(consumer, list);
            }
            return;
        }
        let partition = |topic: &str, number| Partition { topic: topic.to_owned(), number };
        let elements = list.elements();
        let list = elements.iter().map(|one| partition(one.topic(), one.partition())).collect();
        let rebalance = if assigned { Rebalance::Assigned(list) } else { Rebalance::Revoked(list) };
        lock(&self.rebalances).push(rebalance);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        let mut commits = self.commits();
        commits.pending = commits.pending.saturating_sub(1);
        // A later success covers what an earlier commit failed to store.
        commits.failed = match result.map_err(|error| error.rdkafka_error_code()) {
            Ok(()) | Err(Some(RDKafkaErrorCode::NoOffset)) => None,
            Err(code) => Some(code.unwrap_or(RDKafkaErrorCode::Unknown)),
        };
    }
}

/// Gives partitions back in the way of the group's protocol.
pub(crate) fn unassign<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        _ => consumer.unassign(),
    }
}

/// Whether an error does not go away by waiting.
pub(crate) fn lasts(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Fatal
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::InvalidTopic
            | Code::InvalidGroupId
            | Code::InvalidSessionTimeout
            | Code::InconsistentGroupProtocol
            | Code::FencedInstanceId
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
