//! Placeholders in texts: `${name}`, `${name|default}` and `${name?}`. `$${` is a literal `${`.

use std::ops::Range;

use crate::diagnostics::Problem;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TextPart<'t> {
    /// Literal text.
    Text(String),
    /// A placeholder: the text between `${` and `}`, and the range with both.
    Placeholder { inside: &'t str, span: Range<usize> },
}

/// Behaviour of a placeholder when its value is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfUnknown {
    /// The text does not say.
    Impossible,
    /// This text takes the place of the value.
    Default(Box<str>),
    /// The whole text is omitted.
    Omit,
}

/// A problem in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTemplate {
    /// Range in the template's text.
    pub span: Range<usize>,
    /// The problem, without a location.
    pub problem: Problem,
}

pub(crate) const BAD_TEMPLATE: &str = "bad-template";

/// Splits a text at its placeholders.
///
/// # Errors
/// Fails if a placeholder does not end.
pub(crate) fn split(text: &str) -> Result<Vec<TextPart<'_>>, Vec<InvalidTemplate>> {
    let mut parts = Vec::new();
    let mut text_part = String::new();
    let mut position = 0;
    while let Some(found) = text[position..].find('$').map(|offset| position + offset) {
        text_part.push_str(&text[position..found]);
        let rest = &text[found..];
        if rest.starts_with("$${") {
            text_part.push_str("${");
            position = found + 3;
        } else if let Some(inside) = rest.strip_prefix("${") {
            let Some(end) = inside.find('}') else {
                let problem = Problem::new(BAD_TEMPLATE, "`${` without a closing `}`")
                    .help("write `$${` for a literal `${`");
                return Err(vec![InvalidTemplate { span: found..text.len(), problem }]);
            };
            if !text_part.is_empty() {
                parts.push(TextPart::Text(std::mem::take(&mut text_part)));
            }
            let span = found..found + end + 3;
            position = span.end;
            parts.push(TextPart::Placeholder { inside: &inside[..end], span });
        } else {
            text_part.push('$');
            position = found + 1;
        }
    }
    text_part.push_str(&text[position..]);
    if !text_part.is_empty() || parts.is_empty() {
        parts.push(TextPart::Text(text_part));
    }
    Ok(parts)
}

/// Splits the inside of a placeholder into the name of the value and what applies if it is unknown.
///
/// # Errors
/// Fails if placeholders are nested, or have both a default and `?`.
pub(crate) fn name_and_default(inside: &str) -> Result<(&str, IfUnknown), Problem> {
    if inside.contains("${") {
        return Err(Problem::new(BAD_TEMPLATE, "placeholders cannot be nested")
            .help("the default after `|` is plain text"));
    }
    let (name, if_unknown) = match (inside.split_once('|'), inside.strip_suffix('?')) {
        (Some((name, text)), _) => (name, IfUnknown::Default(text.into())),
        (None, Some(name)) => (name, IfUnknown::Omit),
        (None, None) => (inside, IfUnknown::Impossible),
    };
    let name = name.trim();
    if name.ends_with('?') {
        return Err(Problem::new(BAD_TEMPLATE, "use either `?` or a default after `|`, not both")
            .help(format!("write `${{{}|default}}`", name.trim_end_matches('?'))));
    }
    Ok((name, if_unknown))
}
