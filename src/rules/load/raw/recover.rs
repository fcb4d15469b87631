//! Mistakes in the syntax of TOML, several of them at once.

use toml::de::DeTable;

use crate::rules::load::chunks::CHUNK_BYTES;

/// Parses a chunk, and returns all its mistakes; of a long chunk those near the first one. The parser keeps each
/// mistake in some 600 bytes, and a quote that is not closed on every line of a long list makes very many.
pub(super) fn parse_recoverable(text: &str) -> (toml::Spanned<DeTable<'_>>, Vec<toml::de::Error>) {
    const LONG: usize = 2 * CHUNK_BYTES;
    if text.len() <= LONG {
        return DeTable::parse_recoverable(text);
    }
    let first = match DeTable::parse(text) {
        Ok(document) => return (document, Vec::new()),
        Err(first) => first,
    };
    let start = first.span().unwrap_or_default().start.min(text.len());
    let after = (start + CHUNK_BYTES).min(text.len());
    let line_end = text.as_bytes()[after..].iter().position(|byte| *byte == b'\n');
    let end = line_end.map_or(text.len(), |line_end| after + line_end + 1);
    let (document, mut errors) = DeTable::parse_recoverable(&text[..end]);
    if end < text.len() {
        // What is not closed at the end of the part may be closed behind it.
        let part = start..text[..end].trim_end().len();
        errors.retain(|error| error.span().is_some_and(|span| part.contains(&span.start)));
        if errors.is_empty() {
            errors.push(first);
        }
    }
    (document, errors)
}

/// Returns the start of a multi-line string that is not closed.
pub(super) fn unclosed_string(text: &str, errors: &[toml::de::Error]) -> Option<usize> {
    let is_unclosed = |error: &&toml::de::Error| {
        error.message().starts_with("invalid multi-line")
            && error.span().is_some_and(|span| text[span.start..].trim_start().is_empty())
    };
    let error = errors.iter().find(is_unclosed)?;
    let quotes = if error.message().contains("literal") { "'''" } else { "\"\"\"" };
    text.rfind(quotes)
}
