//! A person accepts a log that lacks changes: the next epoch begins on what is there.
//!
//! # Decisions
//!
//! - **The lost changes keep their numbers in the epoch before.** The next epoch gives those numbers again. A follower that
//!   holds the lost changes sees the higher epoch, keeps them, and waits for an operator.
//! - **A missing log begins again under the same identity,** so that an office recognizes the barn and shows what only its
//!   copy holds.
//! - **A journal that does not continue the log is set aside, not deleted.** It may hold the only copy of changes.

use super::error::{StoreError, is_about_journal, storage};
use super::journal::JOURNAL_FILE;
use super::opening::Terms;
use super::{Disk, Store};
use crate::change::{Acceptance, Change, EpochStart};
use crate::clock::ClockReading;
use crate::decide::Rules;
use crate::position::{Epoch, Position, StoreId};

/// Maximum number of files of one name that are set aside. More than one means that the same log was accepted again and again.
const MAX_SET_ASIDE: u32 = 100;

impl Store {
    /// Opens the source's store in `disk`, although it may lack changes up to `expected`, and begins the next epoch.
    ///
    /// `new_id` returns random identities. `clock` holds the number of the machine's current boot.
    pub fn accept_source(
        disk: &dyn Disk,
        expected: Option<&Position>,
        acceptance: Acceptance,
        rules: &Rules,
        clock: ClockReading,
        mut new_id: impl FnMut() -> StoreId,
    ) -> Result<Self, StoreError> {
        let (writer, new_store) = (new_id(), new_id());
        let store_id = expected.map_or(new_store, |expected| expected.store);
        let mut store = open_setting_journal_aside(disk, || {
            Self::open(disk, Terms::default(), rules.clone(), clock.boot, || store_id)
        })?;
        store.begin_epoch(expected.map_or(Epoch(0), |expected| expected.epoch), acceptance, clock, writer)?;
        store.settle()?;
        Ok(store)
    }

    /// Appends the start of an epoch after `lost` and all that the log has.
    pub(super) fn begin_epoch(
        &mut self,
        lost: Epoch,
        acceptance: Acceptance,
        clock: ClockReading,
        writer: StoreId,
    ) -> Result<(), StoreError> {
        let epoch = Epoch(self.head().position.epoch.max(lost).0.saturating_add(1));
        let began = EpochStart { epoch, store: self.log.store(), writer, clock, acceptance: Some(acceptance) };
        self.append_change(&Change::Epoch(began))
    }
}

/// Opens a store. If its journal does not continue the log, opens it without the journal, which gets another name.
fn open_setting_journal_aside(
    disk: &dyn Disk,
    open: impl Fn() -> Result<Store, StoreError>,
) -> Result<Store, StoreError> {
    let error = match open() {
        Err(error) if is_about_journal(&error) => error,
        opened => return opened,
    };
    let name = set_journal_aside(disk)?;
    tracing::warn!(%error, name, "the journal does not continue the log; it is kept under another name");
    open()
}

/// Gives the journal another name, and returns it: a journal may hold the only copy of changes, so none is deleted.
pub fn set_journal_aside(disk: &dyn Disk) -> Result<String, StoreError> {
    let name = name_aside(disk, JOURNAL_FILE)?;
    disk.rename(JOURNAL_FILE, &name)?;
    Ok(name)
}

/// Returns a free name under which a file is set aside.
pub fn name_aside(disk: &dyn Disk, file: &str) -> Result<String, StoreError> {
    let free = (1..=MAX_SET_ASIDE).map(|n| format!("{file}.set-aside-{n}")).find(|name| !disk.holds(name));
    let why = || format!("{MAX_SET_ASIDE} are set aside already; move them to another directory");
    free.ok_or_else(|| storage("set aside", file)(why()))
}
