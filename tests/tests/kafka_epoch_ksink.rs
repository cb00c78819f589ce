//! ksink under epochs on a real Kafka, of which the test itself is the head: a member of a group
//! that writes marks by hand.

use std::time::Duration;

use kpipe_tests::broker::records;
use kpipe_tests::kafka::{Kafka, Secure};
use kpipe_tests::live::Live;
use kpipe_tests::member::{END, Member, from};
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// How many offsets of `topic` are taken, as a reader with this isolation sees it.
fn written(kafka: &Kafka, topic: &str, isolation: &str) -> i64 {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.address()).set("isolation.level", isolation);
    let client: BaseConsumer = config.create().expect("a consumer");
    let metadata = client.fetch_metadata(Some(topic), wait::LONG).expect("metadata");
    let end =
        |partition: i32| client.fetch_watermarks(topic, partition, wait::LONG).expect("ends").1;
    metadata.topics()[0].partitions().iter().map(|one| end(one.id())).sum()
}

/// Waits until no transaction of `topic` is open: who commits one hears of it before all readers
/// see it.
fn settle(kafka: &Kafka, topic: &str) {
    let written = |isolation| written(kafka, topic, isolation);
    wait::until("transactions end", || written("read_committed") == written("read_uncommitted"));
}

/// The values of `topic` that are committed.
fn values(kafka: &Kafka, topic: &str) -> Vec<String> {
    settle(kafka, topic);
    let values = records(kafka.address(), topic).into_iter().filter_map(|one| one.value);
    values.map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
}

/// The keys and values of a group's changelog, in order per partition.
fn changes(kafka: &Kafka, group: &str) -> Vec<(i32, String, Option<String>)> {
    settle(kafka, &format!("{group}-kpipe-state"));
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
    let note = |epoch: u32| format!("kpipe {} {epoch} {}", member.id, member.generation);
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
            change(1, "[\"\",\"in\",null]", Some("2")),
            change(1, "[\"0:swin\",\"in\",[\"k\",1]]", Some("{\"n\":1}")),
            change(1, "[\"0:swin\",\"in\",[\"k\",2]]", Some("[2]")),
            change(1, "[\"\",\"in\",null]", Some("3")),
            change(1, "[\"0:swin\",\"in\",[\"k\",2]]", None),
        ]
    );
    let ended = self::ksink(&kafka, &["-t", "out"], &(member.head(&[]) + END));
    assert_eq!(ended.done().stderr, "");
}

/// Everything up to the first data line, which is of partition 0 of `in`.
fn head(member: &Member) -> String {
    member.head(&[]) + &from("in", 0, 0)
}

fn joined(kafka: &Kafka, group: &str) -> Member {
    Member::join(kafka.address(), group, None, &["in"])
}

#[test]
fn what_is_damaged_on_the_way_is_found_and_nothing_of_it_committed() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let member = joined(&kafka, "g");
    let first = |lines| member.barrier(1, lines, &[("in", 0, 1)]);
    let head = head(&member);
    let refused: [(&str, i32, &str); 9] = [
        // A foreign filter has dropped a line, marks, or a mark; or it has added a mark.
        (&(head.clone() + &first(1)), 1, "epoch 1 has 0 lines, and its barrier says 1"),
        (
            &(head.clone() + "a\n" + &member.barrier(2, 1, &[("in", 0, 1)])),
            1,
            "followed by epoch 2",
        ),
        (&(head.lines().next().expect("open").to_owned() + "\n" + &first(0)), 1, "none may come"),
        (&(head.clone() + "a\n" + &first(1) + &first(0)), 1, "epoch 1 is followed by epoch 1"),
        (&(head.clone() + "\x1enot a mark\n" + &first(1)), 1, "starts as a mark and is none"),
        (&(head.clone() + "a\n" + END), 75, "an end before the barrier"),
        // Of whom the broker would take offsets without asking.
        (&(head.clone() + &first(0).replace(&member.id, "")), 1, "no member of the group g"),
        (
            &(head.clone()
                + "\x1e{\"mark\":\"restore\",\"stage\":\"0:swin\",\"at\":[\"in\",0],\"key\":1,\
                   \"value\":1}\n"),
            2,
            "the group has state of the stage 0:swin, which is not in this pipe",
        ),
        (
            &(head.clone()
                + "a\n\x1e{\"mark\":\"abort\",\"tool\":\"swin\",\"code\":1,\
                   \"message\":\"row 7: no\"}\n"),
            1,
            "ksink: swin failed: row 7: no",
        ),
    ];
    for (input, code, part) in refused {
        // The fourth has one good epoch in front.
        failed(&ksink(&kafka, &["-t", "out"], input), code, part);
    }
    assert_eq!(values(&kafka, "out"), ["a"]);
    let note = format!("kpipe {} 1 {}", member.id, member.generation);
    assert_eq!(member.committed("in", 0), (Some(1), note));
}

