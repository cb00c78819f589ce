//! Batches of records as they lie in the client's memory.

use rdkafka::error::RDKafkaErrorCode;

use crate::context::lasts;
use crate::native::{Message, Messages};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// The topic's name.
    pub topic: String,
    /// The partition's number in the topic.
    pub number: i32,
}

impl std::fmt::Display for Partition {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} [{}]", self.topic, self.number)
    }
}

/// Records and events of partitions in the order in which they came; of one partition, that is
/// the order of the log.
#[derive(Debug)]
pub struct Batch<'a> {
    messages: Messages<'a>,
    partitions: &'a [Partition],
}

/// What a batch holds.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A record.
    Record(Record<'a>),
    /// The partition is read up to this offset, and nothing was behind it.
    End {
        /// The partition's index.
        at: usize,
        /// The offset that the next record will have at least.
        offset: i64,
    },
    /// The offset to be read next is not there: it was removed, or never written.
    Gone {
        /// The partition's index.
        at: usize,
        /// What librdkafka says about it.
        text: &'a [u8],
    },
    /// The partition cannot be read.
    Failed {
        /// The partition's index.
        at: usize,
        /// What happened.
        code: RDKafkaErrorCode,
        /// What librdkafka says about it.
        text: &'a [u8],
    },
}

/// A record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    at: usize,
    message: Message<'a>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(messages: Messages<'a>, partitions: &'a [Partition]) -> Batch<'a> {
        Batch { messages, partitions }
    }

    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.len() == 0
    }

    /// The partition with index `at`.
    #[inline]
    #[must_use]
    pub fn partition(&self, at: usize) -> &'a Partition {
        &self.partitions[at]
    }

    /// The items in order.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let mut last = (0, -1, 0);
        self.messages.iter().filter_map(move |message| {
            let (topic, partition, mut at) = last;
            if (message.topic_id(), message.partition()) != (topic, partition) {
                at = self.index(message)?;
                last = (message.topic_id(), message.partition(), at);
            }
            Some(item(at, message))
        })
    }

    fn index(&self, message: Message<'_>) -> Option<usize> {
        let (topic, number) = (message.topic(), message.partition());
        self.partitions.iter().position(|one| one.number == number && one.topic == topic)
    }
}

/// Whether a partition that could not be read because of `code` cannot be read again either: who
/// reads may not, or the records are damaged.
#[must_use]
pub fn stays_unreadable(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    let damaged = matches!(
        code,
        Code::BadMessage
            | Code::BadCompression
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::MessageSizeTooLarge
            | Code::NotImplemented
            | Code::UnsupportedCompressionType
    );
    damaged || lasts(code)
}

#[inline]
fn item(at: usize, message: Message<'_>) -> Item<'_> {
    let text = || message.value().unwrap_or_default();
    match message.error() {
        None => Item::Record(Record { at, message }),
        Some(RDKafkaErrorCode::PartitionEOF) => Item::End { at, offset: message.offset() },
        Some(RDKafkaErrorCode::AutoOffsetReset) => Item::Gone { at, text: text() },
        Some(code) => Item::Failed { at, code, text: text() },
    }
}

impl<'a> Record<'a> {
    /// The index of its partition in the reader's list.
    #[inline]
    #[must_use]
    pub fn at(self) -> usize {
        self.at
    }

    /// Its offset in the partition.
    #[inline]
    #[must_use]
    pub fn offset(self) -> i64 {
        self.message.offset()
    }

    /// Its key, `None` for null.
    #[inline]
    #[must_use]
    pub fn key(self) -> Option<&'a [u8]> {
        self.message.key()
    }

    /// Its value, `None` for null.
    #[inline]
    #[must_use]
    pub fn value(self) -> Option<&'a [u8]> {
        self.message.value()
    }

    /// Milliseconds since the epoch, and whether the broker set them when it appended the record
    /// (else the producer did); `None` in records of old brokers.
    #[must_use]
    pub fn timestamp(self) -> Option<(i64, bool)> {
        self.message.timestamp()
    }

    /// The epoch of the partition's leader when it was appended, where the broker said it.
    #[must_use]
    pub fn leader_epoch(self) -> Option<i32> {
        self.message.leader_epoch()
    }

    /// Its headers in order: names, and values that may be null.
    pub fn headers(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        self.message.headers()
    }
}
