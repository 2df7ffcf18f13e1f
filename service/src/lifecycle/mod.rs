//! Start and end of a process: exit codes, the shutdown signal, lines for people, and the room on its disk.

mod exit;
mod free_disk;
mod notice;
mod shutdown;

pub use exit::Exit;
pub use free_disk::{FreeDisk, FreeDiskError, free_disk, min_free_bytes};
pub use notice::print_notice;
pub use shutdown::{Shutdown, ShutdownTrigger, reopen_log_on_hangup, shutdown_on_signals};
