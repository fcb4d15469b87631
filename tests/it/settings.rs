//! Settings: layers, errors, and reports without secrets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;
use std::time::Duration;

use axum::http::HeaderMap;
use config::{Config, File, FileFormat, Map, Value};
use serde_json::json;
use switchboard::authenticate::Mode;
use switchboard::diagnostics::Report;
use switchboard::dialect::Incoming;
use switchboard::domain::party::NumberField;
use switchboard::domain::user::{PasswordHash, Role};
use switchboard::settings;
use switchboard::settings::{
    DEFAULTS, Inputs, LogFormat, LogSettings, NumberStorage, Purpose, RecordsLocation,
    RecordsSettings, Settings, Wait,
};
use switchboard::source::{Fallback, Source};

use crate::rules::{check_documented, codes_in, codes_of, matches_snapshot};
use crate::support::app::{self, NOW_MS, RETELL_KEY, load_settings_with};
use crate::support::tls::SelfSigned;

// ---- helpers

/// Valid source.
const SOURCE: &str =
    "[sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\"]\n";

/// Value of the variable `SHORT`.
const SHORT: &str = "fifteen_bytes__";

/// Returns the environment of the tests with invalid variables of every kind, and `more`.
fn environment(more: &[(&str, &str)]) -> HashMap<String, String> {
    let bad = [
        ("SHORT", SHORT),
        ("EMPTY", ""),
        ("WITH_SLASH", "token/0123456789abcdef"),
        ("SHORT_WHSEC", "whsec_MfKQ9r8GKYo="),
    ];
    let pairs = bad.iter().chain(more);
    let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    app::environment().into_iter().chain(pairs).collect()
}

/// Result of loading settings. The text has `FOLDER` in place of the folder of the settings file.
struct Loaded {
    settings: Option<Settings>,
    report: Report,
    text: String,
}

impl Loaded {
    #[track_caller]
    fn settings(self) -> Settings {
        self.settings.unwrap_or_else(|| panic!("{}", self.text))
    }

    /// Returns the only source.
    #[track_caller]
    fn source(self) -> Source {
        let mut sources = self.settings().sources;
        assert_eq!(sources.len(), 1);
        sources.remove(0)
    }
}

/// Loads `text` as a settings file, with other files in its folder.
#[track_caller]
fn load_beside(
    files: &[(&str, &[u8])],
    text: &str,
    purpose: Purpose,
    environment: HashMap<String, String>,
) -> Loaded {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, mode).expect("a file of ours");
    }
    let file = folder.path().join("switchboard.toml");
    std::fs::write(&file, text.trim_start()).expect("a file");
    let inputs = Inputs { file: Some(file), environment, purpose };
    load_inputs(&inputs, &folder.path().display().to_string())
}

#[track_caller]
fn load_inputs(inputs: &Inputs, folder: &str) -> Loaded {
    let loaded = settings::load(inputs).expect("a readable file");
    let text = loaded.report.to_text(false).replace(folder, "FOLDER");
    Loaded { settings: loaded.settings, report: loaded.report, text }
}

#[track_caller]
fn load(text: &str, purpose: Purpose) -> Loaded {
    static EXPIRED: LazyLock<SelfSigned> = LazyLock::new(|| SelfSigned::expired("hooks.example"));
    let files: [(&str, &[u8]); 2] =
        [("expired.pem", EXPIRED.chain.as_bytes()), ("expired.key", EXPIRED.key.as_bytes())];
    load_beside(&files, text, purpose, environment(&[]))
}

/// Loads settings without a file.
#[track_caller]
fn load_variables(more: &[(&str, &str)], purpose: Purpose) -> Loaded {
    load_inputs(&Inputs { file: None, environment: environment(more), purpose }, "FOLDER")
}

/// Checks that these settings are rejected with this code alone.
#[track_caller]
fn rejects(text: &str, purpose: Purpose, code: &str) {
    let loaded = load(text, purpose);
    assert_eq!(codes_of(&loaded.report), [code], "{text}\n{}", loaded.text);
    assert!(loaded.settings.is_none(), "{text}");
}

/// Checks that these settings are valid, without warnings or notes.
#[track_caller]
fn accepts(text: &str, purpose: Purpose) -> Settings {
    let loaded = load(text, purpose);
    assert!(loaded.report.diagnostics().is_empty(), "{text}\n{}", loaded.text);
    loaded.settings()
}

/// Returns the signatures that the keys of a source make, to tell the keys apart.
fn signatures(source: &Source) -> Vec<String> {
    let now = jiff::Timestamp::from_millisecond(NOW_MS).expect("a time");
    let scheme = &*source.policy.scheme;
    let secrets = source.policy.secrets.load();
    let signed = secrets.keys.iter().map(|key| app::sign_with(scheme, key, b"{}", now));
    let first = |headers: HeaderMap| headers.values().next().expect("a header").clone();
    let signed = signed.map(|signed| first(signed.expect("signable")));
    signed.map(|value| value.to_str().expect("text").to_owned()).collect()
}

/// Checks the keys of a source.
#[track_caller]
fn has_keys(source: &Source, keys: &[&str]) {
    let expected = keys.iter().map(|key| app::sign("retell", b"{}", NOW_MS, key).1);
    assert_eq!(signatures(source), expected.collect::<Vec<_>>(), "{keys:?}");
}

// ---- layers

#[test]
fn the_environment_overrides_the_file_and_the_file_the_defaults() {
    let text = format!("[server]\nmax_connections = 7\nmax_in_flight = 8\n{SOURCE}");
    let variables = [("SWITCHBOARD__SERVER__MAX_IN_FLIGHT", "9")];
    let (settings, report) = load_settings_with(&text, Purpose::Serve, environment(&variables));
    let server = settings.unwrap_or_else(|| panic!("{report}")).server;
    assert_eq!(server.max_connections, 7, "from the file");
    assert_eq!(server.max_in_flight, 9, "from the environment");
    assert_eq!(server.request_timeout, Duration::from_secs(10), "from the defaults");
}

