//! kcons on a real Kafka: times, lists, merges, files of offsets, groups of every protocol.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait::{self, LONG, SOON};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rustix::process::Signal;
use serde_json::Value;

static KAFKA: LazyLock<Option<Kafka>> = LazyLock::new(|| {
    Kafka::start(&[
        "timed",
        "mixed:3",
        "kept:2",
        "lagging:2",
        "stuck:2",
        "moved:2",
        "gone",
        "new:2",
    ])
});

fn command(kafka: &Kafka, topic: &str, args: &[&str]) -> Command {
    let mut command = Command::new(kpipe_tests::bin("kcons"));
    command.args(["-b", kafka.address(), "-t", topic, "-q"]).args(args);
    command
}

fn kcons(kafka: &Kafka, topic: &str, args: &[&str]) -> Ended {
    Run::command(command(kafka, topic, args)).end()
}

fn lines(kafka: &Kafka, topic: &str, args: &[&str]) -> Vec<String> {
    kcons(kafka, topic, args).done().text().lines().map(ToOwned::to_owned).collect()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("milliseconds")
}

fn producer(kafka: &Kafka) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.address()).set("enable.idempotence", "true");
    config.set("linger.ms", "1").set("queue.buffering.max.messages", "1000000");
    config.create().expect("a producer")
}

/// Writes values to partitions at times, in milliseconds.
fn write(
    producer: &BaseProducer,
    topic: &str,
    records: impl IntoIterator<Item = (i32, String, i64)>,
) {
    for (partition, value, ms) in records {
        let record = BaseRecord::<[u8], str>::to(topic).partition(partition).payload(&value);
        let sent = producer.send(record.timestamp(ms));
        sent.map_err(|(error, _)| error).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(30)).expect("acknowledged");
}

fn send(kafka: &Kafka, topic: &str, records: impl IntoIterator<Item = (i32, String, i64)>) {
    write(&producer(kafka), topic, records);
}

#[test]
fn times_say_where_to_begin_and_where_to_end() {
    let Some(kafka) = &*KAFKA else { return };
    let hour = 3_600_000;
    let base = now_ms() - 10 * hour;
    send(kafka, "timed", (0..10).map(|number| (0, number.to_string(), base + number * hour)));
    let read = |from: &str, until: &str| {
        let places = [from, until].map(ToOwned::to_owned);
        let args: Vec<&str> = places.iter().flat_map(|place| ["-o", place]).collect();
        lines(kafka, "timed", &args).join(" ")
    };
    let (since, until) = (format!("s@{}", base + 3 * hour), format!("e@{}", base + 6 * hour));
    assert_eq!(read(&since, &until), "3 4 5");
    assert_eq!(read(&format!("s@{}", base + 3 * hour + 1), "e@-90m"), "4 5 6 7 8");
    assert_eq!(lines(kafka, "timed", &["-o", &format!("{since}..{until}")]).join(" "), "3 4 5");
    assert_eq!(lines(kafka, "timed", &["-e", "-o", "s@-150m"]).join(" "), "8 9");
    assert_eq!(lines(kafka, "timed", &["-e", "-o", "s@-1s"]).join(" "), "");
    assert_eq!(lines(kafka, "timed", &["-g", "g", "-o", "s@1970-01-02", "-o", &until]).len(), 6);
    let query = [format!("timed:0:{}", base + hour), format!("timed:0:{}", now_ms())];
    let query = Run::of("kcons").args(["-b", kafka.address(), "-Q", &query[0], &query[1]]);
    assert_eq!(query.end().done().text(), "timed [0] offset 1\ntimed [0] offset -1\n");
}

