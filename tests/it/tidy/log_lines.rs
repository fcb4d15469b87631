//! Every log line of the source stands in `docs/operating.md`.

use syn::LitStr;
use syn::visit::Visit;

use super::sources;
use crate::support::app::root;

/// Macros of `tracing` that write a line.
const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// Collects the messages of the log lines in a file.
#[derive(Default)]
struct Collector {
    messages: Vec<String>,
}

impl Visit<'_> for Collector {
    fn visit_macro(&mut self, call: &syn::Macro) {
        let name = call.path.segments.last().expect("a name").ident.to_string();
        if LEVELS.contains(&name.as_str()) {
            let last = call.tokens.clone().into_iter().last().expect("a message").to_string();
            let message: LitStr = syn::parse_str(&last).expect("the message comes last");
            self.messages.push(message.value());
        }
    }
}

fn find_messages(code: &str) -> Vec<String> {
    let mut collector = Collector::default();
    collector.visit_file(&syn::parse_file(code).expect("Rust"));
    collector.messages
}

/// Returns whether a page shows a message as code. A placeholder and what follows may be anything.
fn shows(page: &str, message: &str) -> bool {
    match message.split_once('{') {
        None => page.contains(&format!("`{message}`")),
        Some((fixed, _)) => page.contains(&format!("`{fixed}")),
    }
}

#[test]
fn every_log_line_is_documented() {
    let page = std::fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let sources = sources("src").into_iter();
    let messages = sources.flat_map(|(file, code)| {
        find_messages(&code).into_iter().map(move |message| (message, file.clone()))
    });
    let messages: Vec<_> = messages.collect();
    assert!(messages.len() > 50, "only {} messages: the macros have other names", messages.len());
    let missing: Vec<_> = messages.iter().filter(|(message, _)| !shows(&page, message)).collect();
    assert!(missing.is_empty(), "not in the table of docs/operating.md: {missing:#?}");
}

#[test]
fn messages_are_found_with_and_without_fields() {
    let code = r#"
        fn f() {
            tracing::info!(%address, rules = table.len(), "serving");
            match g() {
                Err(error) => tracing::warn!(%error, "two \
                    lines"),
                Ok(()) => h!("error"),
            }
        }
    "#;
    assert_eq!(find_messages(code), ["serving", "two lines"]);
    assert!(shows("| `error in rules`, `serving` |", "serving"));
    assert!(shows("| `error in rules` |", "error in {of}"));
    assert!(!shows("| serving, `serving again` |", "serving"));
}
