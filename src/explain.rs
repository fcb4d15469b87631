//! Explanations of decisions, for `switchboard explain` and the admin listener.
//!
//! The explained call is synthetic: no reply is sent.

pub mod query;
pub mod recorded;
pub mod view;

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::authenticate::{Mode, Policy, RequestHead, Unverified, Verified, authenticate};
use crate::diagnostics;
use crate::dialect::{Incoming, Reply, remove_unsent};
use crate::domain::call::{Call, Channel, Fields, Platform};
use crate::domain::decision::{Decision, Outcome};
use crate::domain::effect::Effect;
use crate::domain::facts::{Facts, LookupAnswer, LookupId, LookupState};
use crate::domain::party::{NumberReading, Party};
use crate::lookup::{HistorySource, LookupService, describe_question};
use crate::rules::engine::explain::{
    Explanation, IndexMismatch, Listed, explain, left_out_json, write_left_out,
};
use crate::rules::engine::{decide_offline, unanswered_lookups};
use crate::rules::{HISTORY, Lookup, RuleSet, of_new_caller, of_withheld_caller, parse_timestamp};
use crate::source::Source;
use crate::toml_advice::{quote, written_key};

/// A call to explain.
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// Source of the call.
    pub source: &'q Source,
    /// Fields of the call.
    pub fields: &'q Fields<'q>,
    /// Facts at the time of the call.
    pub facts: &'q Facts,
    /// Rules to list.
    pub listed: Listed<'q>,
}

/// An explained call, with the reply that each platform would receive.
pub struct Explained<'q> {
    question: Question<'q>,
    table: &'q RuleSet,
    /// Fields of the call, as its source sends them.
    fields: Fields<'q>,
    /// Facts that the question has and the source never sends.
    unsent: Vec<String>,
    explanation: Explanation<'q>,
    lookups: Vec<ExplainedLookup>,
    replies: Vec<ReplyPreview<'q>>,
    /// The call is a recorded one, about which nothing can be asked any more.
    is_recorded: bool,
}

/// A look-up that the decision needed.
struct ExplainedLookup {
    name: String,
    /// What was or would be asked, without secrets.
    question: Option<String>,
    answer: LookupAnswer,
}

/// The reply that a platform would receive.
struct ReplyPreview<'q> {
    source: &'q str,
    platform: Platform,
    rule: Option<&'q str>,
    reply: Reply,
    effects: Vec<Effect>,
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
    let Question { source, fields: given, facts, listed } = question;
    let mut own_fields = given.clone();
    let unsent = remove_unsent(&*source.dialect, &mut own_fields);
    let call = Call::synthetic(&source.name, source.dialect.platform(), own_fields.clone());
    let explanation = explain(table, &call, facts, listed)?;
    let lookups = explained_lookups(table, &call, facts);
    let mut replies: Vec<ReplyPreview<'_>> = Vec::new();
    for source in std::iter::once(source).chain(sources) {
        let platform = source.dialect.platform();
        let has_channel = source.dialect.channels().contains(&given.channel);
        if replies.iter().any(|reply| reply.platform == platform) || !has_channel {
            continue;
        }
        let mut fields = given.clone();
        remove_unsent(&*source.dialect, &mut fields);
        let call = Call::synthetic(&source.name, platform, fields.clone());
        let decision = decide_offline(table, &call, facts);
        let decision = source.with_variables_of_stand_in(table, decision);
        let reply = source.render(table, call.channel(), Some(&call), &decision);
        let effects = effects_of(source, table, &fields, &decision);
        replies.push(ReplyPreview {
            source: &source.name,
            platform,
            rule: decision.rule(),
            reply,
            effects,
        });
    }
    Ok(Explained {
        question,
        table,
        fields: own_fields,
        unsent,
        explanation,
        lookups,
        replies,
        is_recorded: false,
    })
}

