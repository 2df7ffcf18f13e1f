//! Paths in pages.

use crate::tidy::{Finding, Rule};
use crate::tree::{Source, Tree};
use std::path::Path;

/// Directories of the repository. A text that starts with one of them is a path.
const HOUSE: [&str; 13] = [
    "radio", "herd", "service", "daemon", "mirror", "demo", "xtask", "fuzz", "docs", "systemd", "image", ".ci",
    ".cargo",
];
/// Pages that name many paths. If one of them names hardly any, its form has changed and the rule sees none.
const MAPS: [&str; 2] = ["README.md", "ARCHITECTURE.md"];
const MIN_PATHS: usize = 5;

pub(super) const RULE: Rule = Rule {
    name: "page-paths",
    reason: "a page that leads nowhere is worse than none",
    mend: "correct the path; paths stand in backquotes or in links, from the root of the repository",
    find: |tree| Ok(tree.sources().filter(|source| is_page(source)).flat_map(|page| strays(tree, page)).collect()),
};

/// Returns whether the file is a page at the root or in docs/.
fn is_page(source: &Source) -> bool {
    let path = source.path();
    source.has_extension("md") && (!path.contains('/') || path.starts_with("docs/"))
}

fn strays(tree: &Tree, page: &Source) -> Vec<Finding> {
    let named = paths_named(page.text());
    if MAPS.contains(&page.path()) && named.len() < MIN_PATHS {
        let message = format!("names {} paths; has its form changed so that this rule sees none?", named.len());
        return vec![Finding::of(page.path(), message)];
    }
    let missing = named.into_iter().filter(|(_, path)| !exists(tree, page, path));
    missing.map(|(line, path)| Finding::at(page.path(), line, format!("`{path}` does not exist"))).collect()
}

/// Returns whether a path exists, from the root or from the directory of the page.
fn exists(tree: &Tree, page: &Source, path: &str) -> bool {
    let folder = Path::new(page.path()).parent().unwrap_or(Path::new(""));
    tree.exists(path) || tree.root().join(folder).join(path).exists()
}

/// Returns the paths that a page names in backquotes or links, with their lines. Fenced blocks are left out.
fn paths_named(page: &str) -> Vec<(usize, &str)> {
    let prose = page.split("```").step_by(2);
    let quoted = prose.clone().flat_map(|text| text.split('`').skip(1).step_by(2));
    let linked = prose.flat_map(|text| text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()));
    quoted.chain(linked).filter(|text| is_path(text)).map(|path| (line_of(page, path), path)).collect()
}

/// Returns the line on which `part`, a slice of `page`, starts.
fn line_of(page: &str, part: &str) -> usize {
    let at = part.as_ptr().addr() - page.as_ptr().addr();
    page[..at].lines().count().max(1)
}

fn is_path(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c));
    let in_house = text.split_once('/').is_some_and(|(first, _)| HOUSE.contains(&first));
    plain && (in_house || Path::new(text).extension().is_some_and(|end| end == "md") || text.starts_with("LICENSE-"))
}
