//! Ids of agents that do not have the form in which their platform issues them.

use super::agents::Agents;
use crate::diagnostics::Report;
use crate::domain::call::Platform;
use crate::rules::{Agent, CheckContext, PlatformIds};

/// Warns once of ids that do not have the form in which their platform issues them.
pub(super) fn warn_unusual(agents: &Agents, context: &CheckContext, report: &mut Report) {
    for dialect in context.dialects.iter() {
        let Some(prefix) = dialect.agent_id_prefix() else { continue };
        let platform = dialect.platform();
        let mut unusual = agents.all.iter().enumerate().filter_map(|(index, agent)| {
            let id = id_at(agent, platform, context)?;
            (!id.starts_with(prefix)).then_some((index, id))
        });
        let Some((first, id)) = unusual.next() else { continue };
        let more = match unusual.count() {
            0 => String::new(),
            1 => ", and neither does another one".to_owned(),
            count => format!(", and neither do {count} others"),
        };
        let message = format!("the id `{id}` of {platform} does not begin with `{prefix}`{more}");
        report
            .warning("unusual-agent-id", agents.usage.location(first).cloned(), message)
            .help(format!("copy the ids from {platform}; calls fail if it does not know them"));
    }
}

/// Returns an id that is meant for one platform only. Without settings, an id for every platform may be
/// meant for another one.
fn id_at<'a>(agent: &'a Agent, platform: Platform, context: &CheckContext) -> Option<&'a str> {
    let sources = &context.sources;
    let is_only = !sources.is_empty() && sources.iter().all(|source| source.platform == platform);
    match &agent.ids {
        PlatformIds::Everywhere(_) if !is_only => None,
        PlatformIds::Everywhere(_) | PlatformIds::ByPlatform(_) => agent.id_at(platform),
    }
}
