//! Explanations of decisions, for `switchboard explain` and the admin listener.
//!
//! The explained call is synthetic: no reply is sent.

pub mod recorded;

use std::fmt;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use arc_swap::ArcSwap;
use axum::http::HeaderMap;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::authenticate::{Mode, Policy, RequestHead, Unverified, Verified, authenticate};
use crate::diagnostics;
use crate::dialect::Incoming;
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::decision::Outcome;
use crate::domain::facts::Facts;
use crate::rules::engine::decide;
use crate::rules::engine::explain::{Explanation, IndexMismatch, Listed, explain};
use crate::rules::{RuleSet, parse_timestamp};
use crate::source::Source;

/// A call to explain.
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// Source of the call.
    pub source: &'q Source,
    /// Fields of the call.
    pub fields: &'q Fields<'q>,
    /// Facts at the time of the call.
    pub facts: Facts,
    /// Rules to list.
    pub listed: Listed<'q>,
}

/// An explained call, with the reply that each platform would receive.
pub struct Explained<'q> {
    question: Question<'q>,
    table: &'q RuleSet,
    explanation: Explanation<'q>,
    replies: Vec<ReplyPreview<'q>>,
}

/// The reply that a platform would receive.
struct ReplyPreview<'q> {
    source: &'q str,
    platform: Platform,
    rule: Option<&'q str>,
    body: Bytes,
}

/// Explains a call. Previews the reply of its source, and of one source of each other platform.
///
/// # Errors
/// Fails if the index and the scan disagree, which is a defect of the rule engine.
pub fn explain_call<'q>(
    table: &'q RuleSet,
    sources: impl Iterator<Item = &'q Source>,
    question: Question<'q>,
) -> Result<Explained<'q>, IndexMismatch> {
    let Question { source, fields, facts, listed } = question;
    let call = Call::synthetic(&source.name, source.dialect.platform(), fields.clone());
    let explanation = explain(table, &call, &facts, listed)?;
    let mut replies: Vec<ReplyPreview<'_>> = Vec::new();
    for source in std::iter::once(source).chain(sources) {
        let platform = source.dialect.platform();
        let has_channel = source.dialect.channels().contains(&fields.channel);
        if replies.iter().any(|reply| reply.platform == platform) || !has_channel {
            continue;
        }
        let call = Call::synthetic(&source.name, platform, fields.clone());
        let decision = decide(table, &call, &facts);
        let body = source.dialect.render(call.channel(), &decision).body();
        replies.push(ReplyPreview { source: &source.name, platform, rule: decision.rule(), body });
    }
    Ok(Explained { question, table, explanation, replies })
}

/// Returns the source with this name, or the first one without a name.
///
/// # Errors
/// Fails with a message if there is no such source.
pub fn select_source<'s>(sources: &[&'s Source], name: Option<&str>) -> Result<&'s Source, String> {
    let Some(name) = name else {
        return sources.first().copied().ok_or_else(|| "the settings have no source".to_owned());
    };
    let found = sources.iter().find(|source| *source.name == *name);
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = sources.iter().map(|source| &*source.name).collect();
        format!("no source `{name}`; the settings have {}", known.join(", "))
    })
}

/// Chooses the rules to list: all of them, or also the one with a name.
///
/// # Errors
/// Fails with a message if the table has no such rule.
pub fn listed_rules<'q>(
    table: &RuleSet,
    all: bool,
    rule: Option<&'q str>,
) -> Result<Listed<'q>, String> {
    let names = || table.rules.iter().map(|rule| &*rule.name);
    match rule {
        Some(name) if !names().any(|known| known == name) => {
            let help = diagnostics::nearest(name, names()).map_or_else(
                || "a disabled rule is not in it".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            Err(format!("the table has no rule `{name}`; {help}"))
        }
        Some(_) if all => Ok(Listed::All),
        Some(name) => Ok(Listed::And(name)),
        None if all => Ok(Listed::All),
        None => Ok(Listed::Relevant),
    }
}

/// Parses the time of a call, in the zone of the rule table.
///
/// # Errors
/// Fails with a message that says what would be right.
pub fn parse_time(text: &str, table: &RuleSet) -> Result<Timestamp, String> {
    parse_timestamp(text, &table.zone).map_err(|problem| problem.to_string())
}

