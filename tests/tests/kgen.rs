//! `kgen` from outside: its bytes, its pace and its ends.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use kpipe_tests::live::Live;
use kpipe_tests::program;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait;
use proptest::prelude::*;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use tempfile::TempDir;

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

/// Every profile that is made, with options that change much.
const MADE: [&str; 7] = [
    "pages --with-time",
    "pages --keys 1000 --zipf 1.1",
    "numbers --below 1000000",
    "logs -o json",
    "withdrawals",
    "fleet --hosts 7 -J",
    "rows --keys 50 --column a=seq --column b=normal(0,1) --column c@key=words(2) --column d=uuid",
];

/// Schedules under which rows have times of their own.
const PACES: [&str; 3] = ["--step 3ms", "--rate 20000", "--burst 0..9 --every 2ms"];

fn lines(text: &str) -> Vec<&str> {
    text.split_terminator('\n').collect()
}

fn times() -> impl Strategy<Value = &'static str> {
    let all =
        ["", " --step 7ms", " --rate 50000", " --burst 3 --every 1ms", " --burst 0..9 --every 1ms"];
    proptest::sample::select(all.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_row_is_made_without_those_before_it(
        made in proptest::sample::select(MADE.to_vec()),
        times in times(),
        skip in 0..900_u64,
        seed in 0..9_u64,
    ) {
        let shows = made.contains("--with-time") || !made.starts_with("pages") && times.is_empty();
        let times = if shows || !times.contains("step") { times } else { "" };
        let args = format!("{made} --seed {seed}{times}");
        let whole = kgen(&format!("{args} -n 1000")).done();
        let rest = kgen(&format!("{args} --skip {skip} -n {}", 1_000 - skip)).done();
        let same = |whole: &str, rest: &str| whole.ends_with(rest);
        prop_assert!(same(whole.text(), rest.text()), "{args} --skip {skip}");
        prop_assert_eq!(u64::try_from(lines(rest.text()).len()).ok(), Some(1_000 - skip));
    }

    #[test]
    fn shards_are_together_the_whole(
        made in proptest::sample::select(MADE.to_vec()),
        times in times(),
        skip in 0..50_u64,
        shards in 1..6_usize,
    ) {
        let made = made.trim_end_matches(" -J");
        let times = if times.contains("step") { "" } else { times };
        let args = format!("{made} --seed 3{times} --skip {skip} -n 300");
        let whole = kgen(&args).done();
        let parts: Vec<_> = (1..=shards)
            .map(|at| kgen(&format!("{args} --shard {at}/{shards}")).done())
            .collect();
        let mut parts: Vec<_> = parts.iter().map(|part| lines(part.text()).into_iter()).collect();
        for (row, line) in (skip..).zip(lines(whole.text())) {
            let shard = usize::try_from(row).expect("few") % shards;
            prop_assert_eq!(parts[shard].next(), Some(line), "{} row {}", args, row);
        }
        prop_assert!(parts.iter_mut().all(|part| part.next().is_none()));
    }

    /// What was sent is the truth, each row at its time and its delay, without the lost ones; and
    /// the truth is what was sent, each row at its place again, with the lost ones made anew.
    #[test]
    fn the_faults_account_for_every_difference(
        late in 0..4_u32,
        dup in 0..4_u32,
        lose in 0..4_u32,
        disorder in 0..40_u32,
        pace in proptest::sample::select(PACES.to_vec()),
        more in proptest::sample::select(vec!["", " --skip 77", " --shard 2/3"]),
    ) {
        let folder = TempDir::new().expect("a folder for the test");
        let [truth, faults] = ["truth", "faults"].map(|name| folder.path().join(name));
        let shuffle = format!(" --disorder {disorder}ms");
        let args = format!(
            "pages --with-time --seed 5 -n 600 {pace}{more} --late 0.{late}:50ms --dup 0.{dup} \
             --lose 0.{lose}{}",
            if disorder > 0 { &shuffle } else { "" }
        );
        let files = format!(" --truth {} --faults {}", truth.display(), faults.display());
        let sent = kgen(&(args.clone() + &files)).done();
        let truth = fs::read_to_string(truth).expect("the truth");
        let undisturbed = kgen(args.split(" --late").next().expect("a part")).done();
        prop_assert_eq!(&truth, undisturbed.text());
        let (mut delays, mut copies, mut lost) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for fault in lines(&fs::read_to_string(faults).expect("the faults")) {
            let fault: serde_json::Value = serde_json::from_str(fault).expect("JSON");
            let (row, by_ms) = (fault["row"].as_u64().expect("a row"), fault["by_ms"].as_i64());
            match fault["kind"].as_str().expect("a kind") {
                "lost" => lost.push(row),
                "dup" => drop(copies.insert(row, by_ms.expect("a time"))),
                _ => *delays.entry(row).or_insert(0) += by_ms.expect("a time"),
            }
        }
        let mut arrivals = Vec::new();
        for (row, line) in (0..).zip(lines(&truth)) {
            let ms: i64 = line.split('|').next().expect("a time").parse().expect("a number");
            if !lost.contains(&row) {
                arrivals.push((ms + delays.get(&row).copied().unwrap_or(0), row, false, line));
            }
            arrivals.extend(copies.get(&row).map(|by_ms| (ms + by_ms, row, true, line)));
        }
        arrivals.sort_unstable();
        let arrived: Vec<_> = arrivals.iter().map(|(.., line)| *line).collect();
        prop_assert_eq!(&arrived, &lines(sent.text()));
        // And back: each line that was sent is the row that its place among the arrivals says.
        let mut rows: BTreeMap<u64, String> = BTreeMap::new();
        for ((_, row, ..), line) in arrivals.iter().zip(lines(sent.text())) {
            let known = rows.entry(*row).or_insert_with(|| line.to_owned());
            prop_assert_eq!(known.as_str(), line);
        }
        let (first, step) = match more {
            " --skip 77" => (77, 1),
            " --shard 2/3" => (1, 3),
            _ => (0, 1),
        };
        for row in lost.iter().take(3) {
            let skip = first + row * step;
            let again = format!("pages --with-time --seed 5 -n 1 {pace} --skip {skip}");
            rows.insert(*row, kgen(&again).done().text().trim_end().to_owned());
        }
        for (row, line) in (0..).zip(lines(&truth)) {
            prop_assert!(rows.get(&row).is_none_or(|again| again == line), "row {}", row);
            prop_assert!(rows.contains_key(&row) || lost.contains(&row), "row {}", row);
        }
    }
}

