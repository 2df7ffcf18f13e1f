//! A packet on its way into the FIFO.

use std::sync::Arc;

use super::super::chance;
use super::super::ledger::{Entry, Fate, TransmissionId};
use super::super::registers::{Register, irq};
use super::super::signal::{self, Signal};
use super::super::tuning::Tuning;
use super::ChipState;
use super::mode::Mode;

/// Bit 6 of register 0x1C: the header of the last packet said that it has a CRC.
const CRC_ON_PAYLOAD: u8 = 0x40;

/// How far a reception has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The receiver holds the preamble.
    Preamble,
    /// It reads the header, or the first eight symbols where there is none.
    Header,
    /// Bytes come in.
    Payload,
}

/// What a locked receiver knows.
#[derive(Debug)]
pub(in crate::emulator) struct Reception {
    heard: Heard,
    /// Another transmission covers the header: it will not be understood.
    header_lost: bool,
    header_known: bool,
    /// Something covers or spoils the payload.
    spoiled: bool,
    entry: Option<Entry>,
    written_bytes: u8,
    start: u8,
    length: u8,
}

/// What a receiver locks on.
#[derive(Debug)]
pub(in crate::emulator) struct Heard {
    pub(in crate::emulator) transmission: TransmissionId,
    pub(in crate::emulator) signal: Signal,
    pub(in crate::emulator) sender: Tuning,
    pub(in crate::emulator) payload: Arc<[u8]>,
    /// Something on the way spoils it.
    pub(in crate::emulator) corrupted: bool,
    /// When the preamble is over.
    pub(in crate::emulator) synchronized_ns: u64,
    /// When the header is over and the first byte begins to come in.
    pub(in crate::emulator) header_ns: u64,
    /// When the last byte is in.
    pub(in crate::emulator) end_ns: u64,
}

impl ChipState {
    /// The receiver holds this one from now on.
    pub(in crate::emulator) fn lock(&mut self, heard: Heard, receiver: &Tuning, entry: Option<Entry>) {
        let sender = &heard.sender;
        // Without a header the receiver takes as many bytes as it was told.
        let length = if sender.explicit_header { sender.payload_bytes } else { receiver.payload_bytes };
        let differs = sender.low_data_rate_optimize != receiver.low_data_rate_optimize
            || (!sender.explicit_header
                && (length != sender.payload_bytes
                    || sender.crc != receiver.crc
                    || sender.coding_rate_denominator != receiver.coding_rate_denominator));
        self.reception = Some(Reception {
            spoiled: differs || heard.corrupted,
            heard,
            header_lost: false,
            header_known: false,
            entry,
            written_bytes: 0,
            start: self.write_at,
            length,
        });
    }

    /// The header is over. Gives the fate of a packet that ends here; the modem then goes on searching.
    pub(in crate::emulator) fn read_header(&mut self) -> Option<Fate> {
        let longest = self.register(Register::MaxPayloadLength);
        let reception = self.reception.as_mut()?;
        if reception.header_lost {
            return Some(Fate::Collided);
        }
        reception.header_known = true;
        if !reception.heard.sender.explicit_header {
            return None;
        }
        if reception.length > longest {
            return Some(Fate::OtherSettings);
        }
        let crc = if reception.heard.sender.crc { CRC_ON_PAYLOAD } else { 0 };
        let others = self.register(Register::HopChannel) & !CRC_ON_PAYLOAD;
        self.set_register(Register::HopChannel, others | crc);
        self.count(Register::RxHeaderCntMsb, Register::RxHeaderCntLsb);
        self.raise(irq::VALID_HEADER);
        None
    }

    /// Something as strong as the packet comes over it, or the sender stops. What is in already stays as it is.
    pub(in crate::emulator) fn disturb(&mut self, now_ns: u64) {
        self.write_received(now_ns);
        let Some(reception) = self.reception.as_mut().filter(|reception| now_ns < reception.heard.end_ns) else {
            return;
        };
        match reception.phase(now_ns) {
            // The receiver searches on, and may take what came over it.
            Phase::Preamble => self.give_up_reception(Fate::Collided),
            Phase::Header => reception.header_lost = true,
            Phase::Payload => reception.spoiled = true,
        }
    }

