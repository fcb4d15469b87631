//! Settings: the layers they come in, what is refused, and that no report ever shows a secret.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use config::{Config, File, FileFormat, Map, Value};
use switchboard::authenticate::Mode;
use switchboard::diagnostics::Report;
use switchboard::settings;
use switchboard::settings::{
    DEFAULTS, Inputs, LogFormat, LogSettings, NumberStorage, Purpose, RecordsLocation,
    RecordsSettings, Settings, Wait,
};
use switchboard::source::{Fallback, Source};

use crate::rules::{are_in_backticks, codes_in, codes_of, matches_snapshot};
use crate::support::app::{self, NOW_MS, RETELL_KEY, load_settings_with};

// ---- ways to load

/// A source that lacks nothing.
const SOURCE: &str =
    "[sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\"]\n";

/// What the variable `SHORT` holds.
const SHORT: &str = "fifteen_bytes__";

/// The environment of the tests, variables of every bad kind, and these.
fn environment(more: &[(&str, &str)]) -> HashMap<String, String> {
    let bad = [("SHORT", SHORT), ("EMPTY", ""), ("WITH_SLASH", "token/0123456789abcdef")];
    let pairs = bad.iter().chain(more);
    let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    app::environment().into_iter().chain(pairs).collect()
}

/// What came of a load. In the text the folder of the settings file is called `FOLDER`.
struct Told {
    settings: Option<Settings>,
    report: Report,
    text: String,
}

impl Told {
    #[track_caller]
    fn settings(self) -> Settings {
        self.settings.unwrap_or_else(|| panic!("{}", self.text))
    }

    /// The settings of a file that has only one source.
    #[track_caller]
    fn source(self) -> Source {
        let mut sources = self.settings().sources;
        assert_eq!(sources.len(), 1);
        sources.remove(0)
    }
}

/// Reads `text` as a settings file, with these files beside it.
#[track_caller]
fn load_beside(
    files: &[(&str, &[u8])],
    text: &str,
    purpose: Purpose,
    environment: HashMap<String, String>,
) -> Told {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }
    let file = folder.path().join("switchboard.toml");
    std::fs::write(&file, text.trim_start()).expect("a file");
    let ingredients = Inputs { file: Some(file), environment, purpose };
    told(&ingredients, &folder.path().display().to_string())
}

#[track_caller]
fn told(ingredients: &Inputs, folder: &str) -> Told {
    let loaded = settings::load(ingredients).expect("a readable file");
    let text = loaded.report.to_text(false).replace(folder, "FOLDER");
    Told { settings: loaded.settings, report: loaded.report, text }
}

#[track_caller]
fn load(text: &str, purpose: Purpose) -> Told {
    load_beside(&[], text, purpose, environment(&[]))
}

/// Without any file.
#[track_caller]
fn load_variables(more: &[(&str, &str)], purpose: Purpose) -> Told {
    told(&Inputs { file: None, environment: environment(more), purpose }, "FOLDER")
}

/// That these settings are refused, for this alone.
#[track_caller]
fn refused(text: &str, purpose: Purpose, code: &str) {
    let told = load(text, purpose);
    assert_eq!(codes_of(&told.report), [code], "{text}\n{}", told.text);
    assert!(told.settings.is_none(), "{text}");
}

/// That these settings are taken, without a word.
#[track_caller]
fn taken(text: &str, purpose: Purpose) -> Settings {
    let told = load(text, purpose);
    assert!(told.report.diagnostics().is_empty(), "{text}\n{}", told.text);
    told.settings()
}

/// What the keys of a source sign, in their order: tells which keys they are.
fn signatures(source: &Source) -> Vec<String> {
    let now = jiff::Timestamp::from_millisecond(NOW_MS).expect("a time");
    let scheme = source.policy.scheme;
    let signed = source.policy.keys.iter().map(|key| scheme.sign(key, b"{}", now));
    signed.map(|signed| signed.expect("signable").1).collect()
}

/// That the source checks with these keys.
#[track_caller]
fn has_keys(source: &Source, keys: &[&str]) {
    let expected = keys.iter().map(|key| app::sign("retell", b"{}", NOW_MS, key).1);
    assert_eq!(signatures(source), expected.collect::<Vec<_>>(), "{keys:?}");
}

// ---- layers

#[test]
fn the_file_goes_over_the_defaults_and_the_environment_over_the_file() {
    let text = format!("[server]\nmax_connections = 7\nmax_in_flight = 8\n{SOURCE}");
    let variables = [("SWITCHBOARD__SERVER__MAX_IN_FLIGHT", "9")];
    let (settings, report) = load_settings_with(&text, Purpose::Serve, environment(&variables));
    let server = settings.unwrap_or_else(|| panic!("{report}")).server;
    assert_eq!(server.max_connections, 7, "from the file");
    assert_eq!(server.max_in_flight, 9, "from the environment");
    assert_eq!(server.request_timeout, Duration::from_secs(10), "from the defaults");
}

#[test]
fn a_source_may_come_from_the_file_and_change_by_the_environment() {
    let variables = [
        ("SWITCHBOARD__SOURCES__RETELL__AUTH", "observe"),
        ("SWITCHBOARD__SOURCES__RETELL__REPLY_WITHIN_MS", "2500"),
        ("SWITCHBOARD__SOURCES__RETELL__FALLBACK", "reject"),
    ];
    let (settings, report) = load_settings_with(SOURCE, Purpose::Serve, environment(&variables));
    let source = settings.unwrap_or_else(|| panic!("{report}")).sources.remove(0);
    assert_eq!(source.policy.mode, Mode::Observe);
    assert_eq!(source.reply_within, Duration::from_millis(2500));
    assert_eq!(source.fallback, Fallback::Reject);
    has_keys(&source, &[RETELL_KEY]);
}

#[test]
fn a_source_may_be_made_of_variables_alone() {
    let told = load_variables(
        &[
            ("SWITCHBOARD__SOURCES__RETELL__PLATFORM", "retell"),
            ("SWITCHBOARD__SOURCES__RETELL__SECRETS", "env:RETELL_API_KEY, env:SYNTHFLOW_SECRET"),
            ("SWITCHBOARD__SOURCES__RETELL__URL_TOKEN", "env:URL_TOKEN"),
            ("SWITCHBOARD__SOURCES__RETELL__ALLOW_FROM", "100.20.5.228,10.0.0.0/8, 2001:db8::/32"),
        ],
        Purpose::Serve,
    );
    let source = told.source();
    assert_eq!((&*source.name, source.dialect.platform().as_str()), ("retell", "retell"));
    has_keys(&source, &[RETELL_KEY, app::SYNTHFLOW_SECRET]);
    assert!(source.policy.url_token.is_some_and(|token| token.equals(app::URL_TOKEN.as_bytes())));
    let networks = source.policy.allow_from.iter().map(ToString::to_string);
    let networks: Vec<_> = networks.collect();
    assert_eq!(networks, ["100.20.5.228/32", "10.0.0.0/8", "2001:db8::/32"]);
}

#[test]
fn lists_in_variables_have_commas_and_replace_those_of_the_file() {
    let text = format!("[server]\ntrusted_proxies = [\"192.168.0.1\"]\n{SOURCE}");
    for (value, expected) in [
        ("10.0.0.0/8", &["10.0.0.0/8"][..]),
        ("10.0.0.0/8,192.168.1.7", &["10.0.0.0/8", "192.168.1.7/32"]),
        (" 10.0.0.0/8 , 192.168.1.7 ,", &["10.0.0.0/8", "192.168.1.7/32"]),
        ("", &[]),
    ] {
        let variables = environment(&[("SWITCHBOARD__SERVER__TRUSTED_PROXIES", value)]);
        let settings = load_beside(&[], &text, Purpose::Serve, variables).settings();
        let proxies = settings.server.trusted_proxies.iter().map(ToString::to_string);
        assert_eq!(proxies.collect::<Vec<_>>(), expected, "{value:?}");
    }
}

#[test]
fn variables_of_others_are_left_alone() {
    let others = [
        ("SWITCHBOARD_PORT", "tcp://10.0.0.1:8080"),
        ("SWITCHBOARD_SERVICE_HOST", "10.0.0.1"),
        ("SWITCHBOARDS__SERVER__LISTEN", "nonsense"),
        ("SERVER__LISTEN", "nonsense"),
    ];
    let told = load_beside(&[], SOURCE, Purpose::Serve, environment(&others));
    assert!(told.report.diagnostics().is_empty(), "{}", told.text);
}

