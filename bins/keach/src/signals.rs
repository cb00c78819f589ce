//! Signals, with a command in between: the first SIGINT or SIGTERM asks, the second kills the
//! command with its process group, and then this program.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pipe::exit::{Error, Result};
use pipe::stdio::reason;
use pipe::stop::ECHO;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGCHLD, TERM_SIGNALS};
use signal_hook::iterator;
use signal_hook::low_level;

/// The process group of the command that runs, which dies with this program.
type Group = Arc<Mutex<Option<Pid>>>;

/// What signals have said.
#[derive(Debug)]
pub struct Signals {
    asked: Arc<OnceLock<Instant>>,
    group: Group,
    bell: UnixStream,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system has no signal handler, thread or file descriptor left.
    pub fn listen() -> Result<Signals> {
        Signals::register().map_err(|error| Error::world("signals", reason(&error)))
    }

    fn register() -> io::Result<Signals> {
        let (bell, rope) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        low_level::pipe::register(SIGCHLD, rope.try_clone()?)?;
        let asked = Arc::new(OnceLock::new());
        let group = Group::default();
        let (first, victims) = (Arc::clone(&asked), Arc::clone(&group));
        let mut signals = iterator::Signals::new(TERM_SIGNALS)?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                let before = first.get().map(Instant::elapsed);
                first.get_or_init(Instant::now);
                // What rings when all has been said finds it said.
                let _ = (&rope).write(b"!");
                // What comes at once is the first one's echo, as `pipe::stop` says.
                if before.is_some_and(|elapsed| elapsed >= ECHO) {
                    // Nobody may reap the command now, and its number come to another.
                    let group = lock(&victims);
                    kill(*group);
                    let _ = low_level::emulate_default_handler(signal);
                }
            }
        })?;
        Ok(Signals { asked, group, bell })
    }

    /// When the first signal came.
    #[must_use]
    pub fn asked(&self) -> Option<Instant> {
        self.asked.get().copied()
    }

    /// Lets `time` pass, or what is left of it when a signal asks to stop.
    pub fn pause(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while self.asked().is_none() {
            let left = until.saturating_duration_since(Instant::now());
            let Some(left) = Timespec::try_from(left).ok().filter(|_| !left.is_zero()) else {
                return;
            };
            let _ = poll(&mut [PollFd::new(&self.bell, PollFlags::IN)], Some(&left));
            self.hush();
        }
    }

    /// The group that dies with this program. No second signal acts while it is held.
    pub fn group(&self) -> MutexGuard<'_, Option<Pid>> {
        lock(&self.group)
    }

    /// Takes what rang, so that the next wait is for something new.
    pub fn hush(&mut self) {
        let mut rung = [0; 64];
        while self.bell.read(&mut rung).is_ok_and(|bytes| bytes == rung.len()) {}
    }
}

/// Readable when a child ended or a signal came.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// Kills a process group; one that is gone already is no matter.
pub fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn lock(group: &Group) -> MutexGuard<'_, Option<Pid>> {
    group.lock().unwrap_or_else(PoisonError::into_inner)
}
