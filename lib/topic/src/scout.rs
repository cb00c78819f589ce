//! A first, short look at the cluster, on which the settings of the reading client hang.

use pipe::exit::{Code, Error, Result};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;

use crate::cluster::{self, PATIENCE, Unlisted};
use crate::config;
use crate::consumer::Plan;
use crate::record::Partition;
use crate::trouble::Troubles;

/// What a mock broker's cluster id starts with.
pub(crate) const MOCK: &str = "mockCluster";

/// What was seen.
#[derive(Debug)]
pub(crate) struct Scout {
    /// The partitions to read.
    pub(crate) partitions: Vec<Partition>,
    /// The offsets behind their last records, committed or not; empty unless asked for.
    pub(crate) written: Vec<i64>,
    /// Whether the broker is a mock.
    pub(crate) mock: bool,
}

struct Context(Troubles);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.0.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, text: &str) {
        self.0.error(&error, text);
    }
}

impl ConsumerContext for Context {}

impl Scout {
    /// Looks at the topics of `plan`.
    pub(crate) fn send(plan: &Plan<'_>) -> Result<Scout> {
        let mut config = config::client(plan.flags, &[])?;
        config.set("isolation.level", "read_uncommitted").remove("group.id");
        // They hang on each other, and on defaults that are the reading client's.
        config.remove("max.poll.interval.ms").remove("session.timeout.ms");
        let client = config.create_with_context(Context(Troubles::held()));
        let client: BaseConsumer<Context> = client.map_err(|error| config::refusal(&error))?;
        let brokers = config.get("bootstrap.servers").unwrap_or_default();
        let partitions = partitions(&client, brokers, plan)?;
        // Under epochs the archive is asked, and again until it answers.
        let written = if plan.until_end && !plan.epochs {
            cluster::offsets(&client, &partitions, Offset::End)?
        } else {
            Vec::new()
        };
        let cluster = client.client().fetch_cluster_id(PATIENCE);
        let mock = cluster.is_some_and(|id| id.starts_with(MOCK));
        Ok(Scout { partitions, written, mock })
    }
}

/// The partitions of all topics, or those of each that were asked for.
///
/// A client asks this before anything else: it waits for its first connection here, where other
/// calls of librdkafka would look for a broker only every so often.
pub(crate) fn partitions<C: Troubled>(
    client: &BaseConsumer<C>,
    brokers: &str,
    plan: &Plan<'_>,
) -> Result<Vec<Partition>> {
    let troubles = client.context().troubles();
    let poll = |time| drop(client.poll(time));
    let mut all = Vec::new();
    for topic in plan.topics {
        let there = cluster::list_within(PATIENCE, client.client(), brokers, topic, troubles, poll);
        let there = there.map_err(|unlisted| match unlisted {
            // A pipe with epochs is started again, until the broker is back.
            Unlisted::Passes(Error::Failed(_, message)) if plan.epochs => {
                Error::Failed(Code::UNFINISHED, message)
            }
            Unlisted::Lasts(error) | Unlisted::Unknown(error) | Unlisted::Passes(error) => error,
        })?;
        let wanted = plan.partitions.unwrap_or(&there);
        if let Some(missing) = wanted.iter().find(|number| !there.contains(number)) {
            let count = there.len();
            return Err(Error::world(topic, format!("no partition {missing}, it has {count}")));
        }
        all.extend(wanted.iter().map(|&number| Partition { topic: topic.clone(), number }));
    }
    Ok(all)
}

/// A context that keeps what goes wrong while a client connects.
pub(crate) trait Troubled: ConsumerContext {
    fn troubles(&self) -> &Troubles;
}

impl Troubled for Context {
    fn troubles(&self) -> &Troubles {
        &self.0
    }
}

impl Troubled for crate::context::Context {
    fn troubles(&self) -> &Troubles {
        &self.troubles
    }
}
