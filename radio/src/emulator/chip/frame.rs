//! One chip-select frame on the bus (data sheet, section 2.2: the SPI interface).

use super::ChipState;
use super::mode::Mode;
use crate::emulator::registers::{IMAGE_CAL, PAGED_FROM, PAGED_TO, Register, is_read_only};

/// Byte that the chip returns while the address goes out. The data sheet names no value; traces of chips show this one
/// (Lora-net/SWL2001, issues 145 to 147).
const WHILE_ADDRESSED: u8 = 0x00;

/// A frame: the bytes that are exchanged while chip select is low.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Frame {
    address: Option<u8>,
    writes: bool,
}

impl Frame {
    /// Exchanges one byte.
    pub(in crate::emulator) fn exchange(&mut self, chip: &mut ChipState, byte: u8, now_ns: u64) -> u8 {
        if let Some(dead) = chip.faults.dead_bus {
            return dead.byte();
        }
        if !chip.answers(now_ns) {
            return 0;
        }
        let Some(address) = self.address else {
            self.address = Some(byte & 0x7F);
            self.writes = byte & 0x80 != 0;
            return WHILE_ADDRESSED;
        };
        // A burst advances from register to register, but stays at the FIFO.
        if address != Register::Fifo as u8 {
            self.address = Some((address + 1) & 0x7F);
        }
        if self.writes { chip.write(address, byte, now_ns) } else { chip.read(address, now_ns) }
    }
}

impl ChipState {
    fn read(&mut self, address: u8, now_ns: u64) -> u8 {
        if address == Register::Fifo as u8 {
            return self.access_fifo(|chip, at| chip.fifo.read(at, &mut chip.ledger));
        }
        if address == Register::Version as u8 {
            return self.faults.version.unwrap_or(self.register(Register::Version));
        }
        let value = self.page(address)[usize::from(address)];
        let is_calibration = address == IMAGE_CAL && !self.is_on_lora_page(address);
        if is_calibration { value | self.calibration_bit(now_ns) } else { value }
    }

    /// Writes a register and returns its previous value, as the chip does.
    fn write(&mut self, address: u8, value: u8, now_ns: u64) -> u8 {
        if address == Register::Fifo as u8 {
            return self.access_fifo(|chip, at| {
                let before = chip.fifo.peek(at);
                chip.fifo.write(at, value, &mut chip.ledger);
                before
            });
        }
        let before = self.page(address)[usize::from(address)];
        if address == Register::OpMode as u8 {
            self.write_op_mode(value);
        } else if !self.is_on_lora_page(address) {
            let value = if address == IMAGE_CAL { self.write_image_calibration(value, now_ns) } else { value };
            self.fsk[usize::from(address)] = value;
        } else if address == Register::IrqFlags as u8 {
            self.set_register(Register::IrqFlags, before & !value);
        } else if !is_read_only(address) {
            self.registers[usize::from(address)] = value;
        }
        before
    }

    fn is_on_lora_page(&self, address: u8) -> bool {
        !(PAGED_FROM..=PAGED_TO).contains(&address) || self.sees_lora_page()
    }

    fn page(&self, address: u8) -> &[u8] {
        if self.is_on_lora_page(address) { &self.registers } else { &self.fsk }
    }

    /// Accesses the FIFO at its pointer, which then advances by one and wraps. In sleep the FIFO is out of reach.
    fn access_fifo(&mut self, access: impl FnOnce(&mut Self, u8) -> u8) -> u8 {
        if self.mode() == Mode::Sleep {
            return 0;
        }
        let at = self.register(Register::FifoAddrPtr);
        let byte = access(self, at);
        self.set_register(Register::FifoAddrPtr, at.wrapping_add(1));
        byte
    }
}
