//! kprod beside Kafka's own producers, on a real Kafka: the same arguments and the same
//! input are the same records, and what one refuses the other refuses in the same words.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use kpipe_tests::broker::{Record, records};
use kpipe_tests::kafka::Kafka;
use kpipe_tests::run::{Ended, Run};

/// How many tools run at a time.
const WORKERS: usize = 3;

/// What makes a JVM start quickly, for a tool that runs less than a second.
const QUICK: &str = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto";

/// Arguments and an input.
struct Case {
    /// Separated by blanks; `~` is a blank, and `FILE` the folder of files with a slash.
    args: &'static str,
    input: &'static str,
    /// What both say when they end with a failure.
    refusal: Option<&'static str>,
}

const fn same(args: &'static str, input: &'static str) -> Case {
    Case { args, input, refusal: None }
}

const fn refused(args: &'static str, input: &'static str, words: &'static str) -> Case {
    Case { args, input, refusal: Some(words) }
}

/// Files that arguments name.
const FILES: [(&str, &str); 4] = [
    ("tab", "parse.key=true\nkey.separator=\\t\n"),
    (
        "odd",
        "# comment\n! too\nparse.key : true\n  key.separator = \\u003b\\\n  \\ \n\
         null.marker=NO\\\n    NE\nparse.headers TRUE\nheaders.delimiter=\\#\n",
    ),
    ("linger", "linger.ms=0\nacks=all\nclient.id=someone\nmax.request.size=2000000\n"),
    ("idle", "compression.type=lz4\nretries=7\nbuffer.memory=40000000\nsend.buffer.bytes=-1\n"),
];

const KEYED: &str = "a\t1\nb\t2\n\t3\nc\t\nd\te\tf\n";

