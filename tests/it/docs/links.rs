//! Links between Markdown files, and the names of tests in ARCHITECTURE.md and docs/reliability.md.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::app::root;

/// Folders with Markdown files that users read.
const FOLDERS: [&str; 7] = [
    "",
    "docs",
    "docs/decisions",
    "docs/platforms",
    "examples",
    "examples/agency",
    "examples/clinic",
];

/// Returns every Markdown file as (path from the root, text).
pub(super) fn pages() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for folder in FOLDERS.iter().chain(&["examples/call-centre", ".github"]) {
        let Ok(entries) = std::fs::read_dir(root().join(folder)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                pages.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(pages.len() > 25, "the pages were not found");
    pages.sort();
    pages
}

/// Returns the lines outside fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns the anchors that GitHub gives the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Returns the targets of the links in a page.
fn targets(text: &str) -> Vec<&str> {
    let links = prose(text).flat_map(|line| line.split("](").skip(1));
    links.filter_map(|rest| rest.split([')', ' ']).next()).collect()
}

#[test]
fn every_relative_link_resolves() {
    let pages = pages();
    let mut broken = Vec::new();
    let mut checked = 0;
    for (page, text) in &pages {
        for target in targets(text).into_iter().filter(|target| !target.contains("://")) {
            checked += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(page).parent().unwrap();
            let path =
                if file.is_empty() { root().join(page) } else { root().join(folder).join(file) };
            let is_resolved = match std::fs::read_to_string(&path) {
                Ok(text) => anchor.is_empty() || anchors(&text).contains(anchor),
                // A folder, or a picture.
                Err(_) => path.exists() && anchor.is_empty(),
            };
            if !is_resolved {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(checked > 100, "only {checked} links were found");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// A name such as `tidy::main_is_short` in the pages that name tests is a function in the tests.
#[test]
fn every_test_that_a_page_names_exists() {
    fn sources(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut tests = String::new();
    sources(&root().join("tests/it"), &mut tests);
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, invariants) = text.split_once("\n## Invariants\n").expect("the section");
    let reliability = std::fs::read_to_string(root().join("docs/reliability.md")).unwrap();
    fn code(text: &str) -> impl Iterator<Item = &str> {
        text.split('`').skip(1).step_by(2)
    }
    let names =
        code(invariants).chain(code(&reliability)).filter_map(|name| name.rsplit_once("::"));
    let names: Vec<_> = names.filter(|(_, test)| test.matches('_').count() > 2).collect();
    assert!(names.len() > 50, "only {} tests were found", names.len());
    let missing: Vec<_> =
        names.iter().filter(|(_, test)| !tests.contains(&format!("fn {test}("))).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
