//! Buffered input and output over file descriptors, with errors that name the file.
//!
//! Rust's own stdout is line buffered even into a pipe, which costs a write a line; these are
//! buffered in blocks, and their callers flush before they wait.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};

use crate::exit::{Error, Result};

/// Bytes that an [`Output`] gathers before it writes.
pub const OUTPUT_BYTES: usize = 64 << 10;

/// A file or stdin, read in large pieces.
#[derive(Debug)]
pub struct Input {
    file: File,
    name: String,
}

impl Input {
    /// Stdin.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn stdin() -> Result<Input> {
        Input::borrowed(io::stdin().as_fd(), "<stdin>")
    }

    /// The file at `path`; `-` is stdin.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Input> {
        if path.as_os_str() == "-" {
            return Input::stdin();
        }
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Error::world(&name, reason(&error)))?;
        Ok(Input::over(file, &name))
    }

    /// An input over an open file that messages call `name`.
    #[must_use]
    pub fn over(file: File, name: &str) -> Input {
        Input { file, name: name.to_owned() }
    }

    fn borrowed(fd: BorrowedFd<'_>, name: &str) -> Result<Input> {
        let owned = fd.try_clone_to_owned();
        let owned = owned.map_err(|error| Error::world(name, reason(&error)))?;
        Ok(Input::over(File::from(owned), name))
    }

    /// The same input, with room for so many bytes when it is a pipe, so that its writer goes on
    /// while this program has something else to do. Where the system has no such thing, or does
    /// not allow so many, it stays as it is.
    #[must_use]
    pub fn roomy(self, bytes: usize) -> Input {
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&self.file, bytes);
        #[cfg(not(target_os = "linux"))]
        let _ = bytes;
        self
    }

    /// The file's name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's size in bytes when it is a regular file.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        let meta = self.file.metadata().ok()?;
        meta.is_file().then_some(meta.len())
    }

    /// Reads what is there into `space`, waiting at most for `wait` (`None`: for ever).
    /// `Ok(None)` says that the time is over or a signal came, `Ok(Some(0))` that the input is.
    ///
    /// # Errors
    /// When the read fails.
    pub fn read(&mut self, space: &mut [u8], wait: Option<Duration>) -> Result<Option<usize>> {
        loop {
            if wait.is_some() && !self.ready(wait)? {
                return Ok(None);
            }
            match self.file.read(space) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(None),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.ready(wait)? {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(Error::world(&self.name, reason(&error))),
            }
        }
    }

    /// Whether a read would not wait, once `wait` is over.
    fn ready(&self, wait: Option<Duration>) -> Result<bool> {
        let ready = wait_for(self.file.as_fd(), PollFlags::IN, wait);
        ready.map_err(|error| Error::world(&self.name, reason(&error)))
    }
}

/// To wait for input together with something else.
impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A file or stdout, written in blocks of [`OUTPUT_BYTES`].
///
/// A program appends to [`Output::buffer`] and calls [`Output::spill`] after each record, and
/// [`Output::flush`] before it waits and at its end. What was not flushed when it is dropped is
/// lost, because a write in a destructor could not report its failure.
#[derive(Debug)]
pub struct Output {
    file: File,
    name: String,
    buffer: Vec<u8>,
    terminal: bool,
}