#[test]
fn the_end_of_input_never_commits() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let member = joined(&kafka, "g");
    // More than the spool, so that a transaction is open.
    let lines = "x".repeat(999) + "\n";
    let input = head(&member) + &lines.repeat(2_000);
    let cut = ksink(&kafka, &["-t", "out", "--spool", "100K"], &input);
    failed(&cut, 75, "cut short: what came behind the last barrier is not committed");
    // Aborted, and not left open: what comes behind it can be read at once.
    let second = head(&member) + "b\n" + &member.barrier(1, 1, &[("in", 0, 1)]) + END;
    let args = ["-t", "out", "--transactional-id", "another"];
    let _ = ksink(&kafka, &args, &second).done();
    assert_eq!(values(&kafka, "out"), ["b"]);
}

#[test]
fn a_transaction_begins_at_the_barrier_however_slow_a_stage_is() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let member = joined(&kafka, "g");
    let args = ["-b", kafka.address(), "-t", "out", "--tee", "--transaction-timeout", "1s"];
    let mut ksink = Live::start("ksink", args);
    ksink.send(head(&member) + "a\n");
    // Longer than a transaction lives.
    wait::pass(Duration::from_secs(4));
    // Nobody is kept from reading what others commit meanwhile.
    let other = ["-b", kafka.address(), "-t", "out", "-q"];
    let _ = Run::of("ksink").args(other).input("other\n").end().done();
    assert_eq!(values(&kafka, "out"), ["other"]);
    ksink.send(member.barrier(1, 1, &[("in", 0, 1)]));
    assert_eq!(ksink.line(), "a");
    ksink.send(END);
    assert_eq!(ksink.end().done().stderr, "");
}

#[test]
fn an_epoch_larger_than_the_spool_is_one_transaction() {
    let Some(kafka) = Kafka::start(&["in:1", "out:3"]) else { return };
    let member = joined(&kafka, "g");
    let row = |number: u32| format!("{number},{}\n", "x".repeat(100));
    let rows = (0..60_000).map(row).collect::<String>();
    let args = ["-b", kafka.address(), "-t", "out", "--key-field", "$1", "--spool", "64K"];
    let more = ["--tee", "--transaction-timeout", "60s"];
    let mut ksink = Live::start("ksink", args.iter().chain(&more));
    ksink.send(head(&member) + &rows);
    wait::until("the transaction is open", || written(&kafka, "out", "read_uncommitted") > 10_000);
    assert_eq!(written(&kafka, "out", "read_committed"), 0, "it is not committed");
    ksink.send(member.barrier(1, 60_000, &[("in", 0, 60_000)]));
    assert_eq!(ksink.line(), row(0).trim_end());
    ksink.send(END);
    let ended = ksink.end().done();
    assert_eq!(ended.text().lines().count(), 59_999);
    let mut numbers: Vec<u32> = values(&kafka, "out")
        .iter()
        .map(|value| value.split_once(',').expect("a row").0.parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..60_000));
}

