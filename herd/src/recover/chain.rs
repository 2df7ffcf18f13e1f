//! Chains pieces from the start of the history, by the digests at both of their ends.
//!
//! # Decisions
//!
//! - **Pieces are cut where another one begins or ends with the digest that they have there.** A row is laid anew when the log
//!   takes it over, and a page of a backup knows no rows. So a piece is whole where another is damaged, and only a part of it
//!   is needed.
//! - **Where several parts follow, the chain goes on with the one that leads to what the machine remembers,** then with the one
//!   that leads to the last change in the own files, then with one of those, then with the one that leads on longest. A card
//!   that was recovered has both branches of its history in its free pages, and an old backup may be longer than either.
//!   Payloads of another branch come back, but its corrections do not: so which branch is taken counts.

use super::RecoverError;
use super::pieces::{Files, MAX_PIECES, Mark, Piece, Proof, Source};
use super::surroundings::Surroundings;
use crate::digest::{chain_next, log_start};
use crate::position::{Digest, Position, Sequence, StoreId};
use std::num::NonZeroU32;

/// Maximum number of parts. Pieces are cut where copies of a part of them end, as after a recovery.
const MAX_PARTS: usize = MAX_PIECES + MAX_PIECES / 4;

/// A piece of the chain, and what is taken of it: the changes after the first number, up to the second one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) piece: usize,
    pub(super) after: u64,
    pub(super) until: u64,
}

/// A part of a piece, between two marks.
#[derive(Clone, Copy, Debug)]
struct Part {
    piece: u32,
    /// Place in the list of cuts of the mark that the part begins at, unless the piece begins there.
    from: Option<NonZeroU32>,
    /// Place of the mark that it ends at, unless the piece ends there.
    to: Option<NonZeroU32>,
}

/// End of the best way on from a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Reach {
    is_remembered: bool,
    /// The last change of a part that lies in the own files.
    own: u64,
    last: u64,
}

/// The unbroken chain of a history, from its start.
pub(super) struct Chain {
    pub(super) steps: Vec<Step>,
    /// The last change, and the digest after it.
    pub(super) end: Mark,
    /// The last change that the own files hold, or that the machine remembers: up to it, the chain is the machine's own history.
    pub(super) own_end: u64,
}

/// Parts of pieces that begin and end where others do.
pub(super) struct Parts<'a> {
    pieces: &'a [Piece],
    /// Marks within pieces. The first one is none: places in it are not zero.
    cuts: Vec<Mark>,
    list: Vec<Part>,
    /// By piece, whether it is the beginning of another one, or nothing proves it.
    is_left_out: Vec<bool>,
    remembered: Option<Mark>,
}

impl<'a> Parts<'a> {
    /// Cuts `pieces`, which are in order.
    pub(super) fn of(
        pieces: &'a [Piece],
        files: &Files<'_>,
        remembered: Option<&Position>,
    ) -> Result<Self, RecoverError> {
        let remembered = remembered.map(|position| (position.sequence.0, position.digest));
        let marks = Marks::of(pieces, remembered);
        let (cuts, list) = (vec![(0, Digest([0; 32]))], Vec::with_capacity(pieces.len()));
        let mut parts = Self { pieces, cuts, list, is_left_out: vec![false; pieces.len()], remembered };
        let mut longest: Option<(&Piece, Vec<Mark>)> = None;
        for (index, piece) in pieces.iter().enumerate() {
            if longest.as_ref().is_some_and(|(longer, within)| is_beginning_of(piece, longer, within)) {
                parts.is_left_out[index] = true;
                continue;
            }
            let within = marks.within(piece, files)?;
            parts.cut(index, &within)?;
            longest = Some((piece, within));
        }
        drop(marks);
        parts.sort();
        Ok(parts)
    }

    /// Returns, by piece, whether it is the beginning of another one, or nothing proves it.
    pub(super) fn into_left_out(self) -> Vec<bool> {
        self.is_left_out
    }

    /// Leaves out what may be a part of a payload, unless what follows proves it. Returns the number of those pieces.
    pub(super) fn leave_out_payloads(&mut self, surroundings: &Surroundings<'_>) -> u64 {
        let mut is_proved = vec![false; self.list.len()];
        for (index, part) in self.list.iter().enumerate().rev() {
            let (piece, after) = (self.piece(part), self.after(part));
            is_proved[index] = piece.proof == Proof::Certain
                || self.remembered == Some(after)
                || self.starting_at(after).any(|next| is_proved[next])
                || part.to.is_none() && !surroundings.may_be_payload(piece);
        }
        let mut count = 0;
        for (part, _) in self.list.iter().zip(&is_proved).filter(|(part, is_proved)| part.to.is_none() && !**is_proved)
        {
            self.is_left_out[part.piece as usize] = true;
            count += 1;
        }
        let mut is_proved = is_proved.into_iter();
        self.list.retain(|_| is_proved.next().unwrap_or_default());
        count
    }

    /// Adds the parts of a piece between the marks within it.
    fn cut(&mut self, piece: usize, within: &[Mark]) -> Result<(), RecoverError> {
        if self.list.len() + within.len() >= MAX_PARTS {
            return Err(RecoverError::TooManyRows { limit: MAX_PARTS });
        }
        let (piece, mut from) = (u32::try_from(piece).unwrap_or(u32::MAX), None);
        for mark in within {
            let to = u32::try_from(self.cuts.len()).ok().and_then(NonZeroU32::new);
            self.cuts.push(*mark);
            self.list.push(Part { piece, from, to });
            from = to;
        }
        self.list.push(Part { piece, from, to: None });
        Ok(())
    }

    fn sort(&mut self) {
        let mut list = std::mem::take(&mut self.list);
        list.sort_unstable_by_key(|part| (self.before(part), part.piece));
        self.list = list;
    }

