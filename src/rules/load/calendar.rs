//! Days from an iCalendar file (RFC 5545): events that last whole days, once or every year. A small
//! reader of our own: see `docs/decisions/0023-calendars.md`.

mod recurrence;

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;

use super::file_days::{FileDays, LineProblem};
use crate::diagnostics::Problem;
use recurrence::Recurrence;

/// Returns whether a text is a calendar.
pub(crate) fn is_calendar(text: &str) -> bool {
    text.trim_start().get(..15).is_some_and(|start| start.eq_ignore_ascii_case("BEGIN:VCALENDAR"))
}

/// Reads the events of a calendar.
pub(crate) fn read(text: &str) -> FileDays {
    let mut reader = CalendarReader::default();
    for (number, line) in unfold(text) {
        reader.line(number, &line);
    }
    if let Some(event) = reader.event.take() {
        let problem = Problem::new("bad-calendar", "the calendar ends within an event".to_owned())
            .help("export it again; the file is incomplete");
        reader.found.errors.push(LineProblem::at(event.line, "BEGIN:VEVENT", "", problem));
    }
    reader.finish()
}

/// Joins folded lines, each with the number of its first one.
fn unfold(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, last))) => last.push_str(rest),
            (Some(_) | None, _) => lines.push((index + 1, line.trim_end().to_owned())),
        }
    }
    lines
}

/// A property: its name, parameters and value.
struct Property<'l> {
    name: String,
    parameters: &'l str,
    value: &'l str,
}

impl Property<'_> {
    fn parse(line: &str) -> Option<Property<'_>> {
        // A quoted parameter can contain colons.
        let mut is_quoted = false;
        let colon = line.find(|c: char| {
            is_quoted ^= c == '"';
            c == ':' && !is_quoted
        })?;
        let (head, value) = (&line[..colon], &line[colon + 1..]);
        let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
        Some(Property { name: name.to_ascii_uppercase(), parameters, value: value.trim() })
    }

    /// Returns the days of the value, or `None` if one of them has a time of day.
    fn days(&self) -> Option<Vec<Date>> {
        self.value.split(',').map(parse_day).collect()
    }
}

/// Parses `20261224`, and midnight as in `20261224T000000`, which some programs write for all day.
fn parse_day(text: &str) -> Option<Date> {
    let day = text.strip_suffix("T000000").unwrap_or(text);
    let digits = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Date::strptime("%Y%m%d", day).ok())?
}

/// An event that has not ended yet.
#[derive(Default)]
struct CalendarEvent {
    line: usize,
    uid: String,
    /// First day, with its line; `None` within it for an event with a time of day.
    start: Option<(usize, String, Option<Date>)>,
    /// Day after the last one.
    end: Option<Date>,
    /// Length in days, in place of the end.
    duration_days: Option<i32>,
    recurrence: Option<(usize, String)>,
    further: Vec<Date>,
    exceptions: Vec<Date>,
    /// Day of a recurring event that this event replaces.
    replaces: Option<Date>,
    is_cancelled: bool,
}

/// Reads the events of a calendar, line by line.
#[derive(Default)]
struct CalendarReader {
    event: Option<CalendarEvent>,
    /// Depth of components within the event, such as an alarm.
    depth: usize,
    events: Vec<CalendarEvent>,
    found: FileDays,
}

impl CalendarReader {
    fn line(&mut self, number: usize, line: &str) {
        let Some(property) = Property::parse(line) else { return };
        let is_event = property.value.eq_ignore_ascii_case("VEVENT");
        match (property.name.as_str(), &mut self.event) {
            ("BEGIN", None) if is_event => {
                self.event = Some(CalendarEvent { line: number, ..CalendarEvent::default() });
            }
            ("BEGIN", Some(_)) => self.depth += 1,
            ("END", Some(_)) if is_event => {
                self.depth = 0;
                self.events.extend(self.event.take());
            }
            ("END", Some(_)) => self.depth = self.depth.saturating_sub(1),
            (_, Some(event)) if self.depth == 0 => event.add(number, line, &property),
            (_, Some(_) | None) => {}
        }
    }

