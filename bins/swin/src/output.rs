//! Results as lines, between the marks of a marked stream.

use pipe::mark::{self, Barrier, Mark, Partition};
use row::form::Writer;
use row::table::Table;
use row::time::Stamp;
use row::value::Value;

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

/// Results as bytes.
#[derive(Debug)]
pub struct Output {
    form: Form,
    /// How the first columns, so many times, are written; none as numbers.
    times: Option<(usize, Stamp)>,
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
    /// Data lines since the last barrier.
    lines: u64,
}

impl Output {
    /// An output in `form` without marks; the first columns are times, that may be written as
    /// text.
    #[must_use]
    pub fn new(form: Form, times: Option<(usize, Stamp)>) -> Output {
        Output { form, times, bytes: Vec::new(), begun: false, marks: None }
    }

    /// Writes marks from now on, unless the form is for people.
    pub fn write_marks(&mut self) {
        if let Form::Rows(_) = self.form {
            self.marks = Some(Marks::default());
        }
    }

    /// Whether marks are written.
    #[must_use]
    pub fn has_marks(&self) -> bool {
        self.marks.is_some()
    }

    /// The partitions that results may come from.
    pub fn assign(&mut self, partitions: &[Partition]) {
        if let Some(marks) = &mut self.marks {
            *marks = Marks { partitions: partitions.to_vec(), ..Marks::default() };
        }
    }

    /// A partition that no assignment named is there too.
    pub fn add_partition(&mut self, partition: &Partition) {
        if let Some(marks) = &mut self.marks {
            marks.partitions.push(partition.clone());
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
            let start = self.bytes.len();
            writer.header(&mut self.bytes);
            if let Some(marks) = &mut self.marks
                && self.bytes.len() > start
            {
                marks.lines += 1;
            }
        }
    }

    /// Passes a mark on.
    pub fn mark(&mut self, line: &[u8]) {
        if self.marks.is_some() {
            self.bytes.extend_from_slice(line);
            self.bytes.push(b'\n');
        }
    }

    /// Writes a mark of this stage; returns how many bytes it has.
    pub fn own_mark(&mut self, mark: &Mark) -> usize {
        let start = self.bytes.len();
        if self.marks.is_some() {
            mark.write(&mut self.bytes);
        }
        self.bytes.len() - start
    }

    /// Ends an epoch, with the number of lines that this stage wrote in it.
    pub fn barrier(&mut self, barrier: &Barrier) {
        if let Some(marks) = &mut self.marks {
            let lines = std::mem::take(&mut marks.lines);
            Mark::Barrier(Barrier { lines, ..barrier.clone() }).write(&mut self.bytes);
        }
    }

    /// Writes a line of `partition` as it came.
    pub fn line(&mut self, partition: usize, line: &[u8]) {
        self.come_from(partition);
        if self.marks.is_some() {
            mark::write_data(line, &mut self.bytes);
        } else {
            self.bytes.extend_from_slice(line);
            self.bytes.push(b'\n');
        }
    }

    /// Says which partition the next line comes from, unless the one before did.
    fn come_from(&mut self, partition: usize) {
        let Some(marks) = &mut self.marks else { return };
        marks.lines += 1;
        if marks.from != Some(partition)
            && let Some(at) = marks.partitions.get(partition)
        {
            marks.from = Some(partition);
            Mark::From { at: at.clone(), offset: None }.write(&mut self.bytes);
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

impl Output {
    fn write(&mut self, partition: usize, values: &[Value<'_>]) {
        self.begin();
        if let Form::Rows(_) = self.form {
            self.come_from(partition);
        }
        match &mut self.form {
            Form::Table(table) => table.row(values),
            Form::Spark(spark) => spark.row(values),
            Form::Rows(writer) => {
                let start = self.bytes.len();
                writer.row(values, &mut self.bytes);
                if self.marks.is_some() && self.bytes[start] == mark::RS {
                    self.bytes.insert(start, mark::RS);
                }
            }
        }
    }
}

impl Sink for Output {
    fn row(&mut self, partition: usize, values: &[Value<'_>]) {
        let Some((count, stamp)) = &self.times else { return self.write(partition, values) };
        let shown = |value: &Value<'_>| match value {
            Value::Int(ms) => stamp.value(*ms),
            other => other.clone().into_owned(),
        };
        let mut row: Vec<Value<'_>> = values[..*count].iter().map(shown).collect();
        row.extend_from_slice(&values[*count..]);
        self.write(partition, &row);
    }

    fn told(&mut self, until: i64) {
        match &mut self.form {
            Form::Table(table) => table.flow(&mut self.bytes),
            Form::Spark(spark) => spark.block(until, &mut self.bytes),
            Form::Rows(_) => self.close(until),
        }
    }
}
