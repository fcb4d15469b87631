//! Looks items up by name without a second copy of the names.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Hash index from names to positions. The names stay in the items; `name_of` returns the name at a
/// position.
#[derive(Debug, Default)]
pub(crate) struct NameIndex(HashTable<u32>);

impl NameIndex {
    /// Creates an index of names, which are at the positions 0, 1, 2, ….
    pub(crate) fn of(names: &[&str]) -> NameIndex {
        let mut index = NameIndex::default();
        for (position, name) in names.iter().enumerate() {
            index.insert(name, position, |position| names[position]);
        }
        index
    }

    /// Returns the position of the item with this name.
    pub(crate) fn find<'n>(&self, name: &str, name_of: impl Fn(usize) -> &'n str) -> Option<usize> {
        let found = self.0.find(hash(name), |index| name_of(*index as usize) == name);
        found.map(|index| *index as usize)
    }

    /// Adds a position. The caller ensures that the name is new.
    pub(crate) fn insert<'n>(
        &mut self,
        name: &str,
        index: usize,
        name_of: impl Fn(usize) -> &'n str,
    ) {
        self.0.insert_unique(hash(name), index as u32, |index| hash(name_of(*index as usize)));
    }
}

fn hash(name: &str) -> u64 {
    FixedState::default().hash_one(name)
}
