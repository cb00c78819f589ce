//! What a cluster has: brokers, topics, groups.

use std::time::{Duration, Instant};

use pipe::exit::{Error, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::{Metadata, MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cluster::{self, PATIENCE, text};
use crate::config::{self, reason};
use crate::context::Context;
use crate::flags::Broker;
use crate::native;
use crate::record::Partition;

/// How long one question waits, before the client's troubles are looked at.
const SLICE: Duration = Duration::from_millis(500);

/// A client that asks a cluster what it has.
pub struct Listing {
    client: BaseConsumer<Context>,
    metadata: Metadata,
}

/// A broker of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id; -1 for one that was asked and not told.
    pub id: i32,
    /// Its address, `HOST:PORT`.
    pub address: String,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its partitions, by their numbers.
    pub partitions: Vec<Shard>,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number.
    pub number: i32,
    /// The id of the broker that leads it, -1 for none.
    pub leader: i32,
    /// The ids of the brokers that have it.
    pub replicas: Vec<i32>,
    /// The ids of those that are up to date.
    pub isrs: Vec<i32>,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// A group of consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its state, as the broker calls it, where it says it.
    pub state: String,
    /// Its assignor, or what else its protocol is.
    pub protocol: String,
    /// The number of its members, where the broker says it.
    pub members: usize,
    /// What it has stored.
    pub offsets: Vec<Committed>,
}

/// What a group has stored of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The partition.
    pub partition: Partition,
    /// The offset stored.
    pub offset: i64,
    /// The offset behind the partition's last record.
    pub end: i64,
}

