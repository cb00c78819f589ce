//! kcons under epochs on a real Kafka: marks at the start, at a rebalance and at the end, what is
//! waited for, and what is read again.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rustix::process::Signal;
use serde_json::{Value as Json, json};

/// One Kafka for all tests of this file; each has its own topics and groups.
static KAFKA: LazyLock<Option<Kafka>> = LazyLock::new(|| {
    Kafka::start(&[
        "start:2",
        "unstable:1",
        "open:1",
        "open-kpipe-state:1",
        "again:2",
        "busy:4",
        "slow:1",
        "moved:2",
        "ends:1",
        "silent:1",
        "held:1",
        "pair:1",
        "whole:2",
        "reset:2",
        "guard:1",
        "behind:1",
        "signed:1",
        "wide:1",
        "wide-kpipe-state:3",
        "kept:1",
        "counted:1",
        "lines:1",
        "out:1",
        "two:2",
        "gone:1",
    ])
});

/// The time that a test waits for what comes at once.
const SOON: Duration = Duration::from_secs(20);

/// A group of the topic of the same name.
#[derive(Clone, Copy)]
struct Group<'a> {
    kafka: &'a Kafka,
    name: &'a str,
}

impl Group<'static> {
    fn named(name: &'static str) -> Option<Group<'static>> {
        KAFKA.as_ref().map(|kafka| Group { kafka, name })
    }
}

impl Group<'_> {
    fn command(self, args: &[&str]) -> Command {
        let mut command = Command::new(kpipe_tests::bin("kcons"));
        command.args(["-b", self.kafka.address(), "-t", self.name, "-g", self.name, "-q"]);
        command.args(["--epoch", "100ms", "-o", "beginning"]).args(args);
        command
    }

    /// kcons, of which the test is the reader.
    fn read(self, args: &[&str]) -> Marked {
        Marked::of(Live::command(self.command(args)))
    }

    fn ksink(self, args: &[&str]) -> Live {
        let mut command = Command::new(kpipe_tests::bin("ksink"));
        command.args(["-b", self.kafka.address(), "-t", "out", "-q"]).args(args);
        Live::command(command)
    }

    /// A pipe of kcons with `args`, `middle` and ksink.
    fn pipe(self, args: &str, middle: &str) -> Ended {
        let name = self.name;
        let line = format!(
            "kcons -t {name} -g {name} -q --epoch 100ms -o beginning {args} {middle} | \
             ksink -t out -q"
        );
        Run::shell(&line).env("KPIPE_BROKERS", self.kafka.address()).end()
    }

    fn config(self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka.address());
        config
    }

    fn fill(self, partition: i32, count: usize) {
        let producer: BaseProducer = self.config().create().expect("a producer");
        for number in 0..count {
            let value = number.to_string();
            let record = BaseRecord::<[u8], str>::to(self.name).partition(partition);
            let mut sent = producer.send(record.payload(&value));
            while let Err((_, record)) = sent {
                producer.poll(Duration::from_millis(10));
                sent = producer.send(record);
            }
        }
        producer.flush(SOON).expect("acknowledged");
    }

    fn transaction(self) -> BaseProducer {
        let mut config = self.config();
        config.set("transactional.id", format!("test-{}", self.name));
        let producer: BaseProducer = config.create().expect("a producer");
        producer.init_transactions(SOON).expect("transactions");
        producer.begin_transaction().expect("a transaction");
        producer
    }

    fn consumer(self) -> BaseConsumer {
        let mut config = self.config();
        config.set("group.id", self.name).set("enable.auto.commit", "false");
        config.create().expect("a consumer")
    }

    fn offsets(self, offset: i64) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.name, 0, Offset::Offset(offset)).expect("an offset");
        list
    }

    /// What the group has stored of partition 0.
    fn stored(self) -> (Offset, String) {
        let list = self.consumer().committed_offsets(self.offsets(0), SOON).expect("offsets");
        let one = &list.elements()[0];
        (one.offset(), one.metadata().to_owned())
    }
}

