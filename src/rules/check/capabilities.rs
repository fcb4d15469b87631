//! Rules compared with what the platforms of their calls can express.

use std::ops::Range;

use super::reporter::Reporter;
use super::rule::describe_rule;
use super::rules::RuleChecker;
use super::sources::can_match_source;
use crate::dialect::{Dialect, DialectRef};
use crate::domain::call::Platform;
use crate::domain::capabilities::{Capabilities, CarriedAdditions, Transfer, VariableLimits};
use crate::rules::load::raw::{RawOutcome, RawRule};
use crate::rules::model::Origin;
use crate::rules::{Action, AgentRef, CheckContext, Conditions, Rule, RuleAdditions};

/// Maximum number of sources that a message names.
const MAX_NAMED_SOURCES: usize = 3;

/// A source whose calls can match a rule; without settings, a platform that the rule names.
struct Reached<'c> {
    source: Option<&'c str>,
    dialect: &'c dyn Dialect,
    /// The source's fallback is an agent, which stands in for the platform's own.
    has_stand_in: bool,
}

impl Reached<'_> {
    fn capabilities(&self) -> &Capabilities {
        self.dialect.capabilities()
    }

    /// Returns `source `main` (retell)`, without the noun.
    fn name(&self) -> String {
        let platform = self.dialect.platform();
        match self.source {
            Some(source) => format!("`{source}` ({platform})"),
            None => platform.to_string(),
        }
    }
}

impl RuleChecker<'_, '_> {
    /// Compares a rule with the sources that it can reach. Reports an outcome that one of them cannot express,
    /// unless the rule accepts that, and warns of additions that do not arrive.
    pub(super) fn check_capabilities(&mut self, raw: &RawRule, number: usize) {
        let [outcome] = raw.outcomes.as_slice() else { return };
        if matches!(outcome.value, RawOutcome::Invalid) {
            return;
        }
        let rule = &self.checked.rules[number];
        let reached = match self.context.sources.is_empty() {
            true => platforms_named_by(rule, self.context),
            false => reached_sources(rule, self.context),
        };
        let variables = raw.variables.iter().map(|(name, _)| (&*name.value, &name.span));
        let variables: Vec<_> = variables.collect();
        check_variables(rule, &variables, &reached, self.reporter);
        if raw.unsupported.is_some() {
            return;
        }
        let agents = &self.definitions.agents;
        let has_version = agents_of(rule).any(|agent| agents.all[agent].version.is_some());
        match outcome_problem(rule, &reached) {
            Some((message, help)) => {
                self.reporter.error("unsupported-outcome", &outcome.span, message).help(help);
            }
            None => {
                let Some((first, message)) = additions_problem(rule, has_version, &reached) else {
                    return;
                };
                let span = span_of(first, raw).unwrap_or(&outcome.span);
                self.reporter.warning("unsupported-addition", span, message).help(
                    "limit the rule with `platform`, or write `unsupported = \"keep\"` if that is intended",
                );
            }
        }
    }

    /// Sets the platforms that cannot express the outcome of a rule, if the rule accepts that.
    pub(super) fn set_unsupported(
        &mut self,
        raw: &RawRule,
        action: Option<&Action>,
        additions: &mut Option<Box<RuleAdditions>>,
    ) {
        let Some(action) = action else { return };
        let unsupported_at = self.unsupported_platforms(raw, action);
        if !unsupported_at.is_empty() {
            additions.get_or_insert_default().unsupported_at = unsupported_at;
        }
    }

    /// Returns the platforms that cannot express the outcome of a rule, if the rule accepts that.
    fn unsupported_platforms(&mut self, raw: &RawRule, action: &Action) -> Box<[Platform]> {
        let Some(unsupported) = &raw.unsupported else { return Box::default() };
        if unsupported.value != "keep" {
            let message = format!("`unsupported` must be \"keep\", not `{}`", unsupported.value);
            self.reporter
                .error("wrong-kind", &unsupported.span, message)
                .help("write unsupported = \"keep\", or remove the key");
            return Box::default();
        }
        let says = raw.say.is_some();
        let is_beyond =
            |dialect: &&DialectRef| gap(action, says, dialect.capabilities(), true).is_some();
        let beyond = self.context.dialects.iter().filter(is_beyond);
        beyond.map(|dialect| dialect.platform()).collect()
    }
}

