//! Lists of the machine that a value of the card is checked against.

use service::card::{check_time_zone, closest};
use std::path::PathBuf;

/// Directory of the time zones, below the root.
const ZONES: &str = "usr/share/zoneinfo";
/// Start of every file of a time zone.
const ZONE_MAGIC: &[u8] = b"TZif";
/// Maximum size of the list of countries or zones. The real ones have less than 30 kB.
const MAX_LIST_BYTES: usize = 1024 * 1024;

/// The root file system of the machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    zones: PathBuf,
}

impl Machine {
    pub(super) fn new(root: &std::path::Path) -> Self {
        Self { zones: root.join(ZONES) }
    }

    /// Returns the reason why this is no time zone, with the mend; `None` if it is one.
    pub(super) fn time_zone_mistake(&self, zone: &str) -> Option<String> {
        if let Err(reason) = check_time_zone(zone) {
            return Some(reason);
        }
        let start = super::durable::read(&self.zones.join(zone), ZONE_MAGIC.len());
        if start.is_ok_and(|start| start.is_some_and(|start| start.starts_with(ZONE_MAGIC))) {
            return None;
        }
        let list = self.list("zone1970.tab");
        let names = || list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split('\t').nth(2));
        let city = |name: &str| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(zone));
        let proposal = names().find(|name| city(name)).or_else(|| closest(zone, names()));
        let mend =
            proposal.map_or("write one such as America/Denver".to_owned(), |name| format!("did you mean {name}?"));
        Some(format!("is not a known time zone: {mend}"))
    }

    /// Returns the reason why this is no country, with the mend; `None` if it is one, or if the machine has no list.
    pub(super) fn country_mistake(&self, country: &str) -> Option<String> {
        let list = self.list("iso3166.tab");
        let mut codes = list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split('\t').next());
        let is_known = list.is_empty() || codes.any(|code| code == country);
        (!is_known).then(|| format!("is {country}, which is not a country code: write yours, such as US or CA"))
    }

    fn list(&self, name: &str) -> String {
        let bytes = super::durable::read(&self.zones.join(name), MAX_LIST_BYTES).ok().flatten().unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
