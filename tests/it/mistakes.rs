//! Deliberate mistakes of a newcomer, with the part of the message that helps: so that messages stay helpful.

use std::path::Path;

use crate::support::program::{SETTINGS, program, text};
use crate::support::wait;

const RULES: &str = "[lists.vip]\nnumbers = [\"+12137771234\"]\n\n[[rule]]\nname = \"vip\"\nfrom = \"@vip\"\n\
                     agent = \"agent_1\"\n\n[[rule]]\nname = \"everyone\"\nagent = \"agent_2\"\n";

/// Runs a command in a folder with settings and rules, and returns everything that it prints.
fn run_in(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    std::fs::write(folder.join("switchboard.toml"), SETTINGS).unwrap();
    std::fs::write(folder.join("rules.toml"), RULES).unwrap();
    let mut command = program();
    command.current_dir(folder).envs(variables.iter().copied()).args(arguments);
    let ran = wait::output(&mut command);
    (ran.status.code(), text(&ran.stdout) + &text(&ran.stderr))
}

/// Checks that a command fails and says this.
#[track_caller]
fn says(folder: &Path, variables: &[(&str, &str)], arguments: &[&str], expected: &str) {
    let (code, printed) = run_in(folder, variables, arguments);
    assert!(matches!(code, Some(1 | 2)), "{arguments:?} {variables:?}: {code:?}\n{printed}");
    // A terminal is narrow, and `clap` breaks lines.
    let printed = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(printed.contains(expected), "{arguments:?} {variables:?}: {expected}\n{printed}");
}

#[test]
fn commands() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("key.env"), "RETELL_API_KEY=key_0123456789abcdef\n").unwrap();
    std::fs::write(folder.path().join("s.yaml"), "server:\n  listen: 0.0.0.0:80\n").unwrap();
    std::fs::write(folder.path().join("s.json"), "{ \"server\": {} }\n").unwrap();
    for (arguments, expected) in [
        (&["chekc"][..], "some similar subcommands exist: 'schema', 'check'"),
        (&["serv"], "a similar subcommand exists: 'serve'"),
        (&["record", "list"], "a similar subcommand exists: 'records'"),
        (&["check", "--confg", "s.toml"], "a similar argument exists: '--config'"),
        (&["check", "--color", "yes"], "possible values: auto, always, never"),
        (&["check", "--config", "rules.toml"], "write [rules] path = \"rules.toml\""),
        (&["check", "--config", "rules.toml"], "`switchboard check --rules rules.toml`"),
        (&["serve", "--config", "rules.toml"], "rules.toml is a rule table, not a settings file"),
        (&["check", "switchboard.toml"], "write `--config switchboard.toml` in place of it"),
        (
            &["explain", "--rules", "switchboard.toml"],
            "write `--config switchboard.toml` in place of it",
        ),
        (&["replay", "--rules", "switchboard.toml"], "nothing has been recorded yet"),
        (
            &["check", "--config", "."],
            "folder, not a regular file; write --config ./switchboard.toml",
        ),
        (&["check", "--config", "empty"], "a folder of rules is named by --rules"),
        (&["check", "empty"], "the folder has no *.toml files"),
        (&["check", "--config", "nope.toml"], "cannot read nope.toml: No such file"),
        (&["check", "--config", "key.env"], "set -a; . ./.env; set +a"),
        (&["check", "key.env"], "is a file with environment variables, not a rule table"),
        (&["check", "--config", "s.yaml"], "settings are TOML"),
        (&["check", "--config", "s.json"], "s.json is JSON, not a settings file"),
        (&["check", "s.yaml"], "s.yaml is YAML, not a rule table"),
        (&["explain", "--from", "@vip"], "`@vip` is a list; write one of its numbers"),
        (&["send", "--to", "@vip"], "--to: `@vip` is a list"),
        (&["send", "--from", "+1900*"], "is a pattern; write one number that it matches"),
        (&["explain", "--from", "2137771234"], "did you mean `+12137771234`?"),
        (&["explain", "--at", "tomorrow"], "as in `2026-12-24 17:30`"),
        (&["explain", "--body", "rules.toml"], "the body is not a JSON object"),
        (&["send", "--source", "reteil"], "the settings have retell"),
        (&["send", "--url", "localhost:8080"], "write http://localhost:8080"),
        (&["health", "--url", "localhost:8080/healthz"], "write http://localhost:8080/healthz"),
        (&["man", "recrods"], "it has init, serve"),
        (&["init", "--platform", "bandwidth"], "possible values: retell, synthflow"),
        (&["init"], "already has rules.toml, switchboard.toml"),
        (&["check", "--rules", "a.toml,b.toml"], "No such file or directory"),
        (&["records", "list", "--since", "banana"], "--since: `banana` is not a time"),
        (&["records", "list", "--source", "reteil"], "did you mean `retell`?"),
        (&["replay", "--until", "banana"], "--until: `banana` is not a time"),
        (&["explain", "--at", "sunday"], "as in `2026-12-24 17:30`"),
        (&["serve", "switchboard.toml"], "write `switchboard serve --config switchboard.toml`"),
        (&["rules.toml"], "write `switchboard check --rules rules.toml`"),
        (&["switchboard.toml"], "write `switchboard serve --config switchboard.toml`"),
        (&["health", "http://localhost:1"], "write `switchboard health --url http://localhost:1`"),
        (&["serve", "rules.toml"], "write [rules] path = \"rules.toml\""),
        (&["explain", "rules.toml"], "write `switchboard explain --rules rules.toml`"),
        (&["serve", "--port", "8080"], "set SWITCHBOARD__SERVER__LISTEN=0.0.0.0:8080"),
        (&["serve", "--port=9000"], "write [server] listen = \"0.0.0.0:9000\""),
        (&["serve", "--rules", "r.toml"], "set SWITCHBOARD__RULES__PATH=r.toml"),
        (&["serve", "-v"], "set SWITCHBOARD__LOG__LEVEL=debug"),
        (&["explain", "+13125550177"], "write `switchboard explain --from +13125550177`"),
        (
            &["records", "forget", "+13125550177"],
            "write `switchboard records forget --number +13125550177`",
        ),
    ] {
        says(folder.path(), &[], arguments, expected);
    }
}

