//! Emulates an SX1276 module on the kernel's device files, and compares what its chip heard with what a barn stored.
//!
//! ```text
//! herdlinx-module play --ledger heard.json <go            until the pipe `go` is closed
//! herdlinx-module compare heard.json -- herdlinxd --config barn.toml
//! ```
//!
//! `play` creates `/dev/spidev0.0` and a GPIO chip with RESET on line 25 and DIO0 on line 22, and prints their paths.
//! Once a program listens there, six readers transmit the payloads of a yard on an emulated air in real time. They
//! stop after the chip has flagged the requested number of packets good. The ledger then lists the fate of each
//! transmission.
//!
//! Needs root and the kernel modules cuse and gpio-sim; `image/test micro` starts a machine that has them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "only the tests of the image read what it prints")]

mod compare;
mod ledger;
mod play;
mod stored_payloads;

use crate::ledger::Ledger;
use crate::play::{Module, PlayRequest};
use clap::{Parser, Subcommand};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Emulates an SX1276 module on the kernel's device files
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Emulate a module with readers around it until standard input ends
    Play(PlayRequest),
    /// Check that a barn stored each packet that the chip flagged good exactly once, and nothing else
    Compare {
        /// Ledger that `play` wrote
        ledger: PathBuf,
        /// Leave out the N-th stored payload, to test that a missing one is noticed
        #[arg(long, value_name = "N")]
        withhold: Option<usize>,
        /// Time of the barn's first log line about a recorded payload; adds the delay since the kernel's start
        #[arg(long, value_name = "TIME")]
        first_kept: Option<String>,
        /// Program of the barn with its options, without a command
        #[arg(last = true, required = true)]
        barn: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Play(request) => play(&request).map(|()| true),
        Command::Compare { ledger, withhold, first_kept, barn } => {
            compare(&ledger, withhold, first_kept.as_deref(), &barn)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("herdlinx-module: {error}");
            ExitCode::from(2)
        }
    }
}

fn play(request: &PlayRequest) -> Result<(), Box<dyn Error>> {
    let module = Module::new(request)?;
    println!("spi={}\ngpio_chip={}", module.spi().display(), module.gpio_chip().display());
    module.play(request)?.write(&request.ledger)?;
    // The devices stay until the caller closes standard input, because a program may still use them.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

/// Prints the comparison as one line of JSON. Returns `true` if the barn stored what the chip heard.
fn compare(
    ledger: &Path,
    withhold: Option<usize>,
    first_kept: Option<&str>,
    barn: &[String],
) -> Result<bool, Box<dyn Error>> {
    let ledger = Ledger::read(ledger)?;
    let mut stored = stored_payloads::read(barn)?;
    if let Some(at) = withhold.and_then(|n| n.checked_sub(1)).filter(|at| *at < stored.len()) {
        stored.remove(at);
    }
    let comparison = compare::compare(&ledger, &stored, first_kept)?;
    println!("{}", serde_json::to_string(&comparison)?);
    Ok(comparison.is_equal())
}