#[test]
fn the_rules_are_found_beside_the_file_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    let rules = |text: &str, variables: &[(&str, &str)]| {
        std::fs::write(&file, format!("{text}{SOURCE}")).unwrap();
        let environment = environment(variables);
        let ingredients = Inputs { file: Some(file.clone()), environment, purpose: Purpose::Serve };
        settings::load(&ingredients).unwrap().settings.unwrap().rules.path
    };
    assert_eq!(rules("", &[]), folder.path().join("rules.toml"));
    assert_eq!(
        rules("[rules]\npath = \"tables/a.toml\"\n", &[]),
        folder.path().join("tables/a.toml")
    );
    assert_eq!(rules("[rules]\npath = \"/srv/a.toml\"\n", &[]).to_str(), Some("/srv/a.toml"));
    let variable = [("SWITCHBOARD__RULES__PATH", "b.toml")];
    assert_eq!(rules("[rules]\npath = \"a.toml\"\n", &variable).to_str(), Some("b.toml"));
}

#[test]
fn where_the_rules_are_is_known_even_when_the_settings_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    let ingredients =
        Inputs { file: Some(file.clone()), environment: [].into(), purpose: Purpose::Inspect };
    for wrong in ["[server]\nlisten = \"x\"\n", "poll_ms = -1\n"] {
        std::fs::write(&file, format!("[rules]\npath = \"a.toml\"\n{wrong}")).unwrap();
        let loaded = settings::load(&ingredients).unwrap();
        assert!(loaded.settings.is_none());
        assert_eq!(loaded.rules, Some(folder.path().join("a.toml")));
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_its_own() {
    let file = Some("/no/such/switchboard.toml".into());
    let ingredients = Inputs { file, environment: [].into(), purpose: Purpose::Serve };
    assert!(settings::load(&ingredients).is_err());
}

// ---- defaults

/// Every key of a layer with its value, as `server.listen`.
fn leaves(path: &str, table: Map<String, Value>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, value) in table {
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        if let Ok(inner) = value.clone().into_table() {
            found.extend(leaves(&path, inner));
        } else if let Ok(list) = value.clone().into_array() {
            let texts = list.into_iter().map(|item| item.to_string());
            found.insert(path, texts.collect::<Vec<_>>().join(","));
        } else {
            found.insert(path, value.to_string());
        }
    }
    found
}

fn leaves_of(text: &str) -> BTreeMap<String, String> {
    let layer = Config::builder().add_source(File::from_str(text, FileFormat::Toml));
    leaves("", layer.build().expect("TOML").cache.into_table().expect("a table"))
}

#[test]
fn every_default_in_the_file_is_what_happens_and_there_are_no_others() {
    let told = load_variables(
        &[
            ("SWITCHBOARD__SOURCES__RETELL__PLATFORM", "retell"),
            ("SWITCHBOARD__SOURCES__RETELL__SECRETS", "env:RETELL_API_KEY"),
        ],
        Purpose::Serve,
    );
    let Settings { server, admin, rules, records, log, .. } = told.settings();
    let ms = |duration: Duration| duration.as_millis().to_string();
    let proxies = server.trusted_proxies.iter().map(ToString::to_string);
    let format = match log.format {
        LogFormat::Pretty => "pretty",
        LogFormat::Json => "json",
    };
    let in_force = [
        ("admin.listen", admin.listen.to_string()),
        ("log.format", format.to_owned()),
        ("log.level", log.level),
        ("records.numbers", numbers(&records).to_owned()),
        ("records.retain_days", (records.retain.as_secs() / 86_400).to_string()),
        ("records.stamp", records.stamp.to_string()),
        ("records.url", place(&records)),
        ("records.wait", if records.wait == Wait::No { "no" } else { "commit" }.to_owned()),
        ("rules.path", rules.path.display().to_string()),
        ("rules.poll_ms", ms(rules.poll.expect("it polls"))),
        ("server.header_timeout_ms", ms(server.header_timeout)),
        ("server.listen", server.listen.to_string()),
        ("server.max_connections", server.max_connections.to_string()),
        ("server.max_in_flight", server.max_in_flight.to_string()),
        ("server.request_timeout_ms", ms(server.request_timeout)),
        ("server.shutdown_grace_ms", ms(server.shutdown_grace)),
        ("server.trusted_proxies", proxies.collect::<Vec<_>>().join(",")),
    ];
    let in_force = in_force.map(|(key, value)| (key.to_owned(), value));
    assert_eq!(leaves_of(DEFAULTS), in_force.into());
    assert!(admin.token.is_none());
}

