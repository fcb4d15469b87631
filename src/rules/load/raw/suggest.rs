//! Help for keys and values that are nearly right: what the operator probably meant, written out.

use toml::de::{DeTable, DeValue};

use super::{RawDefinitions, RawExpectation, RawRule, RawScope, RawTest, TableKeys};
use crate::diagnostics::nearest;
use crate::domain::country::suggested_country;
use crate::domain::phone_number::Country;
use crate::rules::model::hours::suggest::lines_of;
use crate::rules::model::zone::parse_zone;
use crate::schema::{TableSpec, units};

/// Guess at a key that is not declared.
pub(super) struct Suggestion {
    /// Declared key that is meant, if it is clear.
    pub(super) intended: Option<&'static str>,
    /// Help text.
    pub(super) help: String,
}

/// Guesses what a key that `spec` does not declare means.
pub(super) fn for_unknown_key(
    name: &str,
    value: &DeValue<'_>,
    spec: &'static TableSpec,
) -> Suggestion {
    let is_spec = |other: &'static TableSpec| std::ptr::eq(spec, other);
    let has_key = |other: &TableSpec| other.names().any(|key| key == name);
    let list_of_names = || spec.names().collect::<Vec<_>>().join(", ");
    if let Some((intended, help)) = units::with_unit(name, scalar(value).as_deref(), spec.names()) {
        return Suggestion { intended: Some(intended), help };
    }
    if is_spec(RawRule::spec())
        && let Some(help) = time_condition(name, value)
    {
        return Suggestion { intended: None, help };
    }
    if let Some((intended, help)) = exclusion(name, value, spec) {
        return Suggestion { intended: Some(intended), help };
    }
    if let Some(intended) = intended_key(name, spec) {
        return Suggestion {
            intended: Some(intended),
            help: format!("did you mean `{intended}`?"),
        };
    }
    let help = if is_spec(RawRule::spec()) && NESTING.contains(&name) {
        "conditions and the outcome stand beside `name`, each on a line of its own: \
         `from = …`, `hours = …`, `agent = …`"
            .to_owned()
    } else if is_spec(RawRule::spec()) && ["default", "else", "fallback"].contains(&name) {
        "a rule without conditions, as the last one, is for all other calls".to_owned()
    } else if is_spec(RawTest::spec()) && has_key(RawExpectation::spec()) {
        let value = scalar(value).map_or_else(|| "…".to_owned(), |text| format!("{text:?}"));
        format!("the expected decision belongs in expect = {{ {name} = {value} }}")
    } else if is_spec(RawScope::spec()) && has_key(RawRule::spec()) {
        format!("`{name}` belongs in the rules; {} has {}", spec.noun, list_of_names())
    } else if is_spec(RawRule::spec()) && name == "country" {
        let code = scalar(value).and_then(|text| suggested_country(&text));
        let code = code.unwrap_or_else(|| "DE".to_owned());
        format!("for callers from a country, write from = \"{code}\"")
    } else if is_spec(RawTest::spec()) && ["hours", "dates"].contains(&name) {
        "a test has `at`, the time of its call: at = \"2026-12-25 10:00\"".to_owned()
    } else if let Some(key) = value.as_str().and_then(|value| top_key(name, value)) {
        move_to_the_top(name, key)
    } else if let Some(help) =
        is_spec(RawDefinitions::spec()).then(|| of_an_item(name, value)).flatten()
    {
        help
    } else if !is_spec(RawDefinitions::spec()) && has_key(RawDefinitions::spec()) {
        format!("`{name}` belongs at the top of the file, above the first rule or test")
    } else {
        format!("{} has {}", spec.noun, list_of_names())
    };
    Suggestion { intended: None, help }
}

/// Keys of other systems, with the keys that mean the same.
const SYNONYMS: [(&[&str], &str); 13] = [
    (&["caller", "callers", "caller_id", "ani", "calling", "sender"], "from"),
    (&["called", "callee", "dialled", "dialed", "did", "dnis", "destination"], "to"),
    (&["assistant", "assistant_id", "bot", "route_to", "target"], "agent"),
    (&["vars", "params"], "variables"),
    (&["schedule", "opening_times", "times"], "hours"),
    (&["holidays", "days"], "dates"),
    (&["forward", "forward_to", "transfer_to", "dial", "refer"], "transfer"),
    (&["greeting", "message", "first_message", "speak", "announcement"], "say"),
    (&["block", "deny", "hangup", "hang_up"], "reject"),
    (&["weights", "ab_test"], "split"),
    (&["tz", "time_zone", "timezone"], "zone"),
    (&["except", "exceptions", "holidays", "holiday", "closures", "closed_on"], "closed"),
    (&["time", "when", "date", "datetime", "now"], "at"),
];

