//! Results as lines, between the marks of a marked stream.

use pipe::mark::{self, Mark, Partition};
use row::form::Writer;
use row::table::Table;
use row::value::Value;

use crate::engine::Sink;
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

/// Results as bytes.
#[derive(Debug)]
pub struct Output {
    form: Form,
    /// The bytes that were written and not taken yet.
    bytes: Vec<u8>,
    begun: bool,
    marks: Option<Marks>,
}

/// What the next stage knows of a marked stream.
#[derive(Debug, Default)]
struct Marks {
    partitions: Vec<Partition>,
    /// The partition that rows are said to come from.
    from: Option<usize>,
    /// The time until which the next stage knows that all was written.
    closed: Option<i64>,
}

impl Output {
    /// An output in `form` without marks.
    #[must_use]
    pub fn new(form: Form) -> Output {
        Output { form, bytes: Vec::new(), begun: false, marks: None }
    }

    /// Writes marks from now on, unless the form is for people.
    pub fn write_marks(&mut self) {
        if let Form::Rows(_) = self.form {
            self.marks = Some(Marks::default());
        }
    }

    /// The partitions that results may come from.
    pub fn assign(&mut self, partitions: &[Partition]) {
        if let Some(marks) = &mut self.marks {
            *marks = Marks { partitions: partitions.to_vec(), ..Marks::default() };
        }
    }

    /// The bytes written so far.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The results are complete: CSV has its header line also without rows.
    pub fn complete(&mut self) {
        self.begin();
    }

    /// Writes what stands before the first row.
    fn begin(&mut self) {
        if let Form::Rows(writer) = &self.form
            && !self.begun
        {
            self.begun = true;
            writer.header(&mut self.bytes);
        }
    }

    /// Passes a mark on.
    pub fn mark(&mut self, line: &[u8]) {
        if self.marks.is_some() {
            self.bytes.extend_from_slice(line);
            self.bytes.push(b'\n');
        }
    }

    /// Writes a mark of this stage.
    pub fn own_mark(&mut self, mark: &Mark) {
        if self.marks.is_some() {
            mark.write(&mut self.bytes);
        }
    }

    /// Tells the next stage that all was written until this time, when it does not know yet.
    pub fn close(&mut self, until: i64) {
        let Some(marks) = &mut self.marks else { return };
        if marks.closed.is_none_or(|closed| closed < until) {
            marks.closed = Some(until);
            Mark::Closed { until }.write(&mut self.bytes);
        }
    }
}

impl Sink for Output {
    fn row(&mut self, partition: usize, values: &[Value<'_>]) {
        self.begin();
        match &mut self.form {
            Form::Table(table) => table.row(values),
            Form::Spark(spark) => spark.row(values),
            Form::Rows(writer) => {
                if let Some(marks) = &mut self.marks
                    && marks.from != Some(partition)
                    && let Some(at) = marks.partitions.get(partition)
                {
                    marks.from = Some(partition);
                    Mark::From { at: at.clone(), offset: None }.write(&mut self.bytes);
                }
                let start = self.bytes.len();
                writer.row(values, &mut self.bytes);
                if self.marks.is_some() && self.bytes[start] == mark::RS {
                    self.bytes.insert(start, mark::RS);
                }
            }
        }
    }

    fn told(&mut self, until: i64) {
        match &mut self.form {
            Form::Table(table) => table.flow(&mut self.bytes),
            Form::Spark(spark) => spark.block(until, &mut self.bytes),
            Form::Rows(_) => self.close(until),
        }
    }
}
