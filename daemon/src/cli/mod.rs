//! The command line.

mod backup;
mod correct;
mod error;
mod exec;
mod files;
mod first_boot;
mod recover;
#[cfg(test)]
mod tests;

pub use error::CliError;

use crate::listen::ListenRequest;
use crate::settings::{BarnSettingsError, DEFAULT_FILE, Settings, is_variable};
use crate::slots::command::SlotCommand;
use crate::update::command::UpdateArgs;
use clap::{CommandFactory as _, Parser, Subcommand};
use correct::CorrectCommand;
use first_boot::{FIRST_BOOT_HELP, FirstBootCommand};
use service::backup::BackupArgs;
use service::door::key_command::KeyCommand;
use service::process::{self, SettingFlags};
use service::settings::environment;
use service::show::ShowRequest;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const ABOUT: &str =
    "HerdLinx barn daemon: records RFID reads from LoRa radios and HTTPS, and serves them to the office";

const AFTER_HELP: &str = "\
Getting started:
  herdlinxd config > herdlinxd.toml                 write a settings file, then edit it
  herdlinxd --config herdlinxd.toml check           validate it
  herdlinxd --config herdlinxd.toml run             start recording
  herdlinxd --config herdlinxd.toml key add chute-1 --scope ingest
                                                    create a key for a device that posts over HTTPS
  herdlinxd --config herdlinxd.toml pair            print a line for `herdlinx-mirror add` at the office
  herdlinxd --config herdlinxd.toml doctor          check radios, disk, clock and keys
  herdlinxd --config herdlinxd.toml listen          print packets as they arrive

Every command works whether or not the daemon is running, except `restore` and `recover`, which need it stopped.
Precedence: flags, then HERDLINX_* environment variables (HERDLINX_LISTEN=127.0.0.1:5001), then the settings file.
Exit codes: 0 done, 1 failed (also a failed check of `doctor`, or `listen` without a working radio), 2 command line or
settings refused, 3 a file is damaged or lacks what it had, 4 address or socket taken, 5 no process or peer answers, 6 files in use,
7 request refused.";

const CORRECT_HELP: &str = "\
Animals, batches and payloads are named by id, as printed by `show`:
  herdlinxd correct --author 'J. Doe' --reason 'found dead in P4' died --animal 118
  herdlinxd correct --author 'J. Doe' --reason 'reader replaced' new_reader_era --group main --from 5042

Nothing is deleted: the history of an animal shows each correction, its author and its reason.";

const ACCEPT_HELP: &str = "\
If log.redb vanished or an older one was put back, the service does not start (exit code 3): the barn would reuse the
numbers of lost changes. Put the right log.redb and log.journal back if you have them. If they are gone for good,
`herdlinxd restore` begins again with a backup, and an office makes one of its copy. If there is none either:
  sudo herdlinxd accept-log --author 'J. Doe' --reason 'card died, no backup and no office'
  sudo systemctl start herdlinxd

Nothing is deleted. An office that holds the lost changes keeps them, and shows that the barn went on without them.";

const BACKUP_HELP: &str = "\
Recording goes on meanwhile. The file is read back from the medium, and has its name only then:
  sudo herdlinxd backup /media/stick/north.backup
  sudo herdlinxd verify /media/stick/north.backup

It holds everything that was recorded, and no key: pair each office again after a restore.";

const RESTORE_HELP: &str = "\
If there are several backups, use the one that ends at the highest change: `verify FILE` prints it. An office can back up
its copy; `herdlinx-mirror status` shows where that ends. On a new card or machine, with the barn's settings in place:
  sudo systemctl stop herdlinxd
  sudo herdlinxd restore /media/stick/north.backup
  sudo systemctl start herdlinxd

The log goes on in the next epoch. The pairing line is alone on the last line: give it to `herdlinx-mirror add` at each
office, which goes on from what it has. Only `add` there, never `remove`: its copy may have the last reads. If the command
is interrupted, run it again. The file is only read.";

const RECOVER_HELP: &str = "\
For a barn whose log is damaged. If an office has a copy, let it write a backup first: it fills the gap.
  sudo systemctl stop herdlinxd
  sudo herdlinxd recover --from /media/stick/north.backup
  sudo systemctl start herdlinxd

Without a file, it makes a log of what is whole in log.redb and log.journal. What lies behind a gap is appended once more,
with its old times; what is lost is named. The damaged log is kept as log.redb.set-aside-1. A log that is whole stays as it
is, and gets what only the file holds. If the command is interrupted, run it again.";

const UPDATE_HELP: &str = "\
The running root stays as it is until the next reboot, and recording goes on:
  sudo herdlinxd update herdlinx-0.2.0.update
  ssh root@barn herdlinxd update - < herdlinx-0.2.0.update

