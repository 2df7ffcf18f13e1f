//! Finds the places of rows that nothing announces, by their neighbors.
//!
//! The digest before a row is the one after the row before it. Whoever sends payloads may know it, and may send the bytes of
//! a row that would follow. Nobody can make a row whose changes lead to a digest that is there already. So a row that is short
//! enough for a payload and that nothing announces, or that lies where a damaged one should be, needs a neighbor behind it. What
//! lies in the free end of a page is left over from an earlier use of that, and is in no longer row.

use super::pieces::{Files, OpenPiece, Piece, Pieces, Place, Proof, Source};
use crate::position::{Digest, Position};
use std::collections::{HashMap, HashSet};

/// Maximum number of numbers that are tried for a row. Only forged rows offer it more than one.
const MAX_TRIES: u8 = 16;

/// Moves the open pieces that have a neighbor to the list. Returns the number of those that have none, and that may be
/// whole nevertheless.
pub(super) fn place_open(pieces: &mut Pieces, files: &Files<'_>, known: &[Position]) -> u64 {
    if pieces.open.is_empty() {
        return 0;
    }
    let mut open = Open::new(std::mem::take(&mut pieces.open));
    for position in known {
        open.offer(position.sequence.0, &position.digest);
    }
    for piece in &pieces.list {
        open.offer_ends(piece);
    }
    let mut placed = Vec::new();
    while let Some((index, first)) = open.offers.pop() {
        let Some(found) = open.pieces[index] else { continue };
        let is_right = match found.first {
            Some(tried) => tried == first,
            None => open.may_try(index) && files.is_intact_from(&found.place, first),
        };
        if is_right {
            open.pieces[index] = None;
            let OpenPiece { count, before, after, place, stated, .. } = found;
            let piece = Piece { first, count, before, after, place, stated, proof: Proof::Neighbor };
            open.offer_ends(&piece);
            placed.push(piece);
        }
    }
    let extents = Extents::of(&pieces.list, &placed);
    let is_unplaced = |piece: &&OpenPiece| !piece.is_announced && !extents.enclose(&piece.place);
    let unplaced = open.pieces.iter().flatten().filter(is_unplaced).count() as u64;
    let is_enclosed: Vec<_> = placed.iter().map(|piece| extents.enclose(&piece.place)).collect();
    pieces
        .list
        .extend(placed.into_iter().zip(is_enclosed).filter(|(_, is_enclosed)| !is_enclosed).map(|(piece, _)| piece));
    pieces.dropped + unplaced
}

/// Pieces in the order in which they lie in files.
pub(super) struct Extents<'a> {
    listed: &'a [Piece],
    placed: &'a [Piece],
    /// Numbers of pieces: the listed ones, then those that were placed.
    order: Vec<u32>,
}

impl<'a> Extents<'a> {
    pub(super) fn of(listed: &'a [Piece], placed: &'a [Piece]) -> Self {
        let count = u32::try_from(listed.len() + placed.len()).unwrap_or(u32::MAX);
        let mut extents = Self { listed, placed, order: Vec::new() };
        let mut order: Vec<_> = (0..count).collect();
        order.sort_unstable_by_key(|number| {
            let place = extents.place(*number);
            (place.source, place.offset, place.bytes)
        });
        extents.order = order;
        extents
    }

    fn place(&self, number: u32) -> &Place {
        let number = number as usize;
        let piece = self.listed.get(number).unwrap_or_else(|| &self.placed[number - self.listed.len()]);
        &piece.place
    }

    /// Returns the last piece of a file that begins before an offset.
    pub(super) fn last_before(&self, source: Source, offset: u64) -> Option<&Place> {
        let starts_before = |place: &Place| (place.source, place.offset) < (source, offset);
        let before = self.order.partition_point(|number| starts_before(self.place(*number)));
        let nearest = before.checked_sub(1).and_then(|index| self.order.get(index)).map(|number| self.place(*number));
        nearest.filter(|near| near.source == source)
    }

    /// Returns whether a piece begins within another one, as the bytes of a payload do.
    fn enclose(&self, place: &Place) -> bool {
        let nearest = self.last_before(place.source, place.offset);
        nearest.is_some_and(|near| near.offset + u64::from(near.bytes) > place.offset)
    }
}

/// Open pieces by the digests at their ends, and the numbers that neighbors offer them.
struct Open {
    pieces: Vec<Option<OpenPiece>>,
    by_before: HashMap<Digest, Vec<usize>>,
    by_after: HashMap<Digest, Vec<usize>>,
    /// An open piece, and the first change that a neighbor gives it.
    offers: Vec<(usize, u64)>,
    /// The positions that were offered. Each is at the ends of several pieces.
    offered: HashSet<(u64, Digest)>,
    /// Number of times that the bytes of each piece were looked at.
    tries: Vec<u8>,
}

impl Open {
    fn new(pieces: Vec<OpenPiece>) -> Self {
        let (mut by_before, mut by_after) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (index, piece) in pieces.iter().enumerate() {
            if !piece.is_doubtful {
                by_before.entry(piece.before).or_default().push(index);
            }
            by_after.entry(piece.after).or_default().push(index);
        }
        let (offers, offered, tries) = (Vec::new(), HashSet::new(), vec![0; pieces.len()]);
        Self { pieces: pieces.into_iter().map(Some).collect(), by_before, by_after, offers, offered, tries }
    }

    /// Counts a look at the bytes of a piece. Returns whether there were not too many.
    fn may_try(&mut self, index: usize) -> bool {
        self.tries[index] = self.tries[index].saturating_add(1);
        self.tries[index] <= MAX_TRIES
    }

    fn offer_ends(&mut self, piece: &Piece) {
        self.offer(piece.first - 1, &piece.before);
        self.offer(piece.last(), &piece.after);
    }

    /// Offers a position of the history to the pieces that begin or end there.
    fn offer(&mut self, sequence: u64, digest: &Digest) {
        let is_asked = self.by_before.contains_key(digest) || self.by_after.contains_key(digest);
        if !is_asked || !self.offered.insert((sequence, *digest)) {
            return;
        }
        for index in self.by_before.get(digest).into_iter().flatten() {
            self.offers.push((*index, sequence.saturating_add(1)));
        }
        for index in self.by_after.get(digest).into_iter().flatten() {
            let count = self.pieces[*index].map_or(0, |piece| u64::from(piece.count));
            self.offers.push((*index, sequence.saturating_add(1).saturating_sub(count)));
        }
    }
}
