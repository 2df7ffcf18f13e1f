//! The position of the copy that a page was made of, as its forms carry it.

use herd::position::{Digest, Position, Sequence, StoreId};
use herd::store::{Reader, StoreError};
use std::fmt;

/// Identity of a history, a change of it, and the digest there. All that a page shows is in the history up to that change.
///
/// Its text is `store:sequence:digest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PagePosition {
    store: StoreId,
    sequence: Sequence,
    digest: Digest,
}

impl PagePosition {
    /// Creates the position of a page. The digest determines the epoch.
    pub(super) fn of(Position { store, sequence, digest, epoch: _ }: Position) -> Self {
        Self { store, sequence, digest }
    }

    /// Parses the text of a form. Returns `None` for a text that no page has.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (store, sequence, digest) = (parts.next()?, parts.next()?, parts.next()?);
        let is_number = parts.next().is_none() && sequence.bytes().all(|byte| byte.is_ascii_digit());
        let sequence = Sequence(sequence.parse().ok().filter(|_| is_number)?);
        Some(Self { store: store.parse().ok()?, sequence, digest: digest.parse().ok()? })
    }

    /// Returns true if a copy is of this history and has come to this change.
    pub(super) fn is_in(&self, copy: &Reader) -> Result<bool, StoreError> {
        if self.store != copy.head().position.store {
            return Ok(false);
        }
        Ok(copy.position_at(self.sequence)?.is_some_and(|held| held.digest == self.digest))
    }
}

impl fmt::Display for PagePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.store, self.sequence, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::testing::TestBarn;

    /// Catches a page that is taken for one of another history with as many changes, one of a copy that lacks what it shows,
    /// and one that is refused although its copy has only grown.
    #[test]
    fn a_position_is_in_every_copy_of_its_history_that_has_come_to_it() {
        let mut barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1", "hxb:A:LF2:UHF2"]);
        let behind = barn.reader().position_at(Sequence(2)).unwrap().map(PagePosition::of).unwrap();
        let at_head = PagePosition::of(barn.reader().head().position);
        let fork = TestBarn::with_payloads(&["hxb:A:LF1:UHF1", "hxb:B:LF3:UHF3", "hxb:B:LF4:UHF4"]).reader();
        let is_in = |position: &PagePosition, copy: &Reader| position.is_in(copy).unwrap();
        assert!(is_in(&behind, &barn.reader()) && is_in(&at_head, &barn.reader()));
        assert!(is_in(&behind, &fork) && !is_in(&at_head, &fork));
        let shorter = TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]).reader();
        assert!(is_in(&behind, &shorter) && !is_in(&at_head, &shorter));
        let other = PagePosition { store: StoreId([9; 16]), ..at_head };
        assert!(!is_in(&other, &barn.reader()));
        barn.record("hxb:A:LF5:UHF5");
        assert!(is_in(&at_head, &barn.reader()));
    }

    /// Catches a text that is read as another position than it names.
    #[test]
    fn a_position_round_trips_through_text_and_other_texts_are_none() {
        let position = PagePosition { store: StoreId([1; 16]), sequence: Sequence(7), digest: Digest([2; 32]) };
        let (store, digest) = ("01".repeat(16), "02".repeat(32));
        assert_eq!(position.to_string(), format!("{store}:7:{digest}"));
        assert_eq!(PagePosition::parse(&position.to_string()), Some(position));
        for text in [
            String::new(),
            "::".to_owned(),
            store.clone(),
            format!("{store}:7"),
            format!("{store}:+7:{digest}"),
            format!("{store}::{digest}"),
            format!("{store}:99999999999999999999:{digest}"),
            format!("{store}:7:{store}"),
            format!("{store}:7:{digest}:"),
        ] {
            assert_eq!(PagePosition::parse(&text), None, "{text}");
        }
    }
}
