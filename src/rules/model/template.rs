//! `${from}`, `${stores.city}`, `${sip.x-tier|standard}`, `${sip.x-name?}`: texts with places to
//! fill in.
//!
//! Whether a value can be unknown is found at load, and so is a template that does not say what
//! happens then. `{{…}}` belongs to the platforms and passes untouched.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use super::lists::{Cell, ResolvedCall};
use crate::diagnostics::{self, Problem};
use crate::domain::decision::Object;

/// A text, with places to fill in or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<TemplatePart>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePart {
    Text(Box<str>),
    Value { of: Name, unknown: Unknown },
}

/// What can stand between `${` and `}`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    From,
    To,
    Channel,
    Source,
    Rule,
    Sip(Box<str>),
    Column { cell: Cell, always: bool },
}

/// What to do when a value is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unknown {
    Impossible,
    Say(Box<str>),
    LeaveOut,
}

/// A template that is one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlyValue<'t> {
    /// The cell that it stands in; none when it stands elsewhere.
    pub cell: Option<Cell>,
    /// What it says when the value is unknown.
    pub default: Option<&'t str>,
    /// It says nothing at all when the value is unknown.
    pub left_out: bool,
}

/// What templates are filled with.
#[derive(Debug, Clone, Copy)]
pub struct TemplateContext<'c> {
    /// The call, and the rows that its parties stand on.
    pub placed: &'c ResolvedCall<'c>,
    /// The rule that the template stands in.
    pub rule: &'c str,
}

/// A mistake in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTemplate {
    /// Range in the template's text.
    pub span: Range<usize>,
    /// The mistake, without a location.
    pub problem: Problem,
}

/// What `LIST.column` means where a template stands.
pub trait ColumnLookup {
    /// The cell, and whether every call that comes to the rule has a row there; none when there is
    /// no list of this name.
    ///
    /// # Errors
    /// The list is there, and what is meant is not.
    fn cell(&mut self, list: &str, column: &str) -> Option<Result<(Cell, bool), Problem>>;

    /// What could have been meant, written as in a template.
    fn names(&self) -> Vec<String>;
}

/// Where no list is at hand.
pub struct NoColumnLookup;

impl ColumnLookup for NoColumnLookup {
    fn cell(&mut self, _: &str, _: &str) -> Option<Result<(Cell, bool), Problem>> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

const NAMES: [&str; 6] = ["from", "to", "channel", "source", "rule", "sip.HEADER"];

const BAD_TEMPLATE: &str = "bad-template";

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// All places that cannot be read.
    pub fn parse(
        text: &str,
        columns: &mut dyn ColumnLookup,
    ) -> Result<Template, Vec<InvalidTemplate>> {
        let mut parts = Vec::new();
        let mut mistakes = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find('$').map(|offset| at + offset) {
            plain.push_str(&text[at..found]);
            let rest = &text[found..];
            if rest.starts_with("$${") {
                plain.push_str("${");
                at = found + 3;
            } else if let Some(inside) = rest.strip_prefix("${") {
                let Some(end) = inside.find('}') else {
                    let problem = Problem::new(BAD_TEMPLATE, "this `${` has no `}`")
                        .help("write $${ for the two characters themselves");
                    mistakes.push(InvalidTemplate { span: found..text.len(), problem });
                    break;
                };
                if !plain.is_empty() {
                    parts.push(TemplatePart::Text(std::mem::take(&mut plain).into()));
                }
                let span = found..found + end + 3;
                at = span.end;
                match placeholder(&inside[..end], columns) {
                    Ok(part) => parts.push(part),
                    Err(problem) => mistakes.push(InvalidTemplate { span, problem }),
                }
            } else {
                plain.push('$');
                at = found + 1;
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        plain.push_str(&text[at..]);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(TemplatePart::Text(plain.into()));
        }
        Ok(Template(parts))
    }

    /// The text, when there is nothing to fill in.
    pub fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [TemplatePart::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The value that this is and nothing else, when it is one.
    pub fn only_value(&self) -> Option<OnlyValue<'_>> {
        let [TemplatePart::Value { of, unknown }] = self.0.as_slice() else { return None };
        let cell = match of {
            Name::Column { cell, .. } => Some(*cell),
            Name::From | Name::To | Name::Channel | Name::Source | Name::Rule | Name::Sip(_) => {
                None
            }
        };
        let default = match unknown {
            Unknown::Say(text) => Some(&**text),
            Unknown::Impossible | Unknown::LeaveOut => None,
        };
        Some(OnlyValue { cell, default, left_out: *unknown == Unknown::LeaveOut })
    }

    /// The text with its places filled; none when it is to be left out.
    pub fn fill<'t>(&'t self, with: TemplateContext<'_>) -> Option<Cow<'t, str>> {
        if let Some(text) = self.fixed() {
            return Some(Cow::Borrowed(text));
        }
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => filled.push_str(text),
                TemplatePart::Value { of, unknown } => match (of.of(with), unknown) {
                    (Some(known), _) => filled.push_str(&known),
                    (None, Unknown::Say(text)) => filled.push_str(text),
                    (None, Unknown::LeaveOut) => return None,
                    // The row is there, and its cell is empty.
                    (None, Unknown::Impossible) => {}
                },
            }
        }
        Some(Cow::Owned(filled))
    }
}

