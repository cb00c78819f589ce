//! Epochs into transactions: lines, state and the offsets that they came from, together or not
//! at all.
//!
//! What comes is kept in memory, and its transaction begins at the barrier, so that one is open
//! for a moment only: a slow stage would outlast it, and one that is left open hides all that
//! comes behind it from readers of what is committed. Of an epoch that is larger than the spool
//! the transaction begins when the spool is full.

use std::time::Duration;

use pipe::exit::{Code, Error, Result, say};
use pipe::mark::{Mark, Partition};
use topic::note::Note;
use topic::producer::transaction::{Covered, Member, Refusal, Transactions};

use crate::Args;
use crate::changelog::{self, Changelog};
use crate::epoch::{Epochs, Order};
use crate::ledger::STATE;
use crate::sink::Sink;

/// Bytes that are produced together once the transaction is open.
const PIECE_BYTES: usize = 256 << 10;

/// A stream with epochs on its way into transactions.
pub struct Pipeline<'a> {
    args: &'a Args,
    /// Where the stream stands.
    pub epochs: Epochs,
    /// From the first assignment on.
    sink: Option<Sink<'a>>,
    /// From the first assignment of a partition on, with its number of partitions.
    changelog: Option<(Changelog, i32)>,
    /// Whether a transaction is open.
    open: bool,
    /// Bytes of letters that are kept for their topic.
    letter_bytes: usize,
}

impl<'a> Pipeline<'a> {
    /// A stream of which the first mark was read.
    #[must_use]
    pub fn new(args: &'a Args, epochs: Epochs) -> Pipeline<'a> {
        Pipeline { args, epochs, sink: None, changelog: None, open: false, letter_bytes: 0 }
    }

    /// The sink, from the first assignment on.
    pub fn sink(&mut self) -> Option<&mut Sink<'a>> {
        self.sink.as_mut()
    }

    /// Line `number` is data, and comes at `now`.
    ///
    /// # Errors
    /// When it may not come here, or cannot be produced.
    pub fn line(&mut self, number: u64, line: &[u8], now: Duration) -> Result<()> {
        match (self.epochs.line(now)?, &mut self.sink) {
            (true, Some(sink)) => sink.line(number, line)?,
            (false, Some(sink)) => sink.ledger.taken(),
            (_, None) => {}
        }
        self.make_room()
    }

    /// Line `number` is longer than any record, and comes at `now`.
    ///
    /// # Errors
    /// As [`Pipeline::line`].
    pub fn long(&mut self, number: u64, head: &[u8], bytes: u64, now: Duration) -> Result<()> {
        match (self.epochs.line(now)?, &mut self.sink) {
            (true, Some(sink)) => sink.long(number, head, bytes)?,
            (false, Some(sink)) => sink.ledger.taken(),
            (_, None) => {}
        }
        Ok(())
    }

    /// Line `number` is a mark of so many `bytes`, and comes at `now`.
    ///
    /// # Errors
    /// When it may not come here, or its epoch cannot be committed.
    pub fn mark(&mut self, number: u64, mark: &Mark, bytes: usize, now: Duration) -> Result<()> {
        let order = self.epochs.mark(mark, now)?;
        if let Some(sink) = &mut self.sink {
            sink.heed(mark);
        }
        match (order, mark) {
            (Order::Begin(member), Mark::Begin { partitions, .. }) => {
                self.begin(member, partitions)
            }
            (Order::Keep, Mark::State { stage, at, key, value }) => {
                if let Some((changelog, width)) = &mut self.changelog {
                    check(at, *width)?;
                    changelog.entry(STATE + number, stage, at, key, value)?;
                }
                self.make_room()
            }
            (Order::Commit(member), _) => self.commit(number, &member, now),
            (_, Mark::Bad(letter) | Mark::Late(letter)) if self.epochs.keeps_letters() => {
                let Some(sink) = &mut self.sink else { return Ok(()) };
                self.letter_bytes += bytes;
                sink.letter(number, matches!(mark, Mark::Late(_)), letter)?;
                self.make_room()
            }
            _ => Ok(()),
        }
    }

    /// Goes on with another assignment, or begins with the first one.
    fn begin(&mut self, member: Member, partitions: &[Partition]) -> Result<()> {
        self.abort()?;
        let name = topic::changelog::name(&member.group);
        if self.sink.is_none() {
            let own = || format!("{}-{}", member.group, member.instance.unwrap_or(member.id));
            let id = self.args.epochs.transactional_id.clone().unwrap_or_else(own);
            let timeout = self.args.epochs.transaction_timeout.duration();
            self.sink = Some(Sink::open(self.args, Some(Transactions { id, timeout }))?);
        }
        let Some(sink) = &mut self.sink else { return Ok(()) };
        let mut topics: Vec<_> = partitions.iter().map(|one| &one.0).collect();
        topics.dedup();
        let mut width = 0;
        for topic in topics {
            width = width.max(sink.producer.partitions(topic)?);
        }
        if width == 0 {
            return Ok(());
        }
        if self.changelog.is_none() {
            let settings = &changelog::SETTINGS;
            let open = |producer: &mut topic::producer::Producer| {
                producer.open_own_topic(&name, width, settings)
            };
            let (topic, found) = sink.open_with(open)?;
            self.changelog = Some((Changelog::new(topic), found));
        }
        match &self.changelog {
            Some((_, found)) if *found != width => {
                let reason = format!(
                    "has {found} partitions, and the largest input topic {width}: the state is \
                     that of another input; delete the topic to begin anew"
                );
                Err(Error::world(name, reason))
            }
            _ => Ok(()),
        }
    }

