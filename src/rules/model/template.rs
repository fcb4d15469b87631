//! Templates: texts with placeholders such as `${from}`, `${stores.city}`, `${sip.x-tier|standard}` and
//! `${sip.x-name?}`.
//!
//! A placeholder whose value can be unknown must have a default or `?`, which is checked at load.
//! `{{…}}` belongs to the platforms and passes through unchanged.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use super::lists::{Cell, ResolvedCall};
use crate::diagnostics::{self, Problem};
use crate::domain::decision::Object;
use crate::domain::party::Party;

/// A text with any number of placeholders.
///
/// ```
/// use switchboard::rules::{NoColumns, Template};
///
/// let greeting = Template::parse("Hello ${sip.x-name|there}", &mut NoColumns).unwrap();
/// assert_eq!(greeting.literal(), None);
///
/// let errors = Template::parse("Hello ${sip.x-name}", &mut NoColumns).unwrap_err();
/// assert_eq!((errors[0].problem.code, errors[0].span.clone()), ("may-be-unknown", 6..19));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<TemplatePart>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePart {
    Text(Box<str>),
    Placeholder { value: ValueName, if_unknown: IfUnknown },
}

/// Value named by a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ValueName {
    From,
    To,
    ForwardedFrom,
    Channel,
    Source,
    Rule,
    Sip(Box<str>),
    Column { cell: Cell, always_known: bool },
}

/// Behaviour of a placeholder when its value is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
enum IfUnknown {
    Impossible,
    Default(Box<str>),
    Omit,
}

/// A template that consists of a single placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinglePlaceholder<'t> {
    /// List cell that the value comes from, if any.
    pub cell: Option<Cell>,
    /// Default for an unknown value.
    pub default: Option<&'t str>,
    /// The text is omitted when the value is unknown.
    pub omitted: bool,
}

/// Values for the placeholders of a template.
#[derive(Debug, Clone, Copy)]
pub struct TemplateContext<'c> {
    /// Call and the list rows of its parties.
    pub call: &'c ResolvedCall<'c>,
    /// Name of the rule that contains the template.
    pub rule: &'c str,
}

/// A problem in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTemplate {
    /// Range in the template's text.
    pub span: Range<usize>,
    /// The problem, without a location.
    pub problem: Problem,
}

/// Resolves `LIST.column` for the rule that contains a template.
pub trait ColumnLookup {
    /// Returns the cell, and whether every call that matches the rule has a row on that list. Returns
    /// `None` when no list has this name.
    ///
    /// # Errors
    /// Returns a problem when the list exists but the reference is invalid.
    fn cell(&mut self, list: &str, column: &str) -> Option<Result<(Cell, bool), Problem>>;

    /// Returns the valid names, written as in a template.
    fn names(&self) -> Vec<String>;
}

/// A [`ColumnLookup`] without lists.
pub struct NoColumns;

