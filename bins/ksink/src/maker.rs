//! Lines into records, for all lines that are more than a key and a value.

use std::borrow::Cow;
use std::collections::HashMap;

use topic::draft::Drafts;
use topic::envelope::Envelope;
use topic::flags::topic_name;
use topic::rows::{Refusal, Rows};

/// Makes records of lines, and keeps them until they are produced.
#[derive(Debug)]
pub struct Maker {
    form: Form,
    /// The topic of lines that name none, by its number.
    topic: Option<usize>,
    /// The numbers of topics that lines named, or why there is none.
    topics: HashMap<String, Result<usize, String>>,
    drafts: Drafts,
}

/// What lines are.
#[derive(Debug)]
pub enum Form {
    /// Rows, with fields that become key, headers, time and topic.
    Rows(Box<Rows>),
    /// Envelopes.
    Envelopes {
        /// Whether their topic is the record's.
        keep_topic: bool,
    },
}

/// What keeps a line from being a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// It is none.
    Refused(Refusal),
    /// Its topic is not known yet: [`Maker::learn`] comes first.
    Topic(String),
}

impl Maker {
    /// A maker of records of lines in `form`; those that name no topic go to number `topic`.
    #[must_use]
    pub fn new(form: Form, topic: Option<usize>) -> Maker {
        Maker { form, topic, topics: HashMap::new(), drafts: Drafts::default() }
    }

    /// Takes note of the number of a topic, or why there is no such topic.
    pub fn learn(&mut self, name: String, found: Result<usize, String>) {
        self.topics.insert(name, found);
    }

    /// Makes records of numbered lines, up to one that is none, in the place of those before.
    ///
    /// # Errors
    /// The number of the line that is no record, and why.
    pub fn fill<'l>(
        &mut self,
        lines: impl Iterator<Item = (u64, &'l [u8])>,
    ) -> Result<(), (u64, Halt)> {
        self.drafts.clear();
        for (number, line) in lines {
            self.make(number, line).map_err(|halt| (number, halt))?;
        }
        Ok(())
    }

    /// Makes the record of a line, unless it is a header line.
    fn make(&mut self, number: u64, line: &[u8]) -> Result<(), Halt> {
        let refused = |reason| Halt::Refused(Refusal::Row(reason));
        let mut pen = self.drafts.begin(number);
        let topic = match &mut self.form {
            Form::Rows(rows) => {
                if !rows.write(line, &mut pen).map_err(Halt::Refused)? {
                    return Ok(());
                }
                rows.topic().map(Cow::Borrowed)
            }
            Form::Envelopes { keep_topic } => {
                let envelope = Envelope::read(line).map_err(refused)?;
                envelope.write(&mut pen).map_err(refused)?;
                envelope.topic.filter(|_| *keep_topic)
            }
        };
        // In CSV nothing is NULL.
        pen.topic(match topic.filter(|name| !name.is_empty()) {
            None => self.topic.ok_or_else(|| refused("it names no topic".to_owned()))?,
            Some(name) => number_of(&name, &self.topics)?,
        });
        pen.done();
        Ok(())
    }

    /// The records that were made last.
    #[must_use]
    pub fn drafts(&self) -> &Drafts {
        &self.drafts
    }
}

/// The number of the topic called `name`.
fn number_of(name: &str, topics: &HashMap<String, Result<usize, String>>) -> Result<usize, Halt> {
    let refused = |reason| Halt::Refused(Refusal::Row(reason));
    match topics.get(name) {
        Some(found) => found.clone().map_err(refused),
        None => match topic_name(name) {
            Ok(name) => Err(Halt::Topic(name)),
            Err(reason) => Err(refused(format!("{name:?} is no topic: {reason}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use row::schema::Options;
    use topic::rows::Columns;

    use super::*;

    fn maker(topic: Option<usize>) -> Maker {
        let columns = Columns { topic: Some("$1".to_owned()), ..Columns::default() };
        Maker::new(Form::Rows(Box::new(Rows::new(Options::default(), columns))), topic)
    }

    /// The numbers of the records and of their topics.
    fn made(maker: &Maker) -> Vec<(u64, usize)> {
        let headers = maker.drafts().headers();
        maker.drafts().records(&headers).iter().map(|one| (one.number, one.topic)).collect()
    }

    #[test]
    fn a_topic_is_asked_for_once_and_its_rows_are_made_then() {
        let mut maker = maker(None);
        let lines = [(1, &b"a,1"[..]), (2, b"b,2"), (3, b"a,3"), (4, b"c,4"), (5, b",5")];
        let ask = |name: &str| Halt::Topic(name.to_owned());
        assert_eq!(maker.fill(lines.into_iter()), Err((1, ask("a"))));
        maker.learn("a".to_owned(), Ok(4));
        assert_eq!(maker.fill(lines.into_iter()), Err((2, ask("b"))));
        assert_eq!(made(&maker), [(1, 4)]);
        maker.learn("b".to_owned(), Ok(5));
        maker.learn("c".to_owned(), Err("c: unknown".to_owned()));
        let refused = |reason: &str| Halt::Refused(Refusal::Row(reason.to_owned()));
        assert_eq!(maker.fill(lines[1..].iter().copied()), Err((4, refused("c: unknown"))));
        assert_eq!(made(&maker), [(2, 5), (3, 4)]);
        let rest = maker.fill(lines[4..].iter().copied());
        assert_eq!(rest, Err((5, refused("it names no topic"))));
    }

    #[test]
    fn rows_without_a_topic_go_to_the_one_there_is_and_no_name_is_none() {
        let mut maker = maker(Some(0));
        assert_eq!(maker.fill([(1, &b",1"[..])].into_iter()), Ok(()));
        assert_eq!(made(&maker), [(1, 0)]);
        maker.form = Form::Envelopes { keep_topic: true };
        assert_eq!(maker.fill([(1, &b"{\"topic\":\"\"}"[..])].into_iter()), Ok(()));
        assert_eq!(made(&maker), [(1, 0)]);
        let refused = maker.fill([(2, &br#"{"topic":"a b"}"#[..])].into_iter());
        assert!(matches!(refused, Err((2, Halt::Refused(Refusal::Row(_))))), "{refused:?}");
    }

    #[test]
    fn envelopes_name_their_topics_unless_they_are_not_asked() {
        let line = (1, &br#"{"topic":"a","payload":"1"}"#[..]);
        let mut maker = Maker::new(Form::Envelopes { keep_topic: true }, None);
        assert_eq!(maker.fill([line].into_iter()), Err((1, Halt::Topic("a".to_owned()))));
        let mut maker = Maker::new(Form::Envelopes { keep_topic: false }, Some(0));
        assert_eq!(maker.fill([line].into_iter()), Ok(()));
        assert_eq!(made(&maker), [(1, 0)]);
    }
}
