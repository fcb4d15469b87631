//! Sources of the settings whose calls can match a rule, and all origins that a call can have.

use super::agents::has_valid_id;
use super::reporter::Reporter;
use crate::diagnostics::Location;
use crate::dialect::Dialects;
use crate::domain::call::{Channel, Platform};
use crate::rules::model::Origin;
use crate::rules::{Agent, CheckContext, Conditions, PlatformIds, Rule, SourceInfo};

/// Returns whether calls of this source can match the rule.
pub(super) fn can_match_source(rule: &Rule, source: &SourceInfo, context: &CheckContext) -> bool {
    sends_any(source, |origin| rule.accepts(origin), context)
}

/// Returns whether the source sends calls that are accepted.
pub(super) fn sends_any(
    source: &SourceInfo,
    accepts: impl Fn(&Origin<'_>) -> bool,
    context: &CheckContext,
) -> bool {
    origins_of(&source.source, source.platform, &context.dialects).any(|origin| accepts(&origin))
}

/// Returns whether calls from a platform can match the rule: those of its sources, or of any source if the
/// settings are unknown.
pub(super) fn can_match_platform(rule: &Rule, platform: Platform, context: &CheckContext) -> bool {
    if context.sources.is_empty() {
        let scope = rule.scope.as_ref().map(|scope| &scope.conditions);
        let origins = Origins::new(context)
            .for_conditions(rule.conditions.as_deref().into_iter().chain(scope));
        return origins.iter().any(|origin| origin.platform == platform && rule.accepts(origin));
    }
    let mut sources = context.sources.iter().filter(|source| source.platform == platform);
    sources.any(|source| can_match_source(rule, source, context))
}

/// Returns the origins of calls from a source: one for each channel of its platform.
fn origins_of<'o>(
    source: &'o str,
    platform: Platform,
    dialects: &'o Dialects,
) -> impl Iterator<Item = Origin<'o>> {
    let dialect = dialects.by_name(platform.as_str());
    let channels = dialect.map(|dialect| dialect.channels()).unwrap_or_default();
    channels.iter().map(move |channel| Origin { source, platform, channel: *channel })
}

/// Origins that a call can have, as far as the settings are known.
pub(super) struct Origins<'c> {
    /// Those of the settings' sources, and those of a source that no rule names. Voice calls first.
    all: Vec<Origin<'c>>,
    /// If it has sources, a rule names no others.
    context: &'c CheckContext,
}

impl<'c> Origins<'c> {
    pub(super) fn new(context: &'c CheckContext) -> Origins<'c> {
        let known = context.sources.iter();
        let dialects = &context.dialects;
        let known = known.flat_map(|source| origins_of(&source.source, source.platform, dialects));
        let mut all: Vec<_> = known.chain(on_each_platform("", dialects)).collect();
        all.sort_by_key(|origin| origin.channel != Channel::Call);
        Origins { all, context }
    }

    /// Returns whether a source sends calls that the rule accepts, as far as the settings are known.
    pub(super) fn can_send(&self, rule: &Rule) -> bool {
        let mut sources = self.context.sources.iter();
        sources.len() == 0 || sources.any(|source| can_match_source(rule, source, self.context))
    }

    /// Describes the sources of the settings: `the settings have shop (retell), desk (synthflow)`.
    pub(super) fn describe_sources(&self) -> String {
        let sources = self.context.sources.iter();
        let names = sources.map(|source| format!("{} ({})", source.source, source.platform));
        format!("the settings have {}", names.collect::<Vec<_>>().join(", "))
    }

    /// Returns the origins that differ for these conditions.
    pub(super) fn for_conditions<'o>(
        &self,
        conditions: impl Iterator<Item = &'o Conditions>,
    ) -> Vec<Origin<'o>>
    where
        'c: 'o,
    {
        let mut origins: Vec<Origin<'o>> = self.all.clone();
        if self.context.sources.is_empty() {
            let sources = conditions.map(|conditions| &conditions.source);
            let named = sources.flat_map(|source| source.any_of.iter().chain(&source.none_of));
            origins.extend(named.flat_map(|name| on_each_platform(name, &self.context.dialects)));
            origins.sort_by_key(|origin| origin.channel != Channel::Call);
        }
        origins
    }
}

/// Returns the origins of a source whose platform is unknown.
fn on_each_platform<'o>(
    source: &'o str,
    dialects: &'o Dialects,
) -> impl Iterator<Item = Origin<'o>> {
    dialects.iter().flat_map(move |dialect| origins_of(source, dialect.platform(), dialects))
}

/// Returns whether replies to a platform can select an agent. Rules that do so for another one are errors, or
/// accept that its own agent takes the call.
pub(super) fn selects_agents(platform: Platform, dialects: &Dialects) -> bool {
    let dialect = dialects.by_name(platform.as_str());
    dialect.is_some_and(|dialect| dialect.capabilities().agent)
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
    let without_id = context.sources.iter().find(|source| {
        selects_agents(source.platform, &context.dialects)
            && !has_valid_id(agent, source.platform, &context.dialects)
            && can_match_source(rule, source, context)
    });
    let Some(source) = without_id else { return };
    let platform = source.platform;
    let keeps = context.dialects.by_name(platform.as_str());
    let keeps = keeps.is_none_or(|dialect| dialect.capabilities().keep);
    let taker =
        if keeps { "be kept by the platform's own agent" } else { "go to the fallback agent" };
    let message = format!(
        "agent `{}` has no id at {platform}: calls from source `{}` would {taker}",
        agent.name, source.source,
    );
    reporter
        .report
        .warning("no-id-at-platform", Some(location), message)
        .help(format!("add one, or limit the rule with `platform = \"!{platform}\"`"));
}
