//! Vapi's replies to an `assistant-request`: an agent with its overrides, or the destination of a transfer.

use serde_json::{Value, json};

use crate::dialect::{RECORD_ID_KEY, not_accepted};
use crate::domain::decision::{Additions, LeftOut, Object, SelectedAgent, Variable};
use crate::domain::json;
use crate::domain::transfer::TransferTarget;

/// A kind of agent: how rules write its ids, and the keys of a reply that selects one.
pub(super) struct AgentKind {
    pub(super) prefix: &'static str,
    pub(super) id_key: &'static str,
    overrides_key: &'static str,
}

const ASSISTANT: AgentKind =
    AgentKind { prefix: "", id_key: "assistantId", overrides_key: "assistantOverrides" };
const SQUAD: AgentKind =
    AgentKind { prefix: "squad:", id_key: "squadId", overrides_key: "squadOverrides" };
const WORKFLOW: AgentKind =
    AgentKind { prefix: "workflow:", id_key: "workflowId", overrides_key: "workflowOverrides" };

impl AgentKind {
    /// All kinds.
    pub(super) const ALL: [AgentKind; 3] = [ASSISTANT, SQUAD, WORKFLOW];

    /// Splits an id in a rule table into the kind of agent and its id at Vapi.
    pub(super) fn of(id: &str) -> (AgentKind, &str) {
        for kind in [SQUAD, WORKFLOW] {
            if let Some(rest) = id.strip_prefix(kind.prefix) {
                return (kind, rest);
            }
        }
        (ASSISTANT, id)
    }

    /// Returns whether a reply can set the first message: that of a squad would be the one of each of its members.
    pub(super) fn can_greet(&self) -> bool {
        self.id_key == ASSISTANT.id_key
    }

    /// Returns whether a reply can carry metadata: a workflow takes variables alone.
    pub(super) fn has_metadata(&self) -> bool {
        self.id_key != WORKFLOW.id_key
    }
}

