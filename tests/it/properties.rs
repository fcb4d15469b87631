//! Properties of all bodies, tables, calls, numbers and texts.
//!
//! Each property has 256 cases, or the number in the environment variable `PROPTEST_CASES`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};
use switchboard::authenticate::{AuthError, Key, Policy, Unverified, Verified};
use switchboard::diagnostics::Report;
use switchboard::dialect;
use switchboard::dialect::{Dialect, Incoming, RenderContext};
use switchboard::domain::call::{Call, Channel, Fields, Platform, Version};
use switchboard::domain::capabilities::Reject;
use switchboard::domain::decision::{Decision, Outcome};
use switchboard::domain::dialling_plan::{self, is_north_american};
use switchboard::domain::facts::Facts;
use switchboard::domain::party::{NumberFormat, NumberReading, Party};
use switchboard::domain::phone_number::PhoneNumber;
use switchboard::domain::secret::Secret;
use switchboard::http::{HttpProblem, public};
use switchboard::pipeline::{RequestError, SourceEndpoint, Switchboard};
use switchboard::rules::engine::explain::{Listed, Verdict, explain};
use switchboard::rules::{CheckContext, NoColumns, RuleSet, Template};
use switchboard::settings;
use switchboard::settings::{
    AdminSettings, Inputs, LoadedSettings, NumberStorage, Purpose, RecordsLocation,
    RecordsSettings, Settings,
};
use switchboard::source::Source;

use crate::dialects::request;
use crate::events;
use crate::support::app::{self, NOW_MS, app, decide, post, root, verified};
use crate::support::replies::{accepts, is_rejection};

pub(crate) fn cases() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

// ---- texts, numbers and JSON

const NUMBERS: [&str; 10] = [
    "+12137771234",
    "+12137771235",
    "+19005550100",
    "+4930901820",
    "+266696687",
    "anonymous",
    "1001",
    "sip:+17045551234@203.0.113.9;user=phone",
    "sip:bob@example.com",
    "",
];

pub(crate) fn any_text() -> BoxedStrategy<String> {
    prop_oneof![
        2 => "[ -~]{0,12}",
        1 => "\\PC{0,8}",
        1 => any::<String>(),
        1 => select(vec!["null", "true", "${from}", "{{x}}", "\u{0}", "\u{7f}", "é\u{301}", "\r\n"]).prop_map_into(),
    ]
    .boxed()
}

/// Generates the value of a number field, valid or not.
pub(crate) fn any_party() -> BoxedStrategy<String> {
    prop_oneof![
        3 => select(NUMBERS.to_vec()).prop_map_into(),
        3 => "[+]?[0-9]{1,17}",
        2 => "[+]?[0-9(][0-9 .()-]{0,20}",
        1 => "(sip|SIPS|tel):[+]?[0-9a-z-]{0,16}(@[a-z.]{0,8})?(;[a-z=+0-9]{0,9})?",
        1 => "\"?[A-Z]{0,3}\"? ?<(sip:)?[0-9]{0,5}[<>:]?>;[a-z=0-9<>]{0,6}",
        1 => "(\"[A-Z ]{0,5}\" )?<?(sip:)?[+]?[0-9]{0,15}[@;?:<>]{0,3}[0-9]{0,12}>?",
        2 => any_text(),
    ]
    .boxed()
}

fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
        any_party().prop_map(Value::from),
    ];
    let nested = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any_text(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    });
    nested.boxed()
}

/// Generates an object with some of these keys. Most values come from `usual`.
fn object_with(keys: &'static [&'static str], usual: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let value = prop_oneof![4 => usual, 1 => any_json()];
    let known = (select(keys), value).prop_map(|(key, value)| (key.to_owned(), value));
    let entry = prop_oneof![8 => known, 1 => (any_text(), any_json())];
    let object = prop::collection::vec(entry, 0..8);
    object.prop_map(|entries| Value::Object(entries.into_iter().collect())).boxed()
}

/// Generates a body similar to one from a platform.
fn likely_body() -> BoxedStrategy<Value> {
    const INNER: [&str; 19] = [
        "call_id",
        "chat_id",
        "agent_id",
        "agent_version",
        "model_id",
        "from_number",
        "to_number",
        "from_number",
        "to_number",
        "custom_sip_headers",
        "start_timestamp",
        "duration_ms",
        "start_time",
        "duration",
        "metadata",
        "call_analysis",
        "call_cost",
        "retell_llm_dynamic_variables",
        "end_call_reason",
    ];
    const EVENTS: [&str; 5] = ["call_inbound", "call_inbound", "chat_inbound", "call_ended", "x"];
    let headers =
        object_with(&["x-a", "x-b", "X-A", "diversion"], any_text().prop_map_into().boxed());
    let usual = prop_oneof![3 => any_party().prop_map_into(), 1 => headers];
    let inner = object_with(&INNER, usual.boxed());
    let event = prop_oneof![8 => select(EVENTS.to_vec()).prop_map(Value::from), 1 => any_json()];
    let key = select(vec!["call_inbound", "chat_inbound", "call", "chat"]);
    let rest = object_with(
        &["event_timestamp", "status", "call_id", "lead", "analysis", "collected_variables"],
        any::<i64>().prop_map_into().boxed(),
    );
    let body = (prop::option::weighted(0.9, event), key, inner, rest).prop_map(
        |(event, key, inner, rest)| {
            let mut body = json!({});
            body["event"] = event.unwrap_or_default();
            if body["event"].is_null() {
                body = json!({});
            }
            let same = body["event"]
                .as_str()
                .filter(|event| event.ends_with("_inbound"))
                .map(str::to_owned);
            body[same.as_deref().unwrap_or(key)] = inner;
            for (key, value) in rest.as_object().cloned().unwrap_or_default() {
                body[key] = value;
            }
            body
        },
    );
    body.boxed()
}

/// A change of bytes.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Cut(Index),
    Drop(Index, Index),
    Repeat(Index, Index),
    Insert(Index, Vec<u8>),
}

fn any_mutation(words: &'static [&'static str]) -> BoxedStrategy<Mutation> {
    let word = select(words).prop_map(|word| word.as_bytes().to_vec());
    prop_oneof![
        1 => (any::<Index>(), 1_u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        1 => any::<Index>().prop_map(Mutation::Cut),
        2 => any::<(Index, Index)>().prop_map(|(from, to)| Mutation::Drop(from, to)),
        2 => any::<(Index, Index)>().prop_map(|(from, to)| Mutation::Repeat(from, to)),
        4 => (any::<Index>(), word).prop_map(|(at, word)| Mutation::Insert(at, word)),
        1 => (any::<Index>(), any::<Vec<u8>>()).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
    ]
    .boxed()
}

fn mutate(mutations: &[Mutation], mut bytes: Vec<u8>) -> Vec<u8> {
    // At most 40 bytes are removed or repeated at once, so that most of the text remains.
    let span = |len: usize, from: &Index, to: &Index| {
        let from = from.index(len + 1);
        from..(from + to.index(40)).min(len)
    };
    for mutation in mutations {
        let len = bytes.len();
        match mutation {
            Mutation::Flip(at, bits) if len > 0 => bytes[at.index(len)] ^= bits,
            Mutation::Flip(..) => {}
            Mutation::Cut(at) => bytes.truncate(at.index(len + 1)),
            Mutation::Drop(from, to) => drop(bytes.drain(span(len, from, to))),
            Mutation::Repeat(from, to) => {
                let span = span(len, from, to);
                let again = bytes[span.clone()].to_vec();
                bytes.splice(span.start..span.start, again);
            }
            Mutation::Insert(at, word) => {
                drop(bytes.splice(at.index(len + 1)..at.index(len + 1), word.clone()))
            }
        }
    }
    bytes
}

const JSON_WORDS: [&str; 22] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "1e999",
    "-",
    "0",
    "\\ud800",
    "\\u0000",
    "\"event\":",
    "call_inbound",
    "\"call_inbound\":{",
    "\"from_number\":",
    "+12137771234",
    "\"call_id\":\"c\",",
    "\u{feff}",
    "\u{ff}",
];

