//! What is told of a store, and of what was taken from it: of the barn's own, and at the office of each site's copy.

use super::{Families, Family};
use crate::sync::Delivered;
use herd::query::{QueryError, TotalsView};
use herd::store::Reader;
use prometheus_client::encoding::EncodeLabelSet;
use std::fmt;

const HEAD: Family = Family::new("head_sequence", "The last change that is durable here.");
const FOLDED: Family = Family::new("folded_sequence", "The last change that is in the tables.");
const MISSED: Family = Family::new("missed_events", "Event counters that were passed over and never heard.");
const PAGES: Family = Family::new("sync_pages", "Pages of changes sent to followers: pulled, exported, or live.");
const CHANGES: Family = Family::new("sync", "Changes on these pages.").in_unit("changes");
const FOLLOWERS: Family = Family::new("sync_followers", "Live connections of followers.");
const EVENTS: Family = Family::new("events_told", "Events told, each counted once for every listener.");
const LISTENERS: Family = Family::new("event_listeners", "Connections that events are told to.");

/// Where stores stand, each with its labels.
pub fn stores<L: EncodeLabelSet + Copy>(families: &mut Families<'_>, stores: &[(L, Reader)]) -> fmt::Result {
    let heads: Vec<_> = stores.iter().map(|(labels, reader)| (*labels, reader.head())).collect();
    families.gauges(HEAD, heads.iter().map(|(labels, head)| (*labels, head.position.sequence.0)))?;
    families.gauges(FOLDED, heads.iter().map(|(labels, head)| (*labels, head.folded.0)))?;
    let missed = stores.iter().filter_map(|(labels, reader)| Some((*labels, totals(reader)?.missed_events)));
    families.gauges(MISSED, missed)
}

/// What was taken from stores, and who is connected to take more; each with its labels.
pub fn deliveries<L: EncodeLabelSet + Copy>(families: &mut Families<'_>, of: &[(L, Delivered)]) -> fmt::Result {
    families.counters(PAGES, of.iter().map(|(labels, delivered)| (*labels, delivered.pages)))?;
    families.counters(CHANGES, of.iter().map(|(labels, delivered)| (*labels, delivered.changes)))?;
    families.gauges(FOLLOWERS, of.iter().map(|(labels, delivered)| (*labels, delivered.followers)))?;
    families.counters(EVENTS, of.iter().map(|(labels, delivered)| (*labels, delivered.events)))?;
    families.gauges(LISTENERS, of.iter().map(|(labels, delivered)| (*labels, delivered.listeners)))
}

/// A store that does not read tells nothing of its tables; the log says why, and all else is told.
fn totals(reader: &Reader) -> Option<TotalsView> {
    let totals = reader.snapshot().map_err(QueryError::from).and_then(|snapshot| snapshot.totals());
    totals.inspect_err(|error| tracing::warn!(%error, "the totals could not be read for the metrics")).ok()
}