/// Parses a saved request body, without authentication: the operator vouches for it.
///
/// # Errors
/// Fails with a message if the body is not a call.
pub fn parse_saved_call(source: &Source, body: Vec<u8>) -> Result<Fields<'static>, String> {
    let request = accept_unauthenticated(source, body);
    match source.dialect.parse(&request, &source.numbers) {
        Ok(Incoming::Inbound(call)) => Ok(call.into_fields().into_owned()),
        Ok(Incoming::Event(event)) => {
            Err(format!("the body is the event `{}`, not a call", event.kind))
        }
        Ok(Incoming::Probe) => Err("the body is empty, not a call".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn accept_unauthenticated(source: &Source, body: Vec<u8>) -> Verified {
    let policy = Policy {
        source: source.name.clone(),
        mode: Mode::Off,
        scheme: source.dialect.scheme(),
        secrets: ArcSwap::default(),
        allow_from: Vec::new(),
    };
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let request = Unverified::new(RequestHead::new(HeaderMap::new(), client, None), body.into());
    authenticate(request, &policy, Timestamp::UNIX_EPOCH).unwrap_or_else(|reason| {
        unreachable!("a policy without requirements refused a request: {reason}")
    })
}

impl Explained<'_> {
    /// Returns the explanation as JSON.
    pub fn to_json(&self) -> Value {
        let reply = |reply: &ReplyPreview<'_>| {
            let body = serde_json::from_slice(&reply.body).unwrap_or_default();
            (reply.source.to_owned(), body)
        };
        let replies: Map<String, Value> = self.replies.iter().map(reply).collect();
        let mut json = self.explanation.to_json();
        json["at"] = json!(self.local_time_with_offset());
        json["fingerprint"] = json!(self.table.fingerprint);
        json["replies"] = Value::Object(replies);
        json
    }

    /// Returns a `[[test]]` that expects this decision.
    pub fn as_test(&self) -> String {
        let fields = self.question.fields;
        let (from, to) = (fields.from.unmasked(), fields.to.unmasked());
        let mut test =
            format!("[[test]]\nname = {}\n", quote(&format!("call from {from} to {to}")));
        let mut line = |key: &str, value: &str| {
            writeln!(test, "{key} = {value}").expect("writing to a string cannot fail");
        };
        line("from", &quote(&from));
        line("to", &quote(&to));
        if fields.channel != Channel::Call {
            line("channel", &quote(fields.channel.as_str()));
        }
        line("source", &quote(&self.question.source.name));
        line("at", &quote(&self.local_time()));
        if !fields.sip.is_empty() {
            // The last of repeated headers counts, and a TOML table has each key once.
            let overwritten =
                |at: usize, name: &str| fields.sip[at + 1..].iter().any(|(later, _)| later == name);
            let headers = fields.sip.iter().enumerate();
            let headers = headers.filter(|(at, (name, _))| !overwritten(*at, name));
            line("sip", &inline_table(headers.map(|(_, (name, value))| (&**name, quote(value)))));
        }
        line("expect", &self.expectation());
        test
    }

    fn expectation(&self) -> String {
        let decision = &self.explanation.decision;
        let mut expected = Vec::new();
        expected.extend(decision.rule().map(|rule| ("rule", quote(rule))));
        match decision.outcome() {
            Outcome::Agent(selected) => expected.push(("agent", quote(selected.name))),
            Outcome::Reject("") => expected.push(("reject", "true".to_owned())),
            Outcome::Reject(reason) => expected.push(("reject", quote(reason))),
            Outcome::Keep(_) => expected.push(("keep", "true".to_owned())),
        }
        let variables = &decision.additions().variables;
        if !variables.is_empty() {
            let variables =
                variables.iter().map(|variable| (variable.name, quote(&variable.value)));
            expected.push(("variables", inline_table(variables)));
        }
        let additions = decision.additions();
        for (key, object) in
            [("metadata", &additions.metadata), ("agent_override", &additions.agent_override)]
        {
            expected.extend(object.as_deref().map(|object| (key, inline_object(object))));
        }
        if !additions.delay.is_zero() {
            expected.push(("delay_ms", additions.delay.as_millis().to_string()));
        }
        inline_table(expected.into_iter())
    }

    /// Returns the time in the zone of the table, to the minute; with the UTC offset if the local time
    /// occurs twice and this is the second occurrence.
    fn local_time(&self) -> String {
        let at = self.question.facts.at;
        let local = at.to_zoned(self.table.zone.clone());
        let shown = local.strftime("%Y-%m-%d %H:%M").to_string();
        let minute = |at: Timestamp| at.as_second().div_euclid(60);
        match parse_timestamp(&shown, &self.table.zone) {
            Ok(first) if minute(first) == minute(at) => shown,
            Ok(_) | Err(_) => self.local_time_with_offset(),
        }
    }

    fn local_time_with_offset(&self) -> String {
        let local = self.question.facts.at.to_zoned(self.table.zone.clone());
        local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

/// Prints the rules, the outcome, and the replies.
impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explanation.fmt(f)?;
        for ReplyPreview { source, platform, rule, body } in &self.replies {
            let rule = rule.map_or("no rule".to_owned(), |rule| format!("rule `{rule}`"));
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            write!(f, "\nreply to source {source} ({platform}), by {rule}:\n{body:#}\n")?;
        }
        Ok(())
    }
}

fn inline_object(object: &Map<String, Value>) -> String {
    inline_table(object.iter().map(|(key, value)| (key.as_str(), to_toml(value))))
}

/// Formats a value as TOML. Templates produce no null.
fn to_toml(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(to_toml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(object) => inline_object(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Formats an inline table: `{ rule = "vip", agent = "desk" }`.
fn inline_table<'e>(entries: impl Iterator<Item = (&'e str, String)>) -> String {
    let bare = |key: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        !key.is_empty() && key.bytes().all(plain)
    };
    let entries = entries.map(|(key, value)| match bare(key) {
        true => format!("{key} = {value}"),
        false => format!("{} = {value}", quote(key)),
    });
    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
}

/// Quotes a string for TOML, which differs from JSON in one control character.
fn quote(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
