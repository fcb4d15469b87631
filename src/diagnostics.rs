//! Diagnostics for rules and settings: errors, warnings and notes with a location and a suggested
//! correction, reported all at once.
//!
//! Every diagnostic has a stable code, which the documentation explains.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::json;

/// A rule or settings file, as it was read.
pub struct SourceFile {
    /// Path for messages.
    pub path: String,
    /// Contents.
    pub text: String,
    /// The file may contain secrets: excerpts end with the key at fault.
    private: bool,
    /// Number of the first line: 1, unless this is an excerpt of a file.
    first_line: usize,
    /// Number of characters before the first one: 0, unless this is an excerpt of a long line.
    chars_before: usize,
    line_starts: OnceLock<Vec<usize>>,
}

/// Maximum number of characters that a diagnostic quotes in one piece.
const MAX_QUOTED_CHARS: usize = 200;
/// Characters of a long line that are shown before the fault.
const CONTEXT_CHARS: usize = 40;

impl SourceFile {
    /// Creates a file whose lines may be shown.
    pub fn new(path: &str, text: String) -> SourceFile {
        let path = path.to_owned();
        let line_starts = OnceLock::new();
        SourceFile { path, text, private: false, first_line: 1, chars_before: 0, line_starts }
    }

    /// Creates a file that may contain secrets.
    pub fn private(path: &str, text: String) -> SourceFile {
        SourceFile { private: true, ..SourceFile::new(path, text) }
    }

    /// Creates an excerpt of a single line.
    pub fn excerpt(path: &str, line_number: usize, text: String) -> SourceFile {
        SourceFile { first_line: line_number, ..SourceFile::new(path, text) }
    }

    /// Returns the line that contains a byte, counted from 0, and the start of that line.
    fn line_at(&self, offset: usize) -> (usize, usize) {
        let starts = self.line_starts.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(breaks.map(|(index, _)| index + 1)).collect()
        });
        let line = starts.partition_point(|start| *start <= offset) - 1;
        (line, starts[line])
    }
}

/// Prints only the path, because the text may contain secrets.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A range in a file.
#[derive(Debug, Clone)]
pub struct Location {
    /// File.
    pub file: Arc<SourceFile>,
    /// Byte range.
    pub span: Range<usize>,
}

/// Severity of a diagnostic. Errors make `check` fail, warnings only with `--strict`, notes never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not do what was intended.
    Warning,
    /// The file is correct, but something else is needed before serving.
    Note,
}

impl Severity {
    /// Returns `error`, `warning` or `note`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// An error, warning or note with its location.
///
/// ```
/// use std::sync::Arc;
/// use switchboard::diagnostics::{Location, Report, SourceFile};
///
/// let file = Arc::new(SourceFile::new("rules.toml", "agnet = \"a\"\n".to_owned()));
/// let mut report = Report::default();
/// let location = Location { file, span: 0..5 };
/// report.error("unknown-key", Some(location), "unknown key `agnet`").help("did you mean `agent`?");
///
/// assert_eq!(report.error_count(), 1);
/// let text = report.to_string();
/// assert!(text.starts_with("error[unknown-key]: unknown key `agnet`"));
/// assert!(text.contains("rules.toml:1:1"));
/// ```
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Stable code in kebab case: `unknown-key`.
    pub code: &'static str,
    /// Severity.
    pub severity: Severity,
    /// Description of the problem.
    pub message: String,
    /// Suggested correction.
    pub help: Option<String>,
    /// Location, if the problem is in a file.
    pub location: Option<Location>,
    /// The line may contain a secret, so only the location is shown.
    pub hide_line: bool,
    /// Further details on several lines.
    pub detail: Option<String>,
}

/// A mistake and its correction, found by code that does not know the location:
/// [`Report::push`] makes it a [`Diagnostic`].
///
/// ```
/// use switchboard::diagnostics::Problem;
///
/// let problem = Problem::new("bad-time", "`25:00` is not a time").help("use 00:00 to 24:00");
/// assert_eq!(problem.to_string(), "`25:00` is not a time: use 00:00 to 24:00");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable code in kebab case: `bad-time`.
    pub code: &'static str,
    /// Description of the mistake.
    pub message: String,
    /// Suggested correction.
    pub help: Option<String>,
}

impl Problem {
    /// Creates a problem without help.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Problem {
        Problem { code, message: message.into(), help: None }
    }

    /// Sets the help text.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Problem {
        Problem { help: Some(help.into()), ..self }
    }

    /// Sets the help text when there is one, and keeps the previous one otherwise.
    #[must_use]
    pub fn maybe_help(self, help: Option<String>) -> Problem {
        Problem { help: help.or(self.help), ..self }
    }
}

