//! Sessions of agents: settings that a platform receives with each call, in place of an id.

use super::reporter::Reporter;
use crate::diagnostics::did_you_mean;
use crate::dialect::Dialect;
use crate::domain::session::SessionTemplate;
use crate::rules::load::raw::to_json::object;
use crate::rules::load::raw::{Entries, Spanned};

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
    for (name, _) in entries {
        // The platform may know further keys, but hardly one that is almost like these.
        let is_known = keys.iter().any(|key| key.name == name.value);
        let similar = did_you_mean(&name.value, keys.iter().map(|key| key.name));
        if let Some(help) = similar.filter(|_| !is_known) {
            let message = format!("a session of {platform} has no `{}`", name.value);
            reporter.error("bad-session", &name.span, message).help(help);
        }
    }
    let settings = object(entries);
    for key_spec in keys {
        let value = settings.get(key_spec.name);
        let problem = match value {
            None if key_spec.required => "is missing",
            Some(value) if !(key_spec.accepts)(value) => "has the wrong form",
            None | Some(_) => continue,
        };
        let message = format!("session at {platform}: `{}` {problem}", key_spec.name);
        let entry = entries.iter().find(|(name, _)| name.value == key_spec.name);
        let span = entry.map_or(&key.span, |(name, _)| &name.span);
        reporter.error("bad-session", span, message).help(key_spec.form);
    }
    (reporter.failures() == failures).then(|| SessionTemplate::new(settings))
}
