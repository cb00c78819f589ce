//! The rules of STYLE.md, checked over the whole source tree.
//!
//! A check is a function from a file to findings `path:line: rule, do this instead`. Each test
//! first shows its check a text that breaks the rule and one that keeps it, so that a check that
//! has gone blind fails, and then looks at the tree. The checks go by lines and rely on rustfmt.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use kpipe_tests::program;

const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;
/// One part in so many may be edge: lib/pipe and lib/topic.
const EDGE_PART: usize = 4;

/// What code outside tests does not say, and what it says instead.
const BANNED: &[(&str, &str)] = &[
    ("println!", "write to a pipe::stdio::Output"),
    ("print!", "write to a pipe::stdio::Output"),
    ("eprintln!", "say it with pipe::exit::say"),
    ("eprint!", "say it with pipe::exit::say"),
    ("dbg!", "take it out"),
    ("todo!", "do it"),
    ("unimplemented!", "do it"),
    ("unwrap()", "return the error, or expect(\"why it cannot fail\")"),
    ("process::exit", "return a pipe::exit::Error from run"),
    ("BufRead", "read lines with pipe::lines::Lines"),
    ("stdin().lines", "read lines with pipe::lines::Lines"),
    ("catch_unwind", "return the error"),
];

/// What no code says, tests included.
const BANNED_EVERYWHERE: &[(&str, &str)] = &[
    (
        "thread::sleep",
        "wait for the event: Stop::wait, Lines::fill, wait::readable (or wait::pass)",
    ),
    ("#![allow(", "except one place: #[expect(lint, reason = \"…\")]"),
    ("#[allow(", "except one place: #[expect(lint, reason = \"…\")]"),
];

/// Names that say nothing about what is in a module.
const BAD_NAMES: &[&str] =
    &["common", "util", "utils", "helper", "helpers", "misc", "core", "shared", "lib2"];

/// What a pure module never touches: files, processes, clocks, chance, options, Kafka.
const IMPURE: &[&str] = &[
    "std::io",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "io::",
    "fs::",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "SysRng",
    "rand::rng",
    "pipe::stdio",
    "pipe::stop",
    "clap",
    "rdkafka",
    "sysinfo",
];

/// Modules beside `lib.rs` and `main.rs` that are edges all the same, and what they may touch.
const EDGES: &[(&str, &[&str])] = &[
    // The options of rows, which swin, topk, kprod and ksink share.
    ("lib/row/src/schema.rs", &["clap"]),
    ("lib/row/src/bad.rs", &["clap"]),
    // The meter of kgen host.
    ("bins/kgen/src/meter.rs", &["Instant::now", "sysinfo"]),
    // Where the stream of kgen goes: stdout, or the clients of a server.
    ("bins/kgen/src/sink.rs", &["io::", "pipe::stdio", "pipe::stop"]),
    (
        "bins/kgen/src/server.rs",
        &["std::io", "io::", "std::net", "pipe::stdio", "pipe::stop", "Instant::now"],
    ),
    // The loop of kcons, and the stdout whose acceptance it commits.
    ("bins/kcons/src/session.rs", &["pipe::stop", "Instant::now"]),
    ("bins/kcons/src/session/keeping.rs", &["Instant::now"]),
    ("bins/kcons/src/session/telling.rs", &["Instant::now"]),
    // Its loop under epochs, the end of that, and its threads with the bell that they ring.
    ("bins/kcons/src/epochs.rs", &["pipe::stop", "Instant::now"]),
    ("bins/kcons/src/epochs/hand_over.rs", &["Instant::now"]),
    ("bins/kcons/src/epochs/archivist.rs", &["std::thread", "pipe::stdio", "Instant::now"]),
    ("bins/kcons/src/writer.rs", &["std::thread", "pipe::stdio"]),
    ("bins/kcons/src/bell.rs", &["std::io", "io::", "pipe::stdio"]),
    // The loop of --verifiable.
    ("bins/kcons/src/verifiable.rs", &["pipe::stdio", "pipe::stop", "Instant::now"]),
    ("bins/kcons/src/sink.rs", &["pipe::stdio", "SystemTime"]),
    // The loop of kprod, what it reads and tells, and its options as Kafka's tools have them.
    ("bins/kprod/src/feed.rs", &["pipe::stdio", "pipe::stop", "Instant::now"]),
    (
        "bins/kprod/src/source.rs",
        &["std::fs", "fs::", "std::net", "std::io", "io::", "pipe::stdio"],
    ),
    ("bins/kprod/src/ledger.rs", &["clap", "pipe::stdio", "Instant::now"]),
    ("bins/kprod/src/console.rs", &["clap"]),
    (
        "bins/kprod/src/verifier.rs",
        &["clap", "pipe::stdio", "pipe::stop", "Instant::now", "SystemTime"],
    ),
    // What ksink tells, and the file of its dead letters.
    ("bins/ksink/src/ledger.rs", &["std::fs", "fs::", "pipe::stdio", "Instant::now"]),
    // The options of kcons, and the files in which others keep its offsets.
    ("bins/kcons/src/options.rs", &["clap"]),
    ("bins/kcons/src/offsets.rs", &["std::fs", "fs::", "std::io", "io::", "pipe::stdio"]),
    // The loop of keach, the command that it runs, what is told, and the files of lines that wait.
    (
        "bins/keach/src/session.rs",
        &["std::fs", "fs::", "std::io", "io::", "pipe::stdio", "SystemTime"],
    ),
    (
        "bins/keach/src/command.rs",
        &[
            "std::env",
            "std::fs",
            "fs::",
            "std::io",
            "io::",
            "std::process",
            "pipe::stdio",
            "Instant::now",
        ],
    ),
    ("bins/keach/src/teller.rs", &["Instant::now"]),
    ("bins/keach/src/spool.rs", &["std::env", "std::fs", "fs::", "std::io", "io::", "pipe::stdio"]),
    (
        "bins/keach/src/signals.rs",
        &["std::io", "io::", "std::thread", "pipe::stdio", "pipe::stop", "Instant::now"],
    ),
    // The broker of kmock, and the command that it runs.
    ("bins/kmock/src/mock.rs", &["rdkafka"]),
    ("bins/kmock/src/command.rs", &["std::io", "io::", "std::process", "pipe::stdio"]),
];

