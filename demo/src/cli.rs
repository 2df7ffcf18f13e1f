//! The command line.

use crate::processes::parts;
use std::ffi::OsString;
use std::process::ExitCode;

/// Does what the arguments ask for; the first is the program's name.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(ended) = parts::play(&args) {
        return ended;
    }
    ExitCode::SUCCESS
}
