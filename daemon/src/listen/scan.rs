//! Scanning: tries spreading factors, bandwidths and sync words, to find readers with unknown settings.
//!
//! A LoRa receiver hears only senders with its own frequency, spreading factor, bandwidth and sync word. The frequency is
//! taken from the settings. Each combination of the other three is tried for a while.
//!
//! # Decisions
//!
//! - **A step that finds only wrong CRCs is tried once more with the other LowDataRateOptimize.** That setting has no
//!   effect on anything else, so trying it everywhere would double the time of a scan for nothing.
//! - **Packets without a CRC are shown, and counted apart.** A person who scans wants to see the readers, and the end of
//!   the scan names the setting that they need.
//! - **A chip is scanned only while no daemon runs on the state directory.** A scan takes the chip out of the settings of
//!   the readers, so reads would be lost unnoticed.
//! - **Each step starts the radio again.** The driver then proves by its usual read-back that the chip holds the
//!   settings. The set-up takes 40 ms of a step of 10 s.

use super::local_radio::{LocalRadio, RadioEvent};
use super::{INITIAL_TIMEOUT, ListenError, ListenRequest, PrintStatus, Printer, ScanSettings, first_chip};
use crate::receive::Channel;
use crate::settings::RadioSettings;
use radio::lora::{Bandwidth, LowDataRateOptimize, Modulation, SpreadingFactor};
use radio::sx127x::CrcPolicy;
use radio::{AnyRadio, Health, RadioCounters, Sx127xSettings};
use service::lifecycle::print_notice;
use service::settings::DurationSetting;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Packets received with one combination of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanResult {
    /// The combination.
    pub settings: ScanSettings,
    /// Packets with a good CRC.
    pub packets: u64,
    /// Packets with a wrong CRC: the sender is there, but weak, or uses LowDataRateOptimize otherwise.
    pub crc_errors: u64,
    /// Packets that were sent without a CRC.
    pub without_crc: u64,
}

/// The steps of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Settings of the steps, in order.
    pub steps: Vec<ScanSettings>,
    /// Time per step.
    pub dwell: Duration,
}

impl Scan {
    /// Creates a scan of every spreading factor with every bandwidth and sync word, the most usual ones first.
    pub fn over(bandwidths_hz: &[u32], sync_words: &[u8], dwell: Duration) -> Self {
        let factors = SpreadingFactor::ALL.map(SpreadingFactor::get);
        let steps = sync_words.iter().flat_map(|&sync_word| {
            bandwidths_hz.iter().flat_map(move |&bandwidth_hz| {
                factors.map(|spreading_factor| ScanSettings {
                    spreading_factor,
                    bandwidth_hz,
                    sync_word,
                    low_data_rate_optimize: LowDataRateOptimize::Auto,
                })
            })
        });
        Self { steps: steps.collect(), dwell }
    }
}

/// Scans with the first chip among the radios, and prints the best settings at the end.
pub(super) async fn scan_radio(
    radios: &[(Channel, &RadioSettings)],
    request: &ListenRequest,
    printer: &mut Printer<'_>,
) -> Result<(), ListenError> {
    let (channel, radio_settings) = first_chip(radios).ok_or(ListenError::NothingToScan)?;
    let chip_settings = radio_settings.chip().ok_or(ListenError::NothingToScan)?;
    let scan = Scan::over(&request.bandwidths, &request.sync_words, request.dwell.get());
    let name = channel.name.clone();
    let step_error = |source| ListenError::Step { radio: name.clone(), source };
    // All steps are checked before the first one takes its time.
    for settings in &scan.steps {
        with_settings(&chip_settings, *settings).chip().map_err(step_error)?;
    }
    let total = DurationSetting::from_secs(scan.dwell.as_secs().saturating_mul(scan.steps.len() as u64));
    print_notice(format_args!(
        "{name}: {} Hz, {} steps, {total} in total",
        chip_settings.frequency_hz,
        scan.steps.len()
    ));
    let open = |settings| {
        let opened = with_settings(&chip_settings, settings).open(&name);
        opened.map(AnyRadio::from).map_err(|source| ListenError::Open { radio: name.clone(), source })
    };
    print_best(&scan_with(&scan, &channel, open, printer).await?);
    Ok(())
}

