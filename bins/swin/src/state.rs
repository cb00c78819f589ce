//! The engine's state as entries that a topic can hold: what changed since the last epoch, and
//! the engine again from them.
//!
//! An entry is of one slot of one key of one input partition. Its key is `[[columns of the key],
//! pane]`, with null for what the key has beside its panes; its value is an array of aggregates,
//! or an object with those and a flag. The entry with the key null is the partition's header.

use std::collections::{BTreeMap, BTreeSet};

use pipe::course;
use row::key::{self, Key};
use row::stored;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::aggregate::Aggregate;
use crate::changes::Slot;
use crate::engine::{Engine, Kind};
use crate::sliding::Empty;
use crate::store::{Changed, Kept};
use crate::timeline::Past;
use crate::watermark::NOT_YET;
use crate::window::Aligned;

/// The version of the entries, as a part of their layout.
pub const VERSION: u32 = 1;

/// What is wrong with a state whose header is missing.
pub const HEADLESS: &str = "has no header, which says what it was stored with";

/// What an entry says of a partition as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    /// What two runs have in common when the one can go on with the state of the other.
    layout: Json,
    /// How far time has come.
    #[serde(flatten)]
    past: Past,
    /// The time until which results were written.
    told: Option<i64>,
    /// A border of windows that are aligned to the first row.
    origin: Option<i64>,
    /// When something is due that no row brings.
    due: Option<i64>,
    /// The least time seen, as long as nothing that no row brings was written.
    begins: Option<i64>,
    /// When early results are due.
    early: Option<i64>,
}

/// Why an entry cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The run that stored it did something else: what was stored, and what is asked now.
    Layout(String),
    /// It is no entry of this program.
    Entry,
    /// A limit is reached, with what it says.
    Full(String),
}

/// What is stored, and what was stored before.
#[derive(Debug, Default)]
pub struct State {
    layout: Json,
    headers: Vec<String>,
    /// How far rows had brought time at the last snapshot.
    seen: Vec<Option<i64>>,
    /// The least watermark of the snapshots that are loaded, and the partitions that have one.
    watermark: Option<i64>,
    loaded: BTreeSet<usize>,
    /// Entries of partitions whose header has not come yet: what they mean hangs on it.
    held: BTreeMap<usize, Vec<(Json, Json)>>,
    /// What is due that no row brings, and the least time seen unless that was written already.
    due: Option<(i64, i64)>,
}

/// Takes an entry: its partition, its key, and its value; none when it is gone.
pub type Take<'t> = &'t mut dyn FnMut(usize, Json, Option<Json>);

impl State {
    /// The state of a run that `layout` describes, of which nothing is stored.
    #[must_use]
    pub fn new(layout: Json) -> State {
        State { layout, ..State::default() }
    }

    /// Forgets what was stored.
    pub fn clear(&mut self) {
        *self = State::new(std::mem::take(&mut self.layout));
    }

    /// Hands what changed since the last call to `take`.
    pub fn store(&mut self, engine: &mut Engine, take: Take<'_>) {
        let columns = engine.query().keys.len();
        let mut changed = false;
        engine.store.take_changes(|entry| {
            changed = true;
            take(entry.partition, key_of(&entry, columns), entry.kept.map(value_of));
        });
        // An idle pipeline has nothing to store, unless the clock brought results.
        let tells = engine.keys() > 0 || engine.settings.empty != Empty::Silent;
        let told = engine.closed_until().filter(|_| tells && engine.tells_by_time());
        let pasts: Vec<Past> =
            (0..engine.partitions).map(|partition| engine.timeline.past(partition)).collect();
        let by_rows = pasts.iter().map(|past| past.silent_from.or(past.watermark));
        let seen = pasts.iter().map(|past| past.greatest).chain(by_rows).chain([told]).collect();
        if !changed && seen == self.seen && !self.headers.is_empty() {
            return;
        }
        self.seen = seen;
        self.headers.resize(engine.partitions, String::new());
        for partition in 0..engine.partitions {
            let header = json!(self.header(engine, partition));
            let text = header.to_string();
            if self.headers[partition] != text {
                self.headers[partition] = text;
                take(partition, Json::Null, Some(header));
            }
        }
    }

    fn header(&self, engine: &Engine, partition: usize) -> Header {
        let told = engine.closed_until().unwrap_or(NOT_YET).max(engine.results.told(partition));
        let known = |time: i64| (time != NOT_YET && time != i64::MAX).then_some(time);
        let (due, begins) = match &engine.kind {
            Kind::Sliding(sliding) => sliding.next_empty().unzip(),
            Kind::Cumulating(cumulating) => (known(cumulating.due()), None),
            Kind::Running(running) => running.next_period().unzip(),
            Kind::Sessions(_) | Kind::Ranges(_) | Kind::Blocks(_) => (None, None),
        };
        let origin = match &engine.kind {
            Kind::Sliding(sliding) if engine.settings.align_start => {
                sliding.window().map(Aligned::origin)
            }
            _ => None,
        };
        Header {
            layout: self.layout.clone(),
            past: engine.timeline.past(partition),
            told: known(told),
            origin,
            due,
            begins: begins.filter(|&begins| begins != i64::MIN),
            early: known(engine.next_early),
        }
    }

