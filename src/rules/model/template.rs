//! Templates: texts with placeholders such as `${from}`, `${stores.city}`, `${sip.x-tier|standard}` and
//! `${sip.x-name?}`.
//!
//! A placeholder whose value can be unknown must have a default or `?`, which is checked at load.
//! `{{…}}` belongs to the platforms and passes through unchanged.

use std::borrow::Cow;

use super::lists::{Cell, ResolvedCall};
use super::placeholder::{self, IfUnknown, InvalidTemplate, TextPart};
use crate::diagnostics::{self, Problem};
use crate::domain::decision::LeftOutReason;
use crate::domain::facts::{FieldPath, LookupAnswers, LookupId, LookupSet};
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
    NumberId,
    Sip(Box<str>),
    Attribute(Box<str>),
    Column { cell: Cell, always_known: bool },
    Lookup(LookupId, FieldPath),
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
    /// Answers of look-ups.
    pub lookups: &'c LookupAnswers,
    /// Name of the rule that contains the template.
    pub rule: &'c str,
}

/// Reason for which a template has no text for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoText {
    /// A value is unknown, and its placeholder omits the text.
    Unknown,
    /// A value exceeds [`MAX_VALUE_BYTES`].
    ValueTooLong,
    /// The text exceeds the room that is left for it.
    NoRoom,
}

impl NoText {
    /// Returns why the text is left out, where `no_room` is the limit of texts in this place; `None` if its
    /// own placeholder omits it.
    pub(crate) fn left_out(self, no_room: LeftOutReason) -> Option<LeftOutReason> {
        match self {
            NoText::Unknown => None,
            NoText::ValueTooLong => Some(LeftOutReason::ValueTooLong),
            NoText::NoRoom => Some(no_room),
        }
    }
}

/// Resolves `LIST.column` and `LOOKUP.field` for the rule that contains a template.
pub trait ColumnLookup {
    /// Returns the cell, and whether every call that matches the rule has a row on that list. Returns
    /// `None` when no list has this name.
    ///
    /// # Errors
    /// Returns a problem when the list exists but the reference is invalid.
    fn cell(&mut self, list: &str, column: &str) -> Option<Result<(Cell, bool), Problem>>;

    /// Returns the field of a look-up's answer. Returns `None` when no look-up has this name.
    ///
    /// # Errors
    /// Returns a problem when the look-up exists but the field is invalid.
    fn lookup(&mut self, name: &str, field: &str)
    -> Option<Result<(LookupId, FieldPath), Problem>>;

    /// Returns the valid names, written as in a template.
    fn names(&self) -> Vec<String>;
}

/// A [`ColumnLookup`] without lists.
pub struct NoColumns;

impl ColumnLookup for NoColumns {
    fn cell(&mut self, _: &str, _: &str) -> Option<Result<(Cell, bool), Problem>> {
        None
    }

