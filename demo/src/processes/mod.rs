//! A barn and an office as child processes, with real files, TLS and HTTP between them.
//!
//! A process can be stopped, killed and started again on the same files and the same port. Its log is in its state
//! directory, and the errors about a process that does not run name that log.

mod barn;
mod client;
mod error;
mod log_export;
mod office;
mod process;
pub mod programs;
mod store_state;
#[cfg(test)]
mod tests;

pub use barn::{Barn, BarnSettings, BarnSide};
pub use client::{Client, Reply, ReplyStream};
pub use error::ProcessError;
pub use log_export::{LogExport, LogExportError, fetch_state};
pub use office::{Office, OfficeSettings, OfficeSide};
pub use process::{Process, Side};
pub use programs::Programs;
pub use service::door::certificate::IdentityFiles;
pub use store_state::StoreState;
