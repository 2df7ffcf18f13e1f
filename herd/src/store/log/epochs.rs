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
