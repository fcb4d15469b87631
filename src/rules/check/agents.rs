//! Agents: `[agents]`, or the raw platform ids of a table without it.

use std::ops::Range;

use serde_json::Value;

use super::reporter::Reporter;
use super::sessions::session;
use super::usage::UsageTracker;
use crate::diagnostics::{Location, Problem, Severity, did_you_mean};
use crate::dialect::{Dialect, Dialects};
use crate::domain::agent_id;
use crate::domain::call::{Platform, Version};
use crate::rules::load::raw::{Entries, RawAgent, RawIds, RawValue, Spanned};
use crate::rules::model::name_index::NameIndex;
use crate::rules::{Agent, PlatformIds, SourceInfo};

/// Agents of a table.
pub(super) struct Agents {
    pub(super) all: Vec<Agent>,
    pub(super) by_name: NameIndex,
    /// The table has no `[agents]`, so that rules contain raw ids.
    pub(super) raw_ids: bool,
    pub(super) usage: UsageTracker,
}

impl Agents {
    pub(super) fn new(raw_ids: bool) -> Agents {
        Agents {
            all: Vec::new(),
            by_name: NameIndex::default(),
            raw_ids,
            usage: UsageTracker::default(),
        }
    }

    pub(super) fn add(&mut self, raw: &RawAgent, reporter: &mut Reporter<'_>) {
        let name = raw.name.value.as_str();
        if let Some(first) = self.find(name) {
            return reporter.duplicate_name("an agent", &raw.name, self.usage.location(first));
        }
        reporter.check_name("an agent", &raw.name, false);
        let without_ids = agent_with_ids(name, PlatformIds::ByPlatform(Vec::new()));
        let agent = match &raw.ids {
            RawIds::Everywhere(id) => match checked_id(id, None, reporter) {
                Some(id) => Agent { ids: PlatformIds::Everywhere(id), ..without_ids },
                None => without_ids,
            },
            RawIds::Table(entries) => from_table(without_ids, &raw.name, entries, reporter),
            RawIds::Invalid => without_ids,
        };
        let location = reporter.location(&raw.name.span);
        self.push(agent, Some(location));
    }

    fn push(&mut self, agent: Agent, location: Option<Location>) {
        let index = self.all.len();
        self.all.push(agent);
        let all = &self.all;
        self.by_name.insert(&all[index].name, index, |index| &all[index].name);
        self.usage.add(location);
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.find(name, |index| &self.all[index].name)
    }

    /// Returns whether some agent needs variables with every call.
    pub(super) fn have_required_variables(&self) -> bool {
        self.all.iter().any(|agent| !agent.required_variables.is_empty())
    }

    /// Returns the agent with this id, and adds it, with the place of its first use, if it is new; for a table
    /// without `[agents]`.
    pub(super) fn find_or_add_raw_id(&mut self, id: &str, location: Option<Location>) -> usize {
        if let Some(known) = self.find(id) {
            return known;
        }
        let index = self.all.len();
        self.push(agent_with_ids(id, PlatformIds::Everywhere(id.into())), location);
        self.usage.mark_used(index);
        index
    }

    /// Checks the fallback agents of the settings.
    pub(super) fn check_fallbacks(&mut self, names: &[String], reporter: &mut Reporter<'_>) {
        for name in names {
            match self.find(name) {
                Some(agent) => self.usage.mark_used(agent),
                None if self.raw_ids => match placeholder_id(name) {
                    Some(problem) => {
                        reporter.report.push(Severity::Error, None, problem);
                    }
                    None => {
                        self.find_or_add_raw_id(name, None);
                    }
                },
                None => {
                    let help = self.suggest(name);
                    let message =
                        format!("the settings have fallback = \"{name}\", which is not an agent");
                    reporter.report.error("unknown-agent", None, message).maybe_help(help);
                }
            }
        }
    }