/// Which crates never import which.
const NEVER: &[(&str, &[&str])] = &[
    ("lib/pipe", &["row", "topic", "rdkafka"]),
    ("lib/row", &["topic", "rdkafka"]),
    ("bins/kgen", &["topic", "rdkafka"]),
    ("bins/swin", &["topic", "rdkafka"]),
    ("bins/topk", &["topic", "rdkafka"]),
    ("bins/keach", &["topic", "rdkafka"]),
];

/// A file of the tree.
struct Source {
    /// From the root, with `/`.
    path: String,
    text: String,
}

/// A line of a Rust file.
struct Line<'a> {
    number: usize,
    /// Its code alone, with comments and the insides of strings blank.
    code: &'a str,
    /// Whether it belongs to a test.
    test: bool,
}

/// A place where a rule is broken.
struct Finding {
    path: String,
    line: usize,
    rule: String,
    instead: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}, {}", self.path, self.line, self.rule, self.instead)
    }
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    fn is_manifest(&self) -> bool {
        self.path.ends_with("/Cargo.toml")
    }

    fn is_script(&self) -> bool {
        self.has_extension("sh") || self.text.starts_with("#!")
    }

    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// Whether the whole file is for tests.
    fn is_test(&self) -> bool {
        ["tests", "benches", "fuzz"].iter().any(|folder| self.path.split('/').any(|x| x == *folder))
    }

    fn find(&self, line: usize, rule: impl Into<String>, instead: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, rule: rule.into(), instead: instead.into() }
    }

    /// Has `each` look at every line of a Rust file.
    fn lines(&self, mut each: impl FnMut(&Line<'_>)) {
        let code = blanked(&self.text);
        let mut test_indent = None;
        for (at, code) in code.lines().enumerate() {
            if code.trim() == "#[cfg(test)]" {
                test_indent = Some(indent(code));
            }
            let test = self.is_test() || test_indent.is_some();
            each(&Line { number: at + 1, code, test });
            if test_indent == Some(indent(code)) && (code.trim() == "}" || code.ends_with(';')) {
                test_indent = None;
            }
        }
    }

    /// Findings at the lines that hold one of `words`, where `applies`.
    fn words(&self, words: &[(&str, &str)], applies: impl Fn(&Line<'_>) -> bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.is_rust() {
            self.lines(|line| {
                for (word, instead) in words.iter().filter(|_| applies(line)) {
                    if has_word(line.code, word) {
                        findings.push(self.find(line.number, format!("no {word}"), *instead));
                    }
                }
            });
        }
        findings
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether `word` stands in `code` and not as the tail of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    let part_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| {
        let starts = !word.starts_with(part_of_name) || !code[..at].ends_with(part_of_name);
        let rest = &code[at + word.len()..];
        starts && (!word.ends_with(part_of_name) || !rest.starts_with(part_of_name))
    })
}