/// The block that `config/default.toml` shows of a source, without the `# ` in front.
fn commented_source() -> String {
    let begun = DEFAULTS.lines().skip_while(|line| !line.starts_with("# [sources.retell]"));
    let block = begun.map_while(|line| line.strip_prefix("# "));
    block.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_source_in_the_comments_of_the_defaults_is_one_that_works() {
    let variables = environment(&[("RETELL_URL_TOKEN", app::URL_TOKEN)]);
    let told = load_beside(&[], &commented_source(), Purpose::Serve, variables);
    assert!(told.report.diagnostics().is_empty(), "{}", told.text);
    let source = told.source();
    assert!(source.policy.has_second_factor());
}

#[test]
fn what_the_comments_of_the_defaults_say_of_a_source_is_what_happens_when_it_is_left_out() {
    let said = leaves_of(&commented_source());
    let left_out = taken(SOURCE, Purpose::Serve).sources.remove(0);
    let in_force = [
        ("auth", (left_out.policy.mode == Mode::Required).then_some("required")),
        ("fallback", (left_out.fallback == Fallback::Keep).then_some("keep")),
        (
            "reply_within_ms",
            (left_out.reply_within == Duration::from_millis(3000)).then_some("3000"),
        ),
    ];
    for (key, value) in in_force {
        let said = said.get(&format!("sources.retell.{key}"));
        assert_eq!(said.map(String::as_str), value, "{key}");
    }
    assert!(left_out.policy.url_token.is_none());
    assert!(left_out.policy.allow_from.is_empty());
}

#[test]
fn every_key_of_a_source_is_in_the_comments_of_the_defaults() {
    let told = load(&format!("{SOURCE}nonsense = 1\n"), Purpose::Serve);
    let help = told.report.diagnostics()[0].help.clone().expect("the keys that there are");
    let known = help.trim_start_matches("there are ").split(", ");
    let known: BTreeSet<_> = known.map(|key| format!("sources.retell.{key}")).collect();
    assert_eq!(leaves_of(&commented_source()).into_keys().collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_settings_to_start_from_are_without_a_mistake() {
    let ingredients = Inputs {
        file: Some(app::root().join("config/switchboard.toml")),
        environment: environment(&[("SYNTHFLOW_URL_TOKEN", app::URL_TOKEN)]),
        purpose: Purpose::Serve,
    };
    let loaded = settings::load(&ingredients).unwrap();
    assert!(loaded.report.diagnostics().is_empty(), "{}", loaded.report);
    let settings = loaded.settings.unwrap();
    assert!(settings.rules.path.exists());
    assert_eq!(settings.sources.len(), 2);
}

// ---- what is said about mistakes

/// One smallest file for each mistake, filed under the mistake's code. Each is a test: the file
/// makes this mistake and no other, and the report reads like the snapshot of the same name.
macro_rules! mistakes {
    ($($name:ident: $code:literal to $purpose:ident in $text:expr;)*) => {
        const MISTAKES: &[(&str, Purpose, &str)] = &[$(($code, Purpose::$purpose, $text)),*];

        $(
            #[test]
            fn $name() {
                let told = load($text, Purpose::$purpose);
                assert_eq!(codes_of(&told.report), [$code], "{}", told.text);
                matches_snapshot("settings", stringify!($name), $text, &told.text);
            }
        )*
    };
}

mistakes! {
    what_is_no_toml: "syntax" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = [env:RETELL_API_KEY]
"#;

    a_number_beyond_all_bounds: "bad-value" to Serve in r#"
[server]
max_in_flight = 99999999999999999999

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_misspelt_table: "unknown-key" to Serve in r#"
[sever]
listen = "127.0.0.1:8081"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_misspelt_key: "unknown-key" to Serve in r#"
[server]
lisen = "127.0.0.1:8081"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_misspelt_key_of_a_source: "unknown-key" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
reply_in_ms = 3000
"#;

    a_key_that_resembles_none: "unknown-key" to Serve in r#"
[admin]
colour = "red"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_source_without_a_platform: "missing-key" to Serve in r#"
[sources.retell]
secrets = ["env:RETELL_API_KEY"]
"#;

    a_source_that_is_no_table: "wrong-kind" to Serve in r#"
[sources]
retell = "env:RETELL_API_KEY"
"#;

    an_address_without_its_port: "bad-value" to Serve in r#"
[server]
listen = "127.0.0.1"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_count_of_nothing: "bad-value" to Serve in r#"
[server]
max_in_flight = 0

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_number_with_its_unit: "bad-value" to Serve in r#"
[rules]
poll_ms = "2s"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_list_where_a_number_is_due: "bad-value" to Serve in r#"
[server]
request_timeout_ms = [10000]

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_network_with_too_long_a_mask: "bad-value" to Serve in r#"
[server]
trusted_proxies = ["10.0.0.0/33"]

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    an_address_that_is_a_name: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
allow_from = ["api.retellai.com"]
"#;

    a_level_that_there_is_not: "bad-value" to Serve in r#"
[log]
level = "info,hyper=loud"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_misspelt_word: "bad-value" to Serve in r#"
[log]
format = "prety"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_word_that_resembles_none: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
auth = "sometimes"
"#;

    a_budget_that_no_platform_waits_for: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
reply_within_ms = 9001
"#;

    a_source_name_that_cannot_stand_in_a_path: "bad-value" to Serve in r#"
[sources."my shop"]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_misspelt_platform: "unknown-platform" to Serve in r#"
[sources.retell]
platform = "retel"
secrets = ["env:RETELL_API_KEY"]
"#;

    nobody_who_could_ask: "no-source" to Serve in r#"
[rules]
path = "rules.toml"
"#;

    a_source_without_secrets: "no-secret" to Serve in r#"
[sources.retell]
platform = "retell"
"#;

    a_variable_that_is_not_set: "no-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:NOT_SET"]
"#;

    a_secret_file_that_is_not_there: "no-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["file:keys/retell"]
"#;

    a_secret_that_can_be_guessed: "short-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:SHORT"]
"#;

    a_secret_that_is_empty: "short-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:EMPTY"]
"#;

    a_place_that_there_is_not: "bad-value" to Serve in r#"
[records]
url = "mysql://root:hunter2@db/records"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    records_for_ever: "bad-value" to Serve in r#"
[records]
retain_days = 36501

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_truth_that_is_a_word: "bad-value" to Serve in r#"
[records]
stamp = "yes"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_database_that_is_nowhere: "no-secret" to Serve in r#"
[records]
url = "env:NOT_SET"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_hash_without_a_key: "no-secret" to Serve in r#"
[records]
numbers = "hashed"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_key_that_hashes_nothing: "never-used" to Serve in r#"
[records]
numbers = "masked"
hash_key = "env:URL_TOKEN"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_password_in_the_open: "inline-secret" to Serve in r#"
[records]
url = "postgres://switchboard:hunter2@db.example.com/records"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_database_that_is_not_on_this_machine: "secret-missing" to Inspect in r#"
[records]
url = "file:database-url"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_secret_in_the_open: "inline-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["key_0123456789abcdef"]
"#;

    a_secret_that_is_not_on_this_machine: "secret-missing" to Inspect in r#"
[sources.retell]
platform = "retell"
secrets = ["env:NOT_SET"]
"#;

    a_token_that_cannot_stand_in_a_path: "bad-token" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
url_token = "env:WITH_SLASH"
"#;

    a_source_that_asks_for_nothing: "unauthenticated-source" to Serve in r#"
[sources.retell]
platform = "retell"
auth = "off"
"#;

    a_signature_that_covers_little: "one-factor" to Serve in r#"
[sources.synthflow]
platform = "synthflow"
secrets = ["env:SYNTHFLOW_SECRET"]
"#;

    trying_out_in_front_of_everybody: "not-loopback" to Dev in r#"
[server]
listen = "0.0.0.0:8080"

[sources.retell]
platform = "retell"
"#;

    an_admin_listener_for_everybody: "open-admin" to Serve in r#"
[admin]
listen = "0.0.0.0:9090"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    two_listeners_at_one_address: "same-address" to Serve in r#"
[admin]
listen = "127.0.0.1:8080"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;
}

/// Mistakes in every table.
const MANY: &str = r#"
[sever]
listen = "127.0.0.1:8080"

[server]
listen = "8080"
max_connections = 0
trusted_proxies = ["everybody"]

[admin]
listn = "127.0.0.1:9090"
token = "env:NOT_SET"

[rules]
path = ["rules.toml"]

[records]
url = "data/switchboard.db"
retain_days = 0
numbers = "some"
hash_ky = "env:NOT_SET"
wait = "yes"
stamp = "no"

[log]
level = "info,hyper=loud"
format = "xml"

[sources.retell]
platform = "retel"
secrets = ["env:NOT_SET", "env:SHORT"]
auth = "of"
reply_within_ms = 9001

[sources.synthflow]
allow_from = ["nobody"]
fallbck = "keep"
"#;

#[test]
fn all_mistakes_are_told_at_once() {
    let told = load(MANY, Purpose::Serve);
    assert!(told.settings.is_none());
    assert!(told.report.error_count() >= 22, "{}", told.text);
    for mistake in told.report.diagnostics() {
        let (line, column) = mistake.location.as_ref().expect("a place").line_and_column();
        assert!(
            told.text.contains(&format!("FOLDER/switchboard.toml:{line}:{column}\n")),
            "{}",
            told.text
        );
    }
    matches_snapshot("settings", "all_mistakes_at_once", MANY, &told.text);
}

#[test]
fn mistakes_in_variables_are_told_with_the_name_of_the_variable() {
    let variables = [
        ("SWITCHBOARD__SERVER__LISTEN", "8080"),
        ("SWITCHBOARD__SERVER__MAX_IN_FLIGTH", "8"),
        ("SWITCHBOARD__LOG__FORMAT", "xml"),
        ("SWITCHBOARD__RECORDS__URL", "postgres://u:hunter2@db/records"),
        ("SWITCHBOARD__RECORDS__STAMP", "1"),
        ("SWITCHBOARD__SOURCES__RETELL__AUTH", "of"),
        ("SWITCHBOARD__SOURCES__RETELL__SECRETS", "env:RETELL_API_KEY,env:NOT_SET,env:SHORT"),
        ("SWITCHBOARD__SOURCES__RETELL__URL_TOKEN", "token_0123456789abcdef"),
    ];
    let told = load_beside(&[], SOURCE, Purpose::Serve, environment(&variables));
    for (variable, _) in variables {
        assert!(told.text.contains(&format!("(from {variable})")), "{variable}\n{}", told.text);
    }
    let written = variables.map(|(name, value)| format!("{name}={value}")).join("\n");
    matches_snapshot("settings", "mistakes_in_variables", &written, &told.text);
}

#[test]
fn a_misspelt_key_is_named_with_its_line_at_each_level() {
    for (text, place, help) in [
        ("[sever]\n", (1, 2), "did you mean `server`?"),
        ("[server]\nmax_in_fligth = 3\n", (2, 1), "did you mean `max_in_flight`?"),
        ("[admin]\ntokn = \"env:A\"\n", (2, 1), "did you mean `token`?"),
        ("[rules]\npaht = \"a\"\n", (2, 1), "did you mean `path`?"),
        ("[records]\nretain_day = 1\n", (2, 1), "did you mean `retain_days`?"),
        ("[log]\nlvel = \"info\"\n", (2, 1), "did you mean `level`?"),
        (
            "[sources.a]\nplatform = \"retell\"\nauth = \"off\"\nallow_from = \"::1\"\nurltoken = \"env:A\"\n",
            (5, 1),
            "did you mean `url_token`?",
        ),
    ] {
        let told = load(&format!("{text}{SOURCE}"), Purpose::Serve);
        let [mistake] = told.report.diagnostics() else { panic!("{}", told.text) };
        assert_eq!((mistake.code, mistake.help.as_deref()), ("unknown-key", Some(help)));
        assert_eq!(mistake.location.as_ref().unwrap().line_and_column(), place, "{text}");
    }
}

