//! The fuzz targets accept their seeds, and some mutated copies of them. Fuzzing with libFuzzer needs nightly;
//! this does not, so a target cannot fall behind the library unnoticed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::app::root;
use crate::support::required::variable;

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library for libFuzzer, a module here")]
mod targets;

/// The files and folders in a folder, in order.
fn entries(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Variable with the number of mutated inputs for each target; see CONTRIBUTING.md.
const INPUTS: &str = "FUZZ_INPUTS";

/// Runs the seeds of a target, then mutated copies of them. A failure names the input.
#[track_caller]
fn check(target: &str) {
    let (_, run) = targets::TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let seeds = entries(&root().join("fuzz/seeds").join(target));
    let seeds: Vec<_> = seeds.iter().map(|seed| fs::read(seed).unwrap()).collect();
    assert!(!seeds.is_empty(), "{target} has no seed");
    let inputs = variable(INPUTS);
    let count = if inputs.is_empty() { 500 } else { inputs.parse().expect("a number") };
    let mut mutator = Mutator { state: 1, seeds: &seeds };
    let mutated = std::iter::repeat_with(|| mutator.input()).take(count);
    for input in seeds.iter().cloned().chain(mutated) {
        let result = std::panic::catch_unwind(|| run(&input));
        assert!(result.is_ok(), "{target} fails on \"{}\"", input.escape_ascii());
    }
}

/// Mutates seeds, in the same way each time.
struct Mutator<'s> {
    state: u64,
    seeds: &'s [Vec<u8>],
}

impl Mutator<'_> {
    /// Returns a number below `end`, or 0: SplitMix64.
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) as usize % end.max(1)
    }

    /// Returns a copy of a seed with one to six changes.
    fn input(&mut self) -> Vec<u8> {
        let seed = self.below(self.seeds.len());
        let mut input = self.seeds[seed].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut input);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let longest = 1 << self.below(8);
        let length = self.below(longest);
        let end = input.len().min(at + length);
        match self.below(6) {
            0 => drop(input.drain(at..end)),
            1 => input.truncate(at),
            2 => {
                let part = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                drop(input.splice(to..to, part));
            }
            3 => {
                let (seeds, other) = (self.seeds, self.below(self.seeds.len()));
                let other = &seeds[other];
                let from = self.below(other.len() + 1);
                let part = &other[from..other.len().min(from + length)];
                drop(input.splice(at..end, part.iter().copied()));
            }
            4 => {
                const SPECIAL: &[u8] =
                    b"\0\t\n\r \"#$%&'*+,-./:;<=>?@[\\]^_`{|}~09aZ\x7f\x80\xc3\xed\xff";
                let byte = SPECIAL[self.below(SPECIAL.len())];
                input.insert(at, byte);
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
        }
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
fn bodies_of_all_dialects() {
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
fn forms() {
    check("forms");
}

#[test]
fn urls_that_are_signed() {
    check("urls");
}

#[test]
fn templates() {
    check("templates");
}

#[test]
fn reply_templates() {
    check("reply_templates");
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
