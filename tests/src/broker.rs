//! A mock broker inside the test, whose faults the test decides, and what is in its topics.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::metadata::MetadataPartition;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::wait::LONG;

/// A mock broker, which ends with this value.
pub struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

/// A record as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its time in milliseconds since the epoch.
    pub timestamp: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Broker {
    /// Starts a broker with one topic of `partitions` partitions.
    ///
    /// # Panics
    /// When it cannot start.
    #[must_use]
    pub fn with(topic: &str, partitions: i32) -> Broker {
        let cluster = MockCluster::new(1).expect("a mock broker");
        cluster.create_topic(topic, partitions, 1).expect("a topic");
        Broker { cluster }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// The cluster, for its faults.
    #[must_use]
    pub fn cluster(&self) -> &MockCluster<'static, DefaultProducerContext> {
        &self.cluster
    }

    /// All records of `topic`.
    ///
    /// # Panics
    /// As [`records`].
    #[must_use]
    pub fn records(&self, topic: &str) -> Vec<Record> {
        records(&self.address(), topic)
    }

    /// The values of all records of `topic`, null ones left out.
    ///
    /// # Panics
    /// As [`records`].
    #[must_use]
    pub fn values(&self, topic: &str) -> Vec<Vec<u8>> {
        self.records(topic).into_iter().filter_map(|record| record.value).collect()
    }
}

/// All records of `topic` at `address`, of each partition in order.
///
/// # Panics
/// When they cannot be read within [`LONG`].
#[must_use]
pub fn records(address: &str, topic: &str) -> Vec<Record> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("group.id", "tests");
    config.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    config.set("fetch.wait.max.ms", "10").set("fetch.message.max.bytes", "20000000");
    config.set_log_level(RDKafkaLogLevel::Emerg);
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), LONG).expect("metadata");
    let partitions: Vec<i32> =
        metadata.topics()[0].partitions().iter().map(MetadataPartition::id).collect();
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(topic, *partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
    let deadline = Instant::now() + LONG;
    let (mut records, mut ended) = (Vec::new(), 0);
    while ended < partitions.len() {
        assert!(Instant::now() < deadline, "the records of {topic} cannot be read");
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(message)) => records.push(record(&message)),
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(_)) | None => {}
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().map(|headers| {
        let header = |one: rdkafka::message::Header<'_, &[u8]>| {
            (one.key.to_owned(), one.value.map(<[u8]>::to_vec))
        };
        headers.iter().map(header).collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
    }
}
