//! `herdlinxd listen`: packets as they come, from the daemon that runs, else from radios of its own.

mod line;
mod own;
mod running;
mod scan;

pub use line::{Ended, Printer, Setting};
pub use scan::{Found, Scan};

use crate::receive::Channel;
use crate::settings::{RadioKind, RadioSettings, Settings};
use clap::Args;
use service::control::{AskError, CommandError, SOCKET_NAME};
use service::lifecycle::{Exit, shutdown_on_signals};
use service::settings::DurationSetting;
use std::io::{self, Write};
use std::time::Duration;

/// Radios of our own have so long to begin to hear; where none does by then, there is nothing to listen to.
pub const FIRST_LOOK: Duration = Duration::from_secs(2);

/// What is asked for.
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
    #[arg(long, value_name = "WORD,..", requires = "scan", value_delimiter = ',', value_parser = sync_word, default_values = ["0x12", "0x34"])]
    pub sync_words: Vec<u8>,
}

/// As people write it: `0x12`, or `18`.
fn sync_word(text: &str) -> Result<u8, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "a sync word is one byte, such as 0x12 or 18".to_owned())
}

/// Why nothing more is heard.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Signals cannot be waited for.
    #[error("waiting for signals: {0}")]
    Signals(#[source] io::Error),
    /// The running process gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It answered, and then no more.
    #[error("the daemon has stopped, or does not answer any more; once it runs, or is stopped, listen again")]
    DaemonEnded,
    /// The response answers another request.
    #[error(transparent)]
    Response(#[from] CommandError),
    /// The result could not be printed.
    #[error("printing a packet: {0}")]
    Print(#[from] io::Error),
    /// The settings have none.
    #[error(
        "no radio is set up, so there is nothing to listen to: add a [[radio]] to the settings (`herdlinxd config`)"
    )]
    NoRadio,
    /// The one that was named is not among them.
    #[error("there is no radio `{name}`; there is: {known}")]
    NotThatRadio {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A radio could not be made.
    #[error("opening `{radio}`: {source}")]
    Open {
        /// Its name.
        radio: String,
        /// What it said.
        #[source]
        source: radio::OpenError,
    },
    /// A simulated radio could not write its ledger.
    #[error("listening to `{radio}`: {error}")]
    Failed {
        /// Its name.
        radio: String,
        /// What it said.
        error: radio::RadioError,
    },
    /// All radios fail; each has said why on stderr.
    #[error("no radio hears; what is above says why, and `herdlinxd doctor` looks at each part")]
    NoneHears,
    /// The daemon has the radio.
    #[error("the daemon runs and has the radio: stop it to scan, as nothing is recorded while the settings change")]
    ScanBesideDaemon,
    /// No radio's settings can be stepped over.
    #[error("a scan needs a radio of the kind \"sx127x\" in the settings, whose settings it can step over")]
    NothingToScan,
    /// A step that the chip does not have.
    #[error("the scan of `{radio}`: {source}")]
    Step {
        /// The radio's name.
        radio: String,
        /// What was wrong.
        #[source]
        source: radio::SettingsError,
    },
    /// A part ended by a panic.
    #[error("a part of the program was cut: {0}")]
    Cut(#[from] tokio::task::JoinError),
}

impl From<&ListenError> for Exit {
    fn from(error: &ListenError) -> Self {
        match error {
            ListenError::Ask(error) => Self::from(error),
            ListenError::Response(error) => Self::from(error),
            ListenError::ScanBesideDaemon => Self::Refused,
            ListenError::DaemonEnded => Self::NoPeer,
            ListenError::NoRadio
            | ListenError::NotThatRadio { .. }
            | ListenError::Open { .. }
            | ListenError::NothingToScan
            | ListenError::Step { .. } => Self::Usage,
            ListenError::Signals(_)
            | ListenError::Print(_)
            | ListenError::Failed { .. }
            | ListenError::NoneHears
            | ListenError::Cut(_) => Self::Failure,
        }
    }
}

/// Prints what is heard until the request's end, or Ctrl-C, or until whoever reads `out` is gone; all three are a good
/// end. Needs a tokio runtime.
pub async fn listen(settings: &Settings, asked: &ListenRequest, out: &mut dyn Write) -> Result<(), ListenError> {
    let shutdown = shutdown_on_signals().map_err(ListenError::Signals)?.signal();
    let mut printer = Printer::new(out, asked.json, asked.count);
    let at_most = asked.seconds.map_or(Duration::MAX, Duration::from_secs);
    tokio::select! {
        heard = hear(settings, asked, &mut printer) => heard,
        () = shutdown.requested() => Ok(()),
        () = tokio::time::sleep(at_most) => Ok(()),
    }
}

async fn hear(settings: &Settings, asked: &ListenRequest, to: &mut Printer<'_>) -> Result<(), ListenError> {
    let socket = settings.state_dir.join(SOCKET_NAME);
    if asked.scan {
        if running::is_running(&socket).await? {
            return Err(ListenError::ScanBesideDaemon);
        }
        return scan::scan_radio(&chosen(settings, asked)?, asked, to).await;
    }
    match running::listen(&socket, asked.radio.as_deref(), to).await {
        Err(ListenError::Ask(AskError::NotRunning { .. })) => {}
        heard => return heard,
    }
    own::listen(&chosen(settings, asked)?, to).await
}

/// The radios that are listened to.
fn chosen<'a>(settings: &'a Settings, asked: &ListenRequest) -> Result<Vec<(Channel, &'a RadioSettings)>, ListenError> {
    let radios: Vec<_> = settings.radios().collect();
    if radios.is_empty() {
        return Err(ListenError::NoRadio);
    }
    let is_meant = |channel: &Channel| asked.radio.as_ref().is_none_or(|name| *name == channel.name);
    let names: Vec<_> = radios.iter().map(|(channel, _)| channel.name.clone()).collect();
    let chosen: Vec<_> = radios.into_iter().filter(|(channel, _)| is_meant(channel)).collect();
    match &asked.radio {
        Some(name) if chosen.is_empty() => Err(not_that_radio(name, &names)),
        _ => Ok(chosen),
    }
}

fn not_that_radio(name: &str, known: &[String]) -> ListenError {
    ListenError::NotThatRadio { name: name.to_owned(), known: known.join(", ") }
}

/// Of the radios that are meant the first that a scan can step over.
fn first_chip<'a>(radios: &[(Channel, &'a RadioSettings)]) -> Option<(Channel, &'a RadioSettings)> {
    radios.iter().find(|(_, settings)| settings.kind == RadioKind::Sx127x).cloned()
}

#[cfg(test)]
mod tests;
