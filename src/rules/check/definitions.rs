//! Definitions that rules refer to, except lists: agents, dates, hours, and the zone.

use std::ops::Range;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Checker;
use super::reporter::{DATES, HOURS};
use crate::diagnostics::{Location, SourceFile, did_you_mean, nearest};
use crate::dialect;
use crate::domain::call::Version;
use crate::rules::load::files::TableFiles;
use crate::rules::load::raw::{
    Entries, RawAgent, RawDates, RawDefinitions, RawHours, RawIds, RawValue, Spanned,
};
use crate::rules::model::hours::{TimeSpan, parse_spans, parse_weekdays, parse_zone};
use crate::rules::model::lists::Cell;
use crate::rules::{Agent, Dates, DaySpec, Hours, PlatformIds};

/// Locations of definitions, and which of them a rule uses.
#[derive(Default)]
pub(super) struct UsageTracker {
    /// `None` for an implicit definition.
    places: Vec<Option<Location>>,
    used: Vec<bool>,
}

impl UsageTracker {
    fn add(&mut self, place: Option<Location>) {
        self.places.push(place);
        self.used.push(false);
    }

    pub(super) fn mark(&mut self, at: usize) {
        self.used[at] = true;
    }

    fn unused(&self) -> impl Iterator<Item = (usize, Location)> {
        let places = self.places.iter().enumerate();
        let unused = places.filter(|(at, _)| !self.used[*at]);
        unused.filter_map(|(at, place)| Some((at, place.clone()?)))
    }
}

/// A rule that takes its agent from a column.
pub(super) struct AgentColumnUse {
    pub(super) rule: usize,
    pub(super) place: Location,
    pub(super) cell: Cell,
}

