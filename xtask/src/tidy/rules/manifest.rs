//! Dependencies in a manifest.

use crate::tree::Source;

/// A declared dependency.
pub(super) struct Dependency {
    /// Its table, such as `dev-dependencies` or `target.'cfg(unix)'.dependencies`.
    pub(super) section: String,
    pub(super) name: String,
    /// Line of the declaration, from 1.
    pub(super) line: usize,
}

/// Returns the dependencies that a `Cargo.toml` declares, either in a table of all or in a table of their own.
pub(super) fn dependencies(manifest: &Source) -> Vec<Dependency> {
    let mut section = String::new();
    let mut found = Vec::new();
    for (line, text) in (1..).zip(manifest.text().lines()) {
        if let Some(header) = text.strip_prefix('[') {
            header.trim_end_matches(']').clone_into(&mut section);
            if let Some((kind, name)) = section.split_once("dependencies.") {
                found.push(Dependency { section: format!("{kind}dependencies"), name: name.to_owned(), line });
            }
        } else if section.ends_with("dependencies")
            && let Some(name) = text.split(['=', '.', ' ']).next().filter(|word| !word.is_empty() && *word != "#")
        {
            found.push(Dependency { section: section.clone(), name: name.to_owned(), line });
        }
    }
    found
}
