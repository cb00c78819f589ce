//! How lines are cut into fields, and what the fields are called.

use memchr::memmem;

use crate::field::cut_csv;

/// The form of input rows (`-i`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// JSON when the first row starts with `{`, else text
    #[default]
    Auto,
    /// Fields between separators
    Text,
    /// RFC 4180, one record a line; the first line is the header unless --names is given
    Csv,
    /// One object a line
    Json,
}

/// The options that say how lines are read as rows.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Input rows")]
pub struct Options {
    /// Form of the input
    #[arg(short = 'i', long = "input", value_name = "FORM", default_value = "auto")]
    pub form: Form,

    /// Field separator of text rows; ' ' splits at runs of blanks, as awk does
    #[arg(short = 'F', long, value_name = "SEP", default_value = ",", value_parser = separator)]
    pub field_separator: Separator,

    /// Names of the fields; a row with another number of fields is a bad row
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    pub names: Vec<String>,

    /// The first line holds the names of the fields
    #[arg(long, conflicts_with = "names")]
    pub header_line: bool,
}

/// What stands between the fields of a text row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Separator {
    /// One byte.
    Byte(u8),
    /// A run of blanks; blanks at both ends do not count.
    Blanks,
    /// Several bytes.
    Bytes(Vec<u8>),
}

impl Default for Separator {
    fn default() -> Separator {
        Separator::Byte(b',')
    }
}

impl Separator {
    /// The bytes that stand between the fields of a row that is written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Separator::Byte(byte) => std::slice::from_ref(byte),
            Separator::Blanks => b" ",
            Separator::Bytes(bytes) => bytes,
        }
    }
}

/// Whether awk takes the byte for a blank.
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Reads a separator option: `|`, `\t`, `\x1f`, several bytes, or one blank for runs of blanks.
///
/// # Errors
/// When it is empty.
pub fn separator(text: &str) -> Result<Separator, String> {
    let bytes = text.replace("\\t", "\t").replace("\\x1f", "\x1f").into_bytes();
    match bytes.as_slice() {
        [] => Err("a separator has at least one byte".to_owned()),
        b" " => Ok(Separator::Blanks),
        [byte] => Ok(Separator::Byte(*byte)),
        _ => Ok(Separator::Bytes(bytes)),
    }
}

/// How lines are cut, once it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Text(Separator),
    Csv(u8),
    Json,
}

/// The layout and the names of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub(crate) layout: Layout,
    /// The names of the fields in order; `None` when rows name their own or have none.
    pub(crate) names: Option<Vec<String>>,
}

/// A column that an expression asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// The whole line (`$0`).
    Line,
    /// A field by its position, from 0 (`$1` is 0).
    Position(usize),
    /// A member of a JSON object, and of objects in it.
    Path(Vec<String>),
}

impl Options {
    /// Whether the first line of text or CSV holds the names.
    #[must_use]
    pub fn expects_header(&self) -> bool {
        self.header_line || (self.form == Form::Csv && self.names.is_empty())
    }

    /// The first of these options that is not as it is by itself.
    #[must_use]
    pub fn given(&self) -> Option<&'static str> {
        if self.form != Form::Auto {
            Some("--input")
        } else if self.field_separator != Separator::default() {
            Some("--field-separator")
        } else if !self.names.is_empty() {
            Some("--names")
        } else {
            self.header_line.then_some("--header-line")
        }
    }

    /// The schema of rows whose first line is `first`, and whether that line is a header and no
    /// row.
    ///
    /// # Errors
    /// When the header cannot be read, or names a field twice.
    pub fn schema(&self, first: &[u8]) -> Result<(Schema, bool), String> {
        let json =
            self.form == Form::Json || (self.form == Form::Auto && first.first() == Some(&b'{'));
        if json {
            if self.header_line || !self.names.is_empty() {
                return Err("JSON rows name their own fields: --names and --header-line are for \
                            text and CSV"
                    .to_owned());
            }
            return Ok((Schema { layout: Layout::Json, names: None }, false));
        }
        let layout = match self.form {
            Form::Csv => match self.field_separator {
                Separator::Byte(byte) => Layout::Csv(byte),
                _ => return Err("the separator of CSV is one byte and no blank".to_owned()),
            },
            _ => Layout::Text(self.field_separator.clone()),
        };
        let header = self.expects_header();
        let names = if header {
            Some(header_names(&layout, first)?)
        } else {
            (!self.names.is_empty()).then(|| self.names.clone())
        };
        if let Some(name) = names.as_deref().and_then(twice) {
            return Err(format!("the name {name} stands twice"));
        }
        Ok((Schema { layout, names }, header))
    }
}

