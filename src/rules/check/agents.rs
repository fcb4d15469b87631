//! Agents: `[agents]`, or the raw platform ids of a table without it.

use std::ops::Range;

use serde_json::Value;

use super::reporter::Reporter;
use super::sessions::session;
use super::usage::UsageTracker;
use crate::diagnostics::{Location, Problem, Severity, did_you_mean};
use crate::dialect;
use crate::dialect::Dialect;
use crate::domain::agent_id;
use crate::domain::call::{Platform, Version};
use crate::domain::session::SessionTemplate;
use crate::rules::load::raw::{Entries, RawAgent, RawIds, RawValue, Spanned};
use crate::rules::model::name_index::NameIndex;
use crate::rules::{Agent, PlatformIds};

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
        let ids = match &raw.ids {
            RawIds::Everywhere(id) => {
                let id = checked_id(id, None, reporter);
                id.map(|id| AgentKeys { ids: PlatformIds::Everywhere(id), ..AgentKeys::default() })
            }
            RawIds::Table(entries) => Some(platform_ids(&raw.name, entries, reporter)),
            RawIds::Invalid => None,
        };
        let AgentKeys { ids, version, sessions } = ids.unwrap_or_default();
        let location = reporter.location(&raw.name.span);
        self.push(Agent { name: name.into(), ids, version, sessions }, Some(location));
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

    /// Returns the agent with this id, and adds it, with the place of its first use, if it is new; for a table
    /// without `[agents]`.
    pub(super) fn find_or_add_raw_id(&mut self, id: &str, location: Option<Location>) -> usize {
        if let Some(known) = self.find(id) {
            return known;
        }
        let ids = PlatformIds::Everywhere(id.into());
        let agent = Agent { name: id.into(), ids, version: None, sessions: Vec::new() };
        self.push(agent, location);
        let index = self.all.len() - 1;
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

/// Returns the problem with an id that cannot be one on every platform: a placeholder, or characters that ids do
/// not contain.
pub(super) fn placeholder_id(id: &str) -> Option<Problem> {
    let reason = agent_id::check_plain(id).err()?;
    Some(invalid_id(id, &reason, "the platform", agent_id::PLAIN_FORM))
}

fn invalid_id(id: &str, reason: &str, platform: &str, form: &str) -> Problem {
    let help = format!("copy the id from {platform}; it consists of {form}");
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

/// Keys of an agent in `[agents]`.
struct AgentKeys {
    ids: PlatformIds,
    version: Option<Version>,
    sessions: Vec<(Platform, SessionTemplate)>,
}

impl Default for AgentKeys {
    fn default() -> AgentKeys {
        let ids = PlatformIds::ByPlatform(Vec::new());
        AgentKeys { ids, version: None, sessions: Vec::new() }
    }
}

fn platform_ids(
    agent: &Spanned<String>,
    entries: &Entries,
    reporter: &mut Reporter<'_>,
) -> AgentKeys {
    let mut ids = Vec::new();
    let mut sessions = Vec::new();
    let mut version = None;
    for (key, value) in entries {
        match (key.value.as_str(), &value.value) {
            ("version", RawValue::Text(tag)) if !tag.trim().is_empty() => {
                version = Some(Version::Tag(tag.as_str().into()))
            }
            ("version", RawValue::Plain(Value::Number(number))) if number.is_i64() => {
                version = number.as_i64().map(Version::Number);
            }
            ("version", _) => {
                let message = "`version` must be an integer or a name such as `latest`";
                reporter.error("wrong-kind", &value.span, message.to_owned());
            }
            (name, RawValue::Text(id)) => {
                let Some(dialect) = dialect::by_name(name) else {
                    reporter.unknown_platform(key, &["version"]);
                    continue;
                };
                let id = Spanned { value: id.clone(), span: value.span.clone() };
                ids.extend(
                    checked_id(&id, Some(dialect), reporter).map(|id| (dialect.platform(), id)),
                );
            }
            (name, RawValue::Table(entries)) => {
                let Some(dialect) = dialect::by_name(name) else {
                    reporter.unknown_platform(key, &["version"]);
                    continue;
                };
                let platform = dialect.platform();
                if let Some(session) = session(key, entries, dialect, reporter) {
                    sessions.push((platform, session));
                }
                ids.push((platform, agent.value.as_str().into()));
            }
            (name, _) => {
                let message = format!("the id at {name} must be a string");
                reporter.error("wrong-kind", &value.span, message);
            }
        }
    }
    if entries.iter().all(|(key, _)| key.value == "version") {
        let message = format!("agent `{}` has no id at any platform", agent.value);
        reporter.error("no-id", &agent.span, message).help("write { retell = \"agent_…\" }");
    }
    AgentKeys { ids: PlatformIds::ByPlatform(ids), version, sessions }
}
