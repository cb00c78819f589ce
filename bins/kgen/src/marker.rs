//! The marks between the rows, as the head of a pipeline writes them for one partition of which
//! this program is the only reader.

use pipe::mark::{Barrier, How, Last, Mark, Partition, Position};

use crate::part::Shard;

/// The partition, by the program's name.
const TOPIC: &str = "kgen";
/// Who reads it, under epochs.
const MEMBER: &str = "kgen";
const GENERATION: i32 = 1;

/// Writes marks in the order of time, before the rows of the same millisecond.
///
/// Ticks and barriers stand at multiples of their lengths since 1970, a tick before a barrier;
/// so what is written hangs on the times of the rows only.
#[derive(Clone, Debug)]
pub struct Marker {
    tick_ms: i64,
    next_tick_ms: i64,
    epochs: Option<Epochs>,
    partition: i32,
    /// The offset of the first row.
    first: u64,
}

#[derive(Clone, Debug)]
struct Epochs {
    every_ms: i64,
    next_ms: i64,
    /// The number of the epoch that is open, from 1.
    number: u64,
    /// Its first row.
    first: u64,
}

impl Marker {
    /// A marker of a stream that starts at `start_ms`, with ticks and perhaps barriers in
    /// distances of more than 0 milliseconds. Each shard is a partition of its own; the rows of
    /// this one start at the offset `first`.
    #[must_use]
    pub fn new(
        start_ms: i64,
        tick_ms: i64,
        epoch_ms: Option<i64>,
        shard: Shard,
        first: u64,
    ) -> Marker {
        let epochs = epoch_ms.map(|every_ms| Epochs {
            every_ms,
            next_ms: multiple(start_ms, every_ms) + every_ms,
            number: 1,
            first: 0,
        });
        let partition = i32::try_from(shard.index).unwrap_or(i32::MAX);
        let next_tick_ms = multiple(start_ms, tick_ms);
        Marker { tick_ms, next_tick_ms, epochs, partition, first }
    }

    /// Appends what stands before the first row: `open`, `begin`, under epochs `restored`, `from`
    /// and a tick.
    pub fn open(&mut self, out: &mut Vec<u8>) {
        let epochs = self.epochs.is_some();
        let tick_ms = self.tick_ms.unsigned_abs();
        Mark::Open { epochs, tick_ms, stages: Vec::new() }.write(out);
        let begin = Mark::Begin {
            group: None,
            generation: epochs.then_some(GENERATION),
            member: epochs.then(|| MEMBER.to_owned()),
            instance: None,
            partitions: vec![self.partition()],
        };
        begin.write(out);
        if epochs {
            Mark::Restored { count: 0, offsets: self.positions(0) }.write(out);
        }
        self.tick(out);
        Mark::From { at: self.partition(), offset: Some(self.offset(0)) }.write(out);
    }

    /// The time of the next mark.
    #[inline]
    #[must_use]
    pub fn next_ms(&self) -> i64 {
        let barrier_ms = self.epochs.as_ref().map_or(i64::MAX, |epochs| epochs.next_ms);
        self.next_tick_ms.min(barrier_ms)
    }

    /// Appends the marks up to the time `ms`, when `written` rows stand before them; whether there
    /// are any.
    #[inline]
    pub fn advance(&mut self, ms: i64, written: u64, out: &mut Vec<u8>) -> bool {
        let due = self.next_ms() <= ms;
        if due {
            self.write_until(ms, written, out);
        }
        due
    }

    fn write_until(&mut self, ms: i64, next: u64, out: &mut Vec<u8>) {
        while self.next_ms() <= ms {
            if self.next_tick_ms == self.next_ms() {
                self.tick(out);
            } else {
                self.barrier(next, None, out);
            }
        }
    }

    /// Appends what stands behind the last of the rows, of which there were `written`.
    pub fn end(&mut self, how: How, written: u64, out: &mut Vec<u8>) {
        let last = match how {
            How::Drained => Last::Drained,
            How::Stopped => Last::Stopped,
        };
        self.barrier(written, Some(last), out);
        Mark::End { how }.write(out);
    }

    fn tick(&mut self, out: &mut Vec<u8>) {
        Mark::Tick { ms: self.next_tick_ms }.write(out);
        self.next_tick_ms += self.tick_ms;
    }

