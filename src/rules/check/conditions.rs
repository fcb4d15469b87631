//! Conditions of a rule: numbers, channels, platforms, sources, hours, dates, and `where`.

use std::ops::Range;

use super::columns::RuleColumns;
use super::lists::NameKind;
use super::rule::{RuleNumbers, describe_rule};
use super::rules::RuleChecker;
use super::values;
use crate::diagnostics::{Problem, did_you_mean};
use crate::domain::call::{Channel, Platform};
use crate::domain::facts::LookupId;
use crate::domain::sip_address::{FORWARDED_FROM, is_forwarding_header};
use crate::rules::load::raw::suggest::CONDITIONS;
use crate::rules::load::raw::{RawCondition, RawRule, Spanned};
use crate::rules::model::condition::{Comparison, ExpectedValue, Operand, WhereClause};
use crate::rules::model::history;
use crate::rules::model::pattern::{is_file_name, several_lists};
use crate::rules::model::template::ColumnLookup;
use crate::rules::{Conditions, NumberMatcher, NumberPattern, Selector};
use crate::toml_advice::is_bare_key;

impl RuleChecker<'_, '_> {
    pub(super) fn numbers(&mut self, raw: &[Spanned<String>]) -> NumberMatcher {
        selector(raw, |text| self.number_pattern(text)).into()
    }

    pub(super) fn channels(&mut self, raw: &[Spanned<String>]) -> Selector<Channel> {
        selector(raw, |text| values::channel(text, self.reporter))
    }

    pub(super) fn platforms(&mut self, raw: &[Spanned<String>]) -> Selector<Platform> {
        selector(raw, |text| values::platform(text, self.reporter))
    }

    pub(super) fn sources(&mut self, raw: &[Spanned<String>]) -> Selector<Box<str>> {
        selector(raw, |text| values::source(text, self.context, self.reporter))
    }

    /// Checks ids of called numbers, which are compared exactly.
    pub(super) fn number_ids(&mut self, raw: &[Spanned<String>]) -> Selector<Box<str>> {
        if let Some(first) = raw.first() {
            self.reporter.check_number_id(&first.span);
        }
        selector(raw, |text| {
            let id = text.value.as_str();
            if id.is_empty() {
                let message = "the id of a number must not be empty".to_owned();
                self.reporter.error("empty-id", &text.span, message);
                return None;
            }
            let is_pattern = id.starts_with('@')
                || id.contains("${")
                || matches!(NumberPattern::parse(id), Ok(NumberPattern::Exact(_)));
            if is_pattern {
                let message = format!("`{id}` is not the platform's id of a number");
                self.reporter
                    .error("bad-pattern", &text.span, message)
                    .help("copy the id from the platform; for the called number itself, use `to`");
                return None;
            }
            Some(id.into())
        })
    }

    /// Checks the numbers from which a call was forwarded. A call without such a number matches no pattern.
    pub(super) fn forwarded_from(&mut self, raw: &[Spanned<String>]) -> NumberMatcher {
        for text in raw.iter().filter(|text| strip_negation(&text.value).1 == "withheld") {
            let message = "`forwarded_from` is never `withheld`".to_owned();
            self.reporter
                .error("bad-pattern", &text.span, message)
                .help("a call that shows no forwarding number matches no pattern; omit the key");
        }
        self.numbers(raw)
    }

    fn number_pattern(&mut self, text: &Spanned<String>) -> Option<NumberPattern> {
        let Some(list) = text.value.strip_prefix('@') else {
            let country = self.definitions.country;
            let name = text.value.trim();
            let pattern = NumberPattern::parse_in(name, country).map_err(|problem| {
                let help = self.help_for_list(name);
                problem.maybe_help(help)
            });
            return pattern.map_err(|problem| self.reporter.problem(&text.span, problem)).ok();
        };
        let list = list.trim();
        if let Some(help) = several_lists(&text.value) {
            let message = format!("`{}` is several lists", text.value);
            self.reporter.error("unknown-list", &text.span, message).help(help);
            return None;
        }
        if list.is_empty() {
            let message = "`@` must be followed by the name of a list".to_owned();
            self.reporter.error("unknown-list", &text.span, message).help("write `@vip`");
            return None;
        }
        let name = Spanned { value: list.to_owned(), span: text.span.clone() };
        let id = self.lists.find_used(&name, self.reporter)?;
        Some(NumberPattern::List(id, list.into()))
    }