/// Returns the requests that would carry out a decision. A call that did not arrive has no id, and none of the
/// attributes that they need.
fn effects_of(
    source: &Source,
    table: &RuleSet,
    fields: &Fields<'_>,
    decision: &Decision<'_>,
) -> Vec<Effect> {
    if source.dialect.api().is_none() {
        return Vec::new();
    }
    let call_id = fields.call_id.clone().or(Some("CALL-ID".into()));
    let mut fields = Fields { call_id, ..fields.clone() };
    for name in source.dialect.attributes_of_effects() {
        if fields.attribute(name).is_none() {
            let stand_in = name.to_uppercase().replace('_', "-");
            fields.attributes.push(((*name).into(), stand_in.into()));
        }
    }
    let call = Call::synthetic(&source.name, source.dialect.platform(), fields);
    source.effects(table, &call, decision)
}

/// Asks the look-ups that the decision about a call needs, and returns the facts with their answers. Those that
/// the facts have already are not asked.
pub async fn ask_lookups(
    lookups: &LookupService,
    table: &RuleSet,
    source: &Source,
    fields: &Fields<'_>,
    mut facts: Facts,
    history: HistorySource<'_>,
) -> Facts {
    let call = Call::synthetic(&source.name, source.dialect.platform(), fields.clone());
    lookups.gather(table, &call, history, &mut facts).await;
    facts
}

/// Returns the look-ups that have answered, and those that the decision does without.
fn explained_lookups(table: &RuleSet, call: &Call<'_>, facts: &Facts) -> Vec<ExplainedLookup> {
    let answers = facts.lookups.iter().map(|(id, answer)| (id, answer.clone()));
    let unanswered = unanswered_lookups(table, call, facts).into_iter();
    let unanswered = unanswered.map(|id| (id, LookupAnswer::unknown(LookupState::NotAsked)));
    let explained = answers.chain(unanswered).map(|(id, mut answer)| {
        let lookup = id.position().map(|position| &table.lookups[position]);
        if answer.state == LookupState::NotAsked {
            answer.problem = reason_not_to_ask(lookup, call).map(Into::into).or(answer.problem);
        }
        let question = lookup.and_then(|lookup| describe_question(lookup, call));
        ExplainedLookup { name: table.lookup_name(id).to_owned(), question, answer }
    });
    explained.collect()
}

/// Returns why a look-up, or else the history, is never asked about a call, if that is so.
fn reason_not_to_ask(lookup: Option<&Arc<Lookup>>, call: &Call<'_>) -> Option<String> {
    let Some(lookup) = lookup else {
        let is_withheld = *call.from() == Party::Withheld;
        return is_withheld.then(|| "the number is withheld".to_owned());
    };
    let missing = lookup.required_values().into_iter().find(|value| value.of(call).is_none())?;
    Some(format!("it needs `{missing}`, which this call does not have"))
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
        Some(_) | None if all => Ok(Listed::All),
        Some(name) => Ok(Listed::And(name)),
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
        scheme: source.policy.scheme.clone(),
        public_base_url: None,
        secrets: ArcSwap::default(),
        allow_from: Vec::new(),
    };
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let request = Unverified::new(RequestHead::new(HeaderMap::new(), client, None), body.into());
    authenticate(request, &policy, Timestamp::UNIX_EPOCH).unwrap_or_else(|reason| {
        unreachable!("a policy without requirements refused a request: {reason}")
    })
}

/// Returns the body of a reply: JSON, or else its text.
fn shown_body(reply: &Reply) -> Value {
    let body = reply.body();
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into())
}

fn effect_json(effect: &Effect) -> Value {
    let mut json = json!({ "action": effect.action, "path": effect.path, "body": effect.body });
    if let Some(problem) = effect.problem() {
        json["problem"] = problem.into();
    }
    json
}