/// Rust code with spaces for every comment and for the insides of strings.
fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_name = out.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '"' => string_length(rest),
            'r' if !after_name || out.ends_with('b') => raw_string_length(rest),
            '\'' => char_length(rest),
            _ => 0,
        };
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let blank = |letter| if letter == '\n' { '\n' } else { ' ' };
            out.extend(rest[..length].chars().map(blank));
            rest = &rest[length..];
        }
    }
    out
}

/// The length of the string that `text` starts with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            _ => escaped = letter == '\\' && !escaped,
        }
    }
    text.len()
}

/// The length of the raw string that `text` starts with, or 0.
fn raw_string_length(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    if text.as_bytes().get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let inside = 2 + hashes;
    text[inside..].find(&close).map_or(text.len(), |at| inside + at + close.len())
}

/// The length of the character that `text` starts with, or 0 when it is a lifetime.
fn char_length(text: &str) -> usize {
    let skip = if text.starts_with("'\\") { 3 } else { 2 };
    let close = text.char_indices().skip(skip).take(8).find(|(_, letter)| *letter == '\'');
    match close {
        Some((at, _)) if skip == 3 || text[1..at].chars().count() == 1 => at + 1,
        _ => 0,
    }
}

/// The name of the function that a line opens.
fn opened_function(code: &str) -> Option<&str> {
    let (before, after) = code.split_once("fn ")?;
    let modifiers = ["pub", "const", "async", "unsafe", "extern", "pub(crate)", "pub(super)"];
    let opens = before.split_whitespace().all(|word| modifiers.contains(&word));
    opens.then(|| after.split(['(', '<']).next()).flatten()
}

fn long_functions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    if !source.is_rust() {
        return findings;
    }
    source.lines(|line| match &open {
        None => {
            let name =
                opened_function(line.code).filter(|_| !line.code.trim_end().ends_with(['}', ';']));
            open = name.map(|name| (line.number, indent(line.code), name.to_owned()));
        }
        Some((start, depth, name)) if indent(line.code) == *depth => {
            let code = line.code.trim_end();
            let lines = line.number + 1 - start;
            if code.ends_with('}') && lines > FUNCTION_LINES_MAX {
                let rule = format!("{name} has {lines} lines of {FUNCTION_LINES_MAX}");
                findings.push(source.find(*start, rule, "move a step with a name out of it"));
            }
            if code.ends_with(['}', ';']) {
                open = None;
            }
        }
        Some(_) => {}
    });
    findings
}

fn long_lines(source: &Source) -> Vec<Finding> {
    let named = ["Makefile", ".ci/run"].contains(&source.path.as_str());
    if !(source.is_rust() || source.is_script() || source.has_extension("toml") || named) {
        return Vec::new();
    }
    let long = |(at, line): (usize, &str)| {
        let columns = line.chars().count();
        let rule = format!("{columns} columns of {COLUMNS_MAX}");
        (columns > COLUMNS_MAX).then(|| source.find(at + 1, rule, "break it"))
    };
    source.text.lines().enumerate().filter_map(long).collect()
}

fn busy_mains(source: &Source) -> Vec<Finding> {
    if !(source.path.starts_with("bins/") && source.path.ends_with("/src/main.rs")) {
        return Vec::new();
    }
    let mut statements = 0;
    let mut open = false;
    let mut findings = Vec::new();
    source.lines(|line| {
        let code = line.code.trim();
        open |= opened_function(line.code) == Some("main");
        let closes = open && line.code == "}";
        let item = !open && !code.is_empty() && !code.starts_with("use ");
        let starts = open && indent(line.code) == 4 && !code.starts_with(['}', ')', '.']);
        statements += usize::from(starts);
        if item || (starts && statements > 1) {
            let instead = "leave pipe::exit::main alone there and move it to lib.rs";
            findings.push(source.find(line.number, "a main is one statement", instead));
        }
        open &= !closes;
    });
    findings
}

fn banned_words(source: &Source) -> Vec<Finding> {
    let mut findings = source.words(BANNED, |line| !line.test);
    // Where a test lets time pass, for lack of an event, it says so by name.
    let sleeper = source.path == "tests/src/wait.rs";
    findings.extend(source.words(BANNED_EVERYWHERE, |_| !sleeper));
    findings
}

