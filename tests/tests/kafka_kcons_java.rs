//! kcons beside Kafka's own console consumer, on a real Kafka: the same arguments, the same bytes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use kpipe_tests::program;
use kpipe_tests::run::{Ended, Run};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

/// Argument lists. `{tool}` is another word for each tool, `{folder}` the folder of their files.
/// Where the order of partitions is not fixed, lines are compared sorted. Timeouts before which
/// something comes are long enough for a Java on a slow machine.
const LISTS: &[&str] = &[
    "--topic all --from-beginning --max-messages 9",
    "--topic all --from-beginning --max-messages 4",
    "--topic all --from-beginning --timeout-ms 4000",
    "--topic all --timeout-ms 800",
    "--topic all --partition 0 --offset earliest --max-messages 9",
    "--topic all --partition 0 --offset 3 --max-messages 2",
    "--topic all --partition 0 --offset 7 --timeout-ms 3000",
    "--topic all --partition 0 --offset latest --timeout-ms 600",
    "--topic all --partition 0 --timeout-ms 600",
    "--topic all --partition 0 --from-beginning --max-messages 3",
    "--topic all --from-beginning --max-messages 9 --formatter-property print.key=true",
    "--topic all --from-beginning --max-messages 9 --formatter-property print.key=true \
     --formatter-property print.value=false",
    "--topic all --from-beginning --max-messages 9 --formatter-property print.value=false",
    "--topic all --from-beginning --max-messages 9 --formatter-property print.headers=true",
    "--topic all --from-beginning --max-messages 9 --formatter-property print.headers=true \
     --formatter-property headers.separator=;; --formatter-property null.literal=<none>",
    "--topic all --from-beginning --max-messages 9 --formatter-property print.timestamp=true \
     --formatter-property print.partition=true --formatter-property print.offset=true \
     --formatter-property print.delivery=true --formatter-property print.headers=true \
     --formatter-property print.key=true",
    "--topic all --from-beginning --max-messages 9 --formatter-property print.offset=TRUE \
     --formatter-property print.key=yes --formatter-property key.separator=\\t",
    "--topic all --from-beginning --max-messages 9 --formatter-property print.key=true \
     --formatter-property key.separator=|| --formatter-property line.separator=~",
    "--topic all --from-beginning --max-messages 9 --formatter-property null.literal=",
    "--topic all --from-beginning --max-messages 9 --formatter-config {folder}/formatter",
    "--topic all --from-beginning --max-messages 9 --formatter-config {folder}/formatter \
     --formatter-property print.key=false --formatter-property unknown=1",
    "--topic all --from-beginning --max-messages 9 \
     --formatter org.apache.kafka.tools.consumer.NoOpMessageFormatter",
    "--topic all --from-beginning --max-messages 9 \
     --formatter org.apache.kafka.tools.consumer.LoggingMessageFormatter",
    "--topic all --from-beginning --max-messages 9 --value-deserializer \
     org.apache.kafka.common.serialization.StringDeserializer",
    "--topic stamped --from-beginning --max-messages 2 --formatter-property print.offset=true",
    "--topic numbers --from-beginning --max-messages 4 --formatter-property print.key=true \
     --key-deserializer org.apache.kafka.common.serialization.IntegerDeserializer \
     --value-deserializer org.apache.kafka.common.serialization.LongDeserializer",
    "--topic numbers --from-beginning --max-messages 4 --formatter-property print.key=true \
     --key-deserializer org.apache.kafka.common.serialization.FloatDeserializer \
     --value-deserializer org.apache.kafka.common.serialization.DoubleDeserializer",
    "--topic numbers --from-beginning --max-messages 4 --formatter-property \
     value.deserializer=org.apache.kafka.common.serialization.LongDeserializer",
    "--topic uuids --from-beginning --max-messages 2 --value-deserializer \
     org.apache.kafka.common.serialization.UUIDDeserializer",
    "--topic switches --from-beginning --max-messages 2 --value-deserializer \
     org.apache.kafka.common.serialization.BooleanDeserializer",
    "--topic numbers --from-beginning --max-messages 4 --skip-message-on-error \
     --value-deserializer org.apache.kafka.common.serialization.ShortDeserializer",
    "--topic aborted --from-beginning --timeout-ms 3000",
    "--topic aborted --from-beginning --timeout-ms 3000 --isolation-level read_uncommitted",
    "--topic aborted --from-beginning --timeout-ms 3000 --isolation-level read_committed",
    "--topic aborted --from-beginning --timeout-ms 3000 \
     --command-property isolation.level=read_committed",
    "--topic three --from-beginning --max-messages 30",
    "--topic three --partition 1 --offset 4 --max-messages 6",
    "--include thr.+|nothing --from-beginning --max-messages 30",
    "--topic all --group {tool} --from-beginning --max-messages 3",
    "--topic all --group {tool} --from-beginning --max-messages 3",
    "--topic all --group {tool} --timeout-ms 4000",
    "--topic all --group {tool} --from-beginning --timeout-ms 1000",
    "--topic all --command-property group.id={tool}2 --command-property auto.offset.reset=earliest \
     --max-messages 9",
    "--topic all --command-config {folder}/client --max-messages 5",
    "--topic all --group {tool}3 --from-beginning --max-messages 9 --command-property \
     enable.auto.commit=false",
    "--topic all --group {tool}3 --timeout-ms 4000 --command-property group.protocol=consumer \
     --command-property auto.offset.reset=earliest",
];

