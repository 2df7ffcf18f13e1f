//! `herdlinxd update`: installs a signed root in the idle slot of a card.
//!
//! | module | content |
//! |---|---|
//! | [`mod@file`], [`manifest`] | the bytes of an update file and its signed facts; reading and writing them |
//! | [`keys`] | the public keys that a card trusts, and the key that signs |
//! | [`frames`] | the compressed image as a stream |
//! | [`install`] | writing the idle slot so that a power cut at any time leaves the running one |
//! | [`seal`] | making an update file, for `cargo xtask update-file` |
//! | [`command`] | `herdlinxd update` |
//!
//! # The file
//!
//! | bytes | content |
//! |---|---|
//! | 16 | `herdlinx-update`, newline |
//! | 4 | format, little endian: 1 |
//! | 4 | length of the manifest, little endian: 64 KiB at most |
//! | .. | the manifest, TOML |
//! | 64 | Ed25519 signature over everything before it |
//! | rest | the image of the slot, as zstd frames |
//!
//! The manifest names the SHA-256 of the image, so the signature covers the image as well. It is checked before anything
//! is written; the image is hashed while it is written, and again as the disk returns it. A newer format has another
//! number. New keys of the manifest do not need one, as unknown keys are skipped.
//!
//! # Formats of the state directory
//!
//! The trial of a new root ends in the old root if it fails, with everything that the new one has written to `/var`. **So a
//! root on trial writes only what the root before it can read.** This holds because a format changes in two releases: the
//! first one reads the new format, and the second one writes it. [`manifest::WRITES_STATE_FORMAT`] and
//! [`manifest::READS_STATE_FORMAT`] number the formats of all files that outlive an update: the rows of the log and the
//! changes in them, the journal, `local.redb`, redb's own file format, and what `firstboot` keeps. The manifest has the
//! number that the new root writes, and `update` refuses a number that the running program cannot read. Tables are not
//! counted: a program folds them again if they are of another `FOLD_VERSION`. A format must change there first where
//! `ARCHITECTURE.md` lists its golden bytes, so a changed test is the reminder.
//!
//! Rejected: writing the old format until the update is confirmed. Every writer would then exist twice, and the change
//! would take place at a moment that no test of a release sees.
//!
//! # Decisions
//!
//! - **ruzstd, not the zstd crate.** The frames are not covered by a signature while they are decoded, and root decodes
//!   them. Memory-safe code is worth more there than speed: a card takes about 20 MB/s, which is the bottleneck.
//! - **Ed25519 by ring**, which TLS uses already.
//! - **The boot partition is never written.** Firmware, U-Boot and `boot.scr` exist once, so a power cut there could not be
//!   undone. What may have to change with a kernel is in the slot: its own `slot.scr`, device trees and overlays.
//! - **No patch files and no download.** An image is one file that a person copies or pipes, and a barn needs no
//!   internet. Equal blocks of two squashfs images are rare.

pub mod command;
pub mod file;
pub mod frames;
pub mod install;
pub mod keys;
pub mod manifest;
pub mod seal;
#[cfg(test)]
mod tests;
