//! Propagation: the strength at which transmissions arrive, and whether a receiver can lock on them.

use super::{CAPTURE_DB, World};
use crate::emulator::ids::{ChipIndex, TransmissionId};
use crate::emulator::ledger::Fate;
use crate::emulator::random;
use crate::emulator::registers::Register;
use crate::emulator::signal::{self, Signal};
use crate::emulator::transmission::{ActiveTransmission, Origin};
use crate::emulator::tuning::Tuning;

/// Standard deviation of the measured noise.
const NOISE_DEVIATION_DB: f64 = 1.0;

/// Salts that keep the draws for a transmission at a chip independent of each other and of its fading.
pub(super) const LOSS_SALT: u64 = 1 << 62;
pub(super) const CORRUPTION_SALT: u64 = 1 << 63;

impl World {
    /// Returns the signal of a transmission at a receiver that can lock on it, or the reason why it cannot.
    pub(super) fn receive(&mut self, index: ChipIndex, transmission: &ActiveTransmission) -> Result<Signal, Fate> {
        let chip = &self.chips[index.0];
        let receiver = chip.tuning.filter(|_| chip.is_lora() && chip.mode().receives()).ok_or(Fate::NotListening)?;
        if transmission.aborted {
            return Err(Fate::Collided);
        }
        if chip.is_deaf() {
            return Err(Fate::NotListening);
        }
        let emission = &transmission.emission;
        let power_dbm = self.power_at(index, transmission);
        let offset_hz = emission.frequency_error_hz - chip.options.frequency_error_hz;
        let mut signal =
            signal::at_receiver(power_dbm, self.options.noise_figure_db, &emission.tuning, offset_hz, &receiver);
        if !receiver.hears(&emission.tuning, signal.frequency_error_hz) {
            return Err(Fate::OtherSettings);
        }
        signal.snr_db = emission.snr_db.unwrap_or(signal.snr_db);
        let is_lost = self.draw(self.options.loss, LOSS_SALT, transmission.id, index);
        if is_lost || signal.snr_db < signal::lowest_snr_db(receiver.spreading_factor) {
            return Err(Fate::TooWeak);
        }
        let is_covered = self.active.iter().any(|other| {
            !other.aborted
                && other.emission.tuning.disturbs(&emission.tuning)
                && self.power_at(index, other) > power_dbm - CAPTURE_DB
        });
        if is_covered || !chip.searches() { Err(Fate::Collided) } else { Ok(signal) }
    }

    /// Returns `true` with this probability, for a transmission at a chip.
    ///
    /// The number drawn does not depend on the probability. A higher probability therefore hits the same transmissions
    /// and some more.
    pub(super) fn draw(&self, probability: f64, salt: u64, id: TransmissionId, index: ChipIndex) -> bool {
        probability > 0.0 && random::unit(random::hash([self.options.seed ^ salt, id.0, index.0 as u64])) < probability
    }

    /// Returns the power of a transmission at a chip, with path loss and fading.
    pub(super) fn power_at(&self, index: ChipIndex, transmission: &ActiveTransmission) -> f64 {
        let power_dbm = match transmission.emission.origin {
            Origin::External { rssi_dbm } => rssi_dbm,
            Origin::Chip { chip, power_dbm, .. } => {
                let loss_db = self.path_losses_db.get(&(chip.0, index.0));
                power_dbm - loss_db.copied().unwrap_or(self.options.path_loss_db)
            }
        };
        if self.options.fading_db == 0.0 {
            return power_dbm;
        }
        let drawn = random::hash([self.options.seed, transmission.id.0, index.0 as u64]);
        power_dbm + self.options.fading_db * random::normal(drawn)
    }

    /// Returns the SNR of a transmission in the receiver's channel.
    pub(super) fn snr_at(&self, index: ChipIndex, transmission: &ActiveTransmission, receiver: &Tuning) -> f64 {
        self.power_at(index, transmission)
            - signal::noise_floor_dbm(receiver.bandwidth_hz, self.options.noise_figure_db)
    }

    /// Updates the registers that describe this moment: strength in the channel, and the receiver's progress.
    pub(super) fn measure(&mut self, index: ChipIndex) {
        let now_ns = self.now_ns;
        let chip = &self.chips[index.0];
        let Some(tuning) = chip.tuning.filter(|_| chip.mode().receives()) else { return };
        let noise = random::hash([self.options.seed, now_ns, index.0 as u64]);
        let floor_dbm = signal::noise_floor_dbm(tuning.bandwidth_hz, self.options.noise_figure_db)
            + NOISE_DEVIATION_DB * random::normal(noise);
        let signals_mw: f64 = self
            .active
            .iter()
            .filter(|other| !other.aborted && tuning.overlaps(&other.emission.tuning))
            .map(|other| milliwatts(self.power_at(index, other)))
            .sum();
        let power_dbm = 10.0 * (milliwatts(floor_dbm) + signals_mw).log10();
        let chip = self.chip(index);
        chip.update_modem_status(now_ns);
        chip.set_register(Register::RssiValue, signal::rssi_register(power_dbm, tuning.frequency_hz));
        let [wideband, ..] = noise.to_le_bytes();
        chip.set_register(Register::RssiWideband, wideband);
    }
}

fn milliwatts(dbm: f64) -> f64 {
    10_f64.powf(dbm / 10.0)
}
