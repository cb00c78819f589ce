//! `kgen` from outside: its bytes, its pace and its ends.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use rustix::process::Signal;

fn kgen(args: &str) -> Ended {
    Run::of("kgen").args(args.split(' ')).end()
}

fn start(args: &str) -> Live {
    Live::start("kgen", args.split(' '))
}

#[test]
fn the_same_seed_gives_the_same_bytes_at_any_rate() {
    let logs = "logs --apache --start 2026-01-01 --error-share 0.5";
    for profile in ["pages", "numbers", "withdrawals --fraud-share 0.25", logs] {
        let fast = kgen(&format!("{profile} --seed 7 -n 2000")).done();
        assert_eq!(fast.text().split_terminator('\n').count(), 2_000);
        assert_eq!(kgen(&format!("{profile} --seed 7 -n 2000")).done().stdout, fast.stdout);
        let other = kgen(&format!("{profile} --seed 8 -n 2000")).done();
        assert_ne!(other.stdout, fast.stdout, "{profile}");
        if ["pages", "numbers"].contains(&profile) {
            let paced = kgen(&format!("{profile} --seed 7 -n 2000 --rate 20000")).done();
            assert_eq!(paced.stdout, fast.stdout, "{profile}");
        }
    }
}

#[test]
fn a_marked_stream_is_the_same_however_slowly_it_is_read() {
    let args = "logs --seed 7 -n 3000 --rate 10000 --marks --tick 10ms --epoch 40ms";
    let fast = kgen(args).done().stdout;
    let mut slow = start(args);
    let first = slow.line();
    // The pipe is full by then, and the schedule goes on.
    assert!(!slow.ends_within(Duration::from_millis(400)));
    let rest = slow.end().done().stdout;
    assert!([first.as_bytes(), b"\n", &rest].concat() == fast);
}

#[test]
fn a_drawn_seed_is_said_and_brings_the_rows_back() {
    let drawn = kgen("pages -n 5").done();
    let seed = drawn.stderr.strip_prefix("kgen: seed ").expect("the seed is said").trim_end();
    assert_eq!(kgen(&format!("pages -n 5 --seed {seed}")).done().stdout, drawn.stdout);
    assert_eq!(kgen("pages -n 5 -q").done().stderr, "");
    assert_eq!(kgen("pages -n 5 --seed 1").done().stderr, "");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut kgen = start("pages -q");
    assert!(kgen.line().starts_with("page"));
    kgen.close_stdout();
    assert_eq!(kgen.end().done().stderr, "");
}

#[test]
fn a_full_disk_is_an_error() {
    let ended = Run::of("kgen").args(["pages", "-n", "5", "-q"]).stdout_at("/dev/full").end();
    assert_eq!(ended.code(), Some(1));
    assert_eq!(ended.stderr, "kgen: <stdout>: No space left on device\n");
}

#[test]
fn a_signal_ends_it_on_a_whole_row() {
    for (signal, args) in [(Signal::INT, "pages -q"), (Signal::TERM, "logs -q -o json")] {
        let mut kgen = start(args);
        let _ = kgen.line();
        kgen.signal_at_once(signal);
        let ended = kgen.end().done();
        assert_eq!(ended.stdout.last(), Some(&b'\n'), "{args}");
    }
}

#[test]
fn a_signal_ends_a_wait_at_once_and_the_stream_says_so() {
    let mut kgen = start("numbers --seed 1 --burst 3 --every 1h --marks --epoch 1h --tick 1h");
    let lines: Vec<_> = (0..8).map(|_| kgen.line()).collect();
    assert_eq!(lines[5..], ["3", "2", "7"]);
    kgen.signal(Signal::INT);
    let rest = kgen.end().done();
    let (barrier, end) = rest.text().split_once('\n').expect("two marks");
    assert!(barrier.contains("\"lines\":3,") && barrier.contains("\"last\":\"stopped\""));
    assert_eq!(end, "\x1e{\"mark\":\"end\",\"how\":\"stopped\"}\n");
}

#[test]
fn a_second_signal_kills_it_before_a_reader_that_stands() {
    let mut kgen = start("pages -q");
    let _ = kgen.line();
    kgen.signal(Signal::INT);
    assert!(!kgen.ends_within(Duration::from_millis(50)));
    kgen.signal_until_it_ends(Signal::INT);
    assert_eq!(kgen.end().signal(), Some(Signal::INT.as_raw()));
}

