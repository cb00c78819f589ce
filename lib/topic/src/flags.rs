//! The options that every program with a broker takes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use pipe::exit::{Code, Error, Result};

/// Where the broker is, and librdkafka's properties.
#[derive(Args, Clone, Debug, Default)]
pub struct Broker {
    #[arg(short = 'b', long, alias = "broker-list", value_name = "HOST:PORT")]
    #[arg(value_parser = addresses)]
    #[arg(help = "Address of a broker, or of several, joined by commas [default: \
                  $KPIPE_BROKERS, else localhost:9092]")]
    bootstrap_server: Option<String>,

    /// Sets a property of librdkafka; KEY=@FILE reads the value from FILE
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    properties: Vec<Property>,

    /// Sets the properties in FILE, which is one of a Java client or of librdkafka
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,

    /// Sets a property of a Java client or of librdkafka, over those of --command-config
    #[arg(long, value_name = "KEY=VALUE")]
    command_property: Vec<String>,

    /// Properties that options of the program stand for, as (option, key, value).
    #[arg(skip)]
    given: Vec<(&'static str, String, String)>,
}

/// The spellings that an option of the console tools had before, with what they were given.
#[derive(Clone, Copy, Debug)]
pub struct Older<'a> {
    /// The old name of `--command-config`, without its dashes.
    pub config_option: &'static str,
    /// Its file.
    pub config: Option<&'a Path>,
    /// The old name of `--command-property`, without its dashes.
    pub property_option: &'static str,
    /// Its properties.
    pub properties: &'a [String],
}

/// The refusal of an option in both of its spellings, which have no dashes here, in the words of
/// Java's tools.
#[must_use]
pub fn both_spellings(older: &str, newer: &str) -> Error {
    let message = format!("Options --{newer} and --{older} cannot be specified together.");
    Error::Failed(Code::CALLER, message)
}

/// Addresses as `-b` takes them: hosts with a port or without, joined by commas. librdkafka would
/// take a port that is none for another one, and so another broker.
fn addresses(text: &str) -> std::result::Result<String, String> {
    for address in text.split(',') {
        let host = address.rsplit_once("://").map_or(address, |(_, host)| host);
        // What stands in brackets is an IPv6 address, with colons of its own.
        let port = match host.rsplit_once(']') {
            Some((_, port)) => port.strip_prefix(':'),
            None => host.rsplit_once(':').map(|(_, port)| port),
        };
        if host.is_empty() || host.starts_with(':') {
            return Err("an address is HOST:PORT, several are joined by commas".to_owned());
        }
        if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
            return Err("a port is a number from 1 to 65535".to_owned());
        }
    }
    Ok(text.to_owned())
}

/// The name of a topic, as Kafka takes it.
///
/// # Errors
/// When no topic can have that name.
pub fn topic_name(text: &str) -> std::result::Result<String, &'static str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.is_empty()
        || text.len() > 249
        || text == "."
        || text == ".."
        || !text.bytes().all(letter)
    {
        return Err("the name of a topic has 1 to 249 letters, digits, '.', '_' and '-'");
    }
    Ok(text.to_owned())
}

impl Broker {
    /// The broker with what the old spellings of its options were given as well.
    ///
    /// # Errors
    /// Of the caller, when an option stands in both spellings.
    pub fn with_older(mut self, older: Older<'_>) -> Result<Broker> {
        if let Some(config) = older.config {
            if self.command_config.is_some() {
                return Err(both_spellings(older.config_option, "command-config"));
            }
            self.command_config = Some(config.to_owned());
        }
        if !older.properties.is_empty() {
            if !self.command_property.is_empty() {
                return Err(both_spellings(older.property_option, "command-property"));
            }
            self.command_property = older.properties.to_vec();
        }
        Ok(self)
    }

    /// Sets property `key` of librdkafka because `option` of the program says so: over the
    /// properties of files and `--command-property`, under those of `-X`.
    pub fn give(&mut self, option: &'static str, key: &str, value: impl fmt::Display) {
        self.given.push((option, key.to_owned(), value.to_string()));
    }

