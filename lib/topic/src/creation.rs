//! Topics that are not there yet.

use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use pipe::exit::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::cluster::{self, PATIENCE, Unlisted};
use crate::config::{self, reason};
use crate::native::producer::Producer;
use crate::producer::Context;
use crate::scout::MOCK;

/// How long a broker may take to make a topic by itself, when it does so at all.
const MAKING: Duration = Duration::from_secs(3);

/// How long one question waits for its answer.
const QUESTION: Duration = Duration::from_millis(500);

/// How long the brokers of a cluster that starts may take to be known to each other.
const ENLISTING: Duration = Duration::from_secs(30);

/// How long to wait before it is asked again whether a topic is there.
const AGAIN: Duration = Duration::from_millis(20);

/// The setting that says what becomes of what is old.
const POLICY: &str = "cleanup.policy";

/// As many replicas as the broker gives topics of which none are asked for.
pub(crate) const ANY: i32 = -1;

/// The shape of a topic, written `P:R`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas each has.
    pub replicas: i32,
}

impl FromStr for Shape {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Shape, Self::Err> {
        let count = |text: &str| text.parse().ok().filter(|&count: &i32| count > 0);
        let (partitions, replicas) = text.split_once(':').unwrap_or((text, ""));
        match (count(partitions), count(replicas)) {
            (Some(partitions), Some(replicas)) => Ok(Shape { partitions, replicas }),
            _ => Err("a topic's shape is partitions:replicas, as 3:1"),
        }
    }
}

/// Creates `topic` when it is missing, with settings of its own. A mock broker knows no such
/// request, and makes topics by itself when they are used.
///
/// # Errors
/// When the broker refuses.
pub(crate) fn create(
    config: &ClientConfig,
    topic: &str,
    shape: Shape,
    settings: &[(&str, &str)],
) -> Result<(), Unlisted> {
    let mut config = config.clone();
    // Asking for a topic must not make it with the broker's own number of partitions.
    config.set("allow.auto.create.topics", "false").set("enable.idempotence", "false");
    config.remove("transactional.id");
    let client: AdminClient<DefaultClientContext> =
        config.create().map_err(|error| Unlisted::Lasts(config::refusal(&error)))?;
    match client.inner().fetch_metadata(Some(topic), PATIENCE) {
        Ok(metadata) if metadata.topics().iter().all(|one| one.error().is_some()) => {}
        Ok(_) => return check_settings(&client, topic, settings),
        // Who is opened next would make it with the broker's own settings.
        Err(error) if !settings.is_empty() => {
            return Err(Unlisted::Passes(Error::world(topic, error)));
        }
        // Nobody answers, which is told by the producer, who is opened next.
        Err(_) => return Ok(()),
    }
    if client.inner().fetch_cluster_id(QUESTION).is_some_and(|id| id.starts_with(MOCK)) {
        return Ok(());
    }
    let deadline = Instant::now() + if shape.replicas == ANY { ENLISTING } else { Duration::ZERO };
    loop {
        match ask_for(&client, topic, shape, settings)? {
            None
            | Some(RDKafkaErrorCode::TopicAlreadyExists | RDKafkaErrorCode::UnsupportedFeature) => {
                return Ok(());
            }
            // As many as the broker sees fit are too many while brokers start.
            Some(RDKafkaErrorCode::InvalidReplicationFactor) if Instant::now() < deadline => {
                thread::park_timeout(QUESTION);
            }
            Some(code) => {
                let error = Error::world(topic, format!("cannot be created: {}", reason(code)));
                let passes = cluster::passes(code);
                return Err(if passes { Unlisted::Passes(error) } else { Unlisted::Lasts(error) });
            }
        }
    }
}

/// Asks once for a topic to be created; why it was not.
fn ask_for(
    client: &AdminClient<DefaultClientContext>,
    topic: &str,
    shape: Shape,
    settings: &[(&str, &str)],
) -> Result<Option<RDKafkaErrorCode>, Unlisted> {
    let new = NewTopic::new(topic, shape.partitions, TopicReplication::Fixed(shape.replicas));
    let topics = [settings.iter().fold(new, |new, (key, value)| new.set(key, value))];
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    match block_on(client.create_topics(&topics, &options)) {
        Ok(results) => {
            Ok(results.into_iter().find_map(|result| result.err().map(|(_, code)| code)))
        }
        Err(KafkaError::AdminOp(code)) => Ok(Some(code)),
        Err(error) => Err(Unlisted::Passes(Error::world(topic, error))),
    }
}

/// Checks that a topic that is there has the `settings` that it would have been made with: who
/// deletes what is old loses what a key had last.
fn check_settings(
    client: &AdminClient<DefaultClientContext>,
    topic: &str,
    settings: &[(&str, &str)],
) -> Result<(), Unlisted> {
    let Some(&(key, wanted)) = settings.iter().find(|(key, _)| *key == POLICY) else {
        return Ok(());
    };
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = block_on(client.describe_configs(&[ResourceSpecifier::Topic(topic)], &options));
    let entries = match described {
        Ok(mut results) => results.pop().and_then(Result::ok).map(|one| one.entries),
        Err(error) => return Err(Unlisted::Passes(Error::world(topic, error))),
    };
    // Who may not ask, or gets no answer to that, believes it.
    let policy = entries.into_iter().flatten().find(|one| one.name == key);
    match policy.and_then(|one| one.value) {
        Some(value) if !value.split(',').any(|one| one.trim() == wanted) => {
            let reason =
                format!("has {key}={value} and needs {wanted}: old state would be deleted");
            Err(Unlisted::Lasts(Error::world(topic, reason)))
        }
        _ => Ok(()),
    }
}

/// How many partitions `topic` has, once it has any.
///
/// # Errors
/// When there is no such topic and the broker makes none, or no broker answers within
/// `patience`. Of a topic that was `created` a broker may only not have heard yet.
pub(crate) fn partitions(
    producer: &Producer<Context>,
    brokers: &str,
    (topic, created): (&str, bool),
    patience: Duration,
) -> Result<i32, Unlisted> {
    let serve = |wait| {
        producer.serve(wait, |_| {});
    };
    let deadline = Instant::now() + if created { patience } else { MAKING.min(patience) };
    let client = producer.client();
    let troubles = &client.context().0;
    loop {
        match cluster::list_within(patience, client, brokers, topic, troubles, serve) {
            Err(Unlisted::Unknown(_)) if Instant::now() < deadline => serve(AGAIN),
            Err(Unlisted::Unknown(error)) if created => return Err(Unlisted::Passes(error)),
            listed => return Ok(i32::try_from(listed?.len()).unwrap_or(i32::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_partitions_and_replicas() {
        assert_eq!("3:1".parse(), Ok(Shape { partitions: 3, replicas: 1 }));
        for bad in ["3", "0:1", "3:", "3:-1", "a:b", ""] {
            assert!(bad.parse::<Shape>().is_err(), "{bad}");
        }
    }
}