    /// Returns the help for a text that names a list without its `@`: `blocked`, `lists.blocked`, `blocked.csv`.
    fn help_for_list(&self, text: &str) -> Option<String> {
        let section = text.strip_prefix("lists.");
        let name = section.unwrap_or(text);
        let stem = match is_file_name(name) {
            true => name.rsplit_once('.').map_or(name, |(stem, _)| stem),
            false => name,
        };
        let is_meant = section.is_some() || is_file_name(name);
        if let Some(list) = [name, stem].into_iter().find(|name| self.lists.has(name)) {
            return Some(format!("for the list, write `@{list}`"));
        }
        is_meant.then(|| {
            let list = if is_bare_key(stem) { stem } else { "NAME" };
            let file = if is_file_name(name) { name } else { "numbers.csv" };
            format!("define [lists.{list}] with file = \"{file}\", and name it here as \"@{list}\"")
        })
    }

    /// Checks the conditions other than numbers and `where`.
    pub(super) fn conditions(
        &mut self,
        raw: &RawRule,
        name: &str,
        numbers: RuleNumbers<'_>,
    ) -> Conditions {
        let channel = self.channels(&raw.channel);
        let platform = self.platforms(&raw.platform);
        let source = self.sources(&raw.source);
        let conditions = Conditions {
            channel,
            platform,
            source,
            number_id: self.number_ids(&raw.number_id),
            hours: selector(&raw.hours, |text| self.named_ref(text, NameKind::Hours, numbers)),
            dates: selector(&raw.dates, |text| self.named_ref(text, NameKind::Dates, numbers)),
            where_clauses: Vec::new(),
            // The rule sets it, since templates refer to it.
            forwarded_from: NumberMatcher::default(),
        };
        let has_zone = |text: &&Spanned<String>| {
            let (_, name) = strip_negation(&text.value);
            let mut all = self.definitions.dates.iter();
            all.any(|dates| *dates.name == *name && dates.zone.is_some())
        };
        let without_zone = raw.dates.iter().find(|name| !has_zone(name)).cloned();
        if let (Some(first), false) = (without_zone, conditions.dates.is_anything()) {
            let rule = describe_rule(name);
            let message = format!("{rule} depends on dates, but the table has no zone");
            self.definitions.zone.require(message, &first.span, self.reporter);
        }
        conditions
    }

    pub(super) fn where_clauses(
        &mut self,
        raw: &RawRule,
        numbers: RuleNumbers<'_>,
    ) -> Vec<WhereClause> {
        let mut clauses = Vec::new();
        for (name, values) in &raw.where_clauses {
            let operand = self.operand(name, numbers);
            let mut expected = Selector::default();
            for value in values {
                let (negated, value) = self.expected_value(value);
                let values = if negated { &mut expected.none_of } else { &mut expected.any_of };
                values.extend(value);
            }
            let Some(operand) = operand else { continue };
            let is_used = raw.enabled != Some(false);
            let span = &name.span;
            let clause = WhereClause { name: name.value.as_str().into(), operand, expected };
            match &clause.operand {
                Operand::Cell(cell) if is_used => {
                    let location = self.reporter.location(span);
                    self.lists.add_where_use(*cell, location, clause.clone());
                }
                Operand::Sip(_) | Operand::Attribute(_) => self.refuse_patterns(&clause, values),
                Operand::Lookup(LookupId::HISTORY, field) if is_used => {
                    self.check_history(&clause, &field.to_string(), span);
                }
                Operand::Cell(_) | Operand::Lookup(..) => {}
            }
            clauses.push(clause);
        }
        clauses
    }

    /// Warns of a condition that no history satisfies.
    fn check_history(&mut self, clause: &WhereClause, field: &str, span: &Range<usize>) {
        let Some(numbers) = history::numbers_of(field) else { return };
        let most = *numbers.end();
        let can_match = numbers.map(|number| number.to_string()).any(|number| {
            clause.expected.matches(|expected: &ExpectedValue| expected.matches(&number))
        });
        if !can_match {
            let name = &clause.name;
            let message = format!("no history satisfies this condition on `{name}`");
            let help = clause.comparison_in_words();
            let help =
                help.unwrap_or_else(|| format!("`{name}` is a whole number from 0 to {most}"));
            self.reporter.warning("no-such-value", span, message).help(help);
        }
    }

