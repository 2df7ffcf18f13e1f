//! The command line.

mod correct;
mod error;
mod exec;
#[cfg(test)]
mod show_tests;

pub use error::CliError;

use crate::listen::ListenRequest;
use crate::settings::{DEFAULT_FILE, Refused, Settings};
use clap::{CommandFactory as _, Parser, Subcommand};
use correct::CorrectCommand;
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
  herdlinxd config > herdlinxd.toml                 every setting with its default; change what you like
  herdlinxd --config herdlinxd.toml check           says what is wrong with it
  herdlinxd --config herdlinxd.toml run             records and serves until it is stopped
  herdlinxd --config herdlinxd.toml key add chute-1 --scope ingest
                                                    a key for a device that delivers payloads over HTTPS
  herdlinxd --config herdlinxd.toml pair            one line; give it to `herdlinx-mirror add` at the office
  herdlinxd --config herdlinxd.toml doctor          looks at radios, disk, clock and keys, and says what to do
  herdlinxd --config herdlinxd.toml listen          what the radios hear, as it comes

All commands work while the daemon runs and while it does not.
Settings come from the file, above it HERDLINX_* in the environment (HERDLINX_LISTEN=127.0.0.1:5001), above that flags.
Exit codes: 0 done, 1 failed (also: a check of `doctor`; `listen` where no radio hears), 2 command line or settings
refused, 3 a file is damaged, 4 the address or socket is taken, 5 nobody answers, 6 the files are in use, 7 refused.";

const CORRECT_HELP: &str = "\
Animals, batches and payloads are named by their ids, as `show` prints them:
  herdlinxd correct --author 'J. Doe' --reason 'found dead in P4' died --animal 118
  herdlinxd correct --author 'J. Doe' --reason 'reader replaced' new_reader_era --reader_group main

Nothing is deleted: the history of an animal shows what was corrected, by whom and why.";

/// The barn: hears RFID reads over radio and HTTPS, keeps every one of them durably, serves them to the office.
#[derive(Debug, Parser)]
#[command(name = "herdlinxd", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
struct Cli {
    #[arg(long, global = true, value_name = "FILE", help = format!("The settings [default: {DEFAULT_FILE}, if it is there]"))]
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

#[derive(Debug, Subcommand)]
enum Command {
    /// Record and serve until SIGTERM or Ctrl-C; logs to stderr
    Run,
    /// Say what is wrong with the settings, and start nothing
    Check,
    /// Print every setting with its default and range, as a file to begin with
    Config,
    /// Make a key for an office and print the ONE line that pairs it, alone on the last line
    Pair {
        /// The key's name [default: office-1, office-2, ...]
        #[arg(long)]
        name: Option<String>,
    },
    /// Make, take away and list the keys of devices, programs and offices
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show what the store holds
    #[command(subcommand)]
    Show(ShowRequest),
    /// Correct what was recorded: a change of its own, with who and why, which the office gets as every other
    #[command(after_help = CORRECT_HELP)]
    Correct {
        /// Who makes the correction
        #[arg(long)]
        author: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Made again under the same key, the correction is made once [default: a new one, which is printed]
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        #[command(subcommand)]
        correction: CorrectCommand,
    },
    /// Print packets as the radios hear them, those of the daemon while it runs: time, channel, dBm, dB, Hz, hex, text
    Listen(ListenRequest),
    /// Look at radios, disk, clock, keys and certificate, and print what a bug report needs; writes nothing
    Doctor {
        /// All of it as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Prove the store: recompute the chain of the log from its bytes, fold the tables again, compare the digests
    Verify,
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
            eprintln!("herdlinxd: {error}");
            Exit::from(&error).into()
        }
    }
}

impl Cli {
    fn settings(&self) -> Result<Settings, Refused> {
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

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("herdlinxd").chain(line.split_whitespace()))
    }

    #[test]
    fn the_commands_and_flags_are_sound_and_the_help_teaches_a_first_day() {
        Cli::command().debug_assert();
        let help = Cli::command().render_long_help().to_string();
        for taught in [
            "run",
            "check",
            "config",
            "pair",
            "key",
            "show",
            "correct",
            "listen",
            "doctor",
            "verify",
            "herdlinx-mirror add",
        ] {
            assert!(help.contains(taught), "{taught}");
        }
    }

    #[test]
    fn flags_stand_before_or_after_the_command() {
        for line in ["--config a.toml --listen 127.0.0.1:0 run", "run --config a.toml --listen 127.0.0.1:0"] {
            let cli = parsed(line).unwrap();
            assert_eq!((cli.config, cli.listen), (Some("a.toml".into()), Some("127.0.0.1:0".parse().unwrap())));
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for line in [
            "",
            "fly",
            "run --fast",
            "show",
            "show change",
            "show change x",
            "key add",
            "--listen here run",
            "correct died --animal 2",
            "listen --dwell 1s",
            "listen --scan --sync-words 0x123",
            "doctor --fix",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
