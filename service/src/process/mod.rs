//! The skeleton that both processes share: the commands `run` and `check`, the parts of a process and their ordered
//! shutdown, the thread of a writer, freed memory, the files of the state directory, and the ends of a command line.
//!
//! A process is a [`Core`], which is what it exists for, and [`Parts`] around it: control socket, server, supervisor.
//! If any of them ends, the process ends, and its supervisor starts it again.

mod command_line;
mod free_memory;
mod parts;
mod service_command;
mod start_check;
mod state_dir;
mod unit_check;
mod worker_thread;

pub use command_line::{SettingFlags, in_runtime, main_with};
pub use free_memory::give_back_free_memory;
pub use parts::{Core, End, PartError, Parts, SHUTDOWN_TIMEOUT};
pub use service_command::{ServiceCommandError, ServiceSettings, check_service, run_service};
pub use start_check::{StartCheck, StartError};
pub use state_dir::{LOCAL_FILE, StateDir, StateDirError, TLS_DIRECTORY, has_address, own_addresses};
pub use unit_check::{ServiceUnit, UnitCheckError};
pub use worker_thread::WorkerThread;
