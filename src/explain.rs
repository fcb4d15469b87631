//! Why a call would be answered as it would: what `switchboard explain` prints, and what the admin
//! listener tells. The call is synthetic, and nobody is answered.

pub mod recorded;

use std::fmt;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use axum::http::HeaderMap;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::authenticate::{Mode, Policy, Unverified, Verified, authenticate};
use crate::dialect::Incoming;
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::decision::Outcome;
use crate::domain::facts::Facts;
use crate::domain::phone_number::Party;
use crate::rules::engine::decide;
use crate::rules::engine::explain::{Explanation, IndexMismatch, explain};
use crate::rules::{RuleSet, matches_many, parse_timestamp};
use crate::source::Source;

/// A call that somebody asks about.
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// The source that would ask.
    pub source: &'q Source,
    /// What its dialect would have found.
    pub fields: &'q Fields<'q>,
    /// When it would come in.
    pub facts: Facts,
    /// Every rule that was tried is wanted, however many there are.
    pub all: bool,
}

/// The answer, with the replies that platforms would get.
pub struct Explained<'q> {
    question: Question<'q>,
    table: &'q RuleSet,
    explanation: Explanation<'q>,
    replies: Vec<ReplyPreview<'q>>,
}

/// What a platform would get.
struct ReplyPreview<'q> {
    source: &'q str,
    platform: Platform,
    rule: Option<&'q str>,
    body: Bytes,
}

/// Asks `table`; of `sources`, one of each other platform is told what it would get.
///
/// # Errors
/// When index and scan differ, which they never may.
pub fn inquire<'q>(
    table: &'q RuleSet,
    sources: impl Iterator<Item = &'q Source>,
    question: Question<'q>,
) -> Result<Explained<'q>, IndexMismatch> {
    let Question { source, fields, facts, all } = question;
    let call = Call::synthetic(&source.name, source.dialect.platform(), fields.clone());
    let explanation = explain(table, &call, &facts, all)?;
    let mut replies: Vec<ReplyPreview<'_>> = Vec::new();
    for asking in std::iter::once(source).chain(sources) {
        let platform = asking.dialect.platform();
        let asks = asking.dialect.channels().contains(&fields.channel);
        if replies.iter().any(|reply| reply.platform == platform) || !asks {
            continue;
        }
        let call = Call::synthetic(&asking.name, platform, fields.clone());
        let decision = decide(table, &call, &facts);
        let body = asking.dialect.render(call.channel(), &decision).body();
        replies.push(ReplyPreview { source: &asking.name, platform, rule: decision.rule(), body });
    }
    Ok(Explained { question, table, explanation, replies })
}

/// The source of this name, else the first one.
///
/// # Errors
/// When there is none, in words.
pub fn asking<'s>(sources: &[&'s Source], name: Option<&str>) -> Result<&'s Source, String> {
    let Some(name) = name else {
        return sources.first().copied().ok_or_else(|| "the settings name no source".to_owned());
    };
    let found = sources.iter().find(|source| *source.name == *name);
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = sources.iter().map(|source| &*source.name).collect();
        format!("there is no source `{name}`; the settings name {}", known.join(", "))
    })
}

/// When a call comes in, on the wall clock of the table's zone.
///
/// # Errors
/// What cannot be read in it, and what would be right.
pub fn moment_of(text: &str, table: &RuleSet) -> Result<Timestamp, String> {
    parse_timestamp(text, &table.zone).map_err(|problem| problem.to_string())
}

/// Who rings, or what was dialled, in a call that somebody asks about.
///
/// # Errors
/// When the text stands for many callers.
pub fn party_of(text: &str) -> Result<Party, String> {
    match matches_many(text) {
        true => Err(format!("`{text}` is not a number, and an explanation is about one call")),
        false => Ok(Party::parse(Some(text)).party),
    }
}

/// What a saved request body says. Whoever saved the body stands for it: nobody else has to prove
/// it.
///
/// # Errors
/// When it asks for no agent, or cannot be read, in words.
pub fn saved_call(source: &Source, body: Vec<u8>) -> Result<Fields<'static>, String> {
    let opened = opened(source, body);
    match source.dialect.parse(&opened) {
        Ok(Incoming::Inbound(call)) => Ok(call.into_fields().into_owned()),
        Ok(Incoming::Event(event)) => {
            Err(format!("this body tells of `{}`, and asks for no agent", event.kind))
        }
        Ok(Incoming::Probe) => Err("this body is empty, and asks for no agent".to_owned()),
        Err(unreadable) => Err(unreadable.to_string()),
    }
}

