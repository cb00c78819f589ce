//! ksink on a real Kafka: topics of rows, their headers and times, and dead letters.

use kpipe_tests::broker::records;
use kpipe_tests::kafka::Kafka;
use kpipe_tests::run::{Ended, Run};

fn shell(kafka: &Kafka, line: &str) -> Ended {
    Run::shell(line).env("KPIPE_BROKERS", kafka.address()).end()
}

/// What `kcons -J` says of a topic, of each record what `jq` makes of it.
fn told(kafka: &Kafka, topic: &str, filter: &str) -> String {
    let ended = shell(kafka, &format!("kcons -t {topic} -e -q -J | jq -c '{filter}'")).done();
    ended.text().to_owned()
}

#[test]
fn rows_go_to_their_topics_and_what_cannot_to_the_dead_letters() {
    let Some(kafka) = Kafka::start(&["in:2", "rest:1"]) else { return };
    let rows = "printf '%s\\n' \
                '{\"to\":\"error\",\"at\":1700000000123,\"user\":\"ann\"}' \
                '{\"to\":\"info\",\"at\":\"2023-11-14T22:13:20Z\"}' '{\"to\":\"a b\",\"at\":1}' \
                '{\"to\":\"error\",\"at\":\"soon\"}' \
                '{\"at\":1700000000124,\"user\":\"bob\"}' torn";
    let _ = shell(&kafka, &format!("{rows} | kprod -q -t in -p 1")).done();
    let ended = shell(
        &kafka,
        "kcons -t in -e -q --marks | ksink -t rest -q --create 2:1 --topic-field to \
         --header-field user --timestamp-field at --key-field user --tee \
         --dead-letter topic:dead -X linger.ms=0",
    );
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    let end = "ksink: rest: 3 records were not produced: they are in topic dead\n";
    assert_eq!(ended.stderr, end);
    assert_eq!(ended.text().lines().count(), 3);
    let filter = "[.ts, .key, .headers, (.payload | fromjson | .to)]";
    let error = "[1700000000123,\"ann\",[\"user\",\"ann\"],\"error\"]\n";
    assert_eq!(told(&kafka, "error", filter), error);
    let info = "[1700000000000,null,[\"user\",null],\"info\"]\n";
    assert_eq!(told(&kafka, "info", filter), info);
    let rest = "[1700000000124,\"bob\",[\"user\",\"bob\"],null]\n";
    assert_eq!(told(&kafka, "rest", filter), rest);
    let filter = "[.headers | [.[1], .[5], .[7], .[9]]] + [.payload]";
    let dead = told(&kafka, "dead", filter);
    let mut dead: Vec<_> = dead.lines().collect();
    dead.sort_by_key(|letter| letter.find("\"1\",").map(|at| letter[at..].to_owned()));
    let starts = ["\"\\\"a b\\\" is no topic: ", "\"not a time: soon\"", "\""];
    let ends =
        ["\"1\",\"2\"],\"{\\\"to\\\":\\\"a b\\\",\\\"at\\\":1}\"]", "\"1\",\"3\"]", "\"torn\"]"];
    assert_eq!(dead.len(), 3);
    for (letter, (start, end)) in dead.iter().zip(starts.into_iter().zip(ends)) {
        assert!(letter.starts_with(&format!("[[{start}")) && letter.contains(end), "{letter}");
        assert!(letter.contains("\"in\",\"1\","), "{letter}");
    }
    let listed = shell(&kafka, "kcons -L -t error").done();
    assert!(listed.text().contains("with 2 partitions"), "{}", listed.text());
}

#[test]
fn topics_that_cannot_be_made_and_records_that_are_too_large_cost_no_others() {
    let Some(kafka) = Kafka::start(&["t:1", "dead:1"]) else { return };
    let create = ["--create", "--topic", "small", "--config", "max.message.bytes=1000"];
    let _ = Run::command(kafka.tool("TopicCommand")).args(create).end().done();
    let large = format!("small,{}", "x".repeat(5_000));
    let rows = format!("t,1\nnone,2\n{large}\nt,3\nnone,4\nsmall,5\n");
    let args = ["-b", kafka.address(), "-q", "--topic-field", "$1", "--create", "1:9"];
    let ended = Run::of("ksink").args(args).input(&rows).end();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.starts_with("ksink: line 2: none: cannot be created: "),
        "{}",
        ended.stderr
    );
    // The broker refuses whole batches.
    let letters = ["--dead-letter", "topic:dead", "-X", "batch.num.messages=1"];
    let ended = Run::of("ksink").args(args).args(letters).input(&rows).end();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    let end = "ksink: <stdin>: 3 records were not produced: they are in topic dead\n";
    assert_eq!(ended.stderr, end);
    let values = |topic: &str| {
        let values = records(kafka.address(), topic).into_iter().filter_map(|one| one.value);
        values.map(|value| String::from_utf8_lossy(&value).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values("t"), ["t,1", "t,1", "t,3"]);
    assert_eq!(values("small"), ["small,5"]);
    let mut dead = values("dead");
    dead.sort();
    assert_eq!(dead, ["none,2", "none,4", large.as_str()]);
}
