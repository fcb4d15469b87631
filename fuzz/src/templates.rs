//! Templates: a text that parses can be rendered, and locations of mistakes are inside the text.

use super::text;
use switchboard::rules::{NoColumns, Template};

/// Runs one input.
pub fn run(data: &[u8]) {
    let text = text(data);
    match Template::parse(text, &mut NoColumns) {
        Ok(template) => {
            if !text.contains("${") {
                assert_eq!(template.literal(), Some(text));
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(text.get(error.span).is_some(), "a location outside the text");
            }
        }
    }
}
