//! Nightly backups: a running process backs its stores up into a directory, by itself.
//!
//! [`NightlyBackups`] is a part of the process. When a backup is due, it reads the directory, makes room,
//! writes the file, proves it, and removes the oldest ones. [`BackupStates`] holds what came of it, for status, health and
//! metrics.
//!
//! # Decisions
//!
//! - **The process writes, not a timer of systemd.** It knows the age of the last backup without asking, says so where
//!   people look, and tries again when the stick is back.
//! - **Local time by the machine's zone, if the clock can be trusted.** The office hands over its `time_zone`. A barn has no
//!   such setting, because its log needs none; its card or its installation sets the zone of the machine. Without a zone it
//!   is UTC.
//! - **At the barn, only a clock that a time server has set counts.** A Pi without one goes on from the time of its last
//!   shutdown, so that 02:30 may come on no day at all if the barn is switched off at night. Then a backup is made an hour
//!   after the start, and every 24 hours of time since boot. A backup that was missed while the machine was off is made after
//!   the start. The office trusts its clock: it may be set by another program than the one whose mark is looked for.
//! - **A directory without a backup gets one at once.** Whoever plugs in a stick sees minutes later that it works.
//! - **A log that did not grow is not written again.** Its last backup is read and proved instead, which is dated by the
//!   file's time of modification. A barn in winter does not wear out a stick, and learns that the stick still holds it.
//! - **Only a backup that the log continues is ever removed**, which its position and digest show. One that ends at another
//!   history may be the only copy of reads that this machine lost with its card. It stays, and takes its room.
//! - **The newest one is never removed, and the bound on the room includes the file that is being written.** So the bound
//!   must hold two. A bound that is passed for an hour every night was rejected: a stick is full at once.
//! - **The thread rests as long as it worked**, page by page, so that half of the disk's time is left to the recorder, and
//!   it syncs every few megabytes: the kernel's cache would otherwise fill with pages for a slow stick, and stall every
//!   writer of the machine. A lower priority of the thread was rejected: the sandbox of the unit forbids it.

mod error;
mod job;
mod keeper;
mod metrics;
mod schedule;
mod settings;
mod shelf;
mod state;
#[cfg(test)]
mod tests;

pub use error::NightlyError;
pub use keeper::NightlyBackups;
pub use metrics::encode_backups;
pub use schedule::{ClockTrust, Schedule};
pub use settings::{BackupSettings, TimeOfDay, TimeOfDayError};
pub use state::{BackupFailure, BackupGauge, BackupReport, BackupStates, VerifiedBackup};