impl Name {
    fn of<'c>(&self, with: TemplateContext<'c>) -> Option<Cow<'c, str>> {
        let call = with.placed.call;
        match self {
            Name::From => Some(call.from().unmasked()),
            Name::To => Some(call.to().unmasked()),
            Name::Channel => Some(Cow::Borrowed(call.channel().as_str())),
            Name::Source => Some(Cow::Borrowed(call.source())),
            Name::Rule => Some(Cow::Borrowed(with.rule)),
            Name::Sip(header) => call.sip_header(header).map(Cow::Borrowed),
            Name::Column { cell, .. } => with.placed.cell(*cell).map(Cow::Borrowed),
        }
    }

    fn can_be_unknown(&self) -> bool {
        match self {
            Name::From | Name::To | Name::Channel | Name::Source | Name::Rule => false,
            Name::Sip(_) => true,
            Name::Column { always, .. } => !always,
        }
    }

    /// What a name means; none when nobody is called so.
    fn parse(text: &str, columns: &mut dyn ColumnLookup) -> Option<Result<Name, Problem>> {
        match text {
            "from" => Some(Ok(Name::From)),
            "to" => Some(Ok(Name::To)),
            "channel" => Some(Ok(Name::Channel)),
            "source" => Some(Ok(Name::Source)),
            "rule" => Some(Ok(Name::Rule)),
            _ => match text.split_once('.')? {
                ("sip", "") => None,
                ("sip", header) => Some(Ok(Name::Sip(header.to_ascii_lowercase().into()))),
                (list, column) => {
                    let found = columns.cell(list, column)?;
                    Some(found.map(|(cell, always)| Name::Column { cell, always }))
                }
            },
        }
    }
}

/// Parses the text between `${` and `}`.
fn placeholder(inside: &str, columns: &mut dyn ColumnLookup) -> Result<TemplatePart, Problem> {
    if inside.contains("${") {
        return Err(Problem::new(BAD_TEMPLATE, "a value cannot stand inside another")
            .help("what stands behind | is plain text"));
    }
    let (name, unknown) = match (inside.split_once('|'), inside.strip_suffix('?')) {
        (Some((name, text)), _) => (name, Unknown::Say(text.into())),
        (None, Some(name)) => (name, Unknown::LeaveOut),
        (None, None) => (inside, Unknown::Impossible),
    };
    let name = name.trim();
    if name.ends_with('?') {
        return Err(Problem::new(
            BAD_TEMPLATE,
            "`?` leaves it out and `|` says a text: it cannot be both",
        )
        .help(format!("write ${{{}|text}}", name.trim_end_matches('?'))));
    }
    let of = match Name::parse(name, columns) {
        Some(of) => of?,
        None => return Err(unknown_name(name, columns)),
    };
    if of.can_be_unknown() && unknown == Unknown::Impossible {
        let message = format!("`{name}` is not always known, and nothing says what happens then");
        return Err(Problem::new("may-be-unknown", message).help(format!(
            "write ${{{name}|text}} for a text in its place, ${{{name}?}} to leave it out"
        )));
    }
    Ok(TemplatePart::Value { of, unknown })
}

fn unknown_name(name: &str, columns: &dyn ColumnLookup) -> Problem {
    let message = match name {
        "" => "nothing is named here".to_owned(),
        name => format!("nothing is called `{name}` here"),
    };
    let names: Vec<_> = NAMES.into_iter().map(str::to_owned).chain(columns.names()).collect();
    let near = diagnostics::did_you_mean(name, names.iter().map(String::as_str));
    let quoted = names.iter().map(|name| format!("${{{name}}}"));
    let all = || format!("there are {}", quoted.collect::<Vec<_>>().join(", "));
    Problem::new("unknown-value", message).help(near.unwrap_or_else(all))
}

/// A JSON object with templates for texts.
#[derive(Debug, Clone)]
pub struct ObjectTemplate {
    entries: Vec<(Box<str>, Node)>,
    fixed: Option<Object>,
}

/// A value inside a [`ObjectTemplate`].
#[derive(Debug, Clone)]
pub enum Node {
    /// A number or a boolean.
    Plain(Value),
    /// A text.
    Text(Template),
    /// A list.
    List(Vec<Node>),
    /// An object.
    Table(Vec<(Box<str>, Node)>),
}

impl ObjectTemplate {
    /// Of these entries; what has nothing to fill in is filled once and for all.
    pub fn new(entries: Vec<(Box<str>, Node)>) -> ObjectTemplate {
        let is_fixed = entries.iter().all(|(_, node)| node.is_fixed());
        let mut shape = ObjectTemplate { entries, fixed: None };
        if is_fixed {
            shape.fixed = Some(filled(&shape.entries, None));
        }
        shape
    }

    /// The object with its places filled. Entries that are to be left out are not there.
    pub fn fill<'t>(&'t self, with: TemplateContext<'_>) -> Cow<'t, Object> {
        match &self.fixed {
            Some(object) => Cow::Borrowed(object),
            None => Cow::Owned(filled(&self.entries, Some(with))),
        }
    }
}

fn filled(entries: &[(Box<str>, Node)], with: Option<TemplateContext<'_>>) -> Object {
    let known =
        entries.iter().filter_map(|(name, node)| Some((name.to_string(), node.fill(with)?)));
    known.collect()
}

impl Node {
    fn is_fixed(&self) -> bool {
        match self {
            Node::Plain(_) => true,
            Node::Text(template) => template.fixed().is_some(),
            Node::List(nodes) => nodes.iter().all(Node::is_fixed),
            Node::Table(entries) => entries.iter().all(|(_, node)| node.is_fixed()),
        }
    }

    fn fill(&self, with: Option<TemplateContext<'_>>) -> Option<Value> {
        match self {
            Node::Plain(value) => Some(value.clone()),
            Node::Text(template) => {
                let text = match with {
                    Some(with) => template.fill(with)?,
                    None => Cow::Borrowed(template.fixed()?),
                };
                Some(Value::String(text.into_owned()))
            }
            Node::List(nodes) => Some(nodes.iter().filter_map(|node| node.fill(with)).collect()),
            Node::Table(entries) => Some(Value::Object(filled(entries, with))),
        }
    }
}
