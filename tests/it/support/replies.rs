//! Replies that a platform accepts, and those that reject a call, from its documentation.

use serde_json::{Map, Value, json};
use switchboard::domain::call::{Channel, Platform};

use super::xml;

/// Returns the object under the only key of a reply, which is the name of the event.
fn only_object(body: &[u8], key: &str) -> Result<Map<String, Value>, String> {
    let whole: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match whole.as_object().map(|object| (object.len(), object.get(key))) {
        Some((1, Some(Value::Object(inner)))) => Ok(inner.clone()),
        _ => Err(format!("not an object with the only key `{key}`")),
    }
}

fn is_object_of_strings(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.values().all(Value::is_string))
}

/// Retell: one key, equal to the event; `reject` is true and the only field; variables are strings.
fn retell_accepts(channel: Channel, body: &[u8]) -> Result<(), String> {
    let key = match channel {
        Channel::Call => "call_inbound",
        Channel::Sms => "chat_inbound",
    };
    let inner = only_object(body, key)?;
    if inner.contains_key("reject") && (inner.len() > 1 || inner["reject"] != true) {
        return Err("`reject` must be true and the only field".to_owned());
    }
    for (name, value) in &inner {
        let is_accepted = match name.as_str() {
            "reject" => true,
            "override_agent_id" => value.as_str().is_some_and(|id| !id.is_empty()),
            "override_agent_version" => value.is_number() || value.is_string(),
            "dynamic_variables" => is_object_of_strings(value),
            "metadata" => value.is_object() && value.to_string().len() <= 50_000,
            "agent_override" => value.is_object(),
            _ => false,
        };
        if !is_accepted {
            return Err(format!("unexpected field or value: `{name}`"));
        }
    }
    Ok(())
}

/// Synthflow: `override_model_id` is a string, or the object is empty to reject the call.
fn synthflow_accepts(body: &[u8]) -> Result<(), String> {
    let inner = only_object(body, "call_inbound")?;
    if inner.is_empty() {
        return Ok(());
    }
    if !inner.get("override_model_id").is_some_and(Value::is_string) {
        return Err("without `override_model_id` Synthflow hangs up".to_owned());
    }
    for (name, value) in &inner {
        let is_accepted = match name.as_str() {
            "override_model_id" => true,
            "custom_variables" => is_object_of_strings(value),
            "metadata" => value.is_object(),
            _ => false,
        };
        if !is_accepted {
            return Err(format!("unexpected field or value: `{name}`"));
        }
    }
    Ok(())
}