#[test]
fn variables_override_keys_of_a_source() {
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
fn variables_alone_can_define_a_source() {
    let loaded = load_variables(
        &[
            ("SWITCHBOARD__SOURCES__RETELL__PLATFORM", "retell"),
            ("SWITCHBOARD__SOURCES__RETELL__SECRETS", "env:RETELL_API_KEY, env:SYNTHFLOW_SECRET"),
            ("SWITCHBOARD__SOURCES__RETELL__URL_TOKEN", "env:URL_TOKEN"),
            ("SWITCHBOARD__SOURCES__RETELL__ALLOW_FROM", "100.20.5.228,10.0.0.0/8, 2001:db8::/32"),
        ],
        Purpose::Serve,
    );
    let source = loaded.source();
    assert_eq!((&*source.name, source.dialect.platform().as_str()), ("retell", "retell"));
    has_keys(&source, &[RETELL_KEY, app::SYNTHFLOW_SECRET]);
    let secrets = source.policy.secrets.load();
    let token = secrets.url_token.as_ref();
    assert!(token.is_some_and(|token| token.equals(app::URL_TOKEN.as_bytes())));
    let networks = source.policy.allow_from.iter().map(ToString::to_string);
    let networks: Vec<_> = networks.collect();
    assert_eq!(networks, ["100.20.5.228/32", "10.0.0.0/8", "2001:db8::/32"]);
}

#[test]
fn comma_separated_variables_replace_lists_of_the_file() {
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
fn ignores_variables_with_other_prefixes() {
    let others = [
        ("SWITCHBOARD_PORT", "tcp://10.0.0.1:8080"),
        ("SWITCHBOARD_SERVICE_HOST", "10.0.0.1"),
        ("SWITCHBOARDS__SERVER__LISTEN", "nonsense"),
        ("SERVER__LISTEN", "nonsense"),
    ];
    let loaded = load_beside(&[], SOURCE, Purpose::Serve, environment(&others));
    assert!(loaded.report.diagnostics().is_empty(), "{}", loaded.text);
}

#[test]
fn resolves_the_rules_path_relative_to_the_settings_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    let rules = |text: &str, variables: &[(&str, &str)]| {
        std::fs::write(&file, format!("{text}{SOURCE}")).unwrap();
        let environment = environment(variables);
        let inputs = Inputs { file: Some(file.clone()), environment, purpose: Purpose::Serve };
        settings::load(&inputs).unwrap().settings.unwrap().rules.path
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
fn returns_the_rules_path_of_invalid_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    let inputs =
        Inputs { file: Some(file.clone()), environment: [].into(), purpose: Purpose::Inspect };
    for wrong in ["[server]\nlisten = \"x\"\n", "poll_ms = -1\n"] {
        std::fs::write(&file, format!("[rules]\npath = \"a.toml\"\n{wrong}")).unwrap();
        let loaded = settings::load(&inputs).unwrap();
        assert!(loaded.settings.is_none());
        assert_eq!(loaded.rules, Some(folder.path().join("a.toml")));
    }
}

#[test]
fn a_missing_file_is_an_io_error() {
    let file = Some("/no/such/switchboard.toml".into());
    let inputs = Inputs { file, environment: [].into(), purpose: Purpose::Serve };
    assert!(settings::load(&inputs).is_err());
}

// ---- defaults

/// Returns all keys with their values, such as `server.listen`.
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
fn the_default_file_lists_exactly_the_effective_defaults() {
    let loaded = load_variables(
        &[
            ("SWITCHBOARD__SOURCES__RETELL__PLATFORM", "retell"),
            ("SWITCHBOARD__SOURCES__RETELL__SECRETS", "env:RETELL_API_KEY"),
        ],
        Purpose::Serve,
    );
    let Settings { server, admin, rules, records, log, .. } = loaded.settings();
    let ms = |duration: Duration| duration.as_millis().to_string();
    let proxies = server.trusted_proxies.iter().map(ToString::to_string);
    let format = match log.format {
        LogFormat::Pretty => "pretty",
        LogFormat::Json => "json",
    };
    let in_force = [
        ("admin.listen", admin.listen.to_string()),
        ("admin.edit", admin.edit.to_string()),
        ("admin.reveal_numbers", admin.reveal_numbers.to_string()),
        ("log.format", format.to_owned()),
        ("log.level", log.level),
        ("records.numbers", numbers(&records).to_owned()),
        ("records.retain_days", (records.retain.as_secs() / 86_400).to_string()),
        ("records.stamp", records.stamp.to_string()),
        ("records.lookups", records.lookups.to_string()),
        ("records.url", location(&records)),
        ("records.wait", if records.wait == Wait::No { "no" } else { "commit" }.to_owned()),
        ("rules.isolate", rules.isolate.to_string()),
        ("rules.path", rules.path.display().to_string()),
        ("rules.poll_ms", ms(rules.poll.expect("it polls"))),
        ("server.header_timeout_ms", ms(server.header_timeout)),
        ("server.listen", server.listen.to_string()),
        ("server.max_connections", server.max_connections.to_string()),
        ("server.max_in_flight", server.max_in_flight.to_string()),
        (
            "server.max_unauthenticated_per_address",
            server.max_unauthenticated_per_address.to_string(),
        ),
        ("server.body_memory_mb", (server.body_memory_bytes >> 20).to_string()),
        ("server.http2", server.http2.to_string()),
        ("server.proxy_protocol", server.proxy_protocol.to_string()),
        ("server.reuse_port", server.reuse_port.to_string()),
        ("server.request_timeout_ms", ms(server.request_timeout)),
        ("server.shutdown_grace_ms", ms(server.shutdown_grace)),
        ("server.trusted_proxies", proxies.collect::<Vec<_>>().join(",")),
    ];
    let in_force = in_force.map(|(key, value)| (key.to_owned(), value));
    assert_eq!(leaves_of(DEFAULTS), in_force.into());
    assert!(admin.token.is_none() && admin.users.is_empty());
}

#[test]
fn users_of_the_console_have_a_hash_from_the_file_or_from_a_variable() {
    let hash = PasswordHash::new("correct horse", [7; 16]);
    let text = format!(
        "[admin]\ntoken = \"env:ADMIN_TOKEN\"\n\
         [admin.users.ann]\npassword_hash = '{}'\nrole = \"editor\"\n\
         [admin.users.ben]\npassword_hash = \"env:BEN\"\n\
         [sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\"]\n",
        hash.as_str()
    );
    let variables = environment(&[("ADMIN_TOKEN", app::URL_TOKEN), ("BEN", hash.as_str())]);
    let loaded = load_beside(&[], &text, Purpose::Serve, variables);
    assert!(loaded.report.diagnostics().is_empty(), "{}", loaded.text);
    let users = loaded.settings().admin.users;
    let shown: Vec<_> = users.iter().map(|user| (&*user.name, user.role)).collect();
    assert_eq!(shown, [("ann", Role::Editor), ("ben", Role::Viewer)]);
    assert!(users.iter().all(|user| user.password_hash.verify("correct horse")));
}

/// Returns the commented source of `config/default.toml` without its comment signs.
fn commented_source() -> String {
    let begun = DEFAULTS.lines().skip_while(|line| !line.starts_with("# [sources.retell]"));
    let block = begun.map_while(|line| line.strip_prefix("# "));
    block.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_commented_source_of_the_default_file_is_valid() {
    let variables = environment(&[("RETELL_URL_TOKEN", app::URL_TOKEN)]);
    let loaded = load_beside(&[], &commented_source(), Purpose::Serve, variables);
    assert!(loaded.report.diagnostics().is_empty(), "{}", loaded.text);
    let source = loaded.source();
    assert!(source.policy.has_second_factor());
}

#[test]
fn the_commented_source_shows_the_effective_defaults() {
    let said = leaves_of(&commented_source());
    assert_eq!(said["sources.retell.signature.kind"], "retell", "the platform's own");
    let left_out = accepts(SOURCE, Purpose::Serve).sources.remove(0);
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
    assert!(!left_out.policy.has_url_token());
    assert!(left_out.policy.allow_from.is_empty());
}

#[test]
fn the_commented_source_has_every_key() {
    let loaded = load(&format!("{SOURCE}nonsense = 1\n"), Purpose::Serve);
    let help = loaded.report.diagnostics()[0].help.clone().expect("the keys that there are");
    let known = help.trim_start_matches("a source has ").split(", ");
    let known: BTreeSet<_> = known.map(|key| format!("sources.retell.{key}")).collect();
    let source = commented_source();
    let said = leaves_of(&source).into_keys();
    let said = said.map(|key| key.trim_end_matches(".kind").to_owned());
    // Keys that Retell does not have are comments there.
    let of_others =
        source.lines().filter_map(|line| line.strip_prefix("# api_")?.split_once(" = "));
    let of_others = of_others.map(|(key, _)| format!("sources.retell.api_{key}"));
    assert_eq!(said.chain(of_others).collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_shipped_settings_are_valid() {
    let inputs = Inputs {
        file: Some(app::root().join("config/switchboard.toml")),
        environment: environment(&[("SYNTHFLOW_URL_TOKEN", app::URL_TOKEN)]),
        purpose: Purpose::Serve,
    };
    let loaded = settings::load(&inputs).unwrap();
    assert!(loaded.report.diagnostics().is_empty(), "{}", loaded.report);
    let settings = loaded.settings.unwrap();
    assert!(settings.rules.path.exists());
    assert_eq!(settings.sources.len(), 2);
}

// ---- errors

/// Minimal files with one error each. Each is a test: the report has this code alone, and equals the
/// snapshot of the same name.
macro_rules! mistakes {
    ($($name:ident: $code:literal to $purpose:ident in $text:expr;)*) => {
        const MISTAKES: &[(&str, Purpose, &str)] = &[$(($code, Purpose::$purpose, $text)),*];

        $(
            #[test]
            fn $name() {
                let loaded = load($text, Purpose::$purpose);
                assert_eq!(codes_of(&loaded.report), [$code], "{}", loaded.text);
                matches_snapshot("settings", stringify!($name), $text, &loaded.text);
            }
        )*
    };
}

mistakes! {
    rule_table_as_settings: "wrong-file" to Serve in r#"
[agents]
front-desk = "agent_1"

[[rule]]
name = "everyone"
agent = "front-desk"
"#;

    variables_as_settings: "wrong-file" to Serve in r#"
# secrets
RETELL_API_KEY=key_0123456789abcdef
export SYNTHFLOW_SECRET="secret_0123456789ab"
"#;

    json_as_settings: "wrong-file" to Serve in r#"
{ "sources": { "retell": { "platform": "retell" } } }
"#;

    yaml_as_settings: "wrong-file" to Serve in r#"
sources:
  retell:
    platform: retell
"#;

    signature_without_a_kind: "missing-key" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
signature = { header = "x-sig" }
"#;

    signature_of_an_unknown_kind: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
signature = { kind = "hmacs" }
"#;

    signature_with_an_unknown_placeholder: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]

[sources.retell.signature]
kind = "hmac"
signature_header = "webhook-signature"
message = "{svix-id}.{body}"
"#;

    signature_with_a_key_of_another_kind: "unknown-key" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
url_token = "env:URL_TOKEN"
signature = { kind = "bearer", query = "token" }
"#;

    tolerance_without_a_timestamp: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]

[sources.retell.signature]
kind = "hmac"
signature_header = "x-hub-signature-256"
prefix = "sha256="
message = "{body}"
tolerance_s = 300
"#;

    timestamp_header_that_nothing_covers: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]

[sources.retell.signature]
kind = "hmac"
signature_header = "x-signature"
timestamp_header = "x-timestamp"
message = "{body}"
"#;

    signature_of_the_url_without_a_url: "missing-key" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
url_token = "env:URL_TOKEN"
signature = { kind = "twilio" }
"#;

    public_url_with_a_query: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
public_base_url = "https://hooks.example.com/?a=b"
"#;

    secret_that_is_no_public_key: "unusable-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
signature = { kind = "ed25519" }
"#;

    secret_that_is_no_user_and_password: "unusable-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
url_token = "env:URL_TOKEN"
signature = { kind = "basic" }
"#;

    encoded_key_that_is_short: "short-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:SHORT_WHSEC"]
signature = { kind = "standard_webhooks" }
"#;

    signature_none_alone: "unauthenticated-source" to Serve in r#"
[sources.retell]
platform = "retell"
signature = { kind = "none" }
"#;

    signature_that_proves_the_sender: "one-factor" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
signature = { kind = "bearer" }
"#;

    signature_without_a_time: "one-factor" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
public_base_url = "https://hooks.example.com"
signature = { kind = "twilio" }
"#;

    signature_without_the_query: "unsigned-query" to Serve in r#"
[sources.millis]
platform = "millis"
secrets = ["env:RETELL_API_KEY"]

[sources.millis.signature]
kind = "hmac"
signature_header = "x-signature"
timestamp_header = "x-timestamp"
message = "{timestamp}.{body}"
"#;

    api_in_clear_text: "bad-value" to Serve in r#"
[sources.openai]
platform = "openai"
secrets = ["env:OPENAI_SECRET"]
api_key = "env:API_KEY"
api_url = "http://api.example.com/v1"
fallback = "front-desk"
"#;

    no_key_of_the_api: "no-secret" to Inspect in r#"
[sources.openai]
platform = "openai"
secrets = ["env:OPENAI_SECRET"]
fallback = "front-desk"
"#;

    header_for_numbers_in_one_field: "bad-value" to Serve in r#"
[sources.synthflow]
platform = "synthflow"
secrets = ["env:SYNTHFLOW_SECRET"]
url_token = "env:URL_TOKEN"
from = ["sip.p-asserted-identity"]
"#;

    schemes_that_share_their_secrets: "no-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
signature = { all = [{ kind = "retell" }, { kind = "bearer" }] }
"#;

    list_of_one_scheme: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
signature = { all = [{ kind = "retell" }] }
"#;

    certificate_in_the_file_of_the_key: "bad-certificate" to Serve in r#"
[server]
tls = { cert = "expired.key", key = "expired.key" }

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    key_in_the_file_of_the_certificate: "bad-certificate" to Serve in r#"
[server]
tls = { cert = "expired.pem", key = "expired.pem" }

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    certificate_file_missing: "no-certificate" to Serve in r#"
[server]
tls = { cert = "fullchain.pem", key = "expired.key" }

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    certificate_file_missing_at_check: "certificate-missing" to Inspect in r#"
[server]
tls = { cert = "fullchain.pem", key = "expired.key" }

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    expired_certificate: "certificate-validity" to Serve in r#"
[server]
tls = { cert = "expired.pem", key = "expired.key" }

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    http2_without_tls: "missing-key" to Serve in r#"
[server]
http2 = true

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    proxy_protocol_without_proxies: "missing-key" to Serve in r#"
[server]
proxy_protocol = true

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    invalid_toml: "syntax" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = [env:RETELL_API_KEY]
"#;

    integer_beyond_64_bits: "bad-value" to Serve in r#"
[server]
max_in_flight = 99999999999999999999

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    unknown_section: "unknown-key" to Serve in r#"
[sever]
listen = "127.0.0.1:8081"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    misspelt_key: "unknown-key" to Serve in r#"
[server]
lisen = "127.0.0.1:8081"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    misspelt_key_of_a_source: "unknown-key" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
reply_in_ms = 3000
"#;

    unknown_key: "unknown-key" to Serve in r#"
[admin]
colour = "red"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    source_without_platform: "missing-key" to Serve in r#"
[sources.retell]
secrets = ["env:RETELL_API_KEY"]
"#;

    source_that_is_not_a_table: "wrong-kind" to Serve in r#"
[sources]
retell = "env:RETELL_API_KEY"
"#;

    address_without_port: "bad-value" to Serve in r#"
[server]
listen = "127.0.0.1"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    zero_requests_in_flight: "bad-value" to Serve in r#"
[server]
max_in_flight = 0

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    number_with_unit: "bad-value" to Serve in r#"
[rules]
poll_ms = "2s"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    list_in_place_of_a_number: "bad-value" to Serve in r#"
[server]
request_timeout_ms = [10000]

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    network_with_invalid_mask: "bad-value" to Serve in r#"
[server]
trusted_proxies = ["10.0.0.0/33"]

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    host_name_in_place_of_an_address: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
allow_from = ["api.retellai.com"]
"#;

    unknown_log_level: "bad-value" to Serve in r#"
[log]
level = "info,hyper=loud"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    misspelt_choice: "bad-value" to Serve in r#"
[log]
format = "prety"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    unknown_choice: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
auth = "sometimes"
"#;

    reply_deadline_too_long: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
reply_within_ms = 9001
"#;

    source_name_with_a_space: "bad-value" to Serve in r#"
[sources."my shop"]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    misspelt_platform: "unknown-platform" to Serve in r#"
[sources.retell]
platform = "retel"
secrets = ["env:RETELL_API_KEY"]
"#;

    no_sources: "no-source" to Serve in r#"
[rules]
path = "rules.toml"
"#;

    source_without_secrets: "no-secret" to Serve in r#"
[sources.retell]
platform = "retell"
"#;

    unset_variable: "no-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:NOT_SET"]
"#;

    missing_secret_file: "no-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["file:keys/retell"]
"#;

    events_secrets_without_a_scheme: "bad-value" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
events_secrets = ["env:RETELL_API_KEY"]
"#;

    events_signature_without_secrets: "no-secret" to Serve in r#"
[sources.elevenlabs]
platform = "elevenlabs"
secrets = ["env:ELEVENLABS_SECRET"]
events_signature = { kind = "standard_webhooks" }
url_token = "env:URL_TOKEN"
"#;

    short_secret: "short-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:SHORT"]
