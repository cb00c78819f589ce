//! kprod and ksink on a real Kafka.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kpipe_tests::broker::{Record, records};
use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait::{LONG, SOON};

/// One Kafka for all tests here; it ends when they do.
static KAFKA: LazyLock<Option<Kafka>> =
    LazyLock::new(|| Kafka::start(&["ours:8", "java:8", "one:1", "many:3", "sink:1", "grows:1"]));

fn kprod(kafka: &Kafka, topic: &str, args: &[&str]) -> Run {
    Run::of("kprod").args(["-b", kafka.address(), "-t", topic]).args(args)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292 million")
}

fn failed(ended: &Ended, code: i32, message: &str) {
    assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
    let line = format!("kprod: {message}");
    assert!(ended.stderr.lines().any(|one| one.starts_with(&line)), "{}", ended.stderr);
}

fn partitions(kafka: &Kafka, topic: &str) -> usize {
    let ended = Run::command(kafka.tool("TopicCommand")).args(["--describe", "--topic", topic]);
    ended.end().done().text().lines().filter(|line| line.contains("Leader:")).count()
}

#[test]
fn a_topic_is_created_when_it_is_missing_and_left_alone_when_not() {
    let Some(kafka) = &*KAFKA else { return };
    for shape in ["3:1", "5:1"] {
        let _ = kprod(kafka, "made", &["--create", shape]).input("a\n").end().done();
    }
    assert_eq!(partitions(kafka, "made"), 3);
    assert_eq!(records(kafka.address(), "made").len(), 2);
    let ended = kprod(kafka, "unmade", &["--create", "1:9"]).input("a\n").end();
    failed(&ended, 1, "unmade: cannot be created: ");
}

#[test]
fn an_unknown_topic_is_a_message_soon() {
    let Some(kafka) = &*KAFKA else { return };
    let start = Instant::now();
    failed(&kprod(kafka, "nowhere", &[]).input("a\n").end(), 1, "nowhere: Unknown topic");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn records_have_the_time_at_which_they_were_read() {
    let Some(kafka) = &*KAFKA else { return };
    let before = now_ms();
    let _ = kprod(kafka, "one", &["-H", "a=1", "-H", "b"]).input("timed\n").end().done();
    let after = now_ms();
    let records = records(kafka.address(), "one");
    let timed = |one: &&Record| one.value.as_deref() == Some(b"timed");
    let record = records.iter().find(timed).expect("the record");
    assert!(record.timestamp.is_some_and(|ms| (before..=after).contains(&ms)), "{record:?}");
    let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    assert_eq!(record.headers, [header("a", Some(b"1")), header("b", None)]);
}

#[test]
fn keys_go_to_the_partitions_that_java_gives_them() {
    let Some(kafka) = &*KAFKA else { return };
    let keys = (0..200).map(|number| format!("key{number}")).chain(["\u{e9}\u{20ac}".into()]);
    let lines: Vec<_> = keys.map(|key| format!("{key}\tvalue of {key}\n")).collect();
    let lines = lines.concat();
    let java = Run::command(kafka.tool("ConsoleProducer"));
    let java = java.args(["--topic", "java", "--reader-property", "parse.key=true"]);
    let _ = java.env("LC_ALL", "C.UTF-8").input(&lines).end().done();
    let _ = kprod(kafka, "ours", &["-K", "\\t"]).input(&lines).end().done();
    let of = |topic: &str| {
        let one = |record: Record| (record.key, record.value, record.partition);
        let mut all: Vec<_> = records(kafka.address(), topic).into_iter().map(one).collect();
        all.sort();
        all
    };
    assert_eq!(of("ours").len(), 201);
    assert_eq!(of("ours"), of("java"));
}

#[test]
fn a_record_that_the_broker_finds_too_large_is_named() {
    let Some(kafka) = &*KAFKA else { return };
    let create = ["--create", "--topic", "small", "--config", "max.message.bytes=1000"];
    let _ = Run::command(kafka.tool("TopicCommand")).args(create).end().done();
    let ended = kprod(kafka, "small", &[]).input("x".repeat(5_000)).end();
    failed(&ended, 1, "line 1: Message size too large");
    assert_eq!(records(kafka.address(), "small"), []);
}

#[test]
fn many_records_are_there_once_and_in_the_order_of_their_partitions() {
    let Some(kafka) = &*KAFKA else { return };
    let lines: Vec<_> = (0..300_000).map(|number| format!("{number}\n")).collect();
    let lines = lines.concat();
    let ended = kprod(kafka, "many", &["--receipts"]).input(&lines).end().done();
    assert_eq!(ended.stderr, "Produced 300000 records\n");
    let mut receipts: Vec<_> = ended.text().lines().collect();
    receipts.sort_unstable();
    receipts.dedup();
    assert_eq!(receipts.len(), 300_000);
    let records = records(kafka.address(), "many");
    let number = |one: &Record| -> u32 {
        let value = one.value.clone().and_then(|value| String::from_utf8(value).ok());
        value.and_then(|value| value.parse().ok()).expect("a number")
    };
    for partition in 0..3 {
        let of_it = records.iter().filter(|one| one.partition == partition);
        assert!(of_it.map(number).is_sorted());
    }
    let mut numbers: Vec<_> = records.iter().map(number).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..300_000));
}

#[test]
fn a_topic_that_grows_while_records_come_is_used_wholly() {
    let Some(kafka) = &*KAFKA else { return };
    let refresh = ["-X", "topic.metadata.refresh.interval.ms=100", "-K", "="];
    let topic = ["-b", kafka.address(), "-t", "grows", "--receipts"];
    let mut kprod = Live::start("kprod", topic.into_iter().chain(refresh));
    // The keys of a chunk, which comes as one, would be in all of four partitions.
    let chunk: Vec<_> = (0..100).map(|number| format!("key{number}=\n")).collect();
    let mut used = || {
        kprod.send(chunk.concat());
        let partition = |receipt: String| receipt.split([':', '-']).nth(1).map(ToOwned::to_owned);
        let mut used: Vec<_> = (0..100).filter_map(|_| partition(kprod.line())).collect();
        used.sort_unstable();
        used.dedup();
        used
    };
    assert_eq!(used(), ["0"]);
    let alter = ["--alter", "--topic", "grows", "--partitions", "4"];
    let _ = Run::command(kafka.tool("TopicCommand")).args(alter).end().done();
    let deadline = Instant::now() + LONG;
    while used() != ["0", "1", "2", "3"] {
        assert!(Instant::now() < deadline, "only the first partition is used");
    }
    kprod.close_stdin();
    let _ = kprod.end().done();
}

#[test]
fn ksink_writes_a_marked_stream() {
    let Some(kafka) = &*KAFKA else { return };
    let pipe = format!(
        "kgen numbers --seed 1 -n 1000 --marks | ksink -b {} -t sink -q --tee | \
         cmp - <(kgen numbers --seed 1 -n 1000)",
        kafka.address()
    );
    let _ = Run::shell(&pipe).end().done();
    assert_eq!(records(kafka.address(), "sink").len(), 1000);
}
