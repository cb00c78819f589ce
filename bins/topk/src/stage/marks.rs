//! The marks between the rows.

use pipe::exit::{Error, Result};
use pipe::mark::{Barrier, Last, Mark, Partition};
use row::form;

use super::Stage;
use crate::output::Output;
use crate::sheet::Form;

impl Stage {
    /// Takes a mark, with its line; returns whether the output has to be flushed.
    ///
    /// # Errors
    /// When the mark asks for what this stage cannot do.
    pub fn mark(&mut self, mark: &Mark, line: &[u8], out: &mut Output) -> Result<bool> {
        match mark {
            Mark::Open { epochs, tick_ms, stages } => {
                self.open(*epochs, *tick_ms, stages, out)?;
                return Ok(true);
            }
            Mark::Begin { partitions, .. } => self.assign(partitions, out),
            Mark::Restore { stage, at, key, value } if stage == self.course.name() => {
                self.restore(at, key, value, out)?;
                return Ok(false);
            }
            Mark::Restored { .. } => {
                // Rows may only come behind it, those that the tick brings too.
                out.stream.pass(line);
                if let Some(ms) = self.course.restored() {
                    self.tick(ms, out)?;
                }
                return Ok(true);
            }
            Mark::From { at, offset } => {
                self.partition = Some(out.number_of(at));
                self.course.from(at, *offset);
                return Ok(false);
            }
            Mark::Idle { .. } => return Ok(false),
            Mark::Tick { ms } if self.course.tick(*ms) => self.tick(*ms, out)?,
            Mark::Closed { until } => self.closed(*until, out)?,
            Mark::Barrier(barrier) => {
                self.barrier(barrier, out)?;
                return Ok(true);
            }
            Mark::End { how } => self.end(*how, out)?,
            Mark::Abort { code, .. } => self.course.abort(*code),
            _ => {}
        }
        out.stream.pass(line);
        Ok(true)
    }

    fn open(
        &mut self,
        epochs: bool,
        tick_ms: u64,
        stages: &[String],
        out: &mut Output,
    ) -> Result<()> {
        self.behind_swin = stages.iter().any(|stage| stage.ends_with(":swin"));
        out.write_marks();
        out.stream.mark(&self.course.open(epochs, tick_ms, stages));
        if epochs && self.plan.form == Form::Rows(form::Form::Csv) {
            let reason = "its header line has no place in a stream with epochs; give json or text";
            return Err(Error::caller("-o csv", reason));
        }
        Ok(())
    }

    /// A new assignment: forgets all rows.
    fn assign(&mut self, partitions: &[Partition], out: &mut Output) {
        self.course.begin();
        out.stream.assign(partitions);
        self.partition = None;
        if self.course.has_epochs() {
            // As a new process, that learns everything from the state that follows.
            self.job = None;
            self.now_ms = None;
            self.arrival = 0;
            self.stored.clear();
        } else if let Some(job) = &mut self.job {
            job.ranker.clear();
            let note = "the partitions were assigned anew: the ranking begins again";
            self.notes.push(note.to_owned());
        }
    }

    /// A stage before this one has written every row of windows that end by `until`.
    fn closed(&mut self, until: i64, out: &mut Output) -> Result<()> {
        let Some(job) = &mut self.job else { return Ok(()) };
        // A window that closed stays on a terminal, a ranking that goes on does not.
        let stays = job.feed.has_windows();
        let closed = job.ranker.closed(until, &mut |ranking| out.ranking(ranking, stays));
        closed.map_err(|fault| self.unranked(fault))
    }

    /// An epoch ends: what changed in it is stored, so that it can be gone on from here.
    fn barrier(&mut self, barrier: &Barrier, out: &mut Output) -> Result<()> {
        self.course.barrier(barrier)?;
        if barrier.last == Some(Last::Drained) && self.course.drain() {
            self.drain(out)?;
        }
        self.store(out)?;
        out.stream.barrier(barrier);
        Ok(())
    }
}
