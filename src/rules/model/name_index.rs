//! Finds a thing by its name among many, without a second copy of the names.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Places by name. The names stay where they are: who asks says how to look one up.
#[derive(Debug, Default)]
pub(crate) struct Names(HashTable<u32>);

impl Names {
    /// The place of what has this name.
    pub(crate) fn find<'n>(&self, name: &str, of: impl Fn(usize) -> &'n str) -> Option<usize> {
        let found = self.0.find(hash(name), |at| of(*at as usize) == name);
        found.map(|at| *at as usize)
    }

    /// Remembers a place whose name is none of those before.
    pub(crate) fn add<'n>(&mut self, name: &str, at: usize, of: impl Fn(usize) -> &'n str) {
        self.0.insert_unique(hash(name), at as u32, |at| hash(of(*at as usize)));
    }
}

fn hash(name: &str) -> u64 {
    FixedState::default().hash_one(name)
}
