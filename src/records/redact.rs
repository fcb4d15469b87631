//! Redaction of phone numbers: stored in full, masked, or as a keyed hash.
//!
//! Unless numbers are stored in full, no other field of a record contains them either: texts from
//! outside are masked.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::ops::Range;
use std::sync::LazyLock;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::domain::decision::Object;
use crate::domain::party::Party;
use crate::domain::phone_number::{ascii_digit, mask_numbers};
use crate::settings::NumberStorage;

/// Form in which records store numbers.
pub struct NumberPolicy(NumberStorage);

/// Random key of this process.
static PROCESS_KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Prefix of a keyed hash. No number begins like this.
const HASHED: &str = "h:";
/// Length of a stored hash.
const HASH_BYTES: usize = 16;

impl NumberPolicy {
    /// Builds the policy of a setting.
    pub fn new(storage: NumberStorage) -> NumberPolicy {
        NumberPolicy(storage)
    }

    /// Returns the value of the setting, which each record stores, too.
    pub fn as_str(&self) -> &'static str {
        match self.0 {
            NumberStorage::Full => "full",
            NumberStorage::Masked => "masked",
            NumberStorage::Hashed(_) => "hashed",
        }
    }

    /// Returns a party in its stored form. A withheld number is stored as `withheld`.
    pub fn stored<'p>(&self, party: &'p Party) -> Cow<'p, str> {
        match (&self.0, party) {
            (NumberStorage::Full, _) | (_, Party::Withheld) => party.unmasked(),
            (NumberStorage::Masked, _) => party.masked(),
            (NumberStorage::Hashed(key), _) => hashed(key.expose(), &party.unmasked()).into(),
        }
    }

    /// Returns whether a stored party is masked or hashed, so that it tells nobody's number.
    pub fn is_hidden(stored: &str) -> bool {
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_masked = stored.split_once("***").is_some_and(|(head, tail)| {
            let head = head.strip_prefix('+').unwrap_or(head);
            head.len() <= 7
                && tail.len() <= 4
                && is_digits(tail)
                && (is_digits(head) || head.bytes().all(|byte| byte.is_ascii_alphabetic()))
        });
        let hash = stored.strip_prefix(HASHED);
        let is_hash = |hash: &str| {
            hash.len() >= 16
                && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        is_masked || hash.is_some_and(is_hash)
    }

    /// Returns what tells a party apart from others in the key of a delivery. Several callers share a mask, and
    /// a hash with a key that is not stored reveals none of them; it differs between processes.
    pub(super) fn identity<'p>(&self, party: &'p Party) -> Cow<'p, str> {
        match (&self.0, party) {
            (NumberStorage::Masked, Party::Number(_) | Party::Literal(_)) => {
                format!("{:016x}", PROCESS_KEY.hash_one(party.unmasked())).into()
            }
            _ => self.stored(party),
        }
    }

    /// Returns every form in which the store may hold this party. Records that were stored before
    /// the setting changed hold it in full.
    pub fn stored_forms(&self, party: &Party) -> Vec<String> {
        let mut forms = vec![party.unmasked().into_owned()];
        match &self.0 {
            NumberStorage::Full => {}
            NumberStorage::Masked => forms.push(party.masked().into_owned()),
            NumberStorage::Hashed(key) => forms.push(hashed(key.expose(), &party.unmasked())),
        }
        forms.dedup();
        forms
    }

    /// Returns whether the stored form of a number belongs to one caller.
    pub fn identifies_callers(&self) -> bool {
        !matches!(self.0, NumberStorage::Masked)
    }

    /// Returns whether numbers are stored in full.
    pub fn stores_full(&self) -> bool {
        matches!(self.0, NumberStorage::Full)
    }

    /// Builds the redactor for the other fields of a call or event with these parties.
    pub(crate) fn redactor<'p>(&self, parties: [Option<&'p Party>; 2]) -> Redactor<'p> {
        Redactor { is_off: self.stores_full(), ..Redactor::new(parties) }
    }
}

/// Removes the numbers of one call from its other fields, unless they are stored in full.
pub(crate) struct Redactor<'p> {
    is_off: bool,
    parties: [Option<&'p Party>; 2],
    /// Digits of the parties, from the first text on that has enough digits for a number.
    digits: OnceCell<Vec<String>>,
}

