//! Transcripts as text, from the bodies of events.

use serde_json::Value;

/// Returns the first transcript that a body has at one of these places (JSON pointers): a text, or turns with a role
/// and a text. `None` if there is none.
pub fn transcript(body: &Value, places: &[&str]) -> Option<String> {
    let found = places.iter().filter_map(|place| body.pointer(place));
    let mut texts = found.filter_map(|value| match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Array(turns) => Some(turns.iter().filter_map(turn).collect::<Vec<_>>().join("\n")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    });
    texts.find(|text| !text.is_empty())
}

/// Returns a line: `agent: Good day.`
fn turn(turn: &Value) -> Option<String> {
    let text = ["message", "content", "text"].iter().find_map(|key| turn[key].as_str())?;
    Some(match turn["role"].as_str() {
        Some(role) => format!("{role}: {text}"),
        None => text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_transcript_is_a_text_or_turns() {
        let places = ["/call/transcript", "/data/transcript"];
        for (body, expected) in [
            (json!({ "call": { "transcript": "\nAgent: Hi\n" } }), Some("Agent: Hi")),
            (
                json!({ "data": { "transcript": [
                    { "role": "agent", "message": "Hi" }, { "role": "tool" }, { "message": "Ho" },
                ] } }),
                Some("agent: Hi\nHo"),
            ),
            (json!({ "call": { "transcript": "" } }), None),
            (json!({ "call": { "transcript": null } }), None),
            (json!([]), None),
        ] {
            assert_eq!(transcript(&body, &places).as_deref(), expected, "{body}");
        }
    }
}
