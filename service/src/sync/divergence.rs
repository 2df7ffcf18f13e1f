//! The check of a follower's position against the source's history, and the kinds of divergence.
//!
//! - Divergence is a typed outcome, not an error. Something happened to one of the two histories, and a person has to
//!   learn of it. The follower writes nothing and keeps serving its copy. A copy that followed whatever it found would
//!   destroy the only evidence of what a restored barn lost.
//! - A follower with an empty copy still sends the identity of its history. A request for "the start of whatever you
//!   have" would let another barn at the same address fill a paired copy.

use herd::position::Position;
use herd::store::{Reader, StoreError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Reason why a copy cannot simply follow its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// The source holds a strict prefix of this copy: an older backup was restored there.
    Shorter,
    /// The source has a higher epoch and branched off before the end of this copy.
    Continued,
    /// The source goes on with the same history from an earlier change, and not in a higher epoch: an old card was put back
    /// there, or two barns run on clones of one card.
    Forked,
    /// The source has another history.
    Other,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shorter => "the barn holds less than this copy, as after an older backup was restored there",
            Self::Continued => "the barn was restored and went on without the last changes of this copy",
            Self::Forked => {
                "the barn goes on with this history from an earlier change, without the last ones of this copy: an old card \
                 was put back, or two barns run on clones of one card"
            }
            Self::Other => "the barn holds another history than this copy",
        })
    }
}

/// Checks a follower's position at the source. Returns the source's head if `position` is not on its history, and
/// `None` if it is.
pub fn refusing_head(source: &Reader, position: &Position) -> Result<Option<Position>, StoreError> {
    let head = source.head().position;
    if position.store != head.store || position.sequence > head.sequence {
        return Ok(Some(head));
    }
    // The digest determines the epoch, so a right digest with another epoch is not a position of any history.
    let same = source.position_at(position.sequence)?.is_some_and(|own| own == *position);
    Ok((!same).then_some(head))
}

