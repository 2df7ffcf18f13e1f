//! The files that the rules read.

use crate::ARROWS;
use crate::code::code_of;
use std::path::Path;
use std::{fs, io};

/// Directories of a crate that hold its sources.
const ROOMS: [&str; 4] = ["src", "tests", "examples", "benches"];
/// Directories of the repository that hold scripts.
const SCRIPTS: [&str; 2] = ["image", ".ci"];

/// A file of the repository.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Its text with comments and texts in quotes blanked, line by line as it stands.
    pub(crate) fn code(&self) -> String {
        code_of(&self.text)
    }

    /// The same without the module of tests at its end.
    pub(crate) fn shipped_code(&self) -> String {
        let code = self.code();
        match code.rfind("#[cfg(test)]\nmod ") {
            Some(at) if code[at..].lines().nth(1).is_some_and(|line| line.ends_with('{')) => code[..at].to_owned(),
            _ => code,
        }
    }

    pub(crate) fn is_of_tests(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }

    pub(crate) fn lines_where(&self, code: &str, found: impl Fn(&str) -> bool) -> Vec<String> {
        let lines = code.lines().enumerate().filter(|(_, line)| found(line));
        lines.map(|(index, _)| format!("{}:{}", self.path, index + 1)).collect()
    }
}
/// The dependencies that a crate declares, each with the section that it stands in.
pub(crate) fn dependencies(name: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in read(&format!("{name}/Cargo.toml")).lines() {
        if let Some(header) = line.strip_prefix('[') {
            header.trim_end_matches(']').clone_into(&mut section);
            if let Some((kind, dependency)) = section.split_once("dependencies.") {
                found.push((format!("{kind}dependencies"), dependency.to_owned()));
            }
        } else if section.ends_with("dependencies")
            && let Some(dependency) = line.split(['=', '.', ' ']).next().filter(|word| !word.is_empty())
        {
            found.push((section.clone(), dependency.to_owned()));
        }
    }
    assert!(!found.is_empty(), "{name}/Cargo.toml shows no dependency: has its form changed?");
    found
}

/// Every source file that is no test of its own.
pub(crate) fn shipped() -> Vec<Source> {
    sources().into_iter().filter(|source| !source.is_of_tests()).collect()
}

/// Every source file below some crate's `src/`.
pub(crate) fn sources() -> Vec<Source> {
    below(ARROWS.map(|(name, _)| format!("{name}/src")), is_rust)
}

/// Every source file, those of tests too, and every script.
pub(crate) fn every_file() -> Vec<Source> {
    let rooms = ARROWS.iter().flat_map(|(name, _)| ROOMS.map(|room| format!("{name}/{room}")));
    let mut files = below(rooms.filter(|room| root().join(room).is_dir()), is_rust);
    let scripts = below(SCRIPTS.map(str::to_owned), |_| true);
    assert!(scripts.len() > 10, "hardly any script is seen");
    files.extend(scripts);
    files
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "rs")
}

/// The files below these folders, in order.
fn below(folders: impl IntoIterator<Item = String>, wanted: fn(&Path) -> bool) -> Vec<Source> {
    let mut files = Vec::new();
    for folder in folders {
        collect(&folder, wanted, &mut files).unwrap_or_else(|error| panic!("{folder} is to be readable: {error}"));
    }
    files.sort();
    files.into_iter().map(|path| Source { text: read(&path), path }).collect()
}

/// Adds the wanted files below a folder, as paths from the root.
fn collect(folder: &str, wanted: fn(&Path) -> bool, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root().join(folder))? {
        let entry = entry?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&path, wanted, files)?;
        } else if wanted(&entry.path()) {
            files.push(path);
        }
    }
    Ok(())
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path} is to stand at the root: {error}"))
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate of a workspace stands in a folder of it")
}
