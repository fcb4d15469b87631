//! The table with which the service starts: the one of the settings, or else what can be had of it.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::super::live_lists::fetch_before_start;
use super::super::output::{print_message, print_report};
use super::super::{LoadedOk, SettingsAndRules, load_settings_and_rules};
use crate::diagnostics::Report;
use crate::reload::{self, IsolatedLoad, LastGood, SavedTable};
use crate::rules::{CheckContext, FileStamp, IsolatedFile, LoadedTable, Replacements, TablePlaces};
use crate::settings::{Inputs, RulesSettings, Settings};

/// Settings and table of the start.
pub(super) struct Start {
    pub(super) loaded: LoadedOk,
    pub(super) places: TablePlaces,
    /// `None` if the table of the settings has no errors.
    pub(super) fault: Option<Fault>,
}

/// Why the service does not start with the table of the settings as it is.
pub(super) struct Fault {
    /// Errors of the files.
    pub(super) report: Arc<Report>,
    /// Time at which the table was saved, if it is the last good one.
    pub(super) last_good_at: Option<Timestamp>,
    /// Files that are isolated.
    pub(super) isolated: Vec<IsolatedFile>,
}

/// Loads the settings and a table. If the table has errors, isolates its files or takes the last good table,
/// unless `strict`. Prints errors to standard error, and returns `None` if there is no table.
pub(super) fn load(
    inputs: &Inputs,
    strict: bool,
    runtime: &Runtime,
) -> anyhow::Result<Option<Start>> {
    let load = || load_settings_and_rules(inputs, false, &Replacements::default());
    let mut read = load()?;
    if fetch_lists(&read, runtime) {
        read = load()?;
    }
    let SettingsAndRules { settings, rules, report, origin } = read;
    let report = report.without_notes();
    print_report(report.clone());
    let Some(settings) = settings else { return Ok(None) };
    let is_valid = rules.as_ref().is_some_and(|rules| rules.table.is_some());
    if strict && !is_valid {
        return Ok(None);
    }
    let (rules, failed, fault) = match rules {
        Some(rules) if is_valid => (rules, None, None),
        failed => {
            let Some((table, fault)) = stand_in(&settings, report) else { return Ok(None) };
            (table, failed, Some(fault))
        }
    };
    let places = TablePlaces::new(&rules);
    let LoadedTable { table: Some(table), mut files, snapshot, .. } = rules else {
        return Ok(None);
    };
    if fault.is_some() {
        let path = FileStamp::current(&settings.rules.path);
        let read = failed.map(|failed| failed.files).unwrap_or_default();
        files = read.into_iter().chain(FileStamp::all_current(&[path])).collect();
    }
    let loaded = LoadedOk { settings, table, files, snapshot, origin };
    Ok(Some(Start { loaded, places, fault }))
}

/// Fetches the lists that live elsewhere and have no copy. Returns whether one has a copy now.
fn fetch_lists(read: &SettingsAndRules, runtime: &Runtime) -> bool {
    let (Some(settings), Some(rules)) = (&read.settings, &read.rules) else { return false };
    #[expect(clippy::disallowed_methods, reason = "copies have the time of their fetch")]
    let now = Timestamp::now();
    fetch_before_start(runtime, &rules.missing_copies, &*settings.secrets, now)
}

/// Returns a table to start with, in place of the one of the settings.
fn stand_in(settings: &Settings, report: Report) -> Option<(LoadedTable, Fault)> {
    let RulesSettings { path, last_good, isolate, .. } = &settings.rules;
    #[expect(clippy::disallowed_methods, reason = "rules warn of dates in the past")]
    let now = Timestamp::now();
    let context = CheckContext { now, ..settings.check_context() };
    let saved = last_good.as_ref().and_then(|path| read(&LastGood::new(path.clone())));
    let report = Arc::new(report.with_excerpts_only());
    if *isolate {
        let failure = reload::load(path, &context, false, &mut |_| {});
        let good = saved.as_ref().map(|saved| &saved.files);
        let found = reload::load_isolated(path, &context, good, &failure, &mut |_| {});
        if let Some(IsolatedLoad { loaded, isolated, .. }) = found {
            return Some((loaded, Fault { report, last_good_at: None, isolated }));
        }
    }
    let saved = saved?;
    let loaded = saved.load(&context);
    if loaded.table.is_none() {
        print_message(format!("the last good table has errors:\n{}\n", loaded.report));
        return None;
    }
    let last_good_at = Some(saved.saved_at);
    Some((loaded, Fault { report, last_good_at, isolated: Vec::new() }))
}

fn read(last_good: &LastGood) -> Option<SavedTable> {
    let read = last_good.read();
    read.unwrap_or_else(|error| {
        let path = last_good.path().display();
        print_message(format!("cannot read the last good table {path}: {error}\n"));
        None
    })
}
