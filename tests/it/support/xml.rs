//! XML replies, parsed with an XML parser that is not ours.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// An element of a reply.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    fn new(start: &BytesStart<'_>) -> Element {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.expect("an attribute");
            let value = attribute.normalized_value(XmlVersion::Explicit1_0).expect("a value");
            (attribute.key.as_ref().to_owned(), value.into_owned())
        });
        let attributes = attributes.collect();
        Element { name: start.name().as_ref().to_owned(), attributes, ..Element::default() }
    }

    /// The first element with this name, at any depth.
    pub(crate) fn find(&self, name: &str) -> Option<&Element> {
        let is_it = self.name == name;
        if is_it { Some(self) } else { self.children.iter().find_map(|child| child.find(name)) }
    }

    #[track_caller]
    pub(crate) fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(attribute, _)| attribute == name);
        found.map(|(_, value)| value.as_str()).expect("the attribute")
    }
}

/// Parses a reply.
#[track_caller]
pub(crate) fn parse(xml: &str) -> Element {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut open = vec![Element::default()];
    loop {
        let event = reader.read_event().expect("well-formed XML");
        let innermost = open.last_mut().expect("an element");
        match event {
            Event::Start(start) => open.push(Element::new(&start)),
            Event::Empty(start) => innermost.children.push(Element::new(&start)),
            Event::End(_) => {
                let closed = open.pop().expect("an element");
                open.last_mut().expect("an element around it").children.push(closed);
            }
            Event::Text(text) => innermost.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                match reference.resolve_char_ref().expect("a character") {
                    Some(c) => innermost.text.push(c),
                    None => {
                        let entity = resolve_predefined_entity(&reference.xml10_content());
                        innermost.text.push_str(entity.expect("a predefined entity"));
                    }
                }
            }
            Event::Decl(_) => {}
            Event::Eof => break,
            other @ (Event::CData(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_)) => {
                panic!("{other:?}")
            }
        }
    }
    assert_eq!(open.len(), 1, "an element is not closed: {xml}");
    let mut document = open.remove(0);
    assert_eq!(document.children.len(), 1, "{xml}");
    document.children.remove(0)
}
