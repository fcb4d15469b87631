//! Recognises a file that was given in place of another kind: settings for rules, YAML for TOML.

use std::path::Path;

use serde_json::Value;
use toml::de::DeTable;

/// Kind of a file, as far as its content shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A rule table: it has keys of a rule table and none of the settings.
    Rules,
    /// Settings: it has keys of the settings and none of a rule table.
    Settings,
    /// Lines of environment variables, like `.env`.
    Variables,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl FileKind {
    /// Returns the kind of a file, or `None` if it is not clear. `rules` and `settings` are the schemas of
    /// both kinds of TOML.
    pub(crate) fn of(path: &Path, text: &str, rules: &Value, settings: &Value) -> Option<FileKind> {
        let text = text.trim_start_matches('\u{feff}');
        let lines = text.lines().map(str::trim);
        let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let first = lines.next()?;
        if is_variable(first) && lines.all(is_variable) {
            return Some(FileKind::Variables);
        }
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let extension = path.extension().and_then(|extension| extension.to_str());
            return match extension {
                _ if first.starts_with('{') => Some(FileKind::Json),
                Some("json") => Some(FileKind::Json),
                Some("yaml" | "yml") => Some(FileKind::Yaml),
                _ if first == "---" || is_yaml_key(first) => Some(FileKind::Yaml),
                _ => None,
            };
        }
        let keys = || document.get_ref().iter().map(|(key, value)| (key.get_ref().as_ref(), value));
        let is_rules = keys().any(|(key, _)| rules["properties"].get(key).is_some());
        // All of their keys are tables; `[[rules]]` is a mistake in a rule table.
        let is_settings = keys().any(|(key, value)| {
            settings["properties"].get(key).is_some() && value.get_ref().is_table()
        });
        match (is_rules, is_settings) {
            (true, false) => Some(FileKind::Rules),
            (false, true) => Some(FileKind::Settings),
            _ => None,
        }
    }

    /// Returns the kind with an article, for messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            FileKind::Rules => "a rule table",
            FileKind::Settings => "a settings file",
            FileKind::Variables => "a file with environment variables",
            FileKind::Json => "JSON",
            FileKind::Yaml => "YAML",
        }
    }
}

/// Returns whether a line assigns an environment variable: `NAME=value`, `export NAME=value`.
fn is_variable(line: &str) -> bool {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
    };
    line.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// Returns whether a line is a key of YAML: `server:`, `listen: 0.0.0.0`.
fn is_yaml_key(line: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    line.split_once(':')
        .is_some_and(|(name, rest)| is_name(name) && (rest.is_empty() || rest.starts_with(' ')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_content_decides_and_then_the_name() {
        let rules = json!({ "properties": { "rule": {}, "agents": {} } });
        let settings = json!({ "properties": { "server": {}, "sources": {} } });
        for (path, text, expected) in [
            ("a.toml", "# rules\n[[rule]]\nname = \"a\"\n", Some(FileKind::Rules)),
            ("a.toml", "[agents]\n", Some(FileKind::Rules)),
            ("rules.toml", "[sources.retell]\n", Some(FileKind::Settings)),
            ("a.toml", "[sources.retell]\n[agents]\n", None),
            ("a.toml", "nothing = 1\n", None),
            ("a.toml", "[[server]]\nname = \"a\"\n", None),
            ("a.toml", "", None),
            ("a.toml", "[server\n", None),
            (".env", "# key\nRETELL_API_KEY=key_1\nexport B=\"2\"\n", Some(FileKind::Variables)),
            ("a.toml", "RETELL_API_KEY=\"key_1\"\n", Some(FileKind::Variables)),
            ("a.toml", "{\n  \"server\": {}\n}\n", Some(FileKind::Json)),
            ("a.yaml", "- a\n", Some(FileKind::Yaml)),
            ("a.conf", "server:\n  listen: 0.0.0.0:8080\n", Some(FileKind::Yaml)),
            ("a.conf", "\u{feff}---\nserver: {}\n", Some(FileKind::Yaml)),
        ] {
            assert_eq!(FileKind::of(Path::new(path), text, &rules, &settings), expected, "{text}");
        }
    }
}
