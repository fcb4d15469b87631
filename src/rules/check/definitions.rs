//! Definitions that rules refer to, except lists: the zone, the country, agents, dates, hours and look-ups.

use std::ops::Range;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::agents::Agents;
use super::dates;
use super::lookups::LookupDefinitions;
use super::opening_times;
use super::raw_table::RawTable;
use super::reporter::{DATES, HOURS, Reporter};
use super::usage::UsageTracker;
use super::values;
use crate::diagnostics::Location;
use crate::domain::phone_number::Country;
use crate::rules::load::files::TableFiles;
use crate::rules::load::raw::{RawDates, RawHours, Spanned};
use crate::rules::model::hours::suggest::lines_of;
use crate::rules::model::zone::parse_zone;
use crate::rules::{CheckContext, Dates, DaySpec, Hours, NamedSplit};

/// Definitions of all files of a table.
pub(super) struct Definitions {
    pub(super) zone: TableZone,
    /// Country of numbers without `+`.
    pub(super) country: Option<Country>,
    pub(super) agents: Agents,
    pub(super) dates: Vec<Arc<Dates>>,
    pub(super) dates_usage: UsageTracker,
    /// Hashes of the files of dates.
    pub(super) date_digests: Vec<[u8; 32]>,
    pub(super) hours: Vec<Hours>,
    pub(super) hours_usage: UsageTracker,
    pub(super) lookups: LookupDefinitions,
    /// Filled when the lists are open, since arms may refer to them.
    pub(super) splits: NamedSplits,
}

/// Splits by name.
#[derive(Default)]
pub(super) struct NamedSplits {
    pub(super) all: Vec<NamedSplit>,
    pub(super) usage: UsageTracker,
}

impl NamedSplits {
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|split| *split.name == *name)
    }

    pub(super) fn add(&mut self, split: NamedSplit, location: Location) {
        self.all.push(split);
        self.usage.add(Some(location));
    }
}

impl Definitions {
    /// Checks the definitions of all files.
    pub(super) fn new(
        table: &mut RawTable,
        context: &CheckContext,
        files: &mut TableFiles,
        reporter: &mut Reporter<'_>,
    ) -> Definitions {
        let all = || table.files.iter().flat_map(|file| &file.definitions);
        let mut definitions = Definitions {
            zone: TableZone::default(),
            country: None,
            agents: Agents::new(all().all(|raw| raw.agents.is_none())),
            dates: Vec::new(),
            dates_usage: UsageTracker::default(),
            date_digests: Vec::new(),
            hours: Vec::new(),
            hours_usage: UsageTracker::default(),
            lookups: LookupDefinitions::default(),
            splits: NamedSplits::default(),
        };
        for file in &mut table.files {
            reporter.set_file(&file.source);
            if let Some(raw) = &mut file.definitions {
                reporter.add_unreadable(std::mem::take(&mut raw.unreadable));
                raw.zone.take().iter().for_each(|zone| definitions.zone.set(zone, reporter));
                if let Some(country) = raw.country.take() {
                    definitions.set_country(&country, reporter);
                }
                let agents = raw.agents.take().into_iter().flatten();
                agents.for_each(|agent| definitions.agents.add(&agent, reporter));
                for lookup in std::mem::take(&mut raw.lookups) {
                    definitions.lookups.add(&lookup, context, reporter);
                }
            }
        }
        definitions.agents.check_fallbacks(&context.fallback_agents, reporter);
        definitions.agents.check_fallback_ids(&context.sources, reporter);
        // Dates need the zone, which can be in another file; hours refer to dates.
        let today = definitions.zone.today(context);
        for file in &mut table.files {
            reporter.set_file(&file.source);
            for dates in file.definitions.iter_mut().flat_map(|raw| std::mem::take(&mut raw.dates))
            {
                definitions.add_dates(&dates, today, files, reporter);
            }
        }
        for file in &mut table.files {
            reporter.set_file(&file.source);
            for hours in file.definitions.iter_mut().flat_map(|raw| std::mem::take(&mut raw.hours))
            {
                definitions.add_hours(&hours, today, reporter);
            }
        }
        definitions
    }

    fn set_country(&mut self, raw: &Spanned<String>, reporter: &mut Reporter<'_>) {
        let country = values::country(raw, reporter);
        if self.country.zip(country).is_some_and(|(first, other)| first != other) {
            let message = "another country is already set in another file".to_owned();
            reporter
                .error("duplicate-name", &raw.span, message)
                .help("a table has one country; set `country` on lists that differ");
        }
        self.country = self.country.or(country);
    }

    fn add_dates(
        &mut self,
        raw: &RawDates,
        today: Date,
        files: &mut TableFiles,
        reporter: &mut Reporter<'_>,
    ) {
        let name = &raw.name;
        if let Some(first) = self.dates.iter().position(|dates| *dates.name == *name.value) {
            return reporter.duplicate_name("dates", name, self.dates_usage.location(first));
        }
        reporter.check_name("a set of days", name, true);
        let (dates, digest) = dates::check(raw, today, files, reporter);
        self.dates.push(Arc::new(dates));
        self.date_digests.extend(digest);
        self.dates_usage.add(Some(reporter.location(&name.span)));
    }

