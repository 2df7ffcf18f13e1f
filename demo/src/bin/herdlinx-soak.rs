//! The soak: barn and office for an hour of cuts, stops, kills and more, for a day, and over bad links. `.ci/soak` runs it.

use clap::{Parser, Subcommand};
use demo::processes::{Programs, programs};
use demo::soak::{Outcome, Part, SoakError, run};
use service::lifecycle::Exit;
use service::process::main_with;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Maximum time that blocking tasks may delay the exit after the result.
const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);
/// Longest soak: a week.
const MAX_MINUTES: f64 = 7.0 * 24.0 * 60.0;

/// Run a barn and an office through everything that goes wrong, and compare what they hold with what was answered.
///
/// Progress goes to stderr each minute, and tables in Markdown go to stdout. The exit code is 0 only if every claim
/// holds.
#[derive(Debug, Parser)]
#[command(name = "herdlinx-soak", version, after_long_help = EXPLANATION)]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// Directory for the files; a temporary directory in it is removed at the end, unless a claim fails
    #[arg(long, global = true, value_name = "DIRECTORY", default_value = ".")]
    on: PathBuf,
    /// Directory with `herdlinxd` and `herdlinx-mirror` [default: this executable runs as both]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    shipped: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send payloads while links fail, processes end, copies start anew and keys are revoked
    Hour {
        /// Minutes with incidents; some more minutes follow for the claims
        #[arg(long, default_value_t = 60.0, value_parser = minutes)]
        minutes: f64,
        /// Seed of payloads and incidents, which is printed [default: random]
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Record a day with the office away for 20 hours, and let it catch up over 30 kB/s
    Day,
    /// Copy and catch up over links of 30 kB/s and 1 kB/s, and one that is cut every 20 kB
    Links,
}

const EXPLANATION: &str = "\
Claims of an hour:
  ledger        what was answered as kept is in both logs, once, as the change that was answered; what was refused is not
  digests       log and tables of barn and office are equal, and equal to what `verify` computes from the files
  recovery      after each incident, the office has everything within 180 s
  memory        anonymous memory of each process at the end: its median in the second quarter plus 32 MiB at most
  descriptors   the same, plus 24 at most
  shutdown      each process that gets SIGTERM exits with 0

The second and the last quarter have no stops and no kills, so that a process lives long enough to show what it keeps.";

/// Reason why a soak fails.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// There is no result.
    #[error(transparent)]
    Soak(#[from] SoakError),
    /// Claims fail. The tables are printed.
    #[error("{0} claims fail")]
    Claims(usize),
}

impl From<&CommandError> for Exit {
    fn from(_: &CommandError) -> Self {
        Self::Failure
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse::<f64>().ok().filter(|minutes| (0.1..=MAX_MINUTES).contains(minutes));
    minutes.ok_or_else(|| format!("a number from 0.1 to {MAX_MINUTES} is needed"))
}

fn main() -> ExitCode {
    // Unless --shipped is given, barn and office are this executable, too.
    let args: Vec<_> = std::env::args_os().collect();
    programs::run_if_requested(&args).unwrap_or_else(|| main_with(args, |args: Args, out| soak(&args, out)))
}

fn soak(args: &Args, out: &mut dyn Write) -> Result<(), CommandError> {
    let system = |action| move |source| SoakError::System { action, source };
    let programs = Programs::shipped_or_own(args.shipped.as_deref()).map_err(system("find this executable"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(system("start the async runtime"))?;
    let outcome = runtime.block_on(run(&programs, &args.on, part(&args.command)));
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    let outcome = outcome?;
    print(&outcome, out).map_err(SoakError::Print)?;
    if outcome.faults.is_empty() { Ok(()) } else { Err(CommandError::Claims(outcome.faults.len())) }
}

fn part(command: &Command) -> Part {
    match command {
        Command::Hour { minutes, seed } => {
            let random = || RandomState::new().build_hasher().finish();
            Part::Hour { duration: Duration::from_secs_f64(minutes * 60.0), seed: seed.unwrap_or_else(random) }
        }
        Command::Day => Part::Day,
        Command::Links => Part::Links,
    }
}

fn print(Outcome { text, faults }: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{text}")?;
    if faults.is_empty() {
        writeln!(out, "Every claim holds.")?;
    }
    for fault in faults {
        writeln!(out, "FAILS: {fault}")?;
    }
    out.flush()
}
