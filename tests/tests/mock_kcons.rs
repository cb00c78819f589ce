//! kcons on a mock broker: its forms, its marks, its ends, its offsets and its complaints.

use std::process::Command;
use std::time::{Duration, Instant};

use kpipe_tests::broker::Broker;
use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;

/// Something with a broker's address.
trait Served {
    fn address(&self) -> String;

    /// What it sets in the environment of a program.
    fn environment(&self) -> Option<(&str, &str)> {
        None
    }
}

impl Served for Broker {
    fn address(&self) -> String {
        Broker::address(self)
    }
}

/// kmock with the topic `t`, where groups form at once.
struct Kmock {
    address: String,
    _running: Live,
}

impl Kmock {
    fn with(partitions: u32) -> Kmock {
        let mut running = Live::start("kmock", ["-q", &format!("t:{partitions}")]);
        Kmock { address: running.line(), _running: running }
    }
}

impl Served for Kmock {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn environment(&self) -> Option<(&str, &str)> {
        Some(("KPIPE_MOCK", "1"))
    }
}

/// A record to be produced to the topic `t`.
type Produced<'a> = BaseRecord<'a, [u8], [u8]>;

fn kcons(broker: &impl Served, args: &[&str]) -> Run {
    Run::command(command(broker, args))
}

fn live(broker: &impl Served, args: &[&str]) -> Live {
    Live::command(command(broker, args))
}

fn command(broker: &impl Served, args: &[&str]) -> Command {
    let mut command = Command::new(kpipe_tests::bin("kcons"));
    command.args(["-b", &broker.address(), "-t", "t"]).args(args);
    command.envs(broker.environment());
    command
}

fn produce<'a>(broker: &impl Served, records: impl IntoIterator<Item = Produced<'a>>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address()).set("linger.ms", "1");
    let producer: BaseProducer = config.create().expect("a producer");
    for record in records {
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(30)).expect("acknowledged");
}

/// Values with numbers of `range` in partition `partition`.
fn fill(broker: &impl Served, partition: i32, range: std::ops::Range<u32>) {
    let values: Vec<String> = range.map(|number| number.to_string()).collect();
    let record = |value| BaseRecord::to("t").partition(partition).payload(value);
    produce(broker, values.iter().map(|value| record(value.as_bytes())));
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.flat_map(|number| [number.to_string(), "\n".to_owned()]).collect()
}

/// The marks of a stream as they stand, and `.` for every run of data lines; ticks left out.
fn marks(text: &str) -> Vec<String> {
    let mut marks = Vec::new();
    for line in text.lines() {
        match line.strip_prefix('\x1e') {
            Some(mark) if mark.starts_with("{\"mark\":\"tick\"") => {}
            Some(mark) if mark.starts_with('{') => marks.push(mark.to_owned()),
            _ if marks.last().is_some_and(|last| last == ".") => {}
            _ => marks.push(".".to_owned()),
        }
    }
    marks
}

/// kcons failed with `code` and the one line `kcons: message`, soon.
fn refused(run: Run, code: i32, message: &str) {
    // Not to be measured: the first use of a program may have to build it.
    let _ = kpipe_tests::bin("kcons");
    let start = Instant::now();
    let ended = run.end();
    assert_eq!((ended.code(), ended.stderr), (Some(code), format!("kcons: {message}\n")));
    assert!(start.elapsed() < wait::SOON, "{:?}", start.elapsed());
}

#[test]
fn everything_that_is_there_is_read_to_its_end() {
    let broker = Broker::with("t", 3);
    for partition in 0..3 {
        fill(
            &broker,
            partition,
            100 * partition.unsigned_abs()..100 + 150 * partition.unsigned_abs(),
        );
    }
    let ended = kcons(&broker, &["-e"]).end().done();
    let mut numbers: Vec<u32> =
        ended.text().lines().map(|line| line.parse().expect("a number")).collect();
    numbers.sort_unstable();
    let mut expected: Vec<u32> = (0..100).chain(100..250).chain(200..400).collect();
    expected.sort_unstable();
    assert_eq!(numbers, expected);
    assert_eq!(
        ended.stderr,
        "kcons: t: 3 partitions from beginning\nProcessed a total of 450 messages\n"
    );
}

#[test]
fn an_empty_topic_ends_at_once_and_quietly() {
    let broker = Broker::with("t", 2);
    let ended = kcons(&broker, &["-e", "-q"]).end().done();
    assert_eq!((ended.text(), ended.stderr.as_str()), ("", ""));
}

