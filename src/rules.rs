//! The rule table: as an operator wrote it, checked, and then trusted.
//!
//! [`load`] reads a file, or a folder of files, and finds every mistake at once. What comes out
//! needs no further look: every agent exists, every pattern can be matched, every template can be
//! filled.

mod check;
mod condition;
mod cut;
mod days;
mod file;
mod hours;
mod index;
mod lists;
mod names;
mod pattern;
mod rows;
mod shadow;
mod shelf;
mod template;
mod test;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::call::{Channel, Platform, Version};
use crate::dialect::Dialect;
use crate::report::{Report, SourceFile};

pub use check::Places;
pub use condition::{Comparison, Fact, Wanted, Where};
pub use days::{BadTime, Dates, DaySpec};
pub use hours::{Hours, Status, moment};
pub use index::{Index, Keys};
pub use lists::{Cell, Column, Item, Known, List, ListId, Lists, Placed, Row, Side};
pub use pattern::{BadPattern, Either, NumberPattern, Numbers, is_wide};
pub use shelf::{Copies, Seen};
pub use template::{BadTemplate, Columns, Filling, NoCell, NoColumns, Shape, Template};
pub use test::{Expected, Test};

use names::Names;
use shelf::Shelf;

/// A checked table. The first rule that fits decides.
#[derive(Debug)]
pub struct Table {
    /// Who can take a call.
    pub agents: Vec<Agent>,
    /// In the order in which they are tried; those that are switched off are gone.
    pub rules: Vec<Rule>,
    /// The lists that rules match on.
    pub lists: Lists,
    /// The hours that rules look at.
    pub hours: Vec<Hours>,
    /// The dates that rules and hours look at.
    pub dates: Vec<Arc<Dates>>,
    /// Whose wall clock tells what day it is, and when tests happen.
    pub zone: TimeZone,
    /// The same for the same texts: tells which table answered.
    pub fingerprint: String,
    /// Finds the rules that decide.
    pub deciding: Index,
    /// Finds the rules that add and continue.
    pub adding: Index,
    by_name: Names,
    /// There is no `[agents]`: every id is taken as it is.
    pub any_agent: bool,
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

/// One rule: when it fits, and what it does then. Small, for there may be a million.
#[derive(Debug)]
pub struct Rule {
    /// Unique.
    pub name: Box<str>,
    /// What may have been dialled.
    pub to: Numbers,
    /// Who may ring.
    pub from: Numbers,
    /// What else has to hold, when anything has to.
    pub also: Option<Box<Also>>,
    /// What it does.
    pub does: Does,
    /// What it sends along, when it does.
    pub adds: Option<Box<Additions>>,
}

/// The conditions of a rule besides its numbers.
#[derive(Debug, Default, PartialEq)]
pub struct Also {
    /// On which channels.
    pub channel: Either<Channel>,
    /// From which platforms.
    pub platform: Either<Platform>,
    /// From which sources.
    pub source: Either<Box<str>>,
    /// During which of [`Table::hours`].
    pub hours: Either<Named>,
    /// On which of [`Table::dates`].
    pub dates: Either<Named>,
    /// What lists and headers have to say.
    pub wheres: Vec<Where>,
}

impl Also {
    /// Whether calls from this platform can be on a channel that is asked for.
    fn may_come_from(&self, dialect: &dyn Dialect) -> bool {
        let asks_on = |channel: &Channel| self.channel.holds(|one| one == channel);
        dialect.channels().iter().any(asks_on)
            && self.platform.holds(|platform| *platform == dialect.platform())
    }
}

/// Something of the table by its place, and by its name for whoever reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The place, counted from 0.
    pub at: usize,
    /// The name that the operator gave it.
    pub name: Box<str>,
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a rule does with a call that fits.
#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    /// Gives it to this agent.
    Agent(Taker),
    /// Gives it to one of several, always the same for the same caller.
    Split(Box<Split>),
    /// Turns it away, for this reason.
    Reject(Box<str>),
    /// Leaves it to the platform's own agent.
    Keep,
    /// Adds what it has to add; the next rules are tried.
    Continue,
}

