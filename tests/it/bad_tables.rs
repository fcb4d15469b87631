//! Tables with mistakes, one folder each in `tests/fixtures/bad-tables/CODE`, beside the report that
//! `switchboard check` prints for it: read `report.txt` as an operator would.
//!
//! After a change `UPDATE_GOLDEN=1 cargo test bad_tables` writes the reports anew; then read them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use switchboard::reload;
use switchboard::rules::CheckContext;

use crate::rules::{codes_of_the_sources, two_sources};
use crate::support::app;

const FOLDER: &str = "tests/fixtures/bad-tables";

/// Fewer would not be what people do wrong.
const LEAST_CASES: usize = 150;

/// A service with a source at each platform, on a Saturday, whose table before this one had
/// somebody on the list `regulars`.
fn around() -> CheckContext {
    CheckContext {
        now: "2026-11-21T12:00:00Z".parse().expect("a time"),
        filled_lists: vec!["regulars".into()],
        ..two_sources()
    }
}

/// The folders `CODE/CASE`, sorted.
fn cases() -> Vec<PathBuf> {
    let folders = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("the folder");
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let codes = folders(&app::root().join(FOLDER));
    let mut cases: Vec<_> = codes.iter().flat_map(|code| folders(code)).collect();
    cases.sort();
    cases
}

/// What is said about the table of a case, and the codes in it. The paths are those of the case's
/// own folder. What its tests do not reach is only said where the name begins with `untested`.
fn said_of(case: &Path) -> String {
    let name = case.file_name().unwrap().to_str().unwrap();
    // The tests run in the root of the repository.
    let own = format!("{}/", case.strip_prefix(app::root()).unwrap().display());
    let file = if case.join("rules").is_dir() { "rules" } else { "rules.toml" };
    let path = PathBuf::from(format!("{own}{file}"));
    match reload::load(&path, &around(), name.starts_with("untested"), &mut |_| {}) {
        Ok(loaded) => format!("{}\n", loaded.report).replace(&own, ""),
        Err(error) => format!("{error}\n").replace(&own, ""),
    }
}

#[test]
fn every_report_reads_like_its_golden_file() {
    #[expect(clippy::disallowed_methods, reason = "asked by whoever runs the tests")]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let said = said_of(&case);
        let golden = case.join("report.txt");
        if update {
            std::fs::write(&golden, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if said != expected {
            let diff = similar_lines(&expected, &said);
            wrong.push(format!("---- {}\n{diff}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} reports are not as expected", wrong.join("\n"), wrong.len());
}

/// The lines that only one of the two has, behind `-` and `+`, among those that both have.
fn similar_lines(expected: &str, said: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), said.lines().collect());
    let same_head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - same_head;
    let tails = old.iter().rev().zip(new.iter().rev()).take(rest);
    let same_tail = tails.take_while(|(old, new)| old == new).count();
    let gone = old[same_head..old.len() - same_tail].iter().map(|line| format!("-{line}"));
    let come = new[same_head..new.len() - same_tail].iter().map(|line| format!("+{line}"));
    let head = old[..same_head].iter().map(|line| format!(" {line}"));
    head.chain(gone).chain(come).collect::<Vec<_>>().join("\n")
}

#[test]
fn there_are_as_many_bad_tables_as_people_make_mistakes() {
    let cases = cases().len();
    assert!(cases >= LEAST_CASES, "{cases} cases");
}

/// The codes that some golden file has.
fn codes_of_the_golden_files() -> BTreeSet<String> {
    let reports = cases().into_iter().map(|case| case.join("report.txt"));
    let texts = reports.map(|report| std::fs::read_to_string(report).unwrap_or_default());
    let codes = |text: String| {
        let heads =
            text.lines().filter(|line| line.starts_with("error[") || line.starts_with("warning["));
        let codes = heads.filter_map(|line| line.split(['[', ']']).nth(1).map(str::to_owned));
        codes.collect::<Vec<_>>()
    };
    texts.flat_map(codes).collect()
}

#[test]
fn every_code_of_the_sources_is_in_a_golden_file() {
    let mut golden = codes_of_the_golden_files();
    // Nobody's mistake but ours: no table may make it.
    assert!(golden.insert("index-differs".to_owned()));
    assert_eq!(golden, codes_of_the_sources());
}

#[test]
fn every_bad_table_is_told_something() {
    for case in cases() {
        let said = said_of(&case);
        assert!(!said.trim().is_empty(), "nothing is wrong with {}", case.display());
    }
}

#[test]
fn the_documentation_of_each_mistake_makes_it_and_then_does_not() {
    let text = std::fs::read_to_string(app::root().join("docs/errors.md")).expect("the document");
    let (_, codes) = text.split_once("\n## Codes\n").expect("the section");
    let mut around = around();
    // As the documentation calls it.
    around.sources[0].source = "retell".to_owned();
    let mut looked_at = 0;
    for section in codes.split("\n### `").skip(1) {
        let (code, section) = section.split_once('`').expect("a code");
        let blocks =
            section.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
        for (place, block) in blocks.enumerate() {
            let (_, report) = app::parse_rules("rules.toml", block.to_owned(), &around);
            let has_it = report.diagnostics().iter().any(|mistake| mistake.code == code);
            // What makes that one is too long to print.
            let makes_it = place == 0 && code != "metadata-too-big";
            assert_eq!(has_it, makes_it, "`{code}`, block {}: {report}\n{block}", place + 1);
            looked_at += 1;
        }
    }
    assert!(looked_at > 80, "{looked_at} blocks");
}
