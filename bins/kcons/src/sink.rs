//! What is written: records in the form that was asked for, with or without marks.

use std::time::{SystemTime, UNIX_EPOCH};

use pipe::exit::{Error, Result, say};
use pipe::mark::{self, How, Mark};
use pipe::stdio::{OUTPUT_BYTES, Output};
use topic::consumer::{Membership, Partition, Record};

use crate::console::{self, Formatter};
use crate::envelope;
use crate::format::Format;
use crate::marks::Marks;
use crate::screen;
use crate::view::View;
use crate::writer::{self, LAST_WORDS, Writer};

/// How a record is printed.
#[derive(Debug)]
pub(crate) enum Form {
    /// Its value and a newline.
    Value,
    /// By a format string, to which no newline is added.
    Format(Format),
    /// An envelope and a newline.
    Envelope,
    /// As the console consumer does; with a line of its own on stderr when `logs`.
    Console {
        /// What is printed.
        formatter: Formatter,
        /// Whether it is a `LoggingMessageFormatter`.
        logs: bool,
    },
    /// Not at all.
    Nothing,
}

/// What is wanted of the output besides its form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Whether control bytes are spelt out.
    pub(crate) escapes: bool,
    /// Whether each record is written by itself.
    pub(crate) unbuffered: bool,
    /// Whether a record that a deserializer refuses is left out.
    pub(crate) skips: bool,
}

/// The way to stdout.
#[derive(Debug)]
pub(crate) enum Way {
    /// Written here.
    Straight(Output),
    /// Written by a thread of its own.
    Queued(Writer),
}

impl Way {
    #[inline]
    fn buffer(&mut self) -> &mut Vec<u8> {
        match self {
            Way::Straight(out) => out.buffer(),
            Way::Queued(writer) => writer.buffer(),
        }
    }

    fn offer(&mut self) -> Result<bool> {
        match self {
            Way::Straight(out) => out.offer(),
            Way::Queued(writer) => writer.offer(),
        }
    }

    /// Writes all, if that need not be waited for.
    fn flush(&mut self) -> Result<()> {
        match self {
            Way::Straight(out) => out.flush(),
            Way::Queued(writer) => writer.offer().map(drop),
        }
    }
}

/// Stdout with what goes into it.
#[derive(Debug)]
pub(crate) struct Sink {
    out: Way,
    form: Form,
    marks: Option<Marks>,
    manner: Manner,
    /// Bytes at which the buffer is written.
    block: usize,
    /// The reader of stdout takes nothing more for now.
    backed_up: bool,
    /// A record's text, where it has to be looked at before it is written.
    draft: Vec<u8>,
    /// Records written or left out because of their form.
    pub(crate) count: u64,
    /// Those left out.
    pub(crate) skipped: u64,
}

impl Sink {
    pub(crate) fn new(out: Way, form: Form, marks: Option<Marks>, manner: Manner) -> Sink {
        let block = match &out {
            _ if manner.unbuffered => 1,
            Way::Straight(_) => OUTPUT_BYTES,
            Way::Queued(_) => writer::BLOCK,
        };
        Sink {
            out,
            form,
            marks,
            manner,
            block,
            backed_up: false,
            draft: Vec::new(),
            count: 0,
            skipped: 0,
        }
    }

    /// Writes the first line of a marked stream.
    pub(crate) fn open(&mut self) -> Result<()> {
        let Some(marks) = &mut self.marks else { return Ok(()) };
        marks.open(now(), self.out.buffer());
        self.out.flush()
    }

    /// Begins an assignment.
    pub(crate) fn begin<'a>(
        &mut self,
        group: Option<&str>,
        membership: Option<&Membership>,
        partitions: impl Iterator<Item = (usize, &'a Partition)>,
    ) {
        if let Some(marks) = &mut self.marks {
            let name = |one: &Partition| mark::Partition(one.topic.clone(), one.number);
            let partitions = partitions.map(|(at, one)| (at, name(one)));
            marks.begin(group, membership, partitions, self.out.buffer());
        }
    }

