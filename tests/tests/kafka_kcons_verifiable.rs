//! kcons --verifiable on a real Kafka, under the rules by which Kafka's own tests judge a
//! `VerifiableConsumer`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use kpipe_tests::wait::LONG;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rustix::process::Signal;
use serde_json::Value;

const PARTITIONS: i32 = 3;

static KAFKA: LazyLock<Option<Kafka>> =
    LazyLock::new(|| Kafka::start(&["range:3", "sticky:3", "newer:3", "static:3", "auto:3"]));

/// A member with what it has said.
struct Member {
    live: Live,
    /// The partitions that it has, and the offset that it reads next where that is known.
    assignment: BTreeMap<i64, Option<i64>>,
    /// Offsets consumed, of each partition.
    consumed: BTreeSet<(i64, i64)>,
    /// Names of events, in their order.
    events: Vec<String>,
}

impl Member {
    fn start(kafka: &Kafka, topic: &str, args: &[&str]) -> Member {
        let own = ["--verifiable", "--bootstrap-server", kafka.address(), "--topic", topic];
        let group = ["--group-id", topic, "--reset-policy", "earliest"];
        let live = Live::start("kcons", own.iter().chain(&group).chain(args));
        let (assignment, consumed) = (BTreeMap::new(), BTreeSet::new());
        Member { live, assignment, consumed, events: Vec::new() }
    }

    /// Takes what it has said until it is silent for a moment.
    fn hear(&mut self) {
        while let Some(line) = self.live.line_within(Duration::from_millis(50)) {
            self.judge(&serde_json::from_str(&line).expect("an event is JSON"));
        }
    }

    /// The rules for an event.
    fn judge(&mut self, event: &Value) {
        let name = event["name"].as_str().expect("a name").to_owned();
        assert!(event["timestamp"].as_i64().is_some_and(|ms| ms > 1_700_000_000_000), "{event}");
        let all = |list: &str| event[list].as_array().cloned().unwrap_or_default();
        let number = |one: &Value, key: &str| one[key].as_i64().expect("a number");
        match name.as_str() {
            "partitions_assigned" => {
                for one in all("partitions") {
                    let before = self.assignment.insert(number(&one, "partition"), None);
                    assert_eq!(before, None, "it has it already: {event}");
                }
            }
            "partitions_revoked" => {
                for one in all("partitions") {
                    let had = self.assignment.remove(&number(&one, "partition"));
                    assert!(had.is_some(), "it has it not: {event}");
                }
            }
            "records_consumed" => {
                let mut count = 0;
                for one in all("partitions") {
                    let (partition, min) = (number(&one, "partition"), number(&one, "minOffset"));
                    let max = number(&one, "maxOffset");
                    let next = self.assignment.get_mut(&partition).expect("it is assigned");
                    assert!(next.is_none_or(|next| next == min) && min <= max, "a gap: {event}");
                    *next = Some(max + 1);
                    self.consumed.extend((min..=max).map(|offset| (partition, offset)));
                    count += number(&one, "count");
                }
                assert_eq!(count, number(event, "count"));
            }
            "offsets_committed" => {
                assert_eq!(event["success"], true, "{event}");
                for one in all("offsets") {
                    let next = self.assignment.get(&number(&one, "partition"));
                    let next = next.expect("it is assigned").expect("it has read something");
                    assert!(number(&one, "offset") <= next, "ahead of what was read: {event}");
                }
            }
            "startup_complete" => assert!(self.events.is_empty()),
            "shutdown_complete" => assert!(self.assignment.is_empty(), "nothing was revoked"),
            _ => panic!("{event}"),
        }
        self.events.push(name);
    }

    /// Asks it to end; it tells so with its last event.
    fn stop(mut self) -> BTreeSet<(i64, i64)> {
        self.live.signal(Signal::TERM);
        let deadline = Instant::now() + LONG;
        while self.events.last().is_none_or(|last| last != "shutdown_complete") {
            assert!(Instant::now() < deadline, "it does not end: {:?}", self.events);
            self.hear();
        }
        let _ = self.live.end().done();
        self.consumed
    }
}

/// Hears all members until `rest` holds.
fn until(what: &str, members: &mut [&mut Member], rest: impl Fn(&[&mut Member]) -> bool) {
    let deadline = Instant::now() + LONG;
    while !rest(members) {
        assert!(Instant::now() < deadline, "in vain: {what}");
        for member in members.iter_mut() {
            member.hear();
        }
    }
}

/// Whether the members share all partitions, each with one at least.
fn shared(members: &[&mut Member]) -> bool {
    let all: BTreeSet<i64> =
        members.iter().flat_map(|member| member.assignment.keys().copied()).collect();
    let sum: usize = members.iter().map(|member| member.assignment.len()).sum();
    let everybody = members.iter().all(|member| !member.assignment.is_empty());
    everybody && all.len() == sum && all.len() == PARTITIONS.unsigned_abs() as usize
}

/// Writes `count` records to each partition.
fn fill(kafka: &Kafka, topic: &str, count: u32) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.address()).set("enable.idempotence", "true");
    let producer: BaseProducer = config.create().expect("a producer");
    for number in 0..count {
        for partition in 0..PARTITIONS {
            let value = number.to_string();
            let record = BaseRecord::<[u8], str>::to(topic).partition(partition).payload(&value);
            producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        }
    }
    producer.flush(Duration::from_secs(30)).expect("acknowledged");
}

