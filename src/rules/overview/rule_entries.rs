//! Rules in order.

use super::uses::lists_in_order;
use super::words::{matcher_words, percent, selector_words};
use super::{Overview, Page, PageRequest, Place, SourceText, page};
use crate::rules::places::DisabledRule;
use crate::rules::{
    Action, AgentRef, Conditions, NamedRef, Rule, RuleAdditions, Selector, Split, TransferRef,
};

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleEntry {
    /// Name.
    pub name: String,
    /// Number of the rule in the order of evaluation, from 1; `None` if it is disabled.
    pub number: Option<usize>,
    /// Whether calls can reach it.
    pub state: RuleState,
    /// Place of its name.
    pub place: Option<Place>,
    /// Its lines, if the texts of the table are kept.
    pub text: Option<SourceText>,
    /// Conditions, in the order in which they are documented; empty if it matches every call.
    pub conditions: Vec<Condition>,
    /// Outcome; `None` for a disabled rule.
    pub outcome: Option<RuleOutcome>,
    /// What it adds to the reply: `variables city, greeting`.
    pub adds: Vec<String>,
    /// Platforms that cannot do what the rule says, so that their own agents take its calls.
    pub unsupported_at: Vec<String>,
    /// Definitions that it names.
    pub uses: RuleUses,
}

/// Whether calls can reach a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleState {
    /// Calls may reach it.
    Active,
    /// No call can reach it, for this reason.
    Unreachable(String),
    /// It is disabled.
    Disabled,
}

/// Condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Key, as it is written: `from`, `where crm.tier`.
    pub key: String,
    /// Value, as it is written. Numbers are not masked.
    pub value: String,
}

/// Outcome of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleOutcome {
    /// Kind.
    pub kind: OutcomeKind,
    /// In words, after the word for the kind: `concierge`, `to +1213***1234`; empty if there is no more to
    /// say. Targets of transfers are masked.
    pub detail: String,
}

impl RuleOutcome {
    /// Returns the outcome in words: `agent concierge`.
    pub fn text(&self) -> String {
        match self.detail.as_str() {
            "" => self.kind.as_str().to_owned(),
            detail => format!("{} {detail}", self.kind.as_str()),
        }
    }
}

/// Kind of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// One agent.
    Agent,
    /// One of several agents.
    Split,
    /// Transfer.
    Transfer,
    /// Rejection.
    Reject,
    /// The platform's own agent.
    Keep,
    /// The rule adds, and does not decide.
    Continue,
}

impl OutcomeKind {
    /// Returns the word for the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeKind::Agent => "agent",
            OutcomeKind::Split => "split",
            OutcomeKind::Transfer => "transfer",
            OutcomeKind::Reject => "reject",
            OutcomeKind::Keep => "keep",
            OutcomeKind::Continue => "continue",
        }
    }
}

/// Definitions that a rule names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleUses {
    /// Agents.
    pub agents: Vec<String>,
    /// Lists.
    pub lists: Vec<String>,
    /// Hours.
    pub hours: Vec<String>,
    /// Dates.
    pub dates: Vec<String>,
    /// Look-ups, and `history`.
    pub lookups: Vec<String>,
}

/// A rule of the table, or one that is disabled.
enum AnyRule<'t> {
    Enabled(usize, &'t Rule),
    Disabled(&'t DisabledRule),
}

impl AnyRule<'_> {
    fn name(&self) -> &str {
        match self {
            AnyRule::Enabled(_, rule) => &rule.name,
            AnyRule::Disabled(rule) => &rule.name,
        }
    }
}

impl<'t> Overview<'t> {
    /// Returns rules in order, with the disabled ones in their places.
    pub fn rules(&self, request: PageRequest<'_>) -> Page<RuleEntry> {
        page(request, self.all_rules(), AnyRule::name, |rule| self.rule_entry(&rule))
    }

