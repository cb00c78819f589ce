//! The formatters of Kafka's console consumer.

use std::str::FromStr;

use crate::deserializer::Deserializer;
use crate::view::{View, number};

/// What `--formatter` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// `DefaultMessageFormatter`.
    Default,
    /// `LoggingMessageFormatter`: the default one, and a line on stderr.
    Logging,
    /// `NoOpMessageFormatter`.
    NoOp,
}

impl FromStr for Class {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Class, Self::Err> {
        let packages = ["org.apache.kafka.tools.consumer.", "kafka.tools."];
        let name = packages.iter().find_map(|package| text.strip_prefix(package)).unwrap_or(text);
        match name {
            "DefaultMessageFormatter" => Ok(Class::Default),
            "LoggingMessageFormatter" => Ok(Class::Logging),
            "NoOpMessageFormatter" => Ok(Class::NoOp),
            _ => Err("no such formatter; known are DefaultMessageFormatter, \
                      LoggingMessageFormatter and NoOpMessageFormatter of \
                      org.apache.kafka.tools.consumer"),
        }
    }
}

/// `DefaultMessageFormatter`: parts of a record in a fixed order, each behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Formatter {
    shown: Vec<Part>,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null: Vec<u8>,
    key: Option<Deserializer>,
    value: Option<Deserializer>,
    headers: Option<Deserializer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Timestamp,
    Partition,
    Offset,
    Delivery,
    Epoch,
    Headers,
    Key,
    Value,
}

/// The switches, in the order in which they print.
const PARTS: [(&str, Part); 8] = [
    ("print.timestamp", Part::Timestamp),
    ("print.partition", Part::Partition),
    ("print.offset", Part::Offset),
    ("print.delivery", Part::Delivery),
    ("print.epoch", Part::Epoch),
    ("print.headers", Part::Headers),
    ("print.key", Part::Key),
    ("print.value", Part::Value),
];

impl Default for Formatter {
    /// The value and a newline.
    fn default() -> Formatter {
        Formatter {
            shown: vec![Part::Value],
            key_separator: b"\t".to_vec(),
            line_separator: b"\n".to_vec(),
            headers_separator: b",".to_vec(),
            null: b"null".to_vec(),
            key: None,
            value: None,
            headers: None,
        }
    }
}

