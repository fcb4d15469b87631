//! The value of each setting, as a hash, to find what has changed since the start.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use config::{Map, Value, ValueKind};

/// Hashes of the values of all layers, by path. The values themselves can contain names of hosts and
/// users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingValues(BTreeMap<String, u64>);

impl SettingValues {
    pub(super) fn new(values: &Map<String, Value>) -> SettingValues {
        let mut hashes = BTreeMap::new();
        add(&mut hashes, "", values);
        SettingValues(hashes)
    }

    /// Returns the paths of the keys with different values, except those that a reload replaces.
    pub fn need_restart(&self, new: &SettingValues) -> Vec<String> {
        let keys = self.0.keys().chain(new.0.keys().filter(|key| !self.0.contains_key(*key)));
        let changed = keys.filter(|key| {
            let (before, after) = (self.0.get(*key), new.0.get(*key));
            let is_replaced =
                is_reloaded(key) && (is_user(key) || before.is_some() && after.is_some());
            before != after && !is_replaced
        });
        let mut changed: Vec<_> = changed.cloned().collect();
        changed.sort();
        changed
    }
}

fn add(hashes: &mut BTreeMap<String, u64>, path: &str, values: &Map<String, Value>) {
    for (key, value) in values {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        add_value(hashes, path, value);
    }
}

fn add_value(hashes: &mut BTreeMap<String, u64>, path: String, value: &Value) {
    let is_table = |value: &Value| matches!(value.kind, ValueKind::Table(_));
    if let ValueKind::Table(table) = &value.kind {
        add(hashes, &path, table);
    } else if let ValueKind::Array(items) = &value.kind
        && items.iter().any(is_table)
    {
        // Printed as a whole, a table would have its keys in another order each time.
        for (at, item) in items.iter().enumerate() {
            add_value(hashes, format!("{path}.{at}"), item);
        }
    } else {
        let mut hasher = DefaultHasher::new();
        value.to_string().hash(&mut hasher);
        hashes.insert(path, hasher.finish());
    }
}

/// The secrets to which these keys refer are read again by every reload.
fn is_reloaded(path: &str) -> bool {
    let parts: Vec<_> = path.split('.').collect();
    matches!(
        parts[..],
        ["sources", _, "secrets" | "events_secrets" | "url_token" | "api_key"] | ["admin", "token"]
    ) || is_key_of_signature(&parts)
        || is_user(path)
}

/// Returns whether a setting is a key of a scheme, or of one of several schemes: `signature.all.0.secrets`.
fn is_key_of_signature(path: &[&str]) -> bool {
    let ["sources", _, "signature" | "events_signature", scheme @ ..] = path else { return false };
    let scheme = match scheme {
        ["all", _, part @ ..] => part,
        whole => whole,
    };
    matches!(scheme, ["secrets"] | ["shared_keys", _])
}

/// Users come and go without a restart.
fn is_user(path: &str) -> bool {
    path.starts_with("admin.users.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(toml: &str) -> SettingValues {
        let read = config::Config::builder()
            .add_source(config::File::from_str(toml, config::FileFormat::Toml))
            .build()
            .unwrap();
        SettingValues::new(&read.cache.into_table().unwrap())
    }

    const SETTINGS: &str = "[server]\ntls = [{ certificate = \"a.pem\", key = \"a.key\", x = 1 }]\n\
        [sources.a]\nevents_secrets = [\"file:k\"]\n[sources.a.signature]\nall = [{ kind = \"retell\" }, \
        { kind = \"shared\", header = \"x-shared\", secrets = [\"file:k2\"] }]\n";

    #[test]
    fn equal_settings_need_no_restart() {
        // The keys of a map come in another order each time.
        for _ in 0..32 {
            assert!(values(SETTINGS).need_restart(&values(SETTINGS)).is_empty());
        }
    }

    #[test]
    fn references_to_keys_need_no_restart_and_other_settings_do() {
        let start = values(SETTINGS);
        for (from, to, expected) in [
            ("[\"file:k2\"]", "[\"file:k3\", \"file:k2\"]", None),
            ("[\"file:k\"]", "[\"file:k1\"]", None),
            ("x-shared", "x-other", Some("sources.a.signature.all.1.header")),
            ("a.pem", "b.pem", Some("server.tls.0.certificate")),
        ] {
            let changed = start.need_restart(&values(&SETTINGS.replace(from, to)));
            assert_eq!(changed, Vec::from_iter(expected), "{from}");
        }
    }
}
