//! `[admin.users.NAME]`: people who may log in to the console.

use super::UserKeys;
use super::reader::{Choice, Entry};
use super::sources::DEV_KEY;
use crate::domain::user::{PasswordHash, Role, User};

/// Form of a user's name.
pub(crate) const USER_NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._@-]*$";
/// Form of a hash, or of a reference to one.
pub(crate) const HASH_PATTERN: &str = "^(\\$argon2id?\\$|env:|file:)";
/// Maximum length of a user's name, in characters.
const MAX_NAME_CHARS: usize = 64;

impl Choice for Role {
    const WORDS: &'static [(&'static str, Role)] =
        &[("viewer", Role::Viewer), ("editor", Role::Editor)];
}

impl Entry<'_, '_> {
    /// Reads the users, in the order of their names. Those that cannot be used have been reported.
    pub(crate) fn users(&mut self) -> Vec<User> {
        let mut entries: Vec<_> = self.table().unwrap_or_default().into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let read = entries.into_iter().filter_map(|(name, value)| {
            let path = self.path.iter().cloned().chain([name.clone()]).collect();
            Entry { reader: self.reader, path, value }.user(&name)
        });
        read.collect()
    }

    fn user(&mut self, name: &str) -> Option<User> {
        let (keys, section) = self.table_keys::<UserKeys>()?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
        let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins_well || !name.chars().all(is_plain) || name.len() > MAX_NAME_CHARS {
            self.error("bad-value", format!("`{name}` cannot be the name of a user")).help(
                "use at most 64 letters, digits, . _ @ and -, and begin with a letter or a digit",
            );
            return None;
        }
        if !section.has("password_hash") {
            let message = format!("`{}`: `password_hash` is missing", self.name());
            self.error("missing-key", message).help("`switchboard passwd` makes one");
        }
        Some(User { name: name.into(), role: keys.role?, password_hash: keys.password_hash? })
    }

    /// Reads a hash, or what a reference refers to. The message does not repeat it: it may be the password.
    pub(crate) fn password_hash(&mut self) -> Option<PasswordHash> {
        let text = self.text()?;
        let hash = match text.starts_with("env:") || text.starts_with("file:") {
            true => {
                let target = self.secret()?;
                // Stands in for a missing hash, and is none: without it, there is no such user.
                if target.equals(DEV_KEY.as_bytes()) {
                    return None;
                }
                String::from_utf8_lossy(target.expose()).into_owned()
            }
            false => text,
        };
        let parsed = PasswordHash::parse(&hash);
        if parsed.is_none() {
            let message = format!("`{}` is not an Argon2 hash", self.name());
            self.error("bad-value", message)
                .help("`switchboard passwd` makes one from a password")
                .hide_line();
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::settings::{self, Inputs, Purpose};

    #[test]
    fn a_hash_that_this_machine_lacks_is_noted_and_no_error() {
        let variables = [
            ("SWITCHBOARD__ADMIN__TOKEN", "env:TOKEN"),
            ("SWITCHBOARD__ADMIN__USERS__ANN__PASSWORD_HASH", "env:ANN"),
            ("SWITCHBOARD__SOURCES__RETELL__PLATFORM", "retell"),
            ("SWITCHBOARD__SOURCES__RETELL__SECRETS", "env:KEY"),
        ];
        let environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (purpose, errors) in [(Purpose::Inspect, 0), (Purpose::Dev, 0), (Purpose::Serve, 3)] {
            let environment = HashMap::from(environment.clone());
            let loaded = settings::load(&Inputs { file: None, environment, purpose }).unwrap();
            assert_eq!(loaded.report.error_count(), errors, "{purpose:?}: {}", loaded.report);
        }
    }
}
