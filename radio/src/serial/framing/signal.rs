//! Signal values as modems report them in text.

use std::ops::RangeInclusive;

/// Signal strengths that a LoRa receiver can measure. A modem that reports another value means something else by it.
const RSSI_DBM: RangeInclusive<i16> = -200..=30;
/// Signal to noise ratios of register 0x19 of the SX1276, which counts quarters of a dB in eight bits.
const SNR_DB: RangeInclusive<i16> = -32..=31;
const QUARTERS: i16 = 4;
/// Lowest byte that means a strength, -128 dBm.
const LOWEST_RSSI_BYTE: u8 = 0x80;

/// Returns the signal strength in dBm, or `None` if it is impossible.
pub(super) fn rssi_dbm(value: i16) -> Option<i16> {
    RSSI_DBM.contains(&value).then_some(value)
}

/// Returns the strength in dBm that a byte appended by a module means, or `None` if it cannot be one: no module
/// measures below -128 dBm, and a byte of ASCII text is below.
pub(super) fn rssi_of_byte(byte: u8) -> Option<i16> {
    (byte >= LOWEST_RSSI_BYTE).then(|| i16::from(byte) - 256)
}

/// Converts a signal to noise ratio from dB to quarters of a dB. Returns `None` if it is impossible.
///
/// The example in Reyax's guide for the RYLR896 shows 40, which no LoRa chip can report as dB. Such a value is dropped,
/// because its unit is unknown.
pub(super) fn snr_quarter_db(value_db: i16) -> Option<i16> {
    SNR_DB.contains(&value_db).then(|| value_db * QUARTERS)
}

/// Parses a whole number of one to three digits, with an optional minus sign.
pub(super) fn integer(text: &[u8]) -> Option<i16> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if !(1..=3).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_of_up_to_three_digits_are_parsed() {
        let parse = |text: &str| integer(text.as_bytes());
        assert_eq!(
            (parse("-99"), parse("0"), parse("007"), parse("-0"), parse("999")),
            (Some(-99), Some(0), Some(7), Some(0), Some(999))
        );
        for wrong in ["", "-", "--1", "+1", "1000", "1.5", " 1", "1-", "a", "-1234"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn no_byte_of_text_is_a_strength() {
        assert_eq!([0x7F, 0x80, 0xC4, 0xFF].map(rssi_of_byte), [None, Some(-128), Some(-60), Some(-1)]);
        for text in b" hxb:event|0aZ~\r\n\t" {
            assert_eq!(rssi_of_byte(*text), None, "{text:#04x}");
        }
    }

    #[test]
    fn impossible_values_are_dropped() {
        assert_eq!((rssi_dbm(-99), rssi_dbm(-201), rssi_dbm(31)), (Some(-99), None, None));
        assert_eq!((snr_quarter_db(-20), snr_quarter_db(31)), (Some(-80), Some(124)));
        assert_eq!((snr_quarter_db(40), snr_quarter_db(-33)), (None, None));
    }
}
