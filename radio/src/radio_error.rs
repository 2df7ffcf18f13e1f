//! Errors that a radio can return.
//!
//! The errors of single kinds of radio are here too, and not in the modules of their radios, so that the
//! [`Radio`](crate::Radio) trait depends on no radio.

use std::io;
use std::path::{Path, PathBuf};

/// Why a radio returned no packet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RadioError {
    /// A simulation has reached its end. Retrying does not help.
    #[error("the radio has ended; no more packets will come")]
    Closed,
    /// The thread or task that receives has panicked, which is a defect. Only a new radio receives again.
    #[error("{part} has crashed, which is a defect of this program: please report it with the lines before this one")]
    Crashed {
        /// The thread or task.
        part: &'static str,
    },
    /// A simulation could not record the packet that it is about to deliver. The packet is kept; retrying may help.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The driver of a simulated radio could not be started. Retrying may help.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A simulation has ended, and the delivered packets are not those that its chip received: the driver has a defect.
    /// Retrying returns the same error.
    #[error(transparent)]
    Unaccounted(#[from] AccountError),
}

/// Why a radio could not be started.
///
/// Problems of the chip are not among these: the radio reports them as its health and retries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system could not create a thread.
    #[error("cannot start the thread of radio `{name}`: {source}")]
    Thread {
        /// Name of the radio.
        name: String,
        /// Error of the system.
        source: io::Error,
    },
    /// The chip does not support this power.
    #[error("a power of {power_dbm} dBm is not supported: the chip can do 2 to 17 dBm, or 20")]
    Power {
        /// The requested power.
        power_dbm: u8,
    },
}

/// A file of the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot {operation} {} of the simulated radio: {source}; free disk space or set another `ledger`",
    path.display()
)]
pub struct LedgerError {
    /// Operation that failed, as a phrase that fits after "cannot" and before the path.
    pub operation: &'static str,
    /// File that the operation was for.
    pub path: PathBuf,
    /// Error of the operating system.
    pub source: io::Error,
}

impl LedgerError {
    pub(crate) fn of(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { operation, path: path.to_owned(), source }
    }
}

/// The driver did not deliver exactly the packets that the emulated chip flagged good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "of the packets that the emulated chip flagged good, {read} were read, {unread} were left unread and {delivered} \
     were delivered{}: the driver lost, duplicated or altered packets, which is a bug in this program; please report it",
    if read == delivered { ", some of them with other bytes" } else { "" }
)]
pub struct AccountError {
    /// Packets flagged good and read from the chip.
    pub read: u64,
    /// Packets flagged good and left in the chip.
    pub unread: u64,
    /// Packets delivered by the driver.
    pub delivered: u64,
}
