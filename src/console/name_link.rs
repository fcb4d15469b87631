//! Names of the rule table on pages: any text can be a name, also one with a phone number.

use super::access::NumberView;

/// A name of the rule table on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameLink {
    pub(super) text: String,
    /// Whether the name is whole, so that it can be a part of an address.
    pub(super) is_whole: bool,
}

impl NameLink {
    pub(super) fn new(name: &str, view: NumberView) -> NameLink {
        let text = view.text(name).into_owned();
        NameLink { is_whole: text == name, text }
    }
}
