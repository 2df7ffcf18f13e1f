//! The command line of `herdlinx-demo`.

use crate::demo::{DemoError, Options, Outcome, run};
use crate::processes::{Programs, programs};
use clap::Parser;
use service::lifecycle::Exit;
use std::ffi::OsString;
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
  lag_ms_p50/99  time from heard at the barn to visible at the office
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

/// Runs the command line and returns the exit code. The first argument is the name of the program.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = programs::run_if_requested(&args) {
        return code;
    }
    match Cli::try_parse_from(args) {
        Ok(cli) => cli.execute(),
        // clap reports `--help` and `--version` as errors, too.
        Err(message) => {
            let printed = message.print();
            let exit = if message.use_stderr() { Exit::Usage } else { Exit::Success };
            printed.map_or(Exit::Failure, |()| exit)
        }
    }
    .into()
}

impl Cli {
    fn execute(self) -> Exit {
        let Self { seconds, rate, state, seed, loss, corruption } = self;
        let options = Options { seconds, rate_per_s: rate, state, seed, loss, corruption };
        match run_to_end(&options) {
            Ok(Outcome { result, faults }) => {
                for fault in &faults {
                    eprintln!("herdlinx-demo: {fault}");
                }
                print_line(&result.to_string());
                if faults.is_empty() { Exit::Success } else { Exit::Failure }
            }
            Err(error) => {
                eprintln!("herdlinx-demo: {error}");
                if matches!(error, DemoError::Flag(_) | DemoError::SeedUsed { .. }) {
                    Exit::Usage
                } else {
                    Exit::Failure
                }
            }
        }
    }
}

fn run_to_end(options: &Options) -> Result<Outcome, DemoError> {
    let system = |action| move |source| DemoError::System { action, source };
    let own = std::env::current_exe().map_err(system("find this executable"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(system("start the async runtime"))?;
    let outcome = runtime.block_on(run(Programs::Own(own), options, print_line));
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    outcome
}

#[expect(clippy::print_stdout, reason = "the lines on stdout are the product of this program")]
fn print_line(line: &str) {
    println!("{line}");
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
            assert_eq!(parsed.unwrap().execute(), Exit::Usage, "{flag}");
        }
    }
}
