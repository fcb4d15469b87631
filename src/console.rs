//! The console: pages on the admin listener, for people who run the service or want to know what it did.
//!
//! Pages are rendered on the server and work at their own URLs, which can be sent to a colleague; scripts add
//! what is live. The console calls the same functions as the command line and the JSON endpoints: it knows
//! neither SQL nor the inside of a rule table.

mod access;
mod assets;
mod call;
mod call_rows;
mod calls;
mod change;
mod explained;
mod guard;
mod health;
mod live;
mod live_feeds;
mod log_in;
mod name_link;
mod page;
mod platform_notes;
mod rules;
mod setup;
mod state;
mod try_call;

use axum::Router;
use axum::http::HeaderName;
use axum::middleware;
use axum::response::Redirect;
use axum::routing::{get, post};
use tower::ServiceBuilder;
use tower_http::set_header::SetResponseHeaderLayer;

use state::Console;

pub use state::ConsoleSetup;

/// Creates the pages of the console.
pub fn router(setup: ConsoleSetup) -> Router {
    let console = Console::from(setup);
    let pages = Router::new()
        .route("/", get(async || Redirect::to("/calls")))
        .route("/calls", get(calls::list))
        .route("/calls/charts", get(calls::charts))
        .route("/calls/live", get(live::follow))
        .merge(rules::routes())
        .merge(change::routes())
        .route("/calls/{id}", get(call::show))
        .route("/calls/{id}/curl", get(call::curl))
        .route("/calls/{id}/events/{event}", get(call::event_body))
        .route("/try", get(try_call::show))
        .route("/health", get(health::show))
        .route("/health/reload", post(health::reload))
        .route("/setup", get(setup::show))
        .route("/setup/test", post(setup::test))
        .route("/logout", post(log_in::log_out))
        .route_layer(middleware::from_fn_with_state(console.clone(), guard::let_in))
        .route("/login", get(log_in::show).post(log_in::log_in))
        .with_state(console);
    let [csp, referrer, frames, opener] = page::HEADERS.map(|(name, value)| {
        SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), value)
    });
    let headers = ServiceBuilder::new().layer(csp).layer(referrer).layer(frames).layer(opener);
    pages.route("/assets/{version}/{name}", get(assets::send)).layer(headers)
}
