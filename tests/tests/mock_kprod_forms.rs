//! kprod's other inputs and outputs on a mock broker: envelopes, servers, terminals, dead letters,
//! one record at a time, and the names of Kafka's tools.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use kpipe_tests::broker::{Broker, Record};
use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

fn kprod(broker: &Broker, args: &[&str]) -> Run {
    Run::of("kprod").args(["-b", &broker.address(), "-t", "t"]).args(args)
}

/// The program failed with `code`, and a line of its stderr is `kprod: message`.
fn failed(ended: &Ended, code: i32, message: &str) {
    assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
    let line = format!("kprod: {message}");
    assert!(ended.stderr.lines().any(|one| one == line), "{line:?} is not in {}", ended.stderr);
}

/// Numbers that look drawn, the same in every run.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, limit: usize) -> usize {
        let (factor, step) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);
        self.0 = self.0.wrapping_mul(factor).wrapping_add(step);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    /// Bytes, often odd ones; none for null.
    fn bytes(&mut self) -> Option<Vec<u8>> {
        const ODD: &[u8] = b"\0\n\"\\\xff\xc3\x1e\t";
        const PLAIN: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
        match self.below(5) {
            0 => None,
            1 => Some(Vec::new()),
            2 => Some((0..self.below(20)).map(|_| ODD[self.below(ODD.len())]).collect()),
            _ => Some((0..self.below(40)).map(|_| PLAIN[self.below(PLAIN.len())]).collect()),
        }
    }
}

/// Writes odd records into `topic`.
fn fill(broker: &Broker, topic: &str, count: u64) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .create()
        .expect("a producer");
    let mut drawn = Drawn(7);
    for number in 0..count {
        let (key, value) = (drawn.bytes(), drawn.bytes());
        let mut headers = OwnedHeaders::new();
        for _ in 0..drawn.below(4) {
            let (key, value) = (["h", "g", "", "h\u{e9}"][drawn.below(4)], drawn.bytes());
            headers = headers.insert(Header { key, value: value.as_ref() });
        }
        let partition = i32::try_from(drawn.below(3)).expect("a partition");
        let timestamp = 1_700_000_000_000 + i64::try_from(number).expect("a time");
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        record = record.partition(partition).headers(headers).timestamp(timestamp);
        record.key = key.as_deref();
        record.payload = value.as_deref();
        producer.send(record).expect("a record");
    }
    producer.flush(Duration::from_secs(20)).expect("acknowledged");
}

#[test]
fn a_topic_is_copied_exactly_also_to_another_cluster() {
    let (from, to) = (Broker::with("t", 3), Broker::with("t", 3));
    fill(&from, "t", 2_000);
    let copy = format!(
        "kcons -q -e -J -b {} -t t | kprod -q -J --keep-partition -b {}",
        from.address(),
        to.address()
    );
    let _ = Run::shell(&copy).end().done();
    let copied: Vec<Record> = to.records("t");
    assert_eq!(copied.len(), 2_000);
    assert_eq!(copied, from.records("t"));
}

#[test]
fn envelopes_go_to_their_topics_and_one_that_cannot_is_named() {
    let broker = Broker::with("a", 1);
    broker.cluster().create_topic("b", 2, 1).expect("a topic");
    let line = |topic: &str, partition: i32| {
        format!("{{\"topic\":\"{topic}\",\"partition\":{partition},\"payload\":\"{topic}\"}}\n")
    };
    let input = [line("a", 0), line("b", 1), line("a", 0), line("b", 7)].concat();
    let run = Run::of("kprod").args(["-b", &broker.address(), "-J", "--keep-partition"]);
    let ended = run.args(["--receipts"]).input(input).end();
    failed(&ended, 1, "line 4: Unknown partition");
    failed(&ended, 1, "envelopes: 1 records were not produced");
    let mut receipts: Vec<_> = ended.text().lines().collect();
    receipts.sort_unstable();
    assert_eq!(receipts, ["a-0:0", "a-0:1", "b-1:0"]);
    let nowhere =
        Run::of("kprod").args(["-b", "127.0.0.1:1", "-J", "-q"]).input(line("a", 0)).end();
    assert_eq!(nowhere.stderr, "kprod: 127.0.0.1:1: Connection refused\n");
    assert_eq!(nowhere.code(), Some(1));
    let ended = kprod(&broker, &["-J"]).input("{\"headers\":[null,\"1\"]}\n").end();
    failed(&ended, 1, "line 1: the name of a header is null");
    let torn = "{\"topic\":\"a\",\"payload\":\"x";
    let ended = Run::of("kprod").args(["-b", &broker.address(), "-J"]).input(torn).end();
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.contains("kprod: line 1: no envelope"), "{}", ended.stderr);
}

