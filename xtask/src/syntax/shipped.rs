//! Sources of a crate that ship.

use super::is_test_only;
use crate::tree::{Source, Tree, TreeError};
use syn::Item;

/// Returns the sources below `folder`/src that ship: neither files of tests nor modules declared under `#[cfg(test)]`.
pub fn shipped_sources<'a>(tree: &'a Tree, folder: &str) -> Result<Vec<&'a Source>, TreeError> {
    let prefix = format!("{folder}/src/");
    let mut sources: Vec<&Source> = tree.shipped().filter(|source| source.path().starts_with(&prefix)).collect();
    let mut test_only = Vec::new();
    for source in &sources {
        test_only.extend(test_only_modules(source)?);
    }
    sources.retain(|source| !test_only.iter().any(|module| is_in(source.path(), module)));
    Ok(sources)
}

/// Returns the modules that a file declares under `#[cfg(test)]`, as paths without extension.
fn test_only_modules(source: &Source) -> Result<Vec<String>, TreeError> {
    let path = source.path().trim_end_matches(".rs");
    let folder = ["/mod", "/lib", "/main"].iter().find_map(|root| path.strip_suffix(root)).unwrap_or(path);
    let declared = source.syntax()?.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && is_test_only(&module.attrs) => Some(&module.ident),
        _ => None,
    });
    Ok(declared.map(|name| format!("{folder}/{name}")).collect())
}

fn is_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}
