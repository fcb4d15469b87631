//! Facts of a call that only some platforms send: the numbers, the id of the called number, SIP headers, attributes.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::diagnostics::{Problem, did_you_mean};
use crate::dialect::Dialect;
use crate::domain::sip_address::FORWARDED_FROM;
use crate::rules::CheckContext;
use crate::rules::load::raw::{RawRule, RawScope, Spanned};

/// Facts that calls can have: those of the sources' platforms, or of all platforms if the settings are unknown.
#[derive(Default)]
pub(super) struct SentFacts {
    number_id: bool,
    attributes: BTreeSet<Box<str>>,
}

const CODE: &str = "unknown-fact";
/// Largest number of attributes that a message lists.
const MAX_LISTED: usize = 20;

/// A condition on a fact that none of the sources sends which the rule or the scope can reach.
pub(super) struct UnsentCondition<'r> {
    /// The fact, as rules name it.
    pub(super) name: &'r str,
    pub(super) span: &'r Range<usize>,
    pub(super) help: &'static str,
}

/// Returns whether requests of a platform can have a fact, by the name that rules give it.
pub(super) fn sends(dialect: &dyn Dialect, fact: &str) -> bool {
    let sends_attribute = |name: &str| dialect.attributes().contains(&name);
    match fact.split_once('.').unwrap_or(("", fact)) {
        ("", "from") => dialect.sends_caller(),
        ("", "to") => dialect.sends_called_number(),
        ("", "number_id") => dialect.sends_number_id(),
        ("", "forwarded_from") => dialect.sends_sip_headers() || sends_attribute(FORWARDED_FROM),
        ("sip", _) => dialect.sends_sip_headers(),
        ("attr", name) => sends_attribute(name),
        _ => true,
    }
}

impl SentFacts {
    /// Returns the conditions of a rule on facts that none of the platforms sends which it can reach. Facts that no
    /// source sends at all are reported where they are named.
    pub(super) fn unsent_conditions<'r>(
        &self,
        raw: &'r RawRule,
        reached: &[&dyn Dialect],
    ) -> Vec<UnsentCondition<'r>> {
        let RawRule { to, from, forwarded_from, number_id, .. } = raw;
        let keys = [
            ("to", to),
            ("from", from),
            ("forwarded_from", forwarded_from),
            ("number_id", number_id),
        ];
        let clauses = raw.where_clauses.iter().map(|(name, _)| (&*name.value, &name.span));
        self.unsent(first_values(keys).chain(clauses), reached)
    }

    /// Returns the conditions of a scope on facts that none of the platforms sends which it can reach.
    pub(super) fn unsent_in_scope<'r>(
        &self,
        raw: &'r RawScope,
        reached: &[&dyn Dialect],
    ) -> Vec<UnsentCondition<'r>> {
        let RawScope { to, from, number_id, .. } = raw;
        let keys = [("to", to), ("from", from), ("number_id", number_id)];
        self.unsent(first_values(keys), reached)
    }

    fn unsent<'r>(
        &self,
        conditions: impl Iterator<Item = (&'r str, &'r Range<usize>)>,
        reached: &[&dyn Dialect],
    ) -> Vec<UnsentCondition<'r>> {
        if reached.is_empty() {
            return Vec::new();
        }
        let is_sent = |name: &str| reached.iter().any(|dialect| sends(*dialect, name));
        let conditions = conditions.filter(|(name, _)| self.has(name) && !is_sent(name));
        let conditions = conditions.map(|(name, span)| {
            let help = match name {
                "to" if is_sent("number_id") => {
                    "compare the platform's id of the called number: `number_id`"
                }
                _ => "remove the condition, or accept calls of other platforms as well",
            };
            UnsentCondition { name, span, help }
        });
        conditions.collect()
    }

    /// Returns whether some source sends a fact.
    fn has(&self, name: &str) -> bool {
        match name.split_once('.') {
            Some(("attr", attribute)) => self.attributes.contains(attribute),
            Some(_) => true,
            None => name != "number_id" || self.number_id,
        }
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

/// Returns the keys that have values, with the place of the first.
fn first_values<'r, const N: usize>(
    keys: [(&'r str, &'r Vec<Spanned<String>>); N],
) -> impl Iterator<Item = (&'r str, &'r Range<usize>)> {
    keys.into_iter().filter_map(|(name, values)| Some((name, &values.first()?.span)))
}
