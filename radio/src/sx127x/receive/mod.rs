//! Receiving: look at the flags, clear them, read the packet in one burst, look again, deliver.
//!
//! In continuous receive the chip appends packet after packet to its FIFO. Length, position, CRC verdict and strength
//! always describe the last packet (data sheet, section 4.1.2.3). So a packet must be read before the next one ends. A
//! thread that is delayed by another program can miss that, and then nothing uncertain may be delivered:
//!
//! - The CRC verdict belongs to the last packet that ended since all flags were cleared. So flags are only cleared all
//!   at once, after a look that shows which packet they belong to. If the registers read after that belong to another
//!   packet, the verdict of that packet was cleared too, and it is not delivered.
//! - The registers of a packet count only if a second look shows that no newer packet ended while they were read.
//! - The bytes count only if a third look shows that the chip kept working meanwhile, and that later packets have not
//!   overwritten them in the FIFO.
//!
//! The alternative, trusting a single read, was rejected: a chip that resets in between returns zeros, and a chip that
//! keeps receiving overwrites what is read too late. What these checks discard was damaged anyway.

use super::convert::{IrqFlags, frequency_error_hz, packet_dbm, snr_quarter_db};
use super::error::ChipError;
use super::link::RadioLink;
use super::register::{CRC_ON_PAYLOAD, PAYLOAD_INCOMING, Register, op_mode};
use super::setup::{Chip, mismatch, refuse_dead};
use crate::Packet;
use crate::board::Board;
use tokio::time::Instant;

/// Number of rounds in a row that may find flags but no packet with trustworthy registers. More than a few mean that
/// the bus is broken.
const MAX_EMPTY_ROUNDS: u32 = 8;

/// Returns the index of a register in a burst that starts at `first`.
const fn at(register: Register, first: Register) -> usize {
    (register.address() - first.address()) as usize
}

/// Length of a look: from the mode, past the flags, to the last written position of the FIFO.
const LOOK_BYTES: usize = at(Register::FifoRxByteAddr, Register::OpMode) + 1;
/// Size of the FIFO, which is a ring.
const FIFO_BYTES: usize = 256;
/// Length of a packet's registers: from its position to its frequency error.
const PACKET_BYTES: usize = at(Register::FeiLsb, Register::FifoRxCurrentAddr) + 1;

/// State of the receiver, read in one burst from a chip in the expected mode.
#[derive(Clone, Copy, Debug)]
struct Look {
    flags: IrqFlags,
    /// FIFO position of the last complete packet.
    start: u8,
    /// Length of the last complete packet.
    length: u8,
    /// Number of headers decoded so far, modulo 2^16.
    headers: u16,
    /// True if a packet is being received and its bytes go to the FIFO.
    payload_incoming: bool,
    /// FIFO position that was written last.
    written_at: u8,
    at: Instant,
}

impl Look {
    /// Returns the number of bytes that reached the FIFO after a packet that ended at `end`, since an earlier look. It
    /// counts a packet that ended since and one that is being received. If more than one ended, it returns
    /// [`FIFO_BYTES`], because nothing may be left of the packet.
    fn bytes_since(self, before: Look, end: u8) -> usize {
        let started = self.headers.wrapping_sub(before.headers).wrapping_add(before.payload_incoming.into());
        let is_single = started == 1 + u16::from(self.payload_incoming) && self.start == end;
        let ended = match (self.flags.rx_done(), is_single) {
            (false, _) => 0,
            (true, true) => self.length,
            (true, false) => return FIFO_BYTES,
        };
        let incoming = self.written_at.wrapping_sub(end.wrapping_add(ended)).wrapping_add(1);
        usize::from(ended) + if self.payload_incoming { usize::from(incoming) } else { 0 }
    }

    /// Returns the number of packets that can no longer be read, if another one ended since the flags of an earlier look were
    /// cleared: the earlier look's, and that of this look if its verdict was cleared too.
    fn packets_lost_since(self, before: Look) -> u8 {
        let is_other = (self.start, self.length) != (before.start, before.length);
        u8::from(is_other) + u8::from(!self.flags.rx_done())
    }
}

