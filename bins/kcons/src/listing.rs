//! What a cluster has, as kcat lists it, and the groups with their lag.

use std::fmt::Write as _;

use serde_json::{Value, json};
use topic::listing::{Group, Node, Shard, Topic};

/// A cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The broker that was asked.
    pub(crate) origin: Node,
    /// The id of the controller, when it is known.
    pub(crate) controller: Option<i32>,
    /// The brokers.
    pub(crate) brokers: Vec<Node>,
    /// The topics.
    pub(crate) topics: Vec<Topic>,
    /// Whether these are all topics.
    pub(crate) whole: bool,
    /// The groups, when the brokers say them.
    pub(crate) groups: Option<Vec<Group>>,
}

impl Cluster {
    /// The lines of `kcat -L`, and then the groups.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("memory takes every line");
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let names: Vec<&str> = self.topics.iter().map(|one| one.name.as_str()).collect();
        let what = if self.whole { "all topics".to_owned() } else { names.join(", ") };
        let Node { id, address } = &self.origin;
        writeln!(out, "Metadata for {what} (from broker {id}: {address}):")?;
        writeln!(out, " {} brokers:", self.brokers.len())?;
        for Node { id, address } in &self.brokers {
            let role = if self.controller == Some(*id) { " (controller)" } else { "" };
            writeln!(out, "  broker {id} at {address}{role}")?;
        }
        writeln!(out, " {} topics:", self.topics.len())?;
        for topic in &self.topics {
            let error = trouble(topic.error.as_deref());
            let (name, count) = (&topic.name, topic.partitions.len());
            writeln!(out, "  topic \"{name}\" with {count} partitions:{error}")?;
            for shard in &topic.partitions {
                let Shard { number, leader, replicas, isrs, error } = shard;
                let (replicas, isrs) = (ids(replicas), ids(isrs));
                let error = trouble(error.as_deref());
                writeln!(
                    out,
                    "    partition {number}, leader {leader}, replicas: {replicas}, isrs: \
                     {isrs}{error}"
                )?;
            }
        }
        let Some(groups) = &self.groups else { return Ok(()) };
        writeln!(out, " {} groups:", groups.len())?;
        groups.iter().try_for_each(|group| write_group(group, out))
    }

    /// The object of `kcat -L -J`, with `groups`.
    pub(crate) fn json(&self) -> Value {
        let id = |id: &i32| json!({"id": id});
        let shard = |one: &Shard| {
            json!({
                "partition": one.number,
                "leader": one.leader,
                "replicas": one.replicas.iter().map(id).collect::<Vec<_>>(),
                "isrs": one.isrs.iter().map(id).collect::<Vec<_>>(),
            })
        };
        let topic = |one: &Topic| {
            let partitions: Vec<Value> = one.partitions.iter().map(shard).collect();
            let mut topic = json!({"topic": one.name, "partitions": partitions});
            if let Some(error) = &one.error {
                topic["error"] = json!(error);
            }
            topic
        };
        let node = |one: &Node| json!({"id": one.id, "name": one.address});
        let names: Vec<&str> = self.topics.iter().map(|one| one.name.as_str()).collect();
        json!({
            "originating_broker": node(&self.origin),
            "query": {"topic": if self.whole { "*".to_owned() } else { names.join(",") }},
            "controllerid": self.controller.unwrap_or(-1),
            "brokers": self.brokers.iter().map(node).collect::<Vec<_>>(),
            "topics": self.topics.iter().map(topic).collect::<Vec<_>>(),
            "groups": self.groups.as_deref().map(|groups| {
                groups.iter().map(group_json).collect::<Vec<_>>()
            }),
        })
    }
}

fn write_group(group: &Group, out: &mut String) -> std::fmt::Result {
    let Group { name, state, protocol, members, offsets } = group;
    let protocol = if protocol.is_empty() { "no assignor" } else { protocol };
    writeln!(out, "  group \"{name}\" {state}, {protocol}, with {members} members:")?;
    for one in offsets {
        let (partition, offset, end) = (&one.partition, one.offset, one.end);
        let lag = end.saturating_sub(offset);
        writeln!(out, "    {partition} committed {offset}, end {end}, lag {lag}")?;
    }
    Ok(())
}

fn group_json(group: &Group) -> Value {
    let offset = |one: &topic::listing::Committed| {
        json!({
            "topic": one.partition.topic,
            "partition": one.partition.number,
            "committed": one.offset,
            "end": one.end,
            "lag": one.end.saturating_sub(one.offset),
        })
    };
    json!({
        "group": group.name,
        "state": group.state,
        "protocol": group.protocol,
        "members": group.members,
        "offsets": group.offsets.iter().map(offset).collect::<Vec<_>>(),
    })
}

fn trouble(error: Option<&str>) -> String {
    error.map(|error| format!(" {error}")).unwrap_or_default()
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use topic::consumer::Partition;
    use topic::listing::Committed;

    use super::*;

    fn cluster() -> Cluster {
        let node = Node { id: 1, address: "b:9092".to_owned() };
        let shard =
            Shard { number: 0, leader: 1, replicas: vec![1, 2], isrs: vec![1], error: None };
        let topic = Topic { name: "t".to_owned(), partitions: vec![shard], error: None };
        let partition = Partition { topic: "t".to_owned(), number: 0 };
        let group = Group {
            name: "g".to_owned(),
            state: "Empty".to_owned(),
            protocol: String::new(),
            members: 0,
            offsets: vec![Committed { partition, offset: 5, end: 9 }],
        };
        Cluster {
            origin: Node { id: -1, ..node.clone() },
            controller: Some(1),
            brokers: vec![node],
            topics: vec![topic],
            whole: true,
            groups: Some(vec![group]),
        }
    }

    #[test]
    fn the_text_is_kcats_and_then_come_the_groups() {
        let expected = "Metadata for all topics (from broker -1: b:9092):\n 1 brokers:\n  broker 1 \
                        at b:9092 (controller)\n 1 topics:\n  topic \"t\" with 1 partitions:\n    \
                        partition 0, leader 1, replicas: 1,2, isrs: 1\n 1 groups:\n  group \"g\" \
                        Empty, no assignor, with 0 members:\n    t [0] committed 5, end 9, lag 4\n";
        assert_eq!(cluster().text(), expected);
    }

    #[test]
    fn the_object_has_kcats_names() {
        let json = Cluster { whole: false, ..cluster() }.json();
        assert_eq!(json["originating_broker"], json!({"id": -1, "name": "b:9092"}));
        assert_eq!(json["query"]["topic"], "t");
        let partitions = &json["topics"][0]["partitions"][0];
        assert_eq!(partitions["replicas"], json!([{"id": 1}, {"id": 2}]));
        assert_eq!(json["groups"][0]["offsets"][0]["lag"], 4);
        assert_eq!(Cluster { groups: None, ..cluster() }.json()["groups"], Value::Null);
    }
}
