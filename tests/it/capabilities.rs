//! What each platform's replies can express: the tables of `docs/platforms.md` are those of the code.
//!
//! After a change, `UPDATE_GOLDEN=1 cargo test capabilities` rewrites the tables; review them.

use std::path::Path;
use std::time::Duration;

use switchboard::dialect;
use switchboard::domain::capabilities::{Capabilities, Reject, Timing, Transfer, VariableLimits};

use crate::support::app;

const DOCUMENT: &str = "docs/platforms.md";

#[test]
fn the_documented_capabilities_are_those_of_the_code() {
    holds("capabilities", &capabilities_table());
    holds("times", &times_table());
}

/// Compares the table between two comments of the document with this one, or writes it.
#[track_caller]
fn holds(name: &str, table: &str) {
    let path = app::root().join(DOCUMENT);
    let text = std::fs::read_to_string(&path).expect("the document");
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&start).expect("the start of the table");
    let (written, after) = rest.split_once(&end).expect("the end of the table");
    #[expect(clippy::disallowed_methods, reason = "set by the developer who runs the tests")]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        write(&path, &format!("{before}{start}{table}{end}{after}"));
        return;
    }
    assert_eq!(written, table, "UPDATE_GOLDEN=1 cargo test capabilities rewrites {DOCUMENT}");
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the document can be written");
}

fn capabilities_table() -> String {
    let mut table = "| platform | agent | version | keep | reject | transfer | `say` with an agent | variables | metadata | \
                     `agent_override` | `sip_headers` |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for dialect in dialect::ALL {
        let Capabilities {
            agent,
            agent_version,
            keep,
            reject,
            transfer,
            greeting,
            variables,
            variable_limits,
            metadata,
            agent_override,
            sip_headers,
            // Only declared platforms have templates that differ.
            keep_additions: _,
        } = *dialect.capabilities();
        let cells = [
            dialect.platform().to_string(),
            yes(agent),
            yes(agent_version),
            if keep { "yes" } else { "`fallback` agent" }.to_owned(),
            ways_to_reject(reject).to_owned(),
            transfers(transfer).to_owned(),
            yes(greeting),
            if variables { limits_of(&variable_limits) } else { yes(false) },
            yes(metadata),
            yes(agent_override),
            sip_headers_of(sip_headers, transfer).to_owned(),
        ];
        table += &format!("| {} |\n", cells.join(" | "));
    }
    table
}

fn yes(can: bool) -> String {
    if can { "yes" } else { "no" }.to_owned()
}

fn ways_to_reject(reject: Reject) -> &'static str {
    match reject {
        Reject::Impossible => "no",
        Reject::Silent => "silent",
        Reject::Spoken => "only with `say`",
        Reject::SilentOrSpoken => "silent, or with `say`",
    }
}

fn transfers(transfer: Transfer) -> &'static str {
    match transfer {
        Transfer::Impossible => "no",
        Transfer::Possible { spoken: false, .. } => "yes",
        Transfer::Possible { spoken: true, .. } => "yes, also with `say`",
    }
}

fn sip_headers_of(of_agent: bool, transfer: Transfer) -> &'static str {
    match (of_agent, transfer.has_sip_headers()) {
        (true, true) => "yes",
        (true, false) => "of an agent",
        (false, true) => "of a transfer",
        (false, false) => "no",
    }
}

fn limits_of(limits: &VariableLimits) -> String {
    let VariableLimits { count, value_chars, reserved, reserved_names } = limits;
    let mut text = vec!["yes".to_owned()];
    text.extend(count.map(|count| format!("at most {count}")));
    text.extend(value_chars.map(|chars| format!("of at most {chars} characters")));
    text.extend(reserved.iter().map(|start| format!("not `{start}…`")));
    text.extend(reserved_names.iter().map(|name| format!("not `{name}`")));
    text.join(", ")
}

fn times_table() -> String {
    let mut table = "| platform | default of `reply_within_ms` | the platform waits for | without a reply | the same reply for |\n\
                     |---|---|---|---|---|\n"
        .to_owned();
    for dialect in dialect::ALL {
        let Timing { reply_within, timeout, silence, retry_window } = *dialect.timing();
        let timeout = timeout.map_or("unknown".to_owned(), in_words);
        table += &format!(
            "| {} | {} | {timeout} | {silence} | {} |\n",
            dialect.platform(),
            reply_within.as_millis(),
            in_words(retry_window)
        );
    }
    table
}

fn in_words(time: Duration) -> String {
    let ms = time.as_millis();
    match (ms % 60_000, ms % 1_000) {
        (0, _) => format!("{} min", ms / 60_000),
        (_, 0) => format!("{} s", ms / 1_000),
        _ => format!("{ms} ms"),
    }
}
