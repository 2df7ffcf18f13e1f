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
use super::pieces::{Files, Mark, Piece, Source};
use crate::digest::{chain_next, log_start};
use crate::position::{Position, Sequence, StoreId};

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
    before: Mark,
    after: Mark,
    piece: usize,
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
}

/// Parts of pieces that begin and end where others do.
pub(super) struct Parts<'a> {
    pieces: &'a [Piece],
    list: Vec<Part>,
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
        let mut marks: Vec<_> =
            pieces.iter().flat_map(|piece| [piece.start(), piece.end()]).chain(remembered).collect();
        marks.sort_unstable();
        marks.dedup();
        let mut parts = Vec::with_capacity(pieces.len());
        for (index, piece) in pieces.iter().enumerate() {
            let mut before = piece.start();
            for after in marks_within(piece, files, &marks)?.into_iter().chain([piece.end()]) {
                parts.push(Part { before, after, piece: index });
                before = after;
            }
        }
        parts.sort_unstable_by_key(|part| (part.before, part.piece));
        Ok(Self { pieces, list: parts, remembered })
    }

    /// Returns whether a part of the given file begins or ends where one of the own files does, or at what is remembered.
    pub(super) fn given_has_neighbor(&self) -> bool {
        let ends = |is_own: bool| {
            let parts = self.list.iter().filter(move |part| self.is_own(part) == is_own);
            parts.flat_map(|part| [part.before, part.after])
        };
        let mut own: Vec<_> = ends(true).chain(self.remembered).collect();
        own.sort_unstable();
        ends(false).any(|end| own.binary_search(&end).is_ok())
    }

    /// Chains the parts from the start of a history.
    pub(super) fn follow(&self, store: StoreId) -> Chain {
        let reach = self.reach_of_all();
        let (mut steps, mut end) = (Vec::<Step>::new(), (0, log_start(store).digest));
        let order = |index: &usize| {
            let Reach { is_remembered, own, last } = reach[*index];
            (is_remembered, own, self.is_own(&self.list[*index]), last)
        };
        while let Some(index) = self.starting_at(end).max_by_key(order) {
            let Part { piece, before, after } = self.list[index];
            match steps.last_mut().filter(|step| step.piece == piece) {
                Some(step) => step.until = after.0,
                None => steps.push(Step { piece, after: before.0, until: after.0 }),
            }
            end = after;
        }
        Chain { steps, end }
    }

    /// Returns, for each part, what those that follow it lead to.
    fn reach_of_all(&self) -> Vec<Reach> {
        let mut reach = vec![Reach::default(); self.list.len()];
        for (index, part) in self.list.iter().enumerate().rev() {
            let next = self.starting_at(part.after).map(|next| reach[next]).max().unwrap_or_default();
            let own = if self.is_own(part) { part.after.0 } else { 0 };
            reach[index] = Reach {
                is_remembered: next.is_remembered || self.remembered == Some(part.after),
                own: next.own.max(own),
                last: next.last.max(part.after.0),
            };
        }
        reach
    }

    /// Returns the parts that begin at a mark.
    fn starting_at(&self, mark: Mark) -> impl Iterator<Item = usize> + '_ {
        let from = self.list.partition_point(|part| part.before < mark);
        let found = self.list[from..].iter().take_while(move |part| part.before == mark);
        found.enumerate().map(move |(index, _)| from + index)
    }

    fn is_own(&self, part: &Part) -> bool {
        self.pieces[part.piece].place.source < Source::Given
    }
}

/// Returns the marks in the middle of a piece that lie on its way from one end to the other.
fn marks_within(piece: &Piece, files: &Files<'_>, marks: &[Mark]) -> Result<Vec<Mark>, RecoverError> {
    let from = marks.partition_point(|mark| mark.0 < piece.first);
    let to = marks.partition_point(|mark| mark.0 < piece.last());
    let Some(inner) = marks.get(from..to).filter(|inner| !inner.is_empty()) else { return Ok(Vec::new()) };
    let (changes, mut digest, mut found) = (files.changes(piece)?, piece.before, Vec::new());
    for (sequence, bytes) in changes.numbered(Sequence(piece.first - 1)) {
        digest = chain_next(digest, sequence, bytes);
        found.extend(inner.binary_search(&(sequence.0, digest)).is_ok().then_some((sequence.0, digest)));
    }
    Ok(found)
}
