//! Lengths of functions.

use crate::syntax::{attributes_of, is_test_only};
use std::fmt;
use syn::visit::{self, Visit};
use syn::{Block, File, ImplItemFn, Item, ItemFn, Signature, TraitItemFn};

/// A function with a body. Functions sort by length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Function {
    /// Lines from `fn` to the closing brace. Attributes and comments above do not count.
    pub(super) lines: usize,
    path: String,
    line: usize,
    name: String,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, path, line, name } = self;
        write!(f, "{lines} {path}:{line} {name}")
    }
}

/// Returns the functions of a file, without tests. A function inside another one counts in both.
pub(super) fn functions(path: &str, file: &File) -> Vec<Function> {
    let mut visitor = FunctionVisitor { path, functions: Vec::new() };
    visitor.visit_file(file);
    visitor.functions
}

struct FunctionVisitor<'a> {
    path: &'a str,
    functions: Vec<Function>,
}

impl FunctionVisitor<'_> {
    fn add(&mut self, signature: &Signature, body: &Block) {
        let line = signature.fn_token.span.start().line;
        let end = body.brace_token.span.close().end().line;
        let name = signature.ident.to_string();
        self.functions.push(Function { lines: end - line + 1, path: self.path.to_owned(), line, name });
    }
}

impl<'ast> Visit<'ast> for FunctionVisitor<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_test_only(&function.attrs) {
            self.add(&function.sig, &function.block);
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}
