//! The payloads of the bench. All are made before a clock starts.
//!
//! - **Chute order**: the payloads of a yard as its six readers send them. Animals come one pen at a time, so consecutive
//!   payloads mostly refer to the same few animals and one batch.
//! - **A hundred pens at once**: a hundred stretches of the same traffic in turn. No two consecutive payloads belong to one
//!   pen. No yard works like that; it is what a hundred yards behind one recorder would send.
//! - **Scattered check-ins**: weights of animals drawn at random from a large herd that was there before. Nothing that one
//!   payload reads or writes is near what the one before it did.

use radio::simulated::Traffic;

/// Returns payloads in chute order, with `malformed` malformed ones per well-formed one.
pub fn in_chute_order(seed: u64, count: usize, malformed: f64) -> Vec<Vec<u8>> {
    Traffic { seed, malformed, ..Traffic::default() }.payloads().take(count).collect()
}