/// Everything up to `count` of each partition.
fn everything(count: i64) -> BTreeSet<(i64, i64)> {
    let of = |partition| (0..count).map(move |offset| (partition, offset));
    (0..i64::from(PARTITIONS)).flat_map(of).collect()
}

/// Two members that join, leave and, where `kills`, die.
fn come_and_go(kafka: &Kafka, topic: &str, args: &[&str], kills: bool) {
    fill(kafka, topic, 100);
    let mut one = Member::start(kafka, topic, args);
    until("the first has all", &mut [&mut one], shared);
    let mut two = Member::start(kafka, topic, args);
    until("two share", &mut [&mut one, &mut two], shared);
    fill(kafka, topic, 100);
    let together = |members: &[&mut Member]| {
        let mut all = BTreeSet::new();
        for member in members {
            all.extend(&member.consumed);
        }
        all == everything(200)
    };
    until("both have read all", &mut [&mut one, &mut two], together);
    let mut consumed = one.stop();
    until("the second has all", &mut [&mut two], shared);
    let mut three = Member::start(kafka, topic, args);
    until("two share again", &mut [&mut two, &mut three], shared);
    if kills {
        two.live.signal_at_once(Signal::KILL);
        consumed.extend(&two.consumed);
    } else {
        consumed.extend(two.stop());
    }
    fill(kafka, topic, 100);
    until("the third has all", &mut [&mut three], shared);
    until("the rest is read", &mut [&mut three], |members| {
        everything(300).is_subset(&consumed.union(&members[0].consumed).copied().collect())
    });
    consumed.extend(three.stop());
    assert_eq!(consumed, everything(300));
}

#[test]
fn members_by_ranges_come_go_and_die() {
    let Some(kafka) = &*KAFKA else { return };
    let range = "org.apache.kafka.clients.consumer.RangeAssignor";
    let args = ["--session-timeout", "6000", "--assignment-strategy", range];
    come_and_go(kafka, "range", &args, true);
}

#[test]
fn members_that_cooperate_come_go_and_die() {
    let Some(kafka) = &*KAFKA else { return };
    let sticky = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    let args = ["--session-timeout", "6000", "--assignment-strategy", sticky];
    come_and_go(kafka, "sticky", &args, true);
}

#[test]
fn members_of_the_newer_protocol_come_and_go() {
    let Some(kafka) = &*KAFKA else { return };
    let args = ["--group-protocol", "consumer", "--group-remote-assignor", "uniform"];
    come_and_go(kafka, "newer", &args, false);
}

#[test]
fn a_static_member_that_comes_back_disturbs_nobody() {
    let Some(kafka) = &*KAFKA else { return };
    fill(kafka, "static", 10);
    let args = |id| ["--session-timeout", "20000", "--group-instance-id", id];
    let mut one = Member::start(kafka, "static", &args("one"));
    let mut two = Member::start(kafka, "static", &args("two"));
    until("two share", &mut [&mut one, &mut two], shared);
    let (had, events) = (one.assignment.keys().copied().collect::<Vec<_>>(), two.events.len());
    let _ = one.stop();
    let mut again = Member::start(kafka, "static", &args("one"));
    until("it is back", &mut [&mut again], |members| !members[0].assignment.is_empty());
    fill(kafka, "static", 10);
    until("both go on", &mut [&mut again, &mut two], |members| {
        members.iter().all(|member| member.assignment.values().all(|next| *next == Some(20)))
    });
    assert_eq!(again.assignment.keys().copied().collect::<Vec<_>>(), had);
    let rebalanced = |event: &String| event.starts_with("partitions_");
    assert!(!two.events[events..].iter().any(rebalanced), "{:?}", two.events);
    let _ = (again.stop(), two.stop());
}

#[test]
fn commits_from_time_to_time_are_not_told() {
    let Some(kafka) = &*KAFKA else { return };
    fill(kafka, "auto", 10);
    let args = ["--enable-autocommit", "--verbose", "--max-messages", "30"];
    let mut one = Live::start(
        "kcons",
        ["--verifiable", "-b", kafka.address(), "--topic", "auto", "--group-id", "auto"]
            .iter()
            .chain(&args),
    );
    let mut names = Vec::new();
    while names.last().is_none_or(|last| last != "shutdown_complete") {
        let event: Value = serde_json::from_str(&one.line()).expect("JSON");
        names.push(event["name"].as_str().expect("a name").to_owned());
    }
    let _ = one.end().done();
    let count = |name: &str| names.iter().filter(|one| *one == name).count();
    assert_eq!((count("record_data"), count("offsets_committed")), (30, 0));
    let mut two = Member::start(kafka, "auto", &[]);
    until("it has all", &mut [&mut two], shared);
    fill(kafka, "auto", 1);
    let all: BTreeSet<(i64, i64)> = (0..3).map(|partition| (partition, 10)).collect();
    until("it goes on", &mut [&mut two], |members| members[0].consumed == all);
    let _ = two.stop();
}
