//! Tests of a table, `[[test]]`: their calls and expectations, before they run.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::definitions::Definitions;
use super::raw_table::RawTable;
use super::reporter::Reporter;
use super::rules::{CheckedRules, FileScope};
use super::scopes_compared::shown;
use super::sent_facts::sends;
use super::values;
use crate::diagnostics::{SourceFile, did_you_mean};
use crate::domain::call::{Channel, Fields, Platform};
use crate::domain::dialling_plan::is_north_american;
use crate::domain::facts::{LookupAnswer, LookupAnswers, LookupId};
use crate::domain::party::{NumberFormat, NumberReading, Party};
use crate::rules::load::chunks::ChunkKind;
use crate::rules::load::raw::to_json::json;
use crate::rules::load::raw::{Entries, RawTest, RawValue, Spanned, parse};
use crate::rules::model::Origin;
use crate::rules::model::history;
use crate::rules::model::lists::Side;
use crate::rules::model::pattern::matches_many;
use crate::rules::model::zone::parse_zone;
use crate::rules::{
    CheckContext, Conditions, Lists, Lookup, NumberPattern, RequestValue, Scope, Selector, Test,
    parse_timestamp, repeated_time,
};

/// Source of tests if the settings are unknown.
const DEFAULT_SOURCE: &str = "test";
const NOT_ASKED: &str = "not-asked";

/// Checks the tests of a table whose definitions and rules have been checked.
pub(super) struct TestChecker<'c, 'r> {
    pub(super) context: &'c CheckContext,
    pub(super) definitions: &'c Definitions,
    pub(super) rules: &'c CheckedRules,
    pub(super) lists: &'c Lists,
    /// Scope of the file that is being checked.
    pub(super) scope: Option<&'c FileScope>,
    pub(super) reporter: &'c mut Reporter<'r>,
}

