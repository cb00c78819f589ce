//! keach: what a command gets and what becomes of that, and how it ends.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait;
use rustix::process::{Pid, Signal, test_kill_process};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use tempfile::TempDir;

#[path = "keach/streams.rs"]
mod streams;

/// A stream with epochs of two partitions, up to where lines may come.
const HEAD: &str = "\
\x1e{\"kpipe\":1,\"mark\":\"open\",\"epochs\":true,\"tick_ms\":100,\"stages\":[]}
\x1e{\"mark\":\"begin\",\"group\":\"g\",\"generation\":1,\"member\":\"m\",\
\"partitions\":[[\"t\",0],[\"t\",1]]}
\x1e{\"mark\":\"restored\",\"count\":0,\"offsets\":[[\"t\",0,5],[\"t\",1,7]]}
";

/// The end of it.
const END: &str = "\x1e{\"mark\":\"end\",\"how\":\"stopped\"}\n";

fn from(partition: i32) -> String {
    format!("\x1e{{\"mark\":\"from\",\"at\":[\"t\",{partition}],\"offset\":0}}\n")
}

fn barrier(epoch: u64, lines: usize) -> String {
    format!(
        "\x1e{{\"mark\":\"barrier\",\"epoch\":{epoch},\"lines\":{lines},\"group\":\"g\",\
         \"generation\":1,\"member\":\"m\",\"instance\":null,\
         \"offsets\":[[\"t\",0,{epoch}0],[\"t\",1,{epoch}1]]}}\n"
    )
}

/// A stream of one epoch with these lines, in partition 0.
fn epoch(lines: &str) -> String {
    let count = lines.lines().count();
    [HEAD, &from(0), lines, &barrier(1, count), END].concat()
}

fn keach(args: &[&str], input: impl AsRef<[u8]>) -> Ended {
    Run::of("keach").args(args).input(input).end()
}

/// The lines that are no marks.
fn data(ended: &Ended) -> String {
    let lines = ended.text().lines().filter(|line| !line.starts_with('\x1e'));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Whether the process whose number is in `file` goes on.
fn goes_on(file: &Path) -> bool {
    let id = fs::read_to_string(file).unwrap_or_default();
    let pid = id.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    test_kill_process(pid).is_ok() && !stat.contains(") Z ")
}

/// How many lines of `said` begin so behind the time.
fn told(said: &Ended, start: &str) -> usize {
    let begins = |line: &&str| line.contains(&format!(",{start},\"in_rate\""));
    said.stderr.lines().filter(begins).count()
}

#[test]
fn it_says_how_it_goes_while_the_command_runs_and_while_nothing_comes() {
    let busy = keach(&["--stats", "100ms", "-c", "sleep 1; cat"], epoch("a\n")).done();
    assert!((5..30).contains(&told(&busy, "\"in\":1,\"out\":0")), "{}", busy.stderr);
    let mut idle = Live::start("keach", ["--stats", "100ms", "cat"]);
    idle.send(epoch("a\n").trim_end_matches(END));
    assert!(!idle.ends_within(Duration::from_secs(1)), "its input is open");
    idle.send(END);
    let idle = idle.end().done();
    assert!((5..30).contains(&told(&idle, "\"in\":1,\"out\":1")), "{}", idle.stderr);
}

fn until_written(file: &Path) {
    let written = || fs::read_to_string(file).is_ok_and(|text| text.ends_with('\n'));
    wait::until("the command runs", written);
}

#[test]
fn a_plain_stream_goes_through_byte_by_byte() {
    for text in [&b"a\n\n\xff\0b\r\n\x1ex\n\x1e{\"kpipe\":1\nlast"[..], b"\x1e", b"", b"\n"] {
        let ended = keach(&["cat"], text).done();
        assert_eq!((ended.stdout.as_slice(), ended.stderr.as_str()), (text, ""));
    }
    let marked = epoch("x\n");
    assert_eq!(keach(&["--plain", "cat"], &marked).done().text(), marked);
}

#[test]
fn a_plain_stream_is_not_held() {
    let mut live = Live::start("keach", ["cat"]);
    for line in ["one", "two"] {
        live.send(format!("{line}\n"));
        assert_eq!(live.line(), line);
    }
    let _ = live.end().done();
    let many = "ulimit -v 200000; head -c 500000000 /dev/zero | keach cat | wc -c";
    assert_eq!(Run::shell(many).end().done().text().trim(), "500000000");
}

#[test]
fn a_command_may_leave_its_input() {
    assert_eq!(Run::shell("yes | keach head -n 1").end().text(), "y\n");
    let mut live = Live::start("keach", ["true"]);
    live.send("x\n");
    assert!(live.ends_within(wait::LONG), "it does not wait for the end of its input");
    let _ = live.end().done();
    let lines = "0123456789\n".repeat(300_000);
    let ended = keach(&["head", "-n", "1"], epoch(&lines)).done();
    assert_eq!((data(&ended), ended.stderr.as_str()), ("0123456789\n".to_owned(), ""));
}

#[test]
fn a_reader_that_leaves_ends_a_plain_stream_well_and_an_epoch_unfinished() {
    let ended = Run::shell("yes | keach cat | head -n 1; echo ${PIPESTATUS[1]}").end();
    assert_eq!((ended.text(), ended.stderr.as_str()), ("y\n0\n", ""));
    let folder = TempDir::new().expect("a folder");
    let id = folder.path().join("id");
    let script = format!("echo $$ > {}; sleep 1000", id.display());
    let mut live = Live::start("keach", ["-c", &script]);
    live.send(epoch("x\n"));
    until_written(&id);
    assert!(goes_on(&id));
    live.close_stdout();
    assert!(live.ends_within(wait::LONG), "it waits for nobody");
    let ended = live.end();
    let gone = "keach: <stdout>: the reader has gone before the stream ended\n";
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(75), gone));
    assert!(!goes_on(&id));
}

#[test]
fn many_lines_and_much_output_are_held_on_disk() {
    let lines = "0123456789\n".repeat(1_000_000);
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("in"), epoch(&lines)).expect("a disk");
    let line = "ulimit -v 100000; keach -c 'cat; cat /dev/stdin' < in | wc -l";
    let ended = Run::shell(line).folder(folder.path()).end().done();
    // And the six marks; the command may read its input again, which is a file.
    assert_eq!(ended.text().trim(), "2000006");
}