    /// Turns the events into days.
    fn finish(mut self) -> FileDays {
        let mut replaced: BTreeMap<String, Vec<Date>> = BTreeMap::new();
        for event in &self.events {
            if let Some(day) = event.replaces {
                replaced.entry(event.uid.clone()).or_default().push(day);
            }
        }
        let mut timed: Vec<(usize, String)> = Vec::new();
        for mut event in std::mem::take(&mut self.events) {
            if event.replaces.is_none() {
                event.exceptions.extend(replaced.get(&event.uid).into_iter().flatten());
            }
            event.exceptions.sort_unstable();
            match &event.start {
                _ if event.is_cancelled => {}
                Some((line, text, None)) => timed.push((*line, text.clone())),
                Some((.., Some(start))) => self.add_days(&event, *start),
                None => {
                    let message = "the event has no DTSTART".to_owned();
                    let problem = Problem::new("bad-calendar", message);
                    let problem = LineProblem::at(event.line, "BEGIN:VEVENT", "", problem);
                    self.found.errors.push(problem);
                }
            }
        }
        if let Some((line, text)) = timed.first() {
            let events = match timed.len() {
                1 => "an event with a time of day is".to_owned(),
                count => format!("{count} events with a time of day are"),
            };
            let problem = Problem::new("timed-event", format!("{events} left out"))
                .help("only events that last all day are days of `dates`");
            self.found.warnings.push(LineProblem::at(*line, text, "", problem));
        }
        self.found
    }

    fn add_days(&mut self, event: &CalendarEvent, start: Date) {
        let days = match (event.end, event.duration_days) {
            (Some(end), _) => (end - start).get_days(),
            (None, Some(days)) => days,
            (None, None) => 1,
        };
        let last = |first: Date| first.saturating_add((days.max(1) - 1).days());
        let mut starts = vec![start];
        if let Some((line, text)) = &event.recurrence {
            let rule = text.split_once(':').map_or("", |(_, rule)| rule);
            match Recurrence::parse(rule) {
                Ok(recurrence) => starts = recurrence.days_from(start),
                Err(problem) => {
                    self.found.errors.push(LineProblem::at(*line, text, rule, problem));
                    return;
                }
            }
        }
        starts.extend(&event.further);
        starts.retain(|day| event.exceptions.binary_search(day).is_err());
        self.found.ranges.extend(starts.into_iter().map(|first| (first, last(first))));
    }
}

impl CalendarEvent {
    fn add(&mut self, number: usize, line: &str, property: &Property<'_>) {
        let first = || property.days().and_then(|days| days.first().copied());
        match property.name.as_str() {
            "DTSTART" => self.start = Some((number, line.to_owned(), first())),
            "DTEND" => self.end = first(),
            "DURATION" => self.duration_days = parse_duration(property.value),
            "RRULE" => self.recurrence = Some((number, line.to_owned())),
            "RDATE" if !property.parameters.to_ascii_uppercase().contains("PERIOD") => {
                self.further.extend(property.days().into_iter().flatten());
            }
            "EXDATE" => self.exceptions.extend(property.days().into_iter().flatten()),
            "RECURRENCE-ID" => self.replaces = first(),
            "UID" => self.uid = property.value.to_owned(),
            "STATUS" => self.is_cancelled = property.value.eq_ignore_ascii_case("CANCELLED"),
            _ => {}
        }
    }
}

