//! The program `xtask`. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::process::main_with(std::env::args_os(), |args: xtask::cli::Args, out| xtask::cli::run(&args, out))
}
