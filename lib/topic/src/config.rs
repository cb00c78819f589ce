//! librdkafka's configuration from flags and a program's defaults.

use std::fs;
use std::sync::Once;

use pipe::exit::{Error, Result, say};
use pipe::stdio;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaConfRes, RDKafkaErrorCode};

use crate::flags::{Broker, Property};

/// How fast a broken connection is made again. The first number also sets how long librdkafka
/// waits between its first connection and the one to the broker that it then learns of: half of
/// it, which is 50 ms of every start with its default.
const RECONNECT: [(&str, &str); 2] =
    [("reconnect.backoff.ms", "20"), ("reconnect.backoff.max.ms", "1000")];

/// Builds the configuration of a client of the broker in `flags`: the program's `defaults`, over
/// which the properties set by `-X` win.
///
/// A secret that is given in clear is warned about.
///
/// # Errors
/// Of the caller, when there is no such property, its value is wrong, or its file cannot be read.
pub fn client(flags: &Broker, defaults: &[(&str, &str)]) -> Result<ClientConfig> {
    let mut config = ClientConfig::new();
    // The level at which librdkafka says which properties it ignores.
    config.set_log_level(RDKafkaLogLevel::Warning);
    config.set("bootstrap.servers", flags.addresses());
    for (key, value) in RECONNECT.iter().chain(defaults) {
        config.set(*key, *value);
    }
    for property in flags.properties() {
        let value = value(property)?;
        check(property, &value)?;
        if property.key() == "debug" {
            config.set_log_level(RDKafkaLogLevel::Debug);
        }
        config.set(one_name(property.key()), value);
    }
    warn_of_secrets(flags);
    Ok(config)
}

/// The name that we use of a property with two, which else would be set in no certain order.
fn one_name(key: &str) -> &str {
    match key {
        "metadata.broker.list" => "bootstrap.servers",
        "request.required.acks" => "acks",
        "compression.type" => "compression.codec",
        "message.timeout.ms" => "delivery.timeout.ms",
        "queue.buffering.max.ms" => "linger.ms",
        key => key,
    }
}

/// The property's value, read from its file when it has one.
fn value(property: &Property) -> Result<String> {
    let Some(file) = property.file() else { return Ok(property.text().to_owned()) };
    let text =
        fs::read_to_string(file).map_err(|error| Error::caller(property, stdio::reason(&error)))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Lets librdkafka judge one property by itself, so that its refusal has a name.
fn check(property: &Property, value: &str) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set(property.key(), value);
    match config.create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Err(Error::caller(property, "librdkafka has no such property"))
        }
        Err(_) if property.is_secret() => Err(Error::caller(property, "not a valid value")),
        Err(KafkaError::ClientConfig(_, reason, ..)) => Err(Error::caller(property, reason)),
        Err(error) => Err(Error::caller(property, error)),
    }
}

/// Says so once, however many clients a program makes.
fn warn_of_secrets(flags: &Broker) {
    static SAID: Once = Once::new();
    let clear = |property: &&Property| property.is_secret() && property.file().is_none();
    if let Some(property) = flags.properties().iter().find(clear) {
        let key = property.key();
        SAID.call_once(|| {
            say(format!("-X {key}: the process list shows it to everybody; use -X {key}=@FILE"));
        });
    }
}

/// The refusal of a client whose properties do not go together.
#[must_use]
pub fn refusal(error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientCreation(reason) => Error::caller("-X", reason),
        error => Error::caller("-X", error),
    }
}

/// What librdkafka says of an error code, without its `Broker: ` or `Local: `.
#[must_use]
pub fn reason(code: RDKafkaErrorCode) -> String {
    let text = code.to_string();
    let text = text.split_once('(').map_or(text.as_str(), |(_, text)| text);
    let text = text.strip_suffix(')').unwrap_or(text);
    let text = text.strip_prefix("Broker: ").or_else(|| text.strip_prefix("Local: "));
    text.map_or_else(|| code.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn flags(args: &[&str]) -> Broker {
        let command = Broker::augment_args(clap::Command::new("test").no_binary_name(true));
        let matches = command.get_matches_from(args);
        Broker::from_arg_matches(&matches).expect("flags")
    }

    fn refused(arg: &str) -> String {
        match client(&flags(&["-X", arg]), &[]) {
            Err(Error::Failed(code, message)) => {
                assert_eq!(code, pipe::exit::Code::CALLER);
                message
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_users_property_wins() {
        let config = client(&flags(&["-X", "acks=1"]), &[("acks", "all"), ("linger.ms", "5")]);
        let config = config.expect("a configuration");
        assert_eq!((config.get("acks"), config.get("linger.ms")), (Some("1"), Some("5")));
    }

    #[test]
    fn a_property_that_librdkafka_refuses_is_named() {
        assert_eq!(refused("foo=1"), "-X foo=1: librdkafka has no such property");
        assert!(refused("linger.ms=soon").starts_with("-X linger.ms=soon: Invalid value"));
        assert!(refused("sasl.password=@/nowhere/hunter2").starts_with("-X sasl.password=…: No"));
    }

    #[test]
    fn a_file_gives_the_value_without_its_last_newline() {
        let path = std::env::temp_dir().join(format!("kpipe-config-{}", std::process::id()));
        fs::write(&path, "swordfish\n").expect("a file");
        let arg = format!("sasl.password=@{}", path.display());
        let config = client(&flags(&["-X", &arg]), &[]).expect("a configuration");
        fs::remove_file(&path).expect("the file");
        assert_eq!(config.get("sasl.password"), Some("swordfish"));
    }

    #[test]
    fn a_code_is_said_in_words() {
        assert_eq!(reason(RDKafkaErrorCode::UnknownTopicOrPartition), "Unknown topic or partition");
        assert_eq!(reason(RDKafkaErrorCode::AllBrokersDown), "All broker connections are down");
    }
}
