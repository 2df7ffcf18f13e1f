//! From flags to packets: look, clear, read in one burst, look again, deliver.
//!
//! In continuous receive the chip appends packet after packet to its FIFO, and length, place, CRC verdict and strength
//! are those of the last one alone (data sheet, section 4.1.2.3). So a packet must be read before the next one is
//! heard to its end. Its registers count only when a second look shows that no newer packet had taken them over, and its
//! bytes only when a third one shows that the chip was itself all the while and that the next packet has not come over
//! them.

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
    /// A packet comes in, and its bytes go to the FIFO.
    payload_comes_in: bool,
    /// Where the last of them went.
    written_at: u8,
    at: Instant,
}

/// The registers of the last packet.
#[derive(Debug, Clone, Copy)]
struct Registers([u8; PACKET_BYTES]);

impl Registers {
    fn get(self, register: Register) -> u8 {
        self.0[at(register, Register::FifoRxCurrentAddr)]
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
            self.clear(look.flags)?;
            if !look.flags.rx_done() {
                look = self.look(mode)?;
                continue;
            }
            let registers = self.packet_registers()?;
            let second = self.look(mode)?;
            if second.flags.rx_done() {
                tracing::debug!("a packet was overtaken by the next one before it could be read");
                look = second;
                continue;
            }
            let heard = self.fetch(look, second, registers)?;
            look = self.look(mode)?;
            (found, in_vain) = (found + 1, 0);
            if !owner.hand_over(heard.unless_overwritten(registers, look).count(owner)) {
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
            payload_comes_in: value(Register::ModemStat) & PAYLOAD_COMES_IN == PAYLOAD_COMES_IN,
            written_at: value(Register::FifoRxByteAddr),
            at: now,
        })
    }

    /// Clears the flags that were seen and no others. Before the packet is read: a flag that comes meanwhile stays.
    fn clear(&mut self, flags: IrqFlags) -> Result<(), Fault> {
        self.port.write(Register::IrqFlags, flags.0).map_err(Fault::of_bus("clearing flags"))
    }

    fn packet_registers(&mut self) -> Result<Registers, Fault> {
        let values = self.port.read_from(Register::FifoRxCurrentAddr);
        values.map(Registers).map_err(Fault::of_bus("reading the registers of a packet"))
    }

    /// Judges a packet, and reads it if it is good: CRC present and right.
    ///
    /// The registers may be those of a newer packet that ended between the first look and its clearing, which took the
    /// RxDone of both away. A wrong CRC of that one is seen by the second look alone.
    fn fetch(&mut self, look: Look, second: Look, registers: Registers) -> Result<Heard, Fault> {
        if look.flags.payload_crc_error() || second.flags.payload_crc_error() {
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
        Ok(Heard::Whole(self.packet(bytes, registers, look.at)))
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
    /// What the look after the reading says of it. A packet goes to the FIFO byte by byte, right behind the one before,
    /// so that one that is read late may be in part the next one, long before that one's RxDone.
    fn unless_overwritten(self, registers: Registers, after: Look) -> Self {
        let length = registers.get(Register::RxNbBytes);
        let next = registers.get(Register::FifoRxCurrentAddr).wrapping_add(length);
        let newer_bytes = after.written_at.wrapping_sub(next).wrapping_add(1);
        let is_newer = after.flags.rx_done() || after.payload_comes_in;
        let is_covered = usize::from(newer_bytes) + usize::from(length) > FIFO_BYTES;
        if is_newer && is_covered && matches!(self, Self::Whole(_)) { Self::Overwritten } else { self }
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