impl Formatter {
    /// Sets a property. Whether there is one of that name; Java ignores others.
    ///
    /// # Errors
    /// When it names a deserializer that is not known.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        if let Some(&(_, part)) = PARTS.iter().find(|(name, _)| *name == key) {
            self.show(part, value.trim().eq_ignore_ascii_case("true"));
            return Ok(true);
        }
        let bytes = || value.as_bytes().to_vec();
        match key {
            "key.separator" => self.key_separator = bytes(),
            "line.separator" => self.line_separator = bytes(),
            "headers.separator" => self.headers_separator = bytes(),
            "null.literal" => self.null = bytes(),
            "key.deserializer" => self.key = Some(value.parse()?),
            "value.deserializer" => self.value = Some(value.parse()?),
            "headers.deserializer" => self.headers = Some(value.parse()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Sets the deserializers that have options of their own.
    pub(crate) fn deserialize(&mut self, key: Option<Deserializer>, value: Option<Deserializer>) {
        self.key = key.or(self.key);
        self.value = value.or(self.value);
    }

    fn show(&mut self, part: Part, shown: bool) {
        let was = std::mem::take(&mut self.shown);
        let holds = |one: Part| if one == part { shown } else { was.contains(&one) };
        self.shown = PARTS.iter().map(|(_, one)| *one).filter(|&one| holds(one)).collect();
    }

    /// Appends the record.
    ///
    /// # Errors
    /// When a deserializer refuses its bytes; nothing is appended then.
    pub(crate) fn write(&self, view: &View<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let start = out.len();
        let written = self.parts(view, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn parts(&self, view: &View<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        for (index, part) in self.shown.iter().enumerate() {
            match part {
                Part::Timestamp => timestamp(view.timestamp, out),
                Part::Partition => {
                    out.extend_from_slice(b"Partition:");
                    number(view.partition, out);
                }
                Part::Offset => {
                    out.extend_from_slice(b"Offset:");
                    number(view.offset, out);
                }
                // Counted by share groups only.
                Part::Delivery => out.extend_from_slice(b"Delivery:NOT_PRESENT"),
                Part::Epoch => match view.leader_epoch {
                    Some(epoch) => {
                        out.extend_from_slice(b"Epoch:");
                        number(epoch, out);
                    }
                    None => out.extend_from_slice(b"Epoch:NOT_PRESENT"),
                },
                Part::Headers => self.headers(view, out)?,
                Part::Key => self.bytes(self.key, "key", view.key, out)?,
                Part::Value => self.bytes(self.value, "value", view.value, out)?,
            }
            let last = index + 1 == self.shown.len();
            out.extend_from_slice(if last { &self.line_separator } else { &self.key_separator });
        }
        Ok(())
    }

    fn headers(&self, view: &View<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        if view.headers.is_empty() {
            out.extend_from_slice(b"NO_HEADERS");
        }
        for (index, (name, value)) in view.headers.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(&self.headers_separator);
            }
            out.extend_from_slice(name);
            out.push(b':');
            self.bytes(self.headers, "headers", *value, out)?;
        }
        Ok(())
    }

    /// Null is the null literal, which no deserializer gets to see.
    fn bytes(
        &self,
        deserializer: Option<Deserializer>,
        name: &str,
        bytes: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        match (bytes, deserializer) {
            (None, _) => out.extend_from_slice(&self.null),
            (Some(bytes), None) => out.extend_from_slice(bytes),
            (Some(bytes), Some(deserializer)) => deserializer
                .write(bytes, out)
                .map_err(|reason| format!("{name}.deserializer: {reason}"))?,
        }
        Ok(())
    }
}

fn timestamp(timestamp: Option<(i64, bool)>, out: &mut Vec<u8>) {
    let (kind, ms) = match timestamp {
        Some((ms, false)) => (&b"CreateTime:"[..], ms),
        Some((ms, true)) => (&b"LogAppendTime:"[..], ms),
        None => return out.extend_from_slice(b"NO_TIMESTAMP"),
    };
    out.extend_from_slice(kind);
    number(ms, out);
}

/// The line of `LoggingMessageFormatter`.
pub(crate) fn log_line(view: &View<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if view.timestamp.is_some() {
        timestamp(view.timestamp, &mut out);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(b"key:");
    out.extend_from_slice(view.key.unwrap_or(b"null "));
    out.extend_from_slice(if view.key.is_some() { b", value:" } else { b"value:" });
    out.extend_from_slice(view.value.unwrap_or(b"null"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatter(properties: &[(&str, &str)]) -> Formatter {
        let mut formatter = Formatter::default();
        for (key, value) in properties {
            assert_eq!(formatter.set(key, value), Ok(true), "{key}");
        }
        formatter
    }

    fn written(properties: &[(&str, &str)], view: &View<'_>) -> String {
        let mut out = Vec::new();
        formatter(properties).write(view, &mut out).expect("a record");
        String::from_utf8(out).expect("text")
    }

    fn view() -> View<'static> {
        View {
            topic: "t",
            partition: 2,
            offset: 17,
            timestamp: Some((5, false)),
            key: Some(b"k"),
            value: Some(b"v"),
            headers: vec![(b"a", Some(b"1")), (b"b", None)],
            leader_epoch: None,
        }
    }

    #[test]
    fn without_properties_it_is_the_value_and_null_is_said() {
        assert_eq!(written(&[], &view()), "v\n");
        assert_eq!(written(&[], &View::default()), "null\n");
        assert_eq!(written(&[("null.literal", "")], &View::default()), "\n");
    }

    #[test]
    fn parts_stand_in_javas_order_whatever_the_order_of_the_properties() {
        let all: Vec<(&str, &str)> = PARTS.iter().rev().map(|(name, _)| (*name, "TRUE ")).collect();
        assert_eq!(
            written(&all, &view()),
            "CreateTime:5\tPartition:2\tOffset:17\tDelivery:NOT_PRESENT\tEpoch:NOT_PRESENT\t\
             a:1,b:null\tk\tv\n"
        );
        assert_eq!(
            written(&all, &View { timestamp: Some((5, true)), ..View::default() }),
            "LogAppendTime:5\tPartition:0\tOffset:0\tDelivery:NOT_PRESENT\tEpoch:NOT_PRESENT\t\
             NO_HEADERS\tnull\tnull\n"
        );
    }

    #[test]
    fn the_last_part_is_followed_by_the_line_separator_and_nothing_by_nothing() {
        let key = [("print.key", "true"), ("print.value", "false"), ("line.separator", ";")];
        assert_eq!(written(&key, &view()), "k;");
        assert_eq!(written(&[("print.value", "no")], &view()), "");
    }

    #[test]
    fn a_deserializer_that_refuses_leaves_nothing_behind() {
        let formatter =
            formatter(&[("print.key", "true"), ("value.deserializer", "LongDeserializer")]);
        let mut out = b"before".to_vec();
        let reason = formatter.write(&view(), &mut out).expect_err("one byte");
        let wanted = "value.deserializer: Size of data received by LongDeserializer is not 8";
        assert_eq!((reason.as_str(), &out[..]), (wanted, &b"before"[..]));
        let null = View { value: None, ..view() };
        assert!(formatter.write(&null, &mut out).is_ok(), "null is no eight bytes either");
    }

    #[test]
    fn classes_are_known_by_their_names() {
        for name in ["DefaultMessageFormatter", "kafka.tools.DefaultMessageFormatter"] {
            assert_eq!(name.parse(), Ok(Class::Default));
        }
        let no_op = "org.apache.kafka.tools.consumer.NoOpMessageFormatter";
        assert_eq!(no_op.parse(), Ok(Class::NoOp));
        assert!("OffsetsMessageFormatter".parse::<Class>().is_err());
    }

    #[test]
    fn a_log_line_is_javas() {
        assert_eq!(log_line(&view()), b"CreateTime:5, key:k, value:v");
        assert_eq!(log_line(&View::default()), b"key:null value:null");
    }
}