    fn lookup(&mut self, _: &str, _: &str) -> Option<Result<(LookupId, FieldPath), Problem>> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Maximum size of one value of a call that is filled into a text, in bytes.
pub const MAX_VALUE_BYTES: usize = 4_096;

/// Maximum size of the variables of a reply, names and values together, in bytes.
pub(crate) const MAX_VARIABLES_BYTES: usize = 65_536;

/// Maximum size of the texts with placeholders in the metadata and agent settings of a reply, in bytes.
pub(crate) const MAX_OBJECT_TEXTS_BYTES: usize = 65_536;

/// Maximum size of a text to speak, and of the value of a SIP header, in bytes.
pub const MAX_SPEECH_BYTES: usize = 4_096;

const NAMES: [&str; 9] = [
    "from",
    "to",
    "forwarded_from",
    "channel",
    "source",
    "rule",
    "number_id",
    "sip.HEADER",
    "attr.NAME",
];

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
        for part in placeholder::split(text)? {
            match part {
                TextPart::Text(text) => parts.push(TemplatePart::Text(text.into())),
                TextPart::Placeholder { inside, span } => match template_part(inside, columns) {
                    Ok(part) => parts.push(part),
                    Err(problem) => errors.push(InvalidTemplate { span, problem }),
                },
            }
        }
        if errors.is_empty() { Ok(Template(parts)) } else { Err(errors) }
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
        let [TemplatePart::Placeholder { if_unknown, .. }] = self.0.as_slice() else {
            return None;
        };
        let cell = self.cells().next();
        let default = match if_unknown {
            IfUnknown::Default(text) => Some(&**text),
            IfUnknown::Impossible | IfUnknown::Omit => None,
        };
        Some(SinglePlaceholder { cell, default, omitted: *if_unknown == IfUnknown::Omit })
    }

    /// Returns the first value that the caller controls, as in a placeholder: a SIP header or the caller's own
    /// number.
    pub(crate) fn caller_controlled(&self) -> Option<String> {
        self.0.iter().find_map(|part| match part {
            TemplatePart::Placeholder { value: ValueName::Sip(header), .. } => {
                Some(format!("sip.{header}"))
            }
            TemplatePart::Placeholder { value: ValueName::From, .. } => Some("from".to_owned()),
            TemplatePart::Placeholder { value: ValueName::ForwardedFrom, .. } => {
                Some("forwarded_from".to_owned())
            }
            TemplatePart::Placeholder { .. } | TemplatePart::Text(_) => None,
        })
    }

    /// Returns the names of the attributes in the text.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            TemplatePart::Placeholder { value: ValueName::Attribute(name), .. } => Some(&**name),
            TemplatePart::Placeholder { .. } | TemplatePart::Text(_) => None,
        })
    }

    /// Returns whether the whole text is omitted when some value is unknown.
    pub(crate) fn can_be_omitted(&self) -> bool {
        self.0.iter().any(|part| {
            matches!(part, TemplatePart::Placeholder { if_unknown: IfUnknown::Omit, .. })
        })
    }

    /// Returns the look-ups whose answers the template contains.
    pub fn lookups(&self) -> LookupSet {
        let lookups = self.0.iter().filter_map(|part| match part {
            TemplatePart::Placeholder { value: ValueName::Lookup(id, _), .. } => Some(*id),
            TemplatePart::Placeholder { .. } | TemplatePart::Text(_) => None,
        });
        lookups.collect()
    }

    /// Returns the look-ups that must be asked before the template can be rendered: none if another value,
    /// which is known to be missing, omits the text anyway.
    pub(crate) fn pending(&self, context: TemplateContext<'_>) -> LookupSet {
        let pending = context.lookups.pending(self.lookups());
        let is_omitted = !pending.is_empty() && self.0.iter().any(|part| part.is_missing(context));
        if is_omitted { LookupSet::default() } else { pending }
    }

    /// Iterates over the list cells that the template contains.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell> {
        self.0.iter().filter_map(|part| match part {
            TemplatePart::Placeholder { value: ValueName::Column { cell, .. }, .. } => Some(*cell),
            TemplatePart::Placeholder { .. } | TemplatePart::Text(_) => None,
        })
    }

    /// Returns the template as it is written in a rule. `cell` and `lookup` return the names of what
    /// placeholders refer to: `stores.city`, `crm`.
    pub(crate) fn written(
        &self,
        cell: &dyn Fn(Cell) -> String,
        lookup: &dyn Fn(LookupId) -> String,
    ) -> String {
        let part = |part: &TemplatePart| match part {
            TemplatePart::Text(text) => text.replace("${", "$${"),
            TemplatePart::Placeholder { value, if_unknown } => {
                let name = match value {
                    ValueName::From => "from".to_owned(),
                    ValueName::To => "to".to_owned(),
                    ValueName::ForwardedFrom => "forwarded_from".to_owned(),
                    ValueName::Channel => "channel".to_owned(),
                    ValueName::Source => "source".to_owned(),
                    ValueName::Rule => "rule".to_owned(),
                    ValueName::NumberId => "number_id".to_owned(),
                    ValueName::Sip(header) => format!("sip.{header}"),
                    ValueName::Attribute(name) => format!("attr.{name}"),
                    ValueName::Column { cell: found, .. } => cell(*found),
                    ValueName::Lookup(id, field) => format!("{}.{field}", lookup(*id)),
                };
                match if_unknown {
                    IfUnknown::Impossible => format!("${{{name}}}"),
                    IfUnknown::Default(text) => format!("${{{name}|{text}}}"),
                    IfUnknown::Omit => format!("${{{name}?}}"),
                }
            }
        };
        self.0.iter().map(part).collect()
    }

    /// Returns the size of the text outside of placeholders, in bytes.
    pub(crate) fn literal_bytes(&self) -> usize {
        self.literals().map(str::len).sum()
    }

    /// Returns the size of the text outside of placeholders, in characters.
    pub(crate) fn literal_chars(&self) -> usize {
        self.literals().map(|text| text.chars().count()).sum()
    }

    fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            TemplatePart::Text(text) => Some(&**text),
            TemplatePart::Placeholder { .. } => None,
        })
    }

    /// Renders the template into at most `max_bytes`.
    ///
    /// # Errors
    /// Returns why there is no text; it is never cut.
    pub fn render<'t>(
        &'t self,
        context: TemplateContext<'_>,
        max_bytes: usize,
    ) -> Result<Cow<'t, str>, NoText> {
        if let Some(text) = self.literal() {
            return (text.len() <= max_bytes).then_some(Cow::Borrowed(text)).ok_or(NoText::NoRoom);
        }
        let mut rendered = String::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => rendered.push_str(text),
                TemplatePart::Placeholder { value, if_unknown } => {
                    match (value.resolve(context, if_unknown), if_unknown) {
                        (Some(value), _) if value.len() > MAX_VALUE_BYTES => {
                            return Err(NoText::ValueTooLong);
                        }
                        (Some(value), _) => rendered.push_str(&value),
                        (None, IfUnknown::Default(text)) => rendered.push_str(text),
                        (None, IfUnknown::Omit) => return Err(NoText::Unknown),
                        // The row exists, but its cell is empty.
                        (None, IfUnknown::Impossible) => {}
                    }
                }
            }
            // Checked after each part: the text is never much larger than its limit.
            if rendered.len() > max_bytes {
                return Err(NoText::NoRoom);
            }
        }
        Ok(Cow::Owned(rendered))
    }
}