#[test]
fn partitions_are_merged_by_time() {
    let Some(kafka) = &*KAFKA else { return };
    let base = now_ms() - 1_000_000;
    let record = |number: i64| {
        let partition = i32::try_from(number * number % 3).expect("a partition");
        (partition, number.to_string(), base + number)
    };
    send(kafka, "mixed", (0..20_000).map(record));
    let numbers: Vec<String> = (0..20_000).map(|number: u32| number.to_string()).collect();
    assert!(lines(kafka, "mixed", &["-e", "--merge"]) == numbers);
    let all = lines(kafka, "mixed", &["-e", "--merge", "-p", "0,1", "-f", "%p %s\\n"]);
    assert_eq!(all.len(), 20_000, "partition 2 has no square");
    let some = lines(kafka, "mixed", &["-e", "--merge", "--where-value", "^1.*7$"]);
    assert!(some.is_sorted_by_key(|line| line.parse::<u32>().expect("a number")));
}

#[test]
fn offsets_in_a_file_are_as_good_as_a_groups() {
    let Some(kafka) = &*KAFKA else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("offsets");
    fs::write(&path, "").expect("a file");
    let path = path.display().to_string();
    let now = now_ms();
    send(kafka, "kept", (0..1000).map(|number| (number % 2, number.to_string(), now)));
    let args = ["--from-offsets", &path, "--write-offsets", &path, "--commit-interval", "20ms"];
    let mut all = BTreeSet::new();
    // Killed where chance will have it, it begins again behind what stdout has accepted.
    for _ in 0..3 {
        let mut kcons = Live::command(command(kafka, "kept", &[&args[..], &["-o", "0"]].concat()));
        for _ in 0..50 {
            all.insert(kcons.line());
        }
        kcons.signal_at_once(Signal::KILL);
        all.extend(kcons.end().text().lines().map(ToOwned::to_owned));
    }
    all.extend(lines(kafka, "kept", &[&args[..], &["-e"]].concat()));
    let wanted: BTreeSet<String> = (0..1000).map(|number: u32| number.to_string()).collect();
    assert_eq!(all, wanted);
    let kept = fs::read_to_string(&path).expect("the file");
    let ends: Vec<&str> = kept.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(ends, ["500", "500"], "{kept}");
}

#[test]
fn a_group_is_listed_with_its_lag() {
    let Some(kafka) = &*KAFKA else { return };
    let now = now_ms();
    send(kafka, "lagging", (0..10).map(|number| (0, number.to_string(), now)));
    assert_eq!(lines(kafka, "lagging", &["-g", "late", "--from-beginning", "-c", "4"]).len(), 4);
    let listed = Run::of("kcons").args(["-b", kafka.address(), "-L", "-J", "-g", "late"]);
    let listed: Value = serde_json::from_str(listed.end().done().text()).expect("JSON");
    let group = &listed["groups"][0];
    assert_eq!((&group["group"], &group["state"]), (&"late".into(), &"Empty".into()));
    let lag = |at: usize| group["offsets"][at]["lag"].as_i64();
    assert_eq!((lag(0), lag(1)), (Some(6), Some(0)), "{listed}");
    let text = Run::of("kcons").args(["-b", kafka.address(), "-L", "-t", "lagging"]).end().done();
    assert!(
        text.text().contains("    lagging [0] committed 4, end 10, lag 6\n"),
        "{}",
        text.text()
    );
}

/// A blocked member gives a partition to another one, and what it had not written is read twice
/// and not never.
fn give_away_while_blocked(kafka: &Kafka, group: &str, args: &[&str]) {
    let args = [&["-g", group, "--from-beginning", "-f", "%p:%s\\n"], args].concat();
    let mut one = Live::command(command(kafka, "stuck", &args));
    let mut all: Vec<String> = vec![one.line()];
    // It fills the pipe and then waits for us.
    wait::pass(Duration::from_secs(1));
    let mut two = Live::command(command(kafka, "stuck", &args));
    let start = Instant::now();
    all.push(two.line());
    assert!(start.elapsed() < SOON, "it waits for the blocked one");
    let mut distinct: BTreeSet<String> = all.into_iter().collect();
    let deadline = Instant::now() + LONG;
    while distinct.len() < 200_000 && Instant::now() < deadline {
        for member in [&mut one, &mut two] {
            while let Some(line) = member.line_within(Duration::from_millis(100)) {
                distinct.insert(line);
                if distinct.len().is_multiple_of(20_000) {
                    break;
                }
            }
        }
    }
    assert_eq!(distinct.len(), 200_000, "nothing is lost");
    for mut member in [one, two] {
        member.signal(Signal::TERM);
        let _ = member.end().done();
    }
}

