//! Files with a `[scope]`, and names of hours, dates and splits in the columns of a list.

use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::decision::Outcome;
use switchboard::domain::facts::Facts;
use switchboard::domain::party::Party;
use switchboard::reload;
use switchboard::rules::engine::explain::{Listed, explain};
use switchboard::rules::{CheckContext, LoadedTable, RuleSet};

use crate::rules::{codes_of, two_sources};

/// Writes files into a folder of the name `clients`, and loads their table.
fn load_files(files: &[(&str, &str)]) -> LoadedTable {
    load_files_in(files, &two_sources())
}

fn load_files_in(files: &[(&str, &str)], context: &CheckContext) -> LoadedTable {
    let folder = tempfile::tempdir().unwrap();
    let clients = folder.path().join("clients");
    std::fs::create_dir(&clients).unwrap();
    for (name, text) in files {
        std::fs::write(clients.join(name), text).unwrap();
    }
    reload::load(&clients, context, false, &mut |_| {}).expect("readable files")
}

#[track_caller]
fn table(files: &[(&str, &str)]) -> RuleSet {
    without_diagnostics(load_files(files))
}

#[track_caller]
fn without_diagnostics(loaded: LoadedTable) -> RuleSet {
    assert_eq!(codes_of(&loaded.report), [""; 0], "{}", loaded.report);
    loaded.table.expect("a table")
}

/// Returns the deciding rule and the agent of a call, with an explanation.
fn decide(table: &RuleSet, from: &str, to: &str, at: &str) -> (String, String) {
    let party = |text| Party::parse(Some(text)).party;
    let fields = Fields { from: party(from), to: party(to), ..Fields::unknown(Channel::Call) };
    let call = Call::synthetic("shop", Platform::new("retell"), fields);
    let facts = Facts::at(at.parse().expect("a time"));
    let explained = explain(table, &call, &facts, Listed::All).expect("index and scan agree");
    let rule = explained.decision.rule().unwrap_or("none").to_owned();
    let outcome = match explained.decision.outcome() {
        Outcome::Agent(agent) => format!("{rule}: {}", agent.name),
        Outcome::Reject(_) | Outcome::Transfer(_) | Outcome::Keep(_) => rule,
    };
    (outcome, explained.to_string())
}

#[track_caller]
fn check(table: &RuleSet, from: &str, to: &str, at: &str, expected: &str, reason: &str) {
    let (outcome, explained) = decide(table, from, to, at);
    assert_eq!(outcome, expected, "{explained}");
    assert!(explained.contains(reason), "{reason}: {explained}");
}

const NOON: &str = "2026-11-20T17:00:00Z";

#[test]
fn rules_of_a_file_take_only_calls_in_its_scope() {
    let table = table(&[
        (
            "1-acme.toml",
            "[scope]\nto = [\"+16175550104\", \"+16175550150\"]\n\
             [[rule]]\nname = \"emergency\"\nto = [\"+16175550150\", \"DE\"]\nkeep = true\n\
             [[rule]]\nname = \"acme\"\nkeep = true\n",
        ),
        ("9-everyone.toml", "[[rule]]\nname = \"everyone\"\nkeep = true\n"),
    ]);
    let outside = "to +4930901820 is outside the scope of clients/1-acme.toml";
    check(&table, "+12125550170", "+16175550150", NOON, "emergency", "");
    check(&table, "+12125550170", "+16175550104", NOON, "acme", "");
    check(&table, "+12125550170", "+4930901820", NOON, "everyone", outside);
    check(&table, "+12125550170", "anonymous", NOON, "everyone", "to withheld is outside");
}

