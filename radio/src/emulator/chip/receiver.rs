//! The receiver of a chip: from locking on a packet to its bytes in the FIFO and its flags.

use super::ChipState;
use super::mode::Mode;
use super::reception::{IncomingPacket, Phase, Reception};
use crate::emulator::ids::TransmissionId;
use crate::emulator::ledger::{Fate, VerdictId};
use crate::emulator::registers::{Register, irq};
use crate::emulator::signal;
use crate::emulator::tuning::Tuning;

/// Bits 2 to 0 of register 0x31, and register 0x37, for SF7 to SF12 (data sheet, section 4.1.1.2).
const DETECTION: (u8, u8) = (0x03, 0x0A);
/// Bit 4 of register 0x4B: the crystal pin takes the signal of an oscillator.
const TCXO_INPUT: u8 = 0x10;
/// Bit 6 of register 0x1C: the header of the last packet announced a CRC.
const CRC_ON_PAYLOAD: u8 = 0x40;

impl ChipState {
    /// Prepares for a receive mode: the first packet goes to the base address, and the counters restart.
    pub(in crate::emulator) fn start_receiver(&mut self) {
        self.write_at = self.register(Register::FifoRxBaseAddr);
        for counter in
            [Register::RxHeaderCntMsb, Register::RxHeaderCntLsb, Register::RxPacketCntMsb, Register::RxPacketCntLsb]
        {
            self.set_register(counter, 0);
        }
    }

    /// Locks the receiver on a packet.
    pub(in crate::emulator) fn lock(&mut self, packet: IncomingPacket, receiver: &Tuning, verdict: Option<VerdictId>) {
        self.reception = Some(Reception::new(packet, receiver, verdict, self.write_at));
    }

    /// Decodes the header at its end.
    ///
    /// Returns a fate if the reception ends here; the modem then searches for the next packet.
    pub(in crate::emulator) fn read_header(&mut self) -> Option<Fate> {
        let max_length = self.register(Register::MaxPayloadLength);
        let reception = self.reception.as_mut()?;
        if reception.header_lost {
            return Some(Fate::Collided);
        }
        reception.header_decoded = true;
        if !reception.packet.sender.explicit_header {
            return None;
        }
        if reception.length > max_length {
            return Some(Fate::OtherSettings);
        }
        let crc = if reception.packet.sender.crc { CRC_ON_PAYLOAD } else { 0 };
        let others = self.register(Register::HopChannel) & !CRC_ON_PAYLOAD;
        self.set_register(Register::HopChannel, others | crc);
        self.increment(Register::RxHeaderCntMsb, Register::RxHeaderCntLsb);
        self.raise(irq::VALID_HEADER);
        None
    }

    /// Disturbs the reception: a transmission of similar strength begins, or the sender stops. Bytes that have arrived
    /// stay as they are.
    pub(in crate::emulator) fn disturb_reception(&mut self, now_ns: u64) {
        self.write_received(now_ns);
        let Some(reception) = self.reception.as_mut().filter(|reception| now_ns < reception.packet.end_ns) else {
            return;
        };
        match reception.phase(now_ns) {
            // The receiver searches again and may lock on the other transmission.
            Phase::Preamble => self.abandon_reception(Fate::Collided),
            Phase::Header => reception.header_lost = true,
            Phase::Payload => reception.corrupted = true,
        }
    }

    /// Writes the bytes that have arrived into the FIFO.
    ///
    /// They go in one by one, not all at the end. A long packet therefore overwrites older ones before its RxDone.
    pub(in crate::emulator) fn write_received(&mut self, now_ns: u64) {
        let Some(reception) = self.reception.as_mut() else { return };
        if !reception.header_decoded {
            return;
        }
        let due_bytes = reception.bytes_by(now_ns);
        while reception.written_bytes < due_bytes {
            let offset = reception.written_bytes;
            let at = reception.start.wrapping_add(offset);
            self.fifo.write(at, reception.byte(offset), &mut self.ledger);
            self.registers[Register::FifoRxByteAddr as usize] = at;
            reception.written_bytes += 1;
        }
    }

