//! Uses between sibling parts of a crate, and their circles.

use super::collect::CrateModules;
use super::names::ModulePath;
use std::collections::{BTreeMap, BTreeSet};

/// Parts of one module that all reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    /// The module whose children the parts are.
    pub parent: ModulePath,
    /// Uses between the parts, sorted by the names of both.
    pub links: Vec<Link>,
}

/// The use of one part by a sibling, with its first place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Name of the part that uses the other.
    pub from: String,
    /// Name of the part that is used.
    pub to: String,
    /// File of the first use, from the root of the checkout.
    pub file: String,
    /// Line of the first use, from 1.
    pub line: usize,
    /// The module that defines the used item.
    pub used: ModulePath,
}

/// Links between the children of one module, by the names of both.
type Links = BTreeMap<(String, String), Link>;

/// Returns the circles of a library, sorted by parent.
pub fn circles(modules: &CrateModules) -> Vec<Circle> {
    links(modules).into_iter().flat_map(|(parent, links)| circles_among(&parent, &links)).collect()
}

/// Returns the uses between siblings, by their parent.
fn links(modules: &CrateModules) -> BTreeMap<ModulePath, Links> {
    let mut parents: BTreeMap<ModulePath, Links> = BTreeMap::new();
    for (user, module) in &modules.modules {
        for (line, name) in &module.uses {
            let Some(used) = modules.definer(name) else { continue };
            let shared = user.shared_with(&used);
            let (Some(from), Some(to)) = (user.0.get(shared), used.0.get(shared)) else { continue };
            let link =
                Link { from: from.clone(), to: to.clone(), file: module.file.clone(), line: *line, used: used.clone() };
            let parent = ModulePath(user.0[..shared].to_vec());
            parents.entry(parent).or_default().entry((from.clone(), to.clone())).or_insert(link);
        }
    }
    parents
}

fn circles_among(parent: &ModulePath, links: &Links) -> Vec<Circle> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        links.keys().map(|(from, _)| (from.as_str(), reached_from(from, links))).collect();
    let reaches = |from: &str, to: &str| reach.get(from).is_some_and(|parts| parts.contains(to));
    let mut circles: BTreeMap<BTreeSet<&str>, Vec<Link>> = BTreeMap::new();
    for ((from, to), link) in links {
        if reaches(to, from) {
            let parts = reach[from.as_str()].iter().copied().filter(|part| reaches(part, from)).collect();
            circles.entry(parts).or_default().push(link.clone());
        }
    }
    circles.into_values().map(|links| Circle { parent: parent.clone(), links }).collect()
}

/// Returns the parts that a part reaches over any number of links.
fn reached_from<'a>(start: &'a str, links: &'a Links) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![start];
    while let Some(from) = pending.pop() {
        let next = links.keys().filter(|(user, _)| user == from).map(|(_, used)| used.as_str());
        pending.extend(next.filter(|used| reached.insert(*used)));
    }
    reached
}
