//! Inputs of the sync.

use super::words::naming;
use crate::tidy::Rule;
use crate::tree::Source;

/// Parts that decide what to send and what to apply, in whichever crate they stand.
const PLACES: [&str; 4] = ["/src/sync/", "/src/store/apply.rs", "/src/digest.rs", "/src/position.rs"];

pub(super) const RULE: Rule = Rule {
    name: "sync-without-time",
    reason: "clocks jump and differ between machines; what to send follows from sequence and digest",
    mend: "compare positions instead of times",
    find: |tree| Ok(naming(tree, &["ClockReading", "Clock", "received_at_us", "since_boot_ms"], is_sync)),
};

fn is_sync(source: &Source) -> bool {
    PLACES.iter().any(|place| source.path().contains(place))
}