/// Prints the message, then the help after a colon.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, ": {help}"))
    }
}

impl Diagnostic {
    /// Sets the help text.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Sets the help text when there is one, and keeps the previous one otherwise.
    pub fn maybe_help(&mut self, help: Option<String>) -> &mut Diagnostic {
        self.help = help.or(self.help.take());
        self
    }

    /// Sets the details.
    pub fn detail(&mut self, detail: impl Into<String>) -> &mut Diagnostic {
        self.detail = Some(detail.into());
        self
    }

    /// Hides the line, because it may contain a secret.
    pub fn hide_line(&mut self) -> &mut Diagnostic {
        self.hide_line = true;
        self
    }
}

/// All diagnostics of a load.
#[derive(Debug, Clone, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    /// Number of errors, including those that are not kept. A check asks for it before and after each
    /// rule.
    errors: usize,
    /// Number of warnings, including those that are not kept.
    warnings: usize,
    /// The latest diagnostic beyond [`MAX_KEPT`]; the caller may still add a help to it.
    not_kept: Option<Box<Diagnostic>>,
}

/// Maximum number of errors, and of warnings, that a report keeps. Further ones are counted: a mistake in
/// a generated table repeats itself in every rule.
const MAX_KEPT: usize = 1_000;

impl Report {
    /// Creates a report of one error without a location.
    pub fn from_error(code: &'static str, message: String) -> Report {
        let mut report = Report::default();
        report.error(code, None, message);
        report
    }

    /// Adds an error.
    pub fn error(
        &mut self,
        code: &'static str,
        location: Option<Location>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Error, location, Problem::new(code, message))
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        code: &'static str,
        location: Option<Location>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Warning, location, Problem::new(code, message))
    }

    /// Adds a note.
    pub fn note(
        &mut self,
        code: &'static str,
        location: Option<Location>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Note, location, Problem::new(code, message))
    }

    /// Adds a problem with its severity and location.
    pub fn push(
        &mut self,
        severity: Severity,
        location: Option<Location>,
        Problem { code, message, help }: Problem,
    ) -> &mut Diagnostic {
        self.add(Diagnostic {
            code,
            severity,
            message,
            help,
            location,
            hide_line: false,
            detail: None,
        })
    }

    fn add(&mut self, mut diagnostic: Diagnostic) -> &mut Diagnostic {
        shorten_quotes(&mut diagnostic.message);
        diagnostic.help.iter_mut().for_each(shorten_quotes);
        let count = match diagnostic.severity {
            Severity::Error => Some(&mut self.errors),
            Severity::Warning => Some(&mut self.warnings),
            Severity::Note => None,
        };
        let is_kept = count.is_none_or(|count| {
            *count += 1;
            *count <= MAX_KEPT
        });
        if !is_kept {
            return self.not_kept.insert(Box::new(diagnostic));
        }
        self.diagnostics.push(diagnostic);
        self.diagnostics.last_mut().expect("a diagnostic was just pushed")
    }

    /// Returns all diagnostics, in the order in which they were added.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Returns the number of errors.
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// Returns the number of warnings.
    pub fn warning_count(&self) -> usize {
        self.warnings
    }

    fn count_kept(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// Returns a line about the errors and warnings that are not kept, if there are any.
    fn not_kept_text(&self) -> Option<String> {
        let errors = self.errors - self.count_kept(Severity::Error);
        let warnings = self.warnings - self.count_kept(Severity::Warning);
        let counted = |count: usize, name: &str| {
            (count > 0).then(|| format!("{count} more {name}{}", if count > 1 { "s" } else { "" }))
        };
        let both = [counted(errors, "error"), counted(warnings, "warning")];
        let both: Vec<_> = both.into_iter().flatten().collect();
        (!both.is_empty()).then(|| format!("… and {}", both.join(", ")))
    }

    /// Sorts by file and location; diagnostics without a location come last.
    pub fn sort(&mut self) {
        self.diagnostics.sort_by_cached_key(|diagnostic| match &diagnostic.location {
            Some(Location { file, span }) => (0, file.path.clone(), file.first_line, span.start),
            None => (1, String::new(), 0, 0),
        });
    }

    /// Removes the diagnostics for which `keep` returns false, and the count of those that were not kept.
    pub fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.diagnostics.retain(keep);
        self.errors = self.count_kept(Severity::Error);
        self.warnings = self.count_kept(Severity::Warning);
    }

    /// Turns errors into warnings.
    pub fn lower_errors(&mut self) {
        let errors = self.diagnostics.iter_mut();
        let errors = errors.filter(|diagnostic| diagnostic.severity == Severity::Error);
        errors.for_each(|diagnostic| diagnostic.severity = Severity::Warning);
        self.warnings += std::mem::take(&mut self.errors);
    }

    /// Appends the diagnostics of another report.
    pub fn append(&mut self, other: Report) {
        let more_errors = other.errors - other.count_kept(Severity::Error);
        let more_warnings = other.warnings - other.count_kept(Severity::Warning);
        for diagnostic in other.diagnostics {
            self.add(diagnostic);
        }
        self.errors += more_errors;
        self.warnings += more_warnings;
    }

    /// Replaces each file by the reported line, so that a stored report does not keep a large table in
    /// memory.
    pub fn with_excerpts_only(mut self) -> Report {
        for diagnostic in &mut self.diagnostics {
            diagnostic.location = diagnostic.location.as_ref().map(Location::in_excerpt);
        }
        self
    }

    /// Removes the notes.
    pub fn without_notes(mut self) -> Report {
        self.diagnostics.retain(|diagnostic| diagnostic.severity != Severity::Note);
        self
    }

    /// Renders the report as text, each diagnostic with its line, a marker and its help.
    pub fn to_text(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let texts = self.diagnostics.iter().map(|diagnostic| diagnostic.to_text(&renderer));
        texts.chain(self.not_kept_text()).collect::<Vec<_>>().join("\n\n")
    }

    /// Renders the report as a JSON array.
    pub fn to_json(&self) -> serde_json::Value {
        self.diagnostics.iter().map(Diagnostic::to_json).collect()
    }
}

