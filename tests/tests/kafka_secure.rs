//! The programs on a real Kafka with TLS, client certificates, passwords and ACLs.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::Instant;

use kpipe_tests::kafka::Secure;
use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use kpipe_tests::wait::{self, SOON};
use tempfile::TempDir;

/// One Kafka for all tests of this file.
static KAFKA: LazyLock<Option<Secure>> =
    LazyLock::new(|| Secure::start(&["x", "conf", "java", "closed", "t"]));

/// How a user comes to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Tls,
    Certificate,
    Plain,
    Scram,
}

const WAYS: [Way; 4] = [Way::Tls, Way::Certificate, Way::Plain, Way::Scram];

/// Properties of a client, in order.
type Properties = Vec<(&'static str, String)>;

impl Way {
    fn address(self, kafka: &Secure) -> &str {
        match self {
            Way::Tls => &kafka.tls,
            Way::Certificate => &kafka.certified,
            Way::Plain | Way::Scram => &kafka.sasl,
        }
    }

    fn mechanism(self) -> Option<&'static str> {
        match self {
            Way::Tls | Way::Certificate => None,
            Way::Plain => Some("PLAIN"),
            Way::Scram => Some("SCRAM-SHA-512"),
        }
    }

    /// librdkafka's properties for `user`, with the password in a file.
    fn properties(self, kafka: &Secure, user: &str) -> Properties {
        let mut all = vec![("ssl.ca.location", kafka.file("ca.pem"))];
        if self == Way::Certificate {
            let file = kafka.file(&format!("{user}.pem"));
            all.push(("ssl.certificate.location", file.clone()));
            all.push(("ssl.key.location", file));
        }
        if let Some(mechanism) = self.mechanism() {
            all.push(("security.protocol", "sasl_ssl".to_owned()));
            all.push(("sasl.mechanism", mechanism.to_owned()));
            all.push(("sasl.username", user.to_owned()));
            all.push(("sasl.password", format!("@{}", kafka.file(&format!("{user}.password")))));
        } else {
            all.push(("security.protocol", "ssl".to_owned()));
        }
        all
    }

    /// The file of properties of a Java client for `user`.
    fn java(self, kafka: &Secure, user: &str) -> String {
        let mut lines = vec!["ssl.truststore.type=PEM".to_owned()];
        if self == Way::Certificate {
            let (key, chain) = parts(&kafka.text(&format!("{user}.pem")));
            lines.push(format!("ssl.truststore.certificates={}", escaped(&kafka.text("ca.pem"))));
            lines.push("ssl.keystore.type=PEM".to_owned());
            lines.push(format!("ssl.keystore.key={}", escaped(&key)));
            lines.push(format!("ssl.keystore.certificate.chain={}", escaped(&chain)));
        } else {
            lines.push(format!("ssl.truststore.location={}", kafka.file("ca.pem")));
        }
        if let Some(mechanism) = self.mechanism() {
            let class = if self == Way::Plain { "plain.Plain" } else { "scram.Scram" };
            let password = kafka.text(&format!("{user}.password"));
            lines.push("security.protocol=SASL_SSL".to_owned());
            lines.push(format!("sasl.mechanism={mechanism}"));
            lines.push(format!(
                "sasl.jaas.config=org.apache.kafka.common.security.{class}LoginModule \\\n  \
                 required username=\"{user}\" password=\"{password}\";"
            ));
        } else {
            lines.push("security.protocol=SSL".to_owned());
        }
        lines.join("\n") + "\n"
    }
}

/// The key and the certificate in a file with both.
fn parts(pem: &str) -> (String, String) {
    let middle = pem.find("-----BEGIN CERTIFICATE").expect("a certificate behind the key");
    (pem[..middle].to_owned(), pem[middle..].to_owned())
}

/// A value of a file of properties.
fn escaped(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// The programs, with the user who may do what they do, and the older name of --command-config.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("kprod", "writer", "--producer.config"),
    ("ksink", "writer", "--command-config"),
    ("kcons", "reader", "--consumer.config"),
];

/// `program` at `topic`: the producers write `line`, the consumer reads to the end.
fn run(program: &str, address: &str, topic: &str, line: &str) -> Run {
    let run = Run::of(program).args(["-q", "-b", address, "-t", topic]);
    if program == "kcons" { run.arg("-e") } else { run.input(format!("{line}\n")) }
}

fn with(run: Run, properties: &[(&str, String)]) -> Run {
    properties.iter().fold(run, |run, (key, value)| run.args(["-X", &format!("{key}={value}")]))
}