    /// Holds an entry of `partition` back when its header has not come yet; returns whether it
    /// does.
    pub fn hold(&mut self, partition: usize, key: &Json, value: &Json) -> bool {
        let holds = !key.is_null() && !self.loaded.contains(&partition);
        if holds {
            self.held.entry(partition).or_default().push((key.clone(), value.clone()));
        }
        holds
    }

    /// The entries that were held back until the header of `partition` came.
    pub fn release(&mut self, partition: usize) -> Vec<(Json, Json)> {
        self.held.remove(&partition).unwrap_or_default()
    }

    /// Whether entries are held back.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Loads an entry of `partition`, its header first.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn load(
        &mut self,
        engine: &mut Engine,
        partition: usize,
        key: &Json,
        value: &Json,
    ) -> Result<(), Unfit> {
        if key.is_null() {
            return self.load_header(engine, partition, value);
        }
        let parts = key.as_array().filter(|parts| parts.len() == 2).ok_or(Unfit::Entry)?;
        let columns = parts[0].as_array().ok_or(Unfit::Entry)?;
        let key = read_key(columns).ok_or(Unfit::Entry)?;
        let slot = match &parts[1] {
            Json::Null => Slot::Rest,
            pane => Slot::Pane(pane.as_i64().ok_or(Unfit::Entry)?),
        };
        let (flag, cells) = match value {
            Json::Object(members) => {
                let flag = members.get("flag").and_then(Json::as_bool).unwrap_or_default();
                (flag, members.get("aggregates").filter(|cells| !cells.is_null()))
            }
            cells => (false, Some(cells)),
        };
        let aggregates = match cells {
            Some(cells) => Some(read_aggregates(engine, cells).ok_or(Unfit::Entry)?),
            None => None,
        };
        engine.load((partition, Key::new(&key)), slot, flag, aggregates)
    }

    fn load_header(
        &mut self,
        engine: &mut Engine,
        partition: usize,
        value: &Json,
    ) -> Result<(), Unfit> {
        // Another version may have other headers, so its layout is looked at first.
        let layout = value.get("layout").ok_or(Unfit::Entry)?;
        if let Some(difference) = course::difference(layout, &self.layout) {
            return Err(Unfit::Layout(difference));
        }
        let header = Header::deserialize(value).map_err(|_| Unfit::Entry)?;
        let watermark = header.past.watermark.unwrap_or(NOT_YET);
        self.watermark = Some(self.watermark.map_or(watermark, |least| least.min(watermark)));
        self.loaded.insert(partition);
        if let Some(due) = header.due {
            let begins = header.begins.unwrap_or(i64::MIN);
            let (least, first) = self.due.unwrap_or((due, begins));
            self.due = Some((least.min(due), first.min(begins)));
        }
        engine.timeline.restore(partition, &header.past);
        if let Some(told) = header.told {
            engine.results.set_told(partition, told);
        }
        if let (Some(origin), Kind::Sliding(sliding)) = (header.origin, &mut engine.kind) {
            sliding.align(origin);
        }
        engine.next_early = engine.next_early.min(header.early.unwrap_or(i64::MAX));
        Ok(())
    }

    /// All entries are loaded.
    pub fn loaded(&mut self, engine: &mut Engine) {
        // A partition without a snapshot has seen nothing, and holds the watermark back.
        if let Some(watermark) = self.watermark
            && self.loaded.len() == engine.partitions
        {
            engine.timeline.restored(watermark);
        }
        engine.restored(self.due);
    }
}

/// The key of an entry.
fn key_of(entry: &Changed<'_>, columns: usize) -> Json {
    let mut values = Vec::with_capacity(columns);
    key::read(entry.key, columns, &mut values);
    let columns: Vec<Json> = values.iter().map(stored::value).collect();
    match entry.slot {
        Slot::Rest => json!([columns, null]),
        Slot::Pane(pane) => json!([columns, pane]),
    }
}

fn read_key(columns: &[Json]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for column in columns {
        key::push(&stored::read_value(column)?, columns.len(), &mut bytes);
    }
    Some(bytes)
}

fn value_of(kept: Kept<'_>) -> Json {
    let aggregates =
        kept.aggregates.map(|cells| cells.iter().map(Aggregate::store).collect::<Vec<Json>>());
    match aggregates {
        Some(aggregates) if !kept.flag => json!(aggregates),
        aggregates => json!({ "flag": kept.flag, "aggregates": aggregates }),
    }
}

fn read_aggregates(engine: &Engine, cells: &Json) -> Option<Vec<Aggregate>> {
    let stored = cells.as_array()?;
    let asked = &engine.query().aggregates;
    if stored.len() != asked.len() {
        return None;
    }
    asked.iter().zip(stored).map(|(call, cell)| call.function.restore(cell)).collect()
}