impl ColumnLookup for NoColumns {
    fn cell(&mut self, _: &str, _: &str) -> Option<Result<(Cell, bool), Problem>> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

const NAMES: [&str; 7] =
    ["from", "to", "forwarded_from", "channel", "source", "rule", "sip.HEADER"];

const BAD_TEMPLATE: &str = "bad-template";

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// Returns every problem in the template.
    pub fn parse(
        text: &str,
        columns: &mut dyn ColumnLookup,
    ) -> Result<Template, Vec<InvalidTemplate>> {
        let mut parts = Vec::new();
        let mut errors = Vec::new();
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
                    errors.push(InvalidTemplate { span: found..text.len(), problem });
                    break;
                };
                if !text_part.is_empty() {
                    parts.push(TemplatePart::Text(std::mem::take(&mut text_part).into()));
                }
                let span = found..found + end + 3;
                position = span.end;
                match placeholder(&inside[..end], columns) {
                    Ok(part) => parts.push(part),
                    Err(problem) => errors.push(InvalidTemplate { span, problem }),
                }
            } else {
                text_part.push('$');
                position = found + 1;
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        text_part.push_str(&text[position..]);
        if !text_part.is_empty() || parts.is_empty() {
            parts.push(TemplatePart::Text(text_part.into()));
        }
        Ok(Template(parts))
    }

    /// Returns the text of a template without placeholders.
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [TemplatePart::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the placeholder when the template is nothing else.
    pub fn single_placeholder(&self) -> Option<SinglePlaceholder<'_>> {
        let [TemplatePart::Placeholder { value, if_unknown }] = self.0.as_slice() else {
            return None;
        };
        let cell = match value {
            ValueName::Column { cell, .. } => Some(*cell),
            ValueName::From
            | ValueName::To
            | ValueName::ForwardedFrom
            | ValueName::Channel
            | ValueName::Source
            | ValueName::Rule
            | ValueName::Sip(_) => None,
        };
        let default = match if_unknown {
            IfUnknown::Default(text) => Some(&**text),
            IfUnknown::Impossible | IfUnknown::Omit => None,
        };
        Some(SinglePlaceholder { cell, default, omitted: *if_unknown == IfUnknown::Omit })
    }

    /// Renders the template. Returns `None` when an unknown value omits the text.
    pub fn render<'t>(&'t self, context: TemplateContext<'_>) -> Option<Cow<'t, str>> {
        if let Some(text) = self.literal() {
            return Some(Cow::Borrowed(text));
        }
        let mut rendered = String::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => rendered.push_str(text),
                TemplatePart::Placeholder { value, if_unknown } => {
                    match (value.resolve(context, if_unknown), if_unknown) {
                        (Some(value), _) => rendered.push_str(&value),
                        (None, IfUnknown::Default(text)) => rendered.push_str(text),
                        (None, IfUnknown::Omit) => return None,
                        // The row exists, but its cell is empty.
                        (None, IfUnknown::Impossible) => {}
                    }
                }
            }
        }
        Some(Cow::Owned(rendered))
    }
}

impl IfUnknown {
    /// Returns whether the placeholder says what applies to an unknown value.
    fn is_set(&self) -> bool {
        *self != IfUnknown::Impossible
    }
}

/// Returns a party unless it is withheld.
fn known(party: &Party) -> Option<Cow<'_, str>> {
    Some(party.unmasked()).filter(|_| *party != Party::Withheld)
}

impl ValueName {
    fn resolve<'c>(
        &self,
        context: TemplateContext<'c>,
        if_unknown: &IfUnknown,
    ) -> Option<Cow<'c, str>> {
        let call = context.call.call;
        match self {
            // Without a default, the text has the word `withheld`.
            ValueName::From if if_unknown.is_set() => known(call.from()),
            ValueName::To if if_unknown.is_set() => known(call.to()),
            ValueName::From => Some(call.from().unmasked()),
            ValueName::To => Some(call.to().unmasked()),
            ValueName::ForwardedFrom => {
                let number = context.call.forwarded_from()?.party();
                Some(Cow::Owned(number.unmasked().into_owned()))
            }
            ValueName::Channel => Some(Cow::Borrowed(call.channel().as_str())),
            ValueName::Source => Some(Cow::Borrowed(call.source())),
            ValueName::Rule => Some(Cow::Borrowed(context.rule)),
            ValueName::Sip(header) => call.sip_header(header).map(Cow::Borrowed),
            ValueName::Column { cell, .. } => context.call.cell(*cell).map(Cow::Borrowed),
        }
    }

    fn can_be_unknown(&self) -> bool {
        match self {
            ValueName::From
            | ValueName::To
            | ValueName::Channel
            | ValueName::Source
            | ValueName::Rule => false,
            ValueName::Sip(_) | ValueName::ForwardedFrom => true,
            ValueName::Column { always_known, .. } => !always_known,
        }
    }

    /// Parses the name of a value. Returns `None` for an unknown name.
    fn parse(text: &str, columns: &mut dyn ColumnLookup) -> Option<Result<ValueName, Problem>> {
        match text {
            "from" => Some(Ok(ValueName::From)),
            "to" => Some(Ok(ValueName::To)),
            "forwarded_from" => Some(Ok(ValueName::ForwardedFrom)),
            "channel" => Some(Ok(ValueName::Channel)),
            "source" => Some(Ok(ValueName::Source)),
            "rule" => Some(Ok(ValueName::Rule)),
            _ => match text.split_once('.')? {
                ("sip", "") => None,
                ("sip", header) => Some(Ok(ValueName::Sip(header.to_ascii_lowercase().into()))),
                (list, column) => {
                    let found = columns.cell(list, column)?;
                    Some(found.map(|(cell, always_known)| ValueName::Column { cell, always_known }))
                }
            },
        }
    }
}