    fn piece(&self, part: &Part) -> &Piece {
        &self.pieces[part.piece as usize]
    }

    fn before(&self, part: &Part) -> Mark {
        part.from.map_or_else(|| self.piece(part).start(), |place| self.cuts[place.get() as usize])
    }

    fn after(&self, part: &Part) -> Mark {
        part.to.map_or_else(|| self.piece(part).end(), |place| self.cuts[place.get() as usize])
    }

    /// Returns whether a part of the given file begins or ends where one of the own files does, or at what is remembered.
    pub(super) fn given_has_neighbor(&self) -> bool {
        let [own, given] = [true, false].map(|is_own| self.list.iter().filter(move |part| self.is_own(part) == is_own));
        let mut ends: Vec<_> = own.clone().collect();
        ends.sort_unstable_by_key(|part| self.after(part));
        let is_own_mark = |mark: Mark| {
            let is_start = self.starting_at(mark).any(|index| self.is_own(&self.list[index]));
            is_start
                || self.remembered == Some(mark)
                || ends.binary_search_by_key(&mark, |part| self.after(part)).is_ok()
        };
        given.clone().any(|part| is_own_mark(self.before(part)) || is_own_mark(self.after(part)))
    }

    /// Chains the parts from the start of a history.
    pub(super) fn follow(&self, store: StoreId) -> Chain {
        let reach = self.reach_of_all();
        let (mut steps, mut end, mut own_end) = (Vec::<Step>::new(), (0, log_start(store).digest), 0);
        let order = |index: &usize| {
            let Reach { is_remembered, own, last } = reach[*index];
            (is_remembered, own, self.is_own(&self.list[*index]), last)
        };
        while let Some(index) = self.starting_at(end).max_by_key(order) {
            let part = self.list[index];
            let (piece, before, after) = (part.piece as usize, self.before(&part), self.after(&part));
            match steps.last_mut().filter(|step| step.piece == piece) {
                Some(step) => step.until = after.0,
                None => steps.push(Step { piece, after: before.0, until: after.0 }),
            }
            end = after;
            if self.is_own(&part) || self.remembered == Some(after) {
                own_end = after.0;
            }
        }
        Chain { steps, end, own_end }
    }

    /// Returns, for each part, what those that follow it lead to.
    fn reach_of_all(&self) -> Vec<Reach> {
        let mut reach = vec![Reach::default(); self.list.len()];
        for (index, part) in self.list.iter().enumerate().rev() {
            let after = self.after(part);
            let next = self.starting_at(after).map(|next| reach[next]).max().unwrap_or_default();
            let own = if self.is_own(part) { after.0 } else { 0 };
            reach[index] = Reach {
                is_remembered: next.is_remembered || self.remembered == Some(after),
                own: next.own.max(own),
                last: next.last.max(after.0),
            };
        }
        reach
    }

    /// Returns the parts that begin at a mark.
    fn starting_at(&self, mark: Mark) -> impl Iterator<Item = usize> + '_ {
        let from = self.list.partition_point(|part| self.before(part) < mark);
        let found = self.list[from..].iter().take_while(move |part| self.before(part) == mark);
        found.enumerate().map(move |(index, _)| from + index)
    }

    fn is_own(&self, part: &Part) -> bool {
        self.piece(part).place.source < Source::Given
    }
}

/// Returns whether a piece is the beginning of the one before it, and lies in no better file. A page keeps the rows of its
/// older copies.
fn is_beginning_of(piece: &Piece, longer: &Piece, within: &[Mark]) -> bool {
    piece.start() == longer.start()
        && (piece.end() == longer.end() || within.contains(&piece.end()))
        && piece.place.source >= longer.place.source
        && piece.proof >= longer.proof
}

/// The marks at which pieces begin or end, in order.
struct Marks<'a> {
    pieces: &'a [Piece],
    remembered: Option<Mark>,
    /// Each is twice the number of a piece, and one more for its end.
    order: Vec<u32>,
}

impl<'a> Marks<'a> {
    fn of(pieces: &'a [Piece], remembered: Option<Mark>) -> Self {
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX / 2);
        let mut marks = Self { pieces, remembered, order: Vec::new() };
        let mut order: Vec<_> = (0..count * 2).collect();
        order.sort_unstable_by_key(|place| marks.mark(*place));
        order.dedup_by_key(|place| marks.mark(*place));
        marks.order = order;
        marks
    }

    fn mark(&self, place: u32) -> Mark {
        let piece = &self.pieces[(place / 2) as usize];
        if place.is_multiple_of(2) { piece.start() } else { piece.end() }
    }

    /// Returns the marks in the middle of a piece that lie on its way from one end to the other.
    fn within(&self, piece: &Piece, files: &Files<'_>) -> Result<Vec<Mark>, RecoverError> {
        let place_of = |sequence| self.order.partition_point(|place| self.mark(*place).0 < sequence);
        let inner = &self.order[place_of(piece.first)..place_of(piece.last())];
        let remembered = self.remembered.filter(|mark| (piece.first..piece.last()).contains(&mark.0));
        if inner.is_empty() && remembered.is_none() {
            return Ok(Vec::new());
        }
        let (changes, mut digest, mut found) = (files.changes(piece)?, piece.before, Vec::new());
        for (sequence, bytes) in changes.numbered(Sequence(piece.first - 1)) {
            digest = chain_next(digest, sequence, bytes);
            let mark = (sequence.0, digest);
            let is_mark =
                remembered == Some(mark) || inner.binary_search_by_key(&mark, |place| self.mark(*place)).is_ok();
            // The last change ends the piece.
            found.extend((is_mark && sequence.0 < piece.last()).then_some(mark));
        }
        Ok(found)
    }
}