#[test]
fn without_any_file_it_is_told_where_one_was_looked_for() {
    let told = load_variables(&[], Purpose::Serve);
    assert_eq!(codes_of(&told.report), ["no-source"]);
    for place in settings::DEFAULT_PATHS {
        assert!(told.text.contains(place), "{}", told.text);
    }
    assert!(told.text.contains("--config"), "{}", told.text);
}

#[test]
fn every_code_has_a_file_that_makes_it() {
    let made =
        MISTAKES.iter().flat_map(|(_, purpose, text)| codes_of(&load(text, *purpose).report));
    let made: BTreeSet<_> = made.map(str::to_owned).collect();
    let mut in_the_source = codes_in("src/settings.rs");
    for file in std::fs::read_dir(app::root().join("src/settings")).unwrap() {
        let file = file.unwrap().file_name();
        in_the_source.extend(codes_in(&format!("src/settings/{}", file.to_str().unwrap())));
    }
    assert_eq!(made, in_the_source);
}

#[test]
fn every_code_is_in_the_documentation() {
    let codes = MISTAKES.iter().map(|(code, ..)| (*code).to_owned());
    are_in_backticks("docs/settings.md", codes.collect());
}

// ---- secrets

#[test]
fn a_secret_comes_from_a_variable_or_a_file_beside_the_settings() {
    let text = "[sources.retell]\nplatform = \"retell\"\nsecrets = \"file:keys/retell\"\nurl_token = \"env:URL_TOKEN\"\n";
    let files: [(&str, &[u8]); 1] = [("keys/retell", b"from_a_file_0123")];
    let source = load_beside(&files, text, Purpose::Serve, environment(&[])).source();
    has_keys(&source, &["from_a_file_0123"]);
    assert!(source.policy.url_token.is_some_and(|token| token.equals(app::URL_TOKEN.as_bytes())));
}

#[test]
fn a_secret_file_may_be_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, RETELL_KEY).unwrap();
    let text = SOURCE.replace("env:RETELL_API_KEY", &format!("file:{}", file.display()));
    has_keys(&load(&text, Purpose::Serve).source(), &[RETELL_KEY]);
}

#[test]
fn one_newline_at_the_end_of_a_secret_file_is_no_part_of_it() {
    let text = format!("[admin]\ntoken = \"file:token\"\n{SOURCE}");
    for (written, expected) in [
        ("0123456789abcdef", "0123456789abcdef"),
        ("0123456789abcdef\n", "0123456789abcdef"),
        ("0123456789abcdef\r\n", "0123456789abcdef"),
        ("0123456789abcdef\n\n", "0123456789abcdef\n"),
        ("0123456789abcdef\r\n\r\n", "0123456789abcdef\r\n"),
        ("0123456789abcdef\r", "0123456789abcdef\r"),
        (" 0123456789abcdef ", " 0123456789abcdef "),
        ("\n0123456789abcdef", "\n0123456789abcdef"),
    ] {
        let files = [("token", written.as_bytes())];
        let settings = load_beside(&files, &text, Purpose::Serve, environment(&[])).settings();
        let token = settings.admin.token.expect("a token");
        assert_eq!(token.expose(), expected.as_bytes(), "{written:?}");
    }
}

#[test]
fn the_newline_does_not_make_a_short_secret_long_enough() {
    let files: [(&str, &[u8]); 1] = [("key", b"fifteen_bytes__\r\n")];
    let text = SOURCE.replace("env:RETELL_API_KEY", "file:key");
    let told = load_beside(&files, &text, Purpose::Serve, environment(&[]));
    assert_eq!(codes_of(&told.report), ["short-secret"], "{}", told.text);
    assert!(told.text.contains("holds 15 bytes"), "{}", told.text);
}

#[test]
fn sixteen_bytes_are_enough() {
    for (key, expected) in [("fifteen_bytes__", &["short-secret"][..]), ("sixteen_bytes___", &[])] {
        let told =
            load_beside(&[], SOURCE, Purpose::Serve, environment(&[("RETELL_API_KEY", key)]));
        assert_eq!(codes_of(&told.report), expected, "{key}");
    }
}

#[test]
fn a_source_has_several_keys_while_they_are_rotated() {
    let text = SOURCE
        .replace("[\"env:RETELL_API_KEY\"]", "[\"env:RETELL_API_KEY\", \"env:SYNTHFLOW_SECRET\"]");
    has_keys(&load(&text, Purpose::Serve).source(), &[RETELL_KEY, app::SYNTHFLOW_SECRET]);
}

#[test]
fn one_bad_secret_among_several_refuses() {
    for (bad, code) in
        [("env:NOT_SET", "no-secret"), ("env:SHORT", "short-secret"), ("file:none", "no-secret")]
    {
        let text = format!(
            "[sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\", \"{bad}\"]\n"
        );
        refused(&text, Purpose::Serve, code);
    }
}

/// Says in which of these a canary sings.
#[track_caller]
fn shows_no_secret(told: &Told, secrets: &[&str]) {
    let json = told.report.to_json().to_string();
    for secret in secrets {
        assert!(!told.text.contains(secret), "{secret}\n{}", told.text);
        assert!(!json.contains(secret), "{secret}\n{json}");
    }
}

#[test]
fn no_report_shows_the_value_of_a_secret() {
    let canaries = [
        ("RETELL_API_KEY", "canary_1_0123456789"),
        ("SYNTHFLOW_SECRET", "canary_2_0123456789"),
        ("URL_TOKEN", "canary_3_with/slash_and space"),
        ("SHORT", "canary_4"),
        ("ADMIN", "canary_5_0123456789"),
    ];
    let files: [(&str, &[u8]); 2] = [("long", b"canary_6_0123456789\n"), ("short", b"canary_7\n")];
    let texts = [
        r#"
[server]
listen = "nonsense"
[admin]
token = ["env:ADMIN"]
nonsense = 1
[sources.a]
platform = "nonsense"
secrets = ["env:RETELL_API_KEY", "env:SHORT", "file:long", "file:short", "env:NOT_SET"]
url_token = "env:URL_TOKEN"
reply_within_ms = 10000
[records]
url = "env:RETELL_API_KEY"
numbers = "hashed"
hash_key = "env:SHORT"
"#,
        r#"
[admin]
token = "canary_8_in_the_open"
[records]
url = "postgres://u:canary_18_in_the_open@db/records"
hash_key = "canary_19_in_the_open"
[sources.a]
platform = "retell"
secrets = ["canary_9_in_the_open", "canary_10_in_the_open"]
url_token = "canary_11_in_the_open"
[sources.b]
platform = "retell"
secrets = "canary_12_in_the_open"
[sources.c]
platform = "retell"
secrets = ["canary:13_with_a_colon", "env=canary_14"]
[sources.d]
platform = "synthflow"
secrets = ["env:SYNTHFLOW_SECRET"]
"#,
        "[sources.a]\nplatform = \"retell\"\nsecrets = [canary_15_without_quotes]\n",
        "[sources.a]\nplatform = \"retell\"\nsecrets = [\"canary_16_unclosed]\n",
        "[sources.a]\nplatform = \"retell\"\nsecrets = [99999999999999999999]\n",
        "[sources.a]\nsecrets = [\"canary_17\"], platform = \"retell\"\n",
        "[records]\nurl = \"canary_20://canary:canary@canary/canary\"\n",
        "[records]\nurl = \"env:canary_21@db\"\n",
        "[records]\nurl = \"file:short\"\nstamp = \"env:x\"\n",
        "[records]\nurls = \"postgres://u:canary_22@db/records\"\n",
        "[records]\nurl = [\"postgres://u:canary_23@db/records\"]\n",
        "records = \"postgres://u:canary_24@db/records\"\n",
    ];
    for text in texts {
        for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
            let told = load_beside(&files, text, purpose, environment(&canaries));
            assert!(!told.report.diagnostics().is_empty());
            shows_no_secret(&told, &["canary", "99999999999999999999"]);
        }
    }
}