/// A marked stream that is checked as it is read: every barrier has to name the lines and the
/// offsets that came before it.
struct Marked {
    live: Live,
    /// Data lines since the last barrier, and the next offset of each partition.
    lines: u64,
    next: BTreeMap<(String, i64), i64>,
    from: Option<(String, i64)>,
    /// All data lines.
    all: Vec<String>,
}

impl Marked {
    fn of(live: Live) -> Marked {
        Marked { live, lines: 0, next: BTreeMap::new(), from: None, all: Vec::new() }
    }

    /// The next mark, if one comes within `time`; data lines before it are counted.
    fn mark_within(&mut self, time: Duration) -> Option<(Json, String)> {
        let deadline = Instant::now() + time;
        loop {
            let line = self.live.line_within(wait::left(deadline))?;
            if let Some(json) = line.strip_prefix('\x1e') {
                let mark: Json = serde_json::from_str(json).expect("JSON");
                self.check(&mark);
                return Some((mark, line));
            }
            self.lines += 1;
            let from = self.from.clone().expect("a line comes from somewhere");
            *self.next.get_mut(&from).expect("it is assigned") += 1;
            self.all.push(line);
        }
    }

    fn check(&mut self, mark: &Json) {
        let place = |at: &Json| {
            (at[0].as_str().expect("a topic").to_owned(), at[1].as_i64().expect("a number"))
        };
        match mark["mark"].as_str() {
            Some("begin") => {
                self.next.clear();
                (self.from, self.lines) = (None, 0);
            }
            Some("restored") => {
                for one in mark["offsets"].as_array().expect("offsets") {
                    self.next.insert(place(one), one[2].as_i64().expect("an offset"));
                }
            }
            Some("from") => {
                let at = place(&mark["at"]);
                let offset = mark["offset"].as_i64().expect("an offset");
                assert_eq!(self.next.get(&at), Some(&offset), "lines follow where we are");
                self.from = Some(at);
            }
            Some("barrier") => {
                assert_eq!(mark["lines"], json!(self.lines), "{mark}");
                self.lines = 0;
                for one in mark["offsets"].as_array().expect("offsets") {
                    assert_eq!(self.next[&place(one)], one[2], "{mark}");
                }
            }
            _ => {}
        }
    }

    /// The next mark of this kind.
    fn until(&mut self, kind: &str) -> Json {
        self.until_with(kind, |_| true)
    }

    /// The next mark of this kind that `suits`.
    fn until_with(&mut self, kind: &str, suits: impl Fn(&Json) -> bool) -> Json {
        let deadline = Instant::now() + wait::LONG;
        while let Some((mark, _)) = self.mark_within(wait::left(deadline)) {
            if mark["mark"] == kind && suits(&mark) {
                return mark;
            }
        }
        panic!("no such {kind}")
    }

    /// The kinds of marks that come within `time`.
    fn kinds(&mut self, time: Duration) -> Vec<String> {
        let deadline = Instant::now() + time;
        let mut kinds = Vec::new();
        while let Some((mark, _)) = self.mark_within(wait::left(deadline)) {
            kinds.push(mark["mark"].as_str().expect("a kind").to_owned());
        }
        kinds
    }

    /// Reads to the end.
    fn end(mut self) -> Ended {
        while self.mark_within(wait::LONG).is_some() {}
        self.live.end()
    }
}

/// How many lines of the group's pipes came out: they are copied with a mark of their own.
fn copied(kafka: &Kafka, mark: &str) -> Vec<String> {
    let args = ["-b", kafka.address(), "-t", "out", "-e", "-q", "--from-beginning"];
    let all = Run::of("kcons").args(args).end().done();
    all.text().lines().filter_map(|line| line.strip_prefix(mark)).map(ToOwned::to_owned).collect()
}

