//! Results and offsets in one transaction of a foreign store, with the pipe killed again and again.

use std::process::Command;

use kpipe_tests::run::Run;

#[test]
fn a_table_is_exact_though_its_pipe_is_killed() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        println!("**** No sqlite3: the test of a foreign store is SKIPPED.");
        return;
    }
    let ended = Run::shell("KILLS=10 scripts/demo/store.sh").folder(kpipe_tests::program::root());
    let ended = ended.end().done();
    let last = ended.text().lines().last();
    assert_eq!(last, Some("awk agrees on 20000 rows, which were killed 10 times on their way"));
}