The new root starts on trial. If it does not come to serve, the machine goes back by itself.
Only a card has slots; with Debian packages, upgrade with apt.";

const CHECK_HELP: &str = "\
Checks the settings, the certificate, the state directory and the port. If root runs it on a machine with the unit
herdlinxd.service, it checks as that service would start: as its user, in its sandbox, with its drop-ins.
With --here, or if --config, a flag or a variable names other settings, it checks as the current user.";

/// Text before a pairing line, which is alone on the last line.
const PAIRING_TEXT: &str =
    "Give this line to `herdlinx-mirror add` at the office. It holds a key and is not shown again:";

/// Arguments of the program.
#[derive(Debug, Parser)]
#[command(name = "herdlinxd", version, about = ABOUT, long_about = None, after_help = AFTER_HELP, disable_help_subcommand = true)]
struct Cli {
    #[arg(long, global = true, value_name = "FILE", help = format!("Settings file [default: {DEFAULT_FILE}, if it exists]"))]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: SettingFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Record and serve until SIGTERM or Ctrl-C (logs to stderr)
    Run,
    /// Validate the settings and what a start needs, without starting anything
    #[command(after_help = CHECK_HELP)]
    Check {
        /// Check as the current user, even as root
        #[arg(long)]
        here: bool,
    },
    /// Print a commented settings file with every default and range
    Config,
    /// Create a key for an office and print the pairing line, alone on the last line
    Pair {
        /// Name of the key [default: office-1, office-2, ...]
        #[arg(long)]
        name: Option<String>,
    },
    /// Add, list and revoke API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print what the store holds
    #[command(subcommand)]
    Show(ShowRequest),
    /// Correct a record; the original stays in the history
    #[command(after_help = CORRECT_HELP)]
    Correct {
        /// Your name, kept in the history
        #[arg(long)]
        author: String,
        /// The reason, kept in the history
        #[arg(long)]
        reason: String,
        /// Retrying with the same key applies the correction once [default: generated and printed]
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        #[command(subcommand)]
        correction: CorrectCommand,
    },
    /// Accept a log that lacks changes; recording continues in the next epoch
    #[command(after_help = ACCEPT_HELP)]
    AcceptLog {
        /// Your name, kept in the history
        #[arg(long)]
        author: String,
        /// The reason, kept in the history
        #[arg(long)]
        reason: String,
    },
    /// Restore a barn from a backup, into a state directory without payloads
    #[command(after_help = RESTORE_HELP)]
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// Rebuild a damaged log from its intact rows, and from FILE if it is given
    #[command(after_help = RECOVER_HELP)]
    Recover {
        /// A file to search as well: a copy of log.redb, a backup, whole or cut, or what only an office holds
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// The same as --from FILE
        #[arg(conflicts_with = "from")]
        file: Option<PathBuf>,
    },
    /// Print packets as the radios receive them: time, channel, dBm, dB, Hz, hex, text
    Listen(ListenRequest),
    /// Diagnose radios, disk, clock, keys and certificate (read-only)
    Doctor {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Check the log and the tables, or the file of a backup, against their digests
    Verify {
        /// Backup to check [default: the store of this barn]
        file: Option<PathBuf>,
    },
    /// Write the whole log to a file, from which `restore` makes a barn again
    #[command(after_help = BACKUP_HELP)]
    Backup(BackupArgs),
    /// Install a signed update in the idle slot of the card
    #[command(after_help = UPDATE_HELP)]
    Update(UpdateArgs),
    /// Show, confirm or change the slot that the card starts
    #[command(subcommand)]
    Slot(SlotCommand),
    /// Apply the settings on a flashed card (run by its unit at each start, as root)
    #[command(name = "firstboot", after_help = FIRST_BOOT_HELP)]
    FirstBoot(FirstBootCommand),
}

/// Returns the definition of the command line, for manual pages and completions.
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// Runs the command of the arguments; the first argument is the program. Prints results to stdout, and everything else to
/// stderr.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    process::main_with(args, |cli: Cli, out| cli.run(out))
}

impl Cli {
    /// Returns true if the settings may be others than those that the service reads.
    fn names_settings(&self) -> bool {
        self.names_settings_among(environment().map(|(name, _)| name))
    }

    fn names_settings_among(&self, mut variables: impl Iterator<Item = String>) -> bool {
        let file = self.config.as_deref().is_some_and(|file| file != Path::new(DEFAULT_FILE));
        file || !self.flags.layer().is_empty() || variables.any(|name| is_variable(&name))
    }

    fn settings(&self) -> Result<Settings, BarnSettingsError> {
        Settings::load(self.config.as_deref(), environment(), self.flags.layer())
    }
}