#[test]
fn a_transaction_that_is_open_for_too_long_says_so() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let member = joined(&kafka, "g");
    let args = ["-b", kafka.address(), "-t", "out", "--transaction-timeout", "1s"];
    let mut ksink = Live::start("ksink", args.iter().chain(&["--spool", "1K"]));
    let rows = "x\n".repeat(1_000);
    ksink.send(head(&member) + &rows);
    // A broker looks for such every 10 s.
    wait::pass(Duration::from_secs(15));
    ksink.send(rows + &member.barrier(1, 2_000, &[("in", 0, 1)]));
    failed(&ksink.end(), 75, "shorter epochs, a larger --spool or a longer time help");
    assert_eq!(values(&kafka, "out"), [""; 0]);
    assert_eq!(member.committed("in", 0).0, None);
}

#[test]
fn what_is_refused_is_skipped_until_the_group_has_a_member_again() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let gone = joined(&kafka, "g");
    let input = head(&gone) + "old\n" + &gone.barrier(1, 1, &[("in", 0, 1)]);
    gone.leave();
    let mut ksink = Live::start("ksink", ["-b", kafka.address(), "-t", "out", "--tee"]);
    ksink.send(&input);
    let mut member = joined(&kafka, "g");
    member.generation = 3;
    let more = |epoch| member.barrier(epoch, 1, &[("in", 0, 1)]);
    ksink.send(member.begin() + &from("in", 0, 0) + "new\n" + &more(1));
    assert_eq!(ksink.line(), "new");
    ksink.send(END);
    let ended = ksink.end().done();
    let part = "epoch 1: not committed: ";
    assert!(ended.stderr.starts_with(&format!("ksink: {part}")), "{}", ended.stderr);
    assert_eq!(values(&kafka, "out"), ["new"]);
    assert_eq!(member.committed("in", 0).0, Some(1));
}

#[test]
fn who_is_no_member_any_more_gives_up_after_ten_seconds() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let mut member = joined(&kafka, "g");
    member.generation = 99;
    let mut ksink = Live::start("ksink", ["-b", kafka.address(), "-t", "out", "-q"]);
    ksink.send(head(&member) + "a\n" + &member.barrier(1, 1, &[("in", 0, 1)]));
    for epoch in 2..40 {
        wait::pass(Duration::from_millis(500));
        ksink.send_if_open(member.barrier(epoch, 0, &[("in", 0, 1)]));
    }
    failed(&ksink.end(), 75, "no other came");
    assert_eq!(values(&kafka, "out"), [""; 0]);
    assert_eq!(member.committed("in", 0).0, None);
}

#[test]
fn of_two_with_one_name_the_first_is_cut_off() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let member = Member::join(kafka.address(), "g", Some("i"), &["in"]);
    let start = || Live::start("ksink", ["-b", kafka.address(), "-t", "out", "--tee"]);
    let (mut zombie, mut ksink) = (start(), start());
    zombie.send(head(&member) + "a\n" + &member.barrier(1, 1, &[("in", 0, 1)]));
    assert_eq!(zombie.line(), "a");
    ksink.send(member.head(&[]) + &from("in", 0, 1) + "b\n");
    ksink.send(member.barrier(1, 1, &[("in", 0, 2)]));
    assert_eq!(ksink.line(), "b");
    zombie.send(from("in", 0, 1) + "b\n" + &member.barrier(2, 1, &[("in", 0, 2)]));
    let ended = zombie.end();
    assert_eq!((ended.code(), ended.text()), (Some(75), ""), "{}", ended.stderr);
    ksink.send(END);
    let _ = ksink.end().done();
    assert_eq!(values(&kafka, "out"), ["a", "b"]);
}

