//! `switchboard check`: every mistake in settings and rules, all at once, and the table's own tests.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{ConfigFile, Exit, SettingsAndRules, load_both, load_rules};
use crate::diagnostics::Report;
use crate::rules::{CheckContext, RuleSet};
use crate::settings::Purpose;

/// Exits 0 when there is no error, 1 when there is one (with --strict: or a warning).
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Check only this table (a file, or a folder of them), without the settings
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    rules: Option<PathBuf>,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    /// Warn of rules, and of arms of splits, that no [[test]] reaches
    #[arg(long)]
    coverage: bool,
    /// For programs
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let (loaded, report) = match &self.rules {
            Some(path) => match load_rules(path, CheckContext::default(), self.coverage) {
                Ok(mut loaded) => {
                    let report = std::mem::take(&mut loaded.report);
                    (Some(loaded), report)
                }
                Err(error) if self.json => {
                    let mistakes = Report::from_error("no-table", format!("{error:#}")).to_json();
                    let whole = json!({ "ok": false, "mistakes": mistakes });
                    writeln!(std::io::stdout(), "{whole:#}")?;
                    return Ok(Exit::Error);
                }
                Err(error) => return Err(error),
            },
            None => {
                let SettingsAndRules { rules, report, .. } =
                    load_both(&self.config, Purpose::Inspect, self.coverage)?;
                (rules, report)
            }
        };
        let good = report.error_count() == 0 && !(self.strict && report.warning_count() > 0);
        let table = loaded.as_ref().and_then(|loaded| loaded.table.as_ref());
        let tests = loaded.as_ref().map_or(0, |loaded| loaded.tests.len());
        let mut stdout = std::io::stdout().lock();
        if self.json {
            let whole = json!({
                "ok": good,
                "rules": table.map(|table| table.rules.len()),
                "tests": tests,
                "fingerprint": table.map(|table| &table.fingerprint),
                "mistakes": report.to_json(),
            });
            writeln!(stdout, "{whole:#}")?;
        } else {
            if !report.diagnostics().is_empty() {
                writeln!(stdout, "{}\n", report.to_text(stdout.is_terminal()))?;
            }
            let counted = table.map_or("no table".to_owned(), |table| counted(table, tests));
            let errors = many(report.error_count(), "error");
            writeln!(stdout, "{counted}; {errors}, {}", many(report.warning_count(), "warning"))?;
        }
        Ok(if good { Exit::Success } else { Exit::Failure })
    }
}

/// `12 rules, 5 agents, 3 lists with 12 numbers, 4 tests passed`.
fn counted(table: &RuleSet, tests: usize) -> String {
    let rules = many(table.rules.len(), "rule");
    let mut counted = format!("{rules}, {}", many(table.agents.len(), "agent"));
    let lists = table.lists.all();
    if !lists.is_empty() {
        let numbers = many(lists.iter().map(|list| list.size).sum(), "number");
        counted += &format!(", {} with {numbers}", many(lists.len(), "list"));
    }
    if tests > 0 {
        counted += &format!(", {} passed", many(tests, "test"));
    }
    counted
}

/// `1 rule`, `2 rules`.
fn many(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}
