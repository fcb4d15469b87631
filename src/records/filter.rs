//! Which records are wanted, as somebody writes it: on the command line, in the query of the admin
//! listener.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{CallRecord, EventRecord, Filter, NumberPolicy};
use crate::domain::phone_number::Party;
use crate::rules;
use crate::rules::matches_many;

/// The words. What is not said is not asked for.
#[derive(Debug, Clone, Default)]
pub struct FilterArgs {
    /// `7d`, `2026-11-01`, and so on: see [`moment`].
    pub since: Option<String>,
    /// The same.
    pub until: Option<String>,
    /// A number in any spelling that a call may have, `withheld`, or a text.
    pub number: Option<String>,
    /// The name of a rule.
    pub rule: Option<String>,
    /// The name of a source.
    pub source: Option<String>,
    /// `agent`, `reject` or `keep`.
    pub outcome: Option<String>,
    /// The platform's id of a call.
    pub call_id: Option<String>,
}

/// A word that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {why}")]
pub struct InvalidFilter {
    /// Which one.
    pub name: &'static str,
    /// What would be right.
    pub why: String,
}

/// What a decision may come to.
const OUTCOMES: [&str; 3] = ["agent", "reject", "keep"];

impl FilterArgs {
    /// What they mean: now, on the wall clock of `zone`, where numbers are kept like this.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn filter(
        &self,
        now: Timestamp,
        zone: &TimeZone,
        numbers: &NumberPolicy,
    ) -> Result<Filter, InvalidFilter> {
        let time = |name, text: &Option<String>| {
            let read = text.as_deref().map(|text| moment(text, now, zone)).transpose();
            read.map_err(|why| InvalidFilter { name, why })
        };
        let (since, until) = (time("since", &self.since)?, time("until", &self.until)?);
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            let why = format!("{until} is not after {since}");
            return Err(InvalidFilter { name: "until", why });
        }
        let outcome = self.outcome.clone();
        if let Some(unknown) = outcome.as_deref().filter(|word| !OUTCOMES.contains(word)) {
            let why = format!("`{unknown}`: there are {}", OUTCOMES.join(", "));
            return Err(InvalidFilter { name: "outcome", why });
        }
        let number = self.number.as_deref().map(one_party).transpose();
        let number = number.map_err(|why| InvalidFilter { name: "number", why })?;
        Ok(Filter {
            since,
            until,
            number: number.map(|party| numbers.ways(&party)),
            source: self.source.clone(),
            rule: self.rule.clone(),
            outcome,
            call_id: self.call_id.clone(),
        })
    }
}

/// One caller, not many.
///
/// # Errors
/// When the text is a pattern, or nothing.
pub fn one_party(text: &str) -> Result<Party, String> {
    if matches_many(text) || text.trim().is_empty() {
        return Err(format!("`{text}` is not one number"));
    }
    Ok(Party::parse(Some(text)).party)
}

/// A moment: so long ago (`90m`, `24h`, `7d`, `2w`), or a day or a time on the wall clock of `zone`,
/// or with its distance from UTC.
///
/// # Errors
/// What would be right.
pub fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Some(ago) = ago(text) {
        return now.checked_sub(ago).map_err(|_| format!("`{text}` is too long ago"));
    }
    rules::parse_timestamp(text, zone).map_err(|_| {
        format!(
            "`{text}` is not a time: write how long ago, 90m, 24h or 7d; a day, 2026-11-01; \
             a time, 2026-11-01T09:30; or one with its distance from UTC, 2026-11-01T09:30:00Z"
        )
    })
}

fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // More than there is time is too long ago, not unreadable.
    let count: i64 = all_digits.then(|| digits.parse().unwrap_or(i64::MAX))?;
    Some(SignedDuration::from_secs(count.saturating_mul(seconds)))
}