/// The registers that describe the last packet.
#[derive(Clone, Copy, Debug)]
struct PacketRegisters([u8; PACKET_BYTES]);

impl PacketRegisters {
    fn get(self, register: Register) -> u8 {
        self.0[at(register, Register::FifoRxCurrentAddr)]
    }

    /// Returns true if these registers describe the same packet as a look. Two packets in a row never have both
    /// position and length in common.
    fn describe_packet_of(self, look: Look) -> bool {
        (self.get(Register::FifoRxCurrentAddr), self.get(Register::RxNbBytes)) == (look.start, look.length)
    }
}

/// Outcome of a transmission that was received to its end.
enum Reception {
    /// With a right CRC.
    Good(Packet),
    /// Without a CRC. `None` if such packets are dropped.
    WithoutCrc(Option<Packet>),
    CrcError,
    /// Empty.
    Malformed,
    /// The next packet overwrote it before it was read.
    Overwritten,
}

/// Result of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DrainOutcome {
    /// The flags are clear. Holds the number of transmissions found.
    Clear(u32),
    /// The radio shuts down.
    Shutdown,
}

impl<B: Board> Chip<B> {
    /// Delivers what a listening chip has received, until its flags are clear.
    pub(super) fn drain(&mut self, link: &mut RadioLink) -> Result<DrainOutcome, ChipError> {
        self.drain_in(op_mode::RX_CONTINUOUS, link)
    }

    /// Does the same for a chip in another mode. Complete packets stay in the FIFO until sleep mode.
    pub(super) fn drain_in(&mut self, mode: u8, link: &mut RadioLink) -> Result<DrainOutcome, ChipError> {
        let mut look = self.look(mode)?;
        let (mut found, mut empty_rounds) = (0, 0);
        while !look.flags.is_clear() {
            if empty_rounds > MAX_EMPTY_ROUNDS {
                return Err(ChipError::FlagsStuck { flags: look.flags.0 });
            }
            empty_rounds += 1;
            if !look.flags.rx_done() {
                self.clear(look.flags.without_verdict())?;
                look = self.look(mode)?;
                continue;
            }
            // The flag may have been set in the middle of that burst, after the registers that name its packet were
            // read.
            let first = self.look(mode)?;
            self.clear(IrqFlags(IrqFlags::ALL))?;
            let registers = self.packet_registers()?;
            let second = self.look(mode)?;
            if second.flags.rx_done() || !registers.describe_packet_of(first) {
                for _ in 0..second.packets_lost_since(first) {
                    tracing::debug!("the next packet ended before this one could be read");
                    link.counters.count_malformed();
                }
                look = second;
                continue;
            }
            let reception = self.fetch(first.flags, look.at, registers)?;
            look = self.look(mode)?;
            (found, empty_rounds) = (found + 1, 0);
            let packet = reception.unless_overwritten(registers, second, look).into_packet(link);
            if !link.hand_over(packet) {
                return Ok(DrainOutcome::Shutdown);
            }
        }
        Ok(DrainOutcome::Clear(found))
    }

    /// Reads mode, flags and the receiver's position in one burst. A chip in another mode is an error.
    fn look(&mut self, mode: u8) -> Result<Look, ChipError> {
        const CONTEXT: &str = "looking for packets";
        let values: [u8; LOOK_BYTES] = self.port.read_from(Register::OpMode).map_err(ChipError::from_bus(CONTEXT))?;
        let now = Instant::now();
        let value = |register| values[at(register, Register::OpMode)];
        let found = value(Register::OpMode) & op_mode::MASK;
        if found != mode {
            refuse_dead(CONTEXT, &values)?;
            return Err(mismatch(CONTEXT, Register::OpMode, mode, found));
        }
        Ok(Look {
            flags: IrqFlags(value(Register::IrqFlags)),
            start: value(Register::FifoRxCurrentAddr),
            length: value(Register::RxNbBytes),
            headers: u16::from_be_bytes([value(Register::RxHeaderCntMsb), value(Register::RxHeaderCntLsb)]),
            payload_incoming: value(Register::ModemStat) & PAYLOAD_INCOMING == PAYLOAD_INCOMING,
            written_at: value(Register::FifoRxByteAddr),
            at: now,
        })
    }

