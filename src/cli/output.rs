//! How commands print: one decision about colours, and what `--quiet` leaves out.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use clap::{Args, ValueEnum};

use super::Exit;
use crate::diagnostics::{Report, Severity};
use crate::settings;

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
        self.color.apply();
        QUIET.store(self.quiet, Ordering::Relaxed);
    }
}

impl ColorFlag {
    fn apply(self) {
        let choice = match self {
            ColorFlag::Auto => ColorChoice::Auto,
            ColorFlag::Always => ColorChoice::Always,
            ColorFlag::Never => ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// Applies `--color` before the arguments are parsed: what is wrong with others, and help, follow it too.
pub(super) fn apply_color_of(arguments: &[OsString]) {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let own = texts.split(|text| *text == "--").next().unwrap_or_default();
    let values = own.iter().enumerate().filter_map(|(at, text)| match *text {
        "--color" => own.get(at + 1).copied(),
        text => text.strip_prefix("--color="),
    });
    let mut colors = values.rev().filter_map(|value| ColorFlag::from_str(value, false).ok());
    if let Some(color) = colors.next() {
        color.apply();
    }
}

/// Minimum width of tables and help.
const MIN_WIDTH: u16 = 40;

/// Width of help that is not printed on a terminal.
const HELP_WIDTH: u16 = 100;

/// Returns the width that the variable `COLUMNS` asks for.
fn requested_width() -> Option<u16> {
    settings::columns().map(|width| width.max(MIN_WIDTH))
}

/// Returns the width of help, unless it is printed on a terminal, which has its own.
pub(super) fn help_width() -> Option<u16> {
    let is_terminal = console::Term::stdout().is_term();
    (!is_terminal).then(|| requested_width().unwrap_or(HELP_WIDTH))
}

/// Returns the width of the terminal, or `None` if standard output is not a terminal.
pub(super) fn terminal_width() -> Option<u16> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| terminal.size().1.max(MIN_WIDTH))
}

/// Returns the width for tables: of the terminal, or what `COLUMNS` asks for elsewhere.
pub(super) fn table_width() -> Option<u16> {
    terminal_width().or_else(requested_width)
}

/// Returns `1 call`, `2 calls`.
pub(super) fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, one: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {one}{ending}")
}

/// Returns whether `--quiet` is given.
pub(super) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Returns whether to write colours to a stream: `--color`, else the environment and the terminal.
pub(super) fn is_coloured(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Writes a line to standard error.
pub(super) fn print_message(line: impl Display) {
    // If standard error is closed, there is no place to report it.
    drop(writeln!(io::stderr(), "{line}"));
}

/// Writes a line about the course of a command to standard error, unless `--quiet` is given.
pub(super) fn print_note(line: impl Display) {
    if !is_quiet() {
        print_message(line);
    }
}

/// Writes diagnostics to standard error, and a blank line. `--quiet` leaves errors.
pub(super) fn print_report(report: Report) {
    let report = without_asides(report, false);
    if !report.diagnostics().is_empty() {
        print_message(format!("{}\n", report.to_text(is_coloured(&io::stderr()))));
    }
}

/// Returns the exit status of a command that has written its result. It is the same if the reader has
/// stopped reading: `switchboard check | head`.
pub(super) fn exit_after(written: anyhow::Result<()>, exit: Exit) -> anyhow::Result<Exit> {
    match written {
        Err(error) if is_broken_pipe(&error) => Ok(exit),
        written => written.map(|()| exit),
    }
}

/// Returns whether the reader of the output has stopped reading.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = match error.downcast_ref::<csv::Error>().map(csv::Error::kind) {
        Some(csv::ErrorKind::Io(error)) => Some(error),
        Some(_) | None => error.downcast_ref::<io::Error>(),
    };
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that has stopped reading.
    struct ClosedPipe;

    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_closed_pipe_does_not_change_the_exit_status() {
        let text = ClosedPipe.write_all(b"text").map_err(anyhow::Error::from);
        assert_eq!(exit_after(text, Exit::Failure).unwrap(), Exit::Failure);
        let mut csv = csv::WriterBuilder::new().buffer_capacity(1).from_writer(ClosedPipe);
        let csv = csv.write_record(["id", "at"]).map_err(anyhow::Error::from);
        assert_eq!(exit_after(csv, Exit::Success).unwrap(), Exit::Success);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(exit_after(Err(full.into()), Exit::Success).is_err());
    }
}
