//! Start and end of a process: exit codes, the shutdown signal, and the room on its disk.

mod exit;
mod free_disk;
mod shutdown;

pub use exit::Exit;
pub use free_disk::{FreeDisk, FreeDiskError, free_disk, min_free_bytes};
pub use shutdown::{Shutdown, ShutdownTrigger, shutdown_on_signals};
