//! kcons on a real Kafka: ends behind transactions and compaction, groups, and kill -9.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait::{self, LONG, SOON};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rustix::process::Signal;

/// One Kafka for all tests of this file; each has its own topics.
static KAFKA: LazyLock<Option<Kafka>> = LazyLock::new(|| {
    Kafka::start(&[
        "whole:3",
        "committed:1",
        "open:1",
        "times:1",
        "shared:3",
        "moved:2",
        "killed:1",
    ])
});

/// Where a topic of the file is.
#[derive(Clone, Copy)]
struct Topic<'a> {
    kafka: &'a Kafka,
    name: &'a str,
}

impl Topic<'static> {
    /// The topic, when there is a Kafka.
    fn named(name: &'static str) -> Option<Topic<'static>> {
        KAFKA.as_ref().map(|kafka| Topic { kafka, name })
    }

    /// A new topic of one partition with these settings.
    fn made(name: &'static str, settings: &[&str]) -> Option<Topic<'static>> {
        let topic = Topic::named(name)?;
        let mut tool = topic.kafka.tool("TopicCommand");
        tool.args(["--create", "--topic", name, "--partitions", "1"]);
        for setting in settings {
            tool.args(["--config", setting]);
        }
        succeed(&mut tool);
        Some(topic)
    }
}

impl Topic<'_> {
    fn command(self, args: &[&str]) -> Command {
        let mut command = Command::new(kpipe_tests::bin("kcons"));
        command.args(["-b", self.kafka.address(), "-t", self.name, "-q"]).args(args);
        command
    }

    fn kcons(self, args: &[&str]) -> Ended {
        Run::command(self.command(args)).end()
    }

    /// The lines that kcons reads.
    fn lines(self, args: &[&str]) -> Vec<String> {
        self.kcons(args).done().text().lines().map(ToOwned::to_owned).collect()
    }

    fn live(self, args: &[&str]) -> Live {
        Live::command(self.command(args))
    }

    fn producer(self, settings: &[(&str, &str)]) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka.address());
        // Else a first batch that is sent again comes behind later ones.
        config.set("enable.idempotence", "true");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config.create().expect("a producer")
    }

    /// Sends the numbers of `range` to `partition`, without waiting.
    fn send(self, producer: &BaseProducer, partition: i32, range: Range<u32>) {
        for number in range {
            let value = number.to_string();
            let record = BaseRecord::<[u8], str>::to(self.name).partition(partition);
            let sent = producer.send(record.payload(&value).timestamp(i64::from(number)));
            sent.map_err(|(error, _)| error).expect("room in the queue");
        }
    }

    fn fill(self, partition: i32, range: Range<u32>) {
        let producer = self.producer(&[("linger.ms", "1")]);
        self.send(&producer, partition, range);
        flush(&producer);
    }
}

fn flush(producer: &BaseProducer) {
    producer.flush(Duration::from_secs(30)).expect("acknowledged");
}

