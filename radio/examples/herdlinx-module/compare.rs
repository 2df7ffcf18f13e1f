//! Comparison of what the chip heard with what the barn stored.

use crate::ledger::Ledger;
use crate::stored_payloads::StoredPayload;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

/// Maximum number of payloads that are listed per kind of difference.
const MAX_EXAMPLES: usize = 5;
const DAY_S: f64 = 86_400.0;

/// Differences between the chip's ledger and the barn's log, and figures of the run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Comparison {
    /// Number of transmissions per fate.
    fates: BTreeMap<String, u64>,
    flagged_good: usize,
    stored: usize,
    /// Payloads that were stored less often than flagged good.
    missing: usize,
    /// Payloads that were stored more often than flagged good.
    repeated: usize,
    /// Payloads that were stored and never flagged good.
    foreign: usize,
    /// The first payloads of each kind of difference.
    #[serde(rename = "first_of_them")]
    examples: Vec<String>,
    /// Rising edges of the chip's DIO0 pin.
    edges: u32,
    resets: u32,
    /// Time from the start of the kernel until the barn logged that its first payload is durable.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_change_s: Option<f64>,
    /// Time from the first to the last reception in the barn's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_s: Option<f64>,
}

impl Comparison {
    pub(crate) fn is_equal(&self) -> bool {
        self.flagged_good > 0 && [self.missing, self.repeated, self.foreign] == [0; 3]
    }
}

/// Compares by payload, because each payload is transmitted once. `first_kept` is the time at which the barn logged its
/// first payload as durable.
pub(crate) fn compare(ledger: &Ledger, stored: &[StoredPayload], first_kept: Option<&str>) -> io::Result<Comparison> {
    let mut comparison = differences(ledger, stored);
    let boot_s = seconds_of_day_at_boot()?;
    let first_s = stored.last().and_then(|first| seconds_of_day(&first.received_at));
    let last_s = stored.first().and_then(|last| seconds_of_day(&last.received_at));
    comparison.first_change_s = first_kept.and_then(seconds_of_day).map(|kept_s| between(boot_s, kept_s));
    comparison.duration_s = first_s.zip(last_s).map(|(first_s, last_s)| between(first_s, last_s));
    Ok(comparison)
}

fn differences(ledger: &Ledger, stored: &[StoredPayload]) -> Comparison {
    let heard: Vec<&str> = ledger.packets.iter().filter(|entry| entry.good).map(|entry| &*entry.payload).collect();
    // The number of times that each payload was heard and stored.
    let mut counts = BTreeMap::<&str, (usize, usize)>::new();
    for payload in &heard {
        counts.entry(payload).or_default().0 += 1;
    }
    for one in stored {
        counts.entry(&one.payload).or_default().1 += 1;
    }
    let select = |differs: fn(usize, usize) -> bool| -> Vec<String> {
        let selected = counts.iter().filter(|(_, (heard, stored))| differs(*heard, *stored));
        selected.map(|(payload, _)| (*payload).to_owned()).collect()
    };
    let missing = select(|heard, stored| stored < heard);
    let repeated = select(|heard, stored| heard > 0 && stored > heard);
    let foreign = select(|heard, _| heard == 0);
    Comparison {
        fates: ledger.fates.clone(),
        flagged_good: heard.len(),
        stored: stored.len(),
        missing: missing.len(),
        repeated: repeated.len(),
        foreign: foreign.len(),
        examples: [missing, repeated, foreign]
            .iter()
            .flat_map(|kind| kind.iter().take(MAX_EXAMPLES))
            .cloned()
            .collect(),
        edges: ledger.edges,
        resets: ledger.resets,
        ..Comparison::default()
    }
}

/// Returns the time of day at which the kernel started, on this machine's clock, which must not have been set since.
fn seconds_of_day_at_boot() -> io::Result<f64> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_secs_f64();
    let uptime = fs::read_to_string("/proc/uptime")?;
    let up_s: f64 = uptime.split(' ').next().and_then(|up| up.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok((now_s - up_s).rem_euclid(DAY_S))
}

/// Returns the time of day: 26,100.25 for `2026-03-01T07:15:00.250000Z`.
fn seconds_of_day(iso: &str) -> Option<f64> {
    let (_, time) = iso.strip_suffix('Z')?.split_once('T')?;
    let mut parts = time.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(hours * 3_600.0 + minutes * 60.0 + seconds)
}

/// Returns the seconds from one time of day to the next occurrence of another.
fn between(one_s: f64, other_s: f64) -> f64 {
    ((other_s - one_s).rem_euclid(DAY_S) * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Entry;

    fn heard(packets: &[(&str, bool)]) -> Ledger {
        let packets = packets.iter().map(|(payload, good)| Entry {
            fate: "read".to_owned(),
            good: *good,
            payload: (*payload).to_owned(),
        });
        Ledger { packets: packets.collect(), ..Ledger::default() }
    }

    fn stored(payloads: &[&str]) -> Vec<StoredPayload> {
        let received_at = "2026-03-01T07:15:00.250000Z".to_owned();
        payloads
            .iter()
            .map(|one| StoredPayload { payload: (*one).to_owned(), received_at: received_at.clone() })
            .collect()
    }

    /// Returns the numbers of missing, repeated and foreign payloads, and whether the two sides are equal.
    fn summary(ledger: &Ledger, stored: &[StoredPayload]) -> (usize, usize, usize, bool) {
        let comparison = differences(ledger, stored);
        (comparison.missing, comparison.repeated, comparison.foreign, comparison.is_equal())
    }

    #[test]
    fn payloads_stored_once_are_equal_in_any_order() {
        let ledger = heard(&[("a", true), ("spoiled", false), ("b", true)]);
        assert_eq!(summary(&ledger, &stored(&["b", "a"])), (0, 0, 0, true));
    }

    #[test]
    fn missing_repeated_and_foreign_payloads_are_counted() {
        let ledger = heard(&[("a", true), ("spoiled", false), ("b", true)]);
        assert_eq!(summary(&ledger, &stored(&["b"])), (1, 0, 0, false));
        assert_eq!(summary(&ledger, &stored(&["b", "a", "b"])), (0, 1, 0, false));
        assert_eq!(summary(&ledger, &stored(&["b", "a", "spoiled"])), (0, 0, 1, false));
        assert_eq!(summary(&ledger, &stored(&["b", "A"])), (1, 0, 1, false));
    }

    #[test]
    fn comparison_without_any_packet_is_not_equal() {
        assert_eq!(summary(&heard(&[]), &stored(&[])), (0, 0, 0, false));
    }

    #[test]
    fn times_of_day_are_parsed_and_compared_over_midnight() {
        assert_eq!(seconds_of_day("2026-03-01T07:15:00.250000Z"), Some(26_100.25));
        assert_eq!(seconds_of_day("07:15"), None);
        assert!((between(86_399.0, 1.5) - 2.5).abs() < 0.001);
    }
}
