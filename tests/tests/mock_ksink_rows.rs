//! ksink on a mock broker: what fields and envelopes say of records, and dead letters.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::Command;

use kpipe_tests::broker::{Broker, Record};
use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const OPEN: &str =
    "\x1e{\"kpipe\":1,\"mark\":\"open\",\"epochs\":false,\"tick_ms\":100,\"stages\":[]}\n";
const FROM: &str = "\x1e{\"mark\":\"from\",\"at\":[\"in\",2],\"offset\":7}\n";
const TICK: &str = "\x1e{\"mark\":\"tick\",\"ms\":100}\n";
const END: &str = "\x1e{\"mark\":\"end\",\"how\":\"drained\"}\n";

fn ksink(broker: &Broker, args: &[&str]) -> Run {
    Run::of("ksink").args(["-b", &broker.address(), "-q"]).args(args)
}

/// The program failed with `code`, and a line of its stderr is `ksink: message`.
fn failed(ended: &Ended, code: i32, message: &str) {
    assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
    let line = format!("ksink: {message}");
    assert!(ended.stderr.lines().any(|one| one == line), "{line:?} is not in {}", ended.stderr);
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn header(name: &str, value: Option<&str>) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), value.map(bytes))
}

fn value_of(record: &Record, name: &str) -> Option<String> {
    let found = record.headers.iter().find(|(one, _)| one == name);
    found.and_then(|(_, value)| String::from_utf8(value.clone()?).ok())
}

fn dead_in(folder: &tempfile::TempDir) -> String {
    folder.path().join("dead").display().to_string()
}

#[test]
fn fields_become_key_headers_and_time_and_stay_in_the_row() {
    let broker = Broker::with("t", 1);
    let args = ["-t", "t", "--key-field", "user", "--header-field", "page,user"];
    let rows = "{\"at\":1700000000123,\"user\":\"ann\",\"page\":\"p1\"}\n\
                {\"at\":\"2023-11-14T22:13:20Z\",\"page\":\"p2\"}\n";
    let input = format!("{OPEN}{FROM}{rows}{END}");
    let run = ksink(&broker, &args).args(["--timestamp-field", "at", "--tee"]).input(input);
    assert_eq!(run.end().done().text(), rows);
    let [first, second] = &broker.records("t")[..] else { panic!("two records") };
    assert_eq!((first.key.clone(), first.timestamp), (Some(bytes("ann")), Some(1_700_000_000_123)));
    assert_eq!(first.headers, [header("page", Some("p1")), header("user", Some("ann"))]);
    assert_eq!(first.value.as_deref(), rows.lines().next().map(str::as_bytes));
    // A NULL is no key, and a header without a value.
    assert_eq!((second.key.clone(), second.timestamp), (None, Some(1_700_000_000_000)));
    assert_eq!(second.headers, [header("page", Some("p2")), header("user", None)]);
}

#[test]
fn rows_go_to_the_topics_that_they_name() {
    let broker = Broker::with("t", 1);
    for topic in ["error", "info"] {
        broker.cluster().create_topic(topic, 1, 1).expect("a topic");
    }
    let levels = ["error", "info", "", "t"];
    let rows: Vec<_> =
        (0..5_000).map(|row: usize| format!("{},{row}\n", levels[row % 4])).collect();
    let args = ["-t", "t", "--topic-field", "$1", "--tee"];
    let ended = ksink(&broker, &args).input(rows.concat()).end().done();
    assert_eq!(ended.text(), rows.concat());
    for (topic, of_it) in [("error", vec![0]), ("info", vec![1]), ("t", vec![2, 3])] {
        let expected = rows.iter().enumerate().filter(|(row, _)| of_it.contains(&(row % 4)));
        let expected: Vec<_> = expected.map(|(_, row)| row.trim().as_bytes()).collect();
        assert!(broker.values(topic) == expected, "{topic}");
    }
    let ended = ksink(&broker, &["--topic-field", "level", "-i", "csv"]);
    let _ = ended.input("n,level\n1,info\n").end().done();
    assert_eq!(broker.values("info").last().map(Vec::as_slice), Some(&b"1,info"[..]));
}