#[test]
fn no_report_shows_a_secret_that_a_variable_says_in_the_open() {
    let variables = [
        ("SWITCHBOARD__SOURCES__RETELL__SECRETS", "canary_1,env:RETELL_API_KEY,canary_2"),
        ("SWITCHBOARD__SOURCES__RETELL__URL_TOKEN", "canary_3"),
        ("SWITCHBOARD__SOURCES__RETELL__SECRET", "canary_4"),
        ("SWITCHBOARD__ADMIN__TOKEN", "canary_5"),
        ("SWITCHBOARD__RETELL_API_KEY", "canary_6"),
    ];
    for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
        let told = load_beside(&[], SOURCE, purpose, environment(&variables));
        assert_eq!(told.report.error_count(), 6, "{}", told.text);
        shows_no_secret(&told, &["canary"]);
    }
}

#[test]
fn a_secret_in_the_open_is_not_shown_by_another_mistake_on_its_line() {
    for text in [
        "[sources.a]\nplatform = \"retell\"\nsecrets = [\"env:NOT_SET\", \"canary\"]\n",
        "[sources.a]\nplatform = \"retell\"\nsecrets = [\"env:SHORT\", \"canary\"]\n",
        "[sources]\na = { platform = \"retel\", secrets = [\"canary\"] }\n",
        "[sources]\na = { platform = \"retell\", secrets = [\"canary\"], auth = \"of\" }\n",
    ] {
        for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
            shows_no_secret(&load(text, purpose), &["canary"]);
        }
    }
}

#[test]
fn a_secret_in_the_open_under_a_wrong_key_is_not_shown() {
    for line in [
        "secret = \"canary\"",
        "api_key = \"canary\"",
        "secrets = { key = \"canary\" }",
        "secrets = [[\"canary\"]]",
    ] {
        let text = format!("[admin]\ntokn = \"canary\"\n[sources.a]\n{line}\n");
        shows_no_secret(&load(&text, Purpose::Serve), &["canary"]);
    }
}

#[test]
fn a_secret_in_the_open_is_refused_whatever_the_purpose() {
    let text = SOURCE.replace("env:RETELL_API_KEY", "key_0123456789abcdef");
    for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
        refused(&text, purpose, "inline-secret");
    }
}

// ---- to try out, and to look at

#[test]
fn trying_out_takes_the_key_dev_where_a_secret_is_missing() {
    let text = r#"
[admin]
token = "env:NOT_SET"
[sources.one]
platform = "retell"
[sources.two]
platform = "retell"
secrets = ["env:NOT_SET", "file:none"]
url_token = "env:NOT_SET"
[sources.three]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;
    let settings = taken(text, Purpose::Dev);
    assert!(settings.admin.token.is_some_and(|token| token.equals(b"dev")));
    let source = |name: &str| settings.sources.iter().find(|source| &*source.name == name).unwrap();
    has_keys(source("one"), &["dev"]);
    has_keys(source("two"), &["dev", "dev"]);
    has_keys(source("three"), &[RETELL_KEY]);
    let token = source("two").policy.url_token.as_ref();
    assert!(token.is_some_and(|token| token.equals(b"dev")));
}

#[test]
fn trying_out_takes_short_secrets_as_they_are_and_no_empty_ones() {
    let short = SOURCE.replace("RETELL_API_KEY", "SHORT");
    has_keys(&taken(&short, Purpose::Dev).sources[0], &[SHORT]);
    refused(&SOURCE.replace("RETELL_API_KEY", "EMPTY"), Purpose::Dev, "short-secret");
}

#[test]
fn trying_out_is_for_loopback_alone() {
    for (server, admin, expected) in [
        ("127.0.0.1:8080", "127.0.0.1:9090", false),
        ("[::1]:8080", "127.0.0.2:9090", false),
        ("0.0.0.0:8080", "127.0.0.1:9090", true),
        ("127.0.0.1:8080", "[::]:9090", true),
        ("10.0.0.1:8080", "10.0.0.1:9090", true),
    ] {
        let text =
            format!("[server]\nlisten = \"{server}\"\n[admin]\nlisten = \"{admin}\"\n{SOURCE}");
        let told = load(&text, Purpose::Dev);
        let refused = codes_of(&told.report).contains(&"not-loopback");
        assert_eq!((refused, told.settings.is_none()), (expected, expected), "{server} {admin}");
    }
}

#[test]
fn trying_out_logs_for_people_unless_somebody_says_otherwise() {
    let format = |text: &str, purpose, variables: &[(&str, &str)]| {
        let told = load_beside(&[], &format!("{text}{SOURCE}"), purpose, environment(variables));
        told.settings().log
    };
    let log = |format| LogSettings { level: "info".to_owned(), format };
    let json = [("SWITCHBOARD__LOG__FORMAT", "json")];
    assert_eq!(format("", Purpose::Dev, &[]), log(LogFormat::Pretty));
    assert_eq!(format("", Purpose::Serve, &[]), log(LogFormat::Json));
    assert_eq!(format("", Purpose::Dev, &json), log(LogFormat::Json));
    assert_eq!(format("[log]\nformat = \"json\"\n", Purpose::Dev, &[]), log(LogFormat::Json));
    assert_eq!(format("[log]\nformat = \"pretty\"\n", Purpose::Serve, &[]), log(LogFormat::Pretty));
}

#[test]
fn looking_notes_what_is_missing_and_goes_on() {
    let text = r#"
[admin]
token = "env:NOT_SET"
[sources.retell]
platform = "retell"
secrets = ["env:NOT_SET", "file:none"]
url_token = "file:none"
"#;
    let told = load(text, Purpose::Inspect);
    assert_eq!(codes_of(&told.report), ["secret-missing"; 4], "{}", told.text);
    assert_eq!((told.report.error_count(), told.report.warning_count()), (0, 0));
    has_keys(&told.source(), &["dev", "dev"]);
}

#[test]
fn looking_still_refuses_what_is_wrong_on_every_machine() {
    refused("[sources.retell]\nplatform = \"retell\"\n", Purpose::Inspect, "no-secret");
    refused(&SOURCE.replace("RETELL_API_KEY", "EMPTY"), Purpose::Inspect, "short-secret");
    refused(
        &format!("[admin]\nlisten = \"0.0.0.0:9090\"\n{SOURCE}"),
        Purpose::Inspect,
        "open-admin",
    );
    refused(
        "[sources.retell]\nplatform = \"retell\"\nauth = \"off\"\n",
        Purpose::Inspect,
        "unauthenticated-source",
    );
}

// ---- what is kept of what was answered

/// Where records are kept, as one would write it.
fn place(records: &RecordsSettings) -> String {
    match &records.place {
        RecordsLocation::Off => "off".to_owned(),
        RecordsLocation::Memory => "memory:".to_owned(),
        RecordsLocation::Sqlite(path) => format!("sqlite:{}", path.display()),
        RecordsLocation::Postgres(url) => String::from_utf8(url.expose().to_vec()).expect("text"),
    }
}

fn numbers(records: &RecordsSettings) -> &'static str {
    match &records.numbers {
        NumberStorage::Full => "full",
        NumberStorage::Masked => "masked",
        NumberStorage::Hashed(_) => "hashed",
    }
}

/// Settings with these lines in `[records]`.
fn recording(lines: &str) -> String {
    format!("[records]\n{lines}\n{SOURCE}")
}

/// What came of a URL in the file, and of one in a variable: the place, else the codes. `FOLDER`
/// is the settings file's; `$PASSWORD` is a URL with a password, `$RELATIVE` one with a path.
fn places_of(url: &str, purpose: Purpose) -> [String; 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("switchboard.toml");
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    std::fs::write(folder.path().join("keys/url"), "sqlite:a.db\r\n").unwrap();
    std::fs::write(folder.path().join("keys/binary"), b"sqlite:\xff").unwrap();
    let of = |text: String, variables: &[(&str, &str)]| {
        std::fs::write(&path, text).unwrap();
        let mut environment = environment(variables);
        environment.insert("PASSWORD".to_owned(), DATABASE.to_owned());
        environment.insert("RELATIVE".to_owned(), "sqlite:data/a.db".to_owned());
        environment.insert("ELSEWHERE".to_owned(), "env:PASSWORD".to_owned());
        let told = told(&Inputs { file: Some(path.clone()), environment, purpose }, "FOLDER");
        assert!(!told.text.contains("hunter2"), "{}", told.text);
        let codes = codes_of(&told.report).join(" ");
        for form in ["sqlite:PATH", "postgres://", "memory:", "off", "env:NAME", "file:PATH"] {
            assert!(codes != "bad-value" || told.text.contains(form), "{}", told.text);
        }
        let place = told.settings.map(|settings| place(&settings.records));
        let place = place.map(|place| place.replace(folder.path().to_str().unwrap(), "FOLDER"));
        match (place, codes.as_str()) {
            (Some(place), "") => place,
            (Some(place), codes) => format!("{place} {codes}"),
            (None, codes) => codes.to_owned(),
        }
    };
    let in_the_file = of(recording(&format!("url = '{url}'")), &[]);
    let in_a_variable = of(recording("url = 'off'"), &[("SWITCHBOARD__RECORDS__URL", url)]);
    [in_the_file, in_a_variable]
}