/// Has both producers write to `topic` in all ways, and the consumer read in all ways what they
/// wrote; `set` tells program number `.1` how to come there, with a folder for files.
fn all_ways(kafka: &Secure, topic: &str, set: impl Fn(Run, usize, Way, &TempDir) -> Run) {
    let mut written = BTreeSet::new();
    for (at, (program, ..)) in PROGRAMS.into_iter().enumerate() {
        for way in WAYS {
            let (line, folder) = (format!("{program} {way:?}"), tempfile::tempdir());
            let folder = folder.expect("a folder");
            let run = set(run(program, way.address(kafka), topic, &line), at, way, &folder);
            let ended = run.end().done();
            assert_eq!(ended.stderr, "", "{line}");
            if program == "kcons" {
                let read: BTreeSet<_> = ended.text().lines().map(ToOwned::to_owned).collect();
                assert_eq!(read, written, "{line}");
            } else {
                written.insert(line);
            }
        }
    }
}

fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[test]
fn every_program_comes_in_by_properties_on_the_command_line() {
    let Some(kafka) = &*KAFKA else { return };
    all_ways(kafka, "x", |run, at, way, _| with(run, &way.properties(kafka, PROGRAMS[at].1)));
}

#[test]
fn every_program_comes_in_by_the_users_own_file() {
    let Some(kafka) = &*KAFKA else { return };
    all_ways(kafka, "conf", |run, at, way, folder| {
        let user = PROGRAMS[at].1;
        let password = kafka.text(&format!("{user}.password"));
        let properties = but(way.properties(kafka, user), "sasl.password", Some(&password));
        let lines: Vec<_> =
            properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        file(folder, "kpipe.conf", &lines.concat());
        run.env("XDG_CONFIG_HOME", folder.path())
    });
}

#[test]
fn every_program_comes_in_by_the_properties_of_a_java_client() {
    let Some(kafka) = &*KAFKA else { return };
    all_ways(kafka, "java", |run, at, way, folder| {
        let (_, user, option) = PROGRAMS[at];
        run.args([option, &file(folder, "java.properties", &way.java(kafka, user))])
    });
    // The very files are those of Java's own tools.
    let folder = tempfile::tempdir().expect("a folder");
    let readers = [Way::Certificate, Way::Scram].map(|way| {
        let path = file(&folder, &format!("{way:?}"), &way.java(kafka, "reader"));
        let mut tool = Command::new("java");
        tool.args(["-cp", &format!("{}/*", kafka.kafka.libs())]);
        tool.arg("org.apache.kafka.tools.consumer.ConsoleConsumer");
        tool.args(["--bootstrap-server", way.address(kafka), "--topic", "java"]);
        tool.args(["--from-beginning", "--max-messages", "8"]);
        tool.args(["--group", &format!("reader-{way:?}")]);
        tool.args(["--command-config", &path]);
        tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = tool.spawn().expect("java runs").wait_with_output().expect("it ends");
        String::from_utf8_lossy(&ended.stdout).lines().count()
    });
    assert_eq!(readers, [8, 8]);
}

/// Checks that each program says one of `reasons` of the broker and no more, and
/// ends with 1 and soon.
fn refused(kafka: &Secure, way: Way, properties: &[(&str, String)], reasons: &[&str]) {
    let check = |program: &str| {
        let start = Instant::now();
        let ended = with(run(program, way.address(kafka), "t", "v"), properties).end();
        let lines = reasons.iter();
        let lines = lines.map(|reason| format!("{program}: {}: {reason}\n", way.address(kafka)));
        assert!(lines.collect::<Vec<_>>().contains(&ended.stderr), "{}", ended.stderr);
        assert_eq!(ended.code(), Some(1));
        assert!(start.elapsed() < SOON, "{program} {way:?}: {:?}", start.elapsed());
    };
    // Not to be measured: the first use of a program may have to build it.
    let _ = kpipe_tests::program::folder();
    thread::scope(|scope| {
        for (program, ..) in PROGRAMS {
            scope.spawn(move || check(program));
        }
    });
}

/// The properties, with another value of `key`, or without it.
fn but(mut properties: Properties, key: &str, value: Option<&str>) -> Properties {
    properties.retain_mut(|(name, text)| match value {
        Some(value) if *name == key => {
            value.clone_into(text);
            true
        }
        _ => *name != key,
    });
    properties
}

const WRONG: &str = "SASL authentication error: Authentication failed";

