//! `/change/list`: a list of plain rows as a grid of cells. The grid leads back to the text of the list, which
//! is checked and applied like any other.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::form::{Draft, FormFields};
use super::workbench::Workbench;
use super::{ChangeQuery, link, render};
use crate::console::page::{Editor, Frame, HtmlPage, PageError, PageSection, Parameters};
use crate::console::state::Console;
use crate::http::HttpProblem;
use crate::rule_changes::{Grid, GridRow, RuleFile, RuleFileKind};

/// Empty rows that a button adds, for browsers without scripts.
const ADDED_ROWS: usize = 5;

#[derive(Template)]
#[template(path = "change/list.html")]
struct ListPage {
    frame: Frame,
    csrf: String,
    version: String,
    file: String,
    columns: Vec<String>,
    rows: Vec<ShownRow>,
}

/// A row of the grid.
struct ShownRow {
    /// Place of the row in the file; empty for a new one.
    original: String,
    cells: Vec<String>,
}

impl ListPage {
    fn new(bench: &Workbench, editor: &Editor, file: &str, grid: Grid) -> ListPage {
        let rows = grid.rows.into_iter().enumerate();
        let rows = rows.map(|(at, cells)| ShownRow { original: at.to_string(), cells });
        ListPage {
            frame: Frame::new(format!("List {file}"), PageSection::Change, &editor.0),
            csrf: editor.0.csrf.clone(),
            version: bench.files.version(),
            file: file.to_owned(),
            columns: grid.columns,
            rows: rows.collect(),
        }
    }

    fn add_empty_rows(&mut self, count: usize) {
        for _ in 0..count {
            let cells = vec![String::new(); self.columns.len()];
            self.rows.push(ShownRow { original: String::new(), cells });
        }
    }

    fn text_link(&self) -> String {
        link("/change", &self.file)
    }
}

/// Returns the list with this name.
fn find<'b>(bench: &'b Workbench, name: &str) -> Result<RuleFile<'b>, HttpProblem> {
    let file = bench.files.find(name).filter(|file| file.kind == RuleFileKind::List);
    file.ok_or_else(|| HttpProblem::NotFound("the rules have no such list here".to_owned()))
}

fn grid(file: &RuleFile<'_>) -> Result<Grid, HttpProblem> {
    Grid::parse(&file.name, file.text).map_err(|reason| {
        HttpProblem::Invalid(format!("{} cannot be edited as a table: {reason}", file.name))
    })
}

/// Shows a list as a grid.
pub(in crate::console) async fn edit(
    State(console): State<Console>,
    editor: Editor,
    Parameters(query): Parameters<ChangeQuery>,
) -> Result<Response, PageError> {
    let bench = Workbench::open(&console).await?;
    let file = find(&bench, query.file.as_deref().unwrap_or_default())?;
    let grid = grid(&file)?;
    let mut page = ListPage::new(&bench, &editor, &file.name, grid);
    page.add_empty_rows(1);
    Ok(HtmlPage(page).into_response())
}

/// Takes the cells of a grid: checks the text that they make, or adds empty rows to the grid.
pub(in crate::console) async fn save(
    State(console): State<Console>,
    editor: Editor,
    fields: FormFields,
) -> Result<Response, PageError> {
    let bench = Workbench::open(&console).await?;
    let name = fields.get("file").unwrap_or_default().to_owned();
    let file = find(&bench, &name)?;
    let grid = grid(&file)?;
    let is_current = fields.get("version") == Some(&*bench.files.version());
    let rows = rows(&fields, grid.columns.len(), is_current);
    if fields.get("add_rows").is_some() {
        let mut page = ListPage::new(&bench, &editor, &name, grid);
        // What was typed stays a typed row if the file has changed, and the check finds the conflict.
        page.version = fields.get("version").unwrap_or_default().to_owned();
        page.rows = rows
            .into_iter()
            .map(|GridRow { original, cells }| ShownRow {
                original: original.map(|at| at.to_string()).unwrap_or_default(),
                cells,
            })
            .collect();
        page.add_empty_rows(ADDED_ROWS);
        return Ok(HtmlPage(page).into_response());
    }
    let text = grid.write(&rows);
    let mut draft = Draft::read(&fields, &bench.files);
    draft.texts.insert(name, text);
    let Editor(reader) = editor;
    render(&console, bench, &reader, draft, None).await
}

/// Reads the rows of a grid: a field `row` with the place in the file, then a field `cell` for each column, and
/// `drop` for a row to remove.
fn rows(fields: &FormFields, columns: usize, is_current: bool) -> Vec<GridRow> {
    let mut rows: Vec<GridRow> = Vec::new();
    let mut dropped = false;
    for (name, value) in fields.iter() {
        match name {
            "row" => {
                if std::mem::take(&mut dropped) {
                    rows.pop();
                }
                let original = value.parse().ok().filter(|_| is_current);
                rows.push(GridRow { original, cells: Vec::new() });
            }
            "cell" => {
                let row = rows.last_mut().filter(|row| row.cells.len() < columns);
                if let Some(row) = row {
                    row.cells.push(value.to_owned());
                }
            }
            "drop" => dropped = true,
            _ => {}
        }
    }
    if dropped {
        rows.pop();
    }
    for row in &mut rows {
        row.cells.resize(columns, String::new());
    }
    rows
}