#[test]
fn a_row_without_what_is_asked_of_it_ends_the_run_and_is_named() {
    let broker = Broker::with("t", 1);
    let time = ["-t", "t", "--timestamp-field", "at"];
    for (row, reason) in [
        ("{\"at\":\"soon\"}", "not a time: soon"),
        ("{\"n\":1}", "not a time: NULL"),
        ("{\"at\":0}", "not a time of a record: 0 ms since 1970"),
    ] {
        let input = format!("{{\"at\":1}}\n{row}\n{{\"at\":2}}\n");
        failed(&ksink(&broker, &time).input(input).end(), 1, &format!("line 2: {reason}"));
    }
    assert_eq!(broker.values("t"), [b"{\"at\":1}"; 3]);
    let topic = ["--topic-field", "to"];
    let run = ksink(&broker, &topic).input("{\"to\":\"t\"}\n{\"n\":1}\n");
    failed(&run.end(), 1, "line 2: it names no topic");
    let ended = ksink(&broker, &topic).input("{\"to\":\"a b\"}\n").end();
    let reason = "\"a b\" is no topic: the name of a topic has 1 to 249 letters, digits, '.', '_' \
                  and '-'";
    failed(&ended, 1, &format!("line 1: {reason}"));
    let text = ["-t", "t", "--topic-field", "to"];
    let ended = ksink(&broker, &text).input("a,b\n").end();
    assert_eq!(ended.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("ksink: --topic-field: "), "{}", ended.stderr);
}

