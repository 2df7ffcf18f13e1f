//! Places of unit tests.
//!
//! A test stands in an inline `mod tests`, in a file `tests.rs`, or below a folder `tests/`. A module of several files
//! is a folder with a `mod.rs`, so that its tests are in it. `#[path]` may only share a folder between test programs of
//! one crate, because a program in `tests/NAME/main.rs` cannot reach the folders beside its own in another way.

use crate::syntax::{attributes_of, is_test};
use crate::tidy::{Finding, Rule, TidyError};
use crate::tree::{Source, Tree};
use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Item, ItemFn, ItemMod, Lit, Macro, Meta, MetaNameValue};

pub(super) const RULE: Rule = Rule {
    name: "test-placement",
    reason: "tests stand in two places only, so that a reader finds them without a search",
    mend: "short tests: an inline `mod tests`; long ones: `tests.rs` or `tests/` in the module's own folder, which has \
           a mod.rs",
    find,
};

fn find(tree: &Tree) -> Result<Vec<Finding>, TidyError> {
    let folders: BTreeSet<&str> = tree.rust().flat_map(|source| ancestors(source.path())).collect();
    let mut findings = Vec::new();
    for source in tree.rust() {
        findings.extend(misplaced_file(source, &folders));
        let mut visitor = TestVisitor { source, in_tests: source.is_of_tests(), findings: Vec::new() };
        visitor.visit_file(source.syntax()?);
        findings.extend(visitor.findings);
    }
    findings.sort();
    Ok(findings)
}

/// Returns the directories that a file stands in.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn misplaced_file(source: &Source, folders: &BTreeSet<&str>) -> Option<Finding> {
    let path = source.path();
    if path.ends_with("_tests.rs") || path.ends_with("_test.rs") {
        return Some(Finding::of(path, "tests of a module stand in its own folder, as `tests.rs`"));
    }
    let folder = path.trim_end_matches(".rs");
    folders
        .contains(folder)
        .then(|| Finding::of(path, format!("stands beside the folder {folder}/ instead of in it, as mod.rs")))
}

struct TestVisitor<'a> {
    source: &'a Source,
    in_tests: bool,
    findings: Vec<Finding>,
}

impl TestVisitor<'_> {
    fn add(&mut self, line: usize, message: &str) {
        self.findings.push(Finding::at(self.source.path(), line, message));
    }

    /// Returns whether a `#[path]` names a folder beside that of this test program.
    fn shares_folder(&self, attribute: &Attribute) -> bool {
        let is_program = self.source.path().split('/').nth(1) == Some("tests") && self.source.file_name() == "main.rs";
        let Meta::NameValue(MetaNameValue { value: Expr::Lit(ExprLit { lit: Lit::Str(path), .. }), .. }) =
            &attribute.meta
        else {
            return false;
        };
        let path = path.value();
        let folder = path.strip_prefix("../").and_then(|path| path.strip_suffix("/mod.rs"));
        is_program && folder.is_some_and(|folder| !folder.contains('/'))
    }
}

impl<'ast> Visit<'ast> for TestVisitor<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        for attribute in attributes_of(item).iter().filter(|attribute| attribute.path().is_ident("path")) {
            if !self.shares_folder(attribute) {
                self.add(attribute.pound_token.span.start().line, "`#[path]` hides where a module stands");
            }
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let outer = self.in_tests;
        self.in_tests |= module.ident == "tests" && module.content.is_some();
        visit::visit_item_mod(self, module);
        self.in_tests = outer;
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !self.in_tests && is_test(&function.attrs) {
            self.add(function.sig.ident.span().start().line, "this test stands outside `mod tests`");
        }
        visit::visit_item_fn(self, function);
    }

    /// Looks into `proptest!`, whose tests are tokens.
    fn visit_macro(&mut self, call: &'ast Macro) {
        let is_proptest = call.path.segments.last().is_some_and(|last| last.ident == "proptest");
        if !self.in_tests && is_proptest {
            self.add(call.bang_token.span.start().line, "these tests stand outside `mod tests`");
        }
    }
}
