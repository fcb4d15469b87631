//! Checks the table that a plan would lead to, without writing a file.

use serde::Serialize;

use super::files::RuleFiles;
use super::plan::ChangePlan;
use crate::diagnostics::{Diagnostic, Location, Report, Severity};
use crate::reload;
use crate::rules::{CheckContext, LoadedTable, ReadError, RuleSet};

/// The table that a plan would lead to.
#[derive(Debug)]
pub struct CheckedPlan {
    /// The checked table, unless there are errors.
    pub table: Option<RuleSet>,
    /// Number of its tests, all of which pass if there is a table.
    pub tests: usize,
    /// Errors and warnings, by file and line.
    pub mistakes: Vec<Mistake>,
    /// Number of errors.
    pub errors: usize,
    /// Number of warnings.
    pub warnings: usize,
}

/// An error or a warning with its place in an edited file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// `error`, `warning` or `note`.
    pub severity: &'static str,
    /// Stable code.
    pub code: &'static str,
    /// Name of the file, if the mistake is in one.
    pub file: Option<String>,
    /// Place in the file.
    #[serde(flatten)]
    pub place: Option<TextRange>,
    /// Description.
    pub message: String,
    /// Suggested correction.
    pub help: Option<String>,
    /// Further details on several lines.
    pub detail: Option<String>,
}

/// A range in a file. Lines and columns count from 1, columns in characters; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TextRange {
    /// First line.
    pub line: usize,
    /// First column.
    pub column: usize,
    /// Last line.
    pub end_line: usize,
    /// Column after the last one.
    pub end_column: usize,
}

/// Checks the table that a plan would lead to, and runs its tests. Blocks.
///
/// # Errors
/// Fails if a file cannot be read that the plan does not replace.
pub fn check(
    files: &RuleFiles,
    plan: &ChangePlan,
    context: &CheckContext,
) -> Result<CheckedPlan, ReadError> {
    let replaced = plan.replacements();
    let loaded = reload::load_with(files.path(), context, false, &replaced, &mut |_| {})?;
    let LoadedTable { table, tests, report, .. } = loaded;
    Ok(CheckedPlan {
        table,
        tests: tests.len(),
        mistakes: mistakes(files, &report),
        errors: report.error_count(),
        warnings: report.warning_count(),
    })
}

fn mistakes(files: &RuleFiles, report: &Report) -> Vec<Mistake> {
    let mistake = |diagnostic: &Diagnostic| {
        let Diagnostic { code, severity, message, help, location, detail, .. } = diagnostic;
        Mistake {
            severity: severity.as_str(),
            code,
            file: location.as_ref().map(|location| files.name(location.file.path.as_ref())),
            place: location.as_ref().map(TextRange::of),
            message: message.clone(),
            help: help.clone(),
            detail: detail.clone(),
        }
    };
    let shown = report.diagnostics().iter();
    shown.filter(|diagnostic| diagnostic.severity != Severity::Note).map(mistake).collect()
}

impl TextRange {
    fn of(location: &Location) -> TextRange {
        let (line, column) = location.line_and_column();
        let (end_line, end_column) = location.end();
        TextRange { line, column, end_line, end_column }
    }
}

/// Names that a rule can use, for completion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableNames {
    /// Agents.
    pub agents: Vec<String>,
    /// Lists.
    pub lists: Vec<String>,
    /// Opening hours.
    pub hours: Vec<String>,
    /// Sets of dates.
    pub dates: Vec<String>,
    /// Look-ups.
    pub lookups: Vec<String>,
}

impl TableNames {
    /// Returns the names of a table.
    pub fn of(table: &RuleSet) -> TableNames {
        TableNames {
            agents: table.agents.iter().map(|agent| agent.name.to_string()).collect(),
            lists: table.lists.all().iter().map(|list| list.name.to_string()).collect(),
            hours: table.hours.iter().map(|hours| hours.name.to_string()).collect(),
            dates: table.dates.iter().map(|dates| dates.name.to_string()).collect(),
            lookups: table.lookups.iter().map(|lookup| lookup.name.to_string()).collect(),
        }
    }
}
