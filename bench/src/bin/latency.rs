//! How long lines are on their way: one end writes the time into each, the other one reads it.
//!
//!     SOURCE | bench-latency stamp | ... | bench-latency read
//!
//! `stamp` turns every line into the time of its coming, in microseconds since the epoch, and
//! passes it on at once; `read` prints the median and the 99th percentile of how old the lines are
//! when they come, in milliseconds. Of the first tenth nothing is counted: programs start.
//!
//!     kcons --epoch ... | bench-latency barriers | ksink --tee ... | bench-latency read
//!
//! `barriers` holds the lines of an epoch until its barrier comes, and turns them into the time of
//! that. `windows` reads results `from,until,...` in milliseconds as `read` does: how long ago
//! their windows have ended. `silence` prints the longest time between two reads of lines.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use memchr::{memchr, memchr_iter};

const BLOCK_BYTES: usize = 64 << 10;

/// What a mark begins with, and the one that ends an epoch.
const RS: u8 = 0x1e;
const BARRIER: &[u8] = b"\x1e{\"mark\":\"barrier\"";

fn main() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match std::env::args().nth(1).as_deref() {
        Some("stamp") => each_read(|lines, now| {
            let stamps = format!("{now}\n").repeat(lines.count());
            stdout.write_all(stamps.as_bytes())?;
            stdout.flush()
        }),
        Some("barriers") => barriers(&mut stdout),
        Some("read") => read(&mut stdout, number),
        Some("windows") => read(&mut stdout, |line| {
            let from = memchr(b',', line).map_or(0, |comma| comma + 1);
            let end = memchr(b',', &line[from..]).map_or(line.len(), |comma| from + comma);
            number(&line[from..end]).map(|ms| ms * 1000)
        }),
        Some("silence") => silence(&mut stdout),
        _ => Err(io::Error::other("usage: bench-latency stamp|barriers|read|windows|silence")),
    }
}

fn number(text: &[u8]) -> io::Result<u64> {
    String::from_utf8_lossy(text).parse().map_err(io::Error::other)
}

/// Microseconds as milliseconds.
fn ms(micros: u64) -> String {
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

/// Prints percentiles of how old lines are, of which `born` tells the time in microseconds.
fn read(out: &mut impl Write, born: impl Fn(&[u8]) -> io::Result<u64>) -> io::Result<()> {
    let mut ages = Vec::new();
    each_read(|lines, now| {
        for line in lines {
            ages.push(now.saturating_sub(born(line)?));
        }
        Ok(())
    })?;
    let counted = ages.len() / 10;
    let ages = &mut ages[counted..];
    ages.sort_unstable();
    if ages.is_empty() {
        return Err(io::Error::other("no line came"));
    }
    let percentile = |percent| ages[(ages.len() - 1) * percent / 100];
    writeln!(out, "{} {}", ms(percentile(50)), ms(percentile(99)))
}

/// Holds each epoch until its barrier. What comes between epochs waits for nothing.
fn barriers(out: &mut impl Write) -> io::Result<()> {
    // Marks as they are, and an empty line for each line of data.
    let mut held = Vec::new();
    each_read(|lines, now| {
        let stamp = now.to_string();
        for line in lines {
            let is_mark = line.first() == Some(&RS) && line.get(1) != Some(&RS);
            if is_mark {
                held.extend_from_slice(line);
            }
            held.push(b'\n');
            if line.starts_with(BARRIER) || is_mark && held.len() == line.len() + 1 {
                for line in held.split_inclusive(|&byte| byte == b'\n') {
                    out.write_all(if line == b"\n" { stamp.as_bytes() } else { b"" })?;
                    out.write_all(line)?;
                }
                held.clear();
            }
        }
        out.flush()
    })
}

/// Prints the longest time without a line between two, in milliseconds.
fn silence(out: &mut impl Write) -> io::Result<()> {
    let (mut before, mut longest) = (None, 0);
    each_read(|lines, now| {
        if lines.next().is_some() {
            longest = longest.max(now - before.replace(now).unwrap_or(now));
        }
        Ok(())
    })?;
    writeln!(out, "{}", ms(longest))
}

/// Hands `take` the lines that one read brought, and the time of that, to the end of stdin.
fn each_read(
    mut take: impl FnMut(&mut dyn Iterator<Item = &[u8]>, u64) -> io::Result<()>,
) -> io::Result<()> {
    kpipe_bench::each_block(BLOCK_BYTES, |block| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let mut start = 0;
        let mut lines = memchr_iter(b'\n', block).map(|end| {
            let line = &block[start..end];
            start = end + 1;
            line
        });
        take(&mut lines, now)
    })
}
