//! Sleeps in tests: a test waits for a condition, with a deadline.

use syn::Ident;
use syn::visit::Visit;

use super::sources;
use crate::support::app::root;

/// Functions that pause for a fixed time.
const SLEEPS: [&str; 5] = ["sleep", "sleep_ms", "sleep_until", "park_timeout", "nanosleep"];

/// The only file that may call them.
const ALLOWED: &str = "tests/it/support/wait.rs";

/// Collects the identifiers of [`SLEEPS`] in a file.
#[derive(Default)]
struct Collector {
    found: Vec<String>,
}

impl Visit<'_> for Collector {
    fn visit_ident(&mut self, ident: &Ident) {
        self.add(&ident.to_string());
    }

    /// Visits the arguments of a macro, which are tokens and not expressions.
    fn visit_macro(&mut self, call: &syn::Macro) {
        let tokens = call.tokens.to_string();
        tokens.split(|c: char| !c.is_alphanumeric() && c != '_').for_each(|word| self.add(word));
    }
}

impl Collector {
    fn add(&mut self, word: &str) {
        if SLEEPS.contains(&word) {
            self.found.push(word.to_owned());
        }
    }
}

fn find_sleeps(code: &str) -> Vec<String> {
    let mut collector = Collector::default();
    collector.visit_file(&syn::parse_file(code).expect("Rust"));
    collector.found
}

#[test]
fn tests_sleep_only_in_the_functions_that_wait_for_a_condition() {
    let mut is_used = false;
    for (name, _) in sources("tests") {
        if name == "tests/it/tidy/sleeps.rs" {
            continue;
        }
        let found = find_sleeps(&std::fs::read_to_string(root().join(&name)).unwrap());
        is_used |= name == ALLOWED && !found.is_empty();
        assert!(
            name == ALLOWED || found.is_empty(),
            "{name}: {found:?}; use a function of {ALLOWED}"
        );
    }
    assert!(is_used, "{ALLOWED} does not sleep: this test looks for the wrong names");
}

#[test]
fn a_sleep_is_found_in_calls_imports_and_macros() {
    for code in [
        "fn f() { std::thread::sleep(d); }",
        "use tokio::time::sleep as pause;",
        "async fn f() { tokio::select! { () = tokio::time::sleep(d) => {} } }",
        "fn f() { vec![1, 2].map(|_| assert!(g(std::thread::sleep(d)))); }",
    ] {
        assert_eq!(find_sleeps(code), ["sleep"], "{code}");
    }
    assert!(find_sleeps("/// A sleep.\nfn f() { g(\"a sleepless night\"); }").is_empty());
}
