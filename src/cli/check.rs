//! `switchboard check`: every mistake in settings and rules, all at once.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Both, ConfigFile, Exit, load_both, load_rules};
use crate::rules::Surroundings;
use crate::settings::Purpose;

/// Exits 0 when there is no error, 1 when there is one (with --strict: or a warning).
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Check only this table, without the settings
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    /// For programs
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let (table, report) = match &self.rules {
            Some(path) => load_rules(path, &Surroundings::default())?,
            None => {
                let Both { table, report, .. } = load_both(&self.config, Purpose::Look)?;
                (table, report)
            }
        };
        let good = report.errors() == 0 && !(self.strict && report.warnings() > 0);
        let mut stdout = std::io::stdout().lock();
        if self.json {
            let rules = table.as_ref().map(|table| table.rules.len());
            let whole = json!({ "ok": good, "rules": rules, "mistakes": report.to_json() });
            writeln!(stdout, "{whole:#}")?;
        } else {
            if !report.mistakes().is_empty() {
                writeln!(stdout, "{}\n", report.to_text(stdout.is_terminal()))?;
            }
            let counted = table.map_or("no table".to_owned(), |table| {
                format!("{} rules, {} agents", table.rules.len(), table.agents.len())
            });
            writeln!(
                stdout,
                "{counted}; {} errors, {} warnings",
                report.errors(),
                report.warnings()
            )?;
        }
        Ok(if good { Exit::Good } else { Exit::Not })
    }
}
