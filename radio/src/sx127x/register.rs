//! The registers of the LoRa modem that this driver reads or writes, by the names of the data sheet.

use std::fmt;

/// A register (SX1276 data sheet rev. 7, tables 41 and 85, LoRa page; the last three from the errata note 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of the sheet, which says what each is")]
pub enum Register {
    Fifo = 0x00,
    OpMode = 0x01,
    FrfMsb = 0x06,
    FrfMid = 0x07,
    FrfLsb = 0x08,
    PaConfig = 0x09,
    Ocp = 0x0B,
    FifoAddrPtr = 0x0D,
    FifoTxBaseAddr = 0x0E,
    FifoRxBaseAddr = 0x0F,
    FifoRxCurrentAddr = 0x10,
    IrqFlagsMask = 0x11,
    IrqFlags = 0x12,
    RxNbBytes = 0x13,
    RxHeaderCntMsb = 0x14,
    RxHeaderCntLsb = 0x15,
    ModemStat = 0x18,
    PktSnrValue = 0x19,
    PktRssiValue = 0x1A,
    RssiValue = 0x1B,
    HopChannel = 0x1C,
    ModemConfig1 = 0x1D,
    ModemConfig2 = 0x1E,
    PreambleMsb = 0x20,
    PreambleLsb = 0x21,
    PayloadLength = 0x22,
    FifoRxByteAddr = 0x25,
    ModemConfig3 = 0x26,
    FeiMsb = 0x28,
    FeiMid = 0x29,
    FeiLsb = 0x2A,
    IfFreq1 = 0x2F,
    IfFreq2 = 0x30,
    DetectOptimize = 0x31,
    InvertIq = 0x33,
    HighBwOptimize1 = 0x36,
    DetectionThreshold = 0x37,
    SyncWord = 0x39,
    HighBwOptimize2 = 0x3A,
    DioMapping1 = 0x40,
    Version = 0x42,
    PaDac = 0x4D,
}

/// By the sheet's name, with the address: `RegFrfMsb (0x06)`.
impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reg{self:?} ({:#04x})", self.address())
    }
}

impl Register {
    /// Its address, seven bits; the eighth says whether it is written (data sheet, section 2.2).
    pub const fn address(self) -> u8 {
        self as u8
    }
}

/// What stands in [`Register::Version`] of every SX1276, 77, 78 and 79 (data sheet, table 85).
pub const VERSION: u8 = 0x12;

/// Mode bits of [`Register::OpMode`] (data sheet, section 4.1.6 and table 85).
pub mod op_mode {
    /// The modem is LoRa's. Changes only in sleep.
    pub const LONG_RANGE: u8 = 0x80;
    /// FSK's modem sleeps; from here LoRa's can be asked for.
    pub const SLEEP_OF_FSK: u8 = 0x00;
    /// Looks once whether someone transmits.
    pub const CAD: u8 = 0x07;
    /// LoRa's modem rests, and its FIFO can be read.
    pub const STANDING_BY: u8 = LONG_RANGE | 0x01;
    /// LoRa's modem receives packet after packet.
    pub const LISTENING: u8 = LONG_RANGE | 0x05;
    /// The bits that say modem and mode. Those between them say what part of the band is used and stay out of it.
    pub const MASK: u8 = 0x87;
}

/// Bits 7 and 6 of [`Register::DioMapping1`]: what DIO0 says (data sheet, table 18).
pub mod dio0 {
    /// The two bits.
    pub const MASK: u8 = 0xC0;
    /// High while RxDone is set.
    pub const RX_DONE: u8 = 0x00;
    /// High while TxDone is set.
    pub const TX_DONE: u8 = 0x40;
    /// High while CadDone is set.
    pub const CAD_DONE: u8 = 0x80;
}

/// Bit 6 of [`Register::HopChannel`]: the header of the last packet says that a CRC follows the payload.
pub const CRC_ON_PAYLOAD: u8 = 0x40;

/// Bits 3 and 2 of [`Register::ModemStat`]: a packet comes in, and its header is known, so that its bytes go to the FIFO.
pub const PAYLOAD_COMES_IN: u8 = 0x0C;

/// Where a packet that is heard begins, at the first one: the FIFO is one ring of 256 bytes.
pub const RX_BASE: u8 = 0x00;
/// Where a packet that is transmitted is put.
pub const TX_BASE: u8 = 0x80;
