//! Transactions: records and the offsets that they came from are there together, or neither.
//!
//! What a group's member has read is committed in its name, so that the broker refuses who is no
//! longer the member. Whatever fails may be tried again by a new run, except what lasts.

use std::time::{Duration, Instant};

use pipe::exit::{Code, Error, Result};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Producer, Reports};
use crate::cluster::PATIENCE;
use crate::config::reason;
use crate::native::producer::Producer as Native;
use crate::native::transaction::Metadata;
use crate::scout::MOCK;

/// How long it may take until a new producer has its place among the transactions: longer than a
/// broker starts, and than another producer's transaction lives by default.
const OPENING: Duration = Duration::from_secs(30);

/// How long one call waits while a producer opens, before its troubles are looked at: at first
/// not for long, as librdkafka looks for a broker when it is called, and otherwise every 500 ms.
const STEP: Duration = Duration::from_millis(500);
const STEP_MIN: Duration = Duration::from_millis(5);

/// How long to wait before a call that may be repeated is.
const AGAIN: Duration = Duration::from_millis(10);

/// How long offsets or a commit may take besides the transaction's own life.
const GRACE: Duration = Duration::from_secs(5);

/// How long an abort may take; the broker aborts by itself what is left open.
const ABORT: Duration = Duration::from_secs(5);

/// The transactions of a producer.
#[derive(Clone, Debug)]
pub struct Transactions {
    /// Their name: the broker ends those of an earlier producer with the same one.
    pub id: String,
    /// How long one may be open.
    pub timeout: Duration,
}

/// The member of a group that read what is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The group.
    pub group: String,
    /// The group's generation.
    pub generation: i32,
    /// The member.
    pub id: String,
    /// A static member's name.
    pub instance: Option<String>,
}

/// What a transaction commits besides its records.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'a> {
    /// Topics, partitions and the offsets that are to be read next.
    pub offsets: &'a [(&'a str, i32, i64)],
    /// Who has read what is before them.
    pub member: &'a Member,
    /// Text that is kept beside each offset.
    pub note: &'a str,
}

/// Why a transaction was not committed. It is still to be aborted.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The group has gone on without the member, because of this: its next assignment will cover
    /// the same again.
    Stale(String),
    /// Nothing can be done in this run.
    Failed(Error),
}

/// What a call of librdkafka's says of its failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) text: String,
    /// The producer can do nothing more.
    pub(crate) fatal: bool,
    /// The same call may be made again.
    pub(crate) retriable: bool,
    /// The transaction can only be aborted.
    pub(crate) must_abort: bool,
}

impl Producer {
    /// Waits until transactions can begin.
    ///
    /// # Errors
    /// As [`Producer::open`]; when the broker knows no transactions.
    pub(super) fn init_transactions(&mut self) -> Result<()> {
        let deadline = Instant::now() + OPENING;
        let mut step = STEP_MIN;
        while let Err(fault) = self.client.init_transactions(step) {
            self.client.serve(AGAIN.min(step), |_| {});
            step = STEP.min(step * 2);
            let troubles = &self.client.client().context().0;
            let said = troubles.last().map(|(thing, reason)| format!("{thing}: {reason}"));
            if troubles.is_hopeless() {
                return Err(Error::Failed(Code::WORLD, said.unwrap_or(fault.text)));
            }
            if is_unknown_to_broker(fault.code) {
                return Err(Error::world("transactions", reason(fault.code)));
            }
            if !fault.may_be_repeated() {
                return Err(self.failure(&fault));
            }
            if Instant::now() >= deadline {
                let reason = said.unwrap_or(fault.text);
                let reason = format!("not possible within {} s: {reason}", OPENING.as_secs());
                return Err(self.passing("transactions", reason));
            }
        }
        match self.client.client().fetch_cluster_id(PATIENCE) {
            Some(id) if id.starts_with(MOCK) => {
                let reason = "is a mock broker, which has transactions in name only; \
                              --no-transaction goes without, at least once";
                Err(Error::caller(&self.brokers, reason))
            }
            Some(_) => Ok(()),
            None => Err(self.passing(&self.brokers, "no answer")),
        }
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// When the producer can no longer produce.
    pub fn begin_transaction(&mut self) -> Result<()> {
        (self.lost, self.transaction_start) = (0, Instant::now());
        self.client.begin_transaction().map_err(|fault| self.failure(&fault))
    }

    /// Whether the last transaction has been open for so long that the broker has aborted it.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.transaction_start.elapsed() >= self.transaction_timeout
    }