#[test]
fn a_wrong_password_is_told_in_one_line() {
    let Some(kafka) = &*KAFKA else { return };
    let password = kafka.file("writer.password");
    let [plain, scram] = [Way::Plain, Way::Scram].map(|way| {
        but(way.properties(kafka, "reader"), "sasl.password", Some(&format!("@{password}")))
    });
    let check = ": check sasl.username and sasl.password";
    let reason = format!("{WRONG}: Invalid username or password{check}");
    refused(kafka, Way::Plain, &plain, &[&reason]);
    let invalid = "during authentication due to invalid credentials with SASL mechanism";
    let reason = format!("{WRONG} {invalid} SCRAM-SHA-512{check}");
    refused(kafka, Way::Scram, &scram, &[&reason]);
}

#[test]
fn an_untrusted_broker_is_told_in_one_line() {
    let Some(kafka) = &*KAFKA else { return };
    let properties = but(Way::Tls.properties(kafka, "reader"), "ssl.ca.location", None);
    let reason = "certificate verify failed: check ssl.ca.location, and that the certificate is \
                  for this host";
    refused(kafka, Way::Tls, &properties, &[reason]);
}

#[test]
fn a_client_without_a_certificate_or_with_a_forged_one_is_told_in_one_line() {
    let Some(kafka) = &*KAFKA else { return };
    let reason = "ssl/tls alert bad certificate: SSL alert number 42: check \
                  ssl.certificate.location and ssl.key.location";
    refused(kafka, Way::Certificate, &Way::Tls.properties(kafka, "reader"), &[reason]);
    let folder = tempfile::tempdir().expect("a folder");
    let [key, certificate] = ["key", "crt"].map(|name| file(&folder, name, ""));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=reader"]);
    openssl.args(["-keyout", &key, "-out", &certificate]).stderr(Stdio::null());
    assert!(openssl.status().expect("openssl runs").success());
    let forged = Way::Certificate.properties(kafka, "reader");
    let forged = but(forged, "ssl.certificate.location", Some(&certificate));
    refused(kafka, Way::Certificate, &but(forged, "ssl.key.location", Some(&key)), &[reason]);
}

#[test]
fn a_wrong_protocol_is_told_in_one_line() {
    let Some(kafka) = &*KAFKA else { return };
    // The broker hangs up with or without having read everything.
    let reasons = ["closed", "reset"]
        .map(|how| format!("Disconnected: connection {how} by peer: check security.protocol"));
    refused(kafka, Way::Tls, &[], &reasons.each_ref().map(String::as_str));
}

