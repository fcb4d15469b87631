//! Files that commands read: `-` stands for standard input.

use std::io::Read;
use std::path::Path;

use anyhow::Context;

/// Name of standard input in messages.
pub(super) const STDIN: &str = "<standard input>";

/// Maximum number of bytes that are read from standard input, like the limit of a file with rules.
const MAX_BYTES: u64 = 256_000_000;

/// Returns whether a path stands for standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads a file, or standard input if the path is `-`.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if !is_stdin(path) {
        return std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let mut bytes = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin.take(MAX_BYTES).read_to_end(&mut bytes).context("cannot read standard input")?;
    Ok(bytes)
}

/// Reads a text from standard input.
pub(super) fn stdin_text() -> anyhow::Result<String> {
    String::from_utf8(read(Path::new("-"))?).context("standard input is not UTF-8")
}
