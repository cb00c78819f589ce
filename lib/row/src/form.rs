//! The forms in which rows are written: JSON, text, CSV.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::schema::Separator;
use crate::value::Value;

/// A form of rows that a program reads again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// One object a line.
    Json,
    /// Fields between separators, and the byte that a row ends in; NULL is empty.
    Text(Separator, u8),
    /// RFC 4180 with a header line; NULL is empty, the empty text is `""`.
    Csv,
}

/// Writes rows with the same columns.
#[derive(Clone, Debug)]
pub struct Writer {
    form: Form,
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    /// `"name":`
    json: Vec<u8>,
    /// `"name_b64":`
    json_b64: Vec<u8>,
}

impl Writer {
    /// A writer of rows with columns called `names`.
    #[must_use]
    pub fn new(form: Form, names: &[impl AsRef<str>]) -> Writer {
        let quoted = |name: &str| {
            let mut json = serde_json::to_vec(name).unwrap_or_default();
            json.push(b':');
            json
        };
        let column = |name: &str| Column {
            name: name.to_owned(),
            json: quoted(name),
            json_b64: quoted(&format!("{name}_b64")),
        };
        Writer { form, columns: names.iter().map(|name| column(name.as_ref())).collect() }
    }

    /// Columns have these names from now on.
    pub fn rename(&mut self, names: &[impl AsRef<str>]) {
        *self = Writer::new(self.form.clone(), names);
    }

    /// Whether something stands before the first row.
    #[must_use]
    pub fn has_header(&self) -> bool {
        self.form == Form::Csv
    }

    /// Appends what stands before the first row: the names, in CSV.
    pub fn header(&self, out: &mut Vec<u8>) {
        if self.form != Form::Csv {
            return;
        }
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_csv(&Value::Text(Cow::Borrowed(column.name.as_bytes())), out);
        }
        out.push(b'\n');
    }

    /// Appends a row and what it ends in.
    pub fn row<'v>(&self, values: impl IntoIterator<Item = &'v Value<'v>>, out: &mut Vec<u8>) {
        self.columns(0, values, out);
        self.end(out);
    }

    /// Appends columns of a row, the first of which is its column `first`, counted from 0.
    pub fn columns<'v>(
        &self,
        first: usize,
        values: impl IntoIterator<Item = &'v Value<'v>>,
        out: &mut Vec<u8>,
    ) {
        match &self.form {
            Form::Json => self.json(first, values, out),
            Form::Text(separator, _) => {
                for (at, value) in values.into_iter().enumerate() {
                    if at + first > 0 {
                        match separator {
                            Separator::Byte(byte) => out.push(*byte),
                            other => out.extend_from_slice(other.as_bytes()),
                        }
                    }
                    value.write(out);
                }
            }
            Form::Csv => {
                for (at, value) in values.into_iter().enumerate() {
                    if at + first > 0 {
                        out.push(b',');
                    }
                    write_csv(value, out);
                }
            }
        }
    }

    /// Appends what ends a row.
    pub fn end(&self, out: &mut Vec<u8>) {
        match &self.form {
            Form::Json if self.columns.is_empty() => out.extend_from_slice(b"{}\n"),
            Form::Json => out.extend_from_slice(b"}\n"),
            Form::Text(_, end) => out.push(*end),
            Form::Csv => out.push(b'\n'),
        }
    }

    fn json<'v>(
        &self,
        first: usize,
        values: impl IntoIterator<Item = &'v Value<'v>>,
        out: &mut Vec<u8>,
    ) {
        let mut open = if first == 0 { b'{' } else { b',' };
        for (column, value) in self.columns.iter().skip(first).zip(values) {
            out.push(open);
            open = b',';
            match value {
                Value::Text(bytes) | Value::Str(bytes) if std::str::from_utf8(bytes).is_err() => {
                    out.extend_from_slice(&column.json_b64);
                    write_string(&BASE64.encode(bytes), out);
                }
                value => {
                    out.extend_from_slice(&column.json);
                    write_json(value, out);
                }
            }
        }
    }
}

/// Appends a value as JSON. Text that is written as JSON writes numbers is one; what is not
/// UTF-8 loses those bytes, so it has to travel under another name.
pub fn write_json(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Float(float) if !float.is_finite() => out.extend_from_slice(b"null"),
        Value::Text(bytes) if !is_json_number(bytes) => {
            write_string(&String::from_utf8_lossy(bytes), out);
        }
        Value::Str(bytes) => write_string(&String::from_utf8_lossy(bytes), out),
        value => value.write(out),
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.extend_from_slice(&serde_json::to_vec(text).unwrap_or_default());
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

/// Whether bytes are a number as JSON writes them: no leading zero, plus sign or blank.
fn is_json_number(bytes: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(after) = rest.strip_prefix(b".") {
        let decimals = digits(after);
        if decimals == 0 {
            return false;
        }
        rest = &after[decimals..];
    }
    if let [b'e' | b'E', after @ ..] = rest {
        let after = after.strip_prefix(b"-").or(after.strip_prefix(b"+")).unwrap_or(after);
        return !after.is_empty() && digits(after) == after.len();
    }
    rest.is_empty()
}

fn write_csv(value: &Value<'_>, out: &mut Vec<u8>) {
    let Some(bytes) = value.bytes() else { return };
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if !bytes.is_empty() && !bytes.iter().any(special) {
        out.extend_from_slice(&bytes);
        return;
    }
    out.push(b'"');
    for &byte in bytes.iter() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form) -> String {
        let values = [
            Value::Text(Cow::Borrowed(b"007")),
            Value::Text(Cow::Borrowed(b"1.50")),
            Value::Str(Cow::Borrowed(b"7")),
            Value::Null,
            Value::Float(f64::NAN),
            Value::Text(Cow::Borrowed(b"a,\"b\"")),
            Value::Str(Cow::Borrowed(b"")),
            Value::Json(Cow::Borrowed(b"[1]")),
        ];
        let writer = Writer::new(form, &["a", "b", "c", "d", "e", "f", "g", "h"]);
        let mut out = Vec::new();
        writer.header(&mut out);
        writer.row(&values, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn json_keeps_types_and_digits() {
        let json = "{\"a\":\"007\",\"b\":1.50,\"c\":\"7\",\"d\":null,\"e\":null,\
                    \"f\":\"a,\\\"b\\\"\",\"g\":\"\",\"h\":[1]}\n";
        assert_eq!(written(Form::Json), json);
    }

    #[test]
    fn csv_tells_null_from_empty() {
        let csv = "a,b,c,d,e,f,g,h\n007,1.50,7,,NaN,\"a,\"\"b\"\"\",\"\",[1]\n";
        assert_eq!(written(Form::Csv), csv);
    }

    #[test]
    fn text_is_bare() {
        let text = "007|1.50|7||NaN|a,\"b\"||[1]\n";
        assert_eq!(written(Form::Text(Separator::Byte(b'|'), b'\n')), text);
        let text = text.replace('\n', "\0");
        assert_eq!(written(Form::Text(Separator::Byte(b'|'), 0)), text);
    }

    #[test]
    fn bytes_that_are_not_utf8_travel_in_base64() {
        let writer = Writer::new(Form::Json, &["k"]);
        let mut out = Vec::new();
        writer.row(&[Value::Text(Cow::Borrowed(b"\xff"))], &mut out);
        assert_eq!(out, b"{\"k_b64\":\"/w==\"}\n");
    }
}
