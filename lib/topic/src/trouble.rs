//! What librdkafka says while it works, as messages of ours: each once.
//!
//! librdkafka reports a refused connection at every attempt, as a log line and as an error. A
//! [`Troubles`] belongs to a client's context and turns both into one `thing: reason`, said
//! when it is new for that thing, or was not heard of for [`SILENCE`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pipe::exit::say;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// How many things are remembered; past it all are forgotten, so that memory stays bounded.
const LIMIT: usize = 256;

/// How long a trouble is not heard of before the same one is another. As long as it goes on,
/// librdkafka reports it every 30 s at least.
const SILENCE: Duration = Duration::from_mins(1);

/// The troubles of one client. Its methods are called from librdkafka's callbacks.
#[derive(Debug, Default)]
pub struct Troubles {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last reason of each thing, and when it was last given.
    said: HashMap<String, (String, Instant)>,
    /// As long as a program opens, what happens is kept for its one message.
    held: Option<Held>,
}

#[derive(Debug, Default)]
struct Held {
    last: Option<(String, String)>,
    hopeless: bool,
}

/// What OpenSSL says of a broker that shows a certificate which nobody vouches for.
const UNTRUSTED: &str = "certificate verify failed";

/// What stands before a reason of OpenSSL's.
const OPENSSL: &str = "SSL routines:";

impl Troubles {
    /// Troubles that are kept until [`Troubles::release`] and not said.
    #[must_use]
    pub fn held() -> Troubles {
        let state = State { said: HashMap::new(), held: Some(Held::default()) };
        Troubles { state: Mutex::new(state) }
    }

    /// Says what comes from now on.
    pub fn release(&self) {
        self.state().held = None;
    }

    /// The last trouble kept, as `(thing, reason)`.
    #[must_use]
    pub fn last(&self) -> Option<(String, String)> {
        self.state().held.as_ref().and_then(|held| held.last.clone())
    }

