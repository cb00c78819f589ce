//! The cores of topk: the K first of all rows, and of the last row of each key; 100,000 rows.

use divan::Bencher;
use divan::counter::ItemsCount;
use row::value::Number;
use topk::best::Bests;
use topk::kept::Offer;
use topk::latest::Latest;
use topk::ledger::{Ledger, Limits};
use topk::score::{Order, Score};

const ROWS: u64 = 100_000;
const LIMITS: Limits = Limits { rows: 1_000_000, bytes: 1 << 30 };

fn main() {
    divan::main();
}

/// Has `each` see rows whose scores are in no order.
fn offers(keys: u64, mut each: impl FnMut(&Offer<'_>)) {
    for arrival in 0..ROWS {
        let mixed = arrival.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let score = Score::of_number(Number::Int(i64::try_from(mixed).unwrap_or(i64::MAX)));
        let bytes = (mixed % keys).to_be_bytes();
        let (group, window, partition) = (0, None, None);
        each(&Offer { score, key: &bytes, group, line: &bytes, window, partition, arrival });
    }
}

#[divan::bench(args = [10, 1_000])]
fn best(bencher: Bencher<'_, '_>, k: usize) {
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        let mut ledger = Ledger::new(LIMITS, true);
        let mut best = Bests::new(k, Order::Greatest);
        offers(ROWS, |offer| {
            if best.admits(&offer.score, true) {
                best.offer(offer, &mut ledger).expect("within the limits");
            }
        });
        best.first().len()
    });
}

#[divan::bench(args = [100, 100_000])]
fn latest(bencher: Bencher<'_, '_>, keys: u64) {
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        let mut ledger = Ledger::new(LIMITS, true);
        let mut latest = Latest::default();
        offers(keys, |offer| latest.set(offer, &mut ledger).expect("within the limits"));
        latest
    });
}

#[divan::bench(args = [10, 1_000])]
fn first_of_latest(bencher: Bencher<'_, '_>, k: usize) {
    let mut ledger = Ledger::new(LIMITS, true);
    let mut latest = Latest::default();
    offers(ROWS, |offer| latest.set(offer, &mut ledger).expect("within the limits"));
    bencher.bench_local(|| latest.first(k, Order::Greatest).len());
}
