//! Session templates: settings of an agent that a platform receives with each call, in place of an id.

use serde_json::{Map, Value};

/// Settings of a session, in the platform's format. `{{name}}` in a string stands for a variable, as in the
/// prompts of other platforms.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionTemplate(Map<String, Value>);

impl SessionTemplate {
    /// Wraps an object that the platform's dialect has checked.
    pub fn new(settings: Map<String, Value>) -> SessionTemplate {
        SessionTemplate(settings)
    }

    /// Returns the settings without values for their variables.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns the names of the variables, each once, in their order.
    pub fn variable_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.0.values().for_each(|value| add_names(value, &mut names));
        names
    }

    /// Fills in the variables. `value_of` returns the value of a variable; one that has none is empty.
    pub fn fill<'v>(&self, value_of: &dyn Fn(&str) -> Option<&'v str>) -> Map<String, Value> {
        filled_members(&self.0, value_of)
    }
}

fn add_names<'t>(value: &'t Value, names: &mut Vec<&'t str>) {
    match value {
        Value::String(text) => {
            for part in parts(text) {
                if let SessionPiece::Variable(name) = part
                    && !names.contains(&name)
                {
                    names.push(name);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| add_names(item, names)),
        Value::Object(members) => members.values().for_each(|value| add_names(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn filled<'v>(value: &Value, value_of: &dyn Fn(&str) -> Option<&'v str>) -> Value {
    match value {
        Value::String(text) => {
            let text = parts(text).map(|part| match part {
                SessionPiece::Text(text) => text,
                SessionPiece::Variable(name) => value_of(name).unwrap_or_default(),
            });
            Value::String(text.collect())
        }
        Value::Array(items) => items.iter().map(|item| filled(item, value_of)).collect(),
        Value::Object(members) => Value::Object(filled_members(members, value_of)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn filled_members<'v>(
    members: &Map<String, Value>,
    value_of: &dyn Fn(&str) -> Option<&'v str>,
) -> Map<String, Value> {
    members.iter().map(|(name, value)| (name.clone(), filled(value, value_of))).collect()
}

enum SessionPiece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

/// Splits a text at its variables. Braces without a name between them are text.
fn parts(text: &str) -> impl Iterator<Item = SessionPiece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, behind)) = variable(rest) {
            rest = behind;
            return Some(SessionPiece::Variable(name));
        }
        let next = rest.match_indices("{{").map(|(at, _)| at);
        let mut next = next.filter(|at| *at > 0 && variable(&rest[*at..]).is_some());
        let (literal, behind) = rest.split_at(next.next().unwrap_or(rest.len()));
        rest = behind;
        Some(SessionPiece::Text(literal))
    })
}

/// Returns the name of the variable with which a text begins, and what follows it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = text.strip_prefix("{{")?.split_once("}}")?;
    let name = name.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, behind))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fills_in_variables_at_any_depth() {
        let settings = json!({
            "instructions": "Caller {{name}}, tier {{ tier }}, {{unset}}. {{not a name}} {{",
            "tools": [{ "description": "{{tier}}{{tier}}" }],
            "speed": 1.5,
        });
        let Value::Object(settings) = settings else { panic!("no object") };
        let template = SessionTemplate::new(settings);
        assert_eq!(template.variable_names(), ["name", "tier", "unset"]);
        let value_of = |name: &str| match name {
            "name" => Some("Ann {{tier}}"),
            "tier" => Some("gold"),
            _ => None,
        };
        assert_eq!(
            Value::Object(template.fill(&value_of)),
            json!({
                "instructions": "Caller Ann {{tier}}, tier gold, . {{not a name}} {{",
                "tools": [{ "description": "goldgold" }],
                "speed": 1.5,
            })
        );
    }
}
