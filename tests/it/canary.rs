//! Privacy, end to end: keys, tokens, a name and a phone number that nobody else uses pass through the program on
//! many paths, with the log at level `trace`. Then they are searched for in everything that it has written.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use reqwest::{Client, Method};
use serde_json::json;
use switchboard::dialect;
use switchboard::domain::secret::Secret;
use switchboard::settings::Purpose;
use switchboard::telemetry;

use crate::support::app::{load_settings, sign_with};
use crate::support::program::{self, Served, program};
use crate::support::wait;

const KEY: &str = "canary-key-b7c41f0e9d";
const URL_TOKEN: &str = "canary-url-token-5d0a8e";
const ADMIN_TOKEN: &str = "canary-admin-token-c3f9";
const HASH_KEY: &str = "canary-hash-key-e1b6d2";
/// Credential of the operator's, which Vapi sends in its bodies.
const CARRIER_KEY: &str = "canary-carrier-key-4f1e77";
const NAME: &str = "Quillfeather";
const NUMBER: &str = "+12137650987";
/// Digits of [`NUMBER`] that identify it; the mask shows others.
const DIGITS: &str = "1376509";
const SECRETS: [&str; 5] = [KEY, URL_TOKEN, ADMIN_TOKEN, HASH_KEY, CARRIER_KEY];

const SETTINGS: &str = r#"
[rules]
path = "rules.toml"

[admin]
token = "env:CANARY_ADMIN_TOKEN"

[records]
url = "sqlite:records.db"
numbers = "NUMBERS"
HASH

[log]
level = "trace"
format = "FORMAT"

[sources.retell]
platform = "retell"
secrets = ["env:CANARY_KEY"]
url_token = "env:CANARY_URL_TOKEN"

[sources.synthflow]
platform = "synthflow"
secrets = ["env:CANARY_KEY"]
url_token = "env:CANARY_URL_TOKEN"

[sources.vapi]
platform = "vapi"
secrets = ["env:CANARY_KEY"]
url_token = "env:CANARY_URL_TOKEN"
fallback = "agent_1"
"#;

const RULES: &str = r#"
[[rule]]
name = "everyone"
agent = "agent_1"
variables = { caller_name = "${sip.x-name|none}", number = "${from}" }
metadata = { customer = "${sip.x-name|none}", number = "${from}" }
"#;

/// Fails if a text contains one of the words, or the number in any spelling.
#[track_caller]
fn assert_clean(place: &str, text: &str, words: &[&str]) {
    let squeezed = text.replace([' ', '-', '.', '(', ')', '/'], "");
    let mut found = Vec::new();
    for word in words {
        for text in [text, &squeezed] {
            let chars: Vec<_> = text.match_indices(word).map(|(at, _)| at).collect();
            found.extend(chars.into_iter().take(8).map(|at| {
                let before: Vec<_> = text[..at].chars().rev().take(60).collect();
                let before: String = before.into_iter().rev().collect();
                let after: String = text[at..].chars().take(60).collect();
                format!("…{before}{after}…")
            }));
        }
    }
    assert!(found.is_empty(), "{place} contains a canary:\n{}", found.join("\n"));
}

/// A running service with its settings.
struct Canary {
    served: Served,
    settings: String,
    folder: tempfile::TempDir,
}

fn with_secrets(mut command: Command) -> Command {
    command
        .env("CANARY_KEY", KEY)
        .env("CANARY_URL_TOKEN", URL_TOKEN)
        .env("CANARY_ADMIN_TOKEN", ADMIN_TOKEN)
        .env("CANARY_HASH_KEY", HASH_KEY);
    command
}

impl Canary {
    fn start(numbers: &str, otlp_endpoint: Option<&str>) -> Canary {
        let hash = if numbers == "hashed" { "hash_key = \"env:CANARY_HASH_KEY\"" } else { "" };
        let format = if numbers == "masked" { "json" } else { "pretty" };
        let text = SETTINGS
            .replace("FORMAT", format)
            .replace("NUMBERS", numbers)
            .replace("HASH\n", &format!("{hash}\n"));
        let (folder, settings) = program::folder(&text, RULES);
        let mut serve = with_secrets(program());
        if let Some(endpoint) = otlp_endpoint {
            serve.env("SWITCHBOARD__TRACES__OTLP_ENDPOINT", endpoint);
        }
        let served = Served::new(program::start_with(serve, &["--config", &settings]));
        Canary { served, settings, folder }
    }

