//! The pipes that a storm goes through, and what is asked of each.

use crate::lines::{self, DELAY_MS, Line, NAMES, Rows};

/// Size of the windows in ms of event time.
const WINDOW_MS: u64 = 4_000;

/// A pipe.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// The stages between kcons and ksink.
    pub(crate) middle: String,
    /// Whether a second copy comes and goes. Not where results are of all partitions.
    pub(crate) guests: bool,
    /// By which column rows are ordered.
    pub(crate) by: &'static str,
    /// The columns of a row of JSON that count; none, where a row is the line as it came.
    pub(crate) columns: &'static [&'static str],
    pub(crate) truth: fn(&[Line]) -> Rows,
    pub(crate) check: Check,
    /// Whether bad and late rows are dead letters in the topic `dead-NAME`.
    pub(crate) letters: bool,
}

/// How rows compare with the truth.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// They are these, in this order.
    Whole,
    /// Some are left out, the last one is there, and none is there twice.
    Thinned,
    /// The last one is this.
    Last,
}

/// All pipes, of which the first ones show the most.
pub(crate) fn all() -> Vec<Variant> {
    vec![running(), each(), tumble(), totals(), ranked(), leaders(), twice(), foreign()]
}

fn rows(options: &str) -> String {
    format!("swin --names {NAMES} --by key {options} 'count(*) as n' 'sum(value) as sum'")
}

fn windows() -> String {
    rows(&format!("--tumble {WINDOW_MS}ms --time ms --delay {DELAY_MS}ms --idle 1h"))
}

/// Totals, as they change.
fn running() -> Variant {
    Variant {
        name: "running",
        middle: rows("--running --every 1s --emit changes"),
        guests: true,
        by: "key",
        columns: &["key", "n", "sum"],
        truth: lines::totals,
        check: Check::Thinned,
        letters: false,
    }
}

/// Lines as they came.
fn each() -> Variant {
    Variant {
        name: "each",
        middle: format!("swin --names {NAMES} --each"),
        guests: true,
        by: "",
        columns: &[],
        truth: lines::whole,
        check: Check::Whole,
        letters: false,
    }
}

/// A row for every window and key; the rest goes to the dead letters.
fn tumble() -> Variant {
    Variant {
        name: "tumble",
        middle: windows(),
        guests: true,
        by: "key",
        columns: &["window_start", "key", "n", "sum"],
        truth: |all| lines::windows(all, WINDOW_MS),
        check: Check::Whole,
        letters: true,
    }
}

/// The totals of a key at each of its lines: every count comes exactly once.
fn totals() -> Variant {
    Variant { name: "totals", middle: rows("--rows 1000000/1"), check: Check::Whole, ..running() }
}

/// A ranking for every window.
fn ranked() -> Variant {
    Variant {
        name: "ranked",
        middle: format!("{} | topk -k 3 sum --key key", windows()),
        guests: false,
        by: "window_start",
        columns: &["window_start", "rank", "key", "n", "sum"],
        truth: |all| lines::best(all, WINDOW_MS, 3),
        check: Check::Whole,
        letters: false,
    }
}

/// A ranking of totals, of which only the changes are written.
fn leaders() -> Variant {
    Variant {
        name: "leaders",
        middle: format!(
            "{} | topk -k 10 sum --key key --upsert --changes",
            rows("--running --every 1s --emit changes")
        ),
        guests: false,
        by: "rank",
        columns: &["rank", "key", "n", "sum"],
        truth: |all| lines::leaders(all, 10),
        check: Check::Last,
        letters: false,
    }
}

/// Windows of windows.
fn twice() -> Variant {
    let second = "swin --by key --tumble 16s --time window_start 'sum(n) as n' 'sum(sum) as sum'";
    Variant {
        name: "twice",
        middle: format!("{} | {second} --idle 1h", windows()),
        guests: true,
        by: "key",
        columns: &["window_start", "key", "n", "sum"],
        truth: |all| lines::windows(all, 4 * WINDOW_MS),
        check: Check::Whole,
        letters: false,
    }
}

/// Programs that know nothing of all this.
fn foreign() -> Variant {
    let object = r#"split(",") | {number: .[0], key: .[1], value: .[2]}"#;
    Variant {
        name: "foreign",
        middle: format!(
            "keach grep -v '7,[0-9x]*,[0-9]*$' | keach -c \"jq -Rc '{}'\"",
            object.replace('"', "\\\"")
        ),
        guests: true,
        by: "key",
        columns: &["number", "key", "value"],
        truth: lines::without_sevens,
        check: Check::Whole,
        letters: false,
    }
}
