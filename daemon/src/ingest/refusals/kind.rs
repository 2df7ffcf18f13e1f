//! Kinds of refusals: the codes of the answers, with what to do about each.

/// Code and advice of each kind. The last one stands for every other code.
const KINDS: [(&str, &str); 18] = [
    ("unauthorized", "give the sender a key: `herdlinxd key add NAME --scope ingest` prints one"),
    ("forbidden", "give the sender a key of scope `ingest`: `herdlinxd key add NAME --scope ingest` prints one"),
    ("no_keys", "this barn has no key yet: `herdlinxd key add NAME --scope ingest` prints one for the sender"),
    ("keys_damaged", "repair `local.redb`, or put a backup of it in its place; the sender sends it again"),
    ("https_only", "give the sender the address of this barn with `https://`: it speaks HTTP without TLS"),
    ("bad_request", "correct what the sender sends: it keeps failing as it is"),
    ("method_not_allowed", "have the sender use POST"),
    ("request_timeout", "check the sender's network: its body did not arrive in time"),
    ("payload_too_large", "have the sender put fewer payloads into one call"),
    ("unsupported_media_type", "have the sender send `Content-Type: application/json`, without `Content-Encoding`"),
    ("rejected", "`herdlinxd show payloads --status error` lists them, with the reader that needs a look"),
    ("rejections_suppressed", "look at the reader: it sends more unreadable payloads than are kept, so they are lost"),
    ("busy", "the sender sends it again; if this goes on, check the disk and who else calls"),
    ("stopping", "the sender sends it again after the restart"),
    ("disk_full", "make room on the disk; the sender sends it again"),
    ("storage_failed", "check the disk with `herdlinxd doctor`; the sender sends it again"),
    ("upgrade_needed", "install the version of the program that wrote to this store last; the sender sends it again"),
    ("other", "the sender's log has the whole answer"),
];

/// Kind of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RefusalKind(usize);

impl RefusalKind {
    /// Number of kinds.
    pub(super) const COUNT: usize = KINDS.len();

    /// Returns the kind of an answer with this code.
    pub(super) fn of_code(code: &str) -> Self {
        Self(KINDS.iter().position(|(known, _)| *known == code).unwrap_or(KINDS.len() - 1))
    }

    /// Yields all kinds.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..KINDS.len()).map(Self)
    }

    pub(super) fn index(self) -> usize {
        self.0
    }

    /// Returns the code of the answers.
    pub(super) fn code(self) -> &'static str {
        KINDS[self.0].0
    }

    /// Returns what a person can do.
    pub(super) fn advice(self) -> &'static str {
        KINDS[self.0].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a code that has no advice of its own although a sender can get it, and one that is counted for another.
    #[test]
    fn each_code_is_its_own_kind_and_an_unknown_one_is_other() {
        for kind in RefusalKind::all() {
            assert_eq!(RefusalKind::of_code(kind.code()), kind);
        }
        assert_eq!(RefusalKind::of_code("teapot").code(), "other");
    }
}
