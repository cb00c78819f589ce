//! A reader whose offsets others commit: who it is in the group, partitions that are held while
//! it is found out where to begin, and what was committed in its name.

use std::time::Duration;

use pipe::exit::{Error, Result};
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::Offset;

use super::Reader;
use crate::archive::{Stored, stored};
use crate::cluster::{PATIENCE, text};
use crate::config;
use crate::native;

/// How long the answer to a question is waited for that only wakes.
const WAKING: Duration = Duration::from_millis(100);

/// As whom a reader is a member of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group's generation.
    pub generation: i32,
    /// The member's id.
    pub member: String,
    /// Its static name, when it has one.
    pub instance: Option<String>,
}

impl Reader {
    /// As whom we are a member right now; `None` while we are not. Offsets that were committed
    /// without a member would be taken from anybody.
    #[must_use]
    pub fn membership(&self) -> Option<Membership> {
        let (generation, member, instance) = native::membership(&self.client)?;
        (generation >= 0 && !member.is_empty()).then_some(Membership {
            generation,
            member,
            instance,
        })
    }

    /// Takes the partitions that the group has assigned, but reads none before
    /// [`Reader::go_on`].
    ///
    /// # Errors
    /// When librdkafka refuses a partition.
    pub fn take(&mut self, at: &[usize]) -> Result<()> {
        for &at in at {
            let one = &self.partitions[at];
            let forwarded = self.queue.forward(&one.topic, one.number);
            forwarded.map_err(|code| Error::world(one, config::reason(code)))?;
        }
        // Held before it is assigned, so that nothing is fetched from the place that is said here.
        // That is a number, because librdkafka would look up what is not, and an answer that comes
        // when the partition is already held or sought elsewhere is asked for once more, half a
        // second later, and then moves the partition there.
        self.hold(at)?;
        let list = self.list(at.iter().map(|&at| (at, Offset::Offset(0))))?;
        let assigned = self.client.assign(&list);
        assigned.map_err(|error| Error::world(self.group_thing(), text(&error)))
    }

    /// Reads nothing of these partitions until [`Reader::go_on`].
    ///
    /// # Errors
    /// When librdkafka refuses a partition.
    pub fn hold(&self, at: &[usize]) -> Result<()> {
        let list = self.list(at.iter().map(|&at| (at, Offset::Invalid)))?;
        let failed = |error| Error::world(self.group_thing(), text(&error));
        self.client.pause(&list).map_err(failed)?;
        list.elements().iter().try_for_each(|one| one.error().map_err(failed))
    }

    /// Reads partitions that were held from these offsets on. What had come of them before is
    /// dropped.
    ///
    /// # Errors
    /// When librdkafka refuses a partition.
    pub fn go_on(&self, next: &[(usize, i64)]) -> Result<()> {
        if next.is_empty() {
            return Ok(());
        }
        let failed = |reason| Error::world(self.group_thing(), reason);
        let list = self.list(next.iter().map(|&(at, offset)| (at, Offset::Offset(offset))))?;
        let sought = self.client.seek_partitions(list, PATIENCE);
        let sought = sought.map_err(|error| failed(text(&error)))?;
        for one in sought.elements() {
            one.error().map_err(|error| failed(text(&error)))?;
        }
        self.client.resume(&sought).map_err(|error| failed(text(&error)))?;
        self.wake(next);
        Ok(())
    }

    /// Wakes librdkafka's threads that fetch these partitions: one that had only partitions that
    /// were held looks up after a second at the latest, or when there is something to be sent.
    fn wake(&self, next: &[(usize, i64)]) {
        if let Ok(list) = self.list(next.iter().map(|&(at, _)| (at, Offset::End))) {
            // The answer does not matter.
            let _ = self.client.offsets_for_times(list, WAKING);
        }
    }

    /// Asks whether a broker is there when all have been away `patience` ago. To be called often:
    /// only then it takes time.
    ///
    /// # Errors
    /// When none is, so that the run is to be made again.
    pub fn check_brokers(&self, patience: Duration) -> Result<()> {
        let away = *self.client.context().away();
        if away.is_none_or(|since| since.elapsed() < patience) {
            return Ok(());
        }
        let topic = self.partitions.first().map(|one| one.topic.as_str());
        if self.client.fetch_metadata(topic, PATIENCE).is_ok() {
            *self.client.context().away() = None;
            return Ok(());
        }
        let reason = format!("no broker has been there for {} s", patience.as_secs());
        Err(Error::unfinished(self.group_thing(), reason))
    }

    /// What the group has stored of the partitions `at`, once no transaction is about to change
    /// it; `None` when that is not so within `time`.
    ///
    /// # Errors
    /// When the group's coordinator refuses to say it for good.
    pub fn settled(&self, at: &[usize], time: Duration) -> Result<Option<Vec<Stored>>> {
        let partitions: Vec<_> = at.iter().map(|&at| self.partitions[at].clone()).collect();
        stored(&self.client, &partitions, time)
            .map_err(|code| Error::world(self.group_thing(), config::reason(code)))
    }
}
