//! A Kafka topic to stdout, offsets committed only for what stdout accepted.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipe::exit::main("kcons", |args: &kcons::Args| kcons::run(args))
}
