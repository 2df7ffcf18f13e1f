//! The origin of a setting, and the path of its key.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Place where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    File {
        /// The file.
        path: Arc<PathBuf>,
        /// Line number, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// The command line.
    Flag,
    /// The setting was not made anywhere.
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

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyStep {
    Key(String),
    Index(usize),
}

/// Path to a setting from the root.
pub(super) type KeyPath = Vec<KeyStep>;

/// Returns the path as people write it: `radio[0].kind`. As in TOML, a key of other characters than a bare one has is quoted.
pub(super) fn key_text(path: &[KeyStep]) -> String {
    let step = |(depth, step): (usize, &KeyStep)| match step {
        KeyStep::Key(key) if depth == 0 => quoted_unless_bare(key),
        KeyStep::Key(key) => format!(".{}", quoted_unless_bare(key)),
        KeyStep::Index(index) => format!("[{index}]"),
    };
    path.iter().enumerate().map(step).collect()
}

fn quoted_unless_bare(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { key.to_owned() } else { format!("{key:?}") }
}
