//! The fields of a line: found once a row, as ranges of the line, for the columns asked for.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::{memchr, memchr_iter, memmem};
use regex::bytes::CaptureLocations;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::csv::Csv;
use crate::cuts::{self, Cuts};
use crate::envelope::{About, Envelope};
use crate::pattern::Pattern;
use crate::plain::{Field, Plain};
use crate::scan::{self, Member, Scanner};
use crate::schema::{Column, Layout, Schema, Separator, is_blank};
use crate::value::{Fault, Number, Value, read_number, read_plain_digits, read_short_float};

/// Why a line cannot be read as a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Another number of fields than names.
    Fields {
        /// Fields found.
        found: usize,
        /// Fields named.
        named: usize,
    },
    /// Fewer fields than an expression asks for.
    Few {
        /// Fields found.
        found: usize,
        /// The last field asked for, from 1.
        asked: usize,
    },
    /// Not an object of JSON.
    Json(String),
    /// No record as `kcons -J` writes it.
    Envelope(String),
    /// A record's payload that is no JSON object, where a name asks for one.
    Payload,
    /// A line that a pattern does not match.
    NoMatch,
    /// A quoted CSV field that does not end on its line.
    Quote,
    /// A line over the limit, with its size in bytes.
    Long(u64),
    /// A value that an expression cannot use.
    Value(Fault),
    /// A time that cannot be read.
    Time(String),
}

impl Bad {
    /// The row's line is said elsewhere: a place in the first one of it is a column.
    #[cold]
    pub(crate) fn json(error: &serde_json::Error) -> Bad {
        Bad::Json(error.to_string().replace(" at line 1 column ", " at column "))
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bad::Fields { found: 1, named } => write!(f, "one field, where {named} are named"),
            Bad::Fields { found, named } => write!(f, "{found} fields, where {named} are named"),
            Bad::Few { found: 1, asked } => write!(f, "one field and no ${asked}"),
            Bad::Few { found, asked } => write!(f, "{found} fields and no ${asked}"),
            Bad::Json(reason) => write!(f, "no JSON object ({reason})"),
            Bad::Envelope(reason) => write!(f, "no record ({reason})"),
            Bad::Payload => {
                f.write_str("the payload does not start with {, and a name asks for JSON")
            }
            Bad::NoMatch => f.write_str("the pattern does not match"),
            Bad::Quote => f.write_str("a quoted field does not end"),
            Bad::Long(bytes) => write!(f, "a line of {bytes} bytes"),
            Bad::Value(fault) => write!(f, "{fault}"),
            Bad::Time(reason) => write!(f, "no time ({reason})"),
        }
    }
}

/// Something with values at numbered slots, over which an expression is evaluated.
pub trait Fields<'r>: Copy {
    /// The value at a slot.
    fn field(self, slot: u16) -> Value<'r>;

    /// The value at a slot as a number.
    ///
    /// # Errors
    /// When it is none.
    fn number(self, slot: u16) -> Result<Number, Fault> {
        self.field(slot).number()
    }

    /// The value at a slot as a float, when it is a number that is quickly read; `None` says
    /// nothing about it.
    #[inline]
    fn short_float(self, slot: u16) -> Option<f64> {
        let _ = slot;
        None
    }
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    start: u32,
    end: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Null,
    /// In the line, typed by what it reads as.
    Text,
    /// In the scratch, typed by what it reads as.
    ScratchText,
    /// A JSON string in the line.
    Str,
    /// A JSON string with escapes, unescaped in the scratch.
    ScratchStr,
    /// A JSON value of another type in the line.
    Json,
}

/// A row: slots over a line.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    line: &'r [u8],
    scratch: &'r [u8],
    slots: &'r [Slot],
}

