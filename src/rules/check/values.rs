//! Values that rules, tests and lists have in common: channels, platforms, sources, delays, countries.

use std::time::Duration;

use super::reporter::Reporter;
use crate::diagnostics::did_you_mean;
use crate::domain::call::{Channel, Platform};
use crate::domain::country::suggested_country;
use crate::domain::phone_number::Country;
use crate::rules::load::raw::Spanned;
use crate::rules::{CheckContext, NumberPattern};

/// Maximum delay: platforms end a request after about 9 s.
const MAX_DELAY_MS: i64 = 8_000;

pub(super) fn channel(raw: &Spanned<String>, reporter: &mut Reporter<'_>) -> Option<Channel> {
    let found = Channel::ALL.into_iter().find(|channel| channel.as_str() == raw.value);
    if found.is_none() {
        let message = format!("unknown channel `{}`", raw.value);
        reporter.error("unknown-channel", &raw.span, message).help("use call or sms");
    }
    found
}

pub(super) fn platform(raw: &Spanned<String>, reporter: &mut Reporter<'_>) -> Option<Platform> {
    let found = reporter.dialects.by_name(&raw.value).map(|dialect| dialect.platform());
    if found.is_none() {
        reporter.unknown_platform(raw, &[]);
    }
    found
}

/// Returns the name of a source. Any name is valid if the settings are unknown.
pub(super) fn source(
    raw: &Spanned<String>,
    context: &CheckContext,
    reporter: &mut Reporter<'_>,
) -> Option<Box<str>> {
    let known = || context.sources.iter().map(|source| source.source.as_str());
    if !context.sources.is_empty() && !known().any(|name| name == raw.value) {
        let help = did_you_mean(&raw.value, known());
        let all = format!("the settings have {}", known().collect::<Vec<_>>().join(", "));
        let message = format!("unknown source `{}`", raw.value);
        reporter.error("unknown-source", &raw.span, message).help(all).maybe_help(help);
    }
    Some(raw.value.as_str().into())
}

/// Returns a delay. `subject` begins the message about an invalid one.
pub(super) fn delay(
    raw: &Spanned<i64>,
    subject: &str,
    reporter: &mut Reporter<'_>,
) -> Option<Duration> {
    if !(0..=MAX_DELAY_MS).contains(&raw.value) {
        let message =
            format!("{subject}: delay_ms is {}; it must be from 0 to {MAX_DELAY_MS}", raw.value);
        let too_long = "platforms end a request after about 9 seconds";
        let help = Some(too_long.to_owned()).filter(|_| raw.value > 0);
        reporter.error("delay-too-long", &raw.span, message).maybe_help(help);
        return None;
    }
    Some(Duration::from_millis(raw.value.unsigned_abs()))
}

/// Returns a country by its code.
pub(super) fn country(text: &Spanned<String>, reporter: &mut Reporter<'_>) -> Option<Country> {
    match NumberPattern::parse(text.value.trim()) {
        Ok(NumberPattern::Country(country)) => Some(country),
        Err(problem) if problem.code == "bad-country" => {
            reporter.problem(&text.span, problem);
            None
        }
        Ok(_) | Err(_) => {
            let message = format!("`{}` is not a known country code", text.value);
            let meant =
                suggested_country(&text.value).map(|code| format!("did you mean `{code}`?"));
            let help = "country codes have two capital letters, such as `DE`";
            reporter.error("bad-country", &text.span, message).help(help).maybe_help(meant);
            None
        }
    }
}
