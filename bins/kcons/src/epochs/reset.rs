//! Forgets the state of a group's stages, and leaves the group where it is.

use pipe::exit::{Error, Result};
use topic::archive::{Archive, MEMBERS};
use topic::note::is_signed;
use topic::record::Partition;

use super::archivist::{PATIENCE, insist};
use super::state;

/// Deletes what the stages of `group` have stored. Its offsets stay; those of the changelog's
/// partitions and of `topics` are no longer said to belong to state. Whether there was something.
///
/// Offsets come first: who is stopped in between has offsets and state that go together still.
///
/// # Errors
/// When the group has members, or the broker refuses.
pub(crate) fn reset(archive: &Archive, group: &str, topics: &[String]) -> Result<bool> {
    let (never, thing) = (|| false, format!("group {group}"));
    if insist(&thing, never, || archive.members())?.unwrap_or_default() > 0 {
        return Err(Error::world(thing, MEMBERS));
    }
    let changelog = archive.changelog();
    let width = insist(changelog, never, || archive.width())?.unwrap_or_default();
    let mut partitions: Vec<Partition> = Vec::new();
    for topic in topics {
        let known = insist(topic, never, || archive.partitions(topic))?;
        partitions.extend(known.unwrap_or_default());
    }
    if width > 0 {
        let numbers: Vec<i32> = (0..).take(width).collect();
        insist(changelog, never, || {
            let whole = archive.read(&numbers, PATIENCE, |number, key, _| {
                let topic = state::topic_of_offset(key);
                partitions.extend(topic.map(|topic| Partition { topic, number }));
                true
            })?;
            Ok(whole.then_some(()))
        })?;
    }
    partitions.sort_unstable();
    partitions.dedup();
    let stored = insist(&thing, never, || archive.stored(&partitions))?.unwrap_or_default();
    let signed = partitions.into_iter().zip(stored).filter(|(_, one)| is_signed(&one.metadata));
    let offsets: Vec<(Partition, i64)> =
        signed.filter_map(|(partition, one)| Some((partition, one.offset?))).collect();
    archive.store(&offsets)?;
    if width > 0 {
        archive.delete()?;
        let gone = || Ok((archive.width()? == Some(0)).then_some(()));
        insist(changelog, never, gone)?;
    }
    Ok(width > 0 || !offsets.is_empty())
}
