//! Mistakes that an operator made: all of them at once, each with its place and what would be
//! right.
//!
//! Used for rules and settings alike. A mistake has a stable code, which `docs/rules.md` and
//! `docs/settings.md` explain.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::json;

/// A file that an operator wrote, as it was read.
pub struct SourceFile {
    /// As it was named on the way here.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// Values in it may be secret: a line is shown no further than the key that is wrong in it.
    pub private: bool,
    /// The number of its first line: 1, unless it is only a part of a file.
    pub first_line: usize,
    line_starts: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// A file whose lines may be shown.
    pub fn new(path: &str, text: String) -> SourceFile {
        let path = path.to_owned();
        SourceFile { path, text, private: false, first_line: 1, line_starts: OnceLock::new() }
    }

    /// A file with values that nobody may see.
    pub fn private(path: &str, text: String) -> SourceFile {
        SourceFile { private: true, ..SourceFile::new(path, text) }
    }

    /// One line of a file that is not kept as a whole.
    pub fn line(path: &str, number: usize, text: String) -> SourceFile {
        SourceFile { first_line: number, ..SourceFile::new(path, text) }
    }

    /// The line on which a byte stands, counted from 0, and where that line begins.
    fn line_of(&self, at: usize) -> (usize, usize) {
        let starts = self.line_starts.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect()
        });
        let line = starts.partition_point(|start| *start <= at) - 1;
        (line, starts[line])
    }
}

/// Its name alone, for the text may hold secrets.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Where something stands.
#[derive(Debug, Clone)]
pub struct Location {
    /// In which file.
    pub file: Arc<SourceFile>,
    /// From which byte to which.
    pub span: Range<usize>,
}

/// An error refuses; a warning does not, unless `check --strict` says so; a note never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can, and probably not as it was meant.
    Warning,
    /// Nothing is wrong with the file, but something has to be done before it serves.
    Note,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Stable, in kebab case: `unknown-key`.
    pub code: &'static str,
    /// Whether it refuses.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// Where; none for what no file says.
    pub place: Option<Location>,
    /// The line may hold a secret: the place is told, the line is not shown.
    pub hide_line: bool,
    /// What else there is to read, over several lines.
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
    /// Adds what would be right.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Adds what would be right, when somebody knows it.
    pub fn maybe_help(&mut self, help: Option<String>) -> &mut Diagnostic {
        self.help = help.or(self.help.take());
        self
    }

    /// Adds what else there is to read.
    pub fn detail(&mut self, detail: impl Into<String>) -> &mut Diagnostic {
        self.detail = Some(detail.into());
        self
    }

    /// Keeps the line from being shown.
    pub fn hide_line(&mut self) -> &mut Diagnostic {
        self.hide_line = true;
        self
    }
}

/// All mistakes of one load.
#[derive(Debug, Clone, Default)]
pub struct Report {
    mistakes: Vec<Diagnostic>,
}

impl Report {
    /// Of one error that has no place.
    pub fn of(code: &'static str, message: String) -> Report {
        let mut report = Report::default();
        report.error(code, None, message);
        report
    }

