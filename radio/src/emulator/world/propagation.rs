//! How strong waves arrive, and whether a receiver can lock on them.

use super::{CAPTURE_DB, World};
use crate::emulator::chance;
use crate::emulator::chip::ChipIndex;
use crate::emulator::ledger::{Fate, TransmissionId};
use crate::emulator::registers::Register;
use crate::emulator::signal::{self, Signal};
use crate::emulator::transmission::{OnAir, Origin};
use crate::emulator::tuning::Tuning;

/// Readings of the strength of noise differ by so much.
const NOISE_DEVIATION_DB: f64 = 1.0;

/// Kinds of chance that are drawn for a transmission at a chip, apart from its fading.
pub(super) const LOSS: u64 = 1 << 62;
pub(super) const CORRUPTION: u64 = 1 << 63;

impl World {
    /// How it arrives at a receiver that can lock on it, or why none can.
    pub(super) fn hear(&mut self, index: ChipIndex, transmission: &OnAir) -> Result<Signal, Fate> {
        let chip = &self.chips[index.0];
        let receiver = chip.tuning.filter(|_| chip.is_lora() && chip.mode().receives()).ok_or(Fate::NotListening)?;
        if transmission.cut {
            return Err(Fate::Collided);
        }
        let waves = &transmission.waves;
        let power_dbm = self.power_at(index, transmission);
        let offset_hz = waves.frequency_error_hz - chip.options.frequency_error_hz;
        let mut signal = signal::arriving(power_dbm, self.options.noise_figure_db, &waves.tuning, offset_hz, &receiver);
        if !receiver.hears(&waves.tuning, signal.frequency_error_hz) {
            return Err(Fate::OtherSettings);
        }
        signal.snr_db = waves.snr_db.unwrap_or(signal.snr_db);
        let fades = self.happens(self.options.loss, LOSS, transmission.id, index);
        if fades || signal.snr_db < signal::lowest_snr_db(receiver.spreading_factor) {
            return Err(Fate::TooWeak);
        }
        let is_covered = self.on_air.iter().any(|other| {
            !other.cut
                && other.waves.tuning.disturbs(&waves.tuning)
                && self.power_at(index, other) > power_dbm - CAPTURE_DB
        });
        if is_covered || !chip.searches() { Err(Fate::Collided) } else { Ok(signal) }
    }

    /// Whether what has this probability happens to a transmission at a chip. The number drawn is the same whatever the
    /// probability: a worse air takes the same transmissions and more.
    pub(super) fn happens(&self, probability: f64, what: u64, id: TransmissionId, index: ChipIndex) -> bool {
        probability > 0.0 && chance::unit(chance::of([self.options.seed ^ what, id.0, index.0 as u64])) < probability
    }

    /// With which power a transmission arrives at a chip.
    pub(super) fn power_at(&self, index: ChipIndex, transmission: &OnAir) -> f64 {
        let power_dbm = match transmission.waves.origin {
            Origin::Nowhere { rssi_dbm } => rssi_dbm,
            Origin::Chip { chip, power_dbm, .. } => {
                let loss_db = self.path_losses_db.get(&(chip.0, index.0));
                power_dbm - loss_db.copied().unwrap_or(self.options.path_loss_db)
            }
        };
        if self.options.fading_db == 0.0 {
            return power_dbm;
        }
        let random = chance::of([self.options.seed, transmission.id.0, index.0 as u64]);
        power_dbm + self.options.fading_db * chance::normal(random)
    }

    /// Signal to noise of a transmission in the channel of a receiver.
    pub(super) fn snr_at(&self, index: ChipIndex, transmission: &OnAir, receiver: &Tuning) -> f64 {
        self.power_at(index, transmission)
            - signal::noise_floor_dbm(receiver.bandwidth_hz, self.options.noise_figure_db)
    }

    /// Measures what registers say of this very moment: strength in the channel, and how far the receiver is.
    pub(super) fn measure(&mut self, index: ChipIndex) {
        let now_ns = self.now_ns;
        let chip = &self.chips[index.0];
        let Some(tuning) = chip.tuning.filter(|_| chip.mode().receives()) else { return };
        let noise = chance::of([self.options.seed, now_ns, index.0 as u64]);
        let floor_dbm = signal::noise_floor_dbm(tuning.bandwidth_hz, self.options.noise_figure_db)
            + NOISE_DEVIATION_DB * chance::normal(noise);
        let signals_mw: f64 = self
            .on_air
            .iter()
            .filter(|other| !other.cut && tuning.overlaps(&other.waves.tuning))
            .map(|other| milliwatts(self.power_at(index, other)))
            .sum();
        let power_dbm = 10.0 * (milliwatts(floor_dbm) + signals_mw).log10();
        let chip = self.chip(index);
        chip.set_modem_status(now_ns);
        chip.set_register(Register::RssiValue, signal::rssi_register(power_dbm, tuning.frequency_hz));
        let [random, ..] = noise.to_le_bytes();
        chip.set_register(Register::RssiWideband, random);
    }
}

fn milliwatts(dbm: f64) -> f64 {
    10_f64.powf(dbm / 10.0)
}
