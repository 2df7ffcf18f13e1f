//! The command line.

mod backup;
mod error;
mod exec;
mod files;
mod give_back;
mod pair;

pub use error::CliError;

use crate::link::Address;
use crate::people::command::UserCommand;
use crate::prepare::PrepareFlags;
use crate::settings::{DEFAULT_PATH, Settings, is_variable};
use crate::sites::SiteName;
use clap::{CommandFactory as _, Parser, Subcommand};
use service::backup::BackupArgs;
use service::door::key_command::KeyCommand;
use service::process::{self, SettingFlags};
use service::settings::{SettingsError, environment};
use service::show::ShowRequest;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Getting started:
  herdlinx-mirror config > mirror.toml              write a settings file, then edit it
  herdlinx-mirror --config mirror.toml check        validate it
  herdlinx-mirror --config mirror.toml add '<line>' pair with a barn: the line that `herdlinxd pair` printed
  herdlinx-mirror --config mirror.toml prepare --site north
                                                    or write the file of a new barn's card, which pairs by itself
  herdlinx-mirror --config mirror.toml run          start following, and serve the pages
  herdlinx-mirror --config mirror.toml user add Ana --role owner
                                                    print the link by which a user chooses a password
Then open https://localhost:5000 on this machine, or the link on any other.

Every command works whether or not the mirror is running, except `status` and `give-back`, which need it.
Precedence: flags, then HERDLINX_MIRROR_* environment variables (HERDLINX_MIRROR_LISTEN=127.0.0.1:5000), then the
settings file.
Exit codes: 0 done, 1 failed, 2 command line or settings refused, 3 a file is damaged, 4 address or socket taken,
5 no process or peer answers, 6 files in use, 7 request refused.";

const CHECK_HELP: &str = "\
Checks the settings, the certificate, the state directory and the port. If root runs it on a machine with the unit
herdlinx-mirror.service, it checks as that service would start: as its user, in its sandbox, with its drop-ins.
With --here, or if --config, a flag or a variable names other settings, it checks as the current user.";

const PREPARE_HELP: &str = "\
Example, for a barn with a cable:
  herdlinx-mirror prepare --site north
Then copy herdlinx.toml to the boot partition of the card, over the file that is there, and switch the barn on. The
office finds it at herdlinx-north.local by itself and pairs; the code is dead from then on. `status` and the page of the
office say what it waits for.

The code is tried for 180 days. Preparing a barn again voids the code of its earlier file.";

const PAIR_HELP: &str = "\
The other office has the same copy, proves it in the same way, and shows its lag against the barn, not against this office.
Its corrections go on through this office. At the other office:
  sudo herdlinx-mirror add -

The line is a password: `-` reads it from standard input, where no other user can see it.";

const BACKUP_HELP: &str = "\
The copy follows its barn meanwhile. The file is read back from the medium, and has its name only then:
  sudo herdlinx-mirror backup north /media/stick/north.backup
  sudo herdlinx-mirror verify --backup /media/stick/north.backup

It holds everything that this office has of the barn, and no key: pair the barn again after a restore.";

const GIVE_BACK_HELP: &str = "\
Rows of the barn's log that are damaged get their changes back in their place, if the digests around them prove them.
The barn appends the payloads once more, with their old times, and answers those that it has as duplicates:
  sudo herdlinx-mirror give-back north --author 'J. Doe' --reason 'old card put back'
  sudo herdlinx-mirror resync north                 if the site is stopped: the office follows the barn again

Nothing is given twice: run it again whenever it was interrupted. If the office cannot reach the barn, carry a file there:
  sudo herdlinx-mirror backup north --only-here /media/stick/north.only-here
  sudo herdlinxd recover /media/stick/north.only-here             at the barn, with the service stopped";

const ABOUT: &str =
    "HerdLinx office mirror: keeps a live copy of each barn and serves it, whether or not the barn can be reached";

