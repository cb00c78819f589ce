//! Rankings as bytes: each row as it came, with its rank in front and, when the score is no
//! column of its own, the score behind.

use memchr::memmem::Finder;
use row::expr::{Expr, compile};
use row::field::{Fields as _, Reader};
use row::form::{self, Writer};
use row::key;
use row::member::members;
use row::schema::{Schema, Separator, label};
use row::sql::{Item, Refused};
use row::table::Table;
use row::value::Value;

use crate::ranking::{Body, Ranked};

/// The column that is put in front of each row.
pub const RANK: &str = "rank";

/// The column of a tally's counts.
pub const COUNT: &str = "count";

/// The forms of a ranking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A form that programs read again.
    Rows(form::Form),
    /// A table for people.
    Table,
}

/// Writes rankings of rows of one schema, or of counts.
#[derive(Debug)]
pub struct Sheet {
    kind: Kind,
    body: Content,
    gone: Gone,
}

/// What is written between the rank and the end of a row.
#[derive(Debug)]
enum Content {
    /// Columns of the line, and the score when it is none of them.
    Line { reader: Box<Reader>, columns: Vec<u16>, score: Option<Expr> },
    /// So many columns of the key, the count, and the score when it is another one.
    Count { columns: usize, scored: bool },
}

/// How a key that left the ranking is written: its columns, and no rank.
#[derive(Debug)]
struct Gone {
    /// The places of the columns among those of a row.
    places: Vec<usize>,
    /// How many columns a row has.
    width: usize,
    /// Writes them as JSON, without the other columns.
    json: Option<Writer>,
}

#[derive(Debug)]
enum Kind {
    /// JSON rows whose members go on as they were written.
    Members(Box<Members>),
    /// Text rows without names, which go on as they came; and what they end in.
    Line(Separator, u8),
    Rows(Writer),
    Table(Table),
}

/// How the members of a JSON row go on.
#[derive(Debug)]
struct Members {
    /// Members that get a new value, and how to find lines that may have them.
    replaced: Vec<(String, Finder<'static>)>,
    /// Writes the score.
    score: Writer,
}

impl Sheet {
    /// A sheet for rows of `schema`; the columns of JSON rows that are not written as JSON are
    /// those of the `first` row. `keys` are those that may leave, which have to be among them.
    ///
    /// # Errors
    /// When the score's expression, or a column, is refused.
    pub fn new(
        form: Form,
        score: &Item,
        keys: &[String],
        schema: Schema,
        first: &[u8],
    ) -> Result<Sheet, Refused> {
        let mut reader = Reader::new(schema);
        let expr = compile(&score.ast, &score.text, &mut |name: &str| reader.slot(name))?;
        // A column stands in the row already, unless it was given another name.
        let is_new = expr.as_slot().is_none() || score.name.is_some();
        let scored = is_new.then(|| label_of(score));
        let own: Vec<&str> = std::iter::once(RANK).chain(scored).collect();
        if scored == Some(RANK) {
            let reason = "there is a column rank already; give another name with AS";
            return Err(Refused::at(&score.text, &score.ast, reason));
        }
        let refused = |reason| Refused::at(&score.text, &score.ast, reason);
        let mut columns = Vec::new();
        let mut names = vec![RANK.to_owned()];
        for (name, column) in reader.schema().columns(first) {
            if !own.contains(&name.as_str()) {
                columns.push(reader.slot_of(column).map_err(refused)?);
                names.push(name);
            }
        }
        let mut places = Vec::new();
        for key in keys {
            let slot = reader.slot(key).map_err(refused)?;
            let place = columns.iter().position(|&known| known == slot);
            places.push(1 + place.unwrap_or(columns.len()));
            if place.is_none() && form != Form::Rows(form::Form::Json) {
                columns.push(slot);
                names.push(label(key));
            }
        }
        names.extend(scored.map(str::to_owned));
        let gone = Gone::new(&form, keys, places, names.len());
        let kind = match form {
            Form::Table => Kind::Table(Table::new(&names)),
            Form::Rows(form::Form::Json) if reader.schema().is_json() => {
                Kind::Members(Box::new(Members::new(&own, scored)))
            }
            Form::Rows(form::Form::Text(separator, end)) if reader.schema().is_bare() => {
                Kind::Line(separator, end)
            }
            Form::Rows(form) => Kind::Rows(Writer::new(form, &names)),
        };
        let reader = Box::new(reader);
        let body = Content::Line { reader, columns, score: is_new.then_some(expr) };
        Ok(Sheet { kind, body, gone })
    }

