//! The fuzz targets accept their seeds. Fuzzing itself needs nightly; this does not, so a target cannot
//! fall behind the library unnoticed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::app::root;

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library for libFuzzer, a module here")]
mod targets;

/// The files and folders in a folder, in order.
fn entries(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Runs the seeds of a target. A failure names the seed.
#[track_caller]
fn check(target: &str) {
    let (_, run) = targets::TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let seeds = entries(&root().join("fuzz/seeds").join(target));
    assert!(!seeds.is_empty(), "{target} has no seed");
    for seed in seeds {
        let input = fs::read(&seed).unwrap();
        let result = std::panic::catch_unwind(|| run(&input));
        assert!(result.is_ok(), "{target} fails on {}", seed.display());
    }
}

#[test]
fn signature_headers() {
    check("signatures");
}

#[test]
fn call_ids() {
    check("call_ids");
}

#[test]
fn bodies_of_both_dialects() {
    check("dialects");
}

#[test]
fn rule_tables() {
    check("rules");
}

#[test]
fn settings_files() {
    check("settings");
}

#[test]
fn phone_numbers() {
    check("numbers");
}

#[test]
fn templates() {
    check("templates");
}

#[test]
fn whole_requests() {
    check("requests");
}

/// A target that is missing in one of these places would not be fuzzed, or not be tested here.
#[test]
fn every_target_has_a_program_seeds_and_a_test() {
    let names = |folder: &str| -> BTreeSet<String> {
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        entries(&root().join(folder)).into_iter().map(stem).collect()
    };
    let targets: BTreeSet<String> = targets::TARGETS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names("fuzz/fuzz_targets"), targets);
    assert_eq!(names("fuzz/seeds"), targets);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let (_, programs) = manifest.split_once("[[bin]]").unwrap();
    let programs = programs.lines().filter_map(|line| line.strip_prefix("name = "));
    let programs = programs.map(|name| name.trim_matches('"').to_owned());
    assert_eq!(programs.collect::<BTreeSet<_>>(), targets);
    let tests = include_str!("fuzz_seeds.rs");
    for target in &targets {
        assert!(tests.contains(&format!("check(\"{target}\")")), "no test runs {target}");
    }
}