    /// Completes the reception: writes the last bytes, the packet's registers and the flags, and marks a good packet as
    /// unread.
    pub(in crate::emulator) fn finish_reception(&mut self, receiver: &Tuning) {
        self.write_received(u64::MAX);
        let Some(reception) = self.reception.take() else { return };
        let has_crc = if reception.packet.sender.explicit_header { reception.packet.sender.crc } else { receiver.crc };
        let crc_bad = has_crc && reception.corrupted;
        self.write_at = reception.start.wrapping_add(reception.length);
        self.report(&reception, receiver);
        self.raise(irq::RX_DONE | if crc_bad { irq::PAYLOAD_CRC_ERROR } else { 0 });
        if !crc_bad {
            self.increment(Register::RxPacketCntMsb, Register::RxPacketCntLsb);
        }
        let Some(verdict) = reception.verdict else { return };
        let fate = match (has_crc, reception.corrupted) {
            (false, _) => Fate::WithoutCrc,
            (true, true) => Fate::CrcBad,
            (true, false) => Fate::Unread,
        };
        self.ledger.set_fate(verdict, fate);
        if fate == Fate::Unread && reception.length > 0 {
            self.fifo.mark_unread(reception.start, reception.length, verdict);
        }
    }

    /// Writes the registers that describe the last packet.
    fn report(&mut self, reception: &Reception, receiver: &Tuning) {
        let signal = &reception.packet.signal;
        self.set_register(Register::FifoRxCurrentAddr, reception.start);
        self.set_register(Register::RxNbBytes, reception.length);
        self.set_register(Register::PktSnrValue, signal::snr_register(signal.snr_db));
        self.set_register(Register::PktRssiValue, signal::packet_rssi_register(signal, receiver.frequency_hz));
        let [high, middle, low] = signal::frequency_error_registers(signal.frequency_error_hz, receiver.bandwidth_hz);
        self.set_register(Register::FeiMsb, high);
        self.set_register(Register::FeiMid, middle);
        self.set_register(Register::FeiLsb, low);
    }

    /// Ends the current reception, if any, with this fate.
    pub(in crate::emulator) fn abandon_reception(&mut self, fate: Fate) {
        if let Some(reception) = self.reception.take()
            && let Some(verdict) = reception.verdict
        {
            self.ledger.set_fate(verdict, fate);
        }
    }

    /// Updates register 0x18, which shows the receiver's progress.
    pub(in crate::emulator) fn update_modem_status(&mut self, now_ns: u64) {
        let status = match self.reception.as_ref() {
            None => 0x14,
            Some(reception) => {
                let rate = (reception.packet.sender.coding_rate_denominator - 4) << 5;
                match reception.phase(now_ns) {
                    Phase::Preamble => 0x05,
                    Phase::Header => 0x07,
                    Phase::Payload => 0x0F | rate,
                }
            }
        };
        self.set_register(Register::ModemStat, status);
    }

    /// Returns the number of symbols that a single reception waits for a preamble (registers 0x1E and 0x1F).
    pub(in crate::emulator) fn preamble_timeout_symbols(&self) -> u64 {
        let high = self.register(Register::ModemConfig2) & 0x03;
        u64::from(u16::from_be_bytes([high, self.register(Register::SymbTimeoutLsb)]))
    }

    /// Returns `true` if a setting or a fault keeps the receiver from finding any preamble, although its mode receives.
    pub(in crate::emulator) fn is_deaf(&self) -> bool {
        // A driver of Semtech's set 0 there and heard nothing in continuous receive (Lora-net/LoRaMac-node, pull request
        // 885).
        let no_timeout = self.mode() == Mode::ReceiveContinuous && self.preamble_timeout_symbols() == 0;
        // Hopping needs a host that follows, and a sender that hops.
        let hops = self.register(Register::HopPeriod) != 0;
        let is_sf6 = self.register(Register::ModemConfig2) >> 4 == 6;
        let detection = (self.register(Register::DetectOptimize) & 0x07, self.register(Register::DetectionThreshold));
        let has_clock = self.options.tcxo == (self.register(Register::Tcxo) & TCXO_INPUT != 0);
        self.is_hung || no_timeout || hops || (!is_sf6 && detection != DETECTION) || !has_clock
    }

    /// Returns `true` if the chip receives this transmission now.
    pub(in crate::emulator) fn receives(&self, transmission: TransmissionId) -> bool {
        self.reception.as_ref().is_some_and(|reception| reception.packet.transmission == transmission)
    }

    /// Returns `true` if the receiver can lock on a preamble now.
    pub(in crate::emulator) fn searches(&self) -> bool {
        self.is_lora() && self.mode().receives() && self.reception.is_none()
    }

    /// Returns `true` if the receiver goes to standby after one packet.
    pub(in crate::emulator) fn is_single(&self) -> bool {
        self.mode() == Mode::ReceiveSingle
    }

    /// Adds 1 to a 16-bit counter in two registers.
    fn increment(&mut self, high: Register, low: Register) {
        let before = u16::from_be_bytes([self.register(high), self.register(low)]);
        let [msb, lsb] = before.wrapping_add(1).to_be_bytes();
        self.set_register(high, msb);
        self.set_register(low, lsb);
    }
}
