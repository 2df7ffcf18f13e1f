//! From flags to packets: look, clear, read in one burst, look again, deliver.
//!
//! In continuous receive the chip appends packet after packet to its FIFO, and length, place, CRC verdict and strength
//! are those of the last one alone (data sheet, section 4.1.2.3). So a packet must be read before the next one is
//! heard to its end. Whoever is held up by another program for longer finds anything, and what cannot be known then is
//! not delivered:
//!
//! - A CRC verdict is of the last packet that ended since all flags were cleared. So they are only cleared all at once,
//!   behind a look that shows which packet they are of; where the registers read after that are of another one, its
//!   verdict was cleared with the rest.
//! - The registers of a packet count only where a second look shows that no newer one came while they were read.
//! - Its bytes count only where a third look shows that the chip was itself all the while, and that those that came
//!   behind it in the FIFO have not reached it.

use tokio::time::Instant;

use super::convert::{IrqFlags, frequency_error_hz, packet_dbm, snr_quarter_db};
use super::fault::Fault;
use super::owner::Owner;
use super::register::{CRC_ON_PAYLOAD, PAYLOAD_COMES_IN, Register, op_mode};
use super::setup::{Chip, changed, refuse_dead};
use crate::Packet;
use crate::board::Board;

/// Rounds of one drain that found flags and no packet of which the registers can be trusted. More than a few mean a
/// broken bus.
const MOST_LOOKS_IN_VAIN: u32 = 8;

/// Where a register stands in a burst that begins at another.
const fn at(register: Register, first: Register) -> usize {
    (register.address() - first.address()) as usize
}

/// A look goes from the mode, over the flags, to the place in the FIFO that was written last.
const LOOK_BYTES: usize = at(Register::FifoRxByteAddr, Register::OpMode) + 1;
/// Bytes in the FIFO, which is a ring.
const FIFO_BYTES: usize = 256;
/// The registers of a packet go from its place to the frequency error.
const PACKET_BYTES: usize = at(Register::FeiLsb, Register::FifoRxCurrentAddr) + 1;

/// What one burst over mode and flags shows of a chip that is itself.
#[derive(Debug, Clone, Copy)]
struct Look {
    flags: IrqFlags,
    /// Where the last packet that was heard to its end begins, and how long it is.
    start: u8,
    length: u8,
    /// Headers that were understood so far.
    headers: u16,
    /// A packet comes in, and its bytes go to the FIFO.
    payload_comes_in: bool,
    /// Where the last of them went.
    written_at: u8,
    at: Instant,
}

impl Look {
    /// How many bytes have come into the FIFO, since a look before this one, behind a packet that ended there: those of
    /// one that was heard to its end since, and of one that comes in. Where more than one was, so many that nothing is
    /// left of the packet.
    fn bytes_since(self, before: Look, behind: u8) -> usize {
        let begun = self.headers.wrapping_sub(before.headers).wrapping_add(before.payload_comes_in.into());
        let is_one = begun == 1 + u16::from(self.payload_comes_in) && self.start == behind;
        let ended = match (self.flags.rx_done(), is_one) {
            (false, _) => 0,
            (true, true) => self.length,
            (true, false) => return FIFO_BYTES,
        };
        let since = self.written_at.wrapping_sub(behind.wrapping_add(ended)).wrapping_add(1);
        usize::from(ended) + if self.payload_comes_in { usize::from(since) } else { 0 }
    }
}

/// The registers of the last packet.
#[derive(Debug, Clone, Copy)]
struct Registers([u8; PACKET_BYTES]);

impl Registers {
    fn get(self, register: Register) -> u8 {
        self.0[at(register, Register::FifoRxCurrentAddr)]
    }

    /// Whether they are still those of the packet that a look showed: no two in a row have place and length in common.
    fn are_of_packet_at(self, look: Look) -> bool {
        (self.get(Register::FifoRxCurrentAddr), self.get(Register::RxNbBytes)) == (look.start, look.length)
    }
}

/// What became of a transmission that was heard to its end.
enum Heard {
    Whole(Packet),
    CrcWrong,
    /// Without a CRC, or without a byte.
    Malformed,
    /// The next packet had come over it before it was read.
    Overwritten,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    /// The flags are clear; so many transmissions were found.
    Clear(u32),
    /// The owner wants no more.
    Stopped,
}

impl<B: Board> Chip<B> {
    /// Takes what a listening chip has, until its flags are clear.
    pub(super) fn drain(&mut self, owner: &mut Owner) -> Result<Drained, Fault> {
        self.drain_in(op_mode::LISTENING, owner)
    }