fn succeed(tool: &mut Command) {
    let ended = tool.stdin(Stdio::null()).output().expect("java runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stdout));
}

fn numbers(range: Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn all_partitions_are_read_to_their_ends_and_no_further() {
    let Some(topic) = Topic::named("whole") else { return };
    (0..3).for_each(|partition| topic.fill(partition, 0..1000));
    let mut lines = Vec::new();
    wait::fast("nothing is waited for that does not come", Duration::from_secs(5), || {
        lines = topic.lines(&["-e", "-f", "%p %s\\n"]);
    });
    for partition in 0..3 {
        let prefix = format!("{partition} ");
        let of = lines.iter().filter_map(|line| line.strip_prefix(&prefix));
        assert_eq!(of.collect::<Vec<_>>(), numbers(0..1000));
    }
    assert_eq!(topic.lines(&["-e", "-o", "-2", "-p", "1"]), numbers(998..1000));
    assert!(topic.lines(&["-e", "-g", "new", "-o", "end"]).is_empty());
}

#[test]
fn the_end_is_behind_transaction_markers_and_what_was_aborted_is_left_out() {
    let Some(topic) = Topic::named("committed") else { return };
    let wait = Duration::from_secs(30);
    let producer = topic.producer(&[("transactional.id", "committed")]);
    producer.init_transactions(wait).expect("a transactional producer");
    producer.begin_transaction().expect("a transaction");
    topic.send(&producer, 0, 0..10);
    producer.commit_transaction(wait).expect("committed");
    assert_eq!(topic.lines(&["-e"]), numbers(0..10));
    producer.begin_transaction().expect("a transaction");
    topic.send(&producer, 0, 100..110);
    flush(&producer);
    producer.abort_transaction(wait).expect("aborted");
    assert_eq!(topic.lines(&["-e"]), numbers(0..10));
    assert_eq!(topic.lines(&["-e", "-g", "g"]), numbers(0..10));
    // The offset behind the last marker is stored: 10 records, 1 marker, 10 records, 1 marker.
    topic.fill(0, 10..12);
    assert_eq!(topic.lines(&["-e", "-g", "g", "-f", "%o %s\\n"]), ["22 10", "23 11"]);
    let raw = topic.lines(&["-e", "-X", "isolation.level=read_uncommitted"]);
    assert_eq!(raw.len(), 22);
}

#[test]
fn marks_say_from_behind_each_transaction_marker() {
    let Some(topic) = Topic::made("gaps", &[]) else { return };
    let wait = Duration::from_secs(30);
    let producer = topic.producer(&[("transactional.id", "gaps")]);
    producer.init_transactions(wait).expect("a transactional producer");
    for start in [0, 3] {
        producer.begin_transaction().expect("a transaction");
        topic.send(&producer, 0, start..start + 3);
        producer.commit_transaction(wait).expect("committed");
    }
    let lines = topic.lines(&["-e", "--marks"]);
    let froms = lines.iter().filter(|line| line.starts_with("\x1e{\"mark\":\"from\""));
    let from =
        |offset| format!("\x1e{{\"mark\":\"from\",\"at\":[\"gaps\",0],\"offset\":{offset}}}");
    assert_eq!(froms.collect::<Vec<_>>(), [&from(0), &from(4)]);
}

#[test]
fn an_open_transaction_is_said_and_not_waited_for() {
    let Some(topic) = Topic::named("open") else { return };
    topic.fill(0, 0..5);
    let producer = topic.producer(&[("transactional.id", "open"), ("linger.ms", "0")]);
    producer.init_transactions(Duration::from_secs(30)).expect("a transactional producer");
    producer.begin_transaction().expect("a transaction");
    topic.send(&producer, 0, 5..8);
    flush(&producer);
    let ended = topic.kcons(&["-e"]).done();
    assert_eq!(ended.text().lines().collect::<Vec<_>>(), numbers(0..5));
    let said = "kcons: open [0]: a transaction is open, reading ends before it at 5\n";
    assert_eq!(ended.stderr, said);
    producer.abort_transaction(Duration::from_secs(30)).expect("aborted");
}

#[test]
fn a_compacted_topic_ends_although_offsets_are_missing() {
    let settings = ["cleanup.policy=compact", "segment.ms=50", "min.cleanable.dirty.ratio=0.01"];
    let Some(topic) = Topic::made("compacted", &settings) else { return };
    let producer = topic.producer(&[("linger.ms", "0")]);
    let write = |number: u32| {
        let value = number.to_string();
        let record = BaseRecord::to("compacted").key("same").payload(&value);
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
        flush(&producer);
    };
    (0..20).for_each(write);
    let deadline = Instant::now() + LONG;
    let mut last = 20;
    loop {
        // A new segment, so that the one before it may be compacted.
        write(last);
        let lines = topic.lines(&["-e"]);
        assert_eq!(lines.last(), Some(&last.to_string()), "the end is reached");
        if lines.len() < usize::try_from(last).expect("a count") {
            break;
        }
        assert!(Instant::now() < deadline, "nothing was compacted");
        last += 1;
    }
    let ended = topic.lines(&["-e", "-g", "g"]);
    assert!(!ended.is_empty() && topic.lines(&["-e", "-g", "g"]).is_empty());
}

#[test]
fn timestamps_are_the_producers_or_the_brokers() {
    let Some(topic) = Topic::named("times") else { return };
    topic.fill(0, 7..8);
    assert_eq!(topic.lines(&["-e", "-f", "%T\\n"]), ["7"]);
    assert!(topic.lines(&["-e", "-J"])[0].contains(r#""tstype":"create","ts":7,"#));
    let settings = ["message.timestamp.type=LogAppendTime"];
    let topic = Topic::made("appended", &settings).expect("a Kafka, as before");
    topic.fill(0, 7..8);
    let line = &topic.lines(&["-e", "-J"])[0];
    assert!(line.contains(r#""tstype":"logappend","ts":1"#), "{line}");
}

#[test]
fn an_offset_that_was_removed_is_an_error_and_no_jump() {
    let Some(topic) = Topic::made("removed", &[]) else { return };
    topic.fill(0, 0..10);
    assert_eq!(topic.lines(&["-e", "-g", "g", "-c", "3"]), numbers(0..3));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let json = r#"{"partitions":[{"topic":"removed","partition":0,"offset":6}],"version":1}"#;
    file.write_all(json.as_bytes()).expect("written");
    let mut tool = topic.kafka.tool("DeleteRecordsCommand");
    succeed(tool.arg("--offset-json-file").arg(file.path()));
    let ended = topic.kcons(&["-e", "-g", "g"]);
    let gone =
        "kcons: removed [0]: the group's stored offset 3 is gone, the first record left is 6\n";
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(1), gone));
    let ended = topic.kcons(&["-e", "-o", "5"]);
    let gone = "kcons: removed [0]: offset 5 is gone, the first record left is 6\n";
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(1), gone));
    assert_eq!(topic.lines(&["-e"]), numbers(6..10));
}

/// Reads lines until a mark of kind `begin` and returns it.
fn begin(kcons: &mut Live) -> String {
    loop {
        let line = kcons.line();
        if line.starts_with("\x1e{\"mark\":\"begin\"") {
            return line;
        }
    }
}

/// Reads data lines until `count` have come, or none for 200 ms; marks are left out.
fn gather(kcons: &mut Live, lines: &mut Vec<String>, count: usize) {
    while lines.len() < count {
        match kcons.line_within(Duration::from_millis(200)) {
            Some(line) if line.starts_with('\x1e') => {}
            Some(line) => lines.push(line),
            None => return,
        }
    }
}

#[test]
fn two_members_of_a_group_share_the_partitions() {
    let Some(topic) = Topic::named("shared") else { return };
    // Long ticks, so that silence is silence.
    let args = ["-g", "g", "--marks", "--tick", "60s"];
    let mut one = topic.live(&args);
    assert!(begin(&mut one).ends_with(r#""partitions":[["shared",0],["shared",1],["shared",2]]}"#));
    let mut two = topic.live(&args);
    assert!(begin(&mut two).contains("\"partitions\":[[\"shared\","));
    assert!(begin(&mut one).contains("\"partitions\":[[\"shared\","));
    (0..3_i32).for_each(|partition| {
        let start = 100 * partition.unsigned_abs();
        topic.fill(partition, start..start + 100);
    });
    let (mut of_one, mut of_two) = (Vec::new(), Vec::new());
    let deadline = Instant::now() + LONG;
    while of_one.len() + of_two.len() < 300 && Instant::now() < deadline {
        gather(&mut one, &mut of_one, 300);
        gather(&mut two, &mut of_two, 300);
    }
    let all: BTreeSet<&String> = of_one.iter().chain(&of_two).collect();
    assert_eq!((all.len(), of_one.len() + of_two.len()), (300, 300), "each once");
    assert_eq!(of_one.len().min(of_two.len()), 100, "one has one partition, one has two");
}

#[test]
fn a_partition_that_moves_is_neither_lost_nor_doubled() {
    let Some(topic) = Topic::named("moved") else { return };
    let producer = topic.producer(&[("linger.ms", "1")]);
    let mut next = 0;
    let mut more = |count| {
        (0..2).for_each(|partition| topic.send(&producer, partition, next..next + count));
        flush(&producer);
        next += count;
        next
    };
    more(500);
    let args = ["-g", "g", "--from-beginning", "-f", "%p:%s\\n"];
    let mut one = topic.live(&args);
    let first = one.line();
    more(500);
    let mut two = topic.live(&args);
    let mut lines = vec![first];
    let mut of_two = Vec::new();
    // Until the second one has a partition, there is always something new.
    while of_two.is_empty() {
        more(10);
        gather(&mut one, &mut lines, usize::MAX);
        gather(&mut two, &mut of_two, 1);
    }
    two.signal(Signal::TERM);
    let of_rest = two.end().done();
    of_two.extend(of_rest.text().lines().map(ToOwned::to_owned));
    let total = more(500);
    let wanted = 2 * usize::try_from(total).expect("a count");
    let deadline = Instant::now() + LONG;
    while lines.len() + of_two.len() < wanted && Instant::now() < deadline {
        gather(&mut one, &mut lines, wanted - of_two.len());
    }
    one.signal(Signal::TERM);
    lines.extend(one.end().done().text().lines().map(ToOwned::to_owned));
    lines.extend(of_two);
    let distinct: BTreeSet<&String> = lines.iter().collect();
    assert_eq!((distinct.len(), lines.len()), (wanted, wanted), "each once");
}

/// The offset that `group` has stored of the topic's only partition.
fn stored(topic: Topic<'_>, group: &str) -> Option<i64> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", topic.kafka.address()).set("group.id", group);
    let client: BaseConsumer = config.create().expect("a client");
    let mut list = TopicPartitionList::new();
    list.add_partition(topic.name, 0);
    let list = client.committed_offsets(list, Duration::from_secs(30)).expect("offsets");
    match list.elements()[0].offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

#[test]
fn after_kill_9_no_offset_is_ahead_of_what_stdout_accepted() {
    let Some(topic) = Topic::named("killed") else { return };
    let count: u32 = 200_000;
    let producer =
        topic.producer(&[("linger.ms", "20"), ("queue.buffering.max.messages", "400000")]);
    topic.send(&producer, 0, 0..count);
    flush(&producer);
    let mut last = (String::new(), 0);
    // Where the kill finds buffer and pipe is chance, so it is tried at several places.
    for round in 0..12 {
        let group = format!("g{round}");
        let settings = ["--from-beginning", "--commit-interval", "1ms"];
        let session = ["-X", "session.timeout.ms=6000", "-g", &group];
        let mut kcons = topic.live(&[&settings[..], &session].concat());
        // A slow reader: the pipe is full most of the time, and there are many commits.
        let mut accepted = String::new();
        for _ in 0..20 + 7 * round {
            (0..600).for_each(|_| accepted = kcons.line());
            kcons.until_it_waits();
        }
        kcons.signal_at_once(Signal::KILL);
        let rest = kcons.end();
        assert_eq!(rest.signal(), Some(9));
        let whole = &rest.text()[..rest.text().rfind('\n').unwrap_or(0)];
        let accepted: i64 = whole.lines().last().unwrap_or(&accepted).parse().expect("a number");
        let stored = stored(topic, &group).expect("something was committed");
        assert!(stored <= accepted + 1, "{stored} is stored, {accepted} was accepted last");
        last = (group, u32::try_from(stored).expect("an offset"));
    }
    let (group, stored) = last;
    let again = topic.lines(&["-g", &group, "-e"]);
    assert_eq!(again, numbers(stored..count), "nothing is missing");
}

#[test]
fn a_topic_that_is_not_there_is_named_at_once() {
    let Some(topic) = Topic::named("nosuch") else { return };
    for args in [&["-e"][..], &["-g", "g"]] {
        let start = Instant::now();
        let ended = topic.kcons(args);
        assert_eq!(ended.code(), Some(1));
        assert_eq!(ended.stderr, "kcons: nosuch: Unknown topic or partition\n");
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    }
}