/// Returns the sources of the settings whose calls can match a rule.
fn reached_sources<'c>(rule: &Rule, context: &'c CheckContext) -> Vec<Reached<'c>> {
    let sources = context.sources.iter().filter(|source| can_match_source(rule, source, context));
    let reached = sources.filter_map(|source| {
        let dialect = &**context.dialects.by_name(source.platform.as_str())?;
        let has_stand_in = source.fallback_agent.is_some();
        Some(Reached { source: Some(&source.source), dialect, has_stand_in })
    });
    reached.collect()
}

/// Returns the positions of the agents that a rule names itself.
pub(super) fn agents_of(rule: &Rule) -> impl Iterator<Item = usize> {
    let (single, split) = match &rule.action {
        Action::Agent(AgentRef::Agent(agent)) => (Some(*agent as usize), None),
        Action::Split(split) => (None, Some(split.agents())),
        Action::Agent(AgentRef::Template(_))
        | Action::SplitOfRow(_)
        | Action::Transfer(_)
        | Action::Reject(_)
        | Action::Keep
        | Action::Continue => (None, None),
    };
    single.into_iter().chain(split.into_iter().flatten())
}

/// Returns the platforms that a rule or its scope names and whose calls can match it.
fn platforms_named_by<'c>(rule: &Rule, context: &'c CheckContext) -> Vec<Reached<'c>> {
    let scope = rule.scope.as_ref().map(|scope| &scope.conditions);
    let conditions: Vec<&Conditions> =
        rule.conditions.as_deref().into_iter().chain(scope).collect();
    let named = || conditions.iter().flat_map(|conditions| &conditions.platform.any_of);
    let source = conditions.iter().find_map(|conditions| conditions.source.any_of.first());
    let source = source.map_or("", |source| source);
    let accepted = context.dialects.iter().filter(|dialect| {
        named().any(|platform| *platform == dialect.platform())
            && dialect.channels().iter().any(|channel| {
                rule.accepts(&Origin { source, platform: dialect.platform(), channel: *channel })
            })
    });
    let reached =
        accepted.map(|dialect| Reached { source: None, dialect: &**dialect, has_stand_in: true });
    reached.collect()
}

/// Returns what a platform cannot do of an action, as a clause about the rule.
fn gap(
    action: &Action,
    says: bool,
    capabilities: &Capabilities,
    has_stand_in: bool,
) -> Option<&'static str> {
    let reject = capabilities.reject;
    match action {
        Action::Agent(_) | Action::Split(_) | Action::SplitOfRow(_) => {
            (!capabilities.agent).then_some("selects an agent")
        }
        Action::Transfer(_) => {
            (capabilities.transfer == Transfer::Impossible).then_some("transfers calls")
        }
        Action::Reject(_) if !reject.can_be_silent() && !reject.can_speak() => {
            Some("rejects calls")
        }
        Action::Reject(_) => {
            (!says && !reject.can_be_silent()).then_some("rejects calls without a text to speak")
        }
        Action::Keep => (!capabilities.keep && !has_stand_in)
            .then_some("leaves calls to the platform's own agent"),
        Action::Continue => None,
    }
}

