//! What happens to a world, and when.

use super::chance::Chance;
use super::wire::Weather;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    Weather(Weather),
    BarnPowerCut,
    OfficePowerCut,
}

/// Makes happenings from a seed, one every few seconds.
pub(super) struct Forecast {
    chance: Chance,
    next_at: Instant,
}

impl Forecast {
    pub(super) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed ^ 0xf0_4e_ca_57), next_at: Instant::now() + Duration::from_secs(1) }
    }

    /// The next happening, when it is due. Cancel-safe: one that is not awaited to its end is still to come.
    pub(super) async fn next(&mut self) -> Happening {
        sleep_until(self.next_at).await;
        self.next_at = Instant::now() + Duration::from_millis(200 + self.chance.below(6_000));
        match self.chance.below(10) {
            0 => Happening::BarnPowerCut,
            1 => Happening::OfficePowerCut,
            2..=4 => Happening::Weather(Weather { cut: true, ..Weather::default() }),
            5 | 6 => Happening::Weather(Weather { truncated_percent: 30, ..Weather::default() }),
            7 => Happening::Weather(Weather { delay_ms: self.chance.below(4_000), ..Weather::default() }),
            _ => Happening::Weather(Weather::default()),
        }
    }
}