#[test]
fn a_static_member_that_was_replaced_perhaps_by_itself_commits_nothing() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let mut member = Member::join(kafka.address(), "g", Some("i"), &["in"]);
    member.id.push_str("-before");
    let input = head(&member) + "a\n" + &member.barrier(1, 1, &[("in", 0, 1)]);
    let ended = ksink(&kafka, &["-t", "out"], &input);
    assert_eq!(ended.code(), Some(75), "{}", ended.stderr);
    assert!(ended.stderr.contains("epoch 1: not committed: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("fenced"), "{}", ended.stderr);
    assert_eq!(values(&kafka, "out"), [""; 0]);
}

#[test]
fn dead_letters_are_in_the_transaction_of_their_epoch() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1", "dead:1"]) else { return };
    let member = joined(&kafka, "g");
    let late = "\x1e{\"mark\":\"late\",\"stage\":\"0:swin\",\"at\":[\"in\",0],\"offset\":2,\
                \"reason\":\"9 ms late\",\"line_b64\":\"bGF0ZQ==\"}\n";
    let args = ["-b", kafka.address(), "-t", "out", "--timestamp-field", "$1", "--tee"];
    let letters = ["--dead-letter", "topic:dead"];
    let mut ksink = Live::start("ksink", args.iter().chain(&letters));
    let epoch = |lines| head(&member) + lines + late;
    ksink.send(epoch("1,a\nsoon,b\n") + &member.barrier(1, 2, &[("in", 0, 3)]));
    assert_eq!(ksink.line(), "1,a");
    let dead = || {
        let mut dead = values(&kafka, "dead");
        dead.sort();
        dead
    };
    assert_eq!(dead(), ["late", "soon,b"]);
    // Of one that is not committed there is nothing, and what is said counts nothing of it.
    ksink.send(late.to_owned() + "never,c\n");
    let ended = ksink.end();
    assert_eq!(ended.code(), Some(75), "{}", ended.stderr);
    let said = "<stdin>: 0 bad and 1 late rows of stages before: they are in topic dead";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_eq!(dead(), ["late", "soon,b"]);
    assert_eq!(values(&kafka, "out"), ["1,a"]);
    // Nothing is put aside that could be: the row is named, and its epoch not committed.
    let input = epoch("soon,b\n") + &member.barrier(1, 1, &[("in", 0, 1)]);
    let ended = self::ksink(&kafka, &["-t", "out", "--timestamp-field", "$1"], &input);
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.contains("line 5: not a time: soon"), "{}", ended.stderr);
}

#[test]
fn letters_in_a_file_are_there_before_their_epoch_is_committed() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let member = joined(&kafka, "g");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("letters").display().to_string();
    let args = ["-t", "out", "--timestamp-field", "$1", "--dead-letter", &file];
    let input = head(&member) + "soon,b\n" + &member.barrier(1, 1, &[("in", 0, 1)]) + END;
    let ended = ksink(&kafka, &args, &input);
    failed(&ended, 1, "1 records were not produced: they are in");
    let letters = std::fs::read_to_string(&file).expect("letters");
    assert_eq!(letters.lines().count(), 1, "{letters}");
    assert_eq!(member.committed("in", 0).0, Some(1));
}

#[test]
fn rows_go_to_their_topics_in_one_transaction() {
    let Some(kafka) = Kafka::start(&["in:1"]) else { return };
    let member = joined(&kafka, "g");
    let args = ["-b", kafka.address(), "--topic-field", "$1", "--create", "2:1"];
    let more = ["--key-field", "$2", "--header-field", "$2"];
    let mut ksink = Live::start("ksink", args.iter().chain(&more).chain(&["--tee"]));
    ksink.send(head(&member) + "a,1\nb,2\na,3\n" + &member.barrier(1, 3, &[("in", 0, 3)]));
    assert_eq!(ksink.line(), "a,1");
    let mut all = values(&kafka, "a");
    all.sort();
    assert_eq!((all, values(&kafka, "b")), (vec!["a,1".into(), "a,3".into()], vec!["b,2".into()]));
    ksink.send(from("in", 0, 3) + "c,4\na,5\n");
    assert_eq!(ksink.end().code(), Some(75));
    assert_eq!((values(&kafka, "a").len(), values(&kafka, "b").len()), (2, 1));
    let envelope = "{\"topic\":\"b\",\"key\":\"k\",\"payload\":\"v\",\"ts\":1700000000123,\
                    \"headers\":[\"h\",\"1\"]}\n";
    let input = head(&member) + envelope + &member.barrier(1, 1, &[("in", 0, 4)]) + END;
    let _ = self::ksink(&kafka, &["-J"], &input).done();
    let record = records(kafka.address(), "b").pop().expect("a record");
    assert_eq!(
        (record.key.as_deref(), record.timestamp),
        (Some(&b"k"[..]), Some(1_700_000_000_123))
    );
}