fn opened(source: &Source, body: Vec<u8>) -> Verified {
    let policy = Policy {
        source: source.name.clone(),
        mode: Mode::Off,
        scheme: source.dialect.scheme(),
        keys: Vec::new(),
        url_token: None,
        allow_from: Vec::new(),
    };
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let request = Unverified::new(HeaderMap::new(), body.into(), client, None);
    authenticate(request, &policy, Timestamp::UNIX_EPOCH).unwrap_or_else(|reason| {
        unreachable!("a policy that asks for nothing refuses nothing: {reason}")
    })
}

impl Explained<'_> {
    /// For programs.
    pub fn to_json(&self) -> Value {
        let reply = |reply: &ReplyPreview<'_>| {
            let body = serde_json::from_slice(&reply.body).unwrap_or_default();
            (reply.source.to_owned(), body)
        };
        let replies: Map<String, Value> = self.replies.iter().map(reply).collect();
        let mut whole = self.explanation.to_json();
        whole["at"] = json!(self.local_time_with_offset());
        whole["fingerprint"] = json!(self.table.fingerprint);
        whole["replies"] = Value::Object(replies);
        whole
    }

    /// A `[[test]]` that holds what this table does with the call.
    pub fn as_test(&self) -> String {
        let fields = self.question.fields;
        let (from, to) = (fields.from.unmasked(), fields.to.unmasked());
        let mut test = format!("[[test]]\nname = {}\n", quoted(&format!("{from} rings {to}")));
        let mut line = |key: &str, value: &str| {
            writeln!(test, "{key} = {value}").expect("a text takes whatever is written");
        };
        line("from", &quoted(&from));
        line("to", &quoted(&to));
        if fields.channel != Channel::Call {
            line("channel", &quoted(fields.channel.as_str()));
        }
        line("source", &quoted(&self.question.source.name));
        line("at", &quoted(&self.local_time()));
        if !fields.sip.is_empty() {
            // Of one name the last one counts, and a table has each name once.
            let overwritten =
                |at: usize, name: &str| fields.sip[at + 1..].iter().any(|(later, _)| later == name);
            let headers = fields.sip.iter().enumerate();
            let headers = headers.filter(|(at, (name, _))| !overwritten(*at, name));
            line("sip", &inline(headers.map(|(_, (name, value))| (&**name, quoted(value)))));
        }
        line("expect", &self.expectation());
        test
    }

    fn expectation(&self) -> String {
        let decision = &self.explanation.decision;
        let mut expected = Vec::new();
        expected.extend(decision.rule().map(|rule| ("rule", quoted(rule))));
        match decision.outcome() {
            Outcome::Agent(chosen) => expected.push(("agent", quoted(chosen.name))),
            Outcome::Reject("") => expected.push(("reject", "true".to_owned())),
            Outcome::Reject(reason) => expected.push(("reject", quoted(reason))),
            Outcome::Keep(_) => expected.push(("keep", "true".to_owned())),
        }
        let variables = &decision.additions().variables;
        if !variables.is_empty() {
            let variables =
                variables.iter().map(|variable| (variable.name, quoted(&variable.value)));
            expected.push(("variables", inline(variables)));
        }
        let added = decision.additions();
        for (key, object) in
            [("metadata", &added.metadata), ("agent_override", &added.agent_override)]
        {
            expected.extend(object.as_deref().map(|object| (key, table(object))));
        }
        if !added.delay.is_zero() {
            expected.push(("delay_ms", added.delay.as_millis().to_string()));
        }
        inline(expected.into_iter())
    }

    /// On the wall clock of the table, to the minute; with the distance from UTC where that clock
    /// shows the time twice, and this is the second time.
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

/// The rules, the outcome, and the replies.
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

fn table(object: &Map<String, Value>) -> String {
    inline(object.iter().map(|(key, value)| (key.as_str(), toml(value))))
}

/// A value as TOML writes it. Templates make no null.
fn toml(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(list) => format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => table(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// `{ rule = "vip", agent = "desk" }`.
fn inline<'e>(entries: impl Iterator<Item = (&'e str, String)>) -> String {
    let bare = |key: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        !key.is_empty() && key.bytes().all(plain)
    };
    let entries = entries.map(|(key, value)| match bare(key) {
        true => format!("{key} = {value}"),
        false => format!("{} = {value}", quoted(key)),
    });
    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
}

/// A text as TOML writes it. JSON writes it the same way, but for one control character.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
