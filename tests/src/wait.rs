//! Waiting with a deadline.

use std::io::Read;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// What every wait of a test ends after, unless it says otherwise: far more than is needed, also on
/// a slow machine that does much else.
pub const LONG: Duration = Duration::from_mins(3);

/// What a message may take that has to come soon, and not after a timeout of the client's own
/// (60 s and more): enough for a slow machine.
pub const SOON: Duration = Duration::from_secs(30);

/// Time left until `deadline`.
#[must_use]
pub fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Whether `fd` has something to read, or has ended, before `deadline`.
///
/// # Panics
/// When the descriptor cannot be polled.
#[must_use]
pub fn readable(fd: &impl AsFd, deadline: Instant) -> bool {
    let wait = Timespec::try_from(left(deadline)).expect("a short time");
    let ready = poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&wait));
    ready.expect("the descriptor can be polled") > 0
}

/// Whether the process has ended before `deadline`. It is still to be reaped.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn ended(pid: Pid, deadline: Instant) -> bool {
    let fd = pidfd_open(pid, PidfdFlags::empty()).expect("the process is there");
    readable(&fd, deadline)
}

/// Looks again and again until `holds`, for what the system has no event for.
///
/// # Panics
/// After [`LONG`], with `what`.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        // Whoever looks without a pause takes the processor from the program that is looked at.
        pass(Duration::from_millis(1));
    }
}

/// Lets `time` pass, where its passing is what is tested and no event could tell.
pub fn pass(time: Duration) {
    thread::sleep(time);
}

/// Runs `attempt` until it takes less than `limit` once. Load may slow some attempts, what always
/// waits for longer than that slows all.
///
/// # Panics
/// When none of ten is so fast, with `what`.
pub fn fast(what: &str, limit: Duration, mut attempt: impl FnMut()) {
    let mut is_fast = || {
        let start = Instant::now();
        attempt();
        start.elapsed() < limit
    };
    assert!((0..10).any(|_| is_fast()), "never within {limit:?}: {what}");
}

/// Reads to the end of `from`, at most until `deadline`; whether the end came.
///
/// # Panics
/// When a read fails.
pub fn read_all(from: &mut (impl Read + AsFd), into: &mut Vec<u8>, deadline: Instant) -> bool {
    let mut block = vec![0; 1 << 16];
    while readable(from, deadline) {
        match from.read(&mut block).expect("a pipe can be read") {
            0 => return true,
            bytes => into.extend_from_slice(&block[..bytes]),
        }
    }
    false
}

/// The time in milliseconds since the epoch.
///
/// # Panics
/// When the clock is before that.
#[must_use]
pub fn now_ms() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    u64::try_from(time.as_millis()).expect("it is not that late")
}
