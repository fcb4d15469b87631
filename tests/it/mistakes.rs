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

/// Arguments in another form than the command reads.
#[test]
fn arguments() {
    let folder = tempfile::tempdir().unwrap();
    let import = ["records", "import", "rules.toml", "--config", "stored.toml"];
    let stored = format!("{SETTINGS}\n[records]\nurl = \"sqlite:r.db\"\n");
    std::fs::write(folder.path().join("stored.toml"), stored).unwrap();
    std::fs::write(folder.path().join("vip.csv"), "number,name\n+12137771234,Ann\n").unwrap();
    for (arguments, expected) in [
        (&["send", "--from", "2135550199"][..], "did you mean `+12135550199`?"),
        (&["send", "--to", "2135550199"], "for the text itself, write `=2135550199`"),
        (&["send", "--number", "2135550199"], "write `--from 2135550199` for the caller"),
        (&["records", "list", "--from", "+12137771234"], "write `--number +12137771234`"),
        (&["records", "list", "--since", "-7d"], "write `switchboard records list --since 7d`"),
        (&["records", "list", "--since=-7d"], "an age has none: write 7d"),
        (&["records", "list", "--since", "2026-11-31"], "November 2026 has 30 days"),
        (
            &["explain", "--at", "2026-12-25", "10:00"],
            "write `switchboard explain --at \"2026-12-25 10:00\"`",
        ),
        (&["explain", "--at", "12/25/2026 10:00"], "did you mean `2026-12-25 10:00`?"),
        (&["records", "list", "--limit", "all"], "write a whole number from 1 on"),
        (&["replay", "--limit", "0"], "write a whole number from 1 on"),
        (&["records", "export", "out.csv"], "write `switchboard records export --csv > out.csv`"),
        (&["--since", "7d", "records", "list"], "write `switchboard records list --since 7d`"),
        (&["rules", "check"], "write `switchboard check`"),
        (&["check", "vip.csv"], "[lists.NAME], and below it file = \"vip.csv\""),
        (&["check", "--config", "Switchboard.toml"], "did you mean `switchboard.toml`?"),
        (&import, "rules.toml is a rule table; import what `switchboard records export`"),
        (
            &["send", "--url", "http://127.0.0.1:9"],
            "Connection refused (os error 111): is `switchboard serve` running there?",
        ),
    ] {
        says(folder.path(), &[], arguments, expected);
    }
}

#[test]
fn a_port_in_use_is_named_by_its_setting() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listen = [("SWITCHBOARD__SERVER__LISTEN", &*address)];
    says(
        folder.path(),
        &listen,
        &["serve", "--dev"],
        "which is `server.listen`: Address already in use",
    );
}

/// Checks that settings have one error, with this help or message.
#[track_caller]
fn has_one_error(settings: &str, variables: &[(&str, &str)], expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.toml"), settings).unwrap();
    let check = ["check", "--json", "--config", "t.toml"];
    let (code, printed) = run_in(folder.path(), variables, &check);
    assert_eq!(code, Some(1), "{settings}: {printed}");
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let all = report["diagnostics"].as_array().unwrap().iter();
    let errors: Vec<_> = all.filter(|found| found["severity"] == "error").collect();
    assert_eq!(errors.len(), 1, "{settings}: {errors:?}");
    let text = format!("{}: {}", errors[0]["message"], errors[0]["help"]).replace('\\', "");
    assert!(text.contains(expected), "{settings}: {expected}\n{text}");
}

