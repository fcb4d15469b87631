//! Agents, lists, dates and hours as they are written.

use toml::de::DeTable;

use super::{Item, TomlReader, is_empty_list};
use crate::rules::load::raw::{RawAgent, RawDates, RawHours, RawIds, RawList, Spanned};

const LIST_KEYS: [&str; 3] = ["numbers", "file", "column"];
const DATES_KEYS: [&str; 1] = ["days"];

impl TomlReader<'_> {
    pub(crate) fn agents(&mut self, table: &DeTable<'_>) -> Vec<RawAgent> {
        let read = table.iter().map(|(key, value)| {
            let item = value.get_ref();
            let ids = if let Some(id) = item.as_str() {
                RawIds::Everywhere(self.at(id.to_owned(), &value.span()))
            } else if let Some(table) = item.as_table() {
                RawIds::Table(self.entries(table))
            } else {
                self.wrong_kind(key.get_ref(), value, "an id, or a table of ids by platform");
                RawIds::Invalid
            };
            RawAgent { name: self.named(key), ids }
        });
        read.collect()
    }

    pub(crate) fn list(&mut self, name: Spanned<String>, table: &DeTable<'_>) -> RawList {
        let before = self.report.error_count();
        let (mut numbers, mut file, mut column) = (None, None, None);
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "numbers" if is_empty_list(value) => numbers = Some(Vec::new()),
                "numbers" => numbers = Some(self.texts("numbers", value)),
                "file" => file = self.text("file", value),
                "column" => column = self.text("column", value),
                _ => self.unknown(key, &LIST_KEYS, "a list"),
            }
        }
        RawList { name, numbers, file, column, flawed: self.report.error_count() > before }
    }

    pub(crate) fn dates(&mut self, name: Spanned<String>, table: &DeTable<'_>) -> RawDates {
        let before = self.report.error_count();
        let mut days = Vec::new();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "days" if is_empty_list(value) => {}
                "days" => days = self.texts("days", value),
                _ => self.unknown(key, &DATES_KEYS, "a table of dates"),
            }
        }
        if days.is_empty() && self.report.error_count() == before {
            let message = format!("dates `{}` have no `days`", name.value);
            self.error_at("no-days", &name.span, message)
                .help("write days = [\"01-01\", \"last mon of may\", \"2026-12-24\"]");
        }
        RawDates { name, days }
    }

    pub(crate) fn hours(&mut self, name: Spanned<String>, table: &DeTable<'_>) -> RawHours {
        let mut hours =
            RawHours { name, zone: None, week: Vec::new(), closed: Vec::new(), open: Vec::new() };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "zone" => hours.zone = self.text("zone", value),
                "closed" if is_empty_list(value) => {}
                "closed" => hours.closed = self.texts("closed", value),
                "open" => {
                    for (date, value) in self.table("open", value).into_iter().flatten() {
                        let times = self.times(date.get_ref(), value);
                        hours.open.push((self.named(date), times));
                    }
                }
                days => {
                    let times = self.times(days, value);
                    hours.week.push((self.named(key), times));
                }
            }
        }
        hours
    }

    fn times(&mut self, days: &str, value: &Item<'_>) -> Vec<Spanned<String>> {
        if is_empty_list(value) {
            let message = format!("`{days}` has no times");
            self.error("empty-list", &value.span(), message)
                .help("a weekday that is left out is closed, other days stand in `closed`");
            return Vec::new();
        }
        self.texts(days, value)
    }
}
