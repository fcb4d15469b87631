//! Reports the problems of the file that is being checked.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sent_facts::SentFacts;
use crate::diagnostics::{
    Diagnostic, Location, Problem, Report, Severity, SourceFile, did_you_mean,
};
use crate::dialect::Dialects;
use crate::rules::CheckContext;
use crate::rules::load::chunks::Chunk;
use crate::rules::load::raw::{Spanned, parse};
use crate::rules::model::placeholder::InvalidTemplate;
use crate::rules::model::template::Template;
use crate::toml_advice::written_key;

/// Section of named definitions: `[lists.NAME]`.
pub(super) struct DefinitionSection {
    /// Code of the error for an undefined name.
    pub(super) code: &'static str,
    key: &'static str,
    /// Noun for one definition, in messages.
    pub(super) noun: &'static str,
}

impl DefinitionSection {
    const fn new(code: &'static str, key: &'static str, noun: &'static str) -> DefinitionSection {
        DefinitionSection { code, key, noun }
    }
}

pub(super) const LISTS: DefinitionSection = DefinitionSection::new("unknown-list", "lists", "list");
pub(super) const DATES: DefinitionSection =
    DefinitionSection::new("unknown-dates", "dates", "dates");
pub(super) const SPLITS: DefinitionSection =
    DefinitionSection::new("unknown-split", "splits", "split");
pub(super) const HOURS: DefinitionSection =
    DefinitionSection::new("unknown-hours", "hours", "hours");

/// Parts of the table that could be parsed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Parsed {
    /// The definitions of a file are not TOML, so all definitions are unknown.
    NoDefinitions,
    /// Some rules or tests are not TOML.
    SomeItems,
    Everything,
}

/// Report of a check, and the file to which its spans refer.
pub(super) struct Reporter<'r> {
    pub(super) report: &'r mut Report,
    /// Dialects of all platforms that rules can name.
    pub(super) dialects: Dialects,
    /// Names of further platforms, whose declarations have mistakes.
    invalid_platforms: Vec<String>,
    /// Facts that calls can have.
    sent_facts: SentFacts,
    /// File that is being checked.
    pub(super) file: Arc<SourceFile>,
    /// Paths of invalid definitions, such as `lists.vip`; they have been reported.
    unreadable: HashSet<String>,
    /// Number of errors suppressed because they refer to an invalid definition.
    suppressed: usize,
    parsed: Parsed,
}

