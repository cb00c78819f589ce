//! kcons beside kcat, where that is installed, on a mock broker: the same options, the same bytes.

use std::process::Command;
use std::time::Duration;

use kpipe_tests::broker::Broker;
use kpipe_tests::run::Run;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

/// Argument lists for both.
const LISTS: &[&[&str]] = &[
    &["-o", "beginning"],
    &["-o", "end"],
    &["-o", "2"],
    &["-o", "-3"],
    &["-o", "beginning", "-c", "2"],
    &["-o", "beginning", "-Z"],
    &["-o", "beginning", "-K", ":"],
    &["-o", "beginning", "-K", "\\t\\x3d", "-D", ";\\n"],
    &["-o", "beginning", "-K", "=", "-Z", "-D", "|"],
    &["-o", "beginning", "-f", "%t %p %o %T %k %K %s %S %h %%\\n"],
    &["-o", "beginning", "-f", "%R%s"],
    &["-o", "beginning", "-f", "[%s]\\t\\x41\\r\\n", "-Z", "-u"],
];

fn fill(broker: &Broker) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address());
    let producer: BaseProducer = config.create().expect("a producer");
    let header = |key, value| Header { key, value };
    let headers = OwnedHeaders::new().insert(header("a", Some("1"))).insert(header("b", None));
    let to = || BaseRecord::<[u8], [u8]>::to("t").partition(0).timestamp(1_700_000_000_123);
    for record in [
        to().key(b"k").payload(b"value"),
        to().payload(b"no key"),
        to().key(b"no value"),
        to().key(b"binary").payload(b"\x00\xff\n\x80"),
        to().key(b"h").payload(b"headers").headers(headers),
    ] {
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(30)).expect("acknowledged");
}

fn has_kcat() -> bool {
    Command::new("kcat").arg("-V").output().is_ok_and(|ended| ended.status.success())
}

#[test]
fn kcons_reads_what_kcat_wrote() {
    if !has_kcat() {
        return;
    }
    let broker = Broker::with("t", 1);
    let address = broker.address();
    let args = ["-P", "-b", &address, "-t", "t", "-K", ":", "-Z", "-H", "h=1"];
    // kcat leaves empty lines out, and takes what has no separator for a value.
    let input = "a:one\nb:\nno key\n:none\nk:\u{fc}\n";
    let _ = Run::command(Command::new("kcat")).args(args).input(input).end().done();
    let format = "%k=%s (%K %S) %h\n";
    let args = ["-b", &address, "-t", "t", "-e", "-q", "-Z", "-f", format];
    let read = Run::of("kcons").args(args).end().done();
    let expected = "a=one (1 3) h=1\nb=NULL (1 -1) h=1\nNULL=no key (-1 6) h=1\n\
                    NULL=none (-1 4) h=1\nk=\u{fc} (1 2) h=1\n";
    assert_eq!(read.text(), expected);
}

#[test]
fn kcats_options_give_kcats_bytes() {
    if !has_kcat() {
        return;
    }
    let broker = Broker::with("t", 1);
    fill(&broker);
    let address = broker.address();
    for list in LISTS {
        let own = ["-b", &address, "-t", "t", "-p", "0", "-e", "-q"];
        let run = |run: Run| run.args(own).args(*list).end().done().stdout;
        let kcat = run(Run::command(Command::new("kcat")).arg("-C"));
        let ours = run(Run::of("kcons"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&ours), text(&kcat), "{list:?}");
        assert_eq!(ours, kcat, "{list:?}");
    }
}