impl<'c> TestChecker<'c, '_> {
    /// Checks the tests of all files: first those among definitions, then the others.
    pub(super) fn check(mut self, mut table: RawTable) -> Vec<Test> {
        let mut tests = Vec::new();
        for file in &mut table.files {
            self.set_file(&file.source);
            let inline =
                file.definitions.take().into_iter().flat_map(|definitions| definitions.tests);
            tests.extend(inline.filter_map(|test| self.test(&test)));
        }
        for file in table.files {
            self.set_file(&file.source);
            for chunk in file.chunks.iter().filter(|chunk| chunk.kind == ChunkKind::Tests) {
                for test in self.reporter.parse_chunk(chunk, parse::tests) {
                    tests.extend(self.test(&test));
                }
            }
        }
        tests
    }

    fn set_file(&mut self, file: &Arc<SourceFile>) {
        self.reporter.set_file(file);
        self.scope = self.rules.scope_of(file);
    }

    /// Returns the scope of the file, unless it has an error.
    fn valid_scope(&self) -> Option<&'c Scope> {
        self.scope.filter(|scope| !scope.invalid).map(|scope| &*scope.scope)
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
        let channel = self.channel_of(raw);
        let fields = Fields {
            from: self.party(raw.from.as_ref(), Side::From),
            to: self.party(raw.to.as_ref(), Side::To),
            sip: self.headers(raw),
            number_id: self.number_id(raw),
            attributes: self.attributes(raw),
            ..Fields::unknown(channel)
        };
        let (source, platform) = self.source_of(raw, channel);
        let origin = Origin { source: &source, platform, channel };
        self.check_origin(raw, origin);
        self.warn_unsent_facts(raw, origin);
        let lookups = self.answers(raw, &fields);
        if !raw.invalid && self.reporter.report.error_count() == before {
            self.check_scope(raw, &fields, origin);
        }
        let at = self.time_of(raw);
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
        is_valid.then_some(Test { name, fields, source, platform, at, lookups, expected, location })
    }

    /// Returns the time of a test, and says which one is meant if the clocks show it twice.
    fn time_of(&mut self, raw: &RawTest) -> Option<Timestamp> {
        let own = raw.zone.as_ref().and_then(|zone| {
            parse_zone(&zone.value)
                .map_err(|problem| self.reporter.problem(&zone.span, problem))
                .ok()
        });
        let Some(at) = &raw.at else {
            if let Some(zone) = &raw.zone {
                let message = "the test has a `zone`, but no `at`".to_owned();
                self.reporter
                    .error("bad-time", &zone.span, message)
                    .help("add the time, such as at = \"2026-12-25 00:10\", or remove `zone`");
            }
            return None;
        };
        if own.is_none() && raw.zone.is_some() {
            return None;
        }
        let zone = own.unwrap_or_else(|| self.definitions.zone.get());
        if let Some(note) = repeated_time(&at.value, &zone) {
            self.reporter.note("repeated-time", &at.span, note);
        }
        parse_timestamp(&at.value, &zone)
            .map_err(|problem| self.reporter.problem(&at.span, problem))
            .ok()
    }

    /// Warns of a test whose call no source sends.
    fn check_origin(&mut self, raw: &RawTest, origin: Origin<'_>) {
        let Origin { source, platform, channel } = origin;
        let mut sources = self.context.sources.iter();
        let known = sources.find(|known| known.source == source);
        let other = known.filter(|known| known.platform != platform);
        if let (Some(known), Some(named)) = (other, &raw.platform) {
            let message =
                format!("calls from source `{source}` have the platform {}", known.platform);
            let help = "remove `platform`, which the source implies";
            self.reporter.warning("impossible-test", &named.span, message).help(help);
            return;
        }
        let dialect = self.context.dialects.by_name(platform.as_str());
        let has_channel = dialect.is_none_or(|dialect| dialect.channels().contains(&channel));
        if let Some(named) = &raw.channel
            && !has_channel
        {
            let noun = match channel {
                Channel::Call => "calls",
                Channel::Sms => "text messages",
            };
            let message = format!("{platform} sends no {noun} to answer");
            let help = "remove `channel`, or name another source";
            self.reporter.warning("impossible-test", &named.span, message).help(help);
        }
    }

    /// Warns of facts of a test that its source never sends.
    fn warn_unsent_facts(&mut self, raw: &RawTest, Origin { source, platform, .. }: Origin<'_>) {
        let is_known = self.context.sources.iter().any(|known| *known.source == *source);
        if !is_known && raw.platform.is_none() {
            return;
        }
        let Some(dialect) = self.context.dialects.by_name(platform.as_str()) else { return };
        let keys = [
            ("from", &raw.from),
            ("to", &raw.to),
            ("forwarded_from", &raw.forwarded_from),
            ("number_id", &raw.number_id),
        ];
        let keys = keys
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.as_ref()?.span.clone())));
        let tables = [("sip", &raw.sip), ("attr", &raw.attributes)].into_iter();
        let entries = tables.flat_map(|(table, entries)| {
            let names = entries.iter().map(|(name, _)| name);
            names.map(move |name| (format!("{table}.{}", name.value), name.span.clone()))
        });
        for (name, span) in keys.chain(entries) {
            if !sends(&**dialect, &name) {
                let message = format!("{platform} never sends `{name}`");
                self.reporter
                    .warning("impossible-test", &span, message)
                    .help("remove it, or name a `source` that sends it");
            }
        }
    }

    /// Reports a test that is outside the scope of its file.
    fn check_scope(&mut self, raw: &RawTest, fields: &Fields<'_>, origin: Origin<'_>) {
        let Some(scope) = self.valid_scope() else { return };
        let number_is_outside =
            |side, party| !scope.numbers(side).matches(&self.lists.lookup(party));
        let (key, value, span) = if number_is_outside(Side::To, &fields.to) {
            ("to", fields.to.unmasked().into_owned(), raw.to.as_ref())
        } else if number_is_outside(Side::From, &fields.from) {
            ("from", fields.from.unmasked().into_owned(), raw.from.as_ref())
        } else if !scope.conditions.accept_number_id(fields.number_id.as_deref()) {
            let id = fields.number_id.as_deref().unwrap_or("unknown");
            ("number_id", id.to_owned(), raw.number_id.as_ref())
        } else if scope.conditions.accept(&origin) {
            return;
        } else {
            let Conditions { channel, platform, .. } = &scope.conditions;
            if !channel.matches(|channel| *channel == origin.channel) {
                ("channel", origin.channel.to_string(), raw.channel.as_ref())
            } else if !platform.matches(|platform| *platform == origin.platform) {
                let span = raw.platform.as_ref().or(raw.source.as_ref());
                ("platform", origin.platform.to_string(), span)
            } else {
                ("source", origin.source.to_owned(), raw.source.as_ref())
            }
        };
        let span = span.or(raw.name.as_ref()).map_or(&raw.span, |text| &text.span);
        let message = format!("the test's call, {key} {value}, is outside the scope of this file");
        let help = format!("the scope is {}; set `{key}` to a value in it", shown(scope));
        self.reporter.error("outside-scope", span, message).help(help);
    }

    /// Returns the channel of a test: the one that it names, otherwise the only one of the scope.
    fn channel_of(&mut self, raw: &RawTest) -> Channel {
        let named = raw.channel.as_ref().and_then(|text| values::channel(text, self.reporter));
        let scope = self.valid_scope();
        let in_scope = scope.and_then(|scope| only(&Channel::ALL, &scope.conditions.channel));
        named.or(in_scope).unwrap_or(Channel::Call)
    }

    /// Returns a party of the call: the one that the test names, otherwise the only one of the scope.
    fn party(&mut self, raw: Option<&Spanned<String>>, side: Side) -> Party {
        if raw.is_none()
            && let Some([pattern]) = self.valid_scope().map(|scope| scope.numbers(side).any_of())
        {
            match pattern {
                NumberPattern::Exact(number) => return Party::Number(*number),
                NumberPattern::Literal(text) => return Party::Literal(text.clone()),
                NumberPattern::Prefix(_)
                | NumberPattern::Digits(_)
                | NumberPattern::Country(_)
                | NumberPattern::List(..)
                | NumberPattern::Withheld => {}
            }
        }
        let Some(text) = raw else { return Party::Withheld };
        self.number(text)
    }

    /// Parses the number of a call.
    fn number(&mut self, raw: &Spanned<String>) -> Party {
        let country = self.definitions.country;
        let numbers = NumberFormat { country, ..NumberFormat::default() };
        let Spanned { value: text, span } = raw;
        let parsed = numbers.parse(Some(text));
        if matches_many(text) {
            let message = format!("`{text}` is a pattern; a test needs the number of one call");
            self.reporter
                .error("bad-number", span, message)
                .help("write a number like `+12137771234`");
        } else if !text.starts_with('=')
            && matches!(parsed.reading, NumberReading::PlusAdded | NumberReading::KeptAsText)
        {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            let help = match parsed.party {
                Party::Number(number) => format!("did you mean `{}`?", number.unmasked()),
                Party::Withheld | Party::Literal(_) if is_north_american(&digits) => {
                    format!("did you mean `+1{digits}`?")
                }
                Party::Withheld | Party::Literal(_) => {
                    "write it with `+` and the country code, or set `country` at the top".to_owned()
                }
            };
            let message = format!("`{text}` has no country code; a test needs the whole number");
            self.reporter.error("bad-number", span, message).help(help);
        }
        match text.strip_prefix('=') {
            Some(exact) => Party::Literal(exact.into()),
            None => parsed.party,
        }
    }

    /// Returns the answers of look-ups and the history that a test gives.
    fn answers(&mut self, raw: &RawTest, fields: &Fields<'_>) -> LookupAnswers {
        let mut answers = LookupAnswers::default();
        for (name, value) in raw.lookup.iter().flatten() {
            let lookups = &self.definitions.lookups.all;
            let position = lookups.iter().position(|lookup| *lookup.name == *name.value);
            match position.and_then(|at| Some((&lookups[at], LookupId::of_position(at)?))) {
                Some((lookup, id)) => {
                    answers.insert(id, LookupAnswer::found(json(value)));
                    self.check_is_asked(lookup, fields, &name.span);
                }
                None => {
                    let names = lookups.iter().map(|lookup| &*lookup.name);
                    let help = did_you_mean(&name.value, names);
                    let message = format!("unknown look-up `{}`", name.value);
                    self.reporter.error("unknown-lookup", &name.span, message).maybe_help(help);
                }
            }
        }
        answers.insert(LookupId::HISTORY, self.history(raw, &fields.from));
        answers
    }

    /// Reports an answer of a look-up that is never asked about this call.
    fn check_is_asked(&mut self, lookup: &Lookup, fields: &Fields<'_>, span: &Range<usize>) {
        let required = lookup.required_values();
        if let Some(missing) = required.into_iter().find(|value| is_missing(value, fields)) {
            let message = format!(
                "look-up `{}` is not asked about this call: its `{missing}` is unknown",
                lookup.name
            );
            let help = match missing {
                RequestValue::Sip(header) => {
                    format!("add sip = {{ {header} = \"…\" }} to the test")
                }
                RequestValue::Attribute(name) => {
                    format!("add attr = {{ {name} = \"…\" }} to the test")
                }
                RequestValue::From
                | RequestValue::To
                | RequestValue::CallId
                | RequestValue::Channel
                | RequestValue::Source
                | RequestValue::NumberId => {
                    format!("add `{missing}` to the test, or remove the answer")
                }
            };
            self.reporter.error(NOT_ASKED, span, message).help(help);
        }
    }

    /// Returns the caller's history that a test gives: no calls, unless it says more.
    fn history(&mut self, raw: &RawTest, caller: &Party) -> LookupAnswer {
        let mut calls = history::of_new_caller();
        for (field, value) in raw.history.iter().flatten() {
            match history::unknown_field(&field.value) {
                Some(problem) => self.reporter.problem(&field.span, problem),
                None => calls[&*field.value] = json(value),
            }
        }
        if *caller != Party::Withheld {
            return LookupAnswer::found(calls);
        }
        if let Some(given) = &raw.history {
            let span = given.first().map_or(&raw.span, |(field, _)| &field.span);
            let message = "the caller of this test is withheld, and has no history".to_owned();
            let help = "add the caller's number as `from`, or remove `history`";
            self.reporter.error(NOT_ASKED, span, message).help(help);
        }
        history::of_withheld_caller()
    }

    fn headers(&mut self, raw: &RawTest) -> Vec<(Cow<'static, str>, Cow<'static, str>)> {
        let texts = self.texts(&raw.sip);
        let lower = texts.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        let forwarded_from = raw.forwarded_from.as_ref().map(|text| {
            let party = self.number(text);
            if party.number().is_none() {
                let message = format!("`{}` is not a number", text.value);
                let help = "a call is forwarded from a number such as +12137771234";
                self.reporter.error("bad-number", &text.span, message).help(help);
            }
            ("diversion".into(), format!("<tel:{}>", party.unmasked()).into())
        });
        let headers = lower.map(|(name, value)| (name.into(), value.into_string().into()));
        // The first of repeated headers has the latest forwarding.
        forwarded_from.into_iter().chain(headers).collect()
    }

    /// Returns the id of the called number: the one that the test names, otherwise the only one of the scope.
    fn number_id(&self, raw: &RawTest) -> Option<Cow<'static, str>> {
        let named = raw.number_id.as_ref().map(|id| id.value.clone());
        let in_scope = self.valid_scope().and_then(|scope| {
            let Selector { any_of, .. } = &scope.conditions.number_id;
            let [only] = any_of.as_slice() else { return None };
            Some(only.to_string())
        });
        named.or(in_scope).map(Cow::Owned)
    }

    fn attributes(&mut self, raw: &RawTest) -> Vec<(Cow<'static, str>, Cow<'static, str>)> {
        let texts = self.texts(&raw.attributes);
        let owned = |text: Box<str>| Cow::Owned(text.into_string());
        texts.into_iter().map(|(name, value)| (owned(name), owned(value))).collect()
    }

    pub(super) fn texts(&mut self, raw: &Entries) -> Vec<(Box<str>, Box<str>)> {
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

    /// Returns the source and platform of a test: those that it names, otherwise the first source (by name) of the
    /// settings that has this channel.
    fn source_of(&mut self, raw: &RawTest, channel: Channel) -> (Box<str>, Platform) {
        let scope = self.valid_scope();
        let dialects = &self.context.dialects;
        let platforms: Vec<_> = dialects.iter().map(|dialect| dialect.platform()).collect();
        let in_scope = scope.and_then(|scope| only(&platforms, &scope.conditions.platform));
        let platform = raw.platform.as_ref().and_then(|text| values::platform(text, self.reporter));
        let platform = platform.or(in_scope.filter(|_| raw.source.is_none()));
        let source =
            raw.source.as_ref().and_then(|text| values::source(text, self.context, self.reporter));
        let source = source.or_else(|| match &scope?.conditions.source {
            Selector { any_of, none_of } if none_of.is_empty() => match any_of.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            },
            Selector { .. } => None,
        });
        let is_in_scope = |source: &str| {
            scope.is_none_or(|scope| scope.conditions.source.matches(|name| **name == *source))
        };
        let sources = &self.context.sources;
        let named = source.as_ref().map(|source| {
            let known = sources.iter().find(|known| *known.source == **source);
            (source.clone(), known.map(|known| known.platform))
        });
        let fits = |other: Platform| {
            let channels = dialects.by_name(other.as_str()).map(|dialect| dialect.channels());
            platform.is_none_or(|platform| platform == other)
                && channels.is_some_and(|channels| channels.contains(&channel))
        };
        let first = platforms[0];
        match named {
            Some((source, known)) => (source, platform.or(known).unwrap_or(first)),
            None => match sources
                .iter()
                .find(|source| fits(source.platform) && is_in_scope(&source.source))
            {
                Some(source) => (source.source.as_str().into(), source.platform),
                None => (DEFAULT_SOURCE.into(), platform.unwrap_or(first)),
            },
        }
    }
}

/// Returns whether the call of a test lacks a value that a look-up needs. Tests have no call id, which
/// tells nothing about the calls that they stand for.
fn is_missing(value: &RequestValue, fields: &Fields<'_>) -> bool {
    match value {
        RequestValue::From => fields.from == Party::Withheld,
        RequestValue::To => fields.to == Party::Withheld,
        RequestValue::CallId | RequestValue::Channel | RequestValue::Source => false,
        RequestValue::NumberId => fields.number_id.as_deref().is_none_or(str::is_empty),
        RequestValue::Attribute(name) => {
            let mut attributes = fields.attributes.iter();
            let found = attributes.find(|(attribute, _)| **attribute == **name);
            found.is_none_or(|(_, value)| value.is_empty())
        }
        RequestValue::Sip(header) => {
            let last = fields.sip.iter().rfind(|(name, _)| **name == **header);
            last.is_none_or(|(_, value)| value.is_empty())
        }
    }
}

/// Returns the only one of these values that a condition accepts.
fn only<T: PartialEq + Copy>(values: &[T], selector: &Selector<T>) -> Option<T> {
    let mut accepted = values.iter().filter(|value| selector.matches(|other| other == *value));
    accepted.next().copied().filter(|_| accepted.next().is_none())
}