"#;

    secret_in_a_device: "unusable-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["file:/dev/zero"]
"#;

    empty_secret: "short-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:EMPTY"]
"#;

    unknown_records_url: "bad-value" to Serve in r#"
[records]
url = "mysql://root:hunter2@db/records"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    retention_too_long: "bad-value" to Serve in r#"
[records]
retain_days = 36501

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    word_in_place_of_a_boolean: "bad-value" to Serve in r#"
[records]
stamp = "yes"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    unset_records_url: "no-secret" to Serve in r#"
[records]
url = "env:NOT_SET"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    hashed_numbers_without_key: "no-secret" to Serve in r#"
[records]
numbers = "hashed"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    unused_hash_key: "never-used" to Serve in r#"
[records]
numbers = "masked"
hash_key = "env:URL_TOKEN"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    inline_password: "inline-secret" to Serve in r#"
[records]
url = "postgres://switchboard:hunter2@db.example.com/records"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    records_url_missing_on_this_machine: "secret-missing" to Inspect in r#"
[records]
url = "file:database-url"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    inline_secret: "inline-secret" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["key_0123456789abcdef"]
"#;

    secret_missing_on_this_machine: "secret-missing" to Inspect in r#"
[sources.retell]
platform = "retell"
secrets = ["env:NOT_SET"]
"#;

    token_that_needs_escaping: "bad-token" to Serve in r#"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
url_token = "env:WITH_SLASH"
"#;

    unauthenticated_source: "unauthenticated-source" to Serve in r#"
[sources.retell]
platform = "retell"
auth = "off"
"#;

    deadline_after_the_platform_gave_up: "late-reply" to Serve in r#"
[sources.vapi]
platform = "vapi"
secrets = ["env:RETELL_API_KEY"]
fallback = "front-desk"
reply_within_ms = 8000
"#;

    fallback_of_numbers_without_an_agent: "no-fallback-agent" to Serve in r#"
[sources.vapi]
platform = "vapi"
secrets = ["env:RETELL_API_KEY"]
"#;

    rejecting_fallback_of_numbers_without_an_agent: "no-fallback-agent" to Serve in r#"
[sources.vapi]
platform = "vapi"
secrets = ["env:RETELL_API_KEY"]
fallback = "reject"
"#;

    partial_signature: "one-factor" to Serve in r#"
[sources.synthflow]
platform = "synthflow"
secrets = ["env:SYNTHFLOW_SECRET"]
"#;

    dev_mode_off_loopback: "not-loopback" to Dev in r#"
[server]
listen = "0.0.0.0:8080"

[sources.retell]
platform = "retell"
"#;

    users_without_a_token: "missing-key" to Serve in r#"
[admin.users.ann]
password_hash = '$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$e4k4gFrIGw3JPlqqMBQ8NRvfS/IROT8WzdwDhSHyLHo'

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_password_in_place_of_a_hash: "bad-value" to Serve in r#"
[admin]
token = "env:RETELL_API_KEY"

[admin.users.ann]
password_hash = "correct horse"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_user_without_a_hash: "missing-key" to Serve in r#"
[admin]
token = "env:RETELL_API_KEY"

[admin.users.ann]
role = "editor"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    a_name_of_a_user_with_a_blank: "bad-value" to Serve in r#"
[admin]
token = "env:RETELL_API_KEY"

[admin.users."ann smith"]
password_hash = '$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$e4k4gFrIGw3JPlqqMBQ8NRvfS/IROT8WzdwDhSHyLHo'

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    open_admin_listener: "open-admin" to Serve in r#"
[admin]
listen = "0.0.0.0:9090"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

    listeners_with_the_same_address: "same-address" to Serve in r#"
[admin]
listen = "127.0.0.1:8080"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;
}

/// Errors in every section.
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
fn reports_all_errors_at_once() {
    let loaded = load(MANY, Purpose::Serve);
    assert!(loaded.settings.is_none());
    assert!(loaded.report.error_count() >= 22, "{}", loaded.text);
    for mistake in loaded.report.diagnostics() {
        let (line, column) = mistake.location.as_ref().expect("a place").line_and_column();
        assert!(
            loaded.text.contains(&format!("FOLDER/switchboard.toml:{line}:{column}\n")),
            "{}",
            loaded.text
        );
    }
    matches_snapshot("settings", "all_errors_at_once", MANY, &loaded.text);
}

#[test]
fn errors_in_variables_name_the_variable() {
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
    let loaded = load_beside(&[], SOURCE, Purpose::Serve, environment(&variables));
    for (variable, _) in variables {
        assert!(loaded.text.contains(&format!("(from {variable})")), "{variable}\n{}", loaded.text);
    }
    let written = variables.map(|(name, value)| format!("{name}={value}")).join("\n");
    matches_snapshot("settings", "errors_in_variables", &written, &loaded.text);
}

#[test]
fn locates_misspelt_keys_in_every_section() {
    for (text, position, help) in [
        ("[sever]\n", (1, 2), "did you mean `server`?"),
        ("[server]\nmax_in_fligth = 3\n", (2, 1), "did you mean `max_in_flight`?"),
        ("[admin]\ntokn = \"env:A\"\n", (2, 1), "did you mean `token`?"),
        ("[rules]\npaht = \"a\"\n", (2, 1), "did you mean `path`?"),
        ("[records]\nretain_day = 1\n", (2, 1), "write retain_days = 1"),
        ("[log]\nlvel = \"info\"\n", (2, 1), "did you mean `level`?"),
        (
            "[sources.a]\nplatform = \"retell\"\nauth = \"off\"\nallow_from = \"::1\"\nurltoken = \"env:A\"\n",
            (5, 1),
            "did you mean `url_token`?",
        ),
    ] {
        let loaded = load(&format!("{text}{SOURCE}"), Purpose::Serve);
        let [mistake] = loaded.report.diagnostics() else { panic!("{}", loaded.text) };
        assert_eq!((mistake.code, mistake.help.as_deref()), ("unknown-key", Some(help)));
        assert_eq!(mistake.location.as_ref().unwrap().line_and_column(), position, "{text}");
    }
}