#[test]
fn a_scope_has_each_key_and_explanations_name_it() {
    for (scope, reason) in [
        ("from = \"DE\"", "from +12125550170 is outside the scope of clients/1.toml"),
        ("source = \"clinic\"", "source shop is outside the scope of clients/1.toml"),
        ("platform = \"synthflow\"", "platform retell is outside the scope of clients/1.toml"),
        ("channel = \"sms\"", "channel call is outside the scope of clients/1.toml"),
        ("number_id = \"pn_1\"", "a call without number_id is outside the scope of clients/1.toml"),
    ] {
        let one = format!("[scope]\n{scope}\n[[rule]]\nname = \"one\"\nkeep = true\n");
        let everyone = "[[rule]]\nname = \"everyone\"\nkeep = true\n";
        // The platforms of the usual two sources send no ids of numbers.
        let sources_unknown = CheckContext::default();
        let loaded = load_files_in(&[("1.toml", &one), ("9.toml", everyone)], &sources_unknown);
        let table = without_diagnostics(loaded);
        check(&table, "+12125550170", "+12125550101", NOON, "everyone", reason);
    }
}

#[test]
fn a_test_without_a_key_has_the_only_value_of_the_scope() {
    table(&[
        (
            "1.toml",
            "[scope]\nto = \"+16175550104\"\nfrom = \"=client:jane\"\nsource = \"shop\"\nchannel = \"!call\"\n\
             [[rule]]\nname = \"one\"\nkeep = true\n\
             [[test]]\nname = \"one\"\nexpect = { rule = \"one\" }\n",
        ),
        (
            "2.toml",
            "[scope]\nplatform = \"synthflow\"\nto = [\"+16175550105\", \"+16175550106\"]\n\
             [[rule]]\nname = \"two\"\nkeep = true\n\
             [[test]]\nname = \"two\"\nto = \"+16175550106\"\nexpect = { rule = \"two\" }\n",
        ),
        ("9.toml", "[[rule]]\nname = \"everyone\"\nkeep = true\n"),
    ]);
}

#[test]
fn rules_use_the_columns_of_a_list_in_the_scope() {
    let table = table(&[
        ("clients.csv", "number,agent\n+16175550104,agent_vet\n"),
        (
            "1.toml",
            "[lists.acme]\nfile = \"clients.csv\"\n[scope]\nto = \"@acme\"\n\
             [[rule]]\nname = \"one\"\nagent = \"${acme.agent}\"\n",
        ),
        ("9.toml", "[[rule]]\nname = \"everyone\"\nkeep = true\n"),
    ]);
    check(&table, "+12125550170", "+16175550104", NOON, "one: agent_vet", "");
}

#[test]
fn a_rule_for_everyone_with_a_scope_is_not_for_everyone() {
    let loaded = load_files(&[(
        "1.toml",
        "[scope]\nto = \"+16175550104\"\n[[rule]]\nname = \"one\"\nkeep = true\n",
    )]);
    assert_eq!(codes_of(&loaded.report), ["no-rule-for-everyone"], "{}", loaded.report);
}

#[test]
fn an_invalid_scope_causes_no_further_diagnostics() {
    let loaded = load_files(&[(
        "1.toml",
        "[scope]\nto = [\"+16175550104\", \"+1617555010\"]\n\
         [[rule]]\nname = \"one\"\nto = \"+16175550105\"\nkeep = true\n\
         [[test]]\nname = \"one\"\nto = \"+16175550105\"\nexpect = { rule = \"one\" }\n",
    )]);
    assert_eq!(codes_of(&loaded.report), ["bad-number"], "{}", loaded.report);
}

#[test]
fn the_help_for_an_unscoped_rule_names_a_key_of_the_scopes() {
    let load = |shared: &str| {
        load_files(&[
            ("1-shared.toml", &format!("[[rule]]\nname = \"shared\"\n{shared}\nreject = true\n")),
            ("2.toml", "[scope]\nsource = \"shop\"\n[[rule]]\nname = \"one\"\nkeep = true\n"),
            ("9.toml", "[[rule]]\nname = \"everyone\"\nkeep = true\n"),
        ])
    };
    let report = load("to = \"+1900*\"").report;
    assert_eq!(codes_of(&report), ["unscoped-rule"], "{report}");
    assert!(report.to_string().contains("say for whom with `source`"), "{report}");
    let report = load("to = \"+1900*\"\nsource = [\"shop\", \"clinic\"]").report;
    assert_eq!(codes_of(&report), [""; 0], "{report}");
}

