//! Wakes the loop of kcons when one of its threads has something for it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use pipe::exit::{Error, Result};
use pipe::stdio::reason;

/// Can be heard from its first ring until it is silenced.
#[derive(Debug)]
pub(crate) struct Bell {
    hear: UnixStream,
    rope: Rope,
}

/// Rings a bell.
#[derive(Clone, Debug)]
pub(crate) struct Rope(Arc<UnixStream>);

impl Bell {
    /// A silent bell.
    ///
    /// # Errors
    /// When the system has no file descriptor left.
    pub(crate) fn new() -> Result<Bell> {
        let pair = UnixStream::pair().and_then(|(hear, ring)| {
            hear.set_nonblocking(true)?;
            // Nobody waits for a bell that rings already.
            ring.set_nonblocking(true)?;
            Ok((hear, ring))
        });
        let (hear, ring) = pair.map_err(|error| Error::world("socket", reason(&error)))?;
        Ok(Bell { hear, rope: Rope(Arc::new(ring)) })
    }

    pub(crate) fn rope(&self) -> Rope {
        self.rope.clone()
    }

    /// Makes it silent, before looking at what it rang for.
    pub(crate) fn silence(&mut self) {
        let mut space = [0; 64];
        loop {
            match self.hear.read(&mut space) {
                Ok(read) if read == space.len() => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.hear.as_fd()
    }
}

impl Rope {
    pub(crate) fn ring(&self) {
        // Full, it rings already.
        let _ = (&*self.0).write(&[1]);
    }
}
