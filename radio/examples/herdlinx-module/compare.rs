//! What the chip heard against what the barn kept.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use serde::Serialize;

use crate::ledger::Ledger;
use crate::log::Stored;

/// So many payloads of each kind are told.
const MOST_TOLD: usize = 5;
const DAY_S: f64 = 86_400.0;

/// How they differ, and figures of the run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    /// How many transmissions met each fate.
    fates: BTreeMap<String, u64>,
    flagged_good: usize,
    stored: usize,
    /// Flagged good and not kept, kept more than once, kept and not flagged good: how many, and the first of them.
    missing: usize,
    repeated: usize,
    foreign: usize,
    first_of_them: Vec<String>,
    /// How often the chip raised DIO0.
    edges: u32,
    resets: u32,
    /// From the start of the kernel until the first packet was kept, durably, as the barn said.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_change_s: Option<f64>,
    /// From when the first packet was heard to when the last was, as the barn's log has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_s: Option<f64>,
}

impl Outcome {
    pub(crate) fn is_equal(&self) -> bool {
        self.flagged_good > 0 && [self.missing, self.repeated, self.foreign] == [0; 3]
    }
}

/// Compares by the payloads, each of which was transmitted once. `first_kept` is when the first of them was told as kept.
pub(crate) fn compare(ledger: &Ledger, stored: &[Stored], first_kept: Option<&str>) -> io::Result<Outcome> {
    let mut outcome = differences(ledger, stored);
    let boot_s = seconds_of_day_at_boot()?;
    let first_s = stored.last().and_then(|first| seconds_of_day(&first.received_at));
    let last_s = stored.first().and_then(|last| seconds_of_day(&last.received_at));
    outcome.first_change_s = first_kept.and_then(seconds_of_day).map(|kept_s| between(boot_s, kept_s));
    outcome.duration_s = first_s.zip(last_s).map(|(first_s, last_s)| between(first_s, last_s));
    Ok(outcome)
}

fn differences(ledger: &Ledger, stored: &[Stored]) -> Outcome {
    let heard: Vec<&str> = ledger.packets.iter().filter(|entry| entry.good).map(|entry| &*entry.payload).collect();
    // For each payload: how often it was heard, and how often it was kept.
    let mut counts = BTreeMap::<&str, (usize, usize)>::new();
    for payload in &heard {
        counts.entry(payload).or_default().0 += 1;
    }
    for one in stored {
        counts.entry(&one.payload).or_default().1 += 1;
    }
    let of = |differs: fn(usize, usize) -> bool| -> Vec<String> {
        let found = counts.iter().filter(|(_, (heard, kept))| differs(*heard, *kept));
        found.map(|(payload, _)| (*payload).to_owned()).collect()
    };
    let missing = of(|heard, kept| kept < heard);
    let repeated = of(|heard, kept| heard > 0 && kept > heard);
    let foreign = of(|heard, _| heard == 0);
    Outcome {
        fates: ledger.fates.clone(),
        flagged_good: heard.len(),
        stored: stored.len(),
        missing: missing.len(),
        repeated: repeated.len(),
        foreign: foreign.len(),
        first_of_them: [missing, repeated, foreign].iter().flat_map(|of| of.iter().take(MOST_TOLD)).cloned().collect(),
        edges: ledger.edges,
        resets: ledger.resets,
        ..Outcome::default()
    }
}

/// When the kernel started, on this machine's clock, which must not have been set since.
fn seconds_of_day_at_boot() -> io::Result<f64> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_secs_f64();
    let uptime = fs::read_to_string("/proc/uptime")?;
    let up_s: f64 = uptime.split(' ').next().and_then(|up| up.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok((now_s - up_s).rem_euclid(DAY_S))
}

/// Of `2026-03-01T07:15:00.250000Z`: 26,100.25.
fn seconds_of_day(iso: &str) -> Option<f64> {
    let (_, time) = iso.strip_suffix('Z')?.split_once('T')?;
    let mut parts = time.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(hours * 3_600.0 + minutes * 60.0 + seconds)
}

/// From one time of the day to the next time that it is another.
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

    fn kept(payloads: &[&str]) -> Vec<Stored> {
        let received_at = "2026-03-01T07:15:00.250000Z".to_owned();
        payloads.iter().map(|one| Stored { payload: (*one).to_owned(), received_at: received_at.clone() }).collect()
    }

    fn found(ledger: &Ledger, stored: &[Stored]) -> (usize, usize, usize, bool) {
        let outcome = differences(ledger, stored);
        (outcome.missing, outcome.repeated, outcome.foreign, outcome.is_equal())
    }

    #[test]
    fn what_was_heard_and_is_kept_once_is_equal_in_any_order() {
        let ledger = heard(&[("a", true), ("spoiled", false), ("b", true)]);
        assert_eq!(found(&ledger, &kept(&["b", "a"])), (0, 0, 0, true));
    }

    #[test]
    fn a_packet_that_is_missing_repeated_or_made_up_is_found() {
        let ledger = heard(&[("a", true), ("spoiled", false), ("b", true)]);
        assert_eq!(found(&ledger, &kept(&["b"])), (1, 0, 0, false));
        assert_eq!(found(&ledger, &kept(&["b", "a", "b"])), (0, 1, 0, false));
        assert_eq!(found(&ledger, &kept(&["b", "a", "spoiled"])), (0, 0, 1, false));
        assert_eq!(found(&ledger, &kept(&["b", "A"])), (1, 0, 1, false));
    }

    #[test]
    fn nothing_heard_proves_nothing() {
        assert_eq!(found(&heard(&[]), &kept(&[])), (0, 0, 0, false));
    }

    #[test]
    fn times_are_told_from_boot_on_also_over_midnight() {
        assert_eq!(seconds_of_day("2026-03-01T07:15:00.250000Z"), Some(26_100.25));
        assert_eq!(seconds_of_day("07:15"), None);
        assert!((between(86_399.0, 1.5) - 2.5).abs() < 0.001);
    }
}
