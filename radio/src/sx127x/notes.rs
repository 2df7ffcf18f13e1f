//! Observations on packets that a person should know about, although the radio receives.
//!
//! A note begins when its observation is certain, and ends when packets show that it is over. Its text stays the same
//! meanwhile, so that a log and a status do not change with every packet.

use super::settings::{CrcPolicy, Settings};
use crate::lora::Modulation;
use std::collections::VecDeque;

/// Number of packets without a CRC in a row after which their senders are named as the cause.
pub(super) const WITHOUT_CRC_IN_A_ROW: u32 = 16;
/// Number of latest frequency errors whose median is watched.
const MAX_ERRORS: usize = 32;
/// Number of frequency errors from which on their median counts.
const MIN_ERRORS: usize = 16;
/// Share of the bandwidth, in percent, from which a median error is noted, and below which the note ends. A receiver
/// tolerates 25 % (data sheet, section 4.1.4), and a cold morning takes part of that.
const NOTED_PERCENT: i64 = 15;
const FINE_PERCENT: i64 = 12;

/// The notes of one radio.
#[derive(Debug)]
pub(super) struct Notes {
    modulation: Modulation,
    crc: CrcPolicy,
    without_crc_in_a_row: u32,
    errors_hz: VecDeque<i32>,
    frequency: Option<String>,
}

impl Notes {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            modulation: settings.modulation,
            crc: settings.crc,
            without_crc_in_a_row: 0,
            errors_hz: VecDeque::with_capacity(MAX_ERRORS),
            frequency: None,
        }
    }

    /// Records a packet that was sent without a CRC.
    pub(super) fn record_without_crc(&mut self) {
        self.without_crc_in_a_row = self.without_crc_in_a_row.saturating_add(1);
    }

    /// Records a packet with a right CRC.
    pub(super) fn record_good(&mut self, frequency_error_hz: Option<i32>) {
        self.without_crc_in_a_row = 0;
        let Some(error_hz) = frequency_error_hz else { return };
        if self.errors_hz.len() == MAX_ERRORS {
            self.errors_hz.pop_front();
        }
        self.errors_hz.push_back(error_hz);
        self.update_frequency();
    }

    /// Returns all current notes as one sentence, or `None` if there is none.
    pub(super) fn sentence(&self) -> Option<String> {
        let missing_crc =
            (self.crc == CrcPolicy::Required && self.without_crc_in_a_row >= WITHOUT_CRC_IN_A_ROW).then(|| {
                format!(
                    "the last {WITHOUT_CRC_IN_A_ROW} packets or more have no CRC and were dropped, because nothing \
                     shows if they are whole; switch the CRC of the readers on, or set `crc = \"optional\"`"
                )
            });
        let notes: Vec<String> = missing_crc.into_iter().chain(self.frequency.clone()).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    fn update_frequency(&mut self) {
        if self.errors_hz.len() < MIN_ERRORS {
            return;
        }
        let median_hz = median(&self.errors_hz);
        let (magnitude, bandwidth_hz) = (i64::from(median_hz.unsigned_abs()), self.modulation.bandwidth.hz());
        let percent = magnitude * 100 / i64::from(bandwidth_hz);
        if percent < FINE_PERCENT {
            self.frequency = None;
        } else if percent >= NOTED_PERCENT && self.frequency.is_none() {
            let better_hz = self.modulation.frequency_hz.saturating_add_signed(median_hz);
            self.frequency = Some(format!(
                "the readers are {median_hz:+} Hz off this radio's frequency, {percent} % of the bandwidth, and at 25 % \
                 nothing is received; set `frequency_hz = {better_hz}`, or a wider bandwidth on both sides"
            ));
        }
    }
}

fn median(values: &VecDeque<i32>) -> i32 {
    let mut sorted: Vec<i32> = values.iter().copied().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lora::Bandwidth;

    fn notes(crc: CrcPolicy, bandwidth: Bandwidth) -> Notes {
        let modulation = Modulation { bandwidth, ..Modulation::default() };
        Notes::new(&Settings { crc, ..Settings::listening(modulation) })
    }

    #[test]
    fn sixteen_packets_without_a_crc_in_a_row_are_noted_until_one_has_it() {
        let mut notes = notes(CrcPolicy::Required, Bandwidth::Khz125);
        for _ in 1..WITHOUT_CRC_IN_A_ROW {
            notes.record_without_crc();
        }
        assert_eq!(notes.sentence(), None);
        notes.record_good(None);
        notes.record_without_crc();
        assert_eq!(notes.sentence(), None, "a good packet starts the row again");
        for _ in 1..WITHOUT_CRC_IN_A_ROW {
            notes.record_without_crc();
        }
        assert!(notes.sentence().unwrap().contains("`crc = \"optional\"`"));
        notes.record_good(None);
        assert_eq!(notes.sentence(), None);
    }

    #[test]
    fn a_missing_crc_is_not_noted_if_it_is_optional() {
        let mut notes = notes(CrcPolicy::Optional, Bandwidth::Khz125);
        for _ in 0..2 * WITHOUT_CRC_IN_A_ROW {
            notes.record_without_crc();
        }
        assert_eq!(notes.sentence(), None);
    }

    /// Catches a note for one slow crystal among many, a wrong sign, and a note that never ends.
    #[test]
    fn a_median_frequency_error_of_15_percent_is_noted_with_the_better_frequency_until_it_is_over() {
        for (bandwidth, error_hz, noted) in [
            (Bandwidth::Khz125, 18_749, false),
            (Bandwidth::Khz125, 18_750, true),
            (Bandwidth::Khz125, -20_000, true),
            (Bandwidth::Khz500, 20_000, false),
            (Bandwidth::Khz62_5, 9_400, true),
        ] {
            let mut notes = notes(CrcPolicy::Required, bandwidth);
            for at in 0..MIN_ERRORS {
                notes.record_good(Some(if at < MIN_ERRORS / 2 - 1 { 0 } else { error_hz }));
            }
            let sentence = notes.sentence();
            assert_eq!(sentence.is_some(), noted, "{bandwidth:?} {error_hz}: {sentence:?}");
            if let Some(sentence) = sentence {
                let better_hz = 915_000_000_u32.saturating_add_signed(error_hz);
                assert!(sentence.contains(&format!("`frequency_hz = {better_hz}`")), "{sentence}");
            }
            for _ in 0..MAX_ERRORS {
                notes.record_good(Some(100));
            }
            assert_eq!(notes.sentence(), None, "{bandwidth:?} {error_hz}");
        }
    }
}
