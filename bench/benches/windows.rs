//! swin from lines to lines, without the pipes: 100,000 rows in order of time, 1,000 a second.

use clap::Parser as _;
use divan::Bencher;
use divan::counter::ItemsCount;
use swin::Args;
use swin::output::Output;
use swin::stage::Stage;

const ROWS: usize = 100_000;

fn main() {
    divan::main();
}

/// `ms,key,value`; keys come in no order.
fn lines(keys: usize) -> Vec<Vec<u8>> {
    let line = |at: usize| {
        let key = at.wrapping_mul(2_654_435_761) % 1_000_003 % keys;
        format!("{},k{key:05},{}", 1_735_689_600_000 + at, at % 10).into_bytes()
    };
    (0..ROWS).map(line).collect()
}

fn stage(window: &str, aggregates: &[&str]) -> (Stage, Output) {
    let fixed = ["swin", "-o", "text", "--time", "$1", "--by", "$2"];
    let args = fixed.into_iter().chain(window.split(' ')).chain(aggregates.iter().copied());
    let args = Args::try_parse_from(args).expect("options of swin");
    args.assemble(false).expect("options of swin")
}

fn run(bencher: Bencher<'_, '_>, window: &str, aggregates: &[&str], keys: usize) {
    let lines = lines(keys);
    bencher.counter(ItemsCount::new(ROWS)).with_inputs(|| stage(window, aggregates)).bench_values(
        |(mut stage, mut out)| {
            for (line, number) in lines.iter().zip(1..) {
                stage.data(number, line, &mut out).expect("a row");
            }
            stage.finish(0, &mut out).expect("an end");
            std::mem::take(&mut out.stream.bytes)
        },
    );
}

const COUNT_AND_SUM: [&str; 2] = ["count(*)", "sum($3)"];

#[divan::bench(args = [1, 100, 100_000])]
fn tumble(bencher: Bencher<'_, '_>, keys: usize) {
    run(bencher, "--tumble 10s", &COUNT_AND_SUM, keys);
}

#[divan::bench(args = ["60s/10s", "60s/1s", "60s/100ms"])]
fn hop(bencher: Bencher<'_, '_>, window: &str) {
    run(bencher, &format!("--hop {window}"), &COUNT_AND_SUM, 100);
}

#[divan::bench(args = [
    "--session 300ms",
    "--range 10s",
    "--cumulate 60s/1s",
    "--rows 100/10",
    "--running",
    "--running --every 1s",
])]
fn window(bencher: Bencher<'_, '_>, window: &str) {
    run(bencher, window, &COUNT_AND_SUM, 100);
}

#[divan::bench(args = ["count(*)", "sum($3)", "avg($3)", "min($3)", "stddev_pop($3)",
    "approx_percentile($3, 0.95)", "count(distinct $3)", "sum(0.8*$3 + $1)"])]
fn aggregate(bencher: Bencher<'_, '_>, aggregate: &str) {
    run(bencher, "--tumble 10s", &[aggregate], 100);
}
