//! The incidents of a world and their times.

use super::chance::Chance;
use super::wire::Weather;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// An event that disturbs a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incident {
    Weather(Weather),
    BarnPowerCut,
    OfficePowerCut,
}

/// Draws incidents from a seed, one every few seconds.
pub(super) struct Forecast {
    chance: Chance,
    next_at: Instant,
}

impl Forecast {
    pub(super) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed ^ 0xf0_4e_ca_57), next_at: Instant::now() + Duration::from_secs(1) }
    }

    /// Waits for the time of the next incident and returns it. Cancel-safe: a call that is dropped early skips nothing.
    pub(super) async fn next(&mut self) -> Incident {
        sleep_until(self.next_at).await;
        self.next_at = Instant::now() + Duration::from_millis(200 + self.chance.below(6_000));
        match self.chance.below(10) {
            0 => Incident::BarnPowerCut,
            1 => Incident::OfficePowerCut,
            2..=4 => Incident::Weather(Weather { cut: true, ..Weather::default() }),
            5 | 6 => Incident::Weather(Weather { truncated_percent: 30, ..Weather::default() }),
            7 => Incident::Weather(Weather { delay_ms: self.chance.below(4_000), ..Weather::default() }),
            _ => Incident::Weather(Weather::default()),
        }
    }
}
