//! The database.

use super::words::naming;
use crate::tidy::Rule;

pub(super) const RULE: Rule = Rule {
    name: "redb-in-store",
    reason: "the database can be replaced, and tested with failing disks, only while one module names it",
    mend: "add what you need to herd/src/store/ and call it from there",
    find: |tree| Ok(naming(tree, &["redb"], |source| !source.path().starts_with("herd/src/store/"))),
};
