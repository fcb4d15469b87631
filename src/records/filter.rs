//! Filters of calls, as written on the command line and in the query of the admin listener.

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{CallRecord, EventRecord, NumberPolicy, RuleChange, parse_time};
use crate::domain::party::NumberFormat;
use crate::rules::parse_party;

/// Conditions on calls. A condition that is not set matches every call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
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
    /// Name of the selected agent in the rules.
    pub agent: Option<String>,
    /// `agent`, `reject`, `transfer` or `keep`, or [`FALLBACK`].
    pub outcome: Option<String>,
    /// Id of the call at the platform.
    pub call_id: Option<String>,
}

/// A filter as written. The texts are the help of the command line.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default)]
pub struct FilterArgs {
    /// Include calls from this time on: 7d, 24h or 90m ago, today, yesterday, monday, 2026-11-01,
    /// "2026-11-01 09:30", 2026-11-01T09:30:00Z
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
    /// Agent that took the call, by its name in the rules, or its id
    #[arg(long)]
    pub agent: Option<String>,
    /// Outcome of the call: agent, reject, transfer or keep; or fallback, for calls that no rule decided
    /// because of an internal error
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
pub const OUTCOMES: [&str; 4] = ["agent", "reject", "transfer", "keep"];

/// In a filter, the outcome of calls that received the fallback reply, whatever that was.
pub const FALLBACK: &str = "fallback";

impl FilterArgs {
    /// Returns the filter without the fields that a form leaves empty.
    #[must_use]
    pub fn without_blanks(mut self) -> FilterArgs {
        for field in [
            &mut self.since,
            &mut self.until,
            &mut self.number,
            &mut self.rule,
            &mut self.source,
            &mut self.agent,
            &mut self.outcome,
            &mut self.call_id,
        ] {
            field.take_if(|text| text.trim().is_empty());
        }
        self
    }

    /// Parses the filter. Times are relative to `now` or on the wall clock of `zone`; `numbers` is
    /// how the store keeps numbers. Without `since`, the filter begins `default_age` before its end.
    ///
    /// # Errors
    /// Fails when a field cannot be parsed.
    pub fn parse(
        &self,
        now: Timestamp,
        zone: &TimeZone,
        numbers: &NumberPolicy,
        default_age: Option<SignedDuration>,
    ) -> Result<Filter, InvalidFilter> {
        let invalid = |name| move |reason| InvalidFilter { name, reason };
        let time = |text: &Option<String>| {
            text.as_deref().map(|text| parse_time(text, now, zone)).transpose()
        };
        let since = time(&self.since).map_err(invalid("since"))?;
        let until = time(&self.until).map_err(invalid("until"))?;
        if let (Some(from), Some(to)) = (since, until)
            && from >= to
        {
            let [since, until] = [&self.since, &self.until].map(|text| text.as_deref());
            let (since, until) = (since.unwrap_or_default(), until.unwrap_or_default());
            let reason = format!("`{until}` is not after the start of the time, `{since}`");
            return Err(invalid("until")(reason));
        }
        let default = default_age.and_then(|age| until.unwrap_or(now).checked_sub(age).ok());
        let since = since.or(default);
        let outcome = self.outcome.clone();
        let is_known = |outcome: &str| outcome == FALLBACK || OUTCOMES.contains(&outcome);
        if let Some(unknown) = outcome.as_deref().filter(|outcome| !is_known(outcome)) {
            let known = OUTCOMES.join(", ");
            let reason = format!("unknown outcome `{unknown}`: use {known}, or {FALLBACK}");
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
            agent: self.agent.clone(),
            outcome,
            call_id: self.call_id.clone(),
        })
    }
}

impl Filter {
    /// Returns whether a call matches, as the database would decide.
    pub fn matches(&self, call: &CallRecord) -> bool {
        self.includes(call.at)
            && is(&self.source, Some(&call.source))
            && is(&self.rule, call.rule.as_deref())
            && is(&self.agent, call.agent.as_deref())
            && match self.outcome.as_deref() {
                Some(FALLBACK) => call.is_fallback(),
                _ => is(&self.outcome, Some(&call.outcome)),
            }
            && is(&self.call_id, call.call_id.as_deref())
            && self
                .number
                .as_ref()
                .is_none_or(|forms| forms.iter().any(|form| [&call.from, &call.to].contains(&form)))
    }

    /// Returns whether an event without a recorded call matches. A filter by rule, agent or
    /// outcome never matches.
    pub fn matches_event(&self, event: &EventRecord) -> bool {
        let party = |name: &str| event.columns.get(name).and_then(|value| value.as_str());
        self.includes(event.at)
            && self.rule.is_none()
            && self.agent.is_none()
            && self.outcome.is_none()
            && is(&self.source, Some(&event.source))
            && is(&self.call_id, event.call_id.as_deref())
            && self.number.as_ref().is_none_or(|forms| {
                forms.iter().any(|form| [party("from"), party("to")].contains(&Some(form)))
            })
    }

    /// Returns whether a change of the rules matches: conditions on calls exclude all changes.
    pub fn matches_change(&self, change: &RuleChange) -> bool {
        let times = Filter { since: self.since, until: self.until, ..Filter::default() };
        *self == times && self.includes(change.at)
    }

    fn includes(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

/// Returns whether a text is the wanted one, if one is wanted.
fn is(wanted: &Option<String>, text: Option<&str>) -> bool {
    wanted.as_deref().is_none_or(|wanted| Some(wanted) == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::NumberStorage;

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn parsed(args: &FilterArgs) -> Result<Filter, InvalidFilter> {
        args.parse(
            NOW.parse().unwrap(),
            &TimeZone::UTC,
            &NumberPolicy::new(NumberStorage::Full),
            None,
        )
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

    #[test]
    fn the_default_age_counts_from_the_end_and_is_never_blamed() {
        let parse = |since: Option<&str>, until: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let args = FilterArgs { since: text(since), until: text(until), ..Default::default() };
            let numbers = NumberPolicy::new(NumberStorage::Full);
            let age = SignedDuration::from_hours(7 * 24);
            args.parse(NOW.parse().unwrap(), &TimeZone::UTC, &numbers, Some(age))
        };
        let since = |until| parse(None, until).unwrap().since.unwrap().to_string();
        assert_eq!(since(None), "2026-11-14T12:00:00Z");
        assert_eq!(since(Some("2026-01-08")), "2026-01-01T00:00:00Z");
        assert_eq!(since(Some("8d")), "2026-11-06T12:00:00Z");
        let reversed = parse(Some("1d"), Some("2026-01-08")).unwrap_err();
        assert_eq!(
            reversed.to_string(),
            "until: `2026-01-08` is not after the start of the time, `1d`"
        );
    }
}
