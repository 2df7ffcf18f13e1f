//! Lines of a file outside tests.

use crate::syntax::{attributes_of, is_test_only};
use syn::{File, Item};

/// Returns the number of lines outside test modules, comments and blank lines included.
pub(super) fn shipped_lines(text: &str, file: &File) -> usize {
    text.lines().count() - file.items.iter().map(test_lines).sum::<usize>()
}

/// Returns the lines of an inline test module, with its attributes.
fn test_lines(item: &Item) -> usize {
    let Item::Mod(module) = item else { return 0 };
    let Some((braces, _)) = &module.content else { return 0 };
    let attributes = attributes_of(item);
    match attributes.first() {
        Some(first) if is_test_only(attributes) => {
            braces.span.close().end().line - first.pound_token.span.start().line + 1
        }
        _ => 0,
    }
}
