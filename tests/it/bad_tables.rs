//! Tables with errors, one folder each in `tests/fixtures/bad-tables/CODE`, with the report of
//! `switchboard check` in `report.txt`.
//!
//! After a change, `UPDATE_GOLDEN=1 cargo test bad_tables` rewrites the reports; review them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use switchboard::dialect;
use switchboard::reload;
use switchboard::rules::{CheckContext, LoadedTable, PreviousList, ReadError, SourceInfo};

use crate::rules::{table_codes, two_sources};
use crate::support::app;

const FOLDER: &str = "tests/fixtures/bad-tables";

/// Smallest number of cases that covers common errors.
const MIN_CASES: usize = 150;

/// Context of a service with a source at each platform, on a Saturday. The list `regulars` of its previous
/// table had entries.
pub(crate) fn context() -> CheckContext {
    CheckContext {
        now: "2026-11-21T12:00:00Z".parse().expect("a time"),
        previous_lists: vec![PreviousList {
            name: "regulars".into(),
            rows: 4,
            ..Default::default()
        }],
        environment: Some(Arc::new(["CRM_TOKEN".to_owned(), "CRM_URL".to_owned()].into())),
        ..two_sources()
    }
}

/// Returns the folders `CODE/CASE`, sorted.
pub(crate) fn cases() -> Vec<PathBuf> {
    let folders = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("the folder");
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let codes = folders(&app::root().join(FOLDER));
    let mut cases: Vec<_> = codes.iter().flat_map(|code| folders(code)).collect();
    cases.sort();
    cases
}

/// Loads the table of a case. Coverage is reported if the name begins with `untested`; `serving` requires
/// secrets, with `records_off` there is no history, `retell_only` has no source at another platform, and
/// `without_settings` has none at all. Those of `at_PLATFORM` and `at_PLATFORM_and_PLATFORM` have one at each of
/// these platforms, with the fallback agent `desk`.
pub(crate) fn load_case(case: &Path) -> Result<LoadedTable, ReadError> {
    let name = case.file_name().unwrap().to_str().unwrap();
    let file = if case.join("rules").is_dir() { "rules" } else { "rules.toml" };
    let mut context = context();
    context.requires_secrets = name.starts_with("serving");
    context.no_history = name.starts_with("records_off").then_some("the settings turn records off");
    if name.starts_with("retell_only") {
        context.sources.truncate(1);
    }
    if name.starts_with("without_settings") {
        context.sources.clear();
    }
    if let Some(names) = name.strip_prefix("at_") {
        let words: Vec<_> = names.split('_').collect();
        let count = if words[1] == "and" { 3 } else { 1 };
        let platforms = words[..count].iter().filter(|word| **word != "and");
        context.sources = platforms.map(|platform| source_at(platform)).collect();
        context.fallback_agents = vec!["desk".to_owned()];
    }
    reload::load(&case.join(file), &context, name.starts_with("untested"), &mut |_| {})
}

/// Returns a source at a platform, with a fallback agent.
fn source_at(platform: &str) -> SourceInfo {
    let dialect = dialect::by_name(platform).expect("a platform");
    SourceInfo {
        source: "main".to_owned(),
        platform: dialect.platform(),
        reply_within: dialect.timing().reply_within,
        fallback_agent: Some("desk".to_owned()),
    }
}

/// Returns the report about the table of a case, with paths relative to the case.
fn report_of(case: &Path) -> String {
    // The tests run in the root of the repository.
    let relative = case.strip_prefix(app::root()).unwrap();
    let own = format!("{}/", relative.display());
    match load_case(relative) {
        Ok(loaded) => format!("{}\n", loaded.report).replace(&own, ""),
        Err(error) => format!("{error}\n").replace(&own, ""),
    }
}

#[test]
fn every_report_matches_its_golden_file() {
    #[expect(clippy::disallowed_methods, reason = "set by the developer who runs the tests")]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let report = report_of(&case);
        let golden = case.join("report.txt");
        if update {
            std::fs::write(&golden, &report).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if report != expected {
            let diff = diff(&expected, &report);
            wrong.push(format!("---- {}\n{diff}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} reports are not as expected", wrong.join("\n"), wrong.len());
}

/// Returns a diff up to the last differing line.
fn diff(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let same_head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - same_head;
    let tails = old.iter().rev().zip(new.iter().rev()).take(rest);
    let same_tail = tails.take_while(|(old, new)| old == new).count();
    let removed = old[same_head..old.len() - same_tail].iter().map(|line| format!("-{line}"));
    let added = new[same_head..new.len() - same_tail].iter().map(|line| format!("+{line}"));
    let head = old[..same_head].iter().map(|line| format!(" {line}"));
    head.chain(removed).chain(added).collect::<Vec<_>>().join("\n")
}

#[test]
fn there_are_enough_bad_tables() {
    let cases = cases().len();
    assert!(cases >= MIN_CASES, "{cases} cases");
}

/// Returns the codes in all golden files.
fn golden_codes() -> BTreeSet<String> {
    let reports = cases().into_iter().map(|case| case.join("report.txt"));
    let texts = reports.map(|report| std::fs::read_to_string(report).unwrap_or_default());
    let codes = |text: String| {
        let is_head = |line: &&str| {
            ["error[", "warning[", "note["].iter().any(|start| line.starts_with(start))
        };
        let heads = text.lines().filter(is_head);
        let codes = heads.filter_map(|line| line.split(['[', ']']).nth(1).map(str::to_owned));
        codes.collect::<Vec<_>>()
    };
    texts.flat_map(codes).collect()
}

#[test]
fn every_code_is_in_a_golden_file() {
    let mut golden = golden_codes();
    // This diagnostic reports a bug of Switchboard, so no table causes it.
    assert!(golden.insert("index-differs".to_owned()));
    assert_eq!(golden, table_codes());
}

#[test]
fn every_bad_table_has_a_report() {
    for case in cases() {
        let report = report_of(&case);
        assert!(!report.trim().is_empty(), "{} has no diagnostics", case.display());
    }
}

#[test]
fn the_first_example_of_each_documented_code_causes_it_and_the_others_do_not() {
    let text = std::fs::read_to_string(app::root().join("docs/errors.md")).expect("the document");
    let (_, codes) = text.split_once("\n## Codes\n").expect("the section");
    let mut context = context();
    // The name in the documentation.
    context.sources[0].source = "retell".to_owned();
    let mut checked = 0;
    for section in codes.split("\n### `").skip(1) {
        let (code, section) = section.split_once('`').expect("a code");
        let blocks =
            section.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
        for (place, block) in blocks.enumerate() {
            let (_, report) = app::parse_rules("rules.toml", block.to_owned(), &context);
            let is_reported = report.diagnostics().iter().any(|diagnostic| diagnostic.code == code);
            // Tables with these problems are too long for the documentation.
            let is_long = ["metadata-too-big", "value-too-long"].contains(&code);
            let is_expected = place == 0 && !is_long;
            assert_eq!(
                is_reported,
                is_expected,
                "`{code}`, block {}: {report}\n{block}",
                place + 1
            );
            checked += 1;
        }
    }
    assert!(checked > 80, "only {checked} examples");
}
