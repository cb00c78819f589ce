//! The calls of a producer's transactions.

use std::ffi::{CString, c_int};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::ClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::producer::{Producer, millis, text};
use crate::producer::transaction::{Fault, Member};

impl<C: ClientContext> Producer<C> {
    /// Gets the producer's id, and ends what an earlier one with the same name has left open.
    pub(crate) fn init_transactions(&self, wait: Duration) -> Result<(), Fault> {
        // SAFETY: the client is live.
        judge(unsafe { sys::rd_kafka_init_transactions(self.raw(), millis(wait)) })
    }

    /// Begins a transaction, of which the broker hears with the first record.
    pub(crate) fn begin_transaction(&self) -> Result<(), Fault> {
        // SAFETY: the client is live.
        judge(unsafe { sys::rd_kafka_begin_transaction(self.raw()) })
    }

    /// Adds offsets to the transaction, in the name of a group's member. A list without one
    /// offset of 0 or more changes nothing.
    pub(crate) fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        member: &Metadata,
        wait: Duration,
    ) -> Result<(), Fault> {
        // SAFETY: client, list and metadata are live; the call copies both.
        judge(unsafe {
            let (offsets, member) = (offsets.ptr(), member.0.as_ptr());
            sys::rd_kafka_send_offsets_to_transaction(self.raw(), offsets, member, millis(wait))
        })
    }

    /// Commits the transaction. Every delivery report must have been served.
    pub(crate) fn commit_transaction(&self, wait: Duration) -> Result<(), Fault> {
        // SAFETY: the client is live.
        judge(unsafe { sys::rd_kafka_commit_transaction(self.raw(), millis(wait)) })
    }

    /// Aborts the transaction. Every delivery report must have been served.
    pub(crate) fn abort_transaction(&self, wait: Duration) -> Result<(), Fault> {
        // SAFETY: the client is live.
        judge(unsafe { sys::rd_kafka_abort_transaction(self.raw(), millis(wait)) })
    }
}

/// A member of a group, as librdkafka takes it.
pub(crate) struct Metadata(NonNull<sys::rd_kafka_consumer_group_metadata_t>);

impl Metadata {
    /// The metadata of `member`; none when a name in it is no C string.
    pub(crate) fn new(member: &Member) -> Option<Metadata> {
        let name = |text: &str| CString::new(text).ok();
        let (group, id) = (name(&member.group)?, name(&member.id)?);
        let instance = match &member.instance {
            Some(instance) => Some(name(instance)?),
            None => None,
        };
        let instance = instance.as_ref().map_or(ptr::null(), |instance| instance.as_ptr());
        // SAFETY: the names are live C strings, the instance one or null; all are copied.
        let metadata = unsafe {
            sys::rd_kafka_consumer_group_metadata_new_with_genid(
                group.as_ptr(),
                member.generation,
                id.as_ptr(),
                instance,
            )
        };
        NonNull::new(metadata).map(Metadata)
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        // SAFETY: it is given back once.
        unsafe { sys::rd_kafka_consumer_group_metadata_destroy(self.0.as_ptr()) }
    }
}

/// Takes what a call returned, which is null when it went well.
fn judge(error: *mut sys::rd_kafka_error_t) -> Result<(), Fault> {
    if error.is_null() {
        return Ok(());
    }
    let is = |flag: c_int| flag != 0;
    // SAFETY: the error is live until it is given back, once, and its text is copied before.
    let fault = unsafe {
        let fault = Fault {
            code: RDKafkaErrorCode::from(sys::rd_kafka_error_code(error)),
            text: text(sys::rd_kafka_error_string(error)).into_owned(),
            fatal: is(sys::rd_kafka_error_is_fatal(error)),
            retriable: is(sys::rd_kafka_error_is_retriable(error)),
            must_abort: is(sys::rd_kafka_error_txn_requires_abort(error)),
        };
        sys::rd_kafka_error_destroy(error);
        fault
    };
    Err(fault)
}