/// A run of so many digits of a party's number is hidden.
const IN_A_ROW: usize = 5;
/// Outside free text, shorter runs coincide by chance: a time, a price, an id.
const LONG_RUN: usize = 7;

impl<'p> Redactor<'p> {
    /// Builds a redactor for the fields of a call or event with these parties.
    pub(crate) fn new(parties: [Option<&'p Party>; 2]) -> Redactor<'p> {
        Redactor { is_off: false, parties, digits: OnceCell::new() }
    }

    /// Returns the digits of the parties that have enough of them.
    fn digits(&self) -> &[String] {
        self.digits.get_or_init(|| {
            let digits = |party: &Party| {
                let mut text = party.unmasked().into_owned();
                text.retain(|c| c.is_ascii_digit());
                text
            };
            let digits = self.parties.into_iter().flatten().map(digits);
            digits.filter(|digits| digits.len() >= IN_A_ROW).collect()
        })
    }

    /// Returns whether nothing is redacted.
    pub(crate) fn is_off(&self) -> bool {
        self.is_off
    }

    /// Redacts free text: masks every number, and leaves no five consecutive digits of a party's.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.is_off {
            return Cow::Borrowed(text);
        }
        let masked = mask_numbers(text);
        let hidden = self.hidden(&masked, IN_A_ROW, |c| !c.is_alphabetic());
        Cow::Owned(hidden.unwrap_or(masked))
    }

    /// Redacts a name or an id: hides the parties' numbers, and all numbers if one begins with `+`. Other
    /// digits identify it.
    pub(crate) fn id<'t>(&self, id: &'t str) -> Cow<'t, str> {
        if self.is_off {
            return Cow::Borrowed(id);
        }
        if has_international_number(id) {
            return self.text(id);
        }
        // Without a copy, as nearly all ids have no digits of a party. Digits of other scripts are not ASCII.
        if id.is_ascii() && !self.has_digits_of_party(id, LONG_RUN) {
            return Cow::Borrowed(id);
        }
        self.hidden(id, LONG_RUN, |_| false).map_or(Cow::Borrowed(id), Cow::Owned)
    }

    /// Redacts a word of the platform, which is free text unless it is one of the documented words.
    pub(crate) fn word<'t>(&self, word: &'t str, is_documented: bool) -> Cow<'t, str> {
        if is_documented { Cow::Borrowed(word) } else { self.text(word) }
    }

    /// Redacts a value with all texts, keys and numbers in it.
    pub(crate) fn value(&self, value: &mut Value) {
        match value {
            _ if self.is_off => {}
            Value::String(text) => *text = self.text(text).into_owned(),
            Value::Number(number) => {
                if let Some(hidden) = self.hidden(&number.to_string(), LONG_RUN, |_| false) {
                    *value = hidden.into();
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.value(value)),
            Value::Object(object) => self.object(object),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Redacts an object like [`Redactor::value`].
    pub(crate) fn object(&self, object: &mut Object) {
        object.values_mut().for_each(|value| self.value(value));
        if !self.is_off && object.keys().any(|key| self.text(key) != **key) {
            let entries = mem::take(object).into_iter();
            *object = entries.map(|(key, value)| (self.text(&key).into_owned(), value)).collect();
        }
    }

    /// Returns whether an ASCII text contains `in_a_row` consecutive digits of a party's number, or all of
    /// them if it has fewer.
    fn has_digits_of_party(&self, text: &str, in_a_row: usize) -> bool {
        // Counted first: nearly all ids have no run of enough digits, so that none is compared.
        let longest = digit_runs(text).map(<[u8]>::len).max().unwrap_or_default();
        longest >= self.fewest_digits(in_a_row)
            && digit_runs(text).any(|run| self.parts_of_numbers(run, in_a_row).next().is_some())
    }

    /// Returns the length of the shortest run of digits that can give away a party's number.
    fn fewest_digits(&self, in_a_row: usize) -> usize {
        let digits = |party: &Party| match party {
            Party::Number(number) => number.digits(),
            Party::Withheld => 0,
            Party::Literal(text) => text.bytes().filter(u8::is_ascii_digit).count(),
        };
        let digits = self.parties.into_iter().flatten().map(digits);
        let counts = digits.filter(|digits| *digits >= IN_A_ROW);
        counts.map(|digits| digits.min(in_a_row)).min().unwrap_or(usize::MAX)
    }

    /// Returns the parts of a run of digits that have `in_a_row` consecutive digits of a party's number, or
    /// all of them if it has fewer.
    fn parts_of_numbers<'r>(
        &'r self,
        run: &'r [u8],
        in_a_row: usize,
    ) -> impl Iterator<Item = Range<usize>> + 'r {
        self.digits().iter().flat_map(move |number| {
            let least = in_a_row.min(number.len());
            let is_part = move |some: &[u8]| contains(number.as_bytes(), some);
            let starts = run.windows(least).enumerate().filter(move |(_, some)| is_part(some));
            starts.map(move |(from, _)| from..from + least)
        })
    }

    /// Replaces the digits of each run of `in_a_row` digits that is part of a party's number.
    /// Characters that `between` accepts do not end a run. None if there is nothing to hide.
    fn hidden(
        &self,
        text: &str,
        in_a_row: usize,
        between: impl Fn(char) -> bool,
    ) -> Option<String> {
        let mut chars: Vec<char> = text.chars().collect();
        let mut is_changed = false;
        let mut row: Vec<usize> = Vec::new();
        for at in 0..chars.len() {
            if ascii_digit(chars[at]).is_ascii_digit() {
                row.push(at);
            } else if !between(chars[at]) {
                is_changed |= self.hide_row(&mut chars, &row, in_a_row);
                row.clear();
            }
        }
        is_changed |= self.hide_row(&mut chars, &row, in_a_row);
        is_changed.then(|| chars.into_iter().collect())
    }

    /// Returns whether something was hidden.
    fn hide_row(&self, text: &mut [char], row: &[usize], least: usize) -> bool {
        if row.len() < IN_A_ROW {
            return false;
        }
        let digits: Vec<u8> = row.iter().map(|at| ascii_digit(text[*at]) as u8).collect();
        let mut is_hidden = false;
        for part in self.parts_of_numbers(&digits, least) {
            row[part].iter().for_each(|at| text[*at] = '*');
            is_hidden = true;
        }
        is_hidden
    }
}

