//! kprod on a mock broker: exact bytes, named failures, and a broker that goes away.

use std::fs;
use std::time::{Duration, Instant};

use kpipe_tests::broker::Broker;
use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;

const ACKS: [&str; 1] = ["--receipts"];

fn kprod(broker: &Broker, args: &[&str]) -> Run {
    Run::of("kprod").args(["-b", &broker.address(), "-t", "t"]).args(args)
}

fn live(broker: &Broker, args: &[&str]) -> Live {
    let address = broker.address();
    Live::start("kprod", ["-b", &address, "-t", "t"].iter().chain(args))
}

fn numbers(range: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    range.map(|number| number.to_string().into_bytes()).collect()
}

fn lines(range: std::ops::Range<u32>) -> Vec<u8> {
    numbers(range).join(&b'\n').into_iter().chain([b'\n']).collect()
}

/// The program failed with `code`, and a line of its stderr is `kprod: message`.
fn failed(ended: &Ended, code: i32, message: &str) {
    assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
    let line = format!("kprod: {message}");
    assert!(ended.stderr.lines().any(|one| one == line), "{line:?} is not in {}", ended.stderr);
}

#[test]
fn every_line_is_a_record_with_its_bytes() {
    let broker = Broker::with("t", 1);
    let input = b"a\n\n\0b\0\nc\xff\xfe\r\n\n \t\nlast";
    let ended = kprod(&broker, &[]).input(input).end().done();
    assert_eq!(ended.stderr, "Produced 7 records\n");
    let expected: [&[u8]; 7] = [b"a", b"", b"\0b\0", b"c\xff\xfe\r", b"", b" \t", b"last"];
    assert_eq!(broker.values("t"), expected);
    let records = broker.records("t");
    assert!(records.iter().all(|one| one.key.is_none() && one.headers.is_empty()));
    assert!(records.iter().all(|one| one.timestamp.is_some()));
}

#[test]
fn no_input_is_no_record() {
    let broker = Broker::with("t", 1);
    let ended = kprod(&broker, &ACKS).end().done();
    assert_eq!((ended.text(), ended.stderr.as_str()), ("", "Produced 0 records\n"));
}

#[test]
fn lines_end_as_asked() {
    let broker = Broker::with("t", 1);
    let _ = kprod(&broker, &["-0", "-q"]).input(b"a\nb\0\0c").end().done();
    let _ = kprod(&broker, &["-D", "|", "-q"]).input(b"d|e\n").end().done();
    assert_eq!(broker.values("t"), [&b"a\nb"[..], b"", b"c", b"d", b"e\n"]);
}

#[test]
fn a_line_is_on_its_way_while_the_pipe_stays_open() {
    let broker = Broker::with("t", 1);
    let mut kprod = live(&broker, &["--receipts"]);
    for offset in 0..3 {
        kprod.send("x\n");
        assert_eq!(kprod.line(), format!("t-0:{offset}"));
    }
    assert_eq!(kprod.end().done().stderr, "Produced 3 records\n");
}

#[test]
fn receipts_have_all_fields_as_json() {
    let broker = Broker::with("t", 1);
    let args = ["--receipts", "-o", "json", "-K", "\\t"];
    let ended = kprod(&broker, &args).input("key\tvalue\n").end().done();
    let start = r#"{"topic":"t","partition":0,"offset":0,"timestamp":"#;
    let end = ",\"key_bytes\":3,\"value_bytes\":5,\"line\":1}\n";
    assert!(ended.text().starts_with(start) && ended.text().ends_with(end), "{}", ended.text());
}

#[test]
fn every_record_is_there_once_although_the_broker_goes_down() {
    let broker = Broker::with("t", 1);
    let mut kprod = live(&broker, &["--receipts"]);
    kprod.send(lines(0..100));
    assert_eq!(kprod.line(), "t-0:0");
    broker.cluster().broker_down(1).expect("down");
    kprod.send(lines(100..10_000));
    // The time without a broker is what is tested.
    wait::pass(Duration::from_secs(1));
    broker.cluster().broker_up(1).expect("up");
    kprod.send(lines(10_000..10_100));
    let ended = kprod.end().done();
    assert!(ended.stderr.ends_with("Produced 10100 records\n"), "{}", ended.stderr);
    assert_eq!(ended.text().lines().count(), 10_099);
    assert_eq!(broker.values("t"), numbers(0..10_100));
}