    /// What options of the program gave: the option, the property and its value.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static str, &str, &str)> {
        self.given.iter().map(|(option, key, value)| (*option, key.as_str(), value.as_str()))
    }

    /// The file of `--command-config`.
    pub(crate) fn command_config(&self) -> Option<&Path> {
        self.command_config.as_deref()
    }

    /// The arguments of `--command-property`.
    pub(crate) fn command_properties(&self) -> &[String] {
        &self.command_property
    }

    /// Whether `-b` names the broker.
    pub(crate) fn is_named(&self) -> bool {
        self.bootstrap_server.is_some()
    }

    /// The addresses: the option, else `$KPIPE_BROKERS`, else `localhost:9092`.
    #[must_use]
    pub fn addresses(&self) -> String {
        let option = self.bootstrap_server.clone();
        let environment = || std::env::var("KPIPE_BROKERS").ok().filter(|text| !text.is_empty());
        option.or_else(environment).unwrap_or_else(|| "localhost:9092".to_owned())
    }

    /// The properties that were set by `-X`, in order.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// The text of property `key` as the last `-X` set it, a `@FILE` not read.
    #[must_use]
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties.iter().rev().find(|property| property.key == key).map(Property::text)
    }
}

/// A property as it stands behind `-X`; it never shows the value of a secret.
#[derive(Clone)]
pub struct Property {
    key: String,
    text: String,
}

impl Property {
    /// The property's name.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What stands behind the `=`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file that the value is to be read from, when it is one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.text.strip_prefix('@')
    }

    /// Whether the value must not be shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        is_secret(&self.key)
    }
}

/// Whether the value of property `key` must not be shown.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    let words = ["password", "passphrase", "secret", "token"];
    let keys = ["ssl.key.pem", "sasl.oauthbearer.config", "sasl.jaas.config"];
    words.iter().any(|word| key.contains(word)) && !key.contains("endpoint")
        || key.ends_with("private.key.pem")
        || keys.contains(&key)
}

impl FromStr for Property {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Property, Self::Err> {
        match text.split_once('=') {
            Some((key, text)) if !key.is_empty() => {
                Ok(Property { key: key.to_owned(), text: text.to_owned() })
            }
            _ => Err("a property is KEY=VALUE or KEY=@FILE"),
        }
    }
}

/// As it stood on the command line, with `…` for a secret.
impl fmt::Display for Property {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.is_secret() { "…" } else { &self.text };
        write!(out, "-X {}={text}", self.key)
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_split_at_the_first_equals_sign() {
        let property: Property = "sasl.jaas.config=a=b".parse().expect("a property");
        assert_eq!((property.key(), property.text()), ("sasl.jaas.config", "a=b"));
        assert!("acks".parse::<Property>().is_err() && "=1".parse::<Property>().is_err());
    }

    #[test]
    fn an_address_has_a_port_that_is_one() {
        for good in ["localhost", "b:9092", "b1:1,b2:65535", "[::1]:9092", "[::1]", "SSL://b:9093"]
        {
            assert_eq!(addresses(good), Ok(good.to_owned()));
        }
        for bad in ["", "b:", "b:abc", "b:0", "b:99999", "b:9092,", ":9092", "[::1]:x"] {
            assert!(addresses(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_topic_has_a_name_that_kafka_takes() {
        assert!(topic_name("user-behavior_2.x").is_ok());
        for bad in ["", " ", "a b", "a,b", ".", "..", "é", &"a".repeat(250)] {
            assert!(topic_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        for key in ["sasl.password", "ssl.key.password", "ssl.key.pem", "x.client.secret"] {
            let property: Property = format!("{key}=hunter2").parse().expect("a property");
            assert!(!format!("{property} {property:?}").contains("hunter2"), "{key}");
        }
        let property: Property = "acks=1".parse().expect("a property");
        assert_eq!(property.to_string(), "-X acks=1");
    }

    #[test]
    fn the_last_of_a_property_counts() {
        let properties = ["acks=1", "acks=all"].map(|text| text.parse().expect("a property"));
        let flags = Broker { properties: properties.into(), ..Broker::default() };
        assert_eq!(flags.property("acks"), Some("all"));
    }
}
