//! The state of the slots, and the 512 bytes that hold it.
//!
//! The bytes are a U-Boot environment: the CRC-32 of the rest, little endian, then `key=value` texts that each end with a
//! NUL, and NULs up to the end. Numbers are hexadecimal. `image/card.d/boot/boot.cmd` writes the same keys.
//!
//! | key | value |
//! |---|---|
//! | `seq` | number of the state, from 1 |
//! | `good` | the slot that has proved that it works |
//! | `try` | the slot on trial; missing if there is none |
//! | `left` | starts that the trial has left |

use super::Slot;
use crc::{CRC_32_ISO_HDLC, Crc};

/// Size of the encoded state, one sector: a disk replaces a sector as a whole more often than anything larger.
pub const STATE_BYTES: usize = 512;

/// Highest number of a state. U-Boot compares numbers as signed 32-bit integers.
pub const MAX_SEQUENCE: u32 = 0x7fff_ffff;

const CRC_BYTES: usize = 4;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// State of the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotState {
    /// Number of the state, counted up with each write; the copy with the higher one counts.
    pub sequence: u32,
    /// Slot that has proved that it works.
    pub good: Slot,
    /// Slot on trial.
    pub trial: Option<Trial>,
}

/// A trial of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Slot on trial.
    pub slot: Slot,
    /// Starts that remain; with none left, the good slot starts.
    pub starts_left: u8,
}

impl SlotState {
    /// Encodes the state. The keys are in the order in which U-Boot exports them.
    pub fn encode(&self) -> [u8; STATE_BYTES] {
        let Self { sequence, good, trial } = self;
        let text = match trial {
            None => format!("good={good}\0seq={sequence:x}\0"),
            Some(Trial { slot, starts_left }) => {
                format!("good={good}\0left={starts_left:x}\0seq={sequence:x}\0try={slot}\0")
            }
        };
        let mut bytes = [0; STATE_BYTES];
        // The longest text has 36 bytes.
        bytes[CRC_BYTES..][..text.len()].copy_from_slice(text.as_bytes());
        let sum = CRC.checksum(&bytes[CRC_BYTES..]);
        bytes[..CRC_BYTES].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Decodes a state. Returns `None` if the bytes are damaged, or hold another environment.
    ///
    /// Unknown keys are skipped, and the last value of a key counts, as in U-Boot.
    pub fn decode(bytes: &[u8; STATE_BYTES]) -> Option<Self> {
        let (sum, text) = bytes.split_first_chunk::<CRC_BYTES>()?;
        if CRC.checksum(text) != u32::from_le_bytes(*sum) {
            return None;
        }
        let value = |key| value_of(text, key);
        let sequence = hexadecimal(value("seq")?).filter(|number| (1..=MAX_SEQUENCE).contains(number))?;
        let good = Slot::from_name(value("good")?)?;
        let trial = match value("try") {
            None | Some("") => None,
            Some(name) => {
                let starts_left = u8::try_from(hexadecimal(value("left")?)?).ok()?;
                Some(Trial { slot: Slot::from_name(name)?, starts_left })
            }
        };
        Some(Self { sequence, good, trial })
    }
}

/// Returns the value of a key in the text of an environment.
fn value_of<'a>(text: &'a [u8], key: &str) -> Option<&'a str> {
    let entries = text.split(|byte| *byte == 0).take_while(|entry| !entry.is_empty());
    let values = entries.filter_map(|entry| std::str::from_utf8(entry).ok()?.strip_prefix(key)?.strip_prefix('='));
    values.last()
}

/// Parses a hexadecimal number without a sign or a prefix.
fn hexadecimal(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_plain { u32::from_str_radix(text, 16).ok() } else { None }
}
