//! The limit: count and sum by key over windows, for rows `ms,key,value` in order of time and for
//! nothing else. Columns are fixed, a key has at most 8 bytes, a value is whole and not negative;
//! there is no option, no bad row, no order of results. What a general program takes longer than
//! this is the price of its generality.
//!
//!     bench-limit tumble|hop < ROWS
//!
//! Windows are 10 s one after the other, or 60 s every second. A row is counted in its pane only;
//! hopping windows are running totals, to which a pane is added when it ends and from which it is
//! taken when it leaves: exact, as the values are whole.

use std::io::{self, Write as _};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use kpipe_bench::each_block;
use memchr::memchr;

const BLOCK_BYTES: usize = 256 << 10;

/// Windows in milliseconds, and how many panes they have.
const TUMBLE: (u64, usize) = (10_000, 1);
const HOP: (u64, usize) = (1_000, 60);

fn main() -> io::Result<()> {
    let (pane_ms, panes) = match std::env::args().nth(1).as_deref() {
        Some("tumble") => TUMBLE,
        Some("hop") => HOP,
        _ => return Err(io::Error::other("usage: bench-limit tumble|hop < ROWS")),
    };
    let mut windows = Windows::new(pane_ms, panes);
    each_block(BLOCK_BYTES, |rows| {
        windows.count_rows(rows);
        windows.write()
    })?;
    windows.end();
    windows.write()
}

/// What is counted of the rows of a key.
#[derive(Clone, Copy, Default)]
struct Total {
    count: u64,
    sum: u64,
}

struct Windows {
    pane_ms: u64,
    /// The number of each key, by its bytes with zeros behind.
    numbers: HashMap<[u8; 8], u32, RandomState>,
    keys: Vec<[u8; 8]>,
    /// The pane that rows are counted in, the number of its keys' first rows, and its totals.
    pane: Option<u64>,
    seen: Vec<u32>,
    totals: Vec<Total>,
    /// The last panes, when a window has several, and the totals over them.
    past: Vec<Vec<(u32, Total)>>,
    running: Vec<Total>,
    out: Vec<u8>,
}

impl Windows {
    fn new(pane_ms: u64, panes: usize) -> Windows {
        Windows {
            pane_ms,
            numbers: HashMap::default(),
            keys: Vec::new(),
            pane: None,
            seen: Vec::new(),
            totals: Vec::new(),
            past: vec![Vec::new(); panes],
            running: Vec::new(),
            out: Vec::new(),
        }
    }

    fn count_rows(&mut self, mut rows: &[u8]) {
        let mut pane = 0..0;
        while let Some(ms_end) = memchr(b',', rows) {
            let ms = number(&rows[..ms_end]);
            if !pane.contains(&ms) {
                let now = ms / self.pane_ms;
                pane = now * self.pane_ms..(now + 1) * self.pane_ms;
                if self.pane != Some(now) {
                    self.advance(now);
                }
            }
            let rest = &rows[ms_end + 1..];
            let mut key = [0; 8];
            let mut at = 0;
            while rest[at] != b',' {
                key[at] = rest[at];
                at += 1;
            }
            let mut value = 0;
            at += 1;
            while rest[at] != b'\n' {
                value = value * 10 + u64::from(rest[at] - b'0');
                at += 1;
            }
            self.count(key, value);
            rows = &rest[at + 1..];
        }
    }

    #[inline]
    fn count(&mut self, key: [u8; 8], value: u64) {
        let number = *self.numbers.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.totals.push(Total::default());
            self.running.push(Total::default());
            u32::try_from(self.keys.len() - 1).expect("keys fit in memory, which has fewer")
        });
        let total = &mut self.totals[number as usize];
        if total.count == 0 {
            self.seen.push(number);
        }
        total.count += 1;
        total.sum += value;
    }

    /// Ends the pane, and every window that ends before `now` does.
    fn advance(&mut self, now: u64) {
        let panes = self.past.len() as u64;
        if let Some(pane) = self.pane.replace(now) {
            for ended in pane..now.min(pane + panes) {
                self.end_pane(ended);
            }
        }
    }

    /// Moves what was counted into the windows, and writes the one that ends with the pane.
    fn end_pane(&mut self, pane: u64) {
        let panes = self.past.len() as u64;
        let (start, end) = ((pane + 1 - panes) * self.pane_ms, (pane + 1) * self.pane_ms);
        let mut bounds = Vec::new();
        for ms in [start, end] {
            bounds.extend_from_slice(itoa::Buffer::new().format(ms).as_bytes());
            bounds.push(b',');
        }
        if panes == 1 {
            for number in self.seen.drain(..) {
                let total = std::mem::take(&mut self.totals[number as usize]);
                write_result(&bounds, self.keys[number as usize], total, &mut self.out);
            }
            return;
        }
        let at = usize::try_from(pane % panes).expect("below the number of panes");
        for (number, total) in self.past[at].drain(..) {
            let running = &mut self.running[number as usize];
            running.count -= total.count;
            running.sum -= total.sum;
        }
        for number in self.seen.drain(..) {
            let total = std::mem::take(&mut self.totals[number as usize]);
            let running = &mut self.running[number as usize];
            running.count += total.count;
            running.sum += total.sum;
            self.past[at].push((number, total));
        }
        for (&key, &total) in self.keys.iter().zip(&self.running) {
            if total.count > 0 {
                write_result(&bounds, key, total, &mut self.out);
            }
        }
    }

    fn end(&mut self) {
        if let Some(pane) = self.pane {
            self.advance(pane + self.past.len() as u64);
        }
    }

    /// Writes what has come together.
    fn write(&mut self) -> io::Result<()> {
        io::stdout().write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }
}

/// The value of digits.
fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
}

fn write_result(bounds: &[u8], key: [u8; 8], total: Total, out: &mut Vec<u8>) {
    out.extend_from_slice(bounds);
    out.extend_from_slice(&key[..memchr(0, &key).unwrap_or(key.len())]);
    for number in [total.count, total.sum] {
        out.push(b',');
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
    out.push(b'\n');
}
