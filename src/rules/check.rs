//! From the table as written to the table that is used: names are looked up, patterns and
//! templates read, and whatever makes no sense is reported.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::file::{
    At, Entries, Written, WrittenAgent, WrittenIds, WrittenOutcome, WrittenRule, WrittenValue,
};
use super::pattern::{Either, NumberPattern, Numbers};
use super::template::{BadTemplate, Node, Shape, Template};
use super::{Additions, Agent, Asking, Does, Ids, Rule, Surroundings, Table};
use crate::call::{Channel, Platform, Version};
use crate::dialect::{self, METADATA_BYTES};
use crate::report::{Mistake, Place, Report, SourceFile, did_you_mean};

/// Retell stops a caller's patience at about 9 s.
const LONGEST_DELAY_MS: i64 = 8_000;

/// Checks a table. Errors are in the report; the table that is returned then is not to be used.
pub(super) fn check(written: Written, around: &Surroundings, report: &mut Report) -> Option<Table> {
    let digest = Sha256::digest(written.file.text.as_bytes());
    let mut checker = Checker {
        file: written.file,
        report,
        around,
        agents: Vec::new(),
        any_agent: written.agents.is_none(),
        used: HashSet::new(),
    };
    let places = checker.agents(written.agents.unwrap_or_default());
    checker.fallbacks();
    let rules = written.rules.map(|rules| checker.rules(&rules));
    checker.unused(&places);
    let (agents, rules) = (checker.agents, rules?);
    Some(Table { agents, rules, fingerprint: hex::encode(&digest[..6]) })
}

struct Checker<'r> {
    file: Arc<SourceFile>,
    report: &'r mut Report,
    around: &'r Surroundings,
    agents: Vec<Agent>,
    /// There is no `[agents]`: every id is taken as it is.
    any_agent: bool,
    /// Agents that a rule or a fallback names.
    used: HashSet<usize>,
}

