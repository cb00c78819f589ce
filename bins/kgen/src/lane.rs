//! Rows on their way: each arrives at a time of its own, and those that arrive at the same time
//! do so in the order in which they happened.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A row on its way; ordered by when it arrives, then by when it happened, a copy behind its row.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    arrival_ms: i64,
    row: u64,
    copy: bool,
    line: Vec<u8>,
}

/// Rows that were sent and have not arrived. Holds no more of them than are on their way at a
/// time.
#[derive(Debug, Default)]
pub struct Lane {
    sent: BinaryHeap<Reverse<Sent>>,
    /// Lines of rows that have arrived, to be filled again.
    spare: Vec<Vec<u8>>,
}

impl Lane {
    /// Sends the line of `row`, or a `copy` of it, to arrive at `arrival_ms`.
    pub fn send(&mut self, row: u64, copy: bool, arrival_ms: i64, line: &[u8]) {
        let mut own = self.spare.pop().unwrap_or_default();
        own.clear();
        own.extend_from_slice(line);
        self.sent.push(Reverse(Sent { arrival_ms, row, copy, line: own }));
    }

    /// When the next row arrives.
    #[must_use]
    pub fn next_ms(&self) -> Option<i64> {
        self.sent.peek().map(|Reverse(sent)| sent.arrival_ms)
    }

    /// Hands the next row over to `take`, with its time, when it arrives by `ms`; whether one did.
    pub fn arrive(&mut self, ms: i64, take: impl FnOnce(i64, &[u8])) -> bool {
        if self.next_ms().is_none_or(|next_ms| next_ms > ms) {
            return false;
        }
        let Some(Reverse(sent)) = self.sent.pop() else { return false };
        take(sent.arrival_ms, &sent.line);
        self.spare.push(sent.line);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_arrive_by_time_then_in_order_then_copies() {
        let mut lane = Lane::default();
        for (row, copy, ms) in [(0, false, 5), (1, true, 3), (1, false, 3), (2, false, 3)] {
            lane.send(row, copy, ms, format!("{row}{copy} ").as_bytes());
        }
        let mut text = Vec::new();
        let mut until = |ms| while lane.arrive(ms, |_, line| text.extend_from_slice(line)) {};
        until(2);
        until(4);
        assert_eq!(lane.next_ms(), Some(5));
        let mut until = |ms| while lane.arrive(ms, |_, line| text.extend_from_slice(line)) {};
        until(5);
        assert_eq!(String::from_utf8_lossy(&text), "1false 1true 2false 0false ");
        assert_eq!(lane.next_ms(), None);
    }
}