/// Returns the bodies of a platform's golden files.
fn golden_bodies(dialect: &dyn Dialect) -> Vec<Value> {
    let folder = root().join("tests/fixtures").join(dialect.platform().as_str());
    let folders = std::fs::read_dir(folder).expect("fixtures").map(|entry| entry.unwrap().path());
    let requests = folders.map(|folder| folder.join("request.json"));
    let bodies = requests.filter(|path| path.exists()).chain(events::cases(dialect));
    bodies.map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

/// Returns the places of all values inside a value, as JSON pointers.
pub(crate) fn pointers(value: &Value) -> Vec<String> {
    let under = |key: &str, value: &Value| {
        let key = key.replace('~', "~0").replace('/', "~1");
        let inner = pointers(value).into_iter().map(|pointer| format!("/{key}{pointer}"));
        inner.collect::<Vec<_>>()
    };
    let inner: Vec<_> = match value {
        Value::Object(object) => object.iter().flat_map(|(key, value)| under(key, value)).collect(),
        Value::Array(list) => {
            list.iter().enumerate().flat_map(|(at, value)| under(&at.to_string(), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    std::iter::once(String::new()).chain(inner).collect()
}

/// Generates a body that differs from one of the platform in a few values.
fn almost_golden_body(dialect: &dyn Dialect) -> BoxedStrategy<Value> {
    let odd = prop_oneof![2 => any_party().prop_map(Value::from), 1 => any_json()];
    let changes = prop::collection::vec((any::<Index>(), odd), 0..4);
    let body = (select(golden_bodies(dialect)), changes).prop_map(|(mut body, changes)| {
        for (at, odd) in changes {
            let places = pointers(&body);
            *body.pointer_mut(&places[at.index(places.len())]).expect("a place in the body") = odd;
        }
        body
    });
    body.boxed()
}

const FORM_WORDS: [&str; 14] = [
    "&",
    "=",
    "%",
    "%4",
    "+",
    "%2B",
    "CallSid",
    "CallStatus",
    "completed",
    "From",
    "MessageSid",
    "SipHeader_",
    "CallbackSource",
    "\u{ff}",
];

/// Generates a form that differs from one of the platform in a few places.
fn any_form(dialect: &dyn Dialect) -> BoxedStrategy<Vec<u8>> {
    let folder = root().join("tests/fixtures").join(dialect.platform().as_str());
    let folders = std::fs::read_dir(folder).expect("fixtures").map(|entry| entry.unwrap().path());
    let requests = folders.map(|folder| folder.join("request.form"));
    let forms = requests.filter(|path| path.exists()).chain(events::cases(dialect));
    let forms: Vec<_> = forms.map(|path| std::fs::read(path).unwrap()).collect();
    let mutations = prop::collection::vec(any_mutation(&FORM_WORDS), 0..4);
    prop_oneof![
        1 => any::<Vec<u8>>(),
        9 => (select(forms), mutations).prop_map(|(form, mutations)| mutate(&mutations, form)),
    ]
    .boxed()
}

fn any_body(dialect: &dyn Dialect) -> BoxedStrategy<Vec<u8>> {
    if dialect.request_content_type() != "application/json" {
        return any_form(dialect);
    }
    let likely = prop_oneof![1 => likely_body(), 2 => almost_golden_body(dialect)];
    let likely = likely.prop_map(|body| body.to_string().into_bytes()).boxed();
    let mutations = prop::collection::vec(any_mutation(&JSON_WORDS), 1..4);
    prop_oneof![
        1 => any::<Vec<u8>>(),
        1 => any_json().prop_map(|json| json.to_string().into_bytes()),
        9 => likely.clone(),
        4 => (likely, mutations).prop_map(|(body, mutations)| mutate(&mutations, body)),
    ]
    .boxed()
}

/// Returns the columns of an event after one field of its body was replaced or removed.
fn columns_with(
    dialect: &dyn Dialect,
    mut body: Value,
    key: &(bool, String),
    replacement: Option<&Value>,
) -> Value {
    let (inside, name) = key;
    let object = if *inside { &mut body["call"] } else { &mut body };
    let object = object.as_object_mut().expect("an object");
    match replacement {
        Some(value) => object.insert(name.clone(), value.clone()),
        None => object.remove(name),
    };
    events::parse_columns(dialect, body.to_string().as_bytes())
}

#[test]
fn an_unexpected_value_of_an_event_changes_only_its_own_column() {
    for (platform, case) in [("retell", "call_analyzed"), ("synthflow", "completed")] {
        let dialect = dialect::by_name(platform).unwrap();
        let path = format!("tests/fixtures/{platform}/events/{case}.json");
        let mut body: Value =
            serde_json::from_slice(&std::fs::read(root().join(path)).unwrap()).unwrap();
        // The status in the call takes effect only without this one.
        body.as_object_mut().unwrap().remove("status");
        let beside = body.as_object().unwrap().keys().map(|key| (false, key.clone()));
        let inside = body["call"].as_object().unwrap().keys().map(|key| (true, key.clone()));
        // These fields identify the event.
        let keys = beside.filter(|(_, key)| key != "event" && key != "call").chain(inside);
        let keys: Vec<_> = keys.collect();
        assert!(keys.len() > 10, "{platform} has {keys:?}");
        let before = events::parse_columns(dialect, body.to_string().as_bytes());
        proptest!(cases(), |(key in select(keys), odd in any_json())| {
            let without = columns_with(dialect, body.clone(), &key, None);
            let after = columns_with(dialect, body.clone(), &key, Some(&odd));
            for (column, value) in before.as_object().unwrap() {
                if without.get(column) == Some(value) {
                    prop_assert_eq!(after.get(column), Some(value), "`{}` after {:?}", column, key);
                }
            }
        });
    }
}

// ---- requests through the router

/// Rules that reject no call.
const WITHOUT_REJECTIONS: &str = r#"
[[rule]]
name = "adds"
continue = true
variables = { caller = "${from}", a = "${sip.x-a?}" }
metadata = { a = "${sip.x-a?}", b = { c = "${sip.x-b|none}" } }

[[rule]]
name = "Germans"
from = "DE"
keep = true

[[rule]]
name = "everyone"
agent = "agent_1"
"#;

#[track_caller]
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

#[test]
fn every_authenticated_body_is_answered_with_200_or_400_and_no_call_is_rejected() {
    let runtime = runtime();
    for dialect in dialect::ALL {
        let rules = app::rules_for(dialect, WITHOUT_REJECTIONS);
        let app = app(app::settings_of(dialect), &rules);
        proptest!(cases(), |(body in any_body(dialect))| {
            let answer = runtime.block_on(app.send(request(&app, dialect, "inbound", &body)));
            let verified = verified(dialect, body);
            match dialect.parse(&verified, &NumberFormat::default()) {
                Ok(incoming) => {
                    prop_assert_eq!(answer.status, StatusCode::OK);
                    let channel = match incoming {
                        Incoming::Inbound(call) => {
                            let body = String::from_utf8_lossy(&answer.body);
                            prop_assert!(!body.contains("<Reject"), "{}", body);
                            call.channel()
                        }
                        Incoming::Probe => Channel::Call,
                        Incoming::Event(_) => {
                            prop_assert_eq!(answer.body, dialect.acknowledgement().as_bytes());
                            return Ok(());
                        }
                    };
                    prop_assert_eq!(accepts(dialect.platform(), channel, &answer.body), Ok(()));
                    prop_assert!(!is_rejection(dialect.platform(), &answer.body));
                }
                Err(_) => {
                    prop_assert_eq!(answer.status, StatusCode::BAD_REQUEST);
                    prop_assert_eq!(&answer.json()["status"], 400);
                }
            }
        });
        let metrics = runtime.block_on(app.metrics());
        assert!(metrics.contains("switchboard_panics_total 0"), "a request panicked");
    }
}

// ---- tables and calls

/// Writes a string as TOML.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{0}'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Generates a valid template, quoted.
fn any_template() -> BoxedStrategy<String> {
    let plain = any_text().prop_map(|text| text.replace("${", "$${"));
    let names = select(vec![
        "${from}",
        "${to}",
        "${channel}",
        "${source}",
        "${rule}",
        "${sip.x-a?}",
        "${sip.x-b?}",
    ]);
    let with_default =
        any_text().prop_map(|text| format!("${{sip.X-A|{}}}", text.replace(['}', '$'], ")")));
    let part = prop_oneof![3 => plain, 2 => names.prop_map_into(), 1 => with_default];
    // Without the space, a `$` at the end of a part would escape the next part.
    let join = |parts: Vec<String>| parts.join(" ");
    prop::collection::vec(part, 0..3).prop_map(join).prop_map(|text| quoted(&text)).boxed()
}

fn inline_table(value: BoxedStrategy<String>, limit: usize) -> BoxedStrategy<String> {
    let key = prop_oneof![4 => select(vec!["a", "b", "agent", "retell_llm"]).prop_map_into(), 1 => any_text()];
    let entries = prop::collection::btree_map(key, value, 0..limit);
    entries
        .prop_map(|entries: BTreeMap<String, String>| {
            let entries = entries.iter().map(|(key, value)| format!("{} = {value}", quoted(key)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        })
        .boxed()
}

fn any_scalar() -> BoxedStrategy<String> {
    prop_oneof![
        any_template(),
        any::<i64>().prop_map(|number| number.to_string()),
        (-1e9..1e9_f64).prop_map(|number| format!("{number:?}")),
        any::<bool>().prop_map(|boolean| boolean.to_string()),
    ]
    .boxed()
}

/// Generates an inline table for `metadata` or `agent_override`.
fn any_object() -> BoxedStrategy<String> {
    let nested = any_scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|list| format!("[{}]", list.join(", "))),
            inline_table(inner.boxed(), 3),
        ]
    });
    inline_table(nested.boxed(), 3)
}

/// Generates metadata that sometimes exceeds the limit of a platform.
fn any_metadata() -> BoxedStrategy<String> {
    let big = Just("{ big = \"${sip.x-big?}\" }".to_owned());
    prop_oneof![4 => any_object(), 1 => big].boxed()
}

const PATTERNS: [&str; 14] = [
    "+12137771234",
    "+1 (900) 555-0100",
    "+1213*",
    "+1*",
    "+4*",
    "+1213777XXXX",
    "US",
    "DE",
    "LS",
    "withheld",
    "withheld",
    "=1001",
    "=sip:BOB@example.com",
    "=client:jane",
];

/// Generates `key = [..]` with some of these words, some negated, or no line.
fn condition(key: &'static str, words: &'static [&'static str]) -> BoxedStrategy<String> {
    let word = (select(words), prop::bool::weighted(0.25));
    let word =
        word.prop_map(|(word, not)| quoted(&format!("{}{word}", if not { "!" } else { "" })));
    let list = prop::collection::vec(word, 1..4)
        .prop_map(move |words| format!("{key} = [{}]\n", words.join(", ")));
    prop_oneof![5 => Just(String::new()), 1 => list].boxed()
}

fn optional_line(key: &'static str, value: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let line = value.prop_map(move |value| format!("{key} = {value}\n"));
    prop_oneof![1 => Just(String::new()), 1 => line].boxed()
}

fn any_rule() -> BoxedStrategy<String> {
    let conditions = (
        condition("from", &PATTERNS),
        condition("to", &PATTERNS),
        condition("channel", &["call", "sms"]),
        condition("platform", &["retell", "synthflow"]),
        condition("source", &["one", "two"]),
        condition("number_id", &["pn_1", "pn_2"]),
    );
    let reason = any_text().prop_map(|text| format!("reject = {}\n", quoted(&text)));
    let outcome = prop_oneof![
        3 => select(vec!["agent = \"everywhere\"\n", "agent = \"one\"\n", "agent = \"tagged\"\n"]).prop_map_into(),
        1 => Just("keep = true\n".to_owned()),
        1 => Just("split = \"half\"\n".to_owned()),
        1 => select(vec![
            "transfer = \"+12135550199\"\n",
            "transfer = \"sip:desk@pbx.example.com\"\n",
            "transfer = \"sip:${sip.x-a|desk}@pbx.example.com\"\n",
        ]).prop_map_into(),
        1 => reason,
        4 => Just("continue = true\n".to_owned()),
    ];
    let additions = (
        optional_line("variables", inline_table(any_scalar(), 4)),
        optional_line("metadata", any_metadata()),
        optional_line("agent_override", any_object()),
        optional_line(
            "say",
            select(vec!["\"Sorry.\"", "\"${sip.x-a|}\"", "\"${sip.x-big?}\""])
                .prop_map_into()
                .boxed(),
        ),
        optional_line(
            "sip_headers",
            Just("{ X-A = \"${sip.x-a|}\", X-B = \"${sip.x-b?}\" }".to_owned()).boxed(),
        ),
        optional_line("delay_ms", (0..=8000_u32).prop_map(|ms| ms.to_string()).boxed()),
    );
    (conditions, outcome, additions, prop::bool::weighted(0.9))
        .prop_map(|(when, outcome, additions, enabled)| {
            let when = [when.0, when.1, when.2, when.3, when.4, when.5].concat();
            let (variables, metadata, agent_override, say, sip_headers, delay) = additions;
            let additions = [variables, metadata, agent_override, say, sip_headers, delay].concat();
            // Not every platform can do all of it.
            format!("enabled = {enabled}\nunsupported = \"keep\"\n{when}{outcome}{additions}")
        })
        .boxed()
}

/// Generates a table without errors, as TOML.
fn any_table() -> BoxedStrategy<String> {
    let id = "agent_1[A-Za-z0-9_-]{0,8}".prop_map(|id| quoted(&id));
    let agents = (id.clone(), id.clone(), id, any::<i64>(), any_text()).prop_map(
        |(a, b, c, number, tag)| {
            let one = format!("one = {{ retell = {b}, version = {number} }}");
            let tagged = format!(
                "tagged = {{ synthflow = {c}, retell = {c}, version = {} }}",
                quoted(&format!("v{tag}"))
            );
            let arms =
                "{ agent = \"everywhere\", percent = 50 }, { agent = \"one\", percent = 50 }";
            let split = format!("[splits.half]\narms = [{arms}]\n");
            format!("[agents]\neverywhere = {a}\n{one}\n{tagged}\n{split}")
        },
    );
    let rules = prop::collection::vec((any_text(), any_rule()), 1..7);
    (agents, rules)
        .prop_map(|(agents, rules)| {
            let rules = rules.iter().enumerate().map(|(at, (name, rule))| {
                format!("[[rule]]\nname = {}\n{rule}", quoted(&format!("{at}{name}")))
            });
            agents + &rules.collect::<String>()
        })
        .boxed()
}

fn any_fields() -> BoxedStrategy<Fields<'static>> {
    let version = prop_oneof![
        any::<i64>().prop_map(Version::Number),
        any_text().prop_map(|tag| Version::Tag(tag.into()))
    ];
    let big = (30_000..60_000_usize).prop_map(|bytes| ("x-big", "h".repeat(bytes)));
    let header = prop_oneof![
        6 => (select(vec!["x-a", "x-b", "diversion"]), any_text()),
        1 => big,
    ];
    let strategy = (
        select(Channel::ALL.to_vec()),
        prop::option::of(any_party()),
        prop::option::of(any_party()),
        prop::option::of((any_text(), any_text(), any::<i64>(), version)),
        prop::collection::vec(header, 0..4),
    );
    strategy
        .prop_map(|(channel, from, to, rest, sip)| {
            let (from, to) = (Party::parse(from.as_deref()), Party::parse(to.as_deref()));
            let (id, agent, at, version) =
                rest.map_or((None, None, None, None), |(id, agent, at, version)| {
                    (Some(id.into()), Some(agent.into()), Some(at), Some(version))
                });
            Fields {
                channel,
                call_id: id,
                event_timestamp_ms: at,
                agent,
                agent_version: version,
                from: from.party,
                to: to.party,
                number_id: None,
                attributes: Vec::new(),
                sip: sip.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
                readings: [from.reading, to.reading].into_iter().collect(),
            }
        })
        .boxed()
}

fn read_table(text: &str) -> Result<RuleSet, TestCaseError> {
    let (table, report) = app::parse_rules("rules.toml", text.to_owned(), &CheckContext::default());
    table.ok_or_else(|| TestCaseError::fail(format!("{report}\nin\n{text}")))
}

#[test]
fn each_platform_accepts_the_reply_to_every_decision() {
    proptest!(cases(), |(text in any_table(), fields in any_fields())| {
        let table = read_table(&text)?;
        for dialect in dialect::ALL {
            let call = Call::synthetic("one", dialect.platform(), fields.clone());
            let decision = decide(&table, &call);
            let reply = dialect.render(&RenderContext::of_channel(call.channel()), &decision);
            prop_assert_eq!(accepts(dialect.platform(), call.channel(), reply.body()), Ok(()));
            // A text message that gets no answer in XML is neither kept nor rejected.
            let has_no_answer = dialect.content_type() != "application/json" && call.channel() == Channel::Sms;
            let can_reject = dialect.capabilities().reject != Reject::Impossible && !has_no_answer;
            let rejected = can_reject && matches!(decision.outcome(), Outcome::Reject(_));
            let decides = dialect.api().is_none();
            prop_assert_eq!(is_rejection(dialect.platform(), reply.body()), rejected && decides);
            if !rejected {
                check_additions(dialect.platform(), &decision, reply.body())?;
            }
        }
    });
}

/// Checks that a reply has all variables and metadata of the decision.
fn check_additions(
    platform: Platform,
    decision: &Decision<'_>,
    body: &[u8],
) -> Result<(), TestCaseError> {
    // `twiml` checks replies in XML.
    if body.starts_with(b"<?xml") {
        return Ok(());
    }
    let reply: Value = serde_json::from_slice(body).expect("the reply is JSON");
    let additions = decision.additions();
    let variables = additions.variables.iter();
    let variables: Map<_, _> =
        variables.map(|variable| (variable.name.to_owned(), json!(variable.value))).collect();
    prop_assert_eq!(additions.variables.len(), variables.len(), "duplicate variables");
    let metadata = additions.metadata.as_deref().cloned().unwrap_or_default();
    let sent = |value: &Value| value.as_object().cloned().unwrap_or_default();
    match platform.as_str() {
        "retell" => check_inner(&reply, "dynamic_variables", &variables, &metadata, body)?,
        "synthflow" => check_inner(&reply, "custom_variables", &variables, &metadata, body)?,
        // Without a fallback agent, nobody answers.
        "vapi" if !matches!(decision.outcome(), Outcome::Agent(_)) => {}
        "vapi" => {
            let overrides = &reply["assistantOverrides"];
            prop_assert_eq!(sent(&overrides["variableValues"]), variables);
            prop_assert_eq!(sent(&overrides["metadata"]), metadata);
        }
        "elevenlabs" => {
            let sent = sent(&reply["dynamic_variables"]);
            prop_assert!(metadata.keys().all(|name| sent.contains_key(name)));
            let is_sent = |(name, value): (&String, &Value)| sent.get(name) == Some(value);
            prop_assert!(variables.iter().all(is_sent));
        }
        "telnyx" => {
            let names = sent(&reply["conversation"]["metadata"]);
            prop_assert_eq!(sent(&reply["dynamic_variables"]), variables);
            prop_assert!(names.keys().eq(metadata.keys()));
        }
        // `effects.json` of the golden files has what they send.
        "telnyx-call-control" | "openai" | "openai-live" | "pipecat" => {}
        other => panic!("unknown platform {other}"),
    }
    Ok(())
}

/// Checks the additions of a reply whose only key is the event.
fn check_inner(
    reply: &Value,
    key: &str,
    variables: &Map<String, Value>,
    metadata: &Map<String, Value>,
    body: &[u8],
) -> Result<(), TestCaseError> {
    let inner =
        reply.as_object().and_then(|object| object.values().next()).expect("a reply has one key");
    prop_assert_eq!(inner.get(key).cloned().unwrap_or_else(|| json!({})), json!(variables));
    let metadata = json!(metadata).to_string();
    let is_left_out = key == "dynamic_variables" && metadata.len() > 50_000;
    if let Some(sent) = inner.get("metadata") {
        prop_assert!(!is_left_out && String::from_utf8_lossy(body).contains(&metadata));
        prop_assert!(sent.is_object());
    } else {
        prop_assert!(is_left_out || metadata == "{}", "the reply has no metadata");
    }
    Ok(())
}

#[test]
fn an_explanation_agrees_with_the_decision() {
    proptest!(cases(), |(text in any_table(), fields in any_fields(), platform in select(vec!["retell", "synthflow"]))| {
        let table = read_table(&text)?;
        let platform = dialect::by_name(platform).expect("a platform").platform();
        let call = Call::synthetic("two", platform, fields);
        let facts = Facts::at(Timestamp::from_millisecond(NOW_MS).expect("a time"));
        let explained = explain(&table, &call, &facts, Listed::All).expect("index and scan agree");
        let decision = decide(&table, &call);
        prop_assert_eq!(&explained.decision, &decision);
        let rules_with = |wanted: Verdict| {
            let steps = explained.steps.iter().filter(move |step| step.verdict == wanted);
            steps.map(|step| step.rule).collect::<Vec<_>>()
        };
        prop_assert_eq!(rules_with(Verdict::Decides), Vec::from_iter(decision.rule()));
        prop_assert_eq!(&rules_with(Verdict::Adds), &decision.additions().rules);
        let tried = explained.steps.iter();
        let tried = tried.filter(|step| !matches!(step.verdict, Verdict::NotTried(_)));
        let tried = tried.map(|step| step.rule).collect::<Vec<_>>();
        let all = table.rules.iter().map(|rule| &*rule.name).collect::<Vec<_>>();
        prop_assert!(all.starts_with(&tried));
        prop_assert!(decision.rule().map_or(tried.len() == all.len(), |rule| tried.last() == Some(&rule)));
        prop_assert!(explained.to_string().contains("DECIDES") || decision.rule().is_none());
        prop_assert_eq!(&explained.to_json()["outcome"], decision.outcome().as_str());
    });
}

#[test]
fn an_encoded_request_is_parsed_as_the_same_call() {
    for dialect in dialect::ALL {
        proptest!(cases(), |(fields in any_fields())| {
            let platform = dialect.platform();
            let verified = verified(dialect, dialect.encode_request(&fields));
            let Ok(Incoming::Inbound(call)) = dialect.parse(&verified, &NumberFormat::default()) else {
                return Err(TestCaseError::fail("the request is not a call"));
            };
            let original = Call::synthetic(call.source(), platform, fields.clone());
            prop_assert_eq!((call.from(), call.to()), (original.from(), original.to()));
            // An empty id is parsed as no id.
            let original_id = original.call_id().filter(|id| !id.is_empty());
            prop_assert_eq!(call.call_id(), original_id);
            // Forms name no agent, and neither do platforms without an agent of their own.
            if dialect.request_content_type() == "application/json" && dialect.api().is_none() {
                let original_agent = original.agent().filter(|id| !id.is_empty());
                prop_assert_eq!(call.agent(), original_agent);
            }
        });
    }
}

// ---- numbers

/// Returns whether a text has five consecutive digits.
fn has_five_digits(text: &str) -> bool {
    text.as_bytes().windows(5).any(|five| five.iter().all(u8::is_ascii_digit))
}

#[test]
fn every_text_is_parsed_as_a_party_and_printed_masked() {
    proptest!(cases(), |(text in any_party())| {
        let parsed = Party::parse(Some(&text));
        let printed = [
            parsed.party.to_string(),
            format!("{:?}", parsed.party),
            format!("{parsed:?}"),
            parsed.party.number().map(|number| format!("{number} {number:?}")).unwrap_or_default(),
        ];
        for printed in printed {
            prop_assert!(!has_five_digits(&printed), "{} is not masked", printed);
        }
        prop_assert!(parsed.reading != NumberReading::PlusAdded || parsed.party.number().is_some());
    });
}

/// Returns the number with these digits, without the old digit of mobile numbers of Mexico.
fn without_old_mobile_digit(digits: &str) -> String {
    match digits.strip_prefix("521").filter(|_| digits.len() == 13) {
        Some(rest) => format!("+52{rest}"),
        None => format!("+{digits}"),
    }
}

/// Returns a number with `+` as calls have it: without the old mobile digit of Mexico, and without a zero that is not
/// dialled after the country code.
fn as_read(digits: &str) -> String {
    let number = without_old_mobile_digit(digits);
    let without = PhoneNumber::parse(&number).ok().and_then(dialling_plan::without_trunk_zero);
    without.map_or(number, |without| without.unmasked())
}

#[test]
fn an_unmasked_number_is_parsed_as_the_same_number() {
    proptest!(cases(), |(text in "[+]?[1-9][0-9]{0,14}")| {
        let party = Party::parse(Some(&text)).party;
        prop_assert_eq!(&Party::parse(Some(&party.unmasked())).party, &party, "parsed twice");
        if let Some(number) = party.number() {
            prop_assert_eq!(PhoneNumber::parse(&number.unmasked()), Ok(number));
            prop_assert_eq!(number.unmasked(), as_read(text.trim_start_matches('+')));
            prop_assert_eq!(number.digits(), number.unmasked().len() - 1);
            let digits: String = (0..number.digits()).map(|at| char::from(b'0' + number.digit(at))).collect();
            prop_assert_eq!(format!("+{digits}"), number.unmasked());
            prop_assert!(number.starts_with(number));
            number.country();
        }
    });
}

#[test]
fn masking_hides_at_least_three_digits() {
    proptest!(cases(), |(text in "[+][1-9][0-9]{0,14}")| {
        let number = PhoneNumber::parse(&text).expect("a number");
        let shown = number.to_string().bytes().filter(u8::is_ascii_digit).count();
        prop_assert!(shown <= 8 && shown <= number.digits().saturating_sub(3), "{} of {}", shown, number.digits());
    });
}

#[test]
fn a_number_is_parsed_in_every_notation() {
    proptest!(cases(), |(digits in "[1-9][0-9]{7,14}", host in "[a-z0-9.-]{1,12}")| {
        let expected = PhoneNumber::parse(&as_read(&digits)).map(Party::Number);
        let plain = Party::parse(Some(&format!("+{digits}"))).party;
        // Except numbers that spell `anonymous` on a keypad.
        prop_assume!(plain != Party::Withheld);
        prop_assert_eq!(Ok(&plain), expected.as_ref());
        // Ten digits without a + can be a number of North America.
        if !is_north_american(&digits) {
            let bare = [digits.clone(), format!("SIPS:{digits}@{host}")];
            for notation in bare {
                prop_assert_eq!(&Party::parse(Some(&notation)).party, &plain, "{}", notation);
            }
        }
        for notation in [
            format!(" +{digits}\n"),
            format!("sip:+{digits}@{host};user=phone"),
            format!("tel:+{digits};phone-context={host}"),
            format!("\"Ann\" <sip:+{digits}@{host}>;tag=1"),
            format!("+{}-({}) {}", &digits[..1], &digits[1..4], &digits[4..]),
        ] {
            prop_assert_eq!(&Party::parse(Some(&notation)).party, &plain, "{}", notation);
        }
    });
}

// ---- invalid rules and settings

/// Checks that every location is inside the text, and that the report can be printed.
fn check_report(report: &Report, text: &str, all_located: bool) -> Result<(), TestCaseError> {
    for diagnostic in report.diagnostics() {
        prop_assert!(
            diagnostic.location.is_some() || !all_located,
            "no location: {}",
            diagnostic.message
        );
        let Some(location) = &diagnostic.location else { continue };
        let (start, end) = (location.span.start, location.span.end);
        prop_assert!(
            start <= end && end <= text.len(),
            "{}: {start}..{end} of {}",
            diagnostic.code,
            text.len()
        );
        prop_assert!(
            text.is_char_boundary(start) && text.is_char_boundary(end),
            "{}: {start}..{end}",
            diagnostic.code
        );
        let (line, column) = location.line_and_column();
        prop_assert!(line >= 1 && column >= 1 && line <= text.split('\n').count());
    }
    let length =
        report.to_text(true).len() + report.to_string().len() + report.to_json().to_string().len();
    prop_assert!(length > 0);
    Ok(())
}

fn check_rules(text: &str, context: &CheckContext) -> Result<(), TestCaseError> {
    let (table, report) = app::parse_rules("rules.toml", text.to_owned(), context);
    prop_assert_eq!(table.is_some(), report.error_count() == 0);
    check_report(&report, text, true)
}

#[test]
fn any_text_is_checked_as_rules_without_a_panic() {
    proptest!(cases(), |(text in any::<String>())| {
        check_rules(&text, &CheckContext::default())?;
    });
}

const TOML_WORDS: [&str; 53] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\"",
    "\"\"\"",
    "'",
    "'''",
    "\\",
    "#",
    "\n",
    "\r",
    "\u{0}",
    "é",
    "📞",
    "!",
    "${",
    "${from}",
    "${sip.x}",
    "${form}",
    "${sip.x|",
    "true",
    "false",
    "1e400",
    "nan",
    "-1",
    "0x_f",
    "99999999999999999999",
    "1979-05-27",
    "[agents]\n",
    "[[rule]]\n",
    "name = \"é\"\n",
    "agent = \"ageñt\"\n",
    "reject = 1\n",
    "continue = true\n",
    "from = []\n",
    "from = [\"+1213é\", 1]\n",
    "to = \"\"\"\n+1\"\"\"\n",
    "delay_ms = 9000\n",
    "variables = { a = \"\\u00e9${x}\" }\n",
    "metadata.a.b = 1\n",
    "agent_override = { volume = 3 }\n",
    "\u{feff}",
    "[scope]\n",
    "[splits.half]\n",
    "arms = [{ agent = \"one\", percent = 100 }]\n",
    "split = \"half\"\n",
    "hours = \"!${vip.é}\"\n",
];

/// Values for keys of another type.
const VALUES: [&str; 26] = [
    "1",
    "-1",
    "0.5",
    "99999999999999999999",
    "nan",
    "true",
    "false",
    "1979-05-27",
    "\"\"",
    "\"é 📞\"",
    "\"reject\"",
    "\"\\u00e9${x}\"",
    "\"${sip.x}\"",
    "\"${form|é}\"",
    "\"é${\"",
    "\"\"\"\n\n${from\"\"\"",
    "'''${x}'''",
    "\"+1213777123\"",
    "\"+1 213 é\"",
    "\"UK\"",
    "[]",
    "[\"!withheld\", \"1001\", 2]",
    "{}",
    "{ a = \"${x}\", a-b = [[]] }",
    "{ retell = \"x\", version = {} }",
    "{ agent = { volume = 3, é = \"${to\" } }",
];

/// Reorders lines and exchanges values. The result is mostly valid TOML.
fn rearranged(text: &str) -> BoxedStrategy<String> {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let edit = (any::<(Index, Index)>(), 0..5, select(VALUES.to_vec()));
    let edits = prop::collection::vec(edit, 1..4);
    let edited = edits.prop_map(move |edits| {
        let mut lines = lines.clone();
        for ((one, other), kind, value) in edits {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            let key = lines[one].split('=').next().unwrap_or_default().trim().to_owned();
            let value_of_other = lines[other].split_once('=').map_or(value, |(_, value)| value);
            match kind {
                0 if lines.len() > 1 => drop(lines.remove(one)),
                1 => lines.insert(one, lines[other].clone()),
                2 => lines[one] = format!("{key} = {value_of_other}"),
                3 => lines[one] = format!("{key}x = {value}"),
                _ => lines[one] = format!("{key} = {value}"),
            }
        }
        lines.join("\n")
    });
    edited.boxed()
}

fn mistyped(text: impl AsRef<str>) -> BoxedStrategy<String> {
    let bytes = text.as_ref().as_bytes().to_vec();
    let mutations = prop::collection::vec(any_mutation(&TOML_WORDS), 1..4);
    let garbled = mutations.prop_map(move |mutations| mutate(&mutations, bytes.clone()));
    let garbled = garbled.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    prop_oneof![1 => garbled, 3 => rearranged(text.as_ref())].boxed()
}

#[test]
fn a_mistyped_table_is_checked_without_a_panic_and_each_diagnostic_has_a_location() {
    let text = std::fs::read_to_string(root().join("config/rules.toml")).expect("a table");
    let (settings, _) = app::load_settings(app::SETTINGS, Purpose::Serve);
    let context = settings.expect("good settings").check_context();
    proptest!(cases(), |(text in mistyped(text))| {
        check_rules(&text, &context)?;
    });
}

#[test]
fn a_table_of_mistyped_parts_is_checked_without_a_panic() {
    proptest!(cases(), |(text in any_table().prop_flat_map(mistyped))| {
        check_rules(&text, &CheckContext::default())?;
    });
}

#[test]
fn any_text_is_a_template_or_has_errors_inside_the_text() {
    let words = select(TOML_WORDS.to_vec()).prop_map_into();
    let text = prop::collection::vec(prop_oneof![any_text(), words], 0..5)
        .prop_map(|parts| parts.concat());
    proptest!(cases(), |(text in text)| {
        for error in Template::parse(&text, &mut NoColumns).err().into_iter().flatten() {
            prop_assert!(text.get(error.span.clone()).is_some(), "{:?} is not in {:?}", error.span, text);
        }
    });
}

#[test]
fn a_template_without_values_renders_as_its_text() {
    proptest!(cases(), |(text in any_text())| {
        let template = Template::parse(&text.replace("${", "$${"), &mut NoColumns).expect("a valid template");
        prop_assert_eq!(template.literal(), Some(text.as_str()));
    });
}

fn any_environment() -> BoxedStrategy<HashMap<String, String>> {
    const PARTS: [&str; 18] = [
        "RECORDS", "URL", "NUMBERS", "HASH_KEY", "SERVER", "LISTEN", "ADMIN", "TOKEN", "RULES",
        "PATH", "LOG", "LEVEL", "SOURCES", "RETELL", "SECRETS", "PLATFORM", "", "x.y[3]",
    ];
    let name = prop::collection::vec(select(PARTS.to_vec()), 0..5);
    let name = name.prop_map(|parts| format!("SWITCHBOARD__{}", parts.join("__")));
    let value = prop_oneof![
        any_text(),
        select(vec![
            "127.0.0.1:1",
            "0.0.0.0:80",
            "info",
            "env:HOME",
            "file:/dev/null",
            "retell",
            "1",
            "-1",
            "a,b",
            "hashed",
            "postgres://u:p@h/db"
        ])
        .prop_map_into(),
    ];
    let garbage = prop::collection::hash_map(name, value, 1..4);
    prop_oneof![2 => Just(HashMap::new()), 1 => garbage].boxed()
}

fn any_settings_text() -> BoxedStrategy<String> {
    let own = std::fs::read_to_string(root().join("config/switchboard.toml")).expect("settings");
    prop_oneof![
        1 => any::<String>(),
        2 => mistyped(&own),
        2 => mistyped(app::SETTINGS),
        2 => mistyped(settings::DEFAULTS.replace("\n# [", "\n[").replace("\n# ", "\n")),
        1 => Just(own),
    ]
    .boxed()
}

#[test]
fn any_settings_are_checked_without_a_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("switchboard.toml");
    let purposes = select(vec![Purpose::Serve, Purpose::Dev, Purpose::Inspect]);
    proptest!(cases(), |(text in any_settings_text(), garbage in any_environment(), purpose in purposes)| {
        std::fs::write(&file, &text).expect("a file");
        let mut environment = app::environment();
        environment.insert("SYNTHFLOW_URL_TOKEN".to_owned(), app::URL_TOKEN.to_owned());
        environment.extend(garbage);
        let inputs = Inputs { file: Some(file.clone()), environment, purpose };
        let LoadedSettings { settings, report, .. } = settings::load(&inputs).expect("a readable file");
        prop_assert_eq!(settings.is_some(), report.error_count() == 0, "{}", report);
        check_report(&report, &text, false)?;
    });
}

// ---- secrets and numbers that must not be printed

/// Tells at compile time whether a type can be printed. The inherent constants exist only for types that
/// can, and take precedence over those of the trait.
struct Prints<T: ?Sized>(PhantomData<T>);

trait NotPrintable {
    const DEBUG: bool = false;
    const DISPLAY: bool = false;
}

impl<T: ?Sized> NotPrintable for Prints<T> {}

impl<T: ?Sized + Debug> Prints<T> {
    const DEBUG: bool = true;
}

impl<T: ?Sized + Display> Prints<T> {
    const DISPLAY: bool = true;
}

macro_rules! assert_not_printable {
    ($($holds_a_secret:ty),+ $(,)?) => {
        $(const _: () = assert!(
            !<Prints<$holds_a_secret>>::DEBUG && !<Prints<$holds_a_secret>>::DISPLAY,
            concat!(stringify!($holds_a_secret), " holds a secret or a body, and can be printed"),
        );)+
    };
}

assert_not_printable!(
    Secret,
    Key,
    Policy,
    Source,
    Settings,
    AdminSettings,
    RecordsSettings,
    RecordsLocation,
    NumberStorage,
    Inputs,
    SourceEndpoint,
    Switchboard,
    Unverified,
    Verified,
    Option<Secret>,
    Vec<Source>,
);
// These types can be printed, which shows that the check works.
const _: () = assert!(<Prints<PhoneNumber>>::DEBUG && <Prints<Party>>::DISPLAY);

const CANARY_SECRET: &str = "canary_5ecret_0123456789abcdef";
const CANARY_NUMBER: &str = "+12065550142";

/// Asserts that a text contains neither the secret nor five consecutive digits of the number.
#[track_caller]
fn assert_no_leak(what: &str, printed: &str) {
    assert!(!printed.contains(CANARY_SECRET), "{what} contains the secret: {printed}");
    let digits = &CANARY_NUMBER[1..];
    let leak = (0..=digits.len() - 5).find(|at| printed.contains(&digits[*at..at + 5]));
    assert!(leak.is_none(), "{what} contains the number: {printed}");
}

#[test]
fn a_call_is_printed_without_its_numbers() {
    let number = PhoneNumber::parse(CANARY_NUMBER).unwrap();
    assert_no_leak("a number", &format!("{number} {number:?}"));
    for text in [
        CANARY_NUMBER,
        &CANARY_NUMBER[1..],
        &format!("sip:{CANARY_NUMBER}@example.com"),
        "tel:+1-206-555-0142",
    ] {
        let parsed = Party::parse(Some(text));
        assert_no_leak("a party", &format!("{} {parsed:?}", parsed.party));
        let parties = [parsed.party.clone(), parsed.party];
        let [from, to] = parties;
        let fields = Fields { from, to, ..Fields::unknown(Channel::Call) };
        assert_no_leak("fields", &format!("{fields:?}"));
        let retell = dialect::by_name("retell").unwrap().platform();
        let call = Call::synthetic("one", retell, fields);
        assert_no_leak("a call", &format!("{call:?}"));
        assert_no_leak("a parsed request", &format!("{:?}", Incoming::Inbound(call)));
    }
    let dialect = dialect::by_name("retell").unwrap();
    let object = json!({ "number": CANARY_NUMBER });
    let call = json!({
        "from_number": CANARY_NUMBER, "to_number": CANARY_NUMBER, "metadata": object,
        "retell_llm_dynamic_variables": object,
        "call_analysis": { "call_summary": CANARY_NUMBER, "custom_analysis_data": object },
    });
    let body = json!({ "event": "call_analyzed", "call": call }).to_string();
    let body = verified(dialect, body.into_bytes());
    assert_no_leak("an event", &format!("{:?}", dialect.parse(&body, &NumberFormat::default())));
    let literal = Party::parse(Some("sip:bob@12065550142.example.com"));
    assert_no_leak("a literal", &format!("{} {literal:?}", literal.party));
}

#[test]
fn the_reason_for_a_refusal_contains_no_secret_and_no_number() {
    for reason in AuthError::ALL {
        let refusal = RequestError::from(reason);
        assert_no_leak("a reason", &format!("{reason} {reason:?} {refusal} {refusal:?}"));
        let refused = HttpProblem::from(refusal);
        assert_no_leak("a refused request", &format!("{refused:?}"));
    }
    let retell = dialect::by_name("retell").unwrap();
    for body in [
        format!(r#"{{"call_inbound":{{"from_number":"{CANARY_NUMBER}","x":"{CANARY_SECRET}"}}}}"#),
        format!(r#"{{"event" "{CANARY_NUMBER}{CANARY_SECRET}"}}"#),
        format!(r#"["{CANARY_NUMBER}","{CANARY_SECRET}"]"#),
        format!(r#"{{"{CANARY_NUMBER}":{CANARY_SECRET}}}"#),
        format!("{CANARY_NUMBER}{CANARY_SECRET}"),
    ] {
        let verified = verified(retell, body.into_bytes());
        let error = retell.parse(&verified, &NumberFormat::default()).expect_err("an invalid body");
        assert_no_leak("an invalid body", &format!("{error} {error:?}"));
        assert_no_leak(
            "a refused body",
            &format!("{:?}", HttpProblem::from(RequestError::from(error))),
        );
    }
}

#[tokio::test]
async fn no_response_and_no_metric_contains_a_secret_or_a_number() {
    let environment = [
        ("RETELL_API_KEY", CANARY_SECRET),
        ("SYNTHFLOW_SECRET", CANARY_SECRET),
        ("URL_TOKEN", CANARY_SECRET),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (settings, report) =
        app::load_settings_with(app::SETTINGS, Purpose::Serve, environment.into());
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let (table, _) =
        app::parse_rules("rules.toml", app::RULES.to_owned(), &settings.check_context());
    let clock =
        switchboard::domain::clock::Clock::Fixed(Timestamp::from_millisecond(NOW_MS).unwrap());
    let app = Arc::new(Switchboard::new(settings.sources, table.unwrap(), clock));
    let public = public::router(app.clone(), &settings.server);
    let call = app::retell_call(CANARY_NUMBER, CANARY_NUMBER);
    let half = &call[..call.len() - 1];
    let signed = |body: &str, key: &str| {
        app::retell_request_at("/inbound/retell", body.as_bytes(), NOW_MS, key)
    };
    let with_token =
        |path: &str, body: &str| post(&format!("/{path}/{CANARY_SECRET}"), body.as_bytes());
    let with_header = |name: &'static str| {
        let mut request = post("/inbound/retell", call.as_bytes());
        request.headers_mut().insert(name, CANARY_SECRET.parse().unwrap());
        request
    };
    let too_large = format!("{call}{}", " ".repeat(70_000));
    for (request, status) in [
        (signed(&call, CANARY_SECRET), 200),
        (signed(&call, CANARY_SECRET), 200),
        (signed(half, CANARY_SECRET), 400),
        (signed(&call, "another key"), 401),
        (with_header("x-retell-signature"), 401),
        (with_header("authorization"), 401),
        (post("/inbound/synthflow/wrong", call.as_bytes()), 401),
        (with_token("inbound/synthflow", &call), 200),
        (with_token("inbound/synthflow", half), 400),
        (with_token("events/synthflow", ""), 200),
        (
            with_token(
                "events/synthflow",
                &format!(r#"{{"event":"{CANARY_NUMBER}{CANARY_SECRET}"}}"#),
            ),
            200,
        ),
        (with_token("inbound/retell", &call), 404),
        (with_token("nowhere", &call), 404),
        (signed(&too_large, CANARY_SECRET), 413),
        (
            Request::delete(format!("/inbound/synthflow/{CANARY_SECRET}"))
                .body(Body::empty())
                .unwrap(),
            405,
        ),
    ] {
        let shown = format!(
            "{} {}",
            request.method(),
            request.uri().path().replace(CANARY_SECRET, "TOKEN")
        );
        let answer = app::answer(&public, request).await;
        assert_eq!(answer.status, status, "{shown}");
        assert_no_leak("a response", &String::from_utf8_lossy(&answer.body));
        assert_no_leak("the headers of a response", &format!("{:?}", answer.headers));
    }
    assert_no_leak("metrics", &app.counters().to_text());
}

/// Returns settings with an inline secret, at a valid key or an invalid one.
fn settings_with_a_secret() -> Vec<String> {
    let with = |lines: &str| format!("[sources.retell]\nplatform = \"retell\"\n{lines}\n");
    let valid = "secrets = [\"env:RETELL_API_KEY\"]";
    let quoted = format!("\"{CANARY_SECRET}\"");
    vec![
        with(&format!("secrets = {quoted}")),
        with(&format!("secrets = [{quoted}]")),
        with(&format!("secrets = [\n  {quoted},\n]")),
        with(&format!("secrets = [{quoted}")),
        with(&format!("secrets = \"{CANARY_SECRET}")),
        with(&format!("secrets = \"\"\"{CANARY_SECRET}")),
        with(&format!("secrets = {CANARY_SECRET}")),
        with(&format!("secrets = {{ old = {quoted} }}")),
        with(&format!("secrets = [{{ key = {quoted} }}]")),
        with(&format!("secrets = [[{quoted}]]")),
        with(&format!("secret = {quoted}")),
        with(&format!("{valid}\nurl_token = {quoted}")),
        with(&format!("{valid}\nurl_token = [[{quoted}]]")),
        with(&format!("{valid}\ntoken = {quoted}")),
        with(&format!("{valid}\nauth = {{ key = {quoted} }}")),
        format!("[sources]\nretell = {quoted}"),
        format!("[sources]\nretell = {{ platform = \"retel\", secrets = [{quoted}] }}"),
        format!("[sources]\nretell = {{ platform = \"retell\", secret = {quoted} }}"),
        format!("[sources]\nretell = {{ platform = \"retell\", secrets = [{quoted}], x = 1 }}"),
        format!("sources = {quoted}"),
        format!("retell_api_key = {quoted}\n{}", with(valid)),
        format!("[admin]\ntoken = {quoted}\n{}", with(valid)),
        format!("admin = {{ tokens = {quoted} }}\n{}", with(valid)),
        format!("[records]\nurl = {quoted}\n{}", with(valid)),
        format!("[records]\nurl = [{quoted}]\n{}", with(valid)),
        format!("[records]\nurl = \"postgres://u:{CANARY_SECRET}@db/records\"\n{}", with(valid)),
        format!("[records]\nurl = \"postgres://{CANARY_SECRET}\n{}", with(valid)),
        format!("[records]\nurl = \"mysql://u:{CANARY_SECRET}@db/records\"\n{}", with(valid)),
        format!("[records]\nurl = \"env:{CANARY_SECRET}@db\"\n{}", with(valid)),
        format!("[records]\nuri = \"postgres://u:{CANARY_SECRET}@db/records\"\n{}", with(valid)),
        format!("[records]\nhash_key = {quoted}\n{}", with(valid)),
        format!("records = {quoted}\n{}", with(valid)),
        format!("records = {{ hash_key = {quoted}, numbers = \"hashed\" }}\n{}", with(valid)),
    ]
}

#[test]
fn settings_with_an_inline_secret_are_rejected_without_repeating_it() {
    for text in settings_with_a_secret() {
        let (settings, report) = app::load_settings(&text, Purpose::Serve);
        assert!(settings.is_none(), "{text}");
        assert!(!report.diagnostics().is_empty(), "{text}");
        let shown = format!("{report}{}{}", report.to_text(true), report.to_json());
        assert_no_leak(&format!("the report of\n{text}\n"), &shown);
    }
}

#[test]
fn an_inline_secret_in_the_environment_is_rejected_without_repeating_it() {
    for name in [
        "SOURCES__RETELL__SECRETS",
        "SOURCES__RETELL__SECRET",
        "SOURCES__RETELL",
        "ADMIN__TOKEN",
        "RECORDS__URL",
        "RECORDS__HASH_KEY",
        "RECORDS",
        "X",
    ] {
        let mut environment = app::environment();
        environment.insert(format!("SWITCHBOARD__{name}"), CANARY_SECRET.to_owned());
        let (settings, report) =
            app::load_settings_with(app::SETTINGS, Purpose::Serve, environment);
        assert!(settings.is_none(), "{name}");
        assert_no_leak(name, &format!("{report}{}{}", report.to_text(true), report.to_json()));
    }
}

#[test]
fn the_debug_output_of_a_report_does_not_contain_the_file() {
    for text in settings_with_a_secret() {
        let (_, report) = app::load_settings(&text, Purpose::Serve);
        assert_no_leak("a report", &format!("{report:?}"));
    }
}

#[test]
fn a_call_is_printed_without_the_numbers_in_its_sip_headers() {
    let forwarded = format!("<sip:{CANARY_NUMBER}@example.com>;reason=unconditional");
    let sip = vec![("diversion".into(), forwarded.into())];
    let fields = Fields { sip, ..Fields::unknown(Channel::Call) };
    assert_no_leak("fields", &format!("{fields:?}"));
    let retell = dialect::by_name("retell").unwrap().platform();
    assert_no_leak("a call", &format!("{:?}", Call::synthetic("one", retell, fields)));
}

#[test]
fn a_key_that_looks_like_an_index_is_an_unknown_key() {
    let index = "server[9223372036854775807]";
    let (settings, report) =
        app::load_settings(&format!("\"{index}\" = 1\n{}", app::SETTINGS), Purpose::Serve);
    assert!(settings.is_none());
    assert_eq!(report.diagnostics().len(), 1, "{report}");
    assert_eq!(report.diagnostics()[0].code, "unknown-key", "{report}");
}
