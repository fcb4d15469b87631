//! JSON objects whose texts are templates: `metadata` and `agent_override`.

use std::borrow::Cow;

use serde_json::Value;

use super::template::{MAX_OBJECT_TEXTS_BYTES, Template, TemplateContext};
use crate::domain::decision::{LeftOut, LeftOutReason, Object};
use crate::domain::facts::LookupSet;

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

/// Room for the texts with values of a call, and the texts for which there was none.
pub(crate) struct ObjectRoom {
    /// Bytes that are left.
    bytes: usize,
    /// Texts that were left out.
    pub(crate) left_out: Vec<LeftOut>,
}

impl Default for ObjectRoom {
    fn default() -> Self {
        ObjectRoom { bytes: MAX_OBJECT_TEXTS_BYTES, left_out: Vec::new() }
    }
}

/// Rendering of one object: its values, the room, and the names that lead to the current entry.
struct Rendering<'r> {
    context: TemplateContext<'r>,
    room: &'r mut ObjectRoom,
    path: Vec<&'r str>,
}

impl ObjectTemplate {
    /// Builds an object template. An object without placeholders is rendered only once.
    pub fn new(entries: Vec<(Box<str>, TemplateNode)>) -> ObjectTemplate {
        let constant = constant_object(&entries);
        ObjectTemplate { entries, constant }
    }

    /// Returns the look-ups whose answers the object contains.
    pub(crate) fn lookups(&self) -> LookupSet {
        lookups_of(&self.entries, &Template::lookups)
    }

    /// Returns the look-ups that must be asked before the object can be rendered.
    pub(crate) fn pending(&self, context: TemplateContext<'_>) -> LookupSet {
        lookups_of(&self.entries, &|text| text.pending(context))
    }

    /// Renders the object, named `name` in rules, without the entries that unknown values omit and without
    /// those for which there is no room.
    pub(crate) fn render<'t>(
        &'t self,
        name: &'static str,
        context: TemplateContext<'_>,
        room: &mut ObjectRoom,
    ) -> Cow<'t, Object> {
        match &self.constant {
            Some(object) => Cow::Borrowed(object),
            None => {
                let mut rendering = Rendering { context, room, path: vec![name] };
                Cow::Owned(rendering.object(&self.entries))
            }
        }
    }
}

/// Returns the object, if it has no placeholders.
fn constant_object(entries: &[(Box<str>, TemplateNode)]) -> Option<Object> {
    entries.iter().map(|(name, node)| Some((name.to_string(), node.constant()?))).collect()
}

fn lookups_of(
    entries: &[(Box<str>, TemplateNode)],
    of: &dyn Fn(&Template) -> LookupSet,
) -> LookupSet {
    let nodes = entries.iter().map(|(_, node)| node.lookups(of));
    nodes.fold(LookupSet::default(), LookupSet::union)
}

impl TemplateNode {
    /// Returns the look-ups of all texts, each of which has those that `of` returns.
    fn lookups(&self, of: &dyn Fn(&Template) -> LookupSet) -> LookupSet {
        match self {
            TemplateNode::Plain(_) => LookupSet::default(),
            TemplateNode::Text(template) => of(template),
            TemplateNode::List(nodes) => {
                let nodes = nodes.iter().map(|node| node.lookups(of));
                nodes.fold(LookupSet::default(), LookupSet::union)
            }
            TemplateNode::Table(entries) => lookups_of(entries, of),
        }
    }

    /// Returns the value of a node without placeholders.
    fn constant(&self) -> Option<Value> {
        match self {
            TemplateNode::Plain(value) => Some(value.clone()),
            TemplateNode::Text(template) => Some(Value::from(template.literal()?)),
            TemplateNode::List(nodes) => nodes.iter().map(TemplateNode::constant).collect(),
            TemplateNode::Table(entries) => constant_object(entries).map(Value::Object),
        }
    }
}

impl<'r> Rendering<'r> {
    fn object(&mut self, entries: &'r [(Box<str>, TemplateNode)]) -> Object {
        let mut object = Object::new();
        for (name, node) in entries {
            self.path.push(name);
            if let Some(value) = self.node(node) {
                object.insert(name.to_string(), value);
            }
            self.path.pop();
        }
        object
    }

    fn node(&mut self, node: &'r TemplateNode) -> Option<Value> {
        match node {
            TemplateNode::Plain(value) => Some(value.clone()),
            TemplateNode::Text(template) => self.text(template).map(Value::from),
            TemplateNode::List(nodes) => {
                Some(nodes.iter().filter_map(|node| self.node(node)).collect())
            }
            TemplateNode::Table(entries) => Some(Value::Object(self.object(entries))),
        }
    }

    /// Renders a text. Only texts with placeholders use up room: the others do not depend on the call.
    fn text(&mut self, template: &'r Template) -> Option<String> {
        if let Some(text) = template.literal() {
            return Some(text.to_owned());
        }
        match template.render(self.context, self.room.bytes) {
            Ok(text) => {
                self.room.bytes -= text.len();
                Some(text.into_owned())
            }
            Err(no_text) => {
                let reason = no_text.left_out(LeftOutReason::TextsTooLarge)?;
                self.room.left_out.push(LeftOut { name: self.path.join("."), reason });
                None
            }
        }
    }
}