#[test]
fn a_server_is_read_and_connected_to_again() {
    let broker = Broker::with("t", 1);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let source = format!("tcp://{}", listener.local_addr().expect("an address"));
    let args = ["-b", &broker.address(), "-t", "t", "--receipts", &source];
    let mut kprod = Live::start("kprod", args);
    let serve = |text: &str| -> TcpStream {
        let (mut stream, _) = listener.accept().expect("a client");
        stream.write_all(text.as_bytes()).expect("it reads");
        stream
    };
    drop(serve("a\nb\n"));
    assert_eq!([kprod.line(), kprod.line()], ["t-0:0", "t-0:1"]);
    let stream = serve("c\n");
    assert_eq!(kprod.line(), "t-0:2");
    kprod.signal(Signal::INT);
    assert!(kprod.ends_within(wait::LONG));
    drop(stream);
    let ended = kprod.end().done();
    let said = format!("kprod: {source}: the connection has ended; it is tried again\n");
    assert_eq!(ended.stderr, format!("{said}Produced 3 records\n"));
    assert_eq!(broker.values("t"), [b"a", b"b", b"c"]);
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for_and_a_count_ends_the_run() {
    let broker = Broker::with("t", 1);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let source = format!("tcp://{address}");
    let kprod = Live::start("kprod", ["-b", &broker.address(), "-t", "t", "-n", "2", &source]);
    kprod.until_it_waits();
    let listener = TcpListener::bind(address).expect("the port again");
    let (mut stream, _) = listener.accept().expect("a client");
    stream.write_all(b"a\nb\nc\n").expect("it reads");
    assert!(kprod.ends_within(wait::LONG));
    let ended = kprod.end().done();
    let said = format!("kprod: {source}: Connection refused; it is tried again\n");
    assert_eq!(ended.stderr, format!("{said}Produced 2 records\n"));
    assert_eq!(broker.values("t"), [b"a", b"b"]);
}

#[test]
fn a_broker_that_never_answers_is_a_message_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let args = ["-b", &address, "-t", "t", "-q", "--max-block-ms", "1000"];
    let ended = Run::of("kprod").args(args).input("a\n").end();
    assert_eq!(ended.stderr, format!("kprod: {address}: no answer\n"));
    assert_eq!(ended.code(), Some(1));
}

#[test]
fn a_person_is_asked_for_lines() {
    let broker = Broker::with("t", 1);
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("ours");
    unlockpt(&terminal).expect("open");
    let name = ptsname(&terminal, Vec::new()).expect("its name");
    let open = || {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).open(name.to_str().expect("text")).expect("the terminal")
    };
    let mut command = Command::new(kpipe_tests::bin("kprod"));
    command.args(["-b", &broker.address(), "-t", "t", "-q"]).stdin(open()).stdout(open());
    let mut child = command.spawn().expect("the program starts");
    drop(command);
    let mut terminal = fs::File::from(terminal);
    let mut seen = Vec::new();
    let mut until = |terminal: &mut fs::File, prompts: usize| {
        while String::from_utf8_lossy(&seen).matches('>').count() < prompts {
            assert!(wait::readable(terminal, Instant::now() + wait::LONG), "nobody is asked");
            let mut block = [0; 100];
            let bytes = terminal.read(&mut block).expect("the terminal");
            seen.extend_from_slice(&block[..bytes]);
        }
    };
    until(&mut terminal, 1);
    terminal.write_all(b"one\n").expect("typed");
    until(&mut terminal, 2);
    terminal.write_all(b"\x04").expect("typed");
    assert!(child.wait().expect("its end").success());
    assert_eq!(broker.values("t"), [b"one"]);
}

