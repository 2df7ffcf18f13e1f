//! Payloads that were already in the log, counted by channel and remembered one by one.
//!
//! The counts are in `local.redb`; the latest duplicates are in memory only. A duplicate makes no change, and a write for
//! each one would cost the disk the work that the duplicate check saves.

use super::RemoteApi;
use herd::clock::iso_utc_if_set;
use herd::position::Sequence;
use serde::Serialize;

/// Maximum number of channels in a response. A yard has a few radios, and a key for each program.
pub const MAX_CHANNELS: usize = 1_000;

/// Duplicates of one channel, over all runs of the barn's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelDuplicates {
    /// Radio, modem or key through which they arrived.
    pub channel: String,
    /// Number of duplicates.
    pub count: u64,
    /// Arrival of the latest one, ISO 8601 in UTC; `None` if the barn's clock had never been set.
    pub last_at: Option<String>,
    /// Strongest signal among them; `None` over HTTP.
    pub best_rssi_dbm: Option<i16>,
}

/// A payload that was already in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicateView {
    /// Its number among the duplicates of the process, from 1.
    pub id: u64,
    /// Always `duplicate`.
    pub status: &'static str,
    /// The change that it repeats.
    pub of: Sequence,
    /// Radio, modem or key through which it arrived.
    pub channel: String,
    /// Signal strength; `None` over HTTP.
    pub rssi_dbm: Option<i16>,
    /// Time of arrival by the barn's clock, ISO 8601 in UTC; `None` if that clock had never been set.
    pub received_at: Option<String>,
}

impl DuplicateView {
    /// Creates the view of duplicate number `id`, which repeats the change `of`.
    pub fn new(id: u64, of: Sequence, channel: String, rssi_dbm: Option<i16>, received_at_us: i64) -> Self {
        Self { id, status: "duplicate", of, channel, rssi_dbm, received_at: iso_utc_if_set(received_at_us) }
    }
}

/// Number of duplicates that the barn has counted.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DuplicateCounts {
    /// The total; `None` before the first contact with the barn.
    pub(super) count: Option<u64>,
    /// Age of the count; 0 at the barn itself.
    pub(super) age_ms: Option<u64>,
    /// The count of each channel. Empty at the office, which receives only the total.
    channels: Vec<ChannelDuplicates>,
}

impl DuplicateCounts {
    pub(super) fn new(api: &dyn RemoteApi) -> Self {
        let barn = api.barn_head();
        let mut channels = api.duplicates_by_channel();
        channels.truncate(MAX_CHANNELS);
        Self { count: barn.age_ms.map(|_| barn.duplicates), age_ms: barn.age_ms, channels }
    }
}
