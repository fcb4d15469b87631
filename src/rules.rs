//! The rule table: as an operator wrote it, checked, and then trusted.
//!
//! [`load`] reads a file and finds every mistake at once. What comes out needs no further look:
//! every agent exists, every pattern can be matched, every template can be filled.

mod check;
mod file;
mod pattern;
mod template;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::call::{Channel, Platform, Version};
use crate::report::{Report, SourceFile};

pub use pattern::{Either, NumberPattern, Numbers};
pub use template::{Filling, Shape, Template};

/// A checked table. The first rule that fits decides.
#[derive(Debug)]
pub struct Table {
    /// Who can take a call.
    pub agents: Vec<Agent>,
    /// In the order in which they are tried; those that are switched off are gone.
    pub rules: Vec<Rule>,
    /// The same for the same text: tells which table answered.
    pub fingerprint: String,
}

/// Somebody who can take a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// The name that rules use.
    pub name: Box<str>,
    /// The id at each platform.
    pub ids: Ids,
    /// The version, for platforms that have some.
    pub version: Option<Version>,
}

/// An agent's ids.
#[derive(Debug, Clone, PartialEq)]
pub enum Ids {
    /// The same everywhere.
    Everywhere(Box<str>),
    /// One for each platform that it lives on.
    ByPlatform(Vec<(Platform, Box<str>)>),
}

impl Agent {
    /// Its id at a platform.
    pub fn id_at(&self, platform: Platform) -> Option<&str> {
        match &self.ids {
            Ids::Everywhere(id) => Some(id),
            Ids::ByPlatform(ids) => {
                ids.iter().find(|(at, _)| *at == platform).map(|(_, id)| id.as_ref())
            }
        }
    }
}

/// One rule: when it fits, and what it does then.
#[derive(Debug)]
pub struct Rule {
    /// Unique.
    pub name: Box<str>,
    /// What may have been dialled.
    pub to: Numbers,
    /// Who may ring.
    pub from: Numbers,
    /// On which channels.
    pub channel: Either<Channel>,
    /// From which platforms.
    pub platform: Either<Platform>,
    /// From which sources.
    pub source: Either<Box<str>>,
    /// What it does.
    pub does: Does,
    /// What it sends along.
    pub adds: Additions,
}

/// What a rule does with a call that fits.
#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    /// Gives it to the agent at this place in [`Table::agents`].
    Agent(usize),
    /// Turns it away, for this reason.
    Reject(Box<str>),
    /// Leaves it to the platform's own agent.
    Keep,
    /// Adds what it has to add; the next rules are tried.
    Continue,
}

/// What a rule sends along.
#[derive(Debug, Default)]
pub struct Additions {
    /// Variables of the agent's prompt.
    pub variables: Vec<(Box<str>, Template)>,
    /// Comes back on later events.
    pub metadata: Option<Shape>,
    /// Settings of the agent for this call.
    pub agent_override: Option<Shape>,
    /// How long to let it ring, counted from arrival.
    pub delay: Option<Duration>,
}

impl Table {
    /// The agent of this name.
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| &*agent.name == name)
    }
}

/// What a table is checked against: the names that only the settings know.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Who asks; empty when that is not known here.
    pub sources: Vec<Asking>,
    /// The agents that settings name, as a source's fallback.
    pub fallback_agents: Vec<String>,
}

/// What rules have to know of a source.
#[derive(Debug, Clone)]
pub struct Asking {
    /// Its name.
    pub source: String,
    /// Its platform.
    pub platform: Platform,
    /// Its budget for an answer.
    pub reply_within: Duration,
}

/// Reads and checks the table at `path`.
///
/// # Errors
/// When there is no such file. What is wrong inside it stands in the report, and then there is no
/// table.
pub fn load(path: &Path, around: &Surroundings) -> std::io::Result<(Option<Table>, Report)> {
    let text = std::fs::read_to_string(path)?;
    Ok(parse(&path.display().to_string(), text, around))
}

/// Checks the text of a table; `path` is only for the messages.
pub fn parse(path: &str, text: String, around: &Surroundings) -> (Option<Table>, Report) {
    let file = Arc::new(SourceFile { path: path.to_owned(), text, private: false });
    let mut report = Report::default();
    let written = file::read(&file, &mut report);
    let table = check::check(written, around, &mut report);
    (table.filter(|_| report.errors() == 0), report)
}
