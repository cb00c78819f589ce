//! Console blocks of Markdown: commands with the output that they must have.
//!
//! The form is trycmd's, but each command is run by bash, so that it may be a pipe. In a fence
//! that opens with `console` a line `$ COMMAND` is a command, lines `> …` right after it go on
//! with it, a line `? N` says that it exits with N, and what follows is its output, stderr as
//! well. There `[..]` stands for any part of a line and a line `...` for any lines. The commands
//! of one file run one after the other in one new folder, which begins as a copy of `NAME.in/`
//! when that is beside `NAME.trycmd`. A fence `console kafka` needs a real Kafka; one with
//! `console ignore` is for the reader alone.

use std::fmt::{Display, Write as _};
use std::fs;
use std::ops::Range;
use std::path::Path;

use snapbox::Data;
use snapbox::filter::NormalizeToExpected;
use snapbox::report::{Palette, write_diff};

use crate::kafka;
use crate::run::Run;

/// A command of a console block.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The command, for bash.
    pub command: String,
    /// What it must give: a line `? N` unless N is 0, then its output.
    pub expected: String,
    /// Whether it needs a real Kafka.
    pub needs_kafka: bool,
    /// The lines of the command and of `expected` in the file, from 0.
    command_lines: Range<usize>,
    expected_lines: Range<usize>,
}

/// The commands of a text in Markdown, in its order.
#[must_use]
pub fn steps(text: &str) -> Vec<Step> {
    let lines: Vec<&str> = text.lines().collect();
    let fences = fences(&lines);
    let runs = |fence: &&Fence<'_>| fence.is("console") && !fence.is("ignore");
    fences.iter().filter(runs).flat_map(|fence| steps_of(&lines, fence)).collect()
}

/// A fenced block: the words behind its three ticks, and its lines from 0.
struct Fence<'a> {
    words: Vec<&'a str>,
    lines: Range<usize>,
}

impl Fence<'_> {
    fn is(&self, word: &str) -> bool {
        self.words.contains(&word)
    }
}

fn fences<'a>(lines: &[&'a str]) -> Vec<Fence<'a>> {
    let mut ticks = (0..lines.len()).filter(|at| lines[*at].starts_with("```"));
    let mut fences = Vec::new();
    while let (Some(open), Some(close)) = (ticks.next(), ticks.next()) {
        let words = lines[open].trim_matches('`').split([' ', ',']).collect();
        fences.push(Fence { words, lines: open + 1..close });
    }
    fences
}

fn steps_of(lines: &[&str], fence: &Fence<'_>) -> Vec<Step> {
    let starts = fence.lines.clone().filter(|at| lines[*at].starts_with("$ "));
    let starts: Vec<usize> = starts.collect();
    let ends = starts.iter().skip(1).copied().chain([fence.lines.end]);
    starts.iter().zip(ends).map(|(start, end)| step(lines, fence, *start..end)).collect()
}

fn step(lines: &[&str], fence: &Fence<'_>, range: Range<usize>) -> Step {
    let more = lines[range.start + 1..range.end].iter().take_while(|line| line.starts_with("> "));
    let split = range.start + 1 + more.count();
    // An empty line before the next command is there for the reader.
    let is_gap =
        range.end < fence.lines.end && range.end > split && lines[range.end - 1].is_empty();
    let end = if is_gap { range.end - 1 } else { range.end };
    let command = lines[range.start..split].iter().map(|line| &line[2..]);
    Step {
        command: command.collect::<Vec<_>>().join("\n"),
        expected: lines[split..end].iter().flat_map(|line| [*line, "\n"]).collect(),
        needs_kafka: fence.is("kafka"),
        command_lines: range.start..split,
        expected_lines: split..end,
    }
}

