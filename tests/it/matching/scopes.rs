//! Scopes of files in generated tables: calls outside a scope match no rule of its file.

use std::path::Path;

use switchboard::domain::facts::Facts;
use switchboard::rules::engine::{decide, scan};

use super::model::{RuleModel, TableModel, any_scoped_table};
use super::{check_calls_of, oracle, summarize};
use proptest::prelude::*;

/// Returns the table without the rules that are reported as outside the scope of their file, and these.
pub(super) fn without_rules_outside(
    mut model: TableModel,
    folder: &Path,
) -> (TableModel, Vec<RuleModel>) {
    let mut outside = Vec::new();
    if model.rules.iter().all(|rule| rule.scope.is_none()) {
        return (model, outside);
    }
    let report = model.load(folder).report;
    let reported = report.diagnostics().iter().filter(|one| one.code == "outside-scope");
    let names = reported.filter_map(|one| one.message.split('`').nth(1)?[1..].parse().ok());
    let mut numbers: Vec<usize> = names.collect();
    numbers.sort_unstable();
    for number in numbers.into_iter().rev() {
        outside.push(model.rules.remove(number));
    }
    if model.rules.is_empty() {
        model.rules.push(RuleModel::default());
    }
    (model, outside)
}

#[test]
fn index_scan_and_oracle_decide_alike_with_scopes() {
    check_calls_of(any_scoped_table(), |model, table, call, context| {
        let facts = Facts::at(context.at);
        let decision = decide(table, call, &facts);
        prop_assert_eq!(&decision, &scan(table, call, &facts));
        let (from, to) = (call.from().unmasked(), call.to().unmasked());
        prop_assert_eq!(
            summarize(&decision.expect("no look-ups")),
            oracle::decide(model, &from, &to, context)
        );
        Ok(())
    });
}
