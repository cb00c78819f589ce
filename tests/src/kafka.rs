//! A real Kafka for tests, where one can be had.

use std::env;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

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

/// A running Kafka of one broker, which ends with this value or with the test.
#[derive(Debug)]
pub struct Kafka {
    /// `kafka-run`, which ends when its command does.
    _run: Live,
    address: String,
    libs: String,
}

impl Kafka {
    /// Starts a Kafka with `topics` (`NAME:PARTITIONS`); none, and loudly, where there cannot be
    /// one.
    ///
    /// # Panics
    /// When it cannot start, or is missing although it is required.
    #[must_use]
    pub fn start(topics: &[&str]) -> Option<Kafka> {
        if missing() {
            // Past the test's captured output.
            let _ = writeln!(io::stderr(), "SKIPPED: needs java and mvn");
            return None;
        }
        let mut command = Command::new("kafka-run");
        let tell = "echo $KPIPE_BROKERS; echo $KAFKA_LIBS; exec cat";
        command.args(topics).args(["--", "sh", "-c", tell]);
        let mut run = Live::command(command);
        let address = run.line_within(START).expect("a broker that starts");
        let libs = run.line();
        Some(Kafka { _run: run, address, libs })
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
