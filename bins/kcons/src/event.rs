//! The events of Kafka's `VerifiableConsumer`: one JSON object a line, time and name first.

use std::fmt::Write as _;

/// A run of records of a partition, without a gap to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) count: u64,
    /// The offset of its first record.
    pub(crate) min: i64,
    /// The offset of its last record.
    pub(crate) max: i64,
}

/// A partition with an offset, where there is one to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: Option<i64>,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// It is about to join the group.
    StartupComplete,
    /// It has left the group.
    ShutdownComplete,
    /// It has these partitions too.
    PartitionsAssigned(&'a [At<'a>]),
    /// It has these partitions no more.
    PartitionsRevoked(&'a [At<'a>]),
    /// It has read these.
    RecordsConsumed(&'a [Run<'a>]),
    /// It has read this one.
    RecordData { at: At<'a>, key: Option<&'a [u8]>, value: Option<&'a [u8]> },
    /// It has committed these offsets, or could not.
    OffsetsCommitted { offsets: &'a [At<'a>], error: Option<&'a str> },
}

impl Event<'_> {
    /// The line of the event, which happened at `ms` since the epoch.
    pub(crate) fn line(&self, ms: i64) -> String {
        let mut out = format!("{{\"timestamp\":{ms},\"name\":\"{}\"", self.name());
        self.write(&mut out).expect("memory takes every line");
        out.push_str("}\n");
        out
    }

    fn name(&self) -> &'static str {
        match self {
            Event::StartupComplete => "startup_complete",
            Event::ShutdownComplete => "shutdown_complete",
            Event::PartitionsAssigned(_) => "partitions_assigned",
            Event::PartitionsRevoked(_) => "partitions_revoked",
            Event::RecordsConsumed(_) => "records_consumed",
            Event::RecordData { .. } => "record_data",
            Event::OffsetsCommitted { .. } => "offsets_committed",
        }
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        match self {
            Event::StartupComplete | Event::ShutdownComplete => Ok(()),
            Event::PartitionsAssigned(all) | Event::PartitionsRevoked(all) => {
                list(out, "partitions", all, |out, one| one.write(out))
            }
            Event::RecordsConsumed(runs) => {
                let count: u64 = runs.iter().map(|run| run.count).sum();
                write!(out, ",\"count\":{count}")?;
                list(out, "partitions", runs, |out, run| {
                    let Run { topic, partition, count, min, max } = run;
                    let topic = text(topic);
                    write!(out, "\"topic\":{topic},\"partition\":{partition},\"count\":{count}")?;
                    write!(out, ",\"minOffset\":{min},\"maxOffset\":{max}")
                })
            }
            Event::RecordData { at, key, value } => {
                let bytes = |bytes: Option<&[u8]>| match bytes {
                    Some(bytes) => text(&String::from_utf8_lossy(bytes)),
                    None => "null".to_owned(),
                };
                write!(out, ",\"key\":{},\"value\":{},", bytes(*key), bytes(*value))?;
                at.write(out)
            }
            Event::OffsetsCommitted { offsets, error } => {
                list(out, "offsets", offsets, |out, one| one.write(out))?;
                write!(out, ",\"success\":{}", error.is_none())?;
                match error {
                    Some(error) => write!(out, ",\"error\":{}", text(error)),
                    None => Ok(()),
                }
            }
        }
    }
}

impl At<'_> {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "\"topic\":{},\"partition\":{}", text(self.topic), self.partition)?;
        match self.offset {
            Some(offset) => write!(out, ",\"offset\":{offset}"),
            None => Ok(()),
        }
    }
}

/// `,"NAME":[{…},…]`, each filled in by `each`.
fn list<T>(
    out: &mut String,
    name: &str,
    all: &[T],
    each: impl Fn(&mut String, &T) -> std::fmt::Result,
) -> std::fmt::Result {
    write!(out, ",\"{name}\":[")?;
    for (index, one) in all.iter().enumerate() {
        out.push_str(if index == 0 { "{" } else { ",{" });
        each(out, one)?;
        out.push('}');
    }
    out.push(']');
    Ok(())
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32, offset: Option<i64>) -> At<'static> {
        At { topic: "t", partition, offset }
    }

    #[test]
    fn lines_are_those_of_kafkas_own() {
        let run = Run { topic: "t", partition: 0, count: 20, min: 0, max: 19 };
        let data = Event::RecordData { at: at(0, Some(7)), key: None, value: Some(b"\"0\"") };
        let (all, offsets) = ([at(0, None), at(2, None)], [at(0, Some(20))]);
        let failed = Event::OffsetsCommitted { offsets: &offsets, error: Some("no") };
        let zero = r#"{"topic":"t","partition":0"#;
        for (event, name, rest) in [
            (Event::StartupComplete, "startup_complete", String::new()),
            (
                Event::PartitionsAssigned(&all),
                "partitions_assigned",
                format!(r#","partitions":[{zero}}},{{"topic":"t","partition":2}}]"#),
            ),
            (Event::PartitionsRevoked(&[]), "partitions_revoked", r#","partitions":[]"#.to_owned()),
            (
                Event::RecordsConsumed(&[run]),
                "records_consumed",
                format!(
                    r#","count":20,"partitions":[{zero},"count":20,"minOffset":0,"maxOffset":19}}]"#
                ),
            ),
            (
                data,
                "record_data",
                format!(r#","key":null,"value":"\"0\"",{},"offset":7"#, &zero[1..]),
            ),
            (
                Event::OffsetsCommitted { offsets: &offsets, error: None },
                "offsets_committed",
                format!(r#","offsets":[{zero},"offset":20}}],"success":true"#),
            ),
            (
                failed,
                "offsets_committed",
                format!(r#","offsets":[{zero},"offset":20}}],"success":false,"error":"no""#),
            ),
            (Event::ShutdownComplete, "shutdown_complete", String::new()),
        ] {
            let line = format!("{{\"timestamp\":5,\"name\":\"{name}\"{rest}}}\n");
            assert_eq!(event.line(5), line);
        }
    }
}
