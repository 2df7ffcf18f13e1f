//! The incidents of a world and their times.

use super::chance::Chance;
use super::wire::Weather;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A machine of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    Barn,
    Office,
    SecondOffice,
}

/// An event that disturbs a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incident {
    Weather(Weather),
    /// The power fails. A torn cut leaves parts of what was not synced.
    PowerCut(Machine, Option<u64>),
    /// The barn's process is stopped and started.
    Restart,
    /// A sync fails after some more.
    DiskFailure(Machine, u64),
    /// A disk is full, or has room again.
    Disk(Machine, bool),
    /// Somebody sets the barn's clock, by this many seconds.
    ClockStep(i64, bool),
    /// The nightly backup, and an image of the card.
    Backup,
    /// The card is replaced by one that is made of the last backup.
    RestoreBackup,
    /// The card is replaced by one that is made of the office's copy.
    Rebuild,
    /// Some bytes of the log are damaged, and it is recovered, with the office's copy or without it.
    Damage(bool),
    /// The whole card is put back as it was.
    RollBack,
    /// The log is put back as it was, and the machine remembers more.
    OldLog,
    /// A clone of the card answers at the barn's address for a while.
    Clone,
    /// Another barn answers at the barn's address for a while.
    ForeignBarn,
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
        self.next_at = Instant::now() + Duration::from_millis(200 + self.chance.below(4_500));
        match self.chance.below(100) {
            0..38 => Incident::Weather(self.weather()),
            38..58 => self.outage(),
            58..66 => self.disk(),
            66..70 => Incident::ClockStep(self.clock_step(), self.chance.percent(50)),
            70..78 => Incident::Backup,
            _ => self.card(),
        }
    }

    fn weather(&mut self) -> Weather {
        let fair = Weather::default();
        match self.chance.below(8) {
            0 | 1 => Weather { cut: true, ..fair },
            2 | 3 => Weather { truncated_percent: 30, ..fair },
            4 => Weather { delay_ms: self.chance.below(4_000), ..fair },
            _ => fair,
        }
    }

    fn outage(&mut self) -> Incident {
        let torn = self.chance.percent(50).then(|| self.chance.below(u64::MAX));
        match self.chance.below(10) {
            0..=3 => Incident::PowerCut(Machine::Barn, torn),
            4 | 5 => Incident::PowerCut(Machine::Office, None),
            6 => Incident::PowerCut(Machine::SecondOffice, None),
            7 => Incident::Restart,
            8 => Incident::DiskFailure(Machine::Barn, self.chance.below(6)),
            _ => Incident::DiskFailure(Machine::Office, self.chance.below(3)),
        }
    }

    fn disk(&mut self) -> Incident {
        let machine = if self.chance.percent(60) { Machine::Barn } else { Machine::Office };
        Incident::Disk(machine, self.chance.percent(50))
    }

    fn clock_step(&mut self) -> i64 {
        const DAY_S: u64 = 86_400;
        i64::try_from(self.chance.below(60 * DAY_S)).unwrap_or(0) - i64::try_from(30 * DAY_S).unwrap_or(0)
    }

    fn card(&mut self) -> Incident {
        match self.chance.below(10) {
            0 | 1 => Incident::RestoreBackup,
            2 => Incident::Rebuild,
            3 | 4 => Incident::Damage(self.chance.percent(60)),
            5 => Incident::RollBack,
            6 | 7 => Incident::OldLog,
            8 => Incident::Clone,
            _ => Incident::ForeignBarn,
        }
    }
}