    /// Waits until every record of the transaction is acknowledged, and commits it with the
    /// offsets that it covers, of which there must be one.
    ///
    /// # Errors
    /// When it is not known to be committed.
    pub fn commit(
        &mut self,
        covered: &Covered<'_>,
        reports: &mut impl Reports,
    ) -> Result<(), Refusal> {
        let (offsets, member) = listed(covered).map_err(Refusal::Failed)?;
        self.hasten(reports).map_err(Refusal::Failed)?;
        self.insist(|client, wait| client.send_offsets(&offsets, &member, wait))?;
        if self.lost > 0 {
            let error = self.passing("transactions", format!("{} records were lost", self.lost));
            return Err(Refusal::Failed(error));
        }
        self.insist(Native::commit_transaction)
    }

    /// Aborts the transaction, as far as that is possible: the broker aborts by itself what stays
    /// open. Of its records nothing is told.
    ///
    /// # Errors
    /// When it is not known to be aborted, so that no other can begin.
    pub fn abort(&mut self, reports: &mut impl Reports) -> Result<()> {
        self.client.purge();
        let deadline = Instant::now() + ABORT;
        while self.client.in_flight() > 0 && Instant::now() < deadline {
            self.serve_all(AGAIN, reports);
        }
        self.failed += self.failures.len() as u64;
        self.failures.clear();
        self.trouble = None;
        self.insist_for(ABORT, Native::abort_transaction).map_err(|fault| self.failure(&fault))
    }

    /// Waits until every record is acknowledged or has failed, as short as that can be: what
    /// waits for company is sent at once.
    fn hasten(&mut self, reports: &mut impl Reports) -> Result<()> {
        while self.client.in_flight() > 0 {
            self.client.hurry();
            self.serve(Duration::ZERO, reports)?;
            self.usable()?;
            self.patience_left()?;
        }
        reports.flush()
    }

    /// Makes a call until it is done, as often as it may be repeated.
    fn insist(
        &mut self,
        call: impl Fn(&Native<super::Context>, Duration) -> Result<(), Fault>,
    ) -> Result<(), Refusal> {
        let patience = self.transaction_timeout + GRACE;
        self.insist_for(patience, call).map_err(|fault| match stale(&fault) {
            Some(reason) => Refusal::Stale(reason),
            None => Refusal::Failed(self.failure(&fault)),
        })
    }

    fn insist_for(
        &self,
        patience: Duration,
        call: impl Fn(&Native<super::Context>, Duration) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match call(&self.client, left) {
                Err(fault) if fault.may_be_repeated() && !left.is_zero() => {
                    self.client.serve(AGAIN, |_| {});
                }
                result => return result,
            }
        }
    }

    /// The error that a fault ends the run with.
    fn failure(&self, fault: &Fault) -> Error {
        if ends_writing(fault.code) {
            return Error::world("transactions", reason(fault.code));
        }
        let text = if fault.text.is_empty() { reason(fault.code) } else { fault.text.clone() };
        let text = if fault.fatal { format!("{text} (fatal)") } else { text };
        self.passing("transactions", text)
    }
}

impl Fault {
    /// Whether the same call with the same arguments may do.
    fn may_be_repeated(&self) -> bool {
        self.retriable && !self.fatal && !self.must_abort
    }
}

/// What librdkafka takes of what is covered.
fn listed(covered: &Covered<'_>) -> Result<(TopicPartitionList, Metadata)> {
    let mut list = TopicPartitionList::new();
    for &(topic, partition, offset) in covered.offsets {
        let thing = || format!("{topic} [{partition}]");
        if offset < 0 {
            return Err(Error::world(thing(), format!("{offset} is no offset")));
        }
        let added = list.add_partition_offset(topic, partition, Offset::Offset(offset));
        added.map_err(|error| Error::world(thing(), error))?;
    }
    // librdkafka would commit such a transaction, and leave the offsets out.
    if list.count() == 0 {
        return Err(Error::world("transactions", "one without offsets is not committed"));
    }
    for mut element in list.elements() {
        element.set_metadata(covered.note);
    }
    let member = Metadata::new(covered.member);
    Ok((list, member.ok_or_else(|| Error::world("transactions", "no name of a member"))?))
}

