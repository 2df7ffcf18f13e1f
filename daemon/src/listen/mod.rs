//! `herdlinxd listen`: prints packets as they arrive, through the running daemon, or on radios that it opens itself.

mod daemon;
mod local_radio;
mod printer;
mod scan;

pub use printer::{PrintStatus, Printer, ScanSettings};
pub use scan::{Scan, ScanResult};

use crate::open::are_files_in_use;
use crate::receive::Channel;
use crate::settings::{RadioKind, RadioSettings, Settings};
use clap::Args;
use service::control::{AskError, CommandError, SOCKET_NAME};
use service::lifecycle::{Exit, shutdown_on_signals};
use service::settings::DurationSetting;
use std::io::{self, Write};
use std::time::Duration;

/// Time that local radios have to start receiving. If all of them are failing by then, the command fails.
pub const INITIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Arguments of `herdlinxd listen`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ListenRequest {
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
    /// Stop after N packets
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Stop after S seconds
    #[arg(long, value_name = "S")]
    pub seconds: Option<u64>,
    /// Listen on this radio only [default: all]
    #[arg(long, value_name = "NAME")]
    pub radio: Option<String>,
    /// Scan spreading factors, bandwidths and sync words to find readers with unknown settings (stop the daemon first)
    #[arg(long)]
    pub scan: bool,
    /// With --scan: time per step; longer than the interval between a reader's packets
    #[arg(long, value_name = "DURATION", requires = "scan", default_value = "10s")]
    pub dwell: DurationSetting,
    /// With --scan: bandwidths in Hz
    #[arg(long, value_name = "HZ,..", requires = "scan", value_delimiter = ',', default_values_t = [125_000, 250_000, 500_000])]
    pub bandwidths: Vec<u32>,
    /// With --scan: sync words
    #[arg(long, value_name = "WORD,..", requires = "scan", value_delimiter = ',', value_parser = parse_sync_word, default_values = ["0x12", "0x34"])]
    pub sync_words: Vec<u8>,
}

/// Parses a sync word, hexadecimal (`0x12`) or decimal (`18`).
fn parse_sync_word(text: &str) -> Result<u8, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "a sync word is one byte, such as 0x12 or 18".to_owned())
}

