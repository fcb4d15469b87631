//! `switchboard init`: what it writes works at once, and nothing is overwritten.

use std::path::Path;
use std::process::{Command, Output};

use switchboard::dialect;

use crate::declared_platforms::PRESETS;
use crate::support::program::{Served, program, run, start_with, text};
use crate::support::wait;

/// The program, in a folder of a newcomer.
fn program_in(folder: &Path) -> Command {
    let mut command = program();
    command.current_dir(folder);
    command
}

#[track_caller]
fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    wait::output(program_in(folder).args(arguments))
}

#[test]
fn what_init_writes_is_checked_served_and_called_without_edits() {
    for platform in platforms() {
        let folder = tempfile::tempdir().unwrap();
        let written = run_in(folder.path(), &["init", "--platform", platform]);
        let stderr = text(&written.stderr);
        assert_eq!(written.status.code(), Some(0), "{stderr}");
        for next in ["switchboard check --strict", "switchboard serve --dev", "switchboard send"] {
            assert!(stderr.contains(next), "{next}: {stderr}");
        }
        let checked = run_in(folder.path(), &["check", "--strict"]);
        let report = text(&checked.stdout);
        assert_eq!(checked.status.code(), Some(0), "{report}");
        assert!(report.contains("4 tests passed; 0 errors, 0 warnings"), "{report}");

        let served = Served::new(start_with(program_in(folder.path()), &[]));
        let send = ["send", "--url", &served.url, "--from", "+12135550199"];
        let sent = run_in(folder.path(), &send);
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
        served.wait_for_log(r#"rule="blocked callers""#);

        let built_in = dialect::by_name(platform);
        let chooses_agents = match built_in {
            Some(dialect) => dialect.capabilities().agent,
            None => ["jambonz", "signalwire", "turncall"].contains(&platform),
        };
        if chooses_agents {
            // Where the reply decides nothing, the explanation has the request that follows it.
            let replies = built_in.is_none_or(|dialect| dialect.api().is_none());
            try_own_agent(folder.path(), &served, replies);
        }
    }
}

/// The built-in platforms, and those of `config/platforms/`.
fn platforms() -> impl Iterator<Item = &'static str> {
    dialect::ALL.map(|dialect| dialect.platform().as_str()).into_iter().chain(PRESETS)
}

/// The newcomer's own agent, and a test of it.
#[track_caller]
fn try_own_agent(folder: &Path, served: &Served, replies: bool) {
    let rules = folder.join("rules.toml");
    let table = std::fs::read_to_string(&rules).unwrap();
    let ids = ["agent_fr0nt", "agent_n1ght", "agent-fr0nt", "agent-n1ght"];
    let table = ids.into_iter().fold(table, |table, id| table.replace(id, "agent_m1ne"));
    let call = ["--from", "+13125550177", "--at", "2026-11-20 09:00"];
    let test = run_in(folder, &[&["explain", "--as-test"], &call[..]].concat());
    std::fs::write(&rules, format!("{table}\n{}", text(&test.stdout))).unwrap();
    served.wait_for_log("rules reloaded");
    let reply = match replies {
        true => run_in(folder, &["send", "--url", &served.url]),
        false => run_in(folder, &["explain"]),
    };
    assert!(text(&reply.stdout).contains("agent_m1ne"), "{}", text(&reply.stdout));
    let checked = text(&run_in(folder, &["check", "--strict"]).stdout);
    assert!(checked.contains("5 tests passed; 0 errors, 0 warnings"), "{checked}");
}

#[test]
fn the_example_of_the_secrets_names_the_variables_of_the_settings() {
    for platform in platforms() {
        let folder = tempfile::tempdir().unwrap();
        run_in(folder.path(), &["init", "--platform", platform]);
        let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let (settings, example) = (read("switchboard.toml"), read(".env.example"));
        let names = settings.split("\"env:").skip(1).map(|rest| rest.split('"').next().unwrap());
        let names: Vec<_> = names.collect();
        assert!(!names.is_empty());
        for name in names {
            assert!(example.contains(&format!("\n{name}=\n")), "{name}: {example}");
        }
        assert!(read(".gitignore").lines().any(|line| line == ".env"));
    }
}

/// The platform's API is not asked, so nothing is said about its key.
#[test]
fn send_notes_the_secret_that_is_missing_alone() {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), &["init", "--platform", "openai"]);
    let sent = run_in(folder.path(), &["send", "--curl"]);
    let notes = text(&sent.stderr);
    assert_eq!(sent.status.code(), Some(0), "{notes}");
    assert!(notes.contains("`sources.openai.secrets`: there is no secret"), "{notes}");
    assert!(!notes.contains("api_key"), "{notes}");
}

#[test]
fn init_overwrites_nothing_and_says_what_exists() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, "mine").unwrap();
    let refused = run_in(folder.path(), &["init"]);
    assert_eq!(refused.status.code(), Some(1));
    let stderr = text(&refused.stderr);
    assert!(
        stderr.contains("nothing was written: this folder already has rules.toml;"),
        "{stderr}"
    );
    assert_eq!(std::fs::read_to_string(&rules).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let new = folder.path().join("a new/folder");
    let written = run(&["init", new.to_str().unwrap()]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    let stderr = text(&written.stderr);
    assert!(stderr.contains(&format!("cd -- '{}'", new.display())), "{stderr}");
    assert_eq!(std::fs::read_dir(&new).unwrap().count(), 4);
    let again = run(&["init", new.to_str().unwrap()]);
    let stderr = text(&again.stderr);
    let all = "already has rules.toml, switchboard.toml, .env.example, .gitignore;";
    assert!(stderr.contains(all), "{stderr}");
}
