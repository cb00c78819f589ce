//! A server of lines over TCP: every client gets the stream from when it comes on.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use pipe::exit::{Error, Result};
use pipe::stdio::reason;
use pipe::stop::Stop;
use rustix::event::{PollFd, PollFlags};

use crate::sink::wait_for_any;

/// A client that is so many bytes behind is cut off.
const BEHIND_MAX: usize = 8 << 20;
/// While every client has so many bytes to take, no more are made.
const BEHIND_ALL: usize = 256 << 10;
/// How long clients may take for the rest after a signal.
const LEAVE: Duration = Duration::from_secs(10);

/// A client, and what it has not taken yet.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    behind: VecDeque<u8>,
    /// Whether it may still say something, which nobody listens to.
    talks: bool,
}

/// A server and its clients.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    /// What every client gets first.
    header: Vec<u8>,
    clients: Vec<Client>,
    /// What clients are sent next, in whole lines.
    buffer: Vec<u8>,
}

impl Server {
    /// A server at `HOST:PORT`, or at a bare port of this machine alone.
    ///
    /// # Errors
    /// When nobody can listen there: exit 2 when it is no address, else 1.
    pub fn listen(address: &str, header: &str) -> Result<Server> {
        let bare = address.parse::<u16>().is_ok();
        let full = if bare { format!("127.0.0.1:{address}") } else { address.to_owned() };
        let known = full
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !known {
            let reason = "an address is HOST:PORT, or a port of this machine alone";
            return Err(Error::caller(format!("--listen {address}"), reason));
        }
        let failed = |error: &std::io::Error| Error::world(&full, reason(error));
        let found: Vec<SocketAddr> =
            full.to_socket_addrs().map_err(|error| failed(&error))?.collect();
        let listener = TcpListener::bind(&found[..]).map_err(|error| failed(&error))?;
        listener.set_nonblocking(true).map_err(|error| failed(&error))?;
        let header = header.as_bytes().to_vec();
        Ok(Server { listener, header, clients: Vec::new(), buffer: Vec::new() })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        self.listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string())
    }

    /// The bytes that clients are sent next; append whole lines.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Waits until there is a client, or a signal.
    ///
    /// # Errors
    /// When the system fails.
    pub fn wait_for_a_client(&mut self, stop: &Stop) -> Result<()> {
        while self.clients.is_empty() && !stop.requested() {
            self.wait(stop, None, None)?;
        }
        Ok(())
    }

    /// Sends the buffer to the clients, of whom there is at least one by then, and waits while
    /// all of them are behind. A signal ends every wait.
    ///
    /// # Errors
    /// When the system fails.
    pub fn flush(&mut self, stop: &Stop) -> Result<()> {
        self.accept()?;
        if !self.buffer.is_empty() {
            self.wait_for_a_client(stop)?;
            for client in &mut self.clients {
                client.behind.extend(&self.buffer);
            }
            self.buffer.clear();
        }
        self.send();
        let busy = |client: &Client| client.behind.len() > BEHIND_ALL;
        while !self.clients.is_empty() && self.clients.iter().all(busy) && !stop.requested() {
            self.wait(stop, None, None)?;
        }
        Ok(())
    }

    /// Waits for what `input` brings, for a signal, or until `time` is over, and serves meanwhile.
    ///
    /// # Errors
    /// When the system fails.
    pub fn wait(
        &mut self,
        stop: &Stop,
        input: Option<&dyn AsFd>,
        time: Option<Duration>,
    ) -> Result<()> {
        let mut fds = vec![PollFd::new(stop, PollFlags::IN)];
        fds.push(PollFd::new(&self.listener, PollFlags::IN));
        if let Some(input) = input {
            fds.push(PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN));
        }
        for client in &self.clients {
            fds.push(PollFd::new(&client.stream, client.waits_for()));
        }
        wait_for_any(&mut fds, time)?;
        self.accept()?;
        self.send();
        Ok(())
    }

    /// Sends what clients have not taken yet, and lets them go.
    ///
    /// # Errors
    /// When the system fails.
    pub fn end(&mut self, stop: &Stop) -> Result<()> {
        for client in &mut self.clients {
            client.behind.extend(&self.buffer);
        }
        self.buffer.clear();
        let mut signalled = None;
        loop {
            self.clients.retain_mut(|client| client.send() && !client.behind.is_empty());
            if self.clients.is_empty() {
                return Ok(());
            }
            let mut fds = Vec::new();
            // The bell goes on ringing.
            if stop.requested() {
                signalled.get_or_insert_with(Instant::now);
            } else {
                fds.push(PollFd::new(stop, PollFlags::IN));
            }
            let left = signalled.map(|since: Instant| LEAVE.saturating_sub(since.elapsed()));
            if left == Some(Duration::ZERO) {
                return Ok(());
            }
            for client in &self.clients {
                fds.push(PollFd::new(&client.stream, client.waits_for()));
            }
            wait_for_any(&mut fds, left)?;
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let behind = self.header.iter().copied().collect();
                    // A client that is gone already is found so when it is sent something.
                    let _ = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
                    self.clients.push(Client { stream, behind, talks: true });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error)
                    if [ErrorKind::ConnectionAborted, ErrorKind::Interrupted]
                        .contains(&error.kind()) => {}
                Err(error) => return Err(Error::world(self.address(), reason(&error))),
            }
        }
    }

    /// Sends what clients take without waiting; those who are gone or too far behind are let go.
    fn send(&mut self) {
        self.clients.retain_mut(|client| client.send() && client.behind.len() <= BEHIND_MAX);
    }
}

impl Client {
    fn waits_for(&self) -> PollFlags {
        let talks = if self.talks { PollFlags::IN } else { PollFlags::empty() };
        if self.behind.is_empty() { talks } else { talks | PollFlags::OUT }
    }

    /// Sends what the client takes without waiting; whether it is still there.
    fn send(&mut self) -> bool {
        if !self.hear() {
            return false;
        }
        while !self.behind.is_empty() {
            let (bytes, _) = self.behind.as_slices();
            match self.stream.write(bytes) {
                Ok(sent) => drop(self.behind.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Lets go what the client says; whether it is still there. One that has nothing more to say
    /// may still listen.
    fn hear(&mut self) -> bool {
        let mut said = [0; 4_096];
        while self.talks {
            match self.stream.read(&mut said) {
                Ok(0) => self.talks = false,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}
