//! The program: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use switchboard::cli::{Arguments, Exit};

fn main() -> ExitCode {
    match switchboard::cli::run(Arguments::parse()) {
        Ok(Exit::Good) => ExitCode::SUCCESS,
        Ok(Exit::Not) => ExitCode::from(1),
        Ok(Exit::CouldNot) => ExitCode::from(2),
        Err(error) => {
            switchboard::cli::complain(&error);
            ExitCode::from(2)
        }
    }
}
