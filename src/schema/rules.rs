//! The rule table, as `rules::file` reads it. The comments are what an editor shows.

#![expect(dead_code, reason = "described, never made")]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Map, Value, json};

use super::kinds;
use crate::dialect;

/// Who takes a call: rules, tried in the order in which they are written. The first that fits
/// decides. `docs/rules.md` explains every key; `switchboard check` finds more mistakes than an
/// editor can.
#[derive(JsonSchema)]
#[schemars(
    title = "Switchboard: the rule table",
    deny_unknown_fields,
    extend("$id" = "urn:switchboard:schema:rules")
)]
pub(super) struct Table {
    /// The clock for hours, dates and tests: `"America/New_York"`.
    #[schemars(length(min = 1))]
    zone: Option<String>,
    /// Who can take a call, by the name that rules use. Without this table rules name ids as the
    /// platform knows them.
    ///
    /// `front-desk = { retell = "agent_fr0nt", synthflow = "1716a" }`
    agents: Option<BTreeMap<String, Agent>>,
    /// Numbers under one name, for `from = "@vip"`.
    ///
    /// `[lists.vip]`
    lists: Option<BTreeMap<String, List>>,
    /// Days under one name, for `dates = "us-holidays"` and for `closed` in hours.
    ///
    /// `[dates.us-holidays]`
    dates: Option<BTreeMap<String, Dates>>,
    /// Hours of the week under one name, for `hours = "office"`.
    ///
    /// `[hours.office]`
    hours: Option<BTreeMap<String, Hours>>,
    /// The rules, one `[[rule]]` each.
    rule: Option<Vec<Rule>>,
    /// Calls and what has to become of them, one `[[test]]` each. A table whose tests fail is not
    /// taken.
    test: Option<Vec<Test>>,
}

/// Numbers, in the table itself or in a file.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("anyOf" = [
        { "required": ["file"], "not": { "required": ["numbers"] } },
        {
            "required": ["numbers"],
            "not": { "anyOf": [{ "required": ["file"] }, { "required": ["column"] }] },
        },
    ])
)]
struct List {
    /// Exact numbers, formatted or not, and prefixes:
    /// `["+12137771234", "+1 (415) 555-0100", "+4930901820*"]`.
    numbers: Option<Vec<String>>,
    /// A CSV file with a head line, beside the table: `"stores.csv"`. Its other columns are
    /// `${LIST.column}` in a rule that matches on `@LIST`.
    #[schemars(length(min = 1))]
    file: Option<String>,
    /// The column that holds the numbers: `"phone"`. Without it the first one does.
    #[schemars(length(min = 1))]
    column: Option<String>,
}

/// Days.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Dates {
    /// Days of every year (`"12-25"`, `"4th thu of nov"`, `"easter-2"`), days of one year
    /// (`"2026-12-24"`), and ranges (`"2026-12-28..2026-12-30"`).
    days: Vec<String>,
}

/// Hours of the week, by the wall clock; a day that is not named is closed. The keys are days
/// (`mon`, `monday`) and ranges of days (`mon-fri`).
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = by_weekday)]
struct Hours {
    /// The clock of these hours, where it is not the table's: `"Europe/Berlin"`.
    #[schemars(length(min = 1))]
    zone: Option<String>,
    /// Days on which nobody is there, whatever the week says: the name of dates, or a list.
    ///
    /// `closed = "us-holidays"`
    closed: Option<Texts>,
    /// Single days with hours of their own, which beat the week and `closed`.
    ///
    /// `open = { "2026-12-24" = "09:00-12:00" }`
    open: Option<BTreeMap<String, Texts>>,
}