    fn add_hours(&mut self, raw: &RawHours, today: Date, reporter: &mut Reporter<'_>) {
        let name = &raw.name;
        if let Some(first) = self.hours.iter().position(|hours| *hours.name == *name.value) {
            return reporter.duplicate_name("hours", name, self.hours_usage.location(first));
        }
        reporter.check_name("opening hours", name, true);
        let zone = self.zone_of_hours(raw, reporter);
        let week = opening_times::of_week(&raw.week, reporter);
        let mut closed = Vec::new();
        for dates in &raw.closed {
            closed.extend(self.find_dates(dates, reporter).map(|dates| self.dates[dates].clone()));
        }
        let mut open = Vec::new();
        for (day, times) in &raw.open {
            let times = opening_times::of_date(day, times, reporter);
            open.extend(dates::parse_day(day, today, reporter).map(|day| (day, times)));
        }
        // A date with a year takes precedence over one without.
        open.sort_by_key(|(day, _): &(DaySpec, _)| !day.has_a_year());
        if raw.week.is_empty() && raw.open.is_empty() {
            let message = format!("hours `{}` are never open", name.value);
            reporter
                .error("bad-time", &name.span, message)
                .help("for example mon-fri = \"09:00-17:00\"");
        }
        self.hours.push(Hours { name: name.value.as_str().into(), zone, week, closed, open });
        self.hours_usage.add(Some(reporter.location(&name.span)));
    }

    fn zone_of_hours(&mut self, raw: &RawHours, reporter: &mut Reporter<'_>) -> TimeZone {
        let Some(zone) = &raw.zone else {
            let name = &raw.name;
            let message =
                format!("hours `{}` have no zone, and the table has none either", name.value);
            return self.zone.require(message, &name.span, reporter);
        };
        parse_zone(&zone.value).unwrap_or_else(|problem| {
            reporter.problem(&zone.span, problem);
            TimeZone::UTC
        })
    }

    /// Returns the dates with this name and marks them as used, or reports an unknown name.
    pub(super) fn find_dates(
        &mut self,
        name: &Spanned<String>,
        reporter: &mut Reporter<'_>,
    ) -> Option<usize> {
        let found = self.dates.iter().position(|dates| *dates.name == *name.value);
        match found {
            Some(dates) => self.dates_usage.mark_used(dates),
            None => {
                let defined: Vec<_> = self.dates.iter().map(|dates| &*dates.name).collect();
                let suggestion = self.suggest_dates(&name.value);
                reporter.unknown_name(&DATES, name, &defined, suggestion);
            }
        }
        found
    }

    /// Returns the hours with this name and marks them as used, or reports an unknown name.
    pub(super) fn find_hours(
        &mut self,
        name: &Spanned<String>,
        reporter: &mut Reporter<'_>,
    ) -> Option<usize> {
        let found = self.hours.iter().position(|hours| *hours.name == *name.value);
        match found {
            Some(hours) => self.hours_usage.mark_used(hours),
            None => {
                let defined: Vec<_> = self.hours.iter().map(|hours| &*hours.name).collect();
                let suggestion = self.suggest_hours(&name.value);
                reporter.unknown_name(&HOURS, name, &defined, suggestion);
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
        if let Some(lines) = lines_of(name) {
            return Some(format!(
                "define times in [hours.NAME] as {lines}, and use the NAME in the rule"
            ));
        }
        let is_dates = self.dates.iter().any(|dates| *dates.name == *name);
        is_dates.then(|| format!("`{name}` are dates; use dates = \"{name}\""))
    }
}

/// The `zone` of a table.
#[derive(Default)]
pub(super) struct TableZone {
    zone: Option<TimeZone>,
    /// The zone is invalid or missing, which has been reported.
    reported: bool,
}

impl TableZone {
    fn set(&mut self, raw: &Spanned<String>, reporter: &mut Reporter<'_>) {
        match parse_zone(&raw.value) {
            Err(problem) => {
                self.reported = true;
                reporter.problem(&raw.span, problem);
            }
            Ok(_) if self.zone.is_some() => {
                let message = "the zone is already set in another file".to_owned();
                reporter
                    .error("duplicate-name", &raw.span, message)
                    .help("a table has one zone; set `zone` on hours that differ");
            }
            Ok(zone) => self.zone = Some(zone),
        }
    }

    /// Returns the zone, or UTC without one.
    pub(super) fn get(&self) -> TimeZone {
        self.zone.clone().unwrap_or(TimeZone::UTC)
    }

    /// Returns the zone where it is needed. A missing zone is reported once.
    pub(super) fn require(
        &mut self,
        message: String,
        span: &Range<usize>,
        reporter: &mut Reporter<'_>,
    ) -> TimeZone {
        if self.zone.is_none() && !std::mem::replace(&mut self.reported, true) {
            reporter
                .error("no-zone", span, message)
                .help("set zone = \"America/New_York\" at the top, above all tables in brackets");
        }
        self.get()
    }

    fn today(&self, context: &CheckContext) -> Date {
        context.now.to_zoned(self.get()).date()
    }
}