impl Listing {
    /// Asks the cluster for all brokers and topics.
    ///
    /// # Errors
    /// When no broker answers within [`PATIENCE`], or a property is refused.
    pub fn open(flags: &Broker) -> Result<Listing> {
        let mut config = config::client(flags, &[])?;
        config.set("isolation.level", "read_uncommitted").remove("group.id");
        config.set("enable.auto.commit", "false");
        let client = config.create_with_context(Context::held());
        let client: BaseConsumer<Context> = client.map_err(|error| config::refusal(&error))?;
        let brokers = config.get("bootstrap.servers").unwrap_or_default();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match client.fetch_metadata(None, SLICE) {
                Ok(metadata) => return Ok(Listing { client, metadata }),
                Err(error) => {
                    drop(client.poll(Duration::ZERO));
                    let troubles = &client.context().troubles;
                    if troubles.is_hopeless() || Instant::now() >= deadline {
                        return Err(cluster::unanswered(brokers, troubles, &error));
                    }
                }
            }
        }
    }

    /// The broker that answered.
    #[must_use]
    pub fn origin(&self) -> Node {
        let id = self.metadata.orig_broker_id();
        Node { id, address: self.metadata.orig_broker_name().to_owned() }
    }

    /// The id of the controller, when the cluster says it.
    #[must_use]
    pub fn controller(&self) -> Option<i32> {
        native::controller(&self.client, SLICE)
    }

    /// The brokers.
    #[must_use]
    pub fn brokers(&self) -> Vec<Node> {
        let node = |one: &rdkafka::metadata::MetadataBroker| Node {
            id: one.id(),
            address: format!("{}:{}", one.host(), one.port()),
        };
        let mut brokers: Vec<Node> = self.metadata.brokers().iter().map(node).collect();
        brokers.sort_by_key(|one| one.id);
        brokers
    }

    /// The topics by name: all, or those in `names`.
    ///
    /// # Errors
    /// When one of `names` is not there.
    pub fn topics(&self, names: &[String]) -> Result<Vec<Topic>> {
        let mut topics: Vec<Topic> = self.metadata.topics().iter().map(topic).collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        if !names.is_empty() {
            let missing = names.iter().find(|name| !topics.iter().any(|one| one.name == **name));
            if let Some(missing) = missing {
                return Err(Error::world(missing, reason(self.why_missing(missing))));
            }
            topics.retain(|one| names.contains(&one.name));
        }
        Ok(topics)
    }

    /// Why a topic is not listed: those that may not be seen are only told of by their names.
    fn why_missing(&self, name: &str) -> RDKafkaErrorCode {
        let answer = self.client.fetch_metadata(Some(name), PATIENCE).ok();
        let code = answer.and_then(|answer| answer.topics().iter().find_map(MetadataTopic::error));
        code.map_or(RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::from)
    }

    /// The groups, or the one of this name, and what they have stored of the partitions of
    /// `topics`.
    ///
    /// # Errors
    /// When the brokers do not say.
    pub fn groups(
        &self,
        flags: &Broker,
        name: Option<&str>,
        topics: &[Topic],
    ) -> Result<Vec<Group>> {
        let list = self.client.fetch_group_list(name, PATIENCE);
        let list = list.map_err(|error| Error::world("groups", text(&error)))?;
        let mut partitions = Vec::new();
        for topic in topics {
            let of_topic = topic.partitions.iter().filter(|shard| shard.leader >= 0);
            partitions.extend(
                of_topic.map(|shard| Partition { topic: topic.name.clone(), number: shard.number }),
            );
        }
        let mut groups = Vec::new();
        for info in list.groups() {
            let offsets = self.committed(flags, info.name(), &partitions)?;
            // Of a group of the newer protocol, the question that librdkafka asks finds nothing.
            let unknown = info.state() == "Dead" && !offsets.is_empty();
            groups.push(Group {
                name: info.name().to_owned(),
                state: if unknown { "(of the newer protocol)" } else { info.state() }.to_owned(),
                protocol: info.protocol().to_owned(),
                members: info.members().len(),
                offsets,
            });
        }
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(groups)
    }

    /// What `group` has stored of `partitions`.
    fn committed(
        &self,
        flags: &Broker,
        group: &str,
        partitions: &[Partition],
    ) -> Result<Vec<Committed>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |error| Error::world(format!("group {group}"), text(&error));
        let mut config = config::client(flags, &[])?;
        config.set("group.id", group).set("enable.auto.commit", "false");
        let client: BaseConsumer = config.create().map_err(|error| config::refusal(&error))?;
        let list = cluster::list(partitions.iter().map(|one| (one, Offset::Invalid)))?;
        let list = client.committed_offsets(list, PATIENCE).map_err(failed)?;
        let stored: Vec<(Partition, i64)> = stored(&list).collect();
        let partitions: Vec<Partition> = stored.iter().map(|(one, _)| one.clone()).collect();
        let ends = cluster::offsets(&self.client, &partitions, Offset::End)?;
        let committed = |((partition, offset), end)| Committed { partition, offset, end };
        Ok(stored.into_iter().zip(ends).map(committed).collect())
    }

    /// The first offsets of `partitions` whose records have their time (in milliseconds since the
    /// epoch) or a later one; none where all are earlier. -1 is the end, -2 the beginning.
    ///
    /// # Errors
    /// When the brokers do not say them.
    pub fn offsets(&self, partitions: &[(Partition, i64)]) -> Result<Vec<Option<i64>>> {
        // In one list, a partition can stand once.
        let offset = |(partition, ms): &(Partition, i64)| {
            let side = match ms {
                -1 => Offset::End,
                -2 => Offset::Beginning,
                ms => Offset::Offset(*ms),
            };
            let list = cluster::list(std::iter::once((partition, side)))?;
            let list = self.client.offsets_for_times(list, PATIENCE);
            let list = list.map_err(|error| Error::world(partition, text(&error)))?;
            let found = list.find_partition(&partition.topic, partition.number);
            match found.as_ref().map(|found| (found.error(), found.offset())) {
                Some((Ok(()), Offset::Offset(offset))) => Ok(Some(offset)),
                Some((Err(error), _)) => Err(Error::world(partition, text(&error))),
                _ => Ok(None),
            }
        };
        partitions.iter().map(offset).collect()
    }
}

/// The partitions of which an offset is stored.
fn stored(list: &TopicPartitionList) -> impl Iterator<Item = (Partition, i64)> {
    list.elements().into_iter().filter_map(|one| match one.offset() {
        Offset::Offset(offset) => {
            Some((Partition { topic: one.topic().to_owned(), number: one.partition() }, offset))
        }
        _ => None,
    })
}

fn topic(metadata: &MetadataTopic) -> Topic {
    let mut partitions: Vec<Shard> = metadata.partitions().iter().map(shard).collect();
    partitions.sort_by_key(|shard| shard.number);
    let error = metadata.error().map(|code| reason(code.into()));
    Topic { name: metadata.name().to_owned(), partitions, error }
}

fn shard(metadata: &MetadataPartition) -> Shard {
    Shard {
        number: metadata.id(),
        leader: metadata.leader(),
        replicas: metadata.replicas().to_vec(),
        isrs: metadata.isr().to_vec(),
        error: metadata.error().map(|code| reason(code.into())),
    }
}
