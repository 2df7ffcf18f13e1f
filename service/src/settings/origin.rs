//! Where a setting came from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a setting came from, as a person finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    File {
        /// The file.
        path: Arc<PathBuf>,
        /// Counted from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// The command line.
    Flag,
    /// It was not set anywhere.
    Unset,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag => f.write_str("command line"),
            Self::Unset => f.write_str("not set"),
        }
    }
}

/// One step of the way to a setting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The way to a setting from the root.
pub(super) type Way = Vec<Step>;

/// The way as people write it: `radio[0].kind`.
pub(super) fn shown(way: &[Step]) -> String {
    let step = |(depth, step): (usize, &Step)| match step {
        Step::Key(key) if depth == 0 => key.clone(),
        Step::Key(key) => format!(".{key}"),
        Step::Index(index) => format!("[{index}]"),
    };
    way.iter().enumerate().map(step).collect()
}