    fn barrier(&mut self, next: u64, last: Option<Last>, out: &mut Vec<u8>) {
        let offsets = self.positions(next);
        let Some(epochs) = &mut self.epochs else { return };
        let barrier = Barrier {
            epoch: epochs.number,
            lines: next - epochs.first,
            group: None,
            generation: GENERATION,
            member: MEMBER.to_owned(),
            instance: None,
            offsets,
            last,
        };
        Mark::Barrier(barrier).write(out);
        epochs.number += 1;
        epochs.first = next;
        epochs.next_ms += epochs.every_ms;
    }

    fn partition(&self) -> Partition {
        Partition(TOPIC.to_owned(), self.partition)
    }

    /// The offset behind so many rows.
    fn offset(&self, written: u64) -> i64 {
        i64::try_from(self.first.saturating_add(written)).unwrap_or(i64::MAX)
    }

    fn positions(&self, written: u64) -> Vec<Position> {
        vec![Position(TOPIC.to_owned(), self.partition, self.offset(written))]
    }
}

/// The greatest multiple of `every_ms` that is not after `ms`.
fn multiple(ms: i64, every_ms: i64) -> i64 {
    ms.div_euclid(every_ms) * every_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(start_ms: i64, tick_ms: i64, epoch_ms: Option<i64>) -> Marker {
        Marker::new(start_ms, tick_ms, epoch_ms, Shard::WHOLE, 0)
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8").replace('\x1e', "")
    }

    #[test]
    fn a_stream_opens_as_kcons_opens_it() {
        let opening = text(|out| marker(1_234, 100, None).open(out));
        let want = "\
            {\"kpipe\":1,\"mark\":\"open\",\"epochs\":false,\"tick_ms\":100,\"stages\":[]}\n\
            {\"mark\":\"begin\",\"group\":null,\"partitions\":[[\"kgen\",0]]}\n\
            {\"mark\":\"tick\",\"ms\":1200}\n\
            {\"mark\":\"from\",\"at\":[\"kgen\",0],\"offset\":0}\n";
        assert_eq!(opening, want);
    }

    #[test]
    fn under_epochs_a_member_begins_and_nothing_is_restored() {
        let opening = text(|out| marker(1_234, 100, Some(1_000)).open(out));
        assert!(opening.contains("\"epochs\":true"), "{opening}");
        assert!(opening.contains("\"generation\":1,\"member\":\"kgen\""), "{opening}");
        let restored = "{\"mark\":\"restored\",\"count\":0,\"offsets\":[[\"kgen\",0,0]]}\n";
        assert!(opening.contains(restored), "{opening}");
    }

    #[test]
    fn ticks_and_barriers_stand_at_multiples_in_order() {
        let mut marker = marker(1_250, 100, Some(150));
        marker.open(&mut Vec::new());
        let marks = text(|out| {
            marker.advance(1_500, 7, out);
        });
        let order: Vec<_> = marks
            .split_terminator('\n')
            .map(|mark| if mark.contains("tick") { &mark[20..24] } else { "barrier" })
            .collect();
        assert_eq!(order, ["1300", "barrier", "1400", "1500", "barrier"]);
        assert_eq!(marker.next_ms(), 1_600);
    }

    #[test]
    fn a_barrier_counts_the_lines_of_its_epoch() {
        let mut marker = marker(0, 1_000, Some(100));
        marker.open(&mut Vec::new());
        let marks = text(|out| {
            marker.advance(100, 7, out);
            marker.advance(200, 7, out);
            marker.end(How::Stopped, 9, out);
        });
        let marks: Vec<_> = marks.split_terminator('\n').collect();
        let counts =
            ["\"epoch\":1,\"lines\":7,", "\"epoch\":2,\"lines\":0,", "\"epoch\":3,\"lines\":2,"];
        for (mark, count) in marks.iter().zip(counts) {
            assert!(mark.contains(count), "{mark}");
        }
        assert!(marks[2].ends_with("\"offsets\":[[\"kgen\",0,9]],\"last\":\"stopped\"}"));
        assert_eq!(marks[3], "{\"mark\":\"end\",\"how\":\"stopped\"}");
    }

    #[test]
    fn times_before_1970_are_rounded_down() {
        assert_eq!((multiple(-1, 100), multiple(-100, 100), multiple(99, 100)), (-100, -100, 0));
    }
}
