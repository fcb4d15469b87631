//! Keeps the copies of lists that live elsewhere fresh; the reload takes them from there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ReloadHandle;
use crate::pipeline::Switchboard;

/// Interval at which lists are found that are due.
const TICK: Duration = Duration::from_secs(1);

/// Fetches the lists of the live table when they are due, until `stop` is cancelled. With `reload`, asks for a
/// reload after a list has changed; otherwise polling finds the change.
pub async fn keep_fresh(
    app: Arc<Switchboard>,
    reload: Option<ReloadHandle>,
    stop: CancellationToken,
) {
    loop {
        app.live_lists().update(&app.table().live_lists);
        for list in app.live_lists().take_due(Instant::now()) {
            let (app, reload) = (app.clone(), reload.clone());
            tokio::spawn(async move {
                let is_new = app.live_lists().refresh(list, false, app.now()).await;
                if let (true, Some(reload)) = (is_new, reload) {
                    reload.reload_for("a new copy of a list").await;
                }
            });
        }
        let age = |at| app.now().duration_since(at).as_secs_f64();
        let statuses = app.live_lists().statuses().into_iter();
        // What was never fetched is older than any limit of an alert.
        let ages = statuses.map(|list| (list.name, list.confirmed_at.map_or(f64::INFINITY, age)));
        app.counters().list_ages(ages.collect());
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// Fetches all lists of the live table at once, and takes their answers however few rows they have.
pub(super) async fn force_all(app: &Switchboard) {
    let lists = app.table().live_lists.clone();
    app.live_lists().update(&lists);
    let fetches = lists.into_iter().map(|list| app.live_lists().refresh(list, true, app.now()));
    join_all(fetches).await;
}
