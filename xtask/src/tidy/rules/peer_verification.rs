//! Verification of the other side of a connection.

use super::words::naming;
use crate::tidy::Rule;

pub(super) const RULE: Rule = Rule {
    name: "peer-verification",
    reason: "a barn is paired by its key or trusted through a CA; a switch to skip that would be used",
    mend: "pair the barn, or add its CA to the settings",
    find: |tree| {
        let switches =
            ["danger_accept_invalid_certs", "danger_accept_invalid_hostnames", "tls_danger_accept_invalid_certs"];
        Ok(naming(tree, &switches, |_| true))
    },
};
