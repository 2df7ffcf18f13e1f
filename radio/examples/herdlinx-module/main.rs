//! Plays an SX1276 module on this machine's kernel interfaces, and compares what its chip heard with what a barn kept.
//!
//! ```text
//! herdlinx-module play --ledger heard.json <go            until `go`, a pipe, is closed
//! herdlinx-module compare heard.json -- herdlinxd --config barn.toml
//! ```
//!
//! `play` makes `/dev/spidev0.0` and a GPIO chip with RESET on line 25 and DIO0 on line 22, and prints where they are.
//! Once a program listens there, six readers transmit the payloads of a yard on an emulated air in real time, until
//! the chip has flagged so many packets good; then the ledger says what became of each transmission.
//!
//! Needs root and the kernel's modules cuse and gpio-sim; `image/test micro` brings a machine that has them.
#![expect(clippy::print_stdout, reason = "a program that prints what it made and found")]

mod compare;
mod ledger;
mod log;
mod play;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::ledger::Ledger;
use crate::play::{Module, PlayRequest};

/// Plays an SX1276 module on this machine's kernel interfaces.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be a module with readers around it until standard input ends
    Play(PlayRequest),
    /// Look for each packet that the chip flagged good in a barn's log: once, and nothing else
    Compare {
        /// What `play` wrote
        ledger: PathBuf,
        /// Leave this one of the stored payloads out, counted from 1: so one sees that it would be noticed
        #[arg(long, value_name = "N")]
        withhold: Option<usize>,
        /// When the barn said that its first read is kept, as its log has it: how long that is after the kernel's start
        /// is then told
        #[arg(long, value_name = "TIME")]
        first_kept: Option<String>,
        /// How the barn's program is called, without a command
        #[arg(last = true, required = true)]
        barn: Vec<String>,
    },
}

type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let carried_out = match Cli::parse().command {
        Command::Play(request) => play(&request).map(|()| true),
        Command::Compare { ledger, withhold, first_kept, barn } => {
            compare(&ledger, withhold, first_kept.as_deref(), &barn)
        }
    };
    match carried_out {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("herdlinx-module: {error}");
            ExitCode::from(2)
        }
    }
}

fn play(request: &PlayRequest) -> Result<(), Failed> {
    let module = Module::make(request)?;
    println!("spi={}\ngpio_chip={}", module.spi().display(), module.gpio_chip().display());
    module.play(request)?.write(&request.ledger)?;
    // The devices stay as long as somebody may use them.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

/// Prints the comparison as one line of JSON; true if the barn kept what the chip heard.
fn compare(
    ledger: &std::path::Path,
    withhold: Option<usize>,
    first_kept: Option<&str>,
    barn: &[String],
) -> Result<bool, Failed> {
    let heard = Ledger::read(ledger)?;
    let mut stored = log::read(barn)?;
    if let Some(at) = withhold.and_then(|n| n.checked_sub(1)).filter(|at| *at < stored.len()) {
        stored.remove(at);
    }
    let outcome = compare::compare(&heard, &stored, first_kept)?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(outcome.is_equal())
}
