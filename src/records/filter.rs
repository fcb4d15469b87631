//! Filters of calls, as written on the command line and in the query of the admin listener.

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{CallRecord, EventRecord, NumberPolicy};
use crate::domain::party::NumberFormat;
use crate::rules;
use crate::rules::parse_party;

/// Conditions on calls. A condition that is not set matches every call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Earliest time of arrival.
    pub since: Option<Timestamp>,
    /// Time of arrival that is too late already.
    pub until: Option<Timestamp>,
    /// Caller or called number, in every form that records may store: see
    /// [`NumberPolicy::stored_forms`].
    pub number: Option<Vec<String>>,
    /// Name of the source.
    pub source: Option<String>,
    /// Name of the rule that decided.
    pub rule: Option<String>,
    /// `agent`, `reject` or `keep`.
    pub outcome: Option<String>,
    /// Id of the call at the platform.
    pub call_id: Option<String>,
}

/// A filter as written. The texts are the help of the command line.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default)]
pub struct FilterArgs {
    /// Include calls from this time on: 7d, 24h or 90m ago, 2026-11-01, 2026-11-01T09:30,
    /// 2026-11-01T09:30:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Include calls before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Caller's or called number in any notation, `withheld`, or a SIP user name
    #[arg(long, allow_hyphen_values = true)]
    pub number: Option<String>,
    /// Rule that decided the call
    #[arg(long)]
    pub rule: Option<String>,
    /// Source of the call
    #[arg(long)]
    pub source: Option<String>,
    /// Outcome of the call: agent, reject or keep
    #[arg(long)]
    pub outcome: Option<String>,
    /// The platform's id of the call
    #[arg(long, value_name = "ID")]
    pub call_id: Option<String>,
}

/// A field of [`FilterArgs`] that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct InvalidFilter {
    /// Name of the field.
    pub name: &'static str,
    /// Error message.
    pub reason: String,
}

/// The outcomes of a decision.
pub(super) const OUTCOMES: [&str; 3] = ["agent", "reject", "keep"];

impl FilterArgs {
    /// Parses the filter. Times are relative to `now` or on the wall clock of `zone`; `numbers` is
    /// how the store keeps numbers.
    ///
    /// # Errors
    /// Fails when a field cannot be parsed.
    pub fn parse(
        &self,
        now: Timestamp,
        zone: &TimeZone,
        numbers: &NumberPolicy,
    ) -> Result<Filter, InvalidFilter> {
        let invalid = |name| move |reason| InvalidFilter { name, reason };
        let time = |text: &Option<String>| {
            text.as_deref().map(|text| parse_time(text, now, zone)).transpose()
        };
        let since = time(&self.since).map_err(invalid("since"))?;
        let until = time(&self.until).map_err(invalid("until"))?;
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(invalid("until")(format!("{until} is not after {since}")));
        }
        let outcome = self.outcome.clone();
        if let Some(unknown) = outcome.as_deref().filter(|outcome| !OUTCOMES.contains(outcome)) {
            let reason = format!("unknown outcome `{unknown}`: use {}", OUTCOMES.join(", "));
            return Err(invalid("outcome")(reason));
        }
        let formats = NumberFormat::default();
        let number = self.number.as_deref().map(|text| parse_party(text, &formats)).transpose();
        let number = number.map_err(invalid("number"))?;
        Ok(Filter {
            since,
            until,
            number: number.map(|party| numbers.stored_forms(&party)),
            source: self.source.clone(),
            rule: self.rule.clone(),
            outcome,
            call_id: self.call_id.clone(),
        })
    }
}

