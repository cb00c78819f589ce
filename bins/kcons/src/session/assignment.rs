//! What is assigned: where its reading begins and ends.

use pipe::exit::{Error, Result, say};
use topic::consumer::Bounds;

use super::Session;
use crate::sink::now;
use crate::start::{self, Finish, Start};

/// Where a partition begins.
#[derive(Clone, Copy, Debug, Default)]
struct Origin {
    /// What the group has stored.
    stored: Option<i64>,
    /// What a file of offsets says.
    kept: Option<i64>,
    /// The first offset of the time that was said.
    since: Option<i64>,
}

impl Session<'_> {
    /// Finds where the partitions `at` end now, and says which of them end before their last
    /// record, because it is not yet committed.
    pub(super) fn find_ends(&mut self, at: &[usize]) -> Result<()> {
        let bounds = self.reader.bounds(at)?;
        self.ends = self.ends_of(at, &bounds)?;
        for ((&at, bounds), &end) in at.iter().zip(&bounds).zip(&self.ends) {
            let open = self.reader.written().get(at).is_some_and(|&end| end > bounds.high);
            if open && end >= bounds.high {
                let partition = &self.reader.partitions()[at];
                let high = bounds.high;
                say(format!(
                    "{partition}: a transaction is open, reading ends before it at {high}"
                ));
            }
        }
        Ok(())
    }

    /// The offsets at which the reading of the partitions `at` ends, with these bounds.
    fn ends_of(&self, at: &[usize], bounds: &[Bounds]) -> Result<Vec<i64>> {
        let finish = self.orders.place.finish.unwrap_or(Finish::End);
        let until = match finish {
            Finish::Until(moment) => self.reader.since(at, moment.ms(now()))?,
            _ => vec![None; at.len()],
        };
        let end = |(bounds, until): (&Bounds, Option<i64>)| self.orders.end(bounds.high, until);
        Ok(bounds.iter().zip(until).map(end).collect())
    }

    /// Begins to read partitions by the start rule.
    pub(super) fn start(&mut self, at: &[usize]) -> Result<()> {
        self.progress.assign();
        self.assigned.get_or_insert_with(now);
        let origins = self.origins(at)?;
        let bounds = self.reader.bounds(at)?;
        let ends = self.ends_now(at, &bounds)?;
        let rule = start::rule(self.orders.place.start, self.orders.ends());
        let (mut from, mut goes_on) = (Vec::new(), true);
        for (((&at, origin), bounds), &end) in at.iter().zip(&origins).zip(&bounds).zip(&ends) {
            // What comes back with nothing stored goes on where we left it.
            let left = self.progress.left(at);
            let rule = left.map_or(rule, Start::At);
            let first = self.first(at, *origin, *bounds, rule);
            let first =
                first.map_err(|reason| Error::world(&self.reader.partitions()[at], reason))?;
            goes_on &= left == Some(first);
            self.progress.start(at, first, end, origin.stored);
            from.push((at, first));
        }
        self.say_start(at, &origins, rule);
        self.begin(goes_on);
        // A member must answer with all that it was given, others need not fetch what they have.
        if self.orders.group.is_none() {
            from.retain(|&(at, _)| !self.progress.is_at_end(at));
        }
        self.reader.keep(&self.progress.others(at))?;
        self.reader.start(&from)?;
        if origins.iter().any(|origin| origin.stored.is_none()) {
            // Else who gets them next would begin by its own rule, past what we did not write.
            self.commit()?;
        }
        Ok(())
    }

    /// What is known of where the partitions `at` begin.
    fn origins(&mut self, at: &[usize]) -> Result<Vec<Origin>> {
        let mut origins = vec![Origin::default(); at.len()];
        if self.orders.group.is_some() {
            for ((origin, stored), &at) in origins.iter_mut().zip(self.reader.stored(at)?).zip(at) {
                // Only once: what comes back to us goes on where it was left.
                let counts = !self.orders.seek || self.progress.left(at).is_some();
                origin.stored = stored.filter(|_| counts);
            }
        }
        if let Some(source) = &mut self.ways.source {
            let reads = source.read()?;
            let partitions = self.reader.partitions();
            for (origin, &at) in origins.iter_mut().zip(at) {
                let one = &partitions[at];
                let mine = reads.iter().rev();
                let mut mine = mine.filter(|read| read.topic == one.topic);
                origin.kept = mine.find(|read| read.partition == one.number).map(|read| read.until);
            }
        }
        if let Some(Start::Since(moment)) = self.orders.place.start {
            let since = self.reader.since(at, moment.ms(now()))?;
            origins.iter_mut().zip(since).for_each(|(origin, since)| origin.since = since);
        }
        Ok(origins)
    }

    /// The ends of the partitions `at`: those of the start, but a partition that is newer than the
    /// run ends where it is now.
    fn ends_now(&self, at: &[usize], bounds: &[Bounds]) -> Result<Vec<Option<i64>>> {
        if !self.orders.ends() {
            return Ok(vec![None; at.len()]);
        }
        let newer = at.iter().any(|&at| at >= self.ends.len());
        let now = if newer { self.ends_of(at, bounds)? } else { Vec::new() };
        let end =
            |(index, &at): (usize, &usize)| self.ends.get(at).or_else(|| now.get(index)).copied();
        Ok(at.iter().enumerate().map(end).collect())
    }

    /// The first offset to read of partition `at`.
    fn first(&self, at: usize, origin: Origin, bounds: Bounds, rule: Start) -> Result<i64, String> {
        let stored = origin.kept.or(origin.stored);
        if stored.is_none() && self.orders.needs_stored {
            return Err("no offset is stored, and auto.offset.reset is none".to_owned());
        }
        // The group may have come further than what was written when the run began.
        let written = self.reader.written().get(at).map(|&end| end.max(bounds.high));
        start::first(rule, stored, (bounds.low, bounds.high), origin.since, written)
    }

    /// Writes a `begin`, unless our partitions are those of the last one, and the stream
    /// `goes_on` where it was.
    fn begin(&mut self, goes_on: bool) {
        let ours: Vec<usize> = self.progress.ours().collect();
        if goes_on && self.begun.as_ref() == Some(&ours) {
            return;
        }
        let partitions = self.reader.partitions();
        let group = self.orders.group.as_deref();
        self.sink.begin(group, None, ours.iter().map(|&at| (at, &partitions[at])));
        for &at in &ours {
            if self.progress.is_at_end(at) {
                self.sink.drained(at);
            }
        }
        self.begun = Some(ours);
    }

    /// `user-behavior: 3 partitions from end`, for each topic.
    fn say_start(&self, at: &[usize], origins: &[Origin], rule: Start) {
        if self.orders.quiet {
            return;
        }
        let partitions = self.reader.partitions();
        let mut topics: Vec<&str> = at.iter().map(|&at| partitions[at].topic.as_str()).collect();
        topics.sort_unstable();
        topics.dedup();
        for topic in topics {
            let of_topic = at.iter().zip(origins).filter(|(at, _)| partitions[**at].topic == topic);
            let (mut count, mut known) = (0, 0);
            for (_, origin) in of_topic {
                count += 1;
                known += usize::from(origin.stored.is_some() || origin.kept.is_some());
            }
            let from = match known {
                0 => rule.to_string(),
                known if known == count => "stored offsets".to_owned(),
                known => format!("{known} stored offsets, else {rule}"),
            };
            let plural = if count == 1 { "partition" } else { "partitions" };
            say(format!("{topic}: {count} {plural} from {from}"));
        }
    }
}
