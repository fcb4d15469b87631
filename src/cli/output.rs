//! How commands print: one decision about colours, and what `--quiet` leaves out.

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use clap::{Args, ValueEnum};

use crate::diagnostics::{Report, Severity};

/// Flags of every command.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct OutputFlags {
    /// Use colours: `auto` on a terminal, unless NO_COLOR is set or TERM is `dumb`; CLICOLOR_FORCE also
    /// uses them elsewhere
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorFlag,
    /// Print nothing but errors and the result that the command is asked for
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ColorFlag {
    Auto,
    Always,
    Never,
}

/// `--quiet` of the process.
static QUIET: AtomicBool = AtomicBool::new(false);

impl OutputFlags {
    /// Applies the flags to the whole process.
    pub(super) fn apply(self) {
        let choice = match self.color {
            ColorFlag::Auto => ColorChoice::Auto,
            ColorFlag::Always => ColorChoice::Always,
            ColorFlag::Never => ColorChoice::Never,
        };
        choice.write_global();
        QUIET.store(self.quiet, Ordering::Relaxed);
    }
}

/// Returns whether `--quiet` is given.
pub(super) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Returns whether to write colours to a stream: `--color`, else the environment and the terminal.
pub(super) fn is_coloured(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Writes a line about the course of a command to standard error, unless `--quiet` is given.
pub(super) fn print_note(line: impl Display) -> std::io::Result<()> {
    match is_quiet() {
        true => Ok(()),
        false => writeln!(std::io::stderr(), "{line}"),
    }
}

/// Leaves out the diagnostics that `--quiet` leaves out: everything but errors, and with `strict` also
/// warnings, which then fail the command.
pub(super) fn without_asides(mut report: Report, strict: bool) -> Report {
    if is_quiet() {
        report.retain(|diagnostic| match diagnostic.severity {
            Severity::Error => true,
            Severity::Warning => strict,
            Severity::Note => false,
        });
    }
    report
}
