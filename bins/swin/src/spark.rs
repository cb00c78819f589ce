//! Results as Spark Streaming's `print()` shows them.

use std::borrow::Cow;

use row::value::Value;

/// The line above and below the time.
const RULE: &[u8] = b"-------------------------------------------\n";

/// Gathers the rows of one time and prints them as one block.
#[derive(Clone, Debug)]
pub struct Spark {
    /// Columns of the window, which Spark does not print.
    bounds: usize,
    keys: usize,
    /// Rows that are printed; what comes after is `...`.
    limit: usize,
    rows: Vec<u8>,
    count: usize,
}

impl Spark {
    /// Prints at most `limit` rows a block, of rows with `bounds` columns of the window and then
    /// `keys` columns of the key.
    #[must_use]
    pub fn new(bounds: usize, keys: usize, limit: usize) -> Spark {
        Spark { bounds, keys, limit, rows: Vec::new(), count: 0 }
    }

    /// Adds a row: `(k,v)`, `((k1,k2),(v1,v2))`, or, without a key, the bare value.
    pub fn row(&mut self, values: &[Value<'_>]) {
        self.count += 1;
        if self.count > self.limit {
            return;
        }
        let (keys, values) = values[self.bounds..].split_at(self.keys);
        if keys.is_empty() {
            write_tuple(values, &mut self.rows);
        } else {
            self.rows.push(b'(');
            write_tuple(keys, &mut self.rows);
            self.rows.push(b',');
            write_tuple(values, &mut self.rows);
            self.rows.push(b')');
        }
        self.rows.push(b'\n');
    }

    /// Appends the block of the time `ms`, with the rows added since the last one.
    pub fn block(&mut self, ms: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(RULE);
        out.extend_from_slice(format!("Time: {ms} ms\n").as_bytes());
        out.extend_from_slice(RULE);
        out.append(&mut self.rows);
        if self.count > self.limit {
            out.extend_from_slice(b"...\n");
        }
        out.push(b'\n');
        self.count = 0;
    }
}

fn write_tuple(values: &[Value<'_>], out: &mut Vec<u8>) {
    if let [value] = values {
        return write_value(value, out);
    }
    let mut open = b'(';
    for value in values {
        out.push(open);
        open = b',';
        write_value(value, out);
    }
    out.push(b')');
}

fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Float(float) => out.extend_from_slice(java_double(*float).as_bytes()),
        value => value.write(out),
    }
}

/// A double as Java prints it: decimal from 0.001 to 10,000,000, else `1.0E7`; the shortest
/// digits that read back as the same double, as since JDK 19.
fn java_double(float: f64) -> Cow<'static, str> {
    if float.is_nan() {
        return "NaN".into();
    }
    if float.is_infinite() {
        return if float > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    if float == 0.0 || (1e-3..1e7).contains(&float.abs()) {
        return format!("{float:?}").into();
    }
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(text.as_bytes()))
    }

    #[test]
    fn doubles_are_java_s() {
        for (float, java) in [
            (2.2, "2.2"),
            (3.0, "3.0"),
            (-0.0, "-0.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e10, "1.25E10"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(java_double(float), java);
        }
    }

    #[test]
    fn a_block_has_its_rows_and_dots_for_more() {
        let mut spark = Spark::new(1, 1, 2);
        for (key, count) in [("a", 1), ("b", 2), ("c", 3)] {
            spark.row(&[Value::Int(0), text(key), Value::Int(count)]);
        }
        let mut out = Vec::new();
        spark.block(5_000, &mut out);
        let rule = "-------------------------------------------";
        let block = format!("{rule}\nTime: 5000 ms\n{rule}\n(a,1)\n(b,2)\n...\n\n");
        assert_eq!(String::from_utf8(out).expect("text"), block);
        let mut out = Vec::new();
        spark.block(6_000, &mut out);
        assert!(out.ends_with(b"-\n\n"));
    }

    #[test]
    fn several_keys_and_values_are_tuples_and_none_is_bare() {
        let row = |keys: usize, values: &[Value<'_>]| {
            let mut spark = Spark::new(0, keys, 10);
            spark.row(values);
            String::from_utf8(spark.rows).expect("text")
        };
        let values = [text("a"), text("b"), Value::Int(1), Value::Float(2.0)];
        assert_eq!(row(2, &values), "((a,b),(1,2.0))\n");
        assert_eq!(row(0, &[Value::Null]), "null\n");
        assert_eq!(row(1, &[Value::Null, Value::Int(1)]), "(null,1)\n");
    }
}
