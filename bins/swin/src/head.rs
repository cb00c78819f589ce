//! The marks between results of rows that came without any: what `--marks` begins, for the
//! stages that follow.

use pipe::mark::{How, Mark, Partition};

use crate::output::Output;

/// The partition, by the program's name.
const TOPIC: &str = "swin";

/// From one tick to the next.
const TICK_MS: i64 = 100;

/// Writes what a head writes: ticks at multiples of their length since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    next_tick_ms: i64,
}

impl Head {
    /// Begins the stream when it is `now_ms`.
    pub fn begin(now_ms: i64, out: &mut Output) -> Head {
        let partitions = vec![Partition(TOPIC.to_owned(), 0)];
        out.write_marks();
        out.assign(&partitions);
        let stages = vec!["0:swin".to_owned()];
        let tick_ms = TICK_MS.unsigned_abs();
        out.stream.mark(&Mark::Open { epochs: false, tick_ms, stages });
        out.stream.mark(&Mark::Begin {
            group: None,
            generation: None,
            member: None,
            instance: None,
            partitions,
        });
        let mut head = Head { next_tick_ms: i64::MIN };
        head.tick(now_ms, out);
        head
    }

    /// It is `now_ms`: writes a tick, if one is due.
    pub fn tick(&mut self, now_ms: i64, out: &mut Output) {
        if now_ms >= self.next_tick_ms {
            let ms = now_ms.div_euclid(TICK_MS) * TICK_MS;
            out.stream.mark(&Mark::Tick { ms });
            self.next_tick_ms = ms + TICK_MS;
        }
    }

    /// When the next tick is due, in milliseconds since the epoch.
    #[must_use]
    pub fn due(self) -> i64 {
        self.next_tick_ms
    }

    /// Ends the stream, because the input is complete.
    pub fn end(self, out: &mut Output) {
        out.stream.mark(&Mark::End { how: How::Drained });
    }
}