#[test]
fn proposes_the_code_of_the_country_of_a_source() {
    for (written, code) in [("USA", "US"), ("UK", "GB"), ("us", "US")] {
        let text = format!(
            "[sources.a]\nplatform = \"retell\"\nauth = \"off\"\nallow_from = \"::1\"\ncountry = \"{written}\"\n"
        );
        let loaded = load(&format!("{text}{SOURCE}"), Purpose::Serve);
        let mut all = loaded.report.diagnostics().iter();
        let mistake = all.find(|one| one.code == "bad-value").expect("an error of the country");
        let help = format!("did you mean `{code}`?");
        assert_eq!(mistake.help.as_deref(), Some(&*help), "{}", loaded.text);
    }
}

#[test]
fn names_the_searched_paths_when_no_file_is_found() {
    let loaded = load_variables(&[], Purpose::Serve);
    assert_eq!(codes_of(&loaded.report), ["no-source"]);
    for path in settings::DEFAULT_PATHS {
        assert!(loaded.text.contains(path), "{}", loaded.text);
    }
    assert!(loaded.text.contains("--config"), "{}", loaded.text);
}

const TRACES: &str = r#"
[traces]
otlp_endpoint = "http://127.0.0.1:4318"

[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"#;

#[test]
fn traces_require_a_build_that_can_export_them() {
    let loaded = load(TRACES, Purpose::Serve);
    if cfg!(feature = "otlp") {
        let endpoint = loaded.settings().traces.otlp_endpoint;
        assert_eq!(endpoint.map(String::from).as_deref(), Some("http://127.0.0.1:4318/"));
    } else {
        assert_eq!(codes_of(&loaded.report), ["bad-value"], "{}", loaded.text);
        assert!(loaded.text.contains("--features otlp"), "{}", loaded.text);
    }
}

#[test]
fn the_endpoint_of_traces_is_the_base_url_of_a_collector() {
    for bad in ["127.0.0.1:4318", "grpc://host:4317", "http://u:pa55@host", "http://host/?k=pa55"] {
        let text = TRACES.replace("http://127.0.0.1:4318", bad);
        let loaded = load(&text, Purpose::Serve);
        assert_eq!(codes_of(&loaded.report), ["bad-value"], "{}", loaded.text);
        assert!(!loaded.text.contains("pa55"), "{}", loaded.text);
    }
}

/// Codes that the text of a settings file alone does not cause: the mode of a file, and variables.
const WITHOUT_TEXT: [&str; 3] = ["exposed-secret", "ambiguous-variable", "ignored-variable"];

#[test]
fn two_variables_that_differ_in_case_are_an_error() {
    let variables = [
        ("SWITCHBOARD__RULES__PATH", "a.toml"),
        ("switchboard__rules__path", "b.toml"),
        ("Switchboard__Log__Level", "debug"),
    ];
    for _ in 0..20 {
        let loaded = load_beside(&[], SOURCE, Purpose::Serve, environment(&variables));
        assert_eq!(codes_of(&loaded.report), ["ambiguous-variable"], "{}", loaded.text);
        for (name, _) in &variables[..2] {
            assert!(loaded.text.contains(name), "{}", loaded.text);
        }
    }
}

#[test]
fn a_variable_with_an_underscore_too_few_is_reported() {
    for (name, code, help) in [
        ("SWITCHBOARD_RULES_PATH", "ignored-variable", "write SWITCHBOARD__RULES__PATH"),
        ("switchboard_server_listen", "ignored-variable", "write SWITCHBOARD__SERVER__LISTEN"),
        ("SWITCHBOARD_RULES__PATH", "ignored-variable", "write SWITCHBOARD__RULES__PATH"),
        ("SWITCHBOARD_CONFIG", "ignored-variable", "--config FILE"),
        ("SWITCHBOARD_RULES", "ignored-variable", "write SWITCHBOARD__RULES__PATH"),
        ("SWITCHBOARD_LISTEN", "ignored-variable", "write SWITCHBOARD__SERVER__LISTEN"),
        (
            "SWITCHBOARD_SOURCES_MY_LAB_URL_TOKEN",
            "ignored-variable",
            "write SWITCHBOARD__SOURCES__MY_LAB__URL_TOKEN",
        ),
        ("SWITCHBOARD__RULES_PATH", "unknown-key", "write SWITCHBOARD__RULES__PATH"),
    ] {
        let loaded = load_beside(&[], SOURCE, Purpose::Serve, environment(&[(name, "a.toml")]));
        assert_eq!(codes_of(&loaded.report), [code], "{name}: {}", loaded.text);
        assert!(loaded.text.contains(help) && loaded.text.contains(name), "{}", loaded.text);
    }
}

#[test]
fn a_secret_that_was_copied_with_something_around_it_is_refused_everywhere() {
    const KEY: &str = "key_0123456789abcdef0123456789ab";
    for (value, expected) in [
        (format!("\"{KEY}\""), "is in quotes"),
        (format!("'{KEY}'"), "is in quotes"),
        (format!("\u{201c}{KEY}\u{201d}"), "is in quotes"),
        (format!("`{KEY}`"), "is in quotes"),
        (format!("\u{feff}{KEY}"), "byte order mark"),
        (format!("RETELL_API_KEY={KEY}"), "begins with a name and `=`"),
        (format!("export RETELL_API_KEY={KEY}"), "begins with a name and `=`"),
        ("${RETELL_API_KEY}".to_owned(), "was not expanded"),
        ("$RETELL_API_KEY".to_owned(), "was not expanded"),
        ("%RETELL_API_KEY%".to_owned(), "was not expanded"),
        ("{{ secrets.RETELL_API_KEY }}".to_owned(), "was not expanded"),
        ("$(cat /run/secrets/retell)".to_owned(), "was not expanded"),
        ("env:RETELL_API_KEY_2".to_owned(), "another reference"),
        ("<your API key>".to_owned(), "a placeholder"),
        (format!("Bearer {KEY}"), "begins with `Bearer`"),
        (format!("{KEY}\u{200b}"), "an invisible character"),
        (format!("key_\u{ad}{KEY}"), "an invisible character"),
        (format!(" {KEY}"), "begins or ends with white space"),
        (format!("{KEY} "), "begins or ends with white space"),
        (format!("{KEY}\r"), "begins or ends with white space"),
        (format!("{KEY} # the live key"), "contains white space"),
        (format!("{KEY}\n{KEY}\n"), "contains white space"),
        ("  \n".to_owned(), "nothing but white space"),
    ] {
        for purpose in [Purpose::Serve, Purpose::Inspect, Purpose::Dev] {
            let variables = environment(&[("RETELL_API_KEY", &value)]);
            let loaded = load_beside(&[], SOURCE, purpose, variables);
            assert_eq!(codes_of(&loaded.report), ["unusable-secret"], "{value:?} {}", loaded.text);
            assert!(loaded.text.contains(expected), "{value:?}: {}", loaded.text);
            assert!(loaded.text.contains("help:") && !loaded.text.contains(KEY), "{}", loaded.text);
        }
    }
    for value in [KEY.to_owned(), format!("{KEY}\n"), format!("{KEY}\r\n"), format!("{KEY}==")] {
        let variables = environment(&[("RETELL_API_KEY", &value)]);
        let loaded = load_beside(&[], SOURCE, Purpose::Serve, variables);
        assert!(loaded.report.diagnostics().is_empty(), "{value:?} {}", loaded.text);
    }
}

#[test]
fn every_error_code_has_a_test() {
    let made =
        MISTAKES.iter().flat_map(|(_, purpose, text)| codes_of(&load(text, *purpose).report));
    let made = made.chain(WITHOUT_TEXT).map(str::to_owned);
    let made: BTreeSet<_> = made.collect();
    let mut in_the_source = codes_in("src/settings.rs");
    for folder in ["src/settings", "src/settings/keys"] {
        for file in std::fs::read_dir(app::root().join(folder)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".rs") {
                in_the_source.extend(codes_in(&format!("{folder}/{name}")));
            }
        }
    }
    assert_eq!(made, in_the_source);
}

#[test]
fn every_error_code_is_documented() {
    let codes =
        MISTAKES.iter().map(|(code, ..)| (*code).to_owned()).chain(WITHOUT_TEXT.map(str::to_owned));
    check_documented("docs/settings.md", codes.collect());
}

// ---- secrets

#[test]
fn reads_secrets_from_variables_and_files() {
    let text = "[sources.retell]\nplatform = \"retell\"\nsecrets = \"file:keys/retell\"\nurl_token = \"env:URL_TOKEN\"\n";
    let files: [(&str, &[u8]); 1] = [("keys/retell", b"from_a_file_0123")];
    let source = load_beside(&files, text, Purpose::Serve, environment(&[])).source();
    has_keys(&source, &["from_a_file_0123"]);
    let secrets = source.policy.secrets.load();
    let token = secrets.url_token.as_ref();
    assert!(token.is_some_and(|token| token.equals(app::URL_TOKEN.as_bytes())));
}

#[test]
fn reads_a_secret_from_an_absolute_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, RETELL_KEY).unwrap();
    let text = SOURCE.replace("env:RETELL_API_KEY", &format!("file:{}", file.display()));
    has_keys(&load(&text, Purpose::Serve).source(), &[RETELL_KEY]);
}

