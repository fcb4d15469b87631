//! The Prometheus text format, for the metrics that the recorder of the `metrics` crate cannot hold.

use std::fmt::Write;

/// Appends the `HELP` and `TYPE` lines of a metric.
pub(super) fn write_header(text: &mut String, name: &str, kind: &str, help: &str) {
    push(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

/// Appends a sample. `labels` is the text between the braces, or empty.
pub(super) fn write_sample(text: &mut String, name: &str, labels: &str, value: f64) {
    if value == f64::INFINITY {
        // Rust writes `inf`, and the text format of Prometheus `+Inf`.
        return push(text, format_args!("{name}{{{labels}}} +Inf\n"));
    }
    match labels {
        "" => push(text, format_args!("{name} {value}\n")),
        labels => push(text, format_args!("{name}{{{labels}}} {value}\n")),
    }
}

/// Returns a label with an escaped value: `rule="vip"`.
pub(super) fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    format!("{name}=\"{value}\"")
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a String accepts all text");
}
