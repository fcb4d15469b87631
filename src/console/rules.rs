//! `/rules`: the live rule table for people. Rules in order with their hits, lists with a search, hours with
//! the next days, splits with their real shares, and agents with where they are used.

mod agents;
mod hits;
mod hours;
mod info;
mod links;
mod lists;
mod lookups;
mod pages;
mod splits;
mod table;

use axum::Router;
use axum::routing::get;

use super::state::Console;

/// Returns the pages of the rule table.
pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/rules", get(table::show))
        .route("/rules/rule", get(table::show_one))
        .route("/rules/hits", get(table::show_hits))
        .route("/rules/lists", get(lists::show))
        .route("/rules/hours", get(hours::show))
        .route("/rules/splits", get(splits::show))
        .route("/rules/splits/shares", get(splits::show_shares))
        .route("/rules/agents", get(agents::show))
        .route("/rules/lookups", get(lookups::show))
}
