//! Crates of the hardware.

use super::words::lines_where;
use crate::tidy::{Finding, Rule};
use crate::tree::Tree;

/// Crates of which each has one file that knows its quirks.
const CRATES: [&str; 5] = ["rppal", "linux_embedded_hal", "gpiocdev", "sx127x_lora", "tokio_serial"];

pub(super) const RULE: Rule = Rule {
    name: "hardware-in-one-file",
    reason: "each of these crates is old, retired or wrong somewhere; the one file that names it works around that, \
             and is all that changes when the crate goes",
    mend: "call the file that already names the crate, or extend it",
    find: |tree| Ok(CRATES.iter().flat_map(|name| strays(tree, name)).collect()),
};

/// Returns the first use in every file that names the crate, if there are several such files.
fn strays(tree: &Tree, name: &str) -> Vec<Finding> {
    let message = |line: &str| begins_path(line, name).then(|| format!("names `{name}`, and so does another file"));
    let first = |source| lines_where(source, source.shipped_code(), message).into_iter().next();
    let found: Vec<Finding> = tree.shipped().filter_map(first).collect();
    if found.len() > 1 { found } else { Vec::new() }
}

/// Returns whether a path on this line starts with the crate. A module or function of ours may have the same name.
fn begins_path(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let whole = !before.ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
        let path = after.starts_with("::") || (before.ends_with("use ") && after.starts_with([';', ' ']));
        // A path that starts with `::name` means the crate, whatever has its name here.
        (whole || before.ends_with(" ::") || before == "::") && path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if the rule takes a module or method for the crate, or misses a use of the crate.
    #[test]
    fn a_crate_differs_from_items_of_its_name() {
        for named in
            ["use rppal::spi;", "    rppal::gpio::Gpio::new()", "use ::rppal::hal;", "use rppal;", "(rppal::x)"]
        {
            assert!(begins_path(named, "rppal"), "{named}");
        }
        for other in ["mod rppal;", "use self::rppal::Rppal;", "settings.rppal()", "pub fn rppal(&self)", "my_rppal::x"]
        {
            assert!(!begins_path(other, "rppal"), "{other}");
        }
    }
}
