//! What a chip sets going when it enters a mode, and what comes of it.

use super::{Event, TRANSMIT_START_NS, World};
use crate::emulator::chip::{ChipIndex, Mode};
use crate::emulator::ledger::Fate;
use crate::emulator::registers::{Register, irq};
use crate::emulator::signal;
use crate::emulator::transmission::{OnAir, Origin, Waves};
use crate::emulator::tuning::{Direction, Tuning};

impl World {
    /// Brings a chip up to now, before its host looks at it with a frame that begins so.
    pub(in crate::emulator) fn look(&mut self, index: ChipIndex, first: u8, frame_bytes: usize) {
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
        self.cut(index);
        let chip = self.chip(index);
        chip.write_received(now_ns);
        chip.give_up_reception(Fate::NotListening);
        let direction = if mode == Mode::Transmit { Direction::Transmit } else { Direction::Receive };
        chip.tuning = Tuning::of_registers(chip.registers(), direction).filter(|_| chip.is_lora());
        let Some(tuning) = chip.tuning else { return };
        let entry = chip.entry;
        match mode {
            Mode::Sleep | Mode::Standby | Mode::Synthesizer => {}
            Mode::Transmit => self.send(index, tuning),
            Mode::ReceiveContinuous => chip.begin_to_receive(),
            Mode::ReceiveSingle => {
                let due_ns = now_ns + chip.preamble_timeout_symbols() * tuning.symbol_ns();
                chip.begin_to_receive();
                self.queue.plan(due_ns, Event::ReceiveTimedOut { chip: index, entry });
            }
            Mode::ActivityDetection => {
                let due_ns = now_ns + tuning.activity_listening_ns() + tuning.activity_computing_ns();
                self.queue.plan(due_ns, Event::ActivityDetected { chip: index, entry });
            }
        }
    }

    /// A chip that left its transmit mode stops in the middle of its packet.
    fn cut(&mut self, index: ChipIndex) {
        let is_of_it = |transmission: &OnAir| {
            matches!(transmission.waves.origin, Origin::Chip { chip, .. } if chip == index) && !transmission.cut
        };
        let Some(at) = self.on_air.iter().position(is_of_it) else { return };
        self.on_air[at].cut = true;
        let id = self.on_air[at].id;
        for place in 0..self.chips.len() {
            if self.chips[place].receives(id) {
                self.disturb(ChipIndex(place));
            }
        }
    }

    fn send(&mut self, index: ChipIndex, tuning: Tuning) {
        let chip = self.chip(index);
        let waves = Waves {
            payload: chip.payload_to_send().into(),
            tuning,
            origin: Origin::Chip {
                chip: index,
                power_dbm: signal::power_dbm(chip.register(Register::PaConfig), chip.register(Register::PaDac)),
                entry: chip.entry,
            },
            snr_db: None,
            corrupted: false,
            frequency_error_hz: chip.options.frequency_error_hz,
        };
        self.plan_waves(self.now_ns + TRANSMIT_START_NS, waves);
    }

    /// What is detected are preambles. Chips of this family do not find a packet in its middle (Lora-net/LoRaMac-node,
    /// issue 335), so a sender that only looks for activity talks into others.
    pub(super) fn report_activity(&mut self, index: ChipIndex, entry: u64) {
        let chip = &self.chips[index.0];
        let Some(tuning) = chip.tuning.filter(|_| chip.entry == entry) else { return };
        let heard_until_ns = self.now_ns.saturating_sub(tuning.activity_computing_ns());
        let detected = self.on_air.iter().any(|other| {
            let sender = &other.waves.tuning;
            !other.cut
                && other.begun_ns + sender.symbol_ns() / 2 <= heard_until_ns
                && heard_until_ns < other.begun_ns + sender.until_synchronized_ns()
                && sender.disturbs(&tuning)
                && self.snr_at(index, other, &tuning) >= signal::lowest_snr_db(tuning.spreading_factor)
        });
        let chip = self.chip(index);
        chip.raise(irq::CAD_DONE | if detected { irq::CAD_DETECTED } else { 0 });
        chip.fall_back_to_standby();
        self.settle(index);
    }

    pub(super) fn time_out(&mut self, index: ChipIndex, entry: u64) {
        let chip = self.chip(index);
        if chip.entry == entry && chip.reception.is_none() {
            chip.raise(irq::RX_TIMEOUT);
            chip.fall_back_to_standby();
            self.settle(index);
        }
    }

    /// Something comes over what a chip receives.
    pub(super) fn disturb(&mut self, index: ChipIndex) {
        let now_ns = self.now_ns;
        let chip = self.chip(index);
        chip.disturb(now_ns);
        if chip.reception.is_none() {
            self.time_out_single(index);
        }
    }

    /// A single reception that loses its packet is over at once (data sheet, section 4.1.6, on the use of
    /// single reception).
    pub(super) fn time_out_single(&mut self, index: ChipIndex) {
        let chip = self.chip(index);
        if chip.is_single() {
            let entry = chip.entry;
            self.time_out(index, entry);
        }
    }
}
