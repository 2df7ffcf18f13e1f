//! The command line of `herdlinx-demo`.

use crate::demo::{DemoError, Options, Outcome, run};
use crate::processes::{Programs, programs};
use clap::Parser;
use service::lifecycle::Exit;
use service::process;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const AFTER_HELP: &str = "\
The demo starts herdlinxd with a simulated chute, and herdlinx-mirror, as child processes. The office copies the barn
over TLS, and you can open it in a browser. The chute is the real driver on an emulated chip, with readers that listen
before they talk at SF7 and 500 kHz. More than 10 payloads a second are played faster than real time.

At the end, the demo compares the ledger of the chute with the log of the office, payload by payload. The last line of
stdout is the result, one JSON object:
  sent = lost_in_air + heard            heard = duplicates + kept (+ suppressed)            replicated = kept
  lost           payloads that were heard and are missing at the office
  digest_equal   true if barn and office agree on every change and every row of their tables
  lag_ms_p50/99  time from heard at the barn to durable at the office
The exit code is 0 only if nothing was lost, the digests are equal, and all sums hold.";

/// Maximum time that blocking tasks may delay the exit after the result.
const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Run a barn and an office on this machine, with a simulated chute
#[derive(Debug, Parser)]
#[command(name = "herdlinx-demo", version, after_help = AFTER_HELP)]
struct Cli {
    /// Stop after SECONDS of traffic [default: run until Ctrl-C]
    #[arg(long)]
    seconds: Option<f64>,
    /// Distinct payloads per second, without the readers' repeats
    #[arg(long, default_value_t = Options::default().rate_per_s)]
    rate: f64,
    /// Keep the files in DIR, and continue with those of an earlier run [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Seed of the traffic; equal seeds give equal traffic [default: the number of the run in its directory]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX.cast_unsigned()))]
    seed: Option<u64>,
    /// Probability that a transmission fades, in addition to collisions
    #[arg(long, default_value_t = Options::default().loss)]
    loss: f64,
    /// Probability that a transmission that arrives has a wrong CRC
    #[arg(long, default_value_t = Options::default().corruption)]
    corruption: f64,
}

/// Reason why a demo fails.
#[derive(Debug, thiserror::Error)]
enum CliError {
    /// There is no result.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The result shows that claims do not hold. It is printed.
    #[error("{}", .0.join("; "))]
    Faults(Vec<String>),
}

impl From<&CliError> for Exit {
    fn from(error: &CliError) -> Self {
        match error {
            CliError::Demo(DemoError::Flag(_) | DemoError::SeedUsed { .. }) => Self::Usage,
            CliError::Demo(_) | CliError::Faults(_) => Self::Failure,
        }
    }
}

/// Runs the command line and returns the exit code. The first argument is the name of the program.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    programs::run_if_requested(&args).unwrap_or_else(|| process::main_with(args, |cli: Cli, out| cli.execute(out)))
}

impl Cli {
    fn execute(self, out: &mut dyn Write) -> Result<(), CliError> {
        let Self { seconds, rate, state, seed, loss, corruption } = self;
        let options = Options { seconds, rate_per_s: rate, state, seed, loss, corruption };
        let Outcome { result, faults } = run_to_end(&options, out)?;
        writeln!(out, "{result}").and_then(|()| out.flush()).map_err(DemoError::Print)?;
        if faults.is_empty() { Ok(()) } else { Err(CliError::Faults(faults)) }
    }
}

fn run_to_end(options: &Options, out: &mut dyn Write) -> Result<Outcome, DemoError> {
    let system = |action| move |source| DemoError::System { action, source };
    let own = std::env::current_exe().map_err(system("find this executable"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(system("start the async runtime"))?;
    let outcome = runtime.block_on(run(Programs::Own(own), options, out));
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn flags_are_consistent_and_the_defaults_lose_at_most_a_tenth_in_the_air() {
        Cli::command().debug_assert();
        let Options { loss, corruption, .. } = Options::default();
        assert!(loss + corruption <= 0.1);
    }

    #[test]
    fn values_that_no_chute_accepts_are_refused_before_a_process_starts() {
        for (flag, value) in
            [("--rate", "0"), ("--loss", "2"), ("--seconds", "-1"), ("--seconds", "0"), ("--corruption", "NaN")]
        {
            let parsed = Cli::try_parse_from(["herdlinx-demo", &format!("{flag}={value}")]);
            let refused = parsed.unwrap().execute(&mut Vec::new()).unwrap_err();
            assert_eq!(Exit::from(&refused), Exit::Usage, "{flag}: {refused}");
        }
    }
}