    /// Returns the rules that no call can reach.
    pub fn unreachable_rules(&self, request: PageRequest<'_>) -> Page<RuleEntry> {
        let is_unreachable = |rule: &AnyRule<'_>| match rule {
            AnyRule::Enabled(index, _) => {
                self.places.is_some_and(|places| places.unreachable(*index).is_some())
            }
            AnyRule::Disabled(_) => false,
        };
        let rules = self.all_rules().filter(is_unreachable);
        page(request, rules, AnyRule::name, |rule| self.rule_entry(&rule))
    }

    /// Returns the rule with this name.
    pub fn rule(&self, name: &str) -> Option<RuleEntry> {
        self.all_rules().find(|rule| rule.name() == name).map(|rule| self.rule_entry(&rule))
    }

    fn all_rules(&self) -> impl Iterator<Item = AnyRule<'t>> {
        let mut disabled =
            self.places.map_or(&[][..], |places| places.disabled()).iter().peekable();
        let mut rules = self.table.rules.iter().enumerate().peekable();
        std::iter::from_fn(move || {
            let next = rules.peek().map_or(usize::MAX, |(index, _)| *index);
            if let Some(rule) = disabled.next_if(|rule| rule.before <= next) {
                return Some(AnyRule::Disabled(rule));
            }
            rules.next().map(|(index, rule)| AnyRule::Enabled(index, rule))
        })
    }

    fn rule_entry(&self, rule: &AnyRule<'_>) -> RuleEntry {
        let (index, rule) = match rule {
            AnyRule::Enabled(index, rule) => (*index, *rule),
            AnyRule::Disabled(rule) => return self.disabled_entry(rule),
        };
        let unreachable = self.places.and_then(|places| places.unreachable(index));
        let reason = unreachable.map(|found| found.reason(&self.table.rules));
        let additions = rule.additions.as_deref();
        let unsupported = additions.map_or(&[][..], |additions| &additions.unsupported_at);
        RuleEntry {
            name: rule.name.to_string(),
            number: Some(index + 1),
            state: reason.map_or(RuleState::Active, RuleState::Unreachable),
            place: self.places.and_then(|places| places.rule(index)),
            text: self.places.and_then(|places| places.rule_text(index)),
            conditions: conditions(rule),
            outcome: Some(self.outcome(&rule.action)),
            adds: additions.map(adds).unwrap_or_default(),
            unsupported_at: unsupported.iter().map(ToString::to_string).collect(),
            uses: self.rule_uses(rule),
        }
    }

    fn disabled_entry(&self, rule: &DisabledRule) -> RuleEntry {
        RuleEntry {
            name: rule.name.to_string(),
            number: None,
            state: RuleState::Disabled,
            place: self.places.map(|places| places.place_of_disabled(rule)),
            text: self.places.and_then(|places| places.text_of_disabled(rule)),
            conditions: Vec::new(),
            outcome: None,
            adds: Vec::new(),
            unsupported_at: Vec::new(),
            uses: RuleUses::default(),
        }
    }

    fn outcome(&self, action: &Action) -> RuleOutcome {
        let (kind, detail) = match action {
            Action::Agent(agent @ AgentRef::Agent(_)) => {
                (OutcomeKind::Agent, self.agent_words(agent))
            }
            Action::Agent(agent @ AgentRef::Template(_)) => {
                (OutcomeKind::Agent, format!("named {}", self.agent_words(agent)))
            }
            Action::Split(split) => (OutcomeKind::Split, self.arms_words(split)),
            Action::SplitOfRow(split) => (OutcomeKind::Split, format!("named {}", split.name)),
            Action::Transfer(TransferRef::Target(target)) => {
                (OutcomeKind::Transfer, format!("to {target}"))
            }
            Action::Transfer(TransferRef::Template(template)) => {
                (OutcomeKind::Transfer, format!("to {}", self.written(template)))
            }
            Action::Reject(reason) => (OutcomeKind::Reject, reason.to_string()),
            Action::Keep => (OutcomeKind::Keep, "the platform's own agent".to_owned()),
            Action::Continue => (OutcomeKind::Continue, "with the next rule".to_owned()),
        };
        RuleOutcome { kind, detail }
    }

    fn arms_words(&self, split: &Split) -> String {
        let arms = self.arms(split).into_iter();
        let arms = arms.map(|arm| format!("{} {}", arm.agent, percent(arm.hundredths)));
        arms.collect::<Vec<_>>().join(", ")
    }

    fn rule_uses(&self, rule: &Rule) -> RuleUses {
        let mut agents = Vec::new();
        let mut add_agent = |agent: &AgentRef| {
            let name = match agent {
                AgentRef::Agent(_) => Some(self.agent_words(agent)),
                AgentRef::Template(template) => {
                    let default = template.single_placeholder().and_then(|single| single.default);
                    default.map(str::to_owned)
                }
            };
            agents.extend(name.filter(|name| !agents.contains(name)));
        };
        match &rule.action {
            Action::Agent(agent) => add_agent(agent),
            Action::Split(split) => split.arms.iter().for_each(|arm| add_agent(&arm.agent)),
            Action::SplitOfRow(_)
            | Action::Transfer(_)
            | Action::Reject(_)
            | Action::Keep
            | Action::Continue => {}
        }
        let lists = lists_in_order(rule).into_iter();
        let conditions = rule.conditions.as_deref();
        let named = |of: fn(&Conditions) -> &Selector<NamedRef>| {
            let entries = conditions.into_iter().flat_map(|conditions| of(conditions).entries());
            entries.map(|entry| entry.name.to_string()).collect()
        };
        let values = rule.lookups_of_values(&self.table.splits);
        let lookups = rule.lookups_of_conditions().union(values);
        RuleUses {
            agents,
            lists: lists.map(|list| self.table.lists.list(list).name.to_string()).collect(),
            hours: named(|conditions| &conditions.hours),
            dates: named(|conditions| &conditions.dates),
            lookups: lookups.iter().map(|id| self.table.lookup_name(id).to_owned()).collect(),
        }
    }
}

