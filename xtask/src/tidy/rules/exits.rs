//! Ends of the process.

use super::words::lines_where;
use crate::tidy::{Finding, Rule};
use crate::tree::Source;

pub(super) const RULE: Rule = Rule {
    name: "exit-in-main",
    reason: "an exit in the middle skips the ordered shutdown, which is what makes acknowledged payloads safe",
    mend: "return an error, and let `main` choose the exit code",
    find: |tree| Ok(tree.shipped().filter(|source| !source.is_main()).flat_map(exits).collect()),
};

fn exits(source: &Source) -> Vec<Finding> {
    let ends = |line: &str| ["process::exit", "process::abort"].into_iter().find(|end| line.contains(end));
    lines_where(source, source.shipped_code(), |line| ends(line).map(|end| format!("calls `{end}`")))
}
