//! `/rules/lists`: lists of numbers, and the search for one number in them.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::info::{TableInfo, TablePart, read_table};
use super::links::{Link, Links, PlaceView, UsedBy};
use super::pages::{PageQuery, Pager};
use crate::console::access::Reader;
use crate::console::page::{Frame, HtmlPage, PageError, Parameters, with_problem};
use crate::console::state::Console;
use crate::http::HttpProblem;
use crate::rules::overview::{FoundEntry, ListEntry, ListOrigin, Overview};

/// Lists on a page.
const LISTS: usize = 50;

/// Query parameters of the page.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ListsQuery {
    #[serde(flatten)]
    pages: PageQuery,
    /// Number or text to search for.
    #[serde(default)]
    number: String,
    /// Name of the only list to show and search.
    #[serde(default)]
    list: String,
}

/// A list as a row.
struct ListView {
    link: Link,
    place: Option<PlaceView>,
    origin: String,
    rows: String,
    entries: Option<String>,
    columns: String,
    /// Further facts: the age of a list that lives elsewhere, rows that a reload refused.
    state: Vec<String>,
    used_by: UsedBy,
}

/// An entry that contains the number.
struct FoundView {
    list: Link,
    entry: String,
    is_prefix: bool,
    columns: Vec<(String, String)>,
    place: Option<PlaceView>,
}

impl FoundView {
    fn new(found: &FoundEntry, links: &Links, reader: &Reader) -> FoundView {
        let columns = found.columns.iter();
        FoundView {
            list: links.list(&found.list),
            entry: match found.is_prefix {
                true => reader.text(&found.entry).into_owned(),
                false => reader.party(&found.entry),
            },
            is_prefix: found.is_prefix,
            columns: columns
                .map(|(name, cell)| (name.clone(), reader.text(cell).into_owned()))
                .collect(),
            place: PlaceView::of(found.place.as_ref(), links),
        }
    }
}

#[derive(Template)]
#[template(path = "rules/lists.html")]
struct ListsPage {
    frame: Frame,
    table: TableInfo,
    /// Name of the only list that is shown.
    list: Option<String>,
    search: String,
    number: String,
    /// Entries that contain the number, if one was searched for.
    found: Option<Vec<FoundView>>,
    problem: Option<String>,
    lists: Vec<ListView>,
    pages: Pager,
}

/// Shows lists, and the entries that contain a number.
pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Parameters(query): Parameters<ListsQuery>,
) -> Result<Response, PageError> {
    let (asked, number) = (query.clone(), query.number.trim().to_owned());
    let list = Some(query.list.clone()).filter(|name| !name.is_empty());
    let only = list.clone();
    let read = move |overview: Overview<'_>| {
        let request = asked.pages.request(LISTS);
        let lists = only
            .as_ref()
            .map_or_else(|| overview.lists(request), |name| overview.list(name).into());
        let number = asked.number.trim();
        let found = (!number.is_empty()).then(|| overview.search_lists(number, only.as_deref()));
        (lists, found)
    };
    let (lists, found) = read_table(&console, read).await?;
    if let (Some(name), []) = (&list, &lists.items[..]) {
        return Err(HttpProblem::NotFound(format!("the live table has no list `{name}`")).into());
    }
    let links = Links::new(&console, &reader);
    let states = list_states(&console);
    let views: Vec<_> = lists.items.iter().map(|list| list_view(list, &states, &links)).collect();
    let (found, problem) = match found.transpose() {
        Ok(found) => (found, None),
        Err(problem) => (None, Some(problem)),
    };
    let view = |found: &FoundEntry| FoundView::new(found, &links, &reader);
    let counts = (views.len(), lists.total, LISTS);
    let page = ListsPage {
        frame: TablePart::Lists.frame(&reader),
        table: TableInfo::new(&console, TablePart::Lists),
        list,
        search: query.pages.search().to_owned(),
        number,
        found: found.map(|found| found.iter().map(view).collect()),
        problem: problem.clone(),
        pages: Pager::new("/rules/lists", &query.pages, &[], counts),
        lists: views,
    };
    Ok(match problem {
        Some(problem) => with_problem(HttpProblem::Invalid(problem), page),
        None => HtmlPage(page).into_response(),
    })
}

fn list_view(list: &ListEntry, states: &HashMap<String, Vec<String>>, links: &Links) -> ListView {
    let mut state = states.get(&list.name).cloned().unwrap_or_default();
    if list.is_guarded {
        state
            .push("guarded: a reload that loses too many rows keeps the last good ones".to_owned());
    }
    ListView {
        link: links.list(&list.name),
        place: PlaceView::of(list.place.as_ref(), links),
        origin: match &list.origin {
            ListOrigin::Table => "in the rule table".to_owned(),
            ListOrigin::File(file) => links.relative(file),
            ListOrigin::Url(url) => format!("fetched from {url}"),
            ListOrigin::Database(place) => format!("fetched from the database of {place}"),
        },
        rows: grouped(list.rows),
        entries: (list.entries != list.rows).then(|| grouped(list.entries)),
        columns: list.columns.join(", "),
        state,
        used_by: links.used_by(&list.used_by),
    }
}

/// Returns what is known about lists beside their rows.
fn list_states(console: &Console) -> HashMap<String, Vec<String>> {
    let mut states: HashMap<String, Vec<String>> = HashMap::new();
    let now = console.app.now();
    for list in console.app.live_lists().statuses() {
        let age = list.confirmed_at.map(|at| now.duration_since(at).as_secs());
        let age = age.map_or("not fetched yet".to_owned(), |age| format!("fetched {age} s ago"));
        states.entry(list.name.to_string()).or_default().push(age);
    }
    let (_, status) = console.app.live_table().table_and_status();
    for held in status.held_lists {
        let rows = grouped(held.rows_of_file);
        let held_back = format!("its file now has {rows} rows, which a reload refused");
        states.entry(held.name.to_string()).or_default().push(held_back);
    }
    states
}

/// Returns a number with its thousands apart: `1,000,000`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        let texts = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