#[test]
fn an_assignment_begins_with_who_we_are_and_where_we_are() {
    let Some(group) = Group::named("start") else { return };
    group.fill(1, 3);
    let mut kcons = group.read(&["--instance", "i", "--commit-interval", "0", "--tick", "50ms"]);
    let open = kcons.until("open");
    assert_eq!(open, json!({"kpipe":1,"mark":"open","epochs":true,"tick_ms":50,"stages":[]}));
    let begin = kcons.until("begin");
    assert_eq!(begin["group"], "start");
    assert_eq!(begin["instance"], "i");
    assert_eq!(begin["partitions"], json!([["start", 0], ["start", 1]]));
    let restored = kcons.until("restored");
    assert_eq!(restored["count"], 0);
    assert_eq!(restored["offsets"], json!([["start", 0, 0], ["start", 1, 0]]));
    let barrier = kcons.until_with("barrier", |mark| mark["lines"] == 3);
    for name in ["group", "generation", "member", "instance"] {
        assert_eq!(barrier[name], begin[name], "{name}");
    }
    assert_eq!(barrier["offsets"], json!([["start", 0, 0], ["start", 1, 3]]));
    // Something comes in every epoch, also when nothing is read.
    let next = kcons.until("barrier");
    assert_eq!(next["epoch"].as_u64(), barrier["epoch"].as_u64().map(|epoch| epoch + 1));
    kcons.live.signal(Signal::TERM);
    assert_eq!(kcons.until_with("barrier", |mark| mark["last"] == "stopped")["lines"], 0);
    assert_eq!(kcons.until("end")["how"], "stopped");
    assert_eq!(kcons.end().code(), Some(0));
}

#[test]
fn begin_is_written_before_offsets_are_waited_for_and_those_are_the_committed_ones() {
    let Some(group) = Group::named("unstable") else { return };
    group.fill(0, 10);
    let member = group.consumer();
    member.subscribe(&["unstable"]).expect("a subscription");
    wait::until("it is a member", || {
        drop(member.poll(Duration::from_millis(50)));
        member.assignment().is_ok_and(|list| list.count() > 0)
    });
    member.commit(&group.offsets(2), CommitMode::Sync).expect("an older offset");
    let transaction = group.transaction();
    let metadata = member.group_metadata().expect("a member");
    let sent = transaction.send_offsets_to_transaction(&group.offsets(7), &metadata, SOON);
    sent.expect("offsets");
    drop(member);
    let mut kcons = group.read(&["--commit-interval", "0"]);
    kcons.until("begin");
    let kinds = kcons.kinds(Duration::from_secs(2));
    assert!(kinds.len() > 5, "time goes on: {kinds:?}");
    assert!(kinds.iter().all(|kind| kind == "tick"), "{kinds:?}");
    transaction.commit_transaction(SOON).expect("a commit");
    assert_eq!(kcons.until("restored")["offsets"], json!([["unstable", 0, 7]]));
}