const DATABASE: &str = "postgres://switchboard:hunter2@db.example.com:5433/records?sslmode=require";

#[test]
fn records_are_kept_where_the_url_says() {
    for (url, expected) in [
        ("off", "off"),
        ("memory:", "memory:"),
        ("memory://", "memory:"),
        ("sqlite:/var/a.db", "sqlite:/var/a.db"),
        ("sqlite:///var/a.db", "sqlite:/var/a.db"),
        ("sqlite:/var/with space:and%20.db", "sqlite:/var/with space:and%20.db"),
        ("postgres://db", "postgres://db"),
        ("postgres://me@127.0.0.1:5433/records", "postgres://me@127.0.0.1:5433/records"),
        ("postgresql:///records?host=/run/pg", "postgresql:///records?host=/run/pg"),
        ("postgres://h:1/db?application_name=a@b", "postgres://h:1/db?application_name=a@b"),
        ("env:PASSWORD", DATABASE),
        ("env:RELATIVE", "sqlite:data/a.db"),
        ("file:keys/url", "sqlite:FOLDER/keys/a.db"),
    ] {
        for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
            assert_eq!(places_of(url, purpose), [expected, expected], "{url}");
        }
    }
}

#[test]
fn a_relative_path_is_taken_from_the_folder_of_the_file_that_names_it() {
    for url in ["sqlite:data/a.db", "sqlite://data/a.db"] {
        let expected = ["sqlite:FOLDER/data/a.db", "sqlite:data/a.db"];
        assert_eq!(places_of(url, Purpose::Serve), expected, "{url}");
    }
    // The default as well is taken from where the program runs, beside whatever file.
    let records = taken(SOURCE, Purpose::Serve).records;
    assert_eq!(place(&records), "sqlite:data/switchboard.db");
    let inline = format!("records = {{ url = 'sqlite:a.db' }}\n{SOURCE}");
    let RecordsLocation::Sqlite(path) = taken(&inline, Purpose::Serve).records.place else {
        panic!("another place");
    };
    assert!(path.is_absolute() && path.ends_with("a.db"), "{}", path.display());
}

#[test]
fn a_url_of_no_known_form_is_refused_with_the_forms_that_there_are() {
    for url in [
        "",
        "of",
        "data/a.db",
        "sqlite",
        "sqlite:",
        "sqlite://",
        "sqlite:data/",
        "sqlite:..",
        "sqlite::memory:",
        "sqlite:a.db?mode=rwc",
        "SQLITE:a.db",
        "memory",
        "postgres:",
        "postgres://",
        "postgres:db",
        "mysql://root:hunter2@db/records",
        "hunter2:hunter2",
        "env:",
        "env:hunter2@db",
        "env:ELSEWHERE",
        "env:EMPTY",
        "env:SHORT",
        "file:",
        "file:keys/binary",
    ] {
        for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
            assert_eq!(places_of(url, purpose), ["bad-value", "bad-value"], "{url}");
        }
    }
}

#[test]
fn a_url_with_a_password_stands_in_no_setting() {
    for url in [
        DATABASE,
        "postgres://:hunter2@db/records",
        "postgresql://u:hunt@er2@db",
        "postgres://u:hunter2/with/slash@db/records",
        "postgres://u@db/records?password=hunter2",
        "postgres://db?sslmode=require&sslpassword=hunter2",
    ] {
        for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
            let expected = ["inline-secret", "inline-secret"];
            assert_eq!(places_of(url, purpose), expected, "{url}");
        }
    }
}

#[test]
fn records_are_in_memory_where_their_url_is_missing_and_it_does_not_serve() {
    for url in ["env:NOT_SET", "file:none"] {
        assert_eq!(places_of(url, Purpose::Serve), ["no-secret", "no-secret"], "{url}");
        let noted = "memory: secret-missing";
        for purpose in [Purpose::Dev, Purpose::Inspect] {
            assert_eq!(places_of(url, purpose), [noted, noted], "{url}");
        }
    }
}

#[test]
fn records_are_kept_for_a_day_or_a_hundred_years() {
    for (days, expected) in [("1", 1), ("\"7\"", 7), ("36500", 36_500)] {
        let records = taken(&recording(&format!("retain_days = {days}")), Purpose::Serve).records;
        assert_eq!(records.retain, Duration::from_secs(expected * 24 * 60 * 60), "{days}");
    }
    for days in ["0", "-1", "36501", "1.5", "true", "\"a month\"", "\"30d\"", "[]"] {
        refused(&recording(&format!("retain_days = {days}")), Purpose::Serve, "bad-value");
    }
}

#[test]
fn numbers_are_kept_in_full_masked_or_hashed_with_a_key() {
    let kept = |lines: &str, purpose| taken(&recording(lines), purpose).records;
    for word in ["full", "masked"] {
        let records = kept(&format!("numbers = \"{word}\""), Purpose::Serve);
        assert_eq!(numbers(&records), word);
    }
    let key = |records: RecordsSettings| match records.numbers {
        NumberStorage::Hashed(key) => String::from_utf8(key.expose().to_vec()).expect("text"),
        NumberStorage::Full | NumberStorage::Masked => panic!("not hashed"),
    };
    const HASHED: &str = "numbers = \"hashed\"\n";
    let with_a_key = format!("{HASHED}hash_key = \"env:URL_TOKEN\"");
    assert_eq!(key(kept(&with_a_key, Purpose::Serve)), app::URL_TOKEN);
    let with_a_file = recording(&format!("{HASHED}hash_key = \"file:key\""));
    let files: [(&str, &[u8]); 1] = [("key", b"sixteen_bytes___\n")];
    let told = load_beside(&files, &with_a_file, Purpose::Serve, environment(&[]));
    assert_eq!(key(told.settings().records), "sixteen_bytes___");
    for word in ["", "hash", "no", "Full"] {
        refused(&recording(&format!("numbers = \"{word}\"")), Purpose::Serve, "bad-value");
    }
    refused(&recording("numbers = true"), Purpose::Serve, "bad-value");
}

#[test]
fn a_hash_key_is_a_secret_like_the_others() {
    let hashed = |key: &str| recording(&format!("numbers = \"hashed\"\n{key}"));
    for (key, purpose, expected) in [
        ("", Purpose::Serve, &["no-secret"][..]),
        ("", Purpose::Inspect, &["no-secret"]),
        ("", Purpose::Dev, &[]),
        ("hash_key = \"env:NOT_SET\"", Purpose::Serve, &["no-secret"]),
        ("hash_key = \"env:NOT_SET\"", Purpose::Inspect, &["secret-missing"]),
        ("hash_key = \"env:NOT_SET\"", Purpose::Dev, &[]),
        ("hash_key = \"env:SHORT\"", Purpose::Serve, &["short-secret"]),
        ("hash_key = \"env:SHORT\"", Purpose::Inspect, &["short-secret"]),
        ("hash_key = \"env:SHORT\"", Purpose::Dev, &[]),
        ("hash_key = \"env:EMPTY\"", Purpose::Dev, &["short-secret"]),
        ("hash_key = \"in_the_open_0123456789\"", Purpose::Serve, &["inline-secret"]),
        ("hash_key = \"in_the_open_0123456789\"", Purpose::Dev, &["inline-secret"]),
    ] {
        let told = load(&hashed(key), purpose);
        assert_eq!(codes_of(&told.report), expected, "{key} {purpose:?}\n{}", told.text);
        assert_eq!(told.settings.is_some(), told.report.error_count() == 0);
        if let Some(Settings { records, .. }) = told.settings {
            let NumberStorage::Hashed(key_in_use) = records.numbers else { panic!("not hashed") };
            let dev = !key.contains("SHORT");
            assert_eq!(key_in_use.expose(), if dev { b"dev" } else { SHORT.as_bytes() });
        }
    }
}

