//! Tests of a table, `[[test]]`: their calls and expectations, before they run.

use serde_json::Value;

use super::definitions::Definitions;
use super::raw_table::RawTable;
use super::reporter::Reporter;
use super::rules::CheckedRules;
use super::values;
use crate::diagnostics::did_you_mean;
use crate::dialect;
use crate::domain::call::{Channel, Fields, Platform};
use crate::domain::decision::Object;
use crate::domain::party::{NumberFormat, Party};
use crate::rules::load::chunks::ChunkKind;
use crate::rules::load::raw::{Entries, RawExpectation, RawTest, RawValue, Spanned, parse};
use crate::rules::model::pattern::matches_many;
use crate::rules::{CheckContext, Expected, Test, parse_timestamp};

/// Source of tests if the settings are unknown.
const DEFAULT_SOURCE: &str = "test";

/// Checks the tests of a table whose definitions and rules have been checked.
pub(super) struct TestChecker<'c, 'r> {
    pub(super) context: &'c CheckContext,
    pub(super) definitions: &'c Definitions,
    pub(super) rules: &'c CheckedRules,
    pub(super) reporter: &'c mut Reporter<'r>,
}

impl TestChecker<'_, '_> {
    /// Checks the tests of all files: first those among definitions, then the others.
    pub(super) fn check(mut self, mut table: RawTable) -> Vec<Test> {
        let mut tests = Vec::new();
        for file in &mut table.files {
            self.reporter.set_file(&file.source);
            let inline = file.definitions.drain(..).flat_map(|definitions| definitions.tests);
            tests.extend(inline.filter_map(|test| self.test(&test)));
        }
        for file in table.files {
            self.reporter.set_file(&file.source);
            for chunk in file.chunks.iter().filter(|chunk| chunk.kind == ChunkKind::Tests) {
                for test in self.reporter.parse_chunk(&chunk.span, parse::tests) {
                    tests.extend(self.test(&test));
                }
            }
        }
        tests
    }

    /// Checks a test. Reports errors and returns `None`.
    fn test(&mut self, raw: &RawTest) -> Option<Test> {
        let before = self.reporter.report.error_count();
        let named = raw.name.as_ref().filter(|name| !name.value.trim().is_empty());
        if named.is_none() && !raw.invalid {
            let span = raw.name.as_ref().map_or(&raw.span, |name| &name.span);
            self.reporter
                .error("no-name", span, "every test needs a `name`".to_owned())
                .help("name what it tests");
        }
        let channel = raw.channel.as_ref().and_then(|text| values::channel(text, self.reporter));
        let fields = Fields {
            from: self.party(raw.from.as_ref()),
            to: self.party(raw.to.as_ref()),
            sip: self.headers(&raw.sip),
            ..Fields::unknown(channel.unwrap_or(Channel::Call))
        };
        let (source, platform) = self.source_of(raw, fields.channel);
        let zone = self.definitions.zone.get();
        let at = raw.at.as_ref().and_then(|at| {
            parse_timestamp(&at.value, &zone)
                .map_err(|problem| self.reporter.problem(&at.span, problem))
                .ok()
        });
        let expected = match &raw.expect {
            Some(expect) => self.expected(expect),
            None => {
                if !raw.invalid {
                    self.reporter
                        .error("no-expectation", &raw.span, "the test expects nothing".to_owned())
                        .help("set expect = { rule = \"…\", agent = \"…\" }");
                }
                return None;
            }
        };
        let location = self.reporter.location(&named?.span);
        let name = named?.value.as_str().into();
        let is_valid = !raw.invalid && self.reporter.report.error_count() == before;
        is_valid.then_some(Test { name, fields, source, platform, at, expected, location })
    }

    fn party(&mut self, raw: Option<&Spanned<String>>) -> Party {
        let text = raw.map(|text| text.value.as_str());
        if let Some(Spanned { value: text, span }) = raw
            && matches_many(text)
        {
            let message = format!("`{text}` is a pattern; a test needs the number of one call");
            self.reporter
                .error("bad-number", span, message)
                .help("write a number like `+12137771234`");
        }
        let country = self.definitions.country;
        NumberFormat { country, ..NumberFormat::default() }.parse(text).party
    }

    fn headers(
        &mut self,
        raw: &Entries,
    ) -> Vec<(std::borrow::Cow<'static, str>, std::borrow::Cow<'static, str>)> {
        let texts = self.texts(raw);
        let lower = texts.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        lower.map(|(name, value)| (name.into(), value.into_string().into())).collect()
    }