impl<'r> Row<'r> {
    /// The whole line; of a record its payload.
    #[must_use]
    pub fn line(&self) -> &'r [u8] {
        self.line
    }

    /// The bytes of a field that stands in the line and is typed by what it reads as: what
    /// nearly all fields are, without the detour over a [`Value`].
    #[inline]
    #[must_use]
    pub fn text(&self, slot: u16) -> Option<&'r [u8]> {
        let Slot { start, end, kind } = self.slots[usize::from(slot)];
        (kind == Kind::Text).then(|| &self.line[start as usize..end as usize])
    }
}

impl Row<'_> {
    /// The field, when it is nothing but 1 to 18 digits.
    #[inline]
    #[must_use]
    pub fn digits(&self, slot: u16) -> Option<i64> {
        read_plain_digits(self.text(slot)?)
    }
}

impl<'r> Fields<'r> for Row<'r> {
    #[inline]
    fn field(self, slot: u16) -> Value<'r> {
        let Slot { start, end, kind } = self.slots[usize::from(slot)];
        let range = start as usize..end as usize;
        match kind {
            Kind::Null => Value::Null,
            Kind::Text => Value::Text(Cow::Borrowed(&self.line[range])),
            Kind::ScratchText => Value::Text(Cow::Borrowed(&self.scratch[range])),
            Kind::Str => Value::Str(Cow::Borrowed(&self.line[range])),
            Kind::ScratchStr => Value::Str(Cow::Borrowed(&self.scratch[range])),
            Kind::Json => Value::Json(Cow::Borrowed(&self.line[range])),
        }
    }

    #[inline]
    fn number(self, slot: u16) -> Result<Number, Fault> {
        match self.text(slot) {
            Some(bytes) => read_number(bytes)?.ok_or(Fault::NotANumber),
            None => self.field(slot).number(),
        }
    }

    #[inline]
    fn short_float(self, slot: u16) -> Option<f64> {
        read_short_float(self.text(slot)?)
    }
}

/// Reads lines as rows of one schema, looking only for the columns that were asked for.
#[derive(Debug)]
pub struct Reader {
    schema: Schema,
    columns: Vec<Column>,
    places: Places,
    members: Members,
    whole_line: Option<u16>,
    about: Vec<(About, u16)>,
    groups: Option<CaptureLocations>,
    /// Made for the first line with quotes.
    csv: Option<Box<Csv>>,
    scratch: Vec<u8>,
    payload: Vec<u8>,
}

/// Where the fields of a row are put.
#[derive(Debug)]
struct Places {
    /// The slot of each field position, `UNASKED` where nobody asked.
    positions: Vec<u16>,
    slots: Vec<Slot>,
    /// How many fields have names; all rows must have as many then.
    named: Option<usize>,
}

const UNASKED: u16 = u16::MAX;

