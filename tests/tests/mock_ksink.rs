//! ksink on a mock broker: plain and marked streams, their ends, and --tee.

use std::process::Command;
use std::thread;
use std::time::Duration;

use kpipe_tests::broker::Broker;
use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;

const OPEN: &str =
    "\x1e{\"kpipe\":1,\"mark\":\"open\",\"epochs\":false,\"tick_ms\":100,\"stages\":[]}\n";
const END: &str = "\x1e{\"mark\":\"end\",\"how\":\"drained\"}\n";
const PROMISE: &str = "ksink: t: at least once: lines may come twice when the pipe is run again\n";

fn ksink(broker: &Broker, args: &[&str]) -> Run {
    Run::of("ksink").args(["-b", &broker.address(), "-t", "t"]).args(args)
}

fn live(broker: &Broker, args: &[&str]) -> Live {
    let address = broker.address();
    Live::start("ksink", ["-b", &address, "-t", "t"].iter().chain(args))
}

/// The program failed with `code`, and a line of its stderr is `ksink: message`.
fn failed(ended: &Ended, code: i32, message: &str) {
    assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
    let line = format!("ksink: {message}");
    assert!(ended.stderr.lines().any(|one| one == line), "{line:?} is not in {}", ended.stderr);
}

#[test]
fn lines_of_a_plain_stream_are_records() {
    let broker = Broker::with("t", 1);
    let ended = ksink(&broker, &[]).input(b"a\n\n\0\xff\n\x1e\nlast").end().done();
    assert_eq!(ended.stderr, PROMISE);
    assert_eq!(broker.values("t"), [&b"a"[..], b"", b"\0\xff", b"\x1e", b"last"]);
}

#[test]
fn it_says_nothing_when_it_is_to_be_quiet() {
    let broker = Broker::with("t", 1);
    for flag in ["-q", "--no-transaction"] {
        assert_eq!(ksink(&broker, &[flag]).input("a\n").end().done().stderr, "");
    }
}

#[test]
fn marks_are_taken_out_and_stuffing_off() {
    let broker = Broker::with("t", 1);
    let marks = "\x1e{\"mark\":\"from\",\"at\":[\"in\",0],\"offset\":7}\na\n\
                 \x1e{\"mark\":\"tick\",\"ms\":100}\n\x1e\x1e{stuffed\n\n\
                 \x1e{\"mark\":\"of a later version\"}\nb\n";
    let _ = ksink(&broker, &[]).input(format!("{OPEN}{marks}{END}")).end().done();
    assert_eq!(broker.values("t"), [&b"a"[..], b"\x1e{stuffed", b"", b"b"]);
}

#[test]
fn marks_are_lines_when_it_is_said_that_there_are_none() {
    let broker = Broker::with("t", 1);
    let _ = ksink(&broker, &["--plain"]).input(format!("{OPEN}\x1e\x1e\n")).end().done();
    assert_eq!(broker.values("t"), [OPEN.trim_end().as_bytes(), b"\x1e\x1e"]);
}

#[test]
fn a_line_is_on_its_way_while_the_pipe_stays_open() {
    let broker = Broker::with("t", 1);
    let mut ksink = live(&broker, &["--tee"]);
    ksink.send(format!("{OPEN}a\n"));
    assert_eq!(ksink.line(), "a");
    assert_eq!(broker.values("t"), [b"a"]);
    ksink.send(END);
    let _ = ksink.end().done();
}

#[test]
fn it_says_how_it_goes_while_nothing_comes() {
    let broker = Broker::with("t", 1);
    let mut ksink = live(&broker, &["-q", "--tee", "--stats", "100ms"]);
    ksink.send("a\n");
    assert_eq!(ksink.line(), "a");
    assert!(!ksink.ends_within(Duration::from_secs(1)), "its input is open");
    let ended = ksink.end().done();
    // The first ones may be before the line is acknowledged.
    let now = ",\"in\":1,\"out\":1,\"in_rate\":";
    let said = ended.stderr.lines().filter(|line| line.contains(now)).count();
    assert!((5..30).contains(&said), "{}", ended.stderr);
}

#[test]
fn a_stream_that_is_cut_short_is_unfinished_and_what_came_is_there() {
    let broker = Broker::with("t", 1);
    let ended = ksink(&broker, &["--tee"]).input(format!("{OPEN}a\nb\ntorn")).end();
    failed(
        &ended,
        75,
        "<stdin>: cut short: its end mark is missing; all that came is in the topic",
    );
    assert_eq!(ended.text(), "a\nb\n");
    assert_eq!(broker.values("t"), [b"a", b"b"]);
}

