//! The forms of an edit: fields by name, of which there can be several.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use futures_util::TryFutureExt;
use sha2::{Digest, Sha256};

use super::{CHOICES, DAYS, MAX_FORM_BYTES};
use crate::console::access::Reader;
use crate::console::page::{FORM_TIMEOUT, PageError};
use crate::http::HttpProblem;
use crate::http::admin::within;
use crate::rule_changes::{ChangePlan, Edit, EditError, EditProblem, RuleFiles};

/// Fields of a form that was sent by a page of the session itself, in order.
pub(in crate::console) struct FormFields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for FormFields {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let reader = Reader::from_request_parts(&mut parts, state).await?;
        let request = Request::from_parts(parts, body);
        let reading = Bytes::from_request(request, state).map_err(|error| {
            HttpProblem::unread_body(error.status(), error.body_text(), MAX_FORM_BYTES)
        });
        let body = within(FORM_TIMEOUT, reading).await?;
        let pairs = url::form_urlencoded::parse(&body);
        let fields = FormFields(pairs.map(|(name, value)| (name.into(), value.into())).collect());
        reader.check_form(fields.get("csrf").unwrap_or_default())?;
        Ok(fields)
    }
}

impl FormFields {
    /// Returns the first value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Returns the values of a field in order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Returns the days of calls to replay.
    pub(super) fn days(&self) -> u32 {
        let days = self.get("days").and_then(|days| days.trim().parse().ok());
        days.filter(|days| CHOICES.contains(days)).unwrap_or(DAYS)
    }

    /// Returns the note about the change.
    pub(super) fn note(&self) -> String {
        self.get("note").unwrap_or_default().trim().to_owned()
    }

    /// Returns the fields in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Returns a hash of a text, whatever its line breaks.
pub(super) fn text_hash(text: &str) -> String {
    let hash = Sha256::digest(text.replace("\r\n", "\n"));
    hex::encode(&hash[..12])
}

/// An edit that has not been applied yet.
pub(super) struct Draft {
    /// Version of the files that the texts were made from.
    pub(super) version: String,
    /// Texts by the name of the file.
    pub(super) texts: BTreeMap<String, String>,
    /// Files to remove.
    pub(super) removed: BTreeSet<String>,
    /// Name and text of a file to add.
    pub(super) new_name: String,
    pub(super) new_text: String,
    pub(super) days: u32,
    pub(super) note: String,
    /// Hash of the texts that were checked.
    pub(super) checked: String,
}

impl Draft {
    /// Reads a form. Browsers send line breaks as CR and LF, so the texts get those of the files.
    pub(super) fn read(fields: &FormFields, files: &RuleFiles) -> Draft {
        let text = |name: &str| fields.get(name).unwrap_or_default().trim().to_owned();
        let mut texts = BTreeMap::new();
        for (field, value) in fields.iter() {
            let Some(name) = field.strip_prefix("text:") else { continue };
            // A text that was not edited must not undo what someone else has changed meanwhile.
            if fields.get(&format!("sent:{name}")) == Some(&text_hash(value)) {
                continue;
            }
            let file = files.find(name);
            let old = file.as_ref().map(|file| file.text).unwrap_or_default();
            texts.insert(name.to_owned(), with_line_breaks_of(old, value));
        }
        let new_text = fields.get("new_text").unwrap_or_default();
        Draft {
            version: text("version"),
            texts,
            removed: fields.all("remove").map(str::to_owned).collect(),
            new_name: text("new_name"),
            new_text: with_line_breaks_of("", new_text),
            days: fields.days(),
            note: fields.note(),
            checked: text("checked"),
        }
    }

    /// Plans the edit.
    pub(super) fn plan(&self, files: &RuleFiles) -> Result<ChangePlan, EditError> {
        if !self.new_name.is_empty() && files.find(&self.new_name).is_some() {
            let file = self.new_name.clone();
            return Err(EditError { file, problem: EditProblem::Taken });
        }
        ChangePlan::of_edit(files, &self.edit())
    }

    fn edit(&self) -> Edit {
        let mut edit = Edit::default();
        for (name, text) in &self.texts {
            edit.set(name.clone(), text.clone());
        }
        if !self.new_name.is_empty() {
            edit.set(self.new_name.clone(), self.new_text.clone());
        }
        for name in &self.removed {
            edit.remove(name.clone());
        }
        edit
    }
}

/// Returns a text of a form with the line breaks of the file that it replaces.
fn with_line_breaks_of(old: &str, typed: &str) -> String {
    let unix = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
    let typed = unix(typed);
    if typed == unix(old) {
        // A file can mix them.
        return old.to_owned();
    }
    if old.contains("\r\n") { typed.replace('\n', "\r\n") } else { typed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_the_line_breaks_of_their_files() {
        for (old, typed, expected) in [
            ("a\nb\n", "a\r\nb\r\n", "a\nb\n"),
            ("a\nb\n", "a\r\nc\r\n", "a\nc\n"),
            ("a\r\nb\r\n", "a\r\nc\r\n", "a\r\nc\r\n"),
            ("a\r\nb\n", "a\r\nb\r\n", "a\r\nb\n"),
            ("", "a\r\nb", "a\nb"),
        ] {
            assert_eq!(with_line_breaks_of(old, typed), expected, "{old:?} {typed:?}");
        }
    }
}
