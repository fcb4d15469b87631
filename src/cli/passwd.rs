//! `switchboard passwd`: hashes a password for `[admin.users]`.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use clap::Args;
use console::Term;

use super::Exit;
use super::output::print_note;
use crate::domain::user::PasswordHash;

/// Hash a password for `password_hash` of a user in `[admin.users]`. Asks for it on a terminal, without showing
/// it; elsewhere reads it from standard input.
///
/// Exit status: 0 hashed; 2 there is no password, or it is too short.
#[derive(Debug, Args)]
pub(super) struct Passwd {}

/// Shortest password, in characters: NIST SP 800-63B demands 8.
const SHORTEST: usize = 8;

impl Passwd {
    #[expect(clippy::unused_self, reason = "commands are run by a method")]
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let password = read_password()?;
        let length = password.chars().count();
        anyhow::ensure!(
            length >= SHORTEST,
            "the password has {length} characters; use at least {SHORTEST}"
        );
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).context("the operating system gives no random numbers")?;
        let hash = PasswordHash::new(&password, salt);
        writeln!(std::io::stdout(), "{}", hash.as_str())?;
        print_note("note: write it to the settings: [admin.users.NAME] password_hash = '…'");
        Ok(Exit::Success)
    }
}

fn read_password() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).context("cannot read standard input")?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let mut terminal = Term::stderr();
    anyhow::ensure!(
        terminal.is_term(),
        "standard error is not a terminal to ask on: send the password to standard input"
    );
    let mut ask = |prompt: &str| {
        write!(terminal, "{prompt}")?;
        terminal.flush()?;
        terminal.read_secure_line()
    };
    let password = ask("Password: ").context("cannot read the password")?;
    let again = ask("Again: ").context("cannot read the password")?;
    anyhow::ensure!(password == again, "the passwords differ");
    Ok(password)
}
