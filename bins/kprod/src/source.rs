//! What is read: stdin, files, and servers that speak lines over TCP.

use std::fs::File;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use pipe::exit::{Error, Result};
use pipe::stdio::{Input, reason};

/// How long an address of a server may take to answer.
const CONNECTING: Duration = Duration::from_secs(5);

/// A thing to read lines from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A file; `-` is stdin.
    File(&'a Path),
    /// A server, by its address.
    Server(&'a str),
}

impl<'a> Source<'a> {
    /// What an argument names: `tcp://HOST:PORT` is a server.
    #[must_use]
    pub fn new(path: &'a Path) -> Source<'a> {
        match path.to_str().and_then(|text| text.strip_prefix("tcp://")) {
            Some(address) => Source::Server(address),
            None => Source::File(path),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// When the file cannot be opened, or the server does not answer.
    pub fn open(&self) -> Result<Input> {
        let address = match self {
            Source::File(path) => return Input::open(path),
            Source::Server(address) => *address,
        };
        let name = format!("tcp://{address}");
        let failed = |error: &std::io::Error| Error::world(&name, reason(error));
        let found = address.to_socket_addrs().map_err(|error| failed(&error))?;
        let mut last = Error::world(&name, "no such host");
        for one in found {
            match TcpStream::connect_timeout(&one, CONNECTING) {
                Ok(stream) => return Ok(Input::over(File::from(OwnedFd::from(stream)), &name)),
                Err(error) => last = failed(&error),
            }
        }
        Err(last)
    }
}
