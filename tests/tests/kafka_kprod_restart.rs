//! kprod on a real Kafka whose broker is killed while records are on their way.

use kpipe_tests::kafka;
use kpipe_tests::run::Run;

/// Kills the broker at the first receipt, starts it again and reads on.
const PIPE: &str = r#"
    seq 200000 | kprod -t t --rate 40000 --receipts | {
        read -r first
        kill -KILL "$(<"$KAFKA_RUN_DIR/broker-0.pid")"
        "$KAFKA_RUN_DIR/start-0"
        echo "$first"
        cat
    } | sort -u | wc -l
    kcons -t t -e -q | sort -n | cmp - <(seq 200000) && echo same
"#;

#[test]
fn a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing() {
    if kafka::missing() {
        return;
    }
    let ended = Run::command(std::process::Command::new("kafka-run"));
    let ended = ended.args(["t:3", "--", "bash", "-o", "pipefail", "-c", PIPE]).end().done();
    assert_eq!(ended.text(), "200000\nsame\n", "{}", ended.stderr);
    assert!(ended.stderr.contains("Produced 200000 records\n"), "{}", ended.stderr);
}
