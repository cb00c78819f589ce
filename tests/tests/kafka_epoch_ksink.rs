//! ksink under epochs on a real Kafka, of which the test itself is the head: a member of a group
//! that writes marks by hand.

use kpipe_tests::broker::records;
use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use kpipe_tests::member::{END, Member, from};
use kpipe_tests::run::{Ended, Run};

/// The values of `topic` that are committed.
fn values(kafka: &Kafka, topic: &str) -> Vec<String> {
    let values = records(kafka.address(), topic).into_iter().filter_map(|one| one.value);
    values.map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
}

/// The keys and values of a group's changelog, in order per partition.
fn changes(kafka: &Kafka, group: &str) -> Vec<(i32, String, Option<String>)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("JSON is text");
    let records = records(kafka.address(), &format!("{group}-kpipe-state")).into_iter();
    let change = |one: kpipe_tests::broker::Record| {
        (one.partition, text(one.key.expect("a key")), one.value.map(text))
    };
    records.map(change).collect()
}

fn ksink(kafka: &Kafka, args: &[&str], input: &str) -> Ended {
    Run::of("ksink").args(["-b", kafka.address()]).args(args).input(input).end()
}

/// The program failed with `code`, and says so in one line that contains `part`.
#[track_caller]
fn failed(ended: &Ended, code: i32, part: &str) {
    assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
    assert!(ended.stderr.contains(part), "{part:?} is not in {}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn lines_state_and_offsets_are_committed_together() {
    let Some(kafka) = Kafka::start(&["in:2", "out:1"]) else { return };
    let member = Member::join(kafka.address(), "g", Some("i"), &["in"]);
    let entry = |key: u32, value: &str| {
        format!(
            "\x1e{{\"mark\":\"state\",\"stage\":\"0:swin\",\"at\":[\"in\",1],\
             \"key\":[\"k\",{key}],\"value\":{value}}}\n"
        )
    };
    let mut ksink = Live::start("ksink", ["-b", kafka.address(), "-t", "out", "--tee"]);
    ksink.send(member.head(&["0:swin"]) + &from("in", 1, 0) + "a\nb\n");
    ksink.send(entry(1, "{\"n\":1}") + &entry(2, "[2]"));
    ksink.send(member.barrier(1, 2, &[("in", 0, 0), ("in", 1, 2)]));
    assert_eq!((ksink.line(), ksink.line()), ("a".to_owned(), "b".to_owned()));
    assert_eq!(values(&kafka, "out"), ["a", "b"]);
    let note = |epoch: u32| format!("kpipe {} {epoch}", member.id);
    assert_eq!(member.committed("in", 1), (Some(2), note(1)));
    assert_eq!(member.committed("in", 0), (Some(0), note(1)));
    ksink.send(from("in", 1, 2) + "c\n" + &entry(2, "null"));
    ksink.send(member.barrier(2, 1, &[("in", 0, 0), ("in", 1, 3)]));
    assert_eq!(ksink.line(), "c");
    ksink.send(from("in", 1, 3) + "lost\n");
    let ended = ksink.end();
    failed(&ended, 75, "cut short");
    assert_eq!(values(&kafka, "out"), ["a", "b", "c"]);
    assert_eq!(member.committed("in", 1), (Some(3), note(2)));
    let change = |partition, key: &str, value: Option<&str>| {
        (partition, key.to_owned(), value.map(ToOwned::to_owned))
    };
    assert_eq!(
        changes(&kafka, "g"),
        [
            change(0, "[\"\",\"in\",null]", Some("0")),
            change(1, "[\"0:swin\",\"in\",[\"k\",1]]", Some("{\"n\":1}")),
            change(1, "[\"0:swin\",\"in\",[\"k\",2]]", Some("[2]")),
            change(1, "[\"\",\"in\",null]", Some("2")),
            change(1, "[\"0:swin\",\"in\",[\"k\",2]]", None),
            change(1, "[\"\",\"in\",null]", Some("3")),
        ]
    );
    let ended = self::ksink(&kafka, &["-t", "out"], &(member.head(&[]) + END));
    assert_eq!(ended.done().stderr, "");
}
