//! The bodies of the blobs, wire version 1. The order of fields is frozen.

use super::BlobKind;
use crate::position::{Digest, Position, Sequence};
use crate::store::{Changes, Head, RunOfChanges};
use serde::{Deserialize, Serialize};

/// A type that is the body of one kind of blob.
pub trait Body {
    /// Which.
    const KIND: BlobKind;
}

/// The history's own barn, as far as the sender knows: a mirror passes on what it heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarnHead {
    /// The last change that the barn was heard to hold.
    pub head: Sequence,
    /// How long ago that was heard, milliseconds; 0 at the barn itself, none where it never was.
    pub age_ms: Option<u64>,
    /// Payloads that the barn counted as duplicates, in all.
    pub duplicates: u64,
}

/// Where the sender of a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageEnd {
    /// The position that the changes lead to.
    pub end: Position,
    /// The last change that the sender holds: how many more there are.
    pub head: Sequence,
    /// The history's own barn.
    pub barn: BarnHead,
}

/// Changes in order, without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The position that they continue.
    pub after: Position,
    /// The position that they lead to, and what lies beyond.
    pub end: PageEnd,
    /// Their stored bytes.
    pub changes: Changes,
}

/// What is durable at the follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The last change, with its digest.
    pub durable: Position,
}

/// A sign of life, sent by both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// What is durable at the sender.
    pub position: Position,
    /// The last change in its tables.
    pub folded: Sequence,
    /// By which fold; digests of two folds are not compared.
    pub fold_version: u32,
    /// The fold digest at `folded`.
    pub fold_digest: Digest,
    /// The history's own barn.
    pub barn: BarnHead,
}

/// What a source holds and speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// The version of the blobs.
    pub wire_version: u8,
    /// Where it stands.
    pub state: Heartbeat,
}

/// The end of a full export: proves that nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportEnd {
    /// How many changes the pages held.
    pub count: u64,
    /// The position that they lead to.
    pub end: Position,
}

impl Body for Page {
    const KIND: BlobKind = BlobKind::Page;
}

impl Body for Acknowledged {
    const KIND: BlobKind = BlobKind::Acknowledged;
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

impl Page {
    /// A page of these changes.
    #[must_use]
    pub fn new(run: RunOfChanges, head: Sequence, barn: BarnHead) -> Self {
        Self { after: run.after, end: PageEnd { end: run.end, head, barn }, changes: run.changes }
    }

    /// Its changes, to be applied.
    #[must_use]
    pub fn into_run(self) -> RunOfChanges {
        RunOfChanges { after: self.after, changes: self.changes, end: self.end.end }
    }
}

impl Heartbeat {
    /// What a store that stands at `head` says.
    #[must_use]
    pub fn of(head: &Head, barn: BarnHead) -> Self {
        Self {
            position: head.position,
            folded: head.folded,
            fold_version: crate::fold::FOLD_VERSION,
            fold_digest: head.fold_digest,
            barn,
        }
    }
}
