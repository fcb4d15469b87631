//! `[lists.NAME]`: opened before the rules are read, so that they can name columns; the rows are
//! read after them, when it is known which columns they use.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Checker;
use super::house::Said;
use crate::report::{Mistake, Place, SourceFile, did_you_mean};
use crate::rules::file::{At, WrittenList};
use crate::rules::lists::{Cell, Column, Item, ListId};
use crate::rules::rows::{Row, Rows};
use crate::rules::shelf::Shelf;
use crate::rules::{BadPattern, NumberPattern, Progress};

/// A list whose rows have not been read yet.
pub(super) struct OpenList {
    pub(super) id: ListId,
    /// The name, where it is given.
    pub(super) place: Place,
    pub(super) columns: Vec<String>,
    /// A rule matches on it.
    pub(super) used: bool,
    /// The columns that rules take their agents from.
    agents: Vec<AgentColumn>,
    /// Of what its file holds.
    pub(super) digest: [u8; 32],
    from: From,
}

struct AgentColumn {
    column: Column,
    /// The rules say who takes the call when a cell is empty.
    may_be_empty: bool,
    /// The agents that were found in it.
    named: BTreeSet<usize>,
}

/// What is wrong in a row: the code, whether it is only a warning, what, and what would be right.
type Wrong = (&'static str, bool, String, Option<String>);

enum From {
    Table(Vec<At<String>>),
    File {
        path: String,
        rows: Box<Rows>,
        number: usize,
    },
    /// It was wrong, and has been reported.
    Nowhere,
}

/// Bad rows beyond this number are only counted.
const MOST_BAD_ROWS: usize = 100;
/// So often progress is told.
const ROWS_A_STEP: usize = 10_000;

/// Something that is wrong in a row.
struct BadRow {
    line: usize,
    at: u64,
    code: &'static str,
    is_warning: bool,
    message: String,
    help: Option<String>,
}

impl Checker<'_> {
    pub(super) fn open_list(&mut self, written: WrittenList, shelf: &mut Shelf) {
        let name = &written.name;
        if self.lists.named(&name.value).is_some() {
            return self.said_twice("a list", name);
        }
        if name.value == "sip" || name.value == "history" {
            let message = format!("a list cannot be called `{}`", name.value);
            self.error("duplicate-name", &name.span, message)
                .help(format!("${{{}.…}} means something else in a template", name.value));
        }
        let id = self.lists.add(&name.value);
        let place = self.place(&name.span);
        let (columns, from) = self.list_from(written, shelf);
        let (agents, digest) = (Vec::new(), [0; 32]);
        self.open_lists.push(OpenList { id, place, columns, used: false, agents, digest, from });
    }

    fn list_from(&mut self, written: WrittenList, shelf: &mut Shelf) -> (Vec<String>, From) {
        let nowhere = (Vec::new(), From::Nowhere);
        match (written.numbers, written.file) {
            _ if written.flawed => nowhere,
            (Some(numbers), None) => {
                if let Some(column) = &written.column {
                    let message = "`column` is for a list with a `file`".to_owned();
                    self.error("list-form", &column.span, message);
                }
                (Vec::new(), From::Table(numbers))
            }
            (None, Some(file)) => {
                self.list_file(&file, written.column.as_ref(), shelf).unwrap_or(nowhere)
            }
            (Some(_), Some(file)) => {
                let message = "a list has `numbers` or a `file`, not both".to_owned();
                self.error("list-form", &file.span, message).help("make two lists");
                nowhere
            }
            (None, None) => {
                let message =
                    format!("list `{}` has neither `numbers` nor a `file`", written.name.value);
                self.error("list-form", &written.name.span, message)
                    .help("write numbers = [\"+12137771234\"] or file = \"vip.csv\"");
                nowhere
            }
        }
    }

    fn list_file(
        &mut self,
        file: &At<String>,
        column: Option<&At<String>>,
        shelf: &mut Shelf,
    ) -> Option<(Vec<String>, From)> {
        let path = self.beside_the_file(&file.value);
        let opened = Rows::open(shelf, &path);
        let rows = opened.map_err(|error| {
            let message = format!("cannot read {}: {error}", path.display());
            self.error("no-file", &file.span, message)
                .help("paths are taken from the folder of the file that names them");
        });
        let rows = rows.ok()?;
        let columns = rows.columns.clone();
        let looks_like_a_number =
            |name: &String| NumberPattern::parse(name).is_ok_and(|_| name.len() > 2);
        if columns.iter().any(looks_like_a_number) {
            let path = path.display().to_string();
            let header = SourceFile::line(&path, 1, columns.join(","));
            let place = Place { file: Arc::new(header), span: 0..columns.join(",").len() };
            let message = "the first line of a CSV file names its columns, and this has a number";
            self.report
                .error("no-header", Some(place), message)
                .help("put a line like `number,name` above it, or call the file .txt");
            return None;
        }
        let number = match column {
            None => 0,
            Some(column) => self.number_column(column, &columns)?,
        };
        let path = path.display().to_string();
        Some((columns, From::File { path, rows: Box::new(rows), number }))
    }

    fn number_column(&mut self, column: &At<String>, columns: &[String]) -> Option<usize> {
        let found = columns.iter().position(|name| *name == column.value);
        if found.is_none() {
            let help = did_you_mean(&column.value, columns.iter().map(String::as_str));
            let all = match columns {
                [] => "only .csv files have columns".to_owned(),
                columns => format!("it has {}", columns.join(", ")),
            };
            let message = format!("the file has no column `{}`", column.value);
            self.error("unknown-column", &column.span, message).help(all).maybe_help(help);
        }
        found
    }

    /// Reads the rows of all lists.
    pub(super) fn rows(&mut self, progress: &mut dyn FnMut(Progress<'_>)) {
        let mut lists = std::mem::take(&mut self.open_lists);
        for list in &mut lists {
            match std::mem::replace(&mut list.from, From::Nowhere) {
                From::Table(numbers) => self.numbers_of(list, &numbers),
                From::File { path, rows, number } => {
                    self.file_rows(list, &path, *rows, number, progress);
                }
                From::Nowhere => continue,
            }
            self.emptied(list);
        }
        self.open_lists = lists;
        for said in std::mem::take(&mut self.said) {
            self.said_agents(&said);
        }
    }

    fn numbers_of(&mut self, list: &OpenList, numbers: &[At<String>]) {
        self.file = list.place.file.clone();
        for number in numbers {
            match item(&number.value) {
                Ok(item) => {
                    if !self.lists.put(list.id, &item, std::iter::empty()) {
                        let message = format!("`{}` stands twice on this list", number.value);
                        self.warning("duplicate-number", &number.span, message);
                    }
                }
                Err(bad) => {
                    self.error(bad.code, &number.span, bad.message).maybe_help(bad.help);
                }
            }
        }
    }

    fn file_rows(
        &mut self,
        list: &mut OpenList,
        path: &str,
        mut rows: Rows,
        number: usize,
        progress: &mut dyn FnMut(Progress<'_>),
    ) {
        let kept = self.lists.kept(list.id).iter();
        let kept: Vec<_> =
            kept.map(|name| list.columns.iter().position(|column| *column == **name)).collect();
        let mut bad_rows = Vec::new();
        let mut bad_count = 0;
        let mut count = 0;
        let bytes = rows.bytes;
        let read = rows.each(|row| {
            count += 1;
            if count % ROWS_A_STEP == 0 {
                progress(Progress::List(path, count));
            }
            if count == ROWS_A_STEP {
                // By now it can be told how long a row is.
                let rest = bytes.saturating_sub(row.at) * ROWS_A_STEP as u64 / row.at.max(1);
                self.lists.expect(rest as usize);
            }
            let bad = self.row(list, &row, number, &kept);
            if let Some((code, is_warning, message, help)) = bad {
                bad_count += 1;
                if bad_rows.len() < MOST_BAD_ROWS {
                    bad_rows.push(BadRow {
                        line: row.line,
                        at: row.at,
                        code,
                        is_warning,
                        message,
                        help,
                    });
                }
            }
        });
        list.digest = rows.digest();
        if let Err(error) = read {
            let message = format!("{path} broke off: {error}");
            self.report.error("no-file", Some(list.place.clone()), message);
        }
        let more = bad_count - bad_rows.len();
        let last = bad_rows.last().map(|bad| bad.code);
        for bad in bad_rows {
            self.bad_row(path, &mut rows, bad);
        }
        if let (Some(code), 1..) = (last, more) {
            let message = format!("{more} more rows of {path} are like that");
            self.report.error(code, Some(list.place.clone()), message);
        }
    }

    /// Puts a row in, or says what is wrong with it, and whether that is only a warning.
    fn row(
        &mut self,
        list: &mut OpenList,
        row: &Row<'_>,
        number: usize,
        kept: &[Option<usize>],
    ) -> Option<Wrong> {
        let columns = list.columns.len();
        if columns > 0 && row.cells() != columns {
            let message = format!("{} cells, and the first line names {columns}", row.cells());
            let help = "a cell with a comma in it stands in quotes".to_owned();
            return Some(("bad-row", false, message, Some(help)));
        }
        let cells: Option<Vec<&str>> =
            kept.iter().map(|at| at.map_or(Some(""), |at| row.cell(at))).collect();
        let (Some(text), Some(cells)) = (row.cell(number), cells) else {
            let message = "this is not UTF-8".to_owned();
            let help = "save the file as UTF-8".to_owned();
            return Some(("bad-row", false, message, Some(help)));
        };
        let text = match columns {
            0 => text.split('#').next().unwrap_or_default().trim(),
            _ => text,
        };
        let item = match item(text) {
            Ok(item) => item,
            Err(bad) => return Some((bad.code, false, bad.message, bad.help)),
        };
        for agents in &mut list.agents {
            match self.row_agent(cells[agents.column.at()], agents.may_be_empty) {
                Ok(at) => agents.named.extend(at),
                Err(wrong) => return Some(wrong),
            }
        }
        let is_new = self.lists.put(list.id, &item, cells.into_iter());
        (!is_new).then(|| {
            let message = format!("`{text}` stands on this list already");
            ("duplicate-number", true, message, Some("the first row counts".to_owned()))
        })
    }

    /// The agent that a row names; none when the cell is empty and may be.
    fn row_agent(&mut self, name: &str, may_be_empty: bool) -> Result<Option<usize>, Wrong> {
        if let Some(at) = self.agent_named(name) {
            self.agents_used.mark(at);
            return Ok(Some(at));
        }
        let wrong = |message: String, help| Err(("unknown-agent", false, message, help));
        match name {
            "" if may_be_empty => Ok(None),
            "" => {
                wrong("this row names no agent, and a rule takes its agent from here".into(), None)
            }
            id if self.any_agent => Ok(Some(self.raw_agent(id))),
            name => {
                let help = did_you_mean(name, self.agents.iter().map(|agent| &*agent.name));
                wrong(format!("there is no agent `{name}`"), help)
            }
        }
    }

    fn bad_row(&mut self, path: &str, rows: &mut Rows, bad: BadRow) {
        let BadRow { line, at, code, is_warning, message, help } = bad;
        let (passed, text) = rows.line_at(at).unwrap_or_default();
        let span = 0..text.len();
        let file = Arc::new(SourceFile::line(path, line + passed, text));
        let place = Some(Place { file, span });
        let mistake: &mut Mistake = match is_warning {
            true => self.report.warning(code, place, message),
            false => self.report.error(code, place, message),
        };
        mistake.maybe_help(help);
    }

    fn emptied(&mut self, list: &OpenList) {
        let of = self.lists.list(list.id);
        let was_filled = self.around.filled_lists.contains(&of.name);
        if of.size == 0 && was_filled {
            let message = format!("list `{}` has become empty", of.name);
            self.report
                .warning("list-emptied", Some(list.place.clone()), message)
                .help("the table before this one had somebody on it");
        }
    }

    /// Warns where an agent that stands in a column has no id at a platform that asks.
    fn said_agents(&mut self, said: &Said) {
        if self.off.contains(&said.rule) {
            return;
        }
        let columns = &self.open_lists[said.cell.list.at()].agents;
        let column = columns.iter().find(|agents| agents.column == said.cell.column);
        let named: Vec<_> = column.into_iter().flat_map(|agents| &agents.named).copied().collect();
        for agent in named {
            self.missing_ids(said.rule, agent, &said.place);
        }
    }

    /// The agent of a rule stands in this column.
    pub(super) fn agent_column(
        &mut self,
        cell: Cell,
        may_be_empty: bool,
        rule: usize,
        place: Place,
    ) {
        let agents = &mut self.open_lists[cell.list.at()].agents;
        match agents.iter_mut().find(|agents| agents.column == cell.column) {
            Some(agents) => agents.may_be_empty &= may_be_empty,
            None => {
                let named = BTreeSet::new();
                agents.push(AgentColumn { column: cell.column, may_be_empty, named });
            }
        }
        self.said.push(Said { rule, place, cell });
    }
}

/// What may stand on a list.
fn item(text: &str) -> Result<Item, BadPattern> {
    match NumberPattern::parse(text.trim())? {
        NumberPattern::Exact(number) => Ok(Item::Number(number)),
        NumberPattern::Prefix(prefix) => Ok(Item::Prefix(prefix)),
        NumberPattern::Literal(text) => Ok(Item::Text(text)),
        NumberPattern::Digits(_)
        | NumberPattern::Country(_)
        | NumberPattern::List(..)
        | NumberPattern::Withheld => Err(BadPattern {
            code: "bad-pattern",
            message: format!("`{text}` cannot stand on a list"),
            help: Some(
                "lists hold numbers, prefixes and =texts; write it into the rule".to_owned(),
            ),
        }),
    }
}
