//! Declared types.

use super::attributes_of;
use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{Attribute, File, Ident, Item, ItemImpl, Meta, Path, Type};

/// A declared struct, enum, union, trait or type alias.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredType {
    /// Line of the declaration, from 1.
    pub line: usize,
    /// The name.
    pub name: String,
}

/// Returns the types that a file declares, also those inside functions. Associated types do not count.
pub fn declared_types(file: &File) -> Vec<DeclaredType> {
    let mut visitor = TypeVisitor::default();
    visitor.visit_file(file);
    visitor.declared
}

/// Returns the types that a file makes errors, by `#[derive(Error)]` or by an `impl Error`.
pub fn error_types(file: &File) -> BTreeSet<DeclaredType> {
    let mut visitor = TypeVisitor::default();
    visitor.visit_file(file);
    visitor.errors
}

#[derive(Default)]
struct TypeVisitor {
    declared: Vec<DeclaredType>,
    errors: BTreeSet<DeclaredType>,
}

impl DeclaredType {
    fn new(name: &Ident) -> Self {
        Self { line: name.span().start().line, name: name.to_string() }
    }
}

impl<'ast> Visit<'ast> for TypeVisitor {
    fn visit_item(&mut self, item: &'ast Item) {
        if let Some(name) = name_of(item) {
            let declared = DeclaredType::new(name);
            if attributes_of(item).iter().any(derives_error) {
                self.errors.insert(declared.clone());
            }
            self.declared.push(declared);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let implements_error = item.trait_.as_ref().is_some_and(|(implemented, _)| ends_in_error(implemented));
        if let (true, Type::Path(path)) = (implements_error, &*item.self_ty) {
            self.errors.extend(path.path.segments.last().map(|last| DeclaredType::new(&last.ident)));
        }
        visit::visit_item_impl(self, item);
    }
}

fn name_of(item: &Item) -> Option<&Ident> {
    match item {
        Item::Enum(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::TraitAlias(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

fn derives_error(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    let mut found = false;
    // A derive that does not parse is the compiler's business.
    let _ = list.parse_nested_meta(|meta| {
        found |= ends_in_error(&meta.path);
        Ok(())
    });
    found && attribute.path().is_ident("derive")
}

/// Returns whether the path is `Error`, `std::error::Error` or `thiserror::Error`.
fn ends_in_error(path: &Path) -> bool {
    let mut segments = path.segments.iter().rev().map(|segment| segment.ident.to_string());
    segments.next().is_some_and(|last| last == "Error")
        && segments.next().is_none_or(|before| ["error", "thiserror"].contains(&before.as_str()))
}
