//! Pieces of a history: rows of a log and pages of a backup, each of which proves itself.

use super::RecoverError;
use super::window::{Bytes, read_what_is_readable};
use crate::position::{Digest, Epoch, Sequence};
use crate::store::Changes;
use crate::store::raw::{PAGE_BYTES, RawRow};
use crate::wire::{Page, from_blob};
use std::cmp::Reverse;
use std::collections::HashSet;

/// Maximum number of pieces that are known at once; see [`MAX_RECOVER_BYTES`](super::MAX_RECOVER_BYTES). Rows that
/// lie back to back are one piece. So these are a log with 200 million payloads, or with two million if each came alone and had
/// a row of its own, as in ten years with 500 payloads a day.
pub(super) const MAX_PIECES: usize = 256 * 1024;
/// Maximum length of a piece that rows are joined to: what is read at once when one of them is wanted.
const MAX_JOINED_BYTES: u32 = 256 * 1024;
/// Maximum number of rows whose place is open. A page that is lost with its neighbors leaves a few dozen of them.
const MAX_OPEN_ROWS: usize = 50_000;
/// Maximum number of rows of one page whose place is open: as many as the shortest rows are. Payloads can look like more.
const MAX_OPEN_IN_PAGE: usize = PAGE_BYTES / 64;
/// Maximum number of rows within rows that are known. By chance there are none; who sends payloads can send more.
const MAX_EMBEDDED_ROWS: usize = 10_000;
/// Length up to which a piece may be a part of a payload: the longest payload that is let in.
pub(super) const MAX_EMBEDDED_BYTES: usize = 4 * 1024;

/// A sequence, and the digest after it.
pub(super) type Mark = (u64, Digest);

/// The file that a piece lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Log,
    Journal,
    Given,
}

/// Form of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Row,
    Page,
}

/// Place of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) bytes: u32,
    pub(super) source: Source,
    pub(super) form: Form,
}

/// Evidence that a piece is no part of a payload, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// It is longer than a payload, or lies where no byte of one does.
    Certain,
    /// A page announces it.
    Announced,
    /// A neighbor begins or ends with its digest, and nothing else shows it.
    Neighbor,
}

/// Consecutive changes that lead from one digest to the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) first: u64,
    pub(super) count: u32,
    pub(super) before: Digest,
    pub(super) after: Digest,
    pub(super) place: Place,
    /// The epoch before the first change, if the piece states it; otherwise 0.
    pub(super) stated: Epoch,
    pub(super) proof: Proof,
}

/// A piece that nothing but its own bytes shows, and so may be the bytes of a payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenPiece {
    /// The first change, if the changes were tried with it.
    pub(super) first: Option<u64>,
    pub(super) count: u32,
    pub(super) before: Digest,
    pub(super) after: Digest,
    pub(super) place: Place,
    /// The epoch before the first change, if the piece states it; otherwise 0.
    pub(super) stated: Epoch,
    /// It lies where a damaged piece should be.
    pub(super) is_doubtful: bool,
    /// It was announced, with a number that does not fit: it is damaged, or its announcement is.
    pub(super) is_announced: bool,
}

impl Piece {
    pub(super) fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }

    /// Returns the change before the first one, and the digest after it.
    pub(super) fn start(&self) -> Mark {
        (self.first - 1, self.before)
    }

    /// Returns the last change, and the digest after it.
    pub(super) fn end(&self) -> Mark {
        (self.last(), self.after)
    }

    /// Joins a row that follows this one in the history and in the file. Returns whether it does.
    fn join(&mut self, next: &Self) -> bool {
        let bytes = self.place.bytes.checked_add(next.place.bytes).filter(|bytes| *bytes <= MAX_JOINED_BYTES);
        let count = self.count.checked_add(next.count);
        let (Some(bytes), Some(count)) = (bytes, count) else { return false };
        let follows = self.end() == next.start()
            && (self.place.source, self.place.form) == (next.place.source, next.place.form)
            && self.place.form == Form::Row
            && self.proof == next.proof
            && self.place.offset + u64::from(self.place.bytes) == next.place.offset;
        if follows {
            (self.count, self.after, self.place.bytes) = (count, next.after, bytes);
        }
        follows
    }

    fn order(&self) -> (u64, Digest, Reverse<u32>, Digest, Source) {
        (self.first, self.before, Reverse(self.count), self.after, self.place.source)
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.first, self.before, self.count, self.after) == (other.first, other.before, other.count, other.after)
    }
}

