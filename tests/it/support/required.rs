//! Programs that some tests need. On a machine without one, its tests print that they are skipped. They fail in CI,
//! and if `SWITCHBOARD_TESTS_REQUIRE` contains the name.

use std::io::Write;

/// Prints that the current test is skipped, or fails if it must not be.
#[track_caller]
pub(crate) fn skip_test(name: &str, missing: &str) {
    let required = variable("SWITCHBOARD_TESTS_REQUIRE");
    let is_required = required.split([',', ' ']).any(|required| required == name);
    assert!(!is_required, "{missing}, and SWITCHBOARD_TESTS_REQUIRE is `{required}`");
    assert!(variable("CI").is_empty(), "{missing}, and CI skips no tests");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not captured, so that the line is visible although the test passes.
    drop(writeln!(std::io::stderr(), "SKIPPED without {name}: {test}: {missing}"));
}

/// Returns an environment variable; empty when it is not set.
pub(crate) fn variable(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "set for the tests, not for the service")]
    std::env::var(name).unwrap_or_default()
}
