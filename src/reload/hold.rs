//! Lists that lost more rows than they may: they keep their last good rows, and the rest of the table goes
//! live.

use std::path::Path;

use super::load_with;
use crate::diagnostics::Severity;
use crate::pipeline::Switchboard;
use crate::rules::{
    CheckContext, HeldList, LoadedTable, Progress, Replacements, ShrunkList, Snapshot,
};

/// Loads the table again with the last good files of the lists that lost too many rows, if there are some.
/// `good` has the files of the live table. Returns the first result if that does not lead to a table.
pub(super) fn hold_shrunk_lists(
    loaded: LoadedTable,
    path: &Path,
    context: &CheckContext,
    good: Option<&Snapshot>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> (LoadedTable, Vec<HeldList>) {
    let Some(replaced) = good.and_then(|good| last_good_files(&loaded, context, good)) else {
        return (loaded, Vec::new());
    };
    let held = match load_with(path, context, false, &replaced, progress) {
        Ok(held) if held.table.is_some() => held,
        Ok(_) | Err(_) => return (loaded, Vec::new()),
    };
    let LoadedTable { mut report, table, .. } = held;
    let mut lists = Vec::new();
    for ShrunkList { name, rows, location, problem, .. } in loaded.shrunk_lists {
        let live =
            table.as_ref().and_then(|table| Some(table.lists.list(table.lists.find(&name)?)));
        lists.push(HeldList { name, rows: live.map_or(0, |list| list.rows), rows_of_file: rows });
        report.push(Severity::Warning, Some(location), problem);
    }
    report.sort();
    (LoadedTable { table, report, ..held }, lists)
}

/// Returns the files of the shrunk lists as they were in the live table, or `None` if no list has shrunk or
/// a file is missing.
fn last_good_files(
    loaded: &LoadedTable,
    context: &CheckContext,
    good: &Snapshot,
) -> Option<Replacements> {
    let mut replaced = Replacements::default();
    for list in &loaded.shrunk_lists {
        let before = context.previous_list(&list.name)?.file.as_deref()?;
        replaced.add(list.file.clone(), Some(good.text(Path::new(before))?.to_owned()));
    }
    (!loaded.shrunk_lists.is_empty()).then_some(replaced)
}

/// Publishes and logs which lists keep their last good rows.
pub(super) fn note_held(app: &Switchboard, held: Vec<HeldList>) {
    app.counters().lists_held(held.len());
    for HeldList { name: list, rows, rows_of_file } in &held {
        tracing::warn!(
            %list,
            rows,
            rows_of_file,
            "a list lost more rows than it may, kept its last good rows"
        );
    }
    app.live_table().note_held_lists(held);
}