/// Digests at the ends of what looks like a row within intact rows.
#[derive(Debug, Default)]
pub(super) struct Embedded(HashSet<Digest>);

impl Embedded {
    pub(super) fn add(&mut self, after: Digest) {
        if self.0.len() < MAX_EMBEDDED_ROWS {
            self.0.insert(after);
        }
    }

    pub(super) fn has(&self, after: &Digest) -> bool {
        self.0.contains(after)
    }
}

/// All pieces that were found.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) list: Vec<Piece>,
    pub(super) open: Vec<OpenPiece>,
    pub(super) embedded: Embedded,
    /// Places in `open` of those that are doubtful.
    doubtful: Vec<usize>,
    /// Number of open pieces that there was no room for.
    pub(super) dropped: u64,
}

impl Pieces {
    /// Adds a piece, or joins it to the last one. redb copies pages, so most rows are found several times.
    pub(super) fn push(&mut self, piece: Piece) -> Result<(), RecoverError> {
        if self.list.last_mut().is_some_and(|last| last.join(&piece)) {
            return Ok(());
        }
        if self.list.len() >= MAX_PIECES {
            self.sort();
            if self.list.len() > MAX_PIECES / 4 * 3 {
                return Err(RecoverError::TooManyRows { limit: MAX_PIECES });
            }
        }
        self.list.push(piece);
        Ok(())
    }

    /// Adds an open piece. If there is no room for it, one that is doubtful goes, or the new one: payloads can look like any
    /// number of them, and must not refuse a recovery.
    pub(super) fn push_open(&mut self, piece: OpenPiece) {
        let page = |place: &Place| (place.source, place.offset / PAGE_BYTES as u64);
        let full_page = self.open.len().checked_sub(MAX_OPEN_IN_PAGE).and_then(|index| self.open.get(index));
        if full_page.is_some_and(|earlier| page(&earlier.place) == page(&piece.place)) {
            self.dropped += 1;
        } else if self.open.len() < MAX_OPEN_ROWS {
            self.doubtful.extend(piece.is_doubtful.then_some(self.open.len()));
            self.open.push(piece);
        } else {
            self.dropped += 1;
            if !piece.is_doubtful
                && let Some(index) = self.doubtful.pop()
            {
                self.open[index] = piece;
            }
        }
    }

    /// Orders the pieces by their first change, longer ones first, and keeps one of each.
    pub(super) fn sort(&mut self) {
        self.list.sort_unstable_by_key(Piece::order);
        self.list.dedup_by(|later, earlier| {
            let is_same = later.is_same(earlier);
            if is_same {
                earlier.stated = earlier.stated.max(later.stated);
                earlier.proof = earlier.proof.min(later.proof);
            }
            is_same
        });
    }
}

/// Returns the changes of rows that lie back to back.
fn changes_of_rows(mut bytes: &[u8]) -> Option<Changes> {
    let mut changes = Changes::default();
    while !bytes.is_empty() {
        let row = RawRow::at(bytes)?;
        row.changes().iter().for_each(|change| changes.push(change));
        bytes = bytes.get(row.length()..)?;
    }
    Some(changes)
}

/// The files that pieces lie in.
#[derive(Default)]
pub(super) struct Files<'a> {
    pub(super) log: Option<Box<dyn Bytes + 'a>>,
    pub(super) journal: Option<Box<dyn Bytes + 'a>>,
    pub(super) given: Option<&'a dyn Bytes>,
}

