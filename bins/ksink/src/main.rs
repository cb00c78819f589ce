//! `ksink`, from a pipeline to a topic.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipe::exit::main("ksink", |args: &ksink::Args| ksink::run(args))
}
