//! The end of an assignment, and of the run: a last barrier, and the wait for whoever commits it.
//!
//! A pipe has no way back but the offsets that are committed. Their metadata
//! says who ended which epoch with them, because those of partitions in which nothing comes stay
//! the same.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use pipe::exit::{Error, Result, say};
use pipe::mark::{How, Last};
use topic::consumer::Change;

use super::{Commits, Epochs, Phase};
use crate::sink::Sink;
use crate::writer::LAST_WORDS;

/// How long the group waits for the commit of partitions that another member gets.
const HAND_OVER: Duration = Duration::from_millis(500);

/// How long the last commit may take.
const FAREWELL: Duration = Duration::from_secs(30);

/// How long one question for what is committed waits.
const SLICE: Duration = Duration::from_millis(100);

/// How long until it is asked again.
const AGAIN: Duration = Duration::from_millis(5);

/// What became of the last barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is committed.
    Committed,
    /// It is not, or that is not known.
    Started,
    /// Nothing was in our name.
    Silent,
}

impl Epochs<'_> {
    /// Lets partitions go that another member gets. What the pipe has of them is to be committed
    /// before that, unless they are lost, or the pipe is blocked: then it is read again.
    pub(super) fn hand_over(&mut self, at: &[usize]) -> Result<()> {
        let open = matches!(self.phase, Phase::Open);
        if open
            && !self.reader.is_lost()
            && !self.sink.is_backed_up()
            && self.barrier(Some(Last::Moved))?
            && self.rhythm.commits == Commits::Group
        {
            self.outcome(Instant::now() + HAND_OVER, false)?;
        }
        self.leave();
        self.ours.clear();
        self.reader.release(at)
    }

    /// Ends the stream, and waits until what it covers is committed.
    pub(super) fn end(&mut self, how: How) -> Result<()> {
        let last = match how {
            How::Drained => Last::Drained,
            How::Stopped => Last::Stopped,
        };
        let deadline = Instant::now() + FAREWELL;
        let open = matches!(self.phase, Phase::Open);
        if open && !self.barrier(Some(last))? {
            return Err(self.unfinished("has taken us out"));
        }
        self.sink.end(how);
        if !self.finish(deadline)? {
            let reason = "its reader has taken nothing for 30 s; what it has not taken is not \
                          committed";
            return Err(Error::unfinished("<stdout>", reason));
        }
        if !open || self.ours.is_empty() {
            return Ok(());
        }
        match self.rhythm.commits {
            Commits::Elsewhere => return Ok(()),
            Commits::Nobody => {
                say("<stdout>: is no pipe, so nobody has committed what was read");
                return Ok(());
            }
            Commits::Group => {}
        }
        match self.outcome(deadline, true)? {
            Outcome::Committed => Ok(()),
            Outcome::Started => Err(self.unfinished("the last epoch was not committed")),
            Outcome::Silent => {
                let group = &self.rhythm.group;
                say(format!("group {group}: nothing was committed: is there a ksink in the pipe?"));
                Ok(())
            }
        }
    }

    /// Writes what waits, and closes stdout. Whether that was done by `deadline`.
    fn finish(&mut self, deadline: Instant) -> Result<bool> {
        if !self.wait_until(deadline, Sink::offer)? {
            return Ok(false);
        }
        if let Some(writer) = self.sink.writer() {
            writer.close();
        }
        let closed = |sink: &mut Sink| Ok(sink.writer().is_none_or(|writer| writer.is_closed()));
        if !self.wait_until(deadline, closed)? {
            return Ok(false);
        }
        // The thread's failure comes with the next offer.
        self.sink.offer()
    }

    /// Waits until `holds`. Whether it did by `deadline`.
    fn wait_until(
        &mut self,
        deadline: Instant,
        mut holds: impl FnMut(&mut Sink) -> Result<bool>,
    ) -> Result<bool> {
        loop {
            self.bell.silence();
            if holds(&mut self.sink)? {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            // The group is heard, but what it says has to wait for the end.
            self.reader.serve()?;
            self.reader.wait_among(&[self.bell.as_fd()], Some(SLICE))?;
        }
    }

    /// Writes what still goes out of a stream that has failed.
    pub(super) fn drain(&mut self) {
        let _ = self.finish(Instant::now() + LAST_WORDS);
    }

    /// Waits until the last barrier is committed, or `deadline`. Where the run is `ending` and the
    /// group wants its partitions back, it waits no longer for that than at any hand-over.
    fn outcome(&mut self, mut deadline: Instant, ending: bool) -> Result<Outcome> {
        let mut last = None;
        loop {
            if let Some(stored) = self.reader.settled(&self.ours, SLICE)? {
                if self.ledger.settle(&stored) {
                    return Ok(Outcome::Committed);
                }
                last = Some(stored);
            }
            let now = Instant::now();
            if now >= deadline {
                let silent = last.is_some_and(|stored| !self.ledger.is_heard(&stored));
                return Ok(if silent { Outcome::Silent } else { Outcome::Started });
            }
            self.sink.offer()?;
            if ending && let Some(Change::Revoked(_)) = self.reader.change()? {
                deadline = deadline.min(now + HAND_OVER);
            }
            self.reader.wait_among(&[], Some(AGAIN))?;
        }
    }

    fn unfinished(&self, reason: &str) -> Error {
        Error::unfinished(format!("group {}", self.rhythm.group), reason)
    }
}
