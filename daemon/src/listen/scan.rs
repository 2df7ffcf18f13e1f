//! Scanning: tries spreading factors, bandwidths and sync words, to find readers with unknown settings.
//!
//! A LoRa receiver hears only senders with its own frequency, spreading factor, bandwidth and sync word. The frequency is
//! taken from the settings. Each combination of the other three is tried for a while.
//!
//! # Decisions
//!
//! - **A chip is scanned only while no daemon runs on the state directory.** A scan takes the chip out of the settings of
//!   the readers, so reads would be lost unnoticed.
//! - **Each step starts the radio again.** The driver then proves by its usual read-back that the chip holds the
//!   settings. The set-up takes 40 ms of a step of 10 s.

use super::local_radio::{LocalRadio, RadioEvent};
use super::{INITIAL_TIMEOUT, ListenError, ListenRequest, PrintStatus, Printer, ScanSettings, first_chip};
use crate::receive::Channel;
use crate::settings::RadioSettings;
use radio::lora::SpreadingFactor;
use radio::{AnyRadio, Health, Sx127xSettings};
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
    /// Packets with a wrong CRC: the sender is there, but weak.
    pub crc_errors: u64,
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
                factors.map(|spreading_factor| ScanSettings { spreading_factor, bandwidth_hz, sync_word })
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
        printer.set_settings(settings);
        let mut radio = LocalRadio::new(channel.clone(), open(settings)?);
        wait_until_listening(&radio).await?;
        let (packets, status) = listen_for(scan.dwell, &mut radio, printer).await?;
        let crc_errors = radio.counters().crc_errors;
        if packets + crc_errors > 0 {
            print_notice(format_args!("    {packets} packets, and {crc_errors} with a wrong CRC"));
            results.push(ScanResult { settings, packets, crc_errors });
        }
        if status == PrintStatus::Done {
            break;
        }
    }
    Ok(results)
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
            RadioEvent::Health(Health::Listening | Health::Starting(_)) => {}
            RadioEvent::Failed(error) => return Err(ListenError::Radio { radio: radio.name().to_owned(), error }),
            RadioEvent::Closed => return Ok((packets, PrintStatus::Done)),
        }
    }
    Ok((packets, PrintStatus::More))
}

fn with_settings(chip_settings: &Sx127xSettings, settings: ScanSettings) -> Sx127xSettings {
    let ScanSettings { spreading_factor, bandwidth_hz, sync_word } = settings;
    // A scan never transmits, even if the settings allow it.
    Sx127xSettings { spreading_factor, bandwidth_hz, sync_word, transmit: false, ..chip_settings.clone() }
}

fn print_best(results: &[ScanResult]) {
    let Some(best) = results.iter().max_by_key(|result| (result.packets, result.crc_errors)) else {
        print_notice("No packets received. The readers may be silent, on another frequency, or out of range.");
        return;
    };
    let ScanResult { settings: ScanSettings { spreading_factor, bandwidth_hz, sync_word }, packets, .. } = best;
    print_notice(format_args!("Most packets, {packets}, were received with these settings:"));
    print_notice(format_args!(
        "spreading_factor = {spreading_factor}\nbandwidth_hz = {bandwidth_hz}\nsync_word = {sync_word:#04x}"
    ));
}