    /// Produces what is kept when it is more than the spool may have, or a piece of an epoch
    /// whose transaction is open.
    fn make_room(&mut self) -> Result<()> {
        let limit = if self.open { PIECE_BYTES } else { self.args.epochs.spool };
        let state = self.changelog.as_ref().map_or(0, |(changelog, _)| changelog.bytes());
        let lines = self.sink.as_ref().map_or(0, Sink::memory);
        let kept = lines + state + self.letter_bytes;
        if kept == 0 || kept < limit { Ok(()) } else { self.produce() }
    }

    /// Produces what is kept, in a transaction.
    fn produce(&mut self) -> Result<()> {
        let produced = self.produce_kept();
        produced.map_err(|error| self.explained(error))
    }

    /// The error of a transaction, with what is known of it.
    fn explained(&mut self, error: Error) -> Error {
        let Some(sink) = &mut self.sink else { return error };
        match &error {
            Error::Failed(Code::UNFINISHED, _) if self.open && sink.producer.is_overdue() => {
                let reason = "the broker has aborted one that was open for longer than \
                              --transaction-timeout: shorter epochs, a larger --spool or a longer \
                              time help";
                Error::unfinished("transactions", reason)
            }
            _ => sink.ledger.doomed(error),
        }
    }

    fn produce_kept(&mut self) -> Result<()> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        if !self.open {
            sink.producer.begin_transaction()?;
            self.open = true;
        }
        self.letter_bytes = 0;
        match &mut self.changelog {
            None => sink.produce()?,
            Some((changelog, _)) => {
                let headers = changelog.drafts().headers();
                let records = changelog.drafts().records(&headers);
                // The few offsets go first: librdkafka asks the broker to take partitions into a
                // transaction 1 ms after the first record, and those of both topics then go in one
                // request, not in two that wait for each other.
                let (entries, offsets) = records.split_at(records.len() - changelog.offsets());
                let written = sink.producer.write(offsets, &mut sink.ledger);
                let written = written.and_then(|()| sink.produce());
                let written = written.and_then(|()| sink.producer.write(entries, &mut sink.ledger));
                changelog.clear();
                written?;
            }
        }
        sink.ledger.check()
    }

    /// Commits the epoch that ends in line `number`, as `member`.
    fn commit(&mut self, number: u64, member: &Member, now: Duration) -> Result<()> {
        if let Some((changelog, _)) = &mut self.changelog {
            for position in self.epochs.moved() {
                changelog.offset(STATE + number, position)?;
            }
        }
        self.produce()?;
        let Some(sink) = &mut self.sink else { return Ok(()) };
        let (epoch, generation) = (self.epochs.epoch(), member.generation);
        let note = Note { member: &member.id, epoch, generation }.to_string();
        let offsets: Vec<_> =
            self.epochs.offsets().iter().map(|one| (one.0.as_str(), one.1, one.2)).collect();
        let covered = Covered { offsets: &offsets, member, note: &note };
        match sink.producer.commit(&covered, &mut sink.ledger) {
            Ok(()) => {
                self.open = false;
                self.epochs.committed();
                sink.ledger.commit(epoch)
            }
            Err(Refusal::Stale(reason)) => {
                if !self.args.quiet {
                    let epoch = self.epochs.epoch();
                    let then = "it is read again with the next assignment";
                    say(format!("epoch {epoch}: not committed: {reason}; {then}"));
                }
                self.epochs.refused(now);
                self.abort()
            }
            Err(Refusal::Failed(error)) => Err(self.explained(error)),
        }
    }

    /// Lets go of what is not committed.
    ///
    /// # Errors
    /// When a transaction is not known to be aborted.
    pub fn abort(&mut self) -> Result<()> {
        self.letter_bytes = 0;
        if let Some((changelog, _)) = &mut self.changelog {
            changelog.clear();
        }
        let Some(sink) = &mut self.sink else { return Ok(()) };
        sink.forget();
        let open = std::mem::take(&mut self.open);
        let aborted = if open { sink.producer.abort(&mut sink.ledger) } else { Ok(()) };
        sink.ledger.abort();
        aborted
    }

    /// Says what is said at the end.
    ///
    /// # Errors
    /// When lines or letters failed.
    pub fn close(&mut self, thing: &str) -> Result<()> {
        self.sink.as_mut().map_or(Ok(()), |sink| sink.ledger.close(thing))
    }

    /// The end of the input, or what ends it.
    ///
    /// # Errors
    /// When not all of it is committed.
    pub fn finish(&self) -> Result<Code> {
        self.epochs.finish().map(|()| Code::DONE)
    }
}

/// State is of a partition that the input can have.
fn check(at: &Partition, width: i32) -> Result<()> {
    if (0..width).contains(&at.1) {
        return Ok(());
    }
    Err(Error::world("<stdin>", format!("state of {} [{}], which there is not", at.0, at.1)))
}