#[test]
fn a_record_that_failed_is_named_and_the_rest_goes_on() {
    let broker = Broker::with("t", 1);
    let mut kprod = live(&broker, &["--receipts"]);
    kprod.send("a\n");
    assert_eq!(kprod.line(), "t-0:0");
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    broker.cluster().request_errors(RDKafkaApiKey::Produce, &[error]);
    kprod.send("b\n");
    let mut next = None;
    // What follows the failure has to go out in a request of its own.
    while next.is_none() {
        kprod.send("c\n");
        next = kprod.line_within(Duration::from_millis(200));
    }
    let ended = kprod.end();
    let named = |line: &str| {
        line.starts_with("kprod: line") && line.ends_with(": Broker failed to validate record")
    };
    assert!(ended.stderr.lines().any(named), "{}", ended.stderr);
    assert_eq!(ended.code(), Some(1));
    let values = broker.values("t");
    assert_eq!((&values[0][..], values.last()), (&b"a"[..], Some(&b"c".to_vec())));
    assert!(!values.contains(&b"b".to_vec()));
}

#[test]
fn a_broker_that_stays_away_is_waited_for_until_the_delivery_timeout() {
    let broker = Broker::with("t", 1);
    let mut kprod = live(&broker, &["--receipts", "--delivery-timeout", "4s"]);
    kprod.send("a\n");
    assert_eq!(kprod.line(), "t-0:0");
    broker.cluster().broker_down(1).expect("down");
    kprod.send("b\nc\n");
    let ended = kprod.end();
    failed(&ended, 1, "lines 2 to 3: Message timed out");
    failed(&ended, 1, "t: 2 records were not produced");
    assert!(ended.stderr.contains("Produced 1 records\n"), "{}", ended.stderr);
}

#[test]
fn a_line_over_the_limit_is_named_with_its_size() {
    let broker = Broker::with("t", 1);
    let long = vec![b'x'; 10 << 20];
    let input = [b"a\n", &long[..], b"\nb\n"].concat();
    let ended = kprod(&broker, &[]).input(&input).end();
    failed(&ended, 1, "line 2: 10485760 bytes are too many for message.max.bytes=1000000");
    failed(&ended, 1, "t: 1 records were not produced");
    assert_eq!(broker.values("t"), [b"a", b"b"]);
    let raised = ["-X", "message.max.bytes=20000000", "--receipts"];
    assert_eq!(kprod(&broker, &raised).input(&input).end().done().text().lines().count(), 3);
}

#[test]
fn a_full_queue_waits_and_drops_nothing() {
    let broker = Broker::with("t", 1);
    let queue = ["-X", "queue.buffering.max.messages=10"];
    let ended = kprod(&broker, &queue).input(lines(0..20_000)).end().done();
    assert_eq!(ended.stderr, "Produced 20000 records\n");
    assert_eq!(broker.values("t"), numbers(0..20_000));
    let queue = ["-X", "queue.buffering.max.kbytes=1"];
    let ended = kprod(&broker, &queue).input(format!("a\n{}\nb\n", "x".repeat(2_000))).end();
    failed(&ended, 1, "line 2: larger than queue.buffering.max.kbytes");
    assert_eq!(broker.values("t").len(), 20_002);
}

#[test]
fn a_key_that_makes_the_record_too_long_is_counted() {
    let broker = Broker::with("t", 1);
    let args = ["-K", ":", "-X", "message.max.bytes=1000"];
    let line = format!("{}:{}\nk:v\n", "k".repeat(500), "v".repeat(499));
    let ended = kprod(&broker, &args).input(line).end();
    failed(
        &ended,
        1,
        "line 1: 999 bytes and their framing are too many for message.max.bytes=1000",
    );
    assert_eq!(broker.values("t"), [b"v"]);
}

