//! State that the pages of the console share.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ipnet::IpNet;
use jiff::SignedDuration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::live_feeds::LiveFeeds;
use super::page::off_thread;
use crate::domain::secret::LiveSecret;
use crate::domain::user::LiveUsers;
use crate::http::HttpProblem;
use crate::pipeline::Switchboard;
use crate::records::{NoStore, Store};
use crate::reload::ReloadHandle;
use crate::rules::CheckContext;
use crate::source::Source;

/// Age of the process up to which a page waits for the record store: it opens beside everything else.
const START: SignedDuration = SignedDuration::from_secs(30);
/// Number of times, and interval, at which a page looks whether the store is open.
const STORE_POLLS: u32 = 60;
const STORE_POLL: Duration = Duration::from_millis(50);

/// Parts of the service that the console needs.
pub struct ConsoleSetup {
    /// The service.
    pub app: Arc<Switchboard>,
    /// `None` if the process does not reload.
    pub reload_handle: Option<ReloadHandle>,
    /// The admin token.
    pub token: LiveSecret,
    /// People who may log in.
    pub users: LiveUsers,
    /// Whether viewers see whole phone numbers.
    pub reveal_numbers: bool,
    /// Whether editors may change the rule table.
    pub edit: bool,
    /// Path of the rule table.
    pub rules_path: PathBuf,
    /// Context in which rule tables are checked.
    pub context: CheckContext,
    /// Reverse proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The routes for platforms, through which a test call goes; `None` if the process has none.
    pub public: Option<Router>,
    /// URL at which this machine reaches the public listener; `None` if its name is unknown.
    pub public_url: Option<String>,
    /// Ends the pages that are live.
    pub stop: CancellationToken,
}

/// State of the console. Clones share it.
#[derive(Clone)]
pub(super) struct Console(Arc<ConsoleState>);

/// State behind all clones of [`Console`].
pub(super) struct ConsoleState {
    pub(super) app: Arc<Switchboard>,
    pub(super) reload_handle: Option<ReloadHandle>,
    pub(super) access: Access,
    pub(super) live_feeds: LiveFeeds,
    /// For what counts or searches many records: the store has three connections that read, and they are for
    /// pages.
    pub(super) counting: Turns,
    /// For what reads and checks rule files: each takes a core, which calls need too.
    pub(super) checking: Turns,
    /// For replays.
    pub(super) replaying: Turns,
    pub(super) edit: bool,
    pub(super) rules_path: PathBuf,
    pub(super) context: CheckContext,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) public: Option<Router>,
    pub(super) public_url: Option<String>,
    pub(super) stop: CancellationToken,
}

impl From<ConsoleSetup> for Console {
    fn from(setup: ConsoleSetup) -> Console {
        let ConsoleSetup { app, reload_handle, token, users, reveal_numbers, .. } = setup;
        let access = Access::new(token, users, reveal_numbers);
        let ConsoleSetup { edit, rules_path, context, trusted_proxies, .. } = setup;
        let ConsoleSetup { public, public_url, stop, .. } = setup;
        Console(Arc::new(ConsoleState {
            app,
            reload_handle,
            access,
            live_feeds: LiveFeeds::default(),
            counting: Turns::default(),
            checking: Turns::default(),
            replaying: Turns::default(),
            edit,
            rules_path,
            context,
            trusted_proxies,
            public,
            public_url,
            stop,
        }))
    }
}

/// Stands in for the name of the service where it is unknown.
pub(super) const UNKNOWN_HOST: &str = "https://YOUR.HOST";

impl Console {
    /// Returns the URL at which a request of a test reaches the public listener, without a path: from this machine,
    /// or else as the platform does.
    pub(super) fn public_url_of<'s>(&'s self, source: &'s Source) -> &'s str {
        let local = self.public_url.as_deref();
        local.or(source.policy.public_base_url.as_deref()).unwrap_or(UNKNOWN_HOST)
    }

    /// Returns the store of the records. Waits for it for a moment after the start of the process.
    pub(super) async fn store(&self) -> Result<Arc<Store>, NoStore> {
        let recorder = self.app.recorder();
        let age = self.app.now().duration_since(self.app.started_at());
        let waits = if age < START { STORE_POLLS } else { 0 };
        for _ in 0..waits {
            match recorder.store() {
                Err(NoStore::Closed) => tokio::time::sleep(STORE_POLL).await,
                Ok(_) | Err(NoStore::Off) => break,
            }
        }
        recorder.store()
    }
}

impl Deref for Console {
    type Target = ConsoleState;

    fn deref(&self) -> &ConsoleState {
        &self.0
    }
}

/// Work that the console does one after another.
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new(Semaphore::new(1)))
    }
}

impl Turns {
    /// Waits for the turn, which ends when the permit is dropped.
    pub(super) async fn wait(&self) -> OwnedSemaphorePermit {
        self.0.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Does work in its turn, on a thread of its own. The turn lasts until the work is done, even if the request
    /// ends before, such as that of a browser that goes away.
    pub(super) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HttpProblem> {
        let turn = self.wait().await;
        let work_in_turn = move || {
            let _turn = turn;
            work()
        };
        off_thread(work_in_turn).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_turn_lasts_until_its_work_is_done_even_if_the_request_ends_before() {
        let turns = Turns::default();
        let (done, is_done) = mpsc::channel::<()>();
        let work = turns.off_thread(move || is_done.recv());
        assert!(tokio::time::timeout(Duration::from_millis(20), work).await.is_err());
        assert!(turns.0.try_acquire().is_err(), "the work goes on");
        drop(done);
        let next = tokio::time::timeout(Duration::from_secs(30), turns.wait()).await;
        assert!(next.is_ok());
    }
}