/// Notes to oneself, in any file that people read.
fn notes(source: &Source) -> Vec<Finding> {
    let notes = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];
    let found = |(at, line): (usize, &str)| {
        let note = notes.iter().find(|note| has_word(line, note))?;
        Some(source.find(at + 1, format!("no {note}"), "do it, or say in an issue what is missing"))
    };
    let code = source.is_rust() || source.is_script() || source.has_extension("md");
    source.text.lines().enumerate().filter(|_| code).filter_map(found).collect()
}

fn bad_names(source: &Source) -> Vec<Finding> {
    let path = source.path.strip_suffix(".rs").unwrap_or_default();
    let bad = path.split('/').find(|name| BAD_NAMES.contains(name));
    let rule = |name: &&str| format!("no module named {name}");
    bad.iter().map(|name| source.find(1, rule(name), "name the thing that it holds")).collect()
}

/// The crates that a manifest lists under `[dependencies]`, with their lines.
fn dependencies(manifest: &Source) -> Vec<(usize, String)> {
    let mut listed = Vec::new();
    let mut inside = false;
    for (at, line) in manifest.text.lines().enumerate() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && line.starts_with(|letter: char| letter.is_ascii_lowercase()) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            listed.push((at + 1, name.to_owned()));
        }
    }
    listed
}

fn forbidden_imports(source: &Source) -> Vec<Finding> {
    if !source.is_manifest() {
        return Vec::new();
    }
    let folder = source.path.trim_end_matches("/Cargo.toml");
    let never = NEVER.iter().find(|(crate_folder, _)| *crate_folder == folder);
    let never = never.map_or(&[][..], |(_, names)| names);
    let programs = program::names();
    let mut findings = Vec::new();
    for (line, name) in dependencies(source) {
        // What tries the programs from outside, or their cores, or writes of them, is no program.
        let tries = ["tests", "fuzz", "scripts/"].iter().any(|place| folder.starts_with(place));
        let program = programs.contains(&name) && !tries;
        if program || never.contains(&name.as_str()) {
            let rule = format!("{folder} never imports {name}");
            findings.push(source.find(
                line,
                rule,
                "hand it in as an argument, or join them by a pipe",
            ));
        }
    }
    findings
}

/// What a crate lists and does not say anywhere; over all files of the tree.
fn idle_imports(tree: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in tree.iter().filter(|source| source.is_manifest()) {
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        let code: Vec<String> = tree
            .iter()
            .filter(|source| source.is_rust() && source.path.starts_with(folder))
            .map(|source| blanked(&source.text))
            .collect();
        for (line, name) in dependencies(manifest) {
            let name = name.replace('-', "_");
            let used = |code: &String| has_word(code, &format!("{name}::"));
            if !code.iter().any(used) {
                let rule = format!("{name} is listed and not used");
                findings.push(manifest.find(line, rule, "take it out of the manifest"));
            }
        }
    }
    findings
}

fn impure_modules(source: &Source) -> Vec<Finding> {
    let bin = source.path.starts_with("bins/");
    let edge = bin && ["/src/lib.rs", "/src/main.rs"].iter().any(|end| source.path.ends_with(end));
    let pure = (bin || source.path.starts_with("lib/row/")) && source.path.contains("/src/");
    if edge || !pure {
        return Vec::new();
    }
    let excepted = EDGES.iter().find(|(path, _)| *path == source.path).map_or(&[][..], |x| x.1);
    let words = IMPURE.iter().filter(|word| !excepted.contains(word));
    let instead = "take it as an argument; lib.rs is the edge";
    let words: Vec<_> = words.map(|word| (*word, instead)).collect();
    source.words(&words, |line| !line.test)
}

fn writers_of_stderr(source: &Source) -> Vec<Finding> {
    if source.path == "lib/pipe/src/exit.rs" {
        return Vec::new();
    }
    let words = [("stderr()", "say it with pipe::exit::say"), ("STDERR_FILENO", "use pipe::exit")];
    source.words(&words, |line| !line.test)
}

fn unsafe_code(source: &Source) -> Vec<Finding> {
    let native = ["lib/topic/src/native.rs", "lib/topic/src/native/"];
    if native.iter().any(|path| source.path.starts_with(path)) {
        return Vec::new();
    }
    source.words(&[("unsafe", "put the call into lib/topic's native")], |_| true)
}

/// Lines of code outside tests that are neither empty nor comments.
fn code_lines(source: &Source) -> usize {
    let mut lines = 0;
    if source.is_rust() {
        source.lines(|line| lines += usize::from(!line.test && !line.code.trim().is_empty()));
    }
    lines
}

