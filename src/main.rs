//! The program: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use switchboard::cli::{Arguments, Exit};

/// A request makes some forty small allocations; see `docs/decisions/0020-allocator.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match switchboard::cli::run(Arguments::parse()) {
        Ok(Exit::Success) => ExitCode::SUCCESS,
        Ok(Exit::Failure) => ExitCode::from(1),
        Ok(Exit::Error) => ExitCode::from(2),
        Err(error) => {
            switchboard::cli::print_error(&error);
            ExitCode::from(2)
        }
    }
}