    /// Sends a request to the public listener, signed if there is a key. Returns the status and the body.
    async fn post(&self, path: &str, body: &str, key: Option<&str>) -> (u16, String) {
        #[expect(clippy::disallowed_methods, reason = "the program uses the system's clock")]
        let now = jiff::Timestamp::now();
        let platforms = ["synthflow", "vapi", "retell"];
        let platform = platforms.into_iter().find(|name| path.contains(name)).unwrap_or("retell");
        let url = format!("{}{path}", self.served.url);
        let mut request = client().post(url).body(body.to_owned());
        if let Some(key) = key {
            let scheme = dialect::by_name(platform).unwrap().scheme();
            let key = scheme.key(&Secret::new(key)).unwrap();
            request = request.headers(sign_with(&*scheme, &key, body.as_bytes(), now).unwrap());
        }
        let response = request.header("tracestate", format!("name={NAME}")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Sends a request to the admin listener. Returns the status and the body.
    async fn admin(&self, method: Method, path: &str, token: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.served.admin);
        let response = client().request(method, url).bearer_auth(token).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Runs a command with the settings of the service. Returns its output.
    #[track_caller]
    fn cli(&self, arguments: &[&str]) -> String {
        let mut command = with_secrets(program());
        let output =
            wait::output(command.args(arguments).args(["--config", self.settings.as_str()]));
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        assert!(output.status.success(), "{arguments:?}\n{text}");
        text
    }
}

fn client() -> &'static Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| {
        // Fails if another test has installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
    });
    &CLIENT
}

/// Bodies of Retell's requests with the canaries in every field, and the statuses that they get.
fn retell_requests() -> Vec<(&'static str, String, u16)> {
    let inbound = |more: serde_json::Value| {
        let mut inner = json!({
            "from_number": NUMBER, "to_number": "+12137771235",
            "custom_sip_headers": { "x-name": NAME, "diversion": format!("<sip:{NUMBER}@host>") },
        });
        for (key, value) in more.as_object().unwrap() {
            inner[key] = value.clone();
        }
        json!({ "event": "call_inbound", "call_inbound": inner }).to_string()
    };
    let event = |kind: &str, parties: bool| {
        let mut call = json!({
            "call_id": "call_1", "transcript": format!("{NAME}: call {NUMBER}"),
            "retell_llm_dynamic_variables": { "caller_name": NAME, "number": NUMBER },
            "call_analysis": { "call_summary": format!("{NAME} rang from {NUMBER}") },
            "call_status": NUMBER, "disconnection_reason": format!("{NAME} {NUMBER}"),
            "agent_id": "agent_1", "direction": NUMBER,
        });
        if parties {
            call["from_number"] = NUMBER.into();
        }
        json!({ "event": kind, "call": call }).to_string()
    };
    let call = inbound(json!({ "call_id": "call_1" }));
    let bare = NUMBER.trim_start_matches('+');
    vec![
        ("/inbound", call.clone(), 200),
        ("/inbound", call, 200),
        ("/inbound", inbound(json!({ "call_id": format!("call_{bare}") })), 200),
        (
            "/inbound",
            inbound(json!({ "call_id": "call_3", "agent_id": format!("agent_{bare}") })),
            200,
        ),
        ("/inbound", inbound(json!({ "call_id": "call_4", "from_number": bare })), 200),
        (
            "/inbound",
            inbound(json!({ "call_id": "call_5", "from_number": format!("sip:{NUMBER}@h") })),
            200,
        ),
        ("/inbound", inbound(json!({ "call_id": NUMBER, "from_number": "anonymous" })), 200),
        (
            "/inbound",
            inbound(json!({ "call_id": "call_7", "from_number": NAME, "to_number": NUMBER })),
            200,
        ),
        ("/events", event("call_ended", true), 200),
        ("/events", event("call_analyzed", false), 200),
        ("/events", event(NUMBER, true), 200),
        ("/events", event(NUMBER, false), 200),
        ("/events", event(&format!("call from {NUMBER}"), false), 200),
        (
            "/inbound",
            format!(
                "{{\"event\":\"call_inbound\",\"call_inbound\":{{\"from_number\":\"{NUMBER}\",\"x\":{NAME}"
            ),
            400,
        ),
        ("/inbound", format!("{NAME} {NUMBER}"), 400),
        ("/inbound", json!({ NAME: NUMBER }).to_string(), 400),
        ("/inbound", format!("\"{NAME}{}\"", NUMBER.repeat(6_000)), 413),
    ]
}