#[test]
fn strips_one_trailing_newline_of_a_secret_file() {
    let text = format!("[admin]\ntoken = \"file:token\"\n{SOURCE}");
    for (written, expected) in [
        ("0123456789abcdef", "0123456789abcdef"),
        ("0123456789abcdef\n", "0123456789abcdef"),
        ("0123456789abcdef\r\n", "0123456789abcdef"),
    ] {
        let files = [("token", written.as_bytes())];
        let settings = load_beside(&files, &text, Purpose::Serve, environment(&[])).settings();
        let token = settings.admin.token.expect("a token");
        assert_eq!(token.expose(), expected.as_bytes(), "{written:?}");
    }
    for written in ["0123456789abcdef\n\n", "0123456789abcdef\r", "\n0123456789abcdef"] {
        let files = [("token", written.as_bytes())];
        let loaded = load_beside(&files, &text, Purpose::Serve, environment(&[]));
        assert_eq!(codes_of(&loaded.report), ["unusable-secret"], "{written:?} {}", loaded.text);
    }
}

#[test]
fn rejects_secrets_that_were_copied_with_something_around_them() {
    for (value, expected) in [
        ("                    ", "env:RETELL_API_KEY contains nothing but white space"),
        ("\u{feff}key_0123456789abcdef", "begins with a byte order mark"),
        ("${RETELL_API_KEY}", "is a variable that was not expanded"),
        ("$RETELL_API_KEY", "is a variable that was not expanded"),
        ("\"key_0123456789abcdef\"", "is in quotes"),
        ("'key_0123456789abcdef'", "is in quotes"),
        ("RETELL_API_KEY=key_0123456789abcdef", "begins with a name and `=`"),
    ] {
        for purpose in [Purpose::Serve, Purpose::Inspect, Purpose::Dev] {
            let environment = environment(&[("RETELL_API_KEY", value)]);
            let loaded = load_beside(&[], SOURCE, purpose, environment);
            assert_eq!(codes_of(&loaded.report), ["unusable-secret"], "{}", loaded.text);
            assert!(loaded.text.contains(expected), "{}", loaded.text);
            assert!(!loaded.text.contains(value), "{}", loaded.text);
        }
    }
    for value in ["QUJDREVGR0hJSktMTU5PUA==", "$key_0123456789abcdef", "it's_a_secret_of_mine"] {
        let environment = environment(&[("RETELL_API_KEY", value)]);
        load_beside(&[], SOURCE, Purpose::Serve, environment).settings();
    }
}

#[test]
fn rejects_secret_files_that_are_not_regular_or_too_large_for_every_purpose() {
    let large = vec![b'a'; 64_001];
    let files: [(&str, &[u8]); 2] = [("folder/file", b""), ("large", &large)];
    for (reference, expected) in [
        ("file:folder", "cannot read file:folder: it is a folder, not a regular file"),
        ("file:/dev/zero", "cannot read file:/dev/zero: it is a device, not a regular file"),
        ("file:large", "cannot read file:large: it has 64001 bytes, and the limit is 64 kB"),
    ] {
        let records = format!("[records]\nurl = \"{reference}\"\n{SOURCE}");
        let secret = SOURCE.replace("env:RETELL_API_KEY", reference);
        for text in [records, secret] {
            for purpose in [Purpose::Serve, Purpose::Inspect, Purpose::Dev] {
                let loaded = load_beside(&files, &text, purpose, environment(&[]));
                assert_eq!(codes_of(&loaded.report), ["unusable-secret"], "{}", loaded.text);
                assert!(loaded.text.contains(expected), "{}", loaded.text);
            }
        }
    }
}

#[test]
fn the_trailing_newline_does_not_count_as_secret() {
    let files: [(&str, &[u8]); 1] = [("key", b"fifteen_bytes__\r\n")];
    let text = SOURCE.replace("env:RETELL_API_KEY", "file:key");
    let loaded = load_beside(&files, &text, Purpose::Serve, environment(&[]));
    assert_eq!(codes_of(&loaded.report), ["short-secret"], "{}", loaded.text);
    assert!(loaded.text.contains("has 15 bytes"), "{}", loaded.text);
}

#[test]
fn a_secret_file_that_everyone_can_read_is_reported_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (key, file) = (folder.path().join("key"), folder.path().join("switchboard.toml"));
    std::fs::write(&key, RETELL_KEY).unwrap();
    std::fs::write(&file, SOURCE.replace("env:RETELL_API_KEY", "file:key")).unwrap();
    for (mode, purpose, expected) in [
        (0o644, Purpose::Serve, &[WITHOUT_TEXT[0]][..]),
        (0o640, Purpose::Serve, &[]),
        (0o644, Purpose::Dev, &[]),
        (0o644, Purpose::Inspect, &[]),
    ] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let inputs = Inputs { file: Some(file.clone()), environment: environment(&[]), purpose };
        let loaded = load_inputs(&inputs, "");
        assert_eq!(codes_of(&loaded.report), expected, "{mode:o}: {}", loaded.text);
        assert!(loaded.settings.is_some(), "{}", loaded.text);
    }
}

#[test]
fn a_secret_has_at_least_16_bytes() {
    for (key, expected) in [("fifteen_bytes__", &["short-secret"][..]), ("sixteen_bytes___", &[])] {
        let loaded =
            load_beside(&[], SOURCE, Purpose::Serve, environment(&[("RETELL_API_KEY", key)]));
        assert_eq!(codes_of(&loaded.report), expected, "{key}");
    }
}

#[test]
fn accepts_several_keys_during_a_rotation() {
    let text = SOURCE
        .replace("[\"env:RETELL_API_KEY\"]", "[\"env:RETELL_API_KEY\", \"env:SYNTHFLOW_SECRET\"]");
    has_keys(&load(&text, Purpose::Serve).source(), &[RETELL_KEY, app::SYNTHFLOW_SECRET]);
}

#[test]
fn rejects_a_source_with_one_invalid_secret() {
    for (bad, code) in
        [("env:NOT_SET", "no-secret"), ("env:SHORT", "short-secret"), ("file:none", "no-secret")]
    {
        let text = format!(
            "[sources.retell]\nplatform = \"retell\"\nsecrets = [\"env:RETELL_API_KEY\", \"{bad}\"]\n"
        );
        rejects(&text, Purpose::Serve, code);
    }
}

/// Checks that neither form of the report contains a secret.
#[track_caller]
fn hides_secrets(loaded: &Loaded, secrets: &[&str]) {
    let json = loaded.report.to_json().to_string();
    for secret in secrets {
        assert!(!loaded.text.contains(secret), "{secret}\n{}", loaded.text);
        assert!(!json.contains(secret), "{secret}\n{json}");
    }
}

#[test]
fn reports_never_contain_secrets() {
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
            let loaded = load_beside(&files, text, purpose, environment(&canaries));
            assert!(!loaded.report.diagnostics().is_empty());
            hides_secrets(&loaded, &["canary", "99999999999999999999"]);
        }
    }
}

#[test]
fn reports_never_contain_inline_secrets_of_variables() {
    let variables = [
        ("SWITCHBOARD__SOURCES__RETELL__SECRETS", "canary_1,env:RETELL_API_KEY,canary_2"),
        ("SWITCHBOARD__SOURCES__RETELL__URL_TOKEN", "canary_3"),
        ("SWITCHBOARD__SOURCES__RETELL__SECRET", "canary_4"),
        ("SWITCHBOARD__ADMIN__TOKEN", "canary_5"),
        ("SWITCHBOARD__RETELL_API_KEY", "canary_6"),
    ];
    for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
        let loaded = load_beside(&[], SOURCE, purpose, environment(&variables));
        assert_eq!(loaded.report.error_count(), 6, "{}", loaded.text);
        hides_secrets(&loaded, &["canary"]);
    }
}

#[test]
fn other_errors_on_the_line_do_not_show_inline_secrets() {
    for text in [
        "[sources.a]\nplatform = \"retell\"\nsecrets = [\"env:NOT_SET\", \"canary\"]\n",
        "[sources.a]\nplatform = \"retell\"\nsecrets = [\"env:SHORT\", \"canary\"]\n",
        "[sources]\na = { platform = \"retel\", secrets = [\"canary\"] }\n",
        "[sources]\na = { platform = \"retell\", secrets = [\"canary\"], auth = \"of\" }\n",
    ] {
        for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
            hides_secrets(&load(text, purpose), &["canary"]);
        }
    }
}

#[test]
fn unknown_keys_do_not_show_inline_secrets() {
    for line in [
        "secret = \"canary\"",
        "api_key = \"canary\"",
        "secrets = { key = \"canary\" }",
        "secrets = [[\"canary\"]]",
    ] {
        let text = format!("[admin]\ntokn = \"canary\"\n[sources.a]\n{line}\n");
        hides_secrets(&load(&text, Purpose::Serve), &["canary"]);
    }
}

#[test]
fn rejects_inline_secrets_for_every_purpose() {
    let text = SOURCE.replace("env:RETELL_API_KEY", "key_0123456789abcdef");
    for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
        rejects(&text, purpose, "inline-secret");
    }
}

// ---- --dev and check

#[test]
fn dev_mode_replaces_missing_secrets() {
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
    let settings = accepts(text, Purpose::Dev);
    assert!(settings.admin.token.is_some_and(|token| token.equals(b"dev")));
    let source = |name: &str| settings.sources.iter().find(|source| &*source.name == name).unwrap();
    has_keys(source("one"), &["dev"]);
    has_keys(source("two"), &["dev", "dev"]);
    has_keys(source("three"), &[RETELL_KEY]);
    let secrets = source("two").policy.secrets.load();
    let token = secrets.url_token.as_ref();
    assert!(token.is_some_and(|token| token.equals(b"dev")));
}

