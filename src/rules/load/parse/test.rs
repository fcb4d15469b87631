//! A test as it is written.

use std::ops::Range;

use toml::de::DeTable;

use super::{Item, TomlReader};
use crate::rules::load::raw::{RawExpectation, RawOutcome, RawTest, Spanned};

pub(crate) const TEST_KEYS: [&str; 9] =
    ["name", "from", "to", "channel", "platform", "source", "at", "sip", "expect"];
pub(crate) const EXPECT_KEYS: [&str; 9] = [
    "rule",
    "agent",
    "outcome",
    "reject",
    "keep",
    "variables",
    "metadata",
    "agent_override",
    "delay_ms",
];

impl TomlReader<'_> {
    pub(crate) fn test(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> RawTest {
        let before = self.report.error_count();
        let mut test = RawTest { span: self.in_file(span), ..RawTest::default() };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match name {
                "name" => test.name = self.text(name, value),
                "from" => test.from = self.text(name, value),
                "to" => test.to = self.text(name, value),
                "channel" => test.channel = self.text(name, value),
                "platform" => test.platform = self.text(name, value),
                "source" => test.source = self.text(name, value),
                "at" => test.at = self.moment(name, value),
                "sip" => test.sip = self.object(name, value).unwrap_or_default(),
                "expect" => test.expect = self.expectation(value),
                _ => self.unknown(key, &TEST_KEYS, "a test"),
            }
        }
        test.flawed = self.report.error_count() > before;
        test
    }

    /// A time, as a text or as TOML has it.
    fn moment(&mut self, key: &str, value: &Item<'_>) -> Option<Spanned<String>> {
        match value.get_ref().as_datetime() {
            Some(at) => Some(self.at(at.to_string(), &value.span())),
            None => self.text(key, value),
        }
    }

    fn expectation(&mut self, value: &Item<'_>) -> Option<RawExpectation> {
        let table = self.table("expect", value)?;
        let span = self.in_file(&value.span());
        let before = self.report.error_count();
        let mut expect = RawExpectation { span, ..RawExpectation::default() };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match name {
                "rule" => expect.rule = self.text(name, value),
                "agent" => expect.agent = self.text(name, value),
                "outcome" => expect.outcome = self.text(name, value),
                "reject" => {
                    if let RawOutcome::Reject(reason) = self.outcome(name, value) {
                        let reason = Some(reason).filter(|reason| !reason.is_empty());
                        expect.reject = Some(self.at(reason, &value.span()));
                    }
                }
                "keep" => match self.outcome(name, value) {
                    RawOutcome::Keep => expect.keep = Some(self.at((), &value.span())),
                    RawOutcome::Agent(_)
                    | RawOutcome::Split(_)
                    | RawOutcome::Reject(_)
                    | RawOutcome::Continue
                    | RawOutcome::Invalid => expect.keep = None,
                },
                "variables" => expect.variables = self.object(name, value).unwrap_or_default(),
                "metadata" => expect.metadata = self.object(name, value),
                "agent_override" => expect.agent_override = self.object(name, value),
                "delay_ms" => expect.delay_ms = self.integer(name, value),
                _ => self.unknown(key, &EXPECT_KEYS, "an expectation"),
            }
        }
        expect.flawed = self.report.error_count() > before;
        Some(expect)
    }
}
