//! Conditions of a rule: numbers, channels, platforms, sources, hours, dates, and `where`.

use super::Checker;
use super::reporter::LISTS;
use super::rule::RuleNumbers;
use crate::diagnostics::{Problem, did_you_mean};
use crate::dialect;
use crate::domain::call::{Channel, Platform};
use crate::rules::load::raw::{RawCondition, RawRule, Spanned};
use crate::rules::model::condition::{Comparison, ExpectedValue, Operand, WhereClause};
use crate::rules::model::lists::ListId;
use crate::rules::model::template::ColumnLookup;
use crate::rules::{NumberMatcher, NumberPattern, Selector};

impl Checker<'_> {
    pub(super) fn numbers(&mut self, written: &[Spanned<String>]) -> NumberMatcher {
        let either = self.either(written, |checker, text| {
            if let Some(list) = text.value.strip_prefix('@') {
                let list = list.trim();
                if list.is_empty() {
                    let message = "`@` must be followed by the name of a list".to_owned();
                    checker
                        .reporter
                        .error("unknown-list", &text.span, message)
                        .help("write `@vip`");
                    return None;
                }
                let name = Spanned { value: list.to_owned(), span: text.span.clone() };
                return checker.list_named(&name).map(|id| NumberPattern::List(id, list.into()));
            }
            let read = NumberPattern::parse(text.value.trim());
            read.map_err(|problem| checker.reporter.problem(&text.span, problem)).ok()
        });
        either.into()
    }

    fn list_named(&mut self, name: &Spanned<String>) -> Option<ListId> {
        let found = self.lists.find(&name.value);
        match found {
            Some(id) => self.open_lists[id.index()].used = true,
            None => {
                let defined: Vec<_> = self.lists.all().iter().map(|list| &*list.name).collect();
                self.reporter.unknown_name(&LISTS, name, &defined, None);
            }
        }
        found
    }

    /// Strips the `!`, and parses the rest.
    pub(super) fn either<T>(
        &mut self,
        written: &[Spanned<String>],
        read: impl Fn(&mut Self, &Spanned<String>) -> Option<T>,
    ) -> Selector<T> {
        let mut either = Selector::default();
        for text in written {
            let (list, value) = match text.value.trim().strip_prefix('!') {
                Some(rest) => (&mut either.none_of, rest.trim()),
                None => (&mut either.any_of, text.value.trim()),
            };
            list.extend(read(self, &Spanned { value: value.to_owned(), span: text.span.clone() }));
        }
        either
    }

    pub(super) fn channel(&mut self, text: &Spanned<String>) -> Option<Channel> {
        let found = Channel::ALL.into_iter().find(|channel| channel.as_str() == text.value);
        if found.is_none() {
            let message = format!("unknown channel `{}`", text.value);
            self.reporter.error("unknown-channel", &text.span, message).help("use call or sms");
        }
        found
    }

    pub(super) fn platform(&mut self, text: &Spanned<String>) -> Option<Platform> {
        let found = dialect::by_name(&text.value).map(|dialect| dialect.platform());
        if found.is_none() {
            self.reporter.unknown_platform(text, &[]);
        }
        found
    }

    pub(super) fn source(&mut self, text: &Spanned<String>) -> Option<Box<str>> {
        let known = || self.context.sources.iter().map(|asking| asking.source.as_str());
        if !self.context.sources.is_empty() && !known().any(|name| name == text.value) {
            let help = did_you_mean(&text.value, known());
            let all = format!("the settings have {}", known().collect::<Vec<_>>().join(", "));
            let message = format!("unknown source `{}`", text.value);
            self.reporter.error("unknown-source", &text.span, message).help(all).maybe_help(help);
        }
        Some(text.value.as_str().into())
    }

    pub(super) fn wheres(&mut self, written: &RawRule, on: RuleNumbers<'_>) -> Vec<WhereClause> {
        let mut wheres = Vec::new();
        for (name, values) in &written.where_clauses {
            let fact = self.fact(name, on);
            let mut wanted = Selector::default();
            for value in values {
                let (negated, read) = self.wanted(value);
                let list = if negated { &mut wanted.none_of } else { &mut wanted.any_of };
                list.extend(read);
            }
            let name = name.value.as_str().into();
            wheres.extend(fact.map(|fact| WhereClause { name, operand: fact, expected: wanted }));
        }
        wheres
    }

    fn fact(&mut self, name: &Spanned<String>, on: RuleNumbers<'_>) -> Option<Operand> {
        let bad = match name.value.split_once('.') {
            Some(("sip", header)) if !header.is_empty() => {
                return Some(Operand::Sip(header.to_ascii_lowercase().into()));
            }
            Some((list, column)) => match self.in_rule(on).cell(list, column) {
                Some(Ok((cell, _))) => return Some(Operand::Cell(cell)),
                Some(Err(bad)) => bad,
                None => self.no_fact(&name.value, on),
            },
            None => self.no_fact(&name.value, on),
        };
        self.reporter.problem(&name.span, bad);
        None
    }

    fn no_fact(&mut self, name: &str, on: RuleNumbers<'_>) -> Problem {
        let names = self.in_rule(on).names();
        let near = did_you_mean(name, names.iter().map(String::as_str));
        let conditions = ["from", "to", "channel", "platform", "source", "hours", "dates"];
        let help = near.unwrap_or_else(|| match names.as_slice() {
            _ if conditions.contains(&name) => {
                format!("`{name}` is a key of the rule, not of `where`")
            }
            [] => "use `sip.HEADER`, or LIST.column of a list that the rule matches on".to_owned(),
            names => format!("use {}, or sip.HEADER", names.join(", ")),
        });
        let message = format!("`where` has no value `{name}`");
        Problem::new("unknown-value", message).help(help)
    }

    fn wanted(&mut self, written: &Spanned<RawCondition>) -> (bool, Option<ExpectedValue>) {
        let text = match &written.value {
            RawCondition::Number(number) => {
                return (false, Some(ExpectedValue::Number(Comparison::Equal, *number)));
            }
            RawCondition::Text(text) => text,
        };
        let (negated, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, text.as_str()),
        };
        let read = ExpectedValue::parse(text)
            .map_err(|problem| self.reporter.problem(&written.span, problem));
        (negated, read.ok())
    }
}
