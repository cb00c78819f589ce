//! What was read live is kept as it came, and gives the same bytes again.

use kpipe_tests::kafka::Kafka;
use kpipe_tests::run::Run;

/// Windows of arrival time, so that all hangs on the ticks of the one reading. What was cut short
/// gives the same up to there.
const SCRIPT: &str = r"
    pipe() { swin -F'|' --by '$1 as page' --tumble 200ms 'sum($2) as clicks' | topk -k 3 clicks; }
    kgen pages --seed 1 -n 20000 --rate 4000 -q | kprod -t rows -q &
    kcons -t rows -g g --epoch 1s --commit-interval 0 -o beginning -q -n 20000 |
      tee run.marks | pipe > a
    pipe < run.marks > b
    cmp a b && grep -avc $'^\x1e' a
    head -c $(($(wc -c <run.marks) / 2)) run.marks > cut.marks
    pipe < cut.marks > c
    echo $? $(head -c $(wc -c <c) a | cmp - c && echo same)
";

#[test]
fn what_was_read_live_gives_the_same_bytes_again() {
    let Some(kafka) = Kafka::start(&["rows:3"]) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = Run::shell(SCRIPT).env("KPIPE_BROKERS", kafka.address()).folder(folder.path());
    let ended = run.end().done();
    let mut lines = ended.text().lines();
    let rows: usize = lines.next().and_then(|count| count.parse().ok()).expect("the same bytes");
    assert!(rows > 30, "{rows} rows of windows");
    assert_eq!(lines.next(), Some("75 same"));
}
