//! Short texts.
//!
//! # Decisions
//!
//! - **A text of up to 24 bytes needs no allocation.** A change has about fifteen texts, and an animal as many: tags, lids, pens,
//!   numbers of batches, names of channels. Almost all are shorter. As `String`s they were most of the allocations of a
//!   fold. Decoding that borrows from the stored bytes was rejected: it would need a second type for each that a change
//!   holds, and would still copy every text that goes into a row.

/// A text, kept in place if it is short. It is serialized like a `String`.
pub type Text = compact_str::CompactString;
