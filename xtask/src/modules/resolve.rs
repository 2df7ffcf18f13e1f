//! From a path to the module that defines its item.

use super::collect::{CrateModules, Module};
use super::names::{ModulePath, Name};

/// Re-exports of re-exports are followed this far. Rust allows circles of glob imports, so there must be an end.
const MAX_DEPTH: usize = 16;

impl CrateModules {
    /// Returns the module that defines what `name` stands for; `None` if its first segment is another crate.
    pub fn definer(&self, name: &Name) -> Option<ModulePath> {
        self.resolve(name, MAX_DEPTH)
    }

    fn resolve(&self, name: &Name, depth: usize) -> Option<ModulePath> {
        let mut at = name.base.clone();
        let mut segments = name.segments.as_slice();
        while let [first, rest @ ..] = segments {
            let child = at.child(first);
            if self.modules.contains_key(&child) {
                (at, segments) = (child, rest);
                continue;
            }
            let module = self.modules.get(&at)?;
            let is_external = segments.len() == name.segments.len() && !module.knows(first);
            let forwarded = self.forwarded(module, segments, depth.checked_sub(1)?);
            return forwarded.or_else(|| (!is_external).then_some(at));
        }
        Some(at)
    }

    /// Returns the definer of an item that `module` imports by name or by glob.
    fn forwarded(&self, module: &Module, segments: &[String], depth: usize) -> Option<ModulePath> {
        let (first, rest) = segments.split_first()?;
        if module.items.contains(first) {
            return None;
        }
        if let Some(import) = module.imports.get(first) {
            let segments = import.segments.iter().chain(rest).cloned().collect();
            return self.resolve(&Name { base: import.base.clone(), segments }, depth);
        }
        module.globs.iter().find_map(|glob| {
            let target = self.resolve(glob, depth)?;
            let defines = self.modules.get(&target).is_some_and(|module| module.knows(first));
            defines.then(|| self.resolve(&Name { base: target, segments: segments.to_vec() }, depth)).flatten()
        })
    }
}

impl Module {
    fn knows(&self, name: &str) -> bool {
        self.items.contains(name) || self.imports.contains_key(name)
    }
}
