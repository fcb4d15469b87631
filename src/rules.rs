//! The rule table: loading, parsing and checking.
//!
//! [`load`] reads a file, or a folder of files, and reports every mistake at once. A [`RuleSet`] that
//! it returns is valid: every agent exists, every pattern can match, and every template can be
//! rendered.

mod check;
pub mod engine;
pub mod live;
mod load;
mod model;
pub mod overview;
mod places;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostics::{Report, SourceFile};

pub use check::context::{CheckContext, PreviousList, Progress, SourceInfo};
pub use check::guards::ShrunkList;
pub use check::live_rows::{RowCount, count_rows};
pub use check::{DefinitionLocations, RuleLocations, UnreachableRule};
pub use live::HeldList;
pub use load::copy_info::CopyInfo;
pub use load::encoding::decode_text;
pub use load::files::{
    FileStamp, IsolatedFile, NotHeldFile, NotHeldReason, PartialSnapshot, Replacements, Snapshot,
    is_list_copy,
};
pub use load::json_schema;
pub(crate) use load::list_rows::{Separator, separator};
pub use model::condition::{Comparison, ExpectedValue, Number, Operand, WhereClause};
pub use model::dates::{Dates, DaySpec, ListedDays};
pub use model::history::HistoryPolicy;
pub(crate) use model::history::{MAX_CALLS, NAME as HISTORY, of_new_caller, of_withheld_caller};
pub use model::hours::{Hours, HoursStatus};
pub use model::index::{Index, PartyKeys};
pub use model::lists::{
    Cell, ColumnId, Item, List, ListId, Lists, ResolvedCall, ResolvedParty, RowId, RowPlace, Side,
};
pub use model::live_list::LiveList;
pub use model::lookup::{
    BodyNode, BreakerPolicy, HttpLookup, HttpMethod, Lookup, LookupBackend, SqlLookup,
};
pub use model::object_template::ObjectTemplate;
pub use model::pattern::{NumberMatcher, NumberPattern, Selector, matches_many, parse_party};
pub use model::placeholder::InvalidTemplate;
pub use model::request_template::{RequestPart, RequestTemplate, RequestValue};
pub use model::row_limits::RowLimits;
pub use model::sql_query::{NumberedQuery, QueryError};
pub use model::template::{
    ColumnLookup, MAX_SPEECH_BYTES, MAX_VALUE_BYTES, NoColumns, NoText, Template, TemplateContext,
};
pub use model::test::{Expected, Test};
pub use model::timestamp::{parse_timestamp, repeated_time};
pub use model::{
    Action, Agent, AgentRef, Arm, Conditions, NamedRef, NamedSplit, PlatformIds, RefTarget, Rule,
    RuleAdditions, RuleSet, Scope, SentAdditions, Split, SplitOfRow, TransferRef,
};

pub use places::{Place, SourceText, TablePlaces};

use load::files::{FilesRead, TableFiles};

/// Result of loading a rule table.
///
/// ```
/// use switchboard::rules::{self, CheckContext};
///
/// let text = "[[rule]]\nname = \"everyone\"\nagnet = \"agent_1\"\n";
/// let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
/// assert!(loaded.table.is_none());
/// let diagnostic = &loaded.report.diagnostics()[0];
/// assert_eq!(diagnostic.code, "unknown-key");
/// assert_eq!(diagnostic.location.as_ref().unwrap().to_string(), "rules.toml:3:1");
/// ```
#[derive(Debug)]
pub struct LoadedTable {
    /// Checked rule set, unless the report has errors.
    pub table: Option<RuleSet>,
    /// Tests of the table, not run yet.
    pub tests: Vec<Test>,
    /// Errors and warnings.
    pub report: Report,
    /// Locations of the rules.
    pub locations: RuleLocations,
    /// Locations of the definitions.
    pub definitions: DefinitionLocations,
    /// Rules that no call can reach.
    pub unreachable: Vec<UnreachableRule>,
    /// TOML files, in order.
    pub texts: Vec<Arc<SourceFile>>,
    /// Files and folders that were read, with their state at that time.
    pub files: Vec<FileStamp>,
    /// Contents of the files, if all of them are held: they are UTF-8, and not larger than a copy may be.
    pub snapshot: Option<Snapshot>,
    /// Contents of the files that are held, and names of the others, if there is no `snapshot`.
    pub partial: Option<PartialSnapshot>,
    /// Paths of the files of dates.
    pub date_files: BTreeSet<PathBuf>,
    /// Lists that lost more rows than they may, which are errors in the report.
    pub shrunk_lists: Vec<ShrunkList>,
    /// Live lists.
    pub live_lists: Vec<Arc<LiveList>>,
    /// Live lists without a copy on disk, which are empty.
    pub missing_copies: Vec<Arc<LiveList>>,
}

