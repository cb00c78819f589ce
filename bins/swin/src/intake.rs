//! From lines to what the engine counts: the query, compiled once the schema is known.

use row::expr::{self, Expr};
use row::field::{Bad, Fields as _, Reader, Row};
use row::key::{self, Key};
use row::plain::{Line, Plain};
use row::schema::{Column, Schema};
use row::sql::{self, Item, Refused};
use row::time::{Clock, TIME_MS_MAX};
use row::value::{Fault, Number, Value};

use crate::aggregate::{Aggregate, Function, Stamp, packed};
use crate::query::{self, Query, RowScope};

/// Reads rows of one schema for one query.
#[derive(Debug)]
pub struct Intake {
    reader: Reader,
    asked: Asked,
    /// How plain lines are read, when a query asks for nothing but their columns.
    plain: Option<Plain>,
    absent: Absent,
}

/// The members of JSON rows that are asked for and have been NULL in all rows.
#[derive(Debug, Default)]
struct Absent {
    columns: Vec<(u16, String)>,
    /// Whether there have been rows.
    rows: bool,
}

impl Absent {
    /// An expression asks for `name`, in this slot.
    fn ask(&mut self, name: &str, slot: u16, schema: &Schema) {
        let may_be_absent = matches!(schema.column(name), Ok(Column::Path(_)));
        if may_be_absent && !self.columns.iter().any(|(known, _)| *known == slot) {
            self.columns.push((slot, name.to_owned()));
        }
    }

    /// A row came, while not all had been there yet.
    #[cold]
    fn see(&mut self, row: Row<'_>) {
        self.rows = true;
        self.columns.retain(|&(slot, _)| row.field(slot).is_null());
    }
}

/// What is asked of every row.
#[derive(Debug)]
struct Asked {
    time: Option<Time>,
    filter: Option<Expr>,
    keys: Vec<Expr>,
    /// The slot of the key, when that is one column as it is.
    key_slot: Option<u16>,
    /// The conditions of FILTER clauses.
    conditions: Vec<Expr>,
    arguments: Vec<Argument>,
    /// The arguments that are taken as numbers.
    numeric: Vec<usize>,
    /// Whether there is anything else to be prepared.
    has_other: bool,
    aggregates: Vec<Call>,
    /// The expressions of `--each`; none when the query has aggregates.
    each: Vec<Expr>,
}

/// An argument of aggregates.
#[derive(Debug)]
struct Argument {
    expr: Expr,
    /// The slot, when it is a column as it is.
    slot: Option<u16>,
    condition: Option<usize>,
    numeric: bool,
    keyed: bool,
    /// Whether its value may fail, and nothing else of it is computed beforehand.
    checked: bool,
}

/// An aggregate, and where what it is given stands.
#[derive(Clone, Copy, Debug)]
struct Call {
    function: Function,
    argument: usize,
    condition: Option<usize>,
}

/// Where the event time is.
#[derive(Debug)]
struct Time {
    expr: Expr,
    clock: Clock,
    /// The slot of the time, when that is a column as it is and digits are milliseconds.
    ms_slot: Option<u16>,
}

/// The buffers that a row's key and numbers are put into, reused from row to row.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The key's bytes, as [`row::key`] writes them, unless they stand in the line.
    key: Vec<u8>,
    /// Of every condition, whether the row passes.
    passed: Vec<bool>,
    /// Of every argument that is taken as a number: it, or NULL when the row does not pass.
    numbers: Vec<Number>,
    /// Of every argument whose values are told apart: it as a key, empty for NULL.
    keys: Vec<Vec<u8>>,
    /// The packed values of `--each`.
    row: Vec<u8>,
}

/// A row that was read, with what the query asks of it.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'r> {
    asked: &'r Asked,
    row: Row<'r>,
}

