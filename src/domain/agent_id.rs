//! Ids of agents: texts that cannot be one, such as those that stand for an id to be filled in.

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
    match forbidden_character(id) {
        Some(' ') => Err("it contains a space".to_owned()),
        Some(found) => Err(format!("it contains `{found}`")),
        None if is_placeholder(id) => Err("it stands for a missing one".to_owned()),
        None => Ok(()),
    }
}

/// Returns the first character that no id contains.
fn forbidden_character(id: &str) -> Option<char> {
    let is_forbidden =
        |c: char| c.is_whitespace() || c.is_control() || "#<>,;/\\\"'`{}[]()|=".contains(c);
    let found = id.trim().chars().find(|c| is_forbidden(*c))?;
    Some(if found.is_whitespace() { ' ' } else { found })
}

fn is_placeholder(id: &str) -> bool {
    let id = id.trim().to_lowercase();
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
        ] {
            assert_eq!(check_plain(id), Ok(()), "{id}");
        }
    }
}
