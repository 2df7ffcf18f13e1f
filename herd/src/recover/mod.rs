//! Recovers a damaged log: finds its rows in the raw bytes of its files, chains them from the start of the history, and
//! writes them to a new log.
//!
//! | module | holds |
//! |---|---|
//! | `window` | a part of a file in memory |
//! | `rows`, `pages` | the search for rows of a log, and for pages of a backup |
//! | `links` | the places of rows that nothing announces |
//! | `surroundings` | the bytes around a row, which may be those of a payload |
//! | `chain` | the unbroken chain |
//! | `islands` | what lies behind a gap, appended once more |
//! | `write` | the chain, as a new log |
//!
//! # Decisions
//!
//! - **Nothing is taken that its digests do not prove.** A row with one wrong bit is given up as a whole: which of its changes
//!   is wrong, nobody can tell.
//! - **The bytes of a payload are never taken for a row.** A row counts if it is longer than any payload, if a record announces
//!   it, or if another one follows it; see `links`. A page may be the bytes of a payload as well; see `surroundings`. A row in
//!   which an intact one lies hides it.
//! - **The log is not opened.** redb needs the header, the roots and every page on the way to a row, and any of these may be
//!   what is damaged. Old copies of pages count as well: the log only grows, so a row in one of them is still true.
//! - **What lies behind a gap is appended once more,** as Received changes with their old times and origin, which name their
//!   old place ([`Readmission`](crate::change::Readmission)). The chain cannot cross a gap, and a log with two chains would be
//!   another format for every reader. Corrections behind a gap are named, and not repeated: they were decided on animals that
//!   the gap may have changed.
//! - **The own log, the journal and a given file count together.** A row that is damaged in one of them may be whole in another:
//!   an office's backup fills the gap, and then nothing is lost.
//! - **A whole log is left as it is.** A given file then adds what only it holds, such as the reads that an office has kept.
//! - **Memory is bounded by [`MAX_RECOVER_BYTES`],** however large the log is. Rows that follow each other in a page are
//!   one piece; nothing is held of a piece but its place and its ends; the journal is read in place.
//! - **What the medium does not return counts as zeros.** A card that fails in some blocks still has the others.

mod chain;
mod error;
mod islands;
mod links;
mod pages;
mod pieces;
mod rows;
mod surroundings;
#[cfg(test)]
mod tests;

mod window;
mod write;

pub use error::RecoverError;
pub use islands::Gaps;
pub use window::Bytes;

use crate::change::Change;
use crate::digest::log_start;
use crate::position::{Epoch, Position, Sequence, StoreId};
use crate::store::raw::{RawFile, RawJournal};
use crate::store::{Disk, LOG_FILE};
use chain::{Chain, Parts};
use pages::find_pages;
use pieces::{Files, Piece, Pieces, Source};
use rows::{Announcements, find_rows};
use surroundings::Surroundings;

/// Maximum memory of a search for a log, besides the given file and what its caller holds. Pieces of the history take most of it:
/// 96 bytes for each that is found, and about as much again while they are chained.
pub const MAX_RECOVER_BYTES: u64 = 64 * 1024 * 1024;

/// Progress of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoverProgress {
    /// Bytes of the current file that were searched.
    Reading {
        /// Bytes that are done.
        done: u64,
        /// Bytes in the file.
        of: u64,
    },
    /// Changes that were written to the new log.
    Writing {
        /// Changes that are done.
        done: u64,
        /// Changes of the chain.
        of: u64,
    },
    /// Payloads that were looked at, to be appended once more.
    Appending {
        /// Payloads that are done.
        done: u64,
    },
}

/// Receives the progress.
pub type OnProgress<'a> = dyn FnMut(RecoverProgress) + 'a;

/// The places in which rows are looked for.
#[derive(Clone, Copy, Default)]
pub struct Places<'a> {
    /// Disk with the damaged log, if that is to be searched.
    pub own: Option<&'a dyn Disk>,
    /// A file besides: a copy of a log, or a backup, whole or cut.
    pub given: Option<&'a dyn Bytes>,
    /// The history of the log, if it is whole and not searched.
    pub history: Option<StoreId>,
    /// A position that the machine has had durably.
    pub remembered: Option<Position>,
}

/// Rows and pages that were found of a history, and their chain. The files of the log are locked while it lives.
pub struct FoundLog<'a> {
    files: Files<'a>,
    pieces: Vec<Piece>,
    /// By piece, whether it is the beginning of another one, or nothing proves it.
    is_left_out: Vec<bool>,
    chain: Chain,
    store: StoreId,
    /// Rows that may be whole, and that nothing places.
    unplaced: u64,
    /// Bytes that the medium did not return.
    unreadable: u64,
    /// Epoch at the end of a given backup, as its start states it.
    stated: Epoch,
}

impl FoundLog<'_> {
    /// Returns the history.
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// Returns the end of the unbroken chain. Its epoch is not known yet.
    pub fn end(&self) -> Position {
        let (sequence, digest) = self.chain.end;
        Position { store: self.store, epoch: Epoch(0), sequence: Sequence(sequence), digest }
    }

    /// Returns the number of rows that may be whole, and that nothing places.
    pub fn unplaced(&self) -> u64 {
        self.unplaced
    }

    /// Returns the number of bytes that the medium did not return.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}

