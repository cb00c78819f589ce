//! Rows of columns of one's own: `kgen rows --column 'user=zipf(1000000,1.1)'`.

use std::borrow::Cow;
use std::ops::Range;

use crate::column::{Spec, Values};
use crate::form::{Column, Form, Frame};
use crate::keys::Keys;

/// The name of the column that `--keys` makes.
const KEY: &str = "key";

/// The rows of the profile `rows`.
#[derive(Debug)]
pub struct Table {
    frame: Frame,
    /// The key of a row, which is its first column then.
    keys: Option<Keys>,
    columns: Vec<(Spec, Values)>,
    /// Where the first value stands in the row that was written last.
    first: Range<usize>,
}

impl Table {
    /// Rows of columns for a seed, each after its time when `timed`, each about a key when there
    /// are `keys`.
    ///
    /// # Errors
    /// When a name occurs twice, a column hangs on a key that is not there, or a text would break
    /// the row.
    pub fn new(
        seed: u64,
        form: Form,
        timed: bool,
        keys: Option<Keys>,
        specs: &[Spec],
    ) -> Result<Table, String> {
        let mut heads = Vec::new();
        if keys.is_some() {
            heads.push(Column::number(KEY));
        }
        let mut columns = Vec::new();
        for (at, spec) in (0..).zip(specs) {
            if heads.iter().any(|head: &Column| head.name == spec.name) {
                return Err(format!("there are two columns {}", spec.name));
            }
            if spec.by_key && keys.is_none() {
                return Err(format!("{}@key: no row has a key; add --keys N", spec.name));
            }
            let texts = spec.texts().iter().map(|text| shown(text, spec.quoted(), form));
            let texts = texts.collect::<Result<_, _>>()?;
            heads.push(Column { name: Cow::Owned(spec.name.clone()), quoted: spec.quoted() });
            columns.push((spec.clone(), Values::new(seed, at, spec, texts)));
        }
        let frame = Frame::new(form, ",", timed, &heads);
        Ok(Table { frame, keys, columns, first: 0..0 })
    }

    /// What stands around the values.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The first value of `line`, the row that was written last, as it is without the escapes of
    /// the form.
    #[must_use]
    pub fn key<'a>(&'a self, line: &'a [u8]) -> &'a [u8] {
        let text = self
            .columns
            .first()
            .filter(|_| self.keys.is_none())
            .and_then(|(spec, values)| spec.texts().get(values.chosen()));
        text.map_or(&line[self.first.clone()], |text| text.as_bytes())
    }

    /// Appends `row`, which has the time `ms`.
    pub fn write(&mut self, row: u64, ms: i64, out: &mut Vec<u8>) {
        let line = out.len();
        self.frame.write_time(ms, out);
        out.extend_from_slice(self.frame.before(0).as_bytes());
        let first = out.len() - line;
        let (mut place, mut key) = (0, row);
        if let Some(keys) = &mut self.keys {
            key = keys.of_row(row);
            out.extend_from_slice(itoa::Buffer::new().format(key).as_bytes());
            self.first = first..out.len() - line;
            place = 1;
        }
        for (spec, values) in &mut self.columns {
            if place > 0 {
                out.extend_from_slice(self.frame.before(place).as_bytes());
            }
            let number = if spec.by_key { key } else { row };
            values.write(row, number, ms, out);
            if place == 0 {
                self.first = first..out.len() - line;
            }
            place += 1;
        }
        out.extend_from_slice(self.frame.before(place).as_bytes());
    }
}

/// A text as a form shows it.
fn shown(text: &str, quoted: bool, form: Form) -> Result<String, String> {
    let breaks = |found: &[char]| text.contains(found);
    match form {
        Form::Json if quoted => {
            let json = serde_json::to_string(text).expect("a text is JSON");
            Ok(json[1..json.len() - 1].to_owned())
        }
        Form::Csv if breaks(&['\n', '\r']) => Err(format!("{text:?} is not on one line")),
        Form::Csv if breaks(&[',', '"']) || text.is_empty() => {
            Ok(format!("\"{}\"", text.replace('"', "\"\"")))
        }
        Form::Text if breaks(&[',', '\n', '\r']) => {
            Err(format!("{text:?} would break the row; write it with -o json or -o csv"))
        }
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Spread;

    fn table(form: Form, keys: Option<u64>, specs: &[&str]) -> Result<Table, String> {
        let keys = keys.map(|keys| Keys::new(1, Spread::new(keys, None).expect("some")));
        let specs: Vec<Spec> = specs.iter().map(|spec| spec.parse().expect("a column")).collect();
        Table::new(1, form, true, keys, &specs)
    }

    fn rows(table: &mut Table, rows: impl Iterator<Item = u64>) -> Vec<String> {
        let row = |row| {
            let mut out = Vec::new();
            table.write(row, 5, &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        rows.map(row).collect()
    }

    #[test]
    fn texts_are_escaped_as_their_form_has_it() {
        let specs = ["a=const(x \"y\")", "b=choice(1.5)", "c=seq"];
        let row = |form| rows(&mut table(form, None, &specs).expect("a table"), 0..1).remove(0);
        assert_eq!(row(Form::Text), "5,x \"y\",1.5,0\n");
        assert_eq!(row(Form::Csv), "5,\"x \"\"y\"\"\",1.5,0\n");
        assert_eq!(row(Form::Json), "{\"ms\":5,\"a\":\"x \\\"y\\\"\",\"b\":1.5,\"c\":0}\n");
        assert!(table(Form::Text, None, &["a=const(x,y)"]).is_err());
        assert!(table(Form::Csv, None, &["a=const(x,y)"]).is_ok());
    }

    #[test]
    fn the_key_is_the_first_value_without_escapes() {
        let mut quoted = table(Form::Json, None, &["a=choice(\")", "b=seq"]).expect("a table");
        let row = rows(&mut quoted, 0..1).remove(0);
        assert_eq!(quoted.key(row.trim_end().as_bytes()), b"\"");
        let mut keyed = table(Form::Text, Some(7), &["a=const(x)"]).expect("a table");
        let row = rows(&mut keyed, 3..4).remove(0);
        let key = String::from_utf8_lossy(keyed.key(row.trim_end().as_bytes())).into_owned();
        assert_eq!(row, format!("5,{key},x\n"));
    }

    #[test]
    fn what_hangs_on_the_key_is_the_same_for_all_its_rows() {
        let specs = ["a@key=uuid", "b=uuid"];
        let mut keyed = table(Form::Text, Some(9), &specs).expect("a table");
        let (mut own, mut all) = (std::collections::BTreeMap::new(), 0);
        for row in rows(&mut keyed, 0..500) {
            let fields: Vec<&str> = row.trim_end().split(',').collect();
            let known = own.entry(fields[1].to_owned()).or_insert(fields[2].to_owned());
            assert_eq!(known, fields[2]);
            all += usize::from(fields[2] != fields[3]);
        }
        assert_eq!((own.len(), all), (9, 500));
        assert!(table(Form::Text, None, &specs).is_err(), "there is no key");
    }

    #[test]
    fn rows_can_be_made_in_any_order() {
        let specs = ["a=zipf(50,1)", "b=normal(0,1)", "c=words(3)", "d=hex(40)", "e@key=uuid"];
        let mut there = table(Form::Csv, Some(20), &specs).expect("a table");
        let forth = rows(&mut there, 0..300);
        let mut back = rows(&mut there, (0..300).rev());
        back.reverse();
        assert_eq!(forth, back);
        assert!(table(Form::Csv, None, &["a=seq", "a=seq"]).is_err(), "two columns a");
    }
}