const CASES: [Case; 56] = [
    same("", "one\n\n  two \nthree"),
    same("", ""),
    same("", "\n"),
    same("", "gr\u{fc}\u{df}e \u{20ac} \u{1f600}\n\u{0}nul\u{0}\n\u{feff}mark\n\tx\u{1}\n"),
    same("--reader-property parse.key=true", KEYED),
    same("--property parse.key=true", KEYED),
    same("--property=parse.key=true --sync", KEYED),
    same("--reader-property parse.key=~TRUE~", KEYED),
    same("--reader-property parse.key=yes", KEYED),
    same("--reader-property parse.key=true --reader-property key.separator=:", "a:1\nb:2:3\n:\n"),
    same("--reader-property parse.key=true --reader-property key.separator=::", "a::1\nb:2::::3\n"),
    same(
        "--reader-property parse.key=true --reader-property key.separator=\\t",
        "a\\tb\nc\td\\te\n",
    ),
    same("--reader-property parse.key=true --reader-property key.separator=", "ab\n\n"),
    same("--reader-property key.separator=:", "a:1\n"),
    same(
        "--reader-property parse.key=true",
        "1\t1\n2\t2\n3\t3\n4\t4\n5\t5\n6\t6\n7\t7\n8\t8\n\u{e9}\t9\n\u{20ac}\t10\nkey11\t11\n\
         key12\t12\na much longer key than the others\t13\n",
    ),
    refused(
        "--reader-property parse.key=true",
        "a\t1\nb\nc\t3\n",
        "No key separator found on line number 2: 'b'",
    ),
    refused("--property parse.key=true", "\n", "No key separator found on line number 1: ''"),
    same("--reader-property parse.key=true --reader-property ignore.error=true", "a\t1\nb\n\n"),
    same("--reader-property parse.headers=true", "h:1\tv\nh:1,g:2\tw\tx\n"),
    same("--property parse.headers=true --property parse.key=true", "h:1,g:2\tk\tv\nh:\t\t\n"),
    same("--property parse.headers=true --property headers.delimiter=|", "h:1|v|w\nh:2\t|x\n"),
    same("--property parse.headers=true --property headers.separator=;", "h:1;g:2,3\tv\n"),
    same("--property parse.headers=true --property headers.separator=~*;~*", "h:1 ; g:2;f:3\tv\n"),
    same("--property parse.headers=true --property headers.separator=\\|", "h:1|g:2||\tv\n"),
    same(
        "--property parse.headers=true --property headers.separator=| --property ignore.error=true",
        "ab:\tv\n",
    ),
    same("--property parse.headers=true --property headers.separator=[,;]+", "h:1,;g:2;\tv\n"),
    same("--property parse.headers=true --property headers.key.separator==", "h=1=2,g=\tv\n"),
    same("--property parse.headers=true --property headers.key.separator=->", "h->1,g->:\tv\n"),
    same("--property parse.headers=true", "h:1,h:2,h:\tv\n"),
    same("--property parse.headers=true", ",\tv\n"),
    same("--property parse.headers=true --property ignore.error=true", "h,g:1\tv\nw\n,,h\tx\n"),
    same(
        "--property parse.headers=true --property parse.key=true --property ignore.error=true",
        "h:1\tv\nw\n\t\t\nh:1\tk\t\n",
    ),
    refused(
        "--property parse.headers=true",
        "h:1\tv\nw\n",
        "No headers delimiter found on line number 2: 'w'",
    ),
    refused(
        "--property parse.headers=true",
        "h:1\tv\nh:1,g\tw\n",
        "No header key separator found in pair 'g' on line number 2",
    ),
    refused(
        "--property parse.headers=true --property parse.key=true",
        "\tk\tv\n",
        "No header key separator found in pair '' on line number 1",
    ),
    refused(
        "--property parse.headers=true --property parse.key=true",
        "h:1\tv\n",
        "No key separator found on line number 1: 'h:1",
    ),
    same("--property null.marker=N", "N\nNN\n\n"),
    same("--property null.marker=N --property parse.key=true", "N\tN\nk\tN\nN\tv\n"),
    same("--property null.marker=N --property parse.headers=true", "h:N,g:1\tv\nN\tw\n"),
    same("--property null.marker= --property parse.key=true", "\t\nk\t\n\tv\n"),
    refused(
        "--property null.marker=N --property parse.headers=true",
        "N:1\tv\n",
        "Header keys should not be equal to the null marker 'N' as they can't be null",
    ),
    refused(
        "--property null.marker=:",
        "a\n",
        "null.marker and headers.key.separator may not be equal",
    ),
    refused(
        "--property null.marker=,",
        "a\n",
        "null.marker and headers.separator may not be equal",
    ),
    refused(
        "--property headers.delimiter=,",
        "a\n",
        "headers.delimiter and headers.separator may not be equal",
    ),
    refused(
        "--property headers.separator=:",
        "a\n",
        "headers.separator and headers.key.separator may not be equal",
    ),
    refused(
        "--property a=1 --reader-property b=1",
        "a\n",
        "Options --reader-property and --property cannot be specified together.",
    ),
    refused(
        "--producer-property a=1 --command-property b=1",
        "a\n",
        "Options --command-property and --producer-property cannot be specified together.",
    ),
    refused(
        "--producer.config FILElinger --command-config FILElinger",
        "a\n",
        "Options --command-config and --producer.config cannot be specified together.",
    ),
    same("--reader-config FILEtab", KEYED),
    same("--reader-config FILEodd", "h:1#k; v\nNONE#NONE; NONE\n"),
    same("--reader-config FILEtab --reader-property key.separator=,", "a,1\tx\nb\t,2\n"),
    same("--compression-codec --producer.config FILElinger", "a\nb\n"),
    same("--compression-codec zstd --command-config FILEidle", "a\nb\n"),
    same(
        "--compression-codec=snappy --batch-size 1 --max-partition-memory-bytes 999 --timeout 0 \
         --command-property retries=3 --command-property linger.ms=2",
        "a\nb\nc\n",
    ),
    same(
        "--message-send-max-retries 5 --retry-backoff-ms 50 --request-timeout-ms 3000 \
         --metadata-expiry-ms 1000 --max-block-ms 30000 --max-memory-bytes 40000000 \
         --socket-buffer-size 4096 --request-required-acks all",
        "a\nb\nc\n",
    ),
    same(
        "--request-required-acks 1 --message-send-max-retries 0 --socket-buffer-size -1 \
         --line-reader org.apache.kafka.tools.LineMessageReader",
        "a\nb\nc\n",
    ),
];

fn arguments(case: &Case, files: &Path) -> Vec<String> {
    let folder = format!("{}/", files.display());
    let words = case.args.split(' ').filter(|word| !word.is_empty());
    words.map(|word| word.replace("FILE", &folder).replace('~', " ")).collect()
}

/// What of a record has to be the same. Without key, the partition is chance.
fn told(topic: &str, kafka: &Kafka) -> Vec<Record> {
    let mut all = records(kafka.address(), topic);
    for one in &mut all {
        assert!(one.timestamp.is_some_and(|ms| ms > 0), "{topic}: {one:?}");
        one.timestamp = None;
        one.offset = 0;
        if one.key.is_none() {
            one.partition = 0;
        }
    }
    all.sort_by(|one, other| (&one.key, &one.value).cmp(&(&other.key, &other.value)));
    all
}

