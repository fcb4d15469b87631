//! Flags of every command: colours, `--quiet`, and `-` for standard input.

use std::fs::File;
use std::process::Output;

use crate::support::program::{SETTINGS, Served, folder, program, run, start, start_with, text};
use crate::support::wait;

const GOOD: &str = "[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n";
const BAD: &str = "[[rule]]\nname = \"everyone\"\nagnet = \"agent_1\"\n";
const WARNED: &str =
    "[agents]\na = \"agent_1\"\nb = \"agent_2\"\n[[rule]]\nname = \"a\"\nagent = \"a\"\n";

/// Runs the program with variables of the environment.
#[track_caller]
fn run_with(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = program();
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    wait::output(command.envs(variables.iter().copied()).args(arguments))
}

#[test]
fn the_flag_decides_about_colours_then_the_environment_then_the_terminal() {
    let (folder, settings) = folder(SETTINGS, BAD);
    let rules = folder.path().join("rules.toml");
    let rules = rules.to_str().unwrap();
    let (no, force) = (("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"));
    for (variables, flag, expected) in [
        (&[][..], "auto", false),
        (&[], "always", true),
        (&[force], "auto", true),
        (&[force], "never", false),
        (&[no], "auto", false),
        (&[no], "always", true),
        (&[no, force], "auto", false),
        (&[("TERM", "dumb")], "auto", false),
        (&[("TERM", "dumb")], "always", true),
    ] {
        // The report of `check` is on standard output, those of other commands on standard error.
        for command in [&["check", rules][..], &["explain", "--config", &settings]] {
            let ran = run_with(variables, &[&["--color", flag], command].concat());
            let printed = text(&ran.stdout) + &text(&ran.stderr);
            assert!(printed.contains("unknown-key"), "{printed}");
            let is_coloured = printed.contains('\u{1b}');
            assert_eq!(is_coloured, expected, "{variables:?} --color {flag} {command:?}");
        }
    }
    let unknown = run(&["check", "--color", "sometimes"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn help_and_wrong_arguments_follow_the_flag_wherever_it_stands() {
    let (no, force, dumb) = (("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"), ("TERM", "dumb"));
    for (variables, flags, expected) in [
        (&[][..], &[][..], false),
        (&[], &["--color", "always"], true),
        (&[], &["--color=always"], true),
        (&[no], &["--color", "always"], true),
        (&[dumb], &["--color", "always"], true),
        (&[force], &[], true),
        (&[force], &["--color", "never"], false),
        (&[force], &["--color=never"], false),
        (&[no, force], &[], false),
        (&[], &["--", "--color=always"], false),
        (&[force], &["--color", "always", "--color=never"], false),
    ] {
        for arguments in [&["--help"][..], &["check", "--nonsense"], &["nonsense"]] {
            let orders = [[flags, arguments].concat(), [arguments, flags].concat()];
            for arguments in orders.iter().filter(|arguments| arguments[0] != "--") {
                let ran = run_with(variables, arguments);
                let printed = text(&ran.stdout) + &text(&ran.stderr);
                assert!(printed.contains("Usage:"), "{printed}");
                let is_coloured = printed.contains('\u{1b}');
                assert_eq!(is_coloured, expected, "{variables:?} {arguments:?}: {printed}");
            }
        }
    }
}

#[test]
fn help_is_as_wide_as_columns_says() {
    let longest = |columns: &str| {
        let ran = run_with(&[("COLUMNS", columns)], &["serve", "--help"]);
        text(&ran.stdout).lines().map(|line| line.chars().count()).max().unwrap()
    };
    assert!((41..=60).contains(&longest("60")), "{}", longest("60"));
    assert!((101..=150).contains(&longest("150")), "{}", longest("150"));
    // A width that is none changes nothing.
    for columns in ["", "0", "wide", "-1"] {
        assert_eq!(longest(columns), longest("100"), "{columns}");
    }
}

#[test]
fn the_log_of_serve_follows_the_flag() {
    for (flag, expected) in [("always", true), ("never", false)] {
        let mut running = start(&["--color", flag]);
        let mut stdout = running.take_stdout();
        let line = loop {
            let line = stdout.read_line();
            assert!(!line.is_empty(), "the log ends");
            if line.contains("serving") {
                break line;
            }
        };
        assert_eq!(line.contains('\u{1b}'), expected, "{line:?}");
    }
}

#[test]
fn quiet_leaves_errors_and_results() {
    let check = |rules: &str, flags: &[&str]| {
        let (folder, _) = folder(SETTINGS, rules);
        let path = folder.path().join("rules.toml");
        let ran = run(&[&["check", path.to_str().unwrap(), "-q"], flags].concat());
        (ran.status.code(), text(&ran.stdout) + &text(&ran.stderr))
    };
    assert_eq!(check(GOOD, &[]), (Some(0), String::new()));
    assert_eq!(check(WARNED, &[]), (Some(0), String::new()));
    let (code, strict) = check(WARNED, &["--strict"]);
    assert!(code == Some(1) && strict.contains("unused-agent"), "{strict}");
    let (code, bad) = check(BAD, &[]);
    assert!(code == Some(1) && bad.contains("unknown-key") && !bad.contains("0 warnings"), "{bad}");

    let served = Served::new(start(&[]));
    let sent = run(&["send", "--quiet", "--url", &served.url]);
    assert_eq!((sent.status.code(), text(&sent.stderr)), (Some(0), String::new()));
    assert!(text(&sent.stdout).contains("agent_c0nc1erge"), "{}", text(&sent.stdout));
    let refused = run(&["send", "-q", "--url", &format!("{}/inbound/nobody", served.url)]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("404 Not Found"), "{}", text(&refused.stderr));
    let health = run(&["health", "-q", "--url", &format!("{}/healthz", served.url)]);
    assert_eq!((health.status.code(), text(&health.stdout)), (Some(0), String::new()));
    let folder = tempfile::tempdir().unwrap();
    let init = run(&["init", "-q", folder.path().to_str().unwrap()]);
    assert_eq!((init.status.code(), text(&init.stderr)), (Some(0), String::new()));
}

/// Runs the program with a text as its standard input.
#[track_caller]
fn run_with_stdin(input: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    std::fs::write(&path, input).unwrap();
    let mut command = program();
    wait::output_of(command.stdin(File::open(path).unwrap()).args(arguments))
}

#[test]
fn a_dash_is_standard_input() {
    for arguments in [&["check", "-"][..], &["check", "--rules", "-"]] {
        let good = run_with_stdin(GOOD, arguments);
        assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
        let bad = run_with_stdin(BAD, arguments);
        assert_eq!(bad.status.code(), Some(1));
        assert!(text(&bad.stdout).contains("<standard input>:3:1"), "{}", text(&bad.stdout));
    }
    let failing = format!(
        "{GOOD}[[test]]\nname = \"t\"\nfrom = \"+13125550177\"\nexpect = {{ reject = true }}\n"
    );
    let failed = run_with_stdin(&failing, &["check", "-"]);
    assert_eq!(failed.status.code(), Some(1), "tests run, too: {}", text(&failed.stdout));

    let body = r#"{"event":"call_inbound","call_inbound":{"from_number":"+14155550100"}}"#;
    let explained = run_with_stdin(body, &["explain", "--body", "-"]);
    assert!(text(&explained.stdout).contains("DECIDES  vip"), "{}", text(&explained.stdout));
    let served = Served::new(start_with(program(), &[]));
    let sent = run_with_stdin(body, &["send", "--body", "-", "--url", &served.url]);
    assert!(text(&sent.stdout).contains("our valued guest"), "{}", text(&sent.stdout));
    let settings = run_with_stdin(SETTINGS, &["check", "--config", "-"]);
    assert_eq!(settings.status.code(), Some(2));
    assert!(text(&settings.stderr).contains("takes a file"), "{}", text(&settings.stderr));
}

#[test]
fn send_says_with_which_key_it_signs() {
    const KEY: &str = "key_0123456789abcdef0123456789ab";
    let (_folder, settings) = folder(SETTINGS, GOOD);
    let arguments = ["send", "--curl", "--config", &settings];
    let signed = run_with(&[("RETELL_API_KEY", KEY)], &arguments);
    let stderr = text(&signed.stderr);
    assert!(stderr.contains("signing for the source `retell` with env:RETELL_API_KEY"), "{stderr}");
    assert!(!stderr.contains(KEY) && !text(&signed.stdout).contains(KEY), "{stderr}");
    let short = text(&run_with(&[("RETELL_API_KEY", "short")], &arguments).stderr);
    assert!(short.contains("has 5 bytes") && !short.contains("using `dev`"), "{short}");
    let without = text(&run_with(&[], &arguments).stderr);
    assert!(without.contains("using `dev`") && !without.contains("signing for"), "{without}");
}
