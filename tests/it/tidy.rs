//! Invariants of ARCHITECTURE.md that neither types nor lints can enforce, checked on the source text.

mod imports;
mod log_lines;
mod sleeps;

use std::path::{Path, PathBuf};

use crate::support::app::root;

/// Rust files below `folder`, as (path from the root, code without comments and test items).
fn sources(folder: &str) -> Vec<(String, String)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    assert!(files.len() > 5, "no sources in {folder}");
    files.sort();
    let read = files.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().display().to_string(), code(&text))
    });
    read.collect()
}

/// The code of a formatted file: without comments, and without each item behind `#[cfg(test)]`.
fn code(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines();
    let mut kept = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        if line.trim() != "#[cfg(test)]" {
            kept.push(line);
            continue;
        }
        let depth = indent(line);
        let is_attribute = |line: &&str| line.trim_start().starts_with("#[");
        let Some(first) = lines.by_ref().find(|line| !is_attribute(line)) else { break };
        // Texts in a module may begin at the margin.
        let end = if first.ends_with('{') { "}" } else { ";" };
        if !first.ends_with([';', '}']) {
            lines.by_ref().find(|line| indent(line) == depth && line.trim_start().ends_with(end));
        }
    }
    kept.join("\n")
}

#[test]
fn code_leaves_out_test_items_and_nothing_else() {
    let text = "fn a() {}\n    #[cfg(test)]\n    pub fn b() {\n        one();\n    }\n// c\nfn d() {}\n\
                #[cfg(test)]\n#[expect(x)]\nmod tests {\n    fn e() {}\n}\nfn f() {}";
    assert_eq!(code(text), "fn a() {}\nfn d() {}\nfn f() {}");
}

/// Fails with every file outside `allowed` that contains one of `words`, and if no allowed file
/// contains one: then the words are out of date.
#[track_caller]
fn only_in(allowed: &[&str], words: &[&str]) {
    let mut offenders = Vec::new();
    let mut is_used = false;
    for (name, code) in sources("src") {
        let hits: Vec<_> = words.iter().filter(|word| code.contains(**word)).collect();
        let is_allowed = allowed.iter().any(|prefix| name.starts_with(prefix));
        is_used |= is_allowed && !hits.is_empty();
        if !is_allowed && !hits.is_empty() {
            offenders.push(format!("{name}: {hits:?}"));
        }
    }
    assert!(offenders.is_empty(), "allowed only in {allowed:?}:\n{}", offenders.join("\n"));
    assert!(is_used, "{words:?} occurs nowhere: this test looks for the wrong words");
}

/// Files inside the pure modules that are not pure: they read the files of a table, hold the live one,
/// or are the clock.
const IMPURE: [&str; 4] = [
    "src/rules/load/list_rows.rs",
    "src/rules/load/files.rs",
    "src/rules/live.rs",
    "src/domain/clock.rs",
];

const PURE: [&str; 6] =
    ["src/domain/", "src/authenticate", "src/dialect", "src/rules/", "src/source.rs", "src/replay"];

#[test]
fn pure_modules_use_no_clock_network_disk_environment_or_randomness() {
    let impure = [
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
    let mut offenders = Vec::new();
    let mut modules = 0;
    for (name, code) in sources("src") {
        let reads_files = IMPURE.contains(&name.as_str());
        if PURE.iter().any(|prefix| name.starts_with(prefix)) && !reads_files {
            modules += 1;
            let hits = impure.iter().filter(|word| code.contains(**word));
            offenders.extend(hits.map(|word| format!("{name}: {word}")));
        }
    }
    assert!(offenders.is_empty(), "{}", offenders.join("\n"));
    assert!(modules > 15, "the pure modules were not found");
}

#[test]
fn only_dialects_name_fields_of_a_platform() {
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
        "CallSid",
        "MessageSid",
        "SipHeader_",
        "StirVerstat",
    ];
    // Synthflow's scheme finds the call id in the body before authentication.
    only_in(&["src/dialect", "src/authenticate/synthflow.rs"], &fields);
}

#[test]
fn only_the_http_module_names_status_codes() {
    only_in(&["src/http"], &["StatusCode"]);
}

#[test]
fn only_settings_read_the_environment() {
    only_in(&["src/settings.rs"], &["std::env::", "env::var"]);
}

