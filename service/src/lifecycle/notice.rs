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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Has a child print a notice instead of being the test.
    const PRINTS: &str = "HERDLINX_TEST_PRINTS_NOTICE";

    /// Catches a notice that nobody sees, and a command that ends because nobody does. A test cannot read its own stderr, so it
    /// runs itself as a child.
    #[test]
    fn a_notice_is_a_line_of_stderr_and_needs_no_reader() {
        if std::env::var_os(PRINTS).is_some() {
            return print_notice("radio1: receiving");
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "lifecycle::notice::tests::a_notice_is_a_line_of_stderr_and_needs_no_reader"]);
        child.env(PRINTS, "");
        let seen = child.output().unwrap();
        assert!(seen.status.success() && seen.stderr == b"radio1: receiving\n", "{seen:?}");
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert!(child.stderr(writer).status().unwrap().success());
    }
}