/// Searches for the rows of a log, and chains them.
pub fn find_log<'a>(places: Places<'a>, progress: &mut OnProgress<'_>) -> Result<FoundLog<'a>, RecoverError> {
    let (files, pieces) = (Files::default(), Pieces::default());
    let mut search = Search { places, files, pieces, unreadable: 0, is_proven: true, stated: Epoch(0) };
    let own = search.search_own(progress)?;
    let store = search.search_given(own, progress)?;
    let Search { files, mut pieces, unreadable, is_proven, stated, .. } = search;
    let known: Vec<_> = [Some(log_start(store)), places.remembered].into_iter().flatten().collect();
    pieces.sort();
    let open = links::place_open(&mut pieces, &files, &known);
    pieces.sort();
    let mut parts = Parts::of(&pieces.list, &files, places.remembered.as_ref())?;
    let surroundings = Surroundings::of(&pieces.list, &files, &pieces.embedded);
    let unplaced = open + parts.leave_out_payloads(&surroundings);
    if !is_proven && !parts.given_has_neighbor() {
        return Err(RecoverError::Unproven);
    }
    let chain = match places.history {
        // What the whole log holds is found there.
        Some(_) => Chain { steps: Vec::new(), end: (0, log_start(store).digest), own_end: 0 },
        None => parts.follow(store),
    };
    let is_left_out = parts.into_left_out();
    Ok(FoundLog { files, pieces: pieces.list, is_left_out, chain, store, unplaced, unreadable, stated })
}

struct Search<'a> {
    places: Places<'a>,
    files: Files<'a>,
    pieces: Pieces,
    unreadable: u64,
    /// Something shows that the given file is of this history.
    is_proven: bool,
    stated: Epoch,
}

impl Search<'_> {
    /// Searches the files of the log. Returns the history that they or the machine name.
    fn search_own(&mut self, progress: &mut OnProgress<'_>) -> Result<Option<StoreId>, RecoverError> {
        let remembered = self.places.remembered.map(|position| position.store).or(self.places.history);
        let Some(disk) = self.places.own else { return Ok(remembered) };
        if let Some(log) = RawFile::open(disk, LOG_FILE)? {
            self.unreadable += find_rows(&log, Source::Log, Announcements::Pages, &mut self.pieces, progress)?;
            self.files.log = Some(Box::new(log));
        }
        let of_log = self.history_of(Source::Log, remembered);
        if let (Some(remembered), Some(found)) = (remembered, of_log)
            && remembered != found
        {
            return Err(RecoverError::ForeignLog { found, remembered });
        }
        let store = remembered.or(of_log);
        let Some(journal) = RawJournal::open(disk)? else { return Ok(store) };
        let announced = journal.announced();
        let store = store.or_else(|| announced.iter().find_map(|row| row.store));
        find_rows(&journal, Source::Journal, Announcements::Known(announced, store), &mut self.pieces, progress)?;
        self.files.journal = Some(Box::new(journal));
        Ok(store)
    }

    /// Searches the given file. `own` is the history of this barn, if it is known. Returns the history.
    fn search_given(&mut self, own: Option<StoreId>, progress: &mut OnProgress<'_>) -> Result<StoreId, RecoverError> {
        let Some(given) = self.places.given else { return own.ok_or(RecoverError::NoHistory) };
        let before = self.pieces.list.len() + self.pieces.open.len();
        let found = find_pages(given, &mut self.pieces, progress)?;
        self.files.given = Some(given);
        self.unreadable += found.unreadable;
        self.stated = found.stated;
        if !found.is_backup {
            find_rows(given, Source::Given, Announcements::Pages, &mut self.pieces, progress)?;
        }
        if self.pieces.list.len() + self.pieces.open.len() == before {
            return Err(RecoverError::WrongFile);
        }
        let of_file = found.store.or_else(|| self.history_of(Source::Given, own));
        self.is_proven = of_file.is_some();
        match (own, of_file) {
            (Some(own), Some(found)) if own != found => Err(RecoverError::OtherHistory { found, own }),
            (own, of_file) => own.or(of_file).ok_or(RecoverError::Unproven),
        }
    }

    /// Returns the history whose first change is in a file: the known one, if a payload looks like the beginning of another.
    fn history_of(&self, source: Source, known: Option<StoreId>) -> Option<StoreId> {
        let first = self.pieces.list.iter().filter(|piece| piece.first == 1 && piece.place.source == source);
        let begun: Vec<_> = first.filter_map(|piece| Some((piece, self.history_begun(piece)?))).collect();
        if let Some(known) = known.filter(|known| begun.iter().any(|(_, store)| store == known)) {
            return Some(known);
        }
        let surroundings = Surroundings::of(&self.pieces.list, &self.files, &self.pieces.embedded);
        begun.into_iter().find(|(piece, _)| !surroundings.may_be_payload(piece)).map(|(_, store)| store)
    }

    fn history_begun(&self, piece: &Piece) -> Option<StoreId> {
        let changes = self.files.changes(piece).ok()?;
        match Change::from_bytes(changes.get(0)?) {
            Ok(Change::Epoch(began)) if log_start(began.store).digest == piece.before => Some(began.store),
            _ => None,
        }
    }
}
