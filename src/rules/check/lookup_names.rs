//! Names of look-ups beside those of lists: `${NAME.field}` means one of them.

use super::lists::OpenLists;
use super::lookups::LookupDefinitions;
use super::reporter::Reporter;

/// Reports look-ups that have the name of a list.
pub(super) fn check(lookups: &LookupDefinitions, lists: &OpenLists, reporter: &mut Reporter<'_>) {
    for (position, lookup) in lookups.all.iter().enumerate() {
        let Some(list) = lists.lists.find(&lookup.name) else { continue };
        let list = &lists.open[list.index()].location;
        let location = lookups.usage.location(position);
        let is_same_file = location.is_some_and(|own| own.file.path == list.file.path);
        let file = if is_same_file { String::new() } else { format!(" of {}", list.file.path) };
        let (name, line) = (&lookup.name, list.line_and_column().0);
        let message = format!("a list is called `{name}` already, on line {line}{file}");
        let help =
            format!("`${{{name}.…}}` would have two meanings; rename the look-up or the list");
        reporter.report.error("duplicate-name", location.cloned(), message).help(help);
    }
}
