//! The folder: the owner of the rows that are folded, and of their way into the tables.

use super::super::disk::Disk;
use super::super::tables::{StoredState, Tables, TablesFile, TablesState, TablesWriter, View};
use super::super::{STAGED_BYTES, StoreError};
use super::publisher::Sealed;
use super::run::{DecodedRun, Run};
use crate::change::ChangeError;
use crate::digest::chain_next;
use crate::fold::{Rows, StagedRows, fold};
use crate::position::{Digest, Sequence};

/// Folds changes into the tables. There is one per store.
#[derive(Debug)]
pub(in super::super) struct Folder {
    tables: TablesWriter,
    /// Rows in memory, above the tables. All are sealed between two groups.
    pub(in super::super) rows: StagedRows<View>,
    /// The state of the tables with all sealed rows.
    state: TablesState,
    /// Why nothing more is folded: the next change cannot be decoded.
    blocked: Option<ChangeError>,
}

impl Folder {
    pub(in super::super) fn new(disk: &dyn Disk, file: TablesFile, stored: &StoredState) -> Result<Self, StoreError> {
        let (mut tables, state) = (TablesWriter::new(disk, file, stored)?, stored.tables);
        let rows = StagedRows::new(tables.view(), state.folded, state.sum);
        Ok(Self { tables, rows, state, blocked: None })
    }

    /// Returns the reading end of the tables.
    pub(in super::super) fn tables(&self) -> &Tables {
        self.tables.tables()
    }

    /// Returns the state of the tables with all sealed rows.
    pub(in super::super) fn state(&self) -> &TablesState {
        &self.state
    }

    /// Returns whether nothing more is folded.
    pub(in super::super) fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Folds and seals a run, up to the first change that this program cannot decode. What was sealed before must be
    /// published.
    pub(in super::super) fn fold(&mut self, run: &Run) -> Result<Sealed, StoreError> {
        self.make_room()?;
        let before = self.state.folded;
        if self.blocked.is_none() {
            self.blocked = fold_changes(&mut self.rows, run, before)?;
        }
        let folded = self.rows.folded();
        let digest = if folded == run.last {
            run.digest
        } else {
            let numbered = run.changes().zip(before.0 + 1..=folded.0);
            numbered.fold(self.state.digest, |digest, (bytes, n)| chain_next(digest, Sequence(n), bytes))
        };
        Ok(self.seal(digest))
    }

    /// Seals the folded rows. `digest` is that of the chain after the last folded change.
    pub(in super::super) fn seal(&mut self, digest: Digest) -> Sealed {
        let rows = self.rows.seal();
        let (folded, sum) = (self.rows.folded(), self.rows.sum());
        self.state = TablesState { folded, digest, sum, ..self.state };
        Sealed { rows, state: self.state, blocked: self.blocked.clone() }
    }

    /// Has full generations flushed. Called before each group, so that no answer waits for a flush. What was sealed must be
    /// published.
    pub(in super::super) fn make_room(&mut self) -> Result<(), StoreError> {
        self.shrink();
        if let Some(view) = self.tables.make_room()? {
            self.rows.rebase(view);
        }
        Ok(())
    }

    /// Drops rows in memory if they take too much. What was sealed must be published.
    pub(in super::super) fn shrink(&mut self) {
        self.rows.shrink(STAGED_BYTES);
    }

    /// Makes the tables durable.
    pub(in super::super) fn settle(&mut self) -> Result<(), StoreError> {
        let view = self.tables.settle()?;
        self.rows.rebase(view);
        // Nobody is waiting for these rows.
        self.rows.shrink(0);
        Ok(())
    }

    /// Flushes the generation that is frozen, or else freezes the current one.
    pub(in super::super) fn step_flush(&mut self) -> Result<(), StoreError> {
        let view = self.tables.step()?;
        self.rows.rebase(view);
        Ok(())
    }
}

/// Folds a run that follows `after`, up to the first change that this program cannot decode. Returns why it cannot.
fn fold_changes<B: Rows>(
    staged: &mut StagedRows<B>,
    run: &Run,
    after: Sequence,
) -> Result<Option<ChangeError>, StoreError> {
    let DecodedRun { changes, blocked } = run.decoded();
    for (change, n) in changes.iter().zip(after.0 + 1..) {
        fold(staged, Sequence(n), change)?;
    }
    Ok(blocked.clone())
}
