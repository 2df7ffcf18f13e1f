//! The signed facts about an update, and the conditions for installing it.

use semver::Version;
use serde::{Deserialize, Serialize};

/// Newest format of the state directory that this program writes (see the [module](super)).
///
/// | format | brought |
/// |---|---|
/// | 1 | `log.redb` and `local.redb` |
/// | 2 | `log.journal`, which holds acknowledged changes after a power cut. A root before it would not see them |
///
/// Format 2 includes payloads that came back (version 2 of a Received change) and the note of a recovery in `local.redb`,
/// although a root of the first commits with that number reads neither: none of them was released.
pub const WRITES_STATE_FORMAT: u32 = 2;

/// Newest format of the state directory that this program reads. It is raised a release before the other number.
pub const READS_STATE_FORMAT: u32 = 2;

const _: () = assert!(WRITES_STATE_FORMAT <= READS_STATE_FORMAT, "a program reads what it writes");

/// Facts about an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the root, as semantic versioning has it.
    pub version: Version,
    /// Commit that the root was built from.
    pub commit: String,
    /// Size of the image.
    pub slot_bytes: u64,
    /// SHA-256 of the image.
    #[serde(with = "hex")]
    pub slot_sha256: [u8; 32],
    /// Newest format of the state directory that the root writes.
    pub state_format: u32,
}

/// Reason why an update is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitError {
    /// The root is older than the running one.
    #[error("the update has version {update}, and {running} is running: --allow-downgrade installs it all the same")]
    Downgrade {
        /// Version of the update.
        update: Version,
        /// Version of this program.
        running: Version,
    },
    /// The running program could not read what the new root writes, if it had to return.
    #[error(
        "the update writes format {update} of the stored records, and this version reads up to {READS_STATE_FORMAT}: \
         install a version between the two first"
    )]
    StateFormat {
        /// Format that the new root writes.
        update: u32,
    },
    /// The image is empty or larger than the slot.
    #[error("the update's image has {image} bytes, and a slot of this card has {slot}: flash a newer card image")]
    Size {
        /// Size of the image.
        image: u64,
        /// Size of the slot.
        slot: u64,
    },
    /// The version of this program is not one.
    #[error("this program has no semantic version: {0}")]
    OwnVersion(String),
}

impl Manifest {
    /// Checks whether the root may replace the other one in a slot of this size.
    pub fn check(&self, slot_bytes: u64, allow_downgrade: bool) -> Result<(), UnfitError> {
        let running = Version::parse(env!("CARGO_PKG_VERSION"));
        let running = running.map_err(|error| UnfitError::OwnVersion(error.to_string()))?;
        // Build metadata is no part of the order.
        if self.version.cmp_precedence(&running).is_lt() && !allow_downgrade {
            return Err(UnfitError::Downgrade { update: self.version.clone(), running });
        }
        if self.state_format > READS_STATE_FORMAT {
            return Err(UnfitError::StateFormat { update: self.state_format });
        }
        if self.slot_bytes == 0 || self.slot_bytes > slot_bytes {
            return Err(UnfitError::Size { image: self.slot_bytes, slot: slot_bytes });
        }
        Ok(())
    }
}
