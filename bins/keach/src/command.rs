//! The command: how it is started, fed and waited for, in a process group of its own.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command as Process, Stdio};
use std::time::{Duration, Instant};

use pipe::exit::{Error, Result};
use pipe::lines::{Fill, Lines};
use pipe::stdio::{Output, reason};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::signals::{Signals, kill};
use crate::spool::Spool;
use crate::teller::Teller;

/// How long what the command left behind may hold its stdout.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes that are read from the command at once.
const BLOCK_BYTES: usize = 64 << 10;

/// A reader that left, as the signal that its writer gets.
const SIGPIPE: i32 = 13;

/// A command that can be run.
#[derive(Clone, Debug)]
pub struct Command {
    /// What messages call it.
    pub name: String,
    /// The program, as it is looked for.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Exit codes of a run that succeeded.
    pub good: Vec<u8>,
    /// How long it may go on after a signal has asked to stop.
    pub patience: Duration,
}

/// What a run finds in its environment.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// `KPIPE_EPOCH`
    pub epoch: Option<u64>,
    /// `KPIPE_TIME`, in milliseconds since 1970
    pub time_ms: Option<i64>,
    /// `KPIPE_OFFSETS`
    pub offsets: Option<PathBuf>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// With a good exit code.
    Good,
    /// Its reader had gone.
    Closed,
    /// With another exit code, or by a signal.
    Failed(String),
}