#[test]
fn places_of_o_are_offsets_of_each_partition() {
    let broker = Broker::with("t", 1);
    fill(&broker, 0, 0..10);
    let text =
        |args: &[&str]| kcons(&broker, args).args(["-e", "-q"]).end().done().text().to_owned();
    assert_eq!(text(&["-o", "beginning"]), lines(0..10));
    assert_eq!(text(&["-o", "7"]), lines(7..10));
    assert_eq!(text(&["-o", "-2"]), lines(8..10));
    assert_eq!(text(&["-o", "-99"]), lines(0..10));
    assert_eq!(text(&["-o", "end"]), "");
    assert_eq!(text(&["--from-beginning", "-c", "3"]), lines(0..3));
}

#[test]
fn only_the_partitions_asked_for_are_read() {
    let broker = Broker::with("t", 3);
    (0..3).for_each(|partition| fill(&broker, partition, 0..2));
    let ended = kcons(&broker, &["-e", "-q", "-p", "2,0,0", "-f", "%p:%o\\n"]).end().done();
    let mut places: Vec<&str> = ended.text().lines().collect();
    places.sort_unstable();
    assert_eq!(places, ["0:0", "0:1", "2:0", "2:1"]);
    let ended = kcons(&broker, &["-e", "-p", "0,0"]).end().done();
    assert!(ended.stderr.starts_with("kcons: t: 1 partition from"), "{}", ended.stderr);
}

#[test]
fn bytes_come_out_as_they_are() {
    let broker = Broker::with("t", 1);
    let values: [&[u8]; 4] = [b"", b"\0\xff\r", b"\x1ex", b"two\nlines"];
    produce(&broker, values.map(|value| BaseRecord::to("t").partition(0).payload(value)));
    let ended = kcons(&broker, &["-e"]).end().done();
    assert_eq!(ended.stdout, b"\n\0\xff\r\n\x1ex\ntwo\nlines\n");
}