impl TemplatePart {
    /// Returns whether the value is known to be missing, and omits the text.
    fn is_missing(&self, context: TemplateContext<'_>) -> bool {
        let TemplatePart::Placeholder { value, if_unknown: if_unknown @ IfUnknown::Omit } = self
        else {
            return false;
        };
        let is_pending =
            matches!(value, ValueName::Lookup(id, _) if context.lookups.is_pending(*id));
        !is_pending && value.resolve(context, if_unknown).is_none()
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
            ValueName::NumberId => call.number_id().map(Cow::Borrowed),
            ValueName::Sip(header) => call.sip_header(header).map(Cow::Borrowed),
            ValueName::Attribute(name) => call.attribute(name).map(Cow::Borrowed),
            ValueName::Column { cell, .. } => context.call.cell(*cell).map(Cow::Borrowed),
            ValueName::Lookup(id, field) => context.lookups.field(*id, field).map(Cow::Owned),
        }
    }

    fn can_be_unknown(&self) -> bool {
        match self {
            ValueName::From
            | ValueName::To
            | ValueName::Channel
            | ValueName::Source
            | ValueName::Rule => false,
            ValueName::ForwardedFrom
            | ValueName::NumberId
            | ValueName::Sip(_)
            | ValueName::Attribute(_)
            | ValueName::Lookup(..) => true,
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
            "number_id" => Some(Ok(ValueName::NumberId)),
            _ => match text.split_once('.')? {
                ("sip" | "attr", "") => None,
                ("attr", name) => Some(Ok(ValueName::Attribute(name.into()))),
                ("sip", header) => Some(Ok(ValueName::Sip(header.to_ascii_lowercase().into()))),
                (name, field) => match columns.cell(name, field) {
                    Some(found) => Some(
                        found.map(|(cell, always_known)| ValueName::Column { cell, always_known }),
                    ),
                    None => {
                        let found = columns.lookup(name, field)?;
                        Some(found.map(|(id, field)| ValueName::Lookup(id, field)))
                    }
                },
            },
        }
    }
}

/// Parses the text between `${` and `}`.
fn template_part(inside: &str, columns: &mut dyn ColumnLookup) -> Result<TemplatePart, Problem> {
    let (name, if_unknown) = placeholder::name_and_default(inside)?;
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