    fn texts(&mut self, raw: &Entries) -> Vec<(Box<str>, Box<str>)> {
        let mut texts = Vec::new();
        for (name, value) in raw {
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
    fn source_of(&mut self, raw: &RawTest, channel: Channel) -> (Box<str>, Platform) {
        let platform = raw.platform.as_ref().and_then(|text| values::platform(text, self.reporter));
        let source =
            raw.source.as_ref().and_then(|text| values::source(text, self.context, self.reporter));
        let sources = &self.context.sources;
        let named = source.as_ref().map(|source| {
            let known = sources.iter().find(|known| *known.source == **source);
            (source.clone(), known.map(|known| known.platform))
        });
        let fits = |other: Platform| {
            let channels = dialect::by_name(other.as_str()).map(|dialect| dialect.channels());
            platform.is_none_or(|platform| platform == other)
                && channels.is_some_and(|channels| channels.contains(&channel))
        };
        let first = dialect::ALL[0].platform();
        match named {
            Some((source, known)) => (source, platform.or(known).unwrap_or(first)),
            None => match sources.iter().find(|source| fits(source.platform)) {
                Some(source) => (source.source.as_str().into(), source.platform),
                None => (DEFAULT_SOURCE.into(), platform.unwrap_or(first)),
            },
        }
    }

    fn expected(&mut self, raw: &RawExpectation) -> Expected {
        let before = self.reporter.report.error_count();
        if let Some(rule) = &raw.rule {
            self.check_rule(rule);
        }
        if let Some(agent) = &raw.agent {
            self.check_agent(agent);
        }
        let reason = raw.reject.as_ref().and_then(|reject| reject.value.as_deref());
        let outcome = self.outcome(raw);
        let delay = raw.delay_ms.as_ref();
        let delay = delay.and_then(|delay| values::delay(delay, "this test", self.reporter));
        let expected = Expected {
            rule: raw.rule.as_ref().map(|rule| rule.value.as_str().into()),
            agent: raw.agent.as_ref().map(|agent| agent.value.as_str().into()),
            outcome,
            reason: reason.map(Box::from),
            variables: self.texts(&raw.variables),
            metadata: raw.metadata.as_ref().map(object).unwrap_or_default(),
            agent_override: raw.agent_override.as_ref().map(object).unwrap_or_default(),
            delay,
        };
        if expected.is_empty() && self.reporter.report.error_count() == before && !raw.invalid {
            self.reporter
                .error("no-expectation", &raw.span, "the test expects nothing".to_owned())
                .help("expect a `rule`, an `agent`, `variables`, `reject` or `keep`");
        }
        expected
    }

    /// Returns the expected outcome, if there is one.
    fn outcome(&mut self, raw: &RawExpectation) -> Option<Box<str>> {
        let keys = [
            raw.agent.as_ref().map(|agent| (&agent.span, "agent")),
            raw.reject.as_ref().map(|reject| (&reject.span, "reject")),
            raw.keep.as_ref().map(|keep| (&keep.span, "keep")),
        ];
        let mut outcomes: Vec<_> =
            keys.into_iter().flatten().map(|(span, name)| (span, name.into())).collect();
        if let Some(outcome) = &raw.outcome {
            outcomes.extend(self.outcome_name(outcome).map(|name| (&outcome.span, name)));
        }
        let (_, first) = outcomes.first().cloned()?;
        if let Some((span, other)) = outcomes.iter().find(|(_, name)| *name != first) {
            let message = format!("a call has one outcome; the test expects {first} and {other}");
            self.reporter.error("one-outcome", span, message);
        }
        // An agent is compared by its name.
        Some(first).filter(|_| raw.agent.is_none())
    }

    fn check_rule(&mut self, rule: &Spanned<String>) {
        if let Some(found) = self.rules.find(&rule.value) {
            if self.rules.is_disabled(found) {
                let message = format!("rule `{}` is disabled, so no call reaches it", rule.value);
                self.reporter
                    .error("unknown-rule", &rule.span, message)
                    .help("remove the test, or `enabled = false` from the rule");
            }
            return;
        }
        let suggestion = did_you_mean(&rule.value, self.rules.rules.iter().map(|rule| &*rule.name));
        let message = format!("unknown rule `{}`", rule.value);
        self.reporter.error("unknown-rule", &rule.span, message).maybe_help(suggestion);
    }

    fn check_agent(&mut self, agent: &Spanned<String>) {
        let agents = &self.definitions.agents;
        if !agents.raw_ids && agents.find(&agent.value).is_none() {
            agents.report_unknown(&agent.value, &agent.span, self.reporter);
        }
    }

    fn outcome_name(&mut self, raw: &Spanned<String>) -> Option<Box<str>> {
        let known = ["agent", "reject", "keep"];
        if known.contains(&&*raw.value) {
            return Some(raw.value.as_str().into());
        }
        let message = format!("unknown outcome `{}`", raw.value);
        self.reporter
            .error("unknown-outcome", &raw.span, message)
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