/// Parses a time: an age (`90m`, `24h`, `7d`, `2w`), a date or time on the wall clock of `zone`, or
/// a time with an offset from UTC.
///
/// # Errors
/// Returns a message that lists the accepted forms.
pub fn parse_time(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Some(ago) = ago(text) {
        return now.checked_sub(ago).map_err(|_| format!("`{text}` is too long ago"));
    }
    rules::parse_timestamp(text, zone).map_err(|problem| match problem.code {
        "skipped-time" => problem.to_string(),
        _ => format!(
            "`{text}` is not a time: use an age, 90m, 24h or 7d; a date, 2026-11-01; a time, \
             2026-11-01T09:30; or a time with an offset from UTC, 2026-11-01T09:30:00Z"
        ),
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
    // A count that overflows is too long ago, not a syntax error.
    let count: i64 = all_digits.then(|| digits.parse().unwrap_or(i64::MAX))?;
    Some(SignedDuration::from_secs(count.saturating_mul(seconds)))
}

impl Filter {
    /// Returns whether a call matches, as the database would decide.
    pub fn matches(&self, call: &CallRecord) -> bool {
        let is = |wanted: &Option<String>, text: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == text)
        };
        self.includes(call.at)
            && is(&self.source, Some(&call.source))
            && is(&self.rule, call.rule.as_deref())
            && is(&self.outcome, Some(&call.outcome))
            && is(&self.call_id, call.call_id.as_deref())
            && self
                .number
                .as_ref()
                .is_none_or(|forms| forms.iter().any(|form| [&call.from, &call.to].contains(&form)))
    }

    /// Returns whether an event without a recorded call matches. A filter by rule or outcome never
    /// matches.
    pub fn matches_event(&self, event: &EventRecord) -> bool {
        let party = |name: &str| event.columns.get(name).and_then(|value| value.as_str());
        let is = |wanted: &Option<String>, text: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == text)
        };
        self.includes(event.at)
            && self.rule.is_none()
            && self.outcome.is_none()
            && is(&self.source, Some(&event.source))
            && is(&self.call_id, event.call_id.as_deref())
            && self.number.as_ref().is_none_or(|forms| {
                forms.iter().any(|form| [party("from"), party("to")].contains(&Some(form)))
            })
    }

    fn includes(&self, at: Timestamp) -> bool {
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
        let time = parse_time(text, NOW.parse().unwrap(), &zone);
        assert_eq!(time.map(|at| at.to_string()), Ok(expected.to_owned()), "{text}");
    }

    #[test]
    fn parses_an_age_a_date_or_a_time() {
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
    fn lists_the_accepted_forms_of_a_time() {
        for text in ["", "d", "7", "7 days", "-7d", "yesterday", "2026-13-01", "7D"] {
            let error = parse_time(text, NOW.parse().unwrap(), &TimeZone::UTC).unwrap_err();
            assert!(error.contains("7d") && error.contains("2026-11-01T09:30"), "{text}: {error}");
        }
        let error = parse_time("99999999999999999999d", NOW.parse().unwrap(), &TimeZone::UTC);
        assert!(error.unwrap_err().contains("too long ago"));
    }

    fn parsed(args: &FilterArgs) -> Result<Filter, InvalidFilter> {
        args.parse(NOW.parse().unwrap(), &TimeZone::UTC, &NumberPolicy::new(NumberStorage::Full))
    }

    #[test]
    fn parses_a_number_in_any_notation() {
        for text in
            ["+1 (213) 777-1234", "+1.213.777.1234", "sip:+12137771234@host", "tel:+12137771234"]
        {
            let args = FilterArgs { number: Some(text.to_owned()), ..FilterArgs::default() };
            assert_eq!(parsed(&args).unwrap().number, Some(vec!["+12137771234".to_owned()]));
        }
        let args = FilterArgs { number: Some("anonymous".to_owned()), ..FilterArgs::default() };
        assert_eq!(parsed(&args).unwrap().number, Some(vec!["withheld".to_owned()]));
    }

    #[test]
    fn names_the_invalid_field() {
        let text = |text: &str| Some(text.to_owned());
        for (args, name) in [
            (FilterArgs { outcome: text("rejected"), ..FilterArgs::default() }, "outcome"),
            (FilterArgs { number: text("+1213*"), ..FilterArgs::default() }, "number"),
            (FilterArgs { number: text(" "), ..FilterArgs::default() }, "number"),
            (FilterArgs { number: text("12137771234"), ..FilterArgs::default() }, "number"),
            (FilterArgs { since: text("soon"), ..FilterArgs::default() }, "since"),
            (FilterArgs { since: text("1d"), until: text("2d"), ..FilterArgs::default() }, "until"),
        ] {
            assert_eq!(parsed(&args).unwrap_err().name, name);
        }
    }
}
