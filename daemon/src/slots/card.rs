//! Actions on the slots of a card, and the rules for them.

use super::Slot;
use super::booted_slot::BootedSlot;
use super::copies::{Copies, StateError};
use super::disk::{RawDisk, SlotDiskError};
use super::layout::{Extent, Layout, LayoutError, SECTOR_BYTES};
use super::state::Trial;
use serde::Serialize;

/// Starts that a new root gets to prove itself. One of them may end in a power cut, and another one with it.
pub const TRIAL_STARTS: u8 = 3;

/// Place of the magic number in an ext4 file system.
const EXT4_MAGIC_OFFSET: u64 = 0x438;
const EXT4_MAGIC: [u8; 2] = [0x53, 0xef];

/// Reason why an action on the slots failed or was refused.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The disk has no slots.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] SlotDiskError),
    /// The state could not be written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The running root is on trial, so the other slot is the only one that has proved itself.
    #[error(
        "slot {running} is on trial and not confirmed: wait until `herdlinxd slot show` reports it as good, or run \
         `herdlinxd slot back` and reboot"
    )]
    Unconfirmed {
        /// The running slot.
        running: Slot,
    },
    /// The trial of the running root was ended, so the other slot starts next.
    #[error("the trial of the running slot {running} was ended: reboot into slot {}, then try again", running.other())]
    TrialEnded {
        /// The running slot.
        running: Slot,
    },
    /// The good slot is not the running one, although there is no trial: U-Boot could not start it.
    #[error("slot {good} is the good one already, and could not be started: install an update, which writes it anew")]
    CannotStart {
        /// The slot that counts as good.
        good: Slot,
    },
    /// The other slot was never written, or its update was interrupted.
    #[error("slot {slot} holds no complete root: install an update first")]
    Empty {
        /// The slot.
        slot: Slot,
    },
}

/// State of the slots and of the running root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SlotStatus {
    /// Slot that is running.
    pub running: Slot,
    /// True if the running root is on trial and not confirmed yet.
    pub on_trial: bool,
    /// Slot that starts unless there is a trial.
    pub good: Slot,
    /// Slot on trial.
    pub trial_slot: Option<Slot>,
    /// Starts that the trial has left.
    pub trial_starts_left: Option<u8>,
    /// Numbers of both copies of the state; `None` for one that is damaged or was never written.
    pub copies: [Option<u32>; 2],
}

impl SlotStatus {
    fn new(copies: &Copies, booted: BootedSlot) -> Self {
        let state = copies.newest();
        let trial = state.and_then(|state| state.trial);
        Self {
            running: booted.slot,
            on_trial: booted.is_trial && trial.is_some_and(|trial| trial.slot == booted.slot),
            // Without a valid copy, U-Boot starts slot a.
            good: state.map_or(Slot::A, |state| state.good),
            trial_slot: trial.map(|trial| trial.slot),
            trial_starts_left: trial.map(|trial| trial.starts_left),
            copies: copies.0.map(|copy| copy.map(|state| state.sequence)),
        }
    }

    /// Returns true if the next start is a trial of the other slot.
    fn has_pending_trial(&self) -> bool {
        self.trial_slot == Some(self.running.other()) && self.trial_starts_left > Some(0)
    }
}

/// Result of a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The running slot is good from now on.
    Done,
    /// It was good before; nothing was written.
    NotNeeded,
}

/// Result of going back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// A trial was ended; this slot starts next.
    TrialEnded(Slot),
    /// The trial was ended before; this slot starts next. Nothing was written.
    NotNeeded(Slot),
    /// This slot starts next, on trial.
    TrialBegun(Slot),
}

/// A disk with slots, and the slot that is running.
#[derive(Debug)]
pub struct Card<D> {
    disk: D,
    layout: Layout,
    booted: BootedSlot,
}

impl<D: RawDisk> Card<D> {
    /// Finds the slots on the disk.
    pub fn new(disk: D, booted: BootedSlot) -> Result<Self, SlotError> {
        let mut mbr = [0; SECTOR_BYTES];
        disk.read_at(&mut mbr, 0)?;
        Ok(Self { disk, layout: Layout::decode(&mbr)?, booted })
    }

    /// Returns the disk.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// Returns the slot that is running.
    pub fn running(&self) -> Slot {
        self.booted.slot
    }

    /// Returns the place of the slot that is not running.
    pub fn idle_extent(&self) -> Extent {
        self.layout.slot(self.running().other())
    }

    /// Reads the state.
    pub fn status(&self) -> SlotStatus {
        self.read().1
    }

    fn read(&self) -> (Copies, SlotStatus) {
        let copies = Copies::read(&self.disk);
        (copies, SlotStatus::new(&copies, self.booted))
    }

    /// Makes the running slot the good one. Writes nothing if it is.
    pub fn confirm(&self) -> Result<Confirmation, SlotError> {
        let (copies, status) = self.read();
        let running = status.running;
        if !status.on_trial {
            if status.good == running {
                return Ok(Confirmation::NotNeeded);
            }
            if self.booted.is_trial {
                return Err(SlotError::TrialEnded { running });
            }
        }
        copies.write_next(&self.disk, running, None)?;
        Ok(Confirmation::Done)
    }

    /// Has the other slot start next: ends a trial, or begins one of the root from before the last update.
    pub fn back(&self) -> Result<Return, SlotError> {
        let (copies, status) = self.read();
        let SlotStatus { running, good, .. } = status;
        if status.on_trial || status.has_pending_trial() {
            copies.write_next(&self.disk, good, None)?;
            return Ok(Return::TrialEnded(good));
        }
        if good != running {
            return if self.booted.is_trial {
                Ok(Return::NotNeeded(good))
            } else {
                Err(SlotError::CannotStart { good })
            };
        }
        if !self.idle_holds_root()? {
            return Err(SlotError::Empty { slot: running.other() });
        }
        self.begin_trial()?;
        Ok(Return::TrialBegun(running.other()))
    }

    /// Returns true if the idle slot begins like a file system. An update writes this part last.
    fn idle_holds_root(&self) -> Result<bool, SlotError> {
        let mut magic = [0; EXT4_MAGIC.len()];
        self.disk.read_at(&mut magic, self.idle_extent().offset + EXT4_MAGIC_OFFSET)?;
        Ok(magic == EXT4_MAGIC)
    }

    /// Checks that the idle slot may be overwritten: the running one must be able to start without it.
    pub fn check_idle(&self) -> Result<(), SlotError> {
        let SlotStatus { running, on_trial, good, .. } = self.status();
        if on_trial {
            return Err(SlotError::Unconfirmed { running });
        }
        if good != running && self.booted.is_trial {
            return Err(SlotError::TrialEnded { running });
        }
        Ok(())
    }

    /// Makes sure that U-Boot does not start the idle slot while it is being written.
    ///
    /// It would if that slot has a pending trial, or if it counts as good and could not be started last time.
    pub fn release_idle(&self) -> Result<(), SlotError> {
        self.check_idle()?;
        let (copies, status) = self.read();
        if status.good != status.running || status.trial_slot.is_some() {
            copies.write_next(&self.disk, status.running, None)?;
        }
        Ok(())
    }

    /// Puts the idle slot on trial.
    pub fn begin_trial(&self) -> Result<(), SlotError> {
        let running = self.running();
        let trial = Trial { slot: running.other(), starts_left: TRIAL_STARTS };
        Copies::read(&self.disk).write_next(&self.disk, running, Some(trial))?;
        Ok(())
    }
}
