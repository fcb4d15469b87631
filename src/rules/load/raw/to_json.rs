//! Raw values as JSON.

use serde_json::Value;

use super::{Entries, RawValue, Spanned};
use crate::domain::decision::Object;

/// Returns the entries as a JSON object, in the order of the file.
pub(crate) fn object(entries: &Entries) -> Object {
    entries.iter().map(|(name, value)| (name.value.clone(), json(value))).collect()
}

/// Returns a value as JSON.
pub(crate) fn json(value: &Spanned<RawValue>) -> Value {
    match &value.value {
        RawValue::Text(text) => Value::String(text.clone()),
        RawValue::Plain(plain) => plain.clone(),
        RawValue::List(list) => list.iter().map(json).collect(),
        RawValue::Table(entries) => Value::Object(object(entries)),
    }
}
