//! How telephone numbers are kept: in full, masked, or as a keyed hash.
//!
//! Where they are not kept in full, nothing else in a record holds them either: texts that came
//! from outside are masked.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::number::{Party, masked_in};
use crate::settings::KeptNumbers;

/// How numbers are written into records.
pub struct Numbers(KeptNumbers);

/// What a keyed hash begins with. No number does.
const HASHED: &str = "h:";
/// So many bytes of the hash are kept.
const HASH_BYTES: usize = 16;

impl Numbers {
    /// As the settings say.
    pub fn new(kept: KeptNumbers) -> Numbers {
        Numbers(kept)
    }

    /// The word in the settings and in each record.
    pub fn word(&self) -> &'static str {
        match self.0 {
            KeptNumbers::Full => "full",
            KeptNumbers::Masked => "masked",
            KeptNumbers::Hashed(_) => "hashed",
        }
    }

    /// Who rings or is rung, as a record keeps it. That somebody showed no number is kept as it is.
    pub fn kept<'p>(&self, party: &'p Party) -> Cow<'p, str> {
        match (&self.0, party) {
            (KeptNumbers::Full, _) | (_, Party::Withheld) => party.in_full(),
            (KeptNumbers::Masked, _) => party.masked(),
            (KeptNumbers::Hashed(key), _) => hashed(key.expose(), &party.in_full()).into(),
        }
    }

    /// All the ways in which records may hold this party, in the words of `kept`: settings change,
    /// and records stay.
    pub fn ways(&self, party: &Party) -> Vec<String> {
        let mut ways = vec![party.in_full().into_owned()];
        match &self.0 {
            KeptNumbers::Full => {}
            KeptNumbers::Masked => ways.push(party.masked().into_owned()),
            KeptNumbers::Hashed(key) => ways.push(hashed(key.expose(), &party.in_full())),
        }
        ways.dedup();
        ways
    }

    /// Any other text of a call.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.0 {
            KeptNumbers::Full => Cow::Borrowed(text),
            KeptNumbers::Masked | KeptNumbers::Hashed(_) => Cow::Owned(masked_in(text)),
        }
    }

    /// Whether texts are kept as they came.
    pub fn are_full(&self) -> bool {
        matches!(self.0, KeptNumbers::Full)
    }

    /// A value with all texts in it masked, and all whole numbers that have as many digits as a
    /// telephone number and are one of `parties`.
    pub fn mask(&self, value: &mut Value, parties: &[&Party]) {
        match value {
            Value::String(text) => *text = self.text(text).into_owned(),
            Value::Number(number) => {
                let digits = format!("+{number}");
                if parties.iter().any(|party| party.in_full() == digits) {
                    *value = masked_in(&digits).into();
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|one| self.mask(one, parties)),
            Value::Object(object) => {
                object.values_mut().for_each(|one| self.mask(one, parties));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

fn hashed(key: &[u8], text: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("any length will do"));
    mac.update(text.as_bytes());
    format!("{HASHED}{}", hex::encode(&mac.finalize().into_bytes()[..HASH_BYTES]))
}