impl Checker<'_> {
    pub(super) fn house(
        &mut self,
        mut houses: Vec<(Arc<SourceFile>, RawDefinitions)>,
        table_files: &mut TableFiles,
    ) -> Vec<(Arc<SourceFile>, RawDefinitions)> {
        self.any_agent = houses.iter().all(|(_, house)| house.agents.is_none());
        for (file, house) in &mut houses {
            self.reporter.set_file(file);
            self.reporter.add_unreadable(std::mem::take(&mut house.unreadable));
            house.zone.take().into_iter().for_each(|zone| self.zone(&zone));
            house.agents.take().into_iter().flatten().for_each(|agent| self.add_agent(&agent));
            std::mem::take(&mut house.dates).iter().for_each(|dates| self.dates(dates));
        }
        self.fallbacks();
        // Hours refer to dates and need the zone, which can be in another file.
        for (file, house) in &mut houses {
            self.reporter.set_file(file);
            std::mem::take(&mut house.hours).iter().for_each(|hours| self.hours(hours));
            for list in std::mem::take(&mut house.lists) {
                self.open_list(list, table_files);
            }
        }
        houses
    }

    fn zone(&mut self, written: &Spanned<String>) {
        match parse_zone(&written.value) {
            Err(bad) => {
                self.zone_reported = true;
                self.reporter.problem(&written.span, bad);
            }
            Ok(_) if self.zone.is_some() => {
                let message = "the zone is already set in another file".to_owned();
                self.reporter
                    .error("duplicate-name", &written.span, message)
                    .help("a table has one zone; set `zone` on hours that differ");
            }
            Ok(zone) => self.zone = Some(zone),
        }
    }

    fn add_agent(&mut self, agent: &RawAgent) {
        let at = self.agents.len();
        let name = agent.name.value.as_str();
        if let Some(first) = self.agent_named(name) {
            let first = self.agents_used.places[first].clone();
            return self.reporter.duplicate_name("an agent", &agent.name, first.as_ref());
        }
        let read = match &agent.ids {
            RawIds::Everywhere(id) => self.id(id).map(|id| (PlatformIds::Everywhere(id), None)),
            RawIds::Table(entries) => self.ids(&agent.name, entries),
            RawIds::Invalid => None,
        };
        let (ids, version) = read.unwrap_or((PlatformIds::ByPlatform(Vec::new()), None));
        self.agents.push(Agent { name: name.into(), ids, version });
        self.agents_by_name.insert(name, at, |at| &self.agents[at].name);
        self.agents_used.add(Some(self.reporter.location(&agent.name.span)));
    }

    pub(super) fn agent_named(&self, name: &str) -> Option<usize> {
        self.agents_by_name.find(name, |at| &self.agents[at].name)
    }

    fn id(&mut self, id: &Spanned<String>) -> Option<Box<str>> {
        if id.value.trim().is_empty() {
            self.reporter.error(
                "empty-id",
                &id.span,
                "the id of an agent must not be empty".to_owned(),
            );
            return None;
        }
        Some(id.value.as_str().into())
    }

    fn ids(
        &mut self,
        agent: &Spanned<String>,
        entries: &Entries,
    ) -> Option<(PlatformIds, Option<Version>)> {
        let mut ids = Vec::new();
        let mut version = None;
        for (key, value) in entries {
            match (key.value.as_str(), &value.value) {
                ("version", RawValue::Text(tag)) if !tag.trim().is_empty() => {
                    version = Some(Version::Tag(tag.as_str().into()))
                }
                ("version", RawValue::Plain(Value::Number(number))) if number.is_i64() => {
                    version = number.as_i64().map(Version::Number);
                }
                ("version", _) => {
                    let message = "`version` must be an integer or a name such as `latest`";
                    self.reporter.error("wrong-kind", &value.span, message.to_owned());
                }
                (name, RawValue::Text(id)) => {
                    let Some(dialect) = dialect::by_name(name) else {
                        self.reporter.unknown_platform(key, &["version"]);
                        continue;
                    };
                    let id = self.id(&Spanned { value: id.clone(), span: value.span.clone() });
                    ids.extend(id.map(|id| (dialect.platform(), id)));
                }
                (name, _) => {
                    let message = format!("the id at {name} must be a string");
                    self.reporter.error("wrong-kind", &value.span, message);
                }
            }
        }
        if entries.iter().all(|(key, _)| key.value == "version") {
            let message = format!("agent `{}` has no id at any platform", agent.value);
            self.reporter
                .error("no-id", &agent.span, message)
                .help("write { retell = \"agent_…\" }");
        }
        Some((PlatformIds::ByPlatform(ids), version))
    }

    fn fallbacks(&mut self) {
        let around = self.context;
        for name in &around.fallback_agents {
            match self.agent_named(name) {
                Some(at) => self.agents_used.mark(at),
                None if self.any_agent => {
                    self.raw_agent(name);
                }
                None => {
                    let help = self.agent_meant(name);
                    let message =
                        format!("the settings have fallback = \"{name}\", which is not an agent");
                    self.reporter.report.error("unknown-agent", None, message).maybe_help(help);
                }
            }
        }
    }

    /// Reports a name that is not in `[agents]`.
    pub(super) fn no_such_agent(&mut self, name: &str, span: &Range<usize>) {
        let help = self.agent_meant(name);
        self.reporter
            .error("unknown-agent", span, format!("unknown agent `{name}`"))
            .help("use one of the names in [agents]")
            .maybe_help(help);
    }

    /// Suggests an agent with a similar name, or with this id.
    pub(super) fn agent_meant(&self, name: &str) -> Option<String> {
        let has_this_id = |agent: &&Agent| match &agent.ids {
            PlatformIds::Everywhere(id) => **id == *name,
            PlatformIds::ByPlatform(ids) => ids.iter().any(|(_, id)| **id == *name),
        };
        match self.agents.iter().find(has_this_id) {
            Some(agent) => Some(format!("this is an id of `{}`; use the name", agent.name)),
            None => did_you_mean(name, self.agents.iter().map(|agent| &*agent.name)),
        }
    }

    /// Returns the agent with this id, for a table without `[agents]`.
    pub(super) fn raw_agent(&mut self, id: &str) -> usize {
        if let Some(known) = self.agent_named(id) {
            return known;
        }
        let at = self.agents.len();
        self.agents.push(Agent {
            name: id.into(),
            ids: PlatformIds::Everywhere(id.into()),
            version: None,
        });
        self.agents_by_name.insert(id, at, |at| &self.agents[at].name);
        self.agents_used.add(None);
        at
    }

    fn dates(&mut self, written: &RawDates) {
        if let Some(first) = self.dates.iter().position(|dates| *dates.name == *written.name.value)
        {
            let first = self.dates_used.places[first].clone();
            return self.reporter.duplicate_name("dates", &written.name, first.as_ref());
        }
        let days = written.days.iter().filter_map(|day| self.day(day)).collect();
        self.dates.push(Arc::new(Dates { name: written.name.value.as_str().into(), days }));
        self.dates_used.add(Some(self.reporter.location(&written.name.span)));
    }

    /// Parses a day, and warns if it is in the past.
    fn day(&mut self, written: &Spanned<String>) -> Option<DaySpec> {
        match DaySpec::parse(&written.value) {
            Ok(day) => {
                if day.is_over(self.today()) {
                    let message = format!("{day} is over");
                    self.reporter
                        .warning("date-over", &written.span, message)
                        .help("remove it, or omit the year if it recurs every year");
                }
                Some(day)
            }
            Err(bad) => {
                self.reporter.problem(&written.span, bad);
                None
            }
        }
    }

    fn today(&self) -> Date {
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        self.context.now.to_zoned(zone).date()
    }

    fn hours(&mut self, written: &RawHours) {
        let name = &written.name;
        if let Some(first) = self.hours.iter().position(|hours| *hours.name == *name.value) {
            let first = self.hours_used.places[first].clone();
            return self.reporter.duplicate_name("hours", name, first.as_ref());
        }
        let own = written.zone.as_ref().map(|own| (own, parse_zone(&own.value)));
        let zone = match own {
            Some((_, Ok(zone))) => zone,
            Some((own, Err(bad))) => {
                self.reporter.problem(&own.span, bad);
                TimeZone::UTC
            }
            None => {
                let message =
                    format!("hours `{}` have no zone, and the table has none either", name.value);
                self.zone_for(message, &name.span)
            }
        };
        let week = self.week(&written.week);
        let closed = written.closed.iter().filter_map(|dates| self.dates_named(dates));
        let closed: Vec<_> = closed.collect();
        let closed = closed.into_iter().map(|at| self.dates[at].clone()).collect();
        let open = written.open.iter().filter_map(|(day, times)| {
            let times = self.times(times);
            Some((self.day(day)?, times))
        });
        let mut open: Vec<_> = open.collect();
        // A date with a year takes precedence over one without.
        open.sort_by_key(|(day, _): &(DaySpec, _)| !day.has_a_year());
        if written.week.is_empty() && open.is_empty() {
            let message = format!("hours `{}` are never open", name.value);
            self.reporter
                .error("bad-time", &name.span, message)
                .help("for example mon-fri = \"09:00-17:00\"");
        }
        self.hours.push(Hours { name: name.value.as_str().into(), zone, week, closed, open });
        self.hours_used.add(Some(self.reporter.location(&name.span)));
    }

    fn week(&mut self, written: &[(Spanned<String>, Vec<Spanned<String>>)]) -> [Vec<TimeSpan>; 7] {
        let mut week: [Vec<_>; 7] = Default::default();
        let mut said_by: [Option<&str>; 7] = [None; 7];
        for (days, times) in written {
            if let Some(near) = nearest(&days.value, ["zone", "closed", "open"]) {
                let message = format!("`{}` is not a weekday", days.value);
                self.reporter
                    .error("bad-time", &days.span, message)
                    .help(format!("did you mean `{near}`?"));
                continue;
            }
            let named = parse_weekdays(&days.value);
            let named =
                named.map_err(|bad| self.reporter.problem(&days.span, bad)).unwrap_or_default();
            let times = self.times(times);
            let places = named.iter().map(|day| day.to_monday_zero_offset().unsigned_abs());
            let places: Vec<_> = places.map(usize::from).collect();
            if let Some(first) = places.iter().find_map(|at| said_by[*at]) {
                let what = if places.len() > 1 { "a day of " } else { "" };
                let message = format!("{what}`{}` is in `{first}` already", days.value);
                self.reporter
                    .error("bad-time", &days.span, message)
                    .help("name each weekday once; separate several times with commas");
            }
            for at in places {
                said_by[at] = Some(&days.value);
                week[at].clone_from(&times);
            }
        }
        week
    }

    /// Returns the zone of the table. A missing zone is reported once, where it is needed.
    pub(super) fn zone_for(&mut self, message: String, span: &Range<usize>) -> TimeZone {
        if self.zone.is_none() && !std::mem::replace(&mut self.zone_reported, true) {
            self.reporter
                .error("no-zone", span, message)
                .help("set zone = \"America/New_York\" at the top, above all tables in brackets");
        }
        self.zone.clone().unwrap_or(TimeZone::UTC)
    }

    fn times(&mut self, written: &[Spanned<String>]) -> Vec<TimeSpan> {
        let mut times = Vec::new();
        for text in written {
            match parse_spans(&text.value) {
                Ok(read) => times.extend(read),
                Err(bad) => self.reporter.problem(&text.span, bad),
            }
        }
        times
    }

    pub(super) fn dates_named(&mut self, name: &Spanned<String>) -> Option<usize> {
        let found = self.dates.iter().position(|dates| *dates.name == *name.value);
        match found {
            Some(at) => self.dates_used.mark(at),
            None => {
                let defined: Vec<_> = self.dates.iter().map(|dates| &*dates.name).collect();
                let suggestion = self.suggest_dates(&name.value);
                self.reporter.unknown_name(&DATES, name, &defined, suggestion);
            }
        }
        found
    }

    pub(super) fn hours_named(&mut self, name: &Spanned<String>) -> Option<usize> {
        let found = self.hours.iter().position(|hours| *hours.name == *name.value);
        match found {
            Some(at) => self.hours_used.mark(at),
            None => {
                let defined: Vec<_> = self.hours.iter().map(|hours| &*hours.name).collect();
                let suggestion = self.suggest_hours(&name.value);
                self.reporter.unknown_name(&HOURS, name, &defined, suggestion);
            }
        }
        found
    }

    fn suggest_dates(&self, name: &str) -> Option<String> {
        if DaySpec::parse(name).is_ok() {
            return Some(format!(
                "define days in [dates.NAME] as days = [\"{name}\"], and use the NAME in the rule"
            ));
        }
        let is_hours = self.hours.iter().any(|hours| *hours.name == *name);
        is_hours.then(|| format!("`{name}` are hours; use hours = \"{name}\""))
    }

    fn suggest_hours(&self, name: &str) -> Option<String> {
        if parse_spans(name).is_ok() {
            return Some(format!(
                "define times in [hours.NAME] as mon-fri = \"{name}\", and use the NAME in the rule"
            ));
        }
        let is_dates = self.dates.iter().any(|dates| *dates.name == *name);
        is_dates.then(|| format!("`{name}` are dates; use dates = \"{name}\""))
    }

    pub(super) fn unused(&mut self) {
        let agents = self.agents_used.unused().map(|(at, place)| {
            ("unused-agent", place, format!("no rule uses the agent `{}`", self.agents[at].name))
        });
        let dates = self.dates_used.unused().map(|(at, place)| {
            ("unused-dates", place, format!("nothing uses the dates `{}`", self.dates[at].name))
        });
        let hours = self.hours_used.unused().map(|(at, place)| {
            ("unused-hours", place, format!("no rule uses the hours `{}`", self.hours[at].name))
        });
        let lists = self.open_lists.iter().filter(|list| !list.used).map(|list| {
            let name = &self.lists.list(list.id).name;
            ("unused-list", list.place.clone(), format!("no rule uses the list `{name}`"))
        });
        let unused: Vec<_> = agents.chain(dates).chain(hours).chain(lists).collect();
        for (code, place, message) in unused {
            self.reporter.report.warning(code, Some(place), message);
        }
    }
}