#[test]
fn dev_mode_accepts_short_secrets_but_not_empty_ones() {
    let short = SOURCE.replace("RETELL_API_KEY", "SHORT");
    has_keys(&accepts(&short, Purpose::Dev).sources[0], &[SHORT]);
    rejects(&SOURCE.replace("RETELL_API_KEY", "EMPTY"), Purpose::Dev, "short-secret");
}

#[test]
fn dev_mode_requires_loopback() {
    for (server, admin, expected) in [
        ("127.0.0.1:8080", "127.0.0.1:9090", false),
        ("[::1]:8080", "127.0.0.2:9090", false),
        ("0.0.0.0:8080", "127.0.0.1:9090", true),
        ("127.0.0.1:8080", "[::]:9090", true),
        ("10.0.0.1:8080", "10.0.0.1:9090", true),
    ] {
        let text =
            format!("[server]\nlisten = \"{server}\"\n[admin]\nlisten = \"{admin}\"\n{SOURCE}");
        let loaded = load(&text, Purpose::Dev);
        let refused = codes_of(&loaded.report).contains(&"not-loopback");
        assert_eq!((refused, loaded.settings.is_none()), (expected, expected), "{server} {admin}");
    }
}

#[test]
fn dev_mode_logs_pretty_unless_the_format_is_set() {
    let format = |text: &str, purpose, variables: &[(&str, &str)]| {
        let loaded = load_beside(&[], &format!("{text}{SOURCE}"), purpose, environment(variables));
        loaded.settings().log
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
fn inspecting_notes_missing_secrets() {
    let text = r#"
[admin]
token = "env:NOT_SET"
[sources.retell]
platform = "retell"
secrets = ["env:NOT_SET", "file:none"]
url_token = "file:none"
"#;
    let loaded = load(text, Purpose::Inspect);
    assert_eq!(codes_of(&loaded.report), ["secret-missing"; 4], "{}", loaded.text);
    assert_eq!((loaded.report.error_count(), loaded.report.warning_count()), (0, 0));
    has_keys(&loaded.source(), &["dev", "dev"]);
}

/// A source of a platform whose decisions are requests to its API.
const OPENAI: &str = "[sources.openai]\nplatform = \"openai\"\nsecrets = [\"env:OPENAI_SECRET\"]\n\
                      api_key = \"env:API_KEY\"\nfallback = \"front-desk\"\n";

#[test]
fn the_key_of_an_api_is_required_but_with_dev() {
    for (text, purpose, codes) in [
        (OPENAI.to_owned(), Purpose::Serve, &[][..]),
        (OPENAI.replace("env:API_KEY", "env:NOT_SET"), Purpose::Serve, &["no-secret"]),
        (OPENAI.replace("env:API_KEY", "env:NOT_SET"), Purpose::Inspect, &["secret-missing"]),
        (OPENAI.replace("env:API_KEY", "env:NOT_SET"), Purpose::Dev, &[]),
        (OPENAI.replace("api_key = \"env:API_KEY\"\n", ""), Purpose::Serve, &["no-secret"]),
        (OPENAI.replace("api_key = \"env:API_KEY\"\n", ""), Purpose::Inspect, &["no-secret"]),
        (OPENAI.replace("api_key = \"env:API_KEY\"\n", ""), Purpose::Dev, &[]),
    ] {
        let loaded = load(&text, purpose);
        assert_eq!(codes_of(&loaded.report), codes, "{text}: {}", loaded.text);
    }
}

#[test]
fn an_api_in_clear_text_is_on_this_machine() {
    for (url, accepted) in [
        ("https://api.example.com/v1", true),
        ("https://192.0.2.1", true),
        ("http://127.0.0.1:8080/v1", true),
        ("http://127.9.9.9", true),
        ("http://[::1]:8080", true),
        ("http://[::ffff:127.0.0.1]", true),
        ("http://localhost:8080", true),
        ("http://LOCALHOST", true),
        ("http://api.example.com", false),
        ("http://localhost.example.com", false),
        ("http://10.0.0.1", false),
        ("http://0.0.0.0", false),
        ("http://[::]", false),
    ] {
        let loaded = load(&format!("{OPENAI}api_url = \"{url}\"\n"), Purpose::Serve);
        let codes = codes_of(&loaded.report);
        assert_eq!(codes.is_empty(), accepted, "{url}: {}", loaded.text);
    }
}

#[test]
fn inspecting_rejects_invalid_settings() {
    rejects("[sources.retell]\nplatform = \"retell\"\n", Purpose::Inspect, "no-secret");
    rejects(&SOURCE.replace("RETELL_API_KEY", "EMPTY"), Purpose::Inspect, "short-secret");
    rejects(
        &format!("[admin]\nlisten = \"0.0.0.0:9090\"\n{SOURCE}"),
        Purpose::Inspect,
        "open-admin",
    );
    rejects(
        "[sources.retell]\nplatform = \"retell\"\nauth = \"off\"\n",
        Purpose::Inspect,
        "unauthenticated-source",
    );
}

// ---- records

/// Returns the location of the records as a URL.
fn location(records: &RecordsSettings) -> String {
    match &records.location {
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

/// Returns settings with these lines in `[records]`.
fn with_records(lines: &str) -> String {
    format!("[records]\n{lines}\n{SOURCE}")
}

/// Returns the locations from a URL in the file and in a variable, or the error codes. `FOLDER`
/// stands for the folder of the settings file; `$PASSWORD` is a URL with a password, `$RELATIVE` one
/// with a relative path.
fn locations_of(url: &str, purpose: Purpose) -> [String; 2] {
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
        let loaded =
            load_inputs(&Inputs { file: Some(path.clone()), environment, purpose }, "FOLDER");
        assert!(!loaded.text.contains("hunter2"), "{}", loaded.text);
        let codes = codes_of(&loaded.report).join(" ");
        for form in ["sqlite:PATH", "postgres://", "memory:", "off", "env:NAME", "file:PATH"] {
            assert!(codes != "bad-value" || loaded.text.contains(form), "{}", loaded.text);
        }
        let found = loaded.settings.map(|settings| location(&settings.records));
        let found = found.map(|found| found.replace(folder.path().to_str().unwrap(), "FOLDER"));
        match (found, codes.as_str()) {
            (Some(found), "") => found,
            (Some(found), codes) => format!("{found} {codes}"),
            (None, codes) => codes.to_owned(),
        }
    };
    let in_the_file = of(with_records(&format!("url = '{url}'")), &[]);
    let in_a_variable = of(with_records("url = 'off'"), &[("SWITCHBOARD__RECORDS__URL", url)]);
    [in_the_file, in_a_variable]
}

const DATABASE: &str = "postgres://switchboard:hunter2@db.example.com:5433/records?sslmode=require";

#[test]
fn parses_the_url_of_records() {
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
            assert_eq!(locations_of(url, purpose), [expected, expected], "{url}");
        }
    }
}

#[test]
fn resolves_sqlite_paths_relative_to_the_file_with_the_url() {
    for url in ["sqlite:data/a.db", "sqlite://data/a.db"] {
        let expected = ["sqlite:FOLDER/data/a.db", "sqlite:data/a.db"];
        assert_eq!(locations_of(url, Purpose::Serve), expected, "{url}");
    }
    // The default path starts from the working directory, even with a settings file.
    let records = accepts(SOURCE, Purpose::Serve).records;
    assert_eq!(location(&records), "sqlite:data/switchboard.db");
    let inline = format!("records = {{ url = 'sqlite:a.db' }}\n{SOURCE}");
    let RecordsLocation::Sqlite(path) = accepts(&inline, Purpose::Serve).records.location else {
        panic!("not SQLite");
    };
    assert!(path.is_absolute() && path.ends_with("a.db"), "{}", path.display());
}

#[test]
fn rejects_unknown_urls_and_lists_the_valid_forms() {
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
        "postgres://u:hunter2/with/slash@db/records",
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
            assert_eq!(locations_of(url, purpose), ["bad-value", "bad-value"], "{url}");
        }
    }
}

#[test]
fn rejects_inline_passwords() {
    for url in [
        DATABASE,
        "postgres://:hunter2@db/records",
        "postgresql://u:hunt@er2@db",
        "postgres://u@db/records?password=hunter2",
        "postgres://db?sslmode=require&sslpassword=hunter2",
    ] {
        for purpose in [Purpose::Serve, Purpose::Dev, Purpose::Inspect] {
            let expected = ["inline-secret", "inline-secret"];
            assert_eq!(locations_of(url, purpose), expected, "{url}");
        }
    }
}

#[test]
fn a_missing_url_means_memory_unless_serving() {
    for url in ["env:NOT_SET", "file:none"] {
        assert_eq!(locations_of(url, Purpose::Serve), ["no-secret", "no-secret"], "{url}");
        let noted = "memory: secret-missing";
        for purpose in [Purpose::Dev, Purpose::Inspect] {
            assert_eq!(locations_of(url, purpose), [noted, noted], "{url}");
        }
    }
}

#[test]
fn events_have_a_policy_of_their_own_where_they_have_keys() {
    const SOURCE: &str = "[sources.elevenlabs]\nplatform = \"elevenlabs\"\n\
                          secrets = [\"env:ELEVENLABS_SECRET\"]\nurl_token = \"env:URL_TOKEN\"\n";
    const KEYS: &str = "events_secrets = [\"env:ELEVENLABS_EVENTS_SECRET\"]\n";
    let kinds = |lines: &str| {
        let source = load(&format!("{SOURCE}{lines}"), Purpose::Serve).source();
        [false, true].map(|is_events_path| source.policy_of(is_events_path).scheme.kind())
    };
    assert_eq!(kinds(""), ["shared", "shared"]);
    assert_eq!(kinds(KEYS), ["shared", "hmac"]);
    let bearer = format!("{KEYS}events_signature = {{ kind = \"bearer\" }}\n");
    assert_eq!(kinds(&bearer), ["shared", "bearer"]);
}

