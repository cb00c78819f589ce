//! The command that runs beside the broker.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use pipe::exit::{Code, Error, Result};
use pipe::stdio::reason;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use topic::mock;

/// Runs `command` with the brokers' addresses in its environment and waits for it, passing
/// SIGTERM and SIGHUP on.
pub(crate) fn run(command: &[OsString], addresses: &str) -> Result<Code> {
    let name = command[0].display().to_string();
    // Before the command starts, so that no end and no signal is missed.
    let mut signals = Signals::new([SIGCHLD, SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Error::world("signals", reason(&error)))?;
    let child = Command::new(&command[0])
        .args(&command[1..])
        .env("KPIPE_BROKERS", addresses)
        .env(mock::VARIABLE, "1")
        .spawn()
        .map_err(|error| Error::Failed(start_code(&error), format!("{name}: {}", why(&error))))?;
    let status = wait(child, &mut signals);
    let status = status.map_err(|error| Error::world(&name, reason(&error)))?;
    Ok(code(status))
}

fn wait(mut child: Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    for signal in signals.forever() {
        match signal {
            SIGTERM | SIGHUP => pass_on(&child, signal),
            // The terminal sends SIGINT to the command too; it decides when we end.
            SIGINT => {}
            _ => {
                if let Some(status) = child.try_wait()? {
                    return Ok(status);
                }
            }
        }
    }
    child.wait()
}

fn pass_on(child: &Child, signal: i32) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
        // It fails when the command has just ended, which SIGCHLD tells.
        let _ = kill_process(pid, signal);
    }
}

/// The shell's codes for a command that cannot be started.
fn start_code(error: &io::Error) -> Code {
    Code(if error.kind() == ErrorKind::NotFound { 127 } else { 126 })
}

fn why(error: &io::Error) -> String {
    if error.kind() == ErrorKind::NotFound { "command not found".to_owned() } else { reason(error) }
}

/// The shell's code for how a command ended.
fn code(status: ExitStatus) -> Code {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Code(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_command_has_128_and_the_signal() {
        assert_eq!(code(ExitStatus::from_raw(0)), Code(0));
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), Code(3));
        assert_eq!(code(ExitStatus::from_raw(15)), Code(143));
    }
}
