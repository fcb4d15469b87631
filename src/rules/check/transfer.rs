//! Targets of transfers: literal ones, templates, and columns of lists.

use std::ops::Range;

use super::lists::NameKind;
use super::rule::RuleNumbers;
use super::rules::RuleChecker;
use crate::diagnostics::Problem;
use crate::domain::phone_number::Country;
use crate::domain::transfer::{InvalidTarget, TransferTarget};
use crate::rules::load::raw::Spanned;
use crate::rules::model::pattern::is_national;
use crate::rules::{NumberPattern, Template, TransferRef};

const BAD_TRANSFER: &str = "bad-transfer";
const USE_TARGET_DEFAULT: &str =
    "use ${…|+12135550100} for the number to which such calls are transferred";

impl RuleChecker<'_, '_> {
    /// Checks the target of a transfer: a number, a SIP address, or a template that resolves to one.
    pub(super) fn transfer(
        &mut self,
        raw: &Spanned<String>,
        numbers: RuleNumbers<'_>,
    ) -> Option<TransferRef> {
        let Spanned { value: text, span } = raw;
        if text.contains("${") {
            let template = self.target_template(text, span, numbers)?;
            return Some(TransferRef::Template(Box::new(template)));
        }
        match target(text, self.definitions.country) {
            Ok(target) => Some(TransferRef::Target(Box::new(target))),
            Err(problem) => {
                let is_agent = self.definitions.agents.find(text).is_some();
                let problem = match is_agent {
                    true => problem.help(format!("for the agent, write agent = \"{text}\"")),
                    false => problem,
                };
                self.reporter.problem(span, problem);
                None
            }
        }
    }

    fn target_template(
        &mut self,
        text: &str,
        span: &Range<usize>,
        numbers: RuleNumbers<'_>,
    ) -> Option<Template> {
        let template = self.required_template(text, span, USE_TARGET_DEFAULT, numbers)?;
        if template.can_be_omitted() {
            let message = "the target of a transfer cannot be omitted".to_owned();
            self.reporter.error(BAD_TRANSFER, span, message).help(USE_TARGET_DEFAULT);
            return None;
        }
        self.warn_open_transfer(&template, span);
        self.reporter.check_attributes(&template, span);
        let Some(value) = template.single_placeholder() else {
            template.cells().for_each(|cell| self.lists.note_text_column(cell));
            return Some(template);
        };
        if let Some(default) = value.default {
            let checked = target(default, self.definitions.country);
            checked.map_err(|problem| self.reporter.problem(span, problem)).ok()?;
        }
        if let Some(cell) = value.cell {
            self.add_name_column(NameKind::Target, cell, span, value.default.is_some());
        }
        Some(template)
    }

    /// Warns of a target that callers can choose: they could be connected to any number, at the cost of the
    /// operator.
    fn warn_open_transfer(&mut self, template: &Template, span: &Range<usize>) {
        let Some(value) = template.caller_controlled() else { return };
        let message = format!("the caller may control `{value}`, to which calls are transferred");
        self.reporter
            .warning("open-transfer", span, message)
            .help("take the target from a list or a look-up, unless only your own systems set it");
    }
}

/// Parses a target that is written out, in a rule or in a row.
pub(super) fn target(text: &str, country: Option<Country>) -> Result<TransferTarget, Problem> {
    let text = text.trim();
    match TransferTarget::parse_in(text, country) {
        Ok(TransferTarget::Number(number)) => match NumberPattern::parse(&number.unmasked()) {
            Err(problem) => Err(Problem { help: None, ..problem }),
            Ok(_) => Ok(TransferTarget::Number(number)),
        },
        Ok(target) => Ok(target),
        Err(invalid) => Err(problem_of(text, &invalid)),
    }
}

fn problem_of(text: &str, invalid: &InvalidTarget) -> Problem {
    let message = format!("no call can be transferred to `{text}`: {invalid}");
    let help = match NumberPattern::parse(text) {
        _ if *invalid != InvalidTarget::Form => {
            "write an address such as `sip:desk@pbx.example.com`".to_owned()
        }
        // The number has a mistake of its own, such as a digit too few.
        Err(problem) if problem.code == "bad-number" => return Problem { help: None, ..problem },
        _ if is_national(text) => "write it with `+` and the country code, or set `country` at the top".to_owned(),
        _ if text.contains('@') => format!("for a SIP address, write `sip:{text}`"),
        _ => "write a number such as `+12135550100`, or an address such as `sip:desk@pbx.example.com`"
            .to_owned(),
    };
    Problem::new(BAD_TRANSFER, message).help(help)
}