#[test]
fn state_is_waited_for_until_its_transaction_is_over() {
    let Some(group) = Group::named("open") else { return };
    let transaction = group.transaction();
    let send = |key: &str, value: &str| {
        let record = BaseRecord::<str, str>::to("open-kpipe-state").partition(0);
        transaction.send(record.key(key).payload(value)).map_err(|(error, _)| error).expect("sent");
        transaction.flush(SOON).expect("acknowledged");
    };
    send(r#"["0:swin","open",["a"]]"#, r#"{"n":1}"#);
    let mut kcons = group.read(&["--commit-interval", "0"]);
    kcons.until("begin");
    let kinds = kcons.kinds(Duration::from_secs(2));
    assert!(kinds.iter().all(|kind| kind == "tick"), "{kinds:?}");
    send(r#"["0:swin","open",["a"]]"#, r#"{"n":2}"#);
    transaction.commit_transaction(SOON).expect("a commit");
    let restore = kcons.until("restore");
    let expected = json!({"mark":"restore","stage":"0:swin","at":["open",0],"key":["a"],
                          "value":{"n":2}});
    assert_eq!(restore, expected);
    assert_eq!(kcons.until("restored")["count"], 1);
}

#[test]
fn every_partition_is_read_again_from_its_committed_offset_after_a_rebalance() {
    let Some(group) = Group::named("again") else { return };
    (0..2).for_each(|partition| group.fill(partition, 50));
    // Nobody commits what the test reads.
    let args = ["--commit-interval", "0", "-X", "session.timeout.ms=6000"];
    let mut first = group.read(&args);
    let barrier = first.until_with("barrier", |mark| mark["offsets"][0][2] == 50);
    assert_eq!(barrier["offsets"][1][2], 50);
    let mut second = group.read(&args);
    let moved = first.until_with("barrier", |mark| mark["last"] == "moved");
    assert_eq!(moved["lines"], 0);
    let begin = first.until("begin");
    assert_eq!(begin["partitions"].as_array().map(Vec::len), Some(1));
    assert_eq!(first.until("restored")["offsets"][0][2], 0, "what it stood past is read again");
    let all = first.until_with("barrier", |mark| mark["lines"] != 0);
    assert!(all["epoch"].as_u64() < Some(20) && all["lines"] == 50, "{all}");
    second.until_with("barrier", |mark| mark["lines"] == 50);
}

#[test]
fn a_barrier_never_overtakes_its_lines() {
    let Some(group) = Group::named("busy") else { return };
    (0..4).for_each(|partition| group.fill(partition, 100_000));
    let mut first = group.read(&["--commit-interval", "0"]);
    first.until("restored");
    for round in 0..3 {
        let mut second = group.read(&["--commit-interval", "0"]);
        second.until_with("barrier", |mark| mark["lines"] != 0);
        second.live.signal(Signal::TERM);
        // Each mark is checked as it is read.
        assert_eq!(second.end().code(), Some(0), "round {round}");
        first.until_with("begin", |mark| mark["partitions"].as_array().map(Vec::len) == Some(4));
    }
    first.until_with("barrier", |mark| {
        mark["offsets"].as_array().is_some_and(|all| all.iter().all(|one| one[2] == 100_000))
    });
}

#[test]
fn a_reader_that_stops_costs_no_membership() {
    let Some(group) = Group::named("slow") else { return };
    group.fill(0, 400_000);
    // A poll that comes later than this costs the membership.
    let mut kcons = group.read(&["--commit-interval", "0", "-X", "max.poll.interval.ms=6000"]);
    let begin = kcons.until("begin");
    kcons.until("restored");
    wait::pass(Duration::from_secs(14));
    let whole = |mark: &Json| mark["mark"] == "begin" || mark["offsets"][0][2] == 400_000;
    let deadline = Instant::now() + wait::LONG;
    let last = loop {
        let (mark, _) = kcons.mark_within(wait::left(deadline)).expect("a mark");
        if whole(&mark) {
            break mark;
        }
    };
    assert_eq!((&last["mark"], &last["generation"]), (&json!("barrier"), &begin["generation"]));
    let wanted: Vec<String> = (0..400_000).map(|number: u32| number.to_string()).collect();
    assert!(kcons.all == wanted, "each line once and in order, {} lines", kcons.all.len());
}

#[test]
fn what_moves_is_committed_before_another_member_begins() {
    let Some(group) = Group::named("moved") else { return };
    // The group waits for half a second, in which a busy machine may come to nothing.
    assert!((1..=5).any(|round| is_committed_before_it_moves(group, round)), "in no round");
}

/// Whether all that the first member wrote by its hand-over was committed when the second begins.
fn is_committed_before_it_moves(group: Group, round: i64) -> bool {
    (0..2).for_each(|partition| group.fill(partition, 1_000));
    let (mut kcons, mut ksink) = (group.read(&[]), group.ksink(&[]));
    // The test is the pipe between the two.
    let mut moved = Json::Null;
    let mut second = None;
    let all = 1_000 * round;
    let deadline = Instant::now() + wait::LONG;
    while moved.is_null() {
        let seen = kcons.all.len();
        let (mark, line) = kcons.mark_within(wait::left(deadline)).expect("a mark");
        for line in &kcons.all[seen..] {
            ksink.send(format!("{line}\n"));
        }
        ksink.send(format!("{line}\n"));
        let is_all = (0..2).all(|number| mark["offsets"][number][2] == all);
        if second.is_none() && mark["mark"] == "barrier" && is_all {
            second = Some(group.read(&[]));
        }
        // Members of a round before may have to be found dead first.
        if mark["last"] == "moved" && second.is_some() {
            moved = mark;
        }
    }
    let mut second = second.expect("a second member");
    if second.until("restored")["offsets"][0][2] != all {
        return false;
    }
    let (_, metadata) = group.stored();
    let (member, epoch) = (moved["member"].as_str().expect("a member"), &moved["epoch"]);
    metadata == format!("kpipe {member} {epoch} {}", moved["generation"])
}

#[test]
fn the_end_waits_for_its_commit() {
    let Some(group) = Group::named("ends") else { return };
    group.fill(0, 20);
    let ended = group.pipe("-e", "| sed -u 's/^\\([^\\x1e]\\)/ends \\1/'");
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert_eq!(copied(group.kafka, "ends ").len(), 20);
    assert_eq!(group.stored().0, Offset::Offset(20));
    // With SIGTERM in a quiet stream.
    let line = "timeout 3 kcons -t ends -g ends -q --epoch 100ms; echo $? >&2";
    let line = format!("{{ {line}; }} | ksink -t out -q");
    let ended = Run::shell(&line).env("KPIPE_BROKERS", group.kafka.address()).end();
    // What timeout says of a program that it has stopped, whatever that said itself.
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), "124\n"));
}

