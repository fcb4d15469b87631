//! Relations between number patterns: what covers what, what excludes what, and example numbers.

use crate::domain::party::Party;
use crate::domain::phone_number::PhoneNumber;
use crate::rules::NumberPattern;
use crate::rules::model::lists::{Item, Lists};

/// Returns whether `wide` matches everything that `narrow` matches; false if that is unknown.
pub(super) fn covers(wide: &NumberPattern, narrow: &NumberPattern, lists: &Lists) -> bool {
    use NumberPattern::{Country, Digits, Exact, List, Literal, Prefix, Withheld};
    match (wide, narrow) {
        (wide, narrow) if wide == narrow => true,
        (wide, Exact(number)) => matches(wide, &Party::Number(*number), lists),
        (wide, Literal(text)) => matches(wide, &Party::Literal(text.clone()), lists),
        (Prefix(wide), Prefix(narrow)) => narrow.starts_with(*wide),
        (Country(wide), Prefix(narrow)) => narrow.country_as_prefix() == Some(*wide),
        (List(list, _), Prefix(narrow)) => lists.lists_with_prefix(*narrow).contains(list),
        (Prefix(_) | Country(_) | List(..), Digits(_)) => {
            narrow.leading_digits().is_some_and(|prefix| covers(wide, &Prefix(prefix), lists))
        }
        (Digits(wide), Digits(narrow)) => {
            let covers_digit =
                |(wide, narrow): (&Option<u8>, &Option<u8>)| wide.is_none() || wide == narrow;
            wide.len() == narrow.len() && wide.iter().zip(narrow).all(covers_digit)
        }
        (Exact(_) | Digits(_), Prefix(_))
        | (Exact(_) | Literal(_), Digits(_))
        | (Literal(_), Prefix(_))
        | (Withheld, _)
        | (_, Country(_) | List(..) | Withheld) => false,
    }
}

/// Returns whether no number matches both patterns; false if that is unknown.
pub(super) fn are_disjoint(first: &NumberPattern, second: &NumberPattern, lists: &Lists) -> bool {
    use NumberPattern::{Country, Exact, Literal, Prefix, Withheld};
    match (first, second) {
        (Exact(number), pattern) | (pattern, Exact(number)) => {
            !matches(pattern, &Party::Number(*number), lists)
        }
        (Literal(text), pattern) | (pattern, Literal(text)) => {
            !matches(pattern, &Party::Literal(text.clone()), lists)
        }
        (Withheld, Withheld) => false,
        (Withheld, _) | (_, Withheld) => true,
        (Prefix(first), Prefix(second)) => {
            !first.starts_with(*second) && !second.starts_with(*first)
        }
        (Country(first), Country(second)) => first != second,
        (Prefix(prefix), Country(country)) | (Country(country), Prefix(prefix)) => {
            prefix.country_as_prefix().is_some_and(|of_prefix| of_prefix != *country)
        }
        _ => false,
    }
}

pub(super) fn matches(pattern: &NumberPattern, party: &Party, lists: &Lists) -> bool {
    pattern.matches(&lists.lookup(party))
}

/// Returns numbers of several countries.
pub(super) fn any_numbers() -> Vec<Party> {
    let numbers = ["+12135550100", "+442079460123", "+4930901820", "+61291234567"];
    let numbers = numbers.into_iter().filter_map(|text| PhoneNumber::parse(text).ok());
    numbers.map(Party::Number).collect()
}

/// Returns some numbers of a pattern.
pub(super) fn examples(pattern: &NumberPattern, lists: &Lists) -> Vec<Party> {
    let with_prefix = |prefix: PhoneNumber| completed(prefix).map(Party::Number).collect();
    let number = |text: &str| PhoneNumber::parse(text).ok();
    match pattern {
        NumberPattern::Exact(number) => vec![Party::Number(*number)],
        NumberPattern::Prefix(prefix) => with_prefix(*prefix),
        NumberPattern::Digits(_) => {
            let text = pattern.to_string();
            let filled = ('0'..='9')
                .filter_map(|digit| number(&text.replace('X', digit.encode_utf8(&mut [0; 4]))));
            filled.map(Party::Number).collect()
        }
        NumberPattern::Country(country) => {
            let prefix = number(&format!("+{}", country.example_prefix()));
            prefix.map(with_prefix).unwrap_or_default()
        }
        NumberPattern::List(list, _) => match lists.any_item(*list) {
            Some(Item::Number(number)) => vec![Party::Number(number)],
            Some(Item::Prefix(prefix)) => with_prefix(prefix),
            Some(Item::Text(text)) => vec![Party::Literal(text)],
            None => Vec::new(),
        },
        NumberPattern::Withheld => vec![Party::Withheld],
        NumberPattern::Literal(text) => vec![Party::Literal(text.clone())],
    }
}

/// Returns numbers of a common length with this prefix.
fn completed(prefix: PhoneNumber) -> impl Iterator<Item = PhoneNumber> {
    const DIGITS: usize = 11;
    const ENDING: [u8; 10] = [2, 1, 3, 5, 5, 5, 0, 1, 0, 0];
    (0..10_u8).map(move |variant| {
        let mut number = prefix;
        for position in 0..DIGITS.saturating_sub(prefix.digits()) {
            let digit = (ENDING[position % ENDING.len()] + variant) % 10;
            number = number.with_digit(digit).unwrap_or(number);
        }
        number
    })
}
