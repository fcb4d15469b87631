//! The program: arguments in, exit code out. Everything else is in the library.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use switchboard::cli::{self, Exit};

/// A request makes some forty small allocations; see `docs/decisions/0020-allocator.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let arguments = cli::parse(&arguments).unwrap_or_else(|error| error.exit());
    match cli::run(arguments) {
        Ok(Exit::Success) => ExitCode::SUCCESS,
        Ok(Exit::Failure) => ExitCode::from(1),
        Ok(Exit::Error) => ExitCode::from(2),
        Err(error) => {
            cli::print_error(&error);
            ExitCode::from(2)
        }
    }
}
