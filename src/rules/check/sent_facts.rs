//! Facts of a call that only some platforms send: the numbers, the id of the called number, SIP headers, attributes.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::diagnostics::{Problem, did_you_mean};
use crate::dialect::Dialect;
use crate::domain::sip_address::FORWARDED_FROM;
use crate::rules::CheckContext;
use crate::rules::load::raw::{RawRule, Spanned};

/// Facts that calls can have: those of the sources' platforms, or of all platforms if the settings are unknown.
#[derive(Default)]
pub(super) struct SentFacts {
    number_id: bool,
    attributes: BTreeSet<Box<str>>,
}

const CODE: &str = "unknown-fact";
/// Largest number of attributes that a message lists.
const MAX_LISTED: usize = 20;

/// A condition of a rule on a fact that no source sends which the rule can reach.
pub(super) struct UnsentCondition<'r> {
    /// The fact, as the rule names it.
    pub(super) name: &'r str,
    pub(super) span: &'r Range<usize>,
    pub(super) help: &'static str,
}

impl SentFacts {
    /// Returns the conditions of a rule on facts that none of the platforms sends which it can reach. Facts that no
    /// source sends at all are reported where they are named.
    pub(super) fn unsent_conditions<'r>(
        &self,
        raw: &'r RawRule,
        reached: &[&dyn Dialect],
    ) -> Vec<UnsentCondition<'r>> {
        if reached.is_empty() {
            return Vec::new();
        }
        let is_sent =
            |sends: &dyn Fn(&dyn Dialect) -> bool| reached.iter().any(|dialect| sends(*dialect));
        let sends_attribute =
            |dialect: &dyn Dialect, wanted: &str| dialect.attributes().contains(&wanted);
        let has_id = is_sent(&|dialect| dialect.sends_number_id());
        let keys = [
            ("to", &raw.to, is_sent(&|dialect| dialect.sends_called_number())),
            ("from", &raw.from, is_sent(&|dialect| dialect.sends_caller())),
            (
                "forwarded_from",
                &raw.forwarded_from,
                is_sent(&|dialect| {
                    dialect.sends_sip_headers() || sends_attribute(dialect, FORWARDED_FROM)
                }),
            ),
            ("number_id", &raw.number_id, has_id || !self.number_id),
        ];
        let keys = keys.into_iter().filter(|(.., is_sent)| !is_sent);
        let keys = keys.filter_map(|(name, values, _)| {
            let help = match name {
                "to" if has_id => "compare the platform's id of the called number: `number_id`",
                _ => "remove the condition, or let the rule match calls of other platforms",
            };
            values.first().map(|value| UnsentCondition { name, span: &value.span, help })
        });
        let clauses = raw.where_clauses.iter().map(|(name, _)| name);
        let clauses = clauses.filter(|name: &&Spanned<String>| !match name.value.split_once('.') {
            Some(("sip", _)) => is_sent(&|dialect| dialect.sends_sip_headers()),
            Some(("attr", attribute)) if self.attributes.contains(attribute) => {
                is_sent(&|dialect| sends_attribute(dialect, attribute))
            }
            Some(_) | None => true,
        });
        let clauses = clauses.map(|name| UnsentCondition {
            name: &name.value,
            span: &name.span,
            help: "remove the condition, or let the rule match calls of other platforms",
        });
        keys.chain(clauses).collect()
    }

    pub(super) fn new(context: &CheckContext) -> SentFacts {
        let mut facts = SentFacts::default();
        for dialect in context.dialects.iter() {
            if context.may_have_source_at(dialect.platform()) {
                facts.number_id |= dialect.sends_number_id();
                facts.attributes.extend(dialect.attributes().into_iter().map(Box::from));
            }
        }
        facts
    }

    /// Returns a warning of an attribute that no call has.
    pub(super) fn unknown_attribute(&self, name: &str) -> Option<Problem> {
        if self.attributes.contains(name) {
            return None;
        }
        let names = self.attributes.iter().map(|name| &**name);
        let help = did_you_mean(name, names.clone()).unwrap_or_else(|| match names.len() {
            0 => "the platforms of the sources send no attributes".to_owned(),
            1..=MAX_LISTED => {
                let names: Vec<_> = names.collect();
                format!("the platforms of the sources send {}", names.join(", "))
            }
            _ => "the pages of the platforms list what each one sends".to_owned(),
        });
        Some(Problem::new(CODE, format!("no source sends `attr.{name}`")).help(help))
    }

    /// Returns a warning of a use of `number_id` if no call has one.
    pub(super) fn unknown_number_id(&self) -> Option<Problem> {
        let problem = Problem::new(CODE, "no source sends `number_id`");
        (!self.number_id).then(|| problem.help("compare the called number itself: `to`"))
    }
}