impl Command {
    /// Looks whether the program is there, so that a misspelt one is refused before any input.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> Result<()> {
        let program = Path::new(&self.program);
        let there = if program.components().count() > 1 {
            program.is_file()
        } else {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        };
        if there { Ok(()) } else { Err(self.refused(&ErrorKind::NotFound.into())) }
    }

    /// Runs it over all of `input`, a file, and keeps what it writes in `output`, while `teller`
    /// tells. It is killed when the reader of `stdout` leaves.
    ///
    /// # Errors
    /// When it cannot be started, [`Error::Closed`] when the reader has left, and when it goes on
    /// for too long after a signal.
    pub fn run(
        &self,
        mut input: &File,
        setting: &Setting,
        stdout: &Output,
        (signals, teller): (&mut Signals, &mut Teller),
    ) -> Result<(Fate, Spool)> {
        // A whole file, and not a pipe that is fed: should this program be killed, the command does
        // not take the end of what it got for the end of the epoch.
        let stdin = input.rewind().and_then(|()| input.try_clone());
        let stdin = stdin.map_err(|error| Error::world("<stdin>", reason(&error)))?;
        let mut process = self.process(setting);
        process.stdin(stdin).stdout(Stdio::piped());
        let mut running = self.start(process, signals)?;
        let mut pipe = running.child.stdout.take();
        let mut output = Spool::default();
        let mut block = vec![0; BLOCK_BYTES];
        let (started, mut ended) = (Instant::now(), None);
        while ended.is_none() || pipe.is_some() {
            let until = match ended {
                Some(ended) => Some(ended + LINGER),
                None => running.deadline(started),
            };
            let from = pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN));
            let fds = [from, Some((stdout.as_fd(), PollFlags::empty()))];
            let news = teller.leisure().map(|leisure| Instant::now() + leisure);
            let [readable, left] = running.wait(fds, until.into_iter().chain(news).min())?;
            teller.tell();
            if left {
                return Err(Error::Closed);
            }
            let is_over = until.is_some_and(|until| Instant::now() >= until);
            if is_over && ended.is_none() {
                return Err(self.too_slow());
            }
            if is_over {
                // Who still writes is not the command, and would go on for ever.
                kill(Some(running.pid));
            }
            if readable && let Some(from) = &mut pipe {
                let bytes = from.read(&mut block).map_err(|error| self.failure(&error))?;
                output.extend(&block[..bytes])?;
                if bytes == 0 {
                    pipe = None;
                }
            } else if is_over {
                break;
            }
            if ended.is_none() && running.has_ended()? {
                ended = Some(Instant::now());
            }
        }
        Ok((running.end(pipe.is_some()), output))
    }

    /// Runs it over what is left of `lines`, whatever lines they are, with this program's stdout.
    ///
    /// # Errors
    /// When it cannot be started, a read fails, and when it goes on for too long after a signal.
    pub fn run_through(&self, lines: &mut Lines, signals: &mut Signals) -> Result<Fate> {
        let mut process = self.process(&Setting::default());
        process.stdin(Stdio::piped());
        let mut running = self.start(process, signals)?;
        let mut pipe = running.child.stdin.take();
        if let Some(pipe) = &pipe {
            // A command that does not read keeps no signal waiting.
            ioctl_fionbio(pipe, true).map_err(|error| self.failure(&error.into()))?;
        }
        let mut moved = Instant::now();
        while !running.has_ended()? {
            let reads = lines.unread().is_empty();
            let fd = pipe.as_ref().map(|pipe| {
                if reads { (lines.as_fd(), PollFlags::IN) } else { (pipe.as_fd(), PollFlags::OUT) }
            });
            let until = if reads && pipe.is_some() { None } else { running.deadline(moved) };
            let [turn, _] = running.wait([fd, None], until)?;
            if turn {
                let goes_on = match &mut pipe {
                    Some(_) if reads => lines.fill(None)? != Fill::End,
                    Some(pipe) => self.feed(lines, pipe)?,
                    None => false,
                };
                pipe = pipe.filter(|_| goes_on);
                moved = Instant::now();
            } else if until.is_some_and(|until| Instant::now() >= until) {
                return Err(self.too_slow());
            }
        }
        Ok(running.end(false))
    }

    /// Hands on what was read, as far as it is taken; returns whether more may come.
    fn feed(&self, lines: &mut Lines, pipe: &mut ChildStdin) -> Result<bool> {
        match pipe.write(lines.unread()) {
            Ok(bytes) => lines.skip(bytes),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(false),
            Err(error)
                if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {}
            Err(error) => return Err(self.failure(&error)),
        }
        Ok(true)
    }

    fn process(&self, setting: &Setting) -> Process {
        let mut process = Process::new(&self.program);
        process.args(&self.arguments).process_group(0);
        let Setting { epoch, time_ms, offsets } = setting;
        let variables = [
            ("KPIPE_EPOCH", epoch.map(|epoch| epoch.to_string().into())),
            ("KPIPE_TIME", time_ms.map(|ms| ms.to_string().into())),
            ("KPIPE_OFFSETS", offsets.clone().map(OsString::from)),
        ];
        for (name, value) in variables {
            match value {
                Some(value) => process.env(name, value),
                // It would be that of another keach around this one.
                None => process.env_remove(name),
            };
        }
        process
    }

    fn start<'a>(&self, mut process: Process, signals: &'a mut Signals) -> Result<Running<'a>> {
        let mut group = signals.group();
        let child = process.spawn().map_err(|error| self.refused(&error))?;
        let pid = Pid::from_child(&child);
        *group = Some(pid);
        drop(group);
        Ok(Running { child, pid, fate: None, command: self.clone(), signals })
    }

    /// It cannot be started, which another start does not mend when the name is wrong.
    fn refused(&self, error: &io::Error) -> Error {
        match error.kind() {
            ErrorKind::NotFound => Error::caller(&self.name, "command not found"),
            ErrorKind::PermissionDenied => Error::caller(&self.name, reason(error)),
            _ => self.failure(error),
        }
    }

    fn failure(&self, error: &io::Error) -> Error {
        Error::world(&self.name, reason(error))
    }

    fn too_slow(&self) -> Error {
        let ms = self.patience.as_millis();
        let reason = format!("killed, as it went on for {ms} ms after the signal to stop");
        Error::unfinished(&self.name, reason)
    }
}

/// A command that runs. Forgotten, it is killed with its group.
#[derive(Debug)]
struct Running<'a> {
    child: Child,
    pid: Pid,
    /// How it ended, once it has.
    fate: Option<Fate>,
    command: Command,
    signals: &'a mut Signals,
}