/// Prints [`Report::to_text`] without colours.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(false))
    }
}

impl Diagnostic {
    fn to_text(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()).id(self.code));
        if let Some(location) = &self.location {
            group = if self.hide_line || location.exposes_value() {
                let (line, column) = location.line_and_column();
                let path = location.file.path.as_str();
                group.element(Origin::path(path).line(line).char_column(column))
            } else {
                location.add_excerpt(group)
            };
        }
        if let Some(help) = &self.help {
            // The help can quote input, and unlike the other parts it is not escaped by the renderer.
            let visible: String = help.chars().filter(|c| !c.is_control()).collect();
            group = group.element(Level::HELP.message(visible));
        }
        let mut text = renderer.render(&[group]);
        for line in self.detail.iter().flat_map(|detail| detail.lines()) {
            text.push_str("\n    ");
            text.push_str(line);
            text.truncate(text.trim_end_matches(' ').len());
        }
        text
    }

    /// Renders the diagnostic as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let (line, column) = self.location.as_ref().map(Location::line_and_column).unzip();
        json!({
            "severity": self.severity.as_str(),
            "code": self.code,
            "file": self.location.as_ref().map(|location| &location.file.path),
            "line": line,
            "column": column,
            "message": self.message,
            "help": self.help,
            "detail": self.detail,
        })
    }
}

/// Part of a line.
struct Excerpt<'t> {
    /// Number of the line.
    line: usize,
    /// Number of characters of the line before the part.
    chars_before: usize,
    text: &'t str,
    /// The location within the part.
    span: Range<usize>,
}

/// Shortens what is quoted in backticks.
fn shorten_quotes(text: &mut String) {
    if text.len() <= MAX_QUOTED_CHARS {
        return;
    }
    let shorten = |(index, part): (usize, &str)| {
        let long = part.char_indices().nth(MAX_QUOTED_CHARS).filter(|_| index % 2 == 1);
        long.map_or_else(|| part.to_owned(), |(end, _)| format!("{}…", &part[..end]))
    };
    *text = text.split('`').enumerate().map(shorten).collect::<Vec<_>>().join("`");
}

