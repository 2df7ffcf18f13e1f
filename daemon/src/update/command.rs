//! The command line of `herdlinxd update`.

use super::file::{FileError, read_header};
use super::install::{InstallError, InstallProgress, install};
use super::keys::{KeyFileError, PublicKeys};
use super::manifest::{Manifest, UnfitError};
use crate::slots::before_trial::BeforeTrial;
use crate::slots::booted_slot::{BootedArgs, BootedError};
use crate::slots::card::{Card, SlotError, TRIAL_STARTS};
use service::lifecycle::{Exit, print_notice};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// File with the public keys that a card trusts. It is part of the root, so an update can replace a key.
const PUBLIC_KEYS: &str = "/usr/share/herdlinx/update.pub";
/// Size of the buffer in front of the decompressor.
const BUFFER_BYTES: usize = 256 * 1024;
/// Name of standard input.
const STDIN: &str = "-";

/// Arguments of `update`.
#[derive(Clone, Debug, clap::Args)]
pub struct UpdateArgs {
    /// The update file; `-` reads standard input
    file: PathBuf,
    /// Reboot into the new root when it is installed
    #[arg(long)]
    reboot: bool,
    /// Install a version that is older than the running one
    #[arg(long)]
    allow_downgrade: bool,
    /// Public keys that may have signed the file, one per line
    #[arg(long, value_name = "FILE", default_value = PUBLIC_KEYS, hide = true)]
    public_keys: PathBuf,
    #[command(flatten)]
    place: BootedArgs,
}

/// Reason why an update was not installed, or the machine was not rebooted.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The slots could not be found.
    #[error(transparent)]
    Booted(#[from] BootedError),
    /// The slots may not be written now.
    #[error(transparent)]
    Card(#[from] SlotError),
    /// The card has no keys.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The update file could not be opened.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file is not an update for this card.
    #[error(transparent)]
    File(#[from] FileError),
    /// The update does not suit the running root.
    #[error(transparent)]
    Unfit(#[from] UnfitError),
    /// The image was not installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The result could not be printed.
    #[error("cannot print the result: {0}")]
    Print(#[source] io::Error),
    /// systemd did not begin the reboot.
    #[error("the update is installed, and the reboot failed ({reason}): run `sudo systemctl reboot`")]
    Reboot {
        /// The failure.
        reason: String,
    },
}

impl From<&UpdateError> for Exit {
    fn from(error: &UpdateError) -> Self {
        match error {
            UpdateError::Booted(error) => Self::from(error),
            UpdateError::Card(error) | UpdateError::Install(InstallError::Card(error)) => Self::from(error),
            UpdateError::File(FileError::Read(_) | FileError::CutShort)
            | UpdateError::Install(InstallError::Frames(_) | InstallError::Surplus | InstallError::Hash) => {
                Self::Damaged
            }
            UpdateError::File(_) | UpdateError::Unfit(_) => Self::Refused,
            UpdateError::Keys(_)
            | UpdateError::Open { .. }
            | UpdateError::Install(_)
            | UpdateError::Print(_)
            | UpdateError::Reboot { .. } => Self::Failure,
        }
    }
}

impl UpdateArgs {
    /// Installs the update. Nothing is written before its signature is verified.
    ///
    /// `socket` is the control socket of the daemon.
    pub fn run(&self, socket: &Path, out: &mut dyn Write) -> Result<(), UpdateError> {
        let booted = self.place.booted()?;
        let keys = PublicKeys::load(&self.public_keys)?;
        let mut source = BufReader::with_capacity(BUFFER_BYTES, open(&self.file)?);
        let manifest = read_header(&mut source, &keys)?;
        let card = Card::new(self.place.open()?, booted)?;
        card.check_idle()?;
        manifest.check(card.idle_extent().length, self.allow_downgrade)?;
        let (running, idle, Manifest { version, commit, .. }) = (booted.slot, booted.slot.other(), &manifest);
        print_notice(format_args!(
            "Writing version {version} ({commit}) to slot {idle}. Slot {running} goes on running."
        ));
        BeforeTrial::of_running_daemon(socket).save(self.place.trial_file());
        let mut display = ProgressDisplay::default();
        install(&card, &manifest, source, &mut |progress| display.show(progress))?;
        let next = if self.reboot { "Rebooting." } else { "Reboot when it suits you: sudo systemctl reboot" };
        let text = format!(
            "Version {version} is in slot {idle}. It starts at the next reboot, on trial: if it does not come to serve \
             in {TRIAL_STARTS} starts, slot {running} returns.\n{next}"
        );
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(UpdateError::Print)?;
        if self.reboot { reboot() } else { Ok(()) }
    }
}

fn open(path: &Path) -> Result<Box<dyn Read>, UpdateError> {
    if path == Path::new(STDIN) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|source| UpdateError::Open { path: path.into(), source })?;
    Ok(Box::new(file))
}

fn reboot() -> Result<(), UpdateError> {
    let failed = |reason: String| Err(UpdateError::Reboot { reason });
    match Command::new("systemctl").arg("reboot").status() {
        Ok(status) if ExitStatus::success(&status) => Ok(()),
        Ok(status) => failed(status.to_string()),
        Err(error) => failed(error.to_string()),
    }
}

/// Prints a line for each tenth of the work, which suits a terminal and a log.
#[derive(Default)]
struct ProgressDisplay {
    tenths: u64,
}

impl ProgressDisplay {
    fn show(&mut self, progress: InstallProgress) {
        let tenths = progress.done * 10 / progress.total.max(1);
        if tenths > self.tenths {
            self.tenths = tenths;
            let action = if tenths <= 5 { "written" } else { "verified" };
            print_notice(format_args!("{} % done ({action})", tenths * 10));
        }
    }
}
