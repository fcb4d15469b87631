//! Settings files. Neither a panic, nor a secret in the report.

use std::collections::HashMap;

use super::SECRET;
use switchboard::settings::{self, Inputs, Purpose};

/// Runs one input.
pub fn run(data: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), data).expect("a file");
    // No `file:` secret: the fuzzer must not read the files of this machine.
    if data.windows(5).any(|word| word == b"file:") {
        return;
    }
    let environment = HashMap::from([("KEY".to_owned(), SECRET.to_owned())]);
    let inputs =
        Inputs { file: Some(file.path().to_owned()), environment, purpose: Purpose::Inspect };
    // A file that is not UTF-8 is an error.
    let Ok(loaded) = settings::load(&inputs) else { return };
    assert_eq!(loaded.settings.is_none(), loaded.report.error_count() > 0);
    let report = loaded.report.to_text(false);
    let is_in_file = data.windows(SECRET.len()).any(|word| word == SECRET.as_bytes());
    assert!(is_in_file || !report.contains(SECRET), "the report contains a secret");
}
