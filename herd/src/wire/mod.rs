//! The wire format: how a source sends its log to a follower.
//!
//! A message is one *blob*: a header, a body and a digest over both. A blob is complete in itself, so the same bytes
//! work as an HTTP body, a WebSocket message or a part of a file.
//!
//! ```text
//! magic "HERDLINX" | wire version u8 | blob kind u8 | body length u32 LE | body | BLAKE3 of all before it, 32 bytes
//! ```
//!
//! The body is the postcard encoding of one type that never changes within a wire version. Stored changes travel in it
//! verbatim, so a new wire version cannot alter them. The golden bytes are in the tests.
//!
//! # Decisions
//!
//! - **Postcard behind a version byte, read as a whole.** Postcard is small and fast, but does not describe itself. One
//!   frozen type per version, with golden bytes, makes up for that. A blob with trailing bytes is an error.
//! - **A kind of blob that came later is sent only to a follower that names it**, as a follower ends a connection at a kind
//!   that it does not know. So barn and office of two versions go on, without what one of them does not know. The health of
//!   the barn is such a kind.
//! - **A page holds at most 10,000 changes and 4 MiB.** Larger pages gain nothing measurable and cost memory on both
//!   sides. A follower is a position, so nothing else queues up for it.

mod blob;
mod bodies;
mod cut_page;
mod health;

pub use blob::{
    BlobError, BlobKind, Body, MAX_BLOB_BYTES, MAX_PAGE_BYTES, MAX_PAGE_CHANGES, WIRE_VERSION, blob_kind, blob_length,
    from_blob, to_blob,
};
pub use bodies::{Acknowledgment, BackupStart, BarnHead, ExportEnd, Heartbeat, Page, PageEnd, Schema};
pub use cut_page::read_cut_page;
pub use health::{BarnHealth, HealthFinding, MAX_FINDINGS, MAX_PART_BYTES, MAX_TEXT_BYTES};

#[cfg(test)]
mod tests;
