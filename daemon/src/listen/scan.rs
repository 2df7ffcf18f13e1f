//! Stepping over settings, to find readers whose settings nobody wrote down.
//!
//! A LoRa receiver hears only what is sent with its own frequency, spreading factor, bandwidth and sync word. The
//! frequency is the one that is set; the other three are tried, each combination for a while.

use super::own::{News, Own};
use super::{Ended, FIRST_LOOK, ListenError, ListenRequest, Printer, Setting, first_chip};
use crate::receive::Channel;
use crate::settings::RadioSettings;
use radio::lora::SpreadingFactor;
use radio::{AnyRadio, Health, Sx127xSettings};
use service::settings::DurationSetting;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What was heard with one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// With what.
    pub setting: Setting,
    /// Packets that were heard whole.
    pub packets: u64,
    /// Packets that came with a wrong CRC: somebody is there, and weak.
    pub crc_errors: u64,
}

/// Steps of a scan, and how long each takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// In their order.
    pub steps: Vec<Setting>,
    /// So long at each.
    pub dwell: Duration,
}

impl Scan {
    /// Every spreading factor in every bandwidth with every sync word; what most readers have comes first.
    pub fn over(bandwidths_hz: &[u32], sync_words: &[u8], dwell: Duration) -> Self {
        let factors = SpreadingFactor::ALL.map(SpreadingFactor::get);
        let steps = sync_words.iter().flat_map(|&sync_word| {
            bandwidths_hz.iter().flat_map(move |&bandwidth_hz| {
                factors.map(|spreading_factor| Setting { spreading_factor, bandwidth_hz, sync_word })
            })
        });
        Self { steps: steps.collect(), dwell }
    }
}

/// Scans with the first chip among the radios, and says at the end what to set.
pub(super) async fn scan_radio(
    radios: &[(Channel, &RadioSettings)],
    asked: &ListenRequest,
    to: &mut Printer<'_>,
) -> Result<(), ListenError> {
    let (channel, settings) = first_chip(radios).ok_or(ListenError::NothingToScan)?;
    let settings = settings.chip().ok_or(ListenError::NothingToScan)?;
    let scan = Scan::over(&asked.bandwidths, &asked.sync_words, asked.dwell.get());
    let name = channel.name.clone();
    let wrong_step = |source| ListenError::Step { radio: name.clone(), source };
    // All of them before the first takes its time.
    for setting in &scan.steps {
        with(&settings, *setting).chip().map_err(wrong_step)?;
    }
    let lasts = DurationSetting::from_secs(scan.dwell.as_secs().saturating_mul(scan.steps.len() as u64));
    eprintln!("{name}: {} Hz, {} steps, {lasts} in all", settings.frequency_hz, scan.steps.len());
    let open = |setting| {
        let opened = with(&settings, setting).open(&name);
        opened.map(AnyRadio::from).map_err(|source| ListenError::Open { radio: name.clone(), source })
    };
    say(&scan_with(&scan, &channel, open, to).await?);
    Ok(())
}

/// The same with whatever opens a radio with a setting. Gives the settings with which somebody was heard, in the order
/// of the steps.
pub(super) async fn scan_with(
    scan: &Scan,
    channel: &Channel,
    mut open: impl FnMut(Setting) -> Result<AnyRadio, ListenError>,
    to: &mut Printer<'_>,
) -> Result<Vec<Found>, ListenError> {
    let mut found = Vec::new();
    for (number, &setting) in (1..).zip(&scan.steps) {
        eprintln!("[{number}/{}] {setting}", scan.steps.len());
        to.heard_with(setting);
        let mut own = Own::new(channel.clone(), open(setting)?);
        begins_to_hear(&mut own).await?;
        let (packets, ended) = listen_for(scan.dwell, &mut own, to).await?;
        let crc_errors = own.counters().crc_errors;
        if packets + crc_errors > 0 {
            eprintln!("    {packets} packets, and {crc_errors} with a wrong CRC");
            found.push(Found { setting, packets, crc_errors });
        }
        if ended == Ended::Yes {
            break;
        }
    }
    Ok(found)
}

/// A chip is set up anew for each step; one that does not come to listen says why.
async fn begins_to_hear(own: &mut Own) -> Result<(), ListenError> {
    if tokio::time::timeout(FIRST_LOOK, own.listens()).await.is_err() {
        eprintln!("{}: {}", own.name(), own.why());
        return Err(ListenError::NoneHears);
    }
    Ok(())
}

async fn listen_for(dwell: Duration, own: &mut Own, to: &mut Printer<'_>) -> Result<(u64, Ended), ListenError> {
    let (until, mut packets) = (Instant::now() + dwell, 0);
    while let Ok(news) = timeout_at(until, own.next()).await {
        match news {
            News::Packet(packet) => {
                packets += 1;
                if to.packet(&own.heard(packet))? == Ended::Yes {
                    return Ok((packets, Ended::Yes));
                }
            }
            News::Health(Health::Failing(why)) => eprintln!("{}: failing: {why}", own.name()),
            News::Health(Health::Listening) => {}
            News::Failed(error) => return Err(ListenError::Failed { radio: own.name().to_owned(), error }),
            News::Closed => return Ok((packets, Ended::Yes)),
        }
    }
    Ok((packets, Ended::No))
}

fn with(settings: &Sx127xSettings, setting: Setting) -> Sx127xSettings {
    let Setting { spreading_factor, bandwidth_hz, sync_word } = setting;
    // It only listens, whatever else it may do.
    Sx127xSettings { spreading_factor, bandwidth_hz, sync_word, transmit: false, ..settings.clone() }
}

fn say(found: &[Found]) {
    match found.iter().max_by_key(|found| (found.packets, found.crc_errors)) {
        None => eprintln!("Nobody was heard. Readers may be silent, on another frequency, or out of reach."),
        Some(Found { setting: Setting { spreading_factor, bandwidth_hz, sync_word }, packets, .. }) => {
            eprintln!("Most was heard, {packets} packets, with these settings of the radio:");
            eprintln!(
                "spreading_factor = {spreading_factor}\nbandwidth_hz = {bandwidth_hz}\nsync_word = {sync_word:#04x}"
            );
        }
    }
}