    /// Notes an error.
    pub fn error(
        &mut self,
        code: &'static str,
        place: Option<Location>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Error, place, Problem::new(code, message))
    }

    /// Notes a warning.
    pub fn warning(
        &mut self,
        code: &'static str,
        place: Option<Location>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Warning, place, Problem::new(code, message))
    }

    /// Notes what is no mistake.
    pub fn remark(
        &mut self,
        code: &'static str,
        place: Option<Location>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Note, place, Problem::new(code, message))
    }

    /// Adds a problem with its severity and location.
    pub fn push(
        &mut self,
        severity: Severity,
        place: Option<Location>,
        Problem { code, message, help }: Problem,
    ) -> &mut Diagnostic {
        self.mistakes.push(Diagnostic {
            code,
            severity,
            message,
            help,
            place,
            hide_line: false,
            detail: None,
        });
        self.mistakes.last_mut().expect("one was just pushed")
    }

    /// All of them, in the order in which they were found.
    pub fn mistakes(&self) -> &[Diagnostic] {
        &self.mistakes
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.mistakes.iter().filter(|mistake| mistake.severity == severity).count()
    }

    /// Puts the mistakes in the order in which an operator reads: by file, then by place; what has
    /// no place comes last.
    pub fn sort(&mut self) {
        self.mistakes.sort_by_cached_key(|mistake| match &mistake.place {
            Some(Location { file, span }) => (0, file.path.clone(), file.first_line, span.start),
            None => (1, String::new(), 0, 0),
        });
    }

    /// Forgets what is not wanted.
    pub fn retain(&mut self, wanted: impl FnMut(&Diagnostic) -> bool) {
        self.mistakes.retain(wanted);
    }

    /// Takes the mistakes of another report behind its own.
    pub fn absorb(&mut self, other: Report) {
        self.mistakes.extend(other.mistakes);
    }

    /// The same, but of each file it holds only the lines that are told: who keeps a report need not
    /// keep a table of a million rules with it.
    pub fn with_lines_only(mut self) -> Report {
        for mistake in &mut self.mistakes {
            mistake.place = mistake.place.as_ref().map(Location::on_its_line);
        }
        self
    }

    /// The same without notes, for whoever only wants to know what is wrong.
    pub fn without_notes(mut self) -> Report {
        self.retain(|mistake| mistake.severity != Severity::Note);
        self
    }

    /// For people: each mistake with its line, a caret under it and a suggestion.
    pub fn to_text(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let texts = self.mistakes.iter().map(|mistake| mistake.to_text(&renderer));
        texts.collect::<Vec<_>>().join("\n\n")
    }

    /// For programs.
    pub fn to_json(&self) -> serde_json::Value {
        self.mistakes.iter().map(Diagnostic::to_json).collect()
    }
}

/// As [`Report::to_text`], without colours.
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
        if let Some(place) = &self.place {
            group = if self.hide_line || place.shows_a_value() {
                let (line, column) = place.line_and_column();
                let path = place.file.path.as_str();
                group.element(Origin::path(path).line(line).char_column(column))
            } else {
                let (first, line, span) = place.line();
                let caret = AnnotationKind::Primary.span(span);
                let path = place.file.path.as_str();
                group.element(Snippet::source(line).line_start(first).path(path).annotation(caret))
            };
        }
        if let Some(help) = &self.help {
            // What an operator wrote can be in it; the rest of a report escapes by itself.
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

    /// For programs.
    pub fn to_json(&self) -> serde_json::Value {
        let (line, column) = self.place.as_ref().map(Location::line_and_column).unzip();
        json!({
            "severity": match self.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            },
            "code": self.code,
            "file": self.place.as_ref().map(|place| &place.file.path),
            "line": line,
            "column": column,
            "message": self.message,
            "help": self.help,
            "detail": self.detail,
        })
    }
}

impl Location {
    /// Line and column, both counted from 1, the column in characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let start = self.span.start.min(self.file.text.len());
        let (line, line_start) = self.file.line_of(start);
        let before = &self.file.text.as_bytes()[line_start..start];
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        (self.file.first_line + line, column)
    }

    /// The same in a file that is this line alone.
    fn on_its_line(&self) -> Location {
        let (number, text, span) = self.line();
        let line = SourceFile::line(&self.file.path, number, text.to_owned());
        Location { file: Arc::new(SourceFile { private: self.file.private, ..line }), span }
    }

    /// Whether the line, up to what is wrong in it, holds a value that nobody may see.
    fn shows_a_value(&self) -> bool {
        let (_, line, span) = self.line();
        self.file.private && !line[..span.start].trim().is_empty()
    }

    /// The number and the text of the line on which it starts, and where on that line it stands.
    fn line(&self) -> (usize, &str, Range<usize>) {
        let text = &self.file.text;
        let start = self.span.start.min(text.len());
        let (line, line_start) = self.file.line_of(start);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = self.span.end.clamp(start, line_end);
        let number = self.file.first_line + line;
        let shown_to = if self.file.private { end } else { line_end };
        let line = text[line_start..shown_to].trim_end_matches('\r');
        let on_line = |at: usize| (at - line_start).min(line.len());
        (number, line, on_line(start)..on_line(end))
    }
}

/// `rules.toml:3:9`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_and_column();
        write!(f, "{}:{line}:{column}", self.file.path)
    }
}

/// "did you mean": the nearest of the known words, when one is near.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = word.to_lowercase();
    let far = (word.chars().count() / 3).max(1);
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_lowercase());
    let ranked = known.into_iter().map(|other| (distance(other), other));
    ranked.filter(|(distance, _)| *distance <= far).min_by_key(|(d, _)| *d).map(|(_, word)| word)
}

/// ``did you mean `from`?``, when something is near.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}