/// Returns the files of an agency with this many clients.
fn agency(clients: usize) -> Vec<(String, String)> {
    let client = |client: usize| {
        let number = format!("+1617555{client:04}");
        let rules = (0..20).map(|rule| {
            format!("[[rule]]\nname = \"{client}: {rule}\"\nfrom = \"+1212555{rule:04}\"\nagent = \"a{client}\"\n")
        });
        let text = format!(
            "[agents]\na{client} = \"agent_{client}\"\n[scope]\nto = \"{number}\"\n{}\
             [[rule]]\nname = \"{client}: others\"\nagent = \"a{client}\"\n\
             [[test]]\nname = \"{client}\"\nfrom = \"+12125550007\"\nexpect = {{ rule = \"{client}: 7\" }}\n",
            rules.collect::<String>(),
        );
        (format!("client-{client:02}.toml"), text)
    };
    let everyone = "[[rule]]\nname = \"everyone\"\nkeep = true\n".to_owned();
    let files = (0..clients).map(client);
    files.chain([("everyone.toml".to_owned(), everyone)]).collect()
}

#[test]
fn a_mistake_in_one_of_forty_files_is_reported_with_its_file_only() {
    let files = agency(40);
    let load = |files: &[(String, String)]| {
        let files: Vec<_> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        load_files(&files)
    };
    let loaded = load(&files);
    assert_eq!(codes_of(&loaded.report), [""; 0], "{}", loaded.report);
    for (from, to, code) in [
        ("from = \"+12125550003\"", "form = \"+12125550003\"", "unknown-key"),
        ("from = \"+12125550003\"", "to = \"+16175550022\"", "outside-scope"),
        ("from = \"+12125550003\"", "from = \"+1212555003\"", "bad-number"),
        ("from = \"+12125550007\"\nexpect", "to = \"+16175550018\"\nexpect", "outside-scope"),
        ("17: 7\" }", "17: 8\" }", "failing-test"),
        ("\"17: others\"", "\"17: others", "syntax"),
        ("to = \"+16175550017\"", "to = \"+16175550016\"", "overlapping-scopes"),
    ] {
        let mut files = files.clone();
        let changed = files[17].1.replacen(from, to, 1);
        assert_ne!(changed, files[17].1, "{from}");
        files[17].1 = changed;
        let report = load(&files).report;
        assert!(codes_of(&report).contains(&code), "{to}: {report}");
        for diagnostic in report.diagnostics() {
            let location = diagnostic.location.as_ref().expect("a location").to_string();
            assert!(location.contains("client-17.toml:"), "{to}: {report}");
        }
    }
}

const CLIENTS: &str = "number,hours,holidays,split\n\
    +16175550101,eastern,christmas,trial\n\
    +16175550102,pacific,,\n\
    +16175550103,,,\n";

fn client_rules(rules: &str) -> String {
    format!(
        "zone = \"America/New_York\"\n[lists.clients]\nfile = \"clients.csv\"\n\
         [hours.eastern]\nmon-fri = \"09:00-17:00\"\n\
         [hours.pacific]\nzone = \"America/Los_Angeles\"\nmon-fri = \"09:00-17:00\"\n\
         [dates.christmas]\ndays = [\"12-25\"]\n\
         [splits.trial]\narms = [{{ agent = \"a\", percent = 40.37 }}, {{ agent = \"b\", percent = 59.63 }}]\n\
         {rules}[[rule]]\nname = \"everyone\"\nkeep = true\n"
    )
}

/// Returns a table whose rules use `CLIENTS`. Each rule has the name of its place.
fn client_table(conditions: &[&str]) -> RuleSet {
    let rules = conditions.iter().zip('a'..).map(|(conditions, name)| {
        format!("[[rule]]\nname = \"{name}\"\nto = \"@clients\"\n{conditions}\n")
    });
    let text = client_rules(&rules.collect::<String>());
    let loaded = load_files(&[("clients.csv", CLIENTS), ("rules.toml", &text)]);
    loaded.table.unwrap_or_else(|| panic!("{}", loaded.report))
}