#[test]
fn what_a_failed_run_wrote_does_not_go_on() {
    let two = [HEAD, &from(0), "a\n", &from(1), "b\n", &barrier(1, 2), END].concat();
    let ended = keach(&["-c", "cat; ! grep -q ' 1 7 11' $KPIPE_OFFSETS"], &two);
    assert_eq!((ended.code(), data(&ended).as_str()), (Some(75), ""), "nor that of the other run");
    assert!(!ended.text().contains("barrier") && !ended.text().contains("abort"), "{ended:?}");
    assert!(ended.stderr.ends_with(": exit code 1 in epoch 1; run it again\n"), "{ended:?}");
    let ended = keach(&["sh", "-c", "kill -9 $$"], epoch("a\n"));
    assert_eq!(ended.code(), Some(75));
    assert!(ended.stderr.contains("sh: killed by signal 9 in epoch 1"), "{}", ended.stderr);
}

#[test]
fn a_run_is_tried_again_over_the_same_lines() {
    let folder = TempDir::new().expect("a folder");
    let script = "echo x >> tries; cat; [ $(wc -l < tries) -ge 3 ]";
    let run = |retry: &str| {
        let run = Run::of("keach").args(["--skip-empty", "--retry", retry, "-c", script]);
        run.folder(folder.path()).input(epoch("a\nb\n")).end()
    };
    let ended = run("1");
    assert_eq!((ended.code(), data(&ended).as_str()), (Some(75), ""));
    assert!(ended.stderr.contains(": exit code 1; again, 1 of 1\n"), "{}", ended.stderr);
    assert!(ended.stderr.ends_with(": exit code 1 in epoch 1, 2 times; run it again\n"));
    fs::remove_file(folder.path().join("tries")).expect("it is there");
    assert_eq!(data(&run("2").done()), "a\nb\n");
}

#[test]
fn a_new_assignment_forgets_what_was_held() {
    let begin = HEAD.lines().skip(1).flat_map(|line| [line, "\n"]).collect::<String>();
    let again = [&begin, &from(1), "b\n", &barrier(1, 1), END].concat();
    let closed = "\x1e{\"mark\":\"closed\",\"until\":1}\n";
    let ended = keach(&["cat"], [HEAD, &from(0), "a\n", closed, &again].concat()).done();
    assert_eq!(data(&ended), "b\n");
    assert!(!ended.text().contains("closed"), "{}", ended.text());
}

