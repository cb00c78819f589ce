//! How long lines are on their way: one end writes the time into each, the other one reads it.
//!
//!     SOURCE | bench-latency stamp | ... | bench-latency read
//!
//! `stamp` turns every line into the time of its coming, in microseconds since the epoch, and
//! passes it on at once; `read` prints the median and the 99th percentile of how old the lines are
//! when they come, in milliseconds. Of the first tenth nothing is counted: programs start.

use std::io::{self, Read as _, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memchr_iter;

const BLOCK_BYTES: usize = 64 << 10;

fn main() -> io::Result<()> {
    let mut ages = Vec::new();
    let mut stdout = io::stdout().lock();
    match std::env::args().nth(1).as_deref() {
        Some("stamp") => each_block(|lines, now| {
            let stamps = format!("{now}\n").repeat(lines.count());
            stdout.write_all(stamps.as_bytes())?;
            stdout.flush()
        }),
        Some("read") => {
            each_block(|lines, now| {
                for line in lines {
                    let text = String::from_utf8_lossy(line);
                    let written: u64 = text.parse().map_err(io::Error::other)?;
                    ages.push(now.saturating_sub(written));
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
            let ms = |micros: u64| format!("{}.{:03}", micros / 1000, micros % 1000);
            writeln!(stdout, "{} {}", ms(percentile(50)), ms(percentile(99)))
        }
        _ => Err(io::Error::other("usage: bench-latency stamp|read")),
    }
}

/// Hands `take` the lines that one read brought, and the time of that, to the end of stdin.
fn each_block(
    mut take: impl FnMut(&mut dyn Iterator<Item = &[u8]>, u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    let mut block = vec![0; BLOCK_BYTES];
    let mut filled = 0;
    loop {
        let read = stdin.read(&mut block[filled..])?;
        if read == 0 {
            return Ok(());
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        filled += read;
        let mut start = 0;
        let mut lines = memchr_iter(b'\n', &block[..filled]).map(|end| {
            let line = &block[start..end];
            start = end + 1;
            line
        });
        take(&mut lines, now)?;
        block.copy_within(start..filled, 0);
        filled -= start;
    }
}