#[test]
fn each_proof_type_is_created_in_one_module() {
    only_in(&["src/authenticate"], &["Ok(Verified {"]);
    only_in(&["src/http/public.rs", "src/explain.rs"], &["Unverified::new("]);
    only_in(&["src/dialect"], &["Call::from_verified(", "Reply::new("]);
    // Explanations, tests of a rule table, and replays: no caller waits for a reply.
    only_in(
        &["src/explain.rs", "src/rules/engine/test_runner.rs", "src/replay.rs"],
        &["Call::synthetic("],
    );
    only_in(&["src/rules/engine"], &["Decision::new("]);
    only_in(&["src/rules/engine", "src/pipeline.rs"], &["Decision::fallback("]);
}

#[test]
fn only_listed_modules_print_unmasked_numbers() {
    // Requests, replies, explanations, patterns of rule files, and the input of a split's hash.
    only_in(
        &[
            "src/domain/phone_number.rs",
            "src/domain/party.rs",
            "src/domain/dialling_plan.rs",
            // Targets of transfers, which are no numbers of callers.
            "src/domain/transfer.rs",
            "src/records/row.rs",
            "src/replay/compare.rs",
            // Asks for a number that the operator has typed.
            "src/cli/records/forget.rs",
            "src/dialect",
            "src/rules",
            "src/explain.rs",
            "src/records/redact.rs",
        ],
        &["unmasked()"],
    );
}

/// Compile-time check: a type that holds a secret implements neither `Debug` nor `Display`. A renamed
/// type breaks the build instead of escaping the check.
mod secrets_cannot_be_printed {
    use std::fmt::{Debug, Display};

    use static_assertions::assert_not_impl_any;
    use switchboard::authenticate::{Key, Policy, PolicySecrets, Unverified, Verified};
    use switchboard::domain::secret::{LiveSecret, Secret};
    use switchboard::settings::{
        AdminSettings, NumberStorage, RecordsLocation, RecordsSettings, Settings,
    };
    use switchboard::source::Source;
    use switchboard::tls::Certificate;

    assert_not_impl_any!(Secret: Debug, Display);
    assert_not_impl_any!(Key: Debug, Display);
    assert_not_impl_any!(LiveSecret: Debug, Display);
    assert_not_impl_any!(PolicySecrets: Debug, Display);
    assert_not_impl_any!(Policy: Debug, Display);
    assert_not_impl_any!(Certificate: Debug, Display);
    assert_not_impl_any!(Source: Debug, Display);
    assert_not_impl_any!(Settings: Debug, Display);
    assert_not_impl_any!(AdminSettings: Debug, Display);
    assert_not_impl_any!(RecordsSettings: Debug, Display);
    assert_not_impl_any!(RecordsLocation: Debug, Display);
    assert_not_impl_any!(NumberStorage: Debug, Display);
    assert_not_impl_any!(Unverified: Debug, Display);
    assert_not_impl_any!(Verified: Debug, Display);
}

/// A type with a [`Secret`](switchboard::domain::secret::Secret) inside cannot derive `Debug`; this
/// finds hand-written implementations in the files that name the type.
#[test]
fn no_type_with_a_secret_implements_debug_or_display_by_hand() {
    let mut holders = Vec::new();
    for (_, code) in sources("src") {
        for item in code.split("\n}\n") {
            let Some(at) = item.find("struct ").or_else(|| item.find("enum ")) else { continue };
            let (head, body) = item[at..].split_once(['{', '(']).unwrap_or_default();
            let is_holder = ["Secret", "Key"].iter().any(|inner| {
                let words = body.split(|c: char| !c.is_alphanumeric());
                words.into_iter().any(|word| word == *inner)
            });
            if let (true, Some(name)) = (is_holder, head.split([' ', '<']).nth(1)) {
                holders.push(name.to_owned());
            }
        }
    }
    assert!(holders.iter().any(|name| name == "PolicySecrets"), "{holders:?}");
    for (file, code) in sources("src") {
        for name in &holders {
            for form in ["Debug for", "Display for"] {
                assert!(!code.contains(&format!("{form} {name} ")), "{file}: {form} {name}");
            }
        }
    }
}

#[test]
fn every_file_opens_with_a_caption() {
    for folder in ["src", "tests"] {
        for (name, _) in sources(folder) {
            let text = std::fs::read_to_string(root().join(&name)).unwrap();
            assert!(text.starts_with("//! "), "{name} has no caption");
        }
    }
}

#[test]
fn no_lint_is_allowed_and_no_work_is_left_open() {
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
fn every_dependency_has_a_reason() {
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
        "docs/decisions/0001-dependencies.md lacks a reason for {missing:?}"
    );
}

#[test]
fn main_is_short() {
    let main = std::fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(main.lines().count() < 60);
}