#[test]
fn variables() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, expected) in [
        ("SWITCHBOARD_RULES_PATH", "rules.toml", "write SWITCHBOARD__RULES__PATH"),
        ("SWITCHBOARD_CONFIG", "s.toml", "--config FILE"),
        ("SWITCHBOARD__RULES_PATH", "rules.toml", "write SWITCHBOARD__RULES__PATH"),
        ("SWITCHBOARD__RULES__PATH", "nope.toml", "relative to the working directory"),
        ("SWITCHBOARD__RULES__PATH", "a.toml,b.toml", "name their folder"),
        ("SWITCHBOARD__SERVER__REQUEST_TIMEOUT_MS", "2s", "write 2000"),
        ("switchboard__server__listen", "127.0.0.1:1", "set the same key"),
        ("SWITCHBOARD__SERVER__LISTEN", "8080", "an address and a port, like 127.0.0.1:8080"),
        ("SWITCHBOARD__LOG__LEVEL", "verbose", "write error, warn, info, debug or trace"),
        ("SWITCHBOARD__ADMIN__TOKEN", "abcdef0123456789", "must refer to a secret, not contain it"),
        ("RETELL_API_KEY", "\"key_0123456789abcdef\"", "remove the quotes; docker --env-file"),
        (
            "RETELL_API_KEY",
            "RETELL_API_KEY=key_0123456789abcdef",
            "store only what follows the `=`",
        ),
        ("RETELL_API_KEY", "${RETELL_API_KEY}", "a variable that was not expanded"),
        ("RETELL_API_KEY", "key_0123456789abcdef ", "begins or ends with white space"),
        ("RETELL_API_KEY", "", "has 0 bytes, and a secret needs at least 16"),
        ("RETELL_API_KEY", "\"key_0123456789abcdef", "has a quote at one end"),
        ("RETELL_API_KEY", "key_0123456789abcdef,", "ends with a separator"),
        ("RETELL_API_KEY", "/run/secrets/retell_key", "write \"file:PATH\" in the settings"),
        (
            "SWITCHBOARD__SOURCES__RETELL__SECRETS",
            "[\"env:RETELL_API_KEY\"]",
            "write the entries with commas between them, without brackets and quotes",
        ),
        ("SWITCHBOARD__RULES__PATH", "\"rules.toml\"", "SWITCHBOARD__RULES__PATH is in quotes"),
        (
            "SWITCHBOARD__RECORDS__RETAIN_DAYS",
            "\"30\"",
            "SWITCHBOARD__RECORDS__RETAIN_DAYS is in quotes",
        ),
        ("SWITCHBOARD__LOG__LEVEL", "'debug'", "SWITCHBOARD__LOG__LEVEL is in quotes"),
    ] {
        says(folder.path(), &[(name, value)], &["check", "--strict"], expected);
    }
}

#[test]
fn tables_and_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    let rule = "[[rule]]\nname = \"a\"\n";
    for (table, expected) in [
        (format!("{rule}agnet = \"agent_1\"\n"), "did you mean `agent`?"),
        (format!("{rule}agent = \"agent_1\"\nfrom = \"2137771234\"\n"), "+12137771234"),
        (format!("{rule}agent = \"agent_1\"\nfrom = \"@vpi\"\n"), "vpi"),
        (format!("{rule}agent = \"agent_1\"\nhours = \"office\"\n"), "office"),
        (format!("{rule}agent = agent_1\n"), "invalid TOML"),
        ("[[rules]]\nname = \"a\"\nagent = \"b\"\n".to_owned(), "did you mean `rule`?"),
        (format!("zone = \"EST5\"\n{rule}agent = \"agent_1\"\n"), "EST5"),
        (String::new(), "the smallest table is one [[rule]]"),
    ] {
        std::fs::write(&path, &table).unwrap();
        says(folder.path(), &[], &["check", "--strict", "t.toml"], expected);
    }
    for (settings, expected) in [
        ("[source.retell]\nplatform = \"retell\"\n", "did you mean `sources`?"),
        ("[sources.retell]\nplatfrom = \"retell\"\n", "did you mean `platform`?"),
        ("[sources.retell]\nplatform = \"bandwidth\"\n", "use one of retell, synthflow"),
        ("[server]\nmax_connections = \"many\"\n", "must be an integer from 1 to"),
        ("[server]\nport = 9000\n", "write listen = \"0.0.0.0:9000\""),
        ("[records]\nretain = \"30d\"\n", "write retain_days = 30"),
        ("[records]\nretain_days = \"30d\"\n", "write 30"),
        ("", "add [sources.retell]"),
    ] {
        std::fs::write(&path, settings).unwrap();
        says(folder.path(), &[], &["check", "--config", "t.toml"], expected);
    }
}