#[test]
fn files_are_read_in_order_and_named() {
    let broker = Broker::with("t", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("a"), "1\n2").expect("a file");
    fs::write(path("b"), format!("3\n{}\n", "x".repeat(2_000))).expect("a file");
    let (a, b) = (path("a"), path("b"));
    let args = ["-X", "message.max.bytes=1000", &a, "-", &b];
    let ended = kprod(&broker, &args).input("stdin\n").end();
    let name = format!("{b}: line 2: 2000 bytes are too many for message.max.bytes=1000");
    failed(&ended, 1, &name);
    assert_eq!(broker.values("t"), [&b"1"[..], b"2", b"stdin", b"3"]);
    let ended = kprod(&broker, &[&a, "/nowhere", &b]).end();
    failed(&ended, 1, "/nowhere: No such file or directory");
    assert_eq!(broker.values("t").len(), 6);
}

#[test]
fn keys_stand_before_the_separator() {
    let broker = Broker::with("t", 1);
    let input = "k:v:w\n:empty\n";
    let _ = kprod(&broker, &["-K", ":", "-q"]).input(input).end().done();
    let _ = kprod(&broker, &["-k", "same", "-q"]).input("a\n").end().done();
    let keys: Vec<_> = broker.records("t").into_iter().map(|one| (one.key, one.value)).collect();
    let pair =
        |key: &str, value: &str| (Some(key.as_bytes().into()), Some(value.as_bytes().into()));
    assert_eq!(keys, [pair("k", "v:w"), pair("", "empty"), pair("same", "a")]);
}

#[test]
fn keys_are_fields_of_the_row() {
    let broker = Broker::with("t", 1);
    let json = "{\"user\":\"ann\",\"n\":1}\n{\"user\":null,\"n\":2}\n{\"n\":3}\n";
    let _ = kprod(&broker, &["--key-field", "user"]).input(json).end().done();
    let _ = kprod(&broker, &["--key-field", "user,n"]).input(json).end().done();
    let names = ["-F", "|", "--names", "page,clicks", "--key-field", "page"];
    let _ = kprod(&broker, &names).input("p1|7\n|8").end().done();
    let key = |key: &str| Some(key.as_bytes().to_vec());
    let expected = [
        [key("ann"), None, None],
        [key("[\"ann\",1]"), key("[null,2]"), key("[null,3]")],
        [key("p1"), None, None],
    ];
    let records = broker.records("t");
    let keys: Vec<_> = records.iter().map(|one| one.key.clone()).collect();
    assert_eq!(keys, expected.concat()[..8]);
    assert_eq!(records[7].value, key("|8"));
}

#[test]
fn a_header_line_is_no_record_and_every_file_has_its_own() {
    let broker = Broker::with("t", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("a"), "user,n\nann,1\n").expect("a file");
    fs::write(path("b"), "n,user\n2,bob\n").expect("a file");
    let args = ["-i", "csv", "--key-field", "user", &path("a"), &path("b")];
    let _ = kprod(&broker, &args).end().done();
    let pairs: Vec<_> = broker.records("t").into_iter().map(|one| (one.key, one.value)).collect();
    let pair =
        |key: &str, value: &str| (Some(key.as_bytes().into()), Some(value.as_bytes().into()));
    assert_eq!(pairs, [pair("ann", "ann,1"), pair("bob", "2,bob")]);
}

#[test]
fn a_row_without_a_readable_key_ends_the_run_and_what_came_before_is_there() {
    let broker = Broker::with("t", 1);
    let ended = kprod(&broker, &["--key-field", "k"]).input("{\"k\":1}\n{\n{\"k\":2}\n").end();
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.contains("kprod: line 2: no JSON object"), "{}", ended.stderr);
    assert_eq!(broker.values("t"), [b"{\"k\":1}"]);
    let ended = kprod(&broker, &["--key-field", "user"]).input("a,b\n").end();
    assert_eq!(ended.code(), Some(2));
    assert!(ended.stderr.contains("kprod: --key-field: no column user"), "{}", ended.stderr);
    failed(&kprod(&broker, &["--names", "a"]).end(), 2, "--names: is for --key-field");
}

