//! The rules of the house.
//!
//! A rule says what is absent from the sources, why, and how to mend a finding. It reads the files of a checkout and
//! nothing else, except for `herd-dependencies`, which asks Cargo. Each rule is one file of [`rules`]. The planted
//! examples in `tests/planted` show that each one finds what it should.

mod report;
pub mod rules;

use crate::tree::{Tree, TreeError};
pub use report::Report;
use std::fmt;
use std::io;

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// The name on the command line.
    pub name: &'static str,
    /// Why the rule exists.
    pub reason: &'static str,
    /// The way to mend a finding.
    pub mend: &'static str,
    /// Returns the places that break the rule, sorted by path and line.
    pub find: fn(&Tree) -> Result<Vec<Finding>, TidyError>,
}

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the root.
    pub path: String,
    /// The line, from 1; `None` if the finding concerns the whole file.
    pub line: Option<usize>,
    /// The text for people, without the place.
    pub message: String,
}

/// Why a rule could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum TidyError {
    /// A source could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Cargo could not be started.
    #[error("cannot run `{command}`: {source}")]
    StartCargo {
        /// The command line.
        command: String,
        /// The cause.
        source: io::Error,
    },
    /// Cargo ended with an error.
    #[error("`{command}` failed: {stderr}")]
    Cargo {
        /// The command line.
        command: String,
        /// Its error output.
        stderr: String,
    },
}

impl Finding {
    /// Makes a finding on a line.
    pub fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line), message: message.into() }
    }

    /// Makes a finding on a whole file.
    pub fn of(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}
