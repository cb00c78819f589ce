//! The options of Kafka's console producer, in both of their spellings.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use pipe::exit::{Error, Result, say};
use topic::config::file_properties;
use topic::flags::{Broker, Older, both_spellings};
use topic::properties;

use crate::reader::Reader;

/// The class of Kafka's own reader, by its names so far.
const LINE_READERS: [&str; 3] = [
    "org.apache.kafka.tools.LineMessageReader",
    "kafka.tools.LineMessageReader",
    "kafka.tools.ConsoleProducer$LineMessageReader",
];

/// Kilobytes for bytes.
const KBYTES: u64 = 1024;

/// The options.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "As kafka-console-producer")]
pub struct Console {
    /// Waits for the acknowledgement of each record before it sends the next; one that fails ends
    /// the run
    #[arg(long)]
    pub sync: bool,
    /// Compression of batches, gzip when none is said
    #[arg(long, value_name = "CODEC", num_args = 0..=1, default_missing_value = "gzip",
        conflicts_with = "compression",
        value_parser = PossibleValuesParser::new(["none", "gzip", "snappy", "lz4", "zstd"]))]
    compression_codec: Option<String>,
    /// Bytes of a batch (batch.size)
    #[arg(long, value_name = "BYTES")]
    batch_size: Option<u32>,
    /// As --batch-size, over which it wins
    #[arg(long, value_name = "BYTES")]
    max_partition_memory_bytes: Option<u32>,
    /// How often a record is tried again (retries)
    #[arg(long, value_name = "N")]
    message_send_max_retries: Option<u32>,
    /// How long it is waited before that (retry.backoff.ms)
    #[arg(long, value_name = "MS")]
    retry_backoff_ms: Option<u32>,
    /// How long a record waits for others in its batch (linger.ms)
    #[arg(long, value_name = "MS")]
    timeout: Option<u32>,
    /// How many replicas acknowledge: 0, 1, all or -1 (acks)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    request_required_acks: Option<String>,
    /// How long a broker may wait for its replicas (request.timeout.ms)
    #[arg(long, value_name = "MS")]
    request_timeout_ms: Option<u32>,
    /// Age at which what is known of the cluster is asked anew (metadata.max.age.ms)
    #[arg(long, value_name = "MS")]
    metadata_expiry_ms: Option<u32>,
    /// How long to wait for the broker to tell of the topic [default: 5000]
    #[arg(long, value_name = "MS")]
    max_block_ms: Option<u64>,
    /// Bytes of records that may wait for their acknowledgement (buffer.memory)
    #[arg(long, value_name = "BYTES")]
    max_memory_bytes: Option<u64>,
    /// Bytes of the sockets' send buffers (send.buffer.bytes)
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    socket_buffer_size: Option<i64>,
    #[arg(long, value_name = "CLASS")]
    #[arg(help = "Class that takes lines apart: Kafka's LineMessageReader is the one there is")]
    line_reader: Option<String>,
    /// Takes lines apart: parse.key, key.separator, parse.headers, headers.delimiter,
    /// headers.separator (a regular expression), headers.key.separator, ignore.error, null.marker
    /// and topic, with Java's meanings
    #[arg(long, value_name = "KEY=VALUE",
        conflicts_with_all = ["key_separator", "key_field", "header_field", "timestamp_field",
            "key"])]
    reader_property: Vec<String>,
    /// As --reader-property
    #[arg(long, value_name = "KEY=VALUE",
        conflicts_with_all = ["key_separator", "key_field", "header_field", "timestamp_field",
            "key"])]
    property: Vec<String>,
    /// The same properties from a file
    #[arg(long, value_name = "FILE",
        conflicts_with_all = ["key_separator", "key_field", "header_field", "timestamp_field",
            "key"])]
    reader_config: Option<PathBuf>,
    /// As --command-property
    #[arg(long, value_name = "KEY=VALUE")]
    producer_property: Vec<String>,
    /// As --command-config
    #[arg(long = "producer.config", value_name = "FILE")]
    producer_config: Option<PathBuf>,
}

