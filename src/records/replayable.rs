//! Rebuilds the call of a record, to replay or explain it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{AskedLookup, CallRecord, Texts};
use crate::domain::call::{Channel, Fields, Version};
use crate::domain::facts::{Facts, LookupAnswer, LookupState};
use crate::domain::party::Party;
use crate::rules::RuleSet;

/// Reason why the call of a record cannot be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayable {
    /// The record does not contain the parties.
    #[error("its numbers are stored {0}, and rules match the full numbers")]
    Numbers(String),
    /// Another version of this program wrote the record.
    #[error("its channel is `{0}`, and the known channels are call and sms")]
    Channel(String),
}

impl CallRecord {
    /// Returns the facts of the call: its time, and how its look-ups ended, with the values that were kept.
    pub fn facts(&self, table: &RuleSet) -> Facts {
        let mut facts = Facts::at(self.at);
        for asked in &self.details.lookups {
            if let Some(id) = table.lookup_id(&asked.name) {
                facts.lookups.insert(id, answer(asked));
            }
        }
        facts
    }

    /// Returns whether a look-up found something that was not kept.
    pub fn lacks_lookups(&self) -> bool {
        self.details.lookups.iter().any(|asked| asked.state == "found" && asked.value.is_none())
    }

    /// Returns the fields of the call that rules can match.
    ///
    /// # Errors
    /// Fails when the record does not contain its numbers in full.
    pub fn fields(&self) -> Result<Fields<'static>, NotReplayable> {
        let details = &self.details;
        if details.numbers != "full" {
            return Err(NotReplayable::Numbers(details.numbers.clone().into_owned()));
        }
        let channel = Channel::ALL.into_iter().find(|known| known.as_str() == self.channel);
        let channel = channel.ok_or_else(|| NotReplayable::Channel(self.channel.clone()))?;
        let Texts(sip) = details.sip.clone();
        let Texts(attributes) = details.attributes.clone();
        Ok(Fields {
            call_id: self.call_id.clone().map(Into::into),
            agent: details.agent_in.clone(),
            agent_version: details.agent_version_in.as_ref().and_then(version),
            from: Party::parse(Some(&self.from)).party,
            to: Party::parse(Some(&self.to)).party,
            number_id: details.number_id.clone(),
            attributes,
            sip,
            ..Fields::unknown(channel)
        })
    }
}

/// Returns the answer of a look-up, as far as it was kept.
fn answer(asked: &AskedLookup<'_>) -> LookupAnswer {
    let state = LookupState::ALL.into_iter().find(|state| state.as_str() == asked.state);
    let state = state.unwrap_or(LookupState::NotAsked);
    let value = asked.value.clone().map_or(Value::Null, Cow::into_owned);
    let is_dropped = state == LookupState::Found && asked.value.is_none();
    let problem = asked.problem.as_deref().or(is_dropped.then_some("its values were not kept"));
    LookupAnswer {
        state,
        value: Arc::new(value),
        took: Duration::from_micros(asked.took_us),
        cached: asked.cached,
        problem: problem.map(Into::into),
    }
}

fn version(stored: &Value) -> Option<Version> {
    match stored {
        Value::String(tag) => Some(Version::Tag(tag.as_str().into())),
        Value::Number(number) => number.as_i64().map(Version::Number),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::records::Details;

    fn record(from: &str, numbers: &'static str) -> CallRecord {
        let sip = vec![("x-tier".into(), "gold".into()), ("x-tier".into(), "lead".into())];
        CallRecord {
            id: Uuid::nil(),
            dedup_key: String::new(),
            at: Timestamp::UNIX_EPOCH,
            source: "retell".to_owned(),
            platform: "retell".to_owned(),
            channel: "sms".to_owned(),
            call_id: Some("call_1".to_owned()),
            from: from.to_owned(),
            to: "+12137771235".to_owned(),
            outcome: "keep".to_owned(),
            rule: None,
            agent: None,
            fingerprint: String::new(),
            attempts: 1,
            details: Details {
                numbers: numbers.into(),
                agent_in: Some("agent_1".into()),
                agent_version_in: Some(json!(7)),
                sip: Texts(sip),
                ..Details::default()
            },
        }
    }

    #[test]
    fn rebuilds_a_call() {
        for (kept, party) in [
            ("+12137771234", Party::parse(Some("+12137771234")).party),
            ("withheld", Party::Withheld),
            ("client:jane", Party::Literal("client:jane".into())),
        ] {
            let fields = record(kept, "full").fields().unwrap();
            let expected = Fields {
                call_id: Some("call_1".into()),
                agent: Some("agent_1".into()),
                agent_version: Some(Version::Number(7)),
                from: party,
                to: Party::parse(Some("+12137771235")).party,
                sip: vec![("x-tier".into(), "gold".into()), ("x-tier".into(), "lead".into())],
                ..Fields::unknown(Channel::Sms)
            };
            assert!(fields == expected, "{fields:?}");
        }
    }

    #[test]
    fn the_answers_of_look_ups_have_their_states() {
        let asked = |state: &'static str, value: Option<Value>| AskedLookup {
            name: "history".into(),
            state: state.into(),
            took_us: 1_500,
            cached: true,
            problem: None,
            value: value.map(Cow::Owned),
        };
        let late = answer(&asked("late", None));
        assert_eq!((late.state, late.has_value()), (LookupState::Late, false));
        assert_eq!((late.took, late.cached), (Duration::from_micros(1_500), true));
        let kept = answer(&asked("found", Some(json!({ "calls_1h": 2 }))));
        assert_eq!((kept.has_value(), kept.problem), (true, None));
        let dropped = answer(&asked("found", None));
        assert_eq!((dropped.state, dropped.has_value()), (LookupState::Found, false));
        assert_eq!(dropped.problem.as_deref(), Some("its values were not kept"));
    }

    #[test]
    fn cannot_rebuild_a_call_without_full_numbers() {
        for kept in ["masked", "hashed"] {
            let fields = record("+1213***1234", kept).fields();
            assert!(fields == Err(NotReplayable::Numbers(kept.to_owned())), "{fields:?}");
        }
    }
}
