//! From lines to what the engine counts: the query, compiled once the schema is known.

use row::expr::{Expr, compile};
use row::field::{Bad, Reader, Row};
use row::key::{self, Key};
use row::schema::Schema;
use row::sql::{Item, Refused};
use row::time::{Clock, TIME_MS_MAX};
use row::value::{Number, Value};

use crate::aggregate::{Aggregate, Function};
use crate::query::Query;

/// Reads rows of one schema for one query.
#[derive(Debug)]
pub struct Intake {
    reader: Reader,
    asked: Asked,
}

/// What is asked of every row.
#[derive(Debug)]
struct Asked {
    time: Option<Time>,
    filter: Option<Expr>,
    keys: Vec<Expr>,
    /// The slot of the key, when that is one column as it is.
    key_slot: Option<u16>,
    arguments: Vec<Expr>,
    /// The arguments that are taken as numbers.
    numeric: Vec<usize>,
    aggregates: Vec<(Function, usize)>,
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
    numbers: Vec<Number>,
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
        let mut compile_item = |item: &Item, option: &str| {
            let compiled = compile(&item.ast, &item.text, &mut |name: &str| reader.slot(name));
            compiled.map_err(|refused: Refused| (option.to_owned(), refused.to_string()))
        };
        let time = match time {
            Some((item, clock)) => {
                let expr = compile_item(item, "--time")?;
                let ms_slot = expr.as_slot().filter(|_| clock.takes_ms());
                Some(Time { expr, clock, ms_slot })
            }
            None => None,
        };
        let filter = query.filter.as_ref().map(|item| compile_item(item, "--where")).transpose()?;
        let keys = query.keys.iter().map(|item| compile_item(item, "--by"));
        let keys: Vec<Expr> = keys.collect::<Result<_, _>>()?;
        let key_slot = if let [key] = keys.as_slice() { key.as_slot() } else { None };
        let mut arguments = Vec::with_capacity(query.arguments.len());
        for argument in &query.arguments {
            arguments.push(compile_item(&argument.item, &argument.item.text)?);
        }
        let numeric = (0..arguments.len()).filter(|&at| query.arguments[at].numeric).collect();
        let call = |call: &crate::query::AggregateCall| (call.function, call.argument.unwrap_or(0));
        let aggregates = query.aggregates.iter().map(call).collect();
        let asked = Asked { time, filter, keys, key_slot, arguments, numeric, aggregates };
        Ok(Intake { reader, asked })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When it is no row.
    #[inline]
    pub fn read<'r>(&'r mut self, line: &'r [u8]) -> Result<Taken<'r>, Bad> {
        let row = self.reader.read(line)?;
        Ok(Taken { asked: &self.asked, row })
    }
}

impl Taken<'_> {
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

    /// Puts the row's key and the numbers that aggregates take into `scratch`.
    ///
    /// # Errors
    /// When an expression has no value: then nothing of the row may count.
    #[inline]
    pub fn prepare(&self, scratch: &mut Scratch) -> Result<(), Bad> {
        if self.text_key().is_none() {
            self.write_key(&mut scratch.key)?;
        }
        scratch.numbers.resize(self.asked.arguments.len(), Number::Null);
        for &at in &self.asked.numeric {
            let argument = &self.asked.arguments[at];
            let digits = argument.as_slot().and_then(|slot| self.row.digits(slot));
            scratch.numbers[at] = match digits {
                Some(int) => Number::Int(int),
                None => argument.number(self.row).map_err(Bad::Value)?,
            };
        }
        for (at, expr) in self.asked.arguments.iter().enumerate() {
            if expr.as_slot().is_none() && !self.asked.numeric.contains(&at) {
                expr.value(self.row).map_err(Bad::Value)?;
            }
        }
        Ok(())
    }

    /// The row's key; with `scratch` as [`Taken::prepare`] left it.
    #[inline]
    #[must_use]
    pub fn key<'k>(&'k self, scratch: &'k Scratch) -> Key<'k> {
        self.text_key().unwrap_or_else(|| Key::new(&scratch.key))
    }

    /// The key, when it stands in the line as it is.
    #[inline]
    fn text_key(&self) -> Option<Key<'_>> {
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

    /// Adds the row to its aggregates.
    ///
    /// # Errors
    /// When a sum leaves 128 bits.
    #[inline]
    pub fn add_to(
        &self,
        scratch: &Scratch,
        aggregates: &mut [Aggregate],
    ) -> Result<(), row::value::Fault> {
        for (aggregate, &(function, argument)) in aggregates.iter_mut().zip(&self.asked.aggregates)
        {
            match function {
                Function::CountRows => aggregate.count(),
                Function::Sum | Function::Avg => {
                    aggregate.add_number(scratch.numbers[argument])?;
                }
                Function::Count | Function::Min | Function::Max => {
                    // Whether it has a value was seen when the row was prepared.
                    let value = self.asked.arguments[argument].value(self.row);
                    aggregate.add_value(&value.unwrap_or(Value::Null));
                }
            }
        }
        Ok(())
    }

    /// The line that was read.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        self.row.line()
    }
}
