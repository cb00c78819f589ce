//! The deserializers of Kafka's Java client, as text.

use std::str::FromStr;

use crate::view::number;

/// How the bytes of a key, a value or a header are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deserializer {
    /// UTF-8; what is none becomes U+FFFD.
    String,
    /// The bytes as they are, where Java prints the address of the array.
    ByteArray,
    /// Two bytes, big endian, as the other numbers.
    Short,
    /// Four bytes.
    Integer,
    /// Eight bytes.
    Long,
    /// Four bytes.
    Float,
    /// Eight bytes.
    Double,
    /// The text of a UUID.
    Uuid,
    /// One byte, 0 or 1.
    Boolean,
}

/// What class names begin with.
const PACKAGE: &str = "org.apache.kafka.common.serialization.";

const KNOWN: [(&str, Deserializer); 9] = [
    ("String", Deserializer::String),
    ("ByteArray", Deserializer::ByteArray),
    ("Short", Deserializer::Short),
    ("Integer", Deserializer::Integer),
    ("Long", Deserializer::Long),
    ("Float", Deserializer::Float),
    ("Double", Deserializer::Double),
    ("UUID", Deserializer::Uuid),
    ("Boolean", Deserializer::Boolean),
];

impl FromStr for Deserializer {
    type Err = String;

    fn from_str(text: &str) -> Result<Deserializer, String> {
        let class = text.strip_prefix(PACKAGE).unwrap_or(text);
        let name = class.strip_suffix("Deserializer").unwrap_or(class);
        let found = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, found)| *found);
        found.ok_or_else(|| {
            let names: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
            format!("no such deserializer; known are {PACKAGE}*Deserializer: {}", names.join(" "))
        })
    }
}

impl Deserializer {
    /// Appends what `bytes` say.
    ///
    /// # Errors
    /// The reason, in Java's words, when they are not of this type; nothing is appended then.
    pub(crate) fn write(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Deserializer::String => {
                out.extend_from_slice(String::from_utf8_lossy(bytes).as_bytes());
            }
            Deserializer::ByteArray => out.extend_from_slice(bytes),
            Deserializer::Short => number(i16::from_be_bytes(sized(bytes, "Short")?), out),
            Deserializer::Integer => number(i32::from_be_bytes(sized(bytes, "Integer")?), out),
            Deserializer::Long => number(i64::from_be_bytes(sized(bytes, "Long")?), out),
            Deserializer::Float => float(f32::from_be_bytes(sized(bytes, "")?), out),
            Deserializer::Double => double(f64::from_be_bytes(sized(bytes, "")?), out),
            Deserializer::Uuid => uuid(bytes, out)?,
            Deserializer::Boolean => out.extend_from_slice(match sized(bytes, "Boolean")? {
                [0] => b"false",
                [1] => b"true",
                [byte] => {
                    return Err(format!("Unexpected byte received by BooleanDeserializer: {byte}"));
                }
            }),
        }
        Ok(())
    }
}

fn sized<const N: usize>(bytes: &[u8], kind: &str) -> Result<[u8; N], String> {
    let wrong = |_| format!("Size of data received by {kind}Deserializer is not {N}");
    bytes.try_into().map_err(wrong)
}

fn float(float: f32, out: &mut Vec<u8>) {
    let plain = float == 0.0 || (1e-3..1e7).contains(&float.abs());
    java(plain, float.is_finite(), &float, out);
}

fn double(double: f64, out: &mut Vec<u8>) {
    let plain = double == 0.0 || (1e-3..1e7).contains(&double.abs());
    java(plain, double.is_finite(), &double, out);
}

/// The shortest digits that are this number alone, always with a point, and with an exponent when
/// it is not `plain`.
fn java(
    plain: bool,
    finite: bool,
    number: &(impl std::fmt::Debug + std::fmt::Display + std::fmt::LowerExp),
    out: &mut Vec<u8>,
) {
    let text = match (finite, plain) {
        (false, _) => format!("{number}").replace("inf", "Infinity"),
        (true, true) => format!("{number:?}"),
        (true, false) => {
            let text = format!("{number:e}");
            // Where one digit would do, Java has the nearest of two digits.
            let text = if text.contains('.') { text } else { format!("{number:.1e}") };
            text.replace('e', "E")
        }
    };
    out.extend_from_slice(text.as_bytes());
}

/// A UUID in its usual form; Java takes one with shorter parts too.
fn uuid(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    const WIDTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let text = String::from_utf8_lossy(bytes);
    let invalid = || format!("Invalid UUID string: {text}");
    let parts: Vec<&str> = text.split('-').collect();
    if parts.len() != WIDTHS.len() || text.len() > 36 {
        return Err(invalid());
    }
    let mut uuid = Vec::with_capacity(WIDTHS.len());
    for (part, width) in parts.iter().zip(WIDTHS) {
        let number = u64::from_str_radix(part, 16).map_err(|_| invalid())?;
        // A part that is too long loses its first digits, as in Java.
        let number = number & (u64::MAX >> (64 - 4 * width));
        uuid.push(format!("{number:0width$x}"));
    }
    out.extend_from_slice(uuid.join("-").as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(class: &str, bytes: &[u8]) -> Result<String, String> {
        let deserializer: Deserializer = class.parse()?;
        let mut out = Vec::new();
        deserializer.write(bytes, &mut out)?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn a_class_is_known_by_its_full_name_and_by_its_short_one() {
        let class = "org.apache.kafka.common.serialization.LongDeserializer";
        assert_eq!(class.parse(), Ok(Deserializer::Long));
        assert_eq!("UUIDDeserializer".parse(), Ok(Deserializer::Uuid));
        assert!("io.confluent.KafkaAvroDeserializer".parse::<Deserializer>().is_err());
    }

    #[test]
    fn numbers_are_big_endian_and_of_their_size() {
        assert_eq!(written("Short", b"\xff\xfe"), Ok("-2".to_owned()));
        assert_eq!(written("Integer", &7_i32.to_be_bytes()), Ok("7".to_owned()));
        assert_eq!(written("Long", &i64::MIN.to_be_bytes()), Ok(i64::MIN.to_string()));
        let reason = "Size of data received by LongDeserializer is not 8";
        assert_eq!(written("Long", b"null"), Err(reason.to_owned()));
    }

    #[test]
    fn floats_are_written_as_java_does() {
        for (float, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.000_5, "5.0E-4"),
            (1e7, "1.0E7"),
            (5e-324, "4.9E-324"),
            (9_999_999.5, "9999999.5"),
            (1.25e300, "1.25E300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(written("Double", &float.to_be_bytes()), Ok(text.to_owned()));
        }
        assert_eq!(written("Float", &1.1_f32.to_be_bytes()), Ok("1.1".to_owned()));
    }

    #[test]
    fn other_types_are_text() {
        assert_eq!(written("String", b"a\xffb"), Ok("a\u{fffd}b".to_owned()));
        assert_eq!(written("Boolean", b"\x01"), Ok("true".to_owned()));
        assert!(written("Boolean", b"\x02").is_err() && written("Boolean", b"").is_err());
        let uuid = "0d1E2f3a-0001-4002-8003-000000000004";
        assert_eq!(written("UUID", uuid.as_bytes()), Ok(uuid.to_lowercase()));
        assert_eq!(
            written("UUID", b"1-2-3-4-5"),
            Ok("00000001-0002-0003-0004-000000000005".to_owned())
        );
        assert!(written("UUID", b"null").is_err());
    }
}