/// Why the member is no longer one, when that is the fault. A static one that was replaced may be
/// so by itself: after a session that ran out it joins as a new member of the same name. When it
/// was another copy, the head of the pipe is told so too, and ends it.
fn stale(fault: &Fault) -> Option<String> {
    use RDKafkaErrorCode as Code;
    let stale = matches!(
        fault.code,
        Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::RebalanceInProgress
            | Code::FencedInstanceId
            | Code::FencedMemberEpoch
            | Code::StaleMemberEpoch
    );
    stale.then(|| reason(fault.code))
}

/// Whether the broker has no transactions. Of one that had them, librdkafka says so too, when it
/// took long to answer on a new connection.
fn is_unknown_to_broker(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion)
}

/// Whether who writes because of it would fail again in another run.
pub(super) fn ends_writing(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::InvalidTransactionTimeout
            | Code::UnsupportedForMessageFormat
            | Code::MessageSizeTooLarge
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::InvalidGroupId
            | Code::PolicyViolation
            | Code::OffsetMetadataTooLarge
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: RDKafkaErrorCode) -> Fault {
        let text = String::new();
        Fault { code, text, fatal: false, retriable: true, must_abort: false }
    }

    #[test]
    fn a_member_that_the_group_has_left_behind_is_stale_and_a_fenced_producer_is_not() {
        use RDKafkaErrorCode as Code;
        let refused = [
            Code::IllegalGeneration,
            Code::UnknownMemberId,
            Code::RebalanceInProgress,
            Code::FencedInstanceId,
            Code::FencedMemberEpoch,
            Code::StaleMemberEpoch,
        ];
        assert_eq!(refused.map(|code| code as i32), [22, 25, 27, 82, 110, 113]);
        for code in refused {
            assert!(stale(&fault(code)).is_some() && !ends_writing(code), "{code}");
        }
        let newer = Code::ProducerFenced;
        assert!(stale(&fault(newer)).is_none() && !ends_writing(newer));
    }

    #[test]
    fn a_broker_that_had_transactions_has_them_again() {
        use RDKafkaErrorCode as Code;
        for code in [Code::UnsupportedFeature, Code::UnsupportedVersion] {
            assert!(is_unknown_to_broker(code) && !ends_writing(code), "{code}");
        }
        assert!(ends_writing(Code::InvalidRecord) && !is_unknown_to_broker(Code::InvalidRecord));
    }

    #[test]
    fn what_may_be_repeated_is_neither_fatal_nor_to_be_aborted() {
        let passing = fault(RDKafkaErrorCode::OperationTimedOut);
        assert!(passing.may_be_repeated());
        assert!(!Fault { fatal: true, ..passing.clone() }.may_be_repeated());
        assert!(!Fault { must_abort: true, ..passing.clone() }.may_be_repeated());
        assert!(!Fault { retriable: false, ..passing }.may_be_repeated());
    }

    #[test]
    fn offsets_are_listed_with_their_note_and_none_is_refused() {
        let id = "m".to_owned();
        let member = Member { group: "g".to_owned(), generation: 1, id, instance: None };
        let covered = |offsets| Covered { offsets, member: &member, note: "kpipe m 1 1" };
        let (list, _) = listed(&covered(&[("t", 0, 7), ("t", 1, 0)])).expect("a list");
        let told: Vec<_> = list
            .elements()
            .iter()
            .map(|one| (one.partition(), one.offset(), one.metadata().to_owned()))
            .collect();
        let offset =
            |partition, offset| (partition, Offset::Offset(offset), "kpipe m 1 1".to_owned());
        assert_eq!(told, [offset(0, 7), offset(1, 0)]);
        assert!(listed(&covered(&[])).is_err());
        assert!(listed(&covered(&[("t", 0, -1001)])).is_err());
    }
}
