//! The FIFO: 256 bytes, and which of them still have to be read.

use super::super::ledger::{Entry, Fate, Ledger};

/// Bytes in it: every address is a `u8`, and wraps by itself.
const FIFO_BYTES: usize = 256;

/// The data buffer of the chip (data sheet, section 4.1.2.3).
///
/// Beside each byte stands which packet it belongs to until it is read, so that the ledger can tell a packet that was
/// read whole from one that was overwritten first.
#[derive(Debug)]
pub(super) struct Fifo {
    bytes: [u8; FIFO_BYTES],
    owners: [Option<Entry>; FIFO_BYTES],
    /// At most one for each byte.
    unread: Vec<Unread>,
}

/// A packet that was flagged good and of which bytes have not been read.
#[derive(Debug)]
struct Unread {
    entry: Entry,
    left_bytes: u16,
}

impl Default for Fifo {
    fn default() -> Self {
        Self { bytes: [0; FIFO_BYTES], owners: [None; FIFO_BYTES], unread: Vec::new() }
    }
}

impl Fifo {
    /// What stands there. Reading it counts for the packet it belongs to.
    pub(super) fn read(&mut self, address: u8, ledger: &mut Ledger) -> u8 {
        let place = usize::from(address);
        if let Some(entry) = self.owners[place].take()
            && let Some(at) = self.unread.iter().rposition(|unread| unread.entry == entry)
        {
            self.unread[at].left_bytes -= 1;
            if self.unread[at].left_bytes == 0 {
                self.unread.remove(at);
                ledger.change(entry, Fate::Read);
            }
        }
        self.bytes[place]
    }

    /// Looks without reading.
    pub(super) fn peek(&self, address: u8) -> u8 {
        self.bytes[usize::from(address)]
    }

    /// A packet that stood there unread is lost.
    pub(super) fn write(&mut self, address: u8, byte: u8, ledger: &mut Ledger) {
        let place = usize::from(address);
        if let Some(entry) = self.owners[place].take() {
            self.lose(entry, ledger);
        }
        self.bytes[place] = byte;
    }

    /// From here on these bytes are a packet that has to be read.
    pub(super) fn own(&mut self, start: u8, length: u8, entry: Entry) {
        for offset in 0..length {
            self.owners[usize::from(start.wrapping_add(offset))] = Some(entry);
        }
        self.unread.push(Unread { entry, left_bytes: u16::from(length) });
    }

    /// Sleep and reset lose what is in it.
    pub(super) fn wipe(&mut self, ledger: &mut Ledger) {
        for Unread { entry, .. } in std::mem::take(&mut self.unread) {
            ledger.change(entry, Fate::Wiped);
        }
        self.bytes = [0; FIFO_BYTES];
        self.owners = [None; FIFO_BYTES];
    }

    fn lose(&mut self, entry: Entry, ledger: &mut Ledger) {
        self.unread.retain(|unread| unread.entry != entry);
        for owner in &mut self.owners {
            if *owner == Some(entry) {
                *owner = None;
            }
        }
        ledger.change(entry, Fate::Overwritten);
    }
}