impl Reader {
    /// A reader for `schema` that looks for no column yet.
    #[must_use]
    pub fn new(schema: Schema) -> Reader {
        let groups = match &schema.layout {
            Layout::Pattern(pattern) => Some(pattern.locations()),
            _ => None,
        };
        let named = schema.names.as_ref().map(Vec::len);
        Reader {
            schema,
            columns: Vec::new(),
            places: Places { positions: Vec::new(), slots: Vec::new(), named },
            members: Members::default(),
            whole_line: None,
            about: Vec::new(),
            groups,
            csv: None,
            scratch: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// The schema of the rows.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The slot in which rows hold the column that an expression calls `name`.
    ///
    /// # Errors
    /// When there is no such column; the message says which there are.
    pub fn slot(&mut self, name: &str) -> Result<u16, String> {
        let column = self.schema.column(name)?;
        self.slot_of(column)
    }

    /// The slot in which rows hold `column`.
    ///
    /// # Errors
    /// When there are too many columns.
    pub fn slot_of(&mut self, column: Column) -> Result<u16, String> {
        if let Some(slot) = self.columns.iter().position(|known| *known == column) {
            return u16::try_from(slot).map_err(|_| "too many columns".to_owned());
        }
        let slot = u16::try_from(self.columns.len()).ok().filter(|&slot| slot < UNASKED);
        let slot = slot.ok_or("too many columns")?;
        match &column {
            Column::Line => self.whole_line = Some(slot),
            Column::Position(position) => {
                let positions = &mut self.places.positions;
                if positions.len() <= *position {
                    positions.resize(position + 1, UNASKED);
                }
                positions[*position] = slot;
            }
            Column::Path(path) => self.members.want(path, slot),
            Column::About(about) => self.about.push((*about, slot)),
        }
        self.columns.push(column);
        self.places.slots.push(Slot::default());
        Ok(slot)
    }

    /// Whether lines are read in hardly more than the time of finding where they end.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        matches!(self.schema.layout, Layout::Text(Separator::Byte(_)) | Layout::Csv(_))
    }

    /// A reader of plain lines that finds the same in them, when all that is asked for is a time
    /// in milliseconds, perhaps a key, and numbers, each a column of its own.
    #[must_use]
    pub fn plain(&self, time: u16, key: Option<u16>, numbers: &[u16]) -> Option<Plain> {
        let (separator, csv) = match &self.schema.layout {
            Layout::Text(Separator::Byte(byte)) => (*byte, false),
            Layout::Csv(byte) => (*byte, true),
            _ => return None,
        };
        let mut fields = vec![Field::Unasked; self.places.named.unwrap_or_default()];
        let numbers = numbers.iter().enumerate().map(|(at, &slot)| (slot, Field::Number(at)));
        let asked = numbers.chain([(time, Field::Time)]).chain(key.map(|key| (key, Field::Key)));
        for (slot, field) in asked {
            let Column::Position(at) = self.columns[usize::from(slot)] else { return None };
            fields.resize(fields.len().max(at + 1), Field::Unasked);
            if std::mem::replace(&mut fields[at], field) != Field::Unasked {
                return None;
            }
        }
        Some(Plain::new(separator, csv, self.places.named.is_some(), fields))
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When it is no row of the schema.
    #[inline]
    pub fn read<'r>(&'r mut self, line: &'r [u8]) -> Result<Row<'r>, Bad> {
        let places = &mut self.places;
        match &self.schema.layout {
            Layout::Text(Separator::Byte(byte)) => places.read_bytes(line, *byte, Kind::Null)?,
            Layout::Text(separator) => places.read_text(line, separator)?,
            Layout::Csv(byte) if memchr(b'"', line).is_none() => {
                // RFC 4180 ends records in CR LF.
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                places.read_bytes(line, *byte, Kind::Text)?;
            }
            Layout::Csv(byte) => {
                let csv = self.csv.get_or_insert_with(|| Box::new(Csv::new(*byte)));
                places.read_csv(line, csv, &mut self.scratch)?;
            }
            Layout::Json => {
                self.scratch.clear();
                places.read_json(line, &self.members, &mut self.scratch)?;
            }
            Layout::Pattern(pattern) => {
                let Some(groups) = &mut self.groups else { return Err(Bad::NoMatch) };
                places.read_groups(line, pattern, groups)?;
            }
            Layout::Envelope(_) => return self.read_envelope(line),
        }
        if let Some(slot) = self.whole_line {
            self.places.slots[usize::from(slot)] = slot_at(0, line.len(), Kind::Text);
        }
        Ok(Row { line, scratch: &self.scratch, slots: &self.places.slots })
    }

    /// Reads a record: its payload as a row of JSON or text, then what else is known of it. A
    /// payload that is null has no fields: all are NULL.
    fn read_envelope(&mut self, line: &[u8]) -> Result<Row<'_>, Bad> {
        let Reader { schema, places, members, scratch, payload, .. } = self;
        let envelope = Envelope::read(line).map_err(Bad::Envelope)?;
        payload.clear();
        scratch.clear();
        let some = envelope.payload(payload).map_err(Bad::Envelope)?;
        places.slots.fill(Slot::default());
        if some {
            match &schema.layout {
                _ if schema.names.is_none() && payload.first() == Some(&b'{') => {
                    places.read_json(payload, members, scratch)?;
                }
                _ if !members.wanted.is_empty() => return Err(Bad::Payload),
                Layout::Envelope(separator) => places.read_text(payload, separator)?,
                _ => {}
            }
            if let Some(slot) = self.whole_line {
                places.slots[usize::from(slot)] = slot_at(0, payload.len(), Kind::Text);
            }
        }
        for &(about, slot) in &self.about {
            let start = scratch.len();
            let kind = match envelope.append(about, scratch).map_err(Bad::Envelope)? {
                None => Kind::Null,
                Some(true) => Kind::ScratchStr,
                Some(false) => Kind::ScratchText,
            };
            places.slots[usize::from(slot)] = slot_at(start, scratch.len(), kind);
        }
        Ok(Row { line: payload, scratch, slots: &places.slots })
    }
}

impl Places {
    fn read_text(&mut self, line: &[u8], separator: &Separator) -> Result<(), Bad> {
        match separator {
            Separator::Byte(byte) => self.read_bytes(line, *byte, Kind::Null),
            Separator::Blanks => self.read_blanks(line),
            Separator::Bytes(bytes) => self.read_strings(line, bytes),
        }
    }