/// Scans with the radios that `open` returns. Returns the settings with which packets were received, in the order of the
/// steps.
pub(super) async fn scan_with(
    scan: &Scan,
    channel: &Channel,
    mut open: impl FnMut(ScanSettings) -> Result<AnyRadio, ListenError>,
    printer: &mut Printer<'_>,
) -> Result<Vec<ScanResult>, ListenError> {
    let mut results = Vec::new();
    for (number, &settings) in (1..).zip(&scan.steps) {
        print_notice(format_args!("[{number}/{}] {settings}", scan.steps.len()));
        let (result, status) = scan_step(scan.dwell, channel, settings, open(settings)?, printer).await?;
        results.extend(result.is_heard().then_some(result));
        if status == PrintStatus::Done {
            break;
        }
        if result.has_only_crc_errors() {
            let settings = ScanSettings { low_data_rate_optimize: other_low_data_rate(settings), ..settings };
            print_notice(format_args!("    again: {settings}"));
            let (result, status) = scan_step(scan.dwell, channel, settings, open(settings)?, printer).await?;
            results.extend(result.is_heard().then_some(result));
            if status == PrintStatus::Done {
                break;
            }
        }
    }
    Ok(results)
}

impl ScanResult {
    fn is_heard(&self) -> bool {
        self.heard() + self.crc_errors > 0
    }

    fn has_only_crc_errors(&self) -> bool {
        self.crc_errors > 0 && self.heard() == 0
    }
}

/// Returns the setting that the data sheet does not require, which some senders use all the same.
fn other_low_data_rate(settings: ScanSettings) -> LowDataRateOptimize {
    let modulation = Modulation {
        spreading_factor: SpreadingFactor::new(settings.spreading_factor).unwrap_or(SpreadingFactor::SF7),
        bandwidth: Bandwidth::from_hz(settings.bandwidth_hz).unwrap_or(Bandwidth::Khz125),
        ..Modulation::default()
    };
    if modulation.low_data_rate_optimize() { LowDataRateOptimize::Off } else { LowDataRateOptimize::On }
}

/// Listens with one combination of settings.
async fn scan_step(
    dwell: Duration,
    channel: &Channel,
    settings: ScanSettings,
    radio: AnyRadio,
    printer: &mut Printer<'_>,
) -> Result<(ScanResult, PrintStatus), ListenError> {
    printer.set_settings(settings);
    let mut radio = LocalRadio::new(channel.clone(), radio);
    wait_until_listening(&radio).await?;
    let (heard, status) = listen_for(dwell, &mut radio, printer).await?;
    let RadioCounters { crc_errors, without_crc, .. } = radio.counters();
    let result = ScanResult { settings, packets: heard.saturating_sub(without_crc), crc_errors, without_crc };
    if result.is_heard() {
        let ScanResult { packets, .. } = result;
        print_notice(format_args!("    {packets} packets, {crc_errors} with a wrong CRC, {without_crc} without a CRC"));
    }
    Ok((result, status))
}

/// Waits until the chip, which is set up again for each step, receives. On a timeout prints its error and fails.
async fn wait_until_listening(radio: &LocalRadio) -> Result<(), ListenError> {
    if tokio::time::timeout(INITIAL_TIMEOUT, radio.wait_until_listening()).await.is_err() {
        print_notice(format_args!("{}: {}", radio.name(), radio.health_text()));
        return Err(ListenError::AllFailing);
    }
    Ok(())
}

/// Prints the packets of one step. Returns their number.
async fn listen_for(
    dwell: Duration,
    radio: &mut LocalRadio,
    printer: &mut Printer<'_>,
) -> Result<(u64, PrintStatus), ListenError> {
    let (deadline, mut packets) = (Instant::now() + dwell, 0);
    while let Ok(event) = timeout_at(deadline, radio.next()).await {
        match event {
            RadioEvent::Packet(packet) => {
                packets += 1;
                if printer.print(&radio.stamp(packet))? == PrintStatus::Done {
                    return Ok((packets, PrintStatus::Done));
                }
            }
            RadioEvent::Health(Health::Failing(why)) => print_notice(format_args!("{}: failing: {why}", radio.name())),
            RadioEvent::Health(Health::Listening | Health::Degraded(_) | Health::Starting(_)) => {}
            RadioEvent::Failed(error) => return Err(ListenError::Radio { radio: radio.name().to_owned(), error }),
            RadioEvent::Closed => return Ok((packets, PrintStatus::Done)),
        }
    }
    Ok((packets, PrintStatus::More))
}

fn with_settings(chip_settings: &Sx127xSettings, settings: ScanSettings) -> Sx127xSettings {
    let ScanSettings { spreading_factor, bandwidth_hz, sync_word, low_data_rate_optimize } = settings;
    Sx127xSettings {
        spreading_factor,
        bandwidth_hz,
        sync_word,
        low_data_rate_optimize,
        crc: CrcPolicy::Optional,
        // A scan never transmits, even if the settings allow it.
        transmit: false,
        ..chip_settings.clone()
    }
}

fn print_best(results: &[ScanResult]) {
    let Some(best) = best_of(results) else {
        print_notice("No packets received. The readers may be silent, on another frequency, or out of range.");
        return;
    };
    print_notice(format_args!("Most packets, {}, were received with these settings:", best.heard()));
    print_notice(best.lines());
}