/// A rule: who it is for, and what becomes of the call. All conditions have to hold; one that is
/// left out holds for everybody. Exactly one of `agent`, `split`, `reject`, `keep` and `continue`.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [
        { "required": ["agent"] },
        { "required": ["split"] },
        { "required": ["reject"] },
        { "required": ["keep"] },
        { "required": ["continue"] },
    ])
)]
struct Rule {
    /// What logs and `explain` say. No two rules have the same.
    #[schemars(length(min = 1))]
    name: String,
    /// What was dialled, as patterns: see `from`.
    to: Option<Texts>,
    /// Who rings: one pattern, or a list of which any has to fit.
    ///
    /// `"+12137771234"` a number, `"+1213*"` numbers that begin so, `"+1213555XXXX"` any digit for
    /// each X, `"DE"` a country, `"@vip"` a list, `"withheld"` no number, `"=sip:bob@example.com"`
    /// this text. `!` in front takes away: `["US", "CA", "!+1907*"]`.
    from: Option<Texts>,
    /// Voice or text: `"call"`, `"sms"`.
    channel: Option<Channels>,
    /// Which platform asks: `"retell"`, or `"!retell"` for any other.
    platform: Option<Platforms>,
    /// Which source of the settings asks: the NAME of `[sources.NAME]`, or a list; `!` takes away.
    source: Option<Texts>,
    /// When: the name of `[hours.NAME]`, or a list; `!` takes away.
    ///
    /// `hours = "!office"`: after hours
    hours: Option<Texts>,
    /// On which days: the name of `[dates.NAME]`, or a list; `!` takes away.
    dates: Option<Texts>,
    /// What has to be known of the call: a value, a list of which one has to be it, or a comparison.
    /// What is unknown never fits.
    ///
    /// `where = { "stores.city" = ["Berlin", "Bonn"], "customers.visits" = ">= 6" }`
    r#where: Option<BTreeMap<String, Condition>>,
    /// `false`: the rule is checked, and never tried.
    #[schemars(extend("default" = true))]
    enabled: Option<bool>,
    /// Outcome: this agent takes the call. A name from `[agents]`.
    #[schemars(length(min = 1))]
    agent: Option<String>,
    /// Outcome: one of several agents, in shares that make 100. The same caller gets the same.
    ///
    /// `split = [{ agent = "front-desk", percent = 90 }, { agent = "new-desk", percent = 10 }]`
    #[schemars(length(min = 1))]
    split: Option<Vec<Arm>>,
    /// Keeps every caller's share when the rule is renamed: the old name.
    #[schemars(length(min = 1))]
    split_key: Option<String>,
    /// Outcome: turned away. `true`, or the reason, which stands in the log; the caller hears none.
    ///
    /// `reject = "blocklist"`
    reject: Option<Reject>,
    /// Outcome: the platform's own agent takes the call. `keep = true`
    keep: Option<Yes>,
    /// No outcome: adds what it has to add, and the next rules are tried. `continue = true`
    r#continue: Option<Yes>,
    /// For the agent's prompt; texts, with templates.
    ///
    /// `variables = { callback = "${from}", tier = "${sip.x-tier|standard}" }`
    variables: Option<BTreeMap<String, Variable>>,
    /// Comes back on the call's later events. Anything that JSON can say; 50,000 bytes at most.
    ///
    /// `metadata = { desk = 1, account = "${sip.x-account?}" }`
    metadata: Option<Map<String, Value>>,
    /// Settings of the agent for this call; Retell only, sent as written.
    ///
    /// `agent_override = { agent = { voice_speed = 1.2 } }`
    agent_override: Option<Map<String, Value>>,
    /// How long to let it ring, in milliseconds: the reply is held until then.
    #[schemars(range(min = 0, max = 8000))]
    delay_ms: Option<i64>,
}

/// What is wanted of `"stores.city"`; or, of `stores.city` without the quotes, what stands below.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Condition {
    Wanted(Facts),
    Below(BTreeMap<String, Facts>),
}

/// A share of a split.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Arm {
    /// Who takes the calls of this share. A name from `[agents]`.
    #[schemars(length(min = 1))]
    agent: String,
    /// Of a hundred; up to two decimals. All shares make 100.
    #[schemars(range(min = 0, max = 100))]
    percent: f64,
}

/// A call, and what has to become of it. Checked whenever the table is read.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Test {
    /// What the test shows: `"VIP at midnight on Christmas"`.
    #[schemars(length(min = 1))]
    name: String,
    /// Who rings: a number, `"withheld"`, or any text.
    from: Option<String>,
    /// What was dialled.
    to: Option<String>,
    /// Voice or text.
    channel: Option<Channel>,
    /// Which platform asks.
    platform: Option<Platform>,
    /// Which source of the settings asks.
    source: Option<String>,
    /// When, by the table's clock: `"2026-12-25 00:10"`.
    at: Option<String>,
    /// SIP headers of the call: `{ x-tier = "gold" }`.
    sip: Option<BTreeMap<String, String>>,
    /// What has to become of it. Only what is named is looked at.
    ///
    /// `expect = { rule = "vip", agent = "concierge" }`
    expect: Expect,
}