impl Intake {
    /// Compiles `query` for rows of `schema`, with the event time that `time` reads.
    ///
    /// # Errors
    /// When a column or a function is not known; names the option.
    pub fn new(
        query: &Query,
        time: Option<(&Item, Clock)>,
        schema: Schema,
    ) -> Result<Intake, (String, String)> {
        let mut reader = Reader::new(schema);
        let mut absent = Absent::default();
        let mut compile = |item: &Item, option: &str| {
            let mut scope = RowScope(|name: &str| {
                let slot = reader.slot(name)?;
                absent.ask(name, slot, reader.schema());
                Ok(slot)
            });
            let compiled = expr::compile(&item.ast, &item.text, &mut scope);
            compiled.map_err(|refused: Refused| (option.to_owned(), refused.to_string()))
        };
        let time = match time {
            Some((item, clock)) => {
                let expr = compile(item, "--time")?;
                let ms_slot = expr.as_slot().filter(|_| clock.takes_ms());
                Some(Time { expr, clock, ms_slot })
            }
            None => None,
        };
        let filter = query.filter.as_ref().map(|item| compile(item, "--where")).transpose()?;
        let keys = query.keys.iter().map(|item| compile(item, "--by"));
        let keys: Vec<Expr> = keys.collect::<Result<_, _>>()?;
        let key_slot = if let [key] = keys.as_slice() { key.as_slot() } else { None };
        let mut of_text = |item: &Item| compile(item, &sql::brief(&item.text));
        let conditions = query.conditions.iter().map(&mut of_text).collect::<Result<_, _>>()?;
        let each = query.each().unwrap_or_default().iter().map(&mut of_text);
        let each: Vec<Expr> = each.collect::<Result<_, _>>()?;
        let argument = |argument: &query::Argument| {
            of_text(&argument.item).map(|expr| Argument::new(expr, argument))
        };
        let arguments: Vec<Argument> =
            query.arguments.iter().map(argument).collect::<Result<_, _>>()?;
        let numeric = (0..arguments.len()).filter(|&at| arguments[at].numeric).collect();
        let other = |argument: &Argument| argument.keyed || argument.checked;
        let has_other = !each.is_empty() || arguments.iter().any(other);
        let call = |call: &query::AggregateCall| Call {
            function: call.function,
            argument: call.argument.unwrap_or(0),
            condition: call.condition,
        };
        let aggregates = query.aggregates.iter().map(call).collect();
        let asked = Asked {
            time,
            filter,
            keys,
            key_slot,
            conditions,
            arguments,
            numeric,
            has_other,
            aggregates,
            each,
        };
        let plain = asked.plain(&reader);
        Ok(Intake { reader, asked, plain, absent })
    }

    /// The columns that were NULL in every row, when there were rows: of JSON these may be
    /// misspelt.
    pub fn absent(&self) -> impl Iterator<Item = &str> {
        let columns = self.absent.columns.iter().filter(|_| self.absent.rows);
        columns.map(|(_, name)| name.as_str())
    }

    /// Whether keys stand in lines as they are, and are quickly found there.
    #[must_use]
    pub fn finds_keys_quickly(&self) -> bool {
        self.asked.key_slot.is_some() && self.reader.is_quick()
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When it is no row.
    #[inline]
    pub fn read<'r>(&'r mut self, line: &'r [u8]) -> Result<Taken<'r>, Bad> {
        let row = self.reader.read(line)?;
        if !self.absent.columns.is_empty() {
            self.absent.see(row);
        }
        Ok(Taken { asked: &self.asked, row })
    }

    /// How many numbers plain lines have; `None` when no line is plain to this query.
    #[must_use]
    pub fn plain_numbers(&self) -> Option<usize> {
        self.plain.as_ref().map(|_| self.asked.arguments.len())
    }

    /// Reads the line that `rest` begins with and `delimiter` ends, if it is plain, with its
    /// numbers for [`Intake::add_plain`]. `None` leaves it to [`Intake::read`].
    #[inline]
    pub fn read_plain<'l>(
        &self,
        rest: &'l [u8],
        delimiter: u8,
        numbers: &mut [Number],
    ) -> Option<Line<'l>> {
        let line = self.plain.as_ref()?.read(rest, delimiter, numbers)?;
        (line.time <= TIME_MS_MAX).then_some(line)
    }

    /// Adds the numbers of a plain line to its aggregates, as [`Taken::add_to`] does.
    ///
    /// # Errors
    /// When a sum leaves 128 bits.
    #[inline]
    pub fn add_plain(
        &self,
        numbers: &[Number],
        aggregates: &mut [Aggregate],
        stamp: Stamp,
    ) -> Result<isize, Fault> {
        let mut grown = 0;
        for (aggregate, call) in aggregates.iter_mut().zip(&self.asked.aggregates) {
            match call.function {
                Function::CountRows => aggregate.count(),
                Function::Extent => aggregate.extend(stamp.time),
                _ => grown += aggregate.add_number(numbers[call.argument])?,
            }
        }
        Ok(grown)
    }
}

