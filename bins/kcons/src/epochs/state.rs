//! The state of the stages as the changelog has it: the last value of each key, and the offsets
//! that were committed with it.

use std::collections::HashMap;

use serde_json::Value as Json;
use serde_json::value::RawValue;
use topic::archive::Stored;
use topic::changelog::Key;
use topic::note::is_signed;
use topic::record::Partition;

/// The last values of the keys of some partitions.
#[derive(Debug, Default)]
pub(crate) struct State {
    parts: HashMap<i32, HashMap<Box<[u8]>, Entry>>,
    taken: u64,
}

/// When it was written, and the value.
type Entry = (u64, Box<[u8]>);

impl State {
    /// Takes a record of the changelog, in their order.
    pub(crate) fn take(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) {
        self.taken += 1;
        let entries = self.parts.entry(partition).or_default();
        match value.filter(|value| *value != b"null") {
            Some(value) => entries.insert(key.into(), (self.taken, value.into())),
            None => entries.remove(key),
        };
    }

    /// Checks the offsets of `partitions` that were stored with the state against those that are
    /// `stored` by the group, and gives each entry of them as a `restore` mark to `give`, which
    /// says whether to go on: of each partition the header first, then in the order of writing.
    /// How many entries there were.
    ///
    /// # Errors
    /// What is wrong with which partition.
    pub(crate) fn restore(
        mut self,
        partitions: &[Partition],
        stored: &[Stored],
        mut give: impl FnMut(&[u8]) -> bool,
    ) -> Result<u64, (Partition, String)> {
        let mut count = 0;
        for (partition, stored) in partitions.iter().zip(stored) {
            let failed = |reason| (partition.clone(), reason);
            let mut all = Vec::new();
            let mut kept = None;
            for (key, value) in self.parts.remove(&partition.number).unwrap_or_default() {
                let name = Key::parse(&key).ok_or_else(|| failed(foreign(&key)))?;
                if name.topic != partition.topic {
                    // The same number of another topic.
                    let others = self.parts.entry(partition.number).or_default();
                    others.insert(key, value);
                } else if name.stage.is_empty() {
                    let offset = serde_json::from_slice(&value.1).ok();
                    kept = Some(offset.ok_or_else(|| failed(foreign(&key)))?);
                } else {
                    let is_header = name.own.get() == "null";
                    all.push((!is_header, value.0, key, value.1));
                }
            }
            check(kept, stored).map_err(failed)?;
            all.sort_unstable_by_key(|(rest, order, ..)| (*rest, *order));
            let mut line = Vec::new();
            for (_, _, key, value) in &all {
                line.clear();
                mark(partition, key, value, &mut line).ok_or_else(|| failed(foreign(key)))?;
                count += 1;
                if !give(&line) {
                    return Ok(count);
                }
            }
        }
        Ok(count)
    }
}

/// Whether the offset `kept` with the state of a partition is the one that the group has stored.
///
/// # Errors
/// How they differ.
pub(crate) fn check(kept: Option<i64>, stored: &Stored) -> Result<(), String> {
    match (kept, stored.offset) {
        (Some(kept), Some(stored)) if kept == stored => Ok(()),
        (Some(kept), Some(stored)) => Err(format!(
            "the group's stored offset is {stored}, its state is of offset {kept}: who moved it? \
             --reset-state goes on without state"
        )),
        (Some(kept), None) => Err(format!(
            "the group has no stored offset any more, its state is of offset {kept}; \
             --reset-state begins without state"
        )),
        (None, Some(offset)) if is_signed(&stored.metadata) => Err(format!(
            "offset {offset} was stored together with state, and that is gone; --reset-state goes \
             on without it"
        )),
        (None, _) => Ok(()),
    }
}

/// The topic of whose partition a record of the changelog stores the offset, if it does.
pub(super) fn topic_of_offset(key: &[u8]) -> Option<String> {
    Key::parse(key).filter(|key| key.stage.is_empty()).map(|key| key.topic)
}

fn foreign(key: &[u8]) -> String {
    let key: String = String::from_utf8_lossy(key).chars().take(100).collect();
    format!("the changelog holds {key:?}, which is not of kpipe")
}