#[test]
fn disorder_stays_within_its_time() {
    let sent = kgen("numbers --seed 1 -n 5000 --with-time --disorder 20ms").done();
    let mut greatest = 0;
    let mut most = 0;
    for line in lines(sent.text()) {
        let ms: i64 = line.split(',').next().expect("a time").parse().expect("a number");
        greatest = ms.max(greatest);
        most = most.max(greatest - ms);
    }
    assert!((15..=20).contains(&most), "{most} ms behind");
}

#[test]
fn ticks_go_by_the_time_of_arrival_under_faults() {
    let args = "numbers --seed 1 -n 400 --with-time --step 10ms --marks --late 0.2:1s --dup 0.1";
    let ended = kgen(args).done();
    let (mut tick, mut late) = (0, 0);
    for line in lines(ended.text()) {
        if let Some(ms) = line.strip_prefix("\u{1e}{\"mark\":\"tick\",\"ms\":") {
            tick = ms.trim_end_matches('}').parse().expect("a time");
        } else if !line.starts_with('\u{1e}') {
            let ms: i64 = line.split(',').next().expect("a time").parse().expect("a number");
            assert!(ms < tick + 100, "{line} before its tick");
            late += i64::from(ms < tick);
        }
    }
    // Of 400 rows 80 are late, nine of ten by more than a tick, and some of these are doubled.
    assert!((40..120).contains(&late), "{late} rows stand behind a later tick");
}

