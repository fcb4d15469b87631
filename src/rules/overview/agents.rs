//! Agents, and where they are used.

use std::collections::HashMap;

use super::words::percent;
use super::{Overview, Page, PageRequest, Place, page};
use crate::domain::call::Version;
use crate::rules::model::lists::{ColumnId, ListId};
use crate::rules::places::DefinitionKind;
use crate::rules::{Action, Agent, AgentRef, PlatformIds, Split};

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEntry {
    /// Name, or the raw id in a table without `[agents]`.
    pub name: String,
    /// Place of its definition, or of the first use of a raw id.
    pub place: Option<Place>,
    /// Ids.
    pub ids: Vec<AgentId>,
    /// Version, on platforms that have versions.
    pub version: Option<String>,
    /// Platforms that receive the settings of its session with each call.
    pub sessions: Vec<String>,
    /// Variables that it needs with every call.
    pub required_variables: Vec<String>,
    /// Where it is used: the first uses.
    pub uses: Vec<AgentUse>,
    /// Number of all uses. A column counts once.
    pub use_count: usize,
}

/// Id of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentId {
    /// Platform; `None` for the same id on every platform.
    pub platform: Option<String>,
    /// Id.
    pub id: String,
}

/// A use of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentUse {
    /// A rule routes calls to it.
    Rule(String),
    /// A rule routes calls to it when nothing else names an agent.
    DefaultOfRule(String),
    /// An arm of a rule's split, with its share.
    ArmOfRule(String, String),
    /// An arm of a split with a name, with its share.
    ArmOfSplit(String, String),
    /// Rows of a list name it.
    Column {
        /// Name of the list.
        list: String,
        /// Name of the column.
        column: String,
        /// Number of rows.
        rows: usize,
    },
}

/// Maximum number of uses that are listed for an agent.
const MAX_USES: usize = 50;

/// Uses of the agents of a page.
struct Uses<'o, 't> {
    overview: &'o Overview<'t>,
    /// Position of each agent in the page, by its index in the table.
    slots: HashMap<usize, usize>,
    found: Vec<(Vec<AgentUse>, usize)>,
    /// Columns that name agents.
    columns: Vec<(ListId, ColumnId)>,
}

impl Overview<'_> {
    /// Returns agents in the order of the table, with their uses.
    pub fn agents(&self, request: PageRequest<'_>) -> Page<AgentEntry> {
        let agents = self.table.agents.iter().enumerate();
        let mut found = page(
            request,
            agents,
            |(_, agent)| &agent.name,
            |(index, agent)| (index, self.agent_entry(index, agent)),
        );
        let indexes: Vec<usize> = found.items.iter().map(|(index, _)| *index).collect();
        let uses = self.uses(&indexes);
        for ((_, entry), (first, count)) in found.items.iter_mut().zip(uses) {
            (entry.uses, entry.use_count) = (first, count);
        }
        let Page { items, offset, total } = found;
        Page { items: items.into_iter().map(|(_, entry)| entry).collect(), offset, total }
    }

    /// Returns the agent with this name.
    pub fn agent(&self, name: &str) -> Option<AgentEntry> {
        let index = self.table.agent_index(name)?;
        let mut uses = self.uses(&[index]);
        let (first, use_count) = uses.pop()?;
        let entry = self.agent_entry(index, &self.table.agents[index]);
        Some(AgentEntry { uses: first, use_count, ..entry })
    }

    fn agent_entry(&self, index: usize, agent: &Agent) -> AgentEntry {
        let ids = match &agent.ids {
            PlatformIds::Everywhere(id) => {
                vec![AgentId { platform: None, id: id.to_string() }]
            }
            PlatformIds::ByPlatform(ids) => {
                let ids = ids.iter().map(|(platform, id)| AgentId {
                    platform: Some(platform.to_string()),
                    id: id.to_string(),
                });
                ids.collect()
            }
        };
        let version = agent.version.as_ref().map(|version| match version {
            Version::Number(number) => number.to_string(),
            Version::Tag(tag) => tag.to_string(),
        });
        AgentEntry {
            name: agent.name.to_string(),
            place: self.place_of(DefinitionKind::Agent, index),
            ids,
            version,
            sessions: agent.sessions.iter().map(|(platform, _)| platform.to_string()).collect(),
            required_variables: agent.required_variables.iter().map(ToString::to_string).collect(),
            uses: Vec::new(),
            use_count: 0,
        }
    }

    /// Returns the first uses of each of these agents, and their number.
    fn uses(&self, agents: &[usize]) -> Vec<(Vec<AgentUse>, usize)> {
        let mut uses = Uses {
            overview: self,
            slots: agents.iter().enumerate().map(|(slot, agent)| (*agent, slot)).collect(),
            found: vec![(Vec::new(), 0); agents.len()],
            columns: Vec::new(),
        };
        uses.add_rules();
        uses.add_splits();
        uses.add_columns(agents);
        uses.found
    }
}

