//! `switchboard man`: manual pages, from the same declaration as `--help`.

use clap::{Args, CommandFactory};

use super::{Arguments, Exit};

/// Print a manual page to standard output, in roff. Read it with: switchboard man | man -l -
///
/// Exit status: 0 printed; 2 there is no such command.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Command to describe, such as `records export` [default: the program and its commands]
    command: Vec<String>,
}

impl Man {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let page = clap_mangen::Man::new(find(&self.command)?).manual("Switchboard");
        page.render(&mut std::io::stdout())?;
        Ok(Exit::Success)
    }
}

/// Returns a command by its path from the program. It knows its full name and its inherited flags.
fn find(path: &[String]) -> anyhow::Result<clap::Command> {
    let mut command = Arguments::command();
    // Gives subcommands their names: `switchboard-records-export`.
    command.build();
    for name in path {
        let Some(found) = command.find_subcommand(name).cloned() else {
            let known: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
            let parent = command.get_bin_name().unwrap_or("switchboard");
            match known.is_empty() {
                true => anyhow::bail!("`{parent}` has no subcommands"),
                false => {
                    anyhow::bail!("`{parent}` has no command `{name}`; it has {}", known.join(", "))
                }
            }
        };
        command = found.disable_help_subcommand(true);
    }
    let name = command.get_bin_name().unwrap_or("switchboard").replace(' ', "-");
    Ok(command.display_name(name))
}