#[test]
fn envelopes_and_formats_tell_null_from_empty() {
    let broker = Broker::with("t", 1);
    let header = |key, value| Header { key, value };
    let headers = OwnedHeaders::new()
        .insert(header("a", Some(&b"1"[..])))
        .insert(header("a", None))
        .insert(header("b", Some(&b"\xff"[..])));
    let full = BaseRecord::to("t").key(&b"k"[..]).payload(&b"v\n"[..]).headers(headers);
    let tombstone = BaseRecord::to("t").key(&b"\xfe"[..]);
    let empty = BaseRecord::to("t").payload(&b""[..]);
    let records: [Produced<'_>; 3] = [full, tombstone, empty];
    produce(&broker, records.map(|record| record.partition(0).timestamp(1_700_000_000_123)));
    let ended = kcons(&broker, &["-e", "-q", "-J"]).end().done();
    let common = |offset| {
        format!(
            "{{\"topic\":\"t\",\"partition\":0,\"offset\":{offset},\"tstype\":\"create\",\
             \"ts\":1700000000123,"
        )
    };
    let expected = [
        r#""headers":["a","1","a",null,"b",{"b64":"/w=="}],"key":"k","payload":"v\n"}"#,
        r#""headers":[],"key_b64":"/g==","payload":null}"#,
        r#""headers":[],"key":null,"payload":""}"#,
    ];
    let expected: Vec<String> =
        expected.iter().enumerate().map(|(at, rest)| common(at) + rest).collect();
    assert_eq!(ended.text().lines().collect::<Vec<_>>(), expected);
    let ended = kcons(&broker, &["-e", "-q", "-f", "%o %K %S %T %h|\\n", "-o", "1"]).end().done();
    assert_eq!(ended.text(), "1 1 -1 1700000000123 |\n2 -1 0 1700000000123 |\n");
}

#[test]
fn a_marked_stream_says_where_its_lines_come_from_and_that_it_is_complete() {
    let broker = Broker::with("t", 2);
    fill(&broker, 0, 0..3);
    fill(&broker, 1, 0..3);
    let ended = kcons(&broker, &["-e", "-q", "--marks", "--tick", "250ms"]).end().done();
    let first = "\x1e{\"kpipe\":1,\"mark\":\"open\",\"epochs\":false,\"tick_ms\":250,\
                 \"stages\":[]}\n\x1e{\"mark\":\"tick\",\"ms\":";
    assert!(ended.text().starts_with(first), "{}", ended.text());
    let all = marks(ended.text());
    assert_eq!(all[1], r#"{"mark":"begin","group":null,"partitions":[["t",0],["t",1]]}"#);
    assert_eq!(all.last().map(String::as_str), Some(r#"{"mark":"end","how":"drained"}"#));
    for partition in 0..2 {
        let from = format!(r#"{{"mark":"from","at":["t",{partition}],"offset":0}}"#);
        let from = all.iter().position(|mark| *mark == from).expect("a from");
        let idle = format!(r#"{{"mark":"idle","at":["t",{partition}]}}"#);
        let idle = all.iter().position(|mark| *mark == idle).expect("an idle");
        assert_eq!((all[from + 1].as_str(), from < idle), (".", true));
    }
    assert_eq!(all.iter().filter(|mark| *mark == ".").count(), 2);
}

#[test]
fn ticks_are_multiples_and_go_on_while_it_is_quiet() {
    let broker = Broker::with("t", 1);
    let mut kcons = live(&broker, &["-q", "--marks", "--tick", "20ms"]);
    let mut ticks = Vec::new();
    while ticks.len() < 5 {
        let line = kcons.line();
        if let Some(ms) = line.strip_prefix("\x1e{\"mark\":\"tick\",\"ms\":") {
            ticks.push(ms.trim_end_matches('}').parse::<u64>().expect("milliseconds"));
        }
    }
    assert!(ticks.is_sorted_by(|one, next| one < next) && ticks.iter().all(|ms| ms % 20 == 0));
    kcons.signal(Signal::TERM);
    let ended = kcons.end().done();
    assert!(ended.text().ends_with("\x1e{\"mark\":\"end\",\"how\":\"stopped\"}\n"));
}

#[test]
fn a_partition_is_idle_when_it_is_silent_and_its_next_line_says_from_again() {
    let broker = Broker::with("t", 1);
    let mut kcons = live(&broker, &["-q", "--marks"]);
    let mut next = |start: &str| {
        let start = format!("\x1e{{\"mark\":\"{start}\"");
        while !kcons.line().starts_with(&start) {}
    };
    next("begin");
    next("idle");
    fill(&broker, 0, 0..1);
    next("from");
    next("idle");
}

#[test]
fn data_that_looks_like_a_mark_is_stuffed_and_a_newline_is_refused() {
    let broker = Broker::with("t", 1);
    let record = |value: &'static [u8]| BaseRecord::to("t").partition(0).payload(value);
    produce(&broker, [record(b"\x1e{\"mark\":\"end\"}"), record(b"a\nb")]);
    let ended = kcons(&broker, &["-e", "-q", "--marks"]).end();
    assert_eq!(ended.code(), Some(1));
    assert!(ended.text().contains("\n\x1e\x1e{\"mark\":\"end\"}\n"), "{}", ended.text());
    let reason = "kcons: t [0] offset 1: holds a newline, which no line can; use -J\n";
    assert_eq!(ended.stderr, reason);
    let _ = kcons_json(&broker).done();
}

fn kcons_json(broker: &impl Served) -> Ended {
    kcons(broker, &["-e", "-q", "--marks", "-J"]).end()
}

#[test]
fn a_line_is_there_at_once() {
    let broker = Broker::with("t", 1);
    let mut kcons = live(&broker, &["-q", "--from-beginning"]);
    let mut next = 0;
    wait::fast("a line is not polled for", Duration::from_millis(400), || {
        fill(&broker, 0, next..next + 1);
        assert_eq!(kcons.line(), next.to_string());
        next += 1;
    });
}

#[test]
fn a_group_goes_on_behind_the_last_line_that_was_written() {
    let broker = Kmock::with(1);
    fill(&broker, 0, 0..10);
    let run = |args: &[&str]| kcons(&broker, args).args(["-g", "g"]).end().done();
    let first = run(&["-e", "-c", "4"]);
    assert_eq!(first.text(), lines(0..4));
    assert!(first.stderr.starts_with("kcons: t: 1 partition from beginning\n"));
    let second = run(&["-e"]);
    assert_eq!(second.text(), lines(4..10));
    assert!(second.stderr.starts_with("kcons: t: 1 partition from stored offsets\n"));
    assert_eq!(run(&["-e", "-q", "--from-beginning"]).text(), "");
}

#[test]
fn offsets_are_not_committed_when_not_wanted() {
    let broker = Kmock::with(1);
    fill(&broker, 0, 0..3);
    for args in [&["--commit-interval", "0"][..], &["-X", "enable.auto.commit=false"]] {
        let ended = kcons(&broker, &["-e", "-q", "-g", "g"]).args(args).end().done();
        assert_eq!(ended.text(), lines(0..3));
    }
}

#[test]
fn a_group_keeps_where_it_began_also_when_it_is_killed() {
    let broker = Kmock::with(1);
    fill(&broker, 0, 0..3);
    let args = ["-q", "-g", "g", "--marks", "--tick", "20ms"];
    let mut first = live(&broker, &args);
    while !first.line().starts_with("\x1e{\"mark\":\"begin\"") {}
    while !first.line().starts_with("\x1e{\"mark\":\"idle\"") {}
    first.signal_at_once(Signal::KILL);
    let _ = first.end();
    fill(&broker, 0, 3..5);
    assert_eq!(kcons(&broker, &["-q", "-g", "g", "-e"]).end().done().text(), lines(3..5));
}

#[test]
fn a_fatal_error_says_what_it_is() {
    let broker = Broker::with("t", 1);
    let fenced = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID];
    broker.cluster().request_errors(RDKafkaApiKey::Heartbeat, &fenced);
    let reason = "group g: another member has taken our --instance: each copy needs one of its own";
    refused(kcons(&broker, &["-q", "-g", "g", "-X", "group.instance.id=i"]), 1, reason);
}

#[test]
fn the_first_signal_stops_and_commits() {
    let broker = Kmock::with(1);
    fill(&broker, 0, 0..5);
    let args = ["-q", "-g", "g", "--from-beginning"];
    let mut first = live(&broker, &args);
    (0..5).for_each(|number| assert_eq!(first.line(), number.to_string()));
    first.signal(Signal::INT);
    let _ = first.end().done();
    fill(&broker, 0, 5..7);
    assert_eq!(kcons(&broker, &args).arg("-e").end().done().text(), lines(5..7));
}

#[test]
fn a_closed_stdout_is_no_error_and_commits_nothing_more() {
    let broker = Kmock::with(1);
    fill(&broker, 0, 0..50_000);
    let mut first = live(&broker, &["-q", "-g", "g", "--from-beginning"]);
    assert_eq!(first.line(), "0");
    first.close_stdout();
    let ended = first.end().done();
    assert_eq!(ended.stderr, "");
    let again = kcons(&broker, &["-q", "-g", "g", "-e"]).end().done();
    assert!(again.text().starts_with("0\n"), "the last commit was left out");
}

#[test]
fn silence_ends_it_after_the_timeout() {
    let broker = Broker::with("t", 1);
    fill(&broker, 0, 0..2);
    let ended = kcons(&broker, &["-q", "--from-beginning", "--timeout-ms", "3000"]).end().done();
    assert_eq!(ended.text(), lines(0..2));
}

#[test]
fn what_is_not_there_is_named() {
    let broker = Broker::with("t", 2);
    let address = broker.address();
    let other = Run::of("kcons").args(["-b", &address, "-t", "nosuch", "-e"]);
    refused(other, 1, "nosuch: Unknown topic or partition");
    refused(kcons(&broker, &["-p", "5"]), 1, "t: no partition 5, it has 2");
    let nobody = Run::of("kcons").args(["-b", "localhost:1", "-t", "t"]);
    refused(nobody, 1, "localhost:1: Connection refused");
    fill(&broker, 0, 0..1);
    let ended = kcons(&broker, &["-p", "0", "-o", "9", "-q"]).end();
    assert_eq!(ended.code(), Some(1));
    let reason = "t [0]: offset 9 is not there: removed, or never written (";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    assert!(ended.stderr.contains("Offset out of range"), "{}", ended.stderr);
    let ended = kcons(&broker, &["-p", "0", "-o", "9", "-q", "-e"]).end();
    let reason = "kcons: t [0]: offset 9 is not there, the partition ends at 1\n";
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(1), reason));
}

#[test]
fn a_topic_without_permission_is_named() {
    let broker = Broker::with("t", 1);
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    broker.cluster().topic_error("t", denied).expect("an error");
    let reason = "t: Topic authorization failed: the user needs an ACL, READ, WRITE or CREATE for \
                  the topic";
    refused(kcons(&broker, &[]), 1, reason);
    refused(kcons(&broker, &["-g", "g"]), 1, reason);
}

#[test]
fn a_partition_that_cannot_be_read_ends_the_run_or_is_said() {
    let broker = Broker::with("t", 1);
    fill(&broker, 0, 0..3);
    let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
    broker.cluster().request_errors(RDKafkaApiKey::Fetch, &denied);
    let ended = kcons(&broker, &["-e", "-q"]).end();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("kcons: t [0]: Topic authorization failed: "));
    broker.cluster().request_errors(RDKafkaApiKey::Fetch, &denied);
    let ended = kcons(&broker, &["-e", "-q", "-E"]).end().done();
    assert_eq!(ended.text(), lines(0..3), "it was denied once");
    assert!(ended.stderr.starts_with("kcons: t [0]: Topic authorization failed: "));
}

#[test]
fn epochs_are_to_be_run_again_unless_a_partition_stays_unreadable() {
    use RDKafkaRespErr::{RD_KAFKA_RESP_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR_UNKNOWN};
    let broker = Broker::with("t", 1);
    fill(&broker, 0, 0..3);
    let args = ["-q", "-g", "g", "--epoch", "1s", "-o", "beginning"];
    let passing = (RD_KAFKA_RESP_ERR_UNKNOWN, 75, "Unknown", 0);
    let damaged = (RD_KAFKA_RESP_ERR_INVALID_MSG, 1, "Invalid message", 1);
    for (error, code, said, aborts) in [passing, damaged] {
        broker.cluster().request_errors(RDKafkaApiKey::Fetch, &[error]);
        let ended = kcons(&broker, &args).end();
        assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
        let said = format!("kcons: t [0]: {said} (");
        assert!(ended.stderr.starts_with(&said), "{}", ended.stderr);
        assert_eq!(ended.text().matches("\"mark\":\"abort\"").count(), aborts);
    }
}

#[test]
fn a_broker_that_goes_away_for_a_while_is_said_once_and_costs_nothing() {
    let broker = Broker::with("t", 1);
    fill(&broker, 0, 0..2);
    let mut kcons = live(&broker, &["--from-beginning"]);
    assert_eq!((kcons.line(), kcons.line()), ("0".to_owned(), "1".to_owned()));
    broker.cluster().broker_down(1).expect("down");
    assert_eq!(kcons.line_within(Duration::from_millis(700)), None);
    broker.cluster().broker_up(1).expect("up");
    fill(&broker, 0, 2..4);
    assert_eq!((kcons.line(), kcons.line()), ("2".to_owned(), "3".to_owned()));
    kcons.signal(Signal::TERM);
    let stderr = kcons.end().done().stderr;
    let address = format!("kcons: {}: ", broker.address());
    let said: Vec<&str> = stderr.lines().filter(|line| line.starts_with(&address)).collect();
    let mut distinct = said.clone();
    distinct.dedup();
    assert!(!said.is_empty() && said.len() <= 3 && said == distinct, "{stderr}");
}

#[test]
fn wrong_options_are_refused_before_anything_is_connected() {
    let run = |args: &[&str]| Run::of("kcons").args(["-b", "localhost:1", "-t", "t"]).args(args);
    refused(run(&["-X", "foo=1"]), 2, "-X foo=1: librdkafka has no such property");
    refused(run(&["-o", "stored"]), 2, "-o stored: needs -g");
    refused(run(&["-g", ""]), 2, "-g: a group has a name");
    refused(
        run(&["-o", "soon"]),
        2,
        "--offset soon: an offset is beginning, end, stored, N, -N for the last N, s@T or e@T, or \
         a range A..B",
    );
    refused(
        run(&["-f", "%q"]),
        2,
        "--format %q: no token %q; known are %s %S %R %k %K %t %p %o %T %h %%",
    );
    let reserved = "-X enable.partition.eof: is always on";
    refused(run(&["-X", "enable.partition.eof=false"]), 2, reserved);
    let file = "-X sasl.password=…: No such file or directory";
    refused(run(&["-X", "sasl.password=@/nowhere/hunter2"]), 2, file);
}

#[test]
fn a_terminal_never_gets_the_control_bytes_of_the_data() {
    let broker = Broker::with("t", 1);
    let record = BaseRecord::to("t").partition(0).payload(&b"\x1b]0;title\x07"[..]);
    produce(&broker, [record]);
    let terminal = |args: &str| {
        let address = broker.address();
        let command = format!("kcons -b {address} -t t -e -q {args}");
        let line = format!("script -qec '{command}' /dev/null");
        Run::shell(&line).end().done().text().trim_end().to_owned()
    };
    assert_eq!(terminal(""), "\\x1b]0;title\\x07");
    assert_eq!(terminal("--raw"), "\x1b]0;title\x07");
}