#[test]
fn what_fails_is_put_aside_and_the_rest_goes_on() {
    let broker = Broker::with("t", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let dead = folder.path().join("dead").display().to_string();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    broker.cluster().request_errors(RDKafkaApiKey::Produce, &[error]);
    let input = [&b"k:\xff\nnone\nb:2\n"[..], &[b'x'; 2_000], b"\nc:3\n"].concat();
    let args = ["-K", ":", "--dead-letter", &dead, "--sync", "-X", "message.max.bytes=1000"];
    let ended = kprod(&broker, &args).input(input).end();
    failed(&ended, 1, &format!("t: 3 records were not produced: they are in {dead}"));
    assert!(ended.stderr.contains("Produced 2 records\n"), "{}", ended.stderr);
    assert_eq!(broker.values("t"), [b"2", b"3"]);
    let long = format!("{}eA==", "eHh4".repeat(21));
    let expected = format!(
        "{{\"line\":1,\"reason\":\"Broker failed to validate record\",\"row_b64\":\"azr/\"}}\n\
         {{\"line\":2,\"reason\":\"there is no key separator\",\"row_b64\":\"bm9uZQ==\"}}\n\
         {{\"line\":4,\"reason\":\"2000 bytes are too many for message.max.bytes=1000; here are \
         the first 64\",\"row_b64\":\"{long}\"}}\n"
    );
    assert_eq!(fs::read_to_string(&dead).expect("letters"), expected);
    let ended = kprod(&broker, &["--dead-letter", "/dev/full", "-K", ":"]).input("x\n").end();
    failed(&ended, 1, "/dev/full: No space left on device");
}

#[test]
fn kcat_reads_what_kprod_wrote() {
    if Command::new("kcat").arg("-V").output().is_err() {
        return;
    }
    let broker = Broker::with("t", 1);
    let args = ["-K", "::", "-Z", "-H", "h=1", "-H", "n", "-z", "lz4"];
    let _ = kprod(&broker, &args).input("a::1\n::2\nb::\n").end().done();
    let format = "%k|%s|%S|%h|%p|%o\\n";
    let kcat = Run::shell(&format!("kcat -C -q -e -b {} -t t -f '{format}'", broker.address()));
    let expected = "a|1|1|h=1,n=NULL|0|0\n|2|1|h=1,n=NULL|0|1\nb||-1|h=1,n=NULL|0|2\n";
    assert_eq!(kcat.end().done().text(), expected);
}

#[test]
fn with_sync_a_failure_ends_the_run() {
    let broker = Broker::with("t", 1);
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    broker.cluster().request_errors(RDKafkaApiKey::Produce, &[error]);
    let ended = kprod(&broker, &["--sync"]).input("a\nb\nc\n").end();
    failed(&ended, 1, "line 1: Broker failed to validate record");
    assert_eq!(broker.values("t"), [b""; 0]);
}

#[test]
fn the_verifiable_producer_drains_after_a_signal_and_tells_of_failures() {
    let broker = Broker::with("t", 1);
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    broker.cluster().request_errors(RDKafkaApiKey::Produce, &[error]);
    let args = ["--topic", "t", "--bootstrap-server", &broker.address(), "--throughput", "20"];
    let mut kprod = Live::start("kprod", ["--verifiable"].iter().chain(&args));
    assert!(kprod.line().ends_with("\"name\":\"startup_complete\"}"));
    let error = kprod.line();
    let expected = "\"name\":\"producer_send_error\",\"key\":null,\"value\":\"0\",\"topic\":\"t\",\
                    \"exception\":\"class org.apache.kafka.common.KafkaException\",\
                    \"message\":\"Broker failed to validate record\"}";
    assert!(error.ends_with(expected), "{error}");
    assert!(
        kprod.line().contains("\"name\":\"producer_send_success\",\"key\":null,\"value\":\"1\"")
    );
    kprod.signal(Signal::TERM);
    let ended = kprod.end().done();
    let lines: Vec<_> = ended.text().lines().collect();
    let [.., shutdown, data] = lines[..] else { panic!("two lines at least") };
    assert!(shutdown.contains("shutdown_complete"), "{shutdown}");
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(
        (data["name"].as_str(), data["target_throughput"].as_i64()),
        (Some("tool_data"), Some(20))
    );
    assert_eq!(data["sent"].as_u64(), data["acked"].as_u64().map(|acked| acked + 1));
    assert_eq!(broker.values("t").len() as u64, data["acked"].as_u64().expect("a number"));
}

#[test]
fn the_names_of_kafkas_tools_have_their_defaults() {
    let broker = Broker::with("t", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let named = |name: &str| {
        let path = folder.path().join(name);
        symlink(kpipe_tests::bin("kprod"), &path).expect("a link");
        Run::command(Command::new(path)).args(["--bootstrap-server", &broker.address()])
    };
    let ended = named("kafka-console-producer").args(["--topic", "t"]).input("a\n").end().done();
    assert_eq!((ended.text(), ended.stderr.as_str()), ("", ""));
    let ended = named("kafka-verifiable-producer").args(["--topic", "t", "--max-messages", "1"]);
    assert_eq!(ended.end().done().text().lines().count(), 4);
    assert_eq!(broker.values("t"), [b"a", b"0"]);
}