fn conditions(rule: &Rule) -> Vec<Condition> {
    let mut all = Vec::new();
    let mut add = |key: &str, value: String| {
        if !value.is_empty() {
            all.push(Condition { key: key.to_owned(), value });
        }
    };
    add("to", matcher_words(&rule.to));
    add("from", matcher_words(&rule.from));
    if let Some(conditions) = &rule.conditions {
        add("forwarded_from", matcher_words(&conditions.forwarded_from));
        add("channel", selector_words(&conditions.channel));
        add("platform", selector_words(&conditions.platform));
        add("source", selector_words(&conditions.source));
        add("number_id", selector_words(&conditions.number_id));
        add("hours", selector_words(&conditions.hours));
        add("dates", selector_words(&conditions.dates));
        for clause in &conditions.where_clauses {
            add(&format!("where {}", clause.name), selector_words(&clause.expected));
        }
    }
    if let Some(scope) = &rule.scope {
        add("scope", scope.file.to_string());
    }
    all
}

fn adds(additions: &RuleAdditions) -> Vec<String> {
    let names = |names: Vec<&str>| names.join(", ");
    let mut all = Vec::new();
    if !additions.variables.is_empty() {
        let variables = additions.variables.iter().map(|(name, _)| &**name).collect();
        all.push(format!("variables {}", names(variables)));
    }
    if additions.metadata.is_some() {
        all.push("metadata".to_owned());
    }
    if additions.agent_override.is_some() {
        all.push("agent settings".to_owned());
    }
    if additions.say.is_some() {
        all.push("a text to say".to_owned());
    }
    if !additions.sip_headers.is_empty() {
        let headers = additions.sip_headers.iter().map(|(name, _)| &**name).collect();
        all.push(format!("SIP headers {}", names(headers)));
    }
    if let Some(delay) = additions.delay {
        all.push(format!("{} ms of ringing", delay.as_millis()));
    }
    all
}