#[test]
fn an_abort_hands_its_code_on() {
    let broker = Broker::with("t", 1);
    let abort = "\x1e{\"mark\":\"abort\",\"tool\":\"swin\",\"code\":1,\"message\":\"row 7: no\"}\n";
    let ended = ksink(&broker, &[]).input(format!("{OPEN}a\n{abort}")).end();
    failed(&ended, 1, "swin failed: row 7: no");
    assert_eq!(broker.values("t"), [b"a"]);
}

#[test]
fn epochs_need_transactions_or_the_word_that_they_do_not() {
    let broker = Broker::with("t", 1);
    let open = OPEN.replace("false", "true");
    let begin = "\x1e{\"mark\":\"begin\",\"group\":\"g\",\"generation\":1,\"member\":\"m\",\
                 \"instance\":null,\"partitions\":[[\"t\",0]]}\n\
                 \x1e{\"mark\":\"restored\",\"count\":0,\"offsets\":[]}\n\
                 \x1e{\"mark\":\"from\",\"at\":[\"t\",0],\"offset\":0}\n";
    let barrier = "\x1e{\"mark\":\"barrier\",\"epoch\":1,\"lines\":1,\"group\":\"g\",\
                   \"generation\":1,\"member\":\"m\",\"instance\":null,\
                   \"offsets\":[[\"t\",0,1]]}\n";
    let input = format!("{open}{begin}a\n{barrier}{END}");
    let ended = ksink(&broker, &[]).input(&input).end();
    let reason = "is a mock broker, which has transactions in name only; --no-transaction goes \
                  without, at least once";
    failed(&ended, 2, &format!("{}: {reason}", broker.address()));
    assert_eq!(broker.values("t"), [b""; 0]);
    let ended = ksink(&broker, &[]).input(input.replace("\"g\"", "null")).end();
    assert_eq!(ended.code(), Some(2));
    assert!(ended.stderr.contains("epochs without a group"), "{}", ended.stderr);
    let _ = ksink(&broker, &["--no-transaction"]).input(&input).end().done();
    assert_eq!(broker.values("t"), [b"a"]);
}

#[test]
fn offsets_alone_are_those_of_epochs() {
    let broker = Broker::with("t", 1);
    for option in ["--offsets-only", "--state-only"] {
        let ended = Run::of("ksink").args(["-b", &broker.address(), option]).input("a\n").end();
        failed(
            &ended,
            2,
            "<stdin>: has no epochs, of which there is something to commit (kcons --epoch)",
        );
    }
}

#[test]
fn a_line_that_starts_as_a_mark_and_is_none_is_named() {
    let broker = Broker::with("t", 1);
    let ended = ksink(&broker, &[]).input(format!("{OPEN}a\n\x1eb\n{END}")).end();
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.contains("ksink: line 3: starts as a mark"), "{}", ended.stderr);
    assert_eq!(broker.values("t"), [b"a"]);
}

#[test]
fn keys_stand_before_the_separator() {
    let broker = Broker::with("t", 1);
    let ended = ksink(&broker, &["-K", "\\t"]).input("k\tv\n\tw\nx\ny\tz\n").end();
    failed(&ended, 1, "line 3: there is no key separator");
    let pairs: Vec<_> = broker.records("t").into_iter().map(|one| (one.key, one.value)).collect();
    let pair =
        |key: &str, value: &str| (Some(key.as_bytes().into()), Some(value.as_bytes().into()));
    assert_eq!(pairs, [pair("k", "v"), pair("", "w")]);
}

#[test]
fn keys_are_fields_of_the_row() {
    let broker = Broker::with("t", 1);
    let rows = "{\"page\":\"p1\",\"n\":1}\n\x1e{\"mark\":\"tick\",\"ms\":1}\n{\"page\":\"p2\"}\n";
    let args = ["--key-field", "page", "--tee"];
    let ended = ksink(&broker, &args).input(format!("{OPEN}{rows}{END}")).end().done();
    assert_eq!(ended.text(), "{\"page\":\"p1\",\"n\":1}\n{\"page\":\"p2\"}\n");
    let keys: Vec<_> = broker.records("t").into_iter().filter_map(|one| one.key).collect();
    assert_eq!(keys, [b"p1", b"p2"]);
    let csv = ["-i", "csv", "--key-field", "page", "--tee"];
    let ended = ksink(&broker, &csv).input("page,n\np3,1\n").end().done();
    assert_eq!(ended.text(), "p3,1\n");
}

