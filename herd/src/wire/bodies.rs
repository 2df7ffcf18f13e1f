//! Bodies of the blobs in wire version 1. The order of their fields is frozen.

use super::blob::{BlobKind, Body};
use crate::clock::WallTime;
use crate::position::{Digest, Epoch, Position, Sequence};
use crate::store::{ChangeRun, Changes, Head};
use serde::{Deserialize, Serialize};

/// State of the barn that writes the history, as far as the sender knows it. A mirror passes on what the barn told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarnHead {
    /// Last change that the barn reported.
    pub head: Sequence,
    /// Age of that report in milliseconds; 0 at the barn itself, `None` if there was no report yet.
    pub age_ms: Option<u64>,
    /// Total number of payloads that the barn counted as duplicates.
    pub duplicates: u64,
}

/// End of a page, and the state of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageEnd {
    /// Position after the last change of the page.
    pub end: Position,
    /// Last change that the sender holds; shows how many more there are.
    pub head: Sequence,
    /// State of the barn that writes the history.
    pub barn: BarnHead,
}

/// Consecutive changes of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Position before the first change.
    pub after: Position,
    /// Position after the last change, and the state of the sender.
    pub end: PageEnd,
    /// Stored bytes of the changes.
    pub changes: Changes,
}

/// Progress of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgment {
    /// Position up to which the follower's log is durable.
    pub durable: Position,
}

/// A sign of life, which both sides send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Position up to which the sender's log is durable.
    pub position: Position,
    /// Last change in the sender's tables.
    pub folded: Sequence,
    /// Version of the fold that wrote the tables. Digests of two versions are not compared.
    pub fold_version: u32,
    /// Fold digest at `folded`.
    pub fold_digest: Digest,
    /// State of the barn that writes the history.
    pub barn: BarnHead,
}

/// State of a source, and the wire version that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Version of the blobs.
    pub wire_version: u8,
    /// Positions and digests of the source.
    pub state: Heartbeat,
}

/// Start of a backup file: whose log it holds, and up to where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupStart {
    /// Name of the barn. For people only.
    pub site: String,
    /// When the backup began, by the clock of the machine that wrote it. For people only.
    pub made: WallTime,
    /// Position after the last change of the file.
    pub end: Position,
    /// Epochs up to there, with the changes that began them.
    pub epochs: Vec<(Epoch, Sequence)>,
}

/// End of a full export or a backup. Its presence proves that the export is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportEnd {
    /// Number of changes on all pages.
    pub count: u64,
    /// Position after the last change.
    pub end: Position,
}

/// Number of characters of a site's name that are shown.
const SHOWN_SITE_CHARS: usize = 60;

impl BackupStart {
    /// Returns the name of the barn for messages: short, and without what a terminal would obey.
    #[must_use]
    pub fn shown_site(&self) -> String {
        self.site.chars().filter(|char| !char.is_control()).take(SHOWN_SITE_CHARS).collect()
    }
}

impl Body for Page {
    const KIND: BlobKind = BlobKind::Page;
}

impl Body for Acknowledgment {
    const KIND: BlobKind = BlobKind::Acknowledgment;
}

impl Body for Heartbeat {
    const KIND: BlobKind = BlobKind::Heartbeat;
}

impl Body for Schema {
    const KIND: BlobKind = BlobKind::Schema;
}

impl Body for ExportEnd {
    const KIND: BlobKind = BlobKind::ExportEnd;
}

impl Body for BackupStart {
    const KIND: BlobKind = BlobKind::BackupStart;
}

impl Page {
    /// Makes a page of a run of changes.
    #[must_use]
    pub fn new(run: ChangeRun, head: Sequence, barn: BarnHead) -> Self {
        Self { after: run.after, end: PageEnd { end: run.end, head, barn }, changes: run.changes }
    }

    /// Returns the changes as a run that a store can apply.
    #[must_use]
    pub fn into_run(self) -> ChangeRun {
        ChangeRun { after: self.after, changes: self.changes, end: self.end.end }
    }
}

impl Heartbeat {
    /// Makes the heartbeat of a store with this head.
    #[must_use]
    pub fn new(head: &Head, barn: BarnHead) -> Self {
        Self {
            position: head.position,
            folded: head.folded,
            fold_version: crate::fold::FOLD_VERSION,
            fold_digest: head.fold_digest,
            barn,
        }
    }
}