impl Asked {
    /// How plain lines are read, when columns as they are are all that is asked for.
    fn plain(&self, reader: &Reader) -> Option<Plain> {
        let number = |argument: &Argument| argument.slot.filter(|_| argument.numeric);
        let numbers: Vec<u16> = self.arguments.iter().map(number).collect::<Option<_>>()?;
        let takes = |call: &Call| {
            let Call { function, .. } = call;
            function.is_numeric() || matches!(function, Function::CountRows | Function::Extent)
        };
        let only_columns = self.filter.is_none()
            && self.conditions.is_empty()
            && self.each.is_empty()
            && (self.keys.is_empty() || self.key_slot.is_some())
            && self.aggregates.iter().all(takes);
        let time = self.time.as_ref()?.ms_slot?;
        if only_columns { reader.plain(time, self.key_slot, &numbers) } else { None }
    }
}

impl Argument {
    fn new(expr: Expr, asked: &query::Argument) -> Argument {
        let &query::Argument { condition, numeric, keyed, .. } = asked;
        let slot = expr.as_slot();
        let checked = !numeric && !keyed && slot.is_none();
        Argument { expr, slot, condition, numeric, keyed, checked }
    }

    #[inline]
    fn passes(&self, passed: &[bool]) -> bool {
        self.condition.is_none_or(|condition| passed[condition])
    }
}

impl<'r> Taken<'r> {
    /// The row's event time in milliseconds since the epoch; `None` when rows have the time of
    /// their arrival.
    ///
    /// # Errors
    /// When there is none to read.
    #[inline]
    pub fn time(&self) -> Result<Option<i64>, Bad> {
        let Some(Time { expr, clock, ms_slot }) = &self.asked.time else { return Ok(None) };
        if let Some(ms) = ms_slot.and_then(|slot| self.row.digits(slot))
            && ms <= TIME_MS_MAX
        {
            return Ok(Some(ms));
        }
        let value = expr.value(self.row).map_err(Bad::Value)?;
        clock.read(&value).map(Some).map_err(Bad::Time)
    }

    /// Whether the row passes `--where`.
    ///
    /// # Errors
    /// When the condition has no value.
    #[inline]
    pub fn passes(&self) -> Result<bool, Bad> {
        match &self.asked.filter {
            Some(filter) => Ok(filter.truth(self.row).map_err(Bad::Value)? == Some(true)),
            None => Ok(true),
        }
    }

    /// Puts the row's key into `scratch`, for [`Taken::key`].
    ///
    /// # Errors
    /// When an expression has no value: then nothing of the row may count.
    #[inline]
    pub fn prepare_key(&self, scratch: &mut Scratch) -> Result<(), Bad> {
        if self.text_key().is_none() {
            self.write_key(&mut scratch.key)?;
        }
        Ok(())
    }

    /// Puts what aggregates take into `scratch`.
    ///
    /// # Errors
    /// When an expression has no value: then nothing of the row may count.
    #[inline]
    pub fn prepare(&self, scratch: &mut Scratch) -> Result<(), Bad> {
        if !self.asked.conditions.is_empty() {
            self.pass_conditions(&mut scratch.passed)?;
        }
        if scratch.numbers.len() < self.asked.arguments.len() {
            scratch.numbers.resize(self.asked.arguments.len(), Number::Null);
        }
        for &at in &self.asked.numeric {
            let argument = &self.asked.arguments[at];
            let passes = argument.passes(&scratch.passed);
            scratch.numbers[at] = if passes { self.number(argument)? } else { Number::Null };
        }
        if self.asked.has_other {
            self.prepare_other(scratch)?;
        }
        Ok(())
    }

