//! A pipe that runs under kloop, with all its processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kpipe_tests::live::Live;
use kpipe_tests::wait::LONG;
use rustix::process::{Pid, Signal, kill_process};

/// What a storm may hit. The rest are shells, and commands of keach.
const PROGRAMS: [&str; 5] = ["kcons", "swin", "topk", "keach", "ksink"];

/// A running copy of a pipe. All its processes are killed when it is dropped.
pub(crate) struct Copy {
    /// Until it has ended.
    kloop: Option<Live>,
    log: PathBuf,
}

/// A process, as the system shows it.
struct Process {
    id: i32,
    parent: i32,
    name: String,
}

impl Copy {
    /// Starts `pipe` under kloop. What it says is added to the file `log`.
    pub(crate) fn start(pipe: &str, brokers: &str, log: &Path) -> Copy {
        let mut command = Command::new("bash");
        command.args(["-c", r#"KPIPE_BROKERS=$3 exec kloop -c "$1" 2>>"$2""#, "-", pipe]);
        command.arg(log).arg(brokers);
        Copy { kloop: Some(Live::command(command)), log: log.to_owned() }
    }

    /// Its programs, in the order of the pipe.
    pub(crate) fn programs(&self) -> Vec<(Pid, String)> {
        let mut all = self.processes();
        all.retain(|process| PROGRAMS.contains(&process.name.as_str()));
        all.sort_by_key(|process| process.id);
        all.into_iter().filter_map(|one| Some((Pid::from_raw(one.id)?, one.name))).collect()
    }

    /// All that descends from its kloop.
    fn processes(&self) -> Vec<Process> {
        let mut all = processes();
        let id = self.kloop.as_ref().map(Live::id).and_then(|id| i32::try_from(id).ok());
        let mut parents = Vec::from_iter(id);
        let mut found = Vec::new();
        while let Some(parent) = parents.pop() {
            let (children, rest) = all.into_iter().partition(|process| process.parent == parent);
            all = rest;
            parents.extend(children.iter().map(|child: &Process| child.id));
            found.extend(children);
        }
        found
    }

    /// Whether it goes on.
    pub(crate) fn goes_on(&self) -> bool {
        self.kloop.as_ref().is_some_and(|kloop| !kloop.ends_within(Duration::ZERO))
    }

    /// Asks it to end; its exit code.
    ///
    /// # Panics
    /// When it goes on.
    pub(crate) fn end(mut self) -> Option<i32> {
        let kloop = self.kloop.as_mut().expect("it runs");
        kloop.signal(Signal::TERM);
        assert!(kloop.ends_within(LONG), "it goes on: {}", said(&self.log));
        self.kloop.take().and_then(|kloop| kloop.end().code())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Stopped from the top, so that none starts another one that is then nobody's child.
        let Some(kloop) = &self.kloop else { return };
        kloop.signal_at_once(Signal::STOP);
        let mut stopped = 0;
        loop {
            let all = self.processes();
            let signal = if all.len() == stopped { Signal::KILL } else { Signal::STOP };
            for id in all.iter().filter_map(|process| Pid::from_raw(process.id)) {
                let _ = kill_process(id, signal);
            }
            if all.len() == stopped {
                return;
            }
            stopped = all.len();
        }
    }
}

/// The end of what copies said.
pub(crate) fn said(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn processes() -> Vec<Process> {
    let folders = fs::read_dir("/proc").expect("processes").flatten();
    folders.filter_map(|folder| process(&folder.path())).collect()
}

/// The process of which this is the folder; none, when it has ended.
fn process(folder: &Path) -> Option<Process> {
    let id = folder.file_name()?.to_str()?.parse().ok()?;
    // Its id, its name in brackets, its state, its parent.
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let (start, rest) = stat.rsplit_once(") ")?;
    let name = start.split_once('(')?.1.to_owned();
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(Process { id, parent, name })
}