    /// Reports patterns for numbers, which `where` would compare as texts.
    fn refuse_patterns(&mut self, clause: &WhereClause, values: &[Spanned<RawCondition>]) {
        for value in values {
            let RawCondition::Text(text) = &value.value else { continue };
            let pattern = text.trim().trim_start_matches('!').trim_start();
            let digits = pattern.strip_prefix('+').unwrap_or_default();
            let is_prefix = digits.len() > 1
                && digits.ends_with('*')
                && digits[..digits.len() - 1].bytes().all(|byte| byte.is_ascii_digit());
            if pattern.starts_with('@') || is_prefix {
                let message = format!(
                    "`where` compares `{}` with texts, and `{text}` is a pattern for numbers",
                    clause.name
                );
                let help = match &*clause.name {
                    name if is_forwarding_header(name.trim_start_matches("sip."))
                        || name.strip_prefix("attr.") == Some(FORWARDED_FROM) =>
                    {
                        format!("write the key `forwarded_from = \"{text}\"` in the rule instead")
                    }
                    name if !name.starts_with("sip.") => {
                        "compare it with a text; numbers are compared by `from` and `to`".to_owned()
                    }
                    name => format!(
                        "if the header has the caller's number, set `from = [\"{name}\"]` in the source's \
                         settings, and `from = \"{text}\"` here"
                    ),
                };
                self.reporter.error("bad-comparison", &value.span, message).help(help);
            }
        }
    }

    fn operand(&mut self, name: &Spanned<String>, numbers: RuleNumbers<'_>) -> Option<Operand> {
        let mut columns = RuleColumns::new(self.lists, &mut self.definitions.lookups, numbers);
        let problem = match name.value.split_once('.') {
            Some(("sip", header)) if !header.is_empty() => {
                return Some(Operand::Sip(header.to_ascii_lowercase().into()));
            }
            Some(("attr", attribute)) if !attribute.is_empty() => {
                self.reporter.check_attribute(attribute, &name.span);
                return Some(Operand::Attribute(attribute.into()));
            }
            Some((list, column)) => match columns.cell(list, column) {
                Some(Ok((cell, _))) => return Some(Operand::Cell(cell)),
                Some(Err(problem)) => problem,
                None => match columns.lookup(list, column) {
                    Some(Ok((id, field))) => return Some(Operand::Lookup(id, field)),
                    Some(Err(problem)) => problem,
                    None => unknown_operand(&name.value, &columns),
                },
            },
            None => unknown_operand(&name.value, &columns),
        };
        self.reporter.problem(&name.span, problem);
        None
    }

    fn expected_value(&mut self, raw: &Spanned<RawCondition>) -> (bool, Option<ExpectedValue>) {
        let text = match &raw.value {
            RawCondition::Number(number) => {
                return (false, Some(ExpectedValue::Number(Comparison::Equal, *number)));
            }
            RawCondition::Text(text) => text,
        };
        // `!= gold` is `!` and `= gold`.
        let (negated, text) = match text.trim().strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, text.as_str()),
        };
        let value = ExpectedValue::parse(text);
        (negated, value.map_err(|problem| self.reporter.problem(&raw.span, problem)).ok())
    }
}

/// Returns whether a text begins with `!`, and the rest without the spaces around it.
fn strip_negation(text: &str) -> (bool, &str) {
    match text.trim().strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, text.trim()),
    }
}

/// Strips the `!` of each text, and parses the rest.
fn selector<T>(
    raw: &[Spanned<String>],
    mut parse: impl FnMut(&Spanned<String>) -> Option<T>,
) -> Selector<T> {
    let mut selector = Selector::default();
    for text in raw {
        let (negated, value) = strip_negation(&text.value);
        let values = if negated { &mut selector.none_of } else { &mut selector.any_of };
        values.extend(parse(&Spanned { value: value.to_owned(), span: text.span.clone() }));
    }
    selector
}

fn unknown_operand(name: &str, columns: &RuleColumns<'_>) -> Problem {
    let names = columns.names();
    let suggestion = did_you_mean(name, names.iter().map(String::as_str));
    let help = suggestion.unwrap_or_else(|| match CONDITIONS.contains(&name) {
        true => format!("`{name}` is a key of the rule, not of `where`"),
        false => format!(
            "use {}, sip.HEADER, attr.NAME, or LIST.column of a list that the rule matches on",
            names.join(", ")
        ),
    });
    Problem::new("unknown-value", format!("`where` has no value `{name}`")).help(help)
}