/// Parses the text between `${` and `}`.
fn placeholder(inside: &str, columns: &mut dyn ColumnLookup) -> Result<TemplatePart, Problem> {
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
    let value = match ValueName::parse(name, columns) {
        Some(value) => value?,
        None => return Err(unknown_name(name, columns)),
    };
    if value.can_be_unknown() && if_unknown == IfUnknown::Impossible {
        let message = format!("`{name}` can be unknown, and the template has no default");
        return Err(Problem::new("may-be-unknown", message).help(format!(
            "write `${{{name}|default}}` for a default, or `${{{name}?}}` to omit the text"
        )));
    }
    Ok(TemplatePart::Placeholder { value, if_unknown })
}

fn unknown_name(name: &str, columns: &dyn ColumnLookup) -> Problem {
    let message = match name {
        "" => "the placeholder is empty".to_owned(),
        name => format!("unknown value `{name}`"),
    };
    let names: Vec<_> = NAMES.into_iter().map(str::to_owned).chain(columns.names()).collect();
    let near = diagnostics::did_you_mean(name, names.iter().map(String::as_str));
    let quoted = names.iter().map(|name| format!("`${{{name}}}`"));
    let all = || format!("use one of {}", quoted.collect::<Vec<_>>().join(", "));
    Problem::new("unknown-value", message).help(near.unwrap_or_else(all))
}

/// JSON object whose texts are templates.
#[derive(Debug, Clone)]
pub struct ObjectTemplate {
    entries: Vec<(Box<str>, TemplateNode)>,
    constant: Option<Object>,
}

/// Value inside an [`ObjectTemplate`].
#[derive(Debug, Clone)]
pub enum TemplateNode {
    /// Number or boolean.
    Plain(Value),
    /// Text.
    Text(Template),
    /// Array.
    List(Vec<TemplateNode>),
    /// Object.
    Table(Vec<(Box<str>, TemplateNode)>),
}

impl ObjectTemplate {
    /// Builds an object template. An object without placeholders is rendered only once.
    pub fn new(entries: Vec<(Box<str>, TemplateNode)>) -> ObjectTemplate {
        let is_constant = entries.iter().all(|(_, node)| node.is_constant());
        let constant = is_constant.then(|| render_object(&entries, None));
        ObjectTemplate { entries, constant }
    }

    /// Renders the object without the entries that unknown values omit.
    pub fn render<'t>(&'t self, context: TemplateContext<'_>) -> Cow<'t, Object> {
        match &self.constant {
            Some(object) => Cow::Borrowed(object),
            None => Cow::Owned(render_object(&self.entries, Some(context))),
        }
    }
}

fn render_object(
    entries: &[(Box<str>, TemplateNode)],
    context: Option<TemplateContext<'_>>,
) -> Object {
    let rendered =
        entries.iter().filter_map(|(name, node)| Some((name.to_string(), node.render(context)?)));
    rendered.collect()
}

impl TemplateNode {
    fn is_constant(&self) -> bool {
        match self {
            TemplateNode::Plain(_) => true,
            TemplateNode::Text(template) => template.literal().is_some(),
            TemplateNode::List(nodes) => nodes.iter().all(TemplateNode::is_constant),
            TemplateNode::Table(entries) => entries.iter().all(|(_, node)| node.is_constant()),
        }
    }

    fn render(&self, context: Option<TemplateContext<'_>>) -> Option<Value> {
        match self {
            TemplateNode::Plain(value) => Some(value.clone()),
            TemplateNode::Text(template) => {
                let text = match context {
                    Some(context) => template.render(context)?,
                    None => Cow::Borrowed(template.literal()?),
                };
                Some(Value::String(text.into_owned()))
            }
            TemplateNode::List(nodes) => {
                Some(nodes.iter().filter_map(|node| node.render(context)).collect())
            }
            TemplateNode::Table(entries) => Some(Value::Object(render_object(entries, context))),
        }
    }
}
