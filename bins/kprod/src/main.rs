//! `kprod`, from stdin to a topic.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipe::exit::main("kprod", |args: &kprod::Args| kprod::run(args))
}
