//! The `backup` command of both programs, their nightly backups, and the proof of a file: [`herd::backup`] as it meets
//! processes and media.
//!
//! Both ways of making a backup write the same file through the same target, which gives it its name once it is proved.
//! [`NightlyBackups`] has its own decisions in its module.
//!
//! # Decisions
//!
//! - **The command writes the file, and the running process hands it the changes** over the control socket, page by page.
//!   So a person writes wherever that person may write. Rejected: the process writes. It sees no homes, and a path would mean
//!   another file to it than to the person who typed it. Only nightly backups, whose place is a setting, are its own.
//! - **A file has its name only once it was read back.** Until then it is `FILE.partial`, which the next backup to the same
//!   file overwrites. So a file with its name is whole, whenever the power or the command ended, and an older backup stays until
//!   the new one is proved. The kernel's cache is dropped before the proof: it would return what was written, whatever the
//!   medium kept.
//! - **A partial file that is there is removed, never reused.** Somebody else may have made it, and would read owners and
//!   weights in it. Only the holder of its lock removes or renames it, so no command takes the file of another one.
//! - **The part that may become another user has a thread of its own.** Root works on the files of a stopped service as
//!   their owner, and that user may not write to root's directories. Rights belong to a thread in Linux.

mod command;
mod error;
mod medium;
mod nightly;
mod prove;
mod room;
mod target;
#[cfg(test)]
mod tests;
mod transfer;

pub use command::{BackupArgs, BackupSource, ProgramStore, WriteFromFiles, backup_with};
pub use error::BackupCommandError;
pub use medium::are_on_one_disk;
pub use nightly::{
    BackupFailure, BackupGauge, BackupReport, BackupSettings, BackupStates, ClockTrust, NightlyBackups, NightlyError,
    Schedule, TimeOfDay, TimeOfDayError, VerifiedBackup, encode_backups,
};
pub use prove::{ProgressLines, backup_text, open_backup, prove_file};
pub use room::NoRoomError;
pub use target::{BackupTarget, FinishStep, OnFinishStep, TargetError};
pub use transfer::{BackupRequest, BackupResponse, EncodedRun, respond};
