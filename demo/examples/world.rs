//! `cargo world`: runs simulated worlds, in which a seed determines every fault. See `demo::world`.

use clap::Parser;
use demo::world::{Plant, WorldError, WorldSummary, run};
use service::lifecycle::Exit;
use service::process::main_with;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::process::ExitCode;

/// Run a barn and two offices on one thread, where a seed determines time, faults, and what becomes of the barn's card.
///
/// In the end, log and tables must be equal everywhere, and every payload that was answered as stored must be there, or its
/// loss must be named or past the last change that anybody can know. The exit code is 0 only if that holds.
#[derive(Debug, Parser)]
#[command(name = "world", after_long_help = EXAMPLES)]
struct Args {
    /// Run this world, and print everything that happens in it
    #[arg(long, conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Run these worlds, and print a line for each
    #[arg(long, value_name = "FIRST..LAST", value_parser = range)]
    seeds: Option<RangeInclusive<u64>>,
    /// Build in a bug, which a claim must find; an unknown name lists them
    #[arg(long, value_name = "NAME")]
    plant: Option<Plant>,
}

const EXAMPLES: &str = "\
Examples:
  cargo world --seeds 1..50                    are the claims true?
  cargo world --seed 7                         what happens in this world?
  cargo world --seeds 1..50 --plant same-epoch in which worlds is this bug found?";

/// Reason why the command fails.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// Claims do not hold.
    #[error("{broken} of {worlds} worlds broke a promise")]
    Broken {
        /// Number of worlds that broke one.
        broken: u64,
        /// Number of worlds.
        worlds: u64,
    },
    /// The system refused something.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl From<&CommandError> for Exit {
    fn from(_: &CommandError) -> Self {
        Self::Failure
    }
}

fn range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let ends = text.split_once("..").and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    ends.map(|(first, last)| first..=last).ok_or_else(|| "two numbers are needed, such as 1..50".to_owned())
}

fn main() -> ExitCode {
    // On some damage, redb panics; the store catches that, and takes the file for damaged.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_caught = panic.location().is_some_and(|at| at.file().contains("/redb-"));
        if !is_caught {
            report(panic);
        }
    }));
    main_with(std::env::args_os(), |args: Args, out| worlds(&args, out))
}

fn worlds(args: &Args, out: &mut dyn Write) -> Result<(), CommandError> {
    let seeds = args.seeds.clone().or(args.seed.map(|seed| seed..=seed)).unwrap_or(1..=1);
    let (mut broken, mut worlds) = (0, 0);
    for seed in seeds {
        worlds += 1;
        match live(seed, args.plant, args.seed.is_some(), out)? {
            Ok(summary) => writeln!(out, "{summary:?}")?,
            Err(error) => {
                broken += 1;
                writeln!(out, "BROKEN: {error}")?;
            }
        }
    }
    if broken > 0 { Err(CommandError::Broken { broken, worlds }) } else { Ok(()) }
}

fn live(
    seed: u64,
    plant: Option<Plant>,
    is_shown: bool,
    out: &mut dyn Write,
) -> io::Result<Result<WorldSummary, WorldError>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let mut print = |line: &str| {
        if is_shown {
            // A reader that has gone is told by the next line of the summary.
            writeln!(out, "{line}").ok();
        }
    };
    Ok(runtime.block_on(run(seed, plant, &mut print)))
}
