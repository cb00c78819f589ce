//! Expressions: the first line is a list of them, each other one a row that they are evaluated
//! over, as text with and without names and as JSON. No text makes the parser or the compiler
//! panic, no row the evaluation; what is evaluated twice is the same, and its number and its truth
//! are those of its value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use row::expr::{Expr, compile};
use row::field::{Reader, Row};
use row::schema::{Form, Options};
use row::sql::{self, Item};
use row::value::{Number, Value};

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|&byte| byte == b'\n');
    let Some(Ok(text)) = lines.next().map(std::str::from_utf8) else { return };
    let items = match sql::items(text) {
        Ok(items) => items,
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            return;
        }
    };
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    for (form, names) in [(Form::Text, names), (Form::Text, Vec::new()), (Form::Json, Vec::new())] {
        let options = Options { form, names, ..Options::default() };
        let Ok((schema, _)) = options.schema(b"") else { continue };
        let mut reader = Reader::new(schema);
        let exprs = compiled(&items, &mut reader);
        for line in lines.clone() {
            if let Ok(row) = reader.read(line) {
                exprs.iter().for_each(|expr| evaluate(expr, row));
            }
        }
    }
});

/// Those of the expressions that have a meaning for the rows of `reader`.
fn compiled(items: &[Item], reader: &mut Reader) -> Vec<Expr> {
    let mut exprs = Vec::new();
    for item in items {
        match compile(&item.ast, &item.text, &mut |name: &str| reader.slot(name)) {
            Ok(expr) => exprs.push(expr),
            Err(refused) => assert!(!refused.to_string().is_empty()),
        }
    }
    exprs
}

fn evaluate(expr: &Expr, row: Row<'_>) {
    let value = expr.value(row);
    assert!(same(value.as_ref().ok(), expr.value(row).as_ref().ok()));
    let (number, truth) = (expr.number(row), expr.truth(row));
    if let Ok(value) = &value {
        let again = match &number {
            Ok(Number::Null) => Some(Value::Null),
            Ok(Number::Int(int)) => Some(Value::Int(*int)),
            Ok(Number::Float(float)) => Some(Value::Float(*float)),
            Err(_) => None,
        };
        let read = value.number().ok().map(|number| match number {
            Number::Null => Value::Null,
            Number::Int(int) => Value::Int(int),
            Number::Float(float) => Value::Float(float),
        });
        assert!(same(again.as_ref(), read.as_ref()), "{value:?} is not {number:?}");
        assert_eq!(truth, Ok(value.truth()), "the truth of {value:?}");
        let mut out = Vec::new();
        value.write(&mut out);
        row::form::write_json(value, &mut out);
    }
}

/// Equal, or both not a number (NaN).
fn same(one: Option<&Value<'_>>, other: Option<&Value<'_>>) -> bool {
    one == other
        || matches!((one, other), (Some(Value::Float(one)), Some(Value::Float(other)))
            if one.is_nan() && other.is_nan())
}