/// Appends the `restore` mark of an entry, if it is one.
fn mark(partition: &Partition, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let Key { stage, topic, own: key } = Key::parse(key)?;
    let value: &RawValue = serde_json::from_slice(value).ok()?;
    if [key, value].iter().any(|raw| raw.get().contains('\n')) {
        return None;
    }
    let (stage, topic) = (Json::from(stage), Json::from(topic));
    let (key, value, number) = (key.get(), value.get(), partition.number);
    let rest = format!(
        "{{\"mark\":\"restore\",\"stage\":{stage},\"at\":[{topic},{number}],\"key\":{key},\
         \"value\":{value}}}\n"
    );
    out.push(pipe::mark::RS);
    out.extend_from_slice(rest.as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use pipe::mark::Mark;
    use serde_json::json;

    use super::*;

    fn partition(topic: &str, number: i32) -> Partition {
        Partition { topic: topic.to_owned(), number }
    }

    fn stored(offset: i64) -> Stored {
        Stored { offset: Some(offset), metadata: "kpipe m 1 1".to_owned() }
    }

    /// What is restored of partition 0 of `t` at offset 5, as (stage, key, value).
    fn restored(records: &[(&str, Option<&str>)]) -> Vec<(String, Json, Json)> {
        let mut state = State::default();
        state.take(0, br#"["","t",null]"#, Some(b"5"));
        for (key, value) in records {
            state.take(0, key.as_bytes(), value.map(str::as_bytes));
        }
        let mut entries = Vec::new();
        let count = state.restore(&[partition("t", 0)], &[stored(5)], |line| {
            let line = line.strip_prefix(b"\x1e").expect("a mark");
            match Mark::parse(line).expect("a mark") {
                Mark::Restore { stage, at, key, value } => {
                    assert_eq!(at, pipe::mark::Partition("t".to_owned(), 0));
                    entries.push((stage, key, value));
                }
                other => panic!("{other:?}"),
            }
            true
        });
        assert_eq!(count.ok(), u64::try_from(entries.len()).ok());
        entries
    }

    #[test]
    fn the_last_value_of_a_key_counts_and_null_deletes() {
        let entries = restored(&[
            (r#"["0:swin","t",["a",1]]"#, Some("1")),
            (r#"["0:swin","t",["b",1]]"#, Some("2")),
            (r#"["0:swin","t",["c",1]]"#, Some("3")),
            (r#"["0:swin","t",["a",1]]"#, Some("4")),
            (r#"["0:swin","t",["b",1]]"#, None),
            (r#"["0:swin","t",["c",1]]"#, Some("null")),
        ]);
        assert_eq!(entries, [("0:swin".to_owned(), json!(["a", 1]), json!(4))]);
    }

    #[test]
    fn the_header_is_the_first_and_the_others_keep_their_order() {
        let entries = restored(&[
            (r#"["0:swin","t",9]"#, Some("1")),
            (r#"["0:swin","t",8]"#, Some("2")),
            (r#"["0:swin","t",null]"#, Some(r#"{"version":1}"#)),
            (r#"["0:swin","t",7]"#, Some("3")),
        ]);
        let keys: Vec<_> = entries.iter().map(|(_, key, _)| key.clone()).collect();
        assert_eq!(keys, [json!(null), json!(9), json!(8), json!(7)]);
    }

    #[test]
    fn a_partition_gets_only_what_is_its_own() {
        let mut state = State::default();
        state.take(0, br#"["","u",null]"#, Some(b"7"));
        state.take(0, br#"["0:swin","u",1]"#, Some(b"1"));
        state.take(0, br#"["0:swin","t",1]"#, Some(b"2"));
        state.take(1, br#"["0:swin","u",1]"#, Some(b"3"));
        let mut text = String::new();
        let partitions = [partition("t", 0), partition("u", 0)];
        let stored = [Stored::default(), stored(7)];
        let count = state.restore(&partitions, &stored, |line| {
            text.push_str(&String::from_utf8_lossy(line));
            true
        });
        assert_eq!(count, Ok(2));
        let expected = "\x1e{\"mark\":\"restore\",\"stage\":\"0:swin\",\"at\":[\"t\",0],\
                        \"key\":1,\"value\":2}\n\x1e{\"mark\":\"restore\",\"stage\":\"0:swin\",\
                        \"at\":[\"u\",0],\"key\":1,\"value\":1}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn offsets_and_state_have_to_be_of_one_transaction() {
        assert_eq!(check(Some(5), &stored(5)), Ok(()));
        assert_eq!(check(None, &Stored::default()), Ok(()));
        let plain = Stored { offset: Some(5), metadata: String::new() };
        assert_eq!(check(None, &plain), Ok(()), "of a time without epochs");
        for (kept, stored, word) in [
            (Some(5), stored(6), "who moved it"),
            (Some(5), Stored::default(), "no stored offset any more"),
            (None, stored(5), "is gone"),
        ] {
            let refused = check(kept, &stored).expect_err("a difference");
            assert!(refused.contains(word) && refused.contains("--reset-state"), "{refused}");
        }
    }

    #[test]
    fn what_is_not_of_kpipe_is_refused() {
        for (key, value) in [("x", "1"), (r#"["0:swin","t"]"#, "1"), (r#"["0:s","t",1]"#, "x")] {
            let mut state = State::default();
            state.take(0, key.as_bytes(), Some(value.as_bytes()));
            let refused = state.restore(&[partition("t", 0)], &[Stored::default()], |_| true);
            let (_, reason) = refused.expect_err("no entry");
            assert!(reason.contains("is not of kpipe"), "{reason}");
        }
    }
}
