//! What modems report about the signal, as text.

use std::ops::RangeInclusive;

/// What a receiver for LoRa can measure. A modem that reports something else reports something else.
const RSSI_DBM: RangeInclusive<i16> = -200..=30;
/// The range of register 0x19 of the SX1276, which counts quarters in eight bits.
const SNR_DB: RangeInclusive<i16> = -32..=31;
const QUARTERS: i16 = 4;

/// A strength in dBm; none, where it cannot be true.
pub(super) fn rssi_dbm(reported: i16) -> Option<i16> {
    RSSI_DBM.contains(&reported).then_some(reported)
}

/// A ratio in dB as quarters of a dB; none, where it cannot be true.
///
/// The example in Reyax's guide for the RYLR896 shows 40, which is no SNR in dB of any LoRa chip. Such a value is left
/// out, as nobody knows its unit.
pub(super) fn snr_quarter_db(reported: i16) -> Option<i16> {
    SNR_DB.contains(&reported).then(|| reported * QUARTERS)
}

/// A whole number of one to three digits, with or without a sign.
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
    fn whole_numbers_of_three_digits_are_read_and_nothing_else() {
        let read = |text: &str| integer(text.as_bytes());
        assert_eq!(
            (read("-99"), read("0"), read("007"), read("-0"), read("999")),
            (Some(-99), Some(0), Some(7), Some(0), Some(999))
        );
        for wrong in ["", "-", "--1", "+1", "1000", "1.5", " 1", "1-", "a", "-1234"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_cannot_be_true_is_left_out() {
        assert_eq!((rssi_dbm(-99), rssi_dbm(-201), rssi_dbm(31)), (Some(-99), None, None));
        assert_eq!((snr_quarter_db(-20), snr_quarter_db(31)), (Some(-80), Some(124)));
        assert_eq!((snr_quarter_db(40), snr_quarter_db(-33)), (None, None));
    }
}
