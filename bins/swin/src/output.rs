//! Results as lines, between the marks of a marked stream.

use std::borrow::Cow;
use std::fmt;

use pipe::exit::{Error, Result};
use pipe::mark::{self, Mark, Partition};
use pipe::outlet::Outlet;
use row::form::Writer;
use row::schema::Schema;
use row::table::Table;
use row::time::Stamp;
use row::value::Value;

use crate::cutter::Cutter;
use crate::results::Sink;
use crate::spark::Spark;

/// The form in which results are written.
#[derive(Clone, Debug)]
pub enum Form {
    /// Rows that a program reads again.
    Rows(Writer),
    /// A table for people.
    Table(Table),
    /// Spark's blocks.
    Spark(Spark),
}

/// Bytes that wait at most, when many windows are due at once.
const RELIEF_BYTES: usize = 1 << 20;

/// Takes bytes that are written.
type Take = dyn FnMut(&mut Vec<u8>) -> Result<()>;

/// Where bytes go, between two windows.
struct Relief(Box<Take>);

impl fmt::Debug for Relief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relief")
    }
}

/// How the row before began.
#[derive(Debug, Default)]
struct Lead {
    /// Its first two columns, when these were whole numbers.
    of: Option<(i64, i64)>,
    /// What was written of them.
    bytes: Vec<u8>,
}

/// Results as bytes.
#[derive(Debug)]
pub struct Output {
    form: Form,
    /// How the first columns, so many times, are written; none as numbers.
    times: Option<(usize, Stamp)>,
    /// Whether results come one by one, so that nothing tells when a table may be shown.
    singly: bool,
    begun: bool,
    lead: Lead,
    /// What rows that come out as they came end in.
    line_end: u8,
    /// Cuts rows that come out behind the columns of their window into their own columns.
    cutter: Option<Cutter>,
    /// How many rows were written.
    rows: u64,
    /// The time until which the next stage knows that all was written.
    closed: Option<i64>,
    /// Takes what is written, between two windows of many that are due at once.
    relief: Option<Relief>,
    /// Why that failed.
    failed: Option<Error>,
    /// What is written, with the marks.
    pub stream: Outlet,
}

impl Output {
    /// An output in `form` without marks, of results that come one by one when they come
    /// `singly`; the first columns are times, that may be written as text.
    #[must_use]
    pub fn new(form: Form, times: Option<(usize, Stamp)>, singly: bool) -> Output {
        Output {
            form,
            times,
            singly,
            begun: false,
            lead: Lead::default(),
            line_end: b'\n',
            cutter: None,
            rows: 0,
            closed: None,
            relief: None,
            failed: None,
            stream: Outlet::default(),
        }
    }

    /// The names of a table are bold.
    pub fn embolden(&mut self) {
        if let Form::Table(table) = &mut self.form {
            table.embolden();
        }
    }

    /// Rows that come out as they came end in `byte`, unless marks stand between them.
    pub fn end_lines_in(&mut self, byte: u8) {
        self.line_end = byte;
    }

    /// Results end in rows, which come out with their own columns.
    pub fn cut_rows(&mut self, cutter: Cutter) {
        self.cutter = Some(cutter);
    }

    /// The header line of the rows said their schema.
    pub fn learn(&mut self, schema: &Schema) {
        if let Some(cutter) = &mut self.cutter {
            cutter.learn(schema);
        }
    }

    /// Hands what is written to `take` between windows, once there is much of it.
    pub fn relieve_by(&mut self, take: impl FnMut(&mut Vec<u8>) -> Result<()> + 'static) {
        self.relief = Some(Relief(Box::new(take)));
    }

