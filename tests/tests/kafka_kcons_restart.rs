//! kcons in a group on a real Kafka that is killed while records come.

use kpipe_tests::kafka;
use kpipe_tests::run::Run;

/// Kills the broker when some records have come, and starts it again. A later member of the group
/// reads what the first one has not committed.
const PIPE: &str = r#"
    seq 200000 | kprod -t t --rate 40000 -q &
    kcons -t t -g g -o beginning -c 150000 -q | {
        for ((at = 0; at < 20000; at++)); do read -r line && echo "$line"; done
        kill -KILL "$(<"$KAFKA_RUN_DIR/broker-0.pid")"
        "$KAFKA_RUN_DIR/start-0"
        cat
    } >first
    wait
    kcons -t t -g g -e -q >second
    wc -l <first
    cat first second | sort -n | uniq | cmp - <(seq 200000) && echo whole
    cat first second | sort -n | uniq -d | wc -l
"#;

#[test]
fn a_broker_that_is_killed_and_comes_back_costs_a_group_nothing() {
    if kafka::missing() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let run = Run::command(std::process::Command::new("kafka-run")).folder(folder.path());
    let ended = run.args(["t:3", "--", "bash", "-o", "pipefail", "-c", PIPE]).end().done();
    // The last number is of those that came twice: the group's positions outlive the broker.
    assert_eq!(ended.text(), "150000\nwhole\n0\n", "{}", ended.stderr);
    let said: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with("kcons: ")).collect();
    assert!(said.iter().any(|line| line.ends_with(": Connection refused")), "{}", ended.stderr);
    assert!(said.len() < 5, "each trouble is said once: {}", ended.stderr);
}