/// The lines of lib/pipe and lib/topic, and those of all crates.
fn edge_share(tree: &[Source]) -> (usize, usize) {
    let lines = |folders: &[&str]| {
        let inside = |source: &&Source| folders.iter().any(|x| source.path.starts_with(x));
        tree.iter().filter(inside).map(code_lines).sum()
    };
    (lines(&["lib/pipe/", "lib/topic/"]), lines(&["lib/", "bins/"]))
}

fn heavy_edges(tree: &[Source]) -> Vec<Finding> {
    let (edges, all) = edge_share(tree);
    if edges * EDGE_PART <= all {
        return Vec::new();
    }
    let rule = format!("lib/pipe and lib/topic have {edges} of {all} lines, over a quarter");
    let source = Source::new("lib", "");
    vec![source.find(1, rule, "move what one program needs into that program")]
}

/// How often each lint is excepted: `#[expect(clippy::…)]`.
fn exceptions(tree: &[Source]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for source in tree.iter().filter(|source| source.is_rust()) {
        let code = blanked(&source.text);
        for (at, _) in code.match_indices("[expect(") {
            let inside = code[at..].split(']').next().unwrap_or_default();
            for name in inside.split("clippy::").skip(1) {
                let end = name.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
                let name = &name[..end.unwrap_or(name.len())];
                *counts.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    counts
}

/// Compares the exceptions with the rows `| lint | count |` of STYLE.md.
fn uncounted_exceptions(tree: &[Source]) -> Vec<Finding> {
    let Some(style) = tree.iter().find(|source| source.path == "STYLE.md") else {
        return vec![Source::new("STYLE.md", "").find(1, "there is a STYLE.md", "write it")];
    };
    let mut counts = exceptions(tree);
    let mut findings = Vec::new();
    for (at, line) in style.text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let &[_, lint, count, ..] = cells.as_slice() else { continue };
        let (lint, Ok(count)) = (lint.trim_matches('`'), count.parse::<usize>()) else { continue };
        let found = counts.remove(lint).unwrap_or_default();
        if found != count {
            let rule = format!("{lint} is excepted {found} times and not {count}");
            findings.push(style.find(at + 1, rule, "mend the code, or the count and its reason"));
        }
    }
    for (lint, count) in counts {
        let rule = format!("{lint} is excepted {count} times");
        findings.push(style.find(1, rule, "mend the code, or add a row with the reason"));
    }
    findings
}

/// Rules of STYLE.md, lines that start with `- `, that name no check or one that is not there.
fn unchecked_rules(tree: &[Source]) -> Vec<Finding> {
    let Some(style) = tree.iter().find(|source| source.path == "STYLE.md") else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let rules = style.text.split("\n- ").skip(1);
    let mut line = style.text.split("\n- ").next().map_or(0, |head| head.lines().count());
    for rule in rules {
        let rule_line = line + 1;
        line += rule.lines().count();
        let rule = rule.split("\n\n").next().unwrap_or_default();
        let checks = rule.rsplit_once('[').and_then(|(_, checks)| checks.split_once(']'));
        let checks: Vec<&str> =
            checks.map_or(Vec::new(), |(checks, _)| checks.split(", ").collect());
        if checks.is_empty() {
            findings.push(style.find(rule_line, "a rule names its check", "end it with [check]"));
        }
        for check in checks.iter().filter(|check| !is_check(check.trim_matches('`'), tree)) {
            let rule = format!("{check} is no check");
            findings.push(style.find(rule_line, rule, "name a test, a lint, rustfmt or clippy"));
        }
    }
    findings
}

/// Whether `name` is a test `FILE::NAME`, a lint that is switched on, rustfmt or clippy.
fn is_check(name: &str, tree: &[Source]) -> bool {
    let holds = |path: &str, text: &str| {
        tree.iter().any(|source| source.path == path && source.text.contains(text))
    };
    match name.split_once("::") {
        Some((file, test)) => {
            holds(&format!("tests/tests/{file}.rs"), &format!("#[test]\nfn {test}()"))
        }
        None if name == "rustfmt" => holds("Makefile", "(CARGO) fmt"),
        None if name == "clippy" => {
            holds("Makefile", "(CARGO) clippy") && holds("Cargo.toml", "pedantic")
        }
        None if name == "goldens" => holds("tests/tests/goldens.rs", "fn main()"),
        None => holds("Cargo.toml", &format!("\n{name} = \"")),
    }
}

/// Paths of one machine, which mean nothing on another.
fn machine_paths(source: &Source) -> Vec<Finding> {
    let paths = ["work", "root", "home", "Users"].map(|folder| format!("/{folder}/"));
    let found = |(at, line): (usize, &str)| {
        let path = paths.iter().find(|path| line.contains(path.as_str()))?;
        Some(source.find(at + 1, format!("no {path}"), "say it from the root of the tree"))
    };
    source.text.lines().enumerate().filter_map(found).collect()
}

/// Targets of the Makefile that `make help` does not show.
fn silent_targets(source: &Source) -> Vec<Finding> {
    let silent = |(at, line): (usize, &str)| {
        let (target, _) = line.split_once(':')?;
        let plain = |letter: char| letter.is_ascii_lowercase() || letter == '-';
        let is_target = !target.is_empty() && target.chars().all(plain) && !line.contains(":=");
        let rule = format!("the target {target} has no help");
        (is_target && !line.contains("## ")).then(|| source.find(at + 1, rule, "add ## and a line"))
    };
    let makefile = source.path == "Makefile";
    source.text.lines().enumerate().filter(|_| makefile).filter_map(silent).collect()
}

/// Scripts that go on after a command failed.
fn careless_scripts(source: &Source) -> Vec<Finding> {
    if !source.text.starts_with("#!") || source.text.contains("\nset -euo pipefail\n") {
        return Vec::new();
    }
    vec![source.find(1, "a script stops at a failure", "begin it with set -euo pipefail")]
}

/// Programs without a file of goldens; over all files of the tree.
fn programs_without_goldens(tree: &[Source]) -> Vec<Finding> {
    let golden = |name: &str| {
        let folder = format!("tests/cmd/{name}/");
        tree.iter().any(|source| source.path.starts_with(&folder))
    };
    let mains = tree.iter().filter_map(|source| {
        let name = source.path.strip_prefix("bins/")?.strip_suffix("/src/main.rs")?;
        (!golden(name)).then_some((source, name))
    });
    let find = |(source, name): (&Source, &str)| {
        let instead = format!("show what it does in tests/cmd/{name}/*.trycmd");
        source.find(1, format!("{name} has no goldens"), instead)
    };
    mains.map(find).collect()
}

/// Fences of the README that no test runs.
fn idle_fences(source: &Source) -> Vec<Finding> {
    if !source.has_extension("md") || !source.text.contains("\n```") {
        return Vec::new();
    }
    let mut fence = None;
    let mut findings = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        match (line.strip_prefix("```"), &fence) {
            (Some(info), None) => fence = Some(info),
            (Some(_), Some(_)) => fence = None,
            (None, Some(info)) => {
                let build = ["make", "git", "cargo", "export"]
                    .contains(&line.split(' ').next().unwrap_or(""));
                let shell = ["sh", "bash", "shell"].contains(info);
                let ignored = info.starts_with("console") && info.contains("ignore");
                if (shell && !build) || ignored {
                    let instead = "show it with its output in a ```console fence";
                    findings.push(source.find(at + 1, "a block is run by a test", instead));
                }
            }
            (None, None) => {}
        }
    }
    findings
}

/// Every text of the tree that is not made by a tool.
fn tree() -> Vec<Source> {
    let mut sources = Vec::new();
    gather(program::root(), &mut sources);
    assert!(sources.len() > 50, "the tree is not at {}", program::root().display());
    sources
}

fn gather(folder: &Path, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).expect("a folder of the tree can be read");
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name();
        let made = ["target", ".git", "Cargo.lock", "proptest-regressions"];
        if made.iter().any(|made| name == *made) {
            continue;
        }
        if path.is_dir() {
            gather(&path, sources);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(program::root()).expect("it lies under the root");
            sources.push(Source::new(&path.display().to_string(), &text));
        }
    }
}

