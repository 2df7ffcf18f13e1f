//! Dependencies of `herd`.

use super::manifest::{Dependency, dependencies};
use crate::tidy::{Finding, Rule, TidyError};
use crate::tree::Tree;
use std::collections::BTreeSet;
use std::process::Command;

/// Crates for serving, fetching, command lines, logging and supervision.
const BANNED: [&str; 20] = [
    "anyhow",
    "askama",
    "axum",
    "axum-server",
    "clap",
    "http",
    "hyper",
    "hyper-util",
    "prometheus-client",
    "rcgen",
    "reqwest",
    "rustls",
    "sd-notify",
    "tokio-rustls",
    "tokio-tungstenite",
    "tower",
    "tower-http",
    "tracing-journald",
    "tracing-subscriber",
    "x509-parser",
];

pub(super) const RULE: Rule = Rule {
    name: "herd-dependencies",
    reason: "herd holds what bytes mean and how they are kept; without servers it builds fast and runs in any process",
    mend: "move the code to `service`; `cargo tree -p herdlinx-herd -e normal -i CRATE` shows who brings a crate in",
    find: |tree| {
        let listed = cargo_tree(tree)?;
        Ok(banned_in(&listed).into_iter().map(|name| finding(tree, name)).collect())
    },
};

/// Returns what `cargo tree` prints: one dependency a line, its name first.
fn cargo_tree(tree: &Tree) -> Result<String, TidyError> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["tree", "-p", "herdlinx-herd", "-e", "normal", "--prefix", "none"]).current_dir(tree.root());
    let command = "cargo tree -p herdlinx-herd -e normal --prefix none";
    let output = cargo.output().map_err(|source| TidyError::StartCargo { command: command.to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(TidyError::Cargo { command: command.to_owned(), stderr })
}

fn banned_in(listed: &str) -> BTreeSet<&str> {
    listed.lines().filter_map(|line| line.split(' ').next()).filter(|name| BANNED.contains(name)).collect()
}

/// Makes a finding on the line that declares the dependency, or on the manifest if another crate brings it in.
fn finding(tree: &Tree, name: &str) -> Finding {
    let path = "herd/Cargo.toml";
    let is_named = |dependency: &Dependency| dependency.name == name && dependency.section == "dependencies";
    let declared = tree.source(path).and_then(|manifest| dependencies(manifest).into_iter().find(is_named));
    match declared {
        Some(dependency) => Finding::at(path, dependency.line, format!("herd must not use `{name}`")),
        None => Finding::of(path, format!("a dependency of herd brings in `{name}`")),
    }
}