/// Who takes a call, as a rule says it.
#[derive(Debug, Clone, PartialEq)]
pub enum Taker {
    /// The agent at this place in [`Table::agents`].
    Agent(u32),
    /// The agent whose name the template gives.
    Said(Box<Template>),
}

/// How callers are shared out.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// What is hashed together with the caller.
    pub key: Box<str>,
    /// Consecutive ranges of ten thousand, in order; the last one ends there.
    pub arms: Vec<Arm>,
}

/// One of the ways that a split goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Who takes the call.
    pub agent: Taker,
    /// Where its range ends, in hundredths of a percent.
    pub end: u16,
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
        self.agent_at(name).map(|at| &self.agents[at])
    }

    /// The place in [`Table::agents`] of the agent of this name.
    pub fn agent_at(&self, name: &str) -> Option<usize> {
        self.by_name.find(name, |at| &self.agents[at].name)
    }
}

/// What a table is checked against: what only the settings and the moment know.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Who asks; empty when that is not known here.
    pub sources: Vec<Asking>,
    /// The agents that settings name, as a source's fallback.
    pub fallback_agents: Vec<String>,
    /// When it is checked: some dates may be over.
    pub now: Timestamp,
    /// The lists of the table before this one that had somebody on them.
    pub filled_lists: Vec<Box<str>>,
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

/// What came of reading a table.
#[derive(Debug)]
pub struct Loaded {
    /// None when the report has errors.
    pub table: Option<Table>,
    /// The table's own tests, not run yet.
    pub tests: Vec<Test>,
    /// Everything that is wrong.
    pub report: Report,
    /// Where each rule stands.
    pub places: Places,
    /// The files and folders that it was read from, as they were then.
    pub files: Vec<Seen>,
    /// What they said; none when that is more than [`Copies::MOST_BYTES`].
    pub copies: Option<Copies>,
}

/// How far a load has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'p> {
    /// So many bytes of so many of the rule files have been read.
    Reading(usize, usize),
    /// So many rows of this list have been read.
    List(&'p str, usize),
    /// The rules are held against each other.
    Comparing,
}

/// There is no text that could be checked.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the rules {path}: {error}", path = .path.display())]
pub struct NoTable {
    /// Where the table should be.
    pub path: PathBuf,
    /// Why it cannot be read.
    pub error: std::io::Error,
    /// What was looked at, as it was then.
    pub files: Vec<Seen>,
}

/// Reads and checks the table at `path`: a file, or a folder whose `*.toml` files are one table in
/// the order of their names.
///
/// # Errors
/// When there is no such file, or it cannot be read. What is wrong inside it stands in the report,
/// and then there is no table.
pub fn load(
    path: &Path,
    around: &Surroundings,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Loaded, NoTable> {
    let (mut shelf, mut report) = (Shelf::of_files(), Report::default());
    match shelf.texts(path, &mut report) {
        Ok(files) => Ok(read(&files, around, shelf, report, progress)),
        Err(error) => Err(NoTable { path: path.to_owned(), error, files: shelf.seen }),
    }
}

/// Checks the text of a table; `path` is for the messages, and for the folder in which its lists
/// are.
pub fn parse(path: &str, text: String, around: &Surroundings) -> Loaded {
    let file = Arc::new(SourceFile::new(path, text));
    read(&[file], around, Shelf::of_files(), Report::default(), &mut |_| {})
}

/// Checks a table of which only copies are left.
pub fn parse_copies(copies: &Copies, around: &Surroundings) -> Loaded {
    let shelf = Shelf::of_copies(copies);
    read(&shelf.copied_texts(), around, shelf, Report::default(), &mut |_| {})
}

fn read(
    files: &[Arc<SourceFile>],
    around: &Surroundings,
    mut shelf: Shelf,
    mut report: Report,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Loaded {
    let checked = check::check(files, around, &mut shelf, &mut report, progress);
    let table = Some(checked.table).filter(|_| report.errors() == 0);
    report.sort();
    let Shelf { seen, copies, .. } = shelf;
    Loaded { table, tests: checked.tests, report, places: checked.places, files: seen, copies }
}