#[test]
fn a_line_without_separator_ends_the_run_and_what_came_before_is_there() {
    let broker = Broker::with("t", 1);
    let ended = kprod(&broker, &["-K", ":"]).input("a:1\nb:2\nc\nd:4\n").end();
    failed(&ended, 1, "line 3: there is no key separator");
    assert!(ended.stderr.contains("Produced 2 records\n"), "{}", ended.stderr);
    assert_eq!(broker.values("t"), [b"1", b"2"]);
}

#[test]
fn headers_are_on_every_record() {
    let broker = Broker::with("t", 1);
    let args = ["-H", "a=1", "-H", "a=", "-H", "none", "-p", "0"];
    let _ = kprod(&broker, &args).input("x\n\n").end().done();
    let header = |name: &str, value: Option<&str>| (name.to_owned(), value.map(Into::into));
    let expected = [header("a", Some("1")), header("a", Some("")), header("none", None)];
    let records = broker.records("t");
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|one| one.headers == expected && one.value.is_some()));
}

#[test]
fn a_partition_can_be_asked_for() {
    let broker = Broker::with("t", 4);
    let _ = kprod(&broker, &["-p", "2"]).input(lines(0..100)).end().done();
    assert!(broker.records("t").iter().all(|one| one.partition == 2));
    failed(&kprod(&broker, &["-p", "4"]).end(), 1, "t [4]: no such partition: it has 4");
}

#[test]
fn compressed_records_are_the_same() {
    let broker = Broker::with("t", 1);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let _ = kprod(&broker, &["-z", codec, "-q"]).input(lines(0..10)).end().done();
    }
    assert_eq!(broker.values("t"), [(); 5].map(|()| numbers(0..10)).concat());
}

#[test]
fn a_count_ends_the_run() {
    let broker = Broker::with("t", 1);
    let mut kprod = live(&broker, &["-n", "2", "--receipts"]);
    kprod.send("a\nb\nc\n");
    assert!(kprod.ends_within(wait::LONG));
    assert_eq!(kprod.end().done().text(), "t-0:0\nt-0:1\n");
    assert_eq!(broker.values("t"), [b"a", b"b"]);
}

#[test]
fn a_rate_is_kept() {
    let broker = Broker::with("t", 1);
    let start = Instant::now();
    let _ = kprod(&broker, &["--rate", "10"]).input(lines(0..6)).end().done();
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
    let records = broker.records("t");
    let times: Vec<_> = records.iter().filter_map(|one| one.timestamp).collect();
    assert!(times[5] - times[0] >= 490, "{times:?}");
}

#[test]
fn fewer_acknowledgements_are_said() {
    let broker = Broker::with("t", 1);
    let ended = kprod(&broker, &["-X", "acks=1"]).input("a\n").end().done();
    let said = "kprod: acks=1: not idempotent: a record may be lost, there twice or out of order\n";
    assert_eq!(ended.stderr, format!("{said}Produced 1 records\n"));
    let both = ["-X", "acks=1", "-X", "enable.idempotence=true"];
    assert_eq!(kprod(&broker, &both).end().code(), Some(2));
}

#[test]
fn a_full_disk_for_receipts_is_a_failure_and_a_reader_that_leaves_is_none() {
    let broker = Broker::with("t", 1);
    let ended = kprod(&broker, &ACKS).stdout_at("/dev/full").input(lines(0..10)).end();
    failed(&ended, 1, "<stdout>: No space left on device");
    assert_eq!(broker.values("t"), numbers(0..10));
    let mut kprod = live(&broker, &ACKS);
    kprod.send("a\n");
    assert_eq!(kprod.line(), "t-0:10");
    kprod.close_stdout();
    kprod.send(lines(0..10));
    assert_eq!(kprod.end().done().stderr, "Produced 11 records\n");
    assert_eq!(broker.values("t").len(), 21);
}

