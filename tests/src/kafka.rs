//! A real Kafka for tests, where one can be had.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::live::Live;

/// Set, a test that needs a real Kafka fails where there is none.
pub const REQUIRED_VARIABLE: &str = "KPIPE_REQUIRE_KAFKA";

static MISSING: LazyLock<bool> = LazyLock::new(|| {
    let runs = |program| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    !(runs("java") && (env::var_os("KAFKA_HOME").is_some() || runs("mvn")))
});

/// Whether there is no Java, or neither `$KAFKA_HOME` nor Maven: then `kafka-run` cannot work and
/// a test may be left out.
///
/// # Panics
/// When it is missing and `KPIPE_REQUIRE_KAFKA` is set.
#[must_use]
pub fn missing() -> bool {
    let required = env::var_os(REQUIRED_VARIABLE).is_some();
    assert!(!(*MISSING && required), "{REQUIRED_VARIABLE} is set, but there is no Java or Maven");
    *MISSING
}

/// How long a Kafka may take to start, the first time with its download.
const START: Duration = Duration::from_mins(3);

/// A running Kafka, which ends with this value or with the test.
#[derive(Debug)]
pub struct Kafka {
    /// `kafka-run`, which ends when its command does.
    run: Live,
    address: String,
    libs: String,
    /// The folder of this run, `$KAFKA_RUN_DIR`.
    folder: PathBuf,
}

impl Kafka {
    /// Starts a Kafka with `topics` (`NAME:PARTITIONS`); none, and loudly, where there cannot be
    /// one.
    ///
    /// # Panics
    /// When it cannot start, or is missing although it is required.
    #[must_use]
    pub fn start(topics: &[&str]) -> Option<Kafka> {
        Kafka::launch(&[], topics, "")
    }

    /// Starts one of `brokers` brokers, as [`Kafka::start`].
    ///
    /// # Panics
    /// As [`Kafka::start`].
    #[must_use]
    pub fn cluster(brokers: u32, topics: &[&str]) -> Option<Kafka> {
        Kafka::launch(&["--brokers", &brokers.to_string()], topics, "")
    }

    /// Starts `kafka-run` with `options`, which tells `more` (shell commands) after its address
    /// and the folder of its jars.
    fn launch(options: &[&str], topics: &[&str], more: &str) -> Option<Kafka> {
        if missing() {
            // Past the test's captured output.
            let _ = writeln!(io::stderr(), "SKIPPED: needs java and mvn");
            return None;
        }
        let mut command = Command::new("kafka-run");
        let tell =
            format!("echo $KPIPE_BROKERS; echo $KAFKA_LIBS; echo $KAFKA_RUN_DIR; {more} exec cat");
        command.args(options).args(topics).args(["--", "sh", "-c", &tell]);
        let mut run = Live::command(command);
        let address = run.line_within(START).expect("a broker that starts");
        let libs = run.line();
        let folder = run.line().into();
        Some(Kafka { run, address, libs, folder })
    }

    /// Kills broker `number` with -9. It is to be started again by [`Kafka::start_again`].
    ///
    /// # Panics
    /// When it is not there.
    pub fn kill(&self, number: u32) {
        let id = fs::read_to_string(self.folder.join(format!("broker-{number}.pid")));
        let id = id.ok().and_then(|id| Pid::from_raw(id.trim().parse().ok()?));
        kill_process(id.expect("the id of a broker"), Signal::KILL).expect("the broker is there");
    }

    /// Starts broker `number` again, with its data and its address, and waits until it serves.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_again(&self, number: u32) {
        let mut command = Command::new(self.folder.join(format!("start-{number}")));
        // No pipe: the broker would hold it open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().is_ok_and(|status| status.success()), "broker {number}");
    }

    /// The broker's address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The folder of its jars.
    #[must_use]
    pub fn libs(&self) -> &str {
        &self.libs
    }

    /// A command that runs the class `org.apache.kafka.tools.CLASS`.
    #[must_use]
    pub fn tool(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command.args(["-cp", &format!("{}/*", self.libs)]);
        command.arg(format!("org.apache.kafka.tools.{class}"));
        command.args(["--bootstrap-server", &self.address]);
        command
    }
}

/// A running Kafka with the listeners, the users and the ACLs of `kafka-run --secure`.
#[derive(Debug)]
pub struct Secure {
    /// The broker, of which [`Kafka::address`] takes everybody and permits everything.
    pub kafka: Kafka,
    /// The address of the listener with TLS that takes everybody.
    pub tls: String,
    /// Of that which wants a client certificate.
    pub certified: String,
    /// Of that which wants a password.
    pub sasl: String,
    /// The folder of certificates and passwords.
    folder: PathBuf,
}

impl Secure {
    /// Starts one with `topics`, as [`Kafka::start`].
    ///
    /// # Panics
    /// As [`Kafka::start`].
    #[must_use]
    pub fn start(topics: &[&str]) -> Option<Secure> {
        let tell = "echo $KAFKA_RUN_TLS; echo $KAFKA_RUN_MTLS; echo $KAFKA_RUN_SASL; \
                    echo $KAFKA_RUN_DIR/secure;";
        let mut kafka = Kafka::launch(&["--secure"], topics, tell)?;
        let [tls, certified, sasl, folder] = [(); 4].map(|()| kafka.run.line());
        Some(Secure { kafka, tls, certified, sasl, folder: folder.into() })
    }

    /// The path of one of its files: `ca.pem`, `USER.pem`, `USER.password`.
    ///
    /// # Panics
    /// When the path is no text.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).into_os_string().into_string().expect("a path is text")
    }

    /// What one of its files says, without the last newline.
    ///
    /// # Panics
    /// When there is no such file.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let text = fs::read_to_string(self.file(name)).expect("a file of kafka-run");
        text.trim_end().to_owned()
    }
}