/// The rule files could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the rules {path}: {error}", path = .path.display())]
pub struct ReadError {
    /// Path of the rule table.
    pub path: PathBuf,
    /// Cause of the failure.
    pub error: std::io::Error,
    /// Files and folders that were read before, with their state at that time.
    pub files: Vec<FileStamp>,
}

/// Loads the table at `path`: a file, or a folder whose `*.toml` files form one table in the order of
/// their names.
///
/// # Errors
/// Returns an error when the files cannot be read. Mistakes in the table are in the report.
pub fn load(
    path: &Path,
    context: &CheckContext,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<LoadedTable, ReadError> {
    load_except(path, context, &Replacements::default(), progress)
}

/// Loads the table at `path` like [`load`], with some files in another version than the one on disk.
///
/// # Errors
/// Returns an error when the files cannot be read. Mistakes in the table are in the report.
pub fn load_except(
    path: &Path,
    context: &CheckContext,
    replaced: &Replacements,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<LoadedTable, ReadError> {
    let mut files = TableFiles::on_disk_except(replaced.clone());
    let mut report = Report::default();
    match files.texts(path, &mut report) {
        Ok(texts) => Ok(check_texts(&texts, context, files, report, progress)),
        Err(error) => Err(ReadError { path: path.to_owned(), error, files: files.stamps }),
    }
}

/// Parses and checks the text of a table. `path` appears in messages, and its folder is the one in
/// which list files are found.
///
/// ```
/// use switchboard::rules::{self, CheckContext};
///
/// let text = "[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n";
/// let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
/// let table = loaded.table.expect("a valid table");
/// assert_eq!(&*table.rules[0].name, "everyone");
/// ```
pub fn parse(path: &str, text: String, context: &CheckContext) -> LoadedTable {
    let text = Arc::new(SourceFile::new(path, text));
    check_texts(&[text], context, TableFiles::on_disk(), Report::default(), &mut |_| {})
}

/// Parses and checks a recorded snapshot of a table, without reading files.
pub fn parse_snapshot(snapshot: &Snapshot, context: &CheckContext) -> LoadedTable {
    let files = TableFiles::in_snapshot(snapshot);
    check_texts(&files.snapshot_texts(), context, files, Report::default(), &mut |_| {})
}

fn check_texts(
    texts: &[Arc<SourceFile>],
    context: &CheckContext,
    mut files: TableFiles,
    mut report: Report,
    progress: &mut dyn FnMut(Progress<'_>),
) -> LoadedTable {
    let checked = check::check(texts, context, &mut files, &mut report, progress);
    report.sort();
    let FilesRead { stamps, texts: held, dates } = files.finish();
    let (snapshot, partial) = match held {
        Ok(snapshot) => (Some(snapshot), None),
        Err(partial) => (None, Some(partial)),
    };
    LoadedTable {
        table: Some(checked.table).filter(|_| report.error_count() == 0),
        tests: checked.tests,
        report,
        locations: checked.locations,
        definitions: checked.definitions,
        unreachable: checked.unreachable,
        texts: texts.to_vec(),
        files: stamps,
        snapshot,
        partial,
        date_files: dates,
        shrunk_lists: checked.shrunk_lists,
        live_lists: checked.live_lists,
        missing_copies: checked.missing_copies,
    }
}
