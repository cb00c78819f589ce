//! How lines are cut into fields, and what the fields are called.

use std::str::FromStr;

use memchr::memmem;

use crate::csv::Csv;
use crate::envelope::{About, Envelope};
use crate::member::members;
use crate::pattern::Pattern;

/// The form of input rows (`-i`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// JSON when the first row starts with `{`, else text.
    #[default]
    Auto,
    /// Fields between separators.
    Text,
    /// RFC 4180, one record a line; the first line is the header unless there are names.
    Csv,
    /// One object a line.
    Json,
    /// The groups of a regular expression.
    Pattern(Pattern),
    /// The records that `kcons -J` writes.
    Envelope,
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Form, String> {
        match text {
            "auto" => Ok(Form::Auto),
            "text" => Ok(Form::Text),
            "csv" => Ok(Form::Csv),
            "json" => Ok(Form::Json),
            "envelope" => Ok(Form::Envelope),
            _ => match text.strip_prefix("re:") {
                Some(pattern) => Pattern::new(pattern).map(Form::Pattern),
                None => Err("no such form; known are auto, text, csv, json, re:PATTERN, envelope"
                    .to_owned()),
            },
        }
    }
}

/// The options that say how lines are read as rows.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Input rows")]
#[group(skip)]
pub struct Options {
    /// Form of the input: auto, text, csv, json, re:PATTERN or envelope
    ///
    /// auto: JSON when the first row starts with `{`, else text
    /// text: fields between separators
    /// csv: RFC 4180, one record a line, the first one the header unless --names is given
    /// json: one object a line
    /// re:PATTERN: the groups of a regular expression, as 're:(?<ip>\S+) (?<user>\S+)'
    /// envelope: the records of kcons -J; their payload is a row of JSON or text, and there are
    /// _key, _ts, _topic, _partition and _offset
    #[arg(
        short = 'i',
        long = "input",
        value_name = "FORM",
        default_value = "auto",
        verbatim_doc_comment
    )]
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
    Pattern(Pattern),
    /// A record whose payload is JSON or text; with names it is text.
    Envelope(Separator),
}

