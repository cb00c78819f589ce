//! The bare loop: librdkafka with the settings of kprod and kcons, by the safe calls of rdkafka,
//! and nothing around it. Lines are produced from memory, records are consumed to nowhere; there
//! is no option, no form, no pipe.
//!
//!     bench-rdkafka produce TOPIC < LINES
//!     bench-rdkafka consume TOPIC
//!
//! The broker is that of `KPIPE_BROKERS`. A topic is consumed up to the end that it has at first.

use std::env;
use std::io::{self, Read as _};
use std::time::Duration;

use memchr::memchr_iter;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// How long a broker may take for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Records between two looks at what became of those before: what is not looked at fills the queue.
const POLLED_EVERY: usize = 1000;

/// Settings of kprod.
const PRODUCER: [(&str, &str); 5] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    ("linger.ms", "5"),
    ("queue.buffering.max.messages", "50000"),
    ("queue.buffering.max.kbytes", "65536"),
];

/// Settings of kcons for one partition.
const CONSUMER: [(&str, &str); 8] = [
    ("group.id", "bench-rdkafka"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("fetch.queue.backoff.ms", "1"),
    ("fetch.message.max.bytes", "1048576"),
    ("fetch.max.bytes", "8388608"),
    ("queued.min.messages", "100000"),
    ("queued.max.messages.kbytes", "32768"),
];

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["produce", topic] => {
            let mut lines = Vec::new();
            io::stdin().read_to_end(&mut lines)?;
            produce(topic, &lines).map_err(io::Error::other)
        }
        ["consume", topic] => consume(topic).map_err(io::Error::other),
        _ => Err(io::Error::other("usage: bench-rdkafka produce|consume TOPIC")),
    }
}

fn config(settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", env::var("KPIPE_BROKERS").unwrap_or_default());
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

fn produce(topic: &str, lines: &[u8]) -> Result<(), KafkaError> {
    let producer: BaseProducer = config(&PRODUCER).create()?;
    let mut start = 0;
    for (number, end) in memchr_iter(b'\n', lines).enumerate() {
        let mut record = BaseRecord::<(), [u8]>::to(topic).payload(&lines[start..end]);
        start = end + 1;
        while let Err((error, refused)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error);
            }
            producer.poll(Duration::from_millis(1));
            record = refused;
        }
        if number % POLLED_EVERY == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(PATIENCE)
}

fn consume(topic: &str) -> Result<(), KafkaError> {
    let consumer: BaseConsumer = config(&CONSUMER).create()?;
    let (mut next, end) = consumer.fetch_watermarks(topic, 0, PATIENCE)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(next))?;
    consumer.assign(&list)?;
    let mut bytes = 0;
    while next < end {
        let Some(record) = consumer.poll(PATIENCE) else {
            return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
        };
        let record = record?;
        // Looked at, so that it has been in the cache as it is for who writes it.
        bytes += record.payload().map_or(0, <[u8]>::len);
        next = record.offset() + 1;
    }
    assert!(bytes > 0 || end == 0, "records that have bytes");
    Ok(())
}
