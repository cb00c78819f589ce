//! Results: what a query makes of the aggregates of a window, merged over the input partitions.

use std::fmt;

use row::key;
use row::value::{Fault, Value};

use crate::aggregate::Aggregate;
use crate::query::Query;
use crate::store::{Full, Group, Id, Store, merge};
use crate::watermark::NOT_YET;

/// Where results go.
pub trait Sink {
    /// Takes a row of the result: the window's columns, the keys, the aggregates. `partition` is
    /// the lowest one that has a part in it.
    fn row(&mut self, partition: usize, values: &[Value<'_>]);

    /// All rows until this time (a window's end, or a time of `--every`) have been written.
    fn told(&mut self, until: i64);
}

/// Why the engine cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A limit was reached.
    Full(Full),
    /// More empty windows in a row than this.
    Empty(u32),
    /// A result has no value.
    Result(Fault),
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Halt::Full(full) => full.fmt(f),
            Halt::Empty(max) => {
                write!(f, "more than {max} empty windows in a row; is a time far ahead?")
            }
            Halt::Result(fault) => write!(f, "a result has no value: {fault}"),
        }
    }
}

impl From<Full> for Halt {
    fn from(full: Full) -> Halt {
        Halt::Full(full)
    }
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Halt {
        Halt::Result(fault)
    }
}

/// A query's results, and which of them were written by whoever had a partition before.
#[derive(Debug)]
pub struct Results {
    query: Query,
    /// For each input partition the time until which its part was written before it came here;
    /// [`NOT_YET`] when nothing was.
    told: Vec<i64>,
}

impl Results {
    /// Results of `query`.
    #[must_use]
    pub fn new(query: Query) -> Results {
        Results { query, told: Vec::new() }
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Begins anew: no partition's results were written before.
    pub fn clear(&mut self) {
        self.told.clear();
    }

    /// A partition came here with its results written until this time.
    pub fn set_told(&mut self, partition: usize, until: i64) {
        self.told.resize(self.told.len().max(partition + 1), NOT_YET);
        self.told[partition] = until;
    }

    /// The time until which a partition's results were written before it came here.
    #[inline]
    #[must_use]
    pub fn told(&self, partition: usize) -> i64 {
        self.told.get(partition).copied().unwrap_or(NOT_YET)
    }

    /// Writes results sorted by key and partition, each key once, merged over the partitions,
    /// but for those whose part of a window that ends at `end` was written before.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn write(
        &self,
        store: &Store,
        results: &[(Id, Group)],
        end: i64,
        bounds: &[Value<'_>],
        sink: &mut impl Sink,
    ) -> Result<(), Halt> {
        if !self.told.iter().any(|&told| told >= end) {
            return self.write_all(store, results, bounds, sink);
        }
        let open = |&&(id, _): &&(Id, Group)| self.told(store.entry(id).partition) < end;
        let open: Vec<(Id, Group)> = results.iter().filter(open).copied().collect();
        self.write_all(store, &open, bounds, sink)
    }

    fn write_all(
        &self,
        store: &Store,
        results: &[(Id, Group)],
        bounds: &[Value<'_>],
        sink: &mut impl Sink,
    ) -> Result<(), Halt> {
        if store.partitions() == 1 {
            let mut row = self.begin_row(bounds);
            for &(id, group) in results {
                let (entry, aggregates) = (store.entry(id), store.groups().get(group));
                row.truncate(bounds.len());
                self.fill_row(entry.partition, &entry.key, aggregates, &mut row, sink)?;
            }
            return Ok(());
        }
        let same_key = |&(one, _): &(Id, Group), &(other, _): &(Id, Group)| {
            store.entry(one).key == store.entry(other).key
        };
        for parts in results.chunk_by(same_key) {
            self.write_parts(store, parts, bounds, sink)?;
        }
        Ok(())
    }

    /// Writes one result of the parts that several partitions have in it, the lowest first.
    ///
    /// # Errors
    /// When it has no value.
    pub fn write_parts(
        &self,
        store: &Store,
        parts: &[(Id, Group)],
        bounds: &[Value<'_>],
        sink: &mut impl Sink,
    ) -> Result<(), Halt> {
        let [(id, group), others @ ..] = parts else { return Ok(()) };
        let (entry, groups) = (store.entry(*id), store.groups());
        if others.is_empty() {
            return self.write_row(entry.partition, bounds, &entry.key, groups.get(*group), sink);
        }
        let mut merged = groups.get(*group).to_vec();
        for &(_, group) in others {
            merge(&mut merged, groups.get(group))?;
        }
        self.write_row(entry.partition, bounds, &entry.key, &merged, sink)
    }

    /// Writes the result of `key` with the columns of its window.
    ///
    /// # Errors
    /// When it has no value.
    pub fn write_row(
        &self,
        partition: usize,
        bounds: &[Value<'_>],
        key: &[u8],
        aggregates: &[Aggregate],
        sink: &mut impl Sink,
    ) -> Result<(), Halt> {
        self.fill_row(partition, key, aggregates, &mut self.begin_row(bounds), sink)
    }

    /// A row that begins with the columns of its window.
    fn begin_row<'r>(&self, bounds: &'r [Value<'_>]) -> Vec<Value<'r>> {
        let mut row = Vec::with_capacity(bounds.len() + self.query.names.len());
        row.extend(bounds.iter().map(Value::as_borrowed));
        row
    }

    /// [`Results::write_row`] behind the columns of the window.
    fn fill_row<'r>(
        &'r self,
        partition: usize,
        key: &'r [u8],
        aggregates: &'r [Aggregate],
        row: &mut Vec<Value<'r>>,
        sink: &mut impl Sink,
    ) -> Result<(), Halt> {
        key::read(key, self.query.keys.len(), row);
        if self.query.each().is_some() {
            let first = row.len();
            self.query.each_row(aggregates, &mut |values| {
                row.truncate(first);
                row.extend(values.iter().map(|value| value.clone().into_owned()));
                sink.row(partition, row);
            });
        } else if self.query.finish(aggregates, row)? {
            sink.row(partition, row);
        }
        Ok(())
    }
}

/// Where a kind of window writes its results.
#[derive(Debug)]
pub struct Telling<'t, S> {
    /// What is kept of the rows.
    pub store: &'t mut Store,
    /// What is made of it.
    pub results: &'t Results,
    /// Where it goes.
    pub sink: &'t mut S,
}

impl<S: Sink> Telling<'_, S> {
    /// Writes results of a window that ends at `end`; see [`Results::write`].
    ///
    /// # Errors
    /// When a result has no value.
    pub fn write(
        &mut self,
        results: &[(Id, Group)],
        end: i64,
        bounds: &[Value<'_>],
    ) -> Result<(), Halt> {
        self.results.write(self.store, results, end, bounds, self.sink)
    }

    /// Lets the pane of a key go, and the key when it has nothing else.
    pub fn let_go(&mut self, id: Id, pane: i64, group: Group) {
        self.store.let_go(id, pane, group);
        if self.store.is_bare(id) {
            self.store.remove(id);
        }
    }
}
