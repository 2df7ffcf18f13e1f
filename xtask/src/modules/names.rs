//! Paths as they stand in the code.

use proc_macro2::{TokenStream, TokenTree};
use std::fmt;
use syn::UseTree;

/// A module, as the names on the way from the root of its crate.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModulePath(pub Vec<String>);

/// A path in the code: the names after `crate`, `self` or `super`, and the module where the search for them starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The module where the first segment is looked up.
    pub base: ModulePath,
    /// Segments that follow.
    pub segments: Vec<String>,
}

impl ModulePath {
    /// Returns the path of a child.
    pub(super) fn child(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.to_owned()]).collect())
    }

    /// Returns the number of leading names that both paths share.
    pub(super) fn shared_with(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).take_while(|(one, other)| one == other).count()
    }

    fn parent(&self) -> Self {
        Self(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("crate")?;
        self.0.iter().try_for_each(|name| write!(f, "::{name}"))
    }
}

impl Name {
    /// Reads a path that stands in `module`; `None` if it starts with neither `crate`, `self` nor `super`.
    pub(super) fn absolute(module: &ModulePath, segments: &[String]) -> Option<Self> {
        let first = segments.first()?;
        let base = match first.as_str() {
            "crate" => ModulePath::default(),
            "self" => module.clone(),
            "super" => module.parent(),
            _ => return None,
        };
        let supers = segments[1..].iter().take_while(|segment| *segment == "super").count();
        let base = (0..supers).fold(base, |base, _| base.parent());
        Some(Self { base, segments: segments[1 + supers..].to_vec() })
    }

    /// Reads the path of a `use` in `module`, which may also start with a child of the module or with a crate.
    pub(super) fn imported(module: &ModulePath, segments: &[String]) -> Self {
        Self::absolute(module, segments).unwrap_or_else(|| Self { base: module.clone(), segments: segments.to_vec() })
    }
}

/// One leaf of a `use`: the path, and the name under which it is known here; `None` for a glob.
pub(super) struct Import {
    pub(super) segments: Vec<String>,
    pub(super) known_as: Option<String>,
    pub(super) line: usize,
}

/// Returns the leaves of a `use`.
pub(super) fn imports(tree: &UseTree) -> Vec<Import> {
    let mut leaves = Vec::new();
    add_imports(tree, &mut Vec::new(), &mut leaves);
    leaves
}

fn add_imports(tree: &UseTree, above: &mut Vec<String>, leaves: &mut Vec<Import>) {
    let (name, known_as) = match tree {
        UseTree::Group(group) => return group.items.iter().for_each(|item| add_imports(item, above, leaves)),
        UseTree::Glob(glob) => {
            let line = glob.star_token.spans[0].start().line;
            return leaves.push(Import { segments: above.clone(), known_as: None, line });
        }
        UseTree::Path(path) => {
            above.push(path.ident.to_string());
            add_imports(&path.tree, above, leaves);
            above.pop();
            return;
        }
        UseTree::Name(name) => (&name.ident, &name.ident),
        UseTree::Rename(rename) => (&rename.ident, &rename.rename),
    };
    let line = name.span().start().line;
    // `use a::b::{self}` imports `b`.
    let (segments, known_as) = match above.last() {
        Some(last) if name == "self" => (above.clone(), last.clone()),
        _ => (above.iter().cloned().chain([name.to_string()]).collect(), known_as.to_string()),
    };
    leaves.push(Import { segments, known_as: Some(known_as), line });
}

/// Returns the paths in the tokens of a macro call that start with `crate`, `self` or `super`, each with its line.
pub(super) fn paths_in_tokens(tokens: TokenStream) -> Vec<(usize, Vec<String>)> {
    let mut paths = Vec::new();
    let mut path: Option<(usize, Vec<String>)> = None;
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' && path.is_some() && colons < 2 => colons += 1,
            TokenTree::Ident(name) if colons == 2 => {
                if let Some((_, segments)) = &mut path {
                    segments.push(name.to_string());
                }
                colons = 0;
            }
            other => {
                paths.extend(path.take());
                colons = 0;
                match other {
                    TokenTree::Ident(name) if ["crate", "self", "super"].iter().any(|start| name == start) => {
                        path = Some((name.span().start().line, vec![name.to_string()]));
                    }
                    TokenTree::Group(group) => paths.extend(paths_in_tokens(group.stream())),
                    _ => {}
                }
            }
        }
    }
    paths.extend(path);
    paths
}