#[test]
fn tee_keeps_the_order_of_the_lines_over_partitions() {
    let broker = Broker::with("t", 4);
    let line = |number: u32| format!("{}\t{number}\n", number % 7);
    let lines = (0..20_000).map(line).collect::<Vec<_>>().concat();
    let ended = ksink(&broker, &["--tee", "-K", "\\t"]).input(&lines).end().done();
    assert_eq!(ended.text(), lines);
    let records = broker.records("t");
    assert_eq!(records.len(), 20_000);
    assert!((0..4).filter(|at| records.iter().any(|one| one.partition == *at)).count() > 1);
}

#[test]
fn tee_holds_back_no_more_than_its_memory_allows_and_goes_on_when_it_may() {
    let broker = Broker::with("t", 2);
    let keys = "a\t\nb\t\nc\t\nd\t\ne\t\nf\t\n";
    let _ = ksink(&broker, &["-K", "\\t"]).input(keys).end().done();
    let key_in = |partition| {
        let records = broker.records("t");
        let record = records.into_iter().find(|one| one.partition == partition);
        let key = record.expect("a record in each partition").key.expect("a key");
        String::from_utf8(key).expect("text")
    };
    let (stalled, free) = (key_in(0), key_in(1));
    let mut command = Command::new("sh");
    command.args(["-c", "ksink -b \"$0\" -t t -q --tee -K '\\t' | wc -l", &broker.address()]);
    let mut ksink = Live::command(command);
    broker.cluster().partition_leader("t", 0, None).expect("no leader");
    let line = format!("{free}\t{}\n", "x".repeat(10 << 10));
    let lines = format!("{stalled}\t\n{}", line.repeat(15_000));
    thread::scope(|scope| {
        let sender = scope.spawn(|| ksink.send(lines));
        // Far more than what it takes to read all of it.
        wait::pass(Duration::from_secs(4));
        assert!(!sender.is_finished(), "all is read and kept");
        broker.cluster().partition_leader("t", 0, Some(1)).expect("a leader");
    });
    assert_eq!(ksink.end().done().text(), "15001\n");
}

#[test]
fn a_line_that_failed_is_named_and_not_on_stdout() {
    let broker = Broker::with("t", 1);
    let mut ksink = live(&broker, &["--tee"]);
    ksink.send("a\n");
    assert_eq!(ksink.line(), "a");
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    broker.cluster().request_errors(RDKafkaApiKey::Produce, &[error]);
    ksink.send("b\n");
    let ended = ksink.end();
    failed(&ended, 1, "line 2: Broker failed to validate record");
    failed(&ended, 1, "t: 1 records were not produced");
    assert_eq!(ended.text(), "");
    assert_eq!(broker.values("t"), [b"a"]);
}

#[test]
fn a_line_over_the_limit_is_named_and_the_rest_goes_on() {
    let broker = Broker::with("t", 1);
    let input = format!("a\n{}\nb\n", "x".repeat(1_500_000));
    let ended = ksink(&broker, &["--tee"]).input(input).end();
    failed(&ended, 1, "line 2: 1500000 bytes are too many for message.max.bytes=1000000");
    assert_eq!(ended.text(), "a\nb\n");
    assert_eq!(broker.values("t"), [b"a", b"b"]);
}

#[test]
fn a_full_disk_for_tee_is_a_failure_and_a_reader_that_leaves_is_none() {
    let broker = Broker::with("t", 1);
    let ended = ksink(&broker, &["--tee"]).stdout_at("/dev/full").input("a\n").end();
    failed(&ended, 1, "<stdout>: No space left on device");
    let mut ksink = live(&broker, &["--tee"]);
    ksink.send("b\n");
    assert_eq!(ksink.line(), "b");
    ksink.close_stdout();
    ksink.send("c\nd\n");
    let _ = ksink.end().done();
    assert_eq!(broker.values("t"), [b"a", b"b", b"c", b"d"]);
}

#[test]
fn one_signal_is_no_reason_to_lose_what_comes() {
    let broker = Broker::with("t", 1);
    let mut ksink = live(&broker, &["--tee"]);
    ksink.send("a\n");
    assert_eq!(ksink.line(), "a");
    ksink.signal(Signal::TERM);
    ksink.send("b\n");
    assert_eq!(ksink.line(), "b");
    let _ = ksink.end().done();
}
