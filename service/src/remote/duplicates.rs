//! Payloads that were already in the log, counted by channel and remembered one by one.

use super::Remote;
use herd::clock::iso_utc;
use herd::position::Sequence;
use serde::Serialize;

/// So many channels are told with their duplicates at most: a yard has some radios and a key for each program.
pub const MAX_CHANNELS_TOLD: usize = 1_000;

/// The duplicates of one channel; over all starts of the barn's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelDuplicates {
    /// The radio, modem or key that they came through.
    pub channel: String,
    /// How many.
    pub count: u64,
    /// When the last came, ISO 8601 in UTC.
    pub last_at: String,
    /// The strongest that one of them was heard; none over HTTP.
    pub best_rssi_dbm: Option<i16>,
}

/// A payload that was held already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicateView {
    /// Its number among the duplicates of the process, from 1.
    pub id: u64,
    /// Always `duplicate`.
    pub status: &'static str,
    /// The change that it repeats.
    pub of: Sequence,
    /// The radio, modem or key that it came through.
    pub channel: String,
    /// Signal strength; none over HTTP.
    pub rssi_dbm: Option<i16>,
    /// When it came by the barn's clock, ISO 8601 in UTC.
    pub received_at: String,
}

impl DuplicateView {
    /// The duplicate number `id`, which repeats the change `of`.
    pub fn new(id: u64, of: Sequence, channel: String, rssi_dbm: Option<i16>, received_at_us: i64) -> Self {
        Self { id, status: "duplicate", of, channel, rssi_dbm, received_at: iso_utc(received_at_us) }
    }
}

/// How many duplicates the barn has counted.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Duplicates {
    /// In all; none where the barn was not heard yet.
    pub(super) count: Option<u64>,
    /// How old the count is; 0 at the barn itself.
    pub(super) age_ms: Option<u64>,
    /// By channel; empty at the office, which is told the sum alone.
    channels: Vec<ChannelDuplicates>,
}

impl Duplicates {
    pub(super) fn of(remote: &dyn Remote) -> Self {
        let barn = remote.barn();
        let mut channels = remote.duplicates_by_channel();
        channels.truncate(MAX_CHANNELS_TOLD);
        Self { count: barn.age_ms.map(|_| barn.duplicates), age_ms: barn.age_ms, channels }
    }
}
