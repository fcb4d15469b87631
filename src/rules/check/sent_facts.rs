//! Facts of a call that only some platforms send: the id of the called number, and attributes.

use std::collections::BTreeSet;
use std::ops::Range;

use super::reporter::Reporter;
use crate::diagnostics::did_you_mean;
use crate::rules::CheckContext;
use crate::rules::model::template::Template;

/// Facts that calls can have: those of the sources' platforms, or of all platforms if the settings are unknown.
#[derive(Default)]
pub(super) struct SentFacts {
    number_id: bool,
    attributes: BTreeSet<Box<str>>,
}

/// Largest number of attributes that a message lists.
const MAX_LISTED: usize = 20;

impl SentFacts {
    pub(super) fn new(context: &CheckContext) -> SentFacts {
        let mut facts = SentFacts::default();
        for dialect in context.dialects.iter() {
            let mut sources = context.sources.iter();
            if context.sources.is_empty()
                || sources.any(|source| source.platform == dialect.platform())
            {
                facts.number_id |= dialect.sends_number_id();
                facts.attributes.extend(dialect.attributes().into_iter().map(Box::from));
            }
        }
        facts
    }
}

impl Reporter<'_> {
    /// Warns of an attribute that no call has.
    pub(super) fn check_attribute(&mut self, name: &str, span: &Range<usize>) {
        let attributes = &self.sent_facts.attributes;
        if attributes.contains(name) {
            return;
        }
        let names = attributes.iter().map(|name| &**name);
        let help = did_you_mean(name, names.clone()).unwrap_or_else(|| match attributes.len() {
            0 => "the platforms of the sources send no attributes".to_owned(),
            ..=MAX_LISTED => format!(
                "the platforms of the sources send {}",
                names.collect::<Vec<_>>().join(", ")
            ),
            _ => "the pages of the platforms list what each one sends".to_owned(),
        });
        self.warning("unknown-fact", span, format!("no source sends `attr.{name}`")).help(help);
    }

    /// Warns of attributes in a text that no call has.
    pub(super) fn check_attributes(&mut self, template: &Template, span: &Range<usize>) {
        template.attributes().for_each(|name| self.check_attribute(name, span));
    }

    /// Warns of a use of `number_id` if no call has one.
    pub(super) fn check_number_id(&mut self, span: &Range<usize>) {
        if !self.sent_facts.number_id {
            self.warning("unknown-fact", span, "no source sends `number_id`".to_owned())
                .help("compare the called number itself: `to`");
        }
    }
}