#[test]
fn a_reader_of_receipts_that_pauses_is_waited_for() {
    let broker = Broker::with("t", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lines").display().to_string();
    fs::write(&path, lines(0..100_000)).expect("a file");
    let args = ["--receipts", "--rate", "20000", "--delivery-timeout", "4s", &path];
    let kprod = live(&broker, &args);
    // The patience with the broker, which is the delivery timeout and 10 s more, is over by then.
    wait::pass(Duration::from_millis(15_500));
    let ended = kprod.end().done();
    assert_eq!(ended.stderr, "Produced 100000 records\n");
    assert_eq!(ended.text().lines().count(), 100_000);
}

#[test]
fn properties_that_hide_what_becomes_of_records_are_the_callers() {
    let broker = Broker::with("t", 1);
    for (property, reason) in [
        (
            "delivery.report.only.error=true",
            "-X delivery.report.only.error: every record needs its report",
        ),
        ("transactional.id=a", "-X transactional.id: records are written outside transactions"),
    ] {
        failed(&kprod(&broker, &["-X", property]).input("a\n").end(), 2, reason);
    }
    assert_eq!(broker.values("t"), [b""; 0]);
}

#[test]
fn a_marked_stream_is_for_ksink() {
    let broker = Broker::with("t", 1);
    let stream = "\x1e{\"kpipe\":1,\"mark\":\"open\",\"epochs\":false}\na\n";
    let ended = kprod(&broker, &[]).input(stream).end();
    failed(&ended, 2, "<stdin>: is a marked stream: use ksink");
    assert_eq!(broker.values("t"), [b""; 0]);
    let _ = kprod(&broker, &[]).input("a\n\x1e{}\n").end().done();
}

#[test]
fn one_signal_is_no_reason_to_lose_what_comes() {
    let broker = Broker::with("t", 1);
    let mut kprod = live(&broker, &ACKS);
    kprod.send("a\n");
    assert_eq!(kprod.line(), "t-0:0");
    kprod.signal(Signal::INT);
    kprod.send("b\n");
    assert_eq!(kprod.line(), "t-0:1");
    assert_eq!(kprod.end().done().stderr, "Produced 2 records\n");
}

#[test]
fn two_signals_end_it() {
    let broker = Broker::with("t", 1);
    let mut kprod = live(&broker, &ACKS);
    kprod.send("a\n");
    assert_eq!(kprod.line(), "t-0:0");
    kprod.signal(Signal::INT);
    kprod.signal_until_it_ends(Signal::INT);
    assert_eq!(kprod.end().signal(), Some(Signal::INT.as_raw()));
}

#[test]
fn an_unknown_broker_is_a_message_soon() {
    let start = Instant::now();
    let ended = Run::of("kprod").args(["-b", "127.0.0.1:1", "-t", "t"]).input("a\n").end();
    failed(&ended, 1, "127.0.0.1:1: Connection refused");
    assert!(start.elapsed() < wait::SOON, "{:?}", start.elapsed());
}

#[test]
fn an_unknown_topic_is_a_message_soon() {
    let broker = Broker::with("t", 1);
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    broker.cluster().topic_error("t", error).expect("an error");
    let start = Instant::now();
    failed(&kprod(&broker, &[]).input("a\n").end(), 1, "t: Unknown topic or partition");
    assert!(start.elapsed() < wait::SOON, "{:?}", start.elapsed());
}

#[test]
fn a_topic_that_the_broker_makes_when_it_is_used_needs_no_creation() {
    let broker = Broker::with("t", 1);
    for args in [&["-t", "new"][..], &["-t", "newer", "--create", "3:1"]] {
        let run = Run::of("kprod").args(["-b", &broker.address()]).args(args);
        assert_eq!(run.input("a\n").end().done().stderr, "Produced 1 records\n");
        assert_eq!(broker.values(args[1]), [b"a"]);
    }
}

#[test]
fn wrong_options_are_the_callers() {
    for args in [
        &["-t", "t", "-X", "no.such=1"][..],
        &["-t", "t", "--create", "3"],
        &["-t", "t", "-D", ""],
        &["-t", "t", "-K", ":", "-k", "a"],
        &["-t", "t", "--key-field", "a", "-k", "a"],
        &["-t", "t", "--key-field", "a", "-K", ":"],
        &["-t", "t", "-o", "json"],
        &["-t", "t", "-z", "rar"],
        &[],
    ] {
        let ended = Run::of("kprod").args(args).end();
        assert_eq!(ended.code(), Some(2), "{args:?}: {}", ended.stderr);
    }
}
