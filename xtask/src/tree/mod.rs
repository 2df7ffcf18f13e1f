//! The files of a checkout, as the rules read them.
//!
//! | module | holds |
//! |---|---|
//! | `source` | one file: its text, its code without comments, its syntax |
//! | `code` | the scanner that blanks comments and texts |

mod code;
mod source;

pub use source::Source;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Directories whose every file is read. They hold scripts, most of which have no extension.
const SCRIPTS: [&str; 2] = ["image/", ".ci/"];
/// Hidden directories that belong to the sources.
const HIDDEN: [&str; 2] = [".ci", ".cargo"];

/// The Rust sources, manifests, pages and scripts of a checkout, sorted by path.
pub struct Tree {
    root: PathBuf,
    sources: Vec<Source>,
}

/// Why a checkout cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A directory or file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The directory or file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A Rust file has a syntax error.
    #[error("{path}:{line}: not valid Rust: {source}; run `cargo check` first")]
    Syntax {
        /// The file, from the root.
        path: String,
        /// Line of the error, from 1.
        line: usize,
        /// The cause.
        source: syn::Error,
    },
}

impl Tree {
    /// Reads the checkout at `root`. Build directories (`target*`) are skipped.
    pub fn load(root: &Path) -> Result<Self, TreeError> {
        let mut paths = Vec::new();
        collect(root, "", &mut paths)?;
        paths.sort();
        let sources = paths.into_iter().map(|path| Source::load(root, path)).collect::<Result<_, _>>()?;
        Ok(Self { root: root.to_owned(), sources })
    }

    /// Returns the root of the checkout that this program belongs to.
    ///
    /// Cargo names it at run time. The path from build time serves a program that was started without Cargo.
    pub fn own_root() -> PathBuf {
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        Path::new(&package).parent().unwrap_or(Path::new(".")).to_owned()
    }

    /// Returns the root of the checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns whether a file or directory exists at this path from the root.
    pub fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// Returns the file at this path from the root.
    pub fn source(&self, path: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.path() == path)
    }

    /// Returns every file that was read.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter()
    }

    /// Returns every Rust file, tests included.
    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.sources().filter(|source| source.has_extension("rs"))
    }

    /// Returns every Rust file of a crate's `src/` that is not a file of tests.
    pub fn shipped(&self) -> impl Iterator<Item = &Source> {
        self.rust().filter(|source| source.path().split('/').nth(1) == Some("src") && !source.is_of_tests())
    }

    /// Returns every script.
    pub fn scripts(&self) -> impl Iterator<Item = &Source> {
        self.sources().filter(|source| SCRIPTS.iter().any(|place| source.path().starts_with(place)))
    }

    /// Returns the directories at the root that hold a crate.
    pub fn crates(&self) -> BTreeSet<&str> {
        let folders = self.sources().filter_map(|source| source.path().strip_suffix("/Cargo.toml"));
        folders.filter(|folder| !folder.contains('/')).collect()
    }
}

/// Adds the paths of the wanted files below `folder`, which is empty or ends in a slash.
fn collect(root: &Path, folder: &str, paths: &mut Vec<String>) -> Result<(), TreeError> {
    let directory = root.join(folder);
    let failed = |source| TreeError::Read { path: directory.clone(), source };
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(failed)?;
        let path = format!("{folder}{name}");
        if kind.is_dir() && !is_skipped(&name) {
            collect(root, &format!("{path}/"), paths)?;
        } else if kind.is_file() && is_wanted(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_skipped(directory: &str) -> bool {
    let is_build = directory == "target" || directory.starts_with("target-");
    is_build || (directory.starts_with('.') && !HIDDEN.contains(&directory))
}

fn is_wanted(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "md" | "toml")) || SCRIPTS.iter().any(|place| path.starts_with(place))
}