/// Returns the result with the most packets; wrong CRCs decide between equal ones.
fn best_of(results: &[ScanResult]) -> Option<&ScanResult> {
    results.iter().max_by_key(|result| (result.heard(), result.crc_errors))
}

impl ScanResult {
    /// Returns the number of packets that were received, with a good CRC or without one.
    fn heard(&self) -> u64 {
        self.packets + self.without_crc
    }

    /// Returns the lines of the settings file that receive these packets.
    fn lines(&self) -> String {
        let ScanSettings { spreading_factor, bandwidth_hz, sync_word, .. } = self.settings;
        let mut lines = format!(
            "spreading_factor = {spreading_factor}\nbandwidth_hz = {bandwidth_hz}\nsync_word = {sync_word:#04x}"
        );
        if let Some(word) = self.settings.low_data_rate_word() {
            lines += "\nlow_data_rate_optimize = \"";
            lines += word;
            lines += "\"";
        }
        if self.without_crc > self.packets {
            lines += "\ncrc = \"optional\"";
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(packets: u64, without_crc: u64, low_data_rate_optimize: LowDataRateOptimize) -> ScanResult {
        let settings =
            ScanSettings { spreading_factor: 12, bandwidth_hz: 125_000, sync_word: 0x12, low_data_rate_optimize };
        ScanResult { settings, packets, crc_errors: 0, without_crc }
    }

    #[test]
    fn the_lines_name_every_setting_that_the_readers_need() {
        let usual = "spreading_factor = 12\nbandwidth_hz = 125000\nsync_word = 0x12";
        for (result, more) in [
            (result(3, 0, LowDataRateOptimize::Auto), ""),
            (result(3, 1, LowDataRateOptimize::Auto), ""),
            (result(3, 3, LowDataRateOptimize::Auto), ""),
            (result(0, 3, LowDataRateOptimize::Auto), "\ncrc = \"optional\""),
            (result(3, 0, LowDataRateOptimize::Off), "\nlow_data_rate_optimize = \"off\""),
            (result(0, 3, LowDataRateOptimize::On), "\nlow_data_rate_optimize = \"on\"\ncrc = \"optional\""),
        ] {
            assert_eq!(result.lines(), format!("{usual}{more}"));
        }
    }

    fn counted(packets: u64, crc_errors: u64, without_crc: u64) -> ScanResult {
        ScanResult { crc_errors, ..result(packets, without_crc, LowDataRateOptimize::Auto) }
    }

    /// Catches a scan that takes twice its time, that hides a step in which something came, or that lists silent ones.
    #[test]
    fn a_step_is_repeated_only_if_nothing_but_wrong_crcs_came() {
        for (result, is_heard, is_repeated) in [
            (counted(0, 0, 0), false, false),
            (counted(2, 0, 0), true, false),
            (counted(0, 0, 2), true, false),
            (counted(0, 2, 0), true, true),
            (counted(1, 2, 0), true, false),
            (counted(0, 2, 1), true, false),
        ] {
            assert_eq!((result.is_heard(), result.has_only_crc_errors()), (is_heard, is_repeated), "{result:?}");
        }
    }

    #[test]
    fn the_best_settings_are_those_with_the_most_packets() {
        assert_eq!(best_of(&[]), None);
        let results = [counted(2, 9, 2), counted(3, 0, 0), counted(0, 8, 0), counted(1, 8, 3), counted(1, 1, 1)];
        assert_eq!(best_of(&results), Some(&results[0]));
        assert_eq!(best_of(&results[1..]), Some(&results[3]));
    }

    /// Catches a scan that transmits, or that listens on another frequency than the settings name.
    #[test]
    fn a_step_keeps_the_frequency_and_never_transmits() {
        let chip = Sx127xSettings { frequency_hz: 868_100_000, transmit: true, ..Sx127xSettings::default() };
        let step = with_settings(&chip, result(0, 0, LowDataRateOptimize::On).settings);
        assert_eq!((step.frequency_hz, step.spreading_factor, step.transmit), (868_100_000, 12, false));
        assert_eq!((step.low_data_rate_optimize, step.crc), (LowDataRateOptimize::On, CrcPolicy::Optional));
    }

    #[test]
    fn the_other_low_data_rate_is_the_one_that_the_data_sheet_does_not_require() {
        let of = |spreading_factor, bandwidth_hz| {
            let settings = result(0, 0, LowDataRateOptimize::Auto).settings;
            other_low_data_rate(ScanSettings { spreading_factor, bandwidth_hz, ..settings })
        };
        assert_eq!([of(12, 125_000), of(11, 125_000)], [LowDataRateOptimize::Off; 2]);
        assert_eq!([of(10, 125_000), of(12, 500_000), of(7, 125_000)], [LowDataRateOptimize::On; 3]);
    }
}