/// Keys in which other systems nest the conditions or the outcome of a rule.
const NESTING: [&str; 10] = [
    "when",
    "if",
    "match",
    "conditions",
    "condition",
    "then",
    "do",
    "action",
    "actions",
    "outcome",
];

/// Guesses the intended key: `form`, `from_number`, `timezone`.
fn intended_key(name: &str, spec: &TableSpec) -> Option<&'static str> {
    synonym(name, spec).or_else(|| nearest(name, spec.names())).or_else(|| {
        let is_part = |known: &&str| {
            let is_suffix = known.len() > 3 && name.ends_with(known);
            is_suffix || name.split(['_', '-']).any(|word| word == *known)
        };
        spec.names().find(is_part)
    })
}

/// Returns the declared key for which a name is another word.
pub(super) fn synonym(name: &str, spec: &TableSpec) -> Option<&'static str> {
    let keys = SYNONYMS.iter().filter(|(names, _)| names.contains(&name)).map(|(_, key)| *key);
    keys.into_iter().find_map(|key| spec.names().find(|known| *known == key))
}

/// A key of the top of the file whose value is a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopKey {
    Zone,
    Country,
}

/// Recognizes a key of the top of the file by its name and its value.
pub(super) fn top_key(name: &str, value: &str) -> Option<TopKey> {
    let is_country = || Country::from_code(value).is_some() || suggested_country(value).is_some();
    match name {
        "zone" | "timezone" | "time_zone" | "tz" if parse_zone(value).is_ok() => Some(TopKey::Zone),
        "country" if is_country() => Some(TopKey::Country),
        _ => None,
    }
}

/// Returns the help for a key of the top of the file that stands elsewhere.
pub(super) fn move_to_the_top(name: &str, key: TopKey) -> String {
    let other = match key {
        TopKey::Zone if name != "zone" => " as `zone`",
        TopKey::Zone | TopKey::Country => "",
    };
    format!("move it to the top{other}, above all tables in brackets")
}

/// Returns the help for a key of a rule or a test that stands at the top of the file.
fn of_an_item(name: &str, value: &DeValue<'_>) -> Option<String> {
    let has_key = |spec: &TableSpec| spec.names().any(|key| key == name);
    let item = match (has_key(RawRule::spec()), has_key(RawTest::spec())) {
        (true, _) => "rule",
        (false, true) => "test",
        (false, false) => return None,
    };
    Some(match value.is_table() {
        true => format!("for the {item} above it, write [{item}.{name}]"),
        false => format!("`{name}` belongs to a {item}: write [[{item}]] above it"),
    })
}

/// Keys in which other systems have the days and times of a rule.
const TIME_KEYS: [&str; 10] = [
    "day",
    "days",
    "weekday",
    "weekdays",
    "day_of_week",
    "days_of_week",
    "time",
    "times",
    "time_of_day",
    "schedule",
];

/// Returns the help for weekdays or times in a rule itself: `day = "sunday"`.
fn time_condition(name: &str, value: &DeValue<'_>) -> Option<String> {
    let texts = texts(value).filter(|_| TIME_KEYS.contains(&name))?;
    let lines = lines_of(&texts.join(", "))?;
    Some(format!(
        "weekdays and times have a table of their own: write [hours.NAME] and below it {lines}, and in the rule \
         hours = \"NAME\""
    ))
}

/// Conditions of a rule apart from `where`.
pub(crate) const CONDITIONS: [&str; 9] = [
    "from",
    "to",
    "forwarded_from",
    "channel",
    "platform",
    "source",
    "number_id",
    "hours",
    "dates",
];