/// Returns whether digits occur in a number.
fn contains(number: &[u8], digits: &[u8]) -> bool {
    // A comparison of single bytes first: nearly all positions end there.
    number.windows(digits.len()).any(|part| part[0] == digits[0] && part == digits)
}

fn has_international_number(text: &str) -> bool {
    let is_number = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count() >= IN_A_ROW;
    text.contains('+') && text.split('+').skip(1).any(is_number)
}

/// Returns the runs of ASCII digits in a text that are long enough for a number.
fn digit_runs(text: &str) -> impl Iterator<Item = &[u8]> {
    let runs = text.as_bytes().split(|byte| !byte.is_ascii_digit());
    runs.filter(|run| run.len() >= IN_A_ROW)
}

fn hashed(key: &[u8], text: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("any length will do"));
    mac.update(text.as_bytes());
    format!("{HASHED}{}", hex::encode(&mac.finalize().into_bytes()[..HASH_BYTES]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_that_is_returned_without_a_copy_has_nothing_to_hide(
            number in "[1-9][0-9]{4,14}",
            (from, to) in (0_usize..15, 0_usize..15),
            (head, tail) in ("[a-z_]{0,4}[0-9]{0,9}", "[0-9]{0,9}[a-z_-]{0,4}"),
        ) {
            let party = Party::parse(Some(&format!("+{number}"))).party;
            let redactor = Redactor::new([Some(&party), None]);
            let (from, to) = (from.min(number.len()), to.min(number.len()));
            let id = [&head, number.get(from..to).unwrap_or_default(), &tail].concat();
            let hidden = redactor.hidden(&id, LONG_RUN, |_| false);
            prop_assert_eq!(redactor.has_digits_of_party(&id, LONG_RUN), hidden.is_some());
        }
    }
}