fn header_names(layout: &Layout, line: &[u8]) -> Result<Vec<String>, String> {
    let fields: Vec<Vec<u8>> = match layout {
        Layout::Csv(byte) => cut_csv(line, *byte).map_err(|bad| bad.to_string())?,
        Layout::Text(Separator::Byte(byte)) => {
            line.split(|b| b == byte).map(<[u8]>::to_vec).collect()
        }
        Layout::Text(Separator::Blanks) => {
            line.split(|&b| is_blank(b)).filter(|f| !f.is_empty()).map(<[u8]>::to_vec).collect()
        }
        Layout::Text(Separator::Bytes(bytes)) => {
            let mut fields = Vec::new();
            let mut from = 0;
            for at in memmem::find_iter(line, bytes) {
                fields.push(line[from..at].to_vec());
                from = at + bytes.len();
            }
            fields.push(line[from..].to_vec());
            fields
        }
        Layout::Json => Vec::new(),
    };
    let name = |field: Vec<u8>| {
        String::from_utf8(field).map_err(|_| "the header line is not UTF-8".to_owned())
    };
    fields.into_iter().map(name).collect()
}

fn twice(names: &[String]) -> Option<&str> {
    let again = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    again.map(|(_, name)| name.as_str())
}

impl Schema {
    /// A schema of JSON rows.
    #[must_use]
    pub fn json() -> Schema {
        Schema { layout: Layout::Json, names: None }
    }

    /// The names of the fields in order; `None` when rows name their own or have none.
    #[must_use]
    pub fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// Whether rows are JSON objects, which name their own fields.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.layout == Layout::Json
    }

    /// Finds the column that an expression calls `name`: `$0`, `$1`, a name, or a path.
    ///
    /// # Errors
    /// When there is none; the message says which there are.
    pub fn column(&self, name: &str) -> Result<Column, String> {
        if let Some(digits) = name.strip_prefix('$') {
            match digits.parse::<usize>() {
                Ok(0) => return Ok(Column::Line),
                Ok(position) => return self.position(position),
                Err(_) => {}
            }
        }
        if self.layout == Layout::Json {
            return Ok(Column::Path(name.split('.').map(str::to_owned).collect()));
        }
        let Some(names) = &self.names else {
            return Err(format!(
                "no column {name}: the rows are text without names; --names gives them, $1 is \
                 the first field"
            ));
        };
        match names.iter().position(|known| known == name) {
            Some(position) => Ok(Column::Position(position)),
            None => Err(format!("no column {name}; there are {}", names.join(", "))),
        }
    }

    fn position(&self, position: usize) -> Result<Column, String> {
        match &self.names {
            Some(names) if position > names.len() => {
                Err(format!("no column ${position}: there are {}", names.len()))
            }
            _ => Ok(Column::Position(position - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(form: Form) -> Options {
        Options { form, ..Options::default() }
    }

    #[test]
    fn the_first_byte_tells_json_from_text() {
        let (schema, header) = options(Form::Auto).schema(b"{\"a\":1}").expect("a schema");
        assert_eq!((schema.layout, header), (Layout::Json, false));
        let (schema, _) = options(Form::Auto).schema(b"1,2").expect("a schema");
        assert_eq!(schema.layout, Layout::Text(Separator::Byte(b',')));
        assert_eq!(schema.column("$2"), Ok(Column::Position(1)));
        assert!(schema.column("a").expect_err("no names").contains("--names"));
    }

    #[test]
    fn csv_has_a_header_unless_named() {
        let (schema, header) = options(Form::Csv).schema(b"a,\"b c\"").expect("a schema");
        assert!(header);
        assert_eq!(schema.column("b c"), Ok(Column::Position(1)));
        assert!(schema.column("d").expect_err("unknown").contains("there are a, b c"));
        let names = vec!["x".to_owned(), "y".to_owned()];
        let (_, header) = Options { names, ..options(Form::Csv) }.schema(b"1,2").expect("a schema");
        assert!(!header);
    }

    #[test]
    fn a_name_stands_once() {
        assert!(options(Form::Csv).schema(b"a,b,a").is_err());
    }

    #[test]
    fn paths_reach_into_objects() {
        let path = Column::Path(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(Schema::json().column("a.b"), Ok(path));
    }
}
