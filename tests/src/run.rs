//! A program that is run from its start to its end.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::program;
use crate::wait::{self, LONG};

/// A run of a program, before it starts.
#[derive(Debug)]
pub struct Run {
    command: Command,
    input: Vec<u8>,
}

/// A run after its end.
#[derive(Debug)]
pub struct Ended {
    /// What it wrote to stdout, when that was not given away.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl Run {
    /// A run of kpipe's program `name`, with an empty stdin.
    #[must_use]
    pub fn of(name: &str) -> Run {
        Run::command(Command::new(program::bin(name)))
    }

    /// A run of a shell command in which kpipe's programs are in the `PATH`.
    #[must_use]
    pub fn shell(line: &str) -> Run {
        let mut command = Command::new("bash");
        command.args(["-o", "pipefail", "-c", line]);
        Run::command(command)
    }

    /// A run of `command`, in an environment that no setting of the user's reaches.
    #[must_use]
    pub fn command(mut command: Command) -> Run {
        prepare(&mut command);
        Run { command, input: Vec::new() }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        self.command.args(args);
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Run {
        self.args([arg])
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Run {
        self.command.env(key, value);
        self
    }

    /// Sets what it reads from stdin.
    #[must_use]
    pub fn input(mut self, input: impl AsRef<[u8]>) -> Run {
        self.input = input.as_ref().into();
        self
    }

    /// Sets the folder it runs in.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Run {
        self.command.current_dir(folder);
        self
    }

    /// Gives it `file` as stdout.
    #[must_use]
    pub fn stdout(mut self, file: impl Into<Stdio>) -> Run {
        self.command.stdout(file);
        self
    }

    /// Gives it the file at `path`, which is there already, as stdout.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[must_use]
    pub fn stdout_at(self, path: &str) -> Run {
        self.stdout(File::options().write(true).open(path).expect("a file to write to"))
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot start, or runs longer than [`LONG`].
    #[must_use]
    pub fn end(mut self) -> Ended {
        let mut child = self.command.spawn().expect("the program starts");
        let words = [self.command.get_program()].into_iter().chain(self.command.get_args());
        let line = words.collect::<Vec<_>>().join(OsStr::new(" ")).display().to_string();
        // Dropped, so that a pipe that it was given for stdout has no second writer.
        drop(self.command);
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // A program may end before it has read everything.
        let writer = thread::spawn(move || drop(stdin.write_all(&self.input)));
        let ended = collect(child, &line);
        writer.join().expect("the writer ends with the pipe");
        ended
    }
}

impl Ended {
    /// Its stdout as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is UTF-8")
    }

    /// The exit code; none when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Checks that the exit code is 0.
    ///
    /// # Panics
    /// When it is not, with what the program said.
    #[must_use]
    pub fn done(self) -> Ended {
        assert_eq!(self.code(), Some(0), "{}, stderr: {}", self.status, self.stderr);
        self
    }
}

/// Gives `command` pipes, its own process group and an environment without the user's settings.
pub(crate) fn prepare(command: &mut Command) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let path = std::env::var("PATH").unwrap_or_default();
    let scripts = program::root().join("scripts");
    let folders = [program::folder(), &scripts].map(|folder| folder.display().to_string());
    command.env("PATH", format!("{}:{path}", folders.join(":")));
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("XDG_CONFIG_HOME", "/nonexistent");
    for key in ["KPIPE_BROKERS", "COLUMNS", "LINES", "CLICOLOR_FORCE"] {
        command.env_remove(key);
    }
}

/// Kills the whole process group of `child`.
pub(crate) fn kill(child: &Child) {
    let _ = kill_process_group(pid(child), Signal::KILL);
}

/// The process id of `child`.
pub(crate) fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Reads both outputs to their ends and reaps the child.
fn collect(mut child: Child, line: &str) -> Ended {
    let deadline = Instant::now() + LONG;
    let mut stderr = child.stderr.take().expect("stderr is a pipe");
    let complaints = thread::spawn(move || {
        let mut bytes = Vec::new();
        wait::read_all(&mut stderr, &mut bytes, deadline);
        bytes
    });
    let mut stdout = Vec::new();
    let in_time =
        child.stdout.take().is_none_or(|mut from| wait::read_all(&mut from, &mut stdout, deadline));
    let in_time = in_time && wait::ended(pid(&child), deadline);
    if !in_time {
        kill(&child);
    }
    let status = child.wait().expect("the child can be reaped");
    let stderr = complaints.join().expect("stderr can be read");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert!(in_time, "still running after {LONG:?}: {line}, stderr: {stderr}");
    Ended { stdout, stderr, status }
}