/// Rewrites a key that excludes: `not_hours = "office"`.
fn exclusion(name: &str, value: &DeValue<'_>, spec: &TableSpec) -> Option<(&'static str, String)> {
    const WORDS: [&str; 9] =
        ["not", "no", "non", "except", "exclude", "excluding", "outside", "unless", "without"];
    let (word, rest) = name.split_once(['_', '-'])?;
    let key = intended_key(rest, spec).filter(|key| CONDITIONS.contains(key))?;
    let texts = texts(value).filter(|_| WORDS.contains(&word))?;
    let excluded: Vec<_> = texts.iter().map(|text| format!("{:?}", format!("!{text}"))).collect();
    let written = match &*excluded {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Some((key, format!("a leading `!` excludes; write `{key} = {written}`")))
}

/// Rewrites a line with an operator of another language: `hours != "office"`.
pub(super) fn for_operator(text: &str, at: usize) -> Option<String> {
    let at = text.floor_char_boundary(at);
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next()?;
    let key = line.split(['!', '=']).next()?.trim();
    let rest = line.trim().strip_prefix(key)?.trim_start();
    let (is_excluded, value) = match rest.strip_prefix("!=") {
        Some(value) => (true, value),
        None => (false, rest.strip_prefix("==")?),
    };
    let line = format!("{key} = {}", value.trim());
    let document = DeTable::parse(&line).ok()?;
    let (_, value) = document.get_ref().iter().next()?;
    if !is_excluded {
        return Some(format!("a key and its value are separated by `=`: write `{line}`"));
    }
    let texts = texts(value.get_ref()).filter(|_| CONDITIONS.contains(&key))?;
    let [text] = &*texts else { return None };
    Some(format!("a leading `!` excludes: write `{key} = {:?}`", format!("!{text}")))
}

/// Returns the texts of a text or a list of texts, of which none excludes.
fn texts<'v>(value: &'v DeValue<'_>) -> Option<Vec<&'v str>> {
    let texts: Option<Vec<&str>> = match value.as_array() {
        Some(list) => list.iter().map(|item| item.get_ref().as_str()).collect(),
        None => value.as_str().map(|text| vec![text]),
    };
    texts.filter(|texts| !texts.is_empty() && texts.iter().all(|text| !text.starts_with('!')))
}

/// Rewrites a value that has the wrong type, if it is clear what is meant.
pub(super) fn for_wrong_type(key: &str, value: &DeValue<'_>) -> Option<String> {
    match (key, value) {
        ("where", DeValue::String(text)) => comparison(text),
        ("expect", DeValue::String(text)) => Some(match &**text {
            outcome @ ("reject" | "keep") => format!("write `expect = {{ {outcome} = true }}`"),
            "transfer" => "write `expect = { outcome = \"transfer\" }`".to_owned(),
            // The agent may be unknown.
            agent => format!("write expect = {{ agent = {agent:?} }}"),
        }),
        ("hours", DeValue::Table(table)) => hours_of_a_rule(table),
        ("keep" | "continue", DeValue::String(_)) => Some(format!("write {key} = true")),
        ("split" | "arms", DeValue::Table(table)) => arms(key, table),
        ("percent", DeValue::String(text)) => {
            percent(text).map(|share| format!("write percent = {share}"))
        }
        (_, DeValue::String(text)) => {
            units::number_for(key, text).map(|number| format!("write {key} = {number}"))
        }
        _ => None,
    }
}

/// Rewrites `history.calls_1h > 5`.
fn comparison(text: &str) -> Option<String> {
    let at = text.find(['=', '<', '>', '!'])?;
    let (name, rest) = (text[..at].trim(), &text[at..]);
    let is_name = |c: char| c.is_alphanumeric() || "._-".contains(c);
    let length = rest.chars().take_while(|c| "=<>!".contains(*c)).count();
    let (operator, operand) = (&rest[..length], rest[length..].trim().trim_matches(['"', '\'']));
    if !name.contains('.') || !name.chars().all(is_name) || operand.is_empty() {
        return None;
    }
    let expected = match operator {
        "=" | "==" => format!("{operand:?}"),
        "!=" => format!("{:?}", format!("!{operand}")),
        "<" | ">" | "<=" | ">=" => format!("{:?}", format!("{operator} {operand}")),
        _ => return None,
    };
    Some(format!("write where = {{ \"{name}\" = {expected} }}"))
}

/// Rewrites `{ agent_1 = "50%", agent_2 = 50 }`.
fn arms(key: &str, table: &DeTable<'_>) -> Option<String> {
    let arms = table.iter().map(|(agent, share)| {
        let share = percent(&scalar(share.get_ref())?)?;
        Some(format!("{{ agent = {:?}, percent = {share} }}", &**agent.get_ref()))
    });
    let arms = arms.collect::<Option<Vec<_>>>().filter(|arms| !arms.is_empty())?;
    Some(format!("write {key} = [{}]", arms.join(", ")))
}

/// Rewrites `{ mon-fri = "09:00-17:00" }` in a rule.
fn hours_of_a_rule(table: &DeTable<'_>) -> Option<String> {
    let lines = table.iter().map(|(days, times)| {
        let times = texts(times.get_ref())?.join(", ");
        lines_of(&format!("{} {times}", days.get_ref()))
    });
    let lines: Vec<String> = lines.collect::<Option<_>>()?;
    (!lines.is_empty()).then(|| {
        let lines = lines.join(" and ");
        format!("define times in [hours.NAME] as {lines}, and use the NAME in the rule: hours = \"NAME\"")
    })
}

/// Writes the arms of a split with names only, or with shares behind them: `desk:50`. The shares add up to 100.
pub(crate) fn arms_of_texts(key: &str, texts: &[&str]) -> Option<String> {
    // In hundredths of a percent.
    const ALL: u32 = 10_000;
    let arm = |text: &&'_ str| -> Option<(String, u32)> {
        let (name, share) =
            text.trim().trim_end_matches(['%', ' ']).rsplit_once([':', '=', ' '])?;
        let share = percent(share)?;
        let is_share = (0.0..=100.0).contains(&share);
        is_share.then(|| {
            (name.trim_end_matches([':', '=', ' ']).to_owned(), (share * 100.0).round() as u32)
        })
    };
    let with_shares: Option<Vec<_>> = texts.iter().map(arm).collect();
    let arms = match with_shares {
        Some(arms) => arms,
        None if texts.iter().any(|text| arm(text).is_some()) => return None,
        None => {
            let count = u32::try_from(texts.len()).ok().filter(|count| *count > 0)?;
            let share = |place: u32| ALL * (place + 1) / count - ALL * place / count;
            let places = (0..).zip(texts);
            places.map(|(place, name)| (name.trim().to_owned(), share(place))).collect()
        }
    };
    let is_whole = arms.iter().map(|(_, share)| share).sum::<u32>() == ALL;
    let are_names = arms.iter().all(|(name, _)| !name.is_empty() && !name.contains("${"));
    let arms: Vec<_> = arms
        .iter()
        .map(|(name, share)| {
            format!("{{ agent = {name:?}, percent = {} }}", f64::from(*share) / 100.0)
        })
        .collect();
    (is_whole && are_names).then(|| format!("write `{key} = [{}]`", arms.join(", ")))
}