impl Output {
    /// Stdout.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn stdout() -> Result<Output> {
        let owned = io::stdout().as_fd().try_clone_to_owned();
        let owned = owned.map_err(|error| Error::world("<stdout>", reason(&error)))?;
        Ok(Output::over(File::from(owned), "<stdout>"))
    }

    /// A new or emptied file at `path`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> Result<Output> {
        let name = path.display().to_string();
        let file = File::create(path).map_err(|error| Error::world(&name, reason(&error)))?;
        Ok(Output::over(file, &name))
    }

    /// An output over an open file that messages call `name`.
    #[must_use]
    pub fn over(file: File, name: &str) -> Output {
        let terminal = file.is_terminal();
        let buffer = Vec::with_capacity(2 * OUTPUT_BYTES);
        Output { file, name: name.to_owned(), buffer, terminal }
    }

    /// The same output, opened once more, when it is a pipe, so that a reader who is slow keeps
    /// [`Output::offer`] from writing and not from returning. The pipe's other writers keep theirs
    /// as it is. What is no pipe, or cannot be opened again, stays as it is.
    #[must_use]
    pub fn unblocked(mut self) -> Output {
        let kind = rustix::fs::fstat(&self.file).map(|stat| FileType::from_raw_mode(stat.st_mode));
        if kind == Ok(FileType::Fifo) {
            let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            if let Ok(again) = rustix::fs::open(path, flags, Mode::empty()) {
                self.file = File::from(again);
            }
        }
        self
    }

    /// Whether another program may read it while it is written.
    #[must_use]
    pub fn is_pipe(&self) -> bool {
        let kind = rustix::fs::fstat(&self.file).map(|stat| FileType::from_raw_mode(stat.st_mode));
        matches!(kind, Ok(FileType::Fifo | FileType::Socket))
    }

    /// Ends stdout, so that its reader sees the end although the program goes on; what was not
    /// flushed is lost.
    ///
    /// # Errors
    /// When the system cannot replace it.
    pub fn close(self) -> Result<()> {
        let failed = |error: io::Error| Error::world(&self.name, reason(&error));
        let nowhere = File::options().write(true).open("/dev/null").map_err(failed)?;
        rustix::stdio::dup2_stdout(nowhere).map_err(|error| failed(error.into()))
    }

    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether it is a terminal that can do more than print: on which a cursor moves.
    #[must_use]
    pub fn is_screen(&self) -> bool {
        let kind = std::env::var_os("TERM");
        self.terminal && kind.is_some_and(|kind| !kind.is_empty() && kind != "dumb")
    }

    /// Whether letters may be bold: on a screen, unless the user has set `NO_COLOR`.
    #[must_use]
    pub fn shows_bold(&self) -> bool {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        self.is_screen() && !refused
    }

    /// Columns and rows of the terminal, when it is one that knows.
    #[must_use]
    pub fn terminal_size(&self) -> Option<(usize, usize)> {
        let size = rustix::termios::tcgetwinsize(&self.file).ok()?;
        (size.ws_col > 0).then_some((size.ws_col.into(), size.ws_row.into()))
    }

    /// The bytes that wait to be written; append to it, then call [`Output::spill`].
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes when a block has come together.
    ///
    /// # Errors
    /// As [`Output::flush`].
    #[inline]
    pub fn spill(&mut self) -> Result<()> {
        if self.buffer.len() >= OUTPUT_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// [`Error::Closed`] when the reader has gone, a failure of the world otherwise.
    pub fn flush(&mut self) -> Result<()> {
        let mut written = 0;
        let result = self.write_from(&mut written);
        // Another flush after a failure must not write again what this one has written.
        self.buffer.drain(..written);
        result.map_err(|error| self.failure(&error))
    }

    /// Writes what waits as far as that goes without waiting, which of an output that is not
    /// [`Output::unblocked`] is all of it. Whether it was all.
    ///
    /// # Errors
    /// As [`Output::flush`].
    pub fn offer(&mut self) -> Result<bool> {
        let mut written = 0;
        let result = self.write_some(&mut written);
        self.buffer.drain(..written);
        result.map_err(|error| self.failure(&error))
    }

    fn write_some(&mut self, written: &mut usize) -> io::Result<bool> {
        while *written < self.buffer.len() {
            match self.file.write(&self.buffer[*written..]) {
                Ok(bytes) => *written += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Writes what waits from `written` on, which grows as it goes.
    fn write_from(&mut self, written: &mut usize) -> io::Result<()> {
        // Whoever handed us the pipe may have made it non-blocking.
        while !self.write_some(written)? {
            wait_for(self.file.as_fd(), PollFlags::OUT, None)?;
        }
        Ok(())
    }

    fn failure(&self, error: &io::Error) -> Error {
        if error.kind() == ErrorKind::BrokenPipe {
            return Error::Closed;
        }
        Error::world(&self.name, reason(error))
    }
}

/// To wait for its reader together with something else.
impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// What the system says of an error, without Rust's `(os error N)`.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Waits until `fd` is ready for `flags`, or `wait` is over, or a signal came.
pub(crate) fn wait_for(
    fd: BorrowedFd<'_>,
    flags: PollFlags,
    wait: Option<Duration>,
) -> io::Result<bool> {
    let wait = wait.map(|wait| Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    });
    match poll(&mut [PollFd::new(&fd, flags)], wait.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::pipe::{fcntl_getpipe_size, pipe};

    #[test]
    fn a_pipe_gets_room_and_what_is_none_stays_as_it_is() {
        let (reader, _writer) = pipe().expect("a pipe");
        let before = fcntl_getpipe_size(&reader).expect("a size");
        let input = Input::over(File::from(reader), "a pipe").roomy(2 * before);
        assert!(fcntl_getpipe_size(&input.file).expect("a size") >= 2 * before);
        let file = File::open("/dev/null").expect("a file");
        assert_eq!(Input::over(file, "a file").roomy(1).name(), "a file");
    }
}