#[test]
fn an_end_that_nobody_commits_is_said_where_there_is_no_ksink() {
    let Some(group) = Group::named("silent") else { return };
    group.fill(0, 5);
    let begun = Instant::now();
    let ended = group.read(&["-e"]).end();
    assert_eq!(ended.code(), Some(0));
    let said = "kcons: group silent: nothing was committed: is there a ksink in the pipe?\n";
    assert_eq!(ended.stderr, said);
    assert!(begun.elapsed() >= Duration::from_secs(29), "it had time to");
}

#[test]
fn an_end_that_is_not_committed_is_unfinished_where_earlier_epochs_were() {
    let Some(group) = Group::named("held") else { return };
    group.fill(0, 5);
    let (mut kcons, mut ksink) = (group.read(&[]), group.ksink(&[]));
    let deadline = Instant::now() + wait::LONG;
    loop {
        let seen = kcons.all.len();
        let (mark, line) = kcons.mark_within(wait::left(deadline)).expect("a mark");
        for line in &kcons.all[seen..] {
            ksink.send(format!("{line}\n"));
        }
        ksink.send(format!("{line}\n"));
        if mark["mark"] == "barrier" && mark["offsets"][0][2] == 5 {
            break;
        }
    }
    wait::until("it is committed", || group.stored().0 == Offset::Offset(5));
    kcons.live.signal(Signal::TERM);
    let ended = kcons.end();
    assert_eq!(ended.code(), Some(75), "{}", ended.stderr);
    assert_eq!(ended.stderr, "kcons: group held: the last epoch was not committed\n");
}

#[test]
fn a_static_name_that_another_copy_takes_is_a_failure_for_good() {
    let Some(group) = Group::named("pair") else { return };
    let args = ["--instance", "one", "--commit-interval", "0"];
    let mut first = group.read(&args);
    first.until("restored");
    let mut second = group.read(&args);
    second.until("restored");
    let abort = first.until("abort");
    assert_eq!(abort["code"], 1);
    let ended = first.end();
    let said = "kcons: group pair: another member has taken our --instance: each copy needs one \
                of its own\n";
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(1), said));
}

