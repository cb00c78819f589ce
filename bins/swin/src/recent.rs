//! Where the keys of the last rows have their aggregates.
//!
//! Nearly all keys are short and come again soon. One that was seen lately is found by comparing
//! its bytes as one number, without its hash, its place in the table and its entry.

use row::key::Key;

use crate::store::{Group, Id};
use crate::window::Pane;

/// Keys that are remembered; a power of two.
const KEYS: usize = 1 << KEYS_LOG;
const KEYS_LOG: u32 = 10;

/// A key of at most eight bytes, its length, its tag and its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Name {
    bytes: u64,
    about: u64,
}

impl Name {
    /// `None` when the key is too long.
    #[inline]
    fn of(partition: usize, key: Key<'_>) -> Option<Name> {
        let rest = key.rest();
        let bytes = match rest {
            [] => 0,
            [one] => u64::from(*one),
            [one, two] => u64::from(u16::from_le_bytes([*one, *two])),
            [one, two, three] => u64::from(u32::from_le_bytes([*one, *two, *three, 0])),
            _ if rest.len() > 8 => return None,
            // The two halves may overlap: with the length they are still one key's alone.
            _ => {
                let first = u32::from_le_bytes(*rest.first_chunk()?);
                let last = u32::from_le_bytes(*rest.last_chunk()?);
                u64::from(first) | u64::from(last) << 32
            }
        };
        // Never zero, so that no key is the name of an empty place.
        let about = 1 | (rest.len() as u64) << 1 | u64::from(key.tag()) << 8;
        Some(Name { bytes, about: about | (partition as u64) << 16 })
    }

    #[inline]
    fn place(self) -> usize {
        // The golden ratio spreads names that differ in few bits (Knuth, TAOCP 6.4).
        let spread = (self.bytes ^ self.about).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> (u64::BITS - KEYS_LOG)) as usize
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    name: Name,
    pane: Pane,
    id: Id,
    group: Group,
    round: u64,
}

/// The keys of the last rows.
#[derive(Debug)]
pub struct Recent {
    places: Box<[Place]>,
    /// What was remembered in an earlier round is forgotten.
    round: u64,
}

impl Default for Recent {
    fn default() -> Recent {
        Recent { places: vec![Place::default(); KEYS].into(), round: 1 }
    }
}

impl Recent {
    /// The key's number and its aggregates in `pane`, if they are remembered.
    #[inline]
    #[must_use]
    pub fn find(&self, partition: usize, key: Key<'_>, pane: Pane) -> Option<(Id, Group)> {
        let name = Name::of(partition, key)?;
        let place = &self.places[name.place()];
        let known = place.name == name && place.pane == pane && place.round == self.round;
        known.then_some((place.id, place.group))
    }

    /// The number that a key had when it was remembered, whatever became of it since.
    #[must_use]
    pub fn number(&self, partition: usize, key: Key<'_>) -> Option<Id> {
        let name = Name::of(partition, key)?;
        let place = &self.places[name.place()];
        (place.name == name).then_some(place.id)
    }

    /// Remembers where a key has its aggregates.
    pub fn remember(&mut self, partition: usize, key: Key<'_>, pane: Pane, found: (Id, Group)) {
        if let Some(name) = Name::of(partition, key) {
            let ((id, group), round) = (found, self.round);
            self.places[name.place()] = Place { name, pane, id, group, round };
        }
    }

    /// Forgets all, because a group was taken from its key.
    pub fn forget(&mut self) {
        self.round += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_is_never_taken_for_another(
            keys in vec((0..3_usize, vec(prop::sample::select(b"\0ab\xff".to_vec()), 0..10)), 1..40)
        ) {
            let mut recent = Recent::default();
            for ((partition, key), id) in keys.iter().zip(0..) {
                let key = Key::of_text(key);
                if let Some((found, _)) = recent.find(*partition, key, 7) {
                    prop_assert_eq!(&keys[found as usize], &keys[id as usize]);
                }
                recent.remember(*partition, key, 7, (id, 0));
                prop_assert_eq!(recent.find(*partition, key, 8), None, "another pane");
            }
            recent.forget();
            for (partition, key) in &keys {
                prop_assert_eq!(recent.find(*partition, Key::of_text(key), 7), None);
            }
        }
    }

    #[test]
    fn a_short_key_is_found_again() {
        let mut recent = Recent::default();
        let key = Key::of_text(b"page17");
        recent.remember(1, key, 7, (3, 9));
        assert_eq!(recent.find(1, key, 7), Some((3, 9)));
        assert_eq!(recent.find(0, key, 7), None, "another partition");
    }
}
