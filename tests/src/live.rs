//! A program that runs while the test talks to it.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::program;
use crate::run::{Ended, kill, pid, prepare};
use crate::wait::{self, LONG};

/// A running program with pipes on both sides. It is killed when the test forgets it.
#[derive(Debug)]
pub struct Live {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    /// What was read from stdout and not yet handed out.
    unread: Vec<u8>,
}

impl Live {
    /// Starts kpipe's program `name`.
    ///
    /// # Panics
    /// When it cannot start.
    #[must_use]
    pub fn start(name: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Live {
        let mut command = Command::new(program::bin(name));
        command.args(args);
        Live::command(command)
    }

    /// Starts `command`.
    ///
    /// # Panics
    /// When it cannot start.
    #[must_use]
    pub fn command(mut command: Command) -> Live {
        prepare(&mut command);
        let mut child = command.spawn().expect("the program starts");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        Live { child, stdin, stdout, unread: Vec::new() }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes `bytes` to its stdin, which stays open.
    ///
    /// # Panics
    /// When it does not take them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(bytes.as_ref()).expect("the program reads");
    }

    /// Writes `bytes` to its stdin, unless it has ended.
    pub fn send_if_open(&mut self, bytes: impl AsRef<[u8]>) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(bytes.as_ref());
        }
    }

    /// Ends its stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Leaves its stdout, as `head` does.
    pub fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// The next line of its stdout, without the newline.
    ///
    /// # Panics
    /// When none comes within [`LONG`].
    #[must_use]
    pub fn line(&mut self) -> String {
        self.line_within(LONG).expect("a line within the deadline")
    }

    /// The next line of its stdout, if one comes within `time`. A last line without newline is
    /// none.
    ///
    /// # Panics
    /// When stdout was closed or cannot be read.
    #[must_use]
    pub fn line_within(&mut self, time: Duration) -> Option<String> {
        let deadline = Instant::now() + time;
        let stdout = self.stdout.as_mut().expect("stdout is open");
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line = self.unread.drain(..=end).take(end).collect();
                return Some(String::from_utf8(line).expect("a line is UTF-8"));
            }
            if !wait::readable(stdout, deadline) {
                return None;
            }
            let mut block = [0; 1 << 12];
            match stdout.read(&mut block).expect("a pipe can be read") {
                0 => return None,
                bytes => self.unread.extend_from_slice(&block[..bytes]),
            }
        }
    }

    /// Waits until it listens to `signal`, sends it, and waits until it has arrived, so that the
    /// next one does not melt into it.
    ///
    /// # Panics
    /// When it does not listen within [`LONG`].
    pub fn signal(&mut self, signal: Signal) {
        let bit = bit(signal);
        wait::until("the program listens to the signal", || self.mask("SigCgt") & bit != 0);
        self.signal_at_once(signal);
        wait::until("the signal arrives", || {
            (self.mask("ShdPnd") | self.mask("SigPnd")) & bit == 0
        });
    }

    /// Sends `signal` without waiting for anything.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal_at_once(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).expect("the program is there");
    }

    /// Waits until it listens to signals and then waits itself, for input or for a reader.
    ///
    /// # Panics
    /// When it does not within [`LONG`].
    pub fn until_it_waits(&self) {
        wait::until("the program waits", || {
            self.mask("SigCgt") & bit(Signal::INT) != 0 && self.status("State").starts_with('S')
        });
    }

    /// A set of signals as the system shows it; empty when the program has ended.
    fn mask(&self, name: &str) -> u64 {
        u64::from_str_radix(&self.status(name), 16).unwrap_or_default()
    }

    /// What the system shows of the process under `name`; empty when it shows nothing.
    fn status(&self, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_default().to_owned()
    }

    /// Sends a signal again and again until the program ends, as the second one may be taken for
    /// an echo of the first.
    ///
    /// # Panics
    /// When it has not ended after [`LONG`].
    pub fn signal_until_it_ends(&mut self, signal: Signal) {
        let deadline = Instant::now() + LONG;
        while Instant::now() < deadline {
            self.signal_at_once(signal);
            if self.ends_within(Duration::from_millis(50)) {
                return;
            }
        }
        panic!("it goes on, whatever the signals");
    }

    /// Whether it ends within `time`.
    #[must_use]
    pub fn ends_within(&self, time: Duration) -> bool {
        wait::ended(pid(&self.child), Instant::now() + time)
    }

    /// Ends its stdin, reads what is left and waits for its end.
    ///
    /// # Panics
    /// When it runs longer than [`LONG`].
    #[must_use]
    pub fn end(mut self) -> Ended {
        self.stdin = None;
        let deadline = Instant::now() + LONG;
        let mut stdout = std::mem::take(&mut self.unread);
        if let Some(mut from) = self.stdout.take() {
            assert!(wait::read_all(&mut from, &mut stdout, deadline), "stdout does not end");
        }
        assert!(wait::ended(pid(&self.child), deadline), "the program does not end");
        let status = self.child.wait().expect("the child can be reaped");
        let mut stderr = Vec::new();
        let mut complaints = self.child.stderr.take().expect("stderr is a pipe");
        wait::read_all(&mut complaints, &mut stderr, deadline);
        Ended { stdout, stderr: String::from_utf8_lossy(&stderr).into_owned(), status }
    }
}

/// The bit of a signal in the system's sets.
fn bit(signal: Signal) -> u64 {
    1 << (signal.as_raw() - 1)
}

impl Drop for Live {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            kill(&self.child);
            let _ = self.child.wait();
        }
    }
}
