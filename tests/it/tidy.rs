//! The house rules that no type and no lint can hold: each test is one invariant of
//! ARCHITECTURE.md, checked on the source text.

use std::path::{Path, PathBuf};

use crate::support::app::root;

/// All Rust files below `folder`, as (path from the root, text without comments and unit tests).
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    assert!(found.len() > 5, "the sources were found");
    found.sort();
    let read = found.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        (name, lines.collect::<Vec<_>>().join("\n"))
    });
    read.collect()
}

/// Fails with every file outside of `allowed` in which one of `words` stands.
#[track_caller]
fn only_in(allowed: &[&str], words: &[&str]) {
    let mut found = Vec::new();
    let mut seen = false;
    for (name, code) in sources("src") {
        let hits: Vec<_> = words.iter().filter(|word| code.contains(**word)).collect();
        let may = allowed.iter().any(|place| name.starts_with(place));
        seen |= may && !hits.is_empty();
        if !may && !hits.is_empty() {
            found.push(format!("{name}: {hits:?}"));
        }
    }
    assert!(found.is_empty(), "only {allowed:?} may say this:\n{}", found.join("\n"));
    assert!(seen, "nobody says {words:?} any more: this test looks for the wrong words");
}

/// Exceptions below the pure modules: they read the files of a table, or hold the live one, or the clock.
const IMPURE: [&str; 4] = [
    "src/rules/load/list_rows.rs",
    "src/rules/load/files.rs",
    "src/rules/live.rs",
    "src/domain/clock.rs",
];

const PURE: [&str; 6] =
    ["src/domain/", "src/authenticate", "src/dialect", "src/rules/", "src/source.rs", "src/replay"];

#[test]
fn the_pure_rooms_know_no_clock_network_disk_environment_or_chance() {
    let world = [
        "tokio",
        "std::fs",
        "std::env",
        "SystemTime",
        "Instant",
        "::now()",
        "std::net::Tcp",
        "std::thread",
        "uuid",
        " rand::",
        "RandomState",
        "async ",
        ".await",
        "tracing::",
        "reqwest",
        "println!",
        "std::io",
    ];
    let mut found = Vec::new();
    let mut rooms = 0;
    for (name, code) in sources("src") {
        let reads_files = IMPURE.contains(&name.as_str());
        if PURE.iter().any(|room| name.starts_with(room)) && !reads_files {
            rooms += 1;
            let hits = world.iter().filter(|word| code.contains(**word));
            found.extend(hits.map(|word| format!("{name}: {word}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(rooms > 15, "the pure rooms were found");
}

#[test]
fn only_dialects_name_a_platforms_fields() {
    let fields = [
        "call_inbound",
        "chat_inbound",
        "from_number",
        "to_number",
        "override_agent_id",
        "override_model_id",
        "dynamic_variables",
        "custom_variables",
        "custom_sip_headers",
        "model_id",
        "call_analysis",
        "disconnection_reason",
        "end_call_reason",
        "collected_variables",
        "executed_actions",
    ];
    // Synthflow's scheme has to find the call id in the unproved body.
    only_in(&["src/dialect", "src/authenticate/synthflow.rs"], &fields);
}

#[test]
fn only_the_listeners_name_a_status_code() {
    only_in(&["src/http"], &["StatusCode"]);
}

#[test]
fn only_settings_read_the_environment() {
    only_in(&["src/settings.rs"], &["std::env::", "env::var"]);
}

#[test]
fn each_stamp_is_given_in_one_room() {
    only_in(&["src/authenticate"], &["Ok(Verified {"]);
    only_in(&["src/http/public.rs", "src/explain.rs"], &["Unverified::new("]);
    only_in(&["src/dialect"], &["Call::from_verified(", "Reply::new("]);
    // Questions, the tests of a table, calls of the past: nobody waits for an answer.
    only_in(
        &["src/explain.rs", "src/rules/engine/test_runner.rs", "src/replay.rs"],
        &["Call::synthetic("],
    );
    only_in(&["src/rules/engine"], &["Decision::new("]);
    only_in(&["src/rules/engine", "src/pipeline.rs"], &["Decision::fallback("]);
}

#[test]
fn the_whole_number_is_shown_only_where_somebody_needs_it() {
    // Requests, replies, explanations, the patterns of rule files, and what a split hashes.
    only_in(
        &[
            "src/domain/phone_number.rs",
            "src/dialect",
            "src/rules",
            "src/explain.rs",
            "src/records/redact.rs",
        ],
        &["unmasked()"],
    );
}

#[test]
fn a_secret_cannot_be_printed() {
    for (name, code) in sources("src") {
        for kind in [
            "Secret",
            "Key",
            "Policy",
            "Source",
            "Settings",
            "Admin",
            "Records",
            "RecordsPlace",
            "KeptNumbers",
            "Unverified",
            "Verified",
        ] {
            let forms = ["pub struct KIND ", "pub struct KIND(", "pub enum KIND "];
            let at = forms.iter().find_map(|form| code.find(&form.replace("KIND", kind)));
            let before = at.map(|at| code[..at].lines().last().unwrap_or_default().to_owned());
            let above =
                at.and_then(|at| code[..at].lines().rev().find(|line| !line.trim().is_empty()));
            let derived = above.is_some_and(|line| line.contains("Debug"));
            assert!(!derived, "{name}: {kind} derives Debug ({before:?})");
            assert!(!code.contains(&format!("Debug for {kind} ")), "{name}: {kind}");
            assert!(!code.contains(&format!("Display for {kind} ")), "{name}: {kind}");
        }
    }
}

#[test]
fn every_file_opens_with_its_caption() {
    for folder in ["src", "tests"] {
        for (name, _) in sources(folder) {
            let text = std::fs::read_to_string(root().join(&name)).unwrap();
            assert!(text.starts_with("//! "), "{name} does not say what it is for");
        }
    }
}

#[test]
fn nothing_is_left_open_or_switched_off() {
    for folder in ["src", "tests"] {
        for (name, code) in sources(folder) {
            let is_this_file = name.ends_with("tidy.rs");
            for word in ["#[allow(", "#![allow(", "#[ignore", "todo!(", "unimplemented!("] {
                assert!(is_this_file || !code.contains(word), "{name}: {word}");
            }
        }
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let why = std::fs::read_to_string(root().join("docs/decisions/0001-dependencies.md")).unwrap();
    let mut section = "";
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if let (true, Some((name, _))) =
            (section.contains("dependencies"), line.split_once(" ="))
        {
            names.push(name);
        }
    }
    assert!(names.len() > 20);
    let missing: Vec<_> = names.iter().filter(|name| !why.contains(&format!("`{name}`"))).collect();
    assert!(
        missing.is_empty(),
        "docs/decisions/0001-dependencies.md does not say why: {missing:?}"
    );
}

#[test]
fn every_metric_is_in_the_documentation() {
    let (_, code) =
        sources("src").into_iter().find(|(name, _)| name.ends_with("counters.rs")).unwrap();
    let docs = std::fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let names: Vec<_> = code.split('"').filter(|text| text.starts_with("switchboard_")).collect();
    assert!(names.len() > 8);
    for name in names {
        assert!(docs.contains(name), "docs/operating.md does not explain {name}");
    }
}

#[test]
fn the_program_is_thin() {
    let main = std::fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(main.lines().count() < 60);
}