    /// Cuts a line at a byte; a field without bytes is of the kind `empty`.
    #[inline]
    fn read_bytes(&mut self, line: &[u8], separator: u8, empty: Kind) -> Result<(), Bad> {
        if line.len() <= cuts::BYTES_MAX {
            self.cut(line, Cuts::new(line, separator), empty)
        } else {
            self.cut(line, memchr_iter(separator, line), empty)
        }
    }

    #[inline]
    fn cut(
        &mut self,
        line: &[u8],
        mut separators: impl Iterator<Item = usize>,
        empty: Kind,
    ) -> Result<(), Bad> {
        let mut start = 0;
        for (position, &slot) in self.positions.iter().enumerate() {
            let end = separators.next();
            let to = end.unwrap_or(line.len());
            if slot != UNASKED {
                let kind = if start < to { Kind::Text } else { empty };
                self.slots[usize::from(slot)] = slot_at(start, to, kind);
            }
            if end.is_none() {
                return self.check_count(position + 1);
            }
            start = to + 1;
        }
        if self.named.is_some() {
            return self.check_count(self.positions.len() + separators.count() + 1);
        }
        Ok(())
    }

    /// Whether a row of `found` fields is as named and has the fields asked for.
    #[inline]
    fn check_count(&self, found: usize) -> Result<(), Bad> {
        match self.named {
            Some(named) if named != found => Err(Bad::Fields { found, named }),
            None if found < self.positions.len() => {
                Err(Bad::Few { found, asked: self.positions.len() })
            }
            _ => Ok(()),
        }
    }

    fn read_blanks(&mut self, line: &[u8]) -> Result<(), Bad> {
        let mut at = 0;
        let mut found = 0;
        while at < line.len() {
            let start = at + line[at..].iter().take_while(|&&byte| is_blank(byte)).count();
            let end = start + line[start..].iter().take_while(|&&byte| !is_blank(byte)).count();
            if start == end {
                break;
            }
            self.put(found, slot_at(start, end, Kind::Text));
            found += 1;
            at = end;
        }
        self.check_count(found)
    }

    fn read_strings(&mut self, line: &[u8], separator: &[u8]) -> Result<(), Bad> {
        let mut start = 0;
        let mut found = 0;
        let ends = memmem::find_iter(line, separator).chain(std::iter::once(line.len()));
        for end in ends {
            let kind = if start < end { Kind::Text } else { Kind::Null };
            self.put(found, slot_at(start, end, kind));
            found += 1;
            start = end + separator.len();
        }
        self.check_count(found)
    }

    fn read_csv(&mut self, line: &[u8], csv: &mut Csv, scratch: &mut Vec<u8>) -> Result<(), Bad> {
        let ends = csv.cut(line, scratch)?;
        let mut start = 0;
        for (position, &end) in ends.iter().enumerate() {
            self.put(position, slot_at(start, end, Kind::ScratchText));
            start = end;
        }
        self.check_count(ends.len())
    }