#[test]
fn rows_are_passed_on_before_each_wait() {
    let start_of_run = Instant::now();
    let mut kgen = start("numbers -q --rate 20 -n 11");
    for _ in 0..11 {
        let _ = kgen.line();
    }
    // The eleventh row is due half a second after the first.
    assert!(start_of_run.elapsed() >= Duration::from_millis(500));
    assert_eq!(kgen.end().done().stdout, b"");
}

#[test]
fn bursts_come_on_their_schedule() {
    let mut kgen = start("numbers -q --burst 2 --every 200ms -n 8 --with-time");
    let mut times = Vec::new();
    for _ in 0..8 {
        let line = kgen.line();
        let (ms, _) = line.split_once(',').expect("a time in front");
        times.push(ms.parse::<u64>().expect("a time"));
    }
    let since: Vec<_> = times.iter().map(|ms| ms - times[0]).collect();
    assert_eq!(since, [0, 0, 200, 200, 400, 400, 600, 600]);
    assert_eq!(kgen.end().done().stdout, b"");
}

#[test]
fn without_a_schedule_the_time_is_the_clocks() {
    let now_ms = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.expect("after 1970").as_millis()
    };
    let before = now_ms();
    let ended = kgen("numbers -q -n 3 --with-time").done();
    let after = now_ms();
    for line in ended.text().split_terminator('\n') {
        let (ms, _) = line.split_once(',').expect("a time in front");
        let ms: u128 = ms.parse().expect("a time");
        assert!((before..=after).contains(&ms), "{before} {ms} {after}");
    }
}

/// The time that all CPUs together were busy, and all time, in the system's unit, since it
/// started: of `cpu user nice system idle iowait irq softirq steal …` in /proc/stat.
fn cpu_times() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").expect("Linux");
    let times = stat.lines().next().expect("a line").split_whitespace().skip(1).take(8);
    let times: Vec<f64> = times.map(|time| time.parse().expect("a number")).collect();
    let all: f64 = times.iter().sum();
    (all - times[3] - times[4], all)
}

/// The share of memory that programs cannot have, in percent.
fn mem_percent() -> f64 {
    let info = fs::read_to_string("/proc/meminfo").expect("Linux");
    let of = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)).expect("a known line");
        line.split_whitespace().next().expect("a size").parse::<f64>().expect("a number")
    };
    100.0 - of("MemAvailable:") / of("MemTotal:") * 100.0
}

/// The columns `cpu` and `mem` of a row.
fn usage(row: &str) -> [f64; 2] {
    let fields: Vec<&str> = row.split(',').collect();
    [2, 3].map(|at| fields[at].parse().expect("a number"))
}

/// Keeps a CPU busy until it is dropped, and says how much that is of all, in percent.
fn busy() -> (Live, f64) {
    let mut command = Command::new("sh");
    command.args(["-c", "while :; do :; done"]);
    let cpus = available_parallelism().ok().and_then(|cpus| u32::try_from(cpus.get()).ok());
    (Live::command(command), 100.0 / f64::from(cpus.expect("some CPUs")))
}

#[test]
fn what_is_measured_is_what_the_system_says() {
    let (_busy, least) = busy();
    let mut kgen = start("host -n 3 --rate 1");
    let _first = kgen.line();
    let (busy_before, all_before) = cpu_times();
    let mut rows = Vec::new();
    while rows.len() < 2 {
        rows.push(usage(&kgen.line()));
    }
    let (busy_after, all_after) = cpu_times();
    let cpu = (busy_after - busy_before) / (all_after - all_before) * 100.0;
    let measured = f64::midpoint(rows[0][0], rows[1][0]);
    assert!(cpu > 0.7 * least, "{cpu} % although a CPU is busy");
    assert!((measured - cpu).abs() < 10.0, "measured {measured} %, the system says {cpu} %");
    let (measured, mem) = (rows[1][1], mem_percent());
    assert!((measured - mem).abs() < 5.0, "measured {measured} %, the system says {mem} %");
    assert_eq!(kgen.end().done().stderr, "");
}

#[test]
fn the_first_reading_is_not_that_since_the_machine_started() {
    let (_busy, least) = busy();
    let ended = kgen("host -n 1").done();
    let [cpu, _] = usage(ended.text().trim_end());
    assert!(cpu > 0.7 * least && cpu <= 100.0, "{cpu} % although a CPU is busy");
}

#[test]
fn a_signal_ends_the_wait_for_the_first_reading() {
    let mut kgen = start("host --rate 0.001 --marks");
    kgen.signal(Signal::TERM);
    let rest = kgen.end().done();
    assert!(rest.text().ends_with("\x1e{\"mark\":\"end\",\"how\":\"stopped\"}\n"));
}