#[test]
fn offsets_can_be_committed_without_any_line() {
    let Some(kafka) = Kafka::start(&["in:1"]) else { return };
    let member = joined(&kafka, "g");
    let state = "\x1e{\"mark\":\"state\",\"stage\":\"0:swin\",\"at\":[\"in\",0],\"key\":1,\
                 \"value\":2}\n";
    let lines = |stages: &[&str], state: &str, next: i64| {
        let head = member.head(stages) + &from("in", 0, 0);
        head + "a\nb\n" + state + &member.barrier(1, 2, &[("in", 0, next)]) + END
    };
    let _ = ksink(&kafka, &["--offsets-only"], &lines(&[], "", 2)).done();
    assert_eq!(
        member.committed("in", 0),
        (Some(2), format!("kpipe {} 1 {}", member.id, member.generation))
    );
    let ended = ksink(&kafka, &["--offsets-only"], &lines(&["0:swin"], state, 4));
    failed(&ended, 2, "--offsets-only: 0:swin has state, which --state-only commits as well");
    let _ = ksink(&kafka, &["--state-only"], &lines(&["0:swin"], state, 5)).done();
    assert_eq!(member.committed("in", 0).0, Some(5));
    let offset = |offset: &str| (0, "[\"\",\"in\",null]".to_owned(), Some(offset.to_owned()));
    let entry = (0, "[\"0:swin\",\"in\",1]".to_owned(), Some("2".to_owned()));
    assert_eq!(changes(&kafka, "g"), [offset("2"), offset("5"), entry]);
}

#[test]
fn an_idle_epoch_makes_no_transaction_and_a_last_one_does() {
    let Some(kafka) = Kafka::start(&["in:2", "out:1"]) else { return };
    let member = joined(&kafka, "g");
    let at = [("in", 0, 0), ("in", 1, 0)];
    let last = |epoch| member.last_barrier(epoch, 0, &at, ",\"last\":\"stopped\"");
    let input = member.head(&[]) + &member.barrier(1, 0, &at) + &member.barrier(2, 0, &at);
    let _ = ksink(&kafka, &["-t", "out"], &(input.clone() + END)).done();
    assert_eq!(member.committed("in", 1).1, format!("kpipe {} 1 {}", member.id, member.generation));
    let _ = ksink(&kafka, &["-t", "out"], &(input + &last(3) + END)).done();
    assert_eq!(
        member.committed("in", 1),
        (Some(0), format!("kpipe {} 3 {}", member.id, member.generation))
    );
}

#[test]
fn the_changelog_has_the_partitions_of_the_largest_input_and_is_compacted() {
    let Some(kafka) = Kafka::start(&["in:3", "more:2", "out:1", "i-kpipe-state:3"]) else { return };
    let member = Member::join(kafka.address(), "g", None, &["in", "more"]);
    let at = [("in", 0, 0), ("in", 1, 0), ("in", 2, 0), ("more", 0, 0), ("more", 1, 7)];
    let input = member.head(&[]) + &member.barrier(1, 0, &at) + END;
    let _ = ksink(&kafka, &["-t", "out"], &input).done();
    assert_eq!(member.committed("more", 1).0, Some(7));
    assert_eq!(changes(&kafka, "g").len(), 5);
    let listed = ["--describe", "--topic", "g-kpipe-state"];
    let listed = Run::command(kafka.tool("TopicCommand")).args(listed).end().done();
    let text = listed.text();
    assert!(
        text.contains("PartitionCount: 3") && text.contains("cleanup.policy=compact"),
        "{text}"
    );
    let two = ["--create", "--topic", "h-kpipe-state", "--partitions", "2"];
    let compact = ["--config", "cleanup.policy=compact"];
    let _ = Run::command(kafka.tool("TopicCommand")).args(two).args(compact).end().done();
    for (group, part) in [
        ("h", "h-kpipe-state: has 2 partitions, and the largest input topic 3"),
        ("i", "i-kpipe-state: has cleanup.policy=delete and needs compact"),
    ] {
        let member = Member::join(kafka.address(), group, None, &["in"]);
        let at = [("in", 0, 0), ("in", 1, 0), ("in", 2, 0)];
        let input = member.head(&[]) + &member.barrier(1, 0, &at) + END;
        failed(&ksink(&kafka, &["-t", "out"], &input), 1, part);
        assert_eq!(member.committed("in", 0).0, None);
    }
}

