//! The state between epochs: what changed goes out at a barrier, and comes back after a restart.

use std::collections::{BTreeMap, BTreeSet};

use pipe::course;
use pipe::exit::{Error, Result};
use pipe::mark::Partition;
use row::stored;
use serde_json::{Value, json};

use super::{Feed, Job, Stage, offer};
use crate::entry::{Entry, Filing};
use crate::kept::Kept;
use crate::ledger::Full;
use crate::output::Output;
use crate::ranker::Progress;

/// What helps when an entry of the state is too long, as one has at most a row.
const REMEDY: &str = "give a --max-line below that";

/// What is stored of the stage beside its rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    /// The first line, which says what the columns are.
    first: Option<Vec<u8>>,
    /// The partitions under which the header is stored as it is.
    headers: BTreeSet<u32>,
    /// By partition.
    progress: BTreeMap<u32, Progress>,
}

impl Stored {
    /// The first line is known.
    pub(super) fn begin(&mut self, first: &[u8]) {
        self.first = Some(first.to_vec());
        self.headers.clear();
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Stored::default();
    }
}

impl Stage {
    /// Writes what changed since the last barrier.
    pub(super) fn store(&mut self, out: &mut Output) -> Result<()> {
        let mut entries = self.job.as_mut().map(|job| job.ranker.entries()).unwrap_or_default();
        for at in 0..out.stream.partitions().len() {
            self.store_progress(u32::try_from(at).unwrap_or(u32::MAX), &mut entries);
        }
        // The header is first, and what was deleted comes before what took its place.
        entries.sort_by_cached_key(|entry| (entry.at, !entry.key.is_null(), entry.key.to_string()));
        for Entry { at, key, value } in entries {
            out.stream.entry(self.course.name(), at as usize, key, value, REMEDY)?;
        }
        Ok(())
    }

    /// Adds the header and the progress of a partition, where they changed.
    fn store_progress(&mut self, at: u32, entries: &mut Vec<Entry>) {
        let progress = self.progress(at);
        let known = self.stored.progress.insert(at, progress);
        if known.unwrap_or_default() != progress {
            let Progress { open_from, written_ms, news } = progress;
            let value = if progress == Progress::default() {
                Value::Null
            } else {
                json!({ "open_from": open_from, "written_ms": written_ms, "news": news })
            };
            entries.push(Entry { at, key: json!(["progress"]), value });
        }
        let is_empty = self.job.is_none() && progress == Progress::default();
        if !is_empty && self.stored.headers.insert(at) {
            let first = self.stored.first.as_deref().map(stored::bytes);
            let value = json!({ "layout": self.plan.layout(), "first": first });
            entries.push(Entry { at, key: Value::Null, value });
        }
    }

    fn progress(&self, at: u32) -> Progress {
        if let Some(job) = &self.job {
            return job.ranker.progress(at);
        }
        // The first row will begin in the period that it is now.
        let every_ms = self.plan.every_ms.filter(|_| !self.behind_swin);
        let written_ms =
            every_ms.zip(self.now_ms).map(|(every_ms, ms)| ms - ms.rem_euclid(every_ms));
        Progress { written_ms, ..Progress::default() }
    }

    /// Takes back an entry of this stage's state.
    pub(super) fn restore(
        &mut self,
        at: &Partition,
        key: &Value,
        value: &Value,
        out: &mut Output,
    ) -> Result<()> {
        if value.is_null() {
            return Ok(());
        }
        let at = out.number_of(at);
        let known = match key.get(0).and_then(Value::as_str) {
            None if key.is_null() => self.restore_header(at, value, out)?,
            Some("progress") => self.restore_progress(at, value),
            Some("row") => self.restore_row(at, value)?,
            Some("count") => self.restore_count(at, key, value)?,
            Some("last") => self.restore_shown(at, key, value),
            _ => false,
        };
        if known {
            return Ok(());
        }
        Err(self.course.bad_entry(key, value))
    }

    fn restore_header(&mut self, at: u32, value: &Value, out: &mut Output) -> Result<bool> {
        let Some(layout) = value.get("layout") else { return Ok(false) };
        if let Some(difference) = course::difference(layout, &self.plan.layout()) {
            return Err(self.course.misfit(&difference));
        }
        match value.get("first") {
            Some(Value::Null) => {}
            Some(first) if self.job.is_none() => {
                let Some(first) = stored::read_bytes(first) else { return Ok(false) };
                self.begin(&first, out)?;
            }
            Some(_) => {}
            None => return Ok(false),
        }
        self.stored.headers.insert(at);
        Ok(true)
    }

    fn restore_progress(&mut self, at: u32, value: &Value) -> bool {
        let ms = |name: &str| value.get(name).and_then(Value::as_i64);
        let news = value.get("news").and_then(Value::as_bool).unwrap_or_default();
        let progress = Progress { open_from: ms("open_from"), written_ms: ms("written_ms"), news };
        self.stored.progress.insert(at, progress);
        match &mut self.job {
            Some(job) => job.ranker.restore_progress(at, progress),
            None => self.now_ms = self.now_ms.max(progress.written_ms),
        }
        true
    }

    fn restore_row(&mut self, at: u32, value: &Value) -> Result<bool> {
        let Some(Job { feed: Feed::Rows(intake), ranker }) = &mut self.job else {
            return Ok(false);
        };
        let Some((line, arrival)) = Kept::of_entry(value) else { return Ok(false) };
        let Ok(taken) = intake.read(&line) else { return Ok(false) };
        let mut row = offer(taken, &mut self.key, Some(at), arrival).keep();
        row.filing = Filing::stored(at);
        self.arrival = self.arrival.max(arrival);
        ranker.restore_row(row).map_err(too_small)?;
        Ok(true)
    }

    fn restore_count(&mut self, at: u32, key: &Value, value: &Value) -> Result<bool> {
        let (Some(job), Some(key)) = (&mut self.job, bytes_of(key)) else { return Ok(false) };
        job.ranker.restore_count(at, &key, value).map_err(too_small)
    }

    fn restore_shown(&mut self, at: u32, key: &Value, value: &Value) -> bool {
        let (Some(job), Some(key)) = (&mut self.job, bytes_of(key)) else { return false };
        job.ranker.restore_shown(at, &key, value)
    }
}

/// The limits are smaller than they were when the state was stored.
fn too_small(full: Full) -> Error {
    Error::world("the stored state", full)
}

/// The bytes of the key that an entry is about.
fn bytes_of(key: &Value) -> Option<Vec<u8>> {
    stored::read_bytes(key.get(1)?)
}
