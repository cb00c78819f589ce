//! A member of a consumer group inside the test, and the marks that a pipeline's head writes in
//! its name.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::wait::LONG;

/// A member of a group, as long as it is polled every few seconds.
pub struct Member {
    consumer: BaseConsumer,
    /// Its group.
    pub group: String,
    /// The group's generation, which is told by no call: it is counted.
    pub generation: i32,
    /// Its id.
    pub id: String,
    /// Its static name.
    pub instance: Option<String>,
    /// What is assigned.
    pub partitions: Vec<(String, i32)>,
}

/// An offset as marks write it.
pub type At<'a> = (&'a str, i32, i64);

impl Member {
    /// Joins `group` as its only member, which makes its first generation.
    ///
    /// # Panics
    /// When it has no assignment within [`LONG`].
    #[must_use]
    pub fn join(address: &str, group: &str, instance: Option<&str>, topics: &[&str]) -> Member {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address).set("group.id", group);
        config.set("enable.auto.commit", "false").set("session.timeout.ms", "60000");
        config.set("partition.assignment.strategy", "range");
        config.set_log_level(RDKafkaLogLevel::Emerg);
        if let Some(instance) = instance {
            config.set("group.instance.id", instance);
        }
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.subscribe(topics).expect("topics");
        let mut member = Member {
            consumer,
            group: group.to_owned(),
            generation: 1,
            id: String::new(),
            instance: instance.map(ToOwned::to_owned),
            partitions: Vec::new(),
        };
        member.until_assigned();
        member
    }

    /// Polls until there is an assignment, and learns the member's id.
    fn until_assigned(&mut self) {
        let deadline = Instant::now() + LONG;
        while self.partitions.is_empty() {
            assert!(Instant::now() < deadline, "no assignment");
            let _ = self.consumer.poll(Duration::from_millis(50));
            let list = self.consumer.assignment().expect("an assignment");
            let one = |(topic, number): (String, i32)| (topic, number);
            self.partitions = list.to_topic_map().into_keys().map(one).collect();
            self.partitions.sort();
        }
        let _ = self.consumer.pause(&self.consumer.assignment().expect("an assignment"));
        let groups = self.consumer.fetch_group_list(Some(&self.group), LONG).expect("groups");
        groups.groups()[0].members()[0].id().clone_into(&mut self.id);
    }

    /// The offset and the text that the group has stored of a partition.
    ///
    /// # Panics
    /// When the broker does not say it.
    #[must_use]
    pub fn committed(&self, topic: &str, partition: i32) -> (Option<i64>, String) {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let list = self.consumer.committed_offsets(list, LONG).expect("offsets");
        let one = &list.elements()[0];
        let offset = match one.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        (offset, one.metadata().to_owned())
    }

    /// Leaves the group.
    pub fn leave(self) {
        self.consumer.unsubscribe();
        drop(self);
    }

    /// The marks up to the first data line: `open` with these stages, `begin` and `restored`.
    #[must_use]
    pub fn head(&self, stages: &[&str]) -> String {
        let stages: Vec<String> = stages.iter().map(|stage| format!("{stage:?}")).collect();
        let open = format!(
            "\x1e{{\"kpipe\":1,\"mark\":\"open\",\"epochs\":true,\"tick_ms\":100,\
             \"stages\":[{}]}}\n",
            stages.join(",")
        );
        open + &self.begin()
    }

    /// The marks of an assignment.
    #[must_use]
    pub fn begin(&self) -> String {
        let partitions: Vec<String> =
            self.partitions.iter().map(|(topic, number)| format!("[{topic:?},{number}]")).collect();
        format!(
            "\x1e{{\"mark\":\"begin\",{},\"partitions\":[{}]}}\n\
             \x1e{{\"mark\":\"restored\",\"count\":0,\"offsets\":[]}}\n",
            self.identity(),
            partitions.join(",")
        )
    }

    fn identity(&self) -> String {
        let instance = self.instance.as_ref().map_or("null".to_owned(), |id| format!("{id:?}"));
        format!(
            "\"group\":{:?},\"generation\":{},\"member\":{:?},\"instance\":{instance}",
            self.group, self.generation, self.id
        )
    }

    /// The barrier of `epoch`, behind so many lines.
    #[must_use]
    pub fn barrier(&self, epoch: u64, lines: u64, offsets: &[At<'_>]) -> String {
        self.last_barrier(epoch, lines, offsets, "")
    }

    /// A barrier with more fields, which begin with a comma.
    ///
    /// # Panics
    /// Never: text can be written to.
    #[must_use]
    pub fn last_barrier(&self, epoch: u64, lines: u64, offsets: &[At<'_>], more: &str) -> String {
        let mut positions = String::new();
        for (topic, partition, offset) in offsets {
            let comma = if positions.is_empty() { "" } else { "," };
            write!(positions, "{comma}[{topic:?},{partition},{offset}]").expect("text");
        }
        format!(
            "\x1e{{\"mark\":\"barrier\",\"epoch\":{epoch},\"lines\":{lines},{},\
             \"offsets\":[{positions}]{more}}}\n",
            self.identity()
        )
    }
}

/// The mark that says where the following lines come from.
#[must_use]
pub fn from(topic: &str, partition: i32, offset: i64) -> String {
    format!("\x1e{{\"mark\":\"from\",\"at\":[{topic:?},{partition}],\"offset\":{offset}}}\n")
}

/// The last mark.
pub const END: &str = "\x1e{\"mark\":\"end\",\"how\":\"stopped\"}\n";