    /// A group that took no part is NULL; one that took nothing is empty text.
    fn read_groups(
        &mut self,
        line: &[u8],
        pattern: &Pattern,
        groups: &mut CaptureLocations,
    ) -> Result<(), Bad> {
        if !pattern.find(line, groups) {
            return Err(Bad::NoMatch);
        }
        for (position, &slot) in self.positions.iter().enumerate() {
            if slot != UNASKED {
                let field = groups.get(position + 1);
                let place = |(start, end)| slot_at(start, end, Kind::Text);
                self.slots[usize::from(slot)] = field.map_or(Slot::default(), place);
            }
        }
        Ok(())
    }

    #[inline]
    fn put(&mut self, position: usize, value: Slot) {
        match self.positions.get(position) {
            Some(&slot) if slot != UNASKED => self.slots[usize::from(slot)] = value,
            _ => {}
        }
    }

    fn read_json(
        &mut self,
        line: &[u8],
        members: &Members,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Bad> {
        self.slots.fill(Slot::default());
        if self.scan_json(line, members).is_some() {
            return Ok(());
        }
        self.slots.fill(Slot::default());
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let Places { positions, slots, .. } = self;
        let found = Object { line, members, positions, slots, scratch };
        found.deserialize(&mut deserializer).map_err(|error| Bad::json(&error))?;
        deserializer.end().map_err(|error| Bad::json(&error))
    }

    /// Reads an object as nearly all are; `None`, with scraps in the slots, when it is no such.
    fn scan_json(&mut self, line: &[u8], members: &Members) -> Option<()> {
        let mut scanner = Scanner::new(line)?;
        let mut position = 0;
        while scanner.more(position == 0)? {
            let Member { name, kind, value } = scanner.member()?;
            let asked = members.named(name);
            let place = || match kind {
                scan::Kind::Null => Slot::default(),
                scan::Kind::String => slot_at(value.start + 1, value.end - 1, Kind::Str),
                scan::Kind::Number => slot_at(value.start, value.end, Kind::Text),
                _ => slot_at(value.start, value.end, Kind::Json),
            };
            match asked {
                Named::Unasked => {}
                Named::Plain(asked) => {
                    if kind == scan::Kind::Object && !asked.inner.wanted.is_empty() {
                        return None;
                    }
                    if let Some(slot) = asked.slot {
                        self.slots[usize::from(slot)] = place();
                    }
                }
                Named::Base64(_) => return None,
            }
            if !self.positions.is_empty() {
                self.put(position, place());
            }
            position += 1;
        }
        Some(())
    }
}

#[inline]
fn slot_at(start: usize, end: usize, kind: Kind) -> Slot {
    // Lines are far below 4 GiB: --max-line sees to that.
    #[expect(clippy::cast_possible_truncation, reason = "a line is below 4 GiB")]
    Slot { start: start as u32, end: end as u32, kind }
}

/// The members of JSON objects that are asked for.
#[derive(Debug, Default)]
struct Members {
    wanted: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    name: String,
    /// The name under which bytes that are not UTF-8 travel.
    name_b64: String,
    slot: Option<u16>,
    inner: Members,
}

impl Members {
    /// What a member called `name` means.
    #[inline]
    fn named(&self, name: &[u8]) -> Named<'_> {
        for member in &self.wanted {
            if member.name.as_bytes() == name {
                return Named::Plain(member);
            }
            if member.name_b64.as_bytes() == name {
                return Named::Base64(member);
            }
        }
        Named::Unasked
    }

