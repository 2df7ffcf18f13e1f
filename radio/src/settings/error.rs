//! Errors of opening and examining a radio.

use crate::SettingsError;
use crate::simulated::{LedgerError, ScriptError};
use crate::sx127x::{ChipError, StartError};

/// Why a radio could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A value is out of range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The script cannot be played.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The thread that drives the chip could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Why a chip could not be examined, or did not pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamineError {
    /// A value is out of range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The chip does not work as it should.
    #[error(transparent)]
    Chip(#[from] ChipError),
}
