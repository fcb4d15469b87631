//! Prefixes that take all numbers of a country or more, where a typing error turns many callers away.

use crate::diagnostics::Problem;
use crate::domain::phone_number::{Country, PhoneNumber};

/// Maximum number of countries that a warning names.
const MAX_NAMED_COUNTRIES: usize = 2;

/// Returns the problem with a prefix that takes all numbers of a country, if it does. `entry` is the
/// prefix as written.
pub(super) fn whole_countries(prefix: PhoneNumber, entry: &str) -> Option<Problem> {
    let countries = prefix.countries_within();
    let (first, rest) = countries.split_first()?;
    let names: Vec<_> = countries.iter().take(MAX_NAMED_COUNTRIES).map(Country::as_str).collect();
    let more = countries.len().saturating_sub(MAX_NAMED_COUNTRIES);
    let names = match more {
        0 => names.join(" and "),
        more => format!("{} and {more} more", names.join(", ")),
    };
    let not_a_code = match prefix.country() {
        Some(_) => String::new(),
        None => format!(", and {} is not a country code", prefix.unmasked()),
    };
    let message = format!("`{entry}` takes every number of {names}{not_a_code}");
    let help = match rest {
        [] => format!("if this is intended, write `{first}` into the rule instead"),
        _ => "write more digits, or the codes of the countries into the rule".to_owned(),
    };
    Some(Problem::new("whole-country", message).help(help))
}