    /// The same for a chip in another mode: what it has heard to the end stays there until sleep.
    pub(super) fn drain_in(&mut self, mode: u8, owner: &mut Owner) -> Result<Drained, Fault> {
        let mut look = self.look(mode)?;
        let (mut found, mut in_vain) = (0, 0);
        while !look.flags.is_clear() {
            if in_vain > MOST_LOOKS_IN_VAIN {
                return Err(Fault::FlagsStuck { flags: look.flags.0 });
            }
            in_vain += 1;
            if !look.flags.rx_done() {
                self.clear(look.flags.without_verdict())?;
                look = self.look(mode)?;
                continue;
            }
            // The flag may have come in the middle of that burst, behind the registers that say which packet it is of.
            let first = self.look(mode)?;
            self.clear(IrqFlags(IrqFlags::ALL))?;
            let registers = self.packet_registers()?;
            let second = self.look(mode)?;
            if second.flags.rx_done() || !registers.are_of_packet_at(first) {
                tracing::debug!("a packet was overtaken by the next one before it could be read");
                look = second;
                continue;
            }
            let heard = self.fetch(first.flags, look.at, registers)?;
            look = self.look(mode)?;
            (found, in_vain) = (found + 1, 0);
            if !owner.hand_over(heard.unless_overwritten(registers, second, look).count(owner)) {
                return Ok(Drained::Stopped);
            }
        }
        Ok(Drained::Clear(found))
    }

    /// Reads mode, flags and how far the receiver is in one burst. A chip that is not in this mode is a fault.
    fn look(&mut self, mode: u8) -> Result<Look, Fault> {
        const DOING: &str = "looking for packets";
        let values: [u8; LOOK_BYTES] = self.port.read_from(Register::OpMode).map_err(Fault::of_bus(DOING))?;
        let now = Instant::now();
        let value = |register| values[at(register, Register::OpMode)];
        let found = value(Register::OpMode) & op_mode::MASK;
        if found != mode {
            refuse_dead(DOING, &values)?;
            return Err(changed(DOING, Register::OpMode, mode, found));
        }
        Ok(Look {
            flags: IrqFlags(value(Register::IrqFlags)),
            start: value(Register::FifoRxCurrentAddr),
            length: value(Register::RxNbBytes),
            headers: u16::from_be_bytes([value(Register::RxHeaderCntMsb), value(Register::RxHeaderCntLsb)]),
            payload_comes_in: value(Register::ModemStat) & PAYLOAD_COMES_IN == PAYLOAD_COMES_IN,
            written_at: value(Register::FifoRxByteAddr),
            at: now,
        })
    }

    /// Clears flags. Those of a packet before it is read: what comes meanwhile stays.
    fn clear(&mut self, flags: IrqFlags) -> Result<(), Fault> {
        self.port.write(Register::IrqFlags, flags.0).map_err(Fault::of_bus("clearing flags"))
    }

    fn packet_registers(&mut self) -> Result<Registers, Fault> {
        let values = self.port.read_from(Register::FifoRxCurrentAddr);
        values.map(Registers).map_err(Fault::of_bus("reading the registers of a packet"))
    }

    /// Judges a packet, and reads it if it is good: CRC present and right.
    fn fetch(&mut self, flags: IrqFlags, seen_at: Instant, registers: Registers) -> Result<Heard, Fault> {
        if flags.payload_crc_error() {
            return Ok(Heard::CrcWrong);
        }
        let length = registers.get(Register::RxNbBytes);
        if registers.get(Register::HopChannel) & CRC_ON_PAYLOAD == 0 || length == 0 {
            return Ok(Heard::Malformed);
        }
        let mut bytes = vec![0; usize::from(length)];
        let start = registers.get(Register::FifoRxCurrentAddr);
        self.port
            .write(Register::FifoAddrPtr, start)
            .and_then(|()| self.port.read_into(Register::Fifo, &mut bytes))
            .map_err(Fault::of_bus("reading a packet"))?;
        Ok(Heard::Whole(self.packet(bytes, registers, seen_at)))
    }

    fn packet(&self, bytes: Vec<u8>, registers: Registers, received_at: Instant) -> Packet {
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

impl Heard {
    /// What the looks before and after the reading say of it. A packet goes to the FIFO byte by byte, right behind the one before,
    /// so that one that is read late may be in part the next one, long before that one's RxDone.
    fn unless_overwritten(self, registers: Registers, before: Look, after: Look) -> Self {
        let length = registers.get(Register::RxNbBytes);
        let behind = registers.get(Register::FifoRxCurrentAddr).wrapping_add(length);
        let is_whole = usize::from(length) + after.bytes_since(before, behind) <= FIFO_BYTES;
        if is_whole || !matches!(self, Self::Whole(_)) { self } else { Self::Overwritten }
    }

    fn count(self, owner: &Owner) -> Option<Packet> {
        match self {
            Self::Whole(packet) => return Some(packet),
            Self::CrcWrong => owner.counters.count_crc_error(),
            Self::Malformed => owner.counters.count_malformed(),
            Self::Overwritten => {
                tracing::debug!("a packet was overwritten by the next one before it could be read");
                owner.counters.count_malformed();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
