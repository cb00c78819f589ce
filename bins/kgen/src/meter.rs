//! This machine, measured.

use std::time::{Duration, Instant};

use sysinfo::{
    CpuRefreshKind, MINIMUM_CPU_UPDATE_INTERVAL, MemoryRefreshKind, RefreshKind, System,
};

use crate::host::{Meter, Reading};

/// Measures this machine. CPU is what was used between two samples, so the first reading is right
/// only after [`Machine::settles_in`]; readings in quick succession repeat the first of them.
#[derive(Debug)]
pub struct Machine {
    system: System,
    sampled: Instant,
    reading: Reading,
}

impl Machine {
    /// Takes the first sample.
    ///
    /// # Errors
    /// When the system does not say what it does.
    pub fn new() -> Result<Machine, String> {
        let cpu = CpuRefreshKind::nothing().with_usage();
        let memory = MemoryRefreshKind::nothing().with_ram();
        let kind = RefreshKind::nothing().with_cpu(cpu).with_memory(memory);
        let system = System::new_with_specifics(kind).map_err(|error| error.to_string())?;
        if system.cpus().is_empty() || system.total_memory() == 0 {
            return Err("the system does not say what it does".to_owned());
        }
        Ok(Machine { system, sampled: Instant::now(), reading: Reading::default() })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        System::host_name().unwrap_or_else(|_| "localhost".to_owned())
    }

    /// How long to wait for the next sample.
    #[must_use]
    pub fn settles_in(&self) -> Duration {
        MINIMUM_CPU_UPDATE_INTERVAL.saturating_sub(self.sampled.elapsed())
    }
}

impl Meter for Machine {
    fn read(&mut self) -> Reading {
        if self.settles_in().is_zero() {
            self.system.refresh_cpu_usage();
            self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
            self.sampled = Instant::now();
            self.reading = Reading {
                cpu_percent: self.system.global_cpu_usage().clamp(0.0, 100.0),
                mem_percent: percent(self.system.used_memory(), self.system.total_memory()),
            };
        }
        self.reading
    }
}

/// How much `part` is of `whole`, to a hundredth of a percent.
fn percent(part: u64, whole: u64) -> f32 {
    let hundredths = (u128::from(part) * 10_000).checked_div(u128::from(whole)).unwrap_or(0);
    f32::from(u16::try_from(hundredths).unwrap_or(10_000)) / 100.0
}

#[test]
fn a_percentage_has_two_decimals() {
    let text = |part, whole| format!("{:.2}", percent(part, whole));
    assert_eq!(text(1, 3), "33.33");
    assert_eq!((text(0, 5), text(5, 5)), ("0.00".to_owned(), "100.00".to_owned()));
    assert_eq!((text(0, 0), text(1 << 60, 1 << 62)), ("0.00".to_owned(), "25.00".to_owned()));
}