#[test]
fn a_blocked_member_gives_its_partitions_away() {
    let Some(kafka) = &*KAFKA else { return };
    let now = now_ms();
    send(
        kafka,
        "stuck",
        (0..100_000)
            .flat_map(|number| (0..2).map(move |partition| (partition, number.to_string(), now))),
    );
    give_away_while_blocked(kafka, "eager", &[]);
    let sticky = ["-X", "partition.assignment.strategy=cooperative-sticky"];
    give_away_while_blocked(kafka, "sticky", &sticky);
}

/// Members of a cooperative group that come and go while records come one by one skip none.
fn come_and_go(kafka: &Kafka, topic: &str, args: &[&str]) {
    let args = [&["-g", topic, "--from-beginning", "-f", "%p:%s\\n"], args].concat();
    let producer = producer(kafka);
    let mut one = Live::command(command(kafka, topic, &args));
    let (mut seen, mut sent) = (BTreeSet::new(), 0);
    let mut step = |members: &mut [&mut Live]| {
        let value = sent.to_string();
        write(&producer, topic, (0..2).map(|partition| (partition, value.clone(), now_ms())));
        sent += 1;
        for member in members {
            while let Some(line) = member.line_within(Duration::from_millis(30)) {
                seen.insert(line);
            }
        }
        (seen.len(), 2 * sent)
    };
    let mut steps =
        |count, members: &mut [&mut Live]| (0..count).fold((0, 1), |_, _| step(members));
    steps(5, &mut [&mut one]);
    let mut two = Live::command(command(kafka, topic, &args));
    steps(60, &mut [&mut one, &mut two]);
    two.signal(Signal::TERM);
    steps(20, &mut [&mut one, &mut two]);
    let _ = two.end().done();
    let deadline = Instant::now() + LONG;
    let (mut read, mut written) = (0, 1);
    while read < written && Instant::now() < deadline {
        (read, written) = steps(1, &mut [&mut one]);
    }
    assert_eq!(read, written, "a record was skipped");
}

#[test]
fn a_change_of_a_cooperative_assignment_skips_nothing() {
    let Some(kafka) = &*KAFKA else { return };
    let sticky = ["-X", "partition.assignment.strategy=cooperative-sticky"];
    come_and_go(kafka, "moved", &sticky);
}

#[test]
fn nor_does_one_of_the_newer_protocol() {
    let Some(kafka) = &*KAFKA else { return };
    come_and_go(kafka, "new", &["--group-protocol", "consumer"]);
}

#[test]
fn records_that_retention_takes_from_a_running_reader_are_missed_aloud() {
    let Some(kafka) = &*KAFKA else { return };
    let now = now_ms();
    send(kafka, "gone", (0..50_000).map(|number| (0, format!("{number:0>1000}"), now)));
    // The reader is blocked with most of it before it.
    let mut kcons = Live::command(command(kafka, "gone", &["--from-beginning"]));
    let _ = kcons.line();
    let json = r#"{"partitions":[{"topic":"gone","partition":0,"offset":49999}],"version":1}"#;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("delete.json");
    fs::write(&file, json).expect("a file");
    let mut tool = kafka.tool("DeleteRecordsCommand");
    let deleted = tool.arg("--offset-json-file").arg(&file).output().expect("java runs");
    assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
    let ended = kcons.end();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(" is not there: removed, or never written"), "{}", ended.stderr);
}
