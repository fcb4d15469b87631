//! The console in a real browser: `tests/browser/console.mjs` drives Chromium.

use std::path::PathBuf;
use std::process::Command;

use switchboard::domain::user::PasswordHash;

use super::client::{ADMIN_TOKEN, PASSWORD};
use crate::support::app::{RETELL_KEY, root};
use crate::support::program::{Served, program, start_with, text};
use crate::support::required::{skip_test, variable};
use crate::support::wait;

/// Returns the path of a program.
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = variable("PATH");
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let places = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|place| place.is_file())
}

#[test]
fn an_operator_uses_the_console_in_chromium() {
    let scripts = root().join("tests/browser");
    let (chromium, node) =
        (find(&["chromium", "chromium-browser", "google-chrome"]), find(&["node"]));
    let (Some(chromium), Some(node)) = (chromium, node) else {
        return skip_test("chromium", "there is no chromium or no node");
    };
    if !scripts.join("node_modules/playwright-core").is_dir() {
        return skip_test("chromium", "`npm ci` has not been run in tests/browser");
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["rules.toml", "blocked.txt", "patients.csv"] {
        let from = root().join("examples/clinic").join(name);
        std::fs::copy(from, folder.path().join(name)).unwrap();
    }
    let rules = folder.path().join("rules.toml");
    let config = folder.path().join("switchboard.toml");
    let hash = PasswordHash::new(PASSWORD, [7; 16]);
    let settings = format!(
        "[admin]\ntoken = \"env:ADMIN_TOKEN\"\nedit = true\n\
         users.ed = {{ password_hash = '{}', role = \"editor\" }}\n\
         [records]\nurl = \"sqlite:records.db\"\n\
         [sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\"]\n",
        hash.as_str()
    );
    std::fs::write(&config, settings).unwrap();
    let config = config.display().to_string();
    let mut serve = program();
    serve.env("ADMIN_TOKEN", ADMIN_TOKEN).env("RETELL_API_KEY", RETELL_KEY);
    let served = Served::new(start_with(serve, &["--config", &config]));
    let mut driver = Command::new(node);
    driver
        .arg("console.mjs")
        .current_dir(&scripts)
        .env("ADMIN", format!("http://{}", served.admin))
        .env("PUBLIC", &served.url)
        .env("PROGRAM", env!("CARGO_BIN_EXE_switchboard"))
        .env("CONFIG", &config)
        .env("RULES", &rules)
        .env("ADMIN_TOKEN", ADMIN_TOKEN)
        .env("RETELL_API_KEY", RETELL_KEY)
        .env("PASSWORD", PASSWORD)
        .env("CHROMIUM", chromium);
    let output = wait::output(&mut driver);
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr),
        served.log()
    );
    assert_eq!(served.terminate().0, Some(0));
}