impl Explained<'_> {
    /// Returns the explanation as JSON.
    pub fn to_json(&self) -> Value {
        let reply =
            |preview: &ReplyPreview<'_>| (preview.source.to_owned(), shown_body(&preview.reply));
        let replies: Map<String, Value> = self.replies.iter().map(reply).collect();
        let own = self.replies.first().map(|preview| preview.reply.left_out());
        let mut json = self.explanation.to_json();
        json["at"] = json!(self.local_time_with_offset());
        json["fingerprint"] = json!(self.table.fingerprint);
        json["lookups"] = self.lookups.iter().map(ExplainedLookup::to_json).collect();
        if let Some(left_out) = json["left_out"].as_array_mut() {
            left_out.extend(own.into_iter().flatten().map(left_out_json));
        }
        json["replies"] = Value::Object(replies);
        if !self.unsent.is_empty() {
            json["not_sent"] = json!(self.unsent);
        }
        let with_effects = self.replies.iter().filter(|preview| !preview.effects.is_empty());
        let effects: Map<String, Value> = with_effects
            .map(|preview| {
                (preview.source.to_owned(), preview.effects.iter().map(effect_json).collect())
            })
            .collect();
        if !effects.is_empty() {
            json["effects"] = Value::Object(effects);
        }
        json
    }

    /// Returns which facts of the question the source never sends, in words.
    fn unsent_note(&self) -> Option<String> {
        let source = self.question.source;
        let (name, platform) = (&source.name, source.dialect.platform());
        let facts = self.unsent.join(", ");
        (!facts.is_empty())
            .then(|| format!("source {name} ({platform}) never sends {facts}: decided without"))
    }

    /// Returns a `[[test]]` that expects this decision.
    pub fn as_test(&self) -> String {
        let fields = &self.fields;
        let (from, to) = (as_party(&fields.from), as_party(&fields.to));
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
        if let Some(id) = &fields.number_id {
            line("number_id", &quote(id));
        }
        if !fields.attributes.is_empty() {
            let attributes = fields.attributes.iter();
            line("attr", &inline_table(attributes.map(|(name, value)| (&**name, quote(value)))));
        }
        let found = |lookup: &&ExplainedLookup| lookup.answer.has_value();
        let (history, others): (Vec<_>, Vec<_>) =
            self.lookups.iter().filter(found).partition(|lookup| lookup.name == HISTORY);
        let value = |lookup: &ExplainedLookup| to_toml(&without_nulls(&lookup.answer.value));
        history.iter().for_each(|lookup| line("history", &value(lookup)));
        if !others.is_empty() {
            let answers = others.iter().map(|lookup| (lookup.name.as_str(), value(lookup)));
            line("lookup", &inline_table(answers));
        }
        line("expect", &self.expectation());
        test
    }

    /// Returns the decision that the test leads to. A test without a `history` is about a caller without
    /// earlier calls, where an explanation may know nothing about them.
    fn decision_of_test(&self) -> Decision<'_> {
        let Question { source, facts, .. } = self.question;
        // A test has no agent of the platform.
        let fields = Fields { agent: None, agent_version: None, ..self.fields.clone() };
        let call = Call::synthetic(&source.name, source.dialect.platform(), fields);
        let mut of_test = Facts::at(facts.at);
        for (id, answer) in facts.lookups.iter().filter(|(_, answer)| answer.has_value()) {
            of_test.lookups.insert(id, answer.clone());
        }
        let history = match call.from() {
            Party::Withheld => of_withheld_caller(),
            Party::Number(_) | Party::Literal(_) => LookupAnswer::found(of_new_caller()),
        };
        of_test.lookups.insert(LookupId::HISTORY, history);
        decide_offline(self.table, &call, &of_test)
    }

    fn expectation(&self) -> String {
        let decision = self.decision_of_test();
        let mut expected = Vec::new();
        expected.extend(decision.rule().map(|rule| ("rule", quote(rule))));
        match decision.outcome() {
            Outcome::Agent(selected) => expected.push(("agent", quote(selected.name))),
            Outcome::Reject("") => expected.push(("reject", "true".to_owned())),
            Outcome::Reject(reason) => expected.push(("reject", quote(reason))),
            Outcome::Transfer(target) => expected.push(("transfer", quote(&target.unmasked()))),
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
        expected.extend(additions.say.as_ref().map(|text| ("say", quote(text))));
        if !additions.sip_headers.is_empty() {
            let headers = additions.sip_headers.iter();
            let headers = headers.map(|header| (header.name, quote(&header.value)));
            expected.push(("sip_headers", inline_table(headers)));
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
        if let Some(note) = self.unsent_note() {
            writeln!(f, "\n{note}")?;
        }
        for lookup in &self.lookups {
            lookup.write(f, self.is_recorded)?;
        }
        for ReplyPreview { source, platform, rule, reply, effects } in &self.replies {
            let rule = rule.map_or("no rule".to_owned(), |rule| format!("rule `{rule}`"));
            write!(f, "\nreply to source {source} ({platform}), by {rule}:\n")?;
            let body = shown_body(reply);
            match body.as_str() {
                Some(text) => writeln!(f, "{text}")?,
                None => writeln!(f, "{body:#}")?,
            }
            write_left_out(f, reply.left_out())?;
            for effect in effects {
                match effect.problem() {
                    Some(problem) => writeln!(f, "then {}, {problem}", effect.action)?,
                    None => writeln!(f, "then POST {}\n{:#}", effect.path, effect.body)?,
                }
            }
        }
        Ok(())
    }
}

impl ExplainedLookup {
    fn to_json(&self) -> Value {
        let ExplainedLookup { name, question, answer } = self;
        json!({
            "name": name,
            "question": question,
            "state": answer.state.as_str(),
            "value": *answer.value,
            "took_ms": answer.took.as_millis() as u64,
            "cached": answer.cached,
            "problem": answer.problem.as_deref(),
        })
    }

    /// Prints the question, the answer and the time.
    fn write(&self, f: &mut fmt::Formatter<'_>, is_recorded: bool) -> fmt::Result {
        const MAX_CHARS: usize = 400;
        let ExplainedLookup { name, question, answer } = self;
        write!(f, "\nlook-up {name}: {}", answer.state.as_str().replace('_', " "))?;
        match &answer.problem {
            Some(problem) => write!(f, ", {problem}")?,
            None if answer.state != LookupState::NotAsked => {}
            None if is_recorded => write!(f, " at the time of the call")?,
            None => write!(f, "; --live asks")?,
        }
        if answer.state != LookupState::NotAsked {
            let from_cache = if answer.cached { ", from the cache" } else { "" };
            write!(f, " ({} ms{from_cache})", answer.took.as_millis())?;
        }
        if let Some(question) = question {
            write!(f, "\n  {question}")?;
        }
        if answer.has_value() {
            let value = answer.value.to_string();
            let shown: String = value.chars().take(MAX_CHARS).collect();
            let more = if shown.len() < value.len() { "…" } else { "" };
            write!(f, "\n  {shown}{more}")?;
        }
        writeln!(f)
    }
}

/// TOML has no null; an absent field is unknown, too.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        // An empty text is unknown as well, and the other items keep their places.
        Value::Array(items) => {
            let item = |item: &Value| if item.is_null() { "".into() } else { without_nulls(item) };
            items.iter().map(item).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
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
    let entries = entries.map(|(key, value)| format!("{} = {value}", written_key(key)));
    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
}

/// Returns a party as a test has it: `=` before a text that may be a national number, so that it stays a text.
fn as_party(party: &Party) -> Cow<'_, str> {
    let text = party.unmasked();
    let is_text = matches!(party, Party::Literal(_));
    let is_number = Party::parse(Some(&text)).reading != NumberReading::AsSent;
    match is_text && (is_number || text.starts_with('=')) {
        true => Cow::Owned(format!("={text}")),
        false => text,
    }
}
