//! The modes of the chip (data sheet, table 16 and register 0x01).

/// Bit 7 of register 0x01: the modem is LoRa, not FSK.
pub(super) const LORA: u8 = 0x80;
/// Bit 6 of register 0x01: FSK registers are visible although the modem is LoRa.
pub(super) const SHARED: u8 = 0x40;
/// Bits of register 0x01 that hold the mode.
pub(super) const MODE: u8 = 0x07;

/// Activity of the modem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emulator) enum Mode {
    Sleep,
    Standby,
    /// Only the frequency synthesizer runs.
    Synthesizer,
    Transmit,
    ReceiveContinuous,
    ReceiveSingle,
    ActivityDetection,
}

impl Mode {
    /// Decodes the value of register 0x01.
    pub(super) fn of_register(op_mode: u8) -> Self {
        match op_mode & MODE {
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