    /// Why what was written could not be taken.
    ///
    /// # Errors
    /// When it could not.
    pub fn check(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn relieve(&mut self) {
        if self.stream.bytes.len() < RELIEF_BYTES {
            return;
        }
        let Some(Relief(take)) = &mut self.relief else { return };
        if self.failed.is_none() {
            self.failed = take(&mut self.stream.bytes).err();
        }
        // What cannot be written takes no memory.
        self.stream.bytes.clear();
    }

    /// Shows the results that came one by one.
    pub fn flow(&mut self) {
        if let Form::Table(table) = &mut self.form
            && self.singly
        {
            table.flow(&mut self.stream.bytes);
        }
    }

    /// Whether what is written begins with a line that is no row.
    #[must_use]
    pub fn has_header(&self) -> bool {
        matches!(&self.form, Form::Rows(writer) if writer.has_header())
    }

    /// Writes marks from now on, unless the form is for people.
    pub fn write_marks(&mut self) {
        if let Form::Rows(_) = self.form {
            self.stream.open();
        }
    }

    /// The partitions that results may come from.
    pub fn assign(&mut self, partitions: &[Partition]) {
        self.stream.assign(partitions);
        self.closed = None;
    }

    /// The results are complete: CSV has its header line also without rows.
    pub fn complete(&mut self) {
        if let Some(names) = self.cutter.as_mut().and_then(|cutter| cutter.begin(Some(b""))) {
            self.rename(&names);
        }
        self.begin();
    }

    /// Writes what stands before the first row.
    fn begin(&mut self) {
        if let Form::Rows(writer) = &self.form
            && !self.begun
        {
            self.begun = true;
            let start = self.stream.bytes.len();
            writer.header(&mut self.stream.bytes);
            self.stream.count(u64::from(self.stream.bytes.len() > start));
        }
    }

    /// How many rows were written, in all.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes a row of `partition` as it came.
    pub fn line(&mut self, partition: usize, line: &[u8]) {
        self.rows += 1;
        self.put_line(partition, line);
    }

    /// Writes the header line of `partition` as it came.
    pub fn header_line(&mut self, partition: usize, line: &[u8]) {
        self.put_line(partition, line);
    }

    fn put_line(&mut self, partition: usize, line: &[u8]) {
        self.stream.from(partition);
        self.stream.count(1);
        if self.stream.is_marked() {
            mark::write_data(line, &mut self.stream.bytes);
        } else {
            self.stream.bytes.extend_from_slice(line);
            self.stream.bytes.push(self.line_end);
        }
    }

    /// Tells the next stage that all was written until this time, when it does not know yet.
    pub fn close(&mut self, until: i64) {
        if self.closed.is_none_or(|closed| closed < until) {
            self.closed = Some(until);
            self.stream.mark(&Mark::Closed { until });
        }
    }

    fn rename(&mut self, names: &[String]) {
        match &mut self.form {
            Form::Rows(writer) => writer.rename(names),
            Form::Table(table) => table.rename(names),
            Form::Spark(_) => {}
        }
        self.lead = Lead::default();
    }

    fn write(&mut self, partition: usize, values: &[Value<'_>]) {
        if self.cutter.is_some() {
            self.write_cut(partition, values);
        } else {
            self.put(partition, values);
        }
    }

    #[cold]
    fn write_cut(&mut self, partition: usize, values: &[Value<'_>]) {
        let Some(mut cutter) = self.cutter.take() else { return };
        let line = values.last().and_then(Value::bytes);
        if let Some(names) = cutter.begin(line.as_deref()) {
            self.rename(&names);
        }
        cutter.columns(values, |columns| self.put(partition, columns));
        cutter.append_members(values, &mut self.stream.bytes);
        self.cutter = Some(cutter);
    }

    fn put(&mut self, partition: usize, values: &[Value<'_>]) {
        self.begin();
        match &mut self.form {
            Form::Rows(_) => self.write_row(partition, values),
            Form::Table(table) => table.row(shown(values, self.times.as_ref()).iter()),
            Form::Spark(spark) => spark.row(&shown(values, self.times.as_ref())),
        }
    }

    /// Writes a row in a form for programs.
    fn write_row(&mut self, partition: usize, values: &[Value<'_>]) {
        let Form::Rows(writer) = &self.form else { return };
        self.stream.from(partition);
        self.stream.count(1);
        let out = &mut self.stream.bytes;
        let start = out.len();
        // The rows of a window all begin with its bounds.
        if let [Value::Int(one), Value::Int(other), rest @ ..] = values {
            if self.lead.of != Some((*one, *other)) {
                self.lead.of = Some((*one, *other));
                self.lead.bytes.clear();
                let shown = shown(&values[..2], self.times.as_ref());
                writer.columns(0, shown.iter(), &mut self.lead.bytes);
            }
            out.extend_from_slice(&self.lead.bytes);
            writer.columns(2, rest, out);
        } else {
            writer.columns(0, shown(values, self.times.as_ref()).iter(), out);
        }
        writer.end(out);
        if self.stream.is_marked() && self.stream.bytes[start] == mark::RS {
            self.stream.bytes.insert(start, mark::RS);
        }
    }
}

/// Values, the first of which may be times that are written as text.
fn shown<'v>(values: &'v [Value<'_>], times: Option<&(usize, Stamp)>) -> Cow<'v, [Value<'v>]> {
    let Some((count, stamp)) = times else { return Cow::Borrowed(values) };
    let shown = |(at, value): (usize, &'v Value<'_>)| match value {
        Value::Int(ms) if at < *count => stamp.value(*ms),
        other => other.as_borrowed(),
    };
    values.iter().enumerate().map(shown).collect()
}

impl Sink for Output {
    fn row(&mut self, partition: usize, values: &[Value<'_>]) {
        self.rows += 1;
        self.write(partition, values);
    }

    fn told(&mut self, until: i64) {
        match &mut self.form {
            Form::Table(table) => table.flow(&mut self.stream.bytes),
            Form::Spark(spark) => spark.block(until, &mut self.stream.bytes),
            Form::Rows(_) => self.close(until),
        }
        self.relieve();
    }
}