#[test]
fn a_hash_key_that_hashes_nothing_is_told_and_no_more() {
    for word in ["", "numbers = \"full\"", "numbers = \"masked\""] {
        let told =
            load(&recording(&format!("{word}\nhash_key = \"env:URL_TOKEN\"")), Purpose::Serve);
        assert_eq!(codes_of(&told.report), ["never-used"], "{}", told.text);
        assert_eq!((told.report.error_count(), told.report.warning_count()), (0, 1));
        assert!(told.settings.is_some());
    }
    let wrong = recording("numbers = \"hash\"\nhash_key = \"env:URL_TOKEN\"");
    refused(&wrong, Purpose::Serve, "bad-value");
}

#[test]
fn a_reply_waits_for_its_record_or_not_and_carries_a_stamp_or_not() {
    for (word, expected) in [("no", Wait::No), ("commit", Wait::Commit)] {
        let records = taken(&recording(&format!("wait = \"{word}\"")), Purpose::Serve).records;
        assert_eq!(records.wait, expected);
    }
    for value in ["\"yes\"", "\"\"", "true", "1"] {
        refused(&recording(&format!("wait = {value}")), Purpose::Serve, "bad-value");
    }
    for (value, expected) in [("true", true), ("false", false), ("\"true\"", true)] {
        let records = taken(&recording(&format!("stamp = {value}")), Purpose::Serve).records;
        assert_eq!(records.stamp, expected, "{value}");
    }
    for value in ["1", "\"on\"", "\"\"", "[]"] {
        refused(&recording(&format!("stamp = {value}")), Purpose::Serve, "bad-value");
    }
}

#[test]
fn every_key_of_the_records_may_come_from_a_variable() {
    let text = recording(
        "url = \"off\"\nretain_days = 1\nnumbers = \"full\"\nwait = \"no\"\nstamp = false",
    );
    let variables = [
        ("SWITCHBOARD__RECORDS__URL", "memory:"),
        ("SWITCHBOARD__RECORDS__RETAIN_DAYS", "2"),
        ("SWITCHBOARD__RECORDS__NUMBERS", "hashed"),
        ("SWITCHBOARD__RECORDS__HASH_KEY", "env:URL_TOKEN"),
        ("SWITCHBOARD__RECORDS__WAIT", "commit"),
        ("SWITCHBOARD__RECORDS__STAMP", "true"),
    ];
    let told = load_beside(&[], &text, Purpose::Serve, environment(&variables));
    assert!(told.report.diagnostics().is_empty(), "{}", told.text);
    let records = told.settings().records;
    assert_eq!((place(&records).as_str(), numbers(&records)), ("memory:", "hashed"));
    assert_eq!(records.retain, Duration::from_secs(2 * 24 * 60 * 60));
    assert_eq!((records.wait, records.stamp), (Wait::Commit, true));
}

// ---- who may ask, and where

#[test]
fn without_signatures_a_second_factor_is_asked_for() {
    let off = "[sources.retell]\nplatform = \"retell\"\nauth = \"off\"\n";
    refused(off, Purpose::Serve, "unauthenticated-source");
    let with_token = taken(&format!("{off}url_token = \"env:URL_TOKEN\"\n"), Purpose::Serve);
    assert_eq!(with_token.sources[0].policy.mode, Mode::Off);
    let with_addresses = taken(&format!("{off}allow_from = \"10.0.0.0/8\"\n"), Purpose::Serve);
    assert!(with_addresses.sources[0].policy.keys.is_empty());
}

#[test]
fn a_second_factor_that_is_missing_is_none() {
    let off =
        "[sources.retell]\nplatform = \"retell\"\nauth = \"off\"\nurl_token = \"env:NOT_SET\"\n";
    refused(off, Purpose::Serve, "no-secret");
}

#[test]
fn watching_needs_a_secret_to_know_what_it_would_refuse() {
    let observe = "[sources.retell]\nplatform = \"retell\"\nauth = \"observe\"\n";
    refused(observe, Purpose::Serve, "no-secret");
    let settings = taken(&format!("{SOURCE}auth = \"observe\"\n"), Purpose::Serve);
    assert_eq!(settings.sources[0].policy.mode, Mode::Observe);
}

#[test]
fn a_platform_that_signs_little_is_fine_with_a_second_factor() {
    let bare =
        "[sources.synthflow]\nplatform = \"synthflow\"\nsecrets = \"env:SYNTHFLOW_SECRET\"\n";
    let told = load(bare, Purpose::Serve);
    assert_eq!((told.report.error_count(), told.report.warning_count()), (0, 1), "{}", told.text);
    assert!(told.settings.is_some());
    taken(&format!("{bare}url_token = \"env:URL_TOKEN\"\n"), Purpose::Serve);
    taken(&format!("{bare}allow_from = [\"10.0.0.0/8\"]\n"), Purpose::Serve);
}

#[test]
fn a_budget_is_nine_seconds_at_most() {
    for (ms, expected) in [(1, &[][..]), (9000, &[]), (9001, &["bad-value"]), (0, &["bad-value"])] {
        let told = load(&format!("{SOURCE}reply_within_ms = {ms}\n"), Purpose::Serve);
        assert_eq!(codes_of(&told.report), expected, "{ms}");
        let within = told.settings.map(|settings| settings.sources[0].reply_within);
        assert!(within.is_none_or(|within| within == Duration::from_millis(ms)), "{ms}");
    }
}

#[test]
fn a_count_is_a_whole_number() {
    for value in ["true", "\"yes\"", "1.6", "-1", "0", "\"\"", "[]", "10000001"] {
        let text = format!("[server]\nmax_connections = {value}\n{SOURCE}");
        refused(&text, Purpose::Serve, "bad-value");
    }
    for value in ["1", "\"16\"", "10_000_000", "0x10"] {
        taken(&format!("[server]\nmax_connections = {value}\n{SOURCE}"), Purpose::Serve);
    }
}

#[test]
fn the_rules_are_looked_at_every_so_often_or_never() {
    for (line, expected) in [
        ("", Some(1000)),
        ("poll_ms = 1", Some(1)),
        ("poll_ms = \"500\"", Some(500)),
        ("poll_ms = 0", None),
    ] {
        let rules = taken(&format!("[rules]\n{line}\n{SOURCE}"), Purpose::Serve).rules;
        assert_eq!(rules.poll, expected.map(Duration::from_millis), "{line}");
    }
    for value in ["-1", "1.5", "true", "\"\"", "\"never\"", "10000001"] {
        refused(&format!("[rules]\npoll_ms = {value}\n{SOURCE}"), Purpose::Serve, "bad-value");
    }
    let never = environment(&[("SWITCHBOARD__RULES__POLL_MS", "0")]);
    let told = load_beside(&[], &format!("[rules]\npoll_ms = 1\n{SOURCE}"), Purpose::Serve, never);
    assert_eq!(told.settings().rules.poll, None);
}

#[test]
fn the_fallback_is_a_word_or_an_agent() {
    for (text, expected) in [
        ("keep", Fallback::Keep),
        ("reject", Fallback::Reject),
        ("front-desk", Fallback::Agent("front-desk".into())),
    ] {
        let settings = taken(&format!("{SOURCE}fallback = \"{text}\"\n"), Purpose::Serve);
        assert_eq!(settings.sources[0].fallback, expected);
    }
}

#[test]
fn the_rules_are_checked_against_what_the_settings_say() {
    let text = r#"
[sources.shop]
platform = "retell"
secrets = "env:RETELL_API_KEY"
reply_within_ms = 2500
fallback = "desk"
[sources.clinic]
platform = "synthflow"
secrets = "env:SYNTHFLOW_SECRET"
url_token = "env:URL_TOKEN"
"#;
    let around = taken(text, Purpose::Serve).surroundings();
    let sources = around.sources.iter();
    let sources =
        sources.map(|one| (&*one.source, one.platform.as_str(), one.reply_within.as_millis()));
    let expected = [("clinic", "synthflow", 3000), ("shop", "retell", 2500)];
    assert_eq!(sources.collect::<Vec<_>>(), expected);
    assert_eq!(around.fallback_agents, ["desk"]);
}

