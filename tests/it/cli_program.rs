//! The real program: exit codes, output and shutdown.

use std::process::Command;

use crate::support::program::{
    SETTINGS, Served, folder, program, run, serve, start_with_file_limit, text,
};
use crate::support::wait;

#[test]
fn the_commands_of_the_quickstart_work() {
    let served = serve();
    let pasted = wait::output(Command::new("sh").args(["-c", &served.curl]));
    assert!(pasted.status.success(), "{}: {}", served.curl, text(&pasted.stderr));
    assert!(
        text(&pasted.stdout).contains(r#""override_agent_id":"agent_c0nc1erge""#),
        "{}",
        text(&pasted.stdout)
    );

    for (arguments, expected) in [
        (vec!["--source", "retell"], r#""override_agent_id": "agent_c0nc1erge""#),
        (vec!["--source", "retell", "--channel", "sms"], r#""override_agent_id": "agent_sms""#),
        (vec!["--source", "retell", "--from", "+19005550100"], r#""reject": true"#),
        (vec!["--source", "synthflow"], r#""override_model_id": "agent_c0nc1erge""#),
    ] {
        let sent = run(&[&["send", "--url", &served.url], arguments.as_slice()].concat());
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
        assert!(text(&sent.stdout).contains(expected), "{arguments:?}: {}", text(&sent.stdout));
        let stderr = text(&sent.stderr);
        assert!(stderr.contains("200 OK in ") && stderr.contains("using `dev`"), "{stderr}");
    }

    let health = run(&["health", "--url", &format!("{}/healthz", served.url)]);
    assert_eq!(health.status.code(), Some(0));
    let (code, log) = served.terminate();
    assert_eq!(code, Some(0), "SIGTERM");
    assert!(
        log.contains(r#"from="+1213***1234""#) && !log.contains("+12137771234"),
        "not masked: {log}"
    );
    assert_eq!(log.matches(" call ").count(), 5, "not one line per call: {log}");
}

#[test]
fn the_curl_command_printed_by_send_works() {
    let served = serve();
    let printed = run(&["send", "--curl", "--url", &served.url, "--from", "+4930901820"]);
    let pasted = wait::output(Command::new("sh").args(["-c", &text(&printed.stdout)]));
    assert!(text(&pasted.stdout).contains(r#""language":"de""#), "{}", text(&pasted.stdout));
}

#[test]
fn send_and_explain_accept_a_body_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body.json");
    std::fs::write(
        &body,
        r#"{"event":"call_inbound","call_inbound":{"from_number":"+14155550100"}}"#,
    )
    .unwrap();
    let body = body.to_str().unwrap();
    let served = serve();
    let sent = run(&["send", "--url", &served.url, "--body", body]);
    assert!(text(&sent.stdout).contains("our valued guest"), "{}", text(&sent.stdout));
    let explained = run(&["explain", "--body", body]);
    let explained = text(&explained.stdout);
    assert!(explained.contains("DECIDES  vip"), "{explained}");
}

#[test]
fn failures_exit_with_1() {
    let served = serve();
    let mut refused = program();
    refused.env("RETELL_API_KEY", "another_key_0123456789").args(["send", "--url", &served.url]);
    let refused = wait::output(&mut refused);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("\n401 Unauthorized in "), "{}", text(&refused.stderr));
    let unreachable = run(&["health", "--url", "http://127.0.0.1:9/healthz"]);
    assert_eq!(unreachable.status.code(), Some(1));
}

#[test]
fn explain_lists_each_rule_up_to_the_deciding_one_as_text_and_json() {
    let at = ["--from", "+13125550100", "--at", "2026-11-20 10:00"];
    let explained = run(&[&["explain"], at.as_slice()].concat());
    let explained = text(&explained.stdout);
    assert!(explained.contains("no       blocked callers"), "{explained}");
    assert!(explained.contains("from +13125550100 is not in @blocked, +1900*"), "{explained}");
    assert!(explained.contains("hours !office: office is open on Fri 2026-11-20 at 10:00"));
    assert!(explained.contains("DECIDES  everyone else"), "{explained}");
    let json = run(&[&["explain", "--json"], at.as_slice()].concat());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["rule"], "everyone else");
    assert_eq!(json["replies"]["synthflow"]["call_inbound"]["override_model_id"], "1716a");
}
const MISSPELT: &str = "[[rule]]\nname = \"a\"\nform = \"+1213*\"\nagent = \"x\"\n";

#[test]
fn check_reports_every_error_with_its_location_and_exits_with_1() {
    let (_folder, settings) = folder(&format!("{SETTINGS}fallbak = \"keep\"\n"), MISSPELT);
    let settings_only = run(&["check", "--config", &settings]);
    assert_eq!(settings_only.status.code(), Some(1));
    let report = text(&settings_only.stdout);
    assert!(
        report.contains("s.toml:4:1") && report.contains("did you mean `fallback`?"),
        "{report}"
    );
    let (_folder, settings) = folder(SETTINGS, MISSPELT);
    let checked = run(&["check", "--config", &settings]);
    let report = text(&checked.stdout);
    assert!(
        report.contains("rules.toml:3:1") && report.contains("did you mean `from`?"),
        "{report}"
    );
    let json = run(&["check", "--json", "--config", &settings]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ok"], false);
    let diagnostics = json["diagnostics"].as_array().unwrap();
    let diagnostic =
        diagnostics.iter().find(|diagnostic| diagnostic["code"] == "unknown-key").unwrap();
    assert_eq!((&diagnostic["line"], &diagnostic["column"]), (&3.into(), &1.into()));
}

#[test]
fn check_reports_errors_of_settings_and_rules_in_one_run() {
    let (_folder, settings) = folder(&format!("{SETTINGS}fallbak = \"keep\"\n"), MISSPELT);
    let report = text(&run(&["check", "--config", &settings]).stdout);
    assert!(
        report.contains("did you mean `fallback`?") && report.contains("did you mean `from`?"),
        "{report}"
    );
}

#[test]
fn strict_treats_warnings_as_errors() {
    let (_folder, settings) =
        folder(SETTINGS, "[[rule]]\nname = \"a\"\nto = \"+1213*\"\nagent = \"x\"\n");
    assert_eq!(run(&["check", "--config", &settings]).status.code(), Some(0));
    assert_eq!(run(&["check", "--strict", "--config", &settings]).status.code(), Some(1));
}

#[test]
fn the_shipped_table_passes_the_strict_check() {
    let checked = run(&["check", "--strict"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    let alone = run(&["check", "--strict", "--rules", "config/rules.toml"]);
    assert_eq!(alone.status.code(), Some(0), "{}", text(&alone.stdout));
}

#[test]
fn commands_that_cannot_run_exit_with_2_and_help() {
    let (folder, settings) = folder(SETTINGS, MISSPELT.replace("form", "from").as_str());
    let no_secret = run(&["serve", "--config", &settings]);
    assert_eq!(no_secret.status.code(), Some(2));
    let stderr = text(&no_secret.stderr);
    assert!(stderr.contains("set the environment variable RETELL_API_KEY"), "{stderr}");
    std::fs::write(folder.path().join("rules.toml"), MISSPELT).unwrap();
    let bad_rules = run(&["serve", "--dev", "--config", &settings]);
    assert_eq!(bad_rules.status.code(), Some(2));
    let missing = run(&["check", "--config", "no/such/file.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("no/such/file.toml"));
    let unreachable = run(&["send", "--url", "http://127.0.0.1:9", "--config", &settings]);
    assert_eq!(unreachable.status.code(), Some(2));
}

#[test]
fn every_command_has_help() {
    for command in ["serve", "send", "check", "explain", "health"] {
        let help = text(&run(&[command, "--help"]).stdout);
        assert!(help.contains("--config"), "{help}");
        assert!(help.lines().next().is_some_and(|line| line.len() > 10), "{help}");
    }
}

#[test]
fn completions_name_commands_and_flags_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
        let script = text(&ran.stdout);
        for word in ["explain", "init", "import", "dry-run", "color", "quiet"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
    let unknown = run(&["completions", "csh"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("possible values: bash"), "{}", text(&unknown.stderr));
}

#[test]
fn bash_completes_a_subcommand() {
    let script = "source <(\"$0\" completions bash)
        COMP_WORDS=(switchboard records im) COMP_CWORD=2
        _switchboard switchboard im records && echo \"${COMPREPLY[@]}\"";
    let bash =
        wait::output(Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_switchboard")]));
    assert_eq!(text(&bash.stdout), "import\n", "{}", text(&bash.stderr));
}

#[test]
fn a_manual_page_describes_the_program_or_a_command() {
    for (command, name, expected) in [
        (vec![], "switchboard", "switchboard\\-records(1)"),
        (vec![], "switchboard", "CLICOLOR_FORCE"),
        (vec!["init"], "switchboard\\-init", "Platform whose calls are answered"),
        (vec!["serve"], "switchboard\\-serve", "Development mode"),
        (vec!["records", "export"], "switchboard\\-records\\-export", "Export CSV"),
    ] {
        let ran = run(&[&["man"], command.as_slice()].concat());
        assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
        let page = text(&ran.stdout);
        assert!(page.contains(&format!(".SH NAME\n{name}")), "{page}");
        assert!(page.contains(expected), "{expected}: {page}");
    }
    for (command, expected) in [
        (vec!["records", "exprot"], "`switchboard records` has no command `exprot`; it has list"),
        (vec!["health", "now"], "`switchboard health` has no subcommands"),
    ] {
        let ran = run(&[&["man"], command.as_slice()].concat());
        assert_eq!(ran.status.code(), Some(2));
        assert!(text(&ran.stderr).contains(expected), "{}", text(&ran.stderr));
    }
}

#[test]
fn an_idle_connection_does_not_keep_the_service_from_stopping() {
    let served = serve();
    let address = served.url.trim_start_matches("http://").to_owned();
    let _idle = std::net::TcpStream::connect(address).unwrap();
    let (code, _) = served.terminate();
    assert_eq!(code, Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn the_limit_of_open_files_is_raised_to_what_connections_need() {
    let served = Served::new(start_with_file_limit(256));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: u64 = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(soft > 256, "{line}");
}
