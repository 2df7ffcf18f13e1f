//! The command line.

use crate::demo::{Failure, Options, Outcome, run};
use crate::processes::{Programs, programs};
use clap::Parser;
use service::lifecycle::Exit;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const AFTER_HELP: &str = "\
It starts herdlinxd with a simulated chute, and herdlinx-mirror, both as children of itself; the office copies the barn
over TLS, and you can look at it with a browser. The chute is the real driver on an emulated chip, and readers that
listen before they talk at SF7 and 500 kHz; more than 10 payloads a second are played faster than real time. At the end it compares the chute's own list with the office's log, one
by one, and prints the counts as one JSON object, alone on the last line of standard output:
  sent = lost_in_air + heard            heard = duplicates + kept (+ suppressed)            replicated = kept
  lost           payloads that were heard and are not at the office
  digest_equal   whether barn and office agree on every change and on every row of their tables
  lag_ms_p50/99  from heard at the barn to visible at the office
Exit code 0 only if nothing was lost, the digests are equal and all of the sums hold.";

/// Tasks that block may hold up the end of the runtime no longer than this.
const RUNTIME_ENDS_WITHIN: Duration = Duration::from_millis(500);

/// A whole barn and office on this machine, with a simulated chute.
#[derive(Debug, Parser)]
#[command(name = "herdlinx-demo", version, after_help = AFTER_HELP)]
struct Cli {
    /// End by itself after so many seconds of the chute [default: at Ctrl-C]
    #[arg(long)]
    seconds: Option<f64>,
    /// Distinct payloads a second; the readers' repeats come on top
    #[arg(long, default_value_t = Options::default().rate_per_s)]
    rate: f64,
    /// Keep the files here, and go on in them if they are there [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Same seed, same traffic [default: the number of the run in its directory]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX.cast_unsigned()))]
    seed: Option<u64>,
    /// Probability that a transmission fades away on its way, besides those that collide
    #[arg(long, default_value_t = Options::default().loss)]
    loss: f64,
    /// Probability that one that arrives has a wrong CRC
    #[arg(long, default_value_t = Options::default().corruption)]
    corruption: f64,
}

/// Does what the arguments ask for; the first is the program's name.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = programs::run_if_requested(&args) {
        return code;
    }
    match Cli::try_parse_from(args) {
        Ok(cli) => cli.carry_out(),
        Err(told) => {
            let printed = told.print();
            let exit = if told.use_stderr() { Exit::Usage } else { Exit::Success };
            printed.map_or(Exit::Failure, |()| exit)
        }
    }
    .into()
}

impl Cli {
    fn carry_out(self) -> Exit {
        let Self { seconds, rate, state, seed, loss, corruption } = self;
        let options = Options { seconds, rate_per_s: rate, state, seed, loss, corruption };
        match outcome(&options) {
            Ok(Outcome { result, faults }) => {
                for fault in &faults {
                    eprintln!("herdlinx-demo: {fault}");
                }
                say(&result.to_string());
                if faults.is_empty() { Exit::Success } else { Exit::Failure }
            }
            Err(error) => {
                eprintln!("herdlinx-demo: {error}");
                if matches!(error, Failure::Flag(_) | Failure::SeedUsed { .. }) { Exit::Usage } else { Exit::Failure }
            }
        }
    }
}

fn outcome(options: &Options) -> Result<Outcome, Failure> {
    let system = |doing| move |source| Failure::System { doing, source };
    let own = std::env::current_exe().map_err(system("finding this executable"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(system("starting"))?;
    let outcome = runtime.block_on(run(Programs::Own(own), options, say));
    runtime.shutdown_timeout(RUNTIME_ENDS_WITHIN);
    outcome
}

#[expect(clippy::print_stdout, reason = "what is told on standard output is the product of this program")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_flags_are_sound_and_the_defaults_lose_at_most_a_tenth_in_the_air() {
        Cli::command().debug_assert();
        let Options { loss, corruption, .. } = Options::default();
        assert!(loss + corruption <= 0.1);
    }

    #[test]
    fn what_no_chute_can_do_is_refused_before_anything_starts() {
        for (flag, value) in
            [("--rate", "0"), ("--loss", "2"), ("--seconds", "-1"), ("--seconds", "0"), ("--corruption", "NaN")]
        {
            let parsed = Cli::try_parse_from(["herdlinx-demo", &format!("{flag}={value}")]);
            assert_eq!(parsed.unwrap().carry_out(), Exit::Usage, "{flag}");
        }
    }
}