impl Location {
    /// Returns line and column, counted from 1; the column counts characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        self.line_and_column_at(self.span.start)
    }

    /// Returns the line of the end, and the column after it, counted in the same way.
    pub fn end(&self) -> (usize, usize) {
        self.line_and_column_at(self.span.end.max(self.span.start))
    }

    fn line_and_column_at(&self, offset: usize) -> (usize, usize) {
        let start = offset.min(self.file.text.len());
        let (line, line_start) = self.file.line_at(start);
        let before = &self.file.text.as_bytes()[line_start..start];
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        let column = column + if line == 0 { self.file.chars_before } else { 0 };
        (self.file.first_line + line, column)
    }

    /// Returns the same location in an excerpt of its line.
    fn in_excerpt(&self) -> Location {
        let Excerpt { line, chars_before, text, span } = self.excerpt();
        let excerpt = SourceFile::excerpt(&self.file.path, line, text.to_owned());
        let private = self.file.private;
        Location { file: Arc::new(SourceFile { private, chars_before, ..excerpt }), span }
    }

    /// Adds the excerpt to a rendered diagnostic.
    fn add_excerpt<'a>(&'a self, group: Group<'a>) -> Group<'a> {
        let Excerpt { line, chars_before, text, span } = self.excerpt();
        let path = self.file.path.as_str();
        let snippet = Snippet::source(text).line_start(line);
        let snippet = snippet.annotation(AnnotationKind::Primary.span(span));
        if chars_before == 0 {
            return group.element(snippet.path(path));
        }
        // The renderer would count the column within the excerpt.
        let (line, column) = self.line_and_column();
        group.element(Origin::path(path).line(line).char_column(column)).element(snippet)
    }

    /// Returns the part of the first line around the location that is short enough to be shown.
    fn excerpt(&self) -> Excerpt<'_> {
        let (line, text, span) = self.line();
        let back = text[..span.start].char_indices().rev().map(|(at, _)| at);
        let is_long = text.chars().nth(MAX_QUOTED_CHARS).is_some();
        let from = if is_long { back.take(CONTEXT_CHARS).last().unwrap_or(span.start) } else { 0 };
        let shown = &text[from..];
        let end = shown.char_indices().nth(MAX_QUOTED_CHARS).map_or(shown.len(), |(at, _)| at);
        let span = (span.start - from).min(end)..(span.end - from).min(end);
        let chars_before = self.file.chars_before + text[..from].chars().count();
        Excerpt { line, chars_before, text: &shown[..end], span }
    }

    /// Returns whether the excerpt would show a value of a private file.
    fn exposes_value(&self) -> bool {
        let (_, line, span) = self.line();
        self.file.private && !line[..span.start].trim().is_empty()
    }

    /// Returns the number and text of the first line, and the range within that line.
    fn line(&self) -> (usize, &str, Range<usize>) {
        let text = &self.file.text;
        let start = self.span.start.min(text.len());
        let (line, line_start) = self.file.line_at(start);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = self.span.end.clamp(start, line_end);
        let number = self.file.first_line + line;
        let shown_to = if self.file.private { end } else { line_end };
        let line = text[line_start..shown_to].trim_end_matches('\r');
        let on_line = |at: usize| (at - line_start).min(line.len());
        (number, line, on_line(start)..on_line(end))
    }
}

/// Prints `rules.toml:3:9`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_and_column();
        write!(f, "{}:{line}:{column}", self.file.path)
    }
}

/// Returns the most similar candidate, if one is similar enough to be a misspelling.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let length = word.chars().take(MAX_QUOTED_CHARS + 1).count();
    if length > MAX_QUOTED_CHARS {
        return None;
    }
    let lower = word.to_lowercase();
    let max_distance = (length / 3).max(1);
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_lowercase());
    let ranked = candidates.into_iter().map(|candidate| (distance(candidate), candidate));
    let similar = ranked.filter(|(distance, _)| *distance <= max_distance);
    similar.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Returns ``did you mean `from`?`` if a candidate is similar.
pub fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_and_names_are_quoted_in_part() {
        let text = format!("{}agnet{}", "é".repeat(5_000), "x".repeat(5_000));
        let file = Arc::new(SourceFile::new("rules.toml", format!("a = 1\n{text}\n")));
        let start = 6 + 2 * 5_000;
        let mut report = Report::default();
        let location = Location { file, span: start..start + 5 };
        let message = format!("unknown key `{}` in a `rule`", "k".repeat(1_000));
        report.error("unknown-key", Some(location), message);
        for report in [report.clone(), report.with_excerpts_only()] {
            let rendered = report.to_text(false);
            assert!(rendered.contains("--> rules.toml:2:5001"), "{rendered}");
            assert!(rendered.contains("2 | éééé"), "{rendered}");
            assert!(rendered.contains("kkk…` in a `rule`"), "{rendered}");
            assert!(rendered.chars().count() < 900, "{rendered}");
            assert_eq!(report.to_json()[0]["column"], 5_001);
        }
    }

    #[test]
    fn a_report_counts_the_errors_that_it_does_not_keep() {
        let mut report = Report::default();
        for _ in 0..MAX_KEPT + 2 {
            report.error("unknown-key", None, "unknown key").help("did you mean `agent`?");
        }
        let mut other = Report::default();
        other.error("no-name", None, "every rule needs a `name`");
        other.warning("unused-agent", None, "no rule uses the agent");
        report.append(other);
        assert_eq!((report.error_count(), report.warning_count()), (MAX_KEPT + 3, 1));
        assert_eq!(report.diagnostics().len(), MAX_KEPT + 1);
        assert!(report.to_string().ends_with("\n\n… and 3 more errors"));
        report.retain(|diagnostic| diagnostic.severity == Severity::Warning);
        assert_eq!((report.error_count(), report.warning_count()), (0, 1));
    }
}
