//! How lines become records.

use pipe::exit::{Error, Result};
use topic::mould::Mould;
use topic::rows::{Columns, Rows};

use crate::Args;
use crate::maker::{Form, Maker};

/// How lines become records.
#[derive(Debug)]
pub enum Work<'a> {
    /// Not at all: they are only counted.
    Nothing,
    /// The fast way: each is a value, perhaps with a key.
    Lines(Mould<'a>),
    /// The way of all others.
    Records(Box<Maker>),
}

impl Work<'_> {
    /// What the options ask for.
    ///
    /// # Errors
    /// Of the caller, when one of them is for another way.
    pub fn new(args: &Args) -> Result<Work<'_>> {
        let (fields, topic) = (&args.fields, args.topic.as_ref().map(|_| 0));
        let reads_rows = fields.any() || !args.keys.fields().is_empty();
        if let Some(option) = args.keys.rows().given().filter(|_| !reads_rows) {
            return Err(Error::caller(option, "is for fields of rows"));
        }
        if args.epochs.without_topic() {
            return Ok(Work::Nothing);
        }
        let form = if fields.envelope {
            Form::Envelopes { keep_topic: topic.is_none() }
        } else if fields.any() {
            let columns = Columns {
                key: args.keys.fields().to_vec(),
                headers: fields.header_field.clone(),
                timestamp: fields.timestamp_field.clone(),
                topic: fields.topic_field.clone(),
            };
            Form::Rows(Box::new(Rows::new(args.keys.rows().clone(), columns)))
        } else {
            let keys = args.keys.keys(None)?;
            return Ok(Work::Lines(Mould { keys, partition: None, headers: Vec::new() }));
        };
        Ok(Work::Records(Box::new(Maker::new(form, topic))))
    }

    /// Whether lines become no records.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(self, Work::Nothing)
    }
}