#[test]
fn a_stream_that_is_cut_short_is_unfinished() {
    let whole = [HEAD, &from(0), "a\n", &barrier(1, 1)].concat();
    for (rest, said) in [
        (String::new(), "the stream has no end"),
        ("b\n".to_owned(), "the stream has no end"),
        (format!("b\n{}", &barrier(2, 1)[..40]), "the stream has no end"),
        (format!("b\n{END}"), "lines behind the last barrier"),
    ] {
        let ended = keach(&["cat"], [&whole, rest.as_str()].concat());
        assert_eq!((ended.code(), data(&ended).as_str()), (Some(75), "a\n"), "{rest}");
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn a_failure_for_good_is_told_to_the_next_program() {
    let wrong = [HEAD, &from(0), "a\n", &barrier(1, 2), END].concat();
    let ended = keach(&["cat"], wrong);
    assert_eq!((ended.code(), data(&ended).as_str()), (Some(1), ""));
    let last = ended.text().lines().last().expect("a line");
    assert!(last.starts_with("\x1e{\"mark\":\"abort\",\"tool\":\"keach\",\"code\":1"), "{last}");
    let abort = "\x1e{\"mark\":\"abort\",\"tool\":\"swin\",\"code\":2,\"message\":\"x\"}\n";
    let ended = keach(&["cat"], [HEAD, &from(0), "a\n", abort].concat());
    assert_eq!((ended.code(), data(&ended).as_str()), (Some(2), ""));
    assert!(ended.text().ends_with(abort), "{}", ended.text());
    let long = "x".repeat(2_000) + "\n";
    let long = Run::of("keach").args(["--max-line", "1K", "cat"]).input(epoch(&long));
    let ended = long.end();
    assert_eq!(ended.code(), Some(1), "a line is never dropped");
    assert!(ended.stderr.contains("line 5: 2000 bytes are more than --max-line"), "{ended:?}");
}

#[test]
fn a_command_that_is_not_there_is_refused_before_any_input() {
    for name in ["no-such-command", "./no-such-command", "/etc/passwd", "/etc"] {
        let live = Live::start("keach", [name]);
        let early = !name.starts_with("/etc/");
        assert!(!early || live.ends_within(wait::LONG), "{name} is not waited for");
        let ended = live.end();
        assert!(!early || ended.code() == Some(2), "{name}: {ended:?}");
    }
    let ended = keach(&["/etc/passwd"], epoch("x\n"));
    assert_eq!(ended.code(), Some(2), "it is there, and cannot be run");
    assert!(ended.text().contains("\"mark\":\"abort\""), "{}", ended.text());
}

#[test]
fn what_a_command_leaves_behind_holds_nobody_up() {
    let folder = TempDir::new().expect("a folder");
    let id = folder.path().join("id");
    let script = format!("sleep 1000 & echo $! > {}; cat", id.display());
    let start = Instant::now();
    let ended = keach(&["--skip-empty", "-c", &script], epoch("x\n")).done();
    assert_eq!(data(&ended), "x\n");
    assert!(start.elapsed() < wait::SOON, "{:?}", start.elapsed());
    wait::until("it is killed", || !goes_on(&id));
    let script = format!("(sleep 0.1; echo late) & echo $! > {}; cat", id.display());
    let ended = keach(&["--skip-empty", "-c", &script], epoch("x\n")).done();
    assert_eq!(data(&ended), "x\nlate\n", "what it writes soon counts");
}

#[test]
fn one_signal_drains() {
    let mut live = Live::start("keach", ["cat"]);
    live.send([HEAD, &from(0), "a\n"].concat());
    live.signal(Signal::TERM);
    live.send([&barrier(1, 1), END].concat());
    assert_eq!(data(&live.end().done()), "a\n");
    let mut live = Live::start("keach", ["cat"]);
    live.send("a\n");
    assert_eq!(live.line(), "a");
    live.signal(Signal::INT);
    live.send("b\n");
    assert_eq!(live.end().done().text(), "b\n");
}

#[test]
fn the_second_signal_kills_the_command_too() {
    for (input, signal) in [(epoch("x\n"), Signal::INT), ("x\n".to_owned(), Signal::TERM)] {
        let folder = TempDir::new().expect("a folder");
        let id = folder.path().join("id");
        let script = format!("trap '' INT TERM; sh -c 'echo $$ > {}; sleep 1000'", id.display());
        let mut live = Live::start("keach", ["-c", &script]);
        live.send(input);
        until_written(&id);
        live.signal(signal);
        assert!(!live.ends_within(Duration::from_millis(150)) && goes_on(&id));
        live.signal_until_it_ends(signal);
        assert_eq!(live.end().signal(), Some(signal.as_raw()));
        wait::until("it is killed with its children", || !goes_on(&id));
    }
}

#[test]
fn a_command_that_hangs_is_killed_some_time_after_the_first_signal() {
    for input in [epoch("x\n"), "x\n".to_owned(), "x\n".repeat(60_000)] {
        let folder = TempDir::new().expect("a folder");
        let id = folder.path().join("id");
        let script = format!("echo $$ > {}; sleep 1000", id.display());
        let mut live = Live::start("keach", ["--shutdown-timeout", "50ms", "-c", &script]);
        live.send(input);
        live.close_stdin();
        until_written(&id);
        live.signal(Signal::TERM);
        let ended = live.end();
        assert_eq!(ended.code(), Some(75));
        let said = "killed, as it went on for 50 ms after the signal to stop\n";
        assert!(ended.stderr.ends_with(said), "{}", ended.stderr);
        wait::until("it is killed", || !goes_on(&id));
    }
}

#[test]
fn a_killed_keach_is_no_end_of_the_input_of_its_command() {
    let folder = TempDir::new().expect("a folder");
    let (id, got) = (folder.path().join("id"), folder.path().join("got"));
    let (at, to) = (id.display(), got.display());
    let script = format!(
        "read first; parent=$PPID; echo $$ > {at}; while kill -0 $parent; do :; done 2>/dev/null; \
         {{ cat; echo; }} > {to}"
    );
    let lines = "0123456789\n".repeat(100_000);
    let mut live = Live::start("keach", ["--skip-empty", "-c", &script]);
    live.send(epoch(&lines));
    until_written(&id);
    live.signal_at_once(Signal::KILL);
    assert_eq!(live.end().signal(), Some(9));
    let ends = || fs::read_to_string(&got).is_ok_and(|text| text.ends_with("\n\n"));
    wait::until("the command ends", ends);
    let got = fs::read_to_string(&got).expect("a text");
    assert_eq!(got.lines().count(), 100_000, "all but the first, and an empty one");
}

#[test]
fn periods_go_by_the_clock() {
    const PERIOD: &str = "echo $KPIPE_TIME; cat";
    let mut live = Live::start("keach", ["--plain", "--every", "200ms", "-c", PERIOD]);
    let period = |live: &mut Live| {
        let ms: u64 = live.line().parse().expect("a time");
        assert_eq!(ms % 200, 0);
        ms
    };
    let first = period(&mut live);
    assert!(period(&mut live) > first, "also when nothing comes");
    live.send("a\nb");
    while live.line() != "a" {}
    live.send("c\n");
    while live.line() != "bc" {}
    live.send("torn");
    let ended = live.end().done();
    assert!(ended.text().ends_with("\ntorn\n"), "{}", ended.text());
    let args = ["--every", "1h", "--skip-empty", "false"];
    assert_eq!(keach(&args, "").done().text(), "", "nothing came");
    assert_eq!(keach(&args, "x").code(), Some(75));
}

#[test]
fn a_terminal_gets_lines_alone() {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    unlockpt(&terminal).expect("it can be unlocked");
    let name = ptsname(&terminal, Vec::new()).expect("it has a name");
    let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let stdout = File::options().write(true).open(path).expect("it can be opened");
    let _ = Run::of("keach").arg("cat").stdout(stdout).input(epoch("a\nb\n")).end().done();
    let (mut terminal, mut bytes) = (File::from(terminal), Vec::new());
    // A terminal that nobody writes to any more ends in an error.
    let _ = terminal.read_to_end(&mut bytes);
    assert_eq!(String::from_utf8_lossy(&bytes), "a\r\nb\r\n");
}

#[test]
fn a_full_disk_is_the_worlds() {
    let run = Run::of("keach").arg("cat").input(epoch("a\n"));
    let ended = run.stdout_at("/dev/full").end();
    assert_eq!(ended.code(), Some(1));
    assert_eq!(ended.stderr, "keach: <stdout>: No space left on device\n");
    let run = Run::of("keach").arg("cat").env("TMPDIR", "/nonexistent").input(epoch("a\n"));
    let ended = run.end();
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.starts_with("keach: /nonexistent: No such file"), "{}", ended.stderr);
}

#[test]
fn nothing_is_left_in_the_folder_of_temporary_files() {
    let folder = TempDir::new().expect("a folder");
    let lines = "0123456789\n".repeat(200_000);
    let run = Run::of("keach").args(["-c", "cat $KPIPE_OFFSETS"]).env("TMPDIR", folder.path());
    assert_eq!(data(&run.input(epoch(&lines)).end().done()), "t 0 5 10\nt 1 7 11\n");
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
}

#[test]
fn rows_of_several_partitions_have_no_state() {
    let line = "keach --together cat | swin --running 'count(*)' -o text";
    let tick = "\x1e{\"mark\":\"tick\",\"ms\":100}\n";
    let two = [HEAD, tick, &from(0), "a\n", &from(1), "b\n", &barrier(1, 2), END].concat();
    let ended = Run::shell(line).input(&two).end();
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.starts_with("swin: keach --together: before this stage"), "{ended:?}");
    let one = two.replace(",[\"t\",1]]}", "]}");
    let ended = Run::shell(line).input(one.replace(&from(1), "")).end().done();
    assert!(ended.text().contains("\"stage\":\"1:swin\""), "{}", ended.text());
}
