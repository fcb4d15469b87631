//! Rule tables from text: loading, checking, tests and the report.

use super::text;
use switchboard::rules::engine::test_runner;
use switchboard::rules::{self, CheckContext};

/// Runs one input.
pub fn run(data: &[u8]) {
    let text = text(data);
    let mut loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
    assert_eq!(loaded.table.is_none(), loaded.report.error_count() > 0);
    if let Some(table) = &loaded.table {
        test_runner::run(table, &loaded.tests, &mut loaded.report);
    }
    let report = loaded.report.to_text(false);
    assert_eq!(report.is_empty(), loaded.report.diagnostics().is_empty());
    loaded.report.to_json();
}
