//! Results and offsets in one transaction of a foreign store, with the pipe killed again and again.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use kpipe_tests::kafka;
use kpipe_tests::run::Run;

/// Each has a Kafka, and one at a time is enough.
static TURN: Mutex<()> = Mutex::new(());

/// Runs the demo with `store`, which needs `program`.
fn is_exact(store: &str, program: &str) {
    let mut command = Command::new(program);
    let there = command.arg("--version").stdout(Stdio::null()).status().is_ok();
    assert!(
        there || std::env::var_os(kafka::REQUIRED_VARIABLE).is_none(),
        "{} is set, but there is no {program}",
        kafka::REQUIRED_VARIABLE
    );
    if !there || kafka::missing() {
        // Past the test's captured output.
        let said = format!("**** SKIPPED: a pipe into {store} needs {program}, java and mvn.");
        let _ = writeln!(io::stderr(), "{said}");
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let line = format!("STORE={store} KILLS=8 scripts/demo/store.sh");
    let ended = Run::shell(&line).folder(kpipe_tests::program::root()).end().done();
    let text = ended.text();
    let last = text.lines().last().expect("a last line");
    assert!(last.starts_with("awk agrees on 40000 rows, whose pipe was killed 8 times"), "{last}");
}

#[test]
fn a_table_of_sqlite_is_exact_though_its_pipe_is_killed() {
    is_exact("sqlite", "sqlite3");
}

#[test]
fn a_table_of_redis_is_exact_though_its_pipe_is_killed() {
    is_exact("redis", "redis-server");
}
