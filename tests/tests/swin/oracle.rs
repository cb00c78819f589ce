//! What swin should write and say, recomputed from all rows whenever time moves.
//!
//! Nothing here is fast, keeps a pane or forgets a row that it could still name.

use std::collections::BTreeMap;

use crate::job::{Having, Job, What, Windows};
use crate::result::{self, Cell, text};
use crate::span::{Span, spans};
use crate::stream::{Event, Form, Row, Whole};

/// A time before all others.
const NOT_YET: i64 = i64::MIN;

/// How long a marked stream is silent before time goes on.
const IDLE_MS: i64 = 10_000;

/// Rows that do not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Losses {
    pub(crate) bad: u64,
    pub(crate) late: u64,
    pub(crate) late_most_ms: i64,
    pub(crate) outside: u64,
}

/// A row that counts, in the windows that were not closed when it came.
#[derive(Clone, Debug)]
struct Counted {
    row: Row,
    time: i64,
    /// How many rows came before it.
    arrival: usize,
    watermark: i64,
    /// It is part of no later result, or has been evaluated.
    settled: bool,
    /// A total of its key was written since it came.
    written: bool,
}

/// A partition: the greatest time seen in it, and whether it is idle.
#[derive(Clone, Copy, Debug)]
struct Partition {
    greatest: i64,
    idle: bool,
}

/// The rows of a window by its end, its start, and the key.
type Groups<'a> = BTreeMap<(i64, i64, &'a [u8]), Vec<&'a Counted>>;

/// The columns of a row of the result.
pub(crate) type Told = Vec<Cell>;

#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    job: Job,
    form: Form,
    partitions: Vec<Partition>,
    /// The last tick, and that at which the last line came.
    now: i64,
    arrived: i64,
    /// The watermark when the silence had been long enough.
    silent_from: Option<i64>,
    watermark: i64,
    /// What `--align start` begins at.
    origin: Option<i64>,
    rows: Vec<Counted>,
    arrivals: usize,
    /// Keys of `--once` for which it was said.
    said: Vec<Vec<u8>>,
    told: Vec<Told>,
    /// The last multiple of `--every` that was told.
    told_until: i64,
    losses: Losses,
}

