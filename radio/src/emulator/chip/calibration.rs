//! Calibration of the receiver, which only FSK standby can do (data sheet, section on image and RSSI calibration).

use super::ChipState;
use super::mode::Mode;
use crate::emulator::registers::{IMAGE_CAL_RUNNING, IMAGE_CAL_START, Register};
use crate::emulator::tuning;

/// Duration of a calibration. The data sheet gives some 10 ms.
const CALIBRATION_NS: u64 = 10_000_000;

impl ChipState {
    /// Carries out a write to `RegImageCal` and returns the value to keep. The bit that starts a calibration clears
    /// itself, and does nothing in another mode than standby.
    pub(super) fn write_image_calibration(&mut self, value: u8, now_ns: u64) -> u8 {
        if value & IMAGE_CAL_START != 0 && self.mode() == Mode::Standby {
            let frf = [Register::FrfMsb, Register::FrfMid, Register::FrfLsb].map(|register| self.register(register));
            self.calibrated_hz = tuning::carrier_hz(frf);
            self.calibrating_until_ns = now_ns + CALIBRATION_NS;
        }
        value & !(IMAGE_CAL_START | IMAGE_CAL_RUNNING)
    }

    /// Returns the bit of `RegImageCal` that shows a running calibration.
    pub(super) fn calibration_bit(&self, now_ns: u64) -> u8 {
        let is_stuck = self.faults.no_calibration && self.calibrating_until_ns > 0;
        if is_stuck || now_ns < self.calibrating_until_ns { IMAGE_CAL_RUNNING } else { 0 }
    }
}