/// Parses a number, with or without a percent sign.
fn percent(text: &str) -> Option<f64> {
    text.trim().trim_end_matches('%').trim_end().parse().ok()
}

/// Returns a text or a number as text.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(toml: &str, expected: Option<&str>) {
        let document = DeTable::parse(toml).expect("valid TOML");
        let (key, value) = document.get_ref().iter().next().expect("a key");
        let help = for_wrong_type(key.get_ref(), value.get_ref());
        assert_eq!(help.as_deref(), expected, "{toml}");
    }

    #[test]
    fn values_of_the_wrong_type_are_rewritten() {
        for (toml, expected) in [
            ("where = 'history.calls_1h > 5'", "write where = { \"history.calls_1h\" = \"> 5\" }"),
            ("where = 'crm.tier == \"gold\"'", "write where = { \"crm.tier\" = \"gold\" }"),
            ("where = 'crm.tier != gold'", "write where = { \"crm.tier\" = \"!gold\" }"),
            ("expect = 'night'", "write expect = { agent = \"night\" }"),
            ("expect = 'reject'", "write `expect = { reject = true }`"),
            ("expect = 'transfer'", "write `expect = { outcome = \"transfer\" }`"),
            (
                "hours = { mon-fri = '9-17', sat = '10:00-14:00' }",
                "define times in [hours.NAME] as mon-fri = \"09:00-17:00\" and sat = \"10:00-14:00\", and use the \
                 NAME in the rule: hours = \"NAME\"",
            ),
            ("keep = 'yes'", "write keep = true"),
            (
                "split = { a = '50%', b = 50 }",
                "write split = [{ agent = \"a\", percent = 50 }, { agent = \"b\", percent = 50 }]",
            ),
            ("percent = '12.5 %'", "write percent = 12.5"),
            ("delay_ms = '3s'", "write delay_ms = 3000"),
        ] {
            check(toml, Some(expected));
        }
        for toml in [
            "where = 'gold'",
            "where = 'a b.c > 5'",
            "where = 'crm.tier =>= 5'",
            "where = 'crm.tier >'",
            "keep = false",
            "split = { a = [], b = 50 }",
            "delay_ms = 'soon'",
        ] {
            check(toml, None);
        }
    }

    #[test]
    fn shares_of_a_split_add_up_to_a_hundred() {
        let arms = |texts: &[&str]| arms_of_texts("split", texts);
        let written = "write `split = [{ agent = \"a\", percent = 33.33 }, { agent = \"b\", percent = 33.33 }, \
                       { agent = \"c\", percent = 33.34 }]`";
        assert_eq!(arms(&["a", "b", "c"]).as_deref(), Some(written));
        let written =
            "write `split = [{ agent = \"a\", percent = 90 }, { agent = \"b\", percent = 10 }]`";
        for texts in [["a:90", " b: 10"], ["a = 90%", "b = 10 %"], ["a 90", "b 10%"]] {
            assert_eq!(arms(&texts).as_deref(), Some(written), "{texts:?}");
        }
        for texts in [&["a:90", "b"][..], &["a:90", "b:20"], &["", "b"], &["${x.y}", "b"], &[]] {
            assert_eq!(arms(texts), None, "{texts:?}");
        }
    }
}