/// Argument lists that Java refuses; the words of its reason are ours.
const REFUSED: &[&str] = &[
    "--topic all --include all",
    "--from-beginning",
    "--partition 0 --include all",
    "--topic all --group g --partition 0",
    "--topic all --offset 3",
    "--topic all --offset soon",
    "--topic all --partition 0 --offset soon",
    "--topic all --partition 0 --offset -3",
    "--topic all --partition 0 --offset 3 --from-beginning",
    "--topic all --from-beginning --command-property auto.offset.reset=latest",
    "--topic all --group a --command-property group.id=b",
    "--topic all --property a=b --formatter-property c=d",
    "--topic all --consumer-property a=b --command-property c=d",
    "--topic all --consumer.config {folder}/client --command-config {folder}/client",
];

/// What a run of Java's tool gave.
struct Java {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

fn hex(bytes: &[u8]) -> String {
    let digit = |byte: u8| char::from_digit(u32::from(byte), 16).expect("four bits");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

/// The words of a list for `tool`.
fn words(kafka: &Kafka, folder: &Path, list: &str, tool: &str) -> Vec<String> {
    let list = list.replace("{tool}", tool).replace("{folder}", &folder.display().to_string());
    let words = list.split(' ').filter(|word| !word.is_empty()).map(ToOwned::to_owned);
    ["--bootstrap-server", kafka.address()]
        .map(ToOwned::to_owned)
        .into_iter()
        .chain(words)
        .collect()
}

/// Starts a Java that runs all lists one after the other.
fn java(kafka: &Kafka, folder: &Path) -> Live {
    let source = program::root().join("tests/java/ConsoleConsumers.java");
    // Its log goes where it fills no pipe.
    let mut command = Command::new("bash");
    command.args(["-c", "exec java -XX:TieredStopAtLevel=1 -cp \"$0/*\" \"$1\" 2>/dev/null"]);
    command.arg(kafka.libs()).arg(source);
    let mut java = Live::command(command);
    for list in LISTS.iter().chain(REFUSED) {
        let words = words(kafka, folder, list, "java");
        let words: Vec<String> = words.iter().map(|word| hex(word.as_bytes())).collect();
        java.send(format!("{}\n", words.join(" ")));
    }
    java.close_stdin();
    java
}

fn answer(java: &mut Live) -> Java {
    let line = java.line();
    let parts: Vec<&str> = line.split(' ').collect();
    Java {
        code: parts[0].parse().expect("a code"),
        stdout: unhex(parts[1]),
        stderr: String::from_utf8_lossy(&unhex(parts[2])).into_owned(),
    }
}

/// Runs kcons by the name of Java's tool.
fn kcons(kafka: &Kafka, folder: &Path, list: &str) -> Ended {
    let name = folder.join("kafka-console-consumer");
    Run::command(Command::new(name)).args(words(kafka, folder, list, "kcons")).end()
}

/// A topic with records of every kind, and files that the lists name.
fn prepare(kafka: &Kafka, folder: &Path) {
    symlink(program::bin("kcons"), folder.join("kafka-console-consumer")).expect("a link");
    let formatter = "print.key = true\nkey.separator=\\u0020\\=>\\t\nnull.literal : nothing\n";
    fs::write(folder.join("formatter"), formatter).expect("a file");
    let client = "# of a client\nauto.offset.reset=earliest\nmax.poll.records=2\n";
    fs::write(folder.join("client"), client).expect("a file");
    fill_all(&producer(kafka, &[]));
    fill_types(&producer(kafka, &[]));
    let wait = Duration::from_secs(30);
    let transactions = producer(kafka, &[("transactional.id", "aborted")]);
    transactions.init_transactions(wait).expect("a transactional producer");
    for commits in [true, false, true] {
        transactions.begin_transaction().expect("a transaction");
        send(
            &transactions,
            BaseRecord::<str, str>::to("aborted").payload(if commits { "kept" } else { "lost" }),
        );
        if commits {
            transactions.commit_transaction(wait).expect("committed");
        } else {
            transactions.flush(wait).expect("acknowledged");
            transactions.abort_transaction(wait).expect("aborted");
        }
    }
}

fn fill_all(producer: &BaseProducer) {
    let header = |key, value| Header { key, value };
    let headers = OwnedHeaders::new()
        .insert(header("a", Some(&b"1"[..])))
        .insert(header("a", None))
        .insert(header("b", Some(&b"\xff\n"[..])));
    // Not in the past, or retention takes it while the test runs.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let ms = i64::try_from(now).expect("milliseconds");
    let to = || BaseRecord::<[u8], [u8]>::to("all").partition(0).timestamp(ms);
    for record in [
        to().key(b"key").payload(b"value"),
        to().payload(b"no key"),
        to().key(b"no value"),
        to(),
        to().key(b"").payload(b""),
        to().key(b"\xff\x00").payload(b"\x00\xfe\x80"),
        to().key("\u{e9}".as_bytes()).payload("two\nlines \u{1f600}\r".as_bytes()),
        to().key(b"h").payload(b"headers").headers(headers),
        to().payload(b"one header")
            .headers(OwnedHeaders::new().insert(header("e", Some(&b""[..])))),
    ] {
        send(producer, record);
    }
    for number in 0..30 {
        let value = number.to_string();
        send(producer, BaseRecord::<[u8], str>::to("three").partition(number % 3).payload(&value));
    }
    producer.flush(Duration::from_secs(30)).expect("acknowledged");
}

fn fill_types(producer: &BaseProducer) {
    for (key, value) in [(0, 0), (1, -1), (0x4048_f5c3, 0x4009_21fb_5444_2d18), (-2, i64::MAX)] {
        let (key, value) = (i32::to_be_bytes(key), i64::to_be_bytes(value));
        send(producer, BaseRecord::to("numbers").key(&key[..]).payload(&value[..]));
    }
    for uuid in ["123E4567-e89b-12d3-a456-426614174000", "1-2-3-4-5"] {
        send(producer, BaseRecord::<str, str>::to("uuids").payload(uuid));
    }
    for byte in [b"\x00", b"\x01"] {
        send(producer, BaseRecord::<[u8], [u8]>::to("switches").payload(byte));
        send(producer, BaseRecord::<[u8], [u8]>::to("stamped").payload(byte));
    }
    producer.flush(Duration::from_secs(30)).expect("acknowledged");
}

fn producer(kafka: &Kafka, settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.address()).set("enable.idempotence", "true");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().expect("a producer")
}

fn send<K, V>(producer: &BaseProducer, record: BaseRecord<'_, K, V>)
where
    K: rdkafka::message::ToBytes + ?Sized,
    V: rdkafka::message::ToBytes + ?Sized,
{
    producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
}

fn sorted(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

/// How the tools differ over a list that both take.
fn difference(list: &str, java: &Java, ours: &Ended) -> Option<String> {
    let total = |text: &str| {
        text.lines().find(|line| line.starts_with("Processed a total")).map(ToOwned::to_owned)
    };
    let same = if list.contains("thr") {
        sorted(&java.stdout) == sorted(&ours.stdout)
    } else {
        java.stdout == ours.stdout
    };
    let counted = total(&java.stderr) == total(&ours.stderr);
    if same && counted && (java.code, ours.code()) == (0, Some(0)) {
        return None;
    }
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Some(format!(
        "{list}\n  Java {} {:?}, {}\n  ours {:?} {:?}, {}",
        java.code,
        text(&java.stdout),
        java.stderr,
        ours.code(),
        text(&ours.stdout),
        ours.stderr
    ))
}

/// How the tools differ over a list that both refuse.
fn disagreement(list: &str, java: &Java, ours: &Ended) -> Option<String> {
    let said = ours.stderr.trim_end().trim_start_matches("kcons: ");
    let heard = format!("{}{}", String::from_utf8_lossy(&java.stdout), java.stderr);
    let same = !said.is_empty() && heard.contains(said);
    if same && (java.code, ours.code()) == (1, Some(2)) {
        return None;
    }
    let heard: Vec<&str> = heard.lines().take(2).collect();
    Some(format!("{list}\n  ours {said}\n  Java {} {heard:?}", java.code))
}

#[test]
fn the_console_consumers_bytes_are_ours() {
    let topics = ["all", "three:3", "numbers", "uuids", "switches", "stamped", "aborted"];
    let Some(kafka) = Kafka::start(&topics) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    prepare(&kafka, folder);
    let mut java = java(&kafka, folder);
    let all = LISTS.iter().chain(REFUSED);
    let ours: Vec<Ended> = all.map(|list| kcons(&kafka, folder, list)).collect();
    let taken = LISTS
        .iter()
        .zip(&ours)
        .filter_map(|(list, ours)| difference(list, &answer(&mut java), ours));
    let mut wrong: Vec<String> = taken.collect();
    let refused = REFUSED.iter().zip(&ours[LISTS.len()..]);
    wrong.extend(refused.filter_map(|(list, ours)| disagreement(list, &answer(&mut java), ours)));
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), ours.len(), wrong.join("\n"));
}
