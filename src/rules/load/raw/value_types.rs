//! Types of values in a rule table: the JSON Schema and the reader of each.

use serde_json::{Value, json};

use super::parse::{Entry, TableKeys, TomlTable};
use super::{Entries, RawAgent, RawArm, RawOutcome, RawTimes, RawWhere, Spanned};
use crate::dialect;
use crate::schema::value_types;

/// Type of a key's value.
pub(crate) trait ValueType {
    /// Result of the reader; the default stands for a key that is absent or unreadable.
    type Raw: Default;

    /// Returns the JSON Schema. Alternatives are one schema with several types where that is
    /// possible: a validator then reports "12 is not of types string, array", in place of "matches
    /// none of these".
    fn schema() -> Value;

    /// Reads the value, and reports a wrong type.
    fn read(entry: &mut Entry<'_, '_>) -> Self::Raw;
}

type RawText = Option<Spanned<String>>;
type RawTexts = Vec<Spanned<String>>;

value_types! {
    /// A string.
    Text -> RawText { json!({ "type": "string" }), |entry| entry.text() }

    /// A string; `check` reports an empty one, which depends on the key.
    NonEmpty -> RawText { json!({ "type": "string", "minLength": 1 }), |entry| entry.text() }

    /// A string or a list of strings.
    Strings -> RawTexts { strings(), |entry| entry.texts() }

    /// A string or a list of strings, which the reader allows to be empty.
    OptionalStrings -> RawTexts { strings(), |entry| entry.texts_or_empty() }

    /// A list of days.
    DateRanges -> RawTexts { string_list(), |entry| entry.texts_or_empty() }

    /// A list of phone numbers; an empty list is a list.
    NumberList -> Option<RawTexts> { string_list(), |entry| Some(entry.texts_or_empty()) }

    /// `true` or `false`.
    Boolean -> Option<bool> { json!({ "type": "boolean" }), |entry| entry.boolean() }

    /// `true` or `false`, with its place.
    Flag -> Option<Spanned<bool>> {
        json!({ "type": "boolean" }),
        |entry| entry.boolean().map(|value| entry.spanned(value))
    }

    /// `true`.
    LiteralTrue -> Option<Spanned<()>> {
        json!({ "type": "boolean", "enum": [true] }),
        |entry| matches!(entry.outcome(), RawOutcome::Keep).then(|| entry.spanned(()))
    }

    /// `true`, or the reason of a rejection.
    RejectReason -> Option<Spanned<Option<String>>> {
        json!({ "type": ["boolean", "string"], "not": { "const": false } }),
        |entry| {
            let RawOutcome::Reject(reason) = entry.outcome() else { return None };
            Some(entry.spanned(Some(reason).filter(|reason| !reason.is_empty())))
        }
    }

    /// A share in percent.
    Percent -> Option<Spanned<f64>> {
        json!({ "type": "number", "minimum": 0, "maximum": 100 }),
        |entry| entry.percent()
    }

    /// A share such as `"50%"`.
    Share -> RawText { json!({ "type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$" }), |entry| entry.text() }

    /// What a row with an error means.
    BadRows -> RawText { one_of(&["strict", "skip"]), |entry| entry.text() }

    /// A channel.
    Channel -> RawText { one_of(&CHANNELS), |entry| entry.text() }

    /// Channels, with or without `!`.
    Channels -> RawTexts { any_of(&CHANNELS), |entry| entry.texts() }

    /// A platform.
    Platform -> RawText { one_of(&platforms()), |entry| entry.text() }

    /// Platforms, with or without `!`.
    Platforms -> RawTexts { any_of(&platforms()), |entry| entry.texts() }

    /// What applies where a platform cannot do what a rule says.
    Unsupported -> RawText { one_of(&["keep"]), |entry| entry.text() }

    /// Kind of outcome.
    OutcomeName -> RawText { one_of(&["agent", "transfer", "reject", "keep"]), |entry| entry.text() }

    /// A point in time: a string or a TOML date-time.
    Timestamp -> RawText { json!({ "type": "string" }), |entry| entry.timestamp() }

    /// Dynamic variables. Numbers and booleans are sent as strings, with a warning.
    Variables -> Entries {
        json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } }),
        |entry| entry.object().unwrap_or_default()
    }

    /// A table of strings.
    StringTable -> Entries {
        json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        |entry| entry.object().unwrap_or_default()
    }

    /// A table of any values.
    Metadata -> Option<Entries> { json!({ "type": "object", "additionalProperties": true }), |entry| entry.object() }

    /// Conditions by the name of a fact. `stores.city = …` without quotes is a table in a table, and
    /// means the same.
    WhereTable -> Vec<RawWhere> {
        json!({ "type": "object", "additionalProperties": {
            "anyOf": [fact(), { "type": "object", "additionalProperties": fact() }],
        } }),
        |entry| entry.where_clauses()
    }

    /// Days with their opening times.
    OpeningTimes -> RawTimes {
        json!({ "type": "object", "additionalProperties": strings() }),
        |entry| entry.opening_times()
    }

    /// Agents by name.
    Agents -> Option<Vec<RawAgent>> {
        json!({ "type": "object", "additionalProperties": agent() }),
        |entry| entry.agents()
    }

    /// Arms of a split.
    Arms -> Vec<RawArm> {
        json!({ "type": "array", "items": RawArm::spec().json_schema(), "minItems": 1 }),
        |entry| entry.arms()
    }

    /// A table with declared keys.
    SubTable[T: TomlTable] -> Option<T> {
        T::spec().json_schema(),
        |entry| {
            let table = entry.table()?;
            Some(entry.toml.read_table(Spanned::default(), &entry.value.span(), table))
        }
    }

    /// A list of tables: `[[rule]]`, any number of times.
    Tables[T: TomlTable] -> Vec<T> {
        json!({ "type": "array", "items": T::spec().json_schema() }),
        |entry| entry.tables()
    }

    /// Tables by a name that the operator chooses: `[lists.vip]`.
    NamedTables[T: TomlTable] -> Vec<T> {
        json!({ "type": "object", "additionalProperties": T::spec().json_schema() }),
        |entry| entry.named_tables()
    }
}

