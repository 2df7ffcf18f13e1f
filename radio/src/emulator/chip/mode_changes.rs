//! Mode changes of a chip, through register 0x01 or by the modem itself.

use super::ChipState;
use super::mode::{LORA, MODE, Mode, SHARED};
use crate::emulator::registers::Register;

impl ChipState {
    pub(in crate::emulator) fn mode(&self) -> Mode {
        Mode::of_register(self.register(Register::OpMode))
    }

    pub(in crate::emulator) fn is_lora(&self) -> bool {
        self.register(Register::OpMode) & LORA != 0
    }

    /// Returns `true` if addresses 0x0D to 0x3F show the LoRa registers now.
    pub(super) fn sees_lora_page(&self) -> bool {
        self.register(Register::OpMode) & (LORA | SHARED) == LORA
    }

    /// Writes register 0x01 for the host.
    ///
    /// Bit 7 changes only in sleep. A chip was also seen to ignore it if the same write leaves sleep for another mode (a
    /// trace of 0xD3 read back as 0x43 in Lora-net/SWL2001, issue 145). So here the bit is set only by a write that asks
    /// for sleep, and cleared by any write in sleep. A driver that works with these rules works with every chip.
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

    /// Returns to standby, as the modem does by itself at the end of a transmission or single reception.
    pub(in crate::emulator) fn return_to_standby(&mut self) {
        let others = self.register(Register::OpMode) & !MODE;
        self.set_register(Register::OpMode, others | 1);
        self.enter(Mode::Standby);
    }

    fn enter(&mut self, mode: Mode) {
        self.stay += 1;
        self.entered = Some(mode);
        if mode == Mode::Sleep {
            self.is_hung = false;
            self.fifo.wipe(&mut self.ledger);
        }
    }

    /// Takes the mode that was entered since the last call, if any.
    pub(in crate::emulator) fn take_entered(&mut self) -> Option<Mode> {
        self.entered.take()
    }
}
