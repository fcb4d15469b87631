//! The schemas for editors: the committed files are what the program prints, and they take and
//! refuse what the readers take and refuse.

use std::collections::BTreeSet;
use std::process::Command;

use jsonschema::Validator;
use serde_json::{Map, Value};
use switchboard::diagnostics::{Report, Severity};
use switchboard::rules;
use switchboard::rules::CheckContext;
use switchboard::schema;
use switchboard::settings;
use switchboard::settings::{Inputs, Purpose};
use toml::de::{DeTable, DeValue};

use crate::support::app;

/// Mistakes of form: what a schema can see as well as the reader.
const OF_FORM: [&str; 11] = [
    "unknown-key",
    "missing-key",
    "wrong-kind",
    "empty-list",
    "no-name",
    "one-outcome",
    "unknown-channel",
    "unknown-platform",
    "empty-id",
    "delay-too-long",
    "inline-secret",
];

fn text_of(file: &str) -> String {
    std::fs::read_to_string(app::root().join(file)).expect("a file of the repository")
}

// ---- TOML, as an editor hands it to a validator

#[track_caller]
fn json(toml: &str) -> Value {
    let table = DeTable::parse(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    object(table.get_ref())
}

fn object(table: &DeTable<'_>) -> Value {
    let entries =
        table.iter().map(|(key, item)| (key.get_ref().to_string(), value(item.get_ref())));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn value(item: &DeValue<'_>) -> Value {
    match item {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(boolean) => (*boolean).into(),
        DeValue::Datetime(at) => at.to_string().into(),
        DeValue::Array(list) => list.iter().map(|item| value(item.get_ref())).collect(),
        DeValue::Table(table) => object(table),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).expect("a small number").into()
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().expect("a number").into(),
    }
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::new(schema).unwrap_or_else(|error| panic!("{error}"))
}

/// Where the schema sees a mistake, with what it says of it: `/rule/0/from: …`.
fn told(validator: &Validator, toml: &str) -> Vec<String> {
    let instance = json(toml);
    let errors = validator.iter_errors(&instance);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[track_caller]
fn taken(validator: &Validator, toml: &str) {
    let told = told(validator, toml);
    assert!(told.is_empty(), "{told:#?}\n{toml}");
}

#[track_caller]
fn refused(validator: &Validator, toml: &str, place: &str) {
    let told = told(validator, toml);
    let there = |line: &String| line.split_once(": ").is_some_and(|(at, _)| at == place);
    assert!(told.iter().any(there), "nothing is wrong at {place:?}: {told:#?}\n{toml}");
}

// ---- what is committed, and what is shipped

#[test]
fn the_committed_schemas_are_what_the_program_prints() {
    for of in ["rules", "settings"] {
        let printed = Command::new(env!("CARGO_BIN_EXE_switchboard")).args(["schema", of]).output();
        let printed = printed.expect("it starts");
        assert_eq!(printed.status.code(), Some(0));
        let file = format!("config/schema/{of}.json");
        assert!(
            printed.stdout == text_of(&file).into_bytes(),
            "{file} is old: cargo run -- schema {of} > {file}"
        );
    }
}

#[test]
fn the_schemas_are_schemas() {
    for schema in [schema::rules(), schema::settings()] {
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_key_is_explained() {
    fn look(path: &str, schema: &Value, found: &mut Vec<String>) {
        for (key, value) in
            schema.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let path = format!("{path}.{key}");
            if value["description"].as_str().is_none_or(str::is_empty) {
                found.push(path.clone());
            }
            look(&path, value, found);
        }
        for deeper in ["items", "additionalProperties"] {
            if let Some(deeper) = schema.get(deeper) {
                look(path, deeper, found);
            }
        }
    }
    let mut found = Vec::new();
    look("rules", &schema::rules(), &mut found);
    look("settings", &schema::settings(), &mut found);
    assert!(found.is_empty(), "not explained: {found:?}");
}

#[test]
fn the_shipped_files_name_their_schema_and_fit_it() {
    let mut seen = BTreeSet::new();
    for file in std::fs::read_dir(app::root().join("config")).expect("config/") {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".toml") else { continue };
        let (of, schema) = if stem.starts_with("rules") {
            ("rules", schema::rules())
        } else {
            ("settings", schema::settings())
        };
        let text = text_of(&format!("config/{name}"));
        let first = format!("#:schema ./schema/{of}.json");
        assert_eq!(text.lines().next(), Some(&*first), "config/{name}");
        taken(&validator(&schema), &text);
        seen.insert(stem.to_owned());
    }
    let expected = ["default", "rules", "switchboard"].map(str::to_owned);
    assert!(seen.is_superset(&expected.into()), "{seen:?}");
}

// ---- the documentation: what the readers take the schemas take, what is wrong in form they refuse

fn blocks(file: &str) -> Vec<String> {
    let text = text_of(file);
    let blocks = text.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
    blocks.map(str::to_owned).collect()
}

fn read_rules(text: &str) -> Report {
    rules::parse("config/rules.toml", text.to_owned(), &CheckContext::default()).report
}

fn read_settings(text: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    std::fs::write(&file, text).unwrap();
    let ingredients =
        Inputs { file: Some(file), environment: [].into(), purpose: Purpose::Inspect };
    settings::load(&ingredients).expect("a readable file").report
}

/// Returns how many blocks were taken, and how many refused.
#[track_caller]
fn agree(schema: &Value, blocks: &[String], read: fn(&str) -> Report) -> (usize, usize) {
    let validator = validator(schema);
    let (mut good, mut bad) = (0, 0);
    for block in blocks {
        let report = read(block);
        let errors = report.mistakes().iter().filter(|told| told.severity == Severity::Error);
        let codes: Vec<_> = errors.map(|mistake| mistake.code).collect();
        if codes.is_empty() {
            taken(&validator, block);
            good += 1;
        } else if codes.iter().any(|code| OF_FORM.contains(code)) {
            let told = told(&validator, block);
            assert!(!told.is_empty(), "{codes:?}, and the schema takes it:\n{block}");
            bad += 1;
        }
    }
    (good, bad)
}

#[test]
fn the_schema_of_the_rules_and_the_reader_agree_on_the_documentation() {
    let is_a_table = |block: &String| block.contains("[[rule]]");
    let readme: Vec<_> = blocks("README.md").into_iter().filter(is_a_table).collect();
    let (good, bad) = agree(&schema::rules(), &readme, read_rules);
    assert!(good > 0 && bad == 0);
    let docs = ["docs/rules.md", "docs/errors.md"].into_iter().flat_map(blocks);
    let docs: Vec<_> = docs.filter(is_a_table).collect();
    let (good, bad) = agree(&schema::rules(), &docs, read_rules);
    assert!(good > 20 && bad > 5, "{good} taken, {bad} refused");
}

#[test]
fn the_schema_of_the_settings_and_the_reader_agree_on_the_documentation() {
    let (good, bad) = agree(&schema::settings(), &blocks("docs/settings.md"), read_settings);
    assert!(good > 10 && bad > 3, "{good} taken, {bad} refused");
}

// ---- the keys

/// The keys that the reader names when it meets one that it does not know.
#[track_caller]
fn known(report: &Report, of: &str) -> BTreeSet<String> {
    let unknown = report.mistakes().iter().filter(|mistake| mistake.code == "unknown-key");
    let helps: Vec<_> = unknown.filter_map(|mistake| mistake.help.as_deref()).collect();
    let [help] = helps.as_slice() else { panic!("{helps:?}\n{report}") };
    let keys = help.strip_prefix(of).unwrap_or_else(|| panic!("{help:?}"));
    keys.trim().split(", ").map(str::to_owned).collect()
}

fn keys(schema: &Value) -> BTreeSet<String> {
    schema["properties"].as_object().expect("a table").keys().cloned().collect()
}

#[track_caller]
fn same_keys(schema: &Value, reader: &BTreeSet<String>) {
    assert_eq!(keys(schema), *reader);
}

#[test]
fn the_schema_of_the_rules_has_the_keys_that_the_reader_knows() {
    let schema = schema::rules();
    let table = read_rules("[[rule]]\nname = \"a\"\nkeep = true\n[zzzzzzzz]\n");
    same_keys(&schema, &known(&table, "a table has "));
    let rule = read_rules("[[rule]]\nname = \"a\"\nkeep = true\nzzzzzzzz = 1\n");
    let of_a_rule = &schema["properties"]["rule"]["items"];
    same_keys(of_a_rule, &known(&rule, "a rule has "));
}

#[test]
fn the_schema_of_the_settings_has_the_keys_that_the_reader_knows() {
    const SOURCE: &str = "[sources.a]\nplatform = \"retell\"\nsecrets = [\"env:A\"]\n";
    let schema = schema::settings();
    let root = read_settings(&format!("zzzzzzzz = 1\n{SOURCE}"));
    let sections = known(&root, "there are ");
    same_keys(&schema, &sections);
    for section in sections.iter().filter(|section| *section != "sources") {
        let report = read_settings(&format!("[{section}]\nzzzzzzzz = 1\n{SOURCE}"));
        same_keys(&schema["properties"][section], &known(&report, "there are "));
    }
    let source = read_settings(&format!("{SOURCE}zzzzzzzz = 1\n"));
    let of_a_source = &schema["properties"]["sources"]["additionalProperties"];
    same_keys(of_a_source, &known(&source, "there are "));
}

#[test]
fn the_defaults_are_those_of_the_shipped_file() {
    let schema = schema::settings();
    let shipped = json(settings::DEFAULTS);
    let shipped = shipped.as_object().expect("a table").iter();
    for (section, values) in shipped {
        for (key, value) in values.as_object().expect("a section") {
            let said = &schema["properties"][section]["properties"][key]["default"];
            assert_eq!(said, value, "[{section}] {key}");
        }
    }
    // A source has none in force; what it would have stands in comments.
    let comments = settings::DEFAULTS.lines().skip_while(|line| !line.contains("# [sources."));
    let comments: Vec<_> = comments.map_while(|line| line.strip_prefix("# ")).collect();
    let source = &json(&comments.join("\n"))["sources"]["retell"];
    let of_a_source = &schema["properties"]["sources"]["additionalProperties"]["properties"];
    for (key, value) in of_a_source.as_object().expect("keys") {
        if let Some(default) = value.get("default") {
            assert_eq!(&source[key], default, "[sources.NAME] {key}");
        }
    }
}

// ---- what is taken

#[test]
fn a_table_with_every_key_is_taken() {
    taken(
        &validator(&schema::rules()),
        r#"
        zone = "America/New_York"
        [agents]
        concierge = "agent_1"
        front-desk = { retell = "agent_2", version = 3, synthflow = "1716a" }
        night = { retell = "agent_3", version = "latest" }
        [lists.vip]
        numbers = ["+12137771234", "+4930901820*"]
        [lists.stores]
        file = "stores.csv"
        [lists.customers]
        file = "customers.csv"
        column = "phone"
        [dates.us-holidays]
        days = ["01-01", "3rd mon of jan", "easter-2", 2026-12-28]
        [hours.office]
        mon-fri = "09:00-12:30, 13:30-18:00"
        saturday = ["10:00-14:00"]
        Sat-SUN = "10:00-14:00"
        "wed - Friday" = "10:00-14:00"
        zone = "Europe/Berlin"
        closed = "us-holidays"
        open = { "2026-12-24" = "09:00-12:00", "2026-12-31" = ["09:00-12:00"] }
        [hours.desk]
        mon = "09:00-17:00"
        closed = ["us-holidays"]

        [[rule]]
        name = "everything"
        to = "+12135550100"
        from = ["US", "!+1907*", "@vip"]
        channel = ["call", "!sms"]
        platform = "!synthflow"
        source = "retell"
        hours = "!office"
        dates = ["us-holidays"]
        where = { "stores.city" = ["Berlin", 3, true], "history.calls_1h" = ">= 6", "crm.age" = 7.5 }
        enabled = false
        split = [{ agent = "concierge", percent = 99.5 }, { agent = "night", percent = 0.5 }]
        split_key = "the old name"
        variables = { tier = "gold", desk = 1, known = true }
        metadata = { desk = 1, deep = { list = [1, "two", { three = 3.0 }] } }
        agent_override = { agent = { voice_speed = 1.2 } }
        delay_ms = 8000
        [[rule]]
        name = "why"
        reject = "blocklist"
        [[rule]]
        name = "just so"
        reject = true
        [[rule]]
        name = "adds"
        continue = true
        [[rule]]
        name = "takes"
        agent = "concierge"
        [[rule]]
        name = "keeps"
        keep = true

        [[test]]
        name = "all of it"
        from = "+12137771234"
        to = "+12135550100"
        channel = "call"
        platform = "retell"
        source = "retell"
        at = "2026-12-25 00:10"
        sip = { x-tier = "gold" }
        [test.expect]
        rule = "everything"
        agent = "concierge"
        outcome = "agent"
        variables = { tier = "gold" }
        metadata = { desk = 1 }
        agent_override = { agent = { voice_speed = 1.2 } }
        delay_ms = 8000
        [[test]]
        name = "by the clock"
        at = 2026-12-25T00:10:00
        expect = { reject = "blocklist", outcome = "reject" }
        [[test]]
        name = "kept"
        expect = { keep = true }
        "#,
    );
}

#[test]
fn settings_with_every_key_are_taken() {
    taken(
        &validator(&schema::settings()),
        r#"
        [server]
        listen = "[::]:8080"
        request_timeout_ms = 1
        header_timeout_ms = 75_000
        max_connections = 10
        max_in_flight = 10
        shutdown_grace_ms = 9500
        trusted_proxies = "10.0.0.0/8"
        [admin]
        listen = "0.0.0.0:9090"
        token = "file:/run/secrets/admin"
        [rules]
        path = "rules"
        poll_ms = 0
        [records]
        url = "postgres://me@127.0.0.1:5433/records?sslmode=require"
        retain_days = 36_500
        numbers = "hashed"
        hash_key = "env:HASH_KEY"
        wait = "commit"
        stamp = true
        [log]
        level = "info,hyper=debug"
        format = "pretty"
        [sources.a-b_C1]
        platform = "synthflow"
        secrets = "env:ONE"
        auth = "observe"
        url_token = "env:TOKEN"
        allow_from = ["100.20.5.228", "10.0.0.0/8"]
        reply_within_ms = 9000
        fallback = "concierge"
        [sources.other]
        platform = "retell"
        secrets = ["env:ONE", "file:two"]
        "#,
    );
}

#[test]
fn a_place_for_records_is_taken_and_refused_as_the_reader_does() {
    const SOURCE: &str = "[sources.a]\nplatform = \"retell\"\nsecrets = [\"env:A\"]\n";
    let validator = validator(&schema::settings());
    for url in [
        "off",
        "memory:",
        "memory://",
        "sqlite:a.db",
        "sqlite:///var/lib/a.db",
        "postgres://db",
        "postgresql://me@db/records",
        "postgres:///records?host=/run/pg&user=a@b",
        "env:DATABASE_URL",
        "file:/run/secrets/url",
        "",
        "of",
        "memory",
        "sqlite:",
        "sqlite://",
        "sqlite:data/",
        "sqlite:a.db?mode=rwc",
        "postgres://",
        "postgres:db",
        "postgres://u:p@db/records",
        "mysql://db",
        "env:1",
        "file:",
    ] {
        let text = format!("[records]\nurl = \"{url}\"\n{SOURCE}");
        let read = read_settings(&text);
        assert_eq!(told(&validator, &text).is_empty(), read.errors() == 0, "{url}\n{read}");
    }
}

// ---- what is refused, and where

#[test]
fn a_table_with_a_mistake_of_form_is_refused() {
    let validator = validator(&schema::rules());
    let table = |lines: &str| format!("{lines}\n[[rule]]\nname = \"a\"\nkeep = true\n");
    let rule = |lines: &str| format!("[[rule]]\nname = \"a\"\n{lines}\n");
    let test = |lines: &str| format!("[[test]]\nname = \"a\"\n{lines}\n");
    taken(&validator, &table(""));
    for (lines, place) in [
        ("zones = \"Europe/Berlin\"", ""),
        ("zone = 1", "/zone"),
        ("agents = \"agent_1\"", "/agents"),
        ("[agents]\ndesk = 1", "/agents/desk"),
        ("[agents]\ndesk = \"\"", "/agents/desk"),
        ("[agents]\ndesk = {}", "/agents/desk"),
        ("[agents]\ndesk = { retel = \"agent_1\" }", "/agents/desk"),
        ("[agents]\ndesk = { synthflow = 1716 }", "/agents/desk/synthflow"),
        ("[agents]\ndesk = { retell = \"a\", version = 1.5 }", "/agents/desk/version"),
        ("[lists]\nvip = [\"+12137771234\"]", "/lists/vip"),
        ("[lists.vip]", "/lists/vip"),
        ("[lists.vip]\nnumber = [\"+12137771234\"]", "/lists/vip"),
        ("[lists.vip]\nnumbers = [12137771234]", "/lists/vip/numbers/0"),
        ("[lists.vip]\nnumbers = []\nfile = \"vip.csv\"", "/lists/vip"),
        ("[lists.vip]\nnumbers = []\ncolumn = \"phone\"", "/lists/vip"),
        ("[lists.vip]\nnumbers = []\nfile = \"vip.csv\"\ncolumn = \"phone\"", "/lists/vip"),
        ("[dates]\nholidays = [\"12-25\"]", "/dates/holidays"),
        ("[dates.holidays]\ndays = \"12-25\"", "/dates/holidays/days"),
        ("[dates.holidays]", "/dates/holidays"),
        ("[hours.office]\nmon-frei = \"09:00-12:00\"", "/hours/office"),
        ("[hours.office]\nmon-fri = 9", "/hours/office/mon-fri"),
        ("[hours.office]\nmon-thu = []", "/hours/office/mon-thu"),
        ("[hours.office]\nmon = [9]", "/hours/office/mon/0"),
        ("[hours.office]\nopen = \"2026-12-24\"", "/hours/office/open"),
        ("[hours.office]\nclosed = 1", "/hours/office/closed"),
    ] {
        refused(&validator, &table(lines), place);
    }
    taken(&validator, &rule("keep = true"));
    for (lines, place) in [
        ("keep = true\nform = \"DE\"", "/rule/0"),
        ("keep = true\nto = 12137771234", "/rule/0/to"),
        ("keep = true\nfrom = []", "/rule/0/from"),
        ("keep = true\nfrom = [1]", "/rule/0/from/0"),
        ("keep = true\nchannel = \"chat\"", "/rule/0/channel"),
        ("keep = true\nplatform = [\"retel\"]", "/rule/0/platform"),
        ("keep = true\nsource = true", "/rule/0/source"),
        ("keep = true\nhours = { office = true }", "/rule/0/hours"),
        ("keep = true\ndates = []", "/rule/0/dates"),
        ("keep = true\nwhere = \"crm.tier = gold\"", "/rule/0/where"),
        ("keep = true\nwhere = { \"crm.tier\" = { is = { x = 1 } } }", "/rule/0/where/crm.tier"),
        ("keep = true\nenabled = \"no\"", "/rule/0/enabled"),
        ("keep = true\nvariables = [\"tier\"]", "/rule/0/variables"),
        ("keep = true\nvariables = { tier = [\"gold\"] }", "/rule/0/variables/tier"),
        ("keep = true\nmetadata = \"desk\"", "/rule/0/metadata"),
        ("keep = true\nagent_override = []", "/rule/0/agent_override"),
        ("keep = true\ndelay_ms = 8001", "/rule/0/delay_ms"),
        ("keep = true\ndelay_ms = -1", "/rule/0/delay_ms"),
        ("keep = true\ndelay_ms = 1.5", "/rule/0/delay_ms"),
        ("", "/rule/0"),
        ("keep = true\nreject = true", "/rule/0"),
        ("keep = false", "/rule/0/keep"),
        ("continue = \"yes\"", "/rule/0/continue"),
        ("reject = false", "/rule/0/reject"),
        ("reject = 1", "/rule/0/reject"),
        ("agent = 1", "/rule/0/agent"),
        ("agent = \"\"", "/rule/0/agent"),
        ("split = []", "/rule/0/split"),
        ("split = { agent = \"a\", percent = 100 }", "/rule/0/split"),
        ("split = [{ agent = \"a\", percent = 101 }]", "/rule/0/split/0/percent"),
        ("split = [{ agent = \"a\", percent = \"100\" }]", "/rule/0/split/0/percent"),
        ("split = [{ agent = \"a\" }]", "/rule/0/split/0"),
        ("split = [{ agent = \"a\", percent = 1, name = \"b\" }]", "/rule/0/split/0"),
    ] {
        refused(&validator, &rule(lines), place);
    }
    refused(&validator, "[[rule]]\nkeep = true\n", "/rule/0");
    refused(&validator, "[[rule]]\nname = \"\"\nkeep = true\n", "/rule/0/name");
    refused(&validator, "[rule]\nname = \"a\"\nkeep = true\n", "/rule");
    taken(&validator, &test("expect = { keep = true }"));
    for (lines, place) in [
        ("", "/test/0"),
        ("expect = \"vip\"", "/test/0/expect"),
        ("expect = {}\nform = \"withheld\"", "/test/0"),
        ("expect = {}\nfrom = [\"withheld\"]", "/test/0/from"),
        ("expect = {}\nchannel = \"!sms\"", "/test/0/channel"),
        ("expect = {}\nat = 9", "/test/0/at"),
        ("expect = {}\nsip = { x-tier = 1 }", "/test/0/sip/x-tier"),
        ("expect = { agents = \"a\" }", "/test/0/expect"),
        ("expect = { outcome = \"continue\" }", "/test/0/expect/outcome"),
        ("expect = { keep = false }", "/test/0/expect/keep"),
        ("expect = { variables = { desk = 1 } }", "/test/0/expect/variables/desk"),
        ("expect = { delay_ms = \"1\" }", "/test/0/expect/delay_ms"),
    ] {
        refused(&validator, &test(lines), place);
    }
}

#[test]
fn settings_with_a_mistake_of_form_are_refused() {
    let validator = validator(&schema::settings());
    let source = |lines: &str| format!("[sources.a]\nplatform = \"retell\"\n{lines}\n");
    taken(&validator, &source(""));
    for (text, place) in [
        ("sever = {}", ""),
        ("log = \"info\"", "/log"),
        ("[server]\nlisen = \"127.0.0.1:8080\"", "/server"),
        ("[server]\nlisten = 8080", "/server/listen"),
        ("[server]\nmax_in_flight = 0", "/server/max_in_flight"),
        ("[server]\nrequest_timeout_ms = 1.5", "/server/request_timeout_ms"),
        ("[server]\ntrusted_proxies = [10]", "/server/trusted_proxies/0"),
        ("[admin]\ntoken = \"letmein\"", "/admin/token"),
        ("[rules]\npath = [\"a\"]", "/rules/path"),
        ("[rules]\npoll_ms = -1", "/rules/poll_ms"),
        ("[records]\nurl = \"data/switchboard.db\"", "/records/url"),
        ("[records]\nurl = true", "/records/url"),
        ("[records]\nretain_days = 0", "/records/retain_days"),
        ("[records]\nretain_days = 36501", "/records/retain_days"),
        ("[records]\nnumbers = \"some\"", "/records/numbers"),
        ("[records]\nhash_key = \"0123456789abcdef\"", "/records/hash_key"),
        ("[records]\nwait = true", "/records/wait"),
        ("[records]\nstamp = \"yes\"", "/records/stamp"),
        ("[log]\nformat = \"text\"", "/log/format"),
        ("[sources.a]", "/sources/a"),
        ("[sources.a]\nplatform = \"retel\"", "/sources/a/platform"),
    ] {
        refused(&validator, text, place);
    }
    for (lines, place) in [
        ("secret = \"env:A\"", "/sources/a"),
        ("secrets = [\"key_0123456789abcdef\"]", "/sources/a/secrets/0"),
        ("secrets = \"key_0123456789abcdef\"", "/sources/a/secrets"),
        ("url_token = \"env:1\"", "/sources/a/url_token"),
        ("auth = \"on\"", "/sources/a/auth"),
        ("auth = true", "/sources/a/auth"),
        ("allow_from = 10", "/sources/a/allow_from"),
        ("reply_within_ms = 9001", "/sources/a/reply_within_ms"),
        ("fallback = \"\"", "/sources/a/fallback"),
    ] {
        refused(&validator, &source(lines), place);
    }
    refused(&validator, "[sources.\"a/b\"]\nplatform = \"retell\"\n", "/sources");
}
