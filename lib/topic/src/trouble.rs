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
        match level {
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                say(format!("librdkafka: {facility}: {text}"));
            }
            _ => self.meet(text, false),
        }
    }

    /// Takes an error of the client as a whole.
    pub fn error(&self, error: &KafkaError, text: &str) {
        let hopeless = matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL)
        );
        self.meet(text, hopeless);
    }

    fn meet(&self, text: &str, hopeless: bool) {
        let Some((thing, reason)) = plain(text) else { return };
        // What OpenSSL refuses comes as a log line alone.
        let hopeless = hopeless || text.contains(OPENSSL);
        let mut state = self.state();
        if let Some(held) = &mut state.held {
            // What is hopeless says why better than what follows from it.
            if !held.hopeless {
                held.last = Some((thing.to_owned(), reason.to_owned()));
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
    // A broker that has just started has no producer id at hand when the first one asks.
    let passes = text.ends_with("Coordinator load in progress: retrying");
    if passes || text.ends_with("brokers are down") {
        return None;
    }
    let (thing, reason) = text.split_once(": ").unwrap_or(("librdkafka", text));
    let thing = thing.rsplit_once('/').map_or(thing, |(address, _)| address);
    let thing = thing.rsplit_once("://").map_or(thing, |(_, address)| address);
    let reason = reason.split_once(" (after ").map_or(reason, |(reason, _)| reason);
    if let Some((_, refusal)) = reason.rsplit_once(OPENSSL) {
        return Some((thing, refusal.trim_start_matches(':')));
    }
    if reason.starts_with("Timed out ") && reason.contains("in-flight") {
        return Some((thing, "no answer"));
    }
    let reason = match reason.strip_prefix("Connect to ") {
        Some(rest) => rest.split_once(" failed: ").map_or(reason, |(_, why)| why),
        None => reason,
    };
    Some((thing, reason))
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
        assert_eq!(plain("1/1 brokers are down"), None);
        let loading = "Failed to acquire idempotence PID from broker b:1: Broker: Coordinator load \
                       in progress: retrying";
        assert_eq!(plain(loading), None);
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
        assert_eq!((thing.as_str(), reason.as_str()), ("b:1", "certificate verify failed"));
    }

    #[test]
    fn what_is_hopeless_stays_the_reason() {
        let troubles = Troubles::held();
        let wrong = KafkaError::Global(RDKafkaErrorCode::Authentication);
        troubles.error(&wrong, "b:1/bootstrap: SASL authentication error: no");
        troubles.error(&KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), REFUSED);
        assert!(troubles.is_hopeless());
        let last = troubles.last().expect("a trouble");
        assert_eq!(last, ("b:1".to_owned(), "SASL authentication error: no".to_owned()));
    }
}
