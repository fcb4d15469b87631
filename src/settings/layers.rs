//! One tree of values from three layers: the defaults, the operator's file, the environment.
//!
//! The `config` crate lays them over each other. Most of what it would refuse without saying where
//! is reported before, with its place, and kept from it; what is left is one message without any.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use config::{Config, Environment, File, FileFormat, Map, Source as _, Value};
use toml::de::DeTable;

use super::{DEFAULTS, Inputs};
use crate::diagnostics::{Location, Problem, Report, Severity, SourceFile};

/// Every value as the last layer that has it says; none when the layers cannot be put together,
/// which has been reported.
pub(super) fn stack(
    from: &Inputs,
    file: &Arc<SourceFile>,
    document: &DeTable<'_>,
    report: &mut Report,
) -> Option<Map<String, Value>> {
    let mut text = file.text.clone();
    for LayerError { problem, key, whole } in refused(document, &[]) {
        report.push(Severity::Error, Some(Location { file: file.clone(), span: key }), problem);
        // What has been reported is blanked, so that the rest can be looked at as well.
        text.replace_range(whole.clone(), &" ".repeat(whole.len()));
    }
    let environment =
        Environment::with_prefix("SWITCHBOARD").prefix_separator("__").separator("__");
    let values = Config::builder()
        .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
        .add_source(File::from_str(&text, FileFormat::Toml))
        .add_source(environment.source(Some(usable_variables(from, report))))
        .build()
        .and_then(|config| config.collect());
    // The reason would quote the file, and with it a secret.
    if values.is_err() {
        let message = "the settings' file and variables cannot be put together";
        report
            .error("bad-value", None, message)
            .help("does a variable SWITCHBOARD__… name a table, or a key below a value?");
    }
    values.ok()
}

/// Whether a variable says it, and not a file.
pub(super) fn is_from_environment(value: &Value) -> bool {
    value.origin() == Some("the environment")
}

/// A key of the file that `config` would refuse without saying where.
struct LayerError {
    problem: Problem,
    key: Range<usize>,
    /// With its value.
    whole: Range<usize>,
}

/// Whole numbers that no program could hold, and keys that `config` takes for a place in a list.
fn refused(table: &DeTable<'_>, path: &[&str]) -> Vec<LayerError> {
    let mut found = Vec::new();
    for (key, value) in table {
        let path = [path, &[key.get_ref().as_ref()]].concat();
        if let Some(inner) = value.get_ref().as_table() {
            found.extend(refused(inner, &path));
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
            let message = format!("`{}` is a number beyond all bounds", path.join("."));
            let problem = Problem::new("bad-value", message);
            found.push(LayerError { problem, key: key.span(), whole });
        }
    }
    found
}

/// The environment without names that `config` would take for a place in a list: a shell cannot
/// set such a name, but other programs can.
fn usable_variables(from: &Inputs, report: &mut Report) -> HashMap<String, String> {
    let is_strange = |name: &String| name.starts_with("SWITCHBOARD__") && name.contains(['[', ']']);
    let mut usable = from.environment.clone();
    let mut names: Vec<_> = from.environment.keys().filter(|name| is_strange(name)).collect();
    names.sort();
    for name in names {
        report.error("unknown-key", None, format!("unknown key (from {name})"));
        usable.remove(name);
    }
    usable
}