#[test]
fn retention_is_one_day_to_a_hundred_years() {
    for (days, expected) in [("1", 1), ("\"7\"", 7), ("36500", 36_500)] {
        let records =
            accepts(&with_records(&format!("retain_days = {days}")), Purpose::Serve).records;
        assert_eq!(records.retain, Duration::from_secs(expected * 24 * 60 * 60), "{days}");
    }
    for days in ["0", "-1", "36501", "1.5", "true", "\"a month\"", "\"30d\"", "[]"] {
        rejects(&with_records(&format!("retain_days = {days}")), Purpose::Serve, "bad-value");
    }
}

#[test]
fn numbers_are_full_masked_or_hashed() {
    let kept = |lines: &str, purpose| accepts(&with_records(lines), purpose).records;
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
    let with_a_file = with_records(&format!("{HASHED}hash_key = \"file:key\""));
    let files: [(&str, &[u8]); 1] = [("key", b"sixteen_bytes___\n")];
    let loaded = load_beside(&files, &with_a_file, Purpose::Serve, environment(&[]));
    assert_eq!(key(loaded.settings().records), "sixteen_bytes___");
    for word in ["", "hash", "no", "Full"] {
        rejects(&with_records(&format!("numbers = \"{word}\"")), Purpose::Serve, "bad-value");
    }
    rejects(&with_records("numbers = true"), Purpose::Serve, "bad-value");
}

#[test]
fn a_hash_key_is_checked_like_other_secrets() {
    let hashed = |key: &str| with_records(&format!("numbers = \"hashed\"\n{key}"));
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
        let loaded = load(&hashed(key), purpose);
        assert_eq!(codes_of(&loaded.report), expected, "{key} {purpose:?}\n{}", loaded.text);
        assert_eq!(loaded.settings.is_some(), loaded.report.error_count() == 0);
        if let Some(Settings { records, .. }) = loaded.settings {
            let NumberStorage::Hashed(key_in_use) = records.numbers else { panic!("not hashed") };
            let dev = !key.contains("SHORT");
            assert_eq!(key_in_use.expose(), if dev { b"dev" } else { SHORT.as_bytes() });
        }
    }
}

#[test]
fn warns_of_an_unused_hash_key() {
    for word in ["", "numbers = \"full\"", "numbers = \"masked\""] {
        let loaded =
            load(&with_records(&format!("{word}\nhash_key = \"env:URL_TOKEN\"")), Purpose::Serve);
        assert_eq!(codes_of(&loaded.report), ["never-used"], "{}", loaded.text);
        assert_eq!((loaded.report.error_count(), loaded.report.warning_count()), (0, 1));
        assert!(loaded.settings.is_some());
    }
    let wrong = with_records("numbers = \"hash\"\nhash_key = \"env:URL_TOKEN\"");
    rejects(&wrong, Purpose::Serve, "bad-value");
}

#[test]
fn parses_wait_and_stamp() {
    for (word, expected) in [("no", Wait::No), ("commit", Wait::Commit)] {
        let records = accepts(&with_records(&format!("wait = \"{word}\"")), Purpose::Serve).records;
        assert_eq!(records.wait, expected);
    }
    for value in ["\"yes\"", "\"\"", "true", "1"] {
        rejects(&with_records(&format!("wait = {value}")), Purpose::Serve, "bad-value");
    }
    for (value, expected) in [("true", true), ("false", false), ("\"true\"", true)] {
        let records = accepts(&with_records(&format!("stamp = {value}")), Purpose::Serve).records;
        assert_eq!(records.stamp, expected, "{value}");
    }
    for value in ["1", "\"on\"", "\"\"", "[]"] {
        rejects(&with_records(&format!("stamp = {value}")), Purpose::Serve, "bad-value");
    }
}

#[test]
fn variables_can_set_every_key_of_records() {
    let text = with_records(
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
    let loaded = load_beside(&[], &text, Purpose::Serve, environment(&variables));
    assert!(loaded.report.diagnostics().is_empty(), "{}", loaded.text);
    let records = loaded.settings().records;
    assert_eq!((location(&records).as_str(), numbers(&records)), ("memory:", "hashed"));
    assert_eq!(records.retain, Duration::from_secs(2 * 24 * 60 * 60));
    assert_eq!((records.wait, records.stamp), (Wait::Commit, true));
}

// ---- authentication, listeners and sources

#[test]
fn auth_off_requires_a_second_factor() {
    let off = "[sources.retell]\nplatform = \"retell\"\nauth = \"off\"\n";
    rejects(off, Purpose::Serve, "unauthenticated-source");
    let with_token = accepts(&format!("{off}url_token = \"env:URL_TOKEN\"\n"), Purpose::Serve);
    assert_eq!(with_token.sources[0].policy.mode, Mode::Off);
    let with_addresses = accepts(&format!("{off}allow_from = \"10.0.0.0/8\"\n"), Purpose::Serve);
    assert!(with_addresses.sources[0].policy.secrets.load().keys.is_empty());
}

#[test]
fn a_missing_signature_requires_a_second_factor_and_one_signature() {
    let bare = format!("{SOURCE}auth = \"when-present\"\n");
    rejects(&bare, Purpose::Serve, "unauthenticated-source");
    let with_token = accepts(&format!("{bare}url_token = \"env:URL_TOKEN\"\n"), Purpose::Serve);
    assert_eq!(with_token.sources[0].policy.mode, Mode::WhenPresent);
    let several = "[sources.retell]\nplatform = \"retell\"\nauth = \"when-present\"\n\
                   secrets = \"env:RETELL_API_KEY\"\nallow_from = \"10.0.0.0/8\"\n\
                   signature = { all = [{ kind = \"retell\" }, { kind = \"bearer\", secrets = \"env:RETELL_API_KEY\" }] }\n";
    rejects(several, Purpose::Serve, "bad-value");
}

#[test]
fn a_missing_url_token_is_not_a_second_factor() {
    let off =
        "[sources.retell]\nplatform = \"retell\"\nauth = \"off\"\nurl_token = \"env:NOT_SET\"\n";
    rejects(off, Purpose::Serve, "no-secret");
}

#[test]
fn observe_mode_requires_a_secret() {
    let observe = "[sources.retell]\nplatform = \"retell\"\nauth = \"observe\"\n";
    rejects(observe, Purpose::Serve, "no-secret");
    let settings = accepts(&format!("{SOURCE}auth = \"observe\"\n"), Purpose::Serve);
    assert_eq!(settings.sources[0].policy.mode, Mode::Observe);
}

#[test]
fn a_second_factor_silences_the_partial_signature_warning() {
    let bare =
        "[sources.synthflow]\nplatform = \"synthflow\"\nsecrets = \"env:SYNTHFLOW_SECRET\"\n";
    let loaded = load(bare, Purpose::Serve);
    assert_eq!(
        (loaded.report.error_count(), loaded.report.warning_count()),
        (0, 1),
        "{}",
        loaded.text
    );
    assert!(loaded.settings.is_some());
    accepts(&format!("{bare}url_token = \"env:URL_TOKEN\"\n"), Purpose::Serve);
    accepts(&format!("{bare}allow_from = [\"10.0.0.0/8\"]\n"), Purpose::Serve);
}

#[test]
fn the_reply_deadline_is_at_most_nine_seconds() {
    for (ms, expected) in [(1, &[][..]), (9000, &[]), (9001, &["bad-value"]), (0, &["bad-value"])] {
        let loaded = load(&format!("{SOURCE}reply_within_ms = {ms}\n"), Purpose::Serve);
        assert_eq!(codes_of(&loaded.report), expected, "{ms}");
        let within = loaded.settings.map(|settings| settings.sources[0].reply_within);
        assert!(within.is_none_or(|within| within == Duration::from_millis(ms)), "{ms}");
    }
}

#[test]
fn connection_limits_are_positive_integers() {
    for value in ["true", "\"yes\"", "1.6", "-1", "0", "\"\"", "[]", "10000001"] {
        let text = format!("[server]\nmax_connections = {value}\n{SOURCE}");
        rejects(&text, Purpose::Serve, "bad-value");
    }
    for value in ["1", "\"16\"", "10_000_000", "0x10"] {
        accepts(&format!("[server]\nmax_connections = {value}\n{SOURCE}"), Purpose::Serve);
    }
}

#[test]
fn parses_the_polling_interval() {
    for (line, expected) in [
        ("", Some(1000)),
        ("poll_ms = 1", Some(1)),
        ("poll_ms = \"500\"", Some(500)),
        ("poll_ms = 0", None),
    ] {
        let rules = accepts(&format!("[rules]\n{line}\n{SOURCE}"), Purpose::Serve).rules;
        assert_eq!(rules.poll, expected.map(Duration::from_millis), "{line}");
    }
    for value in ["-1", "1.5", "true", "\"\"", "\"never\"", "10000001"] {
        rejects(&format!("[rules]\npoll_ms = {value}\n{SOURCE}"), Purpose::Serve, "bad-value");
    }
    let never = environment(&[("SWITCHBOARD__RULES__POLL_MS", "0")]);
    let loaded =
        load_beside(&[], &format!("[rules]\npoll_ms = 1\n{SOURCE}"), Purpose::Serve, never);
    assert_eq!(loaded.settings().rules.poll, None);
}

#[test]
fn parses_the_fallback_reply() {
    for (text, expected) in [
        ("keep", Fallback::Keep),
        ("reject", Fallback::Reject),
        ("front-desk", Fallback::Agent("front-desk".into())),
    ] {
        let settings = accepts(&format!("{SOURCE}fallback = \"{text}\"\n"), Purpose::Serve);
        assert_eq!(settings.sources[0].fallback, expected);
    }
}

#[test]
fn the_check_context_has_sources_and_fallback_agents() {
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
    let context = accepts(text, Purpose::Serve).check_context();
    let sources = context.sources.iter();
    let sources =
        sources.map(|one| (&*one.source, one.platform.as_str(), one.reply_within.as_millis()));
    let expected = [("clinic", "synthflow", 3000), ("shop", "retell", 2500)];
    assert_eq!(sources.collect::<Vec<_>>(), expected);
    assert_eq!(context.fallback_agents, ["desk"]);
}

#[test]
fn parses_addresses_and_networks() {
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
        let loaded = load(&format!("{SOURCE}allow_from = [\"{text}\"]\n"), Purpose::Serve);
        let read =
            loaded.settings.map(|settings| settings.sources[0].policy.allow_from[0].to_string());
        assert_eq!(read.as_deref(), expected, "{text:?}");
        assert_eq!(loaded.report.error_count(), usize::from(expected.is_none()), "{}", loaded.text);
    }
}

