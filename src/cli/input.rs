//! Input of commands: files, of which `-` stands for standard input, and answers on the terminal.

use std::io::{IsTerminal, Read, Write};
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
    stdin.take(MAX_BYTES + 1).read_to_end(&mut bytes).context("cannot read standard input")?;
    anyhow::ensure!(
        bytes.len() as u64 <= MAX_BYTES,
        "standard input has more than {} MB",
        MAX_BYTES / 1_000_000
    );
    Ok(bytes)
}

/// Reads a text from standard input.
pub(super) fn stdin_text() -> anyhow::Result<String> {
    String::from_utf8(read(Path::new("-"))?).context("standard input is not UTF-8")
}

/// Asks a question on the terminal. Anything but `y` and `yes` is a no.
///
/// # Errors
/// Fails with `without_terminal` if there is no terminal to ask on.
pub(super) fn confirm(question: &str, without_terminal: &'static str) -> anyhow::Result<bool> {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    anyhow::ensure!(stdin.is_terminal() && stderr.is_terminal(), without_terminal);
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
