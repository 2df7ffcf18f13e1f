//! The skeleton that both processes share: their parts and the ordered shutdown, the thread of a writer, the files of
//! the state directory, the check of a start, and the ends of a command line.
//!
//! A process is a [`Core`], which is what it exists for, and [`Parts`] around it: control socket, server, supervisor.
//! If any of them ends, the process ends, and its supervisor starts it again.

mod command_line;
mod parts;
mod start_check;
mod state_dir;
mod unit_check;
mod worker_thread;

pub use command_line::{SettingFlags, in_runtime, main_with};
pub use parts::{Core, End, PartError, Parts, SHUTDOWN_TIMEOUT};
pub use start_check::{StartCheck, StartError};
pub use state_dir::{LOCAL_FILE, StateDir, StateDirError, TLS_DIRECTORY};
pub use unit_check::{ServiceUnit, UnitCheckError};
pub use worker_thread::WorkerThread;
