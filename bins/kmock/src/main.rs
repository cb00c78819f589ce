//! Runs a command with a throw-away Kafka broker.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipe::exit::main("kmock", |args: &kmock::Args| kmock::run(args))
}
