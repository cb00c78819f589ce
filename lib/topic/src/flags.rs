//! The options that every program with a broker takes.

use std::fmt;
use std::str::FromStr;

use clap::Args;

/// Where the broker is, and librdkafka's properties.
#[derive(Args, Clone, Debug)]
pub struct Broker {
    #[arg(short = 'b', long, alias = "broker-list", value_name = "HOST:PORT")]
    #[arg(value_parser = addresses)]
    #[arg(help = "Address of a broker, or of several, joined by commas [default: \
                  $KPIPE_BROKERS, else localhost:9092]")]
    bootstrap_server: Option<String>,

    /// Sets a property of librdkafka; KEY=@FILE reads the value from FILE
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    properties: Vec<Property>,
}

/// Addresses as `-b` takes them: hosts with a port or without, joined by commas. librdkafka would
/// take a port that is none for another one, and so another broker.
fn addresses(text: &str) -> Result<String, String> {
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
pub fn topic_name(text: &str) -> Result<String, &'static str> {
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

    fn from_str(text: &str) -> Result<Property, Self::Err> {
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
        let flags = Broker { bootstrap_server: None, properties: properties.into() };
        assert_eq!(flags.property("acks"), Some("all"));
    }
}
