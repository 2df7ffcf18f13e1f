//! The card of a barn: its files, and the ways back to a log after it was lost, put back or damaged.
//!
//! The commands `herdlinxd restore`, `recover` and `accept-log` work on directories. What they call in [`herd`] is called here
//! on disks in memory, in the same order.

use super::chance::Chance;
use super::plant::Plant;
use super::seams::{Seams, acceptance};
use herd::backup::{BackupReader, RestoreLogError, copy_log, restore_log, start_of};
use herd::clock::{Clock, ClockReading, RawReading};
use herd::decide::Rules;
use herd::position::Position;
use herd::recover::{Bytes, Gaps, Places, RecoverError, find_log};
use herd::store::{JOURNAL_FILE, LOG_FILE, MemoryDisk, Reader, Store, StoreError, verify_disk};

/// Largest number of bytes that damage overwrites.
const MAX_DAMAGED_BYTES: u64 = 6_000;

/// Reason why there is no new card.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The backup was refused.
    #[error(transparent)]
    Restore(#[from] RestoreLogError),
    /// The backup cannot be read or written.
    #[error("the backup is no good: {0}")]
    Backup(String),
    /// The log could not be recovered.
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

/// The files of a barn: the log and its tables, and what `local.redb` says about them.
#[derive(Clone, Debug)]
pub(super) struct Card {
    pub(super) disk: MemoryDisk,
    /// A position that the log has had durably.
    pub(super) remembered: Option<Position>,
    /// Number of the last boot.
    pub(super) boots: u32,
    /// Branch of the numbers that are given on it.
    pub(super) branch: u32,
}

impl Card {
    /// Returns an empty card.
    pub(super) fn empty(branch: u32) -> Self {
        Self { disk: MemoryDisk::default(), remembered: None, boots: 0, branch }
    }

    /// Returns what another card gets if the power is cut and this one is copied.
    pub(super) fn image(&self) -> Self {
        Self { disk: self.disk.after_power_cut(), ..self.clone() }
    }

    /// Opens the store for a machine that boots.
    pub(super) fn open(&mut self, seams: &Seams, clock: &dyn Clock) -> Result<Store, StoreError> {
        self.boots = self.boots.max(Store::last_boot(&self.disk)?) + 1;
        self.open_in_boot(seams, clock.read())
    }

    /// Opens the store for a process that starts again.
    pub(super) fn open_in_boot(&self, seams: &Seams, now: RawReading) -> Result<Store, StoreError> {
        let remembered = self.remembered.filter(|_| !seams.has(Plant::ReusedNumbers));
        let (clock, new_ids) = (now.in_boot(self.boots), seams.new_ids());
        let store = Store::open_source_after(&self.disk, remembered.as_ref(), Rules::default(), clock, new_ids)?;
        if seams.has(Plant::DroppedSync) {
            self.disk.ignore_syncs(JOURNAL_FILE);
        }
        Ok(store)
    }

    /// Begins the next epoch on what is there, as `herdlinxd accept-log` does.
    pub(super) fn accept(&mut self, seams: &Seams, clock: &dyn Clock) -> Result<(), StoreError> {
        self.boots = self.boots.max(Store::last_boot(&self.disk)?) + 1;
        let (reading, remembered) = (self.reading(clock), self.remembered);
        self.begin_epoch(seams, remembered.as_ref(), "an old log was put back", reading)
    }

    fn reading(&self, clock: &dyn Clock) -> ClockReading {
        clock.read().in_boot(self.boots)
    }

    fn begin_epoch(
        &mut self,
        seams: &Seams,
        expected: Option<&Position>,
        why: &str,
        clock: ClockReading,
    ) -> Result<(), StoreError> {
        let (rules, ids) = (Rules::default(), seams.new_ids());
        let store = Store::accept_source(&self.disk, expected, acceptance(why), &rules, clock, ids)?;
        self.remembered = Some(store.head().position);
        Ok(())
    }

    /// Makes a card of a backup, as `herdlinxd restore` does.
    pub(super) fn restore(backup: &[u8], branch: u32, seams: &Seams, clock: &dyn Clock) -> Result<Self, CardError> {
        let mut card = Self::empty(branch);
        let mut reader = BackupReader::open(backup).map_err(|error| CardError::Backup(error.to_string()))?;
        restore_log(&card.disk, &mut reader, &mut |_| {})?;
        card.boots = Store::last_boot(&card.disk)? + 1;
        if seams.has(Plant::SameEpoch) {
            return Ok(card);
        }
        let reading = card.reading(clock);
        card.begin_epoch(seams, None, "a backup", reading)?;
        Ok(card)
    }

    /// Overwrites some bytes of the log. Returns whether that has damaged it.
    pub(super) fn damage(&self, chance: &mut Chance) -> bool {
        let Some(mut content) = self.disk.content(LOG_FILE) else { return false };
        let at = chance.length_below(content.len());
        let length = 1 + chance.length_below(usize::try_from(MAX_DAMAGED_BYTES).unwrap_or(1));
        for byte in content.iter_mut().skip(at).take(length) {
            *byte ^= u8::try_from(1 + chance.below(255)).unwrap_or(1);
        }
        self.disk.overwrite(LOG_FILE, &content);
        // The copy keeps the pages as they are: a check of the log repairs what it opens.
        verify_disk(&self.disk.after_kill(), &mut |_| {}).is_err()
    }

    /// Makes a card of the whole rows of this one and of a backup, as `herdlinxd recover --from` does.
    pub(super) fn recover(
        &self,
        given: Option<&Vec<u8>>,
        seams: &Seams,
        clock: &dyn Clock,
    ) -> Result<(Self, Gaps), CardError> {
        let remembered = self.remembered;
        let given = given.map(|bytes| bytes as &dyn Bytes);
        let places = Places { own: Some(&self.disk), given, remembered, history: None };
        let found = find_log(places, &mut |_| {})?;
        let mut card = Self { disk: MemoryDisk::default(), ..self.clone() };
        let end = found.write(&card.disk, &mut |_| {})?;
        let gaps = found.gaps(end, remembered.as_ref());
        card.boots = card.boots.max(Store::last_boot(&card.disk)?).max(found.last_boot()?) + 1;
        let (latest, why) = (found.latest(remembered.as_ref())?, acceptance("a damaged log"));
        let (rules, reading) = (Rules::default(), card.reading(clock));
        let mut store = Store::accept_source(&card.disk, Some(&latest), why.clone(), &rules, reading, seams.new_ids())?;
        found.readmit(&mut store, end, &why, &mut |_| {})?;
        store.settle()?;
        card.remembered = Some(store.head().position);
        Ok((card, gaps))
    }

    /// Adds what a copy of another card's log holds besides, as `herdlinxd recover --from` does to a log that is whole and ends
    /// at `end`. Returns the number of payloads that were appended.
    pub(super) fn add(
        self,
        given: &Vec<u8>,
        end: &Position,
        seams: &Seams,
        clock: &dyn Clock,
    ) -> Result<(Self, u64), CardError> {
        let places = Places { own: Some(&self.disk), given: Some(given), remembered: self.remembered, history: None };
        let mut found = find_log(places, &mut |_| {})?;
        if (found.end().sequence, found.end().digest) != (end.sequence, end.digest) {
            // The given log goes on where this one ends.
            drop(found);
            return Ok((self.recover(Some(given), seams, clock)?.0, 0));
        }
        found.close_log();
        let found = found.into_given();
        let mut card = Self { boots: self.boots.max(found.last_boot()?), ..self.clone() };
        let mut store = card.open(seams, clock)?;
        let readmitted = found.readmit(&mut store, *end, &acceptance("the card of a clone"), &mut |_| {})?;
        store.settle()?;
        let remembered = Some(store.head().position);
        drop(store);
        Ok((Self { remembered, ..card }, readmitted.kept))
    }
}

/// Returns a backup of what a reader shows.
pub(super) fn backup(of: &Reader, clock: &dyn Clock) -> Result<Vec<u8>, CardError> {
    let (start, mut bytes) = (start_of(of, "world", clock.read().wall()), Vec::new());
    copy_log(of, &start, &mut bytes, &mut |_| {}).map_err(|error| CardError::Backup(error.to_string()))?;
    Ok(bytes)
}
