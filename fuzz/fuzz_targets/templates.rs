//! Templates: a text that parses can be rendered, and locations of mistakes are inside the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::rules::{NoColumns, Template};

fuzz_target!(|text: &str| {
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
});
