//! The FIFO: 256 bytes, and the packets in it that are still unread.

use crate::emulator::ledger::{Fate, Ledger, VerdictId};

/// Size of the FIFO. Every address is a `u8` and wraps by itself.
const FIFO_BYTES: usize = 256;

/// The chip's data buffer (data sheet, section 4.1.2.3).
///
/// Each byte carries the packet that it belongs to until it is read. So the ledger can distinguish a packet that was
/// read completely from one that was overwritten first.
#[derive(Debug)]
pub(super) struct Fifo {
    bytes: [u8; FIFO_BYTES],
    owners: [Option<VerdictId>; FIFO_BYTES],
    /// Packets with unread bytes; at most one per byte.
    unread: Vec<UnreadPacket>,
}

/// A packet that was flagged good and has unread bytes.
#[derive(Debug)]
struct UnreadPacket {
    verdict: VerdictId,
    unread_bytes: u16,
}

impl Default for Fifo {
    fn default() -> Self {
        Self { bytes: [0; FIFO_BYTES], owners: [None; FIFO_BYTES], unread: Vec::new() }
    }
}

impl Fifo {
    /// Reads a byte, which then counts as read for the packet that it belongs to.
    pub(super) fn read(&mut self, address: u8, ledger: &mut Ledger) -> u8 {
        let place = usize::from(address);
        if let Some(verdict) = self.owners[place].take()
            && let Some(at) = self.unread.iter().rposition(|packet| packet.verdict == verdict)
        {
            self.unread[at].unread_bytes -= 1;
            if self.unread[at].unread_bytes == 0 {
                self.unread.remove(at);
                ledger.set_fate(verdict, Fate::Read);
            }
        }
        self.bytes[place]
    }

    /// Returns a byte without marking it as read.
    pub(super) fn peek(&self, address: u8) -> u8 {
        self.bytes[usize::from(address)]
    }

    /// Writes a byte. An unread packet at this address is lost.
    pub(super) fn write(&mut self, address: u8, byte: u8, ledger: &mut Ledger) {
        let place = usize::from(address);
        if let Some(verdict) = self.owners[place].take() {
            self.lose(verdict, ledger);
        }
        self.bytes[place] = byte;
    }

    /// Marks bytes as an unread packet.
    pub(super) fn mark_unread(&mut self, start: u8, length: u8, verdict: VerdictId) {
        for offset in 0..length {
            self.owners[usize::from(start.wrapping_add(offset))] = Some(verdict);
        }
        self.unread.push(UnreadPacket { verdict, unread_bytes: u16::from(length) });
    }

    /// Clears the FIFO, as sleep and reset do. All unread packets are lost.
    pub(super) fn wipe(&mut self, ledger: &mut Ledger) {
        for UnreadPacket { verdict, .. } in std::mem::take(&mut self.unread) {
            ledger.set_fate(verdict, Fate::Wiped);
        }
        self.bytes = [0; FIFO_BYTES];
        self.owners = [None; FIFO_BYTES];
    }

    fn lose(&mut self, verdict: VerdictId, ledger: &mut Ledger) {
        self.unread.retain(|packet| packet.verdict != verdict);
        for owner in &mut self.owners {
            if *owner == Some(verdict) {
                *owner = None;
            }
        }
        ledger.set_fate(verdict, Fate::Overwritten);
    }
}
