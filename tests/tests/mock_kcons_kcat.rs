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

#[test]
fn kcats_options_give_kcats_bytes() {
    let there = Command::new("kcat").arg("-V").output().is_ok_and(|ended| ended.status.success());
    if !there {
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
