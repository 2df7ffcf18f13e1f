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

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a page that calls a full disk empty, or an unknown one full.
    #[test]
    fn there_is_room_down_to_the_reserve() {
        let total_bytes = 100 << 30;
        let floor = min_free_bytes(total_bytes);
        let trust = "its key".to_owned();
        let details =
            SiteDetails { addresses: Vec::new(), trust, store: StoreId([1; 16]), paired_at_us: 0, disk: None };
        assert!(details.has_room(), "unknown");
        for (free_bytes, has_room) in [(floor + 1, true), (floor, true), (floor - 1, false)] {
            let disk = Some(FreeDisk { free_bytes, total_bytes });
            assert_eq!(SiteDetails { disk, ..details.clone() }.has_room(), has_room, "{free_bytes}");
        }
    }
}
