//! The `firstboot` command.

use super::CliError;
use crate::firstboot::{DEFAULT_CARD, FirstBoot, RESULT_TIMEOUT};
use service::card::CardFile;
use service::settings::DurationSetting;
use std::io::Write;
use std::path::PathBuf;

pub(super) const FIRST_BOOT_HELP: &str = "\
Reads herdlinx.toml on the boot partition and applies it, if it was edited and has no mistake. Then the passwords and
keys in it are emptied, and herdlinx-result.txt beside it says what is in effect, or which line to correct.
Exit codes: 0 done, or nothing to do; 1 a file could not be read or written; 2 the file has mistakes and nothing of it
was applied, or your own certificate cannot be used; 7 this machine did not boot from a card. After each of them it goes
on with what was applied before.";

/// Arguments of `firstboot`.
#[derive(Debug, clap::Args)]
pub(super) struct FirstBootCommand {
    /// Directory of the card's boot partition
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_CARD)]
    card: PathBuf,
    /// Root of the file system to apply the settings to
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    root: PathBuf,
    /// Wait for an address and the TLS key, and write them into herdlinx-result.txt
    #[arg(long)]
    result: bool,
    /// With --result: longest wait, such as 30s [default: 2m]
    #[arg(long, value_name = "DURATION", requires = "result")]
    wait: Option<DurationSetting>,
    /// Print a herdlinx.toml that sets nothing and explains every key
    #[arg(long, conflicts_with = "result")]
    template: bool,
}

impl FirstBootCommand {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let boot = FirstBoot::new(&self.card, &self.root);
        let text = if self.template {
            CardFile::default().render()
        } else if self.result {
            boot.write_result(self.wait.map_or(RESULT_TIMEOUT, DurationSetting::get))?
        } else {
            boot.apply()?
        };
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Print)
    }
}