const CALLER: &str = "+16045550123";

#[test]
fn the_row_of_a_client_names_its_hours() {
    let table = client_table(&[
        "hours = \"!${clients.hours}\"\nkeep = true",
        "hours = [\"${clients.hours}\"]\nreject = true",
    ]);
    let ten_eastern = "2026-11-20T15:00:00Z";
    check(&table, CALLER, "+16175550101", ten_eastern, "b", "in the row of +16175550101");
    check(&table, CALLER, "+16175550102", ten_eastern, "a", "");
    check(&table, CALLER, "+16175550102", "2026-11-20T18:00:00Z", "b", "pacific is open");
    let none = "hours !${clients.hours}: the row of +16175550103 names none";
    check(&table, CALLER, "+16175550103", ten_eastern, "everyone", none);
    check(&table, CALLER, "+16175550199", ten_eastern, "everyone", "is not in @clients");
}

#[test]
fn the_row_of_a_client_names_its_dates() {
    let table = client_table(&[
        "dates = \"${clients.holidays}\"\nkeep = true",
        "dates = \"!${clients.holidays}\"\nreject = true",
    ]);
    check(&table, CALLER, "+16175550101", "2026-12-25T15:00:00Z", "a", "");
    let reason = "today is 2026-11-20, which is not in christmas (in the row of +16175550101)";
    check(&table, CALLER, "+16175550101", NOON, "b", reason);
    let none = "dates ${clients.holidays}: the row of +16175550102 names none";
    check(&table, CALLER, "+16175550102", "2026-12-25T15:00:00Z", "everyone", none);
}

#[test]
fn the_row_of_a_client_names_its_split() {
    // printf 'trial\n+16045550123' | sha256sum
    let table = client_table(&["split = \"${clients.split}\""]);
    let by_name = client_table(&["split = \"trial\""]);
    for caller in [CALLER, "+12125550170", "+12125550171", "+12125550172", "anonymous"] {
        let (of_row, _) = decide(&table, caller, "+16175550101", NOON);
        assert_eq!(of_row, decide(&by_name, caller, "+16175550102", NOON).0, "{caller}");
    }
    check(&table, "anonymous", "+16175550101", NOON, "a: a", "");
    let none = "split ${clients.split}: the row of +16175550102 names none";
    check(&table, CALLER, "+16175550102", NOON, "everyone", none);
    // The documented hash, by the key of the rule.
    let key = "split_key = \"try the new greeting\"";
    let keyed = client_table(&[&format!("split = \"${{clients.split}}\"\n{key}")]);
    check(&keyed, CALLER, "+16175550101", NOON, "a: b", "");
    let keyed = client_table(&[&format!("split = \"trial\"\n{key}")]);
    check(&keyed, CALLER, "+16175550101", NOON, "a: b", "");
}

#[test]
fn names_in_columns_count_as_used() {
    let text = client_rules(
        "[[rule]]\nname = \"one\"\nto = \"@clients\"\nhours = \"${clients.hours}\"\n\
         dates = \"${clients.holidays}\"\nsplit = \"${clients.split}\"\n",
    );
    let loaded = load_files(&[("clients.csv", CLIENTS), ("rules.toml", &text)]);
    assert_eq!(codes_of(&loaded.report), ["empty-cell"; 3], "{}", loaded.report);
    let fewer = CLIENTS.replace("pacific", "eastern");
    let loaded = load_files(&[("clients.csv", &fewer), ("rules.toml", &text)]);
    assert!(codes_of(&loaded.report).contains(&"unused-hours"), "{}", loaded.report);
}

#[test]
fn a_row_without_a_split_passes_a_rule_that_would_cover_later_ones() {
    let table = client_table(&["split = \"${clients.split}\"", "keep = true"]);
    check(&table, CALLER, "+16175550102", NOON, "b", "");
    let text = "[scope]\nto = \"+16175550104\"\n[[rule]]\nname = \"one\"\nkeep = true\n";
    let single = switchboard::rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
    assert!(single.table.is_some(), "a scope is allowed in a table of one file");
}
