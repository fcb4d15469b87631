//! `/rules/lookups`: look-ups, and the rules that need them.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::info::{TableInfo, TablePart, read_table};
use super::links::{Links, PlaceView, UsedBy, element_id};
use crate::console::access::Reader;
use crate::console::page::{Frame, HtmlPage, PageError};
use crate::console::state::Console;
use crate::rules::overview::{LookupEntry, PageRequest};

/// A look-up as a row.
struct LookUpView {
    id: String,
    name: String,
    place: Option<PlaceView>,
    target: String,
    timeout_ms: u128,
    /// It is not asked after failures.
    is_suspended: bool,
    used_by: UsedBy,
}

#[derive(Template)]
#[template(path = "rules/lookups.html")]
struct LookUpsPage {
    frame: Frame,
    table: TableInfo,
    lookups: Vec<LookUpView>,
}

/// Shows look-ups.
pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
) -> Result<Response, PageError> {
    let lookups = read_table(&console, |overview| overview.lookups(PageRequest::first())).await?;
    let links = Links::new(&console, &reader);
    let suspended = console.app.lookups().suspended();
    let view = |lookup: &LookupEntry| LookUpView {
        id: element_id("lookup", &lookup.name),
        name: links.lookup(&lookup.name).name,
        place: PlaceView::of(lookup.place.as_ref(), &links),
        target: links.text(&lookup.target),
        timeout_ms: lookup.timeout_ms,
        is_suspended: suspended.iter().any(|name| **name == *lookup.name),
        used_by: links.used_by(&lookup.used_by),
    };
    let lookups = lookups.items.iter().map(view).collect();
    let table = TableInfo::new(&console, TablePart::LookUps);
    Ok(HtmlPage(LookUpsPage { frame: TablePart::LookUps.frame(&reader), table, lookups })
        .into_response())
}
