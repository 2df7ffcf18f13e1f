//! The command line.

mod error;
mod exec;
mod tell;

pub use error::CliError;

use crate::link::Address;
use crate::settings::{BadSettings, DEFAULT_PATH, Settings};
use crate::sites::SiteName;
use clap::{CommandFactory as _, Parser, Subcommand};
use service::door::key_command::KeyCommand;
use service::lifecycle::Exit;
use service::settings::environment;
use service::show::ShowRequest;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
A first day:
  herdlinx-mirror config > mirror.toml              every setting with its default; change what you like
  herdlinx-mirror --config mirror.toml check        says what is wrong with it
  herdlinx-mirror --config mirror.toml run          follows and shows until it is stopped
  herdlinx-mirror --config mirror.toml add '<line>' pairs with the barn whose `herdlinxd pair` printed the line
Then look at https://localhost:5000 on this machine.

All commands work while the mirror runs and while it does not; `status` needs it to run.
Settings come from the file, above it HERDLINX_MIRROR_* in the environment (HERDLINX_MIRROR_LISTEN=127.0.0.1:5000),
above that flags.
Exit codes: 0 done, 1 failed, 2 command line or settings refused, 3 a file is damaged, 4 the address or socket is
taken, 5 nobody answers, 6 the files are in use, 7 refused.";

const ABOUT: &str =
    "The office of HerdLinx: keeps a live copy of each barn and shows it, whether or not the barn can be reached";

/// The command line as it is read.
#[derive(Parser)]
#[command(name = "herdlinx-mirror", version, about = ABOUT, long_about = None, after_help = AFTER_HELP)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[arg(long, global = true, value_name = "FILE", help = format!("The settings [default: {DEFAULT_PATH}, if it is there]"))]
    config: Option<PathBuf>,
    /// Set `state_dir`, above file and environment
    #[arg(long, global = true, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// Set `listen`, above file and environment
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Follow the paired barns and show them until SIGTERM or Ctrl-C; logs to stderr
    Run,
    /// Say what is wrong with the settings, and start nothing
    Check,
    /// Print every setting with its default and range, as a file to begin with
    Config,
    /// Pair with a barn: give the line that `herdlinxd pair` printed there
    Add {
        /// The line, in quotes; `-` reads it from standard input, where no other user can see it
        line: String,
        /// A name for the barn at this office [default: the barn's own]
        #[arg(long)]
        name: Option<SiteName>,
        /// Trust certificates signed by the authority in this PEM file, instead of the key that the line names; the
        /// service's user must be able to read it, each time that it connects
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// Find the barn here instead of where the line says; may be given more than once
        #[arg(long = "address", value_name = "HOST:PORT")]
        addresses: Vec<Address>,
    },
    /// Forget a barn and its key; its copy is moved aside, not deleted
    Remove {
        /// Its name at this office
        site: String,
    },
    /// Say where the running mirror listens and how its sites are, as JSON
    Status,
    /// Make, take away and list the keys of programs and of mirrors behind this one
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show what a copy holds
    Show {
        #[command(subcommand)]
        asked: ShowRequest,
        /// Of this site [default: the only one]
        #[arg(long, global = true)]
        site: Option<String>,
    },
    /// Copy a barn anew beside the copy that is shown, and swap when it is whole
    Resync {
        /// Its name at this office
        site: String,
    },
    /// Prove a copy: recompute the chain of its log, fold the tables again, compare row by row
    Verify {
        /// Its name at this office
        site: String,
    },
}

/// The command line as it is described: for manual pages and completions.
pub fn described() -> clap::Command {
    Cli::command()
}

/// Does what the arguments ask for; the first is the program's name. Prints results to stdout, all else to stderr.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(told) => {
            let printed = told.print();
            let exit = if told.use_stderr() { Exit::Usage } else { Exit::Success };
            return printed.map_or(Exit::Failure, |()| exit).into();
        }
    };
    match cli.carry_out(&mut std::io::stdout().lock()) {
        Ok(()) => Exit::Success.into(),
        Err(error) => {
            eprintln!("herdlinx-mirror: {error}");
            Exit::from(&error).into()
        }
    }
}

impl Cli {
    fn settings(&self) -> Result<Settings, BadSettings> {
        let mut flags = toml::Table::new();
        if let Some(directory) = &self.state_dir {
            flags.insert("state_dir".to_owned(), directory.to_string_lossy().into_owned().into());
        }
        if let Some(address) = self.listen {
            flags.insert("listen".to_owned(), address.to_string().into());
        }
        Settings::load(self.config.as_deref(), environment(), flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_in_itself() {
        Cli::command().debug_assert();
    }

    #[test]
    fn there_is_no_way_to_switch_verification_off() {
        for flag in ["--insecure", "--no-verify", "--verify=false", "--accept-invalid-certs"] {
            assert!(Cli::try_parse_from(["herdlinx-mirror", "add", "herdlinx:1:x", flag]).is_err(), "{flag}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_is_refused_before_anything_is_done() {
        assert!(Cli::try_parse_from(["herdlinx-mirror", "add", "x", "--address", "barn"]).is_err());
        assert!(Cli::try_parse_from(["herdlinx-mirror", "add", "x", "--name", "../x"]).is_err());
    }
}