/// What has to become of a test's call.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Expect {
    /// The rule that decides, by its name.
    rule: Option<String>,
    /// The agent that takes the call, by its name in `[agents]`.
    agent: Option<String>,
    /// What kind of end it comes to.
    outcome: Option<Outcome>,
    /// The call is turned away: `true`, or the reason.
    reject: Option<Reject>,
    /// The platform's own agent takes the call. `keep = true`
    keep: Option<Yes>,
    /// Variables that go along, with the values that they have then.
    variables: Option<BTreeMap<String, String>>,
    /// Metadata that goes along.
    metadata: Option<Map<String, Value>>,
    /// Settings of the agent that go along.
    agent_override: Option<Map<String, Value>>,
    /// How long it rings, in milliseconds.
    delay_ms: Option<i64>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Channel {
    Call,
    Sms,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Outcome {
    Agent,
    Reject,
    Keep,
}

kinds! {
    Yes = json_schema!({ "type": "boolean", "enum": [true] });
    Reject = json_schema!({ "type": ["boolean", "string"], "not": { "const": false } });
    Texts = texts();
    Channels = words(["call", "sms"].into_iter());
    Platforms = words(platforms());
    Platform = json_schema!({ "type": "string", "enum": platforms().collect::<Vec<_>>() });
    // Numbers and booleans are sent as text, with a warning.
    Variable = json_schema!({ "type": ["string", "number", "boolean"] });
    Facts = json_schema!({
        "type": ["string", "number", "boolean", "array"],
        "items": { "type": ["string", "number", "boolean"] },
        "minItems": 1,
    });
    Agent = {
        let id = |name| {
            let says = format!("The id at {name}.");
            (name, json!({ "description": says, "type": "string", "minLength": 1 }))
        };
        let version = json!({
            "description": "Which version of the agent: a whole number, or a name like \
                            `\"latest\"`. Retell only.",
            "type": ["integer", "string"],
            "minLength": 1,
        });
        let properties = platforms().map(id).chain([("version", version)]);
        json_schema!({
            "description": "An id, the same on every platform; or a table with an id for each.",
            "type": ["string", "object"],
            "minLength": 1,
            "minProperties": 1,
            "properties": properties.map(|(name, value)| (name.to_owned(), value))
                .collect::<Map<_, _>>(),
            "additionalProperties": false,
        })
    };
}

fn platforms() -> impl Iterator<Item = &'static str> + Clone {
    dialect::ALL.into_iter().map(|dialect| dialect.platform().as_str())
}

/// A text, or a list that is not empty.
fn texts() -> Schema {
    json_schema!({ "type": ["string", "array"], "items": { "type": "string" }, "minItems": 1 })
}

/// A word, the same with `!`, or a list of them. Not `kinds` in one: editors complete this.
fn words(known: impl Iterator<Item = &'static str> + Clone) -> Schema {
    let without = known.clone().map(|word| format!("!{word}"));
    let words: Vec<_> = known.map(str::to_owned).chain(without).collect();
    let word = json!({ "type": "string", "enum": words });
    json_schema!({ "anyOf": [word, { "type": "array", "items": word, "minItems": 1 }] })
}

const WEEK: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Days and ranges of days as keys. The most used also by name, for editors complete no patterns.
fn by_weekday(schema: &mut Schema) {
    let says = "From when until when: `\"09:00-12:30, 13:30-18:00\"`, or a list.";
    let mut times = texts();
    times.insert("description".to_owned(), says.into());
    let day =
        WEEK.map(|day| format!("{}({})?", any_case(&day[..3]), any_case(&day[3..]))).join("|");
    let pattern = format!(r"^\s*({day})(\s*-\s*({day}))?\s*$");
    schema.insert("patternProperties".to_owned(), json!({ pattern: times }));
    let properties = schema.ensure_object().get_mut("properties").and_then(Value::as_object_mut);
    let properties = properties.expect("the derived keys");
    for name in ["mon-fri"].into_iter().chain(WEEK.map(|day| &day[..3])) {
        properties.insert(name.to_owned(), json!({ "description": says }));
    }
}

/// Patterns of JSON Schema have no flag for it.
fn any_case(word: &str) -> String {
    word.chars().map(|letter| format!("[{letter}{}]", letter.to_ascii_uppercase())).collect()
}
