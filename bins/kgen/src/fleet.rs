//! What many machines do, simulated: `1735689600000,host7,34.18,52.07`, as of one machine.
//!
//! The machines report in turn. What one reports hangs on the seed, its number, the row and the
//! time alone:
//!
//! - Its load follows the day of its region, one of [`REGIONS`] that lie 8 hours apart: low in the
//!   night, with peaks at noon and in the evening. Machines differ in how much load they have.
//! - It wavers in minutes and from reading to reading.
//! - Memory follows a part of the load.
//! - On one day of ten a machine fails once: within an hour its memory fills up and its CPU with
//!   it, then it is down for 10 minutes, and reads 0.00 in both.

use crate::draw::{Draws, Fraction};
use crate::form::{Column, Form, Frame};

const COLUMNS: [Column; 3] = [Column::text("host"), Column::number("cpu"), Column::number("mem")];

/// Load in percent of the day's greatest, at each full hour.
const DAY: [i64; 24] = [
    34, 26, 20, 16, 15, 18, 26, 40, 58, 72, 82, 88, 92, 88, 84, 82, 80, 82, 88, 96, 100, 92, 72, 50,
];

/// How many regions there are.
pub const REGIONS: u64 = 3;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Load wavers from one of these times to the next.
const WAVE_MS: i64 = 300_000;
/// How long the memory fills up before a machine fails.
const LEAK_MS: i64 = HOUR_MS;
/// How long a machine is down.
pub const DOWN_MS: i64 = 600_000;
/// On one day of so many a machine fails.
pub const FAIL_DAYS: u64 = 10;

/// Streams of draws: what a machine is like, how it wavers, and on which days it fails.
const KIND_STREAM: u64 = 6;
const WAVE_STREAM: u64 = 7;
const FAIL_STREAM: u64 = 8;

/// All shares are in hundredths of a percent.
const FULL: i64 = 10_000;

/// A machine's habits, in hundredths of a percent.
#[derive(Clone, Copy, Debug)]
struct Habits {
    /// CPU without load, and what the day's greatest load adds.
    cpu: [i64; 2],
    /// The same of the memory.
    mem: [i64; 2],
    /// How far its day is behind that of Greenwich.
    behind_ms: i64,
}

/// What a machine does at a time, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The CPU in use.
    pub cpu: i64,
    /// The memory in use.
    pub mem: i64,
}

/// The rows of the profile `fleet`.
#[derive(Debug)]
pub struct Fleet {
    frame: Frame,
    hosts: u64,
    kinds: Draws<5>,
    waves: Draws<1>,
    fails: Draws<2>,
    jitter: Draws<1>,
}

impl Fleet {
    /// The rows of `hosts` machines, at least one.
    #[must_use]
    pub fn new(seed: u64, form: Form, hosts: u64) -> Fleet {
        Fleet {
            frame: Frame::new(form, ",", true, &COLUMNS),
            hosts,
            kinds: Draws::new(seed, KIND_STREAM),
            waves: Draws::new(seed, WAVE_STREAM),
            fails: Draws::new(seed, FAIL_STREAM),
            jitter: Draws::new(seed, 0),
        }
    }

    /// What stands around the values.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Appends `row`, which has the time `ms`.
    pub fn write(&mut self, row: u64, ms: i64, out: &mut Vec<u8>) {
        let host = row % self.hosts;
        let load = self.load(row, host, ms);
        self.frame.write_time(ms, out);
        out.extend_from_slice(self.frame.before(0).as_bytes());
        out.extend_from_slice(b"host");
        out.extend_from_slice(itoa::Buffer::new().format(host + 1).as_bytes());
        for (at, share) in [(1, load.cpu), (2, load.mem)] {
            out.extend_from_slice(self.frame.before(at).as_bytes());
            write_share(share, out);
        }
        out.extend_from_slice(self.frame.before(3).as_bytes());
    }

