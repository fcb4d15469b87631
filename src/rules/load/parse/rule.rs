//! A rule as it is written.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{Item, TomlReader, meant, plain_number};
use crate::rules::load::raw::{RawArm, RawCondition, RawOutcome, RawRule, RawWhere, Spanned};

const RULE_KEYS: [&str; 20] = [
    "name",
    "to",
    "from",
    "channel",
    "platform",
    "source",
    "hours",
    "dates",
    "where",
    "enabled",
    "agent",
    "split",
    "split_key",
    "reject",
    "keep",
    "continue",
    "variables",
    "metadata",
    "agent_override",
    "delay_ms",
];
pub(crate) const OUTCOMES: [&str; 5] = ["agent", "split", "reject", "keep", "continue"];
const ARM_KEYS: [&str; 2] = ["agent", "percent"];

impl TomlReader<'_> {
    pub(crate) fn rule(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> RawRule {
        let before = self.report.error_count();
        let mut rule = RawRule { span: self.in_file(span), ..RawRule::default() };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match name {
                "name" => {
                    rule.name = self.text(name, value);
                    rule.name_unreadable = rule.name.is_none();
                }
                "to" => rule.to = self.texts(name, value),
                "from" => rule.from = self.texts(name, value),
                "channel" => rule.channel = self.texts(name, value),
                "platform" => rule.platform = self.texts(name, value),
                "source" => rule.source = self.texts(name, value),
                "hours" => rule.hours = self.texts(name, value),
                "dates" => rule.dates = self.texts(name, value),
                "where" => rule.wheres = self.wheres(value),
                "enabled" => rule.disabled = self.boolean(name, value) == Some(false),
                "agent" | "split" | "reject" | "keep" | "continue" => {
                    let outcome = self.outcome(name, value);
                    let outcome = self.at(outcome, &key.span());
                    rule.outcomes.push(outcome);
                }
                "split_key" => rule.split_key = self.text(name, value),
                "variables" => {
                    rule.variables = self.object(name, value).unwrap_or_default();
                }
                "metadata" => rule.metadata = self.object(name, value),
                "agent_override" => rule.agent_override = self.object(name, value),
                "delay_ms" => rule.delay_ms = self.integer(name, value),
                _ => {
                    self.unknown(key, &RULE_KEYS, "a rule");
                    let meant = meant(name, &RULE_KEYS);
                    rule.outcome_misspelt |= meant.is_some_and(|it| OUTCOMES.contains(&it));
                }
            }
            if let "variables" | "metadata" | "agent_override" = name {
                let at = self.in_file(&key.span());
                rule.adds_at = rule.adds_at.filter(|first| first.start < at.start).or(Some(at));
            }
        }
        rule.flawed = self.report.error_count() > before;
        rule
    }

    fn wheres(&mut self, value: &Item<'_>) -> Vec<RawWhere> {
        let mut wheres = Vec::new();
        for (name, value) in self.table("where", value).into_iter().flatten() {
            self.conditions(self.named(name), value, &mut wheres);
        }
        wheres
    }

    /// `"stores.tier" = …`; without the quotes TOML takes it for a table in a table, and it means
    /// the same.
    fn conditions(&mut self, name: Spanned<String>, value: &Item<'_>, wheres: &mut Vec<RawWhere>) {
        for (deeper, value) in value.get_ref().as_table().into_iter().flatten() {
            let deeper = self.named(deeper);
            let value_of = format!("{}.{}", name.value, deeper.value);
            let whole = Spanned { value: value_of, span: name.span.start..deeper.span.end };
            self.conditions(whole, value, wheres);
        }
        if let Some(table) = value.get_ref().as_table() {
            if table.is_empty() {
                self.wrong_kind(&name.value, value, "a text, a number, or a list of them");
            }
            return;
        }
        let one = std::slice::from_ref(value);
        let list = value.get_ref().as_array().map_or(one, |list| list);
        if list.is_empty() {
            let message = format!("`{}` is an empty list, which nothing is", name.value);
            self.error("empty-list", &value.span(), message);
        }
        let wanted = list.iter().filter_map(|item| self.wanted(&name.value, item)).collect();
        wheres.push((name, wanted));
    }

    fn wanted(&mut self, name: &str, value: &Item<'_>) -> Option<Spanned<RawCondition>> {
        let number = || plain_number(value.get_ref())?.as_f64();
        let wanted = match value.get_ref() {
            DeValue::String(text) => Some(RawCondition::Text(text.to_string())),
            DeValue::Boolean(boolean) => Some(RawCondition::Text(boolean.to_string())),
            DeValue::Integer(_) | DeValue::Float(_) => number().map(RawCondition::Number),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        };
        if wanted.is_none() {
            self.wrong_kind(name, value, "a text, a number, or a list of them");
        }
        Some(self.at(wanted?, &value.span()))
    }

    fn arms(&mut self, list: &[Item<'_>]) -> RawOutcome {
        if let Some(other) = list.iter().find(|item| !item.get_ref().is_table()) {
            self.wrong_kind("split", other, "a list of { agent = …, percent = … }");
            return RawOutcome::Invalid;
        }
        let tables = list.iter().filter_map(|item| Some((item.span(), item.get_ref().as_table()?)));
        RawOutcome::Split(tables.map(|(span, table)| self.arm(&span, table)).collect())
    }

    fn arm(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> RawArm {
        let before = self.report.error_count();
        let span = self.in_file(span);
        let mut arm = RawArm { span, agent: None, percent: None, flawed: false };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "agent" => arm.agent = self.text("agent", value),
                "percent" => {
                    let number = plain_number(value.get_ref()).and_then(|number| number.as_f64());
                    match number {
                        Some(number) => arm.percent = Some(self.at(number, &value.span())),
                        None => {
                            self.wrong_kind("percent", value, "a number")
                                .help("write percent = 90");
                        }
                    }
                }
                _ => self.unknown(key, &ARM_KEYS, "an arm of a split"),
            }
        }
        arm.flawed = self.report.error_count() > before;
        arm
    }

    pub(crate) fn outcome(&mut self, key: &str, value: &Item<'_>) -> RawOutcome {
        match (key, value.get_ref()) {
            ("agent", DeValue::String(agent)) => {
                RawOutcome::Agent(self.at(agent.to_string(), &value.span()))
            }
            ("split", DeValue::Array(list)) if !list.is_empty() => self.arms(list),
            ("reject", DeValue::String(reason)) => RawOutcome::Reject(reason.to_string()),
            ("reject", DeValue::Boolean(true)) => RawOutcome::Reject(String::new()),
            ("keep", DeValue::Boolean(true)) => RawOutcome::Keep,
            ("continue", DeValue::Boolean(true)) => RawOutcome::Continue,
            _ => {
                let wanted = match key {
                    "agent" => "the name of an agent",
                    "split" => "a list of { agent = …, percent = … }",
                    "reject" => "true, or the reason",
                    _ => "true (or left out)",
                };
                self.wrong_kind(key, value, wanted);
                RawOutcome::Invalid
            }
        }
    }
}
