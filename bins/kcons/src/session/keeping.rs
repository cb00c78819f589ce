//! What stdout has accepted, and who is told of it: the group, and a file of ranges.

use std::time::{Duration, Instant};

use pipe::exit::{Error, Result, say};
use pipe::mark::How;
use topic::consumer::Change;

use super::Session;

/// How long the commit at a hand-over or at the end may take.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take when something has failed already.
const SAVE_PATIENCE: Duration = Duration::from_secs(2);

/// How long the reader of stdout may take what was read of partitions that another member gets;
/// what it has not taken by then, that member reads again.
pub(super) const HAND_OVER: Duration = Duration::from_secs(3);

/// How long it may take what is left when a signal has come.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// How often the group is heard while the reader of stdout takes nothing.
const PULSE: Duration = Duration::from_secs(1);

impl Session<'_> {
    /// Writes all that waits. As long as the reader of stdout takes nothing, the group is
    /// answered, nothing more is read, and so nothing more is kept.
    pub(super) fn flush(&mut self) -> Result<()> {
        let mut deadline: Option<Instant> = None;
        while !self.sink.offer()? {
            match self.reader.change()? {
                Some(Change::Assigned(at)) => self.start(&at)?,
                Some(Change::Revoked(at)) => self.hand_over(&at, Duration::ZERO)?,
                None => {
                    let time = self.teller.leisure().map_or(PULSE, |time| time.min(PULSE));
                    self.wait_for_output(time)?;
                }
            }
            self.tell();
            if self.stop.requested() {
                let deadline = deadline.get_or_insert_with(|| Instant::now() + SHUTDOWN);
                if *deadline <= Instant::now() {
                    let reason = "its reader has taken nothing for 10 s; what it has not taken is \
                                  not committed";
                    return Err(Error::world("<stdout>", reason));
                }
            }
        }
        self.progress.accept();
        Ok(())
    }

    fn wait_for_output(&mut self, time: Duration) -> Result<()> {
        match self.sink.output() {
            Some(output) => self.reader.wait_for(output, time),
            None => Ok(()),
        }
    }

    /// Writes what the reader of stdout takes by the end of `patience`. Whether that is all.
    fn offer_for(&mut self, patience: Duration) -> Result<bool> {
        let deadline = Instant::now() + patience;
        while !self.sink.offer()? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.reader.serve()?;
            self.wait_for_output(left.min(PULSE))?;
        }
        self.progress.accept();
        Ok(true)
    }

    /// Lets partitions go that another member gets, and commits what stdout has accepted of them
    /// by the end of `patience`.
    pub(super) fn hand_over(&mut self, at: &[usize], patience: Duration) -> Result<()> {
        self.offer_for(patience)?;
        if !self.reader.is_lost() {
            self.note()?;
            // Who gets the partitions begins at an older offset then, which loses nothing: where
            // none was stored, we committed the one where we began.
            if let Err(Error::Failed(_, message)) = self.reader.settle(COMMIT_PATIENCE) {
                say(message);
            }
        }
        self.reader.keep(&self.progress.others(at))?;
        self.progress.revoke(at);
        self.reader.release(at)
    }

    /// Does what the clock asks for.
    pub(super) fn keep_time(&mut self) -> Result<()> {
        if self.sink.mark_time() {
            self.flush()?;
        }
        if let Some(Error::Failed(_, message)) = self.reader.commit_failure() {
            say(message);
            self.progress.commit_again();
        }
        let Some(interval) = self.orders.interval else { return Ok(()) };
        if self.committed.elapsed() >= interval && self.has_news() {
            // Only what stdout has accepted may be committed.
            self.flush()?;
            self.note()?;
        }
        Ok(())
    }

    /// Whether something was read that nobody was told of.
    pub(super) fn has_news(&self) -> bool {
        self.orders.commits && self.progress.has_news()
            || self.ways.target.is_some() && self.progress.has_ranges()
    }

    /// Tells the group and the file of ranges what stdout has accepted.
    fn note(&mut self) -> Result<()> {
        self.committed = Instant::now();
        self.write_ranges()?;
        self.commit()
    }

    /// Tells the group what stdout has accepted.
    pub(super) fn commit(&mut self) -> Result<()> {
        if !self.orders.commits {
            return Ok(());
        }
        let news = self.progress.take_news();
        self.reader.commit(&news)
    }

    fn write_ranges(&mut self) -> Result<()> {
        let Some(target) = &self.ways.target else { return Ok(()) };
        target.tell(&mut self.progress, self.reader.partitions())
    }

    /// Ends the stream and tells what stdout has accepted of it.
    pub(super) fn end(&mut self, how: How) -> Result<()> {
        self.sink.end(how);
        self.flush()?;
        self.note()?;
        self.reader.settle(COMMIT_PATIENCE)
    }

    /// Writes what was read before a failure, and tells of it.
    pub(super) fn save(&mut self) -> Result<()> {
        if !self.offer_for(SAVE_PATIENCE)? {
            return Ok(());
        }
        self.note()?;
        self.reader.settle(SAVE_PATIENCE)
    }
}