    /// Bytes go into the FIFO as they come in, not all at the end: what a long packet overwrites, it overwrites
    /// before its RxDone.
    pub(in crate::emulator) fn write_received(&mut self, now_ns: u64) {
        let Some(reception) = self.reception.as_mut() else { return };
        if !reception.header_known {
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

    /// The packet is over: its registers, its flags, and its bytes as something to be read.
    pub(in crate::emulator) fn finish_reception(&mut self, receiver: &Tuning) {
        self.write_received(u64::MAX);
        let Some(reception) = self.reception.take() else { return };
        let has_crc = if reception.heard.sender.explicit_header { reception.heard.sender.crc } else { receiver.crc };
        let crc_bad = has_crc && reception.spoiled;
        self.write_at = reception.start.wrapping_add(reception.length);
        self.report(&reception, receiver);
        self.raise(irq::RX_DONE | if crc_bad { irq::PAYLOAD_CRC_ERROR } else { 0 });
        if !crc_bad {
            self.count(Register::RxPacketCntMsb, Register::RxPacketCntLsb);
        }
        let Some(entry) = reception.entry else { return };
        let fate = match (has_crc, reception.spoiled) {
            (false, _) => Fate::WithoutCrc,
            (true, true) => Fate::CrcBad,
            (true, false) => Fate::Unread,
        };
        self.ledger.change(entry, fate);
        if fate == Fate::Unread && reception.length > 0 {
            self.fifo.own(reception.start, reception.length, entry);
        }
    }

    /// The registers that speak of the last packet alone.
    fn report(&mut self, reception: &Reception, receiver: &Tuning) {
        let signal = &reception.heard.signal;
        self.set_register(Register::FifoRxCurrentAddr, reception.start);
        self.set_register(Register::RxNbBytes, reception.length);
        self.set_register(Register::PktSnrValue, signal::snr_register(signal.snr_db));
        self.set_register(Register::PktRssiValue, signal::packet_rssi_register(signal, receiver.frequency_hz));
        let [high, middle, low] = signal::frequency_error_registers(signal.frequency_error_hz, receiver.bandwidth_hz);
        self.set_register(Register::FeiMsb, high);
        self.set_register(Register::FeiMid, middle);
        self.set_register(Register::FeiLsb, low);
    }

    /// A receive mode begins: the first packet goes to the base, and the counters begin anew.
    pub(in crate::emulator) fn begin_to_receive(&mut self) {
        self.write_at = self.register(Register::FifoRxBaseAddr);
        for counter in
            [Register::RxHeaderCntMsb, Register::RxHeaderCntLsb, Register::RxPacketCntMsb, Register::RxPacketCntLsb]
        {
            self.set_register(counter, 0);
        }
    }

    /// The receiver lets go of what it held.
    pub(in crate::emulator) fn give_up_reception(&mut self, fate: Fate) {
        if let Some(reception) = self.reception.take()
            && let Some(entry) = reception.entry
        {
            self.ledger.change(entry, fate);
        }
    }

    /// Register 0x18: how far the receiver has come.
    pub(in crate::emulator) fn set_modem_status(&mut self, now_ns: u64) {
        let status = match self.reception.as_ref() {
            None => 0x14,
            Some(reception) => {
                let rate = (reception.heard.sender.coding_rate_denominator - 4) << 5;
                match reception.phase(now_ns) {
                    Phase::Preamble => 0x05,
                    Phase::Header => 0x07,
                    Phase::Payload => 0x0F | rate,
                }
            }
        };
        self.set_register(Register::ModemStat, status);
    }

    /// How many symbols a single reception waits for a preamble (registers 0x1E and 0x1F).
    pub(in crate::emulator) fn preamble_timeout_symbols(&self) -> u64 {
        let high = self.register(Register::ModemConfig2) & 0x03;
        u64::from(u16::from_be_bytes([high, self.register(Register::SymbTimeoutLsb)]))
    }

    /// Whether it is this one that is being received.
    pub(in crate::emulator) fn receives(&self, transmission: TransmissionId) -> bool {
        self.reception.as_ref().is_some_and(|reception| reception.heard.transmission == transmission)
    }

    /// Whether a preamble can be locked on now.
    pub(in crate::emulator) fn searches(&self) -> bool {
        self.is_lora() && self.mode().receives() && self.reception.is_none()
    }

    /// Whether the receiver goes to standby after this packet.
    pub(in crate::emulator) fn is_single(&self) -> bool {
        self.mode() == Mode::ReceiveSingle
    }

    fn count(&mut self, high: Register, low: Register) {
        let before = u16::from_be_bytes([self.register(high), self.register(low)]);
        let [msb, lsb] = before.wrapping_add(1).to_be_bytes();
        self.set_register(high, msb);
        self.set_register(low, lsb);
    }
}

impl Reception {
    pub(in crate::emulator) fn sender(&self) -> &Tuning {
        &self.heard.sender
    }

    pub(in crate::emulator) fn power_dbm(&self) -> f64 {
        self.heard.signal.power_dbm
    }

    fn phase(&self, now_ns: u64) -> Phase {
        if now_ns < self.heard.synchronized_ns {
            Phase::Preamble
        } else if now_ns < self.heard.header_ns {
            Phase::Header
        } else {
            Phase::Payload
        }
    }

    /// How many bytes have come in by then.
    fn bytes_by(&self, now_ns: u64) -> u8 {
        if now_ns >= self.heard.end_ns {
            return self.length;
        }
        let passed_ns = u128::from(now_ns.saturating_sub(self.heard.header_ns));
        let whole_ns = u128::from((self.heard.end_ns - self.heard.header_ns).max(1));
        u8::try_from(u128::from(self.length) * passed_ns / whole_ns).unwrap_or(self.length)
    }

    /// A byte as it is demodulated: something else where the reception is spoiled.
    fn byte(&self, offset: u8) -> u8 {
        let sent = self.heard.payload.get(usize::from(offset)).copied().unwrap_or_default();
        if !self.spoiled {
            return sent;
        }
        let [noise, ..] = chance::of([self.heard.transmission.0, u64::from(offset), 0]).to_le_bytes();
        sent ^ noise.max(1)
    }
}
