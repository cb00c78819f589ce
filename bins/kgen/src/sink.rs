//! Where the stream goes: stdout, or the clients of a server.

use std::os::fd::AsFd;
use std::time::Duration;

use pipe::exit::{Error, Result};
use pipe::stdio::{OUTPUT_BYTES, Output};
use pipe::stop::Stop;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::server::Server;

/// Where the stream goes.
#[derive(Debug)]
pub enum Sink {
    /// To stdout.
    Stdout(Output),
    /// To clients.
    Clients(Box<Server>),
}

impl Sink {
    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self {
            Sink::Stdout(output) => output.is_terminal(),
            Sink::Clients(_) => false,
        }
    }

    /// The bytes that wait to be written; append whole lines, then call [`Sink::spill`].
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        match self {
            Sink::Stdout(output) => output.buffer(),
            Sink::Clients(server) => server.buffer(),
        }
    }

    /// Writes when a block has come together.
    ///
    /// # Errors
    /// As [`Sink::flush`].
    #[inline]
    pub fn spill(&mut self, stop: &Stop) -> Result<()> {
        if self.buffer().len() >= OUTPUT_BYTES { self.flush(stop) } else { Ok(()) }
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// [`Error::Closed`] when the reader of stdout has gone, a failure of the world otherwise.
    pub fn flush(&mut self, stop: &Stop) -> Result<()> {
        match self {
            Sink::Stdout(output) => output.flush(),
            Sink::Clients(server) => server.flush(stop),
        }
    }

    /// Waits for what `input` brings, for a signal, or until `time` is over.
    ///
    /// # Errors
    /// When the system fails.
    pub fn wait(&mut self, stop: &Stop, input: Option<&dyn AsFd>, time: Duration) -> Result<()> {
        match (self, input) {
            (Sink::Clients(server), input) => server.wait(stop, input, Some(time)),
            (Sink::Stdout(_), None) => {
                stop.wait(time);
                Ok(())
            }
            (Sink::Stdout(_), Some(input)) => {
                let input = PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN);
                wait_for_any(&mut [PollFd::new(stop, PollFlags::IN), input], Some(time))
            }
        }
    }

    /// Writes all that waits, and ends.
    ///
    /// # Errors
    /// As [`Sink::flush`].
    pub fn end(&mut self, stop: &Stop) -> Result<()> {
        match self {
            Sink::Stdout(output) => output.flush(),
            Sink::Clients(server) => server.end(stop),
        }
    }
}

/// Waits until one of `fds` is ready, `time` is over (`None`: never), or a signal came.
///
/// # Errors
/// When the system fails.
pub fn wait_for_any(fds: &mut [PollFd<'_>], time: Option<Duration>) -> Result<()> {
    let time = time.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    });
    match poll(fds, time.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(Error::world("poll", pipe::stdio::reason(&error.into()))),
    }
}
