//! JSON Schemas for editors, and the reference of keys in the documentation: the committed files are
//! up to date, and the schemas accept and reject what the readers accept and reject.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Map, Value};
use switchboard::rules;
use switchboard::settings;
use switchboard::settings::{Inputs, Purpose};
use toml::de::{DeTable, DeValue};

use crate::support::app;
use crate::support::program::run;

fn read_file(path: &str) -> String {
    std::fs::read_to_string(app::root().join(path)).expect("a file of the repository")
}

// ---- TOML, as an editor passes it to a validator

#[track_caller]
fn to_json(toml: &str) -> Value {
    let table = DeTable::parse(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    table_to_json(table.get_ref())
}

fn table_to_json(table: &DeTable<'_>) -> Value {
    let entries =
        table.iter().map(|(key, item)| (key.get_ref().to_string(), value_to_json(item.get_ref())));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn value_to_json(item: &DeValue<'_>) -> Value {
    match item {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(boolean) => (*boolean).into(),
        DeValue::Datetime(at) => at.to_string().into(),
        DeValue::Array(list) => list.iter().map(|item| value_to_json(item.get_ref())).collect(),
        DeValue::Table(table) => table_to_json(table),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).expect("a small number").into()
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().expect("a number").into(),
    }
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::new(schema).unwrap_or_else(|error| panic!("{error}"))
}

/// Errors of the schema, each with its location: `/rule/0/from: …`.
fn errors(validator: &Validator, toml: &str) -> Vec<String> {
    let instance = to_json(toml);
    let errors = validator.iter_errors(&instance);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[track_caller]
fn accepts(validator: &Validator, toml: &str) {
    let errors = errors(validator, toml);
    assert!(errors.is_empty(), "{errors:#?}\n{toml}");
}

#[track_caller]
fn rejects(validator: &Validator, toml: &str, location: &str) {
    let errors = errors(validator, toml);
    let is_there = |line: &String| line.split_once(": ").is_some_and(|(at, _)| at == location);
    assert!(errors.iter().any(is_there), "no error at {location:?}: {errors:#?}\n{toml}");
}

// ---- committed and shipped files

/// Rewrites generated files in place of comparing them.
fn update() -> bool {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the tests sets it")]
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn the_committed_schemas_are_up_to_date() {
    for name in ["rules", "settings"] {
        let printed = run(&["schema", name]);
        assert_eq!(printed.status.code(), Some(0));
        let file = format!("config/schema/{name}.json");
        if update() {
            std::fs::write(app::root().join(&file), &printed.stdout).unwrap();
        }
        assert!(
            printed.stdout == read_file(&file).into_bytes(),
            "{file} is old: cargo run -- schema {name} > {file}"
        );
    }
}

#[test]
fn the_schemas_are_valid_json_schemas() {
    for schema in [rules::json_schema(), settings::json_schema()] {
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Keys without a description.
fn undocumented(path: &str, schema: &Value, found: &mut Vec<String>) {
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        if value["description"].as_str().is_none_or(str::is_empty) {
            found.push(path.clone());
        }
        undocumented(&path, value, found);
    }
    let inner = ["items", "additionalProperties"].into_iter().filter_map(|word| schema.get(word));
    inner.for_each(|inner| undocumented(path, inner, found));
}

#[test]
fn every_key_has_a_description() {
    let mut found = Vec::new();
    undocumented("rules", &rules::json_schema(), &mut found);
    undocumented("settings", &settings::json_schema(), &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_shipped_files_match_their_schema() {
    let mut seen = BTreeSet::new();
    for file in std::fs::read_dir(app::root().join("config")).expect("config/") {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".toml") else { continue };
        let (kind, schema) = if stem.starts_with("rules") {
            ("rules", rules::json_schema())
        } else {
            ("settings", settings::json_schema())
        };
        let text = read_file(&format!("config/{name}"));
        let first = format!("#:schema ./schema/{kind}.json");
        assert_eq!(text.lines().next(), Some(&*first), "config/{name}");
        accepts(&validator(&schema), &text);
        seen.insert(stem.to_owned());
    }
    let expected = ["default", "rules", "switchboard"].map(str::to_owned);
    assert!(seen.is_superset(&expected.into()), "{seen:?}");
}

// ---- reference of keys in the documentation

/// Tables in `docs/rules.md`, by the name in `<!-- keys: NAME -->`, with their place in the schema.
const RULES: [(&str, &str); 10] = [
    ("rules", ""),
    ("scope", "/properties/scope"),
    ("list", "/properties/lists/additionalProperties"),
    ("dates", "/properties/dates/additionalProperties"),
    ("hours", "/properties/hours/additionalProperties"),
    ("lookup", "/properties/lookup/additionalProperties"),
    ("splits", "/properties/splits/additionalProperties"),
    ("rule", "/properties/rule/items"),
    ("test", "/properties/test/items"),
    ("expect", "/properties/test/items/properties/expect"),
];

/// The same for `docs/settings.md`.
const SETTINGS: [(&str, &str); 12] = [
    ("server", "/properties/server"),
    ("admin", "/properties/admin"),
    ("rules", "/properties/rules"),
    ("records", "/properties/records"),
    ("log", "/properties/log"),
    ("traces", "/properties/traces"),
    ("platform", "/properties/platforms/additionalProperties"),
    ("match", "/properties/platforms/additionalProperties/properties/when"),
    ("reply", "/properties/platforms/additionalProperties/properties/reply"),
    ("variables", "/properties/platforms/additionalProperties/properties/variables"),
    ("source", "/properties/sources/additionalProperties"),
    ("signature", "/properties/sources/additionalProperties/properties/signature"),
];

/// Describes the type of a value: `string or list of strings`, `integer, 1 to 36500`.
fn type_words(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let words = values.iter().map(|value| format!("`{value}`"));
        return words.collect::<Vec<_>>().join(", ");
    }
    if let Some(alternatives) = schema["anyOf"].as_array().filter(|_| schema["type"].is_null()) {
        return alternatives.iter().map(type_words).collect::<Vec<_>>().join(", or ");
    }
    let names =
        schema["type"].as_array().map_or(std::slice::from_ref(&schema["type"]), |names| names);
    let words =
        names.iter().filter_map(Value::as_str).map(|name| match (name, &schema["items"]["enum"]) {
            ("object", _) => "table".to_owned(),
            ("array", Value::Null) => {
                let items = type_words(&schema["items"]);
                format!("list of {}s", items.replace(" or ", "s or "))
            }
            ("array", _) => "a list of them".to_owned(),
            (name, _) => name.to_owned(),
        });
    let words = words.collect::<Vec<_>>().join(" or ");
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, _) => words,
        (least, most) => format!("{words}, {least} to {most}"),
    }
}

/// Returns the keys of a table as a Markdown table.
fn reference(schema: &Value) -> String {
    let mut table = "| key | type | default | description |\n|---|---|---|---|\n".to_owned();
    for (name, key) in schema["properties"].as_object().expect("keys") {
        // Only completion in editors needs the single weekdays.
        if key["type"].is_null() && key["anyOf"].is_null() {
            continue;
        }
        let required = schema["required"].as_array();
        let is_required = required.is_some_and(|names| names.contains(&name.as_str().into()));
        let default = match key.get("default") {
            Some(default) => format!("`{default}`"),
            None if is_required => "required".to_owned(),
            None => String::new(),
        };
        let description = key["description"].as_str().unwrap_or_default().to_owned();
        let cells = [format!("`{name}`"), type_words(key), default, description];
        let cells = cells.map(|cell| cell.replace('|', "\\|").replace("\n\n", "<br>"));
        table.push_str(&format!("| {} |\n", cells.join(" | ")).replace("|  |", "| |"));
    }
    table
}

#[track_caller]
fn check_reference(file: &str, schema: &Value, tables: &[(&str, &str)]) {
    let mut text = read_file(file);
    for (name, pointer) in tables {
        let (begin, end) = (format!("<!-- keys: {name} -->\n"), "<!-- end of keys -->");
        let expected = reference(schema.pointer(pointer).expect("a table"));
        let start = text.find(&begin).unwrap_or_else(|| panic!("{file} lacks {begin}"));
        let start = start + begin.len();
        let length = text[start..].find(end).unwrap_or_else(|| panic!("{file} lacks {end}"));
        if update() {
            text.replace_range(start..start + length, &expected);
            std::fs::write(app::root().join(file), &text).unwrap();
            continue;
        }
        let advice = "UPDATE_GOLDEN=1 cargo test reference";
        assert_eq!(text[start..start + length], expected, "{file}, {name}: {advice}");
    }
}

/// Tables of the rules that the documentation describes in words: the ids of agents are one key a platform.
const IN_WORDS: [&str; 3] = [
    "/properties/agents/additionalProperties",
    "/properties/rule/items/properties/split/items",
    "/properties/splits/additionalProperties/properties/arms/items",
];

/// Places of the tables in a schema.
fn tables(schema: &Value, place: &str, found: &mut BTreeSet<String>) {
    if schema["properties"].is_object() {
        found.insert(place.to_owned());
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        tables(inner, &format!("{place}/properties/{key}"), found);
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() {
            tables(&schema[key], &format!("{place}/{key}"), found);
        }
    }
}

#[test]
fn the_documentation_has_a_reference_of_every_table_of_the_rules() {
    let mut found = BTreeSet::new();
    tables(&rules::json_schema(), "", &mut found);
    let places = RULES.iter().map(|(_, place)| *place).chain(IN_WORDS);
    assert_eq!(found, places.map(str::to_owned).collect());
}

#[test]
fn the_reference_in_the_documentation_is_up_to_date() {
    check_reference("docs/rules.md", &rules::json_schema(), &RULES);
    check_reference("docs/settings.md", &settings::json_schema(), &SETTINGS);
}

// ---- accepted

#[test]
fn a_rule_table_with_every_key_is_valid() {
    accepts(
        &validator(&rules::json_schema()),
        r#"
        zone = "America/New_York"
        [agents]
        concierge = "agent_1"
        front-desk = { retell = "agent_2", version = 3, synthflow = "1716a" }
        night = { retell = "agent_3", version = "latest", variables = ["customer_name"] }
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
        number_id = ["pn_1", "!pn_2"]
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
        say = "Hello"
        sip_headers = { X-Tier = "gold" }
        unsupported = "keep"
        [[rule]]
        name = "elsewhere"
        transfer = "+12135550199"
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
        number_id = "pn_1"
        attr = { plan = "gold" }
        [test.expect]
        rule = "everything"
        agent = "concierge"
        outcome = "agent"
        variables = { tier = "gold" }
        metadata = { desk = 1 }
        agent_override = { agent = { voice_speed = 1.2 } }
        delay_ms = 8000
        say = "Hello"
        sip_headers = { X-Tier = "gold" }
        [[test]]
        name = "elsewhere"
        expect = { transfer = "+12135550199", outcome = "transfer" }
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
fn settings_with_every_key_are_valid() {
    accepts(
        &validator(&settings::json_schema()),
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
fn the_schema_and_the_reader_agree_on_the_url_of_records() {
    const SOURCE: &str = "[sources.a]\nplatform = \"retell\"\nsecrets = [\"env:A\"]\n";
    let validator = validator(&settings::json_schema());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    let inputs =
        Inputs { file: Some(file.clone()), environment: [].into(), purpose: Purpose::Inspect };
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
        std::fs::write(&file, &text).unwrap();
        let report = settings::load(&inputs).expect("a readable file").report;
        assert_eq!(
            errors(&validator, &text).is_empty(),
            report.error_count() == 0,
            "{url}\n{report}"
        );
    }
}

// ---- rejected

#[test]
fn the_schema_locates_errors_in_a_rule_table() {
    let validator = validator(&rules::json_schema());
    let table = |lines: &str| format!("{lines}\n[[rule]]\nname = \"a\"\nkeep = true\n");
    let rule = |lines: &str| format!("[[rule]]\nname = \"a\"\n{lines}\n");
    let test = |lines: &str| format!("[[test]]\nname = \"a\"\n{lines}\n");
    accepts(&validator, &table(""));
    for (lines, location) in [
        ("zones = \"Europe/Berlin\"", ""),
        ("zone = 1", "/zone"),
        ("agents = \"agent_1\"", "/agents"),
        ("[agents]\ndesk = 1", "/agents/desk"),
        ("[agents]\ndesk = \"\"", "/agents/desk"),
        ("[agents]\ndesk = {}", "/agents/desk"),
        ("[agents]\ndesk = { retel = \"agent_1\" }", "/agents/desk"),
        ("[agents]\ndesk = { synthflow = 1716 }", "/agents/desk/synthflow"),
        ("[agents]\ndesk = { retell = \"a\", version = 1.5 }", "/agents/desk/version"),
        ("[agents]\ndesk = { retell = \"a\", variables = \"b\" }", "/agents/desk/variables"),
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
        rejects(&validator, &table(lines), location);
    }
    accepts(&validator, &rule("keep = true"));
    for (lines, location) in [
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
        ("transfer = 1", "/rule/0/transfer"),
        ("transfer = \"\"", "/rule/0/transfer"),
        ("transfer = \"+12135550199\"\nkeep = true", "/rule/0"),
        ("keep = true\nsay = \"\"", "/rule/0/say"),
        ("keep = true\nsip_headers = { X-Tier = 1 }", "/rule/0/sip_headers/X-Tier"),
        ("keep = true\nunsupported = \"reject\"", "/rule/0/unsupported"),
        ("keep = true\nnumber_id = []", "/rule/0/number_id"),
        ("split = []", "/rule/0/split"),
        ("split = { agent = \"a\", percent = 100 }", "/rule/0/split"),
        ("split = [{ agent = \"a\", percent = 101 }]", "/rule/0/split/0/percent"),
        ("split = [{ agent = \"a\", percent = \"100\" }]", "/rule/0/split/0/percent"),
        ("split = [{ agent = \"a\" }]", "/rule/0/split/0"),
        ("split = [{ agent = \"a\", percent = 1, name = \"b\" }]", "/rule/0/split/0"),
    ] {
        rejects(&validator, &rule(lines), location);
    }
    rejects(&validator, "[[rule]]\nkeep = true\n", "/rule/0");
    rejects(&validator, "[[rule]]\nname = \"\"\nkeep = true\n", "/rule/0/name");
    rejects(&validator, "[rule]\nname = \"a\"\nkeep = true\n", "/rule");
    accepts(&validator, &test("expect = { keep = true }"));
    for (lines, location) in [
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
        rejects(&validator, &test(lines), location);
    }
}

#[test]
fn the_schema_locates_errors_in_settings() {
    let validator = validator(&settings::json_schema());
    let source = |lines: &str| format!("[sources.a]\nplatform = \"retell\"\n{lines}\n");
    accepts(&validator, &source(""));
    for (text, location) in [
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
        ("[sources.a]\nplatform = \"Retell AI\"", "/sources/a/platform"),
    ] {
        rejects(&validator, text, location);
    }
    for (lines, location) in [
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
        rejects(&validator, &source(lines), location);
    }
    rejects(&validator, "[sources.\"a/b\"]\nplatform = \"retell\"\n", "/sources");
}