#[test]
fn networks_are_addresses_or_ranges() {
    for (text, expected) in [
        ("100.20.5.228", Some("100.20.5.228/32")),
        ("10.0.0.0/8", Some("10.0.0.0/8")),
        ("::1", Some("::1/128")),
        ("2001:db8::/32", Some("2001:db8::/32")),
        ("10.0.0.0/33", None),
        ("10.0.0", None),
        ("100.20.5.228:443", None),
        ("example.com", None),
        ("", None),
    ] {
        let told = load(&format!("{SOURCE}allow_from = [\"{text}\"]\n"), Purpose::Serve);
        let read =
            told.settings.map(|settings| settings.sources[0].policy.allow_from[0].to_string());
        assert_eq!(read.as_deref(), expected, "{text:?}");
        assert_eq!(told.report.error_count(), usize::from(expected.is_none()), "{}", told.text);
    }
}

#[test]
fn the_admin_listener_leaves_loopback_only_with_a_token() {
    for (listen, token, expected) in [
        ("127.0.0.1:9090", "", &[][..]),
        ("[::1]:9090", "", &[]),
        ("0.0.0.0:9090", "", &["open-admin"]),
        ("10.0.0.1:9090", "", &["open-admin"]),
        ("[::]:9090", "", &["open-admin"]),
        ("0.0.0.0:9090", "token = \"env:URL_TOKEN\"\n", &[]),
        ("0.0.0.0:9090", "token = \"env:SHORT\"\n", &["short-secret"]),
    ] {
        let told =
            load(&format!("[admin]\nlisten = \"{listen}\"\n{token}{SOURCE}"), Purpose::Serve);
        assert_eq!(codes_of(&told.report), expected, "{listen}");
    }
}

#[test]
fn an_open_admin_listener_is_told_beside_other_mistakes() {
    let text = format!("[admin]\nlisten = \"0.0.0.0:9090\"\n[log]\nformat = \"xml\"\n{SOURCE}");
    let told = load(&text, Purpose::Serve);
    assert_eq!(told.report.error_count(), 2, "{}", told.text);
}

#[test]
fn the_public_listener_may_be_anywhere() {
    taken(&format!("[server]\nlisten = \"0.0.0.0:8080\"\n{SOURCE}"), Purpose::Serve);
}

#[test]
fn two_listeners_need_two_addresses() {
    for (server, admin, expected) in [
        ("127.0.0.1:8080", "127.0.0.1:8080", &["same-address"][..]),
        ("127.0.0.1:8080", "127.0.0.1:8081", &[]),
        ("127.0.0.1:8080", "127.0.0.2:8080", &[]),
        ("127.0.0.1:0", "127.0.0.1:0", &[]),
    ] {
        let text =
            format!("[server]\nlisten = \"{server}\"\n[admin]\nlisten = \"{admin}\"\n{SOURCE}");
        assert_eq!(codes_of(&load(&text, Purpose::Serve).report), expected, "{server} {admin}");
    }
}

#[test]
fn a_source_is_called_by_letters_digits_and_dashes() {
    for name in ["retell", "shop-2", "a_b", "7", "MixedCase"] {
        let settings =
            taken(&SOURCE.replace("sources.retell", &format!("sources.{name}")), Purpose::Serve);
        assert_eq!(&*settings.sources[0].name, name);
    }
    for name in ["", "my shop", "a/b", "a.b", "grüße", "..", "a%2fb"] {
        refused(
            &SOURCE.replace("sources.retell", &format!("sources.'{name}'")),
            Purpose::Serve,
            "bad-value",
        );
    }
}

#[test]
fn several_sources_may_be_of_one_platform() {
    let text = format!("{SOURCE}{}", SOURCE.replace("sources.retell", "sources.clinic"));
    let settings = taken(&text, Purpose::Serve);
    let names: Vec<_> = settings.sources.iter().map(|source| &*source.name).collect();
    assert_eq!(names, ["clinic", "retell"]);
}

// ---- not so yet: each of these fails, for the reason that stands beside it

#[test]
fn a_key_behind_env_is_not_shown() {
    let text = SOURCE.replace("RETELL_API_KEY", "canary-0123456789/abc");
    shows_no_secret(&load(&text, Purpose::Serve), &["canary"]);
}

#[test]
fn printing_a_report_for_a_programmer_shows_no_file() {
    let text = SOURCE.replace("env:RETELL_API_KEY", "canary");
    let told = load(&text, Purpose::Serve);
    assert!(!format!("{:?}", told.report).contains("canary"));
}

#[test]
fn a_token_is_one_and_every_one_is_looked_at() {
    for token in
        ["[\"env:URL_TOKEN\", \"in_the_open_0123456789\"]", "[\"env:URL_TOKEN\", \"env:NOT_SET\"]"]
    {
        let told = load(&format!("{SOURCE}url_token = {token}\n"), Purpose::Serve);
        assert!(told.report.error_count() > 0, "{token}");
        let told = load(&format!("[admin]\ntoken = {token}\n{SOURCE}"), Purpose::Serve);
        assert!(told.report.error_count() > 0, "{token}");
    }
}

#[test]
fn a_value_of_another_kind_is_refused() {
    for line in ["[rules]\npath = true\n", "[log]\nlevel = 3\n"] {
        let told = load(&format!("{line}{SOURCE}"), Purpose::Serve);
        assert!(told.report.error_count() > 0, "{line}");
    }
    for line in ["fallback = true\n", "fallback = 3\n"] {
        let told = load(&format!("{SOURCE}{line}"), Purpose::Serve);
        assert!(told.report.error_count() > 0, "{line}");
    }
}

#[test]
fn a_misspelt_level_is_no_level() {
    for level in ["inof", "warning", "information", ""] {
        refused(&format!("[log]\nlevel = \"{level}\"\n{SOURCE}"), Purpose::Serve, "bad-value");
    }
}

#[test]
fn a_mistake_in_a_variable_names_the_variable_however_it_is_written() {
    for name in ["SWITCHBOARD__SERVER__LISTEN__X", "switchboard__server__listen"] {
        let told = load_beside(&[], SOURCE, Purpose::Serve, environment(&[(name, "nonsense")]));
        assert!(told.text.contains(name), "{}", told.text);
    }
}

#[test]
fn a_number_beyond_all_bounds_is_told_with_its_key() {
    let told =
        load(&format!("[server]\nmax_in_flight = 99999999999999999999\n{SOURCE}"), Purpose::Serve);
    assert!(told.text.contains("max_in_flight"), "{}", told.text);
}

#[test]
fn one_mistake_is_told_once() {
    for text in ["server = 3\n", "log = \"info\"\n"] {
        refused(&format!("{text}{SOURCE}"), Purpose::Serve, "wrong-kind");
    }
    refused(
        "[sources.retell]\nplatform = \"retell\"\nauth = \"off\"\nallow_from = \"nonsense\"\n",
        Purpose::Serve,
        "bad-value",
    );
    refused("sources = 3\n", Purpose::Serve, "wrong-kind");
}

#[test]
fn a_short_token_is_told_how_to_make_a_longer_one() {
    let told = load(&format!("{SOURCE}url_token = \"env:SHORT\"\n"), Purpose::Serve);
    assert!(!told.text.contains("that the platform shows"), "{}", told.text);
}

#[test]
fn an_empty_token_is_no_token() {
    let told = load(&format!("{SOURCE}url_token = \"\"\n"), Purpose::Serve);
    assert!(told.report.error_count() > 0, "{}", told.text);
}

#[test]
fn looking_says_that_a_secret_is_too_short_to_serve() {
    let told = load(&SOURCE.replace("RETELL_API_KEY", "SHORT"), Purpose::Inspect);
    assert!(!told.report.diagnostics().is_empty());
}

#[test]
fn trying_out_in_front_of_everybody_is_told_once() {
    refused(&format!("[admin]\nlisten = \"[::]:9090\"\n{SOURCE}"), Purpose::Dev, "not-loopback");
}

#[test]
fn an_empty_fallback_is_no_agent() {
    refused(&format!("{SOURCE}fallback = \" \"\n"), Purpose::Serve, "bad-value");
}
