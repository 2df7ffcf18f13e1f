//! The chip's registers in LoRa mode (SX1276 data sheet rev. 7, table 41).
//!
//! Emulator and driver each name the registers for themselves. With one shared list, a wrong address would be wrong on
//! both sides and no test would notice.

/// Registers that the emulator interprets. All others are plain memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of the data sheet without `Reg`")]
pub enum Register {
    Fifo = 0x00,
    OpMode = 0x01,
    FrfMsb = 0x06,
    FrfMid = 0x07,
    FrfLsb = 0x08,
    PaConfig = 0x09,
    FifoAddrPtr = 0x0D,
    FifoTxBaseAddr = 0x0E,
    FifoRxBaseAddr = 0x0F,
    FifoRxCurrentAddr = 0x10,
    IrqFlagsMask = 0x11,
    IrqFlags = 0x12,
    RxNbBytes = 0x13,
    RxHeaderCntMsb = 0x14,
    RxHeaderCntLsb = 0x15,
    RxPacketCntMsb = 0x16,
    RxPacketCntLsb = 0x17,
    ModemStat = 0x18,
    PktSnrValue = 0x19,
    PktRssiValue = 0x1A,
    RssiValue = 0x1B,
    HopChannel = 0x1C,
    ModemConfig1 = 0x1D,
    ModemConfig2 = 0x1E,
    SymbTimeoutLsb = 0x1F,
    PreambleMsb = 0x20,
    PreambleLsb = 0x21,
    PayloadLength = 0x22,
    MaxPayloadLength = 0x23,
    HopPeriod = 0x24,
    FifoRxByteAddr = 0x25,
    ModemConfig3 = 0x26,
    FeiMsb = 0x28,
    FeiMid = 0x29,
    FeiLsb = 0x2A,
    RssiWideband = 0x2C,
    IfFreq1 = 0x2F,
    IfFreq2 = 0x30,
    DetectOptimize = 0x31,
    InvertIq = 0x33,
    HighBwOptimize1 = 0x36,
    DetectionThreshold = 0x37,
    SyncWord = 0x39,
    HighBwOptimize2 = 0x3A,
    InvertIq2 = 0x3B,
    DioMapping1 = 0x40,
    Version = 0x42,
    Tcxo = 0x4B,
    PaDac = 0x4D,
}

/// Address of `RegImageCal` on the FSK page, with its bits: start a calibration, and a calibration is running.
pub(super) const IMAGE_CAL: u8 = 0x3B;
pub(super) const IMAGE_CAL_START: u8 = 0x40;
pub(super) const IMAGE_CAL_RUNNING: u8 = 0x20;

/// Flags of the interrupt register 0x12.
pub(super) mod irq {
    pub(in crate::emulator) const RX_TIMEOUT: u8 = 0x80;
    pub(in crate::emulator) const RX_DONE: u8 = 0x40;
    pub(in crate::emulator) const PAYLOAD_CRC_ERROR: u8 = 0x20;
    pub(in crate::emulator) const VALID_HEADER: u8 = 0x10;
    pub(in crate::emulator) const TX_DONE: u8 = 0x08;
    pub(in crate::emulator) const CAD_DONE: u8 = 0x04;
    pub(in crate::emulator) const CAD_DETECTED: u8 = 0x01;
}

/// Number of registers: an address has seven bits.
pub(super) const REGISTERS: usize = 0x80;
/// First address at which LoRa and FSK each have their own register (section 4.1.2).
pub(super) const PAGED_FROM: u8 = 0x0D;
/// Last address at which LoRa and FSK each have their own register.
pub(super) const PAGED_TO: u8 = 0x3F;

/// Register values after a reset, as (address, value); all others are 0.
const RESET: [(u8, u8); 35] = [
    (0x01, 0x09),
    (0x02, 0x1A),
    (0x03, 0x0B),
    (0x05, 0x52),
    (0x06, 0x6C),
    (0x07, 0x80),
    (0x09, 0x4F),
    (0x0A, 0x09),
    (0x0B, 0x2B),
    (0x0C, 0x20),
    (0x0E, 0x80),
    (0x18, 0x10),
    (0x1D, 0x72),
    (0x1E, 0x70),
    (0x1F, 0x64),
    (0x21, 0x08),
    (0x22, 0x01),
    (0x23, 0xFF),
    (0x26, 0x04),
    (0x2F, 0x20),
    (0x31, 0xC3),
    (0x33, 0x27),
    (0x36, 0x03),
    (0x37, 0x0A),
    (0x39, 0x12),
    (0x3A, 0x52),
    (0x3B, 0x1D),
    (0x42, 0x12),
    (0x44, 0x2D),
    (0x4B, 0x09),
    (0x4D, 0x84),
    (0x61, 0x13),
    (0x62, 0x0E),
    (0x63, 0x5B),
    (0x64, 0xDB),
];

/// Returns the registers as they are after a reset.
pub(super) fn after_reset() -> [u8; REGISTERS] {
    let mut registers = [0; REGISTERS];
    for (address, value) in RESET {
        registers[usize::from(address)] = value;
    }
    registers
}

/// FSK register values from [`PAGED_FROM`] to [`PAGED_TO`] after a reset (table 41); all others are 0.
const FSK_RESET: [(u8, u8); 29] = [
    (0x0D, 0x0E),
    (0x0E, 0x02),
    (0x0F, 0x0A),
    (0x10, 0xFF),
    (0x12, 0x15),
    (0x13, 0x0B),
    (0x14, 0x28),
    (0x15, 0x0C),
    (0x16, 0x12),
    (0x1F, 0x40),
    (0x24, 0x05),
    (0x26, 0x03),
    (0x27, 0x93),
    (0x28, 0x55),
    (0x29, 0x55),
    (0x2A, 0x55),
    (0x2B, 0x55),
    (0x2C, 0x55),
    (0x2D, 0x55),
    (0x2E, 0x55),
    (0x2F, 0x55),
    (0x30, 0x90),
    (0x31, 0x40),
    (0x32, 0x40),
    (0x35, 0x0F),
    (0x39, 0xF5),
    (0x3A, 0x20),
    (0x3B, 0x82),
    (0x3F, 0x40),
];

/// Returns the FSK page as it is after a reset. A driver that reads a LoRa register before it has switched the modem to
/// LoRa sees these values.
pub(super) fn fsk_after_reset() -> [u8; REGISTERS] {
    let mut registers = [0; REGISTERS];
    for (address, value) in FSK_RESET {
        registers[usize::from(address)] = value;
    }
    registers
}

/// Returns `true` for registers that the host cannot write (mode `r` in table 41): modem reports and the version.
pub(super) fn is_read_only(address: u8) -> bool {
    matches!(address, 0x10 | 0x13..=0x1C | 0x25 | 0x28..=0x2A | 0x2C | 0x42)
}
