//! kcons under epochs where brokers are away.

use std::process::Stdio;
use std::time::Instant;

use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use kpipe_tests::wait;
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

#[test]
fn a_pipe_in_which_nothing_comes_is_unfinished_when_all_brokers_stay_away() {
    let Some(kafka) = Kafka::start(&["idle:1"]) else { return };
    let mut kcons = kcons(&kafka, &["-t", "idle", "-g", "idle", "--commit-interval", "0"]);
    until(&mut kcons, "\"restored\"");
    kafka.kill(0);
    // Ticks and barriers go on for a minute.
    let deadline = Instant::now() + 3 * wait::LONG;
    while let Some(line) = kcons.line_within(wait::LONG) {
        assert!(!line.contains("\"abort\""), "it does not last: {line}");
        assert!(Instant::now() < deadline, "it waits for ever");
    }
    let ended = kcons.end();
    assert_eq!(ended.code(), Some(75), "{}", ended.stderr);
    let said = "kcons: group idle: no broker has been there for 60 s\n";
    assert!(ended.stderr.ends_with(said), "{}", ended.stderr);
}
