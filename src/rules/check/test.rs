//! Check of a `[[test]]`: its call and its expectation, before it runs.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::Checker;
use crate::diagnostics::did_you_mean;
use crate::dialect;
use crate::domain::call::{Channel, Fields, Platform};
use crate::domain::decision::Object;
use crate::domain::phone_number::Party;
use crate::rules::load::raw::{Entries, RawExpectation, RawTest, RawValue, Spanned};
use crate::rules::model::pattern::matches_many;
use crate::rules::{Expected, Test, parse_timestamp};

/// Source of tests if the settings are unknown.
const NO_SOURCE: &str = "test";

impl Checker<'_> {
    /// Checks a test. Reports errors and returns `None`.
    pub(super) fn test(&mut self, written: &RawTest) -> Option<Test> {
        let before = self.reporter.report.error_count();
        let named = written.name.as_ref().filter(|name| !name.value.trim().is_empty());
        if named.is_none() && !written.invalid {
            let span = written.name.as_ref().map_or(&written.span, |name| &name.span);
            self.reporter
                .error("no-name", span, "every test needs a `name`".to_owned())
                .help("name what it tests");
        }
        let channel = written.channel.as_ref().and_then(|channel| self.channel(channel));
        let fields = Fields {
            from: self.party(written.from.as_ref()),
            to: self.party(written.to.as_ref()),
            sip: self.headers(&written.sip),
            ..Fields::unknown(channel.unwrap_or(Channel::Call))
        };
        let (source, platform) = self.asking(written, fields.channel);
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let at = written.at.as_ref().and_then(|at| {
            parse_timestamp(&at.value, &zone)
                .map_err(|bad| self.reporter.problem(&at.span, bad))
                .ok()
        });
        let expected = match &written.expect {
            Some(expect) => self.expected(expect),
            None => {
                if !written.invalid {
                    self.reporter
                        .error(
                            "no-expectation",
                            &written.span,
                            "the test expects nothing".to_owned(),
                        )
                        .help("set expect = { rule = \"…\", agent = \"…\" }");
                }
                return None;
            }
        };
        let place = self.reporter.location(&named?.span);
        let name = named?.value.as_str().into();
        let good = !written.invalid && self.reporter.report.error_count() == before;
        good.then_some(Test { name, fields, source, platform, at, expected, location: place })
    }

    fn party(&mut self, written: Option<&Spanned<String>>) -> Party {
        let text = written.map(|text| text.value.as_str());
        if let Some(Spanned { value: text, span }) = written
            && matches_many(text)
        {
            let message = format!("`{text}` is a pattern; a test needs the number of one call");
            self.reporter.error("bad-number", span, message).help("for example +12137771234");
        }
        Party::parse(text).party
    }

    fn headers(
        &mut self,
        written: &Entries,
    ) -> Vec<(std::borrow::Cow<'static, str>, std::borrow::Cow<'static, str>)> {
        let texts = self.texts(written);
        let lower = texts.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        lower.map(|(name, value)| (name.into(), value.into_string().into())).collect()
    }

    fn texts(&mut self, written: &Entries) -> Vec<(Box<str>, Box<str>)> {
        let mut texts = Vec::new();
        for (name, value) in written {
            let text = match &value.value {
                RawValue::Text(text) => text.as_str().into(),
                RawValue::Plain(plain) => plain.to_string().into(),
                RawValue::List(_) | RawValue::Table(_) => {
                    let message = format!("`{}` must be a string", name.value);
                    self.reporter.error("wrong-kind", &value.span, message);
                    continue;
                }
            };
            texts.push((name.value.as_str().into(), text));
        }
        texts
    }

    /// Returns the source and platform of a test: those that it names, otherwise the first source of the
    /// settings that has this channel.
    fn asking(&mut self, written: &RawTest, channel: Channel) -> (Box<str>, Platform) {
        let platform = written.platform.as_ref().and_then(|platform| self.platform(platform));
        let source = written.source.as_ref().and_then(|source| self.source(source));
        let sources = &self.context.sources;
        let named = source.as_ref().map(|source| {
            let known = sources.iter().find(|asking| *asking.source == **source);
            (source.clone(), known.map(|asking| asking.platform))
        });
        let asks_so = |asked: Platform| {
            let channels = dialect::by_name(asked.as_str()).map(|dialect| dialect.channels());
            platform.is_none_or(|platform| platform == asked)
                && channels.is_some_and(|channels| channels.contains(&channel))
        };
        let first = dialect::ALL[0].platform();
        match named {
            Some((source, at)) => (source, platform.or(at).unwrap_or(first)),
            None => match sources.iter().find(|asking| asks_so(asking.platform)) {
                Some(asking) => (asking.source.as_str().into(), asking.platform),
                None => (NO_SOURCE.into(), platform.unwrap_or(first)),
            },
        }
    }

    fn expected(&mut self, written: &RawExpectation) -> Expected {
        let before = self.reporter.report.error_count();
        if let Some(rule) = &written.rule {
            self.rule_exists(rule);
        }
        if let Some(agent) = &written.agent {
            self.agent_exists(agent);
        }
        let reason = written.reject.as_ref().and_then(|reject| reject.value.as_deref());
        let outcome = self.one_outcome(written);
        let delay = written.delay_ms.as_ref().and_then(|at| self.milliseconds(at, "this test"));
        let expected = Expected {
            rule: written.rule.as_ref().map(|rule| rule.value.as_str().into()),
            agent: written.agent.as_ref().map(|agent| agent.value.as_str().into()),
            outcome,
            reason: reason.map(Box::from),
            variables: self.texts(&written.variables),
            metadata: written.metadata.as_ref().map(object).unwrap_or_default(),
            agent_override: written.agent_override.as_ref().map(object).unwrap_or_default(),
            delay,
        };
        if expected.is_empty() && self.reporter.report.error_count() == before && !written.invalid {
            self.reporter
                .error("no-expectation", &written.span, "the test expects nothing".to_owned())
                .help("expect a `rule`, an `agent`, `variables`, `reject` or `keep`");
        }
        expected
    }

    /// Returns the expected outcome, if there is one.
    fn one_outcome(&mut self, written: &RawExpectation) -> Option<Box<str>> {
        let said = [
            written.agent.as_ref().map(|agent| (&agent.span, "agent")),
            written.reject.as_ref().map(|reject| (&reject.span, "reject")),
            written.keep.as_ref().map(|keep| (&keep.span, "keep")),
        ];
        let mut said: Vec<_> =
            said.into_iter().flatten().map(|(span, word)| (span, word.into())).collect();
        if let Some(outcome) = &written.outcome {
            said.extend(self.outcome_word(outcome).map(|word| (&outcome.span, word)));
        }
        let (_, first) = said.first().cloned()?;
        if let Some((span, other)) = said.iter().find(|(_, word)| *word != first) {
            let message = format!("a call has one outcome; the test expects {first} and {other}");
            self.reporter.error("one-outcome", span, message);
        }
        // An agent is compared by its name.
        Some(first).filter(|_| written.agent.is_none())
    }

    fn rule_exists(&mut self, rule: &Spanned<String>) {
        if let Some(at) = self.rules_by_name.find(&rule.value, |at| &self.rules[at].name) {
            if self.off.contains(&at) {
                let message = format!("rule `{}` is disabled, so no call reaches it", rule.value);
                self.reporter
                    .error("unknown-rule", &rule.span, message)
                    .help("remove the test, or `enabled = false` from the rule");
            }
            return;
        }
        let near = did_you_mean(&rule.value, self.rules.iter().map(|rule| &*rule.name));
        let message = format!("unknown rule `{}`", rule.value);
        self.reporter.error("unknown-rule", &rule.span, message).maybe_help(near);
    }

    fn agent_exists(&mut self, agent: &Spanned<String>) {
        if self.any_agent || self.agent_named(&agent.value).is_some() {
            return;
        }
        self.no_such_agent(&agent.value, &agent.span);
    }

    fn outcome_word(&mut self, written: &Spanned<String>) -> Option<Box<str>> {
        let known = ["agent", "reject", "keep"];
        if known.contains(&&*written.value) {
            return Some(written.value.as_str().into());
        }
        let message = format!("unknown outcome `{}`", written.value);
        self.reporter
            .error("unknown-outcome", &written.span, message)
            .help("use agent, reject or keep");
        None
    }
}

fn object(entries: &Entries) -> Object {
    entries.iter().map(|(name, value)| (name.value.clone(), json(value))).collect()
}

fn json(value: &Spanned<RawValue>) -> Value {
    match &value.value {
        RawValue::Text(text) => Value::String(text.clone()),
        RawValue::Plain(plain) => plain.clone(),
        RawValue::List(list) => list.iter().map(json).collect(),
        RawValue::Table(entries) => Value::Object(object(entries)),
    }
}