/// Sends everything to both sources. Error bodies must be clean.
async fn send_all(canary: &Canary) {
    let words = [SECRETS.as_slice(), &[NAME, DIGITS]].concat();
    for (path, body, expected) in retell_requests() {
        let signed = format!("{path}/retell/{URL_TOKEN}");
        let (status, reply) = canary.post(&signed, &body, Some(KEY)).await;
        assert_eq!(status, expected, "{body:.200}");
        if status != 200 {
            assert_clean("an error body", &reply, &words);
        }
        for (path, key) in [
            (&signed, None),
            (&signed, Some("another key")),
            (&format!("{path}/retell/{URL_TOKEN}x"), Some(KEY)),
            (&format!("{path}/retell/{NUMBER}"), Some(KEY)),
            (&format!("{path}/retell/{URL_TOKEN}/{NAME}/{NUMBER}"), Some(KEY)),
        ] {
            let (status, reply) = canary.post(path, &body, key).await;
            assert!((400..500).contains(&status), "{path}: {status}");
            assert_clean("an error body", &reply, &words);
        }
    }
    let synthflow = format!("/inbound/synthflow/{URL_TOKEN}");
    let inner = json!({ "from_number": NUMBER, "to_number": NUMBER, "model_id": "agent_1" });
    let call = json!({ "event": "call_inbound", "call_inbound": inner }).to_string();
    let completed = json!({ "call": { "call_id": "c1", "status": NUMBER, "phone_number_from": NUMBER },
        "lead": { "name": NAME, "phone_number": NUMBER }, "executed_actions": { NAME: NUMBER } });
    for (path, body, key) in [
        (&synthflow, call.as_str(), None),
        (&synthflow, "", None),
        (&format!("/events/synthflow/{URL_TOKEN}"), &completed.to_string(), Some(KEY)),
    ] {
        assert_eq!(canary.post(path, body, key).await.0, 200, "{body}");
    }
    for body in vapi_requests() {
        for path in ["inbound", "events"] {
            let path = format!("/{path}/vapi/{URL_TOKEN}");
            let (status, reply) = canary.post(&path, &body, Some(KEY)).await;
            assert_eq!(status, 200, "{body}");
            assert_clean("a reply to Vapi", &reply, &SECRETS);
        }
    }
}

/// Bodies of Vapi's requests, with credentials in every place where Vapi sends them.
fn vapi_requests() -> Vec<String> {
    let message = |kind: &str| {
        let server = json!({ "url": "u", "secret": CARRIER_KEY, "headers": { "a": CARRIER_KEY } });
        json!({ "message": {
            "type": kind, "timestamp": 1,
            "call": {
                "id": format!("vapi {kind}"), "type": "inboundPhoneCall", "orgId": "o",
                "phoneCallProviderId": "CA1", "customer": { "number": NUMBER, "name": NAME },
                "assistantOverrides": { "server": server, "metadata": { "x": { "secret": CARRIER_KEY } } },
            },
            "phoneNumber": {
                "number": "+12137771235", "twilioAuthToken": CARRIER_KEY, "twilioApiKey": CARRIER_KEY,
                "twilioApiSecret": CARRIER_KEY, "authentication": { "password": CARRIER_KEY },
            },
            "assistant": {
                "serverUrlSecret": CARRIER_KEY, "server": server,
                "credentials": [{ "provider": "openai", "apiKey": CARRIER_KEY }],
            },
            "analysis": {
                "summary": format!("{NAME} rang from {NUMBER}"),
                "structuredData": { "credentials": CARRIER_KEY },
            },
            "artifact": { "variableValues": {
                "authentication": CARRIER_KEY,
                "phoneNumbers": [{}, { "twilioAuthToken": CARRIER_KEY }, { "server": server }],
            } },
            "status": NUMBER, "endedReason": NUMBER,
        } })
        .to_string()
    };
    ["assistant-request", "end-of-call-report", "status-update", "tool-calls"].map(message).into()
}

/// Reads everything from the admin listener and the command line.
async fn read_all(canary: &Canary, stored_words: &[&str]) {
    let words = [SECRETS.as_slice(), &[DIGITS]].concat();
    let number = NUMBER.replace('+', "%2B");
    let (status, list) = canary.admin(Method::GET, "/records?limit=100", ADMIN_TOKEN).await;
    assert_eq!(status, 200, "{list}");
    assert_clean("/records", &list, stored_words);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let calls = list["records"].as_array().or_else(|| list.as_array()).expect("a list").clone();
    assert!(calls.len() >= 7, "{calls:?}");
    for call in &calls {
        let id = call["id"].as_str().unwrap();
        let (status, one) =
            canary.admin(Method::GET, &format!("/records/{id}?bodies=true"), ADMIN_TOKEN).await;
        assert_eq!(status, 200, "{one}");
        assert_clean("/records/ID", &one, stored_words);
        assert_clean("records show", &canary.cli(&["records", "show", id]), stored_words);
    }
    let (status, metrics) = canary.admin(Method::GET, "/metrics", ADMIN_TOKEN).await;
    assert_eq!(status, 200);
    assert_clean("/metrics", &metrics, &[words.as_slice(), &[NAME]].concat());
    // An explanation repeats the number that it was asked about.
    let explain = format!("/explain?source=retell&from={number}");
    let (status, explanation) = canary.admin(Method::GET, &explain, ADMIN_TOKEN).await;
    assert_eq!(status, 200, "{explanation}");
    assert_clean("/explain", &explanation, &SECRETS);
    for path in ["/healthz", "/readyz", "/metrics", &explain, &format!("/records?number={number}")]
    {
        let (_, reply) = canary.admin(Method::GET, path, "wrong").await;
        assert_clean("a reply to a wrong token", &reply, &words);
    }
    canary.admin(Method::GET, &format!("/explain?source={NAME}&from={number}"), ADMIN_TOKEN).await;
    canary.admin(Method::POST, "/reload", ADMIN_TOKEN).await;
    for arguments in [
        ["records", "list"].as_slice(),
        &["records", "list", "--json"],
        &["records", "stats"],
        &["records", "export"],
        &["records", "export", "--csv"],
        &["check"],
    ] {
        assert_clean(&arguments.join(" "), &canary.cli(arguments), stored_words);
    }
    assert_clean("explain", &canary.cli(&["explain", "--from", NUMBER]), &SECRETS);
    let url = ["send", "--from", NUMBER, "--url", &canary.served.url];
    assert_clean("send", &canary.cli(&url), &SECRETS);
}

