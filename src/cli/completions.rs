//! `switchboard completions`: scripts with which shells complete commands and flags.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Arguments, Exit};

/// Print the completion script of a shell to standard output.
///
/// For example, for bash: switchboard completions bash >
/// ~/.local/share/bash-completion/completions/switchboard
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Shell that reads the script
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        // `generate` panics if it cannot write, for example into a closed pipe.
        let mut script = Vec::new();
        generate(self.shell, &mut Arguments::command(), "switchboard", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(Exit::Success)
    }
}
