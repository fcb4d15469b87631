//! `switchboard passwd`: hashes that the settings accept.

use std::io::{Seek, Write};
use std::process::Output;

use switchboard::domain::user::PasswordHash;

use crate::support::program::{program, text};
use crate::support::wait;

/// Runs the command with a standard input.
fn run_with(input: &str) -> Output {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    wait::output_of(program().arg("passwd").stdin(file))
}

#[test]
fn a_password_from_standard_input_is_hashed() {
    let output = run_with("correct horse battery\r\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let parsed = PasswordHash::parse(printed.trim_end()).expect("an Argon2 hash");
    assert!(parsed.verify("correct horse battery"), "without the line break");
    assert!(!parsed.verify("correct horse battery\r"));
    assert_ne!(
        printed,
        text(&run_with("correct horse battery").stdout),
        "each hash has its own salt"
    );
}

#[test]
fn a_short_password_is_refused() {
    let output = run_with("1234567\n");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("7 characters; use at least 8"));
}