impl Filter {
    /// Whether this call is wanted: as the database judges it.
    pub fn fits(&self, call: &CallRecord) -> bool {
        let is = |wanted: &Option<String>, text: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == text)
        };
        self.holds(call.at)
            && is(&self.source, Some(&call.source))
            && is(&self.rule, call.rule.as_deref())
            && is(&self.outcome, Some(&call.outcome))
            && is(&self.call_id, call.call_id.as_deref())
            && self
                .number
                .as_ref()
                .is_none_or(|ways| ways.iter().any(|way| [&call.from, &call.to].contains(&way)))
    }

    /// Whether this event is wanted, of which no call is recorded: never where a decision is asked
    /// for.
    pub fn fits_alone(&self, event: &EventRecord) -> bool {
        let party = |name: &str| event.columns.get(name).and_then(|value| value.as_str());
        let is = |wanted: &Option<String>, text: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == text)
        };
        self.holds(event.at)
            && self.rule.is_none()
            && self.outcome.is_none()
            && is(&self.source, Some(&event.source))
            && is(&self.call_id, event.call_id.as_deref())
            && self.number.as_ref().is_none_or(|ways| {
                ways.iter().any(|way| [party("from"), party("to")].contains(&Some(way)))
            })
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::NumberStorage;

    const NOW: &str = "2026-11-21T12:00:00Z";

    #[track_caller]
    fn check(text: &str, zone: &str, expected: &str) {
        let zone = TimeZone::get(zone).unwrap();
        let read = moment(text, NOW.parse().unwrap(), &zone);
        assert_eq!(read.map(|at| at.to_string()), Ok(expected.to_owned()), "{text}");
    }

    #[test]
    fn a_moment_is_so_long_ago_or_a_day_or_a_time() {
        check("90m", "UTC", "2026-11-21T10:30:00Z");
        check("24h", "UTC", "2026-11-20T12:00:00Z");
        check("7d", "Europe/Berlin", "2026-11-14T12:00:00Z");
        check("2w", "UTC", "2026-11-07T12:00:00Z");
        check("30s", "UTC", "2026-11-21T11:59:30Z");
        check("2026-11-01", "UTC", "2026-11-01T00:00:00Z");
        check("2026-11-01", "Europe/Berlin", "2026-10-31T23:00:00Z");
        check("2026-11-01T09:30", "America/New_York", "2026-11-01T14:30:00Z");
        check("2026-11-01 09:30", "UTC", "2026-11-01T09:30:00Z");
        check("2026-11-01T09:30:00+01:00", "America/New_York", "2026-11-01T08:30:00Z");
        check("2026-11-01T09:30:00.25Z", "UTC", "2026-11-01T09:30:00.25Z");
    }

    #[test]
    fn what_is_no_moment_says_what_would_be_right() {
        for text in ["", "d", "7", "7 days", "-7d", "yesterday", "2026-13-01", "7D"] {
            let said = moment(text, NOW.parse().unwrap(), &TimeZone::UTC).unwrap_err();
            assert!(said.contains("7d") && said.contains("2026-11-01T09:30"), "{text}: {said}");
        }
        let said = moment("99999999999999999999d", NOW.parse().unwrap(), &TimeZone::UTC);
        assert!(said.unwrap_err().contains("too long ago"));
    }

    fn read(words: &FilterArgs) -> Result<Filter, InvalidFilter> {
        words.filter(NOW.parse().unwrap(), &TimeZone::UTC, &NumberPolicy::new(NumberStorage::Full))
    }

    #[test]
    fn a_number_is_found_in_any_spelling() {
        for text in
            ["+1 (213) 777-1234", "12137771234", "sip:+12137771234@host", "tel:+12137771234"]
        {
            let words = FilterArgs { number: Some(text.to_owned()), ..FilterArgs::default() };
            assert_eq!(read(&words).unwrap().number, Some(vec!["+12137771234".to_owned()]));
        }
        let words = FilterArgs { number: Some("anonymous".to_owned()), ..FilterArgs::default() };
        assert_eq!(read(&words).unwrap().number, Some(vec!["withheld".to_owned()]));
    }

    #[test]
    fn a_word_that_means_nothing_is_named() {
        let text = |text: &str| Some(text.to_owned());
        for (words, name) in [
            (FilterArgs { outcome: text("rejected"), ..FilterArgs::default() }, "outcome"),
            (FilterArgs { number: text("+1213*"), ..FilterArgs::default() }, "number"),
            (FilterArgs { number: text(" "), ..FilterArgs::default() }, "number"),
            (FilterArgs { since: text("soon"), ..FilterArgs::default() }, "since"),
            (FilterArgs { since: text("1d"), until: text("2d"), ..FilterArgs::default() }, "until"),
        ] {
            assert_eq!(read(&words).unwrap_err().name, name);
        }
    }
}
