//! kprod on a real Kafka of which a broker is killed while records are on their way.

use kpipe_tests::kafka;
use kpipe_tests::run::Run;

/// Kills a broker at the first receipt, starts it again if it is the only one, and reads on.
const PIPE: &str = r#"
    seq 200000 | kprod -t t --rate 40000 --receipts | {
        read -r first
        kill -KILL "$(<"$KAFKA_RUN_DIR/broker-0.pid")"
        [[ -e $KAFKA_RUN_DIR/start-1 ]] || "$KAFKA_RUN_DIR/start-0"
        echo "$first"
        cat
    } | sort -u | wc -l
    kcons -t t -e -q | sort -n | cmp - <(seq 200000) && echo same
"#;

/// Kills one of `brokers` brokers.
fn kill_one(brokers: &str) {
    if kafka::missing() {
        return;
    }
    let run = Run::command(std::process::Command::new("kafka-run")).args(["--brokers", brokers]);
    let run = run.args(["t:3", "--", "bash", "-o", "pipefail", "-c", PIPE]);
    let ended = run.end().done();
    assert_eq!(ended.text(), "200000\nsame\n", "{}", ended.stderr);
    assert!(ended.stderr.contains("Produced 200000 records\n"), "{}", ended.stderr);
}

#[test]
fn a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing() {
    kill_one("1");
}

#[test]
fn another_leader_loses_and_doubles_nothing() {
    kill_one("3");
}
