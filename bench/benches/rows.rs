//! What a row costs before anything is done with it: finding its fields, reading numbers, and
//! evaluating expressions, for 10,000 rows a time.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use row::expr::{Expr, compile};
use row::field::{Fields as _, Reader};
use row::schema::{Form, Options, Separator, separator};
use row::value::read_number;
use row::{form, sql};

const ROWS: usize = 10_000;

fn main() {
    divan::main();
}

/// Lines, each made from its number.
fn lines(line: impl Fn(usize) -> String) -> Vec<Vec<u8>> {
    (0..ROWS).map(|at| line(at).into_bytes()).collect()
}

/// `ms,key,value`, of 20 bytes or little more.
fn keyed(at: usize, quote: &str) -> String {
    format!("{},{quote}k{:02}{quote},{}", 1_735_689_600_000 + at, at * 37 % 100, at % 1000)
}

fn reader(options: &Options, first: &[u8], columns: &[&str]) -> Reader {
    let (schema, _) = options.schema(first).expect("a schema");
    let mut reader = Reader::new(schema);
    for column in columns {
        reader.slot(column).expect("a column");
    }
    reader
}

fn read_all(bencher: Bencher<'_, '_>, lines: &[Vec<u8>], mut reader: Reader) {
    let bytes: usize = lines.iter().map(Vec::len).sum();
    let counted = bencher.counter(ItemsCount::new(lines.len())).counter(BytesCount::new(bytes));
    counted.bench_local(|| {
        for line in lines {
            let row = reader.read(black_box(line)).expect("a row");
            black_box(row.field(0));
        }
    });
}

fn of(form: Form, separator: Separator) -> Options {
    Options { form, field_separator: separator, ..Options::default() }
}

#[divan::bench]
fn text(bencher: Bencher<'_, '_>) {
    let options = of(Form::Text, Separator::default());
    read_all(bencher, &lines(|at| keyed(at, "")), reader(&options, b"", &["$1", "$2", "$3"]));
}

#[divan::bench]
fn text_between_blanks(bencher: Bencher<'_, '_>) {
    let options = of(Form::Text, Separator::Blanks);
    let lines = lines(|at| keyed(at, "").replace(',', "  "));
    read_all(bencher, &lines, reader(&options, b"", &["$1", "$2", "$3"]));
}

#[divan::bench]
fn text_between_strings(bencher: Bencher<'_, '_>) {
    let options = of(Form::Text, separator("||").expect("a separator"));
    let lines = lines(|at| keyed(at, "").replace(',', "||"));
    read_all(bencher, &lines, reader(&options, b"", &["$1", "$2", "$3"]));
}

#[divan::bench]
fn csv(bencher: Bencher<'_, '_>) {
    let options = of(Form::Csv, Separator::default());
    read_all(bencher, &lines(|at| keyed(at, "")), reader(&options, b"t,k,v", &["t", "k", "v"]));
}

#[divan::bench]
fn csv_in_quotes(bencher: Bencher<'_, '_>) {
    let options = of(Form::Csv, Separator::default());
    read_all(bencher, &lines(|at| keyed(at, "\"")), reader(&options, b"t,k,v", &["t", "k", "v"]));
}

#[divan::bench]
fn json(bencher: Bencher<'_, '_>) {
    let lines = lines(|at| {
        let (ms, key) = (1_735_689_600_000_usize + at, at * 37 % 100);
        format!("{{\"ms\":{ms},\"key\":\"k{key:02}\",\"value\":{}}}", at % 1000)
    });
    let options = of(Form::Json, Separator::default());
    read_all(bencher, &lines, reader(&options, b"{}", &["ms", "key", "value"]));
}

#[divan::bench(args = ["7", "1735689600000", "1.5119122", "-2.5e-3", "page27"])]
fn number(bencher: Bencher<'_, '_>, text: &str) {
    bencher.bench_local(|| read_number(black_box(text.as_bytes())));
}

#[divan::bench(args = [1.5, 0.1 + 0.2, 1e16])]
fn written_float(bencher: Bencher<'_, '_>, float: f64) {
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        form::write_json(&row::value::Value::Float(black_box(float)), &mut out);
    });
}

#[divan::bench(args = [
    "clicks",
    "0.8*clicks + 0.8*stay + liked",
    "2*clicks + liked > stay",
    "case when liked > 0 then clicks else 0 end",
    "page like 'page1%'",
    "upper(page)",
])]
fn expression(bencher: Bencher<'_, '_>, text: &str) {
    let lines = lines(|at| {
        let liked = ["-1", "0", "1"][at % 3];
        format!("page{}|{}|{}.5119122|{liked}", at * 37 % 100, at % 5 + 1, at % 4)
    });
    let names = ["page", "clicks", "stay", "liked"].map(str::to_owned).to_vec();
    let options = Options { names, ..of(Form::Text, Separator::Byte(b'|')) };
    let mut reader = reader(&options, b"", &[]);
    let expr = compiled(text, &mut reader);
    bencher.counter(ItemsCount::new(lines.len())).bench_local(|| {
        for line in &lines {
            let row = reader.read(line).expect("a row");
            black_box(expr.value(row).expect("a value"));
        }
    });
}

fn compiled(text: &str, reader: &mut Reader) -> Expr {
    let item = sql::item(text).expect("an expression");
    compile(&item.ast, text, &mut |name: &str| reader.slot(name)).expect("known names")
}