    /// Prepares what is no number: keys, rows, and values that may fail.
    fn prepare_other(&self, scratch: &mut Scratch) -> Result<(), Bad> {
        scratch.keys.resize_with(self.asked.arguments.len(), Vec::new);
        for (argument, key) in self.asked.arguments.iter().zip(&mut scratch.keys) {
            let passes = argument.passes(&scratch.passed);
            if argument.keyed {
                self.write_argument(argument, passes, key)?;
            } else if argument.checked && passes {
                argument.expr.value(self.row).map_err(Bad::Value)?;
            }
        }
        scratch.row.clear();
        for expr in &self.asked.each {
            packed::push(&expr.value(self.row).map_err(Bad::Value)?, &mut scratch.row);
        }
        Ok(())
    }

    #[inline]
    fn number(&self, argument: &Argument) -> Result<Number, Bad> {
        match argument.slot.and_then(|slot| self.row.digits(slot)) {
            Some(int) => Ok(Number::Int(int)),
            None => argument.expr.number(self.row).map_err(Bad::Value),
        }
    }

    fn pass_conditions(&self, passed: &mut Vec<bool>) -> Result<(), Bad> {
        passed.clear();
        for condition in &self.asked.conditions {
            passed.push(condition.truth(self.row).map_err(Bad::Value)? == Some(true));
        }
        Ok(())
    }

    fn write_argument(
        &self,
        argument: &Argument,
        passes: bool,
        written: &mut Vec<u8>,
    ) -> Result<(), Bad> {
        written.clear();
        if passes {
            let value = argument.expr.value(self.row).map_err(Bad::Value)?;
            if !value.is_null() {
                key::push(&value, 1, written);
            }
        }
        Ok(())
    }

    /// The row's key; with `scratch` as [`Taken::prepare_key`] left it.
    #[inline]
    #[must_use]
    pub fn key<'k>(&'k self, scratch: &'k Scratch) -> Key<'k> {
        self.text_key().unwrap_or_else(|| Key::new(&scratch.key))
    }

