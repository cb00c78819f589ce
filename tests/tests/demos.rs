//! The demos agree with their independent computations on the mock broker, and fail when they
//! should. Each brings its own broker and ends by itself; so they run side by side.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use kpipe_tests::program;
use kpipe_tests::run::{Ended, Run};
use tempfile::TempDir;

/// Those that need transactions, which the mock broker does not have; stores have tests of their
/// own.
const ON_KAFKA: [&str; 3] = ["copies.sh", "restore.sh", "store.sh"];

/// The demos that run on the mock broker.
fn demos() -> Vec<String> {
    let has_sqlite = Command::new("sqlite3").arg("--version").output().is_ok();
    if !has_sqlite {
        println!("**** No sqlite3: the demo of offsets is SKIPPED.");
    }
    let mut demos = scripts();
    demos.retain(|name| !ON_KAFKA.contains(&name.as_str()));
    demos.retain(|name| has_sqlite || name != "offsets.sh");
    demos
}

/// All demos.
fn scripts() -> Vec<String> {
    let folder = program::root().join("scripts/demo").read_dir().expect("scripts/demo is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("an entry of it").file_name().into_string().expect("a demo's name is text")
    };
    folder
        .map(name)
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "sh"))
        .collect()
}

/// Runs a demo, shortened, with the programs in `first` before all others.
fn run(demo: &str, first: &Path) -> Ended {
    let path = format!("{}:$PATH", first.display());
    Run::shell(&format!("PATH={path} exec scripts/demo/{demo}"))
        .folder(program::root())
        .env("SECONDS_OF_CLICKS", "4")
        .env("NUMBERS", "5")
        .end()
}

#[test]
fn demos_agree_with_awk() {
    let nothing = TempDir::new().expect("a folder for the test");
    thread::scope(|scope| {
        for demo in demos() {
            let folder = nothing.path();
            scope.spawn(move || {
                let ended = run(&demo, folder).done();
                let last = ended.text().lines().last().unwrap_or_default();
                let is_agreed = last.starts_with("awk agrees") || last.contains("add up to");
                assert!(is_agreed, "{demo}: {last}");
            });
        }
    });
}

#[test]
fn demos_find_out_that_lines_were_doubled() {
    let folder = TempDir::new().expect("a folder for the test");
    let doubling = folder.path().join("kprod");
    let kprod = program::bin("kprod");
    let text = format!("#!/bin/sh\nsed -u p | {} \"$@\"\n", kprod.display());
    fs::write(&doubling, text).expect("a program that doubles lines");
    fs::set_permissions(&doubling, fs::Permissions::from_mode(0o755)).expect("it can run");
    thread::scope(|scope| {
        for demo in demos() {
            let folder = folder.path();
            scope.spawn(move || {
                let ended = run(&demo, folder);
                assert_eq!(ended.code(), Some(1), "{demo}: {}", ended.text());
            });
        }
    });
}

#[test]
fn every_demo_has_a_target() {
    let makefile = fs::read_to_string(program::root().join("Makefile")).expect("the Makefile");
    for demo in scripts() {
        assert!(makefile.contains(&format!("\t$(DEMO)/{demo}\n")), "a target for {demo}");
    }
}