#[test]
fn a_record_that_the_broker_refuses_ends_the_run_for_good() {
    let Some(kafka) = Kafka::start(&["in:1"]) else { return };
    let create = ["--create", "--topic", "small", "--config", "max.message.bytes=4000"];
    let _ = Run::command(kafka.tool("TopicCommand")).args(create).end().done();
    let member = joined(&kafka, "g");
    let large = "x".repeat(5_000) + "\n";
    let input = head(&member) + &large + &member.barrier(1, 1, &[("in", 0, 1)]) + END;
    failed(&ksink(&kafka, &["-t", "small"], &input), 1, "line 5: ");
    assert_eq!(member.committed("in", 0).0, None);
    // What ksink itself knows to be too large ends it as well, before the epoch is committed.
    let known = ["-t", "small", "-X", "message.max.bytes=3000"];
    failed(&ksink(&kafka, &known, &input), 1, "line 5: ");
    assert_eq!(member.committed("in", 0).0, None);
    // Unless it is put aside.
    let letters =
        ["--dead-letter", "topic:dead", "-X", "message.max.bytes=3000", "--create", "1:1"];
    let ended = ksink(&kafka, &[&["-t", "small"], &letters[..]].concat(), &input);
    failed(&ended, 1, "1 records were not produced: they are in topic dead");
    assert_eq!(member.committed("in", 0).0, Some(1));
}

#[test]
fn lines_that_are_held_back_without_a_barrier_are_not_waited_for_for_ever() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let member = joined(&kafka, "g");
    let args = ["-b", kafka.address(), "-t", "out", "--stall-timeout", "2s"];
    let mut ksink = Live::start("ksink", args);
    ksink.send(head(&member) + "a\n");
    assert!(ksink.ends_within(Duration::from_secs(20)), "it waits");
    failed(&ksink.end(), 75, "no barrier within 2 s behind a line");
    assert_eq!(values(&kafka, "out"), [""; 0]);
}

#[test]
fn a_broker_that_is_away_is_no_reason_to_give_up_for_good() {
    let Some(kafka) = Kafka::start(&["in:1", "out:1"]) else { return };
    let member = joined(&kafka, "g");
    let input = head(&member) + "a\n" + &member.barrier(1, 1, &[("in", 0, 1)]) + END;
    let away = Run::of("ksink").args(["-b", "127.0.0.1:1", "-t", "out"]).input(&input).end();
    failed(&away, 75, "127.0.0.1:1: Connection refused");
}

#[test]
fn who_may_not_write_transactions_hears_which_permission_is_missing() {
    let Some(secure) = Secure::start(&["in:1", "out:1"]) else { return };
    let member = joined(&secure.kafka, "g");
    let input = head(&member) + "a\n" + &member.barrier(1, 1, &[("in", 0, 1)]) + END;
    let [ca, user] = ["ca.pem", "writer.pem"].map(|file| secure.file(file));
    let properties = [
        "security.protocol=ssl".to_owned(),
        format!("ssl.ca.location={ca}"),
        format!("ssl.certificate.location={user}"),
        format!("ssl.key.location={user}"),
    ];
    let run = Run::of("ksink").args(["-b", &secure.certified, "-t", "out"]);
    let ended = run.args(properties.iter().flat_map(|one| ["-X", one])).input(&input).end();
    let part = "the user needs an ACL, WRITE and DESCRIBE for the transactional id";
    failed(&ended, 1, part);
    assert_eq!(values(&secure.kafka, "out"), [""; 0]);
}
