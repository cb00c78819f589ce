//! What the programs of measurements share.

use std::io::{self, Read as _};

use memchr::memrchr;

/// Hands `take` the whole lines that one read of stdin brought, with their newlines and perhaps
/// none, to the end. A line is shorter than a block, of `bytes`.
///
/// # Errors
/// When a read or `take` fails.
#[inline]
pub fn each_block(bytes: usize, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    let mut block = vec![0; bytes];
    let mut filled = 0;
    loop {
        let read = stdin.read(&mut block[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let whole = memrchr(b'\n', &block[..filled]).map_or(0, |at| at + 1);
        take(&block[..whole])?;
        block.copy_within(whole..filled, 0);
        filled -= whole;
    }
}
