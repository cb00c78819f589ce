//! Whole rows behind the columns of their window: each with the names that it came with, so that
//! these reach who reads the results.

use row::field::{Fields as _, Reader};
use row::form;
use row::member::members;
use row::schema::{Form, Options, Schema, label};
use row::value::Value;

/// Cuts rows, which are results' last column, into their own columns.
#[derive(Debug)]
pub struct Cutter {
    rows: Options,
    /// The columns before the row, which leave out those of the row that have the same name.
    front: Vec<String>,
    /// Whether objects are written as objects.
    json: bool,
    schema: Option<Schema>,
    cut: Option<Cut>,
}

/// What becomes of a row.
#[derive(Debug)]
enum Cut {
    /// It is one column, since nobody has named others.
    Line,
    /// The members of an object go on as they were written.
    Members,
    /// These columns of it.
    Columns(Box<Reader>, Vec<u16>),
}

impl Cutter {
    /// Rows that `rows` describes, behind the columns `front`; as objects, when they come and go
    /// as such, which `json` says of results.
    #[must_use]
    pub fn new(rows: &Options, front: &[&str], json: bool) -> Cutter {
        let mut rows = rows.clone();
        if rows.form == Form::Envelope {
            // What goes on of a record is its payload.
            rows.form = Form::Auto;
        }
        let front = front.iter().map(|&name| name.to_owned()).collect();
        Cutter { rows, front, json, schema: None, cut: None }
    }

    /// The header line says that rows are of this schema.
    pub fn learn(&mut self, schema: &Schema) {
        self.schema = Some(schema.clone());
    }

    /// Before the first result, the row of which is `first`: the names of all columns; `None`
    /// later.
    pub fn begin(&mut self, first: Option<&[u8]>) -> Option<Vec<String>> {
        if self.cut.is_some() {
            return None;
        }
        let (is_null, first) = (first.is_none(), first.unwrap_or_default());
        let schema = self.schema.take().or_else(|| Some(self.rows.schema(first).ok()?.0));
        let mut names = self.front.clone();
        let cut = match schema {
            // The next record may have a payload.
            Some(schema) if self.json && (schema.is_json() || is_null && schema.is_bare()) => {
                Cut::Members
            }
            Some(schema) if !schema.is_bare() => {
                let mut reader = Reader::new(schema);
                let mut slots = Vec::new();
                for (name, column) in reader.schema().columns(first) {
                    if let Ok(slot) = reader.slot_of(column)
                        && !self.front.contains(&name)
                    {
                        slots.push(slot);
                        names.push(name);
                    }
                }
                Cut::Columns(Box::new(reader), slots)
            }
            _ => {
                names.push(label("$0"));
                Cut::Line
            }
        };
        self.cut = Some(cut);
        Some(names)
    }

    /// Gives the columns of a result to `take`, the row's own instead of the row.
    pub fn columns(&mut self, values: &[Value<'_>], take: impl FnOnce(&[Value<'_>])) {
        let Some((line, front)) = values.split_last() else { return };
        match &mut self.cut {
            None | Some(Cut::Line) => take(values),
            Some(Cut::Members) => take(front),
            Some(Cut::Columns(reader, slots)) => {
                let line = line.bytes();
                // It was read before it was kept. A record without a payload has NULLs.
                let row = line.as_deref().and_then(|line| reader.read(line).ok());
                let field = |&slot: &u16| row.map_or(Value::Null, |row| row.field(slot));
                let mut columns: Vec<Value<'_>> = front.iter().map(Value::as_borrowed).collect();
                columns.extend(slots.iter().map(field));
                take(&columns);
            }
        }
    }

    /// Appends the members of a row to the object that was written last, before its end.
    pub fn append_members(&self, values: &[Value<'_>], out: &mut Vec<u8>) {
        let (Some(Cut::Members), Some(line)) = (&self.cut, values.last()) else { return };
        let Some(bytes) = line.bytes() else { return };
        out.truncate(out.len() - b"}\n".len());
        if let Ok(members) = members(&bytes) {
            for (name, value) in members {
                if !self.front.contains(&name) {
                    append_name(name, out);
                    out.extend_from_slice(value.as_bytes());
                }
            }
        } else {
            // The payload of a record may be text where others are objects.
            append_name(label("$0"), out);
            form::write_json(line, out);
        }
        out.extend_from_slice(b"}\n");
    }
}

fn append_name(name: String, out: &mut Vec<u8>) {
    out.push(b',');
    form::write_json(&Value::Str(name.into_bytes().into()), out);
    out.push(b':');
}