impl Files<'_> {
    fn of(&self, source: Source) -> Option<&dyn Bytes> {
        match source {
            Source::Log => self.log.as_deref(),
            Source::Journal => self.journal.as_deref(),
            Source::Given => self.given,
        }
    }

    /// Reads the bytes of a piece once more.
    fn read(&self, place: &Place) -> Option<Vec<u8>> {
        let mut bytes = vec![0; place.bytes as usize];
        self.of(place.source)?.read(place.offset, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Reads bytes of a file, fewer at its end. What cannot be read is zero.
    pub(super) fn around(&self, source: Source, offset: u64, bytes: usize) -> Vec<u8> {
        let Some(file) = self.of(source) else { return Vec::new() };
        let rest = file.length().unwrap_or_default().saturating_sub(offset);
        let mut found = vec![0; usize::try_from(rest).unwrap_or(usize::MAX).min(bytes)];
        read_what_is_readable(file, offset, &mut found);
        found
    }

    /// Returns the changes of a piece, which must still lead from the one digest to the other.
    pub(super) fn changes(&self, piece: &Piece) -> Result<Changes, RecoverError> {
        let unsteady = RecoverError::Unsteady { first: Sequence(piece.first), last: Sequence(piece.last()) };
        let Some(bytes) = self.read(&piece.place) else { return Err(unsteady) };
        let changes = match piece.place.form {
            Form::Row => changes_of_rows(&bytes),
            Form::Page => from_blob::<Page>(&bytes).ok().map(|page| page.changes),
        };
        let after = Sequence(piece.first - 1);
        changes.filter(|changes| changes.chain(piece.before, after) == piece.after).ok_or(unsteady)
    }

    /// Returns whether an open row begins with this change.
    pub(super) fn is_intact_from(&self, place: &Place, first: u64) -> bool {
        let bytes = self.read(place);
        bytes.is_some_and(|bytes| RawRow::at(&bytes).is_some_and(|row| row.is_intact_from(Sequence(first))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of one change, each in a page of its own.
    fn lone(n: u64) -> Piece {
        let place = Place { offset: n * PAGE_BYTES as u64, bytes: 100, source: Source::Log, form: Form::Row };
        let mark = |n: u64| Digest([&n.to_le_bytes()[..], &[0; 24]].concat().try_into().unwrap());
        Piece {
            first: n,
            count: 1,
            before: mark(n - 1),
            after: mark(n),
            place,
            stated: Epoch(0),
            proof: Proof::Announced,
        }
    }

    /// Catches a log with more rows than there is memory for, which takes what there is, or whose rows are dropped.
    #[test]
    fn one_piece_more_than_the_limit_is_refused() {
        let mut pieces = Pieces::default();
        (1..=MAX_PIECES as u64).for_each(|n| pieces.push(lone(n)).unwrap());
        let refused = pieces.push(lone(MAX_PIECES as u64 + 1));
        assert!(matches!(refused, Err(RecoverError::TooManyRows { limit: MAX_PIECES })), "{refused:?}");
    }

    /// Catches copies of rows that count as many rows, so that a log of a few rows is refused.
    #[test]
    fn copies_of_rows_count_once() {
        let mut pieces = Pieces::default();
        for copy in 0..3 {
            for n in 1..=MAX_PIECES as u64 / 2 {
                let place = Place { offset: (copy * MAX_PIECES as u64 + n) * PAGE_BYTES as u64, ..lone(n).place };
                pieces.push(Piece { place, ..lone(n) }).unwrap();
            }
        }
        pieces.sort();
        assert_eq!(pieces.list.len(), MAX_PIECES / 2);
    }

    /// Catches rows of one page that are a piece each, or rows that are joined although one of another page lies between.
    #[test]
    fn rows_that_follow_each_other_in_a_page_are_one_piece() {
        let mut pieces = Pieces::default();
        for n in [1, 2, 3, 5, 6] {
            let place = Place { offset: 50 + n * 100, ..lone(n).place };
            pieces.push(Piece { place, ..lone(n) }).unwrap();
        }
        let found: Vec<_> = pieces.list.iter().map(|piece| (piece.first, piece.count, piece.place.bytes)).collect();
        assert_eq!(found, [(1, 3, 300), (5, 2, 200)]);
    }

    /// Catches pieces that are joined although other bytes lie between, or although one of them is proved by less.
    #[test]
    fn rows_are_joined_only_if_nothing_tells_them_apart_but_their_place() {
        let at = |n, offset, bytes| Piece { place: Place { offset, bytes, ..lone(n).place }, ..lone(n) };
        let (first, next, most) = (at(1, 0, 100), at(2, 100, 50), MAX_JOINED_BYTES);
        let elsewhere = |source, form| Piece { place: Place { source, form, ..next.place }, ..next };
        let page = |piece: Piece| Piece { place: Place { form: Form::Page, ..piece.place }, ..piece };
        for (what, first, next, is_joined) in [
            ("side by side", first, next, true),
            ("as long as may be", at(1, 0, most - 50), at(2, u64::from(most) - 50, 50), true),
            ("longer", at(1, 0, most - 49), at(2, u64::from(most) - 49, 50), false),
            ("a gap", first, at(2, 101, 50), false),
            ("another number", first, at(3, 100, 50), false),
            ("another file", first, elsewhere(Source::Given, Form::Row), false),
            ("another form", first, elsewhere(Source::Log, Form::Page), false),
            ("pages", page(first), page(next), false),
            ("another proof", first, Piece { proof: Proof::Certain, ..next }, false),
        ] {
            let mut pieces = Pieces::default();
            pieces.push(first).unwrap();
            pieces.push(next).unwrap();
            assert_eq!(pieces.list.len() == 1, is_joined, "{what}");
        }
    }

    /// Catches bytes that look like rows and take the room of true ones, or memory without a limit.
    #[test]
    fn rows_whose_place_is_open_are_bounded_by_page_and_in_all() {
        let open = |page: usize, is_doubtful| {
            let Piece { count, before, after, place, stated, .. } = lone(page as u64);
            OpenPiece { first: None, count, before, after, place, stated, is_doubtful, is_announced: false }
        };
        let mut pieces = Pieces::default();
        (0..=MAX_OPEN_IN_PAGE).for_each(|_| pieces.push_open(open(1, false)));
        assert_eq!((pieces.open.len(), pieces.dropped), (MAX_OPEN_IN_PAGE, 1));
        for n in 0..MAX_OPEN_ROWS - MAX_OPEN_IN_PAGE {
            pieces.push_open(open(2 + n / MAX_OPEN_IN_PAGE, n == 0));
        }
        assert_eq!((pieces.open.len(), pieces.dropped), (MAX_OPEN_ROWS, 1));
        for (page, is_doubtful, in_place_of_it) in [(70_000, true, 2), (80_000, false, 80_000), (90_000, false, 80_000)]
        {
            pieces.push_open(open(page, is_doubtful));
            assert_eq!(pieces.open[MAX_OPEN_IN_PAGE].after, lone(in_place_of_it).after, "{page}");
        }
        assert_eq!((pieces.open.len(), pieces.dropped), (MAX_OPEN_ROWS, 4));
        let mut embedded = Embedded::default();
        (1..=MAX_EMBEDDED_ROWS as u64 + 1).for_each(|n| embedded.add(lone(n).after));
        assert!(embedded.has(&lone(MAX_EMBEDDED_ROWS as u64).after));
        assert!(!embedded.has(&lone(MAX_EMBEDDED_ROWS as u64 + 1).after));
    }
}
