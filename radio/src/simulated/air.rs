//! What happens to a transmission between a reader and the radio.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::Stream;

/// What became of one transmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrived whole.
    Heard(Signal),
    /// It arrived with a wrong CRC: the radio knows that there was something, and drops it.
    Corrupted,
    /// It never arrived.
    Lost,
}

/// How a transmission arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signal {
    pub(super) rssi_dbm: i16,
    pub(super) snr_quarter_db: i16,
    pub(super) frequency_error_hz: i32,
}

/// The air of one barn: it loses and corrupts, by chance from a seed.
#[derive(Debug)]
pub(super) struct Air {
    chance: ChaCha12Rng,
    loss: f64,
    corruption: f64,
}

impl Air {
    pub(super) fn new(seed: u64, loss: f64, corruption: f64) -> Self {
        let mut chance = ChaCha12Rng::seed_from_u64(seed);
        chance.set_stream(Stream::Air as u64);
        Self { chance, loss, corruption }
    }

    /// Everything is drawn for each transmission, whatever its fate. So the n-th one meets the same chance in every
    /// run of a seed, and a higher loss loses the same packets and more.
    pub(super) fn carry(&mut self) -> Fate {
        let loss: f64 = self.chance.random();
        let corruption: f64 = self.chance.random();
        let signal = Signal {
            // From a reader at the chute to the far end of the yard, still above the noise floor at SF7.
            rssi_dbm: self.chance.random_range(-115..=-55),
            snr_quarter_db: self.chance.random_range(-28..=40),
            // Two crystals of +-2 ppm each at 915 MHz.
            frequency_error_hz: self.chance.random_range(-3_660..=3_660),
        };
        if loss < self.loss {
            Fate::Lost
        } else if corruption < self.corruption {
            Fate::Corrupted
        } else {
            Fate::Heard(signal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 20_251_204;
    const TRANSMISSIONS: u32 = 100_000;

    /// Counts of lost and corrupted ones.
    fn fates(loss: f64, corruption: f64) -> (u32, u32) {
        let mut air = Air::new(SEED, loss, corruption);
        (0..TRANSMISSIONS).fold((0, 0), |(lost, corrupted), _| match air.carry() {
            Fate::Lost => (lost + 1, corrupted),
            Fate::Corrupted => (lost, corrupted + 1),
            Fate::Heard(_) => (lost, corrupted),
        })
    }

    #[test]
    fn loss_and_corruption_come_out_near_the_given_ones() {
        println!("seed {SEED}");
        let (lost, corrupted) = fates(0.04, 0.02);
        // 4 % and 2 % of the rest, each within five standard deviations (62 and 43).
        assert!(lost.abs_diff(4_000) < 310, "{lost}");
        assert!(corrupted.abs_diff(1_920) < 215, "{corrupted}");
    }

    #[test]
    fn the_ends_of_the_ranges_are_exact() {
        assert_eq!(fates(0.0, 0.0), (0, 0));
        assert_eq!(fates(1.0, 1.0), (TRANSMISSIONS, 0));
        assert_eq!(fates(0.0, 1.0), (0, TRANSMISSIONS));
    }

    #[test]
    fn a_worse_air_loses_the_same_packets_and_more() {
        println!("seed {SEED}");
        let (mut better, mut worse) = (Air::new(SEED, 0.1, 0.0), Air::new(SEED, 0.3, 0.0));
        let mut only_in_the_worse = 0;
        for n in 0..10_000 {
            match (better.carry(), worse.carry()) {
                (Fate::Lost, fate) => assert_eq!(fate, Fate::Lost, "transmission {n}"),
                (Fate::Heard(_), Fate::Lost) => only_in_the_worse += 1,
                (fate, other) => assert_eq!(fate, other, "transmission {n}"),
            }
        }
        assert!(only_in_the_worse > 0);
    }
}
