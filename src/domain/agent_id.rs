//! Ids of agents: texts that cannot be one, such as those that stand for an id to be filled in.

use super::phone_number::is_invisible;

/// Words that people and spreadsheets write where an id is missing, in lower case.
const PLACEHOLDER_WORDS: [&str; 22] = [
    "todo",
    "tbd",
    "tba",
    "fixme",
    "null",
    "none",
    "nil",
    "nan",
    "na",
    "undefined",
    "unknown",
    "empty",
    "missing",
    "later",
    "pending",
    "placeholder",
    "changeme",
    "change_me",
    "agent_id",
    "agent_todo",
    "replace_me",
    "your_agent",
];

/// Truth values of spreadsheets and people, in lower case.
const TRUTH_VALUES: [&str; 4] = ["true", "false", "yes", "no"];

/// Beginnings of names that stand for an id, in lower case.
const PLACEHOLDER_STARTS: [&str; 4] = ["your_", "your-", "my_agent_id", "insert_"];

/// Form of the ids that [`check_plain`] accepts, in words.
pub const PLAIN_FORM: &str = "letters, digits, `_` and `-`";

/// Checks an id that is no URI: it stands for no missing one, and has no character that ids do not contain.
///
/// ```
/// use switchboard::domain::agent_id::check_plain;
///
/// assert_eq!(check_plain("agent_fr0nt"), Ok(()));
/// assert_eq!(check_plain("agent_todo"), Err("it stands for a missing one".to_owned()));
/// assert_eq!(check_plain("agent 1"), Err("it contains a space".to_owned()));
/// ```
///
/// # Errors
/// Returns the reason why the text is no id, as a clause about it.
pub fn check_plain(id: &str) -> Result<(), String> {
    if id.trim() != id {
        return Err("it begins or ends with white space".to_owned());
    }
    match id.chars().find(|c| !is_allowed(*c)) {
        Some(c) if is_invisible(c) || c.is_control() => {
            Err(format!("it contains the invisible character U+{:04X}", u32::from(c)))
        }
        Some(c) if c.is_whitespace() => Err("it contains a space".to_owned()),
        Some(found) => Err(format!("it contains `{found}`")),
        None if is_decimal(id) => {
            Err("it is a number with decimals, as spreadsheets write it".to_owned())
        }
        None if TRUTH_VALUES.contains(&&*id.to_lowercase()) => {
            Err("it is a truth value, as spreadsheets write it".to_owned())
        }
        None if is_placeholder(id) => Err("it stands for a missing one".to_owned()),
        None => Ok(()),
    }
}

/// Returns whether ids contain a character. Some platforms have ids in parts.
fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || "_-.:@~+".contains(c)
}

/// Returns whether an id is `12.0` or `1.66E+12`, which a spreadsheet made of digits.
fn is_decimal(id: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_fraction = |text: &str| {
        text.split_once('.').is_some_and(|(whole, part)| is_number(whole) && is_number(part))
    };
    let scientific = id.split_once("E+").or_else(|| id.split_once("e+"));
    is_fraction(id)
        || scientific.is_some_and(|(digits, exponent)| {
            (is_number(digits) || is_fraction(digits)) && is_number(exponent)
        })
}

fn is_placeholder(id: &str) -> bool {
    let id = id.to_lowercase();
    let name = id.strip_prefix("agent_").or_else(|| id.strip_prefix("agent-")).unwrap_or(&id);
    let is_filler = |c: char| "-_.?*…x".contains(c);
    let is_zeros = !id.is_empty() && id.bytes().all(|byte| byte == b'0');
    is_zeros
        || PLACEHOLDER_WORDS.contains(&&*id)
        || PLACEHOLDER_WORDS.contains(&name)
        || PLACEHOLDER_STARTS.iter().any(|start| id.starts_with(start) || name.starts_with(start))
        || (!id.is_empty() && name != "x" && name.chars().all(is_filler))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_cannot_be_seen() {
        let reason = |id: &str| check_plain(id).unwrap_err();
        assert_eq!(reason("agent_1\u{200b}"), "it contains the invisible character U+200B");
        assert_eq!(reason("agent_1 "), "it begins or ends with white space");
        assert_eq!(reason("TRUE"), "it is a truth value, as spreadsheets write it");
        assert_eq!(reason("12.0"), "it is a number with decimals, as spreadsheets write it");
    }

    #[test]
    fn tells_placeholders_from_ids() {
        for id in [
            "#N/A",
            "TODO",
            "tbd",
            "-",
            "--",
            "null",
            "None",
            "nil",
            "n/a",
            "0",
            "XXX",
            "?",
            "???",
            "YOUR_AGENT_ID",
            "<agent_id>",
            "<agent id>",
            "agent_xxx",
            "agent_XXXX",
            "agent_todo",
            "agent_1,agent_2",
            "agent 1",
            "{agent}",
            "\"agent_1\"",
            "agent_…",
            "agent_id",
            "#NAME?",
            "agent_",
            "agent_123\u{200b}",
            "\u{feff}agent_123",
            "agent_9 ",
            " agent_9",
            "agent_9\u{a0}",
            "agent_9\n",
            "agent_0123\u{2026}",
            "$AGENT",
            "%AGENT%",
            "\u{3003}",
            "agent_1!",
            "TRUE",
            "FALSE",
            "12.0",
            "1.23E+15",
        ] {
            assert!(check_plain(id).is_err(), "{id}");
        }
        for id in [
            "agent_1",
            "agent_x",
            "x",
            "1716",
            "1716a",
            "agent_fr0nt",
            "front-desk",
            "b6b0b1a4-53c3-4b3a-9f7e-2f4f6d1c0a11",
            "agent_00",
            "3090",
            "1663087320304x456",
            "oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD",
            "agent_v1.2",
            "sales@main",
            "sip:+12137771234@pbx.example.com",
        ] {
            assert_eq!(check_plain(id), Ok(()), "{id}");
        }
    }
}
