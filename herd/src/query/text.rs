//! Numbers and bytes as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Grams as decimal kilograms without needless zeros: 245500 is `245.5`.
pub(crate) fn kilograms(weight_g: u32) -> String {
    let (whole, rest) = (weight_g / 1_000, weight_g % 1_000);
    match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{rest:03}").trim_end_matches('0').to_owned(),
    }
}

/// Quarters of a decibel as decimal decibels: -7 is `-1.75`.
pub(super) fn decibels(quarters: i16) -> String {
    let sign = if quarters < 0 { "-" } else { "" };
    let quarters = quarters.unsigned_abs();
    let fraction = ["", ".25", ".5", ".75"][usize::from(quarters % 4)];
    format!("{sign}{}{fraction}", quarters / 4)
}

/// Bytes in standard base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grams_are_told_as_kilograms_without_needless_zeros() {
        let told = [1, 20, 245_500, 300_000, 2_000_000].map(kilograms);
        assert_eq!(told, ["0.001", "0.02", "245.5", "300", "2000"]);
    }

    #[test]
    fn quarters_of_a_decibel_are_told_exactly() {
        let told = [-7, -4, -1, 0, 1, 30, i16::MIN].map(decibels);
        assert_eq!(told, ["-1.75", "-1", "-0.25", "0", "0.25", "7.5", "-8192"]);
    }
}
