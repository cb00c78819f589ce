//! kcons before a reader that stops reading, on a mock broker.

use std::fs;
use std::process::Command;
use std::time::Duration;

use kpipe_tests::live::Live;
use kpipe_tests::run::Run;
use kpipe_tests::wait;
use rustix::process::Signal;

/// Records of the topic `t`, far more than a pipe holds.
const COUNT: u32 = 60_000;

/// kmock with the topic `t`, of which each partition has [`COUNT`] records in all.
fn broker(partitions: u32) -> (Live, String) {
    let mut kmock = Live::start("kmock", ["-q", &format!("t:{partitions}")]);
    let address = kmock.line();
    let lines: String = (0..COUNT).flat_map(|number| [number.to_string(), "\n".into()]).collect();
    // The mock broker keeps 5 MiB of a partition.
    let produced = Run::of("kprod").args(["-b", &address, "-t", "t", "-q"]).input(lines).end();
    let _ = produced.done();
    (kmock, address)
}

fn member(address: &str, args: &[&str]) -> Command {
    let mut command = Command::new(kpipe_tests::bin("kcons"));
    command.args(["-b", address, "-t", "t", "-g", "g", "--from-beginning"]).args(args);
    // A poll that comes later than this costs the membership.
    command.args(["-X", "session.timeout.ms=5000", "-X", "max.poll.interval.ms=5000"]);
    command.env("KPIPE_MOCK", "1");
    command
}

/// Megabytes of memory that a process has.
fn resident(live: &Live) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", live.id())).expect("it runs");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    memory.expect("its memory").trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes")
        / 1024
}

#[test]
fn a_reader_that_stops_costs_neither_the_membership_nor_memory() {
    let (_kmock, address) = broker(1);
    let mut kcons = Live::command(member(&address, &["-c", &COUNT.to_string()]));
    assert_eq!(kcons.line(), "0");
    // Twice the patience of the group.
    wait::pass(Duration::from_secs(10));
    assert!(resident(&kcons) < 150, "{} MB", resident(&kcons));
    let ended = kcons.end().done();
    let lines: Vec<&str> = ended.text().lines().collect();
    let wanted: Vec<String> = (1..COUNT).map(|number| number.to_string()).collect();
    assert!(lines == wanted, "each once and in order, {} lines", lines.len());
    let said =
        format!("kcons: t: 1 partition from beginning\nProcessed a total of {COUNT} messages\n");
    assert_eq!(ended.stderr, said, "nobody missed it");
    let again = Run::command(member(&address, &["-e", "-q"])).end().done();
    assert_eq!(again.text(), "", "all is committed");
}

#[test]
fn a_reader_that_never_comes_back_does_not_keep_kcons_from_ending() {
    let (_kmock, address) = broker(1);
    let mut kcons = Live::command(member(&address, &["-q"]));
    assert_eq!(kcons.line(), "0");
    // Until the pipe is full.
    wait::pass(Duration::from_secs(1));
    kcons.signal(Signal::TERM);
    assert!(kcons.ends_within(wait::LONG), "it waits for ever");
    let ended = kcons.end();
    assert_eq!(ended.code(), Some(1));
    let said = "kcons: <stdout>: its reader has taken nothing for 10 s";
    assert!(ended.stderr.starts_with(said), "{}", ended.stderr);
    // What was not taken is read again.
    let last: u32 = ended.text().lines().last().and_then(|line| line.parse().ok()).expect("lines");
    let again = Run::command(member(&address, &["-e", "-q"])).end().done();
    let first: u32 = again.text().lines().next().and_then(|line| line.parse().ok()).expect("lines");
    assert!(first <= last + 1, "{first} after {last}");
}