impl Uses<'_, '_> {
    fn add_rules(&mut self) {
        for rule in &self.overview.table.rules {
            match &rule.action {
                Action::Agent(agent) => {
                    let named = || AgentUse::Rule(rule.name.to_string());
                    self.add(agent, named, || AgentUse::DefaultOfRule(rule.name.to_string()));
                }
                Action::Split(split) => {
                    self.add_arms(split, |share| AgentUse::ArmOfRule(rule.name.to_string(), share))
                }
                Action::SplitOfRow(_)
                | Action::Transfer(_)
                | Action::Reject(_)
                | Action::Keep
                | Action::Continue => {}
            }
        }
    }

    fn add_splits(&mut self) {
        for named in &self.overview.table.splits {
            self.add_arms(&named.split, |share| {
                AgentUse::ArmOfSplit(named.name.to_string(), share)
            });
        }
    }

    fn add_arms(&mut self, split: &Split, arm_use: impl Fn(String) -> AgentUse) {
        let mut start = 0;
        for arm in &split.arms {
            let hundredths = arm.end - start;
            start = arm.end;
            let named = || arm_use(percent(hundredths));
            self.add(&arm.agent, named, named);
        }
    }

    /// Adds the use of an agent that is named itself, or is the default of a template.
    fn add(
        &mut self,
        agent: &AgentRef,
        named: impl FnOnce() -> AgentUse,
        default: impl FnOnce() -> AgentUse,
    ) {
        match agent {
            AgentRef::Agent(agent) => self.push(*agent as usize, named),
            AgentRef::Template(template) => {
                let Some(single) = template.single_placeholder() else { return };
                if let Some(cell) = single.cell
                    && !self.columns.contains(&(cell.list, cell.column))
                {
                    self.columns.push((cell.list, cell.column));
                }
                let table = self.overview.table;
                if let Some(agent) = single.default.and_then(|name| table.agent_index(name)) {
                    self.push(agent, default);
                }
            }
        }
    }

    fn push(&mut self, agent: usize, found: impl FnOnce() -> AgentUse) {
        let Some(slot) = self.slots.get(&agent) else { return };
        let (first, count) = &mut self.found[*slot];
        if first.len() < MAX_USES {
            first.push(found());
        }
        *count += 1;
    }

    /// Counts the rows that name each agent. One pass over all rows of each column.
    fn add_columns(&mut self, agents: &[usize]) {
        let table = self.overview.table;
        let by_name: HashMap<&str, usize> =
            agents.iter().map(|agent| (&*table.agents[*agent].name, *agent)).collect();
        for (list, column) in std::mem::take(&mut self.columns) {
            let mut rows: HashMap<usize, usize> = HashMap::new();
            for name in table.lists.column_cells(list, column) {
                if let Some(agent) = by_name.get(name) {
                    *rows.entry(*agent).or_default() += 1;
                }
            }
            for (agent, rows) in rows {
                self.push(agent, || AgentUse::Column {
                    list: table.lists.list(list).name.to_string(),
                    column: table.lists.kept_columns(list)[column.index()].to_string(),
                    rows,
                });
            }
        }
    }
}
