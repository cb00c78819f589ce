//! A topic that the caller wants, `NAME` or `NAME:PARTITIONS`.

use std::str::FromStr;

/// Most partitions of a topic of the mock broker.
const MOST: u16 = 9_999;

/// A topic and the number of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    /// The name: up to 249 letters, digits, dots, underscores and hyphens, as Kafka has it.
    pub(crate) name: String,
    /// At least 1.
    pub(crate) partitions: u16,
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Topic, String> {
        let (name, partitions) = text.split_once(':').unwrap_or((text, "1"));
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > 249 || !name.bytes().all(allowed) {
            return Err("a topic is NAME or NAME:PARTITIONS; a command comes after --".to_owned());
        }
        match partitions.parse() {
            Ok(partitions @ 1..=MOST) => Ok(Topic { name: name.to_owned(), partitions }),
            _ => Err(format!("a topic has 1 to {MOST} partitions")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_one_partition_unless_told() {
        let topic = |name: &str, partitions| Ok(Topic { name: name.to_owned(), partitions });
        assert_eq!("pages".parse(), topic("pages", 1));
        assert_eq!("hot-pages.v1_b:12".parse(), topic("hot-pages.v1_b", 12));
    }

    #[test]
    fn what_kafka_would_refuse_is_refused() {
        let long = "a".repeat(250);
        for bad in ["", ":3", "a b", "a:0", "a:x", "a:-1", "a:10000", "a:1:2", "ä", &long] {
            assert!(bad.parse::<Topic>().is_err(), "{bad}");
        }
    }
}