    /// Whether something was kept that no waiting will mend: a wrong password or certificate.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.state().held.as_ref().is_some_and(|held| held.hopeless)
    }

    /// Forgets what was said: things work again, and the next failure is news.
    pub fn forget(&self) {
        self.state().said.clear();
    }

    /// Takes a log line.
    pub fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match (level, facility) {
            // A broker that hangs up is news only to those who have not yet met it.
            (RDKafkaLogLevel::Info, "FAIL") if self.state().held.is_some() => {
                self.meet(text, false);
            }
            // What is fatal ends the program, with its one message.
            (RDKafkaLogLevel::Emerg, "FATAL")
            | (RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info, _) => {}
            (RDKafkaLogLevel::Debug, _) => say(format!("librdkafka: {facility}: {text}")),
            _ => self.meet(text, false),
        }
    }

    /// Takes an error of the client as a whole.
    pub fn error(&self, error: &KafkaError, text: &str) {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            // What is fatal, as it is that nothing may be written, ends the program.
            Some(Code::Fatal | Code::ClusterAuthorizationFailed) => {}
            Some(Code::Authentication | Code::SSL) => self.meet(text, true),
            _ => self.meet(text, false),
        }
    }

    fn meet(&self, text: &str, hopeless: bool) {
        let Some((thing, reason)) = plain(text) else { return };
        // What OpenSSL refuses comes as a log line alone.
        let hopeless = hopeless || text.contains(OPENSSL);
        let mut state = self.state();
        if let Some(held) = &mut state.held {
            // What is hopeless says why better than what follows from it.
            if !held.hopeless {
                held.last = Some((thing.to_owned(), advised(reason)));
            }
            held.hopeless |= hopeless;
        } else if state.is_new(thing, reason, Instant::now()) {
            drop(state);
            say(format!("{thing}: {reason}"));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_new(&mut self, thing: &str, reason: &str, now: Instant) -> bool {
        if let Some((said, heard)) = self.said.get_mut(thing)
            && said == reason
        {
            return now.duration_since(std::mem::replace(heard, now)) > SILENCE;
        }
        if self.said.len() >= LIMIT {
            self.said.clear();
        }
        self.said.insert(thing.to_owned(), (reason.to_owned(), now));
        true
    }
}

/// The thing and the reason in a text of librdkafka, or `None` when it only follows from others.
///
/// `[thrd:…]: localhost:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused
/// (after 0ms in state CONNECT)` is `localhost:9092` and `Connection refused`.
fn plain(text: &str) -> Option<(&str, &str)> {
    let text = text
        .strip_prefix("[thrd:")
        .and_then(|text| text.split_once("]: "))
        .map_or(text, |(_, text)| text);
    let text = text.strip_prefix("GroupCoordinator: ").unwrap_or(text);
    // A broker that has just started has no producer id at hand when the first one asks, and the
    // connection that was asked for one goes when it turns out to be to a broker already known.
    let passes = text.ends_with("Coordinator load in progress: retrying")
        || text.ends_with("Broker handle destroyed without termination: retrying");
    if passes || text.ends_with("brokers are down") {
        return None;
    }
    let (thing, reason) = text.split_once(": ").unwrap_or(("librdkafka", text));
    let thing = thing.rsplit_once('/').map_or(thing, |(address, _)| address);
    let thing = thing.rsplit_once("://").map_or(thing, |(_, address)| address);
    let reason = reason.split_once(" (after ").map_or(reason, |(reason, _)| reason);
    if let Some((_, refusal)) = reason.rsplit_once(OPENSSL) {
        let refusal = refusal.trim_start_matches(':');
        // librdkafka goes on with advice of its own, or not.
        return Some((thing, if refusal.starts_with(UNTRUSTED) { UNTRUSTED } else { refusal }));
    }
    if reason.starts_with("Timed out ") && reason.contains("in-flight") {
        return Some((thing, "no answer"));
    }
    let reason = reason.strip_suffix(": receive 0 after POLLIN").unwrap_or(reason);
    let reason = match reason.strip_prefix("Connect to ") {
        Some(rest) => rest.split_once(" failed: ").map_or(reason, |(_, why)| why),
        None => reason,
    };
    Some((thing, reason))
}

/// What a reason contains of which, when a program opens, a property is the likely cause.
const ADVICE: [(&str, &str); 7] = [
    (UNTRUSTED, "check ssl.ca.location, and that the certificate is for this host"),
    ("SASL authentication error", "check sasl.username and sasl.password"),
    ("alert bad certificate", "check ssl.certificate.location and ssl.key.location"),
    ("alert certificate", "check ssl.certificate.location and ssl.key.location"),
    ("alert unknown ca", "check ssl.certificate.location and ssl.key.location"),
    ("Disconnected: ", "check security.protocol"),
    ("tls_retry_write_records", "check security.protocol"),
];

/// The reason, with what to do about it.
fn advised(reason: &str) -> String {
    let advice = ADVICE.iter().find(|(part, _)| reason.contains(part));
    advice.map_or_else(|| reason.to_owned(), |(_, advice)| format!("{reason}: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "localhost:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: \
                           Connection refused (after 0ms in state CONNECT, 3 identical error(s) \
                           suppressed)";

    #[test]
    fn a_refused_connection_is_the_address_and_the_reason() {
        assert_eq!(plain(REFUSED), Some(("localhost:9092", "Connection refused")));
        let logged = format!("[thrd:localhost:9092/bootstrap]: {REFUSED}");
        assert_eq!(plain(&logged), plain(REFUSED));
        assert_eq!(plain(&format!("GroupCoordinator: {REFUSED}")), plain(REFUSED));
        assert_eq!(plain("1/1 brokers are down"), None);
        let loading = "Failed to acquire idempotence PID from broker b:1: Broker: Coordinator load \
                       in progress: retrying";
        assert_eq!(plain(loading), None);
        let known = "Failed to acquire idempotence PID from broker b:1: Local: Broker handle \
                     destroyed without termination: retrying";
        assert_eq!(plain(known), None);
        assert_eq!(
            plain("sasl_ssl://b1:9093/1: SASL authentication error: no"),
            Some(("b1:9093", "SASL authentication error: no"))
        );
        assert_eq!(plain("something else"), Some(("librdkafka", "something else")));
        let silent = "b:1/bootstrap: Timed out 1 in-flight, 0 retry-queued requests: disconnect";
        assert_eq!(plain(silent), Some(("b:1", "no answer")));
    }

    #[test]
    fn a_reason_is_said_again_only_when_it_changed() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.is_new("b:1", "refused", now));
        assert!(!state.is_new("b:1", "refused", now));
        assert!(state.is_new("b:2", "refused", now));
        assert!(state.is_new("b:1", "timed out", now));
        assert!(state.is_new("b:1", "refused", now));
    }

    #[test]
    fn the_same_reason_is_another_failure_after_a_silence() {
        let (mut state, start) = (State::default(), Instant::now());
        assert!(state.is_new("b:1", "refused", start));
        let goes_on = start + SILENCE;
        assert!(!state.is_new("b:1", "refused", goes_on));
        assert!(!state.is_new("b:1", "refused", goes_on + SILENCE), "one long failure");
        let again = goes_on + SILENCE * 2 + Duration::from_secs(1);
        assert!(state.is_new("b:1", "refused", again));
        assert!(!state.is_new("b:1", "refused", again));
    }

    #[test]
    fn a_refused_certificate_is_hopeless_although_it_is_only_logged() {
        let troubles = Troubles::held();
        let text = "[thrd:ssl://b:1/bootstrap]: ssl://b:1/bootstrap: SSL handshake failed: \
                    error:0A000086:SSL routines::certificate verify failed (after 3ms in state X)";
        troubles.log(RDKafkaLogLevel::Error, "FAIL", text);
        assert!(troubles.is_hopeless());
        troubles.log(RDKafkaLogLevel::Error, "FAIL", "b:1/bootstrap: error:0A:SSL routines::x");
        let (thing, reason) = troubles.last().expect("a trouble");
        assert_eq!(thing, "b:1");
        assert!(reason.starts_with("certificate verify failed: check ssl.ca.location"), "{reason}");
    }

    #[test]
    fn what_a_property_may_mend_is_said_with_the_property_while_a_program_opens() {
        let troubles = Troubles::held();
        let text = "[thrd:b:1/bootstrap]: b:1/bootstrap: Disconnected: connection closed by peer: \
                    receive 0 after POLLIN (after 1ms in state APIVERSION_QUERY)";
        troubles.log(RDKafkaLogLevel::Info, "FAIL", text);
        let (_, reason) = troubles.last().expect("a trouble");
        assert_eq!(reason, "Disconnected: connection closed by peer: check security.protocol");
        let wrong = KafkaError::Global(RDKafkaErrorCode::Authentication);
        troubles.error(&wrong, "b:1/bootstrap: SASL authentication error: no");
        let (_, reason) = troubles.last().expect("a trouble");
        assert!(reason.ends_with(": check sasl.username and sasl.password"), "{reason}");
    }

    #[test]
    fn what_is_hopeless_stays_the_reason() {
        let troubles = Troubles::held();
        let wrong = KafkaError::Global(RDKafkaErrorCode::Authentication);
        troubles.error(&wrong, "b:1/bootstrap: SASL authentication error: no");
        troubles.error(&KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), REFUSED);
        assert!(troubles.is_hopeless());
        let last = troubles.last().expect("a trouble");
        assert!(last.0 == "b:1" && last.1.starts_with("SASL authentication error: no"));
    }
}
