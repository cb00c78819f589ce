//! Reading rows: the first byte says how lines are cut, the rest are the lines. No line makes a
//! reader panic, what it finds stands in the line, and JSON is what serde_json takes for it.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use row::field::{Fields as _, Reader, Row};
use row::schema::{Form, Options, Separator};
use row::value::{Number, Value};
use serde::de::IgnoredAny;

/// Columns that are asked for, as far as a schema has them.
const COLUMNS: [&str; 14] =
    ["$0", "$1", "$2", "$3", "$7", "a", "b", "a.b", "a.b.c", "c", "value", "k", "_key", "_offset"];

const FORMS: [&str; 8] = [
    "auto",
    "text",
    "csv",
    "json",
    "envelope",
    r"re:^(?<a>\S+) (?<b>\d+)?(?<c>.*)$",
    "re:(?<k>[a-c]+)=(?<value>[^;]*)",
    "json",
];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else { return };
    let options = options(choice);
    let mut lines = rest.split(|&byte| byte == b'\n');
    let first = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let Ok((schema, header)) = options.schema(first) else { return };
    let (json, envelope) = (schema.is_json(), options.form == Form::Envelope);
    let mut reader = Reader::new(schema);
    let mut slots = Vec::new();
    for name in &COLUMNS[usize::from(choice >> 7)..] {
        if let Ok(slot) = reader.slot(name) {
            slots.push((*name, slot));
        }
    }
    if header {
        lines.next();
    }
    for line in lines {
        let read = reader.read(line);
        if json {
            compare(line, read.is_ok());
        }
        if let Ok(row) = read {
            look(row, line, &slots, envelope);
        }
    }
});

/// Lower bits: the form; then the separator, names, and a header.
fn options(choice: u8) -> Options {
    let form = FORMS[usize::from(choice & 7)].parse().expect("a form");
    let separators = [Separator::Byte(b','), Separator::Blanks, Separator::Bytes(b"||".to_vec())];
    let separator = separators.into_iter().cycle().nth(usize::from(choice >> 3 & 3));
    let names = ["a", "b", "c"].map(str::to_owned);
    Options {
        form,
        field_separator: separator.unwrap_or_default(),
        names: if choice & 0x20 == 0 { Vec::new() } else { names.to_vec() },
        header_line: choice & 0x60 == 0x40,
    }
}

/// What serde_json reads as an object is a row, and what is a row is an object for it, when the
/// values that nobody asked for are skipped.
fn compare(line: &[u8], read: bool) {
    let whole = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line);
    let skipped = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(line);
    assert!(read || whole.is_err(), "a row is refused");
    assert!(!read || skipped.is_ok(), "no object is a row");
}

/// Asks everything of a row that a program asks; what an envelope holds does not stand in the line
/// as it is.
fn look(row: Row<'_>, line: &[u8], slots: &[(&str, u16)], envelope: bool) {
    assert!(envelope || row.line() == line);
    for &(name, slot) in slots {
        let value = row.field(slot);
        if let Some(text) = row.text(slot) {
            let inside = line.as_ptr_range().contains(&text.as_ptr()) || text.is_empty();
            assert!(envelope || inside && text.len() <= line.len(), "a field stands in its line");
            assert_eq!(value.bytes().as_deref(), Some(text));
        }
        if name == "$0" && !envelope {
            assert_eq!(value.bytes().as_deref(), Some(line), "$0 is the whole line");
        }
        assert!(value.bytes().is_none_or(|bytes| bytes.len() <= line.len().max(3)));
        assert!(same_number(row.number(slot).ok(), value.number().ok()));
        if let Some(int) = row.digits(slot) {
            assert_eq!(value.number(), Ok(Number::Int(int)));
        }
        assert!(value.order(&value).is_eq(), "{value:?} is itself");
        assert_eq!(value.is_null(), value.bytes().is_none());
        let truth = value.truth();
        assert_eq!(truth.is_none(), matches!(value, Value::Null));
    }
}

fn same_number(one: Option<Number>, other: Option<Number>) -> bool {
    one == other
        || matches!((one, other), (Some(Number::Float(one)), Some(Number::Float(other)))
        if one.is_nan() && other.is_nan())
}
