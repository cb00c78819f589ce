//! A header that every record gets.

use std::convert::Infallible;
use std::str::FromStr;

/// A header as the option `-H` has it: `NAME=VALUE`, or `NAME` for a null value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value, `None` for null.
    pub value: Option<String>,
}

impl FromStr for Header {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Header, Infallible> {
        Ok(match text.split_once('=') {
            Some((name, value)) => Header { name: name.to_owned(), value: Some(value.to_owned()) },
            None => Header { name: text.to_owned(), value: None },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_without_a_value_is_null_and_not_empty() {
        let header = |name: &str, value: Option<&str>| {
            Ok(Header { name: name.to_owned(), value: value.map(ToOwned::to_owned) })
        };
        assert_eq!("a=b=c".parse(), header("a", Some("b=c")));
        assert_eq!("a=".parse(), header("a", Some("")));
        assert_eq!("a".parse(), header("a", None));
    }
}