/// Arguments of the program.
#[derive(Parser)]
#[command(name = "herdlinx-mirror", version, about = ABOUT, long_about = None, after_help = AFTER_HELP)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[arg(long, global = true, value_name = "FILE", help = format!("Settings file [default: {DEFAULT_PATH}, if it exists]"))]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: SettingFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Follow the paired barns and serve their copies until SIGTERM or Ctrl-C (logs to stderr)
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
    /// Pair with a barn, using the line that `herdlinxd pair` printed there
    Add {
        /// The line, in quotes; `-` reads it from standard input, where no other user can see it
        line: String,
        /// Name of the barn at this office [default: the barn's own]
        #[arg(long)]
        name: Option<SiteName>,
        /// Trust certificates signed by the authority in this PEM file instead of the key in the line; the service's
        /// user must be able to read it at each connection
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// Address of the barn instead of those in the line; may be repeated
        #[arg(long = "address", value_name = "HOST:PORT")]
        addresses: Vec<Address>,
    },
    /// Create a key for another office, and print the line by which it follows a copy of this one, alone on the last line
    #[command(after_help = PAIR_HELP)]
    Pair {
        /// Name of the barn at this office
        site: String,
        /// Name of the key [default: office-1, office-2, ...]
        #[arg(long)]
        name: Option<String>,
    },
    /// Write the settings file of a barn's card, with a one-time code by which that barn pairs with this office
    #[command(after_help = PREPARE_HELP)]
    Prepare(PrepareFlags),
    /// Forget a barn and its key, or a prepared barn that has not paired; its copy is moved aside, not deleted
    Remove {
        /// Name of the barn at this office
        site: String,
    },
    /// Print the state of the running mirror and its sites as JSON
    Status,
    /// Add, list and revoke the keys of programs, and of mirrors that follow this one
    #[command(subcommand)]
    Key(KeyCommand),
    /// Add, list and remove the people who may open the pages, and give them new passwords
    #[command(subcommand)]
    User(UserCommand),
    /// Print what a copy holds
    Show {
        #[command(subcommand)]
        request: ShowRequest,
        /// Name of the barn at this office [default: the only one]
        #[arg(long, global = true)]
        site: Option<String>,
    },
    /// Copy a barn again from the start; the current copy is shown and goes on until the new one is complete
    Resync {
        /// Name of the barn at this office
        site: String,
        /// Cancel the new copy instead, and keep the current one
        #[arg(long)]
        cancel: bool,
    },
    /// Check a copy, or the file of a backup, against its digests
    Verify {
        /// Name of the barn at this office
        #[arg(required_unless_present = "backup")]
        site: Option<String>,
        /// Check this backup instead
        #[arg(long, value_name = "FILE", conflicts_with = "site")]
        backup: Option<PathBuf>,
    },
    /// Write the copy of a barn to a file, from which `herdlinxd restore` makes that barn again
    #[command(after_help = BACKUP_HELP)]
    Backup {
        /// Name of the barn at this office
        site: String,
        /// Write the kept copy that holds what nobody else does; `herdlinxd recover` takes from it what the barn lacks
        #[arg(long)]
        only_here: bool,
        #[command(flatten)]
        args: BackupArgs,
    },
    /// Return to a barn what its log has lost: damaged rows, and what only this office holds
    #[command(after_help = GIVE_BACK_HELP)]
    GiveBack {
        /// Name of the barn at this office
        site: String,
        /// Your name, kept in the history
        #[arg(long)]
        author: String,
        /// The reason, kept in the history
        #[arg(long)]
        reason: String,
    },
}

/// Returns the definition of the command line, for manual pages and completions.
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// Runs the command line `args`, whose first element is the program's name. Results go to stdout, everything else to
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
        let file = self.config.as_deref().is_some_and(|file| file != Path::new(DEFAULT_PATH));
        file || !self.flags.layer().is_empty() || variables.any(|name| is_variable(&name))
    }

    fn settings(&self) -> Result<Settings, SettingsError> {
        Settings::load(self.config.as_deref(), environment(), self.flags.layer())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_definition_is_valid() {
        Cli::command().debug_assert();
    }

    /// Catches a check of other settings than those that the operator has named.
    #[test]
    fn other_settings_than_those_of_the_service_are_known_by_flags_and_variables() {
        let names = |args: &[&str], variable: &str| {
            let cli = Cli::try_parse_from([&["herdlinx-mirror"], args, &["check"]].concat()).unwrap();
            cli.names_settings_among([variable.into()].into_iter())
        };
        for (args, variable, names_others) in [
            (&["--config", "mirror.toml"][..], "HOME", true),
            (&["--listen", "127.0.0.1:1"], "HOME", true),
            (&[], "HERDLINX_MIRROR_LISTEN", true),
            (&[], "HOME", false),
            (&["--config", DEFAULT_PATH], "HOME", false),
        ] {
            assert_eq!(names(args, variable), names_others, "{args:?} {variable}");
        }
    }

    #[test]
    fn no_flag_disables_verification() {
        for flag in ["--insecure", "--no-verify", "--verify=false", "--accept-invalid-certs"] {
            assert!(Cli::try_parse_from(["herdlinx-mirror", "add", "herdlinx:1:x", flag]).is_err(), "{flag}");
        }
    }

    #[test]
    fn invalid_addresses_and_names_are_rejected_while_parsing() {
        assert!(Cli::try_parse_from(["herdlinx-mirror", "add", "x", "--address", "barn"]).is_err());
        assert!(Cli::try_parse_from(["herdlinx-mirror", "add", "x", "--name", "../x"]).is_err());
    }
}
