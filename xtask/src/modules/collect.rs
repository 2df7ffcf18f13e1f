//! The items, imports and uses of each module of a crate.

use super::names::{ModulePath, Name, imports, paths_in_tokens};
use crate::syntax::{attributes_of, is_test_only, shipped_sources};
use crate::tree::{Source, Tree, TreeError};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{Ident, ImplItemFn, Item, ItemMod, ItemUse, Macro, Path};

/// The modules of a library, without tests.
#[derive(Debug, Default)]
pub struct CrateModules {
    pub(super) modules: BTreeMap<ModulePath, Module>,
}

/// One module of a library.
#[derive(Debug)]
pub(super) struct Module {
    /// Its file, from the root of the checkout. An inline module has the file that it stands in.
    pub(super) file: String,
    /// Names of the items that it defines.
    pub(super) items: BTreeSet<String>,
    /// Imported and re-exported names.
    pub(super) imports: BTreeMap<String, Name>,
    /// Glob imports.
    pub(super) globs: Vec<Name>,
    /// Uses of other modules, each with its line.
    pub(super) uses: Vec<(usize, Name)>,
}

impl CrateModules {
    /// Reads the library below `folder`/src. Programs are crates of their own and are left out.
    pub fn of(tree: &Tree, folder: &str) -> Result<Self, TreeError> {
        let mut modules = Self::default();
        for source in shipped_sources(tree, folder)?.into_iter().filter(|source| !source.is_main()) {
            modules.add_file(path_of_file(&source.path()[folder.len() + "/src/".len()..]), source)?;
        }
        Ok(modules)
    }

    fn add_file(&mut self, path: ModulePath, source: &Source) -> Result<(), TreeError> {
        let syntax = source.syntax()?;
        let module = Module::new(source.path());
        self.modules.insert(path.clone(), module);
        let mut visitor = ModuleVisitor { modules: self, file: source.path(), path };
        visitor.visit_file(syntax);
        Ok(())
    }
}

impl Module {
    fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            items: BTreeSet::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
            uses: Vec::new(),
        }
    }
}

/// Returns the module of a file below `src/`.
fn path_of_file(path: &str) -> ModulePath {
    let path = path.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { ModulePath::default() } else { ModulePath(path.split('/').map(str::to_owned).collect()) }
}

struct ModuleVisitor<'a> {
    modules: &'a mut CrateModules,
    file: &'a str,
    path: ModulePath,
}

impl ModuleVisitor<'_> {
    fn module(&mut self) -> &mut Module {
        self.modules.modules.entry(self.path.clone()).or_insert_with(|| Module::new(self.file))
    }

    fn add_use(&mut self, line: usize, segments: &[String]) {
        if let Some(name) = Name::absolute(&self.path, segments) {
            self.module().uses.push((line, name));
        }
    }
}

impl<'ast> Visit<'ast> for ModuleVisitor<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test_only(attributes_of(item)) {
            return;
        }
        if let Some(name) = defined_name(item) {
            self.module().items.insert(name.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_test_only(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if let Some((_, items)) = &module.content {
            let outer = self.path.clone();
            self.path = outer.child(&module.ident.to_string());
            for item in items {
                self.visit_item(item);
            }
            self.path = outer;
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for import in imports(&item.tree) {
            self.add_use(import.line, &import.segments);
            let name = Name::imported(&self.path, &import.segments);
            match import.known_as {
                Some(known_as) => drop(self.module().imports.insert(known_as, name)),
                None => self.module().globs.push(name),
            }
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if let Some(first) = path.segments.first() {
            let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.add_use(first.ident.span().start().line, &segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        for (line, segments) in paths_in_tokens(call.tokens.clone()) {
            self.add_use(line, &segments);
        }
        visit::visit_macro(self, call);
    }
}

fn defined_name(item: &Item) -> Option<&Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Macro(item) => item.ident.as_ref(),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}
