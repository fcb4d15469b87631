//! Sources of the settings whose calls can match a rule.

use super::reporter::Reporter;
use crate::diagnostics::Location;
use crate::dialect;
use crate::rules::{Agent, CheckContext, PlatformIds, Rule, SourceInfo};

/// Returns whether calls of this source can match the rule.
pub(super) fn can_match_source(rule: &Rule, source: &SourceInfo) -> bool {
    let Some(conditions) = &rule.conditions else { return true };
    let dialect = dialect::by_name(source.platform.as_str());
    dialect.is_some_and(|dialect| conditions.can_match_dialect(dialect))
        && conditions.source.matches(|name| **name == *source.source)
}

/// Warns if calls from a source can match the rule, and the agent has no id at the platform of that
/// source.
pub(super) fn warn_missing_id(
    rule: &Rule,
    agent: &Agent,
    location: Location,
    context: &CheckContext,
    reporter: &mut Reporter<'_>,
) {
    let has_no_valid_ids = agent.ids == PlatformIds::ByPlatform(Vec::new());
    if has_no_valid_ids {
        return; // This has been reported.
    }
    let without_id = context
        .sources
        .iter()
        .find(|source| agent.id_at(source.platform).is_none() && can_match_source(rule, source));
    let Some(source) = without_id else { return };
    let platform = source.platform;
    let message = format!(
        "agent `{}` has no id at {platform}: calls from source `{}` would be kept by the platform's \
         own agent",
        agent.name, source.source,
    );
    reporter
        .report
        .warning("no-id-at-platform", Some(location), message)
        .help(format!("add one, or limit the rule with `platform = \"!{platform}\"`"));
}
