//! kcons under epochs where brokers are away.

use std::process::Stdio;

use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use rustix::process::Signal;

fn kcons(kafka: &Kafka, args: &[&str]) -> Live {
    let all = ["-b", kafka.address(), "-q", "--epoch", "100ms", "-o", "beginning"];
    Live::start("kcons", [&all[..], args].concat())
}

/// Reads to the next line that holds `part`.
fn until(live: &mut Live, part: &str) {
    while !live.line().contains(part) {}
}

#[test]
fn a_signal_is_heard_while_a_partition_without_a_leader_is_asked_where_it_ends() {
    let Some(kafka) = Kafka::cluster(2, &[]) else { return };
    let mut create = kafka.tool("TopicCommand");
    create.args(["--create", "--topic", "away", "--replica-assignment", "1"]);
    let created = create.stdin(Stdio::null()).output().expect("java");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
    kafka.kill(1);
    let mut kcons = kcons(&kafka, &["-t", "away", "-g", "away", "-e"]);
    until(&mut kcons, "\"open\"");
    kcons.signal(Signal::TERM);
    // Without it, it would ask for a minute, and then be unfinished.
    until(&mut kcons, "\"stopped\"");
    let ended = kcons.end();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
}