    /// Reports fallback agents without an id at a platform whose numbers have no agent of their own.
    pub(super) fn check_fallback_ids(&self, sources: &[SourceInfo], reporter: &mut Reporter<'_>) {
        for source in sources {
            let platform = source.platform;
            let dialect = reporter.dialects.by_name(platform.as_str());
            let Some(dialect) = dialect.filter(|dialect| !dialect.capabilities().keep) else {
                continue;
            };
            let agent = source.fallback_agent.as_ref().and_then(|name| self.find(name));
            let Some(agent) = agent
                .filter(|agent| !has_valid_id(&self.all[*agent], platform, &reporter.dialects))
            else {
                continue;
            };
            let message = format!(
                "agent `{}` is the fallback of source `{}`, and has no id at {platform}",
                self.all[agent].name, source.source
            );
            let form = dialect.agent_id_form();
            let help = match &self.all[agent].ids {
                PlatformIds::Everywhere(id) => format!("`{id}` is none there; add the id: {form}"),
                PlatformIds::ByPlatform(_) => format!("add the id: {form}"),
            };
            reporter
                .report
                .error("no-fallback-id", self.usage.location(agent).cloned(), message)
                .help(format!("numbers of {platform} have no agent of their own; {help}"));
        }
    }

    /// Reports a name that is not in `[agents]`.
    pub(super) fn report_unknown(
        &self,
        name: &str,
        span: &Range<usize>,
        reporter: &mut Reporter<'_>,
    ) {
        reporter
            .error("unknown-agent", span, format!("unknown agent `{name}`"))
            .help("use one of the names in [agents]")
            .maybe_help(self.suggest(name));
    }

    /// Suggests an agent with a similar name, or with this id.
    pub(super) fn suggest(&self, name: &str) -> Option<String> {
        let has_this_id = |agent: &&Agent| match &agent.ids {
            PlatformIds::Everywhere(id) => **id == *name,
            PlatformIds::ByPlatform(ids) => ids.iter().any(|(_, id)| **id == *name),
        };
        match self.all.iter().find(has_this_id) {
            Some(agent) => Some(format!("this is an id of `{}`; use the name", agent.name)),
            None => did_you_mean(name, self.all.iter().map(|agent| &*agent.name)),
        }
    }
}

fn agent_with_ids(name: &str, ids: PlatformIds) -> Agent {
    Agent {
        name: name.into(),
        ids,
        version: None,
        sessions: Vec::new(),
        required_variables: Vec::new(),
    }
}

/// Returns whether an agent has an id that a platform can know. An id for every platform is none where ids are
/// addresses; ids for one platform have been checked.
pub(super) fn has_valid_id(agent: &Agent, platform: Platform, dialects: &Dialects) -> bool {
    let is_valid = |id: &str| {
        let dialect = dialects.by_name(platform.as_str());
        dialect.is_none_or(|dialect| dialect.check_agent_id(id).is_ok())
    };
    match &agent.ids {
        PlatformIds::Everywhere(id) => is_valid(id),
        PlatformIds::ByPlatform(_) => agent.id_at(platform).is_some(),
    }
}

/// Returns the problem with an id that cannot be one on every platform: a placeholder, or characters that ids do
/// not contain.
pub(super) fn placeholder_id(id: &str) -> Option<Problem> {
    let reason = agent_id::check_plain(id).err()?;
    Some(invalid_id(id, &reason, "the platform", agent_id::PLAIN_FORM))
}

fn invalid_id(id: &str, reason: &str, platform: &str, form: &str) -> Problem {
    let help = format!("copy the id from {platform}: {form}");
    Problem::new("placeholder-id", format!("`{id}` is not the id of an agent: {reason}")).help(help)
}

/// Checks the id at a platform, or else an id for every platform.
fn checked_id(
    id: &Spanned<String>,
    dialect: Option<&dyn Dialect>,
    reporter: &mut Reporter<'_>,
) -> Option<Box<str>> {
    if id.value.trim().is_empty() {
        reporter.error("empty-id", &id.span, "the id of an agent must not be empty".to_owned());
        return None;
    }
    let problem = match dialect {
        None => placeholder_id(&id.value),
        Some(dialect) => dialect.check_agent_id(&id.value).err().map(|reason| {
            let platform = dialect.platform();
            invalid_id(&id.value, &reason, platform.as_str(), dialect.agent_id_form())
        }),
    };
    if let Some(problem) = problem {
        reporter.problem(&id.span, problem);
        return None;
    }
    Some(id.value.as_str().into())
}