impl<'r> Reporter<'r> {
    pub(super) fn new(report: &'r mut Report, context: &CheckContext) -> Reporter<'r> {
        Reporter {
            report,
            dialects: context.dialects.clone(),
            invalid_platforms: context.invalid_platforms.clone(),
            sent_facts: SentFacts::new(context),
            file: Arc::new(SourceFile::new("", String::new())),
            unreadable: HashSet::new(),
            suppressed: 0,
            parsed: Parsed::Everything,
        }
    }

    /// Sets the file to which further spans refer.
    pub(super) fn set_file(&mut self, file: &Arc<SourceFile>) {
        self.file = file.clone();
    }

    /// Notes definitions that exist but are unreadable, which has been reported.
    pub(super) fn add_unreadable(&mut self, paths: Vec<String>) {
        self.unreadable.extend(paths);
    }

    /// Returns the location of a span in the current file.
    pub(super) fn location(&self, span: &Range<usize>) -> Location {
        Location { file: self.file.clone(), span: span.clone() }
    }

    /// Resolves a path relative to the current file.
    pub(super) fn resolve_path(&self, path: &str) -> PathBuf {
        let folder = Path::new(&self.file.path).parent();
        folder.map_or_else(|| path.into(), |folder| folder.join(path))
    }

    /// Reports an error at a span in the current file.
    pub(super) fn error(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        self.push(Severity::Error, span, Problem::new(code, message))
    }

    /// Reports a warning at a span in the current file.
    pub(super) fn warning(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        self.push(Severity::Warning, span, Problem::new(code, message))
    }

    /// Reports what is worth knowing at a span in the current file.
    pub(super) fn note(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        self.push(Severity::Note, span, Problem::new(code, message))
    }

    /// Reports a problem as an error at a span in the current file.
    pub(super) fn problem(&mut self, span: &Range<usize>, problem: Problem) {
        self.push(Severity::Error, span, problem);
    }

    /// Reports the problems of a template, each at its own location if the file contains the text
    /// verbatim.
    pub(super) fn template_problems(
        &mut self,
        text: &str,
        span: &Range<usize>,
        errors: Vec<InvalidTemplate>,
    ) {
        let raw = self.file.text.get(span.clone());
        let verbatim = raw.and_then(|raw| raw.find(text));
        for InvalidTemplate { span: part, problem } in errors {
            let start = verbatim.map(|offset| span.start + offset);
            let exact = start.map(|start| start + part.start..start + part.end);
            self.problem(exact.as_ref().unwrap_or(span), problem);
        }
    }

    /// Returns the facts that calls can have.
    pub(super) fn sent_facts(&self) -> &SentFacts {
        &self.sent_facts
    }

    /// Warns of an attribute that no call has.
    pub(super) fn check_attribute(&mut self, name: &str, span: &Range<usize>) {
        if let Some(problem) = self.sent_facts.unknown_attribute(name) {
            self.push(Severity::Warning, span, problem);
        }
    }

    /// Warns of attributes in a text that no call has.
    pub(super) fn check_attributes(&mut self, template: &Template, span: &Range<usize>) {
        template.attributes().for_each(|name| self.check_attribute(name, span));
    }

    /// Warns of a use of `number_id` if no call has one.
    pub(super) fn check_number_id(&mut self, span: &Range<usize>) {
        if let Some(problem) = self.sent_facts.unknown_number_id() {
            self.push(Severity::Warning, span, problem);
        }
    }

    /// Reports a problem at a span in the current file.
    pub(super) fn push(
        &mut self,
        severity: Severity,
        span: &Range<usize>,
        problem: Problem,
    ) -> &mut Diagnostic {
        let location = self.location(span);
        self.report.push(severity, Some(location), problem)
    }

    /// Returns the number of errors, including suppressed ones.
    pub(super) fn failures(&self) -> usize {
        self.report.error_count() + self.suppressed
    }

    /// Reports a name that is already in use, with its first location.
    pub(super) fn duplicate_name(
        &mut self,
        noun: &str,
        name: &Spanned<String>,
        first: Option<&Location>,
    ) {
        let first_line = first.map_or(String::new(), |first| {
            let line = first.line_and_column().0;
            match first.file.path == self.file.path {
                true => format!(", on line {line}"),
                false => format!(", on line {line} of {}", first.file.path),
            }
        });
        let message = format!("{noun} is called `{}` already{first_line}", name.value);
        let help = "choose another name; the files of a table share all names";
        self.error("duplicate-name", &name.span, message).help(help);
    }

    /// Reports the name of a definition that rules would read as something else.
    pub(super) fn check_name(&mut self, noun: &str, name: &Spanned<String>, can_be_negated: bool) {
        let text = name.value.as_str();
        let reading = if text.contains("${") {
            "`${…}` as a placeholder"
        } else if can_be_negated && text.starts_with('!') {
            "`!` as a negation"
        } else if can_be_negated && text.trim() != text {
            "names without the spaces around them"
        } else {
            return;
        };
        let message = format!("{noun} cannot be called `{text}`: rules read {reading}");
        self.error("bad-name", &name.span, message).help("use letters, digits, `-` and `_`");
    }

    /// Warns of a placeholder in a text that is no template.
    pub(super) fn warn_placeholder(&mut self, what: &str, text: &str, span: &Range<usize>) {
        if text.contains("${") {
            let message = format!("{what} is plain text: `${{…}}` stands in it as it is written");
            self.warning("plain-text", span, message).help("remove the placeholder");
        }
    }

    /// Reports a name that a section does not define. `suggestion` applies if no defined name is
    /// similar.
    pub(super) fn unknown_name(
        &mut self,
        section: &DefinitionSection,
        name: &Spanned<String>,
        defined: &[&str],
        suggestion: Option<String>,
    ) {
        let DefinitionSection { code, key, noun } = section;
        let path = format!("{key}.{}", name.value);
        if self.unreadable.contains(&path) {
            self.suppressed += 1;
            return;
        }
        let help = did_you_mean(&name.value, defined.iter().copied()).or(suggestion);
        let all = match defined {
            [] => format!("the table has no {key}; define [{key}.{}]", written_key(&name.value)),
            defined => format!("the table has {key} {}", defined.join(", ")),
        };
        let message = format!("unknown {noun} `{}`", name.value);
        self.error(code, &name.span, message).help(all).maybe_help(help);
    }

    /// Reports an unknown platform. `other_keys` are further valid names.
    pub(super) fn unknown_platform(&mut self, name: &Spanned<String>, other_keys: &[&str]) {
        if self.invalid_platforms.contains(&name.value) {
            self.suppressed += 1;
            return;
        }
        let platforms: Vec<_> = self.dialects.names().collect();
        let names = platforms.iter().copied().chain(other_keys.iter().copied());
        let help = did_you_mean(&name.value, names);
        let message = format!("unknown platform `{}`", name.value);
        let all = format!("use one of {}", platforms.join(", "));
        self.error("unknown-platform", &name.span, message).help(all).maybe_help(help);
    }

    /// Parses a chunk of rules or tests. If the chunk is not TOML, its parts are parsed one by one, so
    /// that only the invalid ones are missing.
    pub(super) fn parse_chunk<T>(&mut self, chunk: &Chunk, parse: parse::ReadChunk<T>) -> Vec<T> {
        let mut chunk_report = Report::default();
        if let Some(items) = parse(&self.file, chunk, &mut chunk_report) {
            self.report.append(chunk_report);
            return items;
        }
        self.parsed = self.parsed.min(Parsed::SomeItems);
        let mut items = Vec::new();
        for part in chunk.parts(&self.file.text) {
            items.extend(parse(&self.file, &part, self.report).into_iter().flatten());
        }
        items
    }

    /// Notes that the definitions of a file are not TOML.
    pub(super) fn set_definitions_missing(&mut self) {
        self.parsed = Parsed::NoDefinitions;
    }

    pub(super) fn has_definitions(&self) -> bool {
        self.parsed > Parsed::NoDefinitions
    }

    /// Removes the problems that may only follow from parts that were not parsed. Returns whether
    /// everything was parsed.
    pub(super) fn discard_consequences(&mut self) -> bool {
        let is_cause: fn(&Diagnostic) -> bool = match self.parsed {
            Parsed::Everything => return true,
            Parsed::SomeItems => |diagnostic| {
                diagnostic.severity == Severity::Error && diagnostic.code != "unknown-rule"
            },
            Parsed::NoDefinitions => |diagnostic| diagnostic.code == "syntax",
        };
        // A full report may not have kept the cause. Without any error, the table would be used.
        if self.report.diagnostics().iter().any(is_cause) {
            self.report.retain(is_cause);
        }
        false
    }
}
