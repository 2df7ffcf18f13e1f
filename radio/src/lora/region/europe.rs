//! Europe: sub-bands, each with a maximum power and a duty cycle per hour.
//!
//! The duty cycle would be larger with listen-before-talk as EN 300 220-1 defines it (polite spectrum access). This
//! radio does not do that.

use super::{Emission, Rule, Violation};
use crate::lora::Limit;
use std::time::Duration;

/// Window of the duty cycle: "one hour" in EN 300 220-1 and ERC/REC 70-03.
const HOUR: Duration = Duration::from_secs(3_600);

/// A part of the spectrum with its own rule. A channel must lie entirely within one of them.
pub(super) struct SubBand {
    lowest_hz: u32,
    highest_hz: u32,
    /// Maximum power, rounded as in the standard: 25 mW is 14 dBm.
    erp_dbm: f64,
    duty_per_mille: u32,
    law: &'static str,
}

/// 863 to 870 MHz. The gaps are reserved for alarms (868.6 to 868.7, 869.2 to 869.4, 869.65 to 869.7 MHz). From 869.7
/// to 870 MHz, 5 mW would have no duty cycle; that exception is left out, as the stricter reading.
pub(super) const BANDS_868: [SubBand; 6] = [
    SubBand::new(863_000_000, 865_000_000, 14.0, 1, "EN 300 220-2 annex B, band K (863 to 865 MHz)"),
    SubBand::new(865_000_000, 868_000_000, 14.0, 10, "EN 300 220-2 annex B, band L (865 to 868 MHz)"),
    SubBand::new(868_000_000, 868_600_000, 14.0, 10, "EN 300 220-2 annex B, band M (868 to 868.6 MHz)"),
    SubBand::new(868_700_000, 869_200_000, 14.0, 1, "EN 300 220-2 annex B, band N (868.7 to 869.2 MHz)"),
    SubBand::new(869_400_000, 869_650_000, 27.0, 100, "EN 300 220-2 annex B, band P (869.4 to 869.65 MHz)"),
    SubBand::new(869_700_000, 870_000_000, 14.0, 10, "EN 300 220-2 annex B, band Q (869.7 to 870 MHz)"),
];

/// 433.05 to 434.79 MHz: 10 mW. At a tenth of that, transmitting would be unrestricted; that exception is left out, as
/// the stricter reading.
pub(super) const BANDS_433: [SubBand; 1] =
    [SubBand::new(433_050_000, 434_790_000, 10.0, 100, "ERC/REC 70-03 annex 1 (433.05 to 434.79 MHz)")];

impl SubBand {
    const fn new(lowest_hz: u32, highest_hz: u32, erp_dbm: f64, duty_per_mille: u32, law: &'static str) -> Self {
        Self { lowest_hz, highest_hz, erp_dbm, duty_per_mille, law }
    }

    fn contains(&self, emission: &Emission) -> bool {
        emission.lies_within(self.lowest_hz, self.highest_hz)
    }

    fn name(&self) -> String {
        format!("{} to {} MHz", f64::from(self.lowest_hz) / 1e6, f64::from(self.highest_hz) / 1e6)
    }
}

pub(super) fn violations(bands: &[SubBand], emission: &Emission) -> Vec<Violation> {
    let Some(band) = bands.iter().find(|band| band.contains(emission)) else {
        return vec![outside(bands, emission)];
    };
    let is_too_strong = emission.erp_dbm() > band.erp_dbm;
    let power = is_too_strong.then(|| Violation {
        rule: Rule::Power,
        law: band.law,
        found: format!(
            "{} dBm into an antenna of {} dBi, which is {} dBm of ERP,",
            emission.power_dbm,
            emission.antenna_gain_dbi,
            emission.erp_dbm()
        ),
        allowed: format!("at most {} dBm of ERP", band.erp_dbm),
    });
    power.into_iter().collect()
}

pub(super) fn limit(bands: &[SubBand], emission: &Emission) -> Option<Limit> {
    let band = bands.iter().find(|band| band.contains(emission))?;
    Some(Limit { allowed: HOUR * band.duty_per_mille / 1_000, window: HOUR, law: band.law })
}

fn outside(bands: &[SubBand], emission: &Emission) -> Violation {
    let names: Vec<String> = bands.iter().map(SubBand::name).collect();
    let allowed = format!("a channel entirely within {}", names.join(", or "));
    Violation { rule: Rule::Band, law: "ERC/REC 70-03 annex 1", found: format!("a {}", emission.channel()), allowed }
}
