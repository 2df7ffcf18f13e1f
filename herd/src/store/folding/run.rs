//! Runs of changes on their way from the log to the tables.

use super::super::Changes;
use crate::position::Position;
use std::sync::Arc;

/// Consecutive changes to fold.
#[derive(Debug)]
pub(in super::super) struct Run {
    /// The changes, which follow the last one that was folded.
    pub(in super::super) changes: Arc<Changes>,
    /// The position after them.
    pub(in super::super) end: Position,
}

/// Size of a run, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RunSize {
    pub(super) changes: u64,
    pub(super) bytes: usize,
}

impl Run {
    pub(super) fn size(&self) -> RunSize {
        RunSize { changes: self.changes.len() as u64, bytes: self.changes.bytes() }
    }
}
