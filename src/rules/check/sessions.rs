//! Sessions of agents: settings that a platform receives with each call, in place of an id.

use std::ops::Range;

use super::reporter::Reporter;
use crate::diagnostics::did_you_mean;
use crate::dialect::{Dialect, Presence, SessionKey};
use crate::domain::call::Platform;
use crate::domain::session::SessionTemplate;
use crate::rules::load::raw::to_json::{json, object};
use crate::rules::load::raw::{Entries, RawValue, Spanned};

/// Checks the settings of an agent's session at a platform.
pub(super) fn session(
    key: &Spanned<String>,
    entries: &Entries,
    dialect: &dyn Dialect,
    reporter: &mut Reporter<'_>,
) -> Option<SessionTemplate> {
    let platform = dialect.platform();
    let Some(keys) = dialect.session_keys() else {
        let message = format!("the id at {platform} must be a string");
        reporter
            .error("wrong-kind", &key.span, message)
            .help(format!("write {platform} = \"ID\", as {platform} shows it"));
        return None;
    };
    let failures = reporter.failures();
    let check = SessionCheck { keys, platform, what: "session", span: &key.span };
    check.names(entries, &mut Vec::new(), reporter);
    check.values(entries, true, reporter);
    (reporter.failures() == failures).then(|| SessionTemplate::new(object(entries)))
}

/// Checks the settings with which a rule replaces those of a session for one call.
pub(super) fn session_override(
    entries: &Entries,
    dialect: &dyn Dialect,
    reporter: &mut Reporter<'_>,
) {
    let (Some(keys), Some((first, _))) = (dialect.session_keys(), entries.first()) else { return };
    let platform = dialect.platform();
    let check = SessionCheck { keys, platform, what: "`agent_override`", span: &first.span };
    check.names(entries, &mut Vec::new(), reporter);
    check.values(entries, false, reporter);
}

/// A comparison of settings with the keys of a platform's sessions.
struct SessionCheck<'k> {
    keys: &'static [SessionKey],
    platform: Platform,
    /// The settings, in words.
    what: &'k str,
    /// Place of what is missing.
    span: &'k Range<usize>,
}

impl SessionCheck<'_> {
    /// Reports names at any depth that are almost those of keys. The platform may know further keys.
    fn names(&self, entries: &Entries, path: &mut Vec<String>, reporter: &mut Reporter<'_>) {
        let known: Vec<_> = self.keys.iter().filter_map(|key| next_name(key, path)).collect();
        for (name, value) in entries {
            let is_known = known.contains(&&*name.value);
            let similar = did_you_mean(&name.value, known.iter().copied());
            if let Some(help) = similar.filter(|_| !is_known) {
                let message = format!("a session of {} has no `{}`", self.platform, name.value);
                reporter.error("bad-session", &name.span, message).help(help);
            }
            if let (RawValue::Table(entries), true) = (&value.value, is_known) {
                path.push(name.value.clone());
                self.names(entries, path, reporter);
                path.pop();
            }
        }
    }

    /// Reports values of the wrong form, keys that the platform refuses, and those that are missing. Of keys inside
    /// each other, the outer one is reported.
    fn values(&self, entries: &Entries, is_whole: bool, reporter: &mut Reporter<'_>) {
        let mut reported: Vec<&str> = Vec::new();
        for key in self.keys {
            let found = find(entries, key);
            let problem = match (found, key.presence) {
                (None, Presence::Required) if is_whole => "is missing",
                (Some(_), Presence::Refused) => "is refused there",
                (Some((_, value)), _) if !(key.accepts)(&json(value)) => "has the wrong form",
                (None | Some(_), _) => continue,
            };
            let is_inside = |outer: &&str| {
                key.path.strip_prefix(*outer).is_some_and(|rest| rest.starts_with('.'))
            };
            if reported.iter().any(is_inside) {
                continue;
            }
            reported.push(key.path);
            let (what, platform) = (self.what, self.platform);
            let message = format!("{what} at {platform}: `{}` {problem}", key.path);
            let span = found.map_or(self.span, |(name, _)| &name.span);
            reporter.error("bad-session", span, message).help(key.form);
        }
    }
}

/// Returns the name that follows a path on the way to a key, if the path leads to it.
fn next_name(key: &SessionKey, path: &[String]) -> Option<&'static str> {
    let mut names = key.names();
    let leads_there = path.iter().all(|name| names.next() == Some(name));
    names.next().filter(|_| leads_there)
}

/// Returns the entry of a key.
fn find<'e>(
    entries: &'e Entries,
    key: &SessionKey,
) -> Option<(&'e Spanned<String>, &'e Spanned<RawValue>)> {
    let (mut entries, mut found) = (Some(entries), None);
    for name in key.names() {
        let (key, value) = entries?.iter().find(|(key, _)| key.value == name)?;
        entries = match &value.value {
            RawValue::Table(inner) => Some(inner),
            RawValue::Text(_) | RawValue::Plain(_) | RawValue::List(_) => None,
        };
        found = Some((key, value));
    }
    found
}
