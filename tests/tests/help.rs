//! What every program says of itself, and to a caller who is wrong.

use std::fs;
use std::path::Path;

use kpipe_tests::program;
use kpipe_tests::run::Run;

/// The long options of a program, each with its short one, from its `--help`.
fn options(help: &str) -> Vec<(String, Option<String>)> {
    let option = |line: &str| {
        let words: Vec<&str> = line.split([' ', ',', '=', '[']).filter(|x| !x.is_empty()).collect();
        let short = words.first().filter(|word| word.len() == 2 && word.starts_with('-'));
        let long = *words.get(usize::from(short.is_some()))?;
        let indented = line.starts_with("  ") && !line.starts_with("          ");
        let found = indented && long.starts_with("--") && long.len() > 2;
        found.then(|| (long.to_owned(), short.map(|short| (*short).to_owned())))
    };
    let options = help.split("\nEXAMPLES").next().unwrap_or_default();
    options.split('\n').filter_map(option).collect()
}

/// The texts that run programs: tests, scripts, documentation.
fn users(path: &Path, texts: &mut Vec<String>) {
    if path.is_dir() {
        for entry in path.read_dir().expect("a folder of the tree") {
            users(&entry.expect("an entry of the tree").path(), texts);
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        texts.push(text);
    }
}

/// Whether `text` runs `name` with one of its spellings of an option.
fn uses(text: &str, name: &str, long: &str, short: Option<&str>) -> bool {
    let after = |at: usize| text[at..].chars().next();
    let ends = |at: usize| after(at).is_none_or(|next| !next.is_alphanumeric() && next != '-');
    let starts = |at: usize| at > 0 && [" ", "\"", "\n", "'"].contains(&&text[at - 1..at]);
    let long = text.match_indices(long).any(|(at, _)| ends(at + long.len()));
    let short = short.is_some_and(|short| {
        text.match_indices(short).any(|(at, _)| text.is_char_boundary(at.max(1) - 1) && starts(at))
    });
    text.contains(name) && (long || short)
}

#[test]
fn every_program_explains_itself() {
    for name in program::names() {
        let help = Run::of(&name).args(["--help"]).end().done();
        for part in ["\nEXAMPLES\n", "\nEXIT STATUS\n", "\nUsage: "] {
            assert!(help.text().contains(part), "{name} --help has no {part}");
        }
        let long = help.text().split('\n').find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{name} --help is at most 100 columns wide");
        assert!(
            Run::of(&name).args(["-h"]).end().done().text().starts_with(|x: char| x.is_uppercase())
        );
        let version = Run::of(&name).args(["--version"]).end().done();
        assert_eq!(version.text(), format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
        let full = Run::of(&name).args(["--help"]).stdout_at("/dev/full").end();
        assert_eq!(full.code(), Some(1), "{name} --help to a full disk");
    }
}

#[test]
fn a_wrong_option_is_the_callers_fault() {
    for name in program::names() {
        for option in ["--no-such-option", "--no-such-option=1"] {
            let ended = Run::of(&name).args([option]).end();
            assert_eq!((ended.code(), ended.text()), (Some(2), ""), "{name}");
            let start = format!("{name}: --no-such-option: no such option");
            assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
            assert_eq!(ended.stderr.matches('\n').count(), 1, "{}", ended.stderr);
        }
    }
}

#[test]
fn every_option_is_used_by_a_test() {
    let mut texts = Vec::new();
    for place in ["tests/cmd", "tests/tests", "scripts", "README.md", "docs"] {
        users(&program::root().join(place), &mut texts);
    }
    let mut unused = Vec::new();
    for name in program::names() {
        let help = Run::of(&name).args(["--help"]).end().done();
        let options = options(help.text());
        assert!(options.len() > 1, "the options of {name} are not where they are looked for");
        for (long, short) in options {
            let own = ["--help", "--version"].contains(&long.as_str());
            if !own && !texts.iter().any(|text| uses(text, &name, &long, short.as_deref())) {
                unused.push(format!("{name} {long}"));
            }
        }
    }
    assert!(unused.is_empty(), "used by no test: {}", unused.join(", "));
}
