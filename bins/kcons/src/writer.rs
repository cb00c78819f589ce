//! Stdout in a thread of its own, so that a reader who is slow never keeps the loop from answering
//! its group.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pipe::exit::{Error, Result};
use pipe::stdio::{Output, reason};

use crate::bell::Rope;

/// Bytes that a block has at least, unless it is flushed.
pub(crate) const BLOCK: usize = 32 << 10;

/// Blocks that wait to be written.
const BLOCKS: usize = 16;

/// How long the news of a failure may take to be written.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);

/// Hands blocks of bytes to the thread that writes them.
#[derive(Debug)]
pub(crate) struct Writer {
    buffer: Vec<u8>,
    /// None once the output is closed.
    blocks: Option<SyncSender<Vec<u8>>>,
    /// Blocks that were written, to be used again.
    spare: Receiver<Vec<u8>>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the loop wants to hear of the next block that is written.
    wanted: AtomicBool,
    /// Whether the thread has closed its output.
    closed: Mutex<bool>,
    closing: Condvar,
    failure: Mutex<Option<Error>>,
}

impl Writer {
    /// Begins to write to `out`, and tells by `rope` when there is room again and at the end.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn over(out: Output, rope: Rope) -> Result<Writer> {
        let (blocks, queue) = sync_channel(BLOCKS);
        let (back, spare) = channel();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = thread::Builder::new().name("writer".to_owned());
        let spawned = thread.spawn(move || write(out, &queue, &back, &shared, &rope));
        spawned.map_err(|error| Error::world("thread", reason(&error)))?;
        Ok(Writer { buffer: Vec::with_capacity(2 * BLOCK), blocks: Some(blocks), spare, state })
    }

    /// The bytes that wait to be handed over.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Hands over what waits, if there is room. Whether nothing waits any more: what comes behind
    /// a failure that was told is written nowhere.
    ///
    /// # Errors
    /// When a write has failed.
    pub(crate) fn offer(&mut self) -> Result<bool> {
        // Looked at first: the failure is there before the end.
        let closed = self.is_closed();
        if let Some(failure) = lock(&self.state.failure).take() {
            return Err(failure);
        }
        if closed {
            self.buffer.clear();
            return Ok(true);
        }
        let Some(blocks) = self.blocks.as_ref().filter(|_| !self.buffer.is_empty()) else {
            return Ok(true);
        };
        let spare = self.spare.try_recv().unwrap_or_default();
        let mut block = mem::replace(&mut self.buffer, spare);
        // The second time, whoever made room since the first has said so.
        for _ in 0..2 {
            match blocks.try_send(block) {
                Ok(()) => return Ok(true),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => block = back,
            }
            self.state.wanted.store(true, Ordering::SeqCst);
        }
        self.buffer = block;
        match lock(&self.state.failure).take() {
            Some(failure) => Err(failure),
            None => Ok(false),
        }
    }

    /// Lets the thread close its output behind the last block.
    pub(crate) fn close(&mut self) {
        self.blocks = None;
    }

    /// Whether the output was closed.
    pub(crate) fn is_closed(&self) -> bool {
        *lock(&self.state.closed)
    }

    /// Hands over what waits, closes the output, and waits until that was done, for so long: the
    /// last words of a program that has nothing else to do.
    pub(crate) fn finish(&mut self, time: Duration) {
        let _ = self.offer();
        self.close();
        let closed = lock(&self.state.closed);
        let _ = self.state.closing.wait_timeout_while(closed, time, |closed| !*closed);
    }
}

/// Writes blocks until there is no sender, or a write fails.
fn write(
    mut out: Output,
    queue: &Receiver<Vec<u8>>,
    back: &Sender<Vec<u8>>,
    state: &State,
    rope: &Rope,
) {
    let mut written = Ok(());
    while let Ok(mut block) = queue.recv() {
        mem::swap(out.buffer(), &mut block);
        written = out.flush();
        if written.is_err() {
            break;
        }
        mem::swap(out.buffer(), &mut block);
        // Who does not need it any more need not take it.
        let _ = back.send(block);
        if state.wanted.swap(false, Ordering::SeqCst) {
            rope.ring();
        }
    }
    if let Err(failure) = written.and_then(|()| out.close()) {
        *lock(&state.failure) = Some(failure);
    }
    *lock(&state.closed) = true;
    state.closing.notify_all();
    rope.ring();
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Instant;

    use super::*;
    use crate::bell::Bell;

    #[test]
    fn what_comes_behind_a_failure_waits_for_nobody() {
        let full = File::options().write(true).open("/dev/full").expect("a full device");
        let bell = Bell::new().expect("a bell");
        let mut writer = Writer::over(Output::over(full, "full"), bell.rope()).expect("a thread");
        writer.buffer().extend_from_slice(b"a line\n");
        let deadline = Instant::now() + Duration::from_mins(1);
        while writer.offer().is_ok() {
            assert!(Instant::now() < deadline, "it fails");
            thread::yield_now();
        }
        while !writer.is_closed() {
            assert!(Instant::now() < deadline, "it ends");
            thread::yield_now();
        }
        for _ in 0..=BLOCKS {
            writer.buffer().extend_from_slice(b"another\n");
            assert_eq!(writer.offer(), Ok(true));
            assert!(writer.buffer().is_empty());
        }
    }
}
