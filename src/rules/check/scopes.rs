//! Scopes of files: conditions that every rule and every test of a file has.

use std::path::Path;
use std::sync::Arc;

use super::rules::{FileScope, RuleChecker, ScopedKeys};
use crate::rules::load::raw::{RawRule, RawScope};
use crate::rules::{Conditions, Scope};

/// Keys of a scope.
pub(super) const KEYS: [&str; 6] = ["to", "from", "channel", "platform", "source", "number_id"];

impl RuleChecker<'_, '_> {
    /// Checks the scope of a file.
    pub(super) fn scope(&mut self, raw: &RawScope) -> FileScope {
        let failures = self.reporter.failures();
        let scope = Scope {
            file: short_name(&self.reporter.file.path).into(),
            to: self.numbers(&raw.to),
            from: self.numbers(&raw.from),
            conditions: Conditions {
                channel: self.channels(&raw.channel),
                platform: self.platforms(&raw.platform),
                source: self.sources(&raw.source),
                number_id: self.number_ids(&raw.number_id),
                ..Conditions::default()
            },
        };
        let RawScope { to, from, channel, platform, source, number_id, .. } = raw;
        let values = [to, from, channel, platform, source, number_id];
        let is_empty = values.iter().all(|values| values.is_empty());
        if is_empty && !raw.invalid {
            let message = "the scope has no conditions, so it changes nothing".to_owned();
            self.reporter
                .error("empty-scope", &raw.span, message)
                .help("set the numbers of the client, as in to = \"+12137771234\"");
        }
        self.warn_unsent_in_scope(raw, &scope.conditions);
        FileScope {
            source: self.reporter.file.clone(),
            scope: Arc::new(scope),
            span: raw.span.clone(),
            invalid: raw.invalid || self.reporter.failures() > failures,
        }
    }

    /// Notes which keys of a rule its scope has as well. They are compared when the lists have their rows.
    pub(super) fn note_scoped_keys(&mut self, raw: &RawRule, rule: usize) {
        let RawRule { to, from, channel, platform, source, number_id, .. } = raw;
        let values = [to, from, channel, platform, source, number_id];
        let keys = KEYS.into_iter().zip(values).filter_map(|(key, values)| {
            let (first, last) = (values.first()?, values.last()?);
            Some((key, first.span.start..last.span.end))
        });
        let file = self.reporter.file.clone();
        self.checked.scoped_keys.push(ScopedKeys { rule, file, keys: keys.collect() });
    }
}

/// Returns the name of a file with its folder: `clients/acme.toml`.
fn short_name(path: &str) -> String {
    let path = Path::new(path);
    let folder = path.parent().and_then(Path::file_name);
    let parts = folder.into_iter().chain(path.file_name());
    parts.map(|part| part.to_string_lossy().into_owned()).collect::<Vec<_>>().join("/")
}
