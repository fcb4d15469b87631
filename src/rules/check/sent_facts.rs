//! Facts of a call that only some platforms send: the id of the called number, and attributes.

use std::collections::BTreeSet;

use crate::diagnostics::{Problem, did_you_mean};
use crate::rules::CheckContext;

/// Facts that calls can have: those of the sources' platforms, or of all platforms if the settings are unknown.
#[derive(Default)]
pub(super) struct SentFacts {
    number_id: bool,
    attributes: BTreeSet<Box<str>>,
}

const CODE: &str = "unknown-fact";
/// Largest number of attributes that a message lists.
const MAX_LISTED: usize = 20;

impl SentFacts {
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
