//! Offsets kept in files of one's own.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pipe::exit::{Code, Error, Result};
use pipe::stdio::reason;
use topic::record::Partition;

use crate::progress::Progress;
use crate::ranges::{self, Read};

/// A file to begin at.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    /// Whether it was read once.
    known: bool,
}

impl Source {
    pub(crate) fn new(path: &Path) -> Source {
        Source { path: path.to_owned(), known: false }
    }

    /// What the file says now.
    ///
    /// # Errors
    /// When it cannot be read: the caller's fault the first time. Later the run cannot go on and
    /// another one may.
    pub(crate) fn read(&mut self) -> Result<Vec<Read>> {
        let code = if self.known { Code::UNFINISHED } else { Code::CALLER };
        let failed = |thing: String, reason: String| {
            Error::Failed(code, format!("--from-offsets {thing}: {reason}"))
        };
        let name = self.path.display();
        let text = fs::read_to_string(&self.path);
        let text = text.map_err(|error| failed(name.to_string(), reason(&error)))?;
        let reads = ranges::parse(&text);
        let reads = reads
            .map_err(|(line, reason)| failed(format!("{name}: line {line}"), reason.to_owned()))?;
        self.known = true;
        Ok(reads)
    }
}

/// A file that says what was read since the last time, and how far.
#[derive(Debug)]
pub(crate) struct Target(pub(crate) PathBuf);

impl Target {
    /// Says what was read of `partitions` since the last time.
    ///
    /// # Errors
    /// When the folder or the disk does not take it.
    pub(crate) fn tell(&self, progress: &mut Progress, partitions: &[Partition]) -> Result<()> {
        let mut text = String::new();
        for (at, from, until) in progress.take_ranges() {
            let one = &partitions[at];
            ranges::write(&one.topic, one.number, from, until, &mut text);
        }
        self.replace(&text)
    }

    /// Replaces the file by `text`, so that whoever looks sees the old or the new one whole, also
    /// after a loss of power.
    fn replace(&self, text: &str) -> Result<()> {
        self.write(text).map_err(|error| {
            Error::world(format!("--write-offsets {}", self.0.display()), reason(&error))
        })
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = self.0.with_file_name(name);
        let mut file = fs::File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.0)
    }
}
