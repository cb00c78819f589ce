//! Recordings show what was really to be seen on a terminal, and what the programs write there.

use std::fs;
use std::process::Command;

use kpipe_tests::program;
use kpipe_tests::run::{Ended, Run};
use tempfile::TempDir;

/// Records a shell command on a terminal of 40 columns and 6 rows: how that ended, and the picture.
fn record(command: &str) -> (Ended, String) {
    let folder = TempDir::new().expect("a folder for the test");
    let file = folder.path().join("seen.svg");
    let recorder = Command::new(program::root().join("scripts/record"));
    let ended = Run::command(recorder).arg(&file).args(["40", "6", "bash", "-c", command]).end();
    (ended, fs::read_to_string(&file).unwrap_or_default())
}

/// The lines of text of a picture.
fn texts(picture: &str) -> Vec<&str> {
    picture.lines().filter(|line| line.starts_with("<text")).collect()
}

fn has_script() -> bool {
    let there = Command::new("script").arg("--version").output().is_ok();
    if !there {
        println!("**** No script(1): the test of recordings is SKIPPED.");
    }
    there
}

#[test]
fn a_recording_shows_what_was_written_and_what_replaced_it() {
    if !has_script() {
        return;
    }
    let (ended, picture) =
        record("echo 'a<b'; sleep 0.1; printf '\\033[1A\\033[1mc\\033[0m\\033[K\\n'");
    let _ = ended.done();
    let expected =
        ["<text x=\"16\" y=\"32\">a&lt;b</text>", "<text x=\"16\" y=\"32\" class=\"b\">c</text>"];
    assert_eq!(texts(&picture), expected);

    let (ended, picture) = record("printf '\\033[5mblinking\\n'");
    assert_eq!((ended.code(), picture.as_str()), (Some(1), ""), "what is not known is an error");
    let (ended, _) = record("exit 3");
    assert_eq!(ended.code(), Some(3));
}

#[test]
fn a_table_has_bold_names_unless_the_user_wants_no_colour() {
    if !has_script() {
        return;
    }
    for shown in ["topk -k 2 '$2'", "swin --running --by '$1 as name'", "swin --each '$2 as n'"] {
        let shown = format!("printf '%s\\n' a,1 b,2 | {shown}");
        let bold = |picture: &str| {
            assert_eq!(texts(picture).len(), 3, "{picture}");
            let is_bold = |line: &&str| line.contains("class=\"b\"");
            texts(picture).into_iter().filter(is_bold).count()
        };
        assert_eq!(bold(&record(&shown).1), 1, "{shown}");
        assert_eq!(bold(&record(&format!("export NO_COLOR=1; {shown}")).1), 0, "{shown}");
        assert_eq!(bold(&record(&format!("export TERM=dumb; {shown}")).1), 0, "{shown}");
    }
}