#[test]
fn a_pipe_goes_on_from_its_state() {
    let Some(group) = Group::named("whole") else { return };
    let middle = "| swin --running --by 'cast($1 as text) as whole' 'count(*) as n' -o text";
    for round in 1..=3 {
        (0..2).for_each(|partition| group.fill(partition, 10));
        let ended = group.pipe("-e", middle);
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let all = copied(group.kafka, "");
        let of_nine = all.iter().rfind(|line| line.contains(",9,")).expect("a row of 9");
        assert!(of_nine.ends_with(&format!(",9,{}", 2 * round)), "{of_nine}");
    }
}

#[test]
fn state_can_be_forgotten_and_offsets_stay() {
    let Some(group) = Group::named("reset") else { return };
    group.fill(0, 10);
    let middle = "| swin --running --by \"'reset' as k\" 'count(*) as n' -o text";
    assert_eq!(group.pipe("-e", middle).code(), Some(0));
    let reset = |args: &[&str]| {
        let all = ["-b", group.kafka.address(), "-g", "reset", "--reset-state"];
        Run::of("kcons").args([&all[..], args].concat()).end()
    };
    let mut member = group.read(&["--commit-interval", "0"]);
    member.until("restored");
    let refused = reset(&[]);
    assert_eq!(refused.code(), Some(1));
    assert!(refused.stderr.contains("group reset: has members: stop them"), "{}", refused.stderr);
    member.live.signal(Signal::TERM);
    assert_eq!(member.end().code(), Some(0));
    let done = reset(&[]).done();
    assert_eq!(done.stderr, "kcons: group reset: its state is deleted; its offsets stay\n");
    assert_eq!(group.stored(), (Offset::Offset(10), String::new()));
    let again = reset(&["-q"]).done();
    assert_eq!(again.stderr, "");
    group.fill(0, 3);
    assert_eq!(group.pipe("-e", middle).code(), Some(0));
    let all = copied(group.kafka, "");
    let last = all.iter().rfind(|line| line.contains(",reset,")).expect("a row");
    assert!(last.ends_with(",3"), "it counts anew, and only what is new: {last}");
}

#[test]
fn offsets_that_are_not_those_of_the_state_are_refused() {
    let Some(group) = Group::named("guard") else { return };
    group.fill(0, 10);
    assert_eq!(group.pipe("-e", "").code(), Some(0));
    group.consumer().commit(&group.offsets(4), CommitMode::Sync).expect("moved");
    let mut kcons = group.read(&[]);
    let abort = kcons.until("abort");
    let message = abort["message"].as_str().expect("a message");
    let said = "guard [0]: the group's stored offset is 4, its state is of offset 10";
    assert!(message.starts_with(said), "{message}");
    assert_eq!(kcons.end().code(), Some(1));
}

#[test]
fn a_stored_offset_behind_the_end_of_a_topic_is_refused_also_where_reading_ends_there() {
    let Some(group) = Group::named("behind") else { return };
    group.fill(0, 3);
    // As it is of one that was deleted and made anew.
    group.consumer().commit(&group.offsets(10), CommitMode::Sync).expect("an offset");
    let said = "kcons: behind [0]: the group's stored offset 10 is not there, the partition ends \
                at 3\n";
    for args in [&["-e"][..], &[]] {
        let ended = group.read(args).end();
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(1), said));
    }
}

#[test]
fn a_changelog_that_has_to_be_there_is_asked_for_again_before_it_is_said_to_be_gone() {
    let Some(group) = Group::named("signed") else { return };
    let list = group.offsets(0);
    list.elements()[0].set_metadata("kpipe m 1 1");
    group.consumer().commit(&list, CommitMode::Sync).expect("an offset");
    let begun = Instant::now();
    let mut kcons = group.read(&[]);
    let abort = kcons.until("abort");
    assert!(begun.elapsed() >= Duration::from_secs(4), "a topic is not known at once everywhere");
    let message = abort["message"].as_str().expect("a message");
    let said = "signed [0]: offset 0 was stored together with state, and that is gone;";
    assert!(message.starts_with(said), "{message}");
    assert_eq!(kcons.end().code(), Some(1));
}

