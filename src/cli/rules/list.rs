//! `switchboard rules list`: the tables, their use and their files.

use std::io::Write;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::short;
use crate::cli::records::table::{Fit, TableColumn, format};
use crate::cli::records::{OpenStore, sanitize};
use crate::cli::{ConfigFile, Exit, output};
use crate::records::{RuleChange, StoredTable};

/// One line for each table: when it became live last, its first and last recorded call, the number of
/// recorded calls that it decided, its files, and who made it so and why, each time that the console or
/// `rules restore` did; `-` if other means did last.
///
/// Exit status: 0 listed; 2 the records cannot be read.
#[derive(Debug, Args)]
pub(super) struct ListTables {
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON, one object per line
    #[arg(long)]
    json: bool,
}

impl ListTables {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let opened = OpenStore::open(&self.config).await?;
        let tables = opened.store.rule_tables().await?;
        let mut stdout = std::io::stdout().lock();
        if self.json {
            for table in &tables {
                writeln!(stdout, "{}", to_json(table))?;
            }
            return Ok(Exit::Success);
        }
        if tables.is_empty() {
            writeln!(stdout, "no rule tables")?;
            return Ok(Exit::Success);
        }
        let mut columns = vec![
            TableColumn { title: "TABLE", fit: Fit::Whole },
            TableColumn { title: "LIVE SINCE", fit: Fit::Optional(1) },
            TableColumn { title: "FIRST CALL", fit: Fit::Optional(0) },
            TableColumn { title: "LAST CALL", fit: Fit::Whole },
            TableColumn { title: "CALLS", fit: Fit::Whole },
            TableColumn { title: "FILES", fit: Fit::Truncated(4) },
        ];
        let has_changes = tables.iter().any(|table| !table.changes.is_empty());
        if has_changes {
            columns.push(TableColumn { title: "BY", fit: Fit::Truncated(2) });
            columns.push(TableColumn { title: "NOTE", fit: Fit::Truncated(3) });
        }
        let rows: Vec<_> = tables.iter().map(|table| row(table, has_changes)).collect();
        write!(stdout, "{}", format(&columns, &rows, output::table_width()))?;
        Ok(Exit::Success)
    }
}

fn row(table: &StoredTable, has_changes: bool) -> Vec<String> {
    let time = |at: Option<Timestamp>| {
        at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
    };
    let files = files(table).map_or_else(|| "not stored".to_owned(), |files| files.join(", "));
    let mut row = vec![
        short(&table.fingerprint).to_owned(),
        time(table.live_since),
        time(table.used.map(|(first, _)| first)),
        time(table.used.map(|(_, last)| last)),
        table.calls.to_string(),
        sanitize(&files),
    ];
    if has_changes {
        row.extend([changes(table, |change| &change.who), changes(table, |change| &change.note)]);
    }
    row
}

/// Returns a text of each change that led to a table, newest first; `-` if it became live last by other means.
fn changes(table: &StoredTable, text: fn(&RuleChange) -> &str) -> String {
    let none = table.change().is_none().then(|| "-".to_owned());
    let texts = table.changes.iter().map(|change| match text(change) {
        "" => "-".to_owned(),
        text => sanitize(text),
    });
    none.into_iter().chain(texts).collect::<Vec<_>>().join("; ")
}

/// Returns the names of the files.
fn files(table: &StoredTable) -> Option<Vec<String>> {
    let paths = table.snapshot.as_ref()?.files.paths();
    let names = paths.filter_map(|path| path.file_name());
    Some(names.map(|name| name.to_string_lossy().into_owned()).collect())
}

fn to_json(table: &StoredTable) -> serde_json::Value {
    json!({
        "fingerprint": table.fingerprint,
        "live_since": table.live_since.map(|at| at.to_string()),
        "first_call": table.used.map(|(first, _)| first.to_string()),
        "last_call": table.used.map(|(_, last)| last.to_string()),
        "calls": table.calls,
        "files": files(table),
        "change": table.change().map(change_to_json),
        "changes": table.changes.iter().map(change_to_json).collect::<Vec<_>>(),
    })
}

fn change_to_json(change: &RuleChange) -> serde_json::Value {
    json!({
        "at": change.at.to_string(),
        "who": change.who,
        "action": change.action.as_str(),
        "note": change.note,
        "old_fingerprint": change.old_fingerprint,
    })
}
