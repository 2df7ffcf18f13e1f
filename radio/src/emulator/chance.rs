//! Chance out of a seed.
//!
//! What happens to one transmission at one chip must not depend on how many others there were, or a test that adds a
//! receiver would get another course. So most chance here is a hash of who and which, not a stream.

/// The next number after this one (splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
pub(super) fn next(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A number that belongs to these.
pub(super) fn of(parts: [u64; 3]) -> u64 {
    parts.into_iter().fold(0, |mixed, part| next(mixed ^ part))
}

/// As a number from 0 up to 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds")]
pub(super) fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// As a number of the normal distribution around 0 with deviation 1 (Box and Muller).
pub(super) fn normal(random: u64) -> f64 {
    let (radius, angle) = (1.0 - unit(random), unit(next(random)));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
