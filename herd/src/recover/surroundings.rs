//! The bytes around a short row: they show whether it is a part of a payload.
//!
//! # Decisions
//!
//! - **A page is believed unless its surroundings speak against it.** A payload may contain the header of a page with a row
//!   behind it. If the header comes to lie where a page may begin, and the first block of the long row around it is lost,
//!   nothing else announces that one. A row that another one follows is proved by that. A row that none follows counts
//!   unless a change encloses it, the block before it is lost and the rest of a change is behind it, or an intact row has
//!   its bytes in a payload.
//! - **Whoever knows the digest before a row can make one that follows.** So the digest before it proves nothing.
//! - Rejected: believing only what another row follows. The last row before each gap would be lost, and damage is far more
//!   frequent than an attack.

use super::links::Extents;
use super::pieces::{Embedded, Files, MAX_EMBEDDED_BYTES, Piece, Place, Proof, Source};
use crate::change::{Change, MAX_CHANGE_BYTES, received_at_start};
use crate::store::raw::{PAGE_BYTES, ROW_HEADER_BYTES, announced_rows, page_lengths};

/// Maximum number of bytes of a change besides its payload: origin, clock and decision.
const MAX_BESIDES_BYTES: usize = 4 * 1024;

/// The surroundings of pieces.
pub(super) struct Surroundings<'a> {
    files: &'a Files<'a>,
    extents: Extents<'a>,
    embedded: &'a Embedded,
}

impl<'a> Surroundings<'a> {
    pub(super) fn of(pieces: &'a [Piece], files: &'a Files<'a>, embedded: &'a Embedded) -> Self {
        Self { files, extents: Extents::of(pieces, &[]), embedded }
    }

    /// Returns whether a piece that none follows may be a part of a payload.
    pub(super) fn may_be_payload(&self, piece: &Piece) -> bool {
        match piece.proof {
            Proof::Certain => false,
            Proof::Neighbor => true,
            Proof::Announced => {
                self.embedded.has(&piece.after)
                    || self.is_enclosed_by_change(&piece.place)
                    || self.follows_lost_block(&piece.place) && self.is_followed_by_rest_of_change(&piece.place)
            }
        }
    }

    /// Returns whether the bytes before a row are the beginning of a Received change that ends behind the row's header.
    fn is_enclosed_by_change(&self, place: &Place) -> bool {
        let start = place.offset.saturating_sub((MAX_EMBEDDED_BYTES + MAX_BESIDES_BYTES) as u64);
        let row = usize::try_from(place.offset - start).unwrap_or_default();
        let bytes = self.files.around(place.source, start, row + MAX_EMBEDDED_BYTES + MAX_BESIDES_BYTES);
        (0..row).any(|at| {
            let Some((length, change)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk::<4>()) else {
                return false;
            };
            let length = u32::from_le_bytes(*length) as usize;
            let ends_behind = at + 4 + length >= row + ROW_HEADER_BYTES;
            let change = change.get(..length).filter(|_| ends_behind && length <= MAX_CHANGE_BYTES);
            change.is_some_and(|change| matches!(Change::from_bytes(change), Ok(Change::Received(_))))
        })
    }

    /// Returns whether the bytes behind a row end a payload, and go on with the rest of its change.
    fn is_followed_by_rest_of_change(&self, place: &Place) -> bool {
        const NO_PAYLOAD: u8 = 0;
        let mut bytes = self.files.around(place.source, place.offset, MAX_EMBEDDED_BYTES + MAX_BESIDES_BYTES);
        (place.bytes as usize..=MAX_EMBEDDED_BYTES.min(bytes.len())).any(|end| {
            // A length in front of the rest makes it a change whose payload is empty.
            let last = std::mem::replace(&mut bytes[end - 1], NO_PAYLOAD);
            let rest = received_at_start(&bytes[end - 1..]);
            let is_rest = rest.is_some_and(|(received, next)| {
                let length = next.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length) as usize);
                !received.origin.channel.is_empty() && received.text_bytes > 0 && length <= MAX_CHANGE_BYTES
            });
            bytes[end - 1] = last;
            is_rest
        })
    }

    /// Returns whether the block before that of a row is lost: nothing is in it, and it belongs to no page that is known.
    fn follows_lost_block(&self, place: &Place) -> bool {
        let block = place.offset / PAGE_BYTES as u64;
        // The first block is the header of the file.
        let Some(before) = block.checked_sub(1).filter(|before| *before > 0) else { return false };
        let bytes = self.files.around(place.source, before * PAGE_BYTES as u64, PAGE_BYTES);
        bytes.iter().all(|byte| *byte == 0) && !self.is_in_known_page(place.source, before)
    }

    /// Returns whether a block is in the page of the row before it.
    fn is_in_known_page(&self, source: Source, block: u64) -> bool {
        let at = block * PAGE_BYTES as u64;
        let Some(near) = self.extents.last_before(source, at) else { return false };
        let page = near.offset / PAGE_BYTES as u64 * PAGE_BYTES as u64;
        let rows = announced_rows(&self.files.around(source, page, PAGE_BYTES));
        let is_its_page = rows.iter().any(|row| page + row.offset == near.offset);
        is_its_page && page + page_lengths(&rows).1 > at
    }
}