/// Runs the commands of the file at `path`. With `overwrite`, writes into the file what the
/// commands gave where it does not fit.
///
/// # Errors
/// What does not fit, with its place.
///
/// # Panics
/// When the file or a folder for it cannot be used.
pub fn check(path: &Path, overwrite: bool) -> Result<(), String> {
    let text = fs::read_to_string(path).expect("the file can be read");
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(&path.with_extension("in"), folder.path());
    let mut wrong = Vec::new();
    for step in steps(&text) {
        if step.needs_kafka && kafka::missing() {
            continue;
        }
        let actual = give(&step, folder.path());
        let expected = Data::text(step.expected.as_str());
        let fit =
            NormalizeToExpected::new().redact().normalize(Data::text(actual.as_str()), &expected);
        if fit != expected {
            wrong.push((step, actual));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    if overwrite {
        fs::write(path, rewritten(&text, &wrong)).expect("the file can be written");
        return Ok(());
    }
    Err(wrong.iter().map(|(step, actual)| report(path, step, actual)).collect())
}

/// Runs a command and writes down its exit code and output as a block has them.
fn give(step: &Step, folder: &Path) -> String {
    let ended = Run::shell(&format!("exec 2>&1\n{}", step.command)).folder(folder).end();
    let mut actual = match ended.code() {
        Some(0) => String::new(),
        Some(code) => format!("? {code}\n"),
        None => format!("? {}\n", ended.status),
    };
    actual.push_str(&String::from_utf8_lossy(&ended.stdout));
    if !actual.is_empty() && !actual.ends_with('\n') {
        actual.push('\n');
    }
    actual
}

fn report(path: &Path, step: &Step, actual: &str) -> String {
    let mut report = format!("\n{}:{}:\n", path.display(), step.command_lines.start + 1);
    let _ = writeln!(report, "$ {}", step.command);
    let expected = Data::text(step.expected.as_str());
    let actual = Data::text(actual);
    let names: [Option<&dyn Display>; 2] = [Some(&"expected"), Some(&"actual")];
    let colours = Palette::plain();
    let _ = write_diff(&mut report, &expected, &actual, names[0], names[1], colours);
    report
}

/// `text` with what the commands gave in the place of what was expected.
fn rewritten(text: &str, wrong: &[(Step, String)]) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for (step, actual) in wrong.iter().rev() {
        lines.splice(step.expected_lines.clone(), actual.lines());
    }
    lines.join("\n") + "\n"
}

/// Copies the files of a folder, when it is there.
fn copy(from: &Path, to: &Path) {
    let Ok(entries) = from.read_dir() else { return };
    for entry in entries {
        let entry = entry.expect("an entry of the folder");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("the file can be copied");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
words
```console
$ one |
> two
out
$ three
? 1
thing

$ four
```
```sh
$ not this
```
```console kafka
$ five
```
";

    #[test]
    fn commands_are_found_with_what_they_give() {
        let steps = steps(TEXT);
        let told = |step: &Step| (step.command.clone(), step.expected.clone(), step.needs_kafka);
        let told: Vec<_> = steps.iter().map(told).collect();
        let step = |command: &str, expected: &str, kafka| (command.into(), expected.into(), kafka);
        let expected = [
            step("one |\ntwo", "out\n", false),
            step("three", "? 1\nthing\n", false),
            step("four", "", false),
            step("five", "", true),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_output_that_does_not_fit_is_shown_or_written_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.trycmd");
        fs::write(&path, "```console\n$ echo a b; exit 3\nold\n\n$ seq 3\n1\n...\n```\n")
            .expect("written");
        let told = check(&path, false).expect_err("it does not fit");
        assert!(told.contains("a.trycmd:2:") && told.contains("old") && told.contains("a b"));
        check(&path, true).expect("written over");
        let text = fs::read_to_string(&path).expect("read");
        assert_eq!(text, "```console\n$ echo a b; exit 3\n? 3\na b\n\n$ seq 3\n1\n...\n```\n");
        check(&path, false).expect("it fits now");
    }

    #[test]
    fn any_part_of_a_line_may_be_left_open() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.trycmd");
        fs::write(&path, "```console\n$ echo 1 apple\n1 a[..]e\n```\n").expect("written");
        check(&path, false).expect("it fits");
    }
}