    /// Clears flags. Those of a packet are cleared before it is read, so that flags set meanwhile remain.
    fn clear(&mut self, flags: IrqFlags) -> Result<(), ChipError> {
        self.port.write(Register::IrqFlags, flags.0).map_err(ChipError::from_bus("clearing flags"))
    }

    fn packet_registers(&mut self) -> Result<PacketRegisters, ChipError> {
        let values = self.port.read_from(Register::FifoRxCurrentAddr);
        values.map(PacketRegisters).map_err(ChipError::from_bus("reading the registers of a packet"))
    }

    /// Reads a packet if it is good: its CRC is right, or it has none and the settings accept that.
    fn fetch(&mut self, flags: IrqFlags, seen_at: Instant, registers: PacketRegisters) -> Result<Reception, ChipError> {
        if flags.payload_crc_error() {
            return Ok(Reception::CrcError);
        }
        let length = registers.get(Register::RxNbBytes);
        let has_crc = registers.get(Register::HopChannel) & CRC_ON_PAYLOAD != 0;
        if length == 0 {
            return Ok(Reception::Malformed);
        }
        if !has_crc && !self.accepts_without_crc {
            return Ok(Reception::WithoutCrc(None));
        }
        let mut bytes = vec![0; usize::from(length)];
        let start = registers.get(Register::FifoRxCurrentAddr);
        self.port
            .write(Register::FifoAddrPtr, start)
            .and_then(|()| self.port.read_into(Register::Fifo, &mut bytes))
            .map_err(ChipError::from_bus("reading a packet"))?;
        let packet = self.packet(bytes, registers, seen_at);
        Ok(if has_crc { Reception::Good(packet) } else { Reception::WithoutCrc(Some(packet)) })
    }

    fn packet(&self, bytes: Vec<u8>, registers: PacketRegisters, received_at: Instant) -> Packet {
        let modulation = &self.modulation;
        let snr = snr_quarter_db(registers.get(Register::PktSnrValue));
        let strength = registers.get(Register::PktRssiValue);
        let error = [Register::FeiMsb, Register::FeiMid, Register::FeiLsb].map(|part| registers.get(part));
        Packet {
            bytes,
            rssi_dbm: Some(packet_dbm(modulation.frequency_hz, strength, snr)),
            snr_quarter_db: Some(snr),
            frequency_error_hz: Some(frequency_error_hz(error, modulation.bandwidth)),
            received_at,
        }
    }
}

impl Reception {
    /// Turns a good packet into [`Overwritten`](Self::Overwritten) if the looks before and after its reading do not
    /// rule that out. The chip writes each byte to the FIFO as it arrives, right after the previous packet. So a packet
    /// that is read late may contain part of the next one, long before that one's RxDone.
    fn unless_overwritten(self, registers: PacketRegisters, before: Look, after: Look) -> Self {
        let length = registers.get(Register::RxNbBytes);
        let end = registers.get(Register::FifoRxCurrentAddr).wrapping_add(length);
        let is_whole = usize::from(length) + after.bytes_since(before, end) <= FIFO_BYTES;
        let was_read = matches!(self, Self::Good(_) | Self::WithoutCrc(Some(_)));
        if is_whole || !was_read { self } else { Self::Overwritten }
    }

    /// Returns a packet that is to be delivered, and counts any other outcome.
    fn into_packet(self, link: &mut RadioLink) -> Option<Packet> {
        match self {
            Self::Good(packet) => {
                link.notes.record_good(packet.frequency_error_hz);
                return Some(packet);
            }
            Self::WithoutCrc(packet) => {
                link.counters.count_without_crc();
                link.notes.record_without_crc();
                return packet;
            }
            Self::CrcError => link.counters.count_crc_error(),
            Self::Malformed => link.counters.count_malformed(),
            Self::Overwritten => {
                tracing::debug!("the next packet overwrote this one before it could be read");
                link.counters.count_malformed();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