/// An integer in a range, which `check` enforces.
pub(crate) struct Integer<const MIN: i64, const MAX: i64>;

impl<const MIN: i64, const MAX: i64> ValueType for Integer<MIN, MAX> {
    type Raw = Option<Spanned<i64>>;

    fn schema() -> Value {
        let mut schema = json!({ "type": "integer" });
        if MAX < i64::MAX {
            schema["minimum"] = MIN.into();
            schema["maximum"] = MAX.into();
        }
        schema
    }

    fn read(entry: &mut Entry<'_, '_>) -> Self::Raw {
        entry.integer()
    }
}

const CHANNELS: [&str; 2] = ["call", "sms"];

fn platforms() -> Vec<&'static str> {
    dialect::ALL.iter().map(|dialect| dialect.platform().as_str()).collect()
}

fn strings() -> Value {
    json!({ "type": ["string", "array"], "items": { "type": "string" }, "minItems": 1 })
}

fn string_list() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// A word, the same with `!`, or a list of them. Two alternatives, because editors complete only
/// those.
fn any_of(words: &[&str]) -> Value {
    let negated = words.iter().map(|word| format!("!{word}"));
    let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).chain(negated).collect();
    let word = json!({ "type": "string", "enum": words });
    json!({ "anyOf": [word, { "type": "array", "items": word, "minItems": 1 }] })
}

fn fact() -> Value {
    json!({
        "type": ["string", "number", "boolean", "array"],
        "items": { "type": ["string", "number", "boolean"] },
        "minItems": 1,
    })
}

/// An id for all platforms, or a table with an id for each.
fn agent() -> Value {
    let mut properties = json!({});
    for platform in platforms() {
        let description = format!("Agent id at {platform}.");
        properties[platform] =
            json!({ "description": description, "type": "string", "minLength": 1 });
    }
    properties["version"] = json!({
        "description": "Version of the agent: an integer, or a tag like `\"latest\"`. Retell only.",
        "type": ["integer", "string"],
        "minLength": 1,
    });
    properties["variables"] = json!({
        "description": "Variables that the agent needs with every call: those that no rule sets are sent \
                        as empty texts.",
        "type": "array",
        "items": { "type": "string", "minLength": 1 },
    });
    json!({
        "description": "One id for all platforms, or a table with an id for each.",
        "type": ["string", "object"],
        "minLength": 1,
        "minProperties": 1,
        "properties": properties,
        "additionalProperties": false,
    })
}

const WEEK: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Adds days and ranges of days as keys. Editors do not complete patterns, so the common keys are
/// properties as well.
pub(crate) fn weekday_keys(schema: &mut Value) {
    let description = "Opening times: `\"09:00-12:30, 13:30-18:00\"`, or a list.";
    let mut times = strings();
    times["description"] = description.into();
    let day =
        WEEK.map(|day| format!("{}({})?", any_case(&day[..3]), any_case(&day[3..]))).join("|");
    let pattern = format!(r"^\s*({day})(\s*-\s*({day}))?\s*$");
    schema["patternProperties"] = json!({ pattern: times });
    for name in ["mon-fri"].into_iter().chain(WEEK.map(|day| &day[..3])) {
        schema["properties"][name] = json!({ "description": description });
    }
}

/// Regular expressions of JSON Schema have no flag for case.
fn any_case(word: &str) -> String {
    word.chars().map(|letter| format!("[{letter}{}]", letter.to_ascii_uppercase())).collect()
}
