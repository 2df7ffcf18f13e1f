//! Registers of the LoRa modem that this driver reads or writes, under the names of the data sheet.
//!
//! The emulator has a list of its own. Sharing one was rejected, because the tests would not see an error in it.

use std::fmt;

/// A register (SX1276 data sheet rev. 7, tables 41 and 85, LoRa page). `HighBwOptimize1` and `2` and `IfFreq1` and `2`
/// come from the errata note 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of the data sheet, which explains them")]
pub enum Register {
    Fifo = 0x00,
    OpMode = 0x01,
    FrfMsb = 0x06,
    FrfMid = 0x07,
    FrfLsb = 0x08,
    PaConfig = 0x09,
    Ocp = 0x0B,
    Lna = 0x0C,
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
    SymbTimeoutLsb = 0x1F,
    PreambleMsb = 0x20,
    PreambleLsb = 0x21,
    PayloadLength = 0x22,
    MaxPayloadLength = 0x23,
    HopPeriod = 0x24,
    FifoRxByteAddr = 0x25,
    ModemConfig3 = 0x26,
    PpmCorrection = 0x27,
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
    InvertIq2 = 0x3B,
    DioMapping1 = 0x40,
    Version = 0x42,
    Tcxo = 0x4B,
    PaDac = 0x4D,
}

/// Formats the data sheet's name with the address: `RegFrfMsb (0x06)`.
impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reg{self:?} ({:#04x})", self.address())
    }
}

impl Register {
    /// Returns the 7-bit address. The eighth bit of an address byte marks a write (data sheet, section 2.2).
    pub const fn address(self) -> u8 {
        self as u8
    }
}

/// Value of [`Register::Version`] in every SX1276, 77, 78 and 79 (data sheet, table 85).
pub const VERSION: u8 = 0x12;

/// `RegImageCal`, which FSK has at the address of [`Register::InvertIq2`] (data sheet, table 41).
pub const IMAGE_CAL: Register = Register::InvertIq2;

/// Mode bits of [`Register::OpMode`] (data sheet, section 4.1.6 and table 85).
pub mod op_mode {
    /// Selects the LoRa modem instead of FSK. Can change only in sleep mode.
    pub const LONG_RANGE: u8 = 0x80;
    /// FSK sleep mode, from which LoRa can be selected.
    pub const FSK_SLEEP: u8 = 0x00;
    /// FSK standby, in which the receiver can be calibrated.
    pub const FSK_STANDBY: u8 = 0x01;
    /// Selects the port below 525 MHz. FSK standby uses it.
    pub const LOW_FREQUENCY: u8 = 0x08;
    /// LoRa sleep mode.
    pub const SLEEP: u8 = LONG_RANGE;
    /// Channel activity detection: checks once for a transmission.
    pub const CAD: u8 = 0x07;
    /// LoRa standby, in which the FIFO can be read.
    pub const STANDBY: u8 = LONG_RANGE | 0x01;
    /// LoRa continuous receive.
    pub const RX_CONTINUOUS: u8 = LONG_RANGE | 0x05;
    /// Bits of modem and mode. Those between them select the part of the band and are not compared.
    pub const MASK: u8 = 0x87;
}

/// Bits 7 and 6 of [`Register::DioMapping1`]: the meaning of DIO0 (data sheet, table 18).
pub mod dio0 {
    /// Mask of the two bits.
    pub const MASK: u8 = 0xC0;
    /// High while RxDone is set.
    pub const RX_DONE: u8 = 0x00;
    /// High while TxDone is set.
    pub const TX_DONE: u8 = 0x40;
    /// High while CadDone is set.
    pub const CAD_DONE: u8 = 0x80;
}

/// Bit 6 of [`Register::HopChannel`]: the header of the last packet announces a CRC after the payload.
pub const CRC_ON_PAYLOAD: u8 = 0x40;

/// Bits 3 and 2 of [`Register::ModemStat`]: a packet is being received and its header is decoded, so its bytes go to
/// the FIFO.
pub const PAYLOAD_INCOMING: u8 = 0x0C;

/// Bits 3, 1 and 0 of [`Register::ModemStat`]: the modem has detected a preamble, or is receiving a packet.
pub const RECEIVING: u8 = 0x0B;

/// FIFO address of the first received packet. Later ones follow it; the FIFO is one ring of 256 bytes.
pub const RX_BASE: u8 = 0x00;
/// FIFO address of a packet to transmit.
pub const TX_BASE: u8 = 0x80;
