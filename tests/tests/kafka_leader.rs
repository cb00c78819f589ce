//! Partitions whose leaders move while kprod writes them and kcons reads them.

use std::process::{Command, Stdio};

use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use kpipe_tests::wait;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// Lines, and how many of them a second.
const LINES: u32 = 200_000;
const RATE: u32 = 12_000;

/// The leaders of the partitions of `t`.
fn leaders(kafka: &Kafka) -> Vec<i32> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka.address()).create().expect("a client");
    let known = consumer.fetch_metadata(Some("t"), wait::LONG).expect("metadata");
    known.topics()[0].partitions().iter().map(|one| one.leader()).collect()
}

fn succeed(mut command: Command) {
    let output = command.stdin(Stdio::null()).output().expect("java");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Has every partition led by the broker behind its leader.
fn rotate(kafka: &Kafka, folder: &std::path::Path) {
    let before = leaders(kafka);
    let partitions = before.iter().zip(0..).map(|(leader, number): (_, i32)| {
        let [first, second, third] = [1, 2, 3].map(|step| (leader + step) % 3);
        format!(r#"{{"topic":"t","partition":{number},"replicas":[{first},{second},{third}]}}"#)
    });
    let plan =
        format!(r#"{{"version":1,"partitions":[{}]}}"#, partitions.collect::<Vec<_>>().join(","));
    let file = folder.join("plan");
    std::fs::write(&file, plan).expect("a file");
    let mut order = kafka.tool("reassign.ReassignPartitionsCommand");
    order.arg("--reassignment-json-file").arg(&file).arg("--execute");
    succeed(order);
    let mut election = kafka.tool("LeaderElectionCommand");
    election.args(["--election-type", "preferred", "--all-topic-partitions"]);
    succeed(election);
    wait::until("every partition has another leader", || {
        leaders(kafka).iter().zip(&before).all(|(now, before)| now != before)
    });
}

#[test]
fn leaders_that_move_cost_neither_kprod_nor_kcons_a_line() {
    let Some(kafka) = Kafka::cluster(3, &["t:3"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["-b", kafka.address(), "-t", "t"];
    let count = LINES.to_string();
    let mut reader =
        Live::start("kcons", args.into_iter().chain(["-q", "--from-beginning", "-c", &count]));
    let mut writer = Command::new("bash");
    writer.args(["-o", "pipefail", "-c", r#"seq "$3" | kprod -b "$1" -t t --rate "$2""#, "-"]);
    writer.args([kafka.address(), &RATE.to_string(), &count]);
    let writer = Live::command(writer);
    let mut seen = vec![0_u8; LINES as usize + 1];
    for number in 1..=LINES {
        let line: usize = reader.line().parse().expect("a number");
        seen[line] += 1;
        if number == 1 || number == LINES / 3 {
            rotate(&kafka, folder.path());
        }
    }
    let reader = reader.end();
    let writer = writer.end().done();
    assert!(writer.stderr.contains(&format!("Produced {LINES} records")), "{}", writer.stderr);
    assert_eq!((reader.code(), reader.stderr.as_str()), (Some(0), ""));
    assert!(seen[1..].iter().all(|count| *count == 1), "lost or doubled");
}