fn object(body: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// Checks that every entry of an object is expected.
fn check_entries(
    object: &Map<String, Value>,
    is_accepted: impl Fn(&str, &Value) -> bool,
) -> Result<(), String> {
    match object.iter().find(|(name, value)| !is_accepted(name, value)) {
        Some((name, _)) => Err(format!("unexpected field or value: `{name}`")),
        None => Ok(()),
    }
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

/// Vapi: one of an agent, a destination and a spoken error; the variable `customer` is Vapi's own.
fn vapi_accepts(body: &[u8]) -> Result<(), String> {
    let reply = object(body)?;
    let choices = ["assistantId", "squadId", "workflowId", "destination", "error"];
    let chosen = choices.iter().filter(|key| reply.contains_key(**key)).count();
    if chosen > 1 {
        return Err("more than one choice".to_owned());
    }
    let overrides = |value: &Value| {
        let variables = value["variableValues"].as_object();
        value.is_object() && !variables.is_some_and(|object| object.contains_key("customer"))
    };
    check_entries(&reply, |name, value| match name {
        "assistantId" | "squadId" | "workflowId" | "error" => is_text(value),
        "assistantOverrides" => reply.contains_key("assistantId") && overrides(value),
        "squadOverrides" => reply.contains_key("squadId") && overrides(value),
        "workflowOverrides" => {
            reply.contains_key("workflowId") && value.get("metadata").is_none() && overrides(value)
        }
        "destination" => {
            let address = if value["type"] == "sip" { &value["sipUri"] } else { &value["number"] };
            is_text(address) && value["message"].is_string()
        }
        _ => false,
    })
}

/// ElevenLabs: a fixed type; variables are scalars, and none has a reserved name.
fn elevenlabs_accepts(body: &[u8]) -> Result<(), String> {
    let reply = object(body)?;
    if reply.get("type") != Some(&json!("conversation_initiation_client_data")) {
        return Err("without the type, the call fails".to_owned());
    }
    let is_variable = |(name, value): (&String, &Value)| {
        let is_scalar = value.is_string() || value.is_number() || value.is_boolean();
        is_scalar && !name.starts_with("system__")
    };
    check_entries(&reply, |name, value| match name {
        "type" => true,
        "dynamic_variables" => {
            value.as_object().is_some_and(|object| object.iter().all(is_variable))
        }
        "conversation_config_override" => value.is_object(),
        _ => false,
    })
}

/// Telnyx AI: variables and metadata are texts, and no variable has a reserved name.
fn telnyx_accepts(body: &[u8]) -> Result<(), String> {
    check_entries(&object(body)?, |name, value| match name {
        "dynamic_variables" => {
            let mut names = value.as_object().into_iter().flat_map(|object| object.keys());
            is_object_of_strings(value) && !names.any(|name| name.starts_with("telnyx_"))
        }
        "conversation" => is_object_of_strings(&value["metadata"]),
        _ => false,
    })
}

/// Twilio and TeXML: `<Reject>` stands alone; a text is spoken first; then one element takes the call. A text message
/// gets no answer.
fn xml_accepts(channel: Channel, body: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    if !text.starts_with(r#"<?xml version="1.0" encoding="UTF-8"?>"#) {
        return Err("no declaration".to_owned());
    }
    let response = xml::parse(text);
    let names: Vec<_> = response.children.iter().map(|element| element.name.as_str()).collect();
    match (channel, &names[..]) {
        (Channel::Sms, []) => Ok(()),
        (Channel::Call, ["Reject"]) => {
            let reason = response.children[0].attribute("reason");
            let is_known = ["busy", "rejected"].contains(&reason);
            is_known.then_some(()).ok_or(format!("unknown reason `{reason}`"))
        }
        (Channel::Call, ["Say", "Hangup"]) => Ok(()),
        (
            Channel::Call,
            ["Redirect" | "Dial" | "Connect"] | ["Say", "Redirect" | "Dial" | "Connect"],
        ) => Ok(()),
        _ => Err(format!("unexpected elements {names:?}")),
    }
}

/// Checks a reply to a call or text message.
pub(crate) fn accepts(platform: Platform, channel: Channel, body: &[u8]) -> Result<(), String> {
    let result = match platform.as_str() {
        "retell" => retell_accepts(channel, body),
        "synthflow" => synthflow_accepts(body),
        "vapi" => vapi_accepts(body),
        "elevenlabs" => elevenlabs_accepts(body),
        "telnyx" => telnyx_accepts(body),
        "twilio" | "texml" => xml_accepts(channel, body),
        // The reply decides nothing.
        "telnyx-call-control" | "openai" | "openai-live" | "pipecat" => match body {
            b"{}" => Ok(()),
            _ => Err("more than an acknowledgement".to_owned()),
        },
        other => panic!("unknown platform {other}"),
    };
    result.map_err(|error| format!("{platform}: {error}: {}", String::from_utf8_lossy(body)))
}

/// Returns whether a reply rejects the call.
pub(crate) fn is_rejection(platform: Platform, body: &[u8]) -> bool {
    match platform.as_str() {
        "retell" => String::from_utf8_lossy(body).contains(r#""reject":true"#),
        "synthflow" => {
            !String::from_utf8_lossy(body).contains(r#"{"call_inbound":{"override_model_id":"#)
        }
        "vapi" => object(body).is_ok_and(|reply| reply.contains_key("error")),
        // Their replies cannot reject.
        "elevenlabs" | "telnyx" | "telnyx-call-control" | "openai" | "openai-live" | "pipecat" => {
            false
        }
        // A call that nobody can take is `busy`.
        "twilio" | "texml" => {
            let body = String::from_utf8_lossy(body);
            body.contains(r#"reason="rejected""#) || body.contains("<Hangup/>")
        }
        other => panic!("unknown platform {other}"),
    }
}

#[test]
fn invalid_replies_are_not_accepted() {
    for body in [
        r#"{}"#,
        r#"{"call_inbound":null}"#,
        r#"{"chat_inbound":{}}"#,
        r#"{"call_inbound":{},"event":"call_inbound"}"#,
        r#"{"call_inbound":{"reject":false}}"#,
        r#"{"call_inbound":{"reject":true,"metadata":{}}}"#,
        r#"{"call_inbound":{"override_agent_id":""}}"#,
        r#"{"call_inbound":{"override_agent_id":"a","override_agent_version":null}}"#,
        r#"{"call_inbound":{"dynamic_variables":{"a":1}}}"#,
        r#"{"call_inbound":{"dynamic_variables":{"a":null}}}"#,
        r#"{"call_inbound":{"metadata":[]}}"#,
        r#"{"call_inbound":{"override_model_id":"a"}}"#,
    ] {
        assert!(retell_accepts(Channel::Call, body.as_bytes()).is_err(), "{body}");
    }
    for body in [
        r#"{}"#,
        r#"{"call_inbound":null}"#,
        r#"{"call_inbound":{"custom_variables":{}}}"#,
        r#"{"call_inbound":{"override_model_id":null}}"#,
        r#"{"call_inbound":{"override_model_id":"a","custom_variables":{"a":true}}}"#,
        r#"{"call_inbound":{"override_model_id":"a","override_agent_version":1}}"#,
        r#"{"call_inbound":{"override_model_id":"a","agent_override":{}}}"#,
    ] {
        assert!(synthflow_accepts(body.as_bytes()).is_err(), "{body}");
    }
    for body in [
        r#"[]"#,
        r#"{"assistantId":""}"#,
        r#"{"assistantId":"a","squadId":"b"}"#,
        r#"{"assistantId":"a","assistantOverrides":{"variableValues":{"customer":"x"}}}"#,
        r#"{"assistantId":"a","squadOverrides":{}}"#,
        r#"{"workflowId":"a","workflowOverrides":{"metadata":{}}}"#,
        r#"{"error":" "}"#,
        r#"{"destination":{"type":"number","number":"+1"}}"#,
        r#"{"messageResponse":{"assistantId":"a"}}"#,
    ] {
        assert!(vapi_accepts(body.as_bytes()).is_err(), "{body}");
    }
    const TYPE: &str = r#""type":"conversation_initiation_client_data""#;
    for body in [
        "{}".to_owned(),
        r#"{"dynamic_variables":{}}"#.to_owned(),
        format!(r#"{{{TYPE},"dynamic_variables":{{"a":null}}}}"#),
        format!(r#"{{{TYPE},"dynamic_variables":{{"a":[1]}}}}"#),
        format!(r#"{{{TYPE},"dynamic_variables":{{"system__a":"b"}}}}"#),
        format!(r#"{{{TYPE},"agent_id":"a"}}"#),
    ] {
        assert!(elevenlabs_accepts(body.as_bytes()).is_err(), "{body}");
    }
    for body in [
        r#"{"tier":"gold"}"#,
        r#"{"dynamic_variables":{"telnyx_a":"b"}}"#,
        r#"{"dynamic_variables":{"a":1}}"#,
        r#"{"conversation":{"metadata":{"a":1}}}"#,
    ] {
        assert!(telnyx_accepts(body.as_bytes()).is_err(), "{body}");
    }
    for content in [
        "",
        "<Say>x</Say>",
        "<Hangup/>",
        "<Say>x</Say><Reject reason=\"busy\"/>",
        "<Reject reason=\"closed\"/>",
        "<Dial>1</Dial><Dial>2</Dial>",
    ] {
        let body =
            format!(r#"<?xml version="1.0" encoding="UTF-8"?><Response>{content}</Response>"#);
        assert!(xml_accepts(Channel::Call, body.as_bytes()).is_err(), "{body}");
    }
}
