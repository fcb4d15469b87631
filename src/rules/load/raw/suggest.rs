//! Help for keys and values that are nearly right: what the operator probably meant, written out.

use toml::de::{DeTable, DeValue};

use super::{RawDefinitions, RawExpectation, RawRule, RawScope, RawTest, TableKeys};
use crate::diagnostics::nearest;
use crate::domain::country::suggested_country;
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
    } else if !is_spec(RawDefinitions::spec()) && has_key(RawDefinitions::spec()) {
        format!("`{name}` belongs at the top of the file, above the first rule or test")
    } else {
        format!("{} has {}", spec.noun, list_of_names())
    };
    Suggestion { intended: None, help }
}

/// Keys of other systems, with the keys that mean the same.
const SYNONYMS: [(&[&str], &str); 11] = [
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
    (&["tz", "time_zone"], "zone"),
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
    let synonym = SYNONYMS.iter().find(|(names, _)| names.contains(&name)).map(|(_, key)| *key);
    let synonym = synonym.and_then(|key| spec.names().find(|known| *known == key));
    synonym.or_else(|| nearest(name, spec.names())).or_else(|| {
        let is_part = |known: &&str| {
            let is_suffix = known.len() > 3 && name.ends_with(known);
            is_suffix || name.split(['_', '-']).any(|word| word == *known)
        };
        spec.names().find(is_part)
    })
}

/// Rewrites a value that has the wrong type, if it is clear what is meant.
pub(super) fn for_wrong_type(key: &str, value: &DeValue<'_>) -> Option<String> {
    match (key, value) {
        ("where", DeValue::String(text)) => comparison(text),
        ("expect", DeValue::String(agent)) => {
            Some(format!("write expect = {{ agent = {:?} }}", &**agent))
        }
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
}
