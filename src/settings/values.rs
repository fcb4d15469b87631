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
        if let ValueKind::Table(table) = &value.kind {
            add(hashes, &path, table);
        } else {
            let mut hasher = DefaultHasher::new();
            value.to_string().hash(&mut hasher);
            hashes.insert(path, hasher.finish());
        }
    }
}

/// The secrets to which these keys refer are read again by every reload.
fn is_reloaded(path: &str) -> bool {
    let parts: Vec<_> = path.split('.').collect();
    matches!(
        parts[..],
        ["sources", _, "secrets" | "url_token"]
            | ["sources", _, "signature", "shared_keys", _]
            | ["admin", "token"]
    ) || is_user(path)
}

/// Users come and go without a restart.
fn is_user(path: &str) -> bool {
    path.starts_with("admin.users.")
}
