//! A season of a yard: a herd of any size, whose reads are spread over months.
//!
//! Lots come in one after the other. Each head is inducted, gets its tags, and is weighed every few weeks; one lot in four
//! leaves at the end. One head in fifty never gets an EID. So about as many head come in each day, and ten lots are worked on
//! in turn, which is how the office's figures of a day are asked of a real yard. Readers number their events of each kind as
//! they send them, and one number in a hundred is never heard.

use super::store::{FILL_GROUP, SOURCE_ID, expect_kept, origin};
use super::{BenchError, Budget};
use herd::clock::{Clock as _, RawReading, SystemClock};
use herd::decide::Rules;
use herd::store::{Directory, Incoming, Store};
use std::path::Path;

/// Number of payloads of each head.
pub const VISITS: usize = 10;
/// Length of the season in microseconds: 200 days.
const SEASON_US: i64 = 200 * 86_400_000_000;
/// Number of animals in a lot.
pub const LOT_HEADS: usize = 150;
/// Number of pens.
const PENS: usize = 24;
/// One lot in this number leaves.
const LEAVING: usize = 4;
/// One head in this number gets no EID.
const WITHOUT_EID: usize = 50;
/// One event in this number is never heard.
const MISSED: u64 = 100;
/// The EID of head 0, which does not exist.
pub const FIRST_EID: usize = 982_000_100_000_000;

/// Kinds of events, which are numbered on their own.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Induction,
    Pairing,
    CheckIn,
    Export,
}

impl Kind {
    fn of(n: usize, visit: usize) -> Self {
        match visit {
            0 => Self::Induction,
            1 if !n.is_multiple_of(WITHOUT_EID) => Self::Pairing,
            9 if (n / LOT_HEADS).is_multiple_of(LEAVING) => Self::Export,
            _ => Self::CheckIn,
        }
    }
}

/// Last event number of each kind.
#[derive(Clone, Copy, Debug, Default)]
struct Counters([u64; 4]);

impl Counters {
    /// Returns the next number of a kind. Some are left out.
    fn next(&mut self, kind: Kind) -> u64 {
        let last = &mut self.0[kind as usize];
        *last += if (*last + 1).is_multiple_of(MISSED) { 2 } else { 1 };
        *last
    }
}

/// Returns the payloads of a herd in order, each with its step in time, and the number of steps.
fn payloads(heads: usize) -> (usize, impl Iterator<Item = (usize, String)>) {
    let pause = (heads / VISITS).max(1);
    let steps = heads + pause * (VISITS - 1);
    let visits = (0..steps).flat_map(move |step| {
        let head = move |visit: usize| step.checked_sub(visit * pause).filter(|head| *head < heads);
        (0..VISITS).filter_map(move |visit| Some((step, head(visit)? + 1, visit)))
    });
    let mut counters = Counters::default();
    let payloads = visits.map(move |(step, n, visit)| {
        let kind = Kind::of(n, visit);
        (step, payload(n, visit, kind, counters.next(kind)))
    });
    (steps, payloads)
}

fn payload(n: usize, visit: usize, kind: Kind, event: u64) -> String {
    let lot = n / LOT_HEADS;
    let pen = lot % PENS + 1;
    let weight = 200 + 12 * visit + n % 37;
    match kind {
        Kind::Induction => format!(
            "event:hxbind{event:06}|funder:Prairie Feedlot Partners|lot:LOT{lot:06}|pen:PEN{pen}|lid:{n}|sex:Steer|\
             visual_id:H{n}"
        ),
        Kind::Pairing => {
            format!("event:hxbpai{event:06}|lf:{}|epc:E2801160{n:016X}|lid:{n}|weight:{weight}.5", FIRST_EID + n)
        }
        Kind::Export => format!("event:hxeexp{event:06}|batch:OUT{lot:06}|lid:{n}"),
        Kind::CheckIn => format!("event:hxbchi{event:06}|weight:{weight}.5|lid:{n}"),
    }
}

/// Fills the store of a barn that does not run with the season of a herd, which ends now. Returns the number of payloads.
pub fn fill(directory: &Path, heads: usize, budget: Budget) -> Result<usize, BenchError> {
    let start_us = SystemClock::default().read().received_at_us - SEASON_US;
    let reading = |since_us: i64| RawReading {
        received_at_us: start_us + since_us,
        synchronized: true,
        since_boot_ms: u64::try_from(since_us / 1_000).unwrap_or_default(),
    };
    let disk = Directory::new(directory)?;
    let mut store = Store::open_source(&disk, Rules::default(), reading(0).in_boot(1), || SOURCE_ID)?;
    let (steps, payloads) = payloads(heads);
    let since_us = |step: usize| Ok::<_, BenchError>(i64::try_from(step)? * (SEASON_US / i64::try_from(steps)?));
    let (mut payloads, mut filled) = (payloads, 0);
    while !budget.is_spent() {
        let group = payloads.by_ref().take(FILL_GROUP).map(|(step, text)| {
            Ok(Incoming { raw: text.into_bytes(), origin: origin(), at: reading(since_us(step)?) })
        });
        let group = group.collect::<Result<Vec<_>, BenchError>>()?;
        if group.is_empty() {
            break;
        }
        store.append(&group)?.iter().try_for_each(expect_kept)?;
        filled += group.len();
    }
    store.settle()?;
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::payload::parse;
    use std::collections::BTreeSet;

    /// Catches a payload that the grammar refuses, and a season in which time goes backwards.
    #[test]
    fn a_season_is_well_formed_and_in_order() {
        let (steps, payloads) = payloads(700);
        let all: Vec<_> = payloads.collect();
        assert_eq!(all.len(), 700 * VISITS);
        assert!(all.is_sorted_by_key(|(step, _)| *step) && all.last().unwrap().0 == steps - 1);
        for (_, text) in &all {
            assert!(parse(text.as_bytes()).outcome.is_ok(), "{text}");
        }
        assert_eq!(all.iter().map(|(_, text)| text).collect::<BTreeSet<_>>().len(), all.len());
    }
}