    /// What `host` does at `ms`, as `row` reports.
    pub fn load(&mut self, row: u64, host: u64, ms: i64) -> Load {
        let habits = self.habits(host);
        let local_ms = ms.saturating_sub(habits.behind_ms);
        let day = of_day(local_ms) + self.wave(host, ms);
        let [mut draw] = self.jitter.of_row(row);
        let cpu_jitter = between(&mut draw, -150, 301);
        let mem_jitter = between(&mut draw, -15, 31);
        let of = |[base, span]: [i64; 2], jitter| base + span * day / FULL + jitter;
        let (cpu, mem) = (of(habits.cpu, cpu_jitter), of(habits.mem, mem_jitter));
        match self.since_failing(host, ms) {
            Some(since_ms) if since_ms >= LEAK_MS => Load { cpu: 0, mem: 0 },
            Some(since_ms) => {
                // Memory fills evenly; a machine without memory is busy with nothing else.
                let filled = (FULL - mem) * since_ms / LEAK_MS;
                let busy = (FULL - cpu) * (since_ms - LEAK_MS / 2).max(0) / (LEAK_MS / 2);
                Load { cpu: (cpu + busy).clamp(0, FULL), mem: (mem + filled).clamp(0, FULL) }
            }
            None => Load { cpu: cpu.clamp(0, FULL), mem: mem.clamp(0, FULL) },
        }
    }

    fn habits(&mut self, host: u64) -> Habits {
        let [mut cpu, mut cpu_span, mut mem, mut mem_span, mut region] = self.kinds.of_row(host);
        Habits {
            cpu: [between(&mut cpu, 300, 900), between(&mut cpu_span, 2_000, 5_000)],
            mem: [between(&mut mem, 2_000, 3_000), between(&mut mem_span, 500, 2_500)],
            behind_ms: between(&mut region, 0, REGIONS) * 8 * HOUR_MS,
        }
    }

    /// How far the load of a machine is from that of the day: up to 10 % more or less, straight
    /// from one drawn value to the next.
    fn wave(&mut self, host: u64, ms: i64) -> i64 {
        let step = ms.div_euclid(WAVE_MS);
        let mut at = |step: i64| {
            let [mut draw] = self.waves.of_row(place(host, self.hosts, step));
            draw.below(2_001).cast_signed() - 1_000
        };
        let (from, to) = (at(step), at(step + 1));
        from + (to - from) * ms.rem_euclid(WAVE_MS) / WAVE_MS
    }

    /// For how long a machine has been failing, when it is.
    fn since_failing(&mut self, host: u64, ms: i64) -> Option<i64> {
        let day = ms.div_euclid(DAY_MS);
        let [mut fails, mut at] = self.fails.of_row(place(host, self.hosts, day));
        let latest_ms = (DAY_MS - LEAK_MS - DOWN_MS).unsigned_abs();
        let start_ms = at.below(latest_ms).cast_signed();
        let since_ms = ms.rem_euclid(DAY_MS) - start_ms;
        let failing = fails.below(FAIL_DAYS) == 0 && (0..LEAK_MS + DOWN_MS).contains(&since_ms);
        failing.then_some(since_ms)
    }
}

/// One of `count` whole numbers, the first of which is `least`.
fn between(draw: &mut Fraction, least: i64, count: u64) -> i64 {
    least + draw.below(count).cast_signed()
}

/// A number of its own for each machine and each step of time.
fn place(host: u64, hosts: u64, step: i64) -> u64 {
    step.cast_unsigned().wrapping_mul(hosts).wrapping_add(host)
}

/// The load of a day at a local time, in hundredths of a percent of its greatest.
fn of_day(ms: i64) -> i64 {
    let since_ms = ms.rem_euclid(DAY_MS);
    let hour = usize::try_from(since_ms / HOUR_MS).unwrap_or(0);
    let (from, to) = (DAY[hour] * 100, DAY[(hour + 1) % 24] * 100);
    from + (to - from) * (since_ms % HOUR_MS) / HOUR_MS
}