    /// Writes a record of `partition`.
    ///
    /// # Errors
    /// When stdout does not take it, or it is no line and has to be one, or not of the type that
    /// a deserializer wants.
    #[inline]
    pub(crate) fn record(&mut self, record: Record<'_>, partition: &Partition) -> Result<()> {
        if self.marks.is_some() {
            return self.marked(record, partition);
        }
        let out = self.out.buffer();
        let start = out.len();
        match &self.form {
            Form::Value => {
                out.extend_from_slice(record.value().unwrap_or_default());
                out.push(b'\n');
            }
            form => {
                if let Err(reason) = form.write(record, partition, out) {
                    return self.refuse(record, partition, reason);
                }
            }
        }
        if self.manner.escapes {
            screen::escape(out, start);
        }
        self.written()
    }

    fn marked(&mut self, record: Record<'_>, partition: &Partition) -> Result<()> {
        if matches!(self.form, Form::Value) {
            let line = record.value().unwrap_or_default();
            return self.mark(record.at(), record.offset(), partition, line);
        }
        let mut draft = std::mem::take(&mut self.draft);
        draft.clear();
        if self.render(record, partition, &mut draft)? {
            let line = draft.strip_suffix(b"\n").unwrap_or(&draft);
            self.mark(record.at(), record.offset(), partition, line)?;
        }
        self.draft = draft;
        Ok(())
    }

    /// Writes a line with the mark that it needs.
    fn mark(&mut self, at: usize, offset: i64, partition: &Partition, line: &[u8]) -> Result<()> {
        let Some(marks) = &mut self.marks else { return Ok(()) };
        let out = self.out.buffer();
        marks.record(at, offset, out);
        if memchr::memchr(b'\n', line).is_some() {
            let thing = format!("{partition} offset {offset}");
            return Err(Error::world(thing, "holds a newline, which no line can; use -J"));
        }
        mark::write_data(line, out);
        self.written()
    }

    /// Appends a record to `out` as it is to be written, but for marks. Whether it is: one that a
    /// deserializer refuses may be left out.
    ///
    /// # Errors
    /// As [`Sink::record`].
    pub(crate) fn render(
        &mut self,
        record: Record<'_>,
        partition: &Partition,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let start = out.len();
        if let Err(reason) = self.form.write(record, partition, out) {
            self.refuse(record, partition, reason)?;
            return Ok(false);
        }
        if self.manner.escapes {
            screen::escape(out, start);
        }
        Ok(true)
    }

    /// A deserializer refuses a record.
    fn refuse(&mut self, record: Record<'_>, partition: &Partition, reason: String) -> Result<()> {
        if !self.manner.skips {
            return Err(Error::world(format!("{partition} offset {}", record.offset()), reason));
        }
        self.count += 1;
        self.skipped += 1;
        Ok(())
    }

    /// Writes a record of `partition` that was rendered before.
    ///
    /// # Errors
    /// When stdout does not take it, or it is no line and has to be one.
    pub(crate) fn line(
        &mut self,
        at: usize,
        offset: i64,
        partition: &Partition,
        bytes: &[u8],
    ) -> Result<()> {
        if self.marks.is_some() {
            return self.mark(at, offset, partition, bytes.strip_suffix(b"\n").unwrap_or(bytes));
        }
        self.out.buffer().extend_from_slice(bytes);
        self.written()
    }

    /// A record stands in the buffer.
    #[inline]
    fn written(&mut self) -> Result<()> {
        self.count += 1;
        if self.out.buffer().len() >= self.block && !self.backed_up {
            self.backed_up = !self.out.offer()?;
        }
        Ok(())
    }

    /// Writes what the reader of stdout takes without being waited for. Whether that was all.
    ///
    /// # Errors
    /// When stdout fails or its reader has gone.
    pub(crate) fn offer(&mut self) -> Result<bool> {
        self.backed_up = !self.out.offer()?;
        Ok(!self.backed_up)
    }