    fn want(&mut self, path: &[String], slot: u16) {
        let [name, rest @ ..] = path else { return };
        let known = self.wanted.iter().position(|member| member.name == *name);
        let at = known.unwrap_or_else(|| {
            let name_b64 = format!("{name}_b64");
            let member =
                Asked { name: name.clone(), name_b64, slot: None, inner: Members::default() };
            self.wanted.push(member);
            self.wanted.len() - 1
        });
        if rest.is_empty() {
            self.wanted[at].slot = Some(slot);
        } else {
            self.wanted[at].inner.want(rest, slot);
        }
    }
}

/// What the name of a member means.
enum Named<'m> {
    Unasked,
    Plain(&'m Asked),
    Base64(&'m Asked),
}

/// Finds a name among the members without keeping it.
struct Name<'m>(&'m Members);

impl<'de, 'm> DeserializeSeed<'de> for Name<'m> {
    type Value = Named<'m>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Named<'m>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'m> Visitor<'_> for Name<'m> {
    type Value = Named<'m>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    #[inline]
    fn visit_str<E>(self, name: &str) -> Result<Named<'m>, E> {
        Ok(self.0.named(name.as_bytes()))
    }
}

/// Finds the members of an object and puts them into slots.
struct Object<'a> {
    line: &'a [u8],
    members: &'a Members,
    positions: &'a [u16],
    slots: &'a mut [Slot],
    scratch: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut position = 0;
        while let Some(named) = map.next_key_seed(Name(self.members))? {
            let by_position = self.positions.get(position).filter(|&&slot| slot != UNASKED);
            position += 1;
            match named {
                Named::Unasked if by_position.is_none() => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                _ => {}
            }
            let raw: &'de RawValue = map.next_value()?;
            if let Some(&slot) = by_position {
                self.slots[usize::from(slot)] = self.place(raw.get()).map_err(A::Error::custom)?;
            }
            match named {
                Named::Unasked => {}
                Named::Plain(member) => {
                    self.member(member, raw.get()).map_err(A::Error::custom)?;
                }
                Named::Base64(member) => self.base64(member, raw.get()),
            }
        }
        Ok(())
    }
}

