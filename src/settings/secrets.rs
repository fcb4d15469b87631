//! Secrets to which the look-ups of a rule table refer: environment variables, and files.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::domain::secret::{Secret, SecretSource};
use crate::regular_file::{self, SizeLimit};

/// The environment of the process, from which a rule table may take secrets by name.
pub struct LookupSecrets {
    environment: HashMap<String, Secret>,
}

impl LookupSecrets {
    /// Takes the variables that are set.
    pub fn new(environment: &HashMap<String, String>) -> LookupSecrets {
        let set = environment.iter().filter(|(_, value)| !value.trim().is_empty());
        let secrets = set.map(|(name, value)| (name.clone(), Secret::new(value.trim())));
        LookupSecrets { environment: secrets.collect() }
    }

    /// Returns the names of the variables that are set.
    pub fn names(&self) -> Arc<HashSet<String>> {
        Arc::new(self.environment.keys().cloned().collect())
    }
}

impl SecretSource for LookupSecrets {
    fn secret(&self, reference: &str) -> Option<Secret> {
        match reference.split_once(':')? {
            ("env", name) => self.environment.get(name).cloned(),
            ("file", path) => {
                let bytes = regular_file::read(Path::new(path), SizeLimit::SECRET).ok()?;
                let text = bytes.trim_ascii();
                (!text.is_empty()).then(|| Secret::new(text))
            }
            _ => None,
        }
    }
}
