//! The modes of the chip (data sheet, table 16 and register 0x01).

use super::super::registers::Register;
use super::ChipState;

/// Bit 7 of register 0x01: LoRa, not FSK.
const LORA: u8 = 0x80;
/// Bit 6: the registers of FSK are seen although the modem is LoRa.
const SHARED: u8 = 0x40;
/// The mode itself.
const MODE: u8 = 0x07;

/// What the modem does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::emulator) enum Mode {
    Sleep,
    Standby,
    /// The synthesizer runs, and nothing else.
    Synthesizer,
    Transmit,
    ReceiveContinuous,
    ReceiveSingle,
    ActivityDetection,
}

impl Mode {
    fn of_bits(bits: u8) -> Self {
        match bits & MODE {
            0 => Self::Sleep,
            1 => Self::Standby,
            3 => Self::Transmit,
            5 => Self::ReceiveContinuous,
            6 => Self::ReceiveSingle,
            7 => Self::ActivityDetection,
            _ => Self::Synthesizer,
        }
    }

    pub(in crate::emulator) fn receives(self) -> bool {
        matches!(self, Self::ReceiveContinuous | Self::ReceiveSingle)
    }
}

impl ChipState {
    pub(in crate::emulator) fn mode(&self) -> Mode {
        Mode::of_bits(self.register(Register::OpMode))
    }

    pub(in crate::emulator) fn is_lora(&self) -> bool {
        self.register(Register::OpMode) & LORA != 0
    }

    /// Whether addresses 0x0D to 0x3F are those of LoRa now.
    pub(super) fn sees_lora_page(&self) -> bool {
        self.register(Register::OpMode) & (LORA | SHARED) == LORA
    }

    /// The host writes register 0x01. Bit 7 changes only in sleep, and a chip was seen not to take it when the same
    /// write leaves sleep for another mode (a trace of 0xD3 read back as 0x43 in Lora-net/SWL2001, issue 145). So it
    /// is set only by a write that asks for sleep, and cleared by any write in sleep: whoever is right with this is
    /// right with every chip.
    pub(super) fn write_op_mode(&mut self, value: u8) {
        let before = self.register(Register::OpMode);
        let asks_for_sleep = value & MODE == 0;
        let may_change = asks_for_sleep || (before & MODE == 0 && value & LORA == 0);
        let modem = if may_change { value & LORA } else { before & LORA };
        self.set_register(Register::OpMode, modem | (value & !LORA));
        if (before ^ self.register(Register::OpMode)) & (LORA | MODE) != 0 {
            self.enter(self.mode());
        }
    }

    /// The modem falls back by itself.
    pub(in crate::emulator) fn fall_back_to_standby(&mut self) {
        let others = self.register(Register::OpMode) & !MODE;
        self.set_register(Register::OpMode, others | 1);
        self.enter(Mode::Standby);
    }

    fn enter(&mut self, mode: Mode) {
        self.entry += 1;
        self.entered = Some(mode);
        if mode == Mode::Sleep {
            self.fifo.wipe(&mut self.ledger);
        }
    }

    /// The mode that was entered since this was asked last.
    pub(in crate::emulator) fn take_entered(&mut self) -> Option<Mode> {
        self.entered.take()
    }
}
