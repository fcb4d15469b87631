//! `switchboard check`: checks settings and rules, and runs the tests of the rule table.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::input::is_stdin;
use super::live_lists::{FetchedOnce, fetch_once};
use super::output::{counted, exit_after, is_coloured, is_quiet, without_asides};
use super::{
    ConfigFile, Exit, SettingsAndRules, describe, load_rules_with, load_settings_and_rules,
};
use crate::diagnostics::Report;
use crate::rules::{CheckContext, LiveList, LoadedTable, Replacements, RuleSet};
use crate::settings::{Inputs, LookupSecrets, Purpose, known_dialects};

/// Report all errors and warnings at once, and run the tests of the rule table.
///
/// Exit status: 0 no errors; 1 errors, or warnings with --strict; 2 the files could not be read.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Rule file or directory to check without the settings; `-` reads standard input
    #[arg(value_name = "RULES", conflicts_with_all = ["config", "rules"])]
    path: Option<PathBuf>,
    /// The same as RULES
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    rules: Option<PathBuf>,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// Warn of rules and split arms that no [[test]] reaches
    #[arg(long)]
    coverage: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let inputs = self.config.inputs(Purpose::Inspect);
        let checked = self.load(&inputs, &Replacements::default());
        let (checked, fetched) = match checked {
            // Standard input cannot be read twice.
            Ok(checked) if self.path().is_some_and(is_stdin) => {
                (Ok(checked), FetchedOnce::default())
            }
            Ok((loaded, report)) => {
                let fetched =
                    fetch_once(loaded.as_ref(), &LookupSecrets::new(&inputs.environment))?;
                match fetched.has_texts() {
                    true => (self.load(&inputs, &fetched.texts), fetched),
                    false => (Ok((loaded, report)), fetched),
                }
            }
            Err(error) => (Err(error), FetchedOnce::default()),
        };
        let (loaded, report) = match checked {
            Ok(checked) => checked,
            Err(error) if self.json => {
                let diagnostics = Report::from_error("no-table", describe(&error)).to_json();
                let whole = json!({ "ok": false, "diagnostics": diagnostics });
                writeln!(std::io::stdout(), "{whole:#}")?;
                return Ok(Exit::Error);
            }
            Err(error) => return Err(error),
        };
        let passed = report.error_count() == 0 && !(self.strict && report.warning_count() > 0);
        let report = without_asides(report, self.strict);
        let loaded = loaded.as_ref();
        let printed = match self.json {
            true => print_json(passed, loaded, &report, &fetched),
            false => print_text(loaded, &report, &fetched),
        };
        exit_after(printed, if passed { Exit::Success } else { Exit::Failure })
    }
}

impl Check {
    /// Returns the rules to check without the settings.
    fn path(&self) -> Option<&Path> {
        self.path.as_deref().or(self.rules.as_deref())
    }

    /// Loads the rules, with or without the settings.
    fn load(
        &self,
        inputs: &Inputs,
        replaced: &Replacements,
    ) -> anyhow::Result<(Option<LoadedTable>, Report)> {
        let Some(path) = self.path() else {
            let SettingsAndRules { rules, report, .. } =
                load_settings_and_rules(inputs, self.coverage, replaced)?;
            return Ok((rules, report));
        };
        let context = CheckContext { dialects: known_dialects(), ..CheckContext::default() };
        let mut loaded = load_rules_with(path, context, self.coverage, replaced)?;
        let report = std::mem::take(&mut loaded.report);
        Ok((Some(loaded), report))
    }
}

/// Returns the lists that live elsewhere, and the time for their ages.
fn live_lists(loaded: Option<&LoadedTable>) -> (&[Arc<LiveList>], Timestamp) {
    let lists = loaded.map(|loaded| loaded.live_lists.as_slice()).unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "the age of copies")]
    let now = Timestamp::now();
    (lists, now)
}

fn print_json(
    passed: bool,
    loaded: Option<&LoadedTable>,
    report: &Report,
    fetched: &FetchedOnce,
) -> anyhow::Result<()> {
    let table = loaded.and_then(|loaded| loaded.table.as_ref());
    let mut whole = json!({
        "ok": passed,
        "rules": table.map(|table| table.rules.len()),
        "tests": loaded.map_or(0, |loaded| loaded.tests.len()),
        "fingerprint": table.map(|table| &table.fingerprint),
        "diagnostics": report.to_json(),
    });
    let (lists, now) = live_lists(loaded);
    if !lists.is_empty() {
        whole["live_lists"] = fetched.to_json(lists, now);
    }
    writeln!(std::io::stdout(), "{whole:#}")?;
    Ok(())
}

/// Prints the diagnostics and, unless the command is quiet, a summary.
fn print_text(
    loaded: Option<&LoadedTable>,
    report: &Report,
    fetched: &FetchedOnce,
) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    if !report.diagnostics().is_empty() {
        writeln!(stdout, "{}\n", report.to_text(is_coloured(&std::io::stdout())))?;
    }
    if is_quiet() {
        return Ok(());
    }
    let (lists, now) = live_lists(loaded);
    for line in fetched.describe(lists, now) {
        writeln!(stdout, "{line}")?;
    }
    let summary = loaded
        .and_then(|loaded| Some(summarize(loaded.table.as_ref()?, loaded.tests.len())))
        .unwrap_or_else(|| "the rules cannot be used".to_owned());
    let (errors, warnings) = (report.error_count(), report.warning_count());
    let errors = counted(errors, "error");
    writeln!(stdout, "{summary}; {errors}, {}", counted(warnings, "warning"))?;
    Ok(())
}

/// Returns `12 rules, 5 agents, 3 lists with 12 numbers, 4 tests passed`.
fn summarize(table: &RuleSet, tests: usize) -> String {
    let rules = counted(table.rules.len(), "rule");
    let mut summary = format!("{rules}, {}", counted(table.agents.len(), "agent"));
    let lists = table.lists.all();
    if !lists.is_empty() {
        let numbers = counted(lists.iter().map(|list| list.size).sum::<usize>(), "number");
        summary += &format!(", {} with {numbers}", counted(lists.len(), "list"));
    }
    if tests > 0 {
        summary += &format!(", {} passed", counted(tests, "test"));
    }
    summary
}
