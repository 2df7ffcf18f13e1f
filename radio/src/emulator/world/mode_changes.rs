//! Effects of a chip's mode on the world: transmissions, activity detection and timeouts.

use super::{Event, World};
use crate::emulator::chip::Mode;
use crate::emulator::ids::ChipIndex;
use crate::emulator::ledger::Fate;
use crate::emulator::registers::{Register, irq};
use crate::emulator::signal;
use crate::emulator::transmission::{ActiveTransmission, Emission, Origin};
use crate::emulator::tuning::{Direction, Tuning};

/// Time from the write of the transmit mode to the first wave: synthesizer and ramp (data sheet, section 2.5,
/// "transmitter wake-up time").
const TRANSMIT_START_NS: u64 = 120_000;

impl World {
    /// Brings a chip up to date before a host's frame of `frame_bytes` bytes that starts with `first`.
    pub(in crate::emulator) fn refresh(&mut self, index: ChipIndex, first: u8, frame_bytes: usize) {
        let now_ns = self.now_ns;
        self.chip(index).write_received(now_ns);
        let is_read = first & 0x80 == 0 && first != Register::Fifo as u8;
        let through = usize::from(first) + frame_bytes;
        if is_read && first <= Register::RssiWideband as u8 && through > Register::ModemStat as usize {
            self.measure(index);
        }
    }

    pub(super) fn enter(&mut self, index: ChipIndex, mode: Mode) {
        let now_ns = self.now_ns;
        self.abort_transmission(index);
        let chip = self.chip(index);
        chip.write_received(now_ns);
        chip.abandon_reception(Fate::NotListening);
        let direction = if mode == Mode::Transmit { Direction::Transmit } else { Direction::Receive };
        chip.tuning = Tuning::of_registers(chip.registers(), direction).filter(|_| chip.is_lora());
        let Some(tuning) = chip.tuning else { return };
        let stay = chip.stay;
        match mode {
            Mode::Sleep | Mode::Standby | Mode::Synthesizer => {}
            Mode::Transmit => self.send(index, tuning),
            Mode::ReceiveContinuous => chip.start_receiver(),
            Mode::ReceiveSingle => {
                let due_ns = now_ns + chip.preamble_timeout_symbols() * tuning.symbol_ns();
                chip.start_receiver();
                self.queue.schedule(due_ns, Event::ReceiveTimedOut { chip: index, stay });
            }
            Mode::ActivityDetection => {
                let due_ns = now_ns + tuning.activity_listening_ns() + tuning.activity_computing_ns();
                self.queue.schedule(due_ns, Event::ActivityDetected { chip: index, stay });
            }
        }
    }

    /// Aborts the transmission of a chip that leaves its transmit mode in the middle of a packet.
    fn abort_transmission(&mut self, index: ChipIndex) {
        let is_running = |transmission: &ActiveTransmission| {
            matches!(transmission.emission.origin, Origin::Chip { chip, .. } if chip == index) && !transmission.aborted
        };
        let Some(at) = self.active.iter().position(is_running) else { return };
        self.active[at].aborted = true;
        let id = self.active[at].id;
        for place in 0..self.chips.len() {
            if self.chips[place].receives(id) {
                self.disturb(ChipIndex(place));
            }
        }
    }

    fn send(&mut self, index: ChipIndex, tuning: Tuning) {
        let chip = self.chip(index);
        let emission = Emission {
            payload: chip.payload_to_send().into(),
            tuning,
            origin: Origin::Chip {
                chip: index,
                power_dbm: signal::output_power_dbm(chip.register(Register::PaConfig), chip.register(Register::PaDac)),
                stay: chip.stay,
            },
            snr_db: None,
            corrupted: false,
            frequency_error_hz: chip.options.frequency_error_hz,
        };
        self.schedule_emission(self.now_ns + TRANSMIT_START_NS, emission);
    }

    /// Completes activity detection.
    ///
    /// It finds preambles only. Chips of this family do not find a packet after its preamble (Lora-net/LoRaMac-node,
    /// issue 335), so a sender that relies on activity detection alone talks over others.
    pub(super) fn report_activity(&mut self, index: ChipIndex, stay: u64) {
        let chip = &self.chips[index.0];
        let Some(tuning) = chip.tuning.filter(|_| chip.stay == stay) else { return };
        let listened_until_ns = self.now_ns.saturating_sub(tuning.activity_computing_ns());
        let detected = self.active.iter().any(|other| {
            let sender = &other.emission.tuning;
            !other.aborted
                && other.begun_ns + sender.symbol_ns() / 2 <= listened_until_ns
                && listened_until_ns < other.begun_ns + sender.until_synchronized_ns()
                && sender.disturbs(&tuning)
                && self.snr_at(index, other, &tuning) >= signal::lowest_snr_db(tuning.spreading_factor)
        });
        let chip = self.chip(index);
        chip.raise(irq::CAD_DONE | if detected { irq::CAD_DETECTED } else { 0 });
        chip.return_to_standby();
        self.settle(index);
    }

    /// Ends the wait for a preamble, unless the chip has found one or left that stay.
    pub(super) fn time_out(&mut self, index: ChipIndex, stay: u64) {
        let chip = self.chip(index);
        if chip.stay == stay && chip.reception.is_none() {
            chip.raise(irq::RX_TIMEOUT);
            chip.return_to_standby();
            self.settle(index);
        }
    }

    /// Disturbs the current reception of a chip.
    pub(super) fn disturb(&mut self, index: ChipIndex) {
        let now_ns = self.now_ns;
        let chip = self.chip(index);
        chip.disturb_reception(now_ns);
        if chip.reception.is_none() {
            self.time_out_single(index);
        }
    }

    /// Times out a single reception that has lost its packet, which happens at once (data sheet, section 4.1.6, on the
    /// use of single reception).
    pub(super) fn time_out_single(&mut self, index: ChipIndex) {
        let chip = self.chip(index);
        if chip.is_single() {
            let stay = chip.stay;
            self.time_out(index, stay);
        }
    }
}