/// Classifies a source's refusal at the follower; `source_head` is the head that the source sent with it.
pub fn classify(own: &Reader, source_head: &Position) -> Result<Divergence, StoreError> {
    let head = own.head().position;
    if source_head.store != head.store {
        return Ok(Divergence::Other);
    }
    let shared = own.position_at(source_head.sequence)?;
    Ok(match shared {
        Some(shared) if shared.digest == source_head.digest => Divergence::Shorter,
        _ if source_head.epoch > head.epoch => Divergence::Continued,
        _ => Divergence::Forked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::change::{Acceptance, Origin};
    use herd::clock::{ClockReading, RawReading};
    use herd::decide::Rules;
    use herd::position::{Digest, Epoch, Sequence, StoreId};
    use herd::store::{ApplyError, Incoming, MemoryDisk, Store};
    use herd::testing::TestBarn;

    /// Catches a cloned card that is told as a barn of another history, or as one that a person restored.
    #[test]
    fn a_source_is_told_by_its_head() {
        let barn = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2"]);
        let reader = barn.reader();
        let head = reader.head().position;
        let other_digest = Position { digest: Digest([9; 32]), ..head };
        let cases = [
            (reader.position_at(Sequence(2)).unwrap().unwrap(), Divergence::Shorter),
            (Position { epoch: Epoch(2), ..other_digest }, Divergence::Continued),
            (other_digest, Divergence::Forked),
            (Position { sequence: Sequence(900), ..other_digest }, Divergence::Forked),
            (Position { epoch: Epoch(0), ..other_digest }, Divergence::Forked),
            (Position { store: StoreId([9; 16]), ..head }, Divergence::Other),
        ];
        for (source_head, expected) in cases {
            assert_eq!(classify(&reader, &source_head).unwrap(), expected, "{source_head}");
        }
    }

    /// Catches a follower that is refused although it is right, and one that is fed although it is on another history.
    #[test]
    fn a_position_is_refused_unless_it_is_on_the_history_of_the_source() {
        let reader = TestBarn::with_payloads(&["hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2"]).reader();
        let at = |sequence| reader.position_at(Sequence(sequence)).unwrap().unwrap();
        for sequence in 0..=3 {
            assert_eq!(refusing_head(&reader, &at(sequence)).unwrap(), None, "{sequence}");
        }
        let head = at(3);
        for wrong in [
            Position { sequence: Sequence(4), ..head },
            Position { sequence: Sequence(2), ..head },
            Position { digest: Digest([9; 32]), ..head },
            Position { epoch: Epoch(2), ..head },
            Position { store: StoreId([9; 16]), ..head },
        ] {
            assert_eq!(refusing_head(&reader, &wrong).unwrap(), Some(head), "{wrong}");
        }
    }

    fn clock() -> ClockReading {
        ClockReading { boot: 2, ..ClockReading::default() }
    }

    fn append(store: &mut Store, text: &str) {
        let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
        let at = RawReading::default();
        store.append(&[Incoming { raw: text.as_bytes().to_vec(), origin, at }]).unwrap();
    }

    /// Begins the next epoch on a card, as `herdlinxd accept-log` does.
    fn accepted(disk: &MemoryDisk, writer: u8) -> Store {
        let acceptance = Acceptance { author: "Ana".to_owned(), reason: "old card".to_owned() };
        Store::accept_source(disk, None, acceptance, &Rules::default(), clock(), || StoreId([writer; 16])).unwrap()
    }

    fn follow(replica: &mut Store, source: &Reader) {
        let from = replica.head().position;
        replica.apply(source.run_after(from, 100, 1_000_000).unwrap()).unwrap();
    }

    /// Catches two cards of one history that each begin the epoch of the same number, and whose changes an office mixes, or
    /// takes for one that went on.
    #[test]
    fn two_cards_that_each_begin_the_same_epoch_are_a_fork() {
        let disk = MemoryDisk::default();
        let mut store = Store::open_source(&disk, Rules::default(), clock(), || StoreId([1; 16])).unwrap();
        append(&mut store, "hxb:LOT1:LF1:UHF1");
        let (common, clone) = (store.head().position, disk.after_power_cut());
        let mut office = Store::open_replica(&MemoryDisk::default(), common.store).unwrap();
        follow(&mut office, &store.reader());
        drop(store);
        let (mut own, mut other) = (accepted(&disk, 10), accepted(&clone, 20));
        for text in ["hxb:LOT1:LF2:UHF2", "hxb:LOT1:LF3:UHF3"] {
            // Both hear the same payload at the same time.
            append(&mut own, text);
            append(&mut other, text);
        }
        follow(&mut office, &own.reader());
        let held = office.head().position;
        assert_eq!((held.epoch, other.head().position.epoch), (Epoch(2), Epoch(2)));
        for n in 0..3 {
            let theirs = refusing_head(&other.reader(), &held).unwrap().expect("it is on no history of the other card");
            assert_eq!(classify(&office.reader(), &theirs).unwrap(), Divergence::Forked);
            let pages = [common, other.reader().position_at(common.sequence.next()).unwrap().unwrap()];
            for from in pages {
                let page = other.reader().run_after(from, 100, 1_000_000).unwrap();
                let refused = office.apply(page);
                assert!(matches!(refused, Err(ApplyError::Diverged { .. })), "{refused:?}");
            }
            assert_eq!(office.head().position, held);
            append(&mut other, &format!("hxb:LOT2:LF{n}9:UHF{n}9"));
        }
        // A card that is behind the copy, in its epoch, is another one as well.
        let behind = accepted(&disk.after_power_cut(), 30);
        let theirs = Position { epoch: Epoch(2), ..behind.head().position };
        assert_eq!(classify(&office.reader(), &theirs).unwrap(), Divergence::Forked);
    }
}
