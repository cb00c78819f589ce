//! The records and the events of Kafka's `VerifiableProducer`.

use serde::Serialize;

/// The records: whole numbers from 0, perhaps with a prefix, and keys that go round.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// What stands before each value, with a dot.
    pub prefix: Option<i32>,
    /// How many keys there are; none when there are no keys.
    pub keys: Option<u64>,
}

impl Numbers {
    /// Appends the value of record `number`.
    pub fn value(self, number: u64, out: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        if let Some(prefix) = self.prefix {
            out.extend_from_slice(digits.format(prefix).as_bytes());
            out.push(b'.');
        }
        out.extend_from_slice(digits.format(number).as_bytes());
    }

    /// Appends the key of record `number`; false when it has none.
    pub fn key(self, number: u64, out: &mut Vec<u8>) -> bool {
        let Some(keys) = self.keys else { return false };
        // Java's counter never meets a zero, and goes on for ever.
        let key = number.checked_rem(keys).unwrap_or(number);
        out.extend_from_slice(itoa::Buffer::new().format(key).as_bytes());
        true
    }
}

/// An event, which is a line of JSON.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Event<'a> {
    /// The producer is there.
    StartupComplete,
    /// A record was acknowledged.
    ProducerSendSuccess {
        /// Its key.
        key: Option<&'a str>,
        /// Its value.
        value: &'a str,
        /// Its topic.
        topic: &'a str,
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
    },
    /// A record failed.
    ProducerSendError {
        /// Its key.
        key: Option<&'a str>,
        /// Its value.
        value: &'a str,
        /// Its topic.
        topic: &'a str,
        /// What Java would have thrown.
        exception: &'a str,
        /// Why.
        message: &'a str,
    },
    /// All is flushed.
    ShutdownComplete,
    /// What was done.
    ToolData {
        /// Records that were sent.
        sent: u64,
        /// Records that were acknowledged.
        acked: u64,
        /// The rate that was asked for, -1 for none.
        target_throughput: i64,
        /// Acknowledged records a second.
        avg_throughput: f64,
    },
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    timestamp: i64,
    #[serde(flatten)]
    event: Event<'a>,
}

impl Event<'_> {
    /// Appends the event of the time `timestamp`, in milliseconds since the epoch, as a line.
    pub fn write(self, timestamp: i64, out: &mut Vec<u8>) {
        // No map with odd keys and no writer that fails: this cannot.
        out.append(&mut serde_json::to_vec(&Line { timestamp, event: self }).unwrap_or_default());
        out.push(b'\n');
    }
}

/// The class of the exception that Java's producer has for a failure that librdkafka calls so.
#[must_use]
pub fn exception(reason: &str) -> &'static str {
    let known = [
        ("timed out", "class org.apache.kafka.common.errors.TimeoutException"),
        ("timeout", "class org.apache.kafka.common.errors.TimeoutException"),
        ("size too large", "class org.apache.kafka.common.errors.RecordTooLargeException"),
        ("message.max.bytes", "class org.apache.kafka.common.errors.RecordTooLargeException"),
        ("in-sync replicas", "class org.apache.kafka.common.errors.NotEnoughReplicasException"),
        ("authorization", "class org.apache.kafka.common.errors.TopicAuthorizationException"),
        ("Unknown topic", "class org.apache.kafka.common.errors.UnknownTopicOrPartitionException"),
        ("Not leader", "class org.apache.kafka.common.errors.NotLeaderOrFollowerException"),
        ("transport failure", "class org.apache.kafka.common.errors.NetworkException"),
    ];
    let found = known.iter().find(|(text, _)| reason.contains(text));
    found.map_or("class org.apache.kafka.common.KafkaException", |(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_and_keys_go_round() {
        let text = |numbers: Numbers, number| {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            let keyed = numbers.key(number, &mut key);
            numbers.value(number, &mut value);
            let text = |bytes| String::from_utf8(bytes).expect("digits");
            (keyed.then(|| text(key)), text(value))
        };
        let plain = Numbers { prefix: None, keys: None };
        assert_eq!(text(plain, 7), (None, "7".to_owned()));
        let both = Numbers { prefix: Some(-2), keys: Some(3) };
        assert_eq!(text(both, 7), (Some("1".to_owned()), "-2.7".to_owned()));
    }

    #[test]
    fn events_have_javas_names() {
        let line = |event: Event<'_>| {
            let mut out = Vec::new();
            event.write(17, &mut out);
            String::from_utf8(out).expect("JSON")
        };
        assert_eq!(
            line(Event::StartupComplete),
            "{\"timestamp\":17,\"name\":\"startup_complete\"}\n"
        );
        let success = Event::ProducerSendSuccess {
            key: None,
            value: "0",
            topic: "t",
            partition: 0,
            offset: 13,
        };
        assert_eq!(
            line(success),
            "{\"timestamp\":17,\"name\":\"producer_send_success\",\"key\":null,\"value\":\"0\",\
             \"topic\":\"t\",\"partition\":0,\"offset\":13}\n"
        );
        let data =
            Event::ToolData { sent: 10, acked: 9, target_throughput: -1, avg_throughput: 32.5 };
        assert_eq!(
            line(data),
            "{\"timestamp\":17,\"name\":\"tool_data\",\"sent\":10,\"acked\":9,\
             \"target_throughput\":-1,\"avg_throughput\":32.5}\n"
        );
    }

    #[test]
    fn failures_have_javas_classes() {
        assert!(exception("Message timed out").ends_with(".TimeoutException"));
        assert!(exception("something else").ends_with(".KafkaException"));
    }
}
