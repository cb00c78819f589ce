//! Bytes that wait: in memory, and when they are many in a file without a name.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use pipe::exit::{Error, Result};
use pipe::stdio::reason;

/// Bytes that one spool keeps in memory.
pub const MEMORY_BYTES: usize = 1 << 20;

/// Bytes that are read back at once.
const BLOCK_BYTES: usize = 64 << 10;

/// Bytes in the order in which they came.
#[derive(Debug, Default)]
pub struct Spool {
    /// Those that came last.
    memory: Vec<u8>,
    /// Those before them.
    file: Option<File>,
}

impl Spool {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.file.is_none()
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the disk does not take them.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) -> Result<()> {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > MEMORY_BYTES { self.spill() } else { Ok(()) }
    }

    /// Adds a line.
    ///
    /// # Errors
    /// As [`Spool::extend`].
    #[inline]
    pub fn line(&mut self, line: &[u8]) -> Result<()> {
        self.memory.extend_from_slice(line);
        self.extend(b"\n")
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.memory.clear();
        self.file = None;
    }

    /// All that came, as a file that stands at its beginning.
    ///
    /// # Errors
    /// As [`Spool::extend`].
    pub fn into_file(mut self) -> Result<File> {
        self.spill()?;
        match self.file.take() {
            Some(mut file) => file.rewind().map(|()| file).map_err(|error| failure(&error)),
            None => tempfile::tempfile().map_err(|error| failure(&error)),
        }
    }

    /// Hands out all that came, block by block.
    ///
    /// # Errors
    /// When the disk fails, or `take` does.
    pub fn blocks(mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Some(mut file) = self.file.take() {
            file.rewind().map_err(|error| failure(&error))?;
            let mut block = vec![0; BLOCK_BYTES];
            loop {
                match file.read(&mut block).map_err(|error| failure(&error))? {
                    0 => break,
                    bytes => take(&block[..bytes])?,
                }
            }
        }
        self.memory.chunks(BLOCK_BYTES).try_for_each(take)
    }

    #[cold]
    fn spill(&mut self) -> Result<()> {
        if self.memory.is_empty() {
            return Ok(());
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(&self.memory),
            None => tempfile::tempfile().and_then(|file| {
                let file = self.file.insert(file);
                file.write_all(&self.memory)
            }),
        };
        self.memory.clear();
        written.map_err(|error| failure(&error))
    }
}

/// A failure of the folder of temporary files.
#[must_use]
pub fn failure(error: &io::Error) -> Error {
    let folder = std::env::temp_dir();
    let kind =
        format!("{}: {}", reason(error), "lines are held there; TMPDIR names another folder");
    Error::world(folder.display(), kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(spool: Spool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let taken = spool.blocks(|block| {
            bytes.extend_from_slice(block);
            Ok(())
        });
        assert_eq!(taken, Ok(()));
        bytes
    }

    #[test]
    fn bytes_come_back_in_their_order_from_memory_and_from_disk() {
        for lines in [0, 1, 1_000, 300_000_u32] {
            let text: Vec<u8> =
                (0..lines).flat_map(|line| format!("{line}\n").into_bytes()).collect();
            let filled = || {
                let mut spool = Spool::default();
                for line in 0..lines {
                    assert_eq!(spool.line(line.to_string().as_bytes()), Ok(()));
                }
                spool
            };
            assert_eq!(filled().file.is_some(), text.len() > MEMORY_BYTES, "{lines}");
            assert_eq!(filled().is_empty(), lines == 0);
            assert!(all(filled()) == text, "{lines} in blocks");
            let mut read = Vec::new();
            let mut file = filled().into_file().expect("a disk");
            file.read_to_end(&mut read).expect("a file");
            assert!(read == text, "{lines} from the file");
        }
    }

    #[test]
    fn what_is_forgotten_does_not_come_back() {
        let mut spool = Spool::default();
        assert_eq!(spool.extend(&vec![b'x'; MEMORY_BYTES + 1]), Ok(()));
        spool.clear();
        assert!(spool.is_empty());
        assert_eq!(spool.line(b"y"), Ok(()));
        assert_eq!(all(spool), b"y\n");
    }
}