    /// A sheet for counts of the columns `keys`, ranked by `score`.
    #[must_use]
    pub fn of_counts(form: Form, score: &Item, keys: &[String]) -> Sheet {
        let mut names = vec![RANK.to_owned()];
        names.extend(keys.iter().map(|key| label(key)));
        names.push(COUNT.to_owned());
        let score = label_of(score);
        let scored = score != COUNT;
        names.extend(scored.then(|| score.to_owned()));
        let places = (1..=keys.len()).collect();
        let gone = Gone::new(&form, keys, places, names.len());
        let kind = match form {
            Form::Table => Kind::Table(Table::new(&names)),
            Form::Rows(form) => Kind::Rows(Writer::new(form, &names)),
        };
        Sheet { kind, body: Content::Count { columns: keys.len(), scored }, gone }
    }

    /// Appends what stands before the first ranking: the names, in CSV.
    pub fn header(&self, out: &mut Vec<u8>) {
        if let Kind::Rows(writer) = &self.kind {
            writer.header(out);
        }
    }

    /// Whether rankings are tables for people.
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.kind, Kind::Table(_))
    }

    /// The names of a table are bold.
    pub fn embolden(&mut self) {
        if let Kind::Table(table) = &mut self.kind {
            table.embolden();
        }
    }

    /// Appends a ranking; a table is cut to `width` cells. Returns how many lines it takes.
    pub fn write(
        &mut self,
        ranking: &[Ranked<'_>],
        width: Option<usize>,
        out: &mut Vec<u8>,
    ) -> usize {
        let Sheet { kind, body, gone } = self;
        for ranked in ranking {
            match (&mut *body, ranked.body) {
                (Content::Line { reader, columns, score }, Body::Line(line)) => {
                    // The row was read before it was kept, and nothing else is asked of it here.
                    let Ok(row) = reader.read(line) else { continue };
                    let score = score.as_ref().map(|expr| expr.value(row).unwrap_or(Value::Null));
                    let columns = columns.iter().map(|&slot| row.field(slot));
                    kind.row(&rank_of(ranked), line, columns, score.as_ref(), out);
                }
                (Content::Count { columns, scored }, Body::Count(count)) => {
                    let mut values = vec![rank_of(ranked)];
                    key::read(ranked.key, *columns, &mut values);
                    values.push(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
                    values.extend(scored.then(|| ranked.score.value()));
                    kind.values(&values, out);
                }
                _ => gone.write(kind, ranked.key, out),
            }
        }
        match kind {
            Kind::Table(table) => table.draw(width, out),
            _ => ranking.len(),
        }
    }
}

fn rank_of(ranked: &Ranked<'_>) -> Value<'static> {
    let rank = ranked.rank.and_then(|rank| i64::try_from(rank).ok());
    rank.map_or(Value::Null, Value::Int)
}

/// What the column of a score is called.
fn label_of(score: &Item) -> &str {
    score.name.as_deref().unwrap_or(score.text.trim())
}

impl Kind {
    /// Appends the row that came in `line`.
    fn row<'v>(
        &mut self,
        rank: &Value<'v>,
        line: &[u8],
        columns: impl Iterator<Item = Value<'v>>,
        score: Option<&Value<'v>>,
        out: &mut Vec<u8>,
    ) {
        match self {
            Kind::Members(members) => members.write(rank, line, score, out),
            Kind::Line(separator, end) => {
                rank.write(out);
                out.extend_from_slice(separator.as_bytes());
                out.extend_from_slice(line);
                if let Some(score) = score {
                    out.extend_from_slice(separator.as_bytes());
                    score.write(out);
                }
                out.push(*end);
            }
            Kind::Rows(_) | Kind::Table(_) => {
                let mut values = vec![rank.clone()];
                values.extend(columns);
                values.extend(score.cloned());
                self.values(&values, out);
            }
        }
    }

    /// Appends a row of values.
    fn values(&mut self, values: &[Value<'_>], out: &mut Vec<u8>) {
        match self {
            Kind::Table(table) => table.row(values),
            Kind::Rows(writer) => writer.row(values, out),
            Kind::Members(_) | Kind::Line(..) => {}
        }
    }
}

impl Gone {
    fn new(form: &Form, keys: &[String], places: Vec<usize>, width: usize) -> Gone {
        let mut names = vec![RANK.to_owned()];
        names.extend(keys.iter().map(|key| label(key)));
        let json = *form == Form::Rows(form::Form::Json);
        let json = json.then(|| Writer::new(form::Form::Json, &names));
        Gone { places, width, json }
    }

    /// Appends a key that left the ranking.
    fn write(&self, kind: &mut Kind, key: &[u8], out: &mut Vec<u8>) {
        let mut values = vec![Value::Null];
        key::read(key, self.places.len(), &mut values);
        if let Some(json) = &self.json {
            json.row(&values, out);
            return;
        }
        match kind {
            Kind::Members(_) => {}
            Kind::Line(separator, end) => {
                for value in &values[1..] {
                    out.extend_from_slice(separator.as_bytes());
                    value.write(out);
                }
                out.push(*end);
            }
            Kind::Rows(_) | Kind::Table(_) => {
                let mut row = vec![Value::Null; self.width];
                for (&place, value) in self.places.iter().zip(values.drain(1..)) {
                    row[place] = value;
                }
                kind.values(&row, out);
            }
        }
    }
}

impl Members {
    fn new(own: &[&str], label: Option<&str>) -> Members {
        let finder = |name: &str| {
            let mut quoted = Vec::new();
            form::write_json(&Value::Str(name.as_bytes().into()), &mut quoted);
            Finder::new(&quoted).into_owned()
        };
        let replaced = own.iter().map(|&name| (name.to_owned(), finder(name))).collect();
        Members { replaced, score: Writer::new(form::Form::Json, label.as_slice()) }
    }

    fn write(&self, rank: &Value<'_>, line: &[u8], score: Option<&Value<'_>>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"rank\":");
        rank.write(out);
        if self.replaced.iter().any(|(_, finder)| finder.find(line).is_some()) {
            self.write_others(line, out);
        } else {
            let line = line.trim_ascii();
            let inside = line[1..line.len() - 1].trim_ascii();
            if !inside.is_empty() {
                out.push(b',');
                out.extend_from_slice(inside);
            }
        }
        let Some(score) = score else {
            out.extend_from_slice(b"}\n");
            return;
        };
        // An object of its own, whose brace becomes the comma.
        let start = out.len();
        self.score.row([score], out);
        out[start] = b',';
    }

    /// Appends the members that keep their values.
    fn write_others(&self, line: &[u8], out: &mut Vec<u8>) {
        for (name, value) in members(line).unwrap_or_default() {
            if self.replaced.iter().any(|(replaced, _)| *replaced == name) {
                continue;
            }
            out.push(b',');
            form::write_json(&Value::Str(name.into_bytes().into()), out);
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Score;
    use row::schema::{Options, separator};

    fn ranked<'a>((rank, line): (u64, &'a &str)) -> Ranked<'a> {
        let (key, group, score, partition) = (&[][..], 0, Score::Null, None);
        let body = Body::Line(line.as_bytes());
        Ranked { rank: Some(rank), key, group, score, partition, body }
    }

    /// The lines as a ranking, ranked by `expr`.
    fn written(form: Form, options: &Options, expr: &str, lines: &[&str]) -> String {
        let score = row::sql::item(expr).expect("it parses");
        let first = lines[0].as_bytes();
        let (schema, _) = options.schema(first).expect("a schema");
        let mut sheet = Sheet::new(form, &score, &[], schema, first).expect("a sheet");
        let rows: Vec<Ranked<'_>> = (1..).zip(lines).map(ranked).collect();
        let mut out = Vec::new();
        sheet.header(&mut out);
        sheet.write(&rows, None, &mut out);
        String::from_utf8(out).expect("text")
    }

    const JSON: Form = Form::Rows(form::Form::Json);

    fn text(names: &[&str]) -> Options {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let field_separator = separator("|").expect("a separator");
        Options { field_separator, names, ..Options::default() }
    }

    #[test]
    fn json_rows_go_on_as_they_were_written() {
        let lines = [r#"{ "a": 1.50, "b.c":[1] } "#, "{}"];
        assert_eq!(
            written(JSON, &Options::default(), "a", &lines),
            "{\"rank\":1,\"a\": 1.50, \"b.c\":[1]}\n{\"rank\":2}\n"
        );
        assert_eq!(
            written(JSON, &Options::default(), "a*2 as twice", &lines[..1]),
            "{\"rank\":1,\"a\": 1.50, \"b.c\":[1],\"twice\":3.0}\n"
        );
        assert_eq!(
            written(JSON, &Options::default(), " a*2", &["{}"]),
            "{\"rank\":1,\"a*2\":null}\n"
        );
    }

    #[test]
    fn a_new_rank_takes_the_place_of_an_old_one() {
        let line = r#"{"rank":7,"a":1,"h":{"rank":2}}"#;
        assert_eq!(
            written(JSON, &Options::default(), "a+1 as a", &[line]),
            "{\"rank\":1,\"h\":{\"rank\":2},\"a\":2}\n"
        );
        let names = text(&["rank", "a"]);
        assert_eq!(written(JSON, &names, "a", &["7|x"]), "{\"rank\":1,\"a\":\"x\"}\n");
    }

    #[test]
    fn text_without_names_goes_on_as_it_came() {
        let out = Form::Rows(form::Form::Text(Separator::Byte(b'|'), b'\n'));
        assert_eq!(written(out.clone(), &text(&[]), "$2", &["a|2||"]), "1|a|2||\n");
        assert_eq!(written(out, &text(&[]), "$2*2", &["a|2||"]), "1|a|2|||4\n");
        assert_eq!(written(JSON, &text(&[]), "$2", &["a|2"]), "{\"rank\":1,\"line\":\"a|2\"}\n");
    }

    #[test]
    fn columns_of_json_are_those_of_the_first_row() {
        let csv = Form::Rows(form::Form::Csv);
        let lines = [r#"{"a.b":1,"k_b64":"/w==","c":"x,y"}"#, r#"{"c":null,"k":"z"}"#];
        let csv = {
            let score = row::sql::item("c").expect("it parses");
            let (schema, _) = Options::default().schema(lines[0].as_bytes()).expect("a schema");
            let first = lines[0].as_bytes();
            let mut sheet = Sheet::new(csv, &score, &[], schema, first).expect("a sheet");
            let rows: Vec<Ranked<'_>> = (1..).zip(&lines).map(ranked).collect();
            let mut out = Vec::new();
            sheet.header(&mut out);
            sheet.write(&rows, None, &mut out);
            out
        };
        assert_eq!(csv, b"rank,a.b,k,c\n1,1,\xff,\"x,y\"\n2,,z,\n");
    }

    #[test]
    fn a_table_has_the_names_on_top() {
        let lines = ["page1|2", "p|10"];
        let table = written(Form::Table, &text(&["page", "heat"]), "heat", &lines);
        assert_eq!(table, "rank  page   heat\n   1  page1     2\n   2  p        10\n");
    }
}
