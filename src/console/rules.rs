//! `/rules`: the live rule table for people. Rules in order with their hits, lists with a search, hours with
//! the next days, splits with their real shares, and agents with where they are used.

mod agents;
mod hits;
mod hours;
mod links;
mod lists;
mod lookups;
mod pages;
mod splits;
mod table;

use std::path::Path;

use axum::Router;
use axum::routing::get;

use super::access::Reader;
use super::page::{Frame, PageError, Section};
use super::state::Console;
use crate::http::HttpProblem;
use crate::rules::overview::{Overview, Place, SourceText};

use links::Links;

/// Returns the pages of the rule table.
pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/rules", get(table::show))
        .route("/rules/rule", get(table::show_one))
        .route("/rules/hits", get(hits::show))
        .route("/rules/lists", get(lists::show))
        .route("/rules/hours", get(hours::show))
        .route("/rules/splits", get(splits::show))
        .route("/rules/splits/shares", get(splits::show_shares))
        .route("/rules/agents", get(agents::show))
        .route("/rules/lookups", get(lookups::show))
}

/// Part of the rule table that has a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Rules,
    Lists,
    Hours,
    Splits,
    Agents,
    LookUps,
}

/// What all pages of the rule table show of it.
struct TableInfo {
    part: Part,
    /// Path of the table, as in the settings.
    path: String,
    fingerprint: String,
    /// Name of the table's time zone.
    zone: String,
    /// When the table became live, in that zone.
    loaded_at: String,
}

impl TableInfo {
    fn new(console: &Console, part: Part) -> TableInfo {
        let (table, status) = console.app.live_table().table_and_status();
        let overview = Overview::new(&table, None);
        let loaded_at = status.loaded_at.to_zoned(super::calls::zone(console));
        TableInfo {
            part,
            path: console.rules_path.display().to_string(),
            fingerprint: overview.fingerprint().to_owned(),
            zone: overview.zone().to_owned(),
            loaded_at: loaded_at.strftime("%a %d %b %Y %H:%M").to_string(),
        }
    }

    /// Entries of the navigation: path, title, and whether it is this part.
    fn parts(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let current = self.part;
        Part::ALL.into_iter().map(move |part| (part.path(), part.title(), part == current))
    }
}

impl Part {
    const ALL: [Part; 6] =
        [Part::Rules, Part::Lists, Part::Hours, Part::Splits, Part::Agents, Part::LookUps];

    fn title(self) -> &'static str {
        match self {
            Part::Rules => "Rules",
            Part::Lists => "Lists",
            Part::Hours => "Hours",
            Part::Splits => "Splits",
            Part::Agents => "Agents",
            Part::LookUps => "Look-ups",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Part::Rules => "/rules",
            Part::Lists => "/rules/lists",
            Part::Hours => "/rules/hours",
            Part::Splits => "/rules/splits",
            Part::Agents => "/rules/agents",
            Part::LookUps => "/rules/lookups",
        }
    }
}

impl Part {
    fn frame(self, reader: &Reader) -> Frame {
        Frame::new(self.title(), Section::Rules, reader)
    }
}

/// Reads the live table. A large one takes some time, which must not keep a thread from answering calls.
async fn read_table<T: Send + 'static>(
    console: &Console,
    read: impl FnOnce(Overview<'_>) -> T + Send + 'static,
) -> Result<T, PageError> {
    let (table, status) = console.app.live_table().table_and_status();
    let work = move || read(Overview::new(&table, status.places.as_deref()));
    let result = tokio::task::spawn_blocking(work).await;
    Ok(result
        .map_err(|error| HttpProblem::Internal(format!("the rules were not read: {error}")))?)
}

/// A place for a page.
struct PlaceView {
    /// `rules.toml, line 12`
    text: String,
    /// Page that changes the file at this line, for editors.
    change: Option<String>,
}

impl PlaceView {
    fn new(place: &Place, links: &Links) -> PlaceView {
        let file = links.relative(&place.file);
        let text = format!("{file}, line {}", place.line);
        PlaceView { text, change: links.change(place) }
    }

    fn of(place: Option<&Place>, links: &Links) -> Option<PlaceView> {
        place.map(|place| PlaceView::new(place, links))
    }
}

/// A line of a rule.
struct SourceLine {
    number: usize,
    text: String,
    /// Lines between the line before and this one are left out.
    is_apart: bool,
}

/// Returns the lines of a rule as the reader may see them.
fn source_lines(text: &SourceText, reader: &Reader) -> Vec<SourceLine> {
    let mut lines = Vec::new();
    for piece in &text.pieces {
        for (at, line) in piece.text.lines().enumerate() {
            lines.push(SourceLine {
                number: piece.line + at,
                text: reader.text(line).into_owned(),
                is_apart: at == 0 && !lines.is_empty(),
            });
        }
    }
    lines
}

/// Returns the path of a file relative to the folder of the rule table.
fn relative(file: &str, rules: &Path) -> String {
    let folder = if rules.is_dir() { Some(rules) } else { rules.parent() };
    let inside = folder.and_then(|folder| Path::new(file).strip_prefix(folder).ok());
    inside.map_or_else(|| file.to_owned(), |inside| inside.display().to_string())
}
