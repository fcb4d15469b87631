//! Merges the three layers of settings: the defaults, the operator's file, the environment.
//!
//! The `config` crate merges them. Its errors have no locations, so most invalid values are
//! reported and removed before it sees them; the rest share one message without a location.

use std::ops::Range;
use std::sync::Arc;

use config::{Config, Environment, File, FileFormat, Map, Source as _, Value};
use toml::de::DeTable;

use super::{DEFAULTS, Inputs, variables};
use crate::diagnostics::{Location, Problem, Report, Severity, SourceFile};

/// Merges the layers; later ones win. `None` when that fails, which has been reported.
pub(super) fn merge(
    inputs: &Inputs,
    file: &Arc<SourceFile>,
    document: &DeTable<'_>,
    report: &mut Report,
) -> Option<Map<String, Value>> {
    let mut text = file.text.clone();
    for LayerError { problem, key, whole } in invalid_entries(document, &[]) {
        report.push(Severity::Error, Some(Location { file: file.clone(), span: key }), problem);
        // Blanked, so that the rest can be checked as well.
        text.replace_range(whole.clone(), &" ".repeat(whole.len()));
    }
    let environment =
        Environment::with_prefix("SWITCHBOARD").prefix_separator("__").separator("__");
    let values = Config::builder()
        .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
        .add_source(File::from_str(&text, FileFormat::Toml))
        .add_source(environment.source(Some(variables::usable(inputs, report))))
        .build()
        .and_then(|config| config.collect());
    // The error of `config` may quote the file, and with it a secret.
    if values.is_err() {
        let message = "the settings file and the environment variables cannot be merged";
        report.error("bad-value", None, message).help(
            "look for a variable SWITCHBOARD__… that sets a whole section, or a key below a value",
        );
    }
    values.ok()
}

/// Distinguishes values of environment variables from those of files.
pub(super) fn is_from_environment(value: &Value) -> bool {
    value.origin() == Some("the environment")
}

/// An entry of the file that `config` would reject without a location.
struct LayerError {
    problem: Problem,
    key: Range<usize>,
    /// Key and value.
    whole: Range<usize>,
}

/// Finds integers beyond 64 bits, and keys that `config` would parse as the index of a list.
fn invalid_entries(table: &DeTable<'_>, path: &[&str]) -> Vec<LayerError> {
    let mut found = Vec::new();
    for (key, value) in table {
        let path = [path, &[key.get_ref().as_ref()]].concat();
        if let Some(inner) = value.get_ref().as_table() {
            found.extend(invalid_entries(inner, &path));
        }
        let whole = key.span().start..value.span().end;
        if key.get_ref().contains(['[', ']']) {
            found.push(LayerError {
                problem: Problem::new("unknown-key", format!("unknown key `{}`", path.join("."))),
                key: key.span(),
                whole: whole.clone(),
            });
        }
        let number = value.get_ref().as_integer();
        if number
            .is_some_and(|number| i64::from_str_radix(number.as_str(), number.radix()).is_err())
        {
            let message = format!("`{}` is an integer beyond 64 bits", path.join("."));
            let problem = Problem::new("bad-value", message);
            found.push(LayerError { problem, key: key.span(), whole });
        }
    }
    found
}