/// Reason why `listen` failed.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(#[source] io::Error),
    /// The daemon did not respond.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The daemon responded at first, and then no more.
    #[error("the daemon has stopped or no longer responds; run `listen` again")]
    DaemonEnded,
    /// The response answers another request.
    #[error(transparent)]
    Response(#[from] CommandError),
    /// The result could not be printed.
    #[error("cannot print a packet: {0}")]
    Print(#[from] io::Error),
    /// The settings have no radio.
    #[error("there is no radio to listen on; add a [[radio]] to the settings (`herdlinxd config` shows one)")]
    NoRadio,
    /// The settings have no radio of this name.
    #[error("there is no radio `{name}`; the radios are: {known}")]
    UnknownRadio {
        /// The name in the request.
        name: String,
        /// Names of the radios.
        known: String,
    },
    /// A radio could not be opened.
    #[error("cannot open the radio `{radio}`: {source}")]
    Open {
        /// Name of the radio.
        radio: String,
        /// Error of the radio.
        #[source]
        source: radio::OpenError,
    },
    /// A radio cannot go on: it has crashed, or a simulated one could not write its ledger.
    #[error("cannot listen on `{radio}`: {error}")]
    Radio {
        /// Name of the radio.
        radio: String,
        /// Error of the radio.
        error: radio::RadioError,
    },
    /// All radios are failing; their errors have been printed to stderr.
    #[error("no radio receives; see the errors above, and run `herdlinxd doctor` to check each part")]
    AllFailing,
    /// The daemon is using the radio, or is about to: it starts or stops.
    #[error("the daemon is using the radio: stop it to scan (nothing is recorded during a scan)")]
    DaemonRunning,
    /// No radio can be scanned with.
    #[error("a scan needs a radio of the kind \"sx127x\" in the settings")]
    NothingToScan,
    /// The chip does not support the settings of a step.
    #[error("cannot scan with `{radio}`: {source}")]
    Step {
        /// Name of the radio.
        radio: String,
        /// The unsupported setting.
        #[source]
        source: radio::SettingsError,
    },
    /// A task panicked.
    #[error("a task of the program was aborted: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl From<&ListenError> for Exit {
    fn from(error: &ListenError) -> Self {
        match error {
            ListenError::Ask(error) => Self::from(error),
            ListenError::Response(error) => Self::from(error),
            ListenError::DaemonRunning => Self::Refused,
            ListenError::DaemonEnded => Self::NoPeer,
            ListenError::NoRadio
            | ListenError::UnknownRadio { .. }
            | ListenError::Open { .. }
            | ListenError::NothingToScan
            | ListenError::Step { .. } => Self::Usage,
            ListenError::Signals(_)
            | ListenError::Print(_)
            | ListenError::Radio { .. }
            | ListenError::AllFailing
            | ListenError::Aborted(_) => Self::Failure,
        }
    }
}

/// Prints packets until the limits of the request, Ctrl-C, or the end of the reader of `out`; none of these is an error.
/// Needs a tokio runtime.
pub async fn listen(settings: &Settings, request: &ListenRequest, out: &mut dyn Write) -> Result<(), ListenError> {
    let shutdown = shutdown_on_signals().map_err(ListenError::Signals)?.signal();
    let mut printer = Printer::new(out, request.json, request.count);
    let time_limit = request.seconds.map_or(Duration::MAX, Duration::from_secs);
    tokio::select! {
        result = print_packets(settings, request, &mut printer) => result,
        () = shutdown.requested() => Ok(()),
        () = tokio::time::sleep(time_limit) => Ok(()),
    }
}

async fn print_packets(
    settings: &Settings,
    request: &ListenRequest,
    printer: &mut Printer<'_>,
) -> Result<(), ListenError> {
    let socket = settings.state_dir.join(SOCKET_NAME);
    if request.scan {
        if daemon::is_running(&socket).await? || are_files_in_use(settings) {
            return Err(ListenError::DaemonRunning);
        }
        return scan::scan_radio(&selected_radios(settings, request)?, request, printer).await;
    }
    match daemon::listen(&socket, request.radio.as_deref(), printer).await {
        // A daemon that starts or stops has the radios.
        Err(ListenError::Ask(AskError::NotRunning { .. })) if are_files_in_use(settings) => {
            return Err(CommandError::Locked.into());
        }
        Err(ListenError::Ask(AskError::NotRunning { .. })) => {}
        result => return result,
    }
    local_radio::listen(&selected_radios(settings, request)?, printer).await
}

/// Returns the radios that the request selects.
fn selected_radios<'a>(
    settings: &'a Settings,
    request: &ListenRequest,
) -> Result<Vec<(Channel, &'a RadioSettings)>, ListenError> {
    let radios: Vec<_> = settings.radios().collect();
    if radios.is_empty() {
        return Err(ListenError::NoRadio);
    }
    let is_selected = |channel: &Channel| request.radio.as_ref().is_none_or(|name| *name == channel.name);
    let names: Vec<_> = radios.iter().map(|(channel, _)| channel.name.clone()).collect();
    let selected: Vec<_> = radios.into_iter().filter(|(channel, _)| is_selected(channel)).collect();
    match &request.radio {
        Some(name) if selected.is_empty() => Err(unknown_radio(name, &names)),
        _ => Ok(selected),
    }
}

fn unknown_radio(name: &str, known: &[String]) -> ListenError {
    ListenError::UnknownRadio { name: name.to_owned(), known: known.join(", ") }
}

/// Returns the first radio that can be scanned with.
fn first_chip<'a>(radios: &[(Channel, &'a RadioSettings)]) -> Option<(Channel, &'a RadioSettings)> {
    radios.iter().find(|(_, settings)| settings.kind == RadioKind::Sx127x).cloned()
}

#[cfg(test)]
mod tests;