/// Builds the reply that selects an agent.
pub(super) fn select_agent(
    agent: &SelectedAgent<'_>,
    additions: &Additions<'_>,
    variables: &[Variable<'_>],
    left_out: &mut Vec<LeftOut>,
) -> Value {
    let (kind, id) = AgentKind::of(agent.id);
    let mut overrides = additions.agent_override.as_deref().cloned().unwrap_or_default();
    let mut values = json::Variables(variables).to_object();
    let mut metadata = additions.metadata.as_deref().cloned().unwrap_or_default();
    if !kind.has_metadata() {
        values.extend(metadata.shift_remove_entry(RECORD_ID_KEY));
        if !metadata.is_empty() {
            left_out.push(not_accepted("metadata".to_owned()));
            metadata.clear();
        }
    }
    merge(&mut overrides, "variableValues", values);
    merge(&mut overrides, "metadata", metadata);
    match &additions.say {
        Some(say) if kind.can_greet() => {
            overrides.insert("firstMessage".to_owned(), say.as_ref().into());
        }
        Some(_) => left_out.push(not_accepted("say".to_owned())),
        None => {}
    }
    let mut reply = json!({ kind.id_key: id });
    if !overrides.is_empty() {
        reply[kind.overrides_key] = overrides.into();
    }
    reply
}

/// Adds entries to an object in `overrides`, which `agent_override` may have.
fn merge(overrides: &mut Object, key: &str, entries: Object) {
    if entries.is_empty() {
        return;
    }
    match overrides.get_mut(key) {
        Some(Value::Object(existing)) => existing.extend(entries),
        Some(_) | None => drop(overrides.insert(key.to_owned(), entries.into())),
    }
}

/// Builds the destination of a transfer. An empty message transfers in silence.
pub(super) fn destination(target: &TransferTarget, additions: &Additions<'_>) -> Value {
    let message = additions.say.as_deref().unwrap_or_default();
    match target {
        TransferTarget::Number(number) => {
            json!({ "type": "number", "number": number.unmasked(), "message": message })
        }
        TransferTarget::Sip(uri) if additions.sip_headers.is_empty() => {
            json!({ "type": "sip", "sipUri": uri.as_str(), "message": message })
        }
        TransferTarget::Sip(uri) => json!({
            "type": "sip", "sipUri": uri.as_str(), "sipHeaders": json::Variables(&additions.sip_headers),
            "message": message,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::Vapi;
    use super::*;
    use crate::dialect::{Dialect, RenderContext, Reply};
    use crate::domain::call::Channel;
    use crate::domain::decision::{Decision, KeepReason, Outcome};

    fn variable<'t>(name: &'t str, value: &'t str) -> Variable<'t> {
        Variable { name, value: value.into(), rule: Some("everyone") }
    }

    #[track_caller]
    fn check(outcome: Outcome<'_>, additions: Additions<'_>, expected: &str) -> Reply {
        let decision = Decision::new(outcome, Some("everyone"), None, additions);
        let reply = Vapi.render(&RenderContext::of_channel(Channel::Call), &decision);
        assert_eq!(String::from_utf8_lossy(reply.body()), expected);
        reply
    }

    fn say(text: &str) -> Additions<'_> {
        Additions { say: Some(text.into()), ..Additions::default() }
    }

    fn agent(id: &str) -> Outcome<'_> {
        Outcome::Agent(SelectedAgent { name: "desk", id, version: None, session: None })
    }

    fn transfer(target: &str) -> Outcome<'static> {
        Outcome::Transfer(TransferTarget::parse(target).expect("a target"))
    }

    #[test]
    fn speaks_every_rejection_and_never_its_reason() {
        let silent = r#"{"error":"Sorry, we cannot take your call. Goodbye."}"#;
        check(Outcome::Reject("blocklist"), Additions::default(), silent);
        check(Outcome::Reject("blocklist"), say(" "), silent);
        check(Outcome::Reject("x"), say("We are closed."), r#"{"error":"We are closed."}"#);
    }

    #[test]
    fn transfers_to_numbers_and_sip_addresses() {
        let silent = r#"{"destination":{"type":"number","number":"+15005550010","message":""}}"#;
        check(transfer("+15005550010"), Additions::default(), silent);
        let spoken =
            r#"{"destination":{"type":"number","number":"+15005550010","message":"One moment."}}"#;
        check(transfer("+15005550010"), say("One moment."), spoken);
        let sip_headers = vec![variable("X-Tier", "gold")];
        let with_headers = Additions { sip_headers, ..Additions::default() };
        let sip = r#"{"destination":{"type":"sip","sipUri":"sip:a@b.example","sipHeaders":{"X-Tier":"gold"},"message":""}}"#;
        check(transfer("sip:a@b.example"), with_headers, sip);
        let bare = r#"{"destination":{"type":"sip","sipUri":"sip:a@b.example","message":""}}"#;
        check(transfer("sip:a@b.example"), Additions::default(), bare);
    }

    #[test]
    fn only_sip_addresses_take_headers() {
        let headers =
            || Additions { sip_headers: vec![variable("X-Tier", "gold")], ..Additions::default() };
        let left_out = [not_accepted("sip_headers.X-Tier".to_owned())];
        let number = r#"{"destination":{"type":"number","number":"+15005550010","message":""}}"#;
        assert_eq!(check(transfer("+15005550010"), headers(), number).left_out(), left_out);
        let assistant = r#"{"assistantId":"a1"}"#;
        assert_eq!(check(agent("a1"), headers(), assistant).left_out(), left_out);
        let sip = r#"{"destination":{"type":"sip","sipUri":"sip:a@b.example","sipHeaders":{"X-Tier":"gold"},"message":""}}"#;
        assert!(check(transfer("sip:a@b.example"), headers(), sip).left_out().is_empty());
    }

    #[test]
    fn greets_as_an_assistant_and_not_as_a_squad() {
        let greeting = r#"{"assistantId":"a1","assistantOverrides":{"firstMessage":"Hi Ada"}}"#;
        assert!(check(agent("a1"), say("Hi Ada"), greeting).left_out().is_empty());
        let reply = check(agent("squad:s1"), say("Hi Ada"), r#"{"squadId":"s1"}"#);
        assert_eq!(reply.left_out(), [not_accepted("say".to_owned())]);
    }

    #[test]
    fn a_workflow_carries_the_id_of_the_record_as_a_variable() {
        let mut metadata = Object::new();
        metadata.insert(RECORD_ID_KEY.to_owned(), "sb_1".into());
        let stamped = Additions { metadata: Some(Cow::Owned(metadata)), ..Additions::default() };
        let body = r#"{"workflowId":"w1","workflowOverrides":{"variableValues":{"switchboard_id":"sb_1"}}}"#;
        assert!(check(agent("workflow:w1"), stamped, body).left_out().is_empty());
    }

    #[test]
    fn leaves_out_the_variable_that_vapi_reserves() {
        let variables = vec![variable("customer", "x"), variable("customer_name", "Ada")];
        let additions = Additions { variables, ..Additions::default() };
        let body = r#"{"assistantId":"a1","assistantOverrides":{"variableValues":{"customer_name":"Ada"}}}"#;
        let reply = check(agent("a1"), additions, body);
        assert_eq!(reply.left_out(), [not_accepted("variables.customer".to_owned())]);
    }

    #[test]
    fn keeps_nothing_without_a_fallback_agent() {
        check(Outcome::Keep(KeepReason::ByRule), Additions::default(), "{}");
    }

    #[test]
    fn checks_the_ids_of_each_kind_of_agent() {
        for id in ["b1c2d3e4-0000-4000-8000-000000000003", "squad:sq-1", "workflow:wf_1"] {
            assert_eq!(Vapi.check_agent_id(id), Ok(()), "{id}");
        }
        for id in ["squad:", "squad:your_squad", "sip:desk@host/x", "workflow:a b"] {
            assert!(Vapi.check_agent_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn removes_credentials_at_any_depth() {
        let body = br#"{"message":{"phoneNumber":{"twilioAuthToken":"T","number":"+1"},
            "assistant":{"server":{"url":"u","headers":{"a":"H"},"secret":"S"},"credentials":[{"k":"C"}]},
            "x":[{"authentication":{"k":"A"},"headers":1}]}}"#;
        let redacted = String::from_utf8(Vapi.redact_body(body).into_owned()).expect("text");
        let value: Value = serde_json::from_str(&redacted).expect("JSON");
        let message = &value["message"];
        assert_eq!(message["phoneNumber"], json!({ "twilioAuthToken": null, "number": "+1" }));
        assert_eq!(message["assistant"]["server"]["headers"], Value::Null);
        assert_eq!(message["x"][0], json!({ "authentication": null, "headers": 1 }));
        for secret in ["\"T\"", "\"H\"", "\"S\"", "\"C\"", "\"A\""] {
            assert!(!redacted.contains(secret), "{secret} in {redacted}");
        }
    }
}
