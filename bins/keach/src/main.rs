//! `keach`, a command over the lines of each epoch.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipe::exit::main("keach", |args: &keach::Args| keach::run(args))
}