/// What `user` is told of `program` at `topic`, if that is one line and comes soon.
fn denied(kafka: &Secure, user: &str, program: &str, topic: &str, more: &[&str]) -> String {
    let _ = kpipe_tests::program::folder();
    let start = Instant::now();
    let lines: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
    let run = run(program, &kafka.certified, topic, &lines.join("\n")).args(more);
    let ended = with(run, &Way::Certificate.properties(kafka, user)).end();
    assert!(start.elapsed() < SOON, "{program}: {:?}", start.elapsed());
    assert_eq!(ended.code(), Some(1), "{program}: {}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    ended.stderr
}

#[test]
fn a_missing_permission_is_told_in_one_line() {
    let Some(kafka) = &*KAFKA else { return };
    let topic = "Topic authorization failed: the user needs an ACL, READ, WRITE or CREATE for the \
                 topic";
    for program in ["kprod", "ksink"] {
        let says = denied(kafka, "writer", program, "closed", &[]);
        assert_eq!(says, format!("{program}: closed: {topic}\n"));
        let says = denied(kafka, "stranger", program, "t", &[]);
        assert_eq!(says, format!("{program}: t: {topic}\n"));
        // Who may write nowhere gets no producer's id, without which nothing is idempotent.
        let says = denied(kafka, "reader", program, "t", &[]);
        let nowhere = "Cluster authorization failed: the user needs an ACL, WRITE for the topic";
        assert_eq!(says, format!("{program}: {}: {nowhere}\n", kafka.certified));
    }
    let says = denied(kafka, "stranger", "kcons", "t", &[]);
    assert_eq!(says, format!("kcons: t: {topic}\n"));
    let listing = Run::of("kcons").args(["-L", "-b", &kafka.certified, "-t", "t"]);
    let ended = with(listing, &Way::Certificate.properties(kafka, "stranger")).end();
    assert_eq!((ended.code(), ended.stderr), (Some(1), format!("kcons: t: {topic}\n")));
    let admin = Way::Certificate.properties(kafka, "admin");
    let _ = with(run("kprod", &kafka.certified, "closed", "v"), &admin).end().done();
    let says = denied(kafka, "writer", "kcons", "closed", &[]);
    assert!(says.starts_with(&format!("kcons: closed [0]: {topic} (")), "{says}");
    let says = denied(kafka, "reader", "kcons", "t", &["-g", "another"]);
    let group = "Group authorization failed: the user needs an ACL, READ for the group";
    assert_eq!(says, format!("kcons: group another: {group}\n"));
}

#[test]
fn a_dead_letter_tells_of_the_missing_permission_and_the_rest_goes_on() {
    let Some(kafka) = &*KAFKA else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let letters = file(&folder, "letters", "");
    let run = run("kprod", &kafka.certified, "closed", "1\n2").args(["--dead-letter", &letters]);
    let ended = with(run, &Way::Certificate.properties(kafka, "writer")).end();
    assert_eq!(ended.code(), Some(1));
    let reason = format!("closed: 2 records were not produced: they are in {letters}");
    assert_eq!(ended.stderr, format!("kprod: {reason}\n"));
    let letters = fs::read_to_string(letters).expect("the letters");
    assert_eq!(letters.matches("Topic authorization failed").count(), 2, "{letters}");
}

/// Checks that none of `secrets` is in what was said or written.
fn silent(ended: &Ended, secrets: &[&str]) {
    let said = ended.stderr.clone() + &String::from_utf8_lossy(&ended.stdout);
    for secret in secrets {
        assert!(!said.contains(secret), "a secret is shown: {said}");
    }
}

#[test]
fn secrets_appear_nowhere() {
    let Some(kafka) = &*KAFKA else { return };
    for (program, user, option) in PROGRAMS {
        let password = kafka.text(&format!("{user}.password"));
        let (key, _) = parts(&kafka.text(&format!("{user}.pem")));
        let key = key.lines().nth(1).expect("the first line of the key");
        let secrets = [password.as_str(), key];
        let folder = tempfile::tempdir().expect("a folder");
        for way in [Way::Certificate, Way::Plain, Way::Scram] {
            let java = way.java(kafka, user);
            let path = file(&folder, "java.properties", &java);
            let run = || run(program, way.address(kafka), "t", "v").args(["-X", "debug=all"]);
            let ended = run().args([option, &path]).end().done();
            assert!(ended.stderr.contains("librdkafka: "), "it is told what goes on");
            silent(&ended, &secrets);
            let ended = with(run(), &way.properties(kafka, user)).end().done();
            silent(&ended, &secrets);
            // What is not understood is named, and not shown.
            let broken = java.replace("required", "").replace("BEGIN", "BEGUN");
            silent(&run().args([option, &file(&folder, "broken", &broken)]).end(), &secrets);
        }
        let plain = Way::Plain.properties(kafka, user);
        let clear = but(plain.clone(), "sasl.password", Some(&password));
        let ended = with(run(program, &kafka.sasl, "t", "v"), &clear).end().done();
        assert!(ended.stderr.contains("the process list shows it"), "{}", ended.stderr);
        silent(&ended, &secrets);
        let wrong = but(plain, "sasl.username", Some("stranger"));
        let wrong = but(wrong, "sasl.password", Some(&password));
        let ended = with(run(program, &kafka.sasl, "t", "v"), &wrong).end();
        assert_eq!(ended.code(), Some(1));
        silent(&ended, &secrets);
    }
}

#[test]
fn receipts_and_figures_have_no_secrets() {
    let Some(kafka) = &*KAFKA else { return };
    let password = kafka.text("writer.password");
    let run = Run::of("kprod").args(["-b", &kafka.sasl, "-t", "t", "--receipts"]);
    let run = with(run, &Way::Scram.properties(kafka, "writer")).input("1\n2\n");
    let ended = run.end().done();
    assert_eq!(ended.text().lines().count(), 2);
    silent(&ended, &[&password]);
}

/// The addresses, in hex as the system shows them, at which process `id` listens.
fn listeners(id: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{id}/fd")).expect("the process is there");
    let links = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
    let sockets: BTreeSet<String> = links.map(|link| link.display().to_string()).collect();
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        for row in text.lines().skip(1) {
            let fields: Vec<&str> = row.split_whitespace().collect();
            let ours = sockets.contains(&format!("socket:[{}]", fields[9]));
            if ours && fields[3] == "0A" {
                found.push(fields[1].to_owned());
            }
        }
    }
    found
}

#[test]
fn the_mock_broker_listens_to_this_machine_alone() {
    let mut mock = Live::start("kmock", ["t"]);
    let address = mock.line();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let mut listening = Vec::new();
    wait::until("it listens", || {
        listening = listeners(mock.id());
        !listening.is_empty()
    });
    let loopback = |address: &String| address.starts_with("0100007F:");
    assert!(listening.iter().all(loopback), "{listening:?}");
}
