//! Epochs that begin in changes.

use super::super::changes::Changes;
use crate::change::{Change, ChangeKind, MAX_CHANGE_BYTES};
use crate::position::{Epoch, Position, Sequence};

/// Returns the epochs that begin in these changes, which follow `before`, with the changes that begin them.
///
/// An Epoch change whose number is not higher begins nothing, so the epochs of a history are always in order.
pub(in super::super) fn epochs_begun(before: &Position, changes: &Changes) -> Vec<(Epoch, Sequence)> {
    let mut latest = before.epoch;
    let mut begun = Vec::new();
    for (sequence, bytes) in changes.numbered(before.sequence) {
        if let Some(epoch) = epoch_begun(bytes).filter(|epoch| *epoch > latest) {
            latest = epoch;
            begun.push((epoch, sequence));
        }
    }
    begun
}

/// Returns the epoch that stored bytes begin, if they are an Epoch change.
pub(in super::super) fn epoch_begun(bytes: &[u8]) -> Option<Epoch> {
    if bytes.first() != Some(&(ChangeKind::Epoch as u8)) || bytes.len() > MAX_CHANGE_BYTES {
        return None;
    }
    match Change::from_bytes(bytes) {
        Ok(Change::Epoch(began)) => Some(began.epoch),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Acceptance, EpochStart};
    use crate::clock::ClockReading;
    use crate::digest::log_start;
    use crate::position::StoreId;

    const STORE: StoreId = StoreId([7; 16]);

    /// Returns an Epoch change with a reason of this length.
    fn epoch(epoch: u32, reason: usize) -> Vec<u8> {
        let acceptance = Some(Acceptance { author: String::new(), reason: "x".repeat(reason) });
        let (writer, clock) = (STORE, ClockReading::default());
        Change::Epoch(EpochStart { epoch: Epoch(epoch), store: STORE, writer, clock, acceptance }).to_bytes()
    }

    #[test]
    fn an_epoch_begins_with_a_higher_number_and_not_again() {
        let changes = [epoch(1, 0), epoch(1, 0), b"\x05\x01?".to_vec(), epoch(3, 0), epoch(2, 0), epoch(3, 0)];
        let changes = changes.iter().map(Vec::as_slice).collect();
        let before = Position { sequence: Sequence(10), ..log_start(STORE) };
        let begun = [(Epoch(1), Sequence(11)), (Epoch(3), Sequence(14))];
        assert_eq!(epochs_begun(&before, &changes), begun);
        assert_eq!(epochs_begun(&Position { epoch: Epoch(1), ..before }, &changes), begun[1..]);
    }

    /// Catches a source that makes its followers list epochs of changes that none of them takes.
    #[test]
    fn a_change_that_is_too_long_begins_no_epoch() {
        let longest = MAX_CHANGE_BYTES - (epoch(2, 30_000).len() - 30_000);
        assert_eq!(epoch(2, longest).len(), MAX_CHANGE_BYTES);
        assert_eq!([longest, longest + 1].map(|reason| epoch_begun(&epoch(2, reason))), [Some(Epoch(2)), None]);
    }
}
