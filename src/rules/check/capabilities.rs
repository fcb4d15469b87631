//! Rules compared with what the platforms of their calls can express.

use std::ops::Range;

use super::agents::Agents;
use super::reporter::Reporter;
use super::rule::describe_rule;
use super::rules::RuleChecker;
use super::sent_facts::UnsentCondition;
use super::sessions::session_override;
use super::sources::sends_any;
use crate::dialect::{Dialect, DialectRef};
use crate::domain::call::Platform;
use crate::domain::capabilities::{Capabilities, CarriedAdditions, Transfer};
use crate::rules::load::raw::{RawOutcome, RawRule, RawScope};
use crate::rules::model::Origin;
use crate::rules::{Action, AgentRef, CheckContext, Conditions, Rule, RuleAdditions, TransferRef};

/// Maximum number of sources that a message names.
const MAX_NAMED_SOURCES: usize = 3;

/// A source whose calls can match a rule; without settings, a platform that the rule names.
struct Reached<'c> {
    source: Option<&'c str>,
    dialect: &'c dyn Dialect,
    /// The source's fallback is an agent, which stands in for the platform's own.
    has_stand_in: bool,
    /// Name of that agent, if it is known.
    stand_in: Option<&'c str>,
}

impl Reached<'_> {
    fn capabilities(&self) -> &Capabilities {
        self.dialect.capabilities()
    }

    /// Returns the name with the platform: `` `main` (retell) ``.
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
            false => reached_sources(|origin| rule.accepts(origin), self.context),
        };
        let variables = raw.variables.iter().map(|(name, _)| (&*name.value, &name.span));
        let variables: Vec<_> = variables.collect();
        check_variables(rule, &variables, &reached, self.reporter);
        let dialects: Vec<_> = reached.iter().map(|one| one.dialect).collect();
        let unsent = self.reporter.sent_facts().unsent_conditions(raw, &dialects);
        warn_unsent(&describe_rule(&rule.name), &unsent, &reached, self.reporter);
        if let Some(changed) = &raw.agent_override {
            for one in first_of_each_platform(&reached) {
                session_override(changed, one.dialect, self.reporter);
            }
        }
        if raw.unsupported.is_some() {
            return;
        }
        if let Some((message, help)) = outcome_problem(rule, &reached) {
            self.reporter.error("unsupported-outcome", &outcome.span, message).help(help);
            return;
        }
        let additions = LostAdditions { rule, agents: &self.definitions.agents };
        for (addition, message) in additions.problems(&reached) {
            let span = span_of(addition, raw).unwrap_or(&outcome.span);
            self.reporter.warning("unsupported-addition", span, message).help(
                "limit the rule with `platform`, or write `unsupported = \"keep\"` if that is intended",
            );
        }
    }

    /// Warns of conditions of a scope on facts that no source sends which it can reach.
    pub(super) fn warn_unsent_in_scope(&mut self, raw: &RawScope, conditions: &Conditions) {
        let accepts = |origin: &Origin<'_>| conditions.accept(origin);
        let reached = reached_sources(accepts, self.context);
        let dialects: Vec<_> = reached.iter().map(|one| one.dialect).collect();
        let unsent = self.reporter.sent_facts().unsent_in_scope(raw, &dialects);
        warn_unsent("the scope", &unsent, &reached, self.reporter);
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

/// Warns of conditions on facts that the sources do not send.
fn warn_unsent(
    subject: &str,
    unsent: &[UnsentCondition<'_>],
    reached: &[Reached<'_>],
    reporter: &mut Reporter<'_>,
) {
    for UnsentCondition { name, span, help } in unsent {
        let sources = sources(&reached.iter().collect::<Vec<_>>());
        let verb = if reached.len() == 1 { "does" } else { "do" };
        let message = format!("{subject} compares `{name}`, which {sources} {verb} not send");
        reporter.warning("unknown-fact", span, message).help(*help);
    }
}

/// Returns the sources of the settings that send calls which are accepted.
fn reached_sources<'c>(
    accepts: impl Fn(&Origin<'_>) -> bool,
    context: &'c CheckContext,
) -> Vec<Reached<'c>> {
    let sources = context.sources.iter().filter(|source| sends_any(source, &accepts, context));
    let reached = sources.filter_map(|source| {
        let dialect = &**context.dialects.by_name(source.platform.as_str())?;
        let stand_in = source.fallback_agent.as_deref();
        let has_stand_in = stand_in.is_some();
        Some(Reached { source: Some(&source.source), dialect, has_stand_in, stand_in })
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
    let reached = accepted.map(|dialect| Reached {
        source: None,
        dialect: &**dialect,
        has_stand_in: true,
        stand_in: None,
    });
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

/// Returns the first source of each platform.
fn first_of_each_platform<'r, 'c: 'r>(
    reached: impl IntoIterator<Item = &'r Reached<'c>>,
) -> Vec<&'r Reached<'c>> {
    let mut first: Vec<&Reached<'_>> = Vec::new();
    for one in reached {
        if first.iter().all(|known| known.dialect.platform() != one.dialect.platform()) {
            first.push(one);
        }
    }
    first
}

/// Returns `"!retell"`, or a list, for `platform`.
fn without(beyond: &[&Reached<'_>]) -> String {
    let platforms = first_of_each_platform(beyond.iter().copied()).into_iter();
    let platforms: Vec<_> =
        platforms.map(|one| format!("\"!{}\"", one.dialect.platform())).collect();
    match platforms.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// Returns ``source `main` (retell)``, or `sources … and …`.
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

/// Additions of a rule that replies of some sources do not carry.
struct LostAdditions<'c> {
    rule: &'c Rule,
    agents: &'c Agents,
}

impl<'c> LostAdditions<'c> {
    /// Returns a message for each addition that replies to some sources do not carry.
    fn problems(&self, reached: &[Reached<'_>]) -> Vec<(&'static str, String)> {
        let names = ["agent_override", "metadata", "say", "sip_headers", "variables", "version"];
        // A version is meant for the platforms that have versions, if calls of one can match the rule.
        let has_version =
            agents_of(self.rule).any(|agent| self.agents.all[agent].version.is_some());
        let loses_version =
            has_version && reached.iter().all(|one| !one.capabilities().agent_version);
        let is_lost = |name: &str, one: &Reached<'_>| match name {
            "version" => loses_version,
            _ => self.lost(self.carried(one)).contains(&name),
        };
        let problems = names.into_iter().filter_map(|name| {
            let losing: Vec<_> = reached.iter().filter(|one| is_lost(name, one)).collect();
            if losing.is_empty() {
                return None;
            }
            let beside = self.particular(name, &losing);
            let rule = describe_rule(&self.rule.name);
            let sources = sources(&losing);
            Some((name, format!("{rule}: replies to {sources} do not carry its `{name}`{beside}")))
        });
        problems.collect()
    }

    /// Returns the additions that replies to a source carry beside the agents or the target of the rule.
    fn carried(&self, one: &Reached<'_>) -> CarriedAdditions {
        let carried = self.carried_by_platform(one);
        if let Action::Transfer(TransferRef::Target(target)) = &self.rule.action {
            let sip_headers = carried.sip_headers && one.dialect.carries_headers_to(target);
            return CarriedAdditions { sip_headers, ..carried };
        }
        let ids = self.ids_at(one).into_iter();
        ids.fold(carried, |carried, id| one.dialect.carried_with(id, carried))
    }

    /// Returns the ids of the agents that the rule can select at a source, as far as the rule names them.
    fn ids_at(&self, one: &Reached<'_>) -> Vec<&'c str> {
        let stand_in = one.stand_in.filter(|_| self.rule.action == Action::Keep);
        let stand_in = stand_in.and_then(|name| self.agents.find(name));
        let agents = agents_of(self.rule).chain(stand_in);
        agents.filter_map(|agent| self.agents.all[agent].id_at(one.dialect.platform())).collect()
    }

    /// Returns the additions that replies to a source carry beside an action of this kind.
    fn carried_by_platform(&self, one: &Reached<'_>) -> CarriedAdditions {
        let capabilities = one.capabilities();
        let transfer = capabilities.transfer;
        let carried = carried_additions(&self.rule.action, capabilities);
        match &self.rule.action {
            Action::Transfer(_) => CarriedAdditions {
                greeting: transfer.can_speak(),
                sip_headers: transfer.has_sip_headers(),
                ..carried
            },
            Action::Reject(_) => {
                CarriedAdditions { greeting: capabilities.reject.can_speak(), ..carried }
            }
            Action::Continue => CarriedAdditions {
                greeting: carried.greeting
                    || transfer.can_speak()
                    || capabilities.reject.can_speak(),
                sip_headers: carried.sip_headers || transfer.has_sip_headers(),
                ..carried
            },
            Action::Agent(_) | Action::Split(_) | Action::SplitOfRow(_) | Action::Keep => carried,
        }
    }

    /// Returns the additions of the rule that are not among those that replies carry.
    fn lost(&self, carried: CarriedAdditions) -> Vec<&'static str> {
        let Some(additions) = &self.rule.additions else { return Vec::new() };
        let is_reject = matches!(self.rule.action, Action::Reject(_));
        let is_agent = !is_reject && !matches!(self.rule.action, Action::Transfer(_));
        let has_headers = !additions.sip_headers.is_empty() && !is_reject;
        let has_override = additions.agent_override.is_some();
        let parts = [
            ("variables", is_agent && !additions.variables.is_empty(), carried.variables),
            ("metadata", is_agent && additions.metadata.is_some(), carried.metadata),
            ("agent_override", is_agent && has_override, carried.agent_override),
            ("sip_headers", has_headers, carried.sip_headers),
            ("say", additions.say.is_some(), carried.greeting),
        ];
        let lost = parts.into_iter().filter(|(_, is_set, is_carried)| *is_set && !is_carried);
        lost.map(|(name, ..)| name).collect()
    }

    /// Returns the agents or the target beside which replies do not carry an addition, as the end of a message. Empty if
    /// the platforms never carry it.
    fn particular(&self, name: &str, losing: &[&Reached<'_>]) -> String {
        let of_platform =
            |one: &&&Reached<'_>| self.lost(self.carried_by_platform(one)).contains(&name);
        if name == "version" || losing.iter().all(|one| of_platform(&one)) {
            return String::new();
        }
        if matches!(self.rule.action, Action::Transfer(_)) {
            return " to a phone number".to_owned();
        }
        let id_of = |one: &&Reached<'_>| {
            let all = self.carried_by_platform(one);
            let loses = |id: &&str| self.lost(one.dialect.carried_with(id, all)).contains(&name);
            self.ids_at(one).into_iter().find(loses)
        };
        let mut ids: Vec<_> = losing.iter().map(id_of).collect();
        ids.dedup();
        match ids.as_slice() {
            [Some(id)] => format!(" to `{id}`"),
            _ => " to their agents".to_owned(),
        }
    }
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

/// Reports the variables that a reached platform does not accept, each once: reserved names, too long values, and
/// too many of them.
fn check_variables(
    rule: &Rule,
    variables: &[(&str, &Range<usize>)],
    reached: &[Reached<'_>],
    reporter: &mut Reporter<'_>,
) {
    if variables.is_empty() || matches!(rule.action, Action::Reject(_) | Action::Transfer(_)) {
        return;
    }
    let mut reported = Vec::new();
    for one in reached {
        let capabilities = one.capabilities();
        if !carried_additions(&rule.action, capabilities).variables {
            continue;
        }
        for (at, problem) in variable_problems(rule, variables, one.dialect) {
            if reported.contains(&at) {
                continue;
            }
            reported.push(at);
            let name = describe_rule(&rule.name);
            let message = format!("{name}: {problem} {}", sources(&[one]));
            reporter.error("unsupported-variable", variables[at].1, message).help(
                "choose another name, a shorter value or fewer variables, or limit the rule with `platform`",
            );
        }
    }
}

/// Returns the variables beyond the limits of a platform, by their positions, each with a clause about it.
fn variable_problems(
    rule: &Rule,
    variables: &[(&str, &Range<usize>)],
    dialect: &dyn Dialect,
) -> Vec<(usize, String)> {
    let limits = &dialect.capabilities().variable_limits;
    let value_of = |wanted: &str| {
        let values = rule.additions.as_ref().map(|additions| &additions.variables);
        let found = values?.iter().find(|(name, _)| **name == *wanted);
        found.map(|(_, template)| template.literal_chars())
    };
    let mut problems = Vec::new();
    let mut is_over_count = false;
    for (at, (name, _)) in variables.iter().enumerate() {
        if !dialect.accepts_variable_name(name) {
            let word = if limits.reserves(name) { "reserved" } else { "not accepted" };
            problems.push((at, format!("the variable `{name}` has a name that is {word} at")));
        } else if let Some(count) = limits.count.filter(|count| at >= *count && !is_over_count) {
            is_over_count = true;
            let all = variables.len();
            let problem = format!("it has {all} variables, and {count} is the maximum at");
            problems.push((at, problem));
        } else if let (Some(most), Some(chars)) = (limits.value_chars, value_of(name))
            && chars > most
        {
            let problem = format!(
                "the variable `{name}` has at least {chars} characters, and {most} is the maximum at"
            );
            problems.push((at, problem));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialects;

    #[test]
    fn help_names_each_platform_once() {
        let dialects = Dialects::default();
        let reached = ["retell", "vapi", "retell"].map(|platform| Reached {
            source: Some("a source"),
            dialect: &**dialects.by_name(platform).unwrap(),
            has_stand_in: false,
            stand_in: None,
        });
        assert_eq!(without(&reached.each_ref()), "[\"!retell\", \"!vapi\"]");
    }
}
