//! Log-in, sessions, roles and forged forms.

use axum::http::StatusCode;
use axum::http::header;

use super::client::{ADMIN_TOKEN, Client, PASSWORD, service};
use crate::support::app::{self, RULES, root};

/// Paths that everyone may reach.
const OPEN: [&str; 2] = ["/login", "/assets/{version}/{name}"];

/// A route of the console: its path with sample parameters, and its methods.
struct Route {
    path: String,
    has_page: bool,
    has_form: bool,
}

/// Returns the routes that need a session, from the source text: one that is forgotten here cannot be.
fn routes() -> Vec<Route> {
    let mut files = vec![root().join("src/console.rs")];
    let folder = std::fs::read_dir(root().join("src/console")).unwrap();
    files.extend(folder.map(|entry| entry.unwrap().path()));
    let mut routes = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        for route in text.split(".route(\"").skip(1) {
            let (path, rest) = route.split_once('"').unwrap();
            let methods = rest.lines().next().unwrap();
            if OPEN.contains(&path) {
                continue;
            }
            let sample = "00000000-0000-0000-0000-000000000000";
            let segments =
                path.split('/').map(|part| if part.starts_with('{') { sample } else { part });
            routes.push(Route {
                path: segments.collect::<Vec<_>>().join("/"),
                has_page: methods.contains("get("),
                has_form: methods.contains("post("),
            });
        }
    }
    assert!(routes.len() > 20, "{} routes were found", routes.len());
    routes
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_log_in() {
    let app = service("edit = true", RULES).await;
    for Route { path, has_page, has_form } in routes() {
        if has_page {
            let answer = Client::new(&app.admin).get(&path).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
            let location = answer.headers[header::LOCATION].to_str().unwrap();
            let next = match path.as_str() {
                "/" => String::new(),
                path => format!("?next={}", path.replace('/', "%2F")),
            };
            assert_eq!(location, format!("/login{next}"));
        }
        if has_form {
            let answer = Client::new(&app.admin).submit(&path, "").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
}

#[tokio::test]
async fn a_form_without_the_token_of_its_session_is_refused() {
    let app = service("edit = true", RULES).await;
    let mut client = Client::logged_in(&app.admin, "ed").await;
    let other = Client::logged_in(&app.admin, "ed").await.csrf().await;
    for Route { path, .. } in routes().into_iter().filter(|route| route.has_form) {
        for token in ["", "csrf=", "csrf=0000", &format!("csrf={other}")] {
            let answer = client.submit(&path, &format!("source=retell&{token}")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {token}");
        }
    }
    client.page("/calls").await;
}

#[tokio::test]
async fn forms_that_are_too_large_are_refused() {
    let app = service("edit = true", RULES).await;
    let mut client = Client::logged_in(&app.admin, "ed").await;
    for (path, limit) in [("/setup/test", 2 << 20), ("/change/check", 8 << 20)] {
        let mut send = async |bytes: usize| {
            let fields = format!("source=nobody&text:x.toml={}", "a".repeat(bytes));
            client.submit_with_token(path, &fields).await
        };
        let answer = send(limit).await;
        let page = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert!(page.contains(&format!("exceeds {limit} bytes")), "{page}");
        let status = send(limit - (64 << 10)).await.status;
        assert_ne!(status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
}

#[tokio::test]
async fn viewers_change_nothing() {
    let app = service("edit = true", RULES).await;
    let mut client = Client::logged_in(&app.admin, "vera").await;
    let forms = routes().into_iter().filter(|route| route.has_form && route.path != "/logout");
    for Route { path, .. } in forms {
        let answer = client.submit_with_token(&path, "source=retell").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn people_log_in_with_a_password_or_the_token_and_log_out() {
    let app = service("", RULES).await;
    for form in [
        format!("name=vera&password={}", PASSWORD.replace(' ', "+")),
        format!("name=&password={ADMIN_TOKEN}"),
        format!("password={ADMIN_TOKEN}&next=/calls%3Frule%3Da"),
    ] {
        let mut client = Client::new(&app.admin);
        let answer = client.submit("/login", &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{form}");
        let expected = if form.contains("next") { "/calls?rule=a" } else { "/calls" };
        assert_eq!(answer.headers[header::LOCATION], expected);
        let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let old = client.cookie.clone();
        assert_eq!(client.submit_with_token("/logout", "").await.status, StatusCode::SEE_OTHER);
        client.cookie = old;
        assert_eq!(client.get("/calls").await.status, StatusCode::SEE_OTHER, "logged out");
    }
}

#[tokio::test]
async fn a_wrong_name_password_or_token_is_refused_and_then_slowed_down() {
    let app = service("", RULES).await;
    let mut client = Client::new(&app.admin);
    for form in [
        "name=vera&password=correct+house",
        "name=nobody&password=correct+horse",
        "name=&password=admin_0123456789abcdee",
    ] {
        let answer = client.submit("/login", form).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{form}");
        assert!(!String::from_utf8(answer.body).unwrap().contains("correct"), "no echo");
    }
    // Attempts come back after a while, so a slow machine may have more.
    let mut status = StatusCode::UNAUTHORIZED;
    for _ in 0..100 {
        status = client.submit("/login", "name=&password=admin").await.status;
        if status != StatusCode::UNAUTHORIZED {
            break;
        }
    }
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let answer = client.submit("/login", "name=vera&password=correct+horse").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "even with the right password");
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn people_behind_a_trusted_proxy_have_attempts_of_their_own() {
    let proxies = "[server]\ntrusted_proxies = [\"127.0.0.1\"]";
    for (more, expected) in [(proxies, StatusCode::SEE_OTHER), ("", StatusCode::TOO_MANY_REQUESTS)]
    {
        let app = service(more, RULES).await;
        let log_in = async |from: &str, password: &str| {
            let request = axum::http::Request::post("/login")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::HOST, "localhost:9090")
                .header("x-forwarded-for", from)
                .body(axum::body::Body::from(format!("name=&password={password}")));
            app::answer(&app.admin, request.unwrap()).await.status
        };
        let mut status = StatusCode::UNAUTHORIZED;
        for _ in 0..100 {
            status = log_in("203.0.113.1", "wrong").await;
            if status != StatusCode::UNAUTHORIZED {
                break;
            }
        }
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(log_in("203.0.113.2", ADMIN_TOKEN).await, expected, "{more}");
        app.stop().await;
    }
}

#[tokio::test]
async fn without_a_token_this_machine_is_let_in_and_no_other() {
    let app = app::app(app::SETTINGS, RULES);
    let mut client = Client::new(&app.admin);
    let page = String::from_utf8(client.get("/calls").await.body).unwrap();
    assert!(page.contains("this machine") && page.contains("records are off"), "{page}");
    assert!(client.cookie.is_some());
    let request = axum::http::Request::get("/calls").header("host", "evil.example");
    let request = request.body(axum::body::Body::empty()).unwrap();
    assert_eq!(app::answer(&app.admin, request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn every_page_forbids_scripts_and_styles_from_elsewhere() {
    let app = service("", RULES).await;
    let mut client = Client::logged_in(&app.admin, "vera").await;
    for path in ["/calls", "/login", "/no-such-page-of-a-session"] {
        let answer = client.get(path).await;
        if answer.status != StatusCode::NOT_FOUND {
            let policy = answer.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
        }
    }
    let page = client.page("/calls").await;
    for inline in ["<style", " style=", " onclick=", "javascript:", "<script>"] {
        assert!(!page.contains(inline), "{inline}");
    }
    for path in page.split('"').filter(|part| part.starts_with("/assets/")) {
        let answer = client.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    }
}

#[tokio::test]
async fn users_are_not_let_in_after_a_reload_has_removed_them() {
    let app = service("", RULES).await;
    let (settings, _) = app::load_settings(app::SETTINGS, switchboard::settings::Purpose::Serve);
    let setup = app::console_setup(&app.app, settings.unwrap().admin, Default::default());
    let hash = switchboard::domain::user::PasswordHash::new(PASSWORD, [7; 16]);
    let vera = switchboard::domain::user::User {
        name: "vera".into(),
        role: switchboard::domain::user::Role::Viewer,
        password_hash: hash,
    };
    setup.token.replace(Some(switchboard::domain::secret::Secret::new(ADMIN_TOKEN)));
    setup.users.replace(vec![vera]);
    let users = setup.users.clone();
    let router = switchboard::console::router(setup);
    let mut client = Client::logged_in(&router, "vera").await;
    client.page("/calls").await;
    users.replace(Vec::new());
    assert_eq!(client.get("/calls").await.status, StatusCode::SEE_OTHER);
}
