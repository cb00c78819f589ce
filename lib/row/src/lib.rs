//! What a line says: rows of text, CSV, JSON, patterns and records, their values and times, SQL
//! expressions over them, and the forms in which rows are written again.
//!
//! Everything here is pure: bytes and time come in as arguments.

pub mod bad;
mod csv;
mod cuts;
pub mod envelope;
pub mod expr;
pub mod field;
pub mod form;
pub mod key;
pub mod member;
pub mod pattern;
pub mod plain;
pub mod record_key;
mod scan;
pub mod schema;
pub mod sql;
pub mod stored;
pub mod table;
pub mod time;
pub mod value;