#[test]
fn the_admin_listener_requires_a_token_off_loopback() {
    for (listen, token, expected) in [
        ("127.0.0.1:9090", "", &[][..]),
        ("[::1]:9090", "", &[]),
        ("0.0.0.0:9090", "", &["open-admin"]),
        ("10.0.0.1:9090", "", &["open-admin"]),
        ("[::]:9090", "", &["open-admin"]),
        ("0.0.0.0:9090", "token = \"env:URL_TOKEN\"\n", &[]),
        ("0.0.0.0:9090", "token = \"env:SHORT\"\n", &["short-secret"]),
    ] {
        let loaded =
            load(&format!("[admin]\nlisten = \"{listen}\"\n{token}{SOURCE}"), Purpose::Serve);
        assert_eq!(codes_of(&loaded.report), expected, "{listen}");
    }
}

#[test]
fn reports_an_open_admin_listener_with_other_errors() {
    let text = format!("[admin]\nlisten = \"0.0.0.0:9090\"\n[log]\nformat = \"xml\"\n{SOURCE}");
    let loaded = load(&text, Purpose::Serve);
    assert_eq!(loaded.report.error_count(), 2, "{}", loaded.text);
}

#[test]
fn the_public_listener_may_bind_to_any_address() {
    accepts(&format!("[server]\nlisten = \"0.0.0.0:8080\"\n{SOURCE}"), Purpose::Serve);
}

#[test]
fn rejects_listeners_with_the_same_address() {
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
fn source_names_are_letters_digits_dashes_and_underscores() {
    for name in ["retell", "shop-2", "a_b", "7", "MixedCase"] {
        let settings =
            accepts(&SOURCE.replace("sources.retell", &format!("sources.{name}")), Purpose::Serve);
        assert_eq!(&*settings.sources[0].name, name);
    }
    for name in ["", "my shop", "a/b", "a.b", "grüße", "..", "a%2fb"] {
        rejects(
            &SOURCE.replace("sources.retell", &format!("sources.'{name}'")),
            Purpose::Serve,
            "bad-value",
        );
    }
}

#[test]
fn a_platform_may_have_several_sources() {
    let text = format!("{SOURCE}{}", SOURCE.replace("sources.retell", "sources.clinic"));
    let settings = accepts(&text, Purpose::Serve);
    let names: Vec<_> = settings.sources.iter().map(|source| &*source.name).collect();
    assert_eq!(names, ["clinic", "retell"]);
}

// ---- regressions

#[test]
fn reports_never_contain_invalid_references() {
    let text = SOURCE.replace("RETELL_API_KEY", "canary-0123456789/abc");
    hides_secrets(&load(&text, Purpose::Serve), &["canary"]);
}

#[test]
fn the_debug_form_of_a_report_hides_the_file() {
    let text = SOURCE.replace("env:RETELL_API_KEY", "canary");
    let loaded = load(&text, Purpose::Serve);
    assert!(!format!("{:?}", loaded.report).contains("canary"));
}

#[test]
fn a_token_is_not_a_list() {
    for token in
        ["[\"env:URL_TOKEN\", \"in_the_open_0123456789\"]", "[\"env:URL_TOKEN\", \"env:NOT_SET\"]"]
    {
        let loaded = load(&format!("{SOURCE}url_token = {token}\n"), Purpose::Serve);
        assert!(loaded.report.error_count() > 0, "{token}");
        let loaded = load(&format!("[admin]\ntoken = {token}\n{SOURCE}"), Purpose::Serve);
        assert!(loaded.report.error_count() > 0, "{token}");
    }
}

#[test]
fn rejects_values_of_the_wrong_type() {
    for line in ["[rules]\npath = true\n", "[log]\nlevel = 3\n"] {
        let loaded = load(&format!("{line}{SOURCE}"), Purpose::Serve);
        assert!(loaded.report.error_count() > 0, "{line}");
    }
    for line in ["fallback = true\n", "fallback = 3\n"] {
        let loaded = load(&format!("{SOURCE}{line}"), Purpose::Serve);
        assert!(loaded.report.error_count() > 0, "{line}");
    }
}

#[test]
fn rejects_misspelt_log_levels() {
    for level in ["inof", "warning", "information", ""] {
        rejects(&format!("[log]\nlevel = \"{level}\"\n{SOURCE}"), Purpose::Serve, "bad-value");
    }
}

#[test]
fn names_variables_in_their_original_spelling() {
    for name in ["SWITCHBOARD__SERVER__LISTEN__X", "switchboard__server__listen"] {
        let loaded = load_beside(&[], SOURCE, Purpose::Serve, environment(&[(name, "nonsense")]));
        assert!(loaded.text.contains(name), "{}", loaded.text);
    }
}

#[test]
fn an_integer_beyond_64_bits_is_reported_with_its_key() {
    let loaded =
        load(&format!("[server]\nmax_in_flight = 99999999999999999999\n{SOURCE}"), Purpose::Serve);
    assert!(loaded.text.contains("max_in_flight"), "{}", loaded.text);
}

#[test]
fn reports_one_error_once() {
    for text in ["server = 3\n", "log = \"info\"\n"] {
        rejects(&format!("{text}{SOURCE}"), Purpose::Serve, "wrong-kind");
    }
    rejects(
        "[sources.retell]\nplatform = \"retell\"\nauth = \"off\"\nallow_from = \"nonsense\"\n",
        Purpose::Serve,
        "bad-value",
    );
    rejects("sources = 3\n", Purpose::Serve, "wrong-kind");
}

#[test]
fn a_short_token_comes_with_advice() {
    let loaded = load(&format!("{SOURCE}url_token = \"env:SHORT\"\n"), Purpose::Serve);
    assert!(!loaded.text.contains("that the platform shows"), "{}", loaded.text);
}

#[test]
fn rejects_an_empty_token() {
    let loaded = load(&format!("{SOURCE}url_token = \"\"\n"), Purpose::Serve);
    assert!(loaded.report.error_count() > 0, "{}", loaded.text);
}

#[test]
fn inspecting_notes_short_secrets() {
    let loaded = load(&SOURCE.replace("RETELL_API_KEY", "SHORT"), Purpose::Inspect);
    assert!(!loaded.report.diagnostics().is_empty());
}

#[test]
fn reports_dev_mode_off_loopback_once() {
    rejects(&format!("[admin]\nlisten = \"[::]:9090\"\n{SOURCE}"), Purpose::Dev, "not-loopback");
}

#[test]
fn rejects_an_empty_fallback() {
    rejects(&format!("{SOURCE}fallback = \" \"\n"), Purpose::Serve, "bad-value");
}

#[test]
fn a_source_names_the_fields_with_its_numbers() {
    let keys = "from = [\"sip.P-Asserted-Identity\", \"from_number\"]\nto = [\"sip.diversion\"]\n";
    let loaded = load(&format!("{SOURCE}{keys}"), Purpose::Serve);
    let settings = loaded.settings.unwrap_or_else(|| panic!("{}", loaded.report));
    let numbers = &settings.sources[0].numbers;
    let sip = |name: &str| NumberField::Sip(name.into());
    assert_eq!(numbers.from, [sip("p-asserted-identity"), NumberField::Own]);
    assert_eq!(numbers.to, [sip("diversion")]);
    let loaded =
        load(&format!("{SOURCE}from = [\"caller\", \"sip.\", \"to_number\"]\n"), Purpose::Serve);
    let report = loaded.report.to_string();
    assert_eq!(report.matches("error[bad-value]").count(), 3, "{report}");
    assert!(report.contains("write from_number, or sip. and the name of a header"), "{report}");
}

#[test]
fn the_numbers_of_openai_can_be_in_other_headers() {
    let keys = "from = [\"sip.p-asserted-identity\", \"from\"]\nto = \"sip.diversion\"\n";
    let source = load(&format!("{OPENAI}{keys}"), Purpose::Serve).source();
    let header = |name: &str, number: &str| json!({ "name": name, "value": format!("<sip:{number}@carrier.example>") });
    let own = [header("From", "+441632960123"), header("To", "+15005550006")];
    let further =
        [header("P-Asserted-Identity", "+441632960124"), header("Diversion", "+15005550007")];
    let parties = |headers: &[serde_json::Value]| {
        let body = json!({ "type": "realtime.call.incoming", "data": { "call_id": "c1", "sip_headers": headers } });
        let request = app::verified(&*source.dialect, body.to_string().into_bytes());
        let Ok(Incoming::Inbound(call)) = source.dialect.parse(&request, &source.numbers) else {
            panic!("no call");
        };
        [call.from(), call.to()].map(|party| party.unmasked().into_owned())
    };
    assert_eq!(parties(&own), ["+441632960123", "+15005550006"]);
    assert_eq!(parties(&[own, further].concat()), ["+441632960124", "+15005550007"]);
}
