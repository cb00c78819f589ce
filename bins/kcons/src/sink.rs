//! What is written: records in the form that was asked for, with or without marks.

use std::time::{SystemTime, UNIX_EPOCH};

use pipe::exit::{Error, Result};
use pipe::mark::{self, How, Mark};
use pipe::stdio::Output;
use topic::consumer::{Partition, Record};

use crate::envelope;
use crate::format::Format;
use crate::marks::Marks;
use crate::screen;
use crate::view::View;

/// How a record is printed.
#[derive(Debug)]
pub(crate) enum Form {
    /// Its value and a newline.
    Value,
    /// By a format string, to which no newline is added.
    Format(Format),
    /// An envelope and a newline.
    Envelope,
}

/// Stdout with what goes into it.
#[derive(Debug)]
pub(crate) struct Sink {
    out: Output,
    form: Form,
    marks: Option<Marks>,
    /// Whether control bytes are spelt out.
    escapes: bool,
    /// A record's text, where it has to be looked at before it is written.
    draft: Vec<u8>,
    /// Records written.
    pub(crate) count: u64,
}

impl Sink {
    pub(crate) fn new(out: Output, form: Form, marks: Option<Marks>, escapes: bool) -> Sink {
        Sink { out, form, marks, escapes, draft: Vec::new(), count: 0 }
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
        partitions: impl Iterator<Item = (usize, &'a Partition)>,
    ) -> Result<()> {
        let Some(marks) = &mut self.marks else { return Ok(()) };
        let name = |one: &Partition| mark::Partition(one.topic.clone(), one.number);
        let partitions = partitions.map(|(at, one)| (at, name(one)));
        marks.begin(group, partitions, self.out.buffer());
        self.out.flush()
    }

    /// Writes a record of `partition`.
    ///
    /// # Errors
    /// When stdout does not take it, or it is no line and has to be one.
    #[inline]
    pub(crate) fn record(&mut self, record: Record<'_>, partition: &Partition) -> Result<()> {
        if self.marks.is_some() {
            self.marked(record, partition)?;
        } else {
            let out = self.out.buffer();
            let start = out.len();
            match &self.form {
                Form::Value => {
                    out.extend_from_slice(record.value().unwrap_or_default());
                    out.push(b'\n');
                }
                form => form.write(record, partition, out),
            }
            if self.escapes {
                screen::escape(out, start);
            }
        }
        self.count += 1;
        self.out.spill()
    }

    fn marked(&mut self, record: Record<'_>, partition: &Partition) -> Result<()> {
        let Some(marks) = &mut self.marks else { return Ok(()) };
        let out = self.out.buffer();
        marks.record(record.at(), record.offset(), out);
        let line = match &self.form {
            Form::Value => record.value().unwrap_or_default(),
            form => {
                self.draft.clear();
                form.write(record, partition, &mut self.draft);
                self.draft.strip_suffix(b"\n").unwrap_or(&self.draft)
            }
        };
        if memchr::memchr(b'\n', line).is_some() {
            let thing = format!("{partition} offset {}", record.offset());
            return Err(Error::world(thing, "holds a newline, which no line can; use -J"));
        }
        mark::write_data(line, out);
        Ok(())
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

    /// Writes the marks that are due.
    pub(crate) fn mark_time(&mut self) -> Result<()> {
        let Some(marks) = &mut self.marks else { return Ok(()) };
        let (now, out) = (now(), self.out.buffer());
        let idle = marks.idle(now, out);
        if marks.tick(now, out) || idle { self.out.flush() } else { Ok(()) }
    }

    /// Milliseconds until a mark is due.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let due = self.marks.as_ref().map(Marks::due)?;
        Some(u64::try_from(due - now()).unwrap_or(0))
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.out.flush()
    }

    /// Ends the stream.
    pub(crate) fn end(&mut self, how: How) -> Result<()> {
        if self.marks.is_some() {
            Marks::end(how, self.out.buffer());
        }
        self.out.flush()
    }

    /// Tells whoever reads the marks that the stream fails for good, so that it does not ask for
    /// another run.
    pub(crate) fn abort(&mut self, error: &Error) {
        let Error::Failed(code, message) = error else { return };
        if self.marks.is_some() {
            let (tool, message) = ("kcons".to_owned(), message.clone());
            Mark::Abort { tool, code: code.0, message }.write(self.out.buffer());
            // The failure is told on stderr; one more of stdout would hide it.
            let _ = self.out.flush();
        }
    }
}

impl Form {
    /// Appends a record with its newline, if it has one.
    fn write(&self, record: Record<'_>, partition: &Partition, out: &mut Vec<u8>) {
        let view = View {
            topic: &partition.topic,
            partition: partition.number,
            offset: record.offset(),
            timestamp: record.timestamp(),
            key: record.key(),
            value: record.value(),
            headers: record.headers().collect(),
        };
        match self {
            Form::Format(format) => format.write(&view, out),
            Form::Envelope | Form::Value => {
                envelope::write(&view, out);
                out.push(b'\n');
            }
        }
    }
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