    /// The key, when it stands in the line as it is.
    #[inline]
    #[must_use]
    pub fn text_key(&self) -> Option<Key<'_>> {
        self.row.text(self.asked.key_slot?).map(Key::of_text)
    }

    fn write_key(&self, key: &mut Vec<u8>) -> Result<(), Bad> {
        key.clear();
        let columns = self.asked.keys.len();
        for expr in &self.asked.keys {
            match expr.as_slot().and_then(|slot| self.row.text(slot)) {
                Some(bytes) => key::push_text(bytes, columns, key),
                None => key::push(&expr.value(self.row).map_err(Bad::Value)?, columns, key),
            }
        }
        Ok(())
    }

    /// Adds the row to its aggregates; with `scratch` as [`Taken::prepare`] left it. Returns by
    /// how many bytes of heap they grew; less than none, when a value that was kept had more.
    ///
    /// # Errors
    /// When a sum leaves 128 bits.
    #[inline]
    pub fn add_to(
        &self,
        scratch: &Scratch,
        aggregates: &mut [Aggregate],
        stamp: Stamp,
    ) -> Result<isize, Fault> {
        let mut grown = 0;
        for (aggregate, &call) in aggregates.iter_mut().zip(&self.asked.aggregates) {
            let passes = || call.condition.is_none_or(|condition| scratch.passed[condition]);
            match call.function {
                Function::CountRows if passes() => aggregate.count(),
                // What does not pass has no number and no key.
                Function::Sum | Function::Moments | Function::Sketch => {
                    grown += aggregate.add_number(scratch.numbers[call.argument])?;
                }
                Function::Distinct => grown += aggregate.add_key(&scratch.keys[call.argument]),
                Function::Extent => aggregate.extend(stamp.time),
                Function::Rows => grown += aggregate.add_row(&scratch.row, stamp),
                _ if passes() => {
                    // Whether it has a value was seen when the row was prepared.
                    let value = self.asked.arguments[call.argument].expr.value(self.row);
                    grown += aggregate.add_value(&value.unwrap_or(Value::Null), stamp);
                }
                _ => {}
            }
        }
        Ok(grown)
    }

    /// Appends the row's values of `--each` to `values`.
    ///
    /// # Errors
    /// When an expression has no value.
    pub fn each(&self, values: &mut Vec<Value<'r>>) -> Result<(), Bad> {
        for expr in &self.asked.each {
            values.push(expr.value(self.row).map_err(Bad::Value)?);
        }
        Ok(())
    }

    /// The line that was read.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        self.row.line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Texts;

    fn intake(query: &Query) -> Intake {
        Intake::new(query, None, Schema::json()).expect("known names")
    }

    /// Adds rows to the aggregates of `query`, with their numbers as times; returns these and the
    /// rows that are bad.
    fn added(query: &Query, rows: &[&str]) -> (Vec<Aggregate>, Vec<i64>) {
        let (mut intake, mut scratch) = (intake(query), Scratch::default());
        let (mut aggregates, mut bad, mut bytes) = (query.empty(), Vec::new(), 0_usize);
        for (time, row) in (0..).zip(rows) {
            let taken = intake.read(row.as_bytes()).expect("a row");
            if taken.prepare(&mut scratch).is_err() {
                bad.push(time);
                continue;
            }
            let stamp = Stamp { time, arrival: 0 };
            let grown = taken.add_to(&scratch, &mut aggregates, stamp).expect("it fits");
            bytes = bytes.wrapping_add_signed(grown);
        }
        assert_eq!(bytes, aggregates.iter().map(Aggregate::heap_bytes).sum::<usize>());
        (aggregates, bad)
    }

    fn query(aggregates: &[&str], each: bool) -> Query {
        let aggregates = aggregates.to_vec();
        Query::parse(&Texts { aggregates, each, ..Texts::default() }).expect("a query")
    }

    fn shown(query: &Query, aggregates: &[Aggregate]) -> Vec<String> {
        let mut row = Vec::new();
        assert_eq!(query.finish(aggregates, &mut row), Ok(true));
        let text = |value: &Value<'_>| {
            let bytes = value.bytes().unwrap_or_else(|| b"NULL"[..].into());
            String::from_utf8_lossy(&bytes).into_owned()
        };
        row.iter().map(text).collect()
    }

    #[test]
    fn only_rows_that_pass_a_filter_are_asked() {
        let all = [
            "sum(n) filter (where ok)",
            "count(*) filter (where ok)",
            "count(n) filter (where ok)",
            "count(distinct n) filter (where ok)",
            "max(-n) filter (where ok)",
            "stddev(n) filter (where not ok)",
            "count(*)",
        ];
        let query = query(&all, false).with_extent();
        let rows = [
            r#"{"n":3,"ok":true}"#,
            r#"{"n":3,"ok":true}"#,
            r#"{"n":"x","ok":null}"#,
            r#"{"n":4,"ok":true}"#,
            r#"{"n":7,"ok":false}"#,
        ];
        let (aggregates, bad) = added(&query, &rows);
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(shown(&query, &aggregates), ["10", "3", "3", "2", "-3", "NULL", "5"]);
        assert_eq!(aggregates.last().and_then(Aggregate::extent), Some((0, 4, 5)));
    }

    #[test]
    fn a_row_with_a_value_that_one_aggregate_cannot_use_counts_in_none() {
        let rows = [r#"{"n":3}"#, r#"{"n":"x"}"#];
        for aggregate in ["sum(n)", "first(-n)", "count(distinct n + 1)", "array_agg(-n)"] {
            let query = query(&["count(*)", aggregate], false);
            let (aggregates, bad) = added(&query, &rows);
            assert_eq!((aggregates[0].value(), bad), (Value::Int(1), vec![1]), "{aggregate}");
        }
        assert_eq!(added(&query(&["-n"], true), &rows).1, [1]);
    }

    #[test]
    fn the_rows_of_each_are_the_same_at_once_and_under_a_window() {
        let query = query(&["p", "2.0 * n as twice", "n > 1"], true);
        let rows = [r#"{"p":"a","n":1}"#, r#"{"p":7,"n":null}"#, r#"{"p":[1],"n":5}"#];
        let (aggregates, bad) = added(&query, &rows);
        assert!(bad.is_empty(), "{bad:?}");
        let mut told = Vec::new();
        query.each_row(&aggregates, &mut |row| told.push(format!("{row:?}")));
        let mut intake = intake(&query);
        for (row, told) in rows.iter().zip(told) {
            let mut values = Vec::new();
            let taken = intake.read(row.as_bytes()).expect("a row");
            taken.each(&mut values).expect("values");
            assert_eq!(format!("{values:?}"), told);
        }
    }
}
