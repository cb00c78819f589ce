//! SIGINT and SIGTERM: the first asks, the second kills.
//!
//! `timeout` signals its child and then the whole process group, so that the same signal may come
//! twice at once: what comes within [`ECHO`] of the first is taken for the first.
//!
//! The terminal sends `^C` to every program of a pipe. Sources stop at the first; filters and
//! sinks go on reading, and end when the end of input has walked down to them, so that nothing
//! is lost on the way.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::event::PollFlags;
use signal_hook::consts::TERM_SIGNALS;
use signal_hook::{flag, low_level};

use crate::exit::{Error, Result};
use crate::stdio::{reason, wait_for};

/// How long after the first signal another one is not taken for the second.
pub const ECHO: Duration = Duration::from_millis(100);

/// Whether a signal has asked the program to stop.
#[derive(Debug)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    bell: UnixStream,
}

impl Stop {
    /// Begins to listen. A second signal, [`ECHO`] after the first or later, ends the program as
    /// if it had not listened.
    ///
    /// # Errors
    /// When the system has no signal handler or file descriptor left.
    pub fn listen() -> Result<Stop> {
        Stop::register().map_err(|error| Error::world("signals", reason(&error)))
    }

    fn register() -> io::Result<Stop> {
        let flag = Arc::new(AtomicBool::new(false));
        let deadly = Arc::new(AtomicBool::new(false));
        let (bell, rope) = UnixStream::pair()?;
        for &signal in TERM_SIGNALS {
            flag::register_conditional_default(signal, Arc::clone(&deadly))?;
            flag::register(signal, Arc::clone(&flag))?;
            low_level::pipe::register(signal, rope.try_clone()?)?;
        }
        let first = bell.try_clone()?;
        thread::Builder::new().name("second signal".to_owned()).spawn(move || {
            // A wait may end early, with nothing to hear.
            while let Ok(false) = wait_for(first.as_fd(), PollFlags::IN, None) {}
            let (_never, quiet) = mpsc::channel::<()>();
            let _ = quiet.recv_timeout(ECHO);
            deadly.store(true, Ordering::Relaxed);
        })?;
        Ok(Stop { flag, bell })
    }

    /// Whether a signal came.
    #[inline]
    #[must_use]
    pub fn requested(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Waits for `time` or for a signal, whichever comes first.
    pub fn wait(&self, time: Duration) {
        // The bell is never read, so that it goes on ringing for the next wait.
        let _ = wait_for(self.bell.as_fd(), PollFlags::IN, Some(time));
    }
}

/// Readable from the first signal on, for those who wait for more than a signal.
impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
