//! JSON pointers (RFC 6901) into bodies whose values are parsed only where a pointer leads.

use std::borrow::Cow;
use std::fmt;

use crate::domain::form::{Form, restore_plus};
use crate::domain::json::JsonObject;

/// A pointer to a value: `/call/caller_number`. In a form or a query, it has one part: `/from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Box<[Box<str>]>);

impl Pointer {
    /// Parses a pointer. Returns `None` unless every part begins with `/`, and every `~` is one of `~0` and `~1`.
    pub fn parse(text: &str) -> Option<Pointer> {
        let mut tildes = text.split('~').skip(1);
        if !tildes.all(|behind| behind.starts_with(['0', '1'])) {
            return None;
        }
        let parts = text.strip_prefix('/')?.split('/');
        let parts: Box<[Box<str>]> =
            parts.map(|part| part.replace("~1", "/").replace("~0", "~").into()).collect();
        parts.iter().all(|part| !part.is_empty()).then_some(Pointer(parts))
    }

    /// Returns whether the pointer leads to a field that is not inside another one.
    pub fn has_one_part(&self) -> bool {
        self.0.len() == 1
    }

    /// Returns the parts, without the escapes `~0` and `~1`.
    pub(super) fn parts(&self) -> &[Box<str>] {
        &self.0
    }
}

/// Prints the pointer as written in settings.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|part| write!(f, "/{}", part.replace('~', "~0").replace('/', "~1")))
    }
}

/// Fields of a request, in which pointers find values.
pub(super) enum RequestFields<'a> {
    /// A JSON object.
    Json(JsonObject<'a>),
    /// A form or a query.
    Form(Form<'a>),
}

impl<'a> RequestFields<'a> {
    /// Returns the scalar value at a pointer as text; numbers and booleans as written.
    pub(super) fn text(&self, pointer: &Pointer) -> Option<Cow<'a, str>> {
        match self {
            RequestFields::Json(object) => object.text_at(pointer.parts()),
            RequestFields::Form(form) => {
                let [name] = pointer.parts() else { return None };
                form.text(name)
            }
        }
    }

    /// Returns the first value that exists and is not empty.
    pub(super) fn first(&self, pointers: &[Pointer]) -> Option<Cow<'a, str>> {
        pointers.iter().find_map(|pointer| self.text(pointer).filter(|text| !text.is_empty()))
    }

    /// Returns the first text in place of a number. In a form or a query, its `+` may be unencoded.
    pub(super) fn number(&self, pointers: &[Pointer]) -> Option<Cow<'a, str>> {
        let text = self.first(pointers)?;
        Some(match self {
            RequestFields::Json(_) => text,
            RequestFields::Form(_) => restore_plus(&text).into(),
        })
    }

    /// Returns the object at a pointer.
    pub(super) fn object(&self, pointer: &Pointer) -> Option<JsonObject<'a>> {
        match self {
            RequestFields::Json(object) => object.object_at(pointer.parts()),
            RequestFields::Form(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json;

    #[test]
    fn leads_to_scalars_in_objects_and_arrays() {
        let body = br#"{"a":{"b/c":[{"n":7},"x"],"~":true,"":"e"},"s":"","nil":null}"#;
        let fields = RequestFields::Json(json::object(body).expect("an object"));
        let text = |text| fields.text(&Pointer::parse(text).expect("a pointer"));
        assert_eq!(text("/a/b~1c/0/n").as_deref(), Some("7"));
        assert_eq!(text("/a/b~1c/1").as_deref(), Some("x"));
        assert_eq!(text("/a/~0").as_deref(), Some("true"));
        assert_eq!(text("/s").as_deref(), Some(""));
        for nothing in ["/a", "/a/b~1c", "/a/b~1c/2", "/a/b~1c/-1", "/a/b~1c/1/n", "/nil", "/x"] {
            assert_eq!(text(nothing), None, "{nothing}");
        }
        for invalid in ["", "a", "/", "/a/", "//a", "#/a", "/a~2", "/a~"] {
            assert_eq!(Pointer::parse(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn the_plus_of_a_number_is_restored_in_a_form_alone() {
        let pointers = [Pointer::parse("/from").expect("a pointer")];
        for query in ["from=+4930901820", "from=%2B4930901820"] {
            let form = RequestFields::Form(Form::parse(query.as_bytes()));
            assert_eq!(form.number(&pointers).as_deref(), Some("+4930901820"), "{query}");
        }
        let form = RequestFields::Form(Form::parse(b"from=+client:jane"));
        assert_eq!(form.number(&pointers).as_deref(), Some(" client:jane"));
        let body = json::object(br#"{"from":" 4930901820"}"#).expect("an object");
        let number = RequestFields::Json(body).number(&pointers);
        assert_eq!(number.as_deref(), Some(" 4930901820"));
    }

    #[test]
    fn prints_its_escapes() {
        let pointer = Pointer::parse("/a~1b/~0").expect("a pointer");
        assert_eq!(pointer.to_string(), "/a~1b/~0");
    }
}