/// Runs `work` for each number up to `count`, on some threads.
fn each(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let at @ 0.. = next.fetch_add(1, Ordering::Relaxed)
                    && at < count
                {
                    work(at);
                }
            });
        }
    });
}

fn java(kafka: &Kafka, topic: &str, args: &[String], input: &str, options: &str) -> Ended {
    let run = Run::command(kafka.tool("ConsoleProducer")).args(["--topic", topic]).args(args);
    run.env("JAVA_TOOL_OPTIONS", format!("{QUICK} {options}")).input(input).end()
}

/// One Kafka for all tests here; it ends when they do.
static KAFKA: LazyLock<Option<Kafka>> = LazyLock::new(|| {
    let names = (0..CASES.len()).flat_map(|at| [format!("java-{at}:3"), format!("ours-{at}:3")]);
    let others = ["warm:1", "java-counts:1", "ours-counts:1"].map(ToOwned::to_owned);
    let names: Vec<String> = names.chain(others).collect();
    Kafka::start(&names.iter().map(String::as_str).collect::<Vec<_>>())
});

/// The events of a verifiable producer, without their times and with one name for the topic.
fn events(ended: &Ended) -> Vec<serde_json::Value> {
    let event = |line: &str| -> serde_json::Value {
        let mut event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        for key in ["timestamp", "avg_throughput"] {
            if let Some(value) = event.get_mut(key) {
                assert!(value.is_number(), "{line}");
                *value = 0.into();
            }
        }
        if let Some(topic) = event.get_mut("topic") {
            *topic = "counts".into();
        }
        event
    };
    ended.text().lines().map(event).collect()
}

#[test]
fn verifiable_producers_say_the_same() {
    let Some(kafka) = &*KAFKA else { return };
    let args = ["--max-messages", "5", "--repeating-keys", "2", "--value-prefix", "7"];
    let args = [&args[..], &["--acks", "-1", "--throughput", "1000"]].concat();
    let java = Run::command(kafka.tool("VerifiableProducer")).args(["--topic", "java-counts"]);
    let java = events(&java.args(&args).end().done());
    let kprod = Run::of("kprod").args(["--bootstrap-server", kafka.address()]);
    let kprod = kprod.args(["--verifiable", "--topic", "ours-counts"]).args(&args).end().done();
    assert_eq!(events(&kprod), java);
    assert_eq!(java.len(), 8);
    assert_eq!(told("ours-counts", kafka), told("java-counts", kafka));
}

#[test]
fn the_same_arguments_are_the_same_records() {
    let Some(kafka) = &*KAFKA else { return };
    let files = tempfile::tempdir().expect("a folder");
    for (name, text) in FILES {
        fs::write(files.path().join(name), text).expect("a file");
    }
    // The first run keeps the classes that it loaded, for all others.
    let archive = files.path().join("classes.jsa").display().to_string();
    let _ = java(kafka, "warm", &[], "a\n", &format!("-XX:ArchiveClassesAtExit={archive}")).done();
    let archived = format!("-XX:SharedArchiveFile={archive}");
    let wrong = Mutex::new(Vec::new());
    each(CASES.len(), |at| {
        let case = &CASES[at];
        let args = arguments(case, files.path());
        let (theirs, ours) = (format!("java-{at}"), format!("ours-{at}"));
        let java = java(kafka, &theirs, &args, case.input, &archived);
        let kprod = Run::of("kprod").args(["--bootstrap-server", kafka.address()]);
        let kprod = kprod.args(["--topic", &ours]).args(&args).input(case.input).end();
        let mut differs = Vec::new();
        if (java.code() == Some(0)) != (kprod.code() == Some(0)) {
            differs.push(format!("exit {:?} and {:?}", java.code(), kprod.code()));
        }
        if case.refusal.is_none() != (java.code() == Some(0)) {
            differs.push("not refused as expected".to_owned());
        }
        for ended in [&java, &kprod] {
            if !case.refusal.is_none_or(|words| ended.stderr.contains(words)) {
                differs.push(format!("no such words in {}", ended.stderr));
            }
        }
        let (theirs, ours) = (told(&theirs, kafka), told(&ours, kafka));
        if theirs.is_empty() && case.refusal.is_none() && !case.input.is_empty() {
            differs.push("no records at all".to_owned());
        }
        if theirs != ours {
            differs.push(format!("java: {theirs:?}\nours: {ours:?}"));
        }
        if !differs.is_empty() {
            let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
            wrong.push(format!("{args:?}: {}\n{}", differs.join("\n"), kprod.stderr));
        }
    });
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
