//! Frozen encodings.

use super::words::naming;
use crate::tidy::Rule;

/// Changes, table rows, files, the wire and the pairing line. Each has a version and golden bytes.
const PLACES: [&str; 5] =
    ["herd/src/change/", "herd/src/fold/staged/", "herd/src/store/", "herd/src/wire/", "herd/src/pairing/"];

pub(super) const RULE: Rule = Rule {
    name: "frozen-encodings",
    reason: "postcard does not describe itself, so an encoding made in passing would freeze without a version",
    mend: "encode where the version of the format stands, or use JSON",
    find: |tree| {
        let is_known = |path: &str| PLACES.iter().any(|place| path.starts_with(place));
        Ok(naming(tree, &["postcard"], |source| !is_known(source.path())))
    },
};
