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

pub use check::Places;
pub use check::context::{Asking, Progress, Surroundings};
pub use load::files::{Copies, Seen};
pub use model::condition::{Comparison, Fact, Wanted, Where};
pub use model::dates::{BadTime, Dates, DaySpec};
pub use model::hours::{Hours, Status, moment};
pub use model::index::{Index, Keys};
pub use model::lists::{Cell, Column, Item, Known, List, ListId, Lists, Placed, Row, Side};
pub use model::pattern::{BadPattern, Either, NumberPattern, Numbers, is_wide};
pub use model::template::{BadTemplate, Columns, Filling, NoCell, NoColumns, Shape, Template};
pub use model::test::{Expected, Test};
pub use model::{Additions, Agent, Also, Arm, Does, Ids, Named, Rule, Split, Table, Taker};

use load::files::Shelf;

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