impl Checker<'_> {
    fn place(&self, span: &Range<usize>) -> Option<Place> {
        Some(Place { file: self.file.clone(), span: span.clone() })
    }

    fn error(&mut self, code: &'static str, span: &Range<usize>, message: String) -> &mut Mistake {
        let place = self.place(span);
        self.report.error(code, place, message)
    }

    fn warning(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Mistake {
        let place = self.place(span);
        self.report.warning(code, place, message)
    }

    fn agents(&mut self, written: Vec<WrittenAgent>) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        for agent in written {
            let name = agent.name.value.clone().into_boxed_str();
            let read = match agent.ids {
                WrittenIds::Everywhere(id) => self.id(&id).map(|id| (Ids::Everywhere(id), None)),
                WrittenIds::Table(entries) => self.ids(&agent.name, &entries),
                WrittenIds::Unreadable => None,
            };
            let (ids, version) = read.unwrap_or((Ids::ByPlatform(Vec::new()), None));
            self.agents.push(Agent { name, ids, version });
            places.push(agent.name.span);
        }
        places
    }

    fn id(&mut self, id: &At<String>) -> Option<Box<str>> {
        if id.value.trim().is_empty() {
            self.error("empty-id", &id.span, "an agent's id cannot be empty".to_owned());
            return None;
        }
        Some(id.value.as_str().into())
    }

    fn ids(&mut self, agent: &At<String>, entries: &Entries) -> Option<(Ids, Option<Version>)> {
        let mut ids = Vec::new();
        let mut version = None;
        for (key, value) in entries {
            match (key.value.as_str(), &value.value) {
                ("version", WrittenValue::Text(tag)) if !tag.trim().is_empty() => {
                    version = Some(Version::Tag(tag.as_str().into()))
                }
                ("version", WrittenValue::Plain(Value::Number(number))) if number.is_i64() => {
                    version = number.as_i64().map(Version::Number);
                }
                ("version", _) => {
                    let message = "`version` has to be a whole number or a name like `latest`";
                    self.error("wrong-kind", &value.span, message.to_owned());
                }
                (name, WrittenValue::Text(id)) => {
                    let Some(dialect) = dialect::named(name) else {
                        self.unknown_platform(key, &["version"]);
                        continue;
                    };
                    let id = self.id(&At { value: id.clone(), span: value.span.clone() });
                    ids.extend(id.map(|id| (dialect.platform(), id)));
                }
                (name, _) => {
                    let message = format!("the id at {name} has to be a text");
                    self.error("wrong-kind", &value.span, message);
                }
            }
        }
        if entries.iter().all(|(key, _)| key.value == "version") {
            let message = format!("agent `{}` has no id at any platform", agent.value);
            self.error("no-id", &agent.span, message).help("write { retell = \"agent_…\" }");
        }
        Some((Ids::ByPlatform(ids), version))
    }

    fn unknown_platform(&mut self, name: &At<String>, also: &[&str]) {
        let known = dialect::ALL.map(|dialect| dialect.platform().as_str());
        let help = did_you_mean(&name.value, known.into_iter().chain(also.iter().copied()));
        let message = format!("there is no platform `{}`", name.value);
        let all = format!("there are {}", known.join(", "));
        self.error("unknown-platform", &name.span, message).help(all).maybe_help(help);
    }

    fn fallbacks(&mut self) {
        let around = self.around;
        for name in &around.fallback_agents {
            match self.agents.iter().position(|agent| *agent.name == **name) {
                Some(at) => {
                    self.used.insert(at);
                }
                None if self.any_agent => {
                    self.raw_agent(name);
                }
                None => {
                    let help = did_you_mean(name, self.agents.iter().map(|agent| &*agent.name));
                    let message = format!(
                        "the settings say fallback = \"{name}\", and no agent is called so"
                    );
                    self.report.error("unknown-agent", None, message).maybe_help(help);
                }
            }
        }
    }

    fn raw_agent(&mut self, id: &str) -> usize {
        let known = self.agents.iter().position(|agent| &*agent.name == id);
        known.unwrap_or_else(|| {
            self.agents.push(Agent {
                name: id.into(),
                ids: Ids::Everywhere(id.into()),
                version: None,
            });
            self.agents.len() - 1
        })
    }

    fn rules(&mut self, written: &[WrittenRule]) -> Vec<Rule> {
        if written.is_empty() && self.report.errors() == 0 {
            let message = "there is not a single rule".to_owned();
            let help = "the smallest table is [[rule]] with a `name` and an `agent`";
            self.error("no-rules", &(0..0), message).help(help);
        }
        let mut names: HashMap<String, usize> = HashMap::new();
        let mut rules = Vec::with_capacity(written.len());
        for (at, rule) in written.iter().enumerate() {
            let name = self.rule_name(rule, &mut names, at, written);
            let checked = self.rule(rule, name);
            if let (Some(checked), false) = (checked, rule.disabled) {
                rules.push(checked);
            }
        }
        if !rules.iter().any(is_for_everyone) && self.report.errors() == 0 {
            let last = written.last().map_or(0..0, |rule| rule.span.clone());
            let message =
                "no rule is for everyone: who fits none is kept by the platform's own agent";
            self.warning("no-rule-for-everyone", &last, message.to_owned())
                .help("end with a rule that has only a `name` and an outcome");
        }
        rules
    }

    fn rule_name<'w>(
        &mut self,
        rule: &'w WrittenRule,
        names: &mut HashMap<String, usize>,
        at: usize,
        all: &[WrittenRule],
    ) -> &'w str {
        if rule.name_unreadable {
            return "";
        }
        let Some(name) = rule.name.as_ref().filter(|name| !name.value.trim().is_empty()) else {
            let span = rule.name.as_ref().map_or(&rule.span, |name| &name.span);
            self.error("no-name", span, "every rule needs a `name`".to_owned())
                .help("it is what logs and records will say");
            return "";
        };
        if let Some(first) = names.insert(name.value.clone(), at) {
            let place =
                self.place(&all[first].name.as_ref().map_or(0..0, |name| name.span.clone()));
            let line = place.map_or(0, |place| place.line_and_column().0);
            let message = format!("a rule is called `{}` already, on line {line}", name.value);
            self.error("duplicate-name", &name.span, message);
        }
        &name.value
    }

    fn rule(&mut self, written: &WrittenRule, name: &str) -> Option<Rule> {
        let to = self.numbers(&written.to);
        let from = self.numbers(&written.from);
        let channel = self.either(&written.channel, Self::channel);
        let platform = self.either(&written.platform, Self::platform);
        let source = self.either(&written.source, Self::source);
        let adds = self.additions(written, name);
        let does = self.does(written, name)?;
        let rule = Rule { name: name.into(), to, from, channel, platform, source, does, adds };
        if written.disabled {
            return Some(rule);
        }
        match &rule.does {
            Does::Agent(agent) => self.missing_ids(&rule, *agent, written),
            Does::Reject(_) => self.never_sent(written, name),
            Does::Continue => self.adds_nothing(written, name),
            Does::Keep => {}
        }
        self.cut_delay(&rule, written);
        Some(rule)
    }

    fn numbers(&mut self, written: &[At<String>]) -> Numbers {
        self.either(written, |checker, text| {
            let read = NumberPattern::parse(text.value.trim());
            let read = read.map_err(|bad| {
                checker.error(bad.code, &text.span, bad.message).maybe_help(bad.help);
            });
            read.ok()
        })
    }

    /// Takes the `!` off, and reads the rest.
    fn either<T>(
        &mut self,
        written: &[At<String>],
        read: impl Fn(&mut Self, &At<String>) -> Option<T>,
    ) -> Either<T> {
        let mut either = Either::default();
        for text in written {
            let (list, value) = match text.value.trim().strip_prefix('!') {
                Some(rest) => (&mut either.none_of, rest.trim()),
                None => (&mut either.any_of, text.value.trim()),
            };
            list.extend(read(self, &At { value: value.to_owned(), span: text.span.clone() }));
        }
        either
    }

    fn channel(&mut self, text: &At<String>) -> Option<Channel> {
        let found = Channel::ALL.into_iter().find(|channel| channel.as_str() == text.value);
        if found.is_none() {
            let message = format!("there is no channel `{}`", text.value);
            self.error("unknown-channel", &text.span, message).help("there are call, sms");
        }
        found
    }

    fn platform(&mut self, text: &At<String>) -> Option<Platform> {
        let found = dialect::named(&text.value).map(|dialect| dialect.platform());
        if found.is_none() {
            self.unknown_platform(text, &[]);
        }
        found
    }

    fn source(&mut self, text: &At<String>) -> Option<Box<str>> {
        let known = || self.around.sources.iter().map(|asking| asking.source.as_str());
        if !self.around.sources.is_empty() && !known().any(|name| name == text.value) {
            let help = did_you_mean(&text.value, known());
            let all = format!("the settings name {}", known().collect::<Vec<_>>().join(", "));
            let message = format!("there is no source `{}`", text.value);
            self.error("unknown-source", &text.span, message).help(all).maybe_help(help);
        }
        Some(text.value.as_str().into())
    }

    fn does(&mut self, written: &WrittenRule, name: &str) -> Option<Does> {
        let unreadable = |outcome: &At<_>| matches!(outcome.value, WrittenOutcome::Unreadable);
        if written.outcomes.iter().any(unreadable) {
            return None;
        }
        let [outcome] = written.outcomes.as_slice() else {
            let (span, said) = match written.outcomes.as_slice() {
                [.., last] => (&last.span, "more than one"),
                [] => (&written.span, "none"),
            };
            let message = format!(
                "rule `{name}`: say exactly one of `agent`, `reject`, `keep`, `continue`; there is {said}"
            );
            self.error("one-outcome", span, message);
            return None;
        };
        match &outcome.value {
            WrittenOutcome::Agent(agent) => self.agent(&agent.value, &agent.span).map(Does::Agent),
            WrittenOutcome::Reject(reason) => Some(Does::Reject(reason.as_str().into())),
            WrittenOutcome::Keep => Some(Does::Keep),
            WrittenOutcome::Continue => Some(Does::Continue),
            WrittenOutcome::Unreadable => None,
        }
    }

    fn agent(&mut self, name: &str, span: &Range<usize>) -> Option<usize> {
        if name.trim().is_empty() {
            self.error("unknown-agent", span, "an agent's name cannot be empty".to_owned());
            return None;
        }
        if self.any_agent && !name.contains("${") {
            return Some(self.raw_agent(name));
        }
        let found = self.agents.iter().position(|agent| &*agent.name == name);
        if let Some(at) = found {
            self.used.insert(at);
        } else {
            let help = did_you_mean(name, self.agents.iter().map(|agent| &*agent.name));
            let all = "it has to be one of the names in [agents]";
            self.error("unknown-agent", span, format!("there is no agent `{name}`"))
                .help(all)
                .maybe_help(help);
        }
        found
    }

    fn missing_ids(&mut self, rule: &Rule, agent: usize, written: &WrittenRule) {
        let [At { value: WrittenOutcome::Agent(At { span, .. }), .. }] = &written.outcomes[..]
        else {
            return;
        };
        let agent = &self.agents[agent];
        let around = self.around;
        let unreadable = agent.ids == Ids::ByPlatform(Vec::new());
        let lacking = around.sources.iter().find(|asking| {
            may_ask(rule, asking) && !unreadable && agent.id_at(asking.platform).is_none()
        });
        if let Some(Asking { source, platform, .. }) = lacking {
            let message = format!(
                "agent `{}` has no id at {platform}: calls from source `{source}` would be kept by \
                 the platform's own agent",
                agent.name,
            );
            self.warning("no-id-at-platform", span, message)
                .help(format!("give it one, or the rule `platform = \"!{platform}\"`"));
        }
    }

    fn cut_delay(&mut self, rule: &Rule, written: &WrittenRule) {
        let (Some(delay), Some(at)) = (rule.adds.delay, &written.delay_ms) else { return };
        let asking = self.around.sources.iter().filter(|asking| may_ask(rule, asking));
        let Some(least) = asking.min_by_key(|asking| asking.reply_within) else { return };
        if least.reply_within < delay {
            let message = format!(
                "rule `{}`: source `{}` answers within {} ms, so this delay is cut to that",
                rule.name,
                least.source,
                least.reply_within.as_millis(),
            );
            self.warning("delay-over-budget", &at.span, message)
                .help("give the source a longer reply_within_ms");
        }
    }

    fn never_sent(&mut self, written: &WrittenRule, name: &str) {
        if written.metadata.is_some()
            || written.agent_override.is_some()
            || !written.variables.is_empty()
        {
            let message = format!("rule `{name}` rejects: what it adds is never sent");
            self.warning("never-sent", &written.span, message);
        }
    }

    fn adds_nothing(&mut self, written: &WrittenRule, name: &str) {
        let adds = written.metadata.is_some()
            || written.agent_override.is_some()
            || !written.variables.is_empty()
            || written.delay_ms.is_some();
        if !adds {
            let message = format!("rule `{name}` continues and adds nothing");
            self.warning("adds-nothing", &written.span, message)
                .help("give it `variables`, `metadata` or `agent_override`");
        }
    }

    fn additions(&mut self, written: &WrittenRule, rule: &str) -> Additions {
        let variables = written.variables.iter();
        let variables = variables.filter_map(|(name, value)| self.variable(name, value)).collect();
        let metadata = written.metadata.as_ref().map(|entries| self.shape(entries));
        let agent_override = written.agent_override.as_ref().map(|entries| {
            self.agent_override(entries);
            self.shape(entries)
        });
        self.metadata_size(written, rule);
        Additions { variables, metadata, agent_override, delay: self.delay(written, rule) }
    }

    fn variable(
        &mut self,
        name: &At<String>,
        value: &At<WrittenValue>,
    ) -> Option<(Box<str>, Template)> {
        let text = match &value.value {
            WrittenValue::Text(text) => text.clone(),
            WrittenValue::Plain(plain) => {
                let message = format!("variable `{}` is sent as the text \"{plain}\"", name.value);
                self.warning("sent-as-text", &value.span, message)
                    .help(format!("platforms take only texts: write \"{plain}\""));
                plain.to_string()
            }
            WrittenValue::List(_) | WrittenValue::Table(_) => {
                let message = format!("variable `{}` has to be a text", name.value);
                self.error("wrong-kind", &value.span, message).help(
                    "platforms take only texts as variables; lists and tables go into `metadata`",
                );
                return None;
            }
        };
        let template = self.template(&text, &value.span)?;
        Some((name.value.as_str().into(), template))
    }

    fn template(&mut self, text: &str, span: &Range<usize>) -> Option<Template> {
        self.double_braces(text, span);
        match Template::parse(text) {
            Ok(template) => Some(template),
            Err(mistakes) => {
                let inside = span.start + 1..span.end.saturating_sub(1);
                let as_is = self.file.text.get(inside.clone()) == Some(text);
                for BadTemplate { code, at, message, help } in mistakes {
                    let exact = inside.start + at.start..inside.start + at.end;
                    let span = if as_is { &exact } else { span };
                    self.error(code, span, message).maybe_help(help);
                }
                None
            }
        }
    }

    /// `{{from}}` is the platform's way to write a variable; `${from}` was perhaps meant.
    fn double_braces(&mut self, text: &str, span: &Range<usize>) {
        let ours = ["from", "to", "channel", "source", "rule"];
        let meant = ours.into_iter().find(|name| text.contains(&format!("{{{{{name}}}}}")));
        if let Some(name) = meant {
            let message = format!("{{{{{name}}}}} is left to the platform as it is");
            self.warning("double-braces", span, message)
                .help(format!("for the call's own value write ${{{name}}}"));
        }
    }

    fn shape(&mut self, entries: &Entries) -> Shape {
        Shape::new(self.nodes(entries))
    }

    fn nodes(&mut self, entries: &Entries) -> Vec<(Box<str>, Node)> {
        let read = entries
            .iter()
            .filter_map(|(name, value)| Some((name.value.as_str().into(), self.node(value)?)));
        read.collect()
    }

    fn node(&mut self, value: &At<WrittenValue>) -> Option<Node> {
        Some(match &value.value {
            WrittenValue::Text(text) => Node::Text(self.template(text, &value.span)?),
            WrittenValue::Plain(plain) => Node::Plain(plain.clone()),
            WrittenValue::List(list) => {
                Node::List(list.iter().filter_map(|item| self.node(item)).collect())
            }
            WrittenValue::Table(entries) => Node::Table(self.nodes(entries)),
        })
    }

    fn metadata_size(&mut self, written: &WrittenRule, rule: &str) {
        let Some(entries) = &written.metadata else {
            return;
        };
        let bytes: usize = entries.iter().map(|(name, value)| name.value.len() + size(value)).sum();
        if bytes > METADATA_BYTES {
            let message = format!(
                "rule `{rule}`: metadata of {bytes} bytes, and {METADATA_BYTES} are the most"
            );
            self.error("metadata-too-big", &written.span, message);
        }
    }

    fn delay(&mut self, written: &WrittenRule, rule: &str) -> Option<Duration> {
        let delay = written.delay_ms.as_ref()?;
        if !(0..=LONGEST_DELAY_MS).contains(&delay.value) {
            let message = format!(
                "rule `{rule}`: delay_ms is {}, and has to be 0 to {LONGEST_DELAY_MS}",
                delay.value
            );
            self.error("delay-too-long", &delay.span, message)
                .help("the platforms give up on a request after about 9 seconds");
            return None;
        }
        Some(Duration::from_millis(delay.value.unsigned_abs()))
    }

    /// Warns of numbers outside the ranges that have been stable; everything is sent as written.
    fn agent_override(&mut self, entries: &Entries) {
        const RANGES: [(&str, f64, f64); 9] = [
            ("voice_temperature", 0.0, 2.0),
            ("voice_speed", 0.5, 2.0),
            ("volume", 0.0, 2.0),
            ("responsiveness", 0.0, 1.0),
            ("interruption_sensitivity", 0.0, 1.0),
            ("max_call_duration_ms", 60_000.0, 7_200_000.0),
            ("end_call_after_silence_ms", 10_000.0, f64::INFINITY),
            ("begin_message_delay_ms", 0.0, 5_000.0),
            ("reminder_max_count", 0.0, f64::INFINITY),
        ];
        for (name, value) in entries {
            let known = RANGES.iter().find(|(key, ..)| *key == name.value);
            if let WrittenValue::Table(inner) = &value.value {
                self.agent_override(inner);
            }
            let WrittenValue::Plain(Value::Number(number)) = &value.value else { continue };
            let Some((key, least, most)) = known else { continue };
            if !number.as_f64().is_some_and(|number| (*least..=*most).contains(&number)) {
                let range = if most.is_finite() {
                    format!("outside of {least} to {most}")
                } else {
                    format!("less than {least}")
                };
                let message = format!("{key} = {number} is {range}");
                self.warning("outside-range", &value.span, message)
                    .help("it is sent as written, and the platform may refuse it");
            }
        }
    }

    fn unused(&mut self, places: &[Range<usize>]) {
        if self.report.errors() > 0 {
            return;
        }
        for (at, place) in places.iter().enumerate() {
            if !self.used.contains(&at) {
                let message = format!("no rule uses the agent `{}`", self.agents[at].name);
                self.warning("unused-agent", place, message);
            }
        }
    }
}

/// Whether calls of this source can come to the rule.
fn may_ask(rule: &Rule, asking: &Asking) -> bool {
    let channels = dialect::named(asking.platform.as_str()).map(|dialect| dialect.channels());
    let asks_on = |channel: &Channel| rule.channel.holds(|one| one == channel);
    channels.unwrap_or_default().iter().any(asks_on)
        && rule.platform.holds(|platform| *platform == asking.platform)
        && rule.source.holds(|source| **source == *asking.source)
}

fn is_for_everyone(rule: &Rule) -> bool {
    let anything = rule.to.is_anything()
        && rule.from.is_anything()
        && rule.channel.is_anything()
        && rule.platform.is_anything()
        && rule.source.is_anything();
    anything && rule.does != Does::Continue
}

fn size(value: &At<WrittenValue>) -> usize {
    match &value.value {
        WrittenValue::Text(text) => text.len(),
        WrittenValue::Plain(plain) => plain.to_string().len(),
        WrittenValue::List(list) => list.iter().map(size).sum(),
        WrittenValue::Table(entries) => {
            entries.iter().map(|(name, value)| name.value.len() + size(value)).sum()
        }
    }
}
