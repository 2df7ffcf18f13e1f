//! Details of a site that only its page shows: the pairing, the disk of the copies, and both sides of a divergence.
//!
//! They are read from the disk when somebody asks, and are no part of [`SiteStatus`](super::SiteStatus), which every page reads.

use super::files::SiteFiles;
use super::register::Site;
use crate::link::Trust;
use herd::position::StoreId;
use service::lifecycle::{FreeDisk, free_disk, min_free_bytes};

/// Details of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteDetails {
    /// Addresses of the barn, the most likely first.
    pub addresses: Vec<String>,
    /// The proof of identity that the barn has to give, in words.
    pub trust: String,
    /// Identity of the barn's history.
    pub store: StoreId,
    /// Time of the first pairing by this machine's clock, in microseconds since the Unix epoch.
    pub paired_at_us: i64,
    /// Room on the file system of the copies; `None` if that does not report it.
    pub disk: Option<FreeDisk>,
}

impl SiteDetails {
    pub(super) fn new(site: &Site, files: &SiteFiles) -> Self {
        let trust = match &site.trust {
            Trust::Pin(spki_sha256) => format!("its key, pinned: {}", hex::encode(spki_sha256)),
            Trust::Authority(path) => format!("a certificate of the authority in {}", path.display()),
        };
        let disk = free_disk(files.state_dir());
        Self {
            addresses: site.addresses.iter().map(ToString::to_string).collect(),
            trust,
            store: site.store,
            paired_at_us: site.added_at_us,
            disk: disk.inspect_err(|error| tracing::warn!(%error, "the room for copies is unknown")).ok(),
        }
    }

    /// Returns whether copying goes on with the room that is left; `true` if that is unknown.
    pub fn has_room(&self) -> bool {
        self.disk.is_none_or(|disk| disk.free_bytes >= min_free_bytes(disk.total_bytes))
    }
}