impl Running<'_> {
    /// When patience is over, with what last happened at `since`.
    fn deadline(&self, since: Instant) -> Option<Instant> {
        self.signals.asked().map(|asked| asked.max(since) + self.command.patience)
    }

    /// Waits until one of `fds` is ready, the command ends, a signal comes, or it is `until`;
    /// returns which of `fds` are ready.
    fn wait(
        &mut self,
        fds: [Option<(BorrowedFd<'_>, PollFlags)>; 2],
        until: Option<Instant>,
    ) -> Result<[bool; 2]> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let bell = self.signals.as_fd();
        let asked = [Some((bell, PollFlags::IN))].into_iter().chain(fds).flatten();
        let mut polled: Vec<_> =
            asked.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
        match poll(&mut polled, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(self.command.failure(&error.into())),
        }
        let mut ready = polled.iter().skip(1).map(|fd| !fd.revents().is_empty());
        let ready = fds.map(|fd| fd.is_some() && ready.next().unwrap_or_default());
        self.signals.hush();
        Ok(ready)
    }

    /// Whether its first process has ended. It stays to be reaped, so that its number and that of
    /// its group do not come to others.
    fn has_ended(&mut self) -> Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid), options) {
            Ok(None) | Err(Errno::INTR) => Ok(false),
            Ok(Some(status)) => {
                let (code, signal) = (status.exit_status(), status.terminating_signal());
                self.fate = Some(self.command.fate(code, signal));
                Ok(true)
            }
            Err(error) => Err(self.command.failure(&error.into())),
        }
    }

    /// How it ended. What it left in its group is killed when the run failed, as another one may
    /// follow, and when it still `writes`.
    fn end(mut self, writes: bool) -> Fate {
        let fate = self.fate.take();
        if fate == Some(Fate::Good) && !writes {
            self.reap();
        }
        fate.unwrap_or(Fate::Closed)
    }

    fn reap(&mut self) {
        let mut group = self.signals.group();
        let _ = self.child.wait();
        *group = None;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.signals.group().is_some() {
            kill(Some(self.pid));
            self.reap();
        }
    }
}

impl Command {
    fn fate(&self, code: Option<i32>, signal: Option<i32>) -> Fate {
        match (code.and_then(|code| u8::try_from(code).ok()), signal) {
            (Some(code), _) if self.good.contains(&code) => Fate::Good,
            (Some(code), _) => Fate::Failed(format!("exit code {code}")),
            (None, Some(SIGPIPE)) => Fate::Closed,
            (None, signal) => Fate::Failed(format!("killed by signal {}", signal.unwrap_or(0))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_judged_by_its_exit_code_or_signal() {
        let command = Command {
            name: "x".to_owned(),
            program: "x".into(),
            arguments: Vec::new(),
            good: vec![0, 1],
            patience: Duration::ZERO,
        };
        assert_eq!(command.fate(Some(1), None), Fate::Good);
        assert_eq!(command.fate(Some(2), None), Fate::Failed("exit code 2".to_owned()));
        assert_eq!(command.fate(None, Some(9)), Fate::Failed("killed by signal 9".to_owned()));
        assert_eq!(command.fate(None, Some(SIGPIPE)), Fate::Closed);
    }

    #[test]
    fn a_program_is_looked_for_as_the_system_does() {
        let check = |program: &str| {
            let (program, name) = (program.into(), program.to_owned());
            let (arguments, good) = (Vec::new(), Vec::new());
            Command { name, program, arguments, good, patience: Duration::ZERO }.check()
        };
        assert_eq!((check("sh"), check("/bin/sh")), (Ok(()), Ok(())));
        let missing = |name: &str| Err(Error::caller(name, "command not found"));
        assert_eq!(check("no-such-command"), missing("no-such-command"));
        assert_eq!(check("./no-such-command"), missing("./no-such-command"));
    }
}