#[test]
fn a_changelog_of_another_width_is_refused() {
    let Some(group) = Group::named("wide") else { return };
    let ended = group.read(&[]).end();
    assert_eq!(ended.code(), Some(1));
    let said = "kcons: wide-kpipe-state: has 3 partitions and the input 1:";
    assert!(ended.stderr.starts_with(said), "{}", ended.stderr);
}

#[test]
fn offsets_of_ones_own_are_begun_at_and_said_in_each_epoch() {
    let Some(group) = Group::named("kept") else { return };
    group.fill(0, 9);
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (from, to) = (file("from"), file("to"));
    std::fs::write(&from, "kept 0 0 4\n").expect("a file");
    let args = ["--from-offsets", &from, "--write-offsets", &to, "-e"];
    let mut kcons = group.read(&args);
    assert_eq!(kcons.until("restored")["offsets"], json!([["kept", 0, 4]]));
    kcons.until_with("barrier", |mark| mark["last"] == "drained");
    assert_eq!(kcons.all, ["4", "5", "6", "7", "8"]);
    // It does not wait for anyone.
    assert_eq!(kcons.end().code(), Some(0));
    let text = std::fs::read_to_string(&to).expect("the other file");
    assert!(text.starts_with("kept 0 ") && text.ends_with(" 9\n"), "{text}");
}

#[test]
fn a_count_of_lines_drains_the_pipe() {
    let Some(group) = Group::named("counted") else { return };
    group.fill(0, 50);
    let ended = group.pipe("-n 7", "| sed -u 's/^\\([^\\x1e]\\)/counted \\1/'");
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert_eq!(copied(group.kafka, "counted "), ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(group.stored().0, Offset::Offset(7));
}

#[test]
fn a_line_that_holds_a_newline_fails_for_good() {
    let Some(group) = Group::named("lines") else { return };
    let producer: BaseProducer = group.config().create().expect("a producer");
    let record = BaseRecord::<[u8], str>::to("lines").payload("a\nb");
    producer.send(record).map_err(|(error, _)| error).expect("sent");
    producer.flush(SOON).expect("acknowledged");
    let mut kcons = group.read(&[]);
    assert_eq!(kcons.until("abort")["code"], 1);
    let ended = kcons.end();
    let said = "kcons: lines [0] offset 0: holds a newline, which no line can; use -J\n";
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(1), said));
}

#[test]
fn several_topics_are_read_together() {
    let Some(group) = Group::named("two") else { return };
    (0..2).for_each(|partition| group.fill(partition, 5));
    let mut kcons = group.read(&["-t", "pair", "--commit-interval", "0"]);
    let begin = kcons.until("begin");
    assert_eq!(begin["partitions"], json!([["pair", 0], ["two", 0], ["two", 1]]));
    let barrier = kcons.until_with("barrier", |mark| mark["offsets"][2][2] == 5);
    assert_eq!(barrier["offsets"], json!([["pair", 0, 0], ["two", 0, 5], ["two", 1, 5]]));
}

#[test]
fn a_reader_that_has_gone_leaves_the_run_unfinished() {
    let Some(group) = Group::named("gone") else { return };
    let mut kcons = group.read(&[]);
    kcons.until("restored");
    kcons.live.close_stdout();
    assert!(kcons.live.ends_within(SOON), "it notices at the next mark");
    let ended = kcons.live.end();
    let said = "kcons: <stdout>: its reader has gone\n";
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(75), said));
}

#[test]
fn a_group_without_offsets_is_told_where_to_begin() {
    let Some(kafka) = KAFKA.as_ref() else { return };
    let args = ["-b", kafka.address(), "-t", "out", "-g", "placeless", "--epoch", "1s", "-q"];
    let ended = Run::of("kcons").args(args).end();
    assert_eq!(ended.code(), Some(2));
    let said = "kcons: group placeless: has no stored offset of out [0]; --epoch wants to be told \
                where to begin: ";
    assert!(ended.stderr.starts_with(said), "{}", ended.stderr);
}