impl Oracle {
    pub(crate) fn new(job: &Job, form: Form, partitions: usize, now: i64) -> Oracle {
        let mut oracle = Oracle {
            job: job.clone(),
            form,
            partitions: vec![Partition { greatest: NOT_YET, idle: false }; partitions],
            now: NOT_YET,
            arrived: NOT_YET,
            silent_from: None,
            watermark: NOT_YET,
            origin: None,
            rows: Vec::new(),
            arrivals: 0,
            said: Vec::new(),
            told: Vec::new(),
            told_until: NOT_YET,
            losses: Losses::default(),
        };
        if form != Form::Plain {
            oracle.take(&Event::Tick(now));
        }
        oracle
    }

    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Tick(_) | Event::Idle(_) if self.form == Form::Plain => {}
            Event::Tick(ms) => {
                self.now = *ms;
                if self.job.delay.is_none() {
                    self.see_first(*ms);
                    self.advance(*ms);
                }
                self.go_on();
            }
            Event::Idle(partition) => {
                let was_silent = self.is_silent();
                self.partitions[*partition].idle = true;
                if self.is_silent() && !was_silent {
                    self.arrived = self.arrived.max(self.now);
                }
                self.move_time();
                self.go_on();
            }
            Event::Scrap(partition, _) => {
                self.wake(*partition);
                self.losses.bad += 1;
            }
            Event::Row(row) => {
                self.wake(row.partition);
                self.take_row(row);
            }
        }
    }

    fn wake(&mut self, partition: usize) {
        self.partitions[partition].idle = false;
        self.arrived = self.now;
        self.silent_from = None;
        self.move_time();
    }

    /// `--align start`: windows end at multiples of the step from the first time on.
    fn see_first(&mut self, time: i64) {
        if let Windows::Hop { size, step, .. } = self.job.windows {
            let width = (1..=size).rev().find(|width| size % width == 0 && step % width == 0);
            let width = width.expect("1 divides all");
            self.origin.get_or_insert(time.div_euclid(width) * width);
        }
    }

    fn spans(&self, time: i64) -> Vec<Span> {
        spans(self.job.windows, self.origin.unwrap_or_default(), time)
    }

    fn take_row(&mut self, row: &Row) {
        let time = if self.job.delay.is_some() { row.time } else { Some(self.now) };
        let Some(time) = time else {
            self.losses.bad += 1;
            return;
        };
        if self.job.delay.is_some() {
            self.see_first(time);
            let is_ahead = |future: i64| time > self.now.saturating_add(future);
            if self.form == Form::Plain || !self.job.future.is_some_and(is_ahead) {
                let greatest = &mut self.partitions[row.partition].greatest;
                *greatest = (*greatest).max(time);
                self.move_time();
            }
        }
        if !row.passes {
            return;
        }
        let (any, open) = self.judge(row, time);
        if !any {
            self.losses.outside += 1;
            if let Windows::Rows { .. } = self.job.windows {
                self.count(row, time);
            }
        } else if !open {
            self.losses.late += 1;
            self.losses.late_most_ms = self.losses.late_most_ms.max(self.watermark - time);
        } else if matches!(row.whole, Whole::Scrap) && self.job.what == What::Aggregates {
            self.losses.bad += 1;
        } else {
            self.count(row, time);
        }
    }

    /// Whether a row is in any window, and whether one of these is open.
    fn judge(&self, row: &Row, time: i64) -> (bool, bool) {
        match self.job.windows {
            Windows::Session { gap } => {
                let mut rows = self.of_key(&row.key);
                let new = self.counted(row, time);
                rows.push(&new);
                let session = sessions(rows, gap).into_iter();
                let of = |(_, rows): &(Span, Vec<&Counted>)| {
                    rows.iter().any(|counted| counted.arrival == new.arrival)
                };
                let ((_, end), _) = session.into_iter().find(of).expect("it is in one");
                (true, end >= self.watermark)
            }
            Windows::Range { .. } => (true, time >= self.watermark),
            Windows::Running { .. } => (true, self.job.every.is_none() || time >= self.watermark),
            Windows::Rows { size, step } => {
                let (before, _) = self.block(row);
                (before % step + size >= step, true)
            }
            Windows::None => (true, true),
            _ => {
                let spans = self.spans(time);
                (!spans.is_empty(), spans.iter().any(|(_, end)| *end > self.watermark))
            }
        }
    }

    fn counted(&self, row: &Row, time: i64) -> Counted {
        Counted {
            row: row.clone(),
            time,
            arrival: self.arrivals,
            watermark: self.watermark,
            settled: false,
            written: false,
        }
    }

    /// The rows of a key that are part of a later result.
    fn of_key(&self, key: &[u8]) -> Vec<&Counted> {
        self.rows.iter().filter(|counted| !counted.settled && counted.row.key == key).collect()
    }

    /// How many rows the key of `row` had in its partition, and these.
    fn block(&self, row: &Row) -> (usize, Vec<&Counted>) {
        let is_like = |counted: &&Counted| {
            counted.row.key == row.key && counted.row.partition == row.partition
        };
        let rows: Vec<&Counted> = self.rows.iter().filter(is_like).collect();
        (rows.len(), rows)
    }

    fn count(&mut self, row: &Row, time: i64) {
        let counted = self.counted(row, time);
        self.arrivals += 1;
        self.rows.push(counted);
        match self.job.windows {
            Windows::None => {
                let newest = self.rows.last().into_iter().collect();
                let told = self.rows_told(&[], None, b"", newest);
                self.told.extend(told);
            }
            Windows::Rows { size, step } => {
                let (count, rows) = self.block(row);
                if count.is_multiple_of(step) {
                    let told = self.block_told(&rows[count.saturating_sub(size)..]);
                    self.told.extend(told);
                }
            }
            Windows::Range { .. } => self.evaluate(self.watermark),
            _ => {}
        }
    }

    /// The watermark is the least time over the partitions that are not idle, less the delay; it
    /// never falls, and stands when all are idle or one has none.
    fn move_time(&mut self) {
        let Some(delay) = self.job.delay else { return };
        let awake = self.partitions.iter().filter(|partition| !partition.idle);
        match awake.map(|partition| partition.greatest).min() {
            None | Some(NOT_YET) => {}
            Some(least) => self.advance(least - delay),
        }
    }

    fn is_silent(&self) -> bool {
        self.partitions.iter().all(|partition| partition.idle)
    }

    /// When input has been silent for long, the watermark goes on at the pace of the ticks.
    fn go_on(&mut self) {
        let idle = self.job.idle.unwrap_or(IDLE_MS);
        if self.job.delay.is_none() || !self.is_silent() || self.watermark == NOT_YET {
            return;
        }
        let passed = self.now - self.arrived - idle;
        if passed >= 0 {
            let from = *self.silent_from.get_or_insert(self.watermark);
            self.advance(from + passed);
        }
    }

    /// Time is `watermark`: tells what is due.
    fn advance(&mut self, watermark: i64) {
        let before = self.watermark;
        if watermark <= before {
            return;
        }
        self.watermark = watermark;
        let multiple = self.job.every.map(|every| watermark.div_euclid(every) * every);
        let due = multiple.filter(|multiple| *multiple > before);
        match self.job.windows {
            Windows::Running { .. } => {
                if let Some(until) = due {
                    self.tell_totals(until, true);
                }
            }
            Windows::Range { .. } => self.evaluate(watermark),
            Windows::Rows { .. } | Windows::None => {}
            Windows::Session { .. } => {
                if let Some(until) = due {
                    self.close_sessions(until);
                    let early = self.open_sessions(until);
                    self.told.extend(early);
                }
                self.close_sessions(watermark);
            }
            _ => {
                if let Some(until) = due {
                    self.close(before, until);
                    let early = self.early(until);
                    self.told.extend(early);
                }
                self.close(due.unwrap_or(before), watermark);
            }
        }
    }

    /// Tells the windows that end in `(after, until]`.
    fn close(&mut self, after: i64, until: i64) {
        let mut groups: Groups<'_> = BTreeMap::new();
        for counted in &self.rows {
            for (start, end) in self.spans(counted.time) {
                if end > counted.watermark && end > after && end <= until {
                    groups.entry((end, start, &counted.row.key)).or_default().push(counted);
                }
            }
        }
        let told = self.groups_told(groups, true);
        self.told.extend(told);
    }

    /// What the windows that are open at `at` hold of the rows before it.
    fn early(&self, at: i64) -> Vec<Told> {
        let mut groups: Groups<'_> = BTreeMap::new();
        for counted in self.rows.iter().filter(|counted| counted.time < at) {
            for (start, end) in self.spans(counted.time) {
                if end > counted.watermark && end > at {
                    groups.entry((end, start, &counted.row.key)).or_default().push(counted);
                }
            }
        }
        self.groups_told(groups, false)
    }

    /// The sessions that are open, with their rows, by key.
    fn sessions(&self) -> Groups<'_> {
        let Windows::Session { gap } = self.job.windows else { return BTreeMap::new() };
        let mut keys: BTreeMap<&[u8], Vec<&Counted>> = BTreeMap::new();
        for counted in self.rows.iter().filter(|counted| !counted.settled) {
            keys.entry(&counted.row.key).or_default().push(counted);
        }
        let sessions = keys.into_iter().flat_map(|(key, rows)| {
            let sessions = sessions(rows, gap).into_iter();
            sessions.map(move |((start, end), rows)| ((end, start, key), rows))
        });
        sessions.collect()
    }

    /// Tells the sessions that end before `until`.
    fn close_sessions(&mut self, until: i64) {
        let closed = self.sessions().into_iter().filter(|((end, ..), _)| *end < until);
        let closed: Groups<'_> = closed.collect();
        let settled: Vec<usize> = closed.values().flatten().map(|row| row.arrival).collect();
        let told = self.groups_told(closed, true);
        self.told.extend(told);
        for counted in &mut self.rows {
            counted.settled |= settled.contains(&counted.arrival);
        }
    }

    fn open_sessions(&self, at: i64) -> Vec<Told> {
        let open = self.sessions().into_iter().filter(|((_, start, _), _)| *start < at);
        self.groups_told(open.collect(), false)
    }

    fn groups_told(&self, groups: Groups<'_>, last: bool) -> Vec<Told> {
        let last = self.job.every.map(|_| last);
        let told = groups.into_iter();
        told.flat_map(|((end, start, key), rows)| self.rows_told(&[start, end], last, key, rows))
            .collect()
    }

    fn block_told(&self, rows: &[&Counted]) -> Vec<Told> {
        let (least, greatest) = bounds(rows);
        let key = &rows[0].row.key;
        self.rows_told(&[least, greatest], None, key, rows.to_vec())
    }

    /// Evaluates the rows up to `until`, each over those of its key in the time before it.
    fn evaluate(&mut self, until: i64) {
        let Windows::Range { length, once } = self.job.windows else { return };
        let is_due = |at: &usize| !self.rows[*at].settled && self.rows[*at].time <= until;
        let mut due: Vec<usize> = (0..self.rows.len()).filter(is_due).collect();
        due.sort_by_key(|at| (self.rows[*at].time, *at));
        for at in due {
            self.rows[at].settled = true;
            let Counted { time, row, arrival, .. } = &self.rows[at];
            let key = row.key.clone();
            let is_in = |counted: &&Counted| {
                let place = (counted.time, counted.arrival);
                counted.row.key == key && place.0 >= time - length && place <= (*time, *arrival)
            };
            let rows: Vec<&Counted> = self.rows.iter().filter(is_in).collect();
            let is_alone = rows.len() == 1;
            let told = self.rows_told(&[*time], None, &key, rows);
            let said = once && !is_alone && self.said.contains(&key);
            self.said.retain(|known| *known != key);
            if !told.is_empty() {
                self.said.push(key);
            }
            if !said {
                self.told.extend(told);
            }
        }
    }

    /// Tells the total of every key at `until`: over the rows before it, or over all.
    fn tell_totals(&mut self, until: i64, before: bool) {
        let Windows::Running { ttl, changes } = self.job.windows else { return };
        // What changed last is told also of a key that is forgotten.
        let mut keys: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        if let (Some(ttl), Some(every)) = (ttl, self.job.every) {
            let forgotten = self.forget(ttl, every, until);
            keys.extend(forgotten.into_iter().filter(|_| changes));
        }
        self.told_until = until;
        keys.retain(|key, _| {
            let mut live = self.rows.iter().filter(|counted| !counted.settled);
            !live.any(|counted| counted.row.key == *key && (counted.time < until || !before))
        });
        for (at, counted) in self.rows.iter().enumerate() {
            if !counted.settled && (counted.time < until || !before) {
                keys.entry(counted.row.key.clone()).or_default().push(at);
            }
        }
        for (key, rows) in keys {
            if !changes || rows.iter().any(|at| !self.rows[*at].written) {
                let counted = rows.iter().map(|at| &self.rows[*at]).collect();
                let told = self.rows_told(&[until], None, &key, counted);
                self.told.extend(told);
                for at in rows {
                    self.rows[at].written = true;
                }
            }
        }
    }

    /// At each multiple of `every` up to `until`, forgets the keys without a row for `ttl`. Returns
    /// the rows of each that were forgotten last.
    fn forget(&mut self, ttl: i64, every: i64, until: i64) -> BTreeMap<Vec<u8>, Vec<usize>> {
        let mut forgotten = BTreeMap::new();
        let first = self.rows.iter().map(|counted| counted.time).min();
        let Some(first) = first else { return forgotten };
        let mut at = first.max(self.told_until).div_euclid(every) * every;
        while at <= until {
            let mut last: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
            let live = self.rows.iter().filter(|counted| !counted.settled && counted.time < at);
            for Counted { row, time, .. } in live {
                let last = last.entry(row.key.clone()).or_insert(NOT_YET);
                *last = (*last).max(*time);
            }
            for (key, _) in last.into_iter().filter(|(_, last)| at - last >= ttl) {
                let is_of = |counted: &Counted| {
                    !counted.settled && counted.time < at && counted.row.key == key
                };
                let rows = (0..self.rows.len()).filter(|row| is_of(&self.rows[*row]));
                let rows: Vec<usize> = rows.collect();
                for row in &rows {
                    self.rows[*row].settled = true;
                }
                forgotten.insert(key, rows);
            }
            at += every;
        }
        forgotten
    }

    /// Rows of the result for the rows of a window.
    fn rows_told(
        &self,
        bounds: &[i64],
        last: Option<bool>,
        key: &[u8],
        mut rows: Vec<&Counted>,
    ) -> Vec<Told> {
        let head = || {
            let key = (!bounds.is_empty()).then(|| Cell::Bytes(key.to_vec()));
            let bounds = bounds.iter().map(text).chain(last.map(text));
            bounds.chain(key).collect::<Told>()
        };
        rows.sort_by_key(|counted| (counted.time, counted.arrival));
        let rows: Vec<&Row> = rows.into_iter().map(|counted| &counted.row).collect();
        let told = |cells: Vec<Cell>| [head(), cells].concat();
        match self.job.what {
            What::Aggregates if !self.has(&rows) => Vec::new(),
            What::Aggregates => vec![told(result::aggregates(&rows))],
            What::Fields => {
                let fields = |row: &&Row| vec![text(&row.number), text(row.whole.text())];
                rows.iter().map(|row| told(fields(row))).collect()
            }
            What::Lines => {
                let fields = |row: &&Row| {
                    let line = row.line();
                    let fields = line.split(|byte| *byte == 0x1f);
                    fields.map(|field| Cell::Bytes(field.to_vec())).collect()
                };
                rows.iter().map(|row| told(fields(row))).collect()
            }
        }
    }

    fn has(&self, rows: &[&Row]) -> bool {
        match self.job.having {
            None => true,
            Some(Having::Rows(least)) => rows.len() > least,
            Some(Having::Greatest(least)) => {
                rows.iter().filter_map(|row| result::whole(row)).any(|whole| whole > least)
            }
        }
    }

    /// Forgets the partitions that it does not `keep`, with all they hold.
    pub(crate) fn keep(&mut self, keep: usize) {
        for (at, partition) in self.partitions.iter_mut().enumerate() {
            if at != keep {
                *partition = Partition { greatest: NOT_YET, idle: true };
            }
        }
        self.rows.retain(|counted| counted.row.partition == keep);
        self.move_time();
        // A session that was held open from elsewhere ends.
        self.close_sessions(self.watermark);
    }

    /// How many rows of the result there are so far.
    pub(crate) fn len(&self) -> usize {
        self.told.len()
    }

    /// Every result, in its order, once the input is complete.
    pub(crate) fn finish(mut self) -> (Vec<Told>, Losses) {
        match self.job.windows {
            Windows::Running { .. } => {
                let greatest = self.partitions.iter().map(|partition| partition.greatest).max();
                let until = greatest.filter(|_| self.job.delay.is_some()).unwrap_or(self.now);
                if until != NOT_YET {
                    self.tell_totals(until, false);
                }
            }
            Windows::Range { .. } => self.evaluate(i64::MAX),
            Windows::Rows { size, step } => self.tell_blocks(size, step),
            Windows::None => {}
            Windows::Session { .. } => self.close_sessions(i64::MAX),
            _ => self.close(self.watermark, i64::MAX),
        }
        (self.told, self.losses)
    }

    /// Tells the blocks that the end of the input cut short.
    fn tell_blocks(&mut self, size: usize, step: usize) {
        let mut blocks: BTreeMap<(&[u8], usize), Vec<&Counted>> = BTreeMap::new();
        for counted in &self.rows {
            let row = &counted.row;
            blocks.entry((&row.key, row.partition)).or_default().push(counted);
        }
        blocks.retain(|_, rows| !rows.len().is_multiple_of(step));
        let partial = blocks.into_iter().filter_map(|((key, partition), rows)| {
            let start = rows.len().next_multiple_of(step).saturating_sub(size);
            let rows = rows.get(start..).filter(|rows| !rows.is_empty())?;
            let (least, greatest) = bounds(rows);
            Some(((greatest, least, key, partition), rows.to_vec()))
        });
        let partial: BTreeMap<_, _> = partial.collect();
        let told: Vec<Told> = partial.values().flat_map(|rows| self.block_told(rows)).collect();
        self.told.extend(told);
    }
}

/// The least time of some rows, and the greatest.
fn bounds(rows: &[&Counted]) -> Span {
    let times = rows.iter().map(|counted| counted.time);
    (times.clone().min().expect("there are rows"), times.max().expect("there are rows"))
}

/// The sessions of the rows of one key: they are at most `gap` apart, exactly as far too.
fn sessions(mut rows: Vec<&Counted>, gap: i64) -> Vec<(Span, Vec<&Counted>)> {
    rows.sort_by_key(|counted| (counted.time, counted.arrival));
    let sessions = rows.chunk_by(|one, other| other.time - one.time <= gap);
    sessions.map(|rows| ((rows[0].time, rows[rows.len() - 1].time + gap), rows.to_vec())).collect()
}
