//! Lines for people who watch a command.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints a line to stderr. Without a reader it is lost, and the command goes on.
///
/// `eprintln!` panics then. A lint of the workspace keeps it out.
pub fn print_notice(text: impl Display) {
    // There is no other place to report an error of stderr.
    let _ = writeln!(io::stderr(), "{text}");
}
