//! kmock: the broker that a command gets, and how they end together.

use std::time::Duration;

use kpipe_tests::live::Live;
use kpipe_tests::run::Run;
use kpipe_tests::wait;
use rustix::process::Signal;

fn kmock(args: &[&str]) -> Run {
    Run::of("kmock").args(args)
}

#[test]
fn a_command_gets_a_broker_with_its_topics() {
    let script = "seq 5 | kprod -q -t two && kcons -q -t two -e -f '%p\\n' | sort -u";
    let ended = kmock(&["one", "two:2", "--", "sh", "-c", script]).end().done();
    assert!(ended.text().lines().all(|line| line == "0" || line == "1"), "{}", ended.text());
    let said = ended.stderr.trim_end();
    let limits = ": a mock broker: in memory only, 5 MiB and 100,000 batches kept of a partition, \
                  no transactions, no TLS";
    assert!(said.starts_with("kmock: 127.0.0.1:") && said.ends_with(limits), "{said}");
}

#[test]
fn a_topic_has_the_partitions_asked_for() {
    let script = "kcons -t a,b -o end --timeout-ms 1";
    let ended = kmock(&["-q", "a", "b:12", "--", "sh", "-c", script]).end().done();
    assert!(ended.stderr.contains("a: 1 partition from end"), "{}", ended.stderr);
    assert!(ended.stderr.contains("b: 12 partitions from end"), "{}", ended.stderr);
}

#[test]
fn a_group_forms_at_once_also_the_second_time() {
    let script = "echo x | kprod -q -t a; kcons -q -t a -g g -e; kcons -q -t a -g g -e";
    // Not to be measured: the first use of a program may have to build it.
    let _ = kpipe_tests::bin("kcons");
    let what = "the mock's own delay is 3 s, and 44 s again";
    wait::fast(what, Duration::from_millis(2_500), || {
        let ended = kmock(&["-q", "a", "--", "sh", "-c", script]).end().done();
        assert_eq!(ended.text(), "x\n");
    });
}

#[test]
fn several_brokers_are_several_addresses() {
    let script = "echo $KPIPE_BROKERS | tr , '\\n' | sort -u | wc -l";
    let ended = kmock(&["-q", "--brokers", "3", "--", "sh", "-c", script]).end().done();
    assert_eq!(ended.text().trim(), "3");
}

#[test]
fn it_ends_with_the_commands_code() {
    let code = |args: &[&str]| kmock(&["-q", "--"]).args(args).end().code();
    assert_eq!(code(&["true"]), Some(0));
    assert_eq!(code(&["sh", "-c", "exit 7"]), Some(7));
    assert_eq!(code(&["sh", "-c", "kill -9 $$"]), Some(137));
    assert_eq!(code(&["/etc/passwd"]), Some(126));
    let ended = kmock(&["-q", "--", "no-such-command"]).end();
    assert_eq!(ended.code(), Some(127));
    assert_eq!(ended.stderr, "kmock: no-such-command: command not found\n");
}

#[test]
fn a_term_signal_is_passed_on_and_an_interrupt_is_waited_out() {
    let script = "trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut running = Live::start("kmock", ["-q", "--", "sh", "-c", script]);
    assert_eq!(running.line(), "ready");
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!((ended.text(), ended.code()), ("term\n", Some(5)));
}

#[test]
fn without_a_command_it_prints_the_address_and_ends_with_stdin() {
    let mut running = Live::start("kmock", ["-q", "t:2"]);
    let address = running.line();
    let ended = Run::of("kcons").args(["-b", &address, "-t", "t", "-e"]).end().done();
    assert!(ended.stderr.starts_with("kcons: t: 2 partitions"), "{}", ended.stderr);
    running.close_stdin();
    let _ = running.end().done();
}

#[test]
fn wrong_arguments_are_refused() {
    let refused = |args: &[&str], message: &str| {
        let ended = kmock(args).end();
        assert_eq!((ended.code(), ended.stderr), (Some(2), format!("kmock: {message}\n")));
    };
    refused(&["a:0"], "a:0: a topic has 1 to 9999 partitions");
    refused(&["a b"], "a b: a topic is NAME or NAME:PARTITIONS; a command comes after --");
    refused(&["-q", "a", "a", "--", "true"], "a: is given twice");
}