impl Object<'_> {
    /// Puts a member's value where it was asked for, and looks inside it.
    fn member(&mut self, member: &Asked, raw: &str) -> Result<(), String> {
        if let Some(slot) = member.slot {
            self.slots[usize::from(slot)] = self.place(raw)?;
        }
        if !member.inner.wanted.is_empty() && raw.starts_with('{') {
            let inner = Object {
                line: self.line,
                members: &member.inner,
                positions: &[],
                slots: &mut *self.slots,
                scratch: &mut *self.scratch,
            };
            let mut deserializer = serde_json::Deserializer::from_str(raw);
            inner.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn place(&mut self, raw: &str) -> Result<Slot, String> {
        let start = raw.as_ptr() as usize - self.line.as_ptr() as usize;
        let end = start + raw.len();
        Ok(match raw.as_bytes()[0] {
            b'n' => Slot::default(),
            b'"' if memchr(b'\\', raw.as_bytes()).is_none() => {
                slot_at(start + 1, end - 1, Kind::Str)
            }
            b'"' => {
                // The outer parser has read this text already, and is content with either half.
                let half = |_| "half of a surrogate pair is no letter".to_owned();
                let text: String = serde_json::from_str(raw).map_err(half)?;
                self.keep(text.as_bytes())
            }
            b'{' | b'[' | b't' | b'f' => slot_at(start, end, Kind::Json),
            _ => slot_at(start, end, Kind::Text),
        })
    }

    fn base64(&mut self, member: &Asked, raw: &str) {
        let Some(slot) = member.slot else { return };
        let text: String = serde_json::from_str(raw).unwrap_or_default();
        if let Ok(bytes) = BASE64.decode(text) {
            self.slots[usize::from(slot)] = self.keep(&bytes);
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Slot {
        let start = self.scratch.len();
        self.scratch.extend_from_slice(bytes);
        slot_at(start, self.scratch.len(), Kind::ScratchStr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Form, Options, separator};
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The fields `columns` of `line`, as text with `-` for NULL, or why there are none.
    fn fields(options: &Options, line: &str, columns: &[&str]) -> Result<String, String> {
        let (schema, header) = options.schema(line.lines().next().unwrap_or("").as_bytes())?;
        let mut reader = Reader::new(schema);
        let slots: Vec<u16> =
            columns.iter().map(|name| reader.slot(name)).collect::<Result<_, _>>()?;
        let line = line.lines().nth(usize::from(header)).unwrap_or("");
        let row = reader.read(line.as_bytes()).map_err(|bad| bad.to_string())?;
        let shown: Vec<_> = slots
            .into_iter()
            .map(|slot| match row.field(slot).bytes() {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => "-".to_owned(),
            })
            .collect();
        Ok(shown.join("|"))
    }

    fn text(sep: &str, names: &str) -> Options {
        let names = names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect();
        let field_separator = separator(sep).expect("a separator");
        Options { form: Form::Text, field_separator, names, header_line: false }
    }

    #[test]
    fn text_is_cut_at_separators() {
        let options = text("|", "");
        assert_eq!(
            fields(&options, "p1|5||x", &["$1", "$2", "$3", "$0"]),
            Ok("p1|5|-|p1|5||x".into())
        );
        assert_eq!(fields(&options, "p1", &["$2"]), Err("one field and no $2".into()));
        assert_eq!(fields(&text("::", ""), "a::b::", &["$2", "$3"]), Ok("b|-".into()));
    }

    #[test]
    fn a_blank_separator_splits_at_runs_as_awk_does() {
        assert_eq!(fields(&text(" ", ""), "  a \t b  ", &["$1", "$2"]), Ok("a|b".into()));
        assert_eq!(fields(&text(" ", ""), "  ", &["$1"]), Err("0 fields and no $1".into()));
    }

    #[test]
    fn named_rows_have_as_many_fields_as_names() {
        let options = text(",", "a,b");
        assert_eq!(fields(&options, "1,2", &["b"]), Ok("2".into()));
        for bad in ["1", "1,2,3"] {
            assert!(fields(&options, bad, &["a"]).is_err(), "{bad}");
        }
    }

    #[test]
    fn csv_is_unquoted_and_has_no_null() {
        let options = Options { form: Form::Csv, ..Options::default() };
        let line = "a,b,c\n\"x,\"\"y\",,3";
        assert_eq!(fields(&options, line, &["a", "b", "c"]), Ok("x,\"y||3".into()));
        let semicolons = Options { field_separator: Separator::Byte(b';'), ..options.clone() };
        let line = "a;b\n\"x;y\";1,5";
        assert_eq!(fields(&semicolons, line, &["a", "b"]), Ok("x;y|1,5".into()));
        assert_eq!(
            fields(&options, "a,b\n\"x,2", &["a"]),
            Err("a quoted field does not end".into())
        );
    }

    #[test]
    fn json_keeps_its_types() {
        let line = r#"{"a":{"b":[1,2],"c":"x\ty"},"n":null,"t":true,"i":1.50,"q":"7"}"#;
        let options = Options::default();
        let columns = ["a.b", "a.c", "n", "t", "i", "q", "none", "$3"];
        assert_eq!(fields(&options, line, &columns), Ok("[1,2]|x\ty|-|true|1.50|7|-|true".into()));
        assert!(fields(&options, "{\"a\":1", &["a"]).is_err());
        assert!(fields(&options, "{\"a\":1} 2", &["a"]).is_err());
    }

    proptest! {
        #[test]
        fn a_scanned_row_is_the_row_that_serde_reads(
            members in vec((
                "a|b|c|c_b64|d",
                "1|-0.5|\"x\"|\"\\\\n\"|null|true|\\[1,\\]?|\\{\"b\":[0-9]\\}",
            ), 0..5),
        ) {
            let members: Vec<_> = members.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
            let line = format!("{{{}}}", members.join(","));
            // Only serde takes a line that starts with a blank.
            let blank = format!(" {line}");
            let read = |line: &str| {
                let mut reader = Reader::new(Schema::json());
                let slots = ["a", "a.b", "b", "c", "$1", "$3"].map(|name| reader.slot(name));
                let row = reader.read(line.as_bytes()).ok()?;
                Some(slots.map(|slot| row.field(slot.expect("a slot")).into_owned()))
            };
            prop_assert_eq!(read(&line), read(&blank), "{}", line);
        }
    }

    #[test]
    fn bytes_come_back_from_base64() {
        assert_eq!(fields(&Options::default(), r#"{"k_b64":"aGk="}"#, &["k"]), Ok("hi".into()));
    }

    fn of_form(form: &str) -> Options {
        Options { form: form.parse().expect("a form"), ..Options::default() }
    }

    #[test]
    fn the_groups_of_a_pattern_are_the_fields() {
        let options = of_form(r"re:^(?<ip>\S+) (-|(?<user>\S+)) (?<rest>[^!]*)$");
        let columns = ["ip", "user", "$2", "rest", "$0"];
        assert_eq!(fields(&options, "1.2.3.4 - ", &columns), Ok("1.2.3.4|-|-||1.2.3.4 - ".into()));
        assert_eq!(fields(&options, "a bob x y", &columns[..4]), Ok("a|bob|bob|x y".into()));
        assert_eq!(fields(&options, "a bob", &["ip"]), Err("the pattern does not match".into()));
        let unknown = fields(&options, "", &["host"]).expect_err("no group");
        assert_eq!(unknown, "no column host; there are ip, user, rest");
        let beyond = fields(&options, "", &["$5"]).expect_err("no group");
        assert_eq!(beyond, "no column $5: the pattern has 4 groups");
    }

    #[test]
    fn a_pattern_sees_bytes() {
        let (schema, _) = of_form(r"re:(?<x>.)(?<y>\S+)").schema(b"").expect("a schema");
        let mut reader = Reader::new(schema);
        let slot = reader.slot("y").expect("a group");
        let row = reader.read(b"\xff\xfe\x80 z").expect("a row");
        assert_eq!(row.field(slot).bytes().as_deref(), Some(&b"\xfe\x80"[..]));
    }

    /// An envelope with the members `key` and `payload`.
    fn envelope(members: &str) -> String {
        format!(r#"{{"topic":"t","partition":3,"offset":7,"tstype":"create","ts":99,{members}}}"#)
    }

    #[test]
    fn the_payload_of_a_record_is_its_row() {
        let about = ["_key", "_ts", "_topic", "_partition", "_offset"];
        let line = envelope(r#""headers":[],"key":"k","payload":"{\"a\":{\"b\":\"x\\ny\"}}""#);
        let options = of_form("envelope");
        assert_eq!(fields(&options, &line, &about), Ok("k|99|t|3|7".into()));
        assert_eq!(
            fields(&options, &line, &["a.b", "$1", "_key", "b"]),
            Ok("x\ny|{\"b\":\"x\\ny\"}|k|-".into())
        );
        let line = envelope(r#""key":null,"payload_b64":"YSwsYw==""#);
        assert_eq!(fields(&options, &line, &["$1", "$2", "$0", "_key"]), Ok("a|-|a,,c|-".into()));
        assert!(fields(&options, &line, &["a"]).expect_err("text").contains("asks for JSON"));
        let options = Options { names: vec!["x".into(), "y".into(), "z".into()], ..options };
        assert_eq!(fields(&options, &line, &["z", "_offset"]), Ok("c|7".into()));
        assert!(fields(&options, &line, &["a"]).expect_err("names").contains("z, _key, _ts"));
    }

    #[test]
    fn a_payload_that_is_null_has_no_fields() {
        let line = envelope(r#""key":"k","payload":null"#);
        assert_eq!(fields(&of_form("envelope"), &line, &["$0", "a", "_key"]), Ok("-|-|k".into()));
        let named = Options { names: vec!["x".into(), "y".into()], ..of_form("envelope") };
        assert_eq!(fields(&named, &line, &["x", "_key"]), Ok("-|k".into()));
        let bad = fields(&named, r#"{"payload":"x"}"#, &["x"]).expect_err("no record");
        assert!(bad.starts_with("no record (missing field `topic`"), "{bad}");
    }
}