fn raw_store(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The reserve of the disk is empty.
        if name.starts_with("records.db") && !name.ends_with("-reserve") {
            all += &String::from_utf8_lossy(&std::fs::read(path).unwrap());
        }
    }
    assert!(all.contains("call_analyzed"), "the store contains no event");
    all
}

/// Runs the service with numbers stored in this form.
async fn check(numbers: &str, otlp_endpoint: Option<&str>) {
    let canary = Canary::start(numbers, otlp_endpoint);
    let words = [SECRETS.as_slice(), &[DIGITS]].concat();
    let stored_words = if numbers == "full" { &SECRETS } else { &*words };
    send_all(&canary).await;
    read_all(&canary, stored_words).await;
    // With the write-ahead log, and without it.
    assert_clean("the store", &raw_store(canary.folder.path()), stored_words);
    let Canary { served, folder, .. } = canary;
    let (code, log) = served.terminate();
    assert_eq!(code, Some(0));
    assert_clean("the stopped store", &raw_store(folder.path()), stored_words);
    assert!(log.contains("DEBUG") && log.contains("call_ended"), "{log:.2000}");
    assert_clean("the log", &log, &[words.as_slice(), &[NAME]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_names_and_numbers_are_in_no_log_metric_error_or_masked_store() {
    check("masked", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_names_and_numbers_are_in_no_hashed_store() {
    check("hashed", None).await;
}

/// Names the process in which a thread panics.
const PANICS: &str = "CANARY_PANICS";

/// Panics with a name in the message, and without one.
fn panic_twice() {
    let log = format!("[log]\nformat = \"json\"\n{}", crate::support::app::SETTINGS);
    let (settings, report) = load_settings(&log, Purpose::Serve);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let guard = telemetry::start(&settings.log, &settings.traces, false).unwrap();
    telemetry::log_panics();
    let body = format!("{NAME} rang from {NUMBER}");
    let thread = std::thread::spawn(move || assert_eq!(body, "", "the body is not empty"));
    assert!(thread.join().is_err());
    assert!(std::thread::spawn(|| panic!("a message without values")).join().is_err());
    drop(guard);
}

#[test]
fn a_panic_is_logged_without_its_values() {
    // In a process of its own, because the log and the hook for panics belong to the process.
    #[expect(clippy::disallowed_methods, reason = "set by this test for its own process")]
    if std::env::var_os(PANICS).is_some() {
        return panic_twice();
    }
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.env(PANICS, "1");
    test.args(["--exact", "canary::a_panic_is_logged_without_its_values", "--nocapture"]);
    let output = wait::output(&mut test);
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let text = text.concat();
    assert_eq!(
        text.matches(r#""message":"panic","location":"tests/it/canary.rs:"#).count(),
        2,
        "{text}"
    );
    assert!(text.contains(r#""reason":"a message without values""#), "{text}");
    assert_clean("a panic", &text, &[NAME, DIGITS]);
}

#[cfg(feature = "otlp")]
#[tokio::test(flavor = "multi_thread")]
async fn secrets_names_and_numbers_are_in_no_trace() {
    let (collector, url) = crate::traces::Collector::start().await;
    check("full", Some(&url)).await;
    let bodies: Vec<_> = collector.bodies().concat();
    let text = String::from_utf8_lossy(&bodies);
    assert!(text.contains("POST /inbound") && text.contains("authenticate"), "no spans");
    assert_clean("the traces", &text, &[SECRETS.as_slice(), &[NAME, DIGITS]].concat());
}
