//! A barn and an office as processes of their own, with real files, real TLS and real HTTP between them.
//!
//! They can be stopped, killed and started again on the same files and the same port. Their logs lie in their state
//! directories, and every error here names the log to look at.

mod barn;
mod child;
mod client;
mod error;
mod office;
pub mod parts;
mod ports;
mod process;

pub use barn::{Barn, BarnSettings, BarnSide};
pub use client::{Client, Coming, Reply};
pub use error::ProcessError;
pub use office::{Office, OfficeSettings, OfficeSide};
pub use parts::Programs;
pub use ports::free_port_or;
pub use process::{Process, Side};
pub use service::door::certificate::IdentityFiles;

#[cfg(test)]
mod tests;
