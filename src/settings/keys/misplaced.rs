//! Help for keys that the settings do not have in this place: they belong in another section, in the rule table, or
//! have the name that another program gives them.

use super::{root_spec, sections, source_spec};
use crate::rules;

/// Help for a certificate.
pub(super) const TLS: &str =
    "write tls = { cert = \"FILE\", key = \"FILE\" } below [server], both files in PEM";
/// Names that people give to the certificate and its key.
const TLS_NAMES: [&str; 7] =
    ["tls_cert", "tls_key", "cert", "key", "certificate", "ssl_cert", "ssl_key"];
/// Names of platforms for the keys that sign requests.
const SECRET_NAMES: [&str; 6] =
    ["auth_token", "signing_secret", "signing_key", "webhook_secret", "webhook_key", "hmac_secret"];

/// Returns the help for an unknown key of the section at `path`; `value` is its value as a text. `is_variable` tells
/// that an environment variable sets it.
pub(super) fn help(
    path: &[String],
    key: &str,
    value: Option<&str>,
    is_variable: bool,
) -> Option<String> {
    let outer: Vec<&str> = path.iter().map(String::as_str).collect();
    match (&outer[..], key) {
        (["sources", _], _) if SECRET_NAMES.contains(&key) => Some(
            "write secrets = \"env:NAME\", with the variable that has this key of the platform"
                .to_owned(),
        ),
        ([] | ["server" | "admin"], "port") => Some(listen(outer.first(), value, is_variable)),
        ([] | ["server"], _) if TLS_NAMES.contains(&key) => Some(TLS.to_owned()),
        ([] | [_], _) => elsewhere(outer.first().copied(), key, is_variable),
        _ => None,
    }
}

/// Returns the help for `port`, which is a part of `listen`.
fn listen(section: Option<&&str>, port: Option<&str>, is_variable: bool) -> String {
    let port = port.and_then(|port| port.parse::<u16>().ok());
    let address = match section {
        Some(&"admin") => format!("127.0.0.1:{}", port.unwrap_or(9090)),
        Some(_) | None => format!("0.0.0.0:{}", port.unwrap_or(8080)),
    };
    let or_local = match section {
        Some(&"admin") => "",
        Some(_) | None => ", or 127.0.0.1 for this machine only",
    };
    let name = section.copied().unwrap_or("server");
    match (section, is_variable) {
        (_, true) => {
            format!("set SWITCHBOARD__{}__LISTEN={address}{or_local}", name.to_uppercase())
        }
        (None, false) => format!("write listen = \"{address}\" below [server]{or_local}"),
        (Some(_), false) => format!("write listen = \"{address}\"{or_local}"),
    }
}

/// Returns the help for a key that other sections declare.
fn elsewhere(section: Option<&str>, key: &str, is_variable: bool) -> Option<String> {
    let others = sections().into_iter().filter(|(name, _)| Some(*name) != section);
    let declaring: Vec<_> = others
        .filter(|(_, spec)| spec.names().any(|name| name == key))
        .map(|(name, _)| match is_variable {
            true => format!("SWITCHBOARD__{}__{}", name.to_uppercase(), key.to_uppercase()),
            false => format!("[{name}]"),
        })
        .collect();
    let is_of_root = section.is_some() && root_spec().names().any(|name| name == key);
    let is_of_source = source_spec().names().any(|name| name == key);
    match (&declaring[..], is_variable) {
        ([], false) if is_of_source => {
            Some(format!("`{key}` belongs in the table of a source: [sources.NAME]"))
        }
        ([], _) if is_of_root && !is_variable => {
            Some(format!("[{key}] is a section of its own: write it without `{}.`", section?))
        }
        ([], _) => None,
        (_, true) => Some(format!("write {}", declaring.join(" or "))),
        (_, false) => Some(format!("`{key}` belongs in {}", declaring.join(" or "))),
    }
}

/// Returns those of the names that belong in a rule table, and not at the top of the settings.
pub(super) fn keys_of_rules<'n>(names: impl Iterator<Item = &'n String>) -> Vec<String> {
    let schema = rules::json_schema();
    let is_of_rules = |name: &&String| schema["properties"].get(name.as_str()).is_some();
    let is_known = |name: &&String| root_spec().names().any(|known| known == name.as_str());
    names.filter(is_of_rules).filter(|name| !is_known(name)).cloned().collect()
}
