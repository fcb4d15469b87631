//! How telephone numbers are kept: in full, masked, or as a keyed hash.
//!
//! Where they are not kept in full, nothing else in a record holds them either: texts that came
//! from outside are masked.

use std::borrow::Cow;
use std::mem;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::domain::decision::Object;
use crate::domain::phone_number::{Party, is_digit_separator, mask_numbers};
use crate::settings::NumberStorage;

/// How numbers are written into records.
pub struct NumberPolicy(NumberStorage);

/// What a keyed hash begins with. No number does.
const HASHED: &str = "h:";
/// So many bytes of the hash are kept.
const HASH_BYTES: usize = 16;

impl NumberPolicy {
    /// As the settings say.
    pub fn new(kept: NumberStorage) -> NumberPolicy {
        NumberPolicy(kept)
    }

    /// The word in the settings and in each record.
    pub fn word(&self) -> &'static str {
        match self.0 {
            NumberStorage::Full => "full",
            NumberStorage::Masked => "masked",
            NumberStorage::Hashed(_) => "hashed",
        }
    }

    /// Who rings or is rung, as a record keeps it. That somebody showed no number is kept as it is.
    pub fn kept<'p>(&self, party: &'p Party) -> Cow<'p, str> {
        match (&self.0, party) {
            (NumberStorage::Full, _) | (_, Party::Withheld) => party.unmasked(),
            (NumberStorage::Masked, _) => party.masked(),
            (NumberStorage::Hashed(key), _) => hashed(key.expose(), &party.unmasked()).into(),
        }
    }

    /// All the ways in which records may hold this party, in the words of `kept`: settings change,
    /// and records stay.
    pub fn ways(&self, party: &Party) -> Vec<String> {
        let mut ways = vec![party.unmasked().into_owned()];
        match &self.0 {
            NumberStorage::Full => {}
            NumberStorage::Masked => ways.push(party.masked().into_owned()),
            NumberStorage::Hashed(key) => ways.push(hashed(key.expose(), &party.unmasked())),
        }
        ways.dedup();
        ways
    }

    /// Whether texts are kept as they came.
    pub fn are_full(&self) -> bool {
        matches!(self.0, NumberStorage::Full)
    }

    /// How the rest of a record is kept: what came in with a call of these parties.
    pub(crate) fn hiding<'p>(&self, parties: impl IntoIterator<Item = &'p Party>) -> Redactor {
        if self.are_full() {
            return Redactor { is_off: true, digits: Vec::new() };
        }
        let digits = |party: &Party| -> String {
            party.unmasked().chars().filter(char::is_ascii_digit).collect()
        };
        let digits = parties.into_iter().map(digits).filter(|digits| digits.len() >= IN_A_ROW);
        Redactor { is_off: false, digits: digits.collect() }
    }
}

/// Hides the numbers of one call in all that came with it, where records do not keep them in full.
pub(crate) struct Redactor {
    is_off: bool,
    /// The digits of its parties.
    digits: Vec<String>,
}

/// So many digits of a party's number never stand in a row.
const IN_A_ROW: usize = 5;
/// In what is no text, fewer that are alike are chance: a time, a price, an id.
const NO_CHANCE: usize = 7;

impl Redactor {
    /// Whether everything is kept as it came.
    pub(crate) fn is_off(&self) -> bool {
        self.is_off
    }

    /// A text that came in: any number in it is masked, and of the parties' no five digits are left
    /// in a row.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.is_off {
            return Cow::Borrowed(text);
        }
        let masked = mask_numbers(text);
        let hidden = self.hidden(&masked, IN_A_ROW, is_digit_separator);
        Cow::Owned(hidden.unwrap_or(masked))
    }

    /// A name or an id: only the parties' numbers are hidden, for other digits tell it from others.
    pub(crate) fn id<'t>(&self, id: &'t str) -> Cow<'t, str> {
        self.hidden(id, NO_CHANCE, |_| false).map_or(Cow::Borrowed(id), Cow::Owned)
    }

    /// A value, with all texts and keys in it, and numbers that are a party's.
    pub(crate) fn value(&self, value: &mut Value) {
        match value {
            _ if self.is_off => {}
            Value::String(text) => *text = self.text(text).into_owned(),
            Value::Number(number) => {
                if let Some(hidden) = self.hidden(&number.to_string(), NO_CHANCE, |_| false) {
                    *value = hidden.into();
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|one| self.value(one)),
            Value::Object(object) => self.object(object),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// An object, as [`Redactor::value`].
    pub(crate) fn object(&self, object: &mut Object) {
        object.values_mut().for_each(|one| self.value(one));
        if !self.is_off && object.keys().any(|key| self.text(key) != **key) {
            let entries = mem::take(object).into_iter();
            *object = entries.map(|(key, value)| (self.text(&key).into_owned(), value)).collect();
        }
    }

    /// With a star for each digit that stands in a row of so many, or of all, that a party's number
    /// has, too, whatever of `between` stands among them. None when there are none.
    fn hidden(
        &self,
        text: &str,
        in_a_row: usize,
        between: impl Fn(char) -> bool,
    ) -> Option<String> {
        let bytes = text.as_bytes();
        let mut hidden: Option<Vec<u8>> = None;
        let mut row: Vec<usize> = Vec::new();
        for (at, c) in text.char_indices() {
            if c.is_ascii_digit() {
                row.push(at);
            } else if !between(c) {
                self.hide_row(bytes, &row, in_a_row, &mut hidden);
                row.clear();
            }
        }
        self.hide_row(bytes, &row, in_a_row, &mut hidden);
        hidden.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn hide_row(&self, text: &[u8], row: &[usize], least: usize, hidden: &mut Option<Vec<u8>>) {
        if row.len() < IN_A_ROW {
            return;
        }
        let digits: String = row.iter().map(|at| char::from(text[*at])).collect();
        for number in &self.digits {
            let least = least.min(number.len());
            for from in 0..=digits.len().saturating_sub(least) {
                let some = digits.get(from..from + least);
                if some.is_some_and(|some| number.contains(some)) {
                    let hidden = hidden.get_or_insert_with(|| text.to_vec());
                    row[from..from + least].iter().for_each(|at| hidden[*at] = b'*');
                }
            }
        }
    }
}

fn hashed(key: &[u8], text: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("any length will do"));
    mac.update(text.as_bytes());
    format!("{HASHED}{}", hex::encode(&mac.finalize().into_bytes()[..HASH_BYTES]))
}
