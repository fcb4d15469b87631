//! Use of definitions by rules.

use crate::diagnostics::Location;

/// Locations of definitions of one kind, and which of them are used.
#[derive(Default)]
pub(super) struct UsageTracker {
    /// `None` for a definition that is not in the rules, but in the settings.
    locations: Vec<Option<Location>>,
    used: Vec<bool>,
}

impl UsageTracker {
    pub(super) fn add(&mut self, location: Option<Location>) {
        self.locations.push(location);
        self.used.push(false);
    }

    pub(super) fn location(&self, index: usize) -> Option<&Location> {
        self.locations[index].as_ref()
    }

    /// Returns the locations by index.
    pub(super) fn into_locations(self) -> Vec<Option<Location>> {
        self.locations
    }

    pub(super) fn mark_used(&mut self, index: usize) {
        self.used[index] = true;
    }

    pub(super) fn mark_all_used(&mut self) {
        self.used.fill(true);
    }

    /// Returns the explicit definitions that are not used.
    pub(super) fn unused(&self) -> impl Iterator<Item = (usize, Location)> {
        let unused = self.locations.iter().enumerate().filter(|(index, _)| !self.used[*index]);
        unused.filter_map(|(index, location)| Some((index, location.clone()?)))
    }
}