/// Shows `check` what breaks its rule and what keeps it, then has it look at the tree.
fn hold(check: fn(&Source) -> Vec<Finding>, broken: &[(&str, &str)], kept: &[(&str, &str)]) {
    for (path, text) in broken {
        assert!(!check(&Source::new(path, text)).is_empty(), "{path} breaks the rule: {text}");
    }
    for (path, text) in kept {
        report(&check(&Source::new(path, text)));
    }
    report(&tree().iter().flat_map(check).collect::<Vec<_>>());
}

/// As [`hold`] for a check that looks at the tree as a whole: two small trees, then ours.
fn hold_all(check: fn(&[Source]) -> Vec<Finding>, broken: &[(&str, &str)], kept: &[(&str, &str)]) {
    let sources = |files: &[(&str, &str)]| -> Vec<Source> {
        files.iter().map(|(path, text)| Source::new(path, text)).collect()
    };
    assert!(!check(&sources(broken)).is_empty(), "breaks the rule: {broken:?}");
    report(&check(&sources(kept)));
    report(&check(&tree()));
}

fn report(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn functions_have_at_most_70_lines() {
    let function = |lines| {
        format!("impl X {{\n    pub fn f() {{\n{}    }}\n}}\n", "        g();\n".repeat(lines))
    };
    let (long, short) = (function(69), function(68));
    hold(long_functions, &[("a.rs", &long)], &[("a.rs", &short)]);
}

#[test]
fn lines_have_at_most_100_columns() {
    let (long, short) = ("é".repeat(101), "é".repeat(100));
    let broken = [("a.rs", long.as_str()), ("a.sh", &long), ("Makefile", &long)];
    hold(long_lines, &broken, &[("a.rs", &short), ("README.md", &long)]);
}

#[test]
fn a_main_is_one_statement() {
    let main = |body: &str| format!("use a::B;\n\nfn main() -> B {{\n{body}}}\n");
    let two = main("    let args = 1;\n    run(args)\n");
    let one = main("    pipe::exit::main(\n        run,\n    )\n");
    let helper = format!("{one}\nfn helper() {{}}\n");
    let path = "bins/x/src/main.rs";
    hold(busy_mains, &[(path, &two), (path, &helper)], &[(path, &one)]);
}

#[test]
fn banned_words_have_replacements() {
    let path = "bins/x/src/lib.rs";
    let broken = BANNED.iter().chain(BANNED_EVERYWHERE);
    let broken: Vec<String> = broken.map(|(word, _)| format!("fn f() {{ {word}; }}")).collect();
    let broken: Vec<_> = broken.iter().map(|text| (path, text.as_str())).collect();
    let test = "#[cfg(test)]\nmod tests {\n    fn f() {\n        x.unwrap();\n    }\n}\n";
    let after_test = format!("{test}fn f() {{\n    x.unwrap();\n}}\n");
    assert!(!banned_words(&Source::new(path, &after_test)).is_empty(), "a test ends");
    let comment = "// No unwrap() here.\nfn f() {\n    say(\"no unwrap() here\", '\"');\n}\n";
    let longer_name = "fn f() {\n    x.my_unwrap();\n    myprintln!();\n}\n";
    let kept =
        [(path, test), (path, comment), (path, longer_name), ("tests/tests/a.rs", "dbg!();")];
    hold(banned_words, &broken, &kept);
}

#[test]
fn nothing_is_left_as_a_note() {
    let note = concat!("// FIX", "ME: later\n");
    hold(notes, &[("a.rs", note), ("README.md", note)], &[("a.rs", "// A reason.\n")]);
}

#[test]
fn modules_are_named_for_what_they_hold() {
    let broken = [("bins/x/src/util.rs", ""), ("lib/shared/src/lib.rs", "")];
    hold(bad_names, &broken, &[("bins/x/src/window.rs", ""), ("lib/pipe/src/lib.rs", "")]);
}

#[test]
fn crates_import_only_what_they_may() {
    let manifest = |name: &str| format!("[dependencies]\n{name}.workspace = true\n");
    let (kafka, topic, swin) = (manifest("rdkafka"), manifest("topic"), manifest("swin"));
    let broken = [
        ("bins/swin/Cargo.toml", kafka.as_str()),
        ("lib/row/Cargo.toml", &topic),
        ("lib/pipe/Cargo.toml", &topic),
        ("lib/topic/Cargo.toml", &swin),
        ("bins/topk/Cargo.toml", &swin),
    ];
    let tests_only = format!("[dependencies]\n[dev-dependencies]\n{kafka}").replacen(
        "[dependencies]\nrdkafka",
        "rdkafka",
        1,
    );
    let kept = [("bins/kmock/Cargo.toml", kafka.as_str()), ("bins/swin/Cargo.toml", &tests_only)];
    hold(forbidden_imports, &broken, &kept);
}

#[test]
fn crates_list_only_what_they_use() {
    let manifest = ("lib/x/Cargo.toml", "[dependencies]\nfast-float2.workspace = true\n");
    let broken = [manifest, ("lib/x/src/lib.rs", "// fast_float2::parse\n")];
    let kept = [manifest, ("lib/x/src/lib.rs", "use fast_float2::parse;\n")];
    hold_all(idle_imports, &broken, &kept);
}

#[test]
fn pure_modules_take_what_they_need_as_arguments() {
    let broken: Vec<String> = IMPURE.iter().map(|word| format!("fn f() {{ {word} }}")).collect();
    let mut broken: Vec<_> =
        broken.iter().map(|text| ("bins/x/src/window.rs", text.as_str())).collect();
    broken.push(("lib/row/src/time.rs", "use std::fs::File;\n"));
    let kept = [
        ("bins/x/src/lib.rs", "use std::io;\n"),
        ("lib/pipe/src/stdio.rs", "use std::io;\n"),
        ("bins/x/src/window.rs", "use std::time::Duration;\nuse crate::bios::X;\n"),
    ];
    hold(impure_modules, &broken, &kept);
}

#[test]
fn only_exit_writes_to_stderr() {
    let text = "fn f() {\n    std::io::stderr().flush();\n}\n";
    hold(writers_of_stderr, &[("bins/x/src/lib.rs", text)], &[("lib/pipe/src/exit.rs", text)]);
}

#[test]
fn unsafe_stands_in_one_module() {
    let text = "fn f() {\n    unsafe { g() }\n}\n";
    let kept = [("lib/topic/src/native.rs", text), ("lib/pipe/src/a.rs", "#![deny(unsafe_code)]")];
    hold(unsafe_code, &[("lib/topic/src/client.rs", text)], &kept);
}

#[test]
fn the_edges_are_at_most_a_quarter_of_the_code() {
    let core = "fn f() {}\n".repeat(30);
    let pipe = ("lib/pipe/src/lib.rs", "fn f() {}\n\n// A comment.\nfn g() {}\n");
    let broken = [pipe, ("bins/x/src/lib.rs", "fn f() {}\n")];
    hold_all(heavy_edges, &broken, &[pipe, ("bins/x/src/lib.rs", &core)]);
    let (edges, all) = edge_share(&tree());
    println!("lib/pipe and lib/topic: {edges} of {all} lines, {} %", 100 * edges / all);
}

#[test]
fn exceptions_to_lints_are_counted() {
    let code = "#[expect(clippy::too_many_lines, reason = \"a table\")]\nfn f() {}\n";
    let row = |count| format!("| `too_many_lines` | {count} | tables |\n");
    let (one, two) = (row(1), row(2));
    for style in ["", &two] {
        let tree = [Source::new("STYLE.md", style), Source::new("a.rs", code)];
        assert!(!uncounted_exceptions(&tree).is_empty(), "a count that is not right: {style}");
    }
    let broken = [("STYLE.md", one.as_str())];
    hold_all(uncounted_exceptions, &broken, &[("STYLE.md", &one), ("a.rs", code)]);
}

#[test]
fn every_rule_names_its_check() {
    let test = ("tests/tests/a.rs", "#[test]\nfn b() {}\n");
    for rule in ["\n- Be kind.\n", "\n- Be kind. [`a::c`]\n", "\n- Be kind. [`no_such_lint`]\n"] {
        let tree = [Source::new("STYLE.md", rule), Source::new(test.0, test.1)];
        assert_eq!(unchecked_rules(&tree).len(), 1, "{rule}");
    }
    let broken = [("STYLE.md", "\n- Be kind.\n- Be brief. [`a::b`]\n"), test];
    hold_all(unchecked_rules, &broken, &[("STYLE.md", "\n- Be kind. [`a::b`]\n"), test]);
}

#[test]
fn no_path_is_of_one_machine() {
    let path = concat!("see /ro", "ot/x\n");
    hold(machine_paths, &[("docs/a.md", path)], &[("docs/a.md", "see lib/pipe\n")]);
}

#[test]
fn every_target_has_help() {
    let broken = "test: build\n\tcargo test\n";
    let kept = "PREFIX := /usr\ntest: build ## runs the tests\n\tcargo test\n";
    hold(silent_targets, &[("Makefile", broken)], &[("Makefile", kept)]);
}

#[test]
fn scripts_stop_at_a_failure() {
    let kept = "#!/usr/bin/env bash\nset -euo pipefail\n";
    hold(careless_scripts, &[("scripts/x", "#!/bin/sh\nls\n")], &[("scripts/x", kept)]);
}

#[test]
fn every_program_has_goldens() {
    let main = ("bins/x/src/main.rs", "");
    hold_all(programs_without_goldens, &[main], &[main, ("tests/cmd/x/a.trycmd", "")]);
}

#[test]
fn every_block_of_the_docs_is_run() {
    let broken =
        [("README.md", "\n```sh\nkgen | topk\n```\n"), ("a.md", "\n```console ignore\n$ x\n```\n")];
    hold(idle_fences, &broken, &[("README.md", "\n```sh\nmake\n```\n```console\n$ kgen\n```\n")]);
}