    /// Whether the reader of stdout is to be waited for.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.backed_up
    }

    /// Stdout, to wait for its reader, where it is written here.
    pub(crate) fn output(&self) -> Option<&Output> {
        match &self.out {
            Way::Straight(out) => Some(out),
            Way::Queued(_) => None,
        }
    }

    /// The thread that writes, where one does.
    pub(crate) fn writer(&mut self) -> Option<&mut Writer> {
        match &mut self.out {
            Way::Straight(_) => None,
            Way::Queued(writer) => Some(writer),
        }
    }

    /// Writes a mark.
    pub(crate) fn mark_down(&mut self, mark: &Mark) {
        mark.write(self.out.buffer());
    }

    /// Writes lines that are marks already.
    pub(crate) fn pass(&mut self, lines: &[u8]) {
        self.out.buffer().extend_from_slice(lines);
    }

    /// Forgets where lines came from: what was assigned is not any more.
    pub(crate) fn leave(&mut self) {
        if let Some(marks) = &mut self.marks {
            marks.leave();
        }
    }

    /// Lines written.
    pub(crate) fn lines(&self) -> u64 {
        self.count - self.skipped
    }

    /// Nothing was behind the position of a partition.
    pub(crate) fn caught_up(&mut self, at: usize) {
        if let Some(marks) = &mut self.marks {
            marks.caught_up(at, now());
        }
    }

    /// A partition is at its end for good.
    pub(crate) fn drained(&mut self, at: usize) {
        if let Some(marks) = &mut self.marks {
            marks.drained(at, self.out.buffer());
        }
    }

    /// Writes the marks that are due. Whether there are some, which are not to wait.
    pub(crate) fn mark_time(&mut self) -> bool {
        let Some(marks) = &mut self.marks else { return false };
        let (now, out) = (now(), self.out.buffer());
        let idle = marks.idle(now, out);
        marks.tick(now, out) || idle
    }

    /// Milliseconds until a mark is due.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let due = self.marks.as_ref().map(Marks::due)?;
        Some(u64::try_from(due - now()).unwrap_or(0))
    }

    /// Ends the stream.
    pub(crate) fn end(&mut self, how: How) {
        if self.marks.is_some() {
            Marks::end(how, self.out.buffer());
        }
    }

    /// Tells whoever reads the marks that the stream fails for good, so that it does not ask for
    /// another run.
    pub(crate) fn abort(&mut self, error: &Error) {
        if self.marks.is_some()
            && let Some(mark) = Mark::abort("kcons", error)
        {
            mark.write(self.out.buffer());
            // The failure is told on stderr; one more of stdout would hide it.
            let _ = self.out.flush();
        }
    }
}

impl Sink {
    /// Tells whoever reads the marks that the stream fails before it has begun, and ends it.
    pub(crate) fn give_up(&mut self, error: &Error) {
        self.abort(error);
        if let Some(writer) = self.writer() {
            writer.finish(LAST_WORDS);
        }
    }
}

impl Form {
    /// Appends a record with its newline, if it has one.
    ///
    /// # Errors
    /// When a deserializer refuses it; nothing is appended then.
    fn write(
        &self,
        record: Record<'_>,
        partition: &Partition,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        match self {
            Form::Value => {
                out.extend_from_slice(record.value().unwrap_or_default());
                out.push(b'\n');
            }
            Form::Format(format) => format.write(&view(record, partition), out),
            Form::Envelope => {
                envelope::write(&view(record, partition), out);
                out.push(b'\n');
            }
            Form::Console { formatter, logs } => {
                let view = view(record, partition);
                formatter.write(&view, out)?;
                if *logs {
                    let mut line = console::log_line(&view);
                    screen::escape(&mut line, 0);
                    say(String::from_utf8_lossy(&line));
                }
            }
            Form::Nothing => {}
        }
        Ok(())
    }
}

fn view<'a>(record: Record<'a>, partition: &'a Partition) -> View<'a> {
    View {
        topic: &partition.topic,
        partition: partition.number,
        offset: record.offset(),
        timestamp: record.timestamp(),
        key: record.key(),
        value: record.value(),
        headers: record.headers().collect(),
        leader_epoch: record.leader_epoch(),
    }
}

/// Milliseconds since the epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
