//! Totals since the beginning, for every key.

use row::value::Fault;

use crate::store::{Group, Id, Store};
use crate::window::Pane;

/// The totals of keys over the panes that were folded into them.
#[derive(Debug, Default)]
pub struct Totals {
    /// The total of each key, by the key's number; none before its first pane was folded.
    groups: Vec<Option<Group>>,
    ids: Vec<Id>,
    sorted: bool,
}

impl Totals {
    /// Takes in a new key.
    pub fn enter(&mut self, id: Id) {
        self.ids.push(id);
        self.sorted = false;
        self.groups.resize(self.groups.len().max(id as usize + 1), None);
    }

    /// The keys that have rows in the panes before `to`, sorted, each with its total over these.
    ///
    /// # Errors
    /// When a sum leaves 128 bits.
    pub fn until(&mut self, store: &mut Store, to: Pane) -> Result<Vec<(Id, Group)>, Fault> {
        while let Some(taken) = store.take_pane(to) {
            for (id, group) in taken {
                match self.groups[id as usize] {
                    None => self.groups[id as usize] = Some(group),
                    Some(total) => {
                        store.groups_mut().merge(total, group)?;
                        store.groups_mut().give(group);
                    }
                }
            }
        }
        if !self.sorted {
            self.ids.sort_unstable_by(|&one, &other| store.order(one, other));
            self.sorted = true;
        }
        let total = |&id: &Id| self.groups[id as usize].map(|group| (id, group));
        Ok(self.ids.iter().filter_map(total).collect())
    }
}