/// Checks an id that is a text.
fn text_id(
    value: &Spanned<RawValue>,
    dialect: &dyn Dialect,
    reporter: &mut Reporter<'_>,
) -> Option<Box<str>> {
    let RawValue::Text(id) = &value.value else { return None };
    if dialect.session_keys().is_some() {
        let platform = dialect.platform();
        let message = format!("an agent at {platform} is a table with the settings of its session");
        let help = format!("write {platform} = {}", dialect.agent_id_form());
        reporter.error("bad-session", &value.span, message).help(help);
        return None;
    }
    let id = Spanned { value: id.clone(), span: value.span.clone() };
    checked_id(&id, Some(dialect), reporter)
}

/// Keys of an agent's table that are no platforms.
const OTHER_KEYS: [&str; 2] = ["version", "variables"];

/// Reads the ids by platform, the version and the required variables of an agent.
fn from_table(
    mut agent: Agent,
    name: &Spanned<String>,
    entries: &Entries,
    reporter: &mut Reporter<'_>,
) -> Agent {
    let mut ids = Vec::new();
    for (key, value) in entries {
        match (key.value.as_str(), &value.value) {
            ("version", RawValue::Text(tag)) if !tag.trim().is_empty() => {
                agent.version = Some(Version::Tag(tag.as_str().into()))
            }
            ("version", RawValue::Plain(Value::Number(number))) if number.is_i64() => {
                agent.version = number.as_i64().map(Version::Number);
            }
            ("version", _) => {
                let message = "`version` must be an integer or a name such as `latest`";
                reporter.error("wrong-kind", &value.span, message.to_owned());
            }
            ("variables", _) => agent.required_variables = variable_names(value, reporter),
            (platform, id @ (RawValue::Text(_) | RawValue::Table(_))) => {
                let Some(dialect) = reporter.dialects.by_name(platform).cloned() else {
                    reporter.unknown_platform(key, &OTHER_KEYS);
                    continue;
                };
                let id = if let RawValue::Table(entries) = id {
                    let session = session(key, entries, &*dialect, reporter);
                    agent.sessions.extend(session.map(|it| (dialect.platform(), it)));
                    dialect.session_keys().map(|_| agent.name.clone())
                } else {
                    text_id(value, &*dialect, reporter)
                };
                ids.extend(id.map(|id| (dialect.platform(), id)));
            }
            (name, _) => {
                let message = format!("the id at {name} must be a string");
                reporter.error("wrong-kind", &value.span, message);
            }
        }
    }
    if entries.iter().all(|(key, _)| OTHER_KEYS.contains(&key.value.as_str())) {
        let message = format!("agent `{}` has no id at any platform", name.value);
        reporter.error("no-id", &name.span, message).help("write { retell = \"agent_…\" }");
    }
    Agent { ids: PlatformIds::ByPlatform(ids), ..agent }
}

/// Reads the names of the variables that an agent requires, each once.
fn variable_names(value: &Spanned<RawValue>, reporter: &mut Reporter<'_>) -> Vec<Box<str>> {
    let RawValue::List(list) = &value.value else {
        let message = "`variables` of an agent must be a list of names".to_owned();
        reporter
            .error("wrong-kind", &value.span, message)
            .help("write variables = [\"customer_name\"]; rules set their values");
        return Vec::new();
    };
    let mut names: Vec<Box<str>> = Vec::new();
    for item in list {
        match &item.value {
            RawValue::Text(name) if !name.trim().is_empty() => {
                if !names.iter().any(|known| **known == **name) {
                    names.push(name.as_str().into());
                }
            }
            RawValue::Text(_) | RawValue::Plain(_) | RawValue::List(_) | RawValue::Table(_) => {
                let message = "the name of a variable must be a string with some text".to_owned();
                reporter.error("wrong-kind", &item.span, message);
            }
        }
    }
    names
}