/// Starts kgen as a server, and says where it listens.
fn serve(args: &str) -> (Live, String) {
    let folder = TempDir::new().expect("a folder for the test");
    let said = folder.path().join("said");
    let mut command = Command::new("bash");
    let kgen = program::bin("kgen");
    command.args(["-c", "exec \"$0\" $1 2> \"$2\""]).arg(kgen).arg(args).arg(&said);
    let live = Live::command(command);
    let mut address = None;
    wait::until("it listens", || {
        let text = fs::read_to_string(&said).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix("kgen: listening on "));
        address = found.map(str::to_owned);
        address.is_some()
    });
    (live, address.expect("an address"))
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server is there");
    stream.set_read_timeout(Some(wait::LONG)).expect("a timeout");
    stream
}

fn read_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).expect("bytes") == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).expect("UTF-8")
}

fn read_all(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the server ends");
    text
}

#[test]
fn a_client_gets_all_rows_of_a_stream_that_waited_for_it() {
    let (server, address) = serve("pages --seed 1 -n 100000 -o csv --listen 0");
    let there = read_all(connect(&address));
    assert_eq!(there, kgen("pages --seed 1 -n 100000 -o csv").done().text());
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn typed_lines_reach_every_client_that_is_there() {
    let (mut server, address) = serve("stdin --listen 0");
    let mut first = connect(&address);
    server.send("one\n");
    assert_eq!(read_line(&mut first), "one");
    let mut second = connect(&address);
    second.write_all(b"hello?\n").expect("nobody listens");
    // It is taken in before the next line is: who has connected is looked for before each.
    server.send("two\n");
    assert_eq!(
        (read_line(&mut first), read_line(&mut second)),
        ("two".to_owned(), "two".to_owned())
    );
    drop(second);
    for line in ["three", "four", "five"] {
        server.send(format!("{line}\n"));
        assert_eq!(read_line(&mut first), line);
    }
    server.close_stdin();
    assert_eq!(read_all(first), "");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn kprod_takes_what_is_served_and_comes_back_for_more() {
    let mut kmock = Live::start("kmock", ["-q", "t"]);
    let broker = kmock.line();
    let (server, address) = serve("numbers --seed 1 --rate 1000 -n 400 --listen 0");
    let source = format!("tcp://{address}");
    let args = ["-b", &broker, "-q", "-t", "t", "-n", "800", &source];
    let kprod = Live::start("kprod", args);
    assert_eq!(server.end().code(), Some(0));
    let again = format!("numbers --seed 1 -n 400 --skip 400 -q --listen {address}");
    let _ = kgen(&again).done();
    let _ = kprod.end().done();
    let args = ["-b", &broker, "-q", "-t", "t", "-o", "beginning", "-e"];
    let read = Run::of("kcons").args(args).end().done();
    assert_eq!(read.text(), kgen("numbers --seed 1 -n 800").done().text());
}

#[test]
fn who_comes_later_gets_the_header_and_whole_lines() {
    let (_server, address) = serve("numbers --seed 1 --rate 200 -o csv --with-time --listen 0");
    let mut first = connect(&address);
    for _ in 0..5 {
        let _ = read_line(&mut first);
    }
    let mut second = connect(&address);
    assert_eq!(read_line(&mut second), "ms,number");
    let row = read_line(&mut second);
    let (ms, number) = row.split_once(',').expect("a whole row");
    assert!(ms.len() == 13 && number.len() == 1 && ms > "1735689600010", "{row}");
}

#[test]
fn a_client_that_has_nothing_to_say_still_listens() {
    let (mut server, address) = serve("stdin --listen 0");
    let mut client = connect(&address);
    client.shutdown(std::net::Shutdown::Write).expect("a half");
    server.send("one\n");
    assert_eq!(read_line(&mut client), "one");
}

#[test]
fn a_slow_client_is_cut_off_and_delays_nobody() {
    let (server, address) = serve("pages --seed 1 -n 3000000 --listen 0");
    let slow = connect(&address);
    let there = read_all(connect(&address));
    let whole = kgen("pages --seed 1 -n 3000000").done();
    assert!(there.len() > whole.text().len() / 2 && whole.text().ends_with(&there));
    assert_eq!(server.end().code(), Some(0));
    let mut got = Vec::new();
    let mut slow = slow;
    // What the kernel held, and then the end or a reset.
    let _ = slow.read_to_end(&mut got);
    assert!(got.len() < whole.stdout.len() / 2, "{} bytes", got.len());
}

#[test]
fn without_clients_the_stream_waits_for_the_next_one() {
    let (server, address) = serve("numbers --seed 1 --rate 100 --with-time --listen 0");
    let mut first = connect(&address);
    let _ = read_line(&mut first);
    drop(first);
    wait::pass(Duration::from_secs(2));
    let mut second = connect(&address);
    let _ = read_line(&mut second);
    let first = read_line(&mut second);
    let ms: i64 = first.split(',').next().expect("a time").parse().expect("a number");
    assert!(ms < 1_735_689_600_000 + 1_500, "rows were lost before {first}");
    let mut server = server;
    server.signal(Signal::TERM);
    drop(second);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_port_in_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let ended = kgen(&format!("numbers --seed 1 --listen {port}"));
    assert_eq!(ended.code(), Some(1));
    assert_eq!(ended.stderr, format!("kgen: 127.0.0.1:{port}: Address already in use\n"));
}

#[test]
fn a_stalled_pipe_is_caught_up_and_the_slip_is_told() {
    let mut kgen = start("logs --seed 1 --rate 20000 -n 20000 --stats 100ms");
    let _ = kgen.line();
    assert!(!kgen.ends_within(Duration::from_millis(1_500)), "the pipe is full");
    let ended = kgen.end().done();
    let mut most = 0;
    for line in lines(&ended.stderr) {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["tool"], "kgen");
        most = most.max(line["slip_ms"].as_u64().expect("a slip"));
    }
    assert!((500..60_000).contains(&most), "a slip of {most} ms");
    let last: serde_json::Value =
        serde_json::from_str(lines(&ended.stderr).last().expect("a line")).expect("JSON");
    assert_eq!((last["in"].as_u64(), last["out"].as_u64()), (Some(20_000), Some(20_000)));
}

/// What a terminal shows of stderr.
fn told(args: &str) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    unlockpt(&terminal).expect("it can be unlocked");
    let name = ptsname(&terminal, Vec::new()).expect("it has a name");
    let name = name.into_string().expect("UTF-8");
    let _ = Run::shell(&format!("TERM=xterm kgen {args} 2> {name}")).end().done();
    // A terminal that nobody writes to any more ends in an error.
    let (mut terminal, mut bytes) = (fs::File::from(terminal), Vec::new());
    let _ = terminal.read_to_end(&mut bytes);
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_terminal_shows_how_far_a_long_run_is() {
    let shown = told("pages --seed 1 -n 1200 --rate 2000");
    assert!(shown.contains("of 1,200"), "{shown:?}");
    assert_eq!(told("pages --seed 1 -n 1200 --rate 2000 -q"), "");
}

#[test]
fn lines_of_stdin_are_paced_and_none_is_changed() {
    let bytes = b"a\n\n\xff\x00\n\x1ex\nlast".to_vec();
    let through = |args: &str| Run::of("kgen").args(args.split(' ')).input(&bytes).end().done();
    assert_eq!(through("stdin").stdout, b"a\n\n\xff\x00\n\x1ex\nlast\n");
    assert_eq!(through("stdin --skip 1 -n 2").stdout, b"\n\xff\x00\n");
    let marked = through("stdin --marks --seed 1").stdout;
    assert!(marked.windows(5).any(|bytes| bytes == b"\n\x1e\x1ex\n"), "a row is no mark");
    let begun = Instant::now();
    assert_eq!(through("stdin --rate 10 -n 4").stdout, b"a\n\n\xff\x00\n\x1ex\n");
    assert!(begun.elapsed() >= Duration::from_millis(300));
}
