//! Metrics of stores and of what clients took from them.
//!
//! The barn has one store; the office has one copy per site.

use super::families::{Families, Family};
use crate::sync::SyncCounts;
use herd::query::{QueryError, TotalsView};
use herd::store::Reader;
use prometheus_client::encoding::EncodeLabelSet;
use std::fmt;

const HEAD: Family = Family::new("head_sequence", "Latest change that is durable here.");
const FOLDED: Family = Family::new("folded_sequence", "Latest change in the tables.");
const MISSED: Family = Family::new("missed_events", "Event counters that were skipped and never received.");
const PAGES: Family = Family::new("sync_pages", "Pages of changes sent to followers: pulled, exported or live.");
const CHANGES: Family = Family::new("sync", "Changes in the pages sent to followers.").in_unit("changes");
const FOLLOWERS: Family = Family::new("sync_followers", "Live connections of followers.");
const EVENTS: Family = Family::new("events_told", "Events sent, each counted once per listener.");
const LISTENERS: Family = Family::new("event_listeners", "Connections that receive events.");

/// Encodes the positions of stores, each with its labels.
pub fn encode_stores<L: EncodeLabelSet + Copy>(families: &mut Families<'_>, stores: &[(L, Reader)]) -> fmt::Result {
    let heads: Vec<_> = stores.iter().map(|(labels, reader)| (*labels, reader.head())).collect();
    families.gauges(HEAD, heads.iter().map(|(labels, head)| (*labels, head.position.sequence.0)))?;
    families.gauges(FOLDED, heads.iter().map(|(labels, head)| (*labels, head.folded.0)))?;
    let missed = stores.iter().filter_map(|(labels, reader)| Some((*labels, totals(reader)?.missed_events)));
    families.gauges(MISSED, missed)
}

/// Encodes the deliveries of stores and their open connections, each with its labels.
pub fn encode_deliveries<L: EncodeLabelSet + Copy>(
    families: &mut Families<'_>,
    deliveries: &[(L, SyncCounts)],
) -> fmt::Result {
    families.counters(PAGES, deliveries.iter().map(|(labels, delivered)| (*labels, delivered.pages)))?;
    families.counters(CHANGES, deliveries.iter().map(|(labels, delivered)| (*labels, delivered.changes)))?;
    families.gauges(FOLLOWERS, deliveries.iter().map(|(labels, delivered)| (*labels, delivered.followers)))?;
    families.counters(EVENTS, deliveries.iter().map(|(labels, delivered)| (*labels, delivered.events)))?;
    families.gauges(LISTENERS, deliveries.iter().map(|(labels, delivered)| (*labels, delivered.listeners)))
}

/// Returns the totals of a store; `None` if they cannot be read.
///
/// The failure is logged, and the scrape goes on without them.
fn totals(reader: &Reader) -> Option<TotalsView> {
    let totals = reader.snapshot().map_err(QueryError::from).and_then(|snapshot| snapshot.totals());
    totals.inspect_err(|error| tracing::warn!(%error, "failed to read the totals for the metrics")).ok()
}