/// Returns the message and the help about an outcome that sources cannot express.
fn outcome_problem(rule: &Rule, reached: &[Reached<'_>]) -> Option<(String, String)> {
    let says = rule.additions.as_ref().is_some_and(|additions| additions.say.is_some());
    let gap_of = |one: &Reached<'_>| gap(&rule.action, says, one.capabilities(), one.has_stand_in);
    let beyond: Vec<_> = reached.iter().filter(|one| gap_of(one).is_some()).collect();
    let mut gaps = beyond.iter().filter_map(|one| gap_of(one));
    let first = gaps.next()?;
    // Some reject no call, and others only with a text.
    let what = if gaps.all(|gap| gap == first) { first } else { "rejects calls" };
    let message =
        format!("{} {what}, which {} cannot do", describe_rule(&rule.name), sources(&beyond));
    let keep = "`unsupported = \"keep\"` leaves these calls to the platform's own agent";
    let can_speak = beyond.iter().all(|one| one.capabilities().reject.can_speak());
    let is_spoken = matches!(rule.action, Action::Reject(_)) && can_speak;
    let help = if rule.action == Action::Keep {
        "set `fallback` of the source to an agent, which then takes these calls".to_owned()
    } else if is_spoken {
        format!("add `say`, the text that the caller hears; or {keep}")
    } else if beyond.len() == reached.len() {
        keep.to_owned()
    } else {
        format!("limit the rule with `platform = {}`; or {keep}", without(&beyond))
    };
    Some((message, help))
}

/// Returns `"!retell"`, or a list, for `platform`.
fn without(beyond: &[&Reached<'_>]) -> String {
    let mut platforms: Vec<_> =
        beyond.iter().map(|one| format!("\"!{}\"", one.dialect.platform())).collect();
    platforms.dedup();
    match platforms.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// Returns `source `main` (retell)`, or `sources … and …`.
fn sources(reached: &[&Reached<'_>]) -> String {
    let noun = match (reached.first().and_then(|one| one.source), reached.len()) {
        (Some(_), 1) => "source",
        (Some(_), _) => "sources",
        (None, 1) => "platform",
        (None, _) => "platforms",
    };
    let mut names: Vec<_> = reached.iter().map(|one| one.name()).collect();
    if names.len() > MAX_NAMED_SOURCES {
        let more = names.len() - MAX_NAMED_SOURCES;
        names.truncate(MAX_NAMED_SOURCES);
        names.push(format!("{more} more"));
    }
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{noun} {} and {last}", rest.join(", ")),
        _ => format!("{noun} {}", names.concat()),
    }
}

/// Returns the place of an addition of a rule.
fn span_of<'r>(addition: &str, raw: &'r RawRule) -> Option<&'r Range<usize>> {
    let entries = match addition {
        "variables" => Some(&raw.variables),
        "metadata" => raw.metadata.as_ref(),
        "agent_override" => raw.agent_override.as_ref(),
        "sip_headers" => Some(&raw.sip_headers),
        "say" => return raw.say.as_ref().map(|text| &text.span),
        _ => None,
    };
    entries?.first().map(|(name, _)| &name.span)
}

/// Returns the first addition that replies to some sources do not carry, and the message about all of them.
fn additions_problem(
    rule: &Rule,
    has_version: bool,
    reached: &[Reached<'_>],
) -> Option<(&'static str, String)> {
    let none = RuleAdditions::default();
    let additions = rule.additions.as_deref().unwrap_or(&none);
    // A version is meant for the platforms that have versions, if calls of one can match the rule.
    let version = has_version && reached.iter().all(|one| !one.capabilities().agent_version);
    let lost_at = |one: &Reached<'_>| {
        let mut lost = lost_additions(&rule.action, additions, one.capabilities());
        lost.extend(version.then_some("version"));
        lost
    };
    let losing: Vec<_> = reached.iter().filter(|one| !lost_at(one).is_empty()).collect();
    let mut lost: Vec<_> = losing.iter().flat_map(|one| lost_at(one)).collect();
    lost.sort_unstable();
    lost.dedup();
    let first = lost.first()?;
    let names: Vec<_> = lost.iter().map(|name| format!("`{name}`")).collect();
    let message = format!(
        "{}: replies to {} do not carry its {}",
        describe_rule(&rule.name),
        sources(&losing),
        names.join(", ")
    );
    Some((first, message))
}

/// Returns the additions that replies of a platform can carry beside an action.
fn carried_additions(action: &Action, capabilities: &Capabilities) -> CarriedAdditions {
    match action {
        Action::Keep => capabilities.kept_additions(),
        // Later rules decide.
        Action::Continue => capabilities.agent_additions().union(capabilities.kept_additions()),
        Action::Agent(_)
        | Action::Split(_)
        | Action::SplitOfRow(_)
        | Action::Reject(_)
        | Action::Transfer(_) => capabilities.agent_additions(),
    }
}

/// Returns the additions that replies of a platform do not carry beside an action.
fn lost_additions(
    action: &Action,
    additions: &RuleAdditions,
    capabilities: &Capabilities,
) -> Vec<&'static str> {
    let carried = carried_additions(action, capabilities);
    let speaks_first = capabilities.transfer.can_speak();
    let carries_headers = match action {
        Action::Transfer(_) => capabilities.transfer.has_sip_headers(),
        Action::Continue => carried.sip_headers || capabilities.transfer.has_sip_headers(),
        Action::Agent(_)
        | Action::Split(_)
        | Action::SplitOfRow(_)
        | Action::Reject(_)
        | Action::Keep => carried.sip_headers,
    };
    let speaks = match action {
        Action::Reject(_) => capabilities.reject.can_speak(),
        Action::Transfer(_) => speaks_first,
        Action::Continue => carried.greeting || speaks_first || capabilities.reject.can_speak(),
        Action::Agent(_) | Action::Split(_) | Action::SplitOfRow(_) | Action::Keep => {
            carried.greeting
        }
    };
    let is_agent = !matches!(action, Action::Reject(_) | Action::Transfer(_));
    let has_headers = !additions.sip_headers.is_empty() && !matches!(action, Action::Reject(_));
    let parts = [
        ("variables", is_agent && !additions.variables.is_empty(), carried.variables),
        ("metadata", is_agent && additions.metadata.is_some(), carried.metadata),
        ("agent_override", is_agent && additions.agent_override.is_some(), carried.agent_override),
        ("sip_headers", has_headers, carries_headers),
        ("say", additions.say.is_some(), speaks),
    ];
    let lost = parts.into_iter().filter(|(_, is_set, is_carried)| *is_set && !is_carried);
    lost.map(|(name, ..)| name).collect()
}

