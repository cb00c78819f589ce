//! The mock broker inside this process, on 127.0.0.1, that lives as long as it.

use std::mem::ManuallyDrop;

use ::topic::mock;
use pipe::exit::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::producer::{BaseProducer, Producer as _};

/// A cluster of librdkafka's mock brokers; it lives as long as the process.
///
/// It knows produce, fetch and classic groups, keeps 5 MiB and 100,000 batches per partition in
/// memory, and has no transactions, no TLS and no admin calls. Topics made by use get 4
/// partitions.
pub(crate) struct Mock {
    /// Never destroyed: librdkafka, when it destroys its mock brokers, may wait for ever for a lock
    /// of their queue. The end of the process takes them all the same.
    owner: ManuallyDrop<BaseProducer>,
}

impl Mock {
    /// Starts `brokers` brokers on free ports.
    ///
    /// # Errors
    /// When librdkafka cannot listen.
    pub(crate) fn start(brokers: u16) -> Result<Mock> {
        let mut config = ClientConfig::new();
        config.set("test.mock.num.brokers", brokers.to_string());
        config.set_log_level(RDKafkaLogLevel::Emerg);
        let owner: BaseProducer =
            config.create().map_err(|error| Error::world("mock broker", error))?;
        if mock::no_rebalance_delay(&owner) {
            Ok(Mock { owner: ManuallyDrop::new(owner) })
        } else {
            Err(Error::world("mock broker", "librdkafka made none"))
        }
    }

    /// The brokers' addresses, joined by commas.
    pub(crate) fn addresses(&self) -> String {
        let cluster = self.owner.client().mock_cluster();
        cluster.map(|cluster| cluster.bootstrap_servers()).unwrap_or_default()
    }

    /// Creates a topic of `partitions` partitions, each on up to 3 of the brokers.
    ///
    /// # Errors
    /// When there is one of that name.
    pub(crate) fn create(&self, topic: &str, partitions: u16, brokers: u16) -> Result<()> {
        let Some(cluster) = self.owner.client().mock_cluster() else { return Ok(()) };
        let replicas = i32::from(brokers.min(3));
        let created = cluster.create_topic(topic, i32::from(partitions), replicas);
        created.map_err(|error| Error::world(topic, error))
    }
}