/// The layout and the names of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub(crate) layout: Layout,
    /// The names of the fields in order; `None` when rows name their own or have none, and for a
    /// pattern, which has those of its groups.
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
    /// What is known of a record besides its payload.
    About(About),
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
        if self.form == Form::Auto { self.first_but_form() } else { Some("--input") }
    }

    fn first_but_form(&self) -> Option<&'static str> {
        if !self.names.is_empty() {
            Some("--names")
        } else if self.header_line {
            Some("--header-line")
        } else {
            let separated = self.field_separator != Separator::default();
            separated.then_some("--field-separator")
        }
    }

    /// The schema, when it does not hang on the first line.
    ///
    /// # Errors
    /// When options contradict each other: the option, and the reason.
    pub fn early(&self) -> Result<Option<Schema>, (&'static str, String)> {
        let refuse = |reason| (self.first_but_form().unwrap_or("--input"), reason);
        let layout = self.layout(b"").map_err(refuse)?;
        self.check_names(&layout).map_err(refuse)?;
        if self.expects_header() || (self.form == Form::Auto && self.names.is_empty()) {
            return Ok(None);
        }
        let (schema, _) = self.schema(b"").map_err(refuse)?;
        Ok(Some(schema))
    }

    /// The schema of rows whose first line is `first`, and whether that line is a header and no
    /// row.
    ///
    /// # Errors
    /// When options contradict each other or the first line, or the header cannot be read or
    /// names a field twice.
    pub fn schema(&self, first: &[u8]) -> Result<(Schema, bool), String> {
        let layout = self.layout(first)?;
        self.check_names(&layout)?;
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

    fn layout(&self, first: &[u8]) -> Result<Layout, String> {
        Ok(match (&self.form, &self.field_separator) {
            (Form::Json, _) => Layout::Json,
            (Form::Auto, _) if self.names.is_empty() && first.first() == Some(&b'{') => {
                Layout::Json
            }
            (Form::Auto | Form::Text, separator) => Layout::Text(separator.clone()),
            (Form::Csv, Separator::Byte(byte)) => Layout::Csv(*byte),
            (Form::Csv, _) => return Err("the separator of CSV is one byte and no blank".into()),
            (Form::Pattern(pattern), _) => Layout::Pattern(pattern.clone()),
            (Form::Envelope, separator) => Layout::Envelope(separator.clone()),
        })
    }

    /// Refuses options that say what the rows say themselves.
    fn check_names(&self, layout: &Layout) -> Result<(), String> {
        let named = self.header_line || !self.names.is_empty();
        let separated = self.field_separator != Separator::default();
        match layout {
            Layout::Json if named => Err("JSON rows name their own fields: --names and \
                                          --header-line are for text and CSV"
                .to_owned()),
            Layout::Pattern(_) if named => {
                Err("the groups of a pattern name the fields: (?<name>\\S+)".to_owned())
            }
            Layout::Pattern(_) if separated => {
                Err("the groups of a pattern are the fields: nothing separates them".to_owned())
            }
            Layout::Envelope(_) if self.header_line => {
                Err("records have no header line; --names names the fields of their payload"
                    .to_owned())
            }
            Layout::Envelope(_) => match self.names.iter().find(|n| About::named(n).is_some()) {
                Some(name) => Err(format!("the name {name} is the record's own")),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// The names in a header line; what an editor puts around them belongs to none: a byte order mark,
/// and the carriage return of an end of line.
fn header_names(layout: &Layout, line: &[u8]) -> Result<Vec<String>, String> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let fields: Vec<Vec<u8>> = match layout {
        Layout::Csv(byte) => Csv::new(*byte).fields(line).map_err(|bad| bad.to_string())?,
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
        Layout::Json | Layout::Pattern(_) | Layout::Envelope(_) => Vec::new(),
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

/// What results call a column that was asked for as `name`: `$0` is `line`, and `$2` is `f2`.
#[must_use]
pub fn label(name: &str) -> String {
    match name.strip_prefix('$') {
        Some("0") => "line".to_owned(),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => format!("f{digits}"),
        _ => name.to_owned(),
    }
}

impl Schema {
    /// A schema of JSON rows.
    #[must_use]
    pub fn json() -> Schema {
        Schema { layout: Layout::Json, names: None }
    }

    /// Whether rows are JSON objects, which name their own fields.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.layout == Layout::Json
    }

    /// Whether rows are text or CSV that nobody has named, so that a line is all there is to say.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        matches!(self.layout, Layout::Text(_) | Layout::Csv(_)) && self.names.is_none()
    }

    /// All columns with their names, for whoever writes whole rows: those of JSON are the members
    /// of the `first` row.
    #[must_use]
    pub fn columns(&self, first: &[u8]) -> Vec<(String, Column)> {
        let line = || vec![(label("$0"), Column::Line)];
        let about = || About::COLUMNS.map(|(about, name)| (name.to_owned(), Column::About(about)));
        match (&self.layout, &self.names) {
            (Layout::Json, _) => member_columns(first),
            (Layout::Pattern(pattern), _) => {
                let name = |(at, name): (usize, &Option<String>)| {
                    let name = name.clone().unwrap_or_else(|| label(&format!("${}", at + 1)));
                    (name, Column::Position(at))
                };
                pattern.names().iter().enumerate().map(name).collect()
            }
            (Layout::Envelope(_), None) => {
                let mut payload = Vec::new();
                let some = Envelope::read(first).is_ok_and(|e| e.payload(&mut payload) == Ok(true));
                let is_json = some && payload.first() == Some(&b'{');
                let mut columns = if is_json { member_columns(&payload) } else { line() };
                columns.retain(|(name, _)| About::named(name).is_none());
                columns.extend(about());
                columns
            }
            (layout, Some(names)) => {
                let column = |(at, name): (usize, &String)| (name.clone(), Column::Position(at));
                let mut columns: Vec<_> = names.iter().enumerate().map(column).collect();
                if matches!(layout, Layout::Envelope(_)) {
                    columns.extend(about());
                }
                columns
            }
            (_, None) => line(),
        }
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
        let path = || Ok(Column::Path(name.split('.').map(str::to_owned).collect()));
        match (&self.layout, &self.names) {
            (Layout::Json, _) => path(),
            (Layout::Envelope(_), names) => match (About::named(name), names) {
                (Some(about), _) => Ok(Column::About(about)),
                (None, None) => path(),
                (None, Some(names)) => {
                    let about = About::COLUMNS.map(|(_, name)| name);
                    let known = names.iter().map(String::as_str);
                    named(name, &known.chain(about).collect::<Vec<_>>())
                }
            },
            (Layout::Pattern(pattern), _) => match pattern.column(name) {
                Some(position) => Ok(Column::Position(position)),
                None => Err(no_group(name, pattern)),
            },
            (_, Some(names)) => named(name, &names.iter().map(String::as_str).collect::<Vec<_>>()),
            (_, None) => Err(format!(
                "no column {name}: the rows are text without names; --names gives them, $1 is \
                 the first field"
            )),
        }
    }

    fn position(&self, position: usize) -> Result<Column, String> {
        match (&self.layout, &self.names) {
            (Layout::Pattern(pattern), _) if position > pattern.names().len() => {
                let groups = pattern.names().len();
                let s = if groups == 1 { "" } else { "s" };
                Err(format!("no column ${position}: the pattern has {groups} group{s}"))
            }
            (_, Some(names)) if position > names.len() => {
                Err(format!("no column ${position}: there are {}", names.join(", ")))
            }
            // The slots of a row are numbered in 16 bits.
            (_, None) if position > usize::from(u16::MAX) => {
                Err(format!("no column ${position}: a row has at most {}", u16::MAX))
            }
            _ => Ok(Column::Position(position - 1)),
        }
    }
}

/// The members of a JSON row as columns.
fn member_columns(row: &[u8]) -> Vec<(String, Column)> {
    let column = |(name, _): (String, &str)| {
        let name = name.strip_suffix("_b64").map_or(name.clone(), str::to_owned);
        (name.clone(), Column::Path(vec![name]))
    };
    members(row).unwrap_or_default().into_iter().map(column).collect()
}

/// The column called `name` among the `known` ones, which are in their order.
fn named(name: &str, known: &[&str]) -> Result<Column, String> {
    match known.iter().position(|known| *known == name) {
        Some(position) => Ok(Column::Position(position)),
        None => Err(format!("no column {name}; there are {}", known.join(", "))),
    }
}

fn no_group(name: &str, pattern: &Pattern) -> String {
    let known: Vec<&str> = pattern.known().collect();
    if known.is_empty() {
        format!("no column {name}: the groups have no names; (?<{name}>…) is one, $1 is the first")
    } else {
        format!("no column {name}; there are {}", known.join(", "))
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
    fn options_that_contradict_each_other_are_refused() {
        let form = |text: &str| options(text.parse().expect("a form"));
        let names = vec!["a".to_owned()];
        let refused = |options: Options| options.early().expect_err("a contradiction").0;
        assert_eq!(refused(Options { names: names.clone(), ..form("re:(.)") }), "--names");
        assert_eq!(refused(Options { header_line: true, ..form("re:(.)") }), "--header-line");
        let field_separator = Separator::Blanks;
        assert_eq!(refused(Options { field_separator, ..form("re:(.)") }), "--field-separator");
        assert_eq!(refused(Options { names: vec!["_key".to_owned()], ..form("envelope") }), {
            "--names"
        });
        assert_eq!(refused(Options { names, ..form("json") }), "--names");
        assert!(form("auto").early().expect("no contradiction").is_none());
        assert!(form("re:(.)").early().expect("no contradiction").is_some());
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
