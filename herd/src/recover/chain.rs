//! Chains pieces from the start of the history, by the digests at both of their ends.
//!
//! A commit that a crash has interrupted may leave rows which no later one continues. So where several pieces follow, the
//! chain goes on with the one that leads to what the machine remembers, then with one of its own files, then with the one that
//! leads on longest. Nothing is lost by another choice: whatever is not in the chain is appended once more.

use super::RecoverError;
use super::pieces::{Files, Piece, Source};
use crate::digest::{chain_next, log_start};
use crate::position::{Digest, Position, Sequence, StoreId};
use crate::wire::MAX_PAGE_CHANGES;

/// A piece of the chain, and the change after which it is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) piece: usize,
    pub(super) after: u64,
}

/// End of the longest way on from a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Reach {
    is_remembered: bool,
    last: u64,
}

/// The unbroken chain of a history, from its start.
pub(super) struct Chain {
    pub(super) steps: Vec<Step>,
    /// The last change, and the digest after it.
    pub(super) end: (u64, Digest),
}

/// Chains `pieces`, which are in order.
pub(super) fn follow(
    pieces: &[Piece],
    files: &Files<'_>,
    store: StoreId,
    remembered: Option<&Position>,
) -> Result<Chain, RecoverError> {
    let reach = reach_of_all(pieces, remembered);
    let (mut steps, mut end) = (Vec::new(), (0_u64, log_start(store).digest));
    loop {
        let exact = starting_at(pieces, end.0.saturating_add(1), &end.1);
        let best = exact.max_by_key(|index| {
            let Reach { is_remembered, last } = reach[*index];
            (is_remembered, pieces[*index].place.source < Source::Given, last)
        });
        let next = match best {
            Some(index) => Some(index),
            None => holding(pieces, files, end)?,
        };
        let Some(index) = next else { return Ok(Chain { steps, end }) };
        steps.push(Step { piece: index, after: end.0 });
        end = (pieces[index].last(), pieces[index].after);
    }
}

/// Returns, for each piece, what those that follow it lead to.
fn reach_of_all(pieces: &[Piece], remembered: Option<&Position>) -> Vec<Reach> {
    let mut reach = vec![Reach::default(); pieces.len()];
    for index in (0..pieces.len()).rev() {
        let piece = &pieces[index];
        let last = piece.last();
        let next = starting_at(pieces, last.saturating_add(1), &piece.after).map(|next| reach[next]).max();
        let own = remembered.is_some_and(|position| (position.sequence.0, position.digest) == (last, piece.after));
        let next = next.unwrap_or_default();
        reach[index] = Reach { is_remembered: own || next.is_remembered, last: next.last.max(last) };
    }
    reach
}

/// Returns the pieces that begin with this change, after this digest.
fn starting_at<'a>(pieces: &'a [Piece], first: u64, before: &'a Digest) -> impl Iterator<Item = usize> + 'a {
    let from = pieces.partition_point(|piece| (piece.first, &piece.before) < (first, before));
    let found = pieces[from..].iter().take_while(move |piece| (piece.first, &piece.before) == (first, before));
    found.enumerate().map(move |(index, _)| from + index)
}

/// Returns the piece that holds this position in its middle, and leads on longest.
fn holding(pieces: &[Piece], files: &Files<'_>, at: (u64, Digest)) -> Result<Option<usize>, RecoverError> {
    let lowest = at.0.saturating_sub(MAX_PAGE_CHANGES as u64);
    let from = pieces.partition_point(|piece| piece.first < lowest);
    let to = pieces.partition_point(|piece| piece.first <= at.0);
    let mut best: Option<usize> = None;
    for index in from..to {
        let piece = &pieces[index];
        let is_longer = piece.last() > best.map_or(at.0, |best| pieces[best].last());
        if is_longer && digest_at(piece, files, at.0)? == at.1 {
            best = Some(index);
        }
    }
    Ok(best)
}

/// Returns the digest of a piece after a change that it holds.
fn digest_at(piece: &Piece, files: &Files<'_>, at: u64) -> Result<Digest, RecoverError> {
    let changes = files.changes(piece)?;
    let up_to = changes.numbered(Sequence(piece.first - 1)).take_while(|(sequence, _)| sequence.0 <= at);
    Ok(up_to.fold(piece.before, |digest, (sequence, bytes)| chain_next(digest, sequence, bytes)))
}
