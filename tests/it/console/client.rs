//! A browser without a window: it keeps the session cookie and the token of forms.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;
use switchboard::console::{self, ConsoleSetup};
use switchboard::domain::clock::Clock;
use switchboard::domain::user::{LiveUsers, PasswordHash};
use switchboard::http::{admin, public};
use switchboard::pipeline::Switchboard;
use switchboard::records::LookupResult;
use switchboard::reload::{self, Reloader};
use switchboard::rules::TablePlaces;
use switchboard::settings::Purpose;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::app::{self, Answer, answer, retell_request_at};
use crate::support::wait::until_async;

pub(super) const ADMIN_TOKEN: &str = "admin_0123456789abcdef";
pub(super) const PASSWORD: &str = "correct horse";

/// A service with records in memory, and rules in a file.
pub(super) struct Service {
    pub(super) admin: Router,
    pub(super) public: Router,
    pub(super) app: Arc<Switchboard>,
    pub(super) folder: TempDir,
    pub(super) users: LiveUsers,
    stop: CancellationToken,
    writer: JoinHandle<()>,
    calls: AtomicI64,
}

/// Settings with an admin token, a viewer `vera` and an editor `ed`, who have the same password; `more` is in
/// the section of the admin listener.
fn settings(more: &str, records: &str) -> String {
    let hash = PasswordHash::new(PASSWORD, [7; 16]);
    let hash = hash.as_str();
    format!(
        "[admin]\ntoken = \"env:ADMIN_TOKEN\"\n{more}\n\
         [admin.users.vera]\npassword_hash = '{hash}'\n\
         [admin.users.ed]\npassword_hash = '{hash}'\nrole = \"editor\"\n\
         [records]\nurl = \"{records}\"\n{}",
        app::settings_with_longest_deadline()
    )
}

/// Starts a service with these rules. `more` is in the section of the admin listener.
pub(super) async fn service(more: &str, rules: &str) -> Service {
    service_with(more, "memory:", &[("rules.toml", rules)]).await
}

/// Starts a service with records there, and with these files, of which the first is the rule table.
pub(super) async fn service_with(more: &str, records: &str, files: &[(&str, &str)]) -> Service {
    service_at(more, records, files[0].0, files).await
}

/// Starts a service whose rule table is a file or a folder among these files.
pub(super) async fn service_at(
    more: &str,
    records: &str,
    rules: &str,
    files: &[(&str, &str)],
) -> Service {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut environment = app::environment();
    environment.insert("ADMIN_TOKEN".to_owned(), ADMIN_TOKEN.to_owned());
    let text = settings(more, records);
    let (settings, report) = app::load_settings_with(&text, Purpose::Serve, environment);
    let mut settings = settings.unwrap_or_else(|| panic!("{report}"));
    settings.rules.path = folder.path().join(rules);
    settings.rules.poll = None;
    let context = settings.check_context();
    let loaded = reload::load(&settings.rules.path, &context, false, &mut |_| {}).unwrap();
    let places = TablePlaces::new(&loaded);
    let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
    let fingerprint = table.fingerprint.clone();
    let (app, writer) =
        Switchboard::with_records(settings.sources, table, Clock::System, settings.records);
    let app = Arc::new(app.with_secrets(settings.secrets));
    app.live_table().note_places(places);
    let stop = CancellationToken::new();
    let writer = writer.map(|writer| tokio::spawn(writer.run(stop.clone())));
    let writer = writer.unwrap_or_else(|| tokio::spawn(std::future::ready(())));
    app.recorder().store_snapshot(&fingerprint, loaded.snapshot.as_ref(), app.now());
    let rules = settings.rules.clone();
    let (reloader, handle) = Reloader::new(app.clone(), rules, context.clone(), loaded.files, None);
    let reloader = reloader.keeping(loaded.snapshot, false);
    tokio::spawn(reloader.run(stop.clone()));
    let setup = ConsoleSetup {
        reload_handle: Some(handle.clone()),
        rules_path: settings.rules.path,
        trusted_proxies: settings.server.trusted_proxies.clone(),
        public: Some(public::router(app.clone(), &settings.server)),
        stop: stop.clone(),
        ..app::console_setup(&app, settings.admin, context)
    };
    let (token, users) = (setup.token.clone(), setup.users.clone());
    assert!(until_async(async || app.recorder().store().is_ok() || !has_records(&app)).await);
    Service {
        admin: admin::router(app.clone(), Some(handle), token, console::router(setup)),
        public: public::router(app.clone(), &settings.server),
        app,
        folder,
        users,
        stop,
        writer,
        calls: AtomicI64::new(0),
    }
}

