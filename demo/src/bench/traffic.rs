//! The payloads of the bench. A part makes all of them before its clock starts.
//!
//! - **Chute order**: the payloads of a yard as its readers send them. Animals come one pen at a time, so consecutive
//!   payloads mostly refer to the same few animals and to one batch.
//! - **A hundred pens at once**: each of a hundred senders has a pen of its own. No two payloads of a group touch the same
//!   animal or batch. A yard works one pen at a time, so this is harder than any yard.
//! - **Scattered check-ins**: weights of animals that are drawn at random from a large herd. Nothing that one payload reads
//!   or changes is near what the one before it did.
//!
//! All of it is well-formed, so that the hourly limit on rejections does not apply.

use radio::simulated::Traffic;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::IntoIter;

/// Number of animals in a lot of a large herd.
const LOT_HEADS: usize = 150;
/// Number of payloads that a large herd takes for each animal.
pub const PAYLOADS_PER_HEAD: usize = 2;
/// Weights in tenths of a kilogram.
const WEIGHT_TENTH_KG: std::ops::Range<u32> = 1_800..3_400;

/// Returns payloads in chute order, with `malformed` malformed ones per well-formed one.
pub fn in_chute_order(seed: u64, count: usize, malformed: f64) -> Vec<Vec<u8>> {
    Traffic { seed, malformed, ..Traffic::default() }.payloads().take(count).collect()
}

/// Returns the payloads that bring in a herd: an induction and a pairing for each animal, whose lids start at 1.
pub fn large_herd(heads: usize) -> impl Iterator<Item = Vec<u8>> {
    (1..=heads).flat_map(|n| {
        let (lot, pen) = (n / LOT_HEADS, n / LOT_HEADS % 24 + 1);
        let induction = format!(
            "event:hxbind{n:012}|funder:Prairie Feedlot Partners|lot:LOT{lot:06}|pen:PEN{pen}|lid:{n}|sex:Steer|\
             tag_color:Red"
        );
        let pairing = format!("event:hxbpai{n:012}|lf:124{n:012}|epc:E2801160{n:016X}|lid:{n}|weight:245.5");
        [induction.into_bytes(), pairing.into_bytes()]
    })
}

/// Returns check-ins of random animals of a herd of `heads`. No two have the same event id.
pub fn scattered_check_ins(seed: u64, heads: usize, count: usize) -> Vec<Vec<u8>> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let check_in = |n| {
        let (lid, tenths) = (random.random_range(1..=heads.max(1)), random.random_range(WEIGHT_TENTH_KG));
        format!("event:hxbchi{n:012}|weight:{}.{}|lid:{lid}", tenths / 10, tenths % 10).into_bytes()
    };
    (1..=count).map(check_in).collect()
}

/// The order in which concurrent senders send the payloads of a chute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The next sender that is free sends the next payload.
    Chute,
    /// Each sender has a stretch of its own, longer than the work on a pen.
    Pens,
}

/// Things that concurrent senders take one by one. Clones share them.
#[derive(Debug)]
pub struct Feed<T>(Arc<Mutex<IntoIter<T>>>);

impl<T> Feed<T> {
    /// Returns a feed for each of `senders`, which together hold `things`.
    pub fn split(things: Vec<T>, senders: usize, order: Order) -> Vec<Self> {
        let new = |part: Vec<T>| Self(Arc::new(Mutex::new(part.into_iter())));
        match order {
            Order::Chute => {
                let shared = new(things);
                (0..senders).map(|_| Self(shared.0.clone())).collect()
            }
            Order::Pens => {
                let share = things.len().div_ceil(senders.max(1)).max(1);
                let mut things = things.into_iter();
                (0..senders).map(|_| new(things.by_ref().take(share).collect())).collect()
            }
        }
    }

    /// Takes the next thing.
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::payload::parse;
    use std::collections::BTreeSet;

    /// Catches a payload that the grammar refuses: the rows would then measure rejections.
    #[test]
    fn herd_and_check_ins_are_well_formed_and_distinct() {
        let all: Vec<_> = large_herd(400).chain(scattered_check_ins(1, 400, 1_000)).collect();
        assert_eq!(all.len(), 400 * PAYLOADS_PER_HEAD + 1_000);
        for payload in &all {
            assert!(parse(payload).outcome.is_ok(), "{}", String::from_utf8_lossy(payload));
        }
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    /// Catches a sender that gets a payload twice or not at all.
    #[test]
    fn feeds_hand_out_everything_once_and_in_order() {
        for order in [Order::Chute, Order::Pens] {
            let feeds = Feed::split((0..10).collect(), 3, order);
            let mut taken: Vec<Vec<u32>> = vec![Vec::new(); 3];
            for turn in 0..30 {
                taken[turn % 3].extend(feeds[turn % 3].take());
            }
            assert!(taken.iter().all(|own| own.is_sorted()));
            assert_eq!(taken.concat().into_iter().collect::<BTreeSet<_>>(), (0..10).collect());
            assert_eq!(taken[0], if order == Order::Chute { vec![0, 3, 6, 9] } else { vec![0, 1, 2, 3] });
        }
    }
}