impl Console {
    /// The properties that the producer has when it is called by the other tool's name.
    pub const DEFAULTS: [(&'static str, &'static str); 8] = [
        ("client.id", "console-producer"),
        ("linger.ms", "1000"),
        ("request.timeout.ms", "1500"),
        ("retries", "3"),
        ("retry.backoff.ms", "100"),
        ("batch.size", "16384"),
        ("queue.buffering.max.kbytes", "32768"),
        ("socket.send.buffer.bytes", "102400"),
    ];

    /// The `broker` with all that these options say of its client.
    ///
    /// # Errors
    /// When an option stands in both of its spellings, or a class cannot be had.
    pub fn broker(&self, broker: &Broker) -> Result<Broker> {
        let mut broker = broker.clone().with_older(Older {
            config_option: "producer.config",
            config: self.producer_config.as_deref(),
            property_option: "producer-property",
            properties: &self.producer_property,
        })?;
        let mut give = |option, key, value: Option<String>| {
            if let Some(value) = value {
                broker.give(option, key, value);
            }
        };
        let text = |number: Option<u32>| number.map(|number| number.to_string());
        // A batch of no bytes is one of a single record.
        let batch = |bytes: Option<u32>| text(bytes.map(|bytes| bytes.max(1)));
        give("--compression-codec", "compression.codec", self.compression_codec.clone());
        give("--batch-size", "batch.size", batch(self.batch_size));
        let partition = batch(self.max_partition_memory_bytes);
        give("--max-partition-memory-bytes", "batch.size", partition);
        give("--message-send-max-retries", "retries", text(self.message_send_max_retries));
        let backoff = text(self.retry_backoff_ms.map(|ms| ms.max(1)));
        give("--retry-backoff-ms", "retry.backoff.ms", backoff);
        give("--timeout", "linger.ms", text(self.timeout));
        give("--request-required-acks", "acks", self.request_required_acks.clone());
        give("--request-timeout-ms", "request.timeout.ms", text(self.request_timeout_ms));
        give("--metadata-expiry-ms", "metadata.max.age.ms", text(self.metadata_expiry_ms));
        let kbytes = self.max_memory_bytes.map(|bytes| bytes.div_ceil(KBYTES).max(1).to_string());
        give("--max-memory-bytes", "queue.buffering.max.kbytes", kbytes);
        let buffer = self.socket_buffer_size.map(|bytes| bytes.max(0).to_string());
        give("--socket-buffer-size", "socket.send.buffer.bytes", buffer);
        Ok(broker)
    }

    /// How long to wait for the broker to tell of the topic.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        self.max_block_ms.map(Duration::from_millis)
    }

    /// The reader that these options ask for, when they do.
    ///
    /// # Errors
    /// When there is no such class, its properties cannot be read, or do not go together.
    pub fn reader(&self) -> Result<Option<Reader>> {
        if let Some(class) = &self.line_reader
            && !LINE_READERS.contains(&class.as_str())
        {
            let reason = format!("a Java class cannot be used here, but {}", LINE_READERS[0]);
            return Err(Error::caller(format!("--line-reader {class}"), reason));
        }
        let (option, arguments) = match (&self.reader_property, &self.property) {
            (newer, older) if !newer.is_empty() && !older.is_empty() => {
                return Err(both_spellings("property", "reader-property"));
            }
            (newer, older) if newer.is_empty() => ("--property", older),
            (newer, _) => ("--reader-property", newer),
        };
        let mut all = match &self.reader_config {
            Some(file) => file_properties(file)?,
            None => Vec::new(),
        };
        all.extend(arguments.iter().map(|text| properties::argument(text)));
        if all.is_empty() {
            return Ok(None);
        }
        for (key, _) in all.iter().filter(|(key, _)| !Reader::PROPERTIES.contains(&key.as_str())) {
            say(format!("{option} {key}: is not used: there is no such property"));
        }
        Reader::new(&all).map(Some).map_err(|reason| Error::caller(option, reason))
    }
}
