//! United States and Canada, 902 to 928 MHz. A transmitter is lawful if it is wide, if it hops, or if it is weak.

use super::{Emission, Rule, Violation};
use crate::lora::Limit;
use std::time::Duration;

const LOWEST_HZ: u32 = 902_000_000;
const HIGHEST_HZ: u32 = 928_000_000;
/// Minimum width of a fixed channel at full power, as 6 dB bandwidth. For LoRa that is about the nominal bandwidth.
const WIDE_HZ: u32 = 500_000;
/// Width below which a hopping transmitter needs more channels, as 20 dB bandwidth.
const NARROW_HZ: u32 = 250_000;
const NARROW_CHANNELS: u16 = 50;
const BROAD_CHANNELS: u16 = 25;
/// 1 W at the connector. This also keeps the limit of 8 dBm in any 3 kHz (15.247(e) and RSS-247): 30 dBm over 500 kHz
/// are 7.8 dBm in 3 kHz.
const FULL_POWER_DBM: f64 = 30.0;
/// 0.25 W at the connector, for fewer than 50 channels.
const FEW_CHANNELS_POWER_DBM: f64 = 24.0;
/// Antenna gain above which each dB reduces the allowed power by one dB. Canada says 4 W of EIRP, which is the same.
const FREE_GAIN_DBI: f64 = 6.0;
/// 50 mV/m at 3 m: (0.05 V/m x 3 m)^2 / 30 ohm = 0.75 mW of EIRP.
const WEAK_EIRP_DBM: f64 = -1.25;
/// Time on one channel, for a hopping transmitter.
const DWELL: Duration = Duration::from_millis(400);

/// Section of each rule in the law of one country. The numbers are the same in both.
pub(super) struct Sections {
    band: &'static str,
    wide_or: &'static str,
    hopping: &'static str,
    power: &'static str,
}

/// 47 CFR, part 15. Source: 15.247 (a)(1)(i), (a)(2), (b)(2) to (4); 15.249 (a) and (c).
pub(super) const UNITED_STATES: Sections = Sections {
    band: "47 CFR 15.247(a)",
    wide_or: "47 CFR 15.247(a)(2)",
    hopping: "47 CFR 15.247(a)(1)(i)",
    power: "47 CFR 15.247(b)",
};

/// RSS-247, by the section numbers of issues 2 and 3. Issue 4 (July 2025) moved them up by one; no report says that it
/// changed these values. The rule for weak transmitters is RSS-210, annex B.10, assumed to equal its model, 47 CFR
/// 15.249.
pub(super) const CANADA: Sections = Sections {
    band: "RSS-247 section 5 (Canada)",
    wide_or: "RSS-247 section 5.2(a) (Canada)",
    hopping: "RSS-247 section 5.1(c) (Canada)",
    power: "RSS-247 section 5.4 (Canada)",
};

pub(super) fn violations(sections: &Sections, emission: &Emission) -> Vec<Violation> {
    let band = (!emission.lies_within(LOWEST_HZ, HIGHEST_HZ)).then(|| Violation {
        rule: Rule::Band,
        law: sections.band,
        found: format!("a {}", emission.channel()),
        allowed: "a channel entirely within 902 to 928 MHz".to_owned(),
    });
    let channels = if is_weak(emission) { None } else { channels(sections, emission) };
    band.into_iter().chain(channels).chain(power(sections, emission)).collect()
}

/// Returns the limit on each channel of a hopping transmitter. The other two ways to be lawful have none.
pub(super) fn limit(sections: &Sections, emission: &Emission) -> Option<Limit> {
    let hops = !is_weak(emission) && !is_wide(emission) && emission.hop_channels > 1;
    let window = DWELL * u32::from(channels_needed(emission));
    hops.then_some(Limit { allowed: DWELL, window, law: sections.hopping })
}

fn channels(sections: &Sections, emission: &Emission) -> Option<Violation> {
    let needed = channels_needed(emission);
    if is_wide(emission) || emission.hop_channels >= needed {
        return None;
    }
    let found = format!("{} with {} dBm of EIRP", emission.channel(), emission.eirp_dbm());
    Some(if emission.hop_channels > 1 {
        let found = format!("a {found}, hopping over {} channels,", emission.hop_channels);
        Violation { rule: Rule::Hopping, law: sections.hopping, found, allowed: format!("{needed} channels or more") }
    } else {
        let allowed = format!(
            "a fixed channel of 500 kHz or wider, or hopping over {needed} channels or more, or at most \
             {WEAK_EIRP_DBM} dBm of EIRP (47 CFR 15.249(a); RSS-210 annex B.10)"
        );
        Violation { rule: Rule::Width, law: sections.wide_or, found: format!("a fixed {found}"), allowed }
    })
}

fn power(sections: &Sections, emission: &Emission) -> Option<Violation> {
    let few = !is_wide(emission) && emission.hop_channels < NARROW_CHANNELS;
    let full = if few { FEW_CHANNELS_POWER_DBM } else { FULL_POWER_DBM };
    let allowed_dbm = full - (emission.antenna_gain_dbi - FREE_GAIN_DBI).max(0.0);
    let is_too_strong = !is_weak(emission) && f64::from(emission.power_dbm) > allowed_dbm;
    is_too_strong.then(|| Violation {
        rule: Rule::Power,
        law: sections.power,
        found: format!("{} dBm into an antenna of {} dBi", emission.power_dbm, emission.antenna_gain_dbi),
        allowed: format!("at most {allowed_dbm:.2} dBm"),
    })
}

fn channels_needed(emission: &Emission) -> u16 {
    if emission.modulation.bandwidth.hz() < NARROW_HZ { NARROW_CHANNELS } else { BROAD_CHANNELS }
}

fn is_wide(emission: &Emission) -> bool {
    emission.modulation.bandwidth.hz() >= WIDE_HZ
}

fn is_weak(emission: &Emission) -> bool {
    emission.eirp_dbm() <= WEAK_EIRP_DBM
}