/// Reports variables that a reached platform does not accept: reserved names, and too many of them.
fn check_variables(
    rule: &Rule,
    variables: &[(&str, &Range<usize>)],
    reached: &[Reached<'_>],
    reporter: &mut Reporter<'_>,
) {
    if variables.is_empty() || matches!(rule.action, Action::Reject(_) | Action::Transfer(_)) {
        return;
    }
    for one in reached {
        let capabilities = one.capabilities();
        if !carried_additions(&rule.action, capabilities).variables {
            continue;
        }
        let limits = &capabilities.variable_limits;
        let Some((at, problem)) = variable_problem(variables, limits) else { continue };
        let name = describe_rule(&rule.name);
        let message = format!("{name}: {problem} {}", sources(&[one]));
        reporter
            .error("unsupported-variable", variables[at].1, message)
            .help("choose another name or fewer variables, or limit the rule with `platform`");
        return;
    }
}

/// Returns the first variable beyond the limits, by its position, and a clause about it.
fn variable_problem(
    variables: &[(&str, &Range<usize>)],
    limits: &VariableLimits,
) -> Option<(usize, String)> {
    for (at, (name, _)) in variables.iter().enumerate() {
        if limits.reserves(name) {
            return Some((at, format!("the variable `{name}` has a name that is reserved at")));
        }
        if let Some(count) = limits.count.filter(|count| at >= *count) {
            let all = variables.len();
            return Some((at, format!("it has {all} variables, and {count} is the maximum at")));
        }
    }
    None
}