#[test]
fn a_topic_that_is_not_there_is_named_with_the_first_of_its_lines() {
    let broker = Broker::with("t", 1);
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    broker.cluster().topic_error("gone", unknown).expect("a fault");
    let rows = "t,1\ngone,2\nt,3\n";
    let args = ["--topic-field", "$1"];
    let ended = ksink(&broker, &args).input(rows).end();
    let reason = "gone: Unknown topic or partition";
    failed(&ended, 1, &format!("line 2: {reason}"));
    assert_eq!(broker.values("t"), [b"t,1"]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = dead_in(&folder);
    let rows = "t,1\ngone,2\nt,3\ngone,4\n";
    let ended = ksink(&broker, &args).args(["--dead-letter", &path]).input(rows).end();
    failed(&ended, 1, &format!("<stdin>: 2 records were not produced: they are in {path}"));
    assert_eq!(broker.values("t"), [b"t,1", b"t,1", b"t,3"]);
    let letters = fs::read_to_string(path).expect("letters");
    let letter =
        |line, row| format!("{{\"line\":{line},\"reason\":\"{reason}\",\"row_b64\":{row}}}\n");
    assert_eq!(letters, letter(2, "\"Z29uZSwy\"") + &letter(4, "\"Z29uZSw0\""));
}

#[test]
fn envelopes_become_the_records_that_they_were() {
    let broker = Broker::with("t", 1);
    broker.cluster().create_topic("u", 1, 1).expect("a topic");
    let envelope = |topic: &str| {
        format!(
            "{{\"topic\":\"{topic}\",\"partition\":0,\"ts\":17,\"headers\":[\"a\",null],\
             \"key\":\"\",\"payload_b64\":\"/wA=\"}}\n"
        )
    };
    let input = envelope("t") + &envelope("u");
    let ended = ksink(&broker, &["-J", "--tee"]).input(&input).end().done();
    assert_eq!(ended.text(), input);
    let _ = ksink(&broker, &["-J", "-t", "u"]).input(envelope("t")).end().done();
    let records = [broker.records("t"), broker.records("u")];
    assert_eq!(records.each_ref().map(Vec::len), [1, 2]);
    for record in records.concat() {
        assert_eq!((record.key, record.value), (Some(bytes("")), Some(b"\xff\0".to_vec())));
        assert_eq!((record.timestamp, record.headers), (Some(17), vec![header("a", None)]));
    }
    let ended = ksink(&broker, &["-J"]).input(envelope("t") + "{\"payload\":\"x\"}\n").end();
    failed(&ended, 1, "line 2: it names no topic");
    // A line may be longer than a record, when its record is not.
    let input = format!("{{\"payload\":\"{}\"}}\n", "\\u0001".repeat(900_000));
    let _ = ksink(&broker, &["-J", "-t", "t"]).input(input).end().done();
    assert_eq!(broker.values("t").last(), Some(&vec![1; 900_000]));
}

#[test]
fn dead_letters_say_where_the_row_came_from_and_are_added_to_the_file() {
    let broker = Broker::with("t", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let dead = dead_in(&folder);
    let args = ["-t", "t", "-K", ":", "--tee", "--dead-letter", &dead];
    let long = "x".repeat(2_000);
    let input = format!("{OPEN}a\n{FROM}k:1\n{TICK}b\n{long}\nc\n{END}");
    let limit = ["-X", "message.max.bytes=1000"];
    let ended = ksink(&broker, &args).args(limit).input(input).end();
    failed(&ended, 1, &format!("t: 4 records were not produced: they are in {dead}"));
    assert_eq!((ended.text(), ended.stderr.lines().count()), ("k:1\n", 1));
    let ended = ksink(&broker, &args).input("d\n").end();
    failed(&ended, 1, &format!("t: 1 records were not produced: they are in {dead}"));
    let none = "\"reason\":\"there is no key separator\"";
    let at = |offset| format!("\"topic\":\"in\",\"partition\":2,\"offset\":{offset}");
    let head = format!("{}eA==", "eHh4".repeat(21));
    let expected = [
        format!("{{\"line\":2,{none},\"row_b64\":\"YQ==\"}}\n"),
        format!("{{\"line\":6,{none},{},\"row_b64\":\"Yg==\"}}\n", at(8)),
        format!(
            "{{\"line\":7,\"reason\":\"2000 bytes are too many for message.max.bytes=1000; here \
             are the first 64\",{},\"row_b64\":\"{head}\"}}\n",
            at(9)
        ),
        format!("{{\"line\":8,{none},{},\"row_b64\":\"Yw==\"}}\n", at(10)),
        format!("{{\"line\":1,{none},\"row_b64\":\"ZA==\"}}\n"),
    ];
    let mut letters: Vec<_> = fs::read_to_string(&dead)
        .expect("letters")
        .split_inclusive('\n')
        .map(ToOwned::to_owned)
        .collect();
    // The line that is too long is known to be so before those that came with it are looked at.
    letters.sort_by_key(|letter| expected.iter().position(|one| one == letter));
    assert_eq!(letters, expected);
    let full = ["-t", "t", "-K", ":", "--dead-letter", "/dev/full"];
    let ended = ksink(&broker, &full).input("x\nk:2\n").end();
    failed(&ended, 1, "/dev/full: No space left on device");
    let none = ["-t", "t", "--dead-letter", "/no/such/folder/dead"];
    let ended = ksink(&broker, &none).input("x\n").end();
    failed(&ended, 1, "/no/such/folder/dead: No such file or directory");
}

#[test]
fn dead_letters_may_be_records_with_all_that_is_known_in_headers() {
    let broker = Broker::with("t", 1);
    broker.cluster().create_topic("dead", 1, 1).expect("a topic");
    let args = ["-t", "t", "--timestamp-field", "$1", "--dead-letter", "topic:dead"];
    let big = format!("1,{}", "x".repeat(999_995));
    let input = format!("{OPEN}{FROM}soon,\u{ff}\n1,a\n{big}\n2,b\n{END}");
    let ended = ksink(&broker, &args).input(input).end();
    failed(&ended, 1, "t: 2 records were not produced: they are in topic dead");
    assert_eq!(broker.values("t"), [b"1,a", b"2,b"]);
    let [first, second] = &broker.records("dead")[..] else { panic!("two records") };
    assert_eq!((first.key.clone(), first.value.clone()), (None, Some(bytes("soon,\u{ff}"))));
    let about = [("reason", "not a time: soon"), ("line", "3"), ("topic", "in")];
    let about = about.into_iter().chain([("partition", "2"), ("offset", "7")]);
    let about: Vec<_> = about.map(|(name, value)| header(name, Some(value))).collect();
    assert_eq!(first.headers, about);
    assert_eq!(second.value.as_deref(), Some(&big.as_bytes()[..1_024]));
    let reason = "999997 bytes and their framing are too many for message.max.bytes=1000000; here \
                  are the first 1024";
    assert_eq!(value_of(second, "reason").as_deref(), Some(reason));
    assert_eq!(value_of(second, "offset").as_deref(), Some("9"));
}

#[test]
fn a_record_that_the_broker_refuses_is_among_the_dead_letters_while_the_pipe_is_open() {
    let broker = Broker::with("t", 1);
    broker.cluster().create_topic("dead", 1, 1).expect("a topic");
    let args = ["-b", &broker.address(), "-t", "t", "--tee", "--dead-letter", "topic:dead"];
    let mut ksink = Live::start("ksink", args);
    ksink.send("a\n");
    assert_eq!(ksink.line(), "a");
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    broker.cluster().request_errors(RDKafkaApiKey::Produce, &[error]);
    ksink.send("b\n");
    wait::until("the letter", || broker.values("dead") == [b"b"]);
    // The letter of the next one fails too: then nothing is hidden.
    broker.cluster().request_errors(RDKafkaApiKey::Produce, &[error, error]);
    ksink.send("c\n");
    let ended = ksink.end();
    let reason = "Broker failed to validate record";
    failed(&ended, 1, &format!("line 3: {reason}; its dead letter: {reason}"));
    failed(&ended, 1, "t: 2 records and 1 dead letters were not produced");
    assert_eq!((ended.text(), broker.values("dead")), ("", vec![b"b".to_vec()]));
}

#[test]
fn rows_that_a_stage_found_bad_or_late_are_dead_letters_and_no_failure() {
    let broker = Broker::with("t", 1);
    broker.cluster().create_topic("dead", 1, 1).expect("a topic");
    let folder = tempfile::tempdir().expect("a folder");
    let dead = dead_in(&folder);
    let open = OPEN.replace("false", "true");
    let bad = "\x1e{\"mark\":\"bad\",\"stage\":\"0:swin\",\"at\":[\"in\",2],\"offset\":5,\
               \"reason\":\"not a time: soon\",\"line_b64\":\"Yf8=\"}\n";
    let late = bad.replace("bad", "late").replace('5', "null");
    let late = late.replace("not a time: soon", "9 ms");
    let input = format!("{open}a\n{bad}{late}{END}");
    let args = ["-t", "t", "--no-transaction"];
    let rows = "<stdin>: 1 bad and 1 late rows of stages before";
    let ended = ksink(&broker, &args).args(["--dead-letter", &dead]).input(&input).end().done();
    assert_eq!(ended.stderr, format!("ksink: {rows}: they are in {dead}\n"));
    let letters = "{\"kind\":\"bad\",\"stage\":\"0:swin\",\"reason\":\"not a time: soon\",\
                   \"topic\":\"in\",\"partition\":2,\"offset\":5,\"row_b64\":\"Yf8=\"}\n\
                   {\"kind\":\"late\",\"stage\":\"0:swin\",\"reason\":\"9 ms\",\
                   \"topic\":\"in\",\"partition\":2,\"row_b64\":\"Yf8=\"}\n";
    assert_eq!(fs::read_to_string(&dead).expect("letters"), letters);
    let topic = ["--dead-letter", "topic:dead"];
    let _ = ksink(&broker, &args).args(topic).input(&input).end().done();
    let [first, second] = &broker.records("dead")[..] else { panic!("two records") };
    assert_eq!(first.value.as_deref(), Some(&b"a\xff"[..]));
    assert_eq!(
        ["kind", "stage", "offset"].map(|name| value_of(first, name)),
        [Some("bad".to_owned()), Some("0:swin".to_owned()), Some("5".to_owned())]
    );
    assert_eq!(
        ["kind", "offset"].map(|name| value_of(second, name)),
        [Some("late".to_owned()), None]
    );
    let ended = ksink(&broker, &args).input(&input).end().done();
    assert_eq!(ended.stderr, format!("ksink: {rows}: they are not kept (--dead-letter)\n"));
}

#[test]
fn properties_come_from_a_file_and_from_the_command_line() {
    let broker = Broker::with("t", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("client.properties");
    let text = format!("bootstrap.servers={}\nmax.request.size=1000\n", broker.address());
    fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let row = "x".repeat(2_000);
    let of_file = ["-t", "t", "-q", "--command-config", &file];
    let ended = Run::of("ksink").args(of_file).input(&row).end();
    failed(&ended, 1, "line 1: 2000 bytes are too many for message.max.bytes=1000");
    let over = ["-X", "message.max.bytes=5000"];
    let _ = Run::of("ksink").args(of_file).args(over).input(&row).end().done();
    assert_eq!(broker.values("t"), [row.as_bytes()]);
    let ended = ksink(&broker, &["-t", "t", "-X", "transactional.id=a"]).end();
    assert_eq!(ended.code(), Some(2), "{}", ended.stderr);
}

#[test]
fn a_reader_of_the_dead_letters_who_leaves_is_no_success() {
    let broker = Broker::with("t", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let dead = dead_in(&folder);
    let made = Command::new("mkfifo").arg(&dead).status().expect("it runs");
    assert!(made.success());
    let args = ["-b", &broker.address(), "-t", "t", "-K", ":", "--tee", "--dead-letter", &dead];
    let mut ksink = Live::start("ksink", args);
    // The first line says of what kind the stream is, before which nothing is opened.
    ksink.send("x\nk:1\n");
    let mut letters = BufReader::new(File::open(&dead).expect("a reader"));
    assert_eq!(ksink.line(), "k:1");
    let mut letter = String::new();
    let _ = letters.read_line(&mut letter).expect("a letter");
    assert!(letter.contains("\"row_b64\":\"eA==\""), "{letter}");
    drop(letters);
    ksink.send("y\n");
    let ended = ksink.end();
    failed(&ended, 1, "--dead-letter: its reader has left");
}

#[test]
fn a_broker_that_is_away_is_no_reason_to_put_rows_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let dead = dead_in(&folder);
    let args = ["-b", "127.0.0.1:1", "-q", "--topic-field", "$1", "--dead-letter", &dead];
    let ended = Run::of("ksink").args(args).input("t,1\nu,2\n").end();
    failed(&ended, 1, "127.0.0.1:1: Connection refused");
    assert_eq!(fs::read_to_string(&dead).expect("letters"), "");
}
