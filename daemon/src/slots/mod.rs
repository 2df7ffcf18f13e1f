//! The two slots of a card, and the state that chooses which of them starts.
//!
//! A slot is one partition with all that a root consists of: kernel, initrd, device trees and the root itself. An update
//! writes the idle slot and puts it on trial. U-Boot counts the starts of a trial, and [`watch`] confirms the trial once
//! the new root serves. A root that never gets there uses up its starts, and the good slot returns.
//!
//! | module | content |
//! |---|---|
//! | [`state`] | the state and its 512 bytes, which U-Boot reads and writes too |
//! | [`copies`] | the two copies on the disk: which one counts, and how the other one is replaced |
//! | [`disk`], [`layout`] | the raw disk, and where its slots are |
//! | [`booted_slot`] | the slot that the machine was started from, and its disk |
//! | [`card`] | what may be done with the slots, and when it is refused |
//! | [`trial`], [`before_trial`], [`watch`] | the conditions for a confirmation; the command that waits for them |
//! | [`command`] | `herdlinxd slot` |
//!
//! # Decisions
//!
//! - **The state is outside all file systems**, in two sectors 4 and 8 MiB into the disk. Both U-Boot and Linux write
//!   it, and U-Boot's FAT and ext4 have no journal: `saveenv` rewrites 50 sectors of the partition that holds the
//!   firmware. A change overwrites the older copy only, so a power cut leaves the old state or the new one.
//! - **The bytes are a U-Boot environment**, because that is what Debian's U-Boot can check and count without a
//!   file system. `image/card.d/boot/boot.cmd` is its reader and writer.
//! - **A confirmed slot is not counted and not written at a start.** Power cuts must not bring an old version back, and
//!   an ordinary start must not wear the card.
//! - **RAUC was rejected.** It needs 34 packages and a backend of our own that would call this code. What it adds are
//!   signed files, which are a page of code in [`crate::update`].
//! - **What a root on trial writes, the good root must be able to read.** [`crate::update`] says how that holds.

pub mod before_trial;
pub mod booted_slot;
pub mod card;
pub mod command;
pub mod copies;
pub mod disk;
#[cfg(test)]
pub(crate) mod fault_disk;
pub mod layout;
pub mod state;
#[cfg(test)]
mod tests;
pub mod trial;
pub mod watch;

use serde::{Deserialize, Serialize};
use std::fmt;

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// Partition 2, where a card has its first root.
    A,
    /// Partition 3.
    B,
}

impl Slot {
    /// Returns the other slot.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Returns the slot of this name, as U-Boot and the kernel command line write it.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "a" => Some(Self::A),
            "b" => Some(Self::B),
            _ => None,
        }
    }

    /// Returns the name of the slot.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
