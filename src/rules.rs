//! The rule table: as an operator wrote it, checked, and then trusted.
//!
//! [`load`] reads a file, or a folder of files, and finds every mistake at once. What comes out
//! needs no further look: every agent exists, every pattern can be matched, every template can be
//! filled.

mod check;
pub mod engine;
pub mod live;
mod load;
mod model;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostics::{Report, SourceFile};

pub use check::RuleLocations;
pub use check::context::{CheckContext, Progress, SourceInfo};
pub use load::files::{FileStamp, Snapshot};
pub use load::json_schema;
pub use model::condition::{Comparison, ExpectedValue, Operand, Where};
pub use model::dates::{Dates, DaySpec};
pub use model::hours::{Hours, Status, moment};
pub use model::index::{Index, PartyKeys};
pub use model::lists::{
    Cell, Column, Item, List, ListId, Lists, ResolvedCall, ResolvedParty, Row, Side,
};
pub use model::pattern::{NumberMatcher, NumberPattern, Selector, is_wide};
pub use model::template::{
    ColumnLookup, InvalidTemplate, NoColumnLookup, ObjectTemplate, Template, TemplateContext,
};
pub use model::test::{Expected, Test};
pub use model::{
    Action, Agent, AgentRef, Arm, Conditions, NamedRef, PlatformIds, Rule, RuleAdditions, RuleSet,
    Split,
};

use load::files::TableFiles;

/// What came of reading a table.
#[derive(Debug)]
pub struct LoadedTable {
    /// None when the report has errors.
    pub table: Option<RuleSet>,
    /// The table's own tests, not run yet.
    pub tests: Vec<Test>,
    /// Everything that is wrong.
    pub report: Report,
    /// Where each rule stands.
    pub places: RuleLocations,
    /// The files and folders that it was read from, as they were then.
    pub files: Vec<FileStamp>,
    /// What they said; none when that is more than [`Snapshot::MAX_BYTES`].
    pub copies: Option<Snapshot>,
}

/// There is no text that could be checked.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the rules {path}: {error}", path = .path.display())]
pub struct ReadError {
    /// Where the table should be.
    pub path: PathBuf,
    /// Why it cannot be read.
    pub error: std::io::Error,
    /// What was looked at, as it was then.
    pub files: Vec<FileStamp>,
}

/// Reads and checks the table at `path`: a file, or a folder whose `*.toml` files are one table in
/// the order of their names.
///
/// # Errors
/// When there is no such file, or it cannot be read. What is wrong inside it stands in the report,
/// and then there is no table.
pub fn load(
    path: &Path,
    around: &CheckContext,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<LoadedTable, ReadError> {
    let (mut shelf, mut report) = (TableFiles::on_disk(), Report::default());
    match shelf.texts(path, &mut report) {
        Ok(files) => Ok(read(&files, around, shelf, report, progress)),
        Err(error) => Err(ReadError { path: path.to_owned(), error, files: shelf.stamps }),
    }
}

/// Checks the text of a table; `path` is for the messages, and for the folder in which its lists
/// are.
pub fn parse(path: &str, text: String, around: &CheckContext) -> LoadedTable {
    let file = Arc::new(SourceFile::new(path, text));
    read(&[file], around, TableFiles::on_disk(), Report::default(), &mut |_| {})
}

/// Checks a table of which only copies are left.
pub fn parse_copies(copies: &Snapshot, around: &CheckContext) -> LoadedTable {
    let shelf = TableFiles::in_snapshot(copies);
    read(&shelf.snapshot_texts(), around, shelf, Report::default(), &mut |_| {})
}

fn read(
    files: &[Arc<SourceFile>],
    around: &CheckContext,
    mut shelf: TableFiles,
    mut report: Report,
    progress: &mut dyn FnMut(Progress<'_>),
) -> LoadedTable {
    let checked = check::check(files, around, &mut shelf, &mut report, progress);
    let table = Some(checked.table).filter(|_| report.errors() == 0);
    report.sort();
    let TableFiles { stamps, snapshot, .. } = shelf;
    LoadedTable {
        table,
        tests: checked.tests,
        report,
        places: checked.places,
        files: stamps,
        copies: snapshot,
    }
}