/// Appends a share of hundredths of a percent, in percent.
fn write_share(share: i64, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(share / 100).as_bytes());
    out.push(b'.');
    // A one in front keeps the zeros behind it.
    let digits = buffer.format(100 + share % 100).as_bytes();
    out.extend_from_slice(&digits[1..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chi_square::{assert_shares, assert_uniform};

    /// 2025-01-01T00:00:00Z.
    const START_MS: i64 = 1_735_689_600_000;

    fn mean(loads: &[i64]) -> i64 {
        loads.iter().sum::<i64>() / i64::try_from(loads.len()).expect("few").max(1)
    }

    #[test]
    fn machines_report_in_turn_in_every_form() {
        let mut fleet = Fleet::new(1, Form::Json, 2);
        let mut out = Vec::new();
        (0..3).for_each(|row| fleet.write(row, 5, &mut out));
        let text = String::from_utf8(out).expect("ASCII");
        let hosts: Vec<_> = text.split_terminator('\n').map(|row| &row[8..22]).collect();
        assert_eq!(hosts, ["\"host\":\"host1\"", "\"host\":\"host2\"", "\"host\":\"host1\""]);
        let mut out = Vec::new();
        write_share(1_205, &mut out);
        write_share(7, &mut out);
        write_share(FULL, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "12.050.07100.00");
    }

    #[test]
    fn load_follows_the_day_of_the_region() {
        let mut fleet = Fleet::new(1, Form::Text, 300);
        for behind in 0..3 {
            let mut loads = |hour: i64| {
                let ms = START_MS + (hour + 8 * behind) * HOUR_MS;
                let there = (0..300).filter(|host| {
                    fleet.kinds.of_row(*host)[4].below(REGIONS) == behind.unsigned_abs()
                });
                let there: Vec<u64> = there.collect();
                let loads = there.iter().map(|host| fleet.load(*host, *host, ms).cpu);
                mean(&loads.collect::<Vec<_>>())
            };
            let (night, noon, evening) = (loads(4), loads(12), loads(20));
            assert!(night * 2 < noon && noon < evening, "{night} {noon} {evening}");
        }
    }

    #[test]
    fn a_machine_is_much_as_it_was_a_second_ago() {
        let mut fleet = Fleet::new(1, Form::Text, 1);
        let loads: Vec<_> = (0..3_600)
            .map(|row| fleet.load(row, 0, START_MS + row.cast_signed() * 1_000))
            .collect();
        for pair in loads.windows(2) {
            assert!((pair[0].cpu - pair[1].cpu).abs() < 400, "{pair:?}");
            assert!((pair[0].mem - pair[1].mem).abs() < 100, "{pair:?}");
        }
    }

    #[test]
    fn one_machine_of_ten_fails_each_day() {
        let mut fleet = Fleet::new(7, Form::Text, 2_000);
        let mut counts = [0; 2];
        let mut hours = [0; 6];
        for host in 0..2_000 {
            // A machine that is down for ten minutes is seen twice at five.
            let down = (0..288).filter(|at| {
                fleet.load(host, host, START_MS + at * 300_000) == Load { cpu: 0, mem: 0 }
            });
            let down: Vec<i64> = down.collect();
            assert!([0, 2].contains(&down.len()), "{down:?}");
            counts[usize::from(!down.is_empty())] += 1;
            if let Some(at) = down.first() {
                // From 01:00, when the first memory may be full.
                hours[usize::try_from((at - 12) * 6 / 276).expect("after the leak")] += 1;
            }
        }
        assert_shares("machines", &counts, &[0.9, 0.1]);
        assert_uniform("hours", &hours);
    }

    #[test]
    fn before_it_is_down_its_memory_is_full() {
        let mut fleet = Fleet::new(7, Form::Text, 100);
        let (host, start_ms) = (0..100)
            .find_map(|host| {
                let [mut fails, mut at] = fleet.fails.of_row(place(host, 100, START_MS / DAY_MS));
                let start = at.below((DAY_MS - LEAK_MS - DOWN_MS).unsigned_abs()).cast_signed();
                (fails.below(FAIL_DAYS) == 0).then_some((host, START_MS + start))
            })
            .expect("one of ten");
        let mut at = |ms: i64| fleet.load(host, host, start_ms + ms);
        let (before, full, down) = (at(-1), at(LEAK_MS - 1), at(LEAK_MS));
        assert!(full.mem > 9_900 && full.cpu > 9_700, "{full:?}");
        assert!(before.mem < 9_000, "{before:?}");
        assert_eq!((down, at(LEAK_MS + DOWN_MS - 1)), (Load { cpu: 0, mem: 0 }, down));
        assert!(at(LEAK_MS + DOWN_MS).mem > 0, "it is back");
    }
}