fn has_records(app: &Switchboard) -> bool {
    app.recorder().health().is_some()
}

impl Service {
    /// Sends a call, and waits until it is recorded. Returns the id of its record.
    pub(super) async fn call(&self, from: &str) -> Uuid {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let now_ms = self.app.now().as_millisecond();
        let body = json!({
            "event": "call_inbound",
            "call_inbound": {
                "call_id": format!("call_{number}"),
                "agent_id": "agent_of_the_number",
                "from_number": from,
                "to_number": "+13125550100",
            },
        });
        let body = body.to_string();
        let request =
            retell_request_at("/inbound/retell", body.as_bytes(), now_ms, app::RETELL_KEY);
        assert_eq!(answer(&self.public, request).await.status, StatusCode::OK);
        let store = self.app.recorder().store().unwrap();
        let id = format!("call_{number}");
        let mut found = None;
        let is_recorded = until_async(async || {
            if let Ok(LookupResult::One(call)) = store.lookup(&id).await {
                found = Some(call.id);
            }
            found.is_some()
        })
        .await;
        assert!(is_recorded, "the call is recorded");
        found.unwrap()
    }

    /// Sends an event to a source of Retell, which is stored when this returns.
    pub(super) async fn event(&self, body: &serde_json::Value) {
        let (body, now_ms) = (body.to_string(), self.app.now().as_millisecond());
        let request = retell_request_at("/events/retell", body.as_bytes(), now_ms, app::RETELL_KEY);
        assert_eq!(answer(&self.public, request).await.status, StatusCode::OK);
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.writer.await.unwrap();
    }
}

/// A person at a browser.
pub(super) struct Client {
    pub(super) router: Router,
    pub(super) cookie: Option<String>,
}

impl Client {
    /// A browser without a session.
    pub(super) fn new(router: &Router) -> Client {
        Client { router: router.clone(), cookie: None }
    }

    /// A browser with a session of this user.
    pub(super) async fn logged_in(router: &Router, name: &str) -> Client {
        let mut client = Client::new(router);
        let form = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
        let answer = client.submit("/login", &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        client
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path), String::new()).await
    }

    /// Opens a page, which must exist, and returns its text.
    pub(super) async fn page(&mut self, path: &str) -> String {
        let answer = self.get(path).await;
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{path}: {text}");
        text
    }

    /// Sends the fields of a form as they are.
    pub(super) async fn submit(&mut self, path: &str, fields: &str) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request, fields.to_owned()).await
    }

    /// Sends a form with the token that the page `/calls` has.
    pub(super) async fn submit_with_token(&mut self, path: &str, fields: &str) -> Answer {
        let token = self.csrf().await;
        let separator = if fields.is_empty() { "" } else { "&" };
        self.submit(path, &format!("csrf={token}{separator}{fields}")).await
    }

    /// Returns the token of the session's forms.
    pub(super) async fn csrf(&mut self) -> String {
        let page = self.page("/calls").await;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    async fn send(&mut self, request: axum::http::request::Builder, body: String) -> Answer {
        let request = match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        };
        let request = request.header(header::HOST, "localhost:9090").body(Body::from(body));
        let answer = answer(&self.router, request.unwrap()).await;
        if let Some(set) = answer.headers.get(header::SET_COOKIE) {
            let set = set.to_str().unwrap().split(';').next().unwrap();
            self.cookie = Some(set.to_owned()).filter(|set| !set.ends_with('='));
        }
        answer
    }
}