#[test]
fn settings_in_the_wrong_place_are_one_error() {
    let source = "[sources.retell]\nplatform = \"retell\"\nsecrets = \"env:NAME\"\n";
    for (before, after, expected) in [
        ("port = 18311\n", "", "write listen = \"0.0.0.0:18311\" below [server]"),
        ("listen = \"127.0.0.1:1\"\n", "", "`listen` belongs in [server] or [admin]"),
        ("retain_days = 3\n", "", "`retain_days` belongs in [records]"),
        ("platform = \"vapi\"\n", "", "belongs in the table of a source: [sources.NAME]"),
        ("", "[admin]\nport = 9091\n", "write listen = \"127.0.0.1:9091\""),
        ("", "[server]\nrecords = 1\n", "[records] is a section of its own"),
        ("", "[server]\ntls = true\n", "write tls = { cert = \"FILE\", key = \"FILE\" }"),
        ("", "[server]\ntls = \"a.pem\"\n", "write tls = { cert = \"FILE\", key = \"FILE\" }"),
        ("", "[server]\ntls_cert = \"a.pem\"\n", "write tls = { cert = \"FILE\", key"),
        ("", "[server]\ntls = false\n", "remove the key: without it"),
        ("rules = \"rules.toml\"\n", "", "write [rules], and on a line below it path = \"…\""),
        ("", "[[log]]\nlevel = \"info\"\n", "write [log], with one bracket at each end"),
        ("", "[records]\nurl = false\n", "write \"off\", in quotes"),
        ("", "auth = false\n", "must be one of required, when-present, observe, off"),
        ("", "auth_token = \"abc\"\n", "write secrets = \"env:NAME\""),
        ("; a comment\n", "", "a comment begins with `#`"),
        ("-- a comment\n", "", "a comment begins with `#`"),
        (
            "zone = \"UTC\"\n",
            "[agents]\na = \"b\"\n[[rule]]\nname = \"a\"\n",
            "`zone`, `agents`, `rule` belong in the rule table",
        ),
    ] {
        has_one_error(&format!("{before}{source}{after}"), &[], expected);
    }
    let misspelt = source.replace("sources", "source");
    has_one_error(&misspelt, &[], "did you mean `sources`?");
    let variable = [("SWITCHBOARD__LISTEN", "127.0.0.1:1")];
    let expected = "write SWITCHBOARD__SERVER__LISTEN or SWITCHBOARD__ADMIN__LISTEN";
    has_one_error(source, &variable, expected);
    has_one_error(
        source,
        &[("SWITCHBOARD__PORT", "81")],
        "set SWITCHBOARD__SERVER__LISTEN=0.0.0.0:81",
    );
}

/// Files of lists in another form than the table reads.
#[test]
fn list_files() {
    let folder = tempfile::tempdir().unwrap();
    let table = "[lists.customers]\nfile = \"customers.csv\"\n#\n[[rule]]\nname = \"a\"\nfrom = \"@customers\"\n\
                 agent = \"b\"\n[[rule]]\nname = \"everyone\"\nagent = \"c\"\n";
    let page = "https://docs.google.com/spreadsheets/d/a/edit#gid=7";
    let sheet = table.replace("file = \"customers.csv\"", &format!("url = \"{page}\""));
    let by_phone = table.replace('#', "column = \"phone\"");
    for (table, file, rows, expected) in [
        (
            table,
            "customers.csv",
            "number,name,age\n+12137771234;Ann;3\n+12137771235,Ben,4\n",
            "the header is separated by commas, and this row by semicolons",
        ),
        (
            table,
            "customers.csv",
            "number,name,age\n+12137771234,\"Ann,3\n+12137771235,Ben,4\n",
            "a quote opens here and spans further rows",
        ),
        (
            &by_phone,
            "customers.csv",
            "Ann,+12137771234,3\n",
            "add a header above it, such as `name,phone,name2`",
        ),
        (
            &sheet,
            "customers.csv",
            "",
            "write https://docs.google.com/spreadsheets/d/a/export?format=csv&gid=7",
        ),
        (table, "customers.csv", "+12137771234\n", "or use the extension .txt"),
        (table, "Customers.csv", "number\n+12137771234\n", "did you mean `Customers.csv`?"),
    ] {
        for name in ["customers.csv", "Customers.csv"] {
            drop(std::fs::remove_file(folder.path().join(name)));
        }
        std::fs::write(folder.path().join(file), rows).unwrap();
        std::fs::write(folder.path().join("t.toml"), table).unwrap();
        says(folder.path(), &[], &["check", "--strict", "t.toml"], expected);
        let (_, printed) = run_in(folder.path(), &[], &["check", "t.toml"]);
        assert_eq!(printed.matches("error[").count(), 1, "{printed}");
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