/// Parses `P3D` and `P2W` into days.
fn parse_duration(text: &str) -> Option<i32> {
    let (number, unit) = text.strip_prefix('P')?.split_at_checked(text.len().checked_sub(2)?)?;
    let number: i32 = number.parse().ok().filter(|number| (1..=3_660).contains(number))?;
    match unit {
        "D" => Some(number),
        "W" => Some(number * 7),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(events: &[&str]) -> String {
        let events =
            events.iter().map(|event| format!("BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n"));
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n", events.collect::<String>())
    }

    #[track_caller]
    fn check(event: &str, expected: &[&str]) {
        let found = read(&calendar(&[event]));
        assert!(found.errors.is_empty() && found.warnings.is_empty(), "{found:?}");
        let shown: Vec<_> = found
            .ranges
            .iter()
            .take(expected.len().max(3))
            .map(|(from, to)| format!("{from}..{to}"))
            .collect();
        assert_eq!(shown, expected, "{event}");
    }

    #[test]
    fn reads_events_that_last_whole_days() {
        let range = ["2026-12-24..2026-12-26"];
        check("DTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227", &range);
        check("DTSTART:20261224\r\nDTEND:20261227", &range);
        check("DTSTART;VALUE=DATE:20261224\r\nDURATION:P3D", &range);
        check("DTSTART;TZID=\"a:b\":20261224T000000\r\nDTEND;TZID=x:20261227T000000", &range);
        check("DTSTART;VALUE=DA\r\n TE:202612\r\n\t24\r\nDTEND;VALUE=DATE:20261227", &range);
        check("DTSTART;VALUE=DATE:20261224", &["2026-12-24..2026-12-24"]);
        check(
            "DTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261224",
            &["2026-12-24..2026-12-24"],
        );
        check("dtstart;value=date:20261224\r\nSUMMARY:DTSTART:1", &["2026-12-24..2026-12-24"]);
        check("DTSTART;VALUE=DATE:20261224\r\nSTATUS:CANCELLED", &[]);
        let alarm = "DTSTART;VALUE=DATE:20261224\r\nBEGIN:VALARM\r\nDURATION:P9D\r\nEND:VALARM";
        check(alarm, &["2026-12-24..2026-12-24"]);
        let further = "DTSTART;VALUE=DATE:20261224\r\nRDATE;VALUE=DATE:20261231";
        check(further, &["2026-12-24..2026-12-24", "2026-12-31..2026-12-31"]);
    }

    #[test]
    fn repeats_events_every_year() {
        let yearly =
            "DTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261226\r\nRRULE:FREQ=YEARLY";
        let days = ["2026-12-24..2026-12-25", "2027-12-24..2027-12-25", "2028-12-24..2028-12-25"];
        check(yearly, &days);
        check(&format!("{yearly};COUNT=2"), &days[..2]);
        check(&format!("{yearly};UNTIL=20271231"), &days[..2]);
        let without = format!("{yearly}\r\nEXDATE;VALUE=DATE:20271224");
        check(&without, &[days[0], days[2], "2029-12-24..2029-12-25"]);
    }

    #[test]
    fn an_event_can_replace_one_of_a_series() {
        let series = "UID:a\r\nDTSTART;VALUE=DATE:20261224\r\nRRULE:FREQ=YEARLY;COUNT=2";
        let moved = "UID:a\r\nRECURRENCE-ID;VALUE=DATE:20271224\r\nDTSTART;VALUE=DATE:20271223";
        let found = read(&calendar(&[series, moved]));
        let days: Vec<_> = found.ranges.iter().map(|(from, _)| from.to_string()).collect();
        assert_eq!(days, ["2026-12-24", "2027-12-23"]);
    }

    #[test]
    fn tells_of_events_that_are_left_out() {
        let timed = "DTSTART:20261224T090000Z\r\nDTEND:20261224T100000Z";
        let found = read(&calendar(&[timed, timed, "DTSTART;VALUE=DATE:20261224"]));
        assert_eq!(found.ranges.len(), 1);
        assert_eq!(found.warnings.len(), 1);
        assert_eq!(found.warnings[0].line, 4);
        let message = "2 events with a time of day are left out";
        assert_eq!(found.warnings[0].problem.message, message);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let weekly = "DTSTART;VALUE=DATE:20261224\r\nRRULE:FREQ=WEEKLY;INTERVAL=2";
        for (event, line) in [(weekly, 5), ("SUMMARY:x", 3)] {
            let found = read(&calendar(&[event]));
            assert_eq!(found.errors.len(), 1, "{event}");
            assert_eq!(
                (found.errors[0].line, found.errors[0].problem.code),
                (line, "bad-calendar")
            );
            assert!(found.ranges.is_empty());
        }
        let cut = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\n";
        assert_eq!(read(cut).errors.len(), 1);
    }
}
